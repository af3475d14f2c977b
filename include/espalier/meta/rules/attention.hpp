// SPDX-License-Identifier: BSL-1.0
// Scaled dot-product attention. On a CPU the fused kernel serves what it can, and its result lies like the
// query; the rest are matrix products, whose result is row-major (ATen/native/transformers/attention.cpp,
// sdp_utils_cpp.cpp).
#pragma once

#include <espalier/meta/strides.hpp>

namespace espalier::shape_rules {
namespace detail {

/// Whether the fused kernel takes the call.
constexpr bool fused_attention_applies(const rule_args& a) {
  const auto &q = a.tensor(0), &k = a.tensor(1), &v = a.tensor(2);
  const auto* mask = a.optional_tensor(3);
  // three dimensions are a batch of one
  if ((q.dim() != 4 && q.dim() != 3) || k.dim() != q.dim() || v.dim() != q.dim() || !is_floating(q.dtype))
    return false;
  if (a.raw(4).form == meta_form::floating && a.raw(4).d != 0)
    return false;
  if (mask && mask->requires_grad)
    return false;
  const std::size_t head = q.dim() - 3;
  if (head == 1 && (!same_size(q.sizes[0], k.sizes[0]) || !same_size(q.sizes[0], v.sizes[0])))
    return false;
  if (!same_size(k.sizes[head], v.sizes[head]))
    return false;
  if (!a.boolean(7) && !same_size(q.sizes[head], k.sizes[head]))
    return false;
  if (!same_size(q.sizes.back(), k.sizes.back()) || !same_size(q.sizes.back(), v.sizes.back()))
    return false;
  for (const auto* m : {&q, &k, &v})
    if (!is_one(m->strides.back()) || has_no_elements(m->sizes))
      return false;
  return true;
}

} // namespace detail

/// `_scaled_dot_product_flash_attention_for_cpu(query, key, value, ...)`: the result, and the logarithms of
/// the sums that softmax divided by.
constexpr rule_result flash_attention_cpu(const rule_args& a) {
  const auto& q = a.tensor(0);
  if (q.dim() != 4)
    a.refuse("fused attention needs a query of four dimensions: batch, head, time, feature");
  rule_result r(like(q, q.dtype));
  tensor_meta sums = make_meta(q.dtype == scalar_type::f64 ? scalar_type::f64 : scalar_type::f32,
                               {q.sizes[0], q.sizes[1], q.sizes[2]}, q.dev);
  sums.strides = {q.sizes[2] * q.sizes[1], 1, q.sizes[1]};
  r.push(std::move(sums));
  return r;
}
/// `scaled_dot_product_attention(query, key, value, attn_mask, dropout_p, is_causal, scale, enable_gqa)`.
constexpr rule_result attention(const rule_args& a) {
  const auto &q = a.tensor(0), &k = a.tensor(1), &v = a.tensor(2);
  if (q.dim() < 2 || k.dim() < 2 || v.dim() < 2)
    a.refuse("attention needs arguments of at least two dimensions: time and feature");
  if (!same_size(q.sizes.back(), k.sizes.back()))
    a.refuse("the features of query and key differ");
  if (q.dtype != k.dtype || q.dtype != v.dtype)
    a.refuse("the dtypes of query, key and value differ", "cast them to one");
  if (!same_size(k.sizes[k.dim() - 2], v.sizes[v.dim() - 2]))
    a.refuse("key and value differ in length");
  if (detail::fused_attention_applies(a))
    return like(q, q.dtype);
  const auto lead = [](const tensor_meta& m) { return sym_ints(m.sizes.begin(), m.sizes.end() - 2); };
  sym_ints sizes = a.boolean(7) ? lead(q) : broadcast(broadcast(lead(q), lead(k), a), lead(v), a);
  sizes.push_back(q.sizes[q.dim() - 2]);
  sizes.push_back(v.sizes.back());
  return make_meta(q.dtype, std::move(sizes), q.dev);
}

} // namespace espalier::shape_rules
