// SPDX-License-Identifier: BSL-1.0
// Normalisations: by batch, instance, group, layer and root mean square. Their kernels differ in what layout
// they keep, and the statistics that they save for the backward pass have the dtype of the parameters.
#pragma once

#include <espalier/meta/rules/image_format.hpp>

namespace espalier::shape_rules {
namespace detail {

/// The dtype of saved statistics: f32 where a half-float input meets f32 parameters.
constexpr scalar_type statistics_type(const rule_args& a, std::initializer_list<std::size_t> parameters) {
  const scalar_type t = a.tensor(0).dtype;
  for (const std::size_t i : parameters)
    if (const auto* p = a.optional_tensor(i))
      if (p->dtype != t) {
        if (p->dtype != scalar_type::f32 || (t != scalar_type::f16 && t != scalar_type::bf16))
          a.refuse("the dtypes of a normalisation's input and parameters differ",
                   "use one dtype, or f32 parameters with a half-float input");
        return scalar_type::f32;
      }
  return t;
}

/// Refuses parameters that have not one element for each channel.
constexpr void want_channels(const rule_args& a, std::initializer_list<std::size_t> parameters) {
  const auto& x = a.tensor(0);
  for (const std::size_t i : parameters)
    if (const auto* p = a.optional_tensor(i); p && x.dim() > 1 && !same_size(p->numel(), x.sizes[1]))
      a.refuse("a parameter of a normalisation has not one element for each of " +
               std::to_string(x.sizes[1].int_or(-1)) + " channels");
}

/// What the batch normalisation kernel makes of an input (ATen/native/Normalization.cpp).
constexpr tensor_meta batch_normalised(const rule_args& a, const tensor_meta& x) {
  if (x.dim() < 2)
    a.refuse("batch normalisation needs an input of at least two dimensions");
  const bool channels_last = !is_contiguous(x) && (is_channels_last(x) || suggests_channels_last(x));
  return new_image(x.dtype, x.sizes, x.dev, channels_last);
}
constexpr void push_statistics(rule_result& r, const sym_ints& sizes, scalar_type t, device d) {
  r.push(make_meta(t, sizes, d));
  r.push(make_meta(t, sizes, d));
}

} // namespace detail

/// `batch_norm(input, weight, bias, running_mean, running_var, training, ...)`. An empty input is copied, and
/// multiplied with one weight.
constexpr rule_result batch_norm(const rule_args& a) {
  const auto& x = a.tensor(0);
  if (!has_no_elements(x.sizes)) {
    detail::want_channels(a, {1, 2, 3, 4});
    detail::statistics_type(a, {1, 2, 3, 4});
    return detail::batch_normalised(a, x);
  }
  return like(x, x.dtype);
}
/// `native_batch_norm(input, weight, bias, running_mean, running_var, training, ...)` and its `_legit`
/// variants; `Training` is where the flag stands. Out of training the saved statistics are empty.
template <std::size_t Training>
constexpr rule_result native_batch_norm(const rule_args& a) {
  const auto& x = a.tensor(0);
  const auto t =
      Training == 5 ? detail::statistics_type(a, {1, 2, 3, 4}) : detail::statistics_type(a, {1, 2});
  detail::want_channels(a, {1, 2});
  rule_result r(detail::batch_normalised(a, x));
  detail::push_statistics(r, {a.boolean(Training) ? x.sizes[1] : sym_int(0)}, t, x.dev);
  return r;
}
/// `_native_batch_norm_legit_no_training(input, weight, bias, mean, var, momentum, eps)`.
constexpr rule_result native_batch_norm_no_training(const rule_args& a) {
  const auto& x = a.tensor(0);
  rule_result r(detail::batch_normalised(a, x));
  detail::push_statistics(r, {0}, detail::statistics_type(a, {1, 2, 3, 4}), x.dev);
  return r;
}
/// `_native_batch_norm_legit_functional`: the running statistics come out too.
constexpr rule_result native_batch_norm_functional(const rule_args& a) {
  rule_result r = native_batch_norm<5>(a);
  for (const std::size_t i : {3u, 4u})
    r.push(like(a.tensor(i), a.tensor(i).dtype));
  return r;
}
/// `instance_norm(input, weight, bias, running_mean, running_var, ...)`: computed in a row-major copy.
constexpr rule_result instance_norm(const rule_args& a) {
  const auto& x = a.tensor(0);
  detail::statistics_type(a, {1, 2});
  return make_meta(x.dtype, x.sizes, x.dev);
}

/// `native_group_norm(input, weight, bias, N, C, HxW, group, eps)`.
constexpr rule_result native_group_norm(const rule_args& a) {
  const auto& x = a.tensor(0);
  const auto t = detail::statistics_type(a, {1, 2});
  rule_result r(detail::new_image(x.dtype, x.sizes, x.dev, suggests_channels_last(x)));
  detail::push_statistics(r, {a.integer(3), a.integer(6)}, t, x.dev);
  return r;
}
/// `group_norm(input, num_groups, weight, bias, eps)`.
constexpr rule_result group_norm(const rule_args& a) {
  const auto& x = a.tensor(0);
  if (x.dim() < 2 || guard(sym_ne(mod(x.sizes[1], a.integer(1)), 0)))
    a.refuse("the channels do not divide into the groups", "choose a number of groups that divides them");
  detail::want_channels(a, {2, 3});
  detail::statistics_type(a, {2, 3});
  return detail::new_image(x.dtype, x.sizes, x.dev, suggests_channels_last(x));
}

namespace detail {
/// Refuses a `normalized_shape` that is not the input's last sizes.
constexpr std::size_t normalised_dims(const rule_args& a) {
  const auto& x = a.tensor(0);
  const auto shape = a.ints(1);
  if (shape.empty() || shape.size() > x.dim())
    a.refuse("the normalized shape has " + std::to_string(shape.size()) + " dimensions, the input " +
             std::to_string(x.dim()));
  for (std::size_t i = 0; i != shape.size(); ++i)
    if (!same_size(x.sizes[x.dim() - shape.size() + i], shape[i]))
      a.refuse("the normalized shape is not that of the input's last dimensions");
  for (const std::size_t at : {2u, 3u})
    if (const auto* p = a.optional_tensor(at)) {
      bool fits = p->dim() == shape.size();
      for (std::size_t i = 0; fits && i != shape.size(); ++i)
        fits = same_size(p->sizes[i], shape[i]);
      if (!fits)
        a.refuse("a parameter of a normalisation has not the normalized shape");
    }
  return shape.size();
}
} // namespace detail

/// `layer_norm(input, normalized_shape, weight, bias, ...)`: row-major.
constexpr rule_result layer_norm(const rule_args& a) {
  const auto& x = a.tensor(0);
  detail::normalised_dims(a);
  detail::statistics_type(a, {2, 3});
  return make_meta(x.dtype, x.sizes, x.dev);
}
/// `native_layer_norm(input, normalized_shape, weight, bias, eps)`: output, mean, 1/deviation.
constexpr rule_result native_layer_norm(const rule_args& a) {
  const auto& x = a.tensor(0);
  rule_result r = layer_norm(a);
  auto sizes = x.sizes;
  for (std::size_t i = x.dim() - detail::normalised_dims(a); i != x.dim(); ++i)
    sizes[i] = 1;
  detail::push_statistics(r, sizes, detail::statistics_type(a, {2, 3}), x.dev);
  return r;
}
/// `_fused_rms_norm(input, normalized_shape, weight, eps)`: output, 1/root mean square.
constexpr rule_result fused_rms_norm(const rule_args& a) {
  const auto& x = a.tensor(0);
  auto sizes = x.sizes;
  for (std::size_t i = x.dim() - detail::normalised_dims(a); i != x.dim(); ++i)
    sizes[i] = 1;
  const bool half = x.dtype == scalar_type::f16 || x.dtype == scalar_type::bf16;
  rule_result r(detail::new_image(x.dtype, x.sizes, x.dev, suggests_channels_last(x)));
  r.push(make_meta(half ? scalar_type::f32 : x.dtype, std::move(sizes), x.dev));
  return r;
}
/// `rms_norm(input, normalized_shape, weight, eps)`.
constexpr rule_result rms_norm(const rule_args& a) { return fused_rms_norm(a).outputs[0].tensor; }

/// `_weight_norm_interface(v, g, dim)`: the weight, row-major, and the norms, which lie as `g` does.
constexpr rule_result weight_norm(const rule_args& a) {
  const auto &v = a.tensor(0), &g = a.tensor(1);
  rule_result r(make_meta(v.dtype, v.sizes, v.dev));
  tensor_meta norms = g;
  norms.storage_offset = 0;
  norms.requires_grad = false;
  if (g.dtype == scalar_type::bf16 || g.dtype == scalar_type::f16)
    norms.dtype = scalar_type::f32;
  r.push(std::move(norms));
  return r;
}

} // namespace espalier::shape_rules
