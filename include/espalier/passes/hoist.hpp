// SPDX-License-Identifier: BSL-1.0
// Hoisting: everything is computed as soon as what it needs is there. What depends on parameters alone comes
// first, where it can be folded or computed once; chains that are independent of each other interleave.
#pragma once

#include <espalier/pipeline/analyses/purity.hpp>
#include <espalier/pipeline/analyses/use_counts.hpp>
#include <espalier/pipeline/order.hpp>
#include <espalier/pipeline/pass.hpp>
#include <espalier/pipeline/pass_result.hpp>
#include <espalier/pipeline/properties.hpp>
#include <espalier/support/vector.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace espalier {

/// Moves every node that may move to right after the last of its operands, behind those that stood before it
/// and wait for the same; what has no operands comes after the placeholders. Subgraphs each by themselves.
/// Counts the nodes that moved. O(nodes + uses), and a sort of the users that one node sets free.
struct hoist : pass {
  static constexpr std::string_view name = "hoist";
  static constexpr std::string_view description = "moves calls up to what they use";
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
    detail::alias_classes memory(g, classes);
    vector<std::uint32_t> waits_for(g.node_capacity(), fixed); // uses that are not there yet
    for (node_id n = g.first(); n.valid(); n = g.next(n)) {
      if (!detail::may_move(g, n, classes, memory))
        continue;
      std::uint32_t uses = 0;
      for (auto& x : g.slots(n))
        uses += x.is_use();
      waits_for[n.index] = uses;
    }
    vector<node_id> order;
    order.reserve(g.num_nodes());
    std::size_t at = 0; // nodes before it have set their users free
    const auto settle = [&] {
      for (; at != order.size(); ++at) {
        const std::size_t begin = order.size();
        const node_id n = order[at];
        for (std::size_t i = 0; i != g.num_results(n); ++i)
          for (slot_id u = g.first_use(g.result(n, i)); u.valid(); u = g.next_use(u)) {
            auto& left = waits_for[g.user(u).index];
            if (left != fixed && --left == 0)
              order.push_back(g.user(u));
          }
        std::sort(order.begin() + static_cast<std::ptrdiff_t>(begin), order.end(),
                  [&](node_id a, node_id b) { return g.is_before(a, b); });
      }
    };
    for (node_id n = g.first(); n.valid(); n = g.next(n))
      if (g.kind(n) == node_kind::placeholder)
        order.push_back(n);
    for (node_id n = g.first(); n.valid(); n = g.next(n))
      if (waits_for[n.index] == 0)
        order.push_back(n);
    settle();
    for (node_id n = g.first(); n.valid(); n = g.next(n))
      if (waits_for[n.index] == fixed && g.kind(n) != node_kind::placeholder) {
        order.push_back(n);
        settle();
      }
    done.rewritten += g.reorder(order);
    return done;
  }
  static constexpr std::uint32_t fixed = 0xffff'ffffu;
};

} // namespace espalier
