// SPDX-License-Identifier: BSL-1.0
// Factories, copies and casts against LibTorch's kernels.
#include "kernel_check.hpp"

namespace {
using namespace kernel_check;

const draw::dtypes some_dtypes{at::kFloat, at::kDouble, at::kLong, at::kHalf};
c10::IValue maybe_dtype() { return draw::boolean() ? call::value(draw::one_of(some_dtypes)) : c10::IValue(); }
c10::IValue maybe_format(bool preserve = true) {
  switch (draw::integer(0, preserve ? 4 : 3)) {
  case 0:
    return {};
  case 1:
    return call::value(at::MemoryFormat::Contiguous);
  case 2:
    return call::value(at::MemoryFormat::ChannelsLast);
  case 3:
    return call::value(at::MemoryFormat::ChannelsLast3d);
  default:
    return call::value(at::MemoryFormat::Preserve);
  }
}
at::Tensor any_tensor() { return draw::tensor(draw::any); }
c10::IValue maybe_device() { return draw::once_in(3) ? c10::IValue(at::Device(at::kCPU)) : c10::IValue(); }

const checks empties({"aten::empty.memory_format"}, [] {
  return call(draw::shape()).with("dtype", maybe_dtype()).with("memory_format", maybe_format(false));
});
const checks filled({"aten::zeros", "aten::ones", "aten::rand", "aten::randn"}, [] {
  return call(draw::shape()).with("dtype", maybe_dtype()).with("device", maybe_device());
});
const checks fulls({"aten::full"}, [] {
  auto s = draw::shape();
  return call(s, draw::once_in(5) ? c10::IValue(c10::complex<double>(1, 2)) : draw::number())
      .with("dtype", maybe_dtype());
});
const checks scalars({"aten::scalar_tensor"},
                     [] { return call(draw::number()).with("dtype", maybe_dtype()); });
const checks range_to({"aten::arange"}, [] {
  return call(draw::once_in(3) ? c10::IValue(0.25 * static_cast<double>(draw::integer(0, 40)))
                               : c10::IValue(draw::integer(0, 7)))
      .with("dtype", maybe_dtype());
});
c10::IValue bound() {
  return draw::once_in(3) ? c10::IValue(0.25 * static_cast<double>(draw::integer(-20, 20)))
                          : c10::IValue(draw::integer(-5, 5));
}
const checks range_from({"aten::arange.start"}, [] {
  auto from = bound();
  return call(from, bound()).with("dtype", maybe_dtype());
});
const checks range_by({"aten::arange.start_step"}, [] {
  auto from = bound(), to = bound(), by = bound();
  return call(from, to, by).with("dtype", maybe_dtype());
});
const checks lines({"aten::linspace", "aten::logspace"}, [] {
  auto from = bound(), to = bound();
  return call(from, to, draw::integer(0, 5)).with("dtype", maybe_dtype());
});
const checks identities({"aten::eye"}, [] { return call(draw::integer(0, 4)).with("dtype", maybe_dtype()); });
const checks rectangles({"aten::eye.m"}, [] {
  auto n = draw::integer(0, 4);
  return call(n, draw::integer(0, 4)).with("dtype", maybe_dtype());
});
const checks random_ints({"aten::randint"}, [] {
  auto c = call(5, draw::shape());
  return draw::boolean() ? c.with("dtype", maybe_dtype()) : c;
});
const checks random_ints_from({"aten::randint.low"}, [] {
  auto c = call(1, 5, draw::shape());
  return draw::boolean() ? c.with("dtype", maybe_dtype()) : c;
});
const checks random_order({"aten::randperm"}, [] {
  auto c = call(draw::integer(0, 5));
  return draw::boolean() ? c.with("dtype", maybe_dtype()) : c;
});
const checks alike({"aten::empty_like", "aten::zeros_like", "aten::ones_like", "aten::rand_like",
                    "aten::randn_like"},
                   [] {
                     return call(draw::boolean() ? any_tensor() : draw::tensor())
                         .with("dtype", maybe_dtype())
                         .with("memory_format", maybe_format());
                   });
const checks alike_with_value({"aten::full_like", "aten::randint_like"}, [] {
  auto x = draw::boolean() ? any_tensor() : draw::tensor();
  return call(x, 3).with("dtype", maybe_dtype()).with("memory_format", maybe_format());
});
const checks alike_with_bounds({"aten::randint_like.low_dtype"}, [] {
  return call(draw::tensor(), 1, 3).with("dtype", maybe_dtype()).with("memory_format", maybe_format());
});
const checks news({"aten::new_empty", "aten::new_zeros", "aten::new_ones"}, [] {
  auto x = any_tensor();
  return call(x, draw::shape()).with("dtype", maybe_dtype());
});
const checks new_fulls({"aten::new_full"}, [] {
  auto x = any_tensor();
  auto s = draw::shape();
  return call(x, s, draw::number()).with("dtype", maybe_dtype());
});
const checks strided({"aten::empty_strided"}, [] {
  const auto x = any_tensor();
  return call(x.sizes().vec(), x.strides().vec()).with("dtype", maybe_dtype());
});
const checks new_strided({"aten::new_empty_strided"}, [] {
  const auto x = any_tensor();
  return call(any_tensor(), x.sizes().vec(), x.strides().vec()).with("dtype", maybe_dtype());
});
const checks casts({"aten::to.dtype"}, [] {
  auto x = any_tensor();
  auto t = draw::boolean() ? x.scalar_type() : draw::one_of(draw::any);
  auto copy = draw::once_in(4);
  return call(x, t, false, copy, maybe_format());
});
const checks layout_casts({"aten::to.dtype_layout"}, [] {
  auto x = any_tensor();
  auto c = call(x);
  if (draw::boolean())
    c.with("dtype", draw::one_of(draw::any));
  c.with("device", maybe_device());
  return c.with("copy", draw::once_in(4)).with("memory_format", maybe_format());
});
const checks device_casts({"aten::to.device"}, [] {
  auto x = any_tensor();
  auto t = draw::boolean() ? x.scalar_type() : draw::one_of(draw::any);
  auto copy = draw::once_in(4);
  return call(x, at::Device(at::kCPU), t, false, copy, maybe_format());
});
const checks casts_to_other({"aten::to.other"}, [] {
  auto x = any_tensor(), o = any_tensor();
  auto copy = draw::once_in(4);
  return call(x, o, false, copy, maybe_format());
});
const checks type_casts({"aten::type_as"}, [] {
  auto x = any_tensor();
  return call(x, any_tensor());
});
const checks copies({"aten::_to_copy"}, [] {
  return call(any_tensor()).with("dtype", maybe_dtype()).with("memory_format", maybe_format());
});
const checks clones({"aten::clone"}, [] { return call(any_tensor()).with("memory_format", maybe_format()); });
const checks contiguous({"aten::contiguous"}, [] {
  auto c = call(any_tensor());
  return draw::boolean() ? c.with("memory_format", maybe_format(false)) : c;
});
const checks fresh({"aten::lift_fresh_copy"}, [] { return call(any_tensor()); });
const checks coins({"aten::bernoulli"},
                   [] { return call(draw::tensor(draw::shape(), draw::one_of(draw::floats), 2)); });
const checks weighted_coins({"aten::bernoulli.p"}, [] { return call(any_tensor(), 0.5); });

const checks a_size({"aten::sym_size.int", "aten::sym_stride.int"}, [] {
  auto x = draw::tensor(draw::any, 1);
  return call(x, draw::dim(x.dim()));
});
const checks elements({"aten::sym_numel", "aten::sym_storage_offset"}, [] { return call(any_tensor()); });
const checks asserted({"aten::_assert_async"}, [] { return call(at::ones({1})); });
const checks asserted_with_text({"aten::_assert_async.msg"}, [] { return call(at::ones({1}), "text"); });
const checks asserted_number({"aten::_assert_scalar"}, [] { return call(1, "text"); });
const checks asserted_meta({"aten::_assert_tensor_metadata"}, [] { return call(any_tensor()); });
const checks constrained({"aten::sym_constrain_range", "aten::sym_constrain_range_for_size"},
                         [] { return call(3).with("min", 2).with("max", 7); });

} // namespace

TEST_CASE("rules of factories, copies and casts agree with LibTorch's kernels") {
  kernel_check::run_this_file(strides_of_one::compared);
}
