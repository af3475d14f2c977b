// SPDX-License-Identifier: BSL-1.0
// Topological sorting that keeps the given order where it can: a node moves only when something stands before
// it that it computes. Calls with effects, and calls that touch memory which is written to, keep their order
// among each other, because that order is part of what the program says.
#pragma once

#include <espalier/ir/storage.hpp>
#include <espalier/pipeline/analyses/purity.hpp>
#include <espalier/pipeline/analyses/use_counts.hpp>
#include <espalier/pipeline/order.hpp>
#include <espalier/pipeline/pass.hpp>
#include <espalier/pipeline/pass_result.hpp>
#include <espalier/pipeline/properties.hpp>
#include <espalier/support/vector.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace espalier {

/// Puts every definition before its uses, subgraphs included, and counts the nodes that moved. Throws `error`
/// (verification) with the nodes of a cycle. Linear.
struct sort : pass {
  static constexpr std::string_view name = "sort";
  static constexpr std::string_view description = "sorts topologically, keeping the order where it can";
  using establishes = properties<property::topologically_sorted>;
  using destroys = properties<>;
  using preserves = analyses<use_counts, purity>; // others follow the order

  template <class = when_used>
  static constexpr pass_result run(graph_storage& g) {
    detail::call_classes classes;
    return run(g, classes);
  }

private:
  template <class = when_used>
  static constexpr pass_result run(graph_storage& g, detail::call_classes& classes) {
    pass_result done;
    for (std::size_t i = 0; i != g.num_subgraphs(); ++i)
      done += run(g.subgraph(i), classes);
    if (is_sorted(g))
      return done;
    done.rewritten += g.reorder(sorted(g, fixed_before(g, classes)));
    return done;
  }

  template <class = when_used>
  static constexpr bool is_sorted(const graph_storage& g) {
    for (node_id n = g.first(); n.valid(); n = g.next(n))
      for (auto& x : g.slots(n))
        if (x.is_use() && !g.is_before(g.def(value_id{x.w0}), n))
          return false;
    return true;
  }

  /// The node that each node has to follow although it uses nothing of it; invalid for most.
  template <class = when_used>
  static constexpr vector<node_id> fixed_before(const graph_storage& g, detail::call_classes& classes) {
    detail::alias_classes memory(g, classes);
    vector<node_id> out(g.node_capacity());
    node_id last{};
    for (node_id n = g.first(); n.valid(); n = g.next(n)) {
      if (!is_fixed(g, n, classes, memory))
        continue;
      out[n.index] = last;
      last = n;
    }
    return out;
  }
  template <class = when_used>
  static constexpr bool is_fixed(const graph_storage& g, node_id n, detail::call_classes& classes,
                                 detail::alias_classes& memory) {
    switch (g.kind(n)) {
    case node_kind::placeholder: // first, as they are
      return true;
    case node_kind::call_function:
    case node_kind::call_higher_order:
      return !detail::may_move(g, n, classes, memory);
    default:
      return false;
    }
  }

  struct step {
    node_id n;
    std::size_t looked_at; // of its needs
  };
  /// A walk in depth, in the given order: what a node needs comes right before it.
  template <class = when_used>
  static constexpr vector<node_id> sorted(const graph_storage& g, const vector<node_id>& fixed) {
    enum : std::uint8_t { unseen, open, placed };
    vector<std::uint8_t> state(g.node_capacity(), unseen);
    vector<node_id> out;
    out.reserve(g.num_nodes());
    vector<step> path;
    const auto visit = [&](node_id root) {
      if (state[root.index] != unseen)
        return;
      state[root.index] = open;
      path.push_back({root, 0});
      while (!path.empty()) {
        auto& [n, at] = path.back();
        node_id need{};
        const auto slots = g.slots(n);
        if (at == 0) {
          need = fixed[n.index];
        } else if (at <= slots.size()) {
          if (slots[at - 1].is_use())
            need = g.def(value_id{slots[at - 1].w0});
        } else {
          state[n.index] = placed;
          out.push_back(n);
          path.pop_back();
          continue;
        }
        ++at;
        if (!need.valid() || state[need.index] == placed)
          continue;
        if (state[need.index] == open)
          refuse_cycle(g, path, need);
        state[need.index] = open;
        path.push_back({need, 0});
      }
    };
    for (node_id n = g.first(); n.valid(); n = g.next(n))
      if (g.kind(n) == node_kind::placeholder)
        visit(n);
    for (node_id n = g.first(); n.valid(); n = g.next(n))
      if (n != g.output_node())
        visit(n);
    if (g.output_node().valid())
      visit(g.output_node());
    return out;
  }

  template <class = when_used>
  [[noreturn]] static void refuse_cycle(const graph_storage& g, const vector<step>& path, node_id again) {
    const auto text = [&](node_id n) {
      const auto given = g.text(g.node_name(n));
      return "'" + (given.empty() ? "#" + std::to_string(n.index) : std::string(given)) + "'";
    };
    std::string nodes;
    for (std::size_t i = path.size(); i-- != 0;) { // from what is used to what uses it
      nodes += text(path[i].n) + " -> ";
      if (path[i].n == again)
        break;
    }
    const node_id first = path.back().n;
    fail(error_kind::verification, "the nodes form a cycle: " + nodes + text(first), "sort",
         "each needs the one before it, by its arguments or because both touch memory that is written to; "
         "undo the edit that closed the cycle");
  }
};

} // namespace espalier
