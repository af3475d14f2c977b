// SPDX-License-Identifier: BSL-1.0
// Whole layers: normalisations, dropout, attention, recurrent networks, losses.
#pragma once

#include <espalier/meta/promotion.hpp>
#include <espalier/meta/rules/reduction.hpp>
#include <espalier/meta/strides.hpp>

namespace espalier::shape_rules {

/// `batch_norm(input, ...)`, `instance_norm`: like the input, dense.
constexpr rule_result batch_norm(const rule_args& a) {
  return like(a.tensor(0), a.tensor(0).dtype,
              suggests_channels_last(a.tensor(0)) ? memory_format::channels_last : memory_format::contiguous);
}
/// `native_batch_norm(input, weight, bias, running_mean, running_var, training, ...)` and its `_legit`
/// variants; `Training` is where the flag stands. Out of training the saved statistics are empty.
template <std::size_t Training>
constexpr rule_result native_batch_norm(const rule_args& a) {
  rule_result r = batch_norm(a);
  const auto& m = a.tensor(0);
  const sym_int n = a.boolean(Training) ? m.sizes[1] : sym_int(0);
  const scalar_type t = a.optional_tensor(1) ? a.tensor(1).dtype : m.dtype;
  r.push(make_meta(t, {n}, m.dev));
  r.push(make_meta(t, {n}, m.dev));
  return r;
}
/// `_native_batch_norm_legit_no_training(input, weight, bias, mean, var, momentum, eps)`.
constexpr rule_result native_batch_norm_no_training(const rule_args& a) {
  rule_result r = batch_norm(a);
  r.push(make_meta(a.tensor(0).dtype, {0}, a.tensor(0).dev));
  r.push(make_meta(a.tensor(0).dtype, {0}, a.tensor(0).dev));
  return r;
}
/// `_native_batch_norm_legit_functional`: the running statistics come out too.
constexpr rule_result native_batch_norm_functional(const rule_args& a) {
  rule_result r = native_batch_norm<5>(a);
  r.push(a.tensor(3));
  r.push(a.tensor(4));
  return r;
}
/// `layer_norm(input, normalized_shape, ...)`, `rms_norm`, `group_norm`.
constexpr rule_result dense_like(const rule_args& a) {
  return make_meta(a.tensor(0).dtype, a.tensor(0).sizes, a.tensor(0).dev);
}
/// `rms_norm(input, normalized_shape, weight, eps)`: promotes with the weight.
constexpr rule_result rms_norm(const rule_args& a) {
  auto m = make_meta(a.tensor(0).dtype, a.tensor(0).sizes, a.tensor(0).dev);
  if (auto* w = a.optional_tensor(2))
    m.dtype = promote(m.dtype, w->dtype);
  return m;
}
/// `native_layer_norm(input, normalized_shape, weight, bias, eps)`: output, mean, rstd.
constexpr rule_result native_layer_norm(const rule_args& a) {
  const auto& m = a.tensor(0);
  rule_result r = dense_like(a);
  auto sizes = m.sizes;
  const auto n = a.ints(1).size();
  for (std::size_t i = m.dim() - n; i != m.dim(); ++i)
    sizes[i] = 1;
  r.push(make_meta(m.dtype, sizes, m.dev));
  r.push(make_meta(m.dtype, sizes, m.dev));
  return r;
}
/// `native_group_norm(input, weight, bias, N, C, HxW, group, eps)`.
constexpr rule_result native_group_norm(const rule_args& a) {
  rule_result r = dense_like(a);
  r.push(make_meta(a.tensor(0).dtype, {a.integer(3), a.integer(6)}, a.tensor(0).dev));
  r.push(make_meta(a.tensor(0).dtype, {a.integer(3), a.integer(6)}, a.tensor(0).dev));
  return r;
}
/// `dropout(input, p, train)`: out of training the input itself.
constexpr rule_result dropout(const rule_args& a) {
  if (!a.boolean(2))
    return a.tensor(0);
  return like(a.tensor(0), a.tensor(0).dtype);
}
/// `native_dropout(input, p, train)`: output and mask.
constexpr rule_result native_dropout(const rule_args& a) {
  rule_result r(like(a.tensor(0), a.tensor(0).dtype));
  r.push(like(a.tensor(0), scalar_type::b8));
  return r;
}
/// `scaled_dot_product_attention(query, key, value, ...)`. The strides are those of the math and flash
/// kernels on a CPU (ATen/native/transformers/attention.cpp).
constexpr rule_result attention(const rule_args& a) {
  const auto &q = a.tensor(0), &v = a.tensor(2);
  sym_ints sizes = q.sizes;
  sizes.back() = v.sizes.back();
  return make_meta(q.dtype, std::move(sizes), q.dev);
}
/// A loss of `self` and `target` with `reduction` at `Reduction`: 0 none, 1 mean, 2 sum.
template <std::size_t Reduction>
constexpr rule_result pointwise_loss(const rule_args& a) {
  const auto &x = a.tensor(0), &y = a.tensor(1);
  result_type t;
  t.add(x);
  t.add(y);
  if (a.integer(Reduction).as_int() != 0)
    return make_meta(t.get(), {}, x.dev);
  const tensor_meta* operands[] = {&x, &y};
  return iterator_output(t.get(), broadcast(x.sizes, y.sizes, a), x.dev, operands);
}
/// `nll_loss(self, target, weight, reduction, ...)`, `cross_entropy_loss`.
constexpr rule_result nll_loss(const rule_args& a) {
  const auto& x = a.tensor(0);
  if (a.integer(3).as_int() != 0)
    return make_meta(x.dtype, {}, x.dev);
  if (is_floating(a.tensor(1).dtype)) { // class probabilities
    sym_ints sizes = x.sizes;
    sizes.erase(x.dim() > 1 ? 1 : 0);
    return make_meta(x.dtype, std::move(sizes), x.dev);
  }
  return make_meta(x.dtype, a.tensor(1).sizes, x.dev);
}

/// `lstm.input(input, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first)`.
constexpr rule_result lstm(const rule_args& a) {
  const auto& x = a.tensor(0);
  const auto hx = a.tensors(1);
  const auto params = a.tensors(2);
  if (hx.size() != 2 || !hx[0] || !hx[1] || params.empty())
    a.refuse("an LSTM takes two hidden states and its weights");
  const sym_int directions = a.boolean(7) ? 2 : 1;
  sym_ints sizes = x.sizes;
  sizes.back() = hx[0]->sizes.back() * directions;
  rule_result r(make_meta(x.dtype, sizes, x.dev));
  if (x.dim() == 3 && a.boolean(8)) { // computed time first, then transposed
    auto& m = r.outputs[0].tensor;
    m.strides = {m.sizes[2], m.sizes[0] * m.sizes[2], 1};
  }
  r.push(make_meta(x.dtype, hx[0]->sizes, x.dev));
  r.push(make_meta(x.dtype, hx[1]->sizes, x.dev));
  return r;
}
/// `gru.input(input, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first)`,
/// `rnn_tanh`, `rnn_relu`.
constexpr rule_result gru(const rule_args& a) {
  const auto &x = a.tensor(0), &h = a.tensor(1);
  sym_ints sizes = x.sizes;
  sizes.back() = h.sizes.back() * sym_int(a.boolean(7) ? 2 : 1);
  rule_result r(make_meta(x.dtype, sizes, x.dev));
  if (x.dim() == 3 && a.boolean(8)) {
    auto& m = r.outputs[0].tensor;
    m.strides = {m.sizes[2], m.sizes[0] * m.sizes[2], 1};
  }
  r.push(make_meta(x.dtype, h.sizes, x.dev));
  return r;
}
/// `lstm_cell(input, hx, ...)`, and `gru_cell`, `rnn_tanh_cell` (whose state is one tensor).
constexpr rule_result lstm_cell(const rule_args& a) {
  const auto hx = a.tensors(1);
  rule_result r(make_meta(a.tensor(0).dtype, hx[0]->sizes, a.tensor(0).dev));
  r.push(make_meta(a.tensor(0).dtype, hx[1]->sizes, a.tensor(0).dev));
  return r;
}
constexpr rule_result rnn_cell(const rule_args& a) {
  return make_meta(a.tensor(0).dtype, a.tensor(1).sizes, a.tensor(0).dev);
}
/// `glu(self, dim)`: half of a dimension.
constexpr rule_result glu(const rule_args& a) {
  auto sizes = a.tensor(0).sizes;
  auto& s = sizes[wrap_dim(a.integer(1), sizes.size(), a)];
  s = floordiv(s, 2);
  return make_meta(a.tensor(0).dtype, std::move(sizes), a.tensor(0).dev);
}
/// `pixel_shuffle(self, upscale_factor)`.
constexpr rule_result pixel_shuffle(const rule_args& a) {
  auto sizes = a.tensor(0).sizes;
  const auto n = sizes.size();
  const sym_int f = a.integer(1);
  sizes[n - 3] = floordiv(sizes[n - 3], f * f);
  sizes[n - 2] = sizes[n - 2] * f;
  sizes[n - 1] = sizes[n - 1] * f;
  return make_meta(a.tensor(0).dtype, std::move(sizes), a.tensor(0).dev);
}

} // namespace espalier::shape_rules
