// SPDX-License-Identifier: BSL-1.0
// Layers that are no family of their own: dropout, gated units, shuffled channels.
#pragma once

#include <espalier/meta/rules/image_format.hpp>

namespace espalier::shape_rules {
namespace detail {
/// Whether dropout gives its input back, unchanged: nothing is dropped, or nothing is there.
constexpr bool drops_nothing(const rule_args& a) {
  const auto& p = a.raw(1);
  const bool never = (p.form == meta_form::floating && p.d == 0) ||
                     (p.form == meta_form::integer && p.i.is_int() && p.i.as_int() == 0);
  return never || !a.boolean(2) || has_no_elements(a.tensor(0).sizes);
}
constexpr rule_result times_noise(const tensor_meta& x, const tensor_meta& noise) {
  const tensor_meta* factors[] = {&x, &noise};
  return iterator_output(x.dtype, x.sizes, x.dev, factors);
}
} // namespace detail

/// `dropout(input, p, train)`, `alpha_dropout`: a product with noise like the input.
constexpr rule_result dropout(const rule_args& a) {
  const auto& x = a.tensor(0);
  return detail::drops_nothing(a) ? rule_result(x) : detail::times_noise(x, like(x, x.dtype));
}
/// `feature_dropout(input, p, train)`, `feature_alpha_dropout`: the noise is one number for each channel.
constexpr rule_result feature_dropout(const rule_args& a) {
  const auto& x = a.tensor(0);
  if (detail::drops_nothing(a))
    return x;
  if (x.dim() < 2)
    a.refuse("feature dropout needs a batch and channels");
  sym_ints sizes(x.dim(), 1);
  sizes[0] = x.sizes[0];
  sizes[1] = x.sizes[1];
  return detail::times_noise(x, make_meta(x.dtype, std::move(sizes), x.dev));
}
/// `native_dropout(input, p, train)`: output and mask. An empty input is both.
constexpr rule_result native_dropout(const rule_args& a) {
  const auto& x = a.tensor(0);
  if (has_no_elements(x.sizes)) {
    rule_result r(x);
    r.push(like(x, x.dtype));
    return r;
  }
  rule_result r(like(x, x.dtype));
  r.push(like(x, scalar_type::b8));
  return r;
}
/// `log_sigmoid_forward(self)`: output, and a buffer for the backward pass.
constexpr rule_result log_sigmoid_forward(const rule_args& a) {
  const auto& x = a.tensor(0);
  rule_result r(make_meta(x.dtype, x.sizes, x.dev));
  r.push(make_meta(x.dtype, x.sizes, x.dev));
  return r;
}
/// `glu(self, dim)`: half of a dimension.
constexpr rule_result glu(const rule_args& a) {
  const auto& x = a.tensor(0);
  if (x.dim() == 0)
    a.refuse("glu does not split a tensor without dimensions");
  auto sizes = x.sizes;
  auto& s = sizes[wrap_dim(a.integer(1), sizes.size(), a)];
  if (guard(sym_ne(mod(s, 2), 0)))
    a.refuse("glu splits a dimension of an odd size", "make it even");
  s = floordiv(s, 2);
  return make_meta(x.dtype, std::move(sizes), x.dev);
}
namespace detail {
constexpr void want_image(const rule_args& a) {
  if (a.tensor(0).dim() < 3)
    a.refuse("a pixel shuffle needs an input of at least three dimensions");
  if (a.integer(1).int_or(1) <= 0)
    a.refuse("the factor of a pixel shuffle is not positive");
}
} // namespace detail
/// `pixel_shuffle(self, upscale_factor)`.
constexpr rule_result pixel_shuffle(const rule_args& a) {
  detail::want_image(a);
  const auto& x = a.tensor(0);
  auto sizes = x.sizes;
  const auto n = sizes.size();
  const sym_int f = a.integer(1);
  if (guard(sym_ne(mod(sizes[n - 3], f * f), 0)))
    a.refuse("the channels do not divide by the square of the factor");
  sizes[n - 3] = floordiv(sizes[n - 3], f * f);
  sizes[n - 2] = sizes[n - 2] * f;
  sizes[n - 1] = sizes[n - 1] * f;
  return detail::new_image(x.dtype, std::move(sizes), x.dev, suggests_channels_last(x));
}
/// `pixel_unshuffle(self, downscale_factor)`.
constexpr rule_result pixel_unshuffle(const rule_args& a) {
  detail::want_image(a);
  const auto& x = a.tensor(0);
  auto sizes = x.sizes;
  const auto n = sizes.size();
  const sym_int f = a.integer(1);
  if (has_no_elements(sizes))
    return like(x, x.dtype); // LibTorch copies it, as it is
  if (guard(sym_ne(mod(sizes[n - 2], f), 0)) || guard(sym_ne(mod(sizes[n - 1], f), 0)))
    a.refuse("height or width do not divide by the factor");
  sizes[n - 3] = sizes[n - 3] * f * f;
  sizes[n - 2] = floordiv(sizes[n - 2], f);
  sizes[n - 1] = floordiv(sizes[n - 1], f);
  return detail::new_image(x.dtype, std::move(sizes), x.dev, suggests_channels_last(x));
}

} // namespace espalier::shape_rules
