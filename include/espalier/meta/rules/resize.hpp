// SPDX-License-Identifier: BSL-1.0
// Images of another size: up- and downsampling, sampling on a grid, patches as columns and back
// (ATen/native/UpSample.cpp, GridSampler.cpp, Im2Col.cpp, Col2Im.cpp).
#pragma once

#include <espalier/meta/rules/image_format.hpp>

namespace espalier::shape_rules {
namespace detail {

/// The input with its last `rank` sizes replaced. Over one dimension row-major, else in the format of the
/// input.
constexpr tensor_meta resized(const rule_args& a, std::size_t rank, const sym_ints& out) {
  const auto& x = a.tensor(0);
  if (x.dim() != rank + 2)
    a.refuse("resizing over " + std::to_string(rank) + " dimensions needs an input of " +
             std::to_string(rank + 2) + " dimensions, not " + std::to_string(x.dim()));
  if (out.size() != rank)
    a.refuse("an output size of " + std::to_string(rank) + " numbers is needed");
  sym_ints sizes = x.sizes;
  for (std::size_t i = 0; i != rank; ++i) {
    if (out[i].int_or(1) <= 0 || x.sizes[i + 2].int_or(1) == 0)
      a.refuse("an image is resized from nothing or to nothing", "use positive sizes");
    sizes[i + 2] = out[i];
  }
  return new_image(x.dtype, std::move(sizes), x.dev, suggests_channels_last(x));
}
/// `size * factor`, rounded down. A symbolic size takes whole factors.
constexpr sym_int scaled(const rule_args& a, const sym_int& size, const meta_arg& factor) {
  if (factor.form != meta_form::floating)
    return size * factor.i;
  if (const auto whole = static_cast<std::int64_t>(factor.d); static_cast<double>(whole) == factor.d)
    return size * whole;
  if (!size.is_int())
    a.refuse("a symbolic size is multiplied by a fraction", "pass the output size instead of a factor");
  return static_cast<std::int64_t>(static_cast<double>(size.as_int()) * factor.d);
}

} // namespace detail

/// `upsample_*(self, output_size, ...)`.
template <std::size_t Rank>
constexpr rule_result upsample(const rule_args& a) {
  return detail::resized(a, Rank, a.ints_of(1, Rank));
}
/// `upsample_*.vec(input, output_size, ..., scale_factors)`: sizes or factors, which stand at `Factors`.
template <std::size_t Rank, std::size_t Factors>
constexpr rule_result upsample_vec(const rule_args& a) {
  if (a.present(1))
    return upsample<Rank>(a);
  const auto& x = a.tensor(0);
  const auto& factors = a.raw(Factors);
  sym_ints out;
  if (x.dim() == Rank + 2)
    for (std::size_t i = 0; i != Rank && i != factors.count; ++i)
      out.push_back(detail::scaled(a, x.sizes[i + 2], factors.items[i]));
  return detail::resized(a, Rank, out);
}

/// `grid_sampler_2d/3d(input, grid, ...)`, `grid_sampler`: row-major.
constexpr rule_result grid_sampler(const rule_args& a) {
  const auto &x = a.tensor(0), &grid = a.tensor(1);
  if ((x.dim() != 4 && x.dim() != 5) || grid.dim() != x.dim())
    a.refuse("a grid sampler needs an input and a grid of four or five dimensions");
  if (!same_size(grid.sizes[0], x.sizes[0]))
    a.refuse("input and grid have different batches");
  sym_ints sizes{x.sizes[0], x.sizes[1]};
  for (std::size_t i = 1; i + 1 != grid.dim(); ++i)
    sizes.push_back(grid.sizes[i]);
  return make_meta(x.dtype, std::move(sizes), x.dev);
}

namespace detail {
/// How many windows fit along one dimension.
constexpr sym_int num_windows(const rule_args& a, const sym_int& in, const sym_int& kernel,
                              const sym_int& dilation, const sym_int& padding, const sym_int& stride) {
  const sym_int out = floordiv(in + padding * 2 - dilation * (kernel - 1) - 1, stride) + 1;
  if (out.is_int() && out.as_int() < 1)
    a.refuse("no window fits into the image", "pad more, or use a smaller window");
  return out;
}
} // namespace detail

/// `im2col(self, kernel_size, dilation, padding, stride)`: patches as columns.
constexpr rule_result im2col(const rule_args& a) {
  const auto& x = a.tensor(0);
  if (x.dim() != 3 && x.dim() != 4)
    a.refuse("im2col needs an image of three or four dimensions");
  const auto k = a.ints_of(1, 2), d = a.ints_of(2, 2), p = a.ints_of(3, 2), s = a.ints_of(4, 2);
  const std::size_t c = x.dim() - 3;
  sym_ints sizes;
  if (c)
    sizes.push_back(x.sizes[0]);
  sizes.push_back(x.sizes[c] * k[0] * k[1]);
  sizes.push_back(detail::num_windows(a, x.sizes[c + 1], k[0], d[0], p[0], s[0]) *
                  detail::num_windows(a, x.sizes[c + 2], k[1], d[1], p[1], s[1]));
  return make_meta(x.dtype, std::move(sizes), x.dev);
}
/// `col2im(self, output_size, kernel_size, dilation, padding, stride)`: columns summed into an image.
constexpr rule_result col2im(const rule_args& a) {
  const auto& x = a.tensor(0);
  if (x.dim() != 2 && x.dim() != 3)
    a.refuse("col2im needs columns of two or three dimensions");
  const auto out = a.ints_of(1, 2), k = a.ints_of(2, 2);
  const std::size_t c = x.dim() - 2;
  if (guard(sym_ne(mod(x.sizes[c], k[0] * k[1]), 0)))
    a.refuse("the columns are not whole windows", "their size is channels * kernel height * kernel width");
  sym_ints sizes;
  if (c)
    sizes.push_back(x.sizes[0]);
  sizes.push_back(floordiv(x.sizes[c], k[0] * k[1]));
  sizes.push_back(out[0]);
  sizes.push_back(out[1]);
  return make_meta(x.dtype, std::move(sizes), x.dev);
}

} // namespace espalier::shape_rules
