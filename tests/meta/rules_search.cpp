// SPDX-License-Identifier: BSL-1.0
// Distances, places in sorted sequences and weight normalisation against LibTorch's kernels.
#include "kernel_check.hpp"

namespace {
using namespace kernel_check;

std::int64_t size() { return draw::integer(1, 4); }

const checks distances({"aten::cdist", "aten::_cdist_forward"}, [] {
  const auto t = draw::one_of(draw::plain);
  const auto lead = draw::shape(0, 2, false);
  const auto width = draw::once_in(10) ? 0 : size();
  const auto rows = [&] {
    auto s = draw::broadcastable(lead);
    s.insert(s.end(), {size(), width});
    return draw::tensor(s, t);
  };
  return call(rows(), rows(), static_cast<double>(draw::integer(0, 3)),
              draw::boolean() ? c10::IValue(draw::integer(0, 2)) : c10::IValue());
});
const checks distances_within({"aten::pdist", "aten::_pdist_forward"}, [] {
  return call(draw::tensor(draw::plain, 2, 2), static_cast<double>(draw::integer(0, 3)));
});
const checks one_sequence({"aten::searchsorted.Tensor"}, [] {
  auto s = draw::shape(1, 3, false);
  const auto values = draw::tensor(draw::boolean() ? s : draw::shape(), draw::plain);
  s.back() = size();
  return call(draw::tensor(draw::boolean() ? s : ints{size()}, draw::plain).to(values.scalar_type()), values)
      .with("out_int32", draw::boolean());
});
const checks one_number({"aten::searchsorted.Scalar"}, [] {
  return call(draw::tensor({size()}, draw::plain), 1.5).with("out_int32", draw::boolean());
});
const checks buckets({"aten::bucketize.Tensor"}, [] {
  return call(draw::tensor(draw::plain), draw::tensor({size()}, at::kFloat))
      .with("out_int32", draw::boolean());
});
const checks bucket({"aten::bucketize.Scalar"}, [] {
  return call(1.5, draw::tensor({size()}, at::kFloat)).with("out_int32", draw::boolean());
});
const checks weight_norm({"aten::_weight_norm_interface"}, [] {
  const auto t = draw::one_of(draw::floats);
  const auto s = draw::shape(1, 4, false);
  const auto dim = draw::boolean() ? 0 : s.size() - 1;
  ints one(s.size(), 1);
  one[dim] = s[dim];
  // the kernel writes its norms densely, whatever the strides of `g`
  return call(draw::tensor(s, t), at::ones(one, at::dtype(t)), static_cast<std::int64_t>(dim));
});
const checks safe_softmax({"aten::_safe_softmax"}, [] {
  const auto x = draw::tensor(draw::floats);
  return call(x, draw::dim(x.dim()));
});
} // namespace

TEST_CASE("rules of distances and searches agree with LibTorch's kernels") { kernel_check::run_this_file(); }
