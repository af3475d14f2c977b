// SPDX-License-Identifier: BSL-1.0
// Tensors for the inputs of random programs.
#pragma once

#include "passes/random_programs.hpp"

#include <ATen/ATen.h>
#include <torch/types.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace laws {

/// One tensor an input, of values that break what does not hold for all of them.
inline std::vector<at::Tensor> hard_inputs(std::uint64_t seed) {
  constexpr double inf = std::numeric_limits<double>::infinity();
  const std::vector<double> hard{0.0, -0.0, 1.0,  -1.0,   inf, -inf, std::numeric_limits<double>::quiet_NaN(),
                                 0.5, -2.5, 1e30, -1e-30, 3.0};
  std::vector<at::Tensor> out;
  std::uint64_t state = seed;
  const auto next = [&] {
    return state = state * 6364136223846793005ull + 1442695040888963407ull, state >> 33;
  };
  for (const auto& in : program_inputs()) {
    std::int64_t n = 1;
    for (auto s : in.sizes)
      n *= s;
    const auto type = static_cast<at::ScalarType>(in.dtype);
    at::Tensor t;
    if (es::is_floating(in.dtype)) {
      std::vector<double> v;
      for (std::int64_t i = 0; i != n; ++i)
        v.push_back(hard[next() % hard.size()]);
      t = at::tensor(v, at::kDouble).to(type);
    } else if (in.dtype == es::scalar_type::b8) {
      t = at::empty({n}, type);
      for (std::int64_t i = 0; i != n; ++i)
        t[i] = next() % 2 == 0;
    } else {
      std::vector<std::int64_t> v;
      const std::int64_t low = in.dtype == es::scalar_type::i64 ? INT64_MIN : INT32_MIN;
      for (std::int64_t i = 0; i != n; ++i)
        v.push_back(next() % 5 == 0 ? low : static_cast<std::int64_t>(next() % 7) - 3);
      t = at::tensor(v, at::kLong).to(type);
    }
    out.push_back(t.view(in.sizes));
  }
  return out;
}

/// Whole and half numbers of one digit: most of what is computed of them is exact in every type.
inline std::vector<at::Tensor> tame_inputs(std::uint64_t seed) {
  at::manual_seed(seed);
  std::vector<at::Tensor> out;
  for (const auto& in : program_inputs()) {
    const auto n = at::randint(-4, 5, in.sizes);
    const auto type = static_cast<at::ScalarType>(in.dtype);
    out.push_back(in.dtype == es::scalar_type::b8 ? n.gt(0)
                  : es::is_floating(in.dtype)     ? n.to(type).div(2)
                                                  : n.to(type));
  }
  return out;
}

} // namespace laws
