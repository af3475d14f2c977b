// SPDX-License-Identifier: BSL-1.0
// Convolutions, pooling and resizing against LibTorch's kernels.
#include "kernel_check.hpp"

namespace {
using namespace kernel_check;

const draw::dtypes dtypes{at::kFloat, at::kFloat, at::kDouble, at::kBFloat16};

ints repeat(std::size_t n, std::int64_t lo, std::int64_t hi) {
  ints out(n);
  for (auto& x : out)
    x = draw::integer(lo, hi);
  return out;
}

/// The tensors and steps of a convolution over `rank` dimensions.
struct convolution {
  at::Tensor input, weight;
  c10::IValue bias;
  ints stride, padding, dilation, output_padding;
  std::int64_t groups;

  convolution(std::size_t rank, bool transposed) {
    // whether half floats have a channels-last kernel over three dimensions depends on the processor
    const auto t = draw::one_of(rank == 3 ? draw::plain : dtypes);
    groups = draw::integer(1, 2);
    const auto in = draw::integer(1, 3), out = draw::integer(1, 3);
    ints x = repeat(rank, 1, 6), w = repeat(rank, 1, 3);
    if (rank == 3 && draw::once_in(20)) { // large enough for another kernel
      x = {150, 150, 3};
      w = {1, 1, draw::integer(2, 3)};
    } else if (draw::once_in(8)) {
      w = repeat(rank, 4, 5);
    }
    // one thread convolves f32 with windows of one element by another kernel than several threads do
    w.back() = std::max<std::int64_t>(w.back(), 2);
    x.insert(x.begin(), in * groups);
    if (!draw::once_in(5))
      x.insert(x.begin(), draw::once_in(20) ? 0 : draw::integer(1, 3));
    w.insert(w.begin(), {transposed ? in * groups : out * groups, transposed ? out : in});
    input = draw::tensor(x, t);
    weight = draw::tensor(w, t);
    if (draw::boolean())
      bias = draw::tensor({out * groups}, t);
    stride = repeat(rank, 1, 2);
    padding = repeat(rank, 0, 1);
    dilation = repeat(rank, 1, 2);
    output_padding = repeat(rank, 0, 1);
  }
};
template <std::size_t Rank>
call forward() {
  const convolution c(Rank, false);
  return call(c.input, c.weight, c.bias, c.stride, c.padding, c.dilation, c.groups);
}
template <std::size_t Rank>
call with_words() {
  const convolution c(Rank, false);
  return call(c.input, c.weight, c.bias, draw::boolean() ? c.stride : ints(Rank, 1),
              draw::boolean() ? "same" : "valid", c.dilation, c.groups);
}
template <std::size_t Rank>
call transposed() {
  const convolution c(Rank, true);
  return call(c.input, c.weight, c.bias, c.stride, c.padding, c.output_padding, c.groups, c.dilation);
}
call of_any_kind() {
  const bool turned = draw::boolean();
  const auto rank = static_cast<std::size_t>(draw::integer(1, 3));
  const convolution c(rank, turned);
  return call(c.input, c.weight, c.bias, c.stride, c.padding, c.dilation, turned,
              turned ? c.output_padding : ints(rank, 0), c.groups);
}
const check_options many{.draws = 150};
const checks conv1d({"aten::conv1d"}, forward<1>, many), conv2d({"aten::conv2d"}, forward<2>, many),
    conv3d({"aten::conv3d"}, forward<3>, many), same1d({"aten::conv1d.padding"}, with_words<1>, many),
    same2d({"aten::conv2d.padding"}, with_words<2>, many),
    same3d({"aten::conv3d.padding"}, with_words<3>, many),
    transposed1d({"aten::conv_transpose1d"}, transposed<1>, many),
    transposed2d({"aten::conv_transpose2d.input"}, transposed<2>, many),
    transposed3d({"aten::conv_transpose3d.input"}, transposed<3>, many),
    any_kind({"aten::convolution"}, of_any_kind, many),
    inner_kind(
        {"aten::_convolution"},
        [] {
          auto c = of_any_kind();
          for (int i = 0; i != 4; ++i)
            c.add(i == 3); // benchmark, deterministic, cudnn_enabled, allow_tf32
          return c;
        },
        many);

/// An image with or without a batch, which alone may be empty.
at::Tensor image(std::size_t rank, std::int64_t lo = 1, std::int64_t hi = 6, bool unbatched = true) {
  ints s = repeat(rank, lo, hi);
  s.insert(s.begin(), draw::integer(1, 3));
  if (!unbatched || !draw::once_in(5))
    s.insert(s.begin(), draw::once_in(20) ? 0 : draw::integer(1, 3));
  return draw::tensor(s, draw::plain);
}
ints halved(const ints& kernel) {
  ints out = kernel;
  for (auto& x : out)
    x = draw::boolean() ? x / 2 : 0;
  return out;
}
template <std::size_t Rank>
call maxima() {
  const auto k = repeat(Rank, 1, 3);
  return call(image(Rank), k, draw::boolean() ? repeat(Rank, 1, 3) : ints(), halved(k), repeat(Rank, 1, 2),
              draw::boolean());
}
template <std::size_t Rank>
call means() {
  const auto k = repeat(Rank, 1, 3);
  return call(image(Rank), k, draw::boolean() ? repeat(Rank, 1, 3) : ints(), halved(k), draw::boolean());
}
template <std::size_t Rank>
call adapted() {
  return call(image(Rank), draw::once_in(3) ? ints(Rank, 1) : repeat(Rank, 1, 3));
}
const checks max1d({"aten::max_pool1d", "aten::max_pool1d_with_indices"}, maxima<1>),
    max2d({"aten::max_pool2d", "aten::max_pool2d_with_indices"}, maxima<2>),
    max3d({"aten::max_pool3d", "aten::max_pool3d_with_indices"}, maxima<3>),
    mean1d({"aten::avg_pool1d"}, means<1>), mean2d({"aten::avg_pool2d"}, means<2>),
    mean3d({"aten::avg_pool3d"}, means<3>),
    adapted1d({"aten::adaptive_avg_pool1d", "aten::adaptive_max_pool1d"}, adapted<1>),
    adapted2d({"aten::adaptive_avg_pool2d", "aten::_adaptive_avg_pool2d", "aten::adaptive_max_pool2d"},
              adapted<2>),
    adapted3d({"aten::adaptive_avg_pool3d", "aten::_adaptive_avg_pool3d", "aten::adaptive_max_pool3d"},
              adapted<3>);

template <std::size_t Rank>
call nearest() {
  return call(image(Rank, 1, 4, false), repeat(Rank, 1, 5));
}
template <std::size_t Rank>
call smooth() {
  return nearest<Rank>().add(draw::boolean());
}
/// Sizes or factors.
template <std::size_t Rank, bool Smooth>
call sized_or_scaled() {
  call c(image(Rank, 1, 4, false));
  const bool sized = draw::boolean();
  std::vector<double> factors(Rank);
  for (auto& f : factors)
    f = draw::one_of({1.0, 1.5, 2.0, 2.3});
  sized ? c.add(repeat(Rank, 1, 5)) : c.add(std::nullopt);
  if (Smooth)
    c.add(draw::boolean());
  return sized ? c.add(std::nullopt) : c.add(factors);
}
const checks nearest1d({"aten::upsample_nearest1d", "aten::_upsample_nearest_exact1d"}, nearest<1>),
    nearest2d({"aten::upsample_nearest2d", "aten::_upsample_nearest_exact2d"}, nearest<2>),
    nearest3d({"aten::upsample_nearest3d", "aten::_upsample_nearest_exact3d"}, nearest<3>),
    nearest1d_vec({"aten::upsample_nearest1d.vec", "aten::_upsample_nearest_exact1d.vec"},
                  sized_or_scaled<1, false>),
    nearest2d_vec({"aten::upsample_nearest2d.vec", "aten::_upsample_nearest_exact2d.vec"},
                  sized_or_scaled<2, false>),
    nearest3d_vec({"aten::upsample_nearest3d.vec", "aten::_upsample_nearest_exact3d.vec"},
                  sized_or_scaled<3, false>),
    smooth1d({"aten::upsample_linear1d"}, smooth<1>),
    smooth2d({"aten::upsample_bilinear2d", "aten::upsample_bicubic2d", "aten::_upsample_bilinear2d_aa",
              "aten::_upsample_bicubic2d_aa"},
             smooth<2>),
    smooth3d({"aten::upsample_trilinear3d"}, smooth<3>),
    smooth1d_vec({"aten::upsample_linear1d.vec"}, sized_or_scaled<1, true>),
    smooth2d_vec({"aten::upsample_bilinear2d.vec", "aten::upsample_bicubic2d.vec",
                  "aten::_upsample_bilinear2d_aa.vec", "aten::_upsample_bicubic2d_aa.vec"},
                 sized_or_scaled<2, true>),
    smooth3d_vec({"aten::upsample_trilinear3d.vec"}, sized_or_scaled<3, true>);

template <std::size_t Rank>
call grid() {
  const auto n = draw::integer(1, 3);
  auto x = repeat(Rank, 1, 4), g = repeat(Rank, 1, 4);
  x.insert(x.begin(), {n, draw::integer(1, 3)});
  g.insert(g.begin(), n);
  g.push_back(Rank);
  const auto t = draw::one_of(draw::plain);
  return call(draw::tensor(x, t), draw::tensor(g, t), 0, 0, draw::boolean());
}
const checks grid2d({"aten::grid_sampler", "aten::grid_sampler_2d"}, grid<2>),
    grid3d({"aten::grid_sampler_3d"}, grid<3>);
const checks columns({"aten::im2col"}, [] {
  return call(image(2, 2, 5), repeat(2, 1, 2), repeat(2, 1, 2), repeat(2, 0, 1), repeat(2, 1, 2));
});
const checks from_columns({"aten::col2im"}, [] {
  const auto out = repeat(2, 2, 5), k = repeat(2, 1, 2), s = repeat(2, 1, 2);
  const auto c = draw::integer(1, 3), n = draw::integer(1, 3);
  const auto many_windows = ((out[0] - k[0]) / s[0] + 1) * ((out[1] - k[1]) / s[1] + 1);
  ints sizes{c * k[0] * k[1], many_windows};
  if (draw::boolean())
    sizes.insert(sizes.begin(), n);
  return call(draw::tensor(sizes, draw::plain), out, k, ints{1, 1}, ints{0, 0}, s);
});
} // namespace

TEST_CASE("rules of convolutions and pooling agree with LibTorch's kernels") {
  kernel_check::run_this_file();
}
