// SPDX-License-Identifier: BSL-1.0
// Metas of a call from the metas of its arguments, by the operator's shape rule: what a builder or a rewrite
// uses to say what its new values are.
#pragma once

#include <espalier/ir/storage.hpp>
#include <espalier/meta/rules.hpp>
#include <espalier/schema/op_id.hpp>
#include <espalier/support/span.hpp>
#include <espalier/support/vector.hpp>

#include <cstddef>
#include <type_traits>
#include <utility>

namespace espalier {

/// Whether the metas of a call could be told.
enum class inferred : unsigned char {
  done,
  no_rule,      ///< the operator has no shape rule, or none for these arguments
  unknown_input ///< nothing is known of an argument
};

namespace detail {

/// The arguments of a node as a shape rule sees them. Valid as long as the graph's metas do not change.
template <class = when_used>
class node_meta_args {
public:
  /// False when nothing is known of an argument.
  constexpr bool read(const graph_storage& g, node_id n) {
    args_.clear();
    lists_.clear();
    known_ = true;
    for (std::size_t i = 0; i != g.num_args(n); ++i)
      args_.push_back(convert(g, n, g.arg_slot(n, i)));
    return known_;
  }
  constexpr span<const meta_arg> args() const noexcept { return args_; }

private:
  constexpr meta_arg convert(const graph_storage& g, node_id n, slot_id s) {
    const slot& x = g.slot(s);
    switch (x.form()) {
    case arg_form::absent:
      return {};
    case arg_form::none:
      return meta_arg(std::nullopt);
    case arg_form::value: {
      const value_meta& m = g.meta(value_id{x.w0});
      if (m.kind == value_kind::tensor)
        return meta_arg(m.tensor);
      if (m.kind == value_kind::sym_int)
        return meta_arg(m.symbol);
      known_ = known_ && m.kind == value_kind::none;
      return meta_arg(std::nullopt);
    }
    case arg_form::integer:
      return meta_arg(sym_int(x.bits()));
    case arg_form::symbolic:
      return meta_arg(sym_int(g.symbol(x.w2)));
    case arg_form::floating:
      return meta_arg(std::bit_cast<double>(x.bits()));
    case arg_form::boolean:
      return meta_arg(x.bits() != 0);
    case arg_form::string:
      return meta_arg(g.text(str_id{x.w2}));
    case arg_form::scalar_type:
      return meta_arg(static_cast<scalar_type>(x.bits()));
    case arg_form::layout:
      return meta_arg(static_cast<layout>(x.bits()));
    case arg_form::memory_format:
      return meta_arg(static_cast<memory_format>(x.bits()));
    case arg_form::device: {
      const auto b = x.bits();
      return meta_arg(device{static_cast<std::int8_t>(b & 0xff), static_cast<std::int8_t>(b >> 8)});
    }
    case arg_form::complex: {
      meta_arg a;
      a.form = meta_form::complex;
      return a;
    }
    case arg_form::list: {
      const auto [first, count] = g.elements(n, s);
      vector<meta_arg> items;
      for (std::size_t i = 0; i != count; ++i)
        items.push_back(convert(g, n, slot_id{first.index + static_cast<std::uint32_t>(i)}));
      lists_.push_back(std::move(items));
      return meta_arg(span<const meta_arg>(lists_.back()));
    }
    default: {
      meta_arg a;
      a.form = meta_form::other;
      return a;
    }
    }
  }
  vector<meta_arg> args_;
  vector<vector<meta_arg>> lists_; // their elements stay where they are when a list moves
  bool known_ = true;
};

template <class = when_used>
constexpr inferred infer_metas(graph_storage& g, node_id n, rule_fn rule, const op_schema* schema) {
  node_meta_args args;
  if (!args.read(g, n))
    return inferred::unknown_input;
  const rule_result r = rule(rule_args(g.op(n), schema, args.args()));
  if (r.outputs.size() != g.num_results(n))
    return inferred::no_rule;
  for (std::size_t i = 0; i != r.outputs.size(); ++i) {
    const rule_output& o = r.outputs[i];
    if (o.kind == rule_output::kind_type::tensor)
      g.set_meta(g.result(n, i), value_meta(o.tensor));
    else if (o.kind == rule_output::kind_type::integer)
      g.set_meta(g.result(n, i), value_meta::of(value_kind::sym_int, o.number));
    else if (o.kind == rule_output::kind_type::none)
      g.set_meta(g.result(n, i), value_meta::of(value_kind::none));
  }
  return inferred::done;
}

} // namespace detail

/// Asks the shape rule of a call for the metas of its results and records them. A rule that refuses the
/// arguments throws `error`, as the operator would. Constant evaluation knows the rules of ATen's operators,
/// but for those that return what they write to.
template <class = when_used>
constexpr inferred infer_metas(graph_storage& g, node_id n) {
  if (g.kind(n) != node_kind::call_function)
    return inferred::no_rule;
  const op_id o = g.op(n);
  if (std::is_constant_evaluated()) {
    if (o.index >= detail::num_aten_ops || !detail::aten_rules<>.has[o.index])
      return inferred::no_rule;
    return detail::infer_metas(g, n, detail::aten_rules<>.at[o.index], detail::parsed_schema(o).get());
  }
  const rule_fn rule = rule_for(o);
  return rule ? detail::infer_metas(g, n, rule, schema_of(o)) : inferred::no_rule;
}

} // namespace espalier
