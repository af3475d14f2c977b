// SPDX-License-Identifier: BSL-1.0
// Matrix products against LibTorch's kernels.
#include "kernel_check.hpp"

namespace {
using namespace kernel_check;

const draw::dtypes dtypes{at::kFloat, at::kDouble, at::kBFloat16, at::kHalf, at::kLong, at::kComplexFloat};

std::int64_t size() { return draw::once_in(20) ? 0 : draw::integer(1, 4); }
at::Tensor vector_or(const ints& s, bool last, at::ScalarType t) {
  return draw::once_in(5) ? draw::tensor({last ? s.back() : s[s.size() - 2]}, t) : draw::tensor(s, t);
}

const checks two_matrices({"aten::mm"}, [] {
  const auto t = draw::one_of(dtypes);
  const auto n = size(), k = size(), m = size();
  return call(draw::tensor({n, k}, t), draw::tensor({k, m}, t));
});
const checks biased({"aten::addmm"}, [] {
  const auto t = draw::one_of(dtypes);
  const auto n = size(), k = size(), m = size();
  return call(draw::tensor(draw::broadcastable({n, m}), t), draw::tensor({n, k}, t), draw::tensor({k, m}, t));
});
const checks batches({"aten::bmm"}, [] {
  const auto t = draw::one_of(dtypes);
  const auto b = size(), n = size(), k = size(), m = size();
  return call(draw::tensor({b, n, k}, t), draw::tensor({b, k, m}, t));
});
const checks biased_batches({"aten::baddbmm"}, [] {
  const auto t = draw::one_of(dtypes);
  const auto b = size(), n = size(), k = size(), m = size();
  return call(draw::tensor(draw::broadcastable({b, n, m}), t), draw::tensor({b, n, k}, t),
              draw::tensor({b, k, m}, t));
});
const checks summed_batches({"aten::addbmm"}, [] {
  const auto t = draw::one_of(dtypes);
  const auto b = size(), n = size(), k = size(), m = size();
  return call(draw::tensor(draw::broadcastable({n, m}), t), draw::tensor({b, n, k}, t),
              draw::tensor({b, k, m}, t));
});
const checks matrix_vector({"aten::mv"}, [] {
  const auto t = draw::one_of(dtypes);
  const auto n = size(), k = size();
  return call(draw::tensor({n, k}, t), draw::tensor({k}, t));
});
const checks biased_vector({"aten::addmv"}, [] {
  const auto t = draw::one_of(dtypes);
  const auto n = size(), k = size();
  return call(draw::tensor(draw::broadcastable({n}), t), draw::tensor({n, k}, t), draw::tensor({k}, t));
});
const checks vectors({"aten::dot", "aten::vdot"}, [] {
  const auto t = draw::one_of(dtypes);
  const auto n = size();
  return call(draw::tensor({n}, t), draw::tensor({n}, t));
});
const checks outer({"aten::outer", "aten::ger"},
                   [] { return call(draw::tensor({size()}, dtypes), draw::tensor({size()}, dtypes)); });
const checks linear({"aten::linear"}, [] {
  const auto t = draw::one_of(dtypes);
  auto s = draw::shape(1, 4);
  const auto out = size();
  call c(draw::tensor(s, t), draw::tensor({out, s.back()}, t));
  if (draw::boolean())
    c.add(draw::tensor({out}, t));
  return c;
});
const checks matmul({"aten::matmul"}, [] {
  const auto t = draw::one_of(dtypes);
  const auto n = size(), k = size(), m = size();
  auto x = draw::broadcastable(draw::shape(0, 3)), y = x;
  for (auto* s : {&x, &y})
    for (auto& e : *s)
      if (draw::once_in(4))
        e = 1;
  x.insert(x.end(), {n, k});
  y.insert(y.end(), {k, m});
  return call(vector_or(x, true, t), vector_or(y, false, t));
});
} // namespace

TEST_CASE("rules of matrix products agree with LibTorch's kernels") { kernel_check::run_this_file(); }
