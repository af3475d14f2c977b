// SPDX-License-Identifier: BSL-1.0
// Dominance along the data flow: `a` dominates `b` when every path from where data enters the graph to `b`
// passes through `a`; `a` post-dominates `b` when every path from `b` to where data leaves passes through
// `a`. A region between a node and the node that post-dominates it can be outlined or recomputed as one.
//
// A graph in program order has no cycles, and then a node's immediate dominator is the nearest common
// ancestor, in the tree built so far, of the nodes it depends on: one walk, and no recursion. (Lengauer and
// Tarjan's algorithm, as Boost.Graph has it, recurses as deep as the graph and ends a process on a chain of
// 300,000 nodes; the tests hold this one against it.)
#pragma once

#include <espalier/ir/storage.hpp>
#include <espalier/support/error.hpp>
#include <espalier/support/vector.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace espalier {

/// The tree of immediate dominators. Its root is no node: data may enter (or leave) at several.
class dominator_tree {
public:
  /// The nearest node that dominates `n`, other than itself; invalid when none does.
  node_id immediate(node_id n) const noexcept { return as_node(parent_[n.index]); }
  /// Whether `a` dominates `b`; every node dominates itself. O(1).
  bool dominates(node_id a, node_id b) const noexcept {
    return enter_[a.index] <= enter_[b.index] && enter_[b.index] < leave_[a.index];
  }
  /// The nearest node that dominates both; invalid when none does. O(log depth).
  node_id common(node_id a, node_id b) const noexcept { return as_node(meet(a.index, b.index)); }
  /// Nodes on the way to the root, itself included.
  std::size_t depth(node_id n) const noexcept { return depth_[n.index]; }

private:
  friend struct dominance;
  friend struct post_dominance;
  static constexpr std::uint32_t unplaced = 0xffff'ffffu;

  explicit dominator_tree(std::size_t nodes)
      : root_(static_cast<std::uint32_t>(nodes)), parent_(nodes + 1, unplaced), jump_(nodes + 1, root_),
        depth_(nodes + 1, 0), enter_(nodes + 1, 0), leave_(nodes + 1, 0) {
    parent_[root_] = root_;
  }

  node_id as_node(std::uint32_t i) const noexcept { return i == root_ ? node_id{} : node_id{i}; }

  /// Adds a leaf. Beside its parent each node remembers a farther ancestor, such that any ancestor is O(log
  /// depth) steps away (Myers, "An applicative random-access stack", 1983).
  void place(std::uint32_t n, std::uint32_t parent) noexcept {
    parent_[n] = parent;
    depth_[n] = depth_[parent] + 1;
    const std::uint32_t j = jump_[parent];
    jump_[n] = depth_[parent] - depth_[j] == depth_[j] - depth_[jump_[j]] ? jump_[j] : parent;
  }
  std::uint32_t meet(std::uint32_t a, std::uint32_t b) const noexcept {
    if (depth_[a] < depth_[b])
      return meet(b, a);
    while (depth_[a] > depth_[b])
      a = depth_[jump_[a]] >= depth_[b] ? jump_[a] : parent_[a];
    while (a != b) {
      const bool far = jump_[a] != jump_[b]; // at equal depths, jumps are equally long
      a = far ? jump_[a] : parent_[a];
      b = far ? jump_[b] : parent_[b];
    }
    return a;
  }

  /// Numbers the tree in preorder; `order` has parents before children, so that no stack is needed.
  template <class = when_used>
  void number(const vector<node_id>& order) {
    auto& size = leave_;
    for (auto n = order.rbegin(); n != order.rend(); ++n)
      size[parent_[n->index]] += ++size[n->index];
    vector<std::uint32_t> free(parent_.size(), 0); // the next number below a node
    for (const node_id n : order) {
      enter_[n.index] = free[parent_[n.index]];
      free[parent_[n.index]] += size[n.index];
      free[n.index] = enter_[n.index] + 1;
      leave_[n.index] = enter_[n.index] + size[n.index];
    }
  }

  /// The tree over nodes from `first` on along `next`; `each_source` names those that a node hangs on, which
  /// must stand before it.
  template <class Next, class EachSource>
  static dominator_tree grow(const graph_storage& g, node_id first, Next&& next, EachSource&& each_source) {
    dominator_tree t(g.node_capacity());
    vector<node_id> order;
    order.reserve(g.num_nodes());
    for (node_id n = first; n.valid(); n = next(n)) {
      std::uint32_t at = unplaced;
      each_source(n, [&](node_id from) {
        if (t.parent_[from.index] == unplaced)
          fail(error_kind::usage, "a value is used before the node that computes it",
               "node '" + std::string(g.text(g.node_name(n))) + "'",
               "sort the graph topologically before it is analysed");
        at = at == unplaced ? from.index : t.meet(at, from.index);
      });
      t.place(n.index, at == unplaced ? t.root_ : at);
      order.push_back(n);
    }
    t.number(order);
    return t;
  }

  std::uint32_t root_;
  vector<std::uint32_t> parent_, jump_, depth_, enter_, leave_;
};

/// Dominators: what every value that a node sees has passed through. Data enters at nodes without operands.
/// Needs the program order to be topological; throws `error` (usage) where it is not. O(E log V) for E uses
/// of values, and linear but for hostile graphs.
struct dominance {
  static constexpr std::string_view name = "dominance";
  template <class = when_used>
  static dominator_tree compute(const graph_storage& g) {
    return dominator_tree::grow(
        g, g.first(), [&](node_id n) { return g.next(n); },
        [&](node_id n, auto&& seen_before) {
          for (auto& x : g.slots(n))
            if (x.is_use())
              seen_before(g.def(value_id{x.w0}));
        });
  }
};

/// Post-dominators: what every use of a node's results leads to. Data leaves at nodes without users: the
/// output, and calls that nobody uses (for an answer without dead ones, erase them first). Needs and costs
/// what `dominance` does.
struct post_dominance {
  static constexpr std::string_view name = "post-dominance";
  template <class = when_used>
  static dominator_tree compute(const graph_storage& g) {
    return dominator_tree::grow(
        g, g.last(), [&](node_id n) { return g.prev(n); },
        [&](node_id n, auto&& seen_before) {
          for (std::size_t i = 0; i != g.num_results(n); ++i)
            for (slot_id s = g.first_use(g.result(n, i)); s.valid(); s = g.next_use(s))
              seen_before(g.user(s));
        });
  }
};

} // namespace espalier
