// SPDX-License-Identifier: BSL-1.0
// Reductions over all or some dimensions, with or without keeping them, and scans.
#pragma once

#include <espalier/meta/promotion.hpp>
#include <espalier/meta/strides.hpp>

namespace espalier::shape_rules {
namespace detail {

/// A dense row-major result with the dimensions in `dims` reduced (all when empty), whatever the input's
/// strides.
constexpr tensor_meta reduced(const rule_args& a, const tensor_meta& m, const sym_ints& dims, bool keep,
                              scalar_type t) {
  dim_set drop(m.dim(), dims.empty());
  for (auto& d : dims)
    if (m.dim())
      drop[wrap_dim(d, m.dim(), a)] = true;
    else
      wrap_dim(d, 0, a);
  tensor_meta out;
  out.dtype = t;
  out.dev = m.dev;
  for (std::size_t i = 0; i != m.dim(); ++i)
    if (!drop[i])
      out.sizes.push_back(m.sizes[i]);
    else if (keep)
      out.sizes.push_back(1);
  out.strides = contiguous_strides(out.sizes);
  return out;
}
constexpr scalar_type sum_type(scalar_type t) { return is_integral(t, true) ? scalar_type::i64 : t; }

} // namespace detail

/// `sum`, `prod`: integers become i64. Arguments: self, dtype.
constexpr rule_result sum_all(const rule_args& a) {
  const auto& m = a.tensor(0);
  return detail::reduced(a, m, {}, false, a.dtype(1).value_or(detail::sum_type(m.dtype)));
}
/// `sum.dim_IntList(self, dim, keepdim, dtype)`.
constexpr rule_result sum_dim(const rule_args& a) {
  const auto& m = a.tensor(0);
  return detail::reduced(a, m, a.ints(1), a.boolean(2), a.dtype(3).value_or(detail::sum_type(m.dtype)));
}
/// `mean(self, dtype)`.
constexpr rule_result mean_all(const rule_args& a) {
  return detail::reduced(a, a.tensor(0), {}, false, a.dtype(1).value_or(a.tensor(0).dtype));
}
/// `mean.dim(self, dim, keepdim, dtype)`.
constexpr rule_result mean_dim(const rule_args& a) {
  return detail::reduced(a, a.tensor(0), a.ints(1), a.boolean(2), a.dtype(3).value_or(a.tensor(0).dtype));
}
/// Over everything, dtype kept: `max`, `min`, `median`.
constexpr rule_result reduce_all(const rule_args& a) {
  return detail::reduced(a, a.tensor(0), {}, false, a.tensor(0).dtype);
}
/// `amax(self, dim, keepdim)`.
constexpr rule_result reduce_dims(const rule_args& a) {
  return detail::reduced(a, a.tensor(0), a.ints(1), a.boolean(2), a.tensor(0).dtype);
}
/// `any(self)`, `all(self)`.
constexpr rule_result bool_all(const rule_args& a) {
  return detail::reduced(a, a.tensor(0), {}, false,
                         a.tensor(0).dtype == scalar_type::u8 ? scalar_type::u8 : scalar_type::b8);
}
/// `any.dim(self, dim, keepdim)`.
constexpr rule_result bool_dim(const rule_args& a) {
  return detail::reduced(a, a.tensor(0), a.ints(1), a.boolean(2),
                         a.tensor(0).dtype == scalar_type::u8 ? scalar_type::u8 : scalar_type::b8);
}
/// `any.dims(self, dim, keepdim)`: an empty list of dimensions reduces none, a missing one all.
constexpr rule_result bool_dims(const rule_args& a) {
  const auto& m = a.tensor(0);
  if (a.present(1) && a.ints(1).empty())
    return make_meta(m.dtype == scalar_type::u8 ? scalar_type::u8 : scalar_type::b8, m.sizes, m.dev);
  return bool_dim(a);
}
/// `max.dim`, `min.dim`, `median.dim`, `mode`, `kthvalue` (with its k first): values and indices. `Dim` is
/// where the dimension stands.
template <std::size_t Dim>
constexpr rule_result with_indices(const rule_args& a) {
  sym_ints dims;
  dims.push_back(a.integer(Dim));
  rule_result r(detail::reduced(a, a.tensor(0), dims, a.boolean(Dim + 1), a.tensor(0).dtype));
  r.push(detail::reduced(a, a.tensor(0), dims, a.boolean(Dim + 1), scalar_type::i64));
  return r;
}
/// `argmax(self, dim, keepdim)`.
constexpr rule_result arg_reduce(const rule_args& a) {
  sym_ints dims;
  if (a.present(1))
    dims.push_back(a.integer(1));
  return detail::reduced(a, a.tensor(0), dims, a.boolean(2) && a.present(1), scalar_type::i64);
}
/// `var(self, unbiased)`, `std`: real, also of complex numbers.
constexpr rule_result var_all(const rule_args& a) {
  return detail::reduced(a, a.tensor(0), {}, false, to_real(a.tensor(0).dtype));
}
/// `var.dim(self, dim, unbiased, keepdim)`, `var.correction(self, dim, *, correction, keepdim)`.
constexpr rule_result var_dim(const rule_args& a) {
  return detail::reduced(a, a.tensor(0), a.ints(1), a.boolean(3), to_real(a.tensor(0).dtype));
}
/// `norm.ScalarOpt_dim(self, p, dim, keepdim)`.
constexpr rule_result norm_dim(const rule_args& a) {
  return detail::reduced(a, a.tensor(0), a.ints(2), a.boolean(3), to_real(a.tensor(0).dtype));
}
/// `logsumexp(self, dim, keepdim)`: integers become floating.
constexpr rule_result logsumexp(const rule_args& a) {
  return detail::reduced(a, a.tensor(0), a.ints(1), a.boolean(2), to_floating(a.tensor(0).dtype));
}
/// `norm.Scalar(self, p)`.
constexpr rule_result norm_all(const rule_args& a) {
  return detail::reduced(a, a.tensor(0), {}, false, to_real(a.tensor(0).dtype));
}
/// `cumsum(self, dim, dtype)`, `cumprod`, `logcumsumexp(self, dim)`: dense.
constexpr rule_result scan(const rule_args& a) {
  const auto& m = a.tensor(0);
  wrap_dim(a.integer(1), m.dim(), a);
  return make_meta(a.dtype(2).value_or(detail::sum_type(m.dtype)), m.sizes, m.dev);
}
/// `cummax(self, dim)`, `cummin`: dense values and indices.
constexpr rule_result scan_with_indices(const rule_args& a) {
  const auto& m = a.tensor(0);
  wrap_dim(a.integer(1), m.dim(), a);
  rule_result r(make_meta(m.dtype, m.sizes, m.dev));
  r.push(make_meta(scalar_type::i64, m.sizes, m.dev));
  return r;
}
/// `softmax.int(self, dim, dtype)`, `log_softmax.int`.
constexpr rule_result softmax(const rule_args& a) {
  const auto& m = a.tensor(0);
  wrap_dim(a.integer(1), m.dim(), a);
  return make_meta(a.dtype(2).value_or(m.dtype), m.sizes, m.dev);
}
/// `_softmax(self, dim, half_to_float)`.
constexpr rule_result softmax_kernel(const rule_args& a) {
  const auto& m = a.tensor(0);
  wrap_dim(a.integer(1), m.dim(), a);
  return make_meta(a.boolean(2) ? scalar_type::f32 : m.dtype, m.sizes, m.dev);
}

} // namespace espalier::shape_rules
