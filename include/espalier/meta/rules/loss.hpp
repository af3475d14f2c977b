// SPDX-License-Identifier: BSL-1.0
// Losses. Reduced they are one number; else their layout is that of the last of the pointwise operators that
// they are made of (ATen/native/Loss.cpp, LossNLL.cpp).
#pragma once

#include <espalier/meta/promotion.hpp>
#include <espalier/meta/rules/reduction.hpp>
#include <espalier/meta/strides.hpp>

namespace espalier::shape_rules {
namespace detail {

constexpr tensor_meta pointwise_of(const rule_args& a, const tensor_meta& x, const tensor_meta& y) {
  result_type t;
  t.add(x);
  t.add(y);
  const tensor_meta* operands[] = {&x, &y};
  return iterator_output(t.get(), broadcast(x.sizes, y.sizes, a), x.dev, operands);
}
constexpr bool same_sizes(const sym_ints& x, const sym_ints& y) {
  bool same = x.size() == y.size();
  for (std::size_t i = 0; same && i != x.size(); ++i)
    same = same_size(x[i], y[i]);
  return same;
}
/// `m`, or one number of its dtype, as `reduction` (0 none, 1 mean, 2 sum) says.
constexpr tensor_meta reduced_loss(const rule_args& a, std::size_t reduction, tensor_meta m) {
  return a.integer(reduction).as_int() == 0 ? m : make_meta(m.dtype, {}, m.dev);
}

} // namespace detail

/// `mse_loss(self, target, reduction)`, `l1_loss`, `smooth_l1_loss`.
constexpr rule_result pointwise_loss(const rule_args& a) {
  return detail::reduced_loss(a, 2, detail::pointwise_of(a, a.tensor(0), a.tensor(1)));
}
/// `huber_loss(self, target, reduction, delta)`: written into a tensor like the input, which does not
/// promote.
constexpr rule_result huber_loss(const rule_args& a) {
  const auto& x = a.tensor(0);
  auto m = detail::pointwise_of(a, x, a.tensor(1));
  if (detail::same_sizes(m.sizes, x.sizes))
    m = like(x, x.dtype);
  m.dtype = x.dtype;
  return detail::reduced_loss(a, 2, std::move(m));
}
/// `soft_margin_loss(self, target, reduction)`, computed in place upon `-self`.
constexpr rule_result soft_margin_loss(const rule_args& a) {
  const auto& x = a.tensor(0);
  if (!detail::same_sizes(broadcast(x.sizes, a.tensor(1).sizes, a), x.sizes))
    a.refuse("the target does not broadcast to the input", "expand the input");
  return detail::reduced_loss(a, 2, like(x, x.dtype));
}
/// `kl_div(self, target, reduction, log_target)`: a difference of two products with the target.
constexpr rule_result kl_div(const rule_args& a) {
  const auto &x = a.tensor(0), &y = a.tensor(1);
  const tensor_meta weighted = detail::pointwise_of(a, y, x);
  const tensor_meta own = like(y, to_floating(y.dtype));
  return detail::reduced_loss(a, 2, detail::pointwise_of(a, own, weighted));
}
/// `binary_cross_entropy(self, target, weight, reduction)`.
constexpr rule_result binary_cross_entropy(const rule_args& a) {
  const auto& x = a.tensor(0);
  if (!detail::same_sizes(x.sizes, a.tensor(1).sizes))
    a.refuse("the sizes of the target are not those of the input", "expand one of them");
  return detail::reduced_loss(a, 3, like(x, x.dtype));
}
/// `binary_cross_entropy_with_logits(self, target, weight, pos_weight, reduction)`, computed in place upon
/// `1 - target`.
constexpr rule_result binary_cross_entropy_with_logits(const rule_args& a) {
  const auto &x = a.tensor(0), &y = a.tensor(1);
  if (!detail::same_sizes(broadcast(x.sizes, y.sizes, a), y.sizes))
    a.refuse("the input does not broadcast to the target", "expand the target");
  return detail::reduced_loss(a, 4, like(y, y.dtype));
}

namespace detail {
/// The loss of each sample, for class indices: the target's sizes.
constexpr tensor_meta nll(const rule_args& a) {
  const auto &x = a.tensor(0), &y = a.tensor(1);
  if (x.dim() == 0 || y.dim() + 1 != x.dim())
    a.refuse("the target has " + std::to_string(y.dim()) + " dimensions, the input " +
                 std::to_string(x.dim()),
             "give the target the input's sizes without the classes");
  for (std::size_t i = 0; i != y.dim(); ++i)
    if (!same_size(y.sizes[i], x.sizes[i ? i + 1 : 0]))
      a.refuse("the sizes of the target are not those of the input without the classes");
  return reduced_loss(a, 3, make_meta(x.dtype, y.sizes, x.dev));
}
} // namespace detail

/// `nll_loss(self, target, weight, reduction, ignore_index)`, `nll_loss_nd`.
constexpr rule_result nll_loss(const rule_args& a) { return detail::nll(a); }
/// `nll_loss_forward`, `nll_loss2d_forward`: the loss, and the sum of the weights.
constexpr rule_result nll_loss_forward(const rule_args& a) {
  rule_result r(detail::nll(a));
  r.push(make_meta(a.tensor(0).dtype, {}, a.tensor(0).dev));
  return r;
}
/// `cross_entropy_loss(self, target, weight, reduction, ignore_index, label_smoothing)`: classes by index, or
/// by probabilities of the input's sizes.
constexpr rule_result cross_entropy_loss(const rule_args& a) {
  const auto &x = a.tensor(0), &y = a.tensor(1);
  if (x.dim() != y.dim())
    return detail::nll(a);
  sym_ints sizes = x.sizes;
  if (sizes.empty())
    a.refuse("a cross entropy needs a dimension of classes");
  if (!detail::same_sizes(x.sizes, y.sizes))
    a.refuse("the probabilities do not have the input's sizes");
  sizes.erase(x.dim() > 1 ? 1 : 0);
  return detail::reduced_loss(a, 3, make_meta(promote(x.dtype, y.dtype), std::move(sizes), x.dev));
}

} // namespace espalier::shape_rules
