// SPDX-License-Identifier: BSL-1.0
// The longest chain of nodes that wait for each other: what a run takes even when everything else runs beside
// it. How long a node is, is a policy: one call is one step, or what the cost model says.
#pragma once

#include <espalier/ir/storage.hpp>
#include <espalier/pipeline/analyses/cost.hpp>
#include <espalier/pipeline/analyses/sizes.hpp>
#include <espalier/support/error.hpp>
#include <espalier/support/vector.hpp>

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

namespace espalier {

/// Every call is one step; placeholders, attributes and the output are none.
struct unit_weight {
  static constexpr std::string_view name = "critical-path";
  explicit unit_weight(const graph_storage& g) : g_(&g) {}
  std::uint64_t operator()(node_id n) const noexcept {
    const node_kind k = g_->kind(n);
    return k == node_kind::call_function || k == node_kind::call_higher_order;
  }

private:
  const graph_storage* g_;
};

/// Operations as the cost model counts them; sizes that are not known count nothing.
struct operations_weight {
  static constexpr std::string_view name = "critical-path-by-operations";
  template <class = when_used>
  explicit operations_weight(const graph_storage& g) : costs_(cost::compute(g)) {}
  std::uint64_t operator()(node_id n) const noexcept { return costs_[n].operations(); }

private:
  cost::result costs_;
};

/// A policy of weights: made from a graph, asked node by node.
template <class W>
concept node_weight = std::constructible_from<W, const graph_storage&> && requires(const W& w, node_id n) {
  { W::name } -> std::convertible_to<std::string_view>;
  { w(n) } -> std::convertible_to<std::uint64_t>;
};

/// The longest path along the data flow, and how early and late each node can run on as many machines as it
/// likes. Order that only effects impose is not followed. Needs the program order to be topological; throws
/// `error` (usage) where it is not. Linear, beside what the weights take.
template <node_weight Weight = unit_weight>
struct critical_path {
  static constexpr std::string_view name = Weight::name;

  class result {
  public:
    /// The weight of the longest path.
    std::uint64_t length() const noexcept { return length_; }
    /// Its nodes in order; of several, the one through the earliest nodes. Empty for an empty graph.
    const vector<node_id>& nodes() const noexcept { return nodes_; }
    /// The weight of all nodes: `work() / length()` bounds what parallel execution gains.
    std::uint64_t work() const noexcept { return work_; }
    /// The longest path that ends with the node, its own weight included.
    std::uint64_t finish(node_id n) const noexcept { return finish_[n.index]; }
    /// By how much the node may be late without lengthening anything; 0 on the critical path.
    std::uint64_t slack(node_id n) const noexcept { return latest_[n.index] - finish_[n.index]; }

  private:
    friend critical_path;
    std::uint64_t length_ = 0, work_ = 0;
    vector<node_id> nodes_;
    vector<std::uint64_t> finish_, latest_; // by node
  };

  template <class = when_used>
  static result compute(const graph_storage& g) {
    const Weight weight(g);
    result r;
    r.finish_.assign(g.node_capacity(), 0);
    vector<std::uint8_t> seen(g.node_capacity(), 0);
    vector<node_id> before(g.node_capacity()); // on the longest path to a node
    node_id last{};
    for (node_id n = g.first(); n.valid(); n = g.next(n)) {
      std::uint64_t start = 0;
      for (auto& x : g.slots(n)) {
        if (!x.is_use())
          continue;
        const node_id from = g.def(value_id{x.w0});
        if (!seen[from.index])
          fail(error_kind::usage, "a value is used before the node that computes it",
               "node '" + std::string(g.text(g.node_name(n))) + "'",
               "sort the graph topologically before it is analysed");
        node_id& best = before[n.index];
        if (!best.valid() || r.finish_[from.index] > start ||
            (r.finish_[from.index] == start && g.is_before(from, best)))
          best = from;
        start = std::max(start, r.finish_[from.index]);
      }
      seen[n.index] = 1;
      const std::uint64_t w = weight(n);
      r.work_ = detail::saturating_add(r.work_, w);
      r.finish_[n.index] = detail::saturating_add(start, w);
      if (!last.valid() || r.finish_[n.index] > r.length_)
        last = n;
      r.length_ = std::max(r.length_, r.finish_[n.index]);
    }
    for (node_id n = last; n.valid(); n = before[n.index])
      r.nodes_.push_back(n);
    std::reverse(r.nodes_.begin(), r.nodes_.end());

    r.latest_.assign(g.node_capacity(), r.length_);
    for (node_id n = g.last(); n.valid(); n = g.prev(n)) {
      const std::uint64_t w = weight(n), latest = r.latest_[n.index];
      for (auto& x : g.slots(n))
        if (x.is_use()) {
          auto& l = r.latest_[g.def(value_id{x.w0}).index];
          l = std::min(l, latest - std::min(latest, w));
        }
    }
    return r;
  }
};

} // namespace espalier
