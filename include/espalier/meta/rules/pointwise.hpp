// SPDX-License-Identifier: BSL-1.0
// Pointwise operators: broadcasting, type promotion, and the memory order of the inputs.
#pragma once

#include <espalier/meta/promotion.hpp>
#include <espalier/meta/strides.hpp>

namespace espalier::shape_rules {

/// What the dtype of a pointwise result is, beside promotion.
enum class result_kind { same, floating, boolean };

namespace detail {
/// The pointwise result of the tensors among the first `n` arguments (numbers take part in promotion).
template <result_kind Kind>
constexpr tensor_meta pointwise(const rule_args& a, std::size_t n) {
  result_type t;
  std::vector<const tensor_meta*> operands;
  sym_ints sizes;
  device d = cpu_device;
  bool have_device = false;
  for (std::size_t i = 0; i != n; ++i) {
    const auto& x = a.raw(i);
    t.add(x);
    if (x.form != meta_form::tensor)
      continue;
    sizes = operands.empty() ? x.tensor->sizes : broadcast(sizes, x.tensor->sizes, a);
    operands.push_back(x.tensor);
    if (!have_device || (x.tensor->dim() && d == cpu_device))
      d = x.tensor->dev; // a CPU number goes anywhere
    have_device = true;
  }
  if (operands.empty())
    a.refuse("no argument is a tensor", "pass at least one tensor");
  scalar_type out = t.get();
  if (Kind == result_kind::floating)
    out = to_floating(out);
  if (Kind == result_kind::boolean)
    out = scalar_type::b8;
  return iterator_output(out, std::move(sizes), d, operands);
}
} // namespace detail

/// Of the first `N` arguments (`add`, `mul`, `where` past its condition, `clamp.Tensor`).
template <std::size_t N, result_kind Kind = result_kind::same>
constexpr rule_result pointwise(const rule_args& a) {
  return detail::pointwise<Kind>(a, N);
}
constexpr rule_result unary(const rule_args& a) { return detail::pointwise<result_kind::same>(a, 1); }
constexpr rule_result unary_float(const rule_args& a) {
  return detail::pointwise<result_kind::floating>(a, 1);
}
constexpr rule_result unary_bool(const rule_args& a) { return detail::pointwise<result_kind::boolean>(a, 1); }
constexpr rule_result binary(const rule_args& a) { return detail::pointwise<result_kind::same>(a, 2); }
constexpr rule_result binary_float(const rule_args& a) {
  return detail::pointwise<result_kind::floating>(a, 2);
}
constexpr rule_result binary_bool(const rule_args& a) {
  return detail::pointwise<result_kind::boolean>(a, 2);
}
/// `abs`, `real`-valued for complex inputs.
constexpr rule_result absolute(const rule_args& a) {
  auto m = detail::pointwise<result_kind::same>(a, 1);
  if (is_complex(m.dtype))
    m.dtype = m.dtype == scalar_type::c128  ? scalar_type::f64
              : m.dtype == scalar_type::c64 ? scalar_type::f32
                                            : scalar_type::f16;
  return m;
}
/// `div` with a rounding mode keeps integers; without one it divides truly.
constexpr rule_result divide_mode(const rule_args& a) {
  return a.raw(2).form == meta_form::string ? detail::pointwise<result_kind::same>(a, 2)
                                            : detail::pointwise<result_kind::floating>(a, 2);
}
/// `where(condition, self, other)`.
constexpr rule_result where(const rule_args& a) {
  auto m = detail::pointwise<result_kind::same>(a, 3);
  result_type t;
  t.add(a.raw(1));
  t.add(a.raw(2));
  m.dtype = t.get();
  return m;
}
/// `clamp(self, min, max)`, either end missing.
constexpr rule_result clamp(const rule_args& a) { return detail::pointwise<result_kind::same>(a, 3); }
/// `addcmul`, `addcdiv`, `lerp`.
constexpr rule_result ternary(const rule_args& a) { return detail::pointwise<result_kind::same>(a, 3); }
/// An activation of `self` only, whatever parameters follow.
constexpr rule_result activation(const rule_args& a) { return detail::pointwise<result_kind::same>(a, 1); }
/// `prelu(self, weight)`: the weight broadcasts along the channel and does not decide.
constexpr rule_result prelu(const rule_args& a) { return like(a.tensor(0), a.tensor(0).dtype); }

} // namespace espalier::shape_rules
