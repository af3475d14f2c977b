// SPDX-License-Identifier: BSL-1.0
// Sinking: what one node alone uses is computed right before that node, so that it lives no longer than it
// must, and so that patterns on neighbours (fusion, delegation) find it there.
#pragma once

#include <espalier/pipeline/analyses/purity.hpp>
#include <espalier/pipeline/analyses/use_counts.hpp>
#include <espalier/pipeline/order.hpp>
#include <espalier/pipeline/pass.hpp>
#include <espalier/pipeline/pass_result.hpp>
#include <espalier/pipeline/properties.hpp>
#include <espalier/support/vector.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

namespace espalier {

/// Moves every node that may move and has a single user to right before that user, after what the user needs
/// in earlier arguments; chains and trees sink as a whole. Subgraphs each by themselves. Counts the nodes
/// that moved. Linear.
struct sink : pass {
  static constexpr std::string_view name = "sink";
  static constexpr std::string_view description = "moves a call with one user down to it";
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
    vector<std::uint8_t> sinks(g.node_capacity());
    for (node_id n = g.first(); n.valid(); n = g.next(n))
      sinks[n.index] = only_user(g, n).valid() && detail::may_move(g, n, classes, memory);
    vector<node_id> order;
    order.reserve(g.num_nodes());
    struct step {
      node_id n;
      std::size_t looked_at; // slots
    };
    vector<step> path;
    for (node_id root = g.first(); root.valid(); root = g.next(root)) {
      if (sinks[root.index] == 1)
        continue; // comes with its user
      path.push_back({root, 0});
      while (!path.empty()) {
        auto& [n, at] = path.back();
        const auto slots = g.slots(n);
        if (at == slots.size()) {
          order.push_back(n);
          path.pop_back();
          continue;
        }
        const auto& x = slots[at++];
        if (!x.is_use())
          continue;
        const node_id operand = g.def(value_id{x.w0});
        if (sinks[operand.index] != 1)
          continue;
        sinks[operand.index] = 2; // once, however often it is used
        path.push_back({operand, 0});
      }
    }
    done.rewritten += g.reorder(order);
    return done;
  }

  /// The node that all uses of a node's results are in; invalid when there are none or several.
  template <class = when_used>
  static constexpr node_id only_user(const graph_storage& g, node_id n) {
    node_id user{};
    for (std::size_t i = 0; i != g.num_results(n); ++i)
      for (slot_id u = g.first_use(g.result(n, i)); u.valid(); u = g.next_use(u)) {
        if (user.valid() && g.user(u) != user)
          return {};
        user = g.user(u);
      }
    return user;
  }
};

} // namespace espalier
