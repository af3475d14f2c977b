// SPDX-License-Identifier: BSL-1.0
// Reductions over all or some dimensions, with or without keeping them, and scans.
#pragma once

#include <espalier/meta/promotion.hpp>
#include <espalier/meta/strides.hpp>

namespace espalier::shape_rules {
namespace detail {

/// A dense row-major result with the dimensions in `dims` reduced (all when empty).
constexpr tensor_meta reduced(const rule_args& a, const tensor_meta& m, const sym_ints& dims, bool keep,
                              scalar_type t) {
  std::vector<bool> drop(m.dim(), dims.empty());
  for (auto& d : dims)
    if (m.dim())
      drop[wrap_dim(d, m.dim(), a)] = true;
    else
      wrap_dim(d, 0, a);
  // TensorIterator lays the kept dimensions out in the input's order
  sym_ints sizes, all(m.dim());
  for (std::size_t i = 0; i != m.dim(); ++i)
    all[i] = drop[i] ? sym_int(1) : m.sizes[i];
  inline_vector<std::size_t, 5> order;
  for (std::size_t i = m.dim(); i-- > 0;)
    order.push_back(i);
  bool known = true;
  for (auto& s : m.strides)
    known = known && s.is_int();
  if (known)
    for (std::size_t i = 1; i < order.size(); ++i)
      for (std::size_t k = i; k > 0; --k) {
        const auto x = m.strides[order[k]].as_int(), y = m.strides[order[k - 1]].as_int();
        if (x == 0 || y == 0 || x >= y || drop[order[k]] != drop[order[k - 1]])
          break;
        std::swap(order[k], order[k - 1]);
      }
  (void)order;
  tensor_meta out;
  out.dtype = t;
  out.dev = m.dev;
  if (keep) {
    out.sizes = all;
  } else {
    for (std::size_t i = 0; i != m.dim(); ++i)
      if (!drop[i])
        out.sizes.push_back(m.sizes[i]);
  }
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
/// `amax(self, dim, keepdim)`, `logsumexp`.
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
/// `var(self, unbiased)`, `std`.
constexpr rule_result var_all(const rule_args& a) {
  return detail::reduced(a, a.tensor(0), {}, false, a.tensor(0).dtype);
}
/// `var.dim(self, dim, unbiased, keepdim)`.
constexpr rule_result var_dim(const rule_args& a) {
  return detail::reduced(a, a.tensor(0), a.ints(1), a.boolean(3), a.tensor(0).dtype);
}
/// `var.correction(self, dim, *, correction, keepdim)`.
constexpr rule_result var_correction(const rule_args& a) { return var_dim(a); }
/// `norm.ScalarOpt_dim(self, p, dim, keepdim)`.
constexpr rule_result norm_dim(const rule_args& a) {
  return detail::reduced(a, a.tensor(0), a.ints(2), a.boolean(3), a.tensor(0).dtype);
}
/// `cumsum(self, dim, dtype)`, `cumprod`.
constexpr rule_result scan(const rule_args& a) {
  const auto& m = a.tensor(0);
  wrap_dim(a.integer(1), m.dim(), a);
  return like(m, a.dtype(2).value_or(detail::sum_type(m.dtype)));
}
/// `cummax`, `cummin`.
constexpr rule_result scan_with_indices(const rule_args& a) {
  rule_result r(like(a.tensor(0), a.tensor(0).dtype));
  r.push(like(a.tensor(0), scalar_type::i64));
  return r;
}
/// `softmax.int(self, dim, dtype)`, `log_softmax.int`.
constexpr rule_result softmax(const rule_args& a) {
  const auto& m = a.tensor(0);
  wrap_dim(a.integer(1), m.dim(), a);
  return make_meta(a.dtype(2).value_or(m.dtype), m.sizes, m.dev);
}
/// `_softmax(self, dim, half_to_float)`: a dense input keeps its order in memory.
constexpr rule_result softmax_kernel(const rule_args& a) {
  const auto& m = a.tensor(0);
  wrap_dim(a.integer(1), m.dim(), a);
  auto out = like(m, a.boolean(2) ? scalar_type::f32 : m.dtype,
                  suggests_channels_last(m) ? memory_format::channels_last : memory_format::contiguous);
  return out;
}
/// `diff(self, n, dim, prepend, append)`.
constexpr rule_result diff(const rule_args& a) {
  auto m = a.tensor(0);
  const auto d = wrap_dim(a.integer(2), m.dim(), a);
  sym_int size = m.sizes[d];
  if (auto* p = a.optional_tensor(3))
    size = size + p->sizes[d];
  if (auto* p = a.optional_tensor(4))
    size = size + p->sizes[d];
  const sym_int left = size - a.integer(1);
  m.sizes[d] = left.is_int() && left.as_int() < 0 ? sym_int(0) : left;
  return make_meta(m.dtype, m.sizes, m.dev);
}

} // namespace espalier::shape_rules
