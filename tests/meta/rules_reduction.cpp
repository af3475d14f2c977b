// SPDX-License-Identifier: BSL-1.0
// Reductions and scans against LibTorch's kernels.
#include "kernel_check.hpp"

namespace {
using namespace kernel_check;

c10::IValue maybe_dtype() {
  return draw::once_in(3) ? call::value(draw::one_of(draw::dtypes{at::kFloat, at::kDouble, at::kLong}))
                          : c10::IValue();
}
/// No list, an empty one, one dimension, or some.
c10::IValue maybe_dims(std::int64_t n) {
  if (draw::once_in(5))
    return {};
  if (draw::boolean())
    return ints{draw::dim(n)};
  return draw::dims(n);
}
c10::IValue some_dims(std::int64_t n) {
  auto d = maybe_dims(n);
  return d.isNone() ? c10::IValue(ints{}) : d;
}

const checks of_all({"aten::nanmedian", "aten::max", "aten::min", "aten::median", "aten::any", "aten::all",
                     "aten::argmax", "aten::argmin"},
                    [] { return call(draw::tensor(draw::any)); });
const checks sums({"aten::sum", "aten::prod", "aten::mean"},
                  [] { return call(draw::tensor(draw::any)).with("dtype", maybe_dtype()); });
const checks sums_over({"aten::sum.dim_IntList", "aten::nansum", "aten::mean.dim"}, [] {
  auto x = draw::tensor(draw::any);
  auto d = maybe_dims(x.dim());
  auto keep = draw::boolean();
  return call(x, d, keep).with("dtype", maybe_dtype());
});
const checks product({"aten::prod.dim_int"}, [] {
  auto x = draw::tensor(draw::any);
  auto d = draw::dim(x.dim());
  auto keep = draw::boolean();
  return call(x, d, keep).with("dtype", maybe_dtype());
});
const checks extremes({"aten::amax", "aten::amin"}, [] {
  auto x = draw::tensor(draw::real_or_bool);
  auto d = some_dims(x.dim());
  return call(x, d, draw::boolean());
});
const checks log_sum({"aten::logsumexp", "aten::special_logsumexp"}, [] {
  auto x = draw::tensor(draw::any);
  auto d = some_dims(x.dim());
  return call(x, d, draw::boolean());
});
const checks booleans({"aten::any.dims", "aten::all.dims"}, [] {
  auto x = draw::tensor(draw::any);
  auto d = maybe_dims(x.dim());
  return call(x, d, draw::boolean());
});
const checks over_one({"aten::any.dim", "aten::all.dim", "aten::max.dim", "aten::min.dim", "aten::median.dim",
                       "aten::nanmedian.dim", "aten::mode", "aten::argmax", "aten::argmin"},
                      [] {
                        auto x = draw::tensor(draw::real_or_bool);
                        auto d = draw::dim(x.dim());
                        return call(x, d, draw::boolean());
                      });
const checks norms_of_all({"aten::norm.Scalar"}, [] {
  auto x = draw::tensor(draw::once_in(4) ? draw::dtypes{at::kComplexFloat} : draw::floats);
  return call(x, draw::number(false));
});
const checks kth({"aten::kthvalue"}, [] {
  auto x = draw::tensor(draw::real);
  auto k = draw::integer(1, 3);
  auto d = draw::dim(x.dim());
  return call(x, k, d, draw::boolean());
});
const checks spread({"aten::var", "aten::std"}, [] {
  auto x = draw::tensor(draw::once_in(4) ? draw::dtypes{at::kComplexFloat} : draw::floats);
  return call(x, draw::boolean());
});
const checks spread_over({"aten::var.dim", "aten::std.dim"}, [] {
  auto x = draw::tensor(draw::once_in(4) ? draw::dtypes{at::kComplexFloat} : draw::floats);
  auto d = maybe_dims(x.dim());
  auto unbiased = draw::boolean();
  return call(x, d, unbiased, draw::boolean());
});
const checks spread_corrected({"aten::var.correction", "aten::std.correction"}, [] {
  auto x = draw::tensor(draw::once_in(4) ? draw::dtypes{at::kComplexFloat} : draw::floats);
  auto c = call(x, maybe_dims(x.dim()));
  if (draw::boolean())
    c.with("correction", draw::integer(0, 1));
  return c.with("keepdim", draw::boolean());
});
const checks norms({"aten::norm.ScalarOpt_dim"}, [] {
  auto x = draw::tensor(draw::once_in(4) ? draw::dtypes{at::kComplexFloat} : draw::floats);
  auto p = draw::once_in(3) ? c10::IValue() : draw::number(false);
  auto d = some_dims(x.dim());
  return call(x, p, d, draw::boolean());
});
const checks scans({"aten::cumsum", "aten::cumprod"}, [] {
  auto x = draw::tensor(draw::any);
  return call(x, draw::dim(x.dim())).with("dtype", maybe_dtype());
});
const checks log_scans({"aten::logcumsumexp"}, [] {
  auto x = draw::tensor(draw::floats);
  return call(x, draw::dim(x.dim()));
});
const checks scans_with_indices({"aten::cummax", "aten::cummin"}, [] {
  auto x = draw::tensor(draw::real_or_bool);
  return call(x, draw::dim(x.dim()));
});
const checks softmaxes({"aten::softmax.int", "aten::log_softmax.int"}, [] {
  auto x = draw::tensor(draw::boolean() ? draw::floats : draw::real);
  auto d = draw::dim(x.dim());
  return call(x, d, maybe_dtype());
});
const checks softmax_kernels({"aten::_softmax", "aten::_log_softmax"}, [] {
  auto x = draw::tensor(draw::floats);
  return call(x, draw::dim(x.dim()), false);
});
const checks differences({"aten::diff"}, [] {
  auto s = draw::shape(1);
  auto x = draw::tensor(s, draw::any);
  auto n = draw::integer(0, 3), d = draw::dim(x.dim());
  auto c = call(x, n, d);
  const auto at = static_cast<std::size_t>(d < 0 ? d + x.dim() : d);
  const auto t = draw::once_in(3) ? draw::one_of(draw::any) : x.scalar_type();
  for (auto* name : {"prepend", "append"})
    if (draw::once_in(3)) {
      s[at] = draw::integer(0, 2);
      c.with(name, draw::tensor(s, t));
    }
  return c;
});

} // namespace

TEST_CASE("reduction rules agree with LibTorch's kernels") {
  kernel_check::run_this_file(strides_of_one::compared);
}
