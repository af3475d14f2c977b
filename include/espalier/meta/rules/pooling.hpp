// SPDX-License-Identifier: BSL-1.0
// Pooling: maxima and means over windows that slide or that adapt to the size asked for
// (ATen/native/Pool.h, AdaptiveAveragePooling*.cpp, DilatedMaxPool*.cpp, AveragePool*.cpp).
#pragma once

#include <espalier/meta/rules/image_format.hpp>
#include <espalier/meta/rules/reduction.hpp>

namespace espalier::shape_rules {
namespace detail {

constexpr sym_int pooled(const sym_int& in, const sym_int& kernel, const sym_int& stride,
                         const sym_int& padding, const sym_int& dilation, bool ceil) {
  const sym_int span = in + padding * 2 - dilation * (kernel - 1) - 1;
  const sym_int out = (ceil ? ceildiv(span, stride) : floordiv(span, stride)) + 1;
  // the last window must start inside the input or its left padding
  return ceil && guard(sym_ge((out - 1) * stride, in + padding)) ? out - 1 : out;
}

/// The result of a kernel for one, two or three spatial dimensions.
constexpr tensor_meta pool_output(const tensor_meta& x, sym_ints sizes, std::size_t rank) {
  return new_image(x.dtype, std::move(sizes), x.dev, x.dim() == rank + 2 && suggests_channels_last(x));
}

struct windows {
  sym_ints kernel, stride, padding, dilation;
  bool ceil = false;
};

constexpr sym_ints pooled_sizes(const rule_args& a, std::size_t rank, windows w) {
  const auto& x = a.tensor(0);
  if (x.dim() != rank + 1 && x.dim() != rank + 2)
    a.refuse("pooling over " + std::to_string(rank) + " dimensions needs an input of " +
             std::to_string(rank + 2) + " dimensions (or one less), not " + std::to_string(x.dim()));
  if (w.stride.empty())
    w.stride = w.kernel;
  sym_ints sizes = x.sizes;
  for (std::size_t i = 0; i != rank; ++i) {
    const auto &k = w.kernel[i], &p = w.padding[i];
    if (p.is_int() && k.is_int() && (p.as_int() < 0 || p.as_int() * 2 > k.as_int()))
      a.refuse("the padding of a pooling is more than half of its window",
               "pad the input before, or use a larger window");
    auto& s = sizes[x.dim() - rank + i];
    if (w.stride[i].int_or(1) <= 0 || k.int_or(1) <= 0 || w.dilation[i].int_or(1) <= 0)
      a.refuse("the window, stride and dilation of a pooling are positive numbers");
    s = pooled(s, k, w.stride[i], p, w.dilation[i], w.ceil);
    if (s.is_int() && s.as_int() <= 0)
      a.refuse("pooling leaves nothing: the window is larger than the padded input",
               "pad more, or use a smaller window");
  }
  // only the batch may be empty
  for (std::size_t i = x.dim() == rank + 2 ? 1 : 0; i != x.dim(); ++i)
    if (x.sizes[i].int_or(1) == 0)
      a.refuse("pooling needs an input with elements (an empty batch apart)");
  return sizes;
}

/// The layout of what a kernel over two dimensions makes when it is used over one.
constexpr tensor_meta pool_as_2d(const tensor_meta& x, sym_ints sizes) {
  const std::size_t at = x.dim() - 1;
  sizes.insert(at, 1);
  return without_dim(pool_output(with_unit_dim(x, at), std::move(sizes), 2), at);
}

constexpr tensor_meta as_indices(tensor_meta m) {
  m.dtype = scalar_type::i64;
  return m;
}

} // namespace detail

/// `max_pool(self, kernel_size, stride, padding, dilation, ceil_mode)` with its indices.
template <std::size_t Rank>
constexpr rule_result max_pool_with_indices(const rule_args& a) {
  auto sizes = detail::pooled_sizes(
      a, Rank,
      {a.ints_of(1, Rank), a.ints_of(2, Rank), a.ints_of(3, Rank), a.ints_of(4, Rank), a.boolean(5)});
  const auto& x = a.tensor(0);
  tensor_meta m;
  if (Rank == 1) {
    m = detail::pool_as_2d(x, std::move(sizes));
  } else if (Rank == 3 && x.dim() == 4) {
    if (suggests_channels_last(x))
      a.refuse("max_pool3d takes no input of four dimensions that lies channels-last",
               "call contiguous() on the input, or give it a batch");
    sizes.insert(0, 1);
    const tensor_meta batch = detail::with_unit_dim(x, 0);
    const bool channels_last =
        suggests_channels_last(batch) || (is_channels_last(batch) && !is_contiguous(batch));
    m = detail::without_dim(detail::new_image(x.dtype, std::move(sizes), x.dev, channels_last), 0);
  } else {
    m = detail::pool_output(x, std::move(sizes), Rank);
  }
  rule_result r(m);
  r.push(detail::as_indices(std::move(m)));
  return r;
}
/// Without indices. Over one dimension an inference has a kernel of its own, which is row-major.
template <std::size_t Rank>
constexpr rule_result max_pool(const rule_args& a) {
  auto m = max_pool_with_indices<Rank>(a).outputs[0].tensor;
  if (Rank == 1 && !a.tensor(0).requires_grad)
    m.strides = contiguous_strides(m.sizes);
  return m;
}
/// `avg_pool(self, kernel_size, stride, padding, ceil_mode, ...)`; row-major over three dimensions.
template <std::size_t Rank>
constexpr rule_result avg_pool(const rule_args& a) {
  auto sizes = detail::pooled_sizes(
      a, Rank, {a.ints_of(1, Rank), a.ints_of(2, Rank), a.ints_of(3, Rank), sym_ints(Rank, 1), a.boolean(4)});
  const auto& x = a.tensor(0);
  if (Rank == 1)
    return detail::pool_as_2d(x, std::move(sizes));
  if (Rank == 3)
    for (std::size_t i = 0; i != Rank; ++i)
      if (guard(sym_lt(x.sizes[x.dim() - Rank + i], a.ints_of(1, Rank)[i])))
        a.refuse("the window of avg_pool3d is larger than its input, padding not counted",
                 "pad the input before, or use a smaller window");
  return Rank == 3 ? make_meta(x.dtype, std::move(sizes), x.dev)
                   : detail::pool_output(x, std::move(sizes), Rank);
}

namespace detail {
constexpr sym_ints adapted_sizes(const rule_args& a, std::size_t rank, bool batch_only) {
  const auto& x = a.tensor(0);
  const auto out = a.ints_of(1, rank);
  if (x.dim() != rank + 1 && x.dim() != rank + 2)
    a.refuse("adaptive pooling over " + std::to_string(rank) + " dimensions needs an input of " +
             std::to_string(rank + 2) + " dimensions (or one less), not " + std::to_string(x.dim()));
  for (std::size_t i = batch_only ? 1 : x.dim() - rank; i != x.dim(); ++i)
    if (x.sizes[i].int_or(1) == 0)
      a.refuse("adaptive pooling needs an input with elements (an empty batch apart)");
  sym_ints sizes = x.sizes;
  for (std::size_t i = 0; i != rank; ++i)
    sizes[x.dim() - rank + i] = out[i];
  return sizes;
}
} // namespace detail

/// `_adaptive_avg_pool2d/3d(self, output_size)`: the kernels.
template <std::size_t Rank>
constexpr rule_result adaptive_avg_pool_kernel(const rule_args& a) {
  const auto& x = a.tensor(0);
  auto sizes = detail::adapted_sizes(a, Rank, true);
  return Rank == 3 ? make_meta(x.dtype, std::move(sizes), x.dev)
                   : detail::pool_output(x, std::move(sizes), Rank);
}
/// `adaptive_avg_pool1d/2d/3d(self, output_size)`. One element for each channel is a mean.
template <std::size_t Rank>
constexpr rule_result adaptive_avg_pool(const rule_args& a) {
  auto sizes = detail::adapted_sizes(a, Rank, true);
  tensor_meta x = a.tensor(0);
  if (Rank == 1) {
    const std::size_t at = x.dim() - 1;
    x = detail::with_unit_dim(std::move(x), at);
    sizes.insert(at, 1);
  }
  constexpr std::size_t rank = Rank == 1 ? 2 : Rank;
  bool all_one = true;
  for (std::size_t i = 0; i != rank; ++i)
    all_one = all_one && is_one(sizes[x.dim() - 1 - i]);
  tensor_meta m;
  if (all_one) {
    sym_ints dims;
    for (std::size_t i = 1; i <= rank; ++i)
      dims.push_back(-static_cast<std::int64_t>(i));
    m = detail::reduced(a, x, dims, true, x.dtype);
    if (x.dim() == rank + 2 && suggests_channels_last(x)) {
      m.strides = sym_ints(x.dim(), x.sizes[1]);
      m.strides[1] = 1;
    }
  } else {
    m = rank == 3 ? make_meta(x.dtype, std::move(sizes), x.dev)
                  : detail::pool_output(x, std::move(sizes), rank);
  }
  return Rank == 1 ? detail::without_dim(std::move(m), m.dim() - 2) : m;
}
/// `adaptive_max_pool1d/2d/3d(self, output_size)`: maxima and indices.
template <std::size_t Rank>
constexpr rule_result adaptive_max_pool(const rule_args& a) {
  auto sizes = detail::adapted_sizes(a, Rank, true);
  const auto& x = a.tensor(0);
  rule_result r(Rank == 1   ? detail::pool_as_2d(x, std::move(sizes))
                : Rank == 2 ? detail::pool_output(x, std::move(sizes), Rank)
                            : make_meta(x.dtype, std::move(sizes), x.dev));
  r.push(detail::as_indices(r.outputs[0].tensor));
  return r;
}

} // namespace espalier::shape_rules
