// SPDX-License-Identifier: BSL-1.0
// Operators that are not ATen's: Python's builtins on symbolic sizes
// (`_operator.add`, `math.ceil`, `torch.sym_max`) as types with schemas of our
// own, and higher-order operators, which have none. And the targets by which
// archives name operators. The lists (of `torch/_export/verifier.py` and
// `torch/_higher_order_ops`) are part of the generated table, so that ids and
// flags of all these are constants.
#pragma once

#include <espalier/schema/op_id.hpp>
#include <espalier/schema/op_traits.hpp>

#include <string>
#include <string_view>

namespace espalier {

/// Builtins on sizes, as operator types.
namespace builtin {
using add = op<"_operator::add(Scalar a, Scalar b) -> Scalar">;
using sub = op<"_operator::sub(Scalar a, Scalar b) -> Scalar">;
using mul = op<"_operator::mul(Scalar a, Scalar b) -> Scalar">;
using truediv = op<"_operator::truediv(Scalar a, Scalar b) -> SymFloat">;
using floordiv = op<"_operator::floordiv(Scalar a, Scalar b) -> Scalar">;
using mod = op<"_operator::mod(Scalar a, Scalar b) -> Scalar">;
using pow = op<"_operator::pow(Scalar a, Scalar b) -> Scalar">;
using neg = op<"_operator::neg(Scalar a) -> Scalar">;
using pos = op<"_operator::pos(Scalar a) -> Scalar">;
using abs = op<"_operator::abs(Scalar a) -> Scalar">;
using lshift = op<"_operator::lshift(SymInt a, SymInt b) -> SymInt">;
using rshift = op<"_operator::rshift(SymInt a, SymInt b) -> SymInt">;
using eq = op<"_operator::eq(Scalar a, Scalar b) -> SymBool">;
using ne = op<"_operator::ne(Scalar a, Scalar b) -> SymBool">;
using lt = op<"_operator::lt(Scalar a, Scalar b) -> SymBool">;
using le = op<"_operator::le(Scalar a, Scalar b) -> SymBool">;
using gt = op<"_operator::gt(Scalar a, Scalar b) -> SymBool">;
using ge = op<"_operator::ge(Scalar a, Scalar b) -> SymBool">;
using and_ = op<"_operator::and_(Scalar a, Scalar b) -> Scalar">;
using or_ = op<"_operator::or_(Scalar a, Scalar b) -> Scalar">;
using not_ = op<"_operator::not_(Scalar a) -> SymBool">;
using getitem = op<"_operator::getitem(Any a, Any b) -> Any">;
using ceil = op<"math::ceil(Scalar a) -> SymInt">;
using floor = op<"math::floor(Scalar a) -> SymInt">;
using trunc = op<"math::trunc(Scalar a) -> SymInt">;
using round = op<"builtins::round(Scalar a) -> SymInt">;
using sym_int = op<"torch::sym_int(Scalar a) -> SymInt">;
using sym_float = op<"torch::sym_float(Scalar a) -> SymFloat">;
using sym_ite = op<"torch::sym_ite(SymBool b, Scalar t, Scalar f) -> Scalar">;
using sym_max = op<"torch::sym_max(Scalar a, Scalar b) -> Scalar">;
using sym_min = op<"torch::sym_min(Scalar a, Scalar b) -> Scalar">;
using sym_not = op<"torch::sym_not(SymBool a) -> SymBool">;
using sym_sqrt = op<"torch::_sym_sqrt(Scalar a) -> SymFloat">;
using sym_sum = op<"torch::sym_sum(Scalar[] args) -> Scalar">;
} // namespace builtin

/// The operator of a higher-order operator's name: `cond`, `while_loop`,
/// `wrap_with_set_grad_enabled`, ...
inline op_id higher_order_op(std::string_view name) {
  return intern_op("higher_order::" + std::string(name), {});
}

/// The operator that an archive's target names: `torch.ops.aten.add.Tensor`,
/// `torch.ops.higher_order.cond`,
/// `_operator.add`, `math.ceil`, `torch.sym_max`. Unknown operators become
/// known without a schema. Throws on a text that cannot be a target.
inline op_id op_of_target(std::string_view target) {
  constexpr std::string_view ops = "torch.ops.", higher = "higher_order.";
  const auto refuse = [&] {
    fail(error_kind::usage, "'" + std::string(target) + "' names no operator", "target",
         "write torch.ops.NAMESPACE.NAME.OVERLOAD, or MODULE.FUNCTION for a "
         "builtin");
  };
  if (target.starts_with(ops)) {
    auto rest = target.substr(ops.size());
    if (rest.starts_with(higher))
      return higher_order_op(rest.substr(higher.size()));
    const auto dot = rest.find('.');
    if (dot == 0 || dot == rest.npos || dot + 1 == rest.size())
      refuse();
    std::string qualified(rest.substr(0, dot));
    qualified += "::";
    qualified += rest.substr(dot + 1);
    return intern_op(qualified, {});
  }
  const auto dot = target.rfind('.');
  if (dot == 0 || dot == target.npos || dot + 1 == target.size())
    refuse();
  std::string qualified(target.substr(0, dot));
  qualified += "::";
  qualified += target.substr(dot + 1);
  op_flags f;
  f.core = true; // a Python function on sizes, if one that the table does not list
  return intern_op(qualified, {}, f);
}

namespace detail {
/// Namespaces whose members are Python functions, not dispatcher operators.
constexpr bool is_python_namespace(std::string_view ns) noexcept {
  return ns == "_operator" || ns == "math" || ns == "builtins" || ns == "torch" || ns.find('.') != ns.npos;
}
} // namespace detail

/// `aten.add.Tensor`, `aten.relu.default`, `_operator.add`,
/// `higher_order.cond`: the short form that printers use.
inline std::string target_of(op_id o) {
  const auto q = name_of(o);
  const auto colons = q.find("::");
  if (colons == q.npos)
    return std::string(q);
  std::string out(q.substr(0, colons));
  const bool plain = detail::is_python_namespace(out) || out == "higher_order";
  out += '.';
  out += q.substr(colons + 2);
  if (!plain && q.find('.', colons) == q.npos)
    out += ".default";
  return out;
}
/// The target as archives write it: `torch.ops.aten.add.Tensor`,
/// `_operator.add`. The inverse of `op_of_target`.
inline std::string serialized_target(op_id o) {
  const auto q = name_of(o);
  const auto ns = q.substr(0, q.find("::"));
  return detail::is_python_namespace(ns) ? target_of(o) : "torch.ops." + target_of(o);
}

} // namespace espalier
