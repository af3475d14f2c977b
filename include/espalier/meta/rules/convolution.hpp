// SPDX-License-Identifier: BSL-1.0
// Convolutions of all ranks, transposed or not (ATen/native/Convolution.cpp). The result is channels-last
// when the input or the weight looks so, except where the kernel that serves the call knows no such format:
// three spatial dimensions outside oneDNN, which is taken to be there, with more than one thread.
#pragma once

#include <espalier/meta/rules/image_format.hpp>

namespace espalier::shape_rules {
namespace detail {

/// How a convolution walks.
struct conv_steps {
  sym_ints stride, padding, dilation, output_padding;
  bool transposed = false;
  sym_int groups = 1;
};

constexpr void want_positive(const rule_args& a, const sym_ints& v, const char* what) {
  for (auto& x : v)
    if (x.is_int() && x.as_int() <= 0)
      a.refuse(std::string("a ") + what + " of " + std::to_string(x.as_int()) + " moves nowhere",
               "use a positive number");
}

/// The size of one spatial dimension of the result. Throws when nothing is left.
constexpr sym_int convolved(const rule_args& a, const sym_int& in, const sym_int& kernel, const conv_steps& s,
                            std::size_t i) {
  const sym_int reach = s.dilation[i] * (kernel - 1) + 1, padded = in + s.padding[i] * 2;
  if (s.transposed) {
    const sym_int out = (in - 1) * s.stride[i] - s.padding[i] * 2 + reach + s.output_padding[i];
    if (out.is_int() && out.as_int() < 0)
      a.refuse("the padding removes more than the transposed convolution makes", "pad less");
    return out;
  }
  if (padded.is_int() && reach.is_int() && padded.as_int() < reach.as_int())
    a.refuse("the kernel is larger than the padded input", "pad more, or use a smaller kernel");
  return floordiv(padded - reach, s.stride[i]) + 1;
}

/// Whether a convolution of f32 is worth oneDNN's while (ATen/native/Convolution.cpp: use_mkldnn). Symbolic
/// sizes are taken to be large.
constexpr bool is_large(const tensor_meta& x, const tensor_meta& w, const sym_int& groups) {
  if (!is_one(groups) || !is_one(x.sizes[0]))
    return true;
  const std::size_t n = w.dim();
  if (w.sizes[n - 1].int_or(4) > 3 && w.sizes[n - 2].int_or(4) > 3)
    return true;
  return !statically_known(sym_le(x.sizes[1] * x.sizes[2] * x.sizes[3], 20480));
}
/// Whether the kernel that LibTorch picks can write channels-last. Over three dimensions only oneDNN's can:
/// it serves half floats (on processors with AVX-512, as is taken to be the case) and large calls in f32.
constexpr bool writes_channels_last(const tensor_meta& x, const tensor_meta& w, const conv_steps& s,
                                    std::size_t rank) {
  if (rank != 3)
    return true;
  const bool half = x.dtype == scalar_type::bf16 || x.dtype == scalar_type::f16;
  if (!half && (x.dtype != scalar_type::f32 || !is_large(x, w, s.groups)))
    return false;
  if (s.transposed)
    for (std::size_t i = 0; i != rank; ++i)
      if (s.output_padding[i].int_or(0) >= s.stride[i].int_or(1))
        return false;
  return true;
}

constexpr tensor_meta convolve(const rule_args& a, const tensor_meta& input, const tensor_meta& weight,
                               const conv_steps& s) {
  if (weight.dim() < 3)
    a.refuse("the weight of a convolution has " + std::to_string(weight.dim()) + " dimensions",
             "give it those of its channels and at least one more");
  const std::size_t rank = weight.dim() - 2;
  const bool batched = input.dim() == weight.dim();
  if (!batched && input.dim() + 1 != weight.dim())
    a.refuse("the input of a convolution has " + std::to_string(input.dim()) + " dimensions, its weight " +
             std::to_string(weight.dim()));
  want_positive(a, s.stride, "stride");
  want_positive(a, s.dilation, "dilation");
  tensor_meta x = batched ? input : with_unit_dim(input, 0), w = weight;

  const sym_int expected = s.transposed ? w.sizes[0] : w.sizes[1] * s.groups;
  if (!same_size(x.sizes[1], expected))
    a.refuse("the input has " + std::to_string(x.sizes[1].int_or(-1)) + " channels, the weight expects " +
             std::to_string(expected.int_or(-1)));
  sym_ints sizes{x.sizes[0], s.transposed ? w.sizes[1] * s.groups : w.sizes[0]};
  if (x.dtype != w.dtype)
    a.refuse("the input is " + std::string(to_string(x.dtype)) + ", the weight " +
                 std::string(to_string(w.dtype)),
             "cast one of them");
  if (const auto* bias = a.optional_tensor(2))
    if (bias->dim() != 1 || !same_size(bias->sizes[0], sizes[1]))
      a.refuse("the bias has not one element for each of " + std::to_string(sizes[1].int_or(-1)) +
               " channels");
  if (guard(sym_ne(mod(w.sizes[0], s.groups), 0)))
    a.refuse("the weight's first size does not divide into the groups", "choose a number that divides it");
  for (std::size_t i = 0; i != rank; ++i)
    sizes.push_back(convolved(a, x.sizes[i + 2], w.sizes[i + 2], s, i));

  if (rank == 1) {
    if (!is_contiguous(x))
      x.strides = contiguous_strides(x.sizes);
    x = with_unit_dim(std::move(x), 2);
    w = with_unit_dim(std::move(w), 2);
    sizes.insert(2, 1);
  }
  const bool nothing = x.sizes[0].int_or(1) == 0 || x.sizes[1].int_or(1) == 0;
  const bool channels_last = !nothing && writes_channels_last(x, w, s, rank) &&
                             (suggests_channels_last(x) || suggests_channels_last(w));
  tensor_meta m = new_image(x.dtype, std::move(sizes), x.dev, channels_last);
  if (rank == 1)
    m = without_dim(std::move(m), 2);
  return batched ? m : without_dim(std::move(m), 0);
}

constexpr std::size_t spatial_rank(const rule_args& a) {
  const std::size_t n = a.tensor(1).dim();
  return n > 2 ? n - 2 : 0; // `convolve` refuses
}

} // namespace detail

/// `conv1d/2d/3d(input, weight, bias, stride, padding, dilation, groups)`.
constexpr rule_result conv(const rule_args& a) {
  const std::size_t rank = detail::spatial_rank(a);
  return detail::convolve(
      a, a.tensor(0), a.tensor(1),
      {a.ints_of(3, rank), a.ints_of(4, rank), a.ints_of(5, rank), sym_ints(rank, 0), false, a.integer(6)});
}
/// `conv2d.padding(input, weight, bias, stride, padding: str, dilation, groups)`: "same" or "valid". What
/// "same" cannot share out evenly is padded before, into a tensor of its own.
constexpr rule_result conv_padding(const rule_args& a) {
  const std::size_t rank = detail::spatial_rank(a);
  detail::conv_steps s{a.ints_of(3, rank), sym_ints(rank, 0), a.ints_of(5, rank), sym_ints(rank, 0), false,
                       a.integer(6)};
  const auto& w = a.tensor(1);
  tensor_meta x = a.tensor(0);
  const bool batched = x.dim() == w.dim();
  if (a.string(4) != "same")
    return detail::convolve(a, x, w, s);
  bool even = true;
  if (!batched && x.dim() + 1 == w.dim())
    x = detail::with_unit_dim(std::move(x), 0);
  const bool channels_last = suggests_channels_last(x);
  for (std::size_t i = 0; i != rank; ++i) {
    if (!is_one(s.stride[i]))
      a.refuse("padding \"same\" goes with a stride of 1", "pass the padding in numbers");
    const sym_int total = s.dilation[i] * (w.sizes[i + 2] - 1);
    s.padding[i] = floordiv(total, 2);
    if (const sym_int odd = mod(total, 2); odd.int_or(0) != 0) {
      even = false;
      if (x.dim() == rank + 2)
        x.sizes[i + 2] = x.sizes[i + 2] + odd;
    }
  }
  if (!even)
    x.strides = channels_last ? detail::image_strides(x.sizes) : contiguous_strides(x.sizes);
  tensor_meta m = detail::convolve(a, x, w, s);
  return batched ? m : detail::without_dim(std::move(m), 0);
}
/// `conv_transpose(input, weight, bias, stride, padding, output_padding, groups, dilation)`.
constexpr rule_result conv_transpose(const rule_args& a) {
  const std::size_t rank = detail::spatial_rank(a);
  return detail::convolve(
      a, a.tensor(0), a.tensor(1),
      {a.ints_of(3, rank), a.ints_of(4, rank), a.ints_of(7, rank), a.ints_of(5, rank), true, a.integer(6)});
}
/// `convolution(input, weight, bias, stride, padding, dilation, transposed, output_padding, groups)`, and
/// `_convolution`, whose further arguments say nothing of shapes.
constexpr rule_result convolution(const rule_args& a) {
  const std::size_t rank = detail::spatial_rank(a);
  return detail::convolve(a, a.tensor(0), a.tensor(1),
                          {a.ints_of(3, rank), a.ints_of(4, rank), a.ints_of(5, rank), a.ints_of(7, rank),
                           a.boolean(6), a.integer(8)});
}

} // namespace espalier::shape_rules
