// SPDX-License-Identifier: BSL-1.0
// Pointwise operators: broadcasting, type promotion, and the memory order of the inputs.
#pragma once

#include <espalier/meta/promotion.hpp>
#include <espalier/meta/strides.hpp>
#include <espalier/support/vector.hpp>

namespace espalier::shape_rules {

/// What the dtype of a pointwise result is, beside promotion.
enum class result_kind { same, floating, boolean };

namespace detail {
inline constexpr tensor_meta number_operand{}; // TensorIterator sees a number as a tensor without dimensions

/// The common dtype, shape and memory order of `n` arguments from the `first` on; numbers take part.
struct pointwise_operands {
  result_type types;
  inline_vector<const tensor_meta*, 4> tensors; // with `number_operand` for numbers
  sym_ints sizes;
  device dev = cpu_device;
  bool any = false;

  constexpr void add(const rule_args& a, std::size_t i) {
    const auto& x = a.raw(i);
    types.add(x);
    if (x.form == meta_form::tensor)
      add_shape(a, *x.tensor);
    else if (x.form == meta_form::integer || x.form == meta_form::floating || x.form == meta_form::boolean ||
             x.form == meta_form::complex)
      tensors.push_back(&number_operand);
  }
  constexpr void add_shape(const rule_args& a, const tensor_meta& m) {
    sizes = any ? broadcast(sizes, m.sizes, a) : m.sizes;
    if (!any || (m.dim() && dev == cpu_device))
      dev = m.dev; // a CPU number goes anywhere
    tensors.push_back(&m);
    any = true;
  }
  /// The result, of dtype `t`. Tensors of another dtype than `computed` are cast to it first.
  constexpr tensor_meta result(const rule_args& a, scalar_type t, scalar_type computed) const {
    if (!any)
      a.refuse("no argument is a tensor", "pass at least one tensor");
    vector<tensor_meta> casts;
    auto operands = tensors;
    for (auto*& m : operands)
      if (m != &number_operand && m->dtype != computed && computed != scalar_type::undefined) {
        if (casts.empty())
          casts.reserve(operands.size());
        casts.push_back(like(*m, computed));
        m = &casts.back();
      }
    return iterator_output(t, sizes, dev, operands);
  }
};

/// The pointwise result of the first `n` arguments.
template <result_kind Kind>
constexpr tensor_meta pointwise(const rule_args& a, std::size_t n) {
  pointwise_operands o;
  for (std::size_t i = 0; i != n; ++i)
    o.add(a, i);
  scalar_type t = o.types.get();
  if (Kind == result_kind::floating)
    t = to_floating(t);
  return o.result(a, Kind == result_kind::boolean ? scalar_type::b8 : t, t);
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
/// `rsub.Tensor(self, other)`: the operands change places.
constexpr rule_result reversed_binary(const rule_args& a) {
  detail::pointwise_operands o;
  o.add(a, 1);
  o.add(a, 0);
  const auto t = o.types.get();
  return o.result(a, t, t);
}
/// `abs`, `real`-valued for complex inputs.
constexpr rule_result absolute(const rule_args& a) {
  const auto& m = a.tensor(0);
  return is_complex(m.dtype) ? like(m, to_real(m.dtype)) : detail::pointwise<result_kind::same>(a, 1);
}
/// `isinf`: of integers, an answer without a look; else the absolute value compared with a number.
constexpr rule_result isinf(const rule_args& a) {
  const auto& m = a.tensor(0);
  if (is_integral(m.dtype, true))
    return like(m, scalar_type::b8);
  auto part = m; // of complex numbers, the real and the imaginary parts are looked at
  if (is_complex(m.dtype))
    for (auto& s : part.strides)
      s = s * 2;
  const tensor_meta* one[] = {&part};
  const auto size = iterator_output(to_real(m.dtype), m.sizes, m.dev, one);
  const tensor_meta* operands[] = {&size, &detail::number_operand};
  return iterator_output(scalar_type::b8, m.sizes, m.dev, operands);
}
/// `isfinite`: equal to itself, and not infinite.
constexpr rule_result isfinite(const rule_args& a) {
  const auto& m = a.tensor(0);
  if (is_integral(m.dtype, true))
    return like(m, scalar_type::b8);
  const auto itself = detail::pointwise<result_kind::boolean>(a, 1), size = absolute(a).outputs[0].tensor;
  const tensor_meta* compared[] = {&size, &detail::number_operand};
  const auto bounded = iterator_output(scalar_type::b8, m.sizes, m.dev, compared);
  const tensor_meta* operands[] = {&itself, &bounded};
  return iterator_output(scalar_type::b8, m.sizes, m.dev, operands);
}
namespace detail {
/// Of the first `n` arguments, numbers deciding on the dtype but being no operands.
constexpr tensor_meta of_tensors(const rule_args& a, std::size_t n) {
  pointwise_operands o;
  for (std::size_t i = 0; i != n; ++i)
    if (a.is_tensor(i))
      o.add(a, i);
    else
      o.types.add(a.raw(i));
  const auto t = o.types.get();
  return o.result(a, t, t);
}
} // namespace detail
/// `pow.Tensor_Scalar`, `clamp_min`, `lerp.Scalar`: the numbers are parameters of the kernel.
template <std::size_t N>
constexpr rule_result with_parameters(const rule_args& a) {
  return detail::of_tensors(a, N);
}
/// `square(self)`: a power with an integer, which lifts booleans.
constexpr rule_result square(const rule_args& a) {
  const meta_arg args[] = {a.raw(0), meta_arg(2)};
  return detail::of_tensors(rule_args(a.op(), nullptr, args), 2);
}
/// `deg2rad`, `rad2deg`.
constexpr rule_result worked_floating_copy(const rule_args& a) {
  return like(a.tensor(0), to_floating(a.tensor(0).dtype));
}
/// A copy of `self` that is then worked on: `fill`, `nan_to_num`, `hardtanh`.
constexpr rule_result worked_copy(const rule_args& a) { return like(a.tensor(0), a.tensor(0).dtype); }
/// `div` with a rounding mode keeps integers; without one it divides truly.
constexpr rule_result divide_mode(const rule_args& a) {
  return a.raw(2).form == meta_form::string ? detail::pointwise<result_kind::same>(a, 2)
                                            : detail::pointwise<result_kind::floating>(a, 2);
}
/// `where(condition, self, other)`: the condition is an operand of its own dtype.
constexpr rule_result where(const rule_args& a) {
  detail::pointwise_operands values;
  values.add(a, 1);
  values.add(a, 2);
  const auto t = values.types.get();
  tensor_meta x[2];
  detail::pointwise_operands o;
  const auto condition =
      a.tensor(0).dtype == scalar_type::b8 ? a.tensor(0) : like(a.tensor(0), scalar_type::b8);
  o.add_shape(a, condition);
  for (std::size_t i = 0; i != 2; ++i) {
    if (!a.is_tensor(i + 1)) {
      o.tensors.push_back(&detail::number_operand);
      continue;
    }
    const auto& m = a.tensor(i + 1);
    x[i] = m.dtype == t ? m : like(m, t);
    o.add_shape(a, x[i]);
  }
  return o.result(a, t, scalar_type::undefined);
}
/// `addcmul`, `addcdiv`, `lerp.Tensor`, `clamp.Tensor`.
constexpr rule_result ternary(const rule_args& a) { return detail::pointwise<result_kind::same>(a, 3); }
/// An activation of `self` only, whatever parameters follow.
constexpr rule_result activation(const rule_args& a) { return detail::pointwise<result_kind::same>(a, 1); }
/// `prelu(self, weight)`: the weight broadcasts along the channel and does not decide.
constexpr rule_result prelu(const rule_args& a) { return like(a.tensor(0), a.tensor(0).dtype); }
/// `_prelu_kernel(self, weight)`: in the memory order of `self`, unless the weight is the larger one.
constexpr rule_result prelu_kernel(const rule_args& a) {
  const auto &m = a.tensor(0), &w = a.tensor(1);
  auto sizes = broadcast(m.sizes, w.sizes, a);
  if (sizes == m.sizes)
    return like(m, m.dtype);
  const tensor_meta* operands[] = {&m, &w};
  return iterator_output(m.dtype, std::move(sizes), m.dev, operands);
}
/// `pow.Scalar(self, exponent)`: dense, whatever the exponent's strides.
constexpr rule_result power_of_number(const rule_args& a) {
  result_type t;
  t.add(a.raw(0));
  t.add(a.raw(1));
  return make_meta(t.get(), a.tensor(1).sizes, a.tensor(1).dev);
}
/// `log_sigmoid(self)`: dense.
constexpr rule_result log_sigmoid(const rule_args& a) {
  return make_meta(a.tensor(0).dtype, a.tensor(0).sizes, a.tensor(0).dev);
}
/// `glu(self, dim)`: one half times the other's sigmoid.
constexpr rule_result gated_halves(const rule_args& a) {
  auto half = a.tensor(0);
  const auto d = wrap_dim(a.integer(1), half.dim(), a);
  if (half.dim() == 0)
    a.refuse("glu needs a dimension to halve", "pass a tensor with dimensions");
  if (!same_size(mod(half.sizes[d], 2), 0))
    a.refuse("glu needs an even size, not " + std::to_string(half.sizes[d].int_or(-1)));
  half.sizes[d] = floordiv(half.sizes[d], 2);
  const tensor_meta* halves[] = {&half, &half};
  return iterator_output(half.dtype, half.sizes, half.dev, halves);
}

} // namespace espalier::shape_rules
