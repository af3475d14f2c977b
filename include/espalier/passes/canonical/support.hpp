// SPDX-License-Identifier: BSL-1.0
// What canonicalisation rules ask before they take a value for another one: are the two the same tensor as
// far as anybody can tell, and does a program's caller see the difference in which results share memory.
#pragma once

#include <espalier/ir/view.hpp>
#include <espalier/pipeline/analyses/effects.hpp>
#include <espalier/rewrite/driver.hpp>
#include <espalier/schema/aten.hpp>
#include <espalier/support/optional.hpp>

#include <cstddef>
#include <utility>

namespace espalier::detail {

constexpr bool is_tensor(value v) noexcept { return v.meta().kind == value_kind::tensor; }

/// Both are known, and agree in all that a reader can see: dtype, sizes, strides, offset, device, layout.
/// Sizes with symbols agree when they are the same expressions.
constexpr bool same_tensor(value a, value b) {
  if (!is_tensor(a) || !is_tensor(b))
    return false;
  const auto &p = a.tensor(), &q = b.tensor();
  return p.dtype == q.dtype && p.sizes == q.sizes && p.strides == q.strides &&
         p.storage_offset == q.storage_offset && p.dev == q.dev && p.lay == q.lay;
}

/// Whether an operator's results may share memory with its arguments.
constexpr bool may_alias(op_id o) {
  const op_flags f = flags_of(o);
  if (f.view || f.mutates || f.random || f.higher_order || !f.known_schema)
    return true;
  if (f.core)
    return false;
  const auto c = classify(o); // composites that do not say it
  return c != call_class::plain && c != call_class::effect && c != call_class::norm;
}

/// How many uses a rule looks at before it takes the worst for granted: rules stay O(1).
inline constexpr std::size_t uses_looked_at = 64;

/// Whether the memory of `v` may reach an output of its graph, through views or whatever may be one.
constexpr bool may_escape(const graph_storage& g, value_id v, std::size_t& budget) {
  for (slot_id u = g.first_use(v); u.valid(); u = g.next_use(u)) {
    if (budget == 0)
      return true;
    --budget;
    const node_id n = g.user(u);
    if (g.kind(n) == node_kind::output)
      return true;
    if (!may_alias(g.op(n)))
      continue;
    for (std::size_t i = 0; i != g.num_results(n); ++i)
      if (may_escape(g, g.result(n, i), budget))
        return true;
  }
  return false;
}
constexpr bool may_escape(value v) {
  std::size_t budget = uses_looked_at;
  return may_escape(v.graph(), v.id(), budget);
}

/// Whether `v` is made by a call that gives it memory of its own.
constexpr bool owns_memory(value v) {
  return v.def().kind() == node_kind::call_function && !may_alias(v.def().op());
}

/// Whether `x` may stand for `r`, which has the same elements in memory of its own: nobody outside can tell,
/// because `r` stays inside, or because `x` is used by nothing but the calls that lead to `r`.
constexpr bool may_share(value r, value x) { return !may_escape(r) || (owns_memory(x) && x.has_one_use()); }

/// Whether `x` may stand for `r`, a view of the very same elements. As an output it would become the tensor
/// that an input or another output is; there it stays a view.
constexpr bool may_merge(value r, value x) {
  const auto is_output = [](value v) {
    std::size_t budget = uses_looked_at;
    for (node u : v.users())
      if (budget-- == 0 || u.kind() == node_kind::output)
        return true;
    return false;
  };
  return !is_output(r) || (x.def().kind() == node_kind::call_function && !is_output(x));
}

/// A pattern of a call of `Op` whose first argument is `first`, whatever the others are.
template <op_type Op, pattern_type First>
constexpr auto any_call(First first) {
  return [&]<std::size_t... I>(std::index_sequence<I...>) {
    return pattern<Op>(first, ((void)I, anything)...);
  }
  (std::make_index_sequence<op_traits<Op>::arity - 1>{});
}

/// What a rule built, when it has the meta of what it is to replace; else nothing.
constexpr optional<value> if_same(value built, node root) {
  if (!is_tensor(root.result()) || same_tensor(built, root.result()))
    return built;
  return std::nullopt;
}

/// A number written into the graph; nothing for anything else.
constexpr optional<double> constant_number(const arg_view& a) {
  if (a.form() == arg_form::integer || a.form() == arg_form::floating)
    return a.as_double();
  return std::nullopt;
}
constexpr bool is_one(const arg_view& a) { return a.form() == arg_form::absent || constant_number(a) == 1.0; }

/// The number that a tensor is filled with, when it is made by `ones`, `zeros`, `full` or their likes.
constexpr optional<double> filled_with(value v) {
  const node n = v.def();
  if (n.kind() != node_kind::call_function)
    return std::nullopt;
  const op_id o = n.op();
  if (o == id_of<aten::ones>() || o == id_of<aten::ones_like>())
    return 1.0;
  if (o == id_of<aten::zeros>() || o == id_of<aten::zeros_like>())
    return 0.0;
  if (o == id_of<aten::full>() || o == id_of<aten::full_like>())
    return constant_number(n.arg(1));
  if (o == id_of<aten::scalar_tensor>())
    return constant_number(n.arg(0));
  return std::nullopt;
}

namespace canonical { // names in the patterns of the rules
inline constexpr auto x = capture<"x">;
inline constexpr auto y = capture<"y">;
inline constexpr auto inner = capture<"inner">;
} // namespace canonical

} // namespace espalier::detail
