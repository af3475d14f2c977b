// SPDX-License-Identifier: BSL-1.0
// The compiler's first pass: operators that a kernel has no expression for become those that it has.
//
// The idea: a rewrite is a pattern over operator types and a function that builds what stands in its place.
// Both are checked against the operators' schemas. New calls get their shapes from the shape rules and their
// origin from what they replace.
#pragma once

#include "operators.hpp"

#include <espalier/rewrite/driver.hpp>

namespace mini {

inline constexpr auto x = es::capture<"x">;
/// Only where a kernel can follow: elsewhere LibTorch's single operator is faster than its parts.
inline constexpr auto real_x = es::where(
    x, [](es::value v) { return v.meta().kind == es::value_kind::tensor && is_real(v.meta().tensor.dtype); });

// Strength reduction: the powers that LibTorch computes without `pow`, too.
inline constexpr auto square =
    es::rewrite<"square">(es::pattern<aten::pow_Tensor_Scalar>(real_x, 2),
                          [](auto& r, const auto& m) { return compute<aten::mul_Tensor>(r, m[x], m[x]); });
inline constexpr auto cube =
    es::rewrite<"cube">(es::pattern<aten::pow_Tensor_Scalar>(real_x, 3), [](auto& r, const auto& m) {
      return compute<aten::mul_Tensor>(r, compute<aten::mul_Tensor>(r, m[x], m[x]), m[x]);
    });
inline constexpr auto root =
    es::rewrite<"root">(es::pattern<aten::pow_Tensor_Scalar>(real_x, 0.5),
                        [](auto& r, const auto& m) { return compute<aten::sqrt>(r, m[x]); });

// The reversed subtraction, which is no operator of its own to LibTorch either.
inline constexpr auto y = es::capture<"y">;
inline constexpr auto c = es::constant<"c">;
inline constexpr auto reversed =
    es::rewrite<"rsub">(es::pattern<aten::rsub_Tensor>(real_x, y),
                        [](auto& r, const auto& m) { return compute<aten::sub_Tensor>(r, m[y], m[x]); });
inline constexpr auto reversed_scalar =
    es::rewrite<"rsub-scalar">(es::pattern<aten::rsub_Scalar>(real_x, c), [](auto& r, const auto& m) {
      return compute<aten::add_Scalar>(r, compute<aten::neg>(r, m[x]), r.same(m[c]));
    });

// Activations, by their definitions.
inline constexpr auto silu = es::rewrite<"silu">(es::pattern<aten::silu>(real_x), [](auto& r, const auto& m) {
  return compute<aten::mul_Tensor>(r, m[x], compute<aten::sigmoid>(r, m[x]));
});
inline constexpr auto gelu = es::rewrite<"gelu">(es::pattern<aten::gelu>(real_x), [](auto& r, const auto& m) {
  auto erf = compute<aten::erf>(r, compute<aten::mul_Scalar>(r, m[x], 0.70710678118654752));
  auto half = compute<aten::mul_Scalar>(r, m[x], 0.5);
  return compute<aten::mul_Tensor>(r, half, compute<aten::add_Scalar>(r, erf, 1));
});
inline constexpr auto gelu_tanh = es::rewrite<"gelu-tanh">(
    es::pattern<aten::gelu>(real_x, es::kw<"approximate">("tanh")), [](auto& r, const auto& m) {
      auto cubed = compute<aten::mul_Tensor>(r, compute<aten::mul_Tensor>(r, m[x], m[x]), m[x]);
      auto bent = compute<aten::add_Tensor>(r, m[x], compute<aten::mul_Scalar>(r, cubed, 0.044715));
      auto tanh = compute<aten::tanh>(r, compute<aten::mul_Scalar>(r, bent, 0.79788456080286536));
      auto half = compute<aten::mul_Scalar>(r, m[x], 0.5);
      return compute<aten::mul_Tensor>(r, half, compute<aten::add_Scalar>(r, tanh, 1));
    });

/// All of them as one pass; each node is visited once, however many rules there are.
inline constexpr auto simplify =
    es::rewrites<"simplify">(square, cube, root, reversed, reversed_scalar, silu, gelu, gelu_tanh);

} // namespace mini
