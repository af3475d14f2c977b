// SPDX-License-Identifier: BSL-1.0
// What every emitted file begins with: the functions that kernels call, as text.
//
// The idea: a loop is vectorised only if nothing in it is a call. For floats these are formulas without
// branches, good to a few units in the last place; infinities and NaN come out as the functions of libm give
// them. For doubles, libm is near enough to memory speed.
#pragma once

#include <string_view>

namespace mini {

inline constexpr std::string_view kernel_prelude =
    R"cpp(// Written by mini_compiler: one function a kernel, called by LibTorch's TensorIterator.
#include <bit>
#include <cmath>
#include <cstdint>
#include <type_traits>

// Results are fresh memory: no step of a loop reads what another one writes.
#ifdef __clang__
#define STEPS_ARE_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define STEPS_ARE_INDEPENDENT _Pragma("GCC ivdep")
#endif

namespace {

template <std::int64_t N>
using step = std::integral_constant<std::int64_t, N>;

namespace math {

struct none {}; // a bound that is not there

// Each keeps a NaN that it is given.
#define FOR_EACH_TYPE(T)                                                                     \
  inline T at_least(T x, T low) { return x < low ? low : x; }                                \
  inline T at_most(T x, T high) { return x > high ? high : x; }                              \
  inline T at_least(T x, none) { return x; }                                                 \
  inline T at_most(T x, none) { return x; }                                                  \
  inline T maximum(T a, T b) { return a > b || a != a ? a : b; }                             \
  inline T minimum(T a, T b) { return a < b || a != a ? a : b; }
FOR_EACH_TYPE(float)
FOR_EACH_TYPE(double)
#undef FOR_EACH_TYPE

// exp(x) = 2^n * exp(r), |r| <= ln(2)/2. Gives q with exp(r) = 1 + q, and 2^n in two factors, so that results
// near both ends of the range come out right. Adding and subtracting 1.5 * 2^23 rounds to an integer.
struct exp_parts {
  float q, scale, rest;
};
inline exp_parts split_exp(float x) {
  const float magic = 12582912.0f;
  const float shifted = x * 1.44269504f + magic, n = shifted - magic;
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  const float q =
      r * (1.0f + r * (0.5f + r * (1 / 6.0f + r * (1 / 24.0f + r * (1 / 120.0f + r * (1 / 720.0f + r / 5040.0f))))));
  const std::int32_t k = static_cast<std::int32_t>(std::bit_cast<std::uint32_t>(shifted) - 0x4b400000u);
  const std::int32_t half = k >> 1;
  const auto power = [](std::int32_t e) { return std::bit_cast<float>(static_cast<std::uint32_t>(e + 127) << 23); };
  return {q, power(half), power(k - half)};
}
inline float exp(float x) {
  const exp_parts p = split_exp(at_most(at_least(x, -104.0f), 89.0f));
  return (p.q * p.scale + p.scale) * p.rest;
}
inline float expm1(float x) {
  const exp_parts p = split_exp(at_most(at_least(x, -30.0f), 89.0f));
  const float low = p.q * p.scale * p.rest, high = p.scale * p.rest - 1.0f;
  return x > 88.0f ? exp(x) : low + high;
}
inline float tanh(float x) {
  const float e = expm1(at_most(at_least(2.0f * x, -30.0f), 30.0f));
  return e / (e + 2.0f);
}
inline float sigmoid(float x) { return 1.0f / (1.0f + exp(-x)); }

// The Taylor series up to 1; from there on formula 7.1.26 of Abramowitz and Stegun, good to 1.5e-7.
inline float erf(float x) {
  const float s = x * x;
  const float near =
      x * 1.12837917f *
      (1.0f +
       s * (-1 / 3.0f +
            s * (1 / 10.0f +
                 s * (-1 / 42.0f +
                      s * (1 / 216.0f +
                           s * (-1 / 1320.0f +
                                s * (1 / 9360.0f + s * (-1 / 75600.0f + s * (1 / 685440.0f - s / 6894720.0f)))))))));
  const float a = std::abs(x), t = 1.0f / (1.0f + 0.3275911f * a);
  const float p =
      t * (0.254829592f + t * (-0.284496736f + t * (1.421413741f + t * (-1.453152027f + t * 1.061405429f))));
  return a < 1.0f ? near : std::copysign(1.0f - p * exp(-s), x);
}

inline double exp(double x) { return std::exp(x); }
inline double expm1(double x) { return std::expm1(x); }
inline double tanh(double x) { return std::tanh(x); }
inline double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }
inline double erf(double x) { return std::erf(x); }

} // namespace math
} // namespace
)cpp";

} // namespace mini
