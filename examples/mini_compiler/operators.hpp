// SPDX-License-Identifier: BSL-1.0
// What a kernel can compute: a table from operators to C++ expressions, and the question whether a call fits.
//
// The idea: operators are types, so the table is checked where it is written. `$name` in an expression is an
// argument of the operator's schema; a name that the schema does not have, or an operator that does not work
// element by element, does not compile.
#pragma once

#include <espalier/ir/graph.hpp>
#include <espalier/schema/aten.hpp>
#include <espalier/support/side_table.hpp>

#include <string_view>
#include <utility>

namespace mini {

namespace es = espalier;
namespace aten = espalier::aten;

/// An operator, and the C++ expression of one element of its result.
struct kernel_expression {
  es::op_id op;
  std::string_view text;
};

/// The length of the name that `text` begins with.
constexpr std::size_t name_length(std::string_view text) {
  std::size_t n = 0;
  while (n != text.size() && (text[n] == '_' || (text[n] >= 'a' && text[n] <= 'z')))
    ++n;
  return n;
}

/// Whether every `$name` of an expression is an argument of `Op`.
template <es::op_type Op>
consteval bool names_arguments(std::string_view text) {
  // not text.find: under -fsanitize=undefined, g++ 12 calls its test for a null pointer no constant
  for (std::size_t at = 0; at != text.size(); ++at) {
    if (text[at] != '$')
      continue;
    const auto name = text.substr(at + 1, name_length(text.substr(at + 1)));
    bool known = false;
    for (const auto& a : es::op_traits<Op>::schema.args)
      known = known || a.name == name;
    if (!known)
      return false;
  }
  return true;
}

/// A row of the table.
template <es::op_type Op, es::fixed_string Text>
consteval kernel_expression computes() {
  static_assert(
      es::op_traits<Op>::flags.pointwise,
      "mini_compiler: a row of kernel_expressions requires an operator that works element by element; leave "
      "others to LibTorch");
  static_assert(
      names_arguments<Op>(Text.view()),
      "mini_compiler: a $name in the expression is no argument of the operator; write those of its schema");
  return {es::id_of<Op>(), Text.view()};
}

// Left out on purpose: what has no formula that a compiler can vectorise (logarithms, sines, powers). A loop
// over a call of libm would be slower than LibTorch's own kernels.
inline constexpr kernel_expression kernel_expressions[] = {
    computes<aten::add_Tensor, "$self + $alpha * $other">(),
    computes<aten::add_Scalar, "$self + $alpha * $other">(),
    computes<aten::sub_Tensor, "$self - $alpha * $other">(),
    computes<aten::sub_Scalar, "$self - $alpha * $other">(),
    computes<aten::mul_Tensor, "$self * $other">(),
    computes<aten::mul_Scalar, "$self * $other">(),
    computes<aten::div_Tensor, "$self / $other">(),
    computes<aten::div_Scalar, "$self / $other">(),
    computes<aten::neg, "-$self">(),
    computes<aten::abs, "std::abs($self)">(),
    computes<aten::reciprocal, "T(1) / $self">(),
    computes<aten::sqrt, "std::sqrt($self)">(),
    computes<aten::rsqrt, "T(1) / std::sqrt($self)">(),
    computes<aten::exp, "math::exp($self)">(),
    computes<aten::expm1, "math::expm1($self)">(),
    computes<aten::tanh, "math::tanh($self)">(),
    computes<aten::sigmoid, "math::sigmoid($self)">(),
    computes<aten::erf, "math::erf($self)">(),
    computes<aten::relu, "math::at_least($self, T(0))">(),
    computes<aten::maximum, "math::maximum($self, $other)">(),
    computes<aten::minimum, "math::minimum($self, $other)">(),
    computes<aten::clamp, "math::at_most(math::at_least($self, $min), $max)">(),
    computes<aten::clamp_min, "math::at_least($self, $min)">(),
    computes<aten::clamp_max, "math::at_most($self, $max)">(),
    computes<aten::floor, "std::floor($self)">(),
    computes<aten::ceil, "std::ceil($self)">(),
    computes<aten::gt_Tensor, "$self > $other">(),
    computes<aten::gt_Scalar, "$self > $other">(),
    computes<aten::ge_Tensor, "$self >= $other">(),
    computes<aten::ge_Scalar, "$self >= $other">(),
    computes<aten::lt_Tensor, "$self < $other">(),
    computes<aten::lt_Scalar, "$self < $other">(),
    computes<aten::le_Tensor, "$self <= $other">(),
    computes<aten::le_Scalar, "$self <= $other">(),
    computes<aten::eq_Tensor, "$self == $other">(),
    computes<aten::eq_Scalar, "$self == $other">(),
    computes<aten::ne_Tensor, "$self != $other">(),
    computes<aten::ne_Scalar, "$self != $other">(),
    computes<aten::logical_not, "!$self">(),
    computes<aten::logical_and, "$self && $other">(),
    computes<aten::logical_or, "$self || $other">(),
    computes<aten::where_self, "$condition ? T($self) : T($other)">(),
    computes<aten::masked_fill_Scalar, "$mask ? T($value) : T($self)">(),
};

/// Whether kernels can compute an operator.
template <es::op_type Op>
consteval bool has_expression() {
  for (const auto& row : kernel_expressions)
    if (row.op == es::id_of<Op>())
      return true;
  return false;
}
/// A call that a rewrite makes for kernels: an operator that no kernel computes would keep the calls around
/// it apart.
template <es::op_type Op>
constexpr auto compute(auto& builder, auto... args) {
  static_assert(has_expression<Op>(),
                "mini_compiler: compute<OP>(...) requires an operator that kernels have an expression "
                "for; add a row computes<OP, \"...\">() to kernel_expressions");
  return builder.template call<Op>(args...);
}

/// The expression of an operator; empty when it has none.
inline std::string_view expression_of(es::op_id op) {
  static const auto table = [] {
    es::side_table<es::op_id, std::string_view> t;
    for (const auto& row : kernel_expressions)
      t[row.op] = row.text;
    return t;
  }();
  return table[op];
}

/// Types that kernels compute in; masks go in and out beside them.
constexpr bool is_real(es::scalar_type t) { return t == es::scalar_type::f32 || t == es::scalar_type::f64; }

/// What a kernel would have to be to compute a call: its element type, or why there is none.
struct fit {
  es::scalar_type element = es::scalar_type::b8;
  std::string_view refused_for{}; ///< empty: it fits
  explicit operator bool() const { return refused_for.empty(); }
};

/// Asks of one call what a kernel needs: one dense row-major result on the CPU, one real element type.
inline fit fit_of(es::node n) {
  if (n.kind() != es::node_kind::call_function || expression_of(n.op()).empty())
    return {.refused_for = "no expression"};
  fit f;
  const auto refuse = [](std::string_view why) { return fit{.refused_for = why}; };
  const auto take = [&f](es::scalar_type t) { // one real type, any number of masks
    if (t == es::scalar_type::b8 || t == f.element)
      return true;
    if (!is_real(t) || f.element != es::scalar_type::b8)
      return false;
    f.element = t;
    return true;
  };
  const es::value_meta& m = n.result().meta();
  if (m.kind != es::value_kind::tensor)
    return refuse("unknown shape");
  if (m.tensor.lay != es::layout::strided || m.tensor.dev.type != es::cpu_device.type)
    return refuse("device or layout");
  if (m.tensor.strides != es::contiguous_strides(m.tensor.sizes))
    return refuse("result not row-major");
  if (!take(m.tensor.dtype))
    return refuse("element type");
  for (std::size_t i = 0; i != n.num_args(); ++i) {
    const es::arg_view a = n.arg(i);
    if (a.form() == es::arg_form::symbolic || a.form() == es::arg_form::complex)
      return refuse("number not known");
    if (!a.is_value())
      continue;
    const es::value_meta& operand = a.as_value().meta();
    if (operand.kind != es::value_kind::tensor)
      return refuse("number not known");
    if (operand.tensor.dev.type != es::cpu_device.type || operand.tensor.lay != es::layout::strided)
      return refuse("device or layout");
    if (!take(operand.tensor.dtype))
      return refuse("element type");
  }
  return is_real(f.element) ? f : refuse("element type");
}

} // namespace mini
