// SPDX-License-Identifier: BSL-1.0
// Shape inference over a graph: after a pass that builds calls without saying what their results are, or
// after the metas of the placeholders changed. What no rule tells stays as it was.
#pragma once

#include <espalier/ir/infer.hpp>
#include <espalier/pipeline/pass.hpp>
#include <espalier/pipeline/pass_context.hpp>
#include <espalier/pipeline/pass_result.hpp>
#include <espalier/pipeline/properties.hpp>
#include <espalier/support/vector.hpp>

#include <string>
#include <string_view>

namespace espalier {

/// Asks the shape rules of all calls, in program order, subgraphs included. Counts the calls without a rule
/// (`no rule`), those with an argument of which nothing is known (`unknown argument`) and those whose rule
/// would have to decide a condition on symbols (`undecided`); they keep their metas. Whether a value requires
/// a gradient is not asked anew. When the result of one of them is unknown, the pass throws `error`
/// (unsupported) at the end, because it could not establish what it promises. Linear.
struct infer_shapes : pass {
  static constexpr std::string_view name = "infer_shapes";
  static constexpr std::string_view statistics[] = {"no rule", "unknown argument", "undecided"};
  static constexpr std::string_view description = "tells the values' types anew by the shape rules";
  using establishes = properties<property::shapes_known>;
  using destroys = properties<property::canonical>; // rules of metas may hold now

  template <class = when_used>
  static constexpr pass_result run(graph_storage& g, pass_context& c) {
    node_id unknown{};
    const graph_storage* where = nullptr;
    const pass_result done = run(g, c, where, unknown);
    if (where)
      fail(error_kind::unsupported, "nothing is known of a result: its operator has no shape rule",
           "node '" + std::string(where->text(where->node_name(unknown))) + "' (" +
               std::string(name_of(where->op(unknown))) + ")",
           "register one (register_rule<Op>()), or set the meta by hand");
    return done;
  }

private:
  template <class = when_used>
  static constexpr pass_result run(graph_storage& g, pass_context& c, const graph_storage*& where,
                                   node_id& unknown) {
    pass_result done;
    for (std::size_t i = 0; i != g.num_subgraphs(); ++i)
      done += run(g.subgraph(i), c, where, unknown);
    vector<meta_id> before;
    for (node_id n = g.first(); n.valid(); n = g.next(n)) {
      if (g.kind(n) == node_kind::call_function) {
        before.clear();
        for (std::size_t i = 0; i != g.num_results(n); ++i)
          before.push_back(g.meta_of(g.result(n, i)));
        infer(g, n, c);
        bool changed = false;
        for (std::size_t i = 0; i != g.num_results(n); ++i)
          changed = settle(g, g.result(n, i), before[i]) || changed;
        done.rewritten += changed;
      }
      for (std::size_t i = 0; i != g.num_results(n) && !where; ++i)
        if (g.meta(g.result(n, i)).kind == value_kind::unknown) {
          where = &g;
          unknown = n;
        }
    }
    return done;
  }

  template <class = when_used>
  static constexpr void infer(graph_storage& g, node_id n, pass_context& c) {
    try {
      switch (infer_metas(g, n)) {
      case inferred::done:
        break;
      case inferred::no_rule:
        c.count("no rule");
        break;
      case inferred::unknown_input:
        c.count("unknown argument");
        break;
      }
    } catch (const error& e) {
      if (e.kind() != error_kind::unsupported)
        throw e.within("node '" + std::string(g.text(g.node_name(n))) + "'");
      c.count("undecided");
    }
  }
  /// Keeps what the rules do not speak of. Whether anything changed.
  static constexpr bool settle(graph_storage& g, value_id v, meta_id before) {
    if (g.meta_of(v) == before)
      return false;
    if (before.valid()) {
      const value_meta& old = g.get_meta(before);
      value_meta now = g.meta(v);
      if (old.kind == value_kind::tensor && now.kind == value_kind::tensor)
        now.tensor.requires_grad = old.tensor.requires_grad;
      if (old.kind == now.kind && old.kind == value_kind::sym_int && old.symbol == now.symbol) {
        now.has_hint = old.has_hint;
        now.hint = old.hint;
      }
      g.set_meta(v, now);
    }
    return g.meta_of(v) != before;
  }
};

} // namespace espalier
