// SPDX-License-Identifier: BSL-1.0
// Reductions to two results, and norms, against LibTorch's kernels.
#include "kernel_check.hpp"

namespace {
using namespace kernel_check;

const draw::dtypes dtypes{at::kFloat, at::kDouble, at::kBFloat16, at::kComplexFloat};

c10::IValue maybe_dims(const at::Tensor& x) {
  return draw::once_in(4) ? c10::IValue() : c10::IValue(draw::dims(x.dim()));
}
const checks everything({"aten::var_mean", "aten::std_mean", "aten::count_nonzero"},
                        [] { return call(draw::tensor(dtypes)); });
const checks some({"aten::var_mean.dim", "aten::std_mean.dim"}, [] {
  const auto x = draw::tensor(dtypes);
  return call(x, maybe_dims(x), true, draw::boolean());
});
const checks corrected({"aten::var_mean.correction", "aten::std_mean.correction"}, [] {
  const auto x = draw::tensor(dtypes);
  return call(x, maybe_dims(x)).with("correction", 1).with("keepdim", draw::boolean());
});
const checks extremes({"aten::aminmax"}, [] {
  const auto x = draw::tensor(draw::real);
  auto c = call(x).with("keepdim", draw::boolean());
  return draw::boolean() ? c.with("dim", draw::dim(x.dim())) : c;
});
const checks norms({"aten::linalg_vector_norm"}, [] {
  const auto x = draw::tensor(dtypes);
  auto c = call(x, draw::integer(0, 3), maybe_dims(x), draw::boolean());
  return !x.is_complex() && draw::once_in(3) ? c.with("dtype", at::kDouble) : c;
});
const checks counted({"aten::count_nonzero.dim_IntList"}, [] {
  const auto x = draw::tensor(draw::any);
  return call(x, draw::dims(x.dim()));
});
} // namespace

TEST_CASE("rules of two-fold reductions agree with LibTorch's kernels") { kernel_check::run_this_file(); }
