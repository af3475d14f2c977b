// SPDX-License-Identifier: BSL-1.0
// How long each value is needed. In a graph without branches a live range is an interval of the program
// order: from the node that makes the value to the last node that uses it. That is what a memory planner
// works on.
#pragma once

#include <espalier/ir/storage.hpp>
#include <espalier/pipeline/analyses/sizes.hpp>
#include <espalier/support/vector.hpp>

#include <cstdint>
#include <string_view>

namespace espalier {

/// Live ranges. Every value counts for itself, as though views were copies: `memory_estimate` knows about
/// memory that values share. O(nodes + arguments).
struct liveness {
  static constexpr std::string_view name = "liveness";

  class result {
  public:
    /// The node's place in the program order, from 0; `num_positions()` for an erased node.
    std::size_t position(node_id n) const noexcept { return position_[n.index]; }
    std::size_t num_positions() const noexcept { return nodes_.size(); }
    node_id node_at(std::size_t position) const noexcept { return nodes_[position]; }

    /// The position of the node that makes the value.
    std::size_t first(value_id v) const noexcept { return ranges_[v.index].first; }
    /// The position of the last node that uses it; its own when nobody does.
    std::size_t last(value_id v) const noexcept { return ranges_[v.index].last; }
    /// The node after which the value is not needed any more.
    node_id last_user(value_id v) const noexcept { return nodes_[last(v)]; }
    /// The value exists while the node runs: it is made there, used there, or made before and used later.
    bool is_live_at(value_id v, node_id n) const noexcept {
      return first(v) <= position(n) && position(n) <= last(v);
    }

    /// Values live at a node, its own operands and results included.
    std::size_t live_values(node_id n) const noexcept { return live_[position(n)].values; }
    /// Bytes of the tensors among them; those whose sizes are not known count nothing.
    std::uint64_t live_bytes(node_id n) const noexcept { return live_[position(n)].bytes; }
    std::size_t peak_values() const noexcept { return peak_values_; }
    std::uint64_t peak_bytes() const noexcept { return peak_bytes_; }
    /// The first node at which the peak of bytes is reached; invalid for an empty graph.
    node_id peak_node() const noexcept { return peak_node_; }
    /// Tensors whose bytes are not known: no meta, or a symbol without a hint.
    std::size_t unknown_tensors() const noexcept { return unknown_; }

  private:
    friend liveness;
    struct range {
      std::uint32_t first = 0, last = 0;
    };
    struct live {
      std::size_t values = 0;
      std::uint64_t bytes = 0;
    };
    vector<std::uint32_t> position_; // by node
    vector<node_id> nodes_;          // by position
    vector<range> ranges_;           // by value
    vector<live> live_;              // by position
    std::size_t peak_values_ = 0, unknown_ = 0;
    std::uint64_t peak_bytes_ = 0;
    node_id peak_node_{};
  };

  /// `sizes` gives the values of symbols; the graph's hints stand in for those it does not know.
  template <class = when_used>
  static result compute(const graph_storage& g, const symbol_lookup& sizes = {}) {
    result r;
    r.position_.assign(g.node_capacity(), static_cast<std::uint32_t>(g.num_nodes()));
    r.nodes_.reserve(g.num_nodes());
    r.ranges_.resize(g.value_capacity());
    for (node_id n = g.first(); n.valid(); n = g.next(n)) {
      const auto at = static_cast<std::uint32_t>(r.nodes_.size());
      r.position_[n.index] = at;
      r.nodes_.push_back(n);
      for (std::size_t i = 0; i != g.num_results(n); ++i)
        r.ranges_[g.result(n, i).index] = {at, at};
      for (auto& x : g.slots(n))
        if (x.is_use())
          r.ranges_[x.w0].last = at;
    }
    sweep(g, sizes, r);
    return r;
  }

private:
  /// Walks the positions with what starts and what ended before.
  template <class = when_used>
  static void sweep(const graph_storage& g, const symbol_lookup& lookup, result& r) {
    detail::size_values sizes(lookup);
    sizes.learn(g);
    vector<result::live> ending(r.nodes_.size() + 1); // at the position after the last use
    result::live now;
    for (std::size_t at = 0; at != r.nodes_.size(); ++at) {
      now.values -= ending[at].values;
      now.bytes -= ending[at].bytes;
      const node_id n = r.nodes_[at];
      for (std::size_t i = 0; i != g.num_results(n); ++i) {
        const value_id v = g.result(n, i);
        std::uint64_t bytes = 0;
        const value_meta& m = g.meta(v);
        if (m.kind == value_kind::tensor || m.kind == value_kind::unknown) {
          const auto known =
              m.kind == value_kind::tensor ? sizes.bytes(m.tensor) : detail::size_values::amount{};
          r.unknown_ += !known;
          bytes = known.value_or(0);
        }
        auto& end = ending[r.last(v) + 1];
        ++end.values;
        end.bytes += bytes;
        ++now.values;
        now.bytes += bytes;
      }
      r.live_.push_back(now);
      if (now.values > r.peak_values_)
        r.peak_values_ = now.values;
      if (now.bytes > r.peak_bytes_ || !r.peak_node_.valid()) {
        r.peak_bytes_ = now.bytes;
        r.peak_node_ = n;
      }
    }
  }
};

} // namespace espalier
