// SPDX-License-Identifier: BSL-1.0
// Matrix products: mm, bmm, addmm, matmul with its broadcasting, linear, dot.
#pragma once

#include <espalier/meta/promotion.hpp>
#include <espalier/meta/strides.hpp>

namespace espalier::shape_rules {
namespace detail {
constexpr void same_inner(const rule_args& a, const sym_int& x, const sym_int& y) {
  if (!same_size(x, y))
    a.refuse("the inner sizes of a matrix product differ: " + std::to_string(x.int_or(-1)) + " and " +
                 std::to_string(y.int_or(-1)),
             "transpose an argument, or fix the layer's in_features");
}
constexpr void same_dtype(const rule_args& a, const tensor_meta& x, const tensor_meta& y) {
  if (x.dtype != y.dtype)
    a.refuse("the dtypes of a matrix product differ: " + std::string(to_string(x.dtype)) + " and " +
                 std::string(to_string(y.dtype)),
             "cast one of them");
}
/// Refuses a bias that does not broadcast to what it is added to.
constexpr void want_bias(const rule_args& a, const tensor_meta* bias, const sym_ints& sizes) {
  if (!bias)
    return;
  const auto all = broadcast(bias->sizes, sizes, a);
  bool fits = all.size() == sizes.size();
  for (std::size_t i = 0; fits && i != all.size(); ++i)
    fits = same_size(all[i], sizes[i]);
  if (!fits)
    a.refuse("the bias does not broadcast to the product",
             "give it the size of the product's last dimension");
}
constexpr void want_dim(const rule_args& a, const tensor_meta& m, std::size_t n) {
  if (m.dim() != n)
    a.refuse("a tensor of " + std::to_string(n) + " dimensions is needed, not " + std::to_string(m.dim()));
}
} // namespace detail

/// `mm(self, mat2)`; `Self` is where the first matrix stands (`addmm` has its bias before). Row-major,
/// whatever the arguments' strides: so are all matrix products.
template <std::size_t Self>
constexpr rule_result mm(const rule_args& a) {
  const auto &x = a.tensor(Self), &y = a.tensor(Self + 1);
  detail::want_dim(a, x, 2);
  detail::want_dim(a, y, 2);
  detail::same_inner(a, x.sizes[1], y.sizes[0]);
  detail::same_dtype(a, x, y);
  if (Self == 1)
    detail::want_bias(a, &a.tensor(0), {x.sizes[0], y.sizes[1]});
  return make_meta(x.dtype, {x.sizes[0], y.sizes[1]}, x.dev);
}
/// `bmm(self, mat2)`, `baddbmm`.
template <std::size_t Self>
constexpr rule_result bmm(const rule_args& a) {
  const auto &x = a.tensor(Self), &y = a.tensor(Self + 1);
  detail::want_dim(a, x, 3);
  detail::want_dim(a, y, 3);
  detail::same_inner(a, x.sizes[2], y.sizes[1]);
  if (!same_size(x.sizes[0], y.sizes[0]))
    a.refuse("the batches of a matrix product differ");
  detail::same_dtype(a, x, y);
  return make_meta(x.dtype, {x.sizes[0], x.sizes[1], y.sizes[2]}, x.dev);
}
/// `addbmm(self, batch1, batch2)`: the products of a batch, summed.
constexpr rule_result addbmm(const rule_args& a) {
  auto m = bmm<1>(a).outputs[0].tensor;
  return make_meta(m.dtype, {m.sizes[1], m.sizes[2]}, m.dev);
}
/// `addmv(self, mat, vec)` and `mv` (`Self` = 0).
template <std::size_t Self>
constexpr rule_result mv(const rule_args& a) {
  const auto &x = a.tensor(Self), &y = a.tensor(Self + 1);
  detail::want_dim(a, x, 2);
  detail::want_dim(a, y, 1);
  detail::same_inner(a, x.sizes[1], y.sizes[0]);
  if (Self == 1 && has_no_elements(x.sizes))
    return make_meta(x.dtype, a.tensor(0).sizes, x.dev); // nothing is added to
  return make_meta(x.dtype, {x.sizes[0]}, x.dev);
}
/// `dot(self, tensor)`, `vdot`.
constexpr rule_result dot(const rule_args& a) {
  detail::want_dim(a, a.tensor(0), 1);
  detail::want_dim(a, a.tensor(1), 1);
  detail::same_inner(a, a.tensor(0).sizes[0], a.tensor(1).sizes[0]);
  return make_meta(a.tensor(0).dtype, {}, a.tensor(0).dev);
}
/// `outer(self, vec2)`, `ger`.
constexpr rule_result outer(const rule_args& a) {
  detail::want_dim(a, a.tensor(0), 1);
  detail::want_dim(a, a.tensor(1), 1);
  result_type t;
  t.add(a.tensor(0));
  t.add(a.tensor(1));
  return make_meta(t.get(), {a.tensor(0).sizes[0], a.tensor(1).sizes[0]}, a.tensor(0).dev);
}
/// `linear(input, weight, bias)`: the last dimension of the input is replaced.
constexpr rule_result linear(const rule_args& a) {
  const auto &x = a.tensor(0), &w = a.tensor(1);
  if (x.dim() == 0)
    a.refuse("linear needs an input of at least one dimension");
  detail::same_inner(a, x.sizes.back(), w.sizes.back());
  detail::same_dtype(a, x, w);
  sym_ints sizes = x.sizes;
  if (w.dim() == 2)
    sizes.back() = w.sizes[0];
  else
    sizes.pop_back();
  detail::want_bias(a, a.optional_tensor(2), sizes);
  return make_meta(x.dtype, std::move(sizes), x.dev);
}
/// `matmul(self, other)` (torch.matmul's documentation: the five cases).
constexpr rule_result matmul(const rule_args& a) {
  const auto &x = a.tensor(0), &y = a.tensor(1);
  if (x.dim() == 0 || y.dim() == 0)
    a.refuse("matmul needs arguments of at least one dimension");
  detail::same_inner(a, x.sizes.back(), y.dim() == 1 ? y.sizes[0] : y.sizes[y.dim() - 2]);
  detail::same_dtype(a, x, y);
  sym_ints bx, by, sizes;
  for (std::size_t i = 0; i + 2 < x.dim(); ++i)
    bx.push_back(x.sizes[i]);
  for (std::size_t i = 0; i + 2 < y.dim(); ++i)
    by.push_back(y.sizes[i]);
  sizes = broadcast(bx, by, a);
  if (x.dim() > 1)
    sizes.push_back(x.sizes[x.dim() - 2]);
  if (y.dim() > 1)
    sizes.push_back(y.sizes.back());
  return make_meta(x.dtype, std::move(sizes), x.dev);
}

} // namespace espalier::shape_rules
