// SPDX-License-Identifier: BSL-1.0
// Convolutions of all ranks, transposed or not, and pooling.
#pragma once

#include <espalier/meta/strides.hpp>

namespace espalier::shape_rules {
namespace detail {

constexpr memory_format conv_format(const tensor_meta& x, const tensor_meta& w) {
  return suggests_channels_last(x) || suggests_channels_last(w) ? memory_format::channels_last
                                                                : memory_format::contiguous;
}

constexpr tensor_meta convolve(const rule_args& a, const tensor_meta& x, const tensor_meta& w,
                               const sym_ints& stride, const sym_ints& padding, const sym_ints& dilation,
                               bool transposed, const sym_ints& output_padding, const sym_int& groups) {
  const std::size_t rank = w.dim() - 2;
  const bool batched = x.dim() == w.dim();
  if (!batched && x.dim() + 1 != w.dim())
    a.refuse("the input of a convolution has " + std::to_string(x.dim()) + " dimensions, its weight " +
             std::to_string(w.dim()));
  const sym_int channels = x.sizes[batched ? 1 : 0];
  if (!same_size(channels, transposed ? w.sizes[0] : w.sizes[1] * groups))
    a.refuse("the input has " + std::to_string(channels.int_or(-1)) + " channels, the weight expects " +
             std::to_string((transposed ? w.sizes[0] : w.sizes[1] * groups).int_or(-1)));
  sym_ints sizes;
  if (batched)
    sizes.push_back(x.sizes[0]);
  sizes.push_back(transposed ? w.sizes[1] * groups : w.sizes[0]);
  for (std::size_t i = 0; i != rank; ++i) {
    const sym_int in = x.sizes[i + (batched ? 2 : 1)], k = dilation[i] * (w.sizes[i + 2] - 1);
    const sym_int out = transposed ? (in - 1) * stride[i] - padding[i] * 2 + k + output_padding[i] + 1
                                   : floordiv(in + padding[i] * 2 - k - 1, stride[i]) + 1;
    if (out.is_int() && out.as_int() < 0)
      a.refuse("the kernel is larger than the padded input", "pad more, or use a smaller kernel");
    sizes.push_back(out);
  }
  tensor_meta m = make_meta(x.dtype, std::move(sizes), x.dev);
  if (batched && conv_format(x, w) == memory_format::channels_last)
    m.strides = channels_last_strides(m.sizes);
  return m;
}

} // namespace detail

/// `conv1d/2d/3d(input, weight, bias, stride, padding, dilation, groups)`.
constexpr rule_result conv(const rule_args& a) {
  const auto& w = a.tensor(1);
  const std::size_t rank = w.dim() - 2;
  return detail::convolve(a, a.tensor(0), w, a.ints_of(3, rank), a.ints_of(4, rank), a.ints_of(5, rank),
                          false, sym_ints(rank, 0), a.integer(6));
}
/// `conv2d.padding(input, weight, bias, stride, padding: str, dilation, groups)`: "same" or "valid".
constexpr rule_result conv_padding(const rule_args& a) {
  const auto& w = a.tensor(1);
  const std::size_t rank = w.dim() - 2;
  if (a.string(4) != "same")
    return detail::convolve(a, a.tensor(0), w, a.ints_of(3, rank), sym_ints(rank, 0), a.ints_of(5, rank),
                            false, sym_ints(rank, 0), a.integer(6));
  auto m = detail::convolve(a, a.tensor(0), w, sym_ints(rank, 1), sym_ints(rank, 1 << 20), a.ints_of(5, rank),
                            false, sym_ints(rank, 0), a.integer(6));
  const auto& x = a.tensor(0);
  for (std::size_t i = 0; i != rank; ++i)
    m.sizes[m.dim() - rank + i] = x.sizes[x.dim() - rank + i];
  m.strides = suggests_channels_last(x) ? channels_last_strides(m.sizes) : contiguous_strides(m.sizes);
  return m;
}
/// `conv_transpose(input, weight, bias, stride, padding, output_padding, groups, dilation)`.
constexpr rule_result conv_transpose(const rule_args& a) {
  const auto& w = a.tensor(1);
  const std::size_t rank = w.dim() - 2;
  return detail::convolve(a, a.tensor(0), w, a.ints_of(3, rank), a.ints_of(4, rank), a.ints_of(7, rank), true,
                          a.ints_of(5, rank), a.integer(6));
}
/// `convolution(input, weight, bias, stride, padding, dilation, transposed, output_padding, groups)`.
constexpr rule_result convolution(const rule_args& a) {
  const auto& w = a.tensor(1);
  const std::size_t rank = w.dim() - 2;
  return detail::convolve(a, a.tensor(0), w, a.ints_of(3, rank), a.ints_of(4, rank), a.ints_of(5, rank),
                          a.boolean(6), a.ints_of(7, rank), a.integer(8));
}

namespace detail {
constexpr sym_int pooled(const sym_int& in, const sym_int& kernel, const sym_int& stride,
                         const sym_int& padding, const sym_int& dilation, bool ceil) {
  const sym_int span = in + padding * 2 - dilation * (kernel - 1) - 1;
  sym_int out = (ceil ? ceildiv(span, stride) : floordiv(span, stride)) + 1;
  // the last window must start inside the input or its left padding
  if (ceil && guard(sym_ge((out - 1) * stride, in + padding)))
    out = out - 1;
  return out;
}
constexpr tensor_meta pool(const rule_args& a, std::size_t rank, const sym_ints& kernel, sym_ints stride,
                           const sym_ints& padding, const sym_ints& dilation, bool ceil) {
  const auto& x = a.tensor(0);
  if (x.dim() != rank + 1 && x.dim() != rank + 2)
    a.refuse("pooling over " + std::to_string(rank) + " dimensions needs an input of " +
             std::to_string(rank + 2) + " dimensions (or one less), not " + std::to_string(x.dim()));
  if (stride.empty())
    stride = kernel;
  sym_ints sizes = x.sizes;
  for (std::size_t i = 0; i != rank; ++i) {
    auto& s = sizes[x.dim() - rank + i];
    s = pooled(s, kernel[i], stride[i], padding[i], dilation[i], ceil);
    if (s.is_int() && s.as_int() <= 0)
      a.refuse("pooling leaves nothing: the window is larger than the padded input",
               "pad more, or use a smaller window");
  }
  tensor_meta m = make_meta(x.dtype, std::move(sizes), x.dev);
  if (x.dim() == rank + 2 && suggests_channels_last(x))
    m.strides = channels_last_strides(m.sizes);
  return m;
}
} // namespace detail

/// `max_pool(self, kernel_size, stride, padding, dilation, ceil_mode)`.
template <std::size_t Rank>
constexpr rule_result max_pool(const rule_args& a) {
  return detail::pool(a, Rank, a.ints_of(1, Rank), a.ints_of(2, Rank), a.ints_of(3, Rank), a.ints_of(4, Rank),
                      a.boolean(5));
}
template <std::size_t Rank>
constexpr rule_result max_pool_with_indices(const rule_args& a) {
  rule_result r = max_pool<Rank>(a);
  auto indices = r.outputs[0].tensor;
  indices.dtype = scalar_type::i64;
  r.push(std::move(indices));
  return r;
}
/// `avg_pool(self, kernel_size, stride, padding, ceil_mode, ...)`.
template <std::size_t Rank>
constexpr rule_result avg_pool(const rule_args& a) {
  return detail::pool(a, Rank, a.ints_of(1, Rank), a.ints_of(2, Rank), a.ints_of(3, Rank), sym_ints(Rank, 1),
                      a.boolean(4));
}
/// `adaptive_*_pool(self, output_size)`.
template <std::size_t Rank>
constexpr rule_result adaptive_pool(const rule_args& a) {
  const auto& x = a.tensor(0);
  const auto out = a.ints_of(1, Rank);
  sym_ints sizes = x.sizes;
  for (std::size_t i = 0; i != Rank; ++i)
    sizes[x.dim() - Rank + i] = out[i];
  tensor_meta m = make_meta(x.dtype, std::move(sizes), x.dev);
  if (x.dim() == Rank + 2 && suggests_channels_last(x))
    m.strides = channels_last_strides(m.sizes);
  return m;
}
template <std::size_t Rank>
constexpr rule_result adaptive_max_pool(const rule_args& a) {
  rule_result r = adaptive_pool<Rank>(a);
  auto indices = r.outputs[0].tensor;
  indices.dtype = scalar_type::i64;
  r.push(std::move(indices));
  return r;
}

} // namespace espalier::shape_rules
