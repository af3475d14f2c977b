// SPDX-License-Identifier: BSL-1.0
// Pointwise operators against LibTorch's kernels: promotion, broadcasting, and the memory order of results.
#include "kernel_check.hpp"

namespace {
using namespace kernel_check;

/// Two tensors that mostly broadcast together.
call two(const draw::dtypes& t) {
  const auto s = draw::shape();
  auto x = draw::tensor(draw::broadcastable(s), t);
  const auto other = draw::boolean() ? x.scalar_type() : draw::one_of(t);
  return call(x, draw::tensor(draw::broadcastable(s), other));
}
call three(const draw::dtypes& t, bool one_dtype) {
  const auto s = draw::shape();
  const auto first = draw::one_of(t);
  const auto next = [&] { return draw::tensor(draw::broadcastable(s), one_dtype ? first : draw::one_of(t)); };
  auto x = next(), y = next();
  return call(x, y, next());
}
call with_number(const draw::dtypes& t) {
  auto x = draw::tensor(t);
  return call(x, draw::number());
}

const checks arithmetic({"aten::add.Tensor", "aten::multiply.Tensor", "aten::subtract.Tensor",
                         "aten::divide.Tensor", "aten::not_equal.Tensor", "aten::sub.Tensor",
                         "aten::mul.Tensor", "aten::rsub.Tensor", "aten::div.Tensor",
                         "aten::true_divide.Tensor", "aten::pow.Tensor_Tensor", "aten::eq.Tensor",
                         "aten::ne.Tensor", "aten::logical_and", "aten::logical_or", "aten::logical_xor",
                         "aten::isclose"},
                        [] { return two(draw::any); });
const checks arithmetic_of_reals({"aten::maximum",
                                  "aten::max.other",
                                  "aten::min.other",
                                  "aten::logaddexp",
                                  "aten::logaddexp2",
                                  "aten::greater.Tensor",
                                  "aten::greater_equal.Tensor",
                                  "aten::less.Tensor",
                                  "aten::less_equal.Tensor",
                                  "aten::minimum",
                                  "aten::fmax",
                                  "aten::fmin",
                                  "aten::remainder.Tensor",
                                  "aten::fmod.Tensor",
                                  "aten::floor_divide",
                                  "aten::clamp_min.Tensor",
                                  "aten::clamp_max.Tensor",
                                  "aten::heaviside",
                                  "aten::nextafter",
                                  "aten::hypot",
                                  "aten::atan2",
                                  "aten::arctan2",
                                  "aten::lt.Tensor",
                                  "aten::le.Tensor",
                                  "aten::gt.Tensor",
                                  "aten::ge.Tensor",
                                  "aten::copysign.Tensor",
                                  "aten::xlogy.Tensor"},
                                 [] {
                                   return draw::boolean() ? two(draw::real_or_bool)
                                                          : two({draw::one_of(draw::floats)});
                                 });
const checks bits({"aten::gcd", "aten::lcm", "aten::bitwise_and.Tensor", "aten::bitwise_or.Tensor",
                   "aten::bitwise_xor.Tensor", "aten::__and__.Tensor", "aten::__or__.Tensor",
                   "aten::__xor__.Tensor", "aten::bitwise_left_shift.Tensor",
                   "aten::bitwise_right_shift.Tensor"},
                  [] { return two(draw::boolean() ? draw::ints : draw::real_or_bool); });
const checks
    bits_with_number({"aten::bitwise_and.Scalar", "aten::bitwise_or.Scalar", "aten::bitwise_xor.Scalar",
                      "aten::__and__.Scalar", "aten::__or__.Scalar", "aten::__xor__.Scalar"},
                     [] {
                       auto x = draw::tensor(draw::boolean() ? draw::ints : draw::real_or_bool);
                       return draw::boolean() ? call(x, draw::integer(0, 3)) : call(x, draw::number());
                     });
const checks arithmetic_with_number({"aten::add.Scalar",
                                     "aten::multiply.Scalar",
                                     "aten::subtract.Scalar",
                                     "aten::divide.Scalar",
                                     "aten::true_divide.Scalar",
                                     "aten::greater.Scalar",
                                     "aten::greater_equal.Scalar",
                                     "aten::less.Scalar",
                                     "aten::less_equal.Scalar",
                                     "aten::not_equal.Scalar",
                                     "aten::sub.Scalar",
                                     "aten::mul.Scalar",
                                     "aten::rsub.Scalar",
                                     "aten::div.Scalar",
                                     "aten::pow.Tensor_Scalar",
                                     "aten::remainder.Scalar",
                                     "aten::fmod.Scalar",
                                     "aten::floor_divide.Scalar",
                                     "aten::eq.Scalar",
                                     "aten::ne.Scalar",
                                     "aten::lt.Scalar",
                                     "aten::le.Scalar",
                                     "aten::gt.Scalar",
                                     "aten::ge.Scalar",
                                     "aten::clamp_min",
                                     "aten::clamp_max",
                                     "aten::copysign.Scalar",
                                     "aten::xlogy.Scalar_Other"},
                                    [] { return with_number(draw::any); });
const checks number_first({"aten::pow.Scalar", "aten::xlogy.Scalar_Self"}, [] {
  auto n = draw::number();
  return call(n, draw::tensor(draw::any));
});
const checks division_with_mode({"aten::div.Tensor_mode", "aten::divide.Tensor_mode"}, [] {
  return two(draw::any).with("rounding_mode", draw::one_of<c10::IValue>({c10::IValue(), "trunc", "floor"}));
});
const checks division_by_number_with_mode({"aten::div.Scalar_mode", "aten::divide.Scalar_mode"}, [] {
  return with_number(draw::any).with("rounding_mode",
                                     draw::one_of<c10::IValue>({c10::IValue(), "trunc", "floor"}));
});

const checks
    unary({"aten::negative",    "aten::absolute",   "aten::sinc",    "aten::arccos",   "aten::arcsin",
           "aten::arctan",      "aten::arccosh",    "aten::arcsinh", "aten::arctanh",  "aten::special_expit",
           "aten::logical_not", "aten::isnan",      "aten::isinf",   "aten::isfinite", "aten::signbit",
           "aten::abs",         "aten::neg",        "aten::sign",    "aten::sgn",      "aten::exp",
           "aten::exp2",        "aten::expm1",      "aten::log",     "aten::log2",     "aten::log10",
           "aten::log1p",       "aten::sqrt",       "aten::rsqrt",   "aten::sin",      "aten::cos",
           "aten::tan",         "aten::asin",       "aten::acos",    "aten::atan",     "aten::sinh",
           "aten::cosh",        "aten::tanh",       "aten::asinh",   "aten::acosh",    "aten::atanh",
           "aten::sigmoid",     "aten::reciprocal", "aten::square",  "aten::positive", "aten::conj",
           "aten::nan_to_num",  "aten::relu",       "aten::silu",    "aten::tanh"},
          [] { return call(draw::tensor(draw::any)); });
const checks unary_of_reals({"aten::fix",         "aten::deg2rad",  "aten::rad2deg",  "aten::i0",
                             "aten::special_erf", "aten::isneginf", "aten::isposinf", "aten::logit",
                             "aten::erf",         "aten::erfc",     "aten::erfinv",   "aten::lgamma",
                             "aten::digamma",     "aten::floor",    "aten::ceil",     "aten::round",
                             "aten::trunc",       "aten::relu6",    "aten::hardtanh", "aten::leaky_relu"},
                            [] {
                              return call(draw::tensor(draw::boolean() ? draw::floats : draw::real_or_bool));
                            });
const checks of_floats({"aten::frac", "aten::hardswish", "aten::hardsigmoid", "aten::gelu", "aten::mish",
                        "aten::elu", "aten::selu", "aten::celu", "aten::softplus", "aten::softshrink",
                        "aten::hardshrink", "aten::log_sigmoid"},
                       [] { return call(draw::tensor(draw::floats)); });
const checks of_ints({"aten::bitwise_not"}, [] {
  return call(draw::tensor(draw::once_in(4) ? draw::dtypes{at::kBool} : draw::ints));
});
const checks thresholds({"aten::threshold"}, [] { return call(draw::tensor(draw::real), 1, 2.5); });
const checks fill_number({"aten::fill.Scalar"}, [] { return with_number(draw::any); });
const checks fill_tensor({"aten::fill.Tensor"}, [] {
  auto x = draw::tensor(draw::any);
  return call(x, draw::tensor(ints{}, draw::any));
});

const checks choice({"aten::where.self"}, [] {
  auto c = three(draw::any, draw::boolean());
  const auto& m = c.args[0]->toTensor();
  c.args[0] = draw::tensor(m.sizes().vec(), draw::once_in(8) ? at::kByte : at::kBool);
  return c;
});
const checks choice_other({"aten::where.ScalarOther"}, [] {
  const auto s = draw::shape();
  auto c = draw::tensor(draw::broadcastable(s), at::kBool);
  auto x = draw::tensor(draw::broadcastable(s), draw::any);
  return call(c, x, draw::number());
});
const checks choice_self({"aten::where.ScalarSelf"}, [] {
  const auto s = draw::shape();
  auto c = draw::tensor(draw::broadcastable(s), at::kBool);
  auto x = draw::number();
  return call(c, x, draw::tensor(draw::broadcastable(s), draw::any));
});
const checks choice_of_numbers({"aten::where.Scalar"}, [] {
  auto c = draw::tensor({at::kBool});
  auto x = draw::number();
  return call(c, x, draw::number());
});

const checks clamps({"aten::clamp", "aten::clip"}, [] {
  auto x = draw::tensor(draw::real);
  const auto end = [] { return draw::once_in(3) ? c10::IValue() : draw::number(); };
  auto lo = end();
  return call(x, lo, end());
});
const checks clamps_by_tensors({"aten::clamp.Tensor"}, [] {
  auto c = three(draw::real, draw::boolean());
  for (std::size_t i : {1, 2})
    if (draw::once_in(4))
      c.args[i] = c10::IValue();
  return c;
});
const checks ternary({"aten::addcmul", "aten::addcdiv"}, [] { return three(draw::any, draw::boolean()); });
const checks lerps({"aten::lerp.Tensor"}, [] { return three(draw::floats, !draw::once_in(4)); });
const checks lerps_by_number({"aten::lerp.Scalar"}, [] {
  const auto t = draw::one_of(draw::floats);
  const auto s = draw::shape();
  auto x = draw::tensor(draw::broadcastable(s), t);
  return call(x, draw::tensor(draw::broadcastable(s), t), 0.5);
});
const checks prelus({"aten::prelu"}, [] {
  auto x = draw::tensor(draw::floats);
  const auto n = draw::boolean() || x.dim() < 2 ? 1 : x.size(1);
  return call(x, draw::tensor(ints{n}, x.scalar_type()));
});
const checks prelu_kernels({"aten::_prelu_kernel"}, [] {
  const auto s = draw::shape();
  auto x = draw::tensor(draw::broadcastable(s), draw::floats);
  return call(x, draw::tensor(draw::broadcastable(s), x.scalar_type()));
});
const checks glus({"aten::glu"}, [] {
  auto s = draw::shape(1);
  const auto d = draw::dim(static_cast<std::int64_t>(s.size()));
  s[static_cast<std::size_t>(d < 0 ? d + static_cast<std::int64_t>(s.size()) : d)] *= 2;
  return call(draw::tensor(s, draw::floats), d);
});

} // namespace

TEST_CASE("pointwise rules agree with LibTorch's kernels") {
  kernel_check::run_this_file(strides_of_one::compared);
}
