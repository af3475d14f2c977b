// SPDX-License-Identifier: BSL-1.0
// Regions become calls: their nodes are moved together, and each region into a subgraph of its own.
#pragma once

#include <espalier/ir/clone.hpp>
#include <espalier/ir/subgraph.hpp>
#include <espalier/pipeline/analyses/aliases.hpp>
#include <espalier/pipeline/analyses/effects.hpp>
#include <espalier/pipeline/order.hpp>
#include <espalier/support/span.hpp>
#include <espalier/support/vector.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace espalier {

namespace detail {

/// Moves the calls of each region together, so that each is an interval of the program. All else keeps its
/// place as far as it can: what a region needs comes before it, and calls that do more than compute their
/// results keep their order. Tells how many nodes had to move. Linear.
template <class = when_used>
class region_gatherer {
public:
  region_gatherer(graph_storage& g, span<const vector<node_id>> regions)
      : g_(g), regions_(regions), cluster_(g.node_capacity(), none), state_(g.node_capacity()),
        pinned_before_(g.node_capacity()) {}

  std::size_t run() {
    for (std::uint32_t r = 0; r != regions_.size(); ++r)
      for (const node_id n : regions_[r])
        cluster_[n.index] = r;
    call_classes classes;
    alias_classes memory(g_, classes);
    node_id pinned{};
    for (node_id n = g_.first(); n.valid(); n = g_.next(n)) {
      if (cluster_[n.index] != none || may_move(g_, n, classes, memory) ||
          g_.kind(n) == node_kind::placeholder)
        continue;
      pinned_before_[n.index] = pinned;
      pinned = n;
    }
    for (node_id n = g_.first(); n.valid(); n = g_.next(n))
      place(lead_of(n));
    return g_.reorder(order_);
  }

private:
  static constexpr std::uint32_t none = 0xffff'ffffu;
  enum state : std::uint8_t { waiting, opened, placed };

  /// A region is known by its first call.
  node_id lead_of(node_id n) const {
    const std::uint32_t r = cluster_[n.index];
    return r == none ? n : regions_[r].front();
  }
  /// What it needs first, then it: by a stack, since chains are as long as graphs.
  void place(node_id first) {
    stack_.push_back(first);
    while (!stack_.empty()) {
      const node_id lead = stack_.back();
      const std::uint32_t r = cluster_[lead.index];
      const span<const node_id> all = r == none ? span(&lead, 1) : span(regions_[r]);
      auto& s = state_[lead.index];
      if (s == waiting) {
        s = opened;
        for (std::size_t i = all.size(); i-- != 0;)
          need_operands(all[i]);
        continue;
      }
      stack_.pop_back();
      if (s == opened)
        order_.insert(order_.end(), all.begin(), all.end());
      s = placed;
    }
  }
  void need_operands(node_id n) {
    const auto slots = g_.slots(n);
    for (std::size_t i = slots.size(); i-- > 0;)
      if (slots[i].is_use())
        need(g_.def(value_id{slots[i].w0}));
    if (pinned_before_[n.index].valid())
      need(pinned_before_[n.index]);
  }
  void need(node_id n) {
    if (const node_id lead = lead_of(n); state_[lead.index] == waiting)
      stack_.push_back(lead);
  }

  graph_storage& g_;
  span<const vector<node_id>> regions_;
  vector<std::uint32_t> cluster_; // by node: the region
  vector<state> state_;           // by lead
  vector<node_id> pinned_before_; // by node
  vector<node_id> stack_, order_;
};

/// The borders of regions. Linear in what they hold.
template <class = when_used>
class border_reader {
public:
  explicit border_reader(const graph_storage& g) : g_(g) {}
  subgraph_border operator()(span<const node_id> region) {
    subgraph_border b;
    b.nodes.assign(region.begin(), region.end());
    ++stamp_;
    for (const node_id n : region)
      mark(nodes_, n.index);
    for (const node_id n : region)
      for (const auto& x : g_.slots(n))
        if (x.is_use() && !marked(nodes_, g_.def(value_id{x.w0}).index) && !marked(values_, x.w0)) {
          mark(values_, x.w0);
          b.inputs.push_back(value_id{x.w0});
        }
    for (const node_id n : region)
      for (std::size_t i = 0; i != g_.num_results(n); ++i)
        if (used_outside(g_.result(n, i)))
          b.outputs.push_back(g_.result(n, i));
    return b;
  }

private:
  void mark(vector<std::uint32_t>& of, std::uint32_t i) const {
    if (i >= of.size())
      of.resize(i + 1);
    of[i] = stamp_;
  }
  bool marked(const vector<std::uint32_t>& of, std::uint32_t i) const {
    return i < of.size() && of[i] == stamp_;
  }
  bool used_outside(value_id v) const {
    for (slot_id s = g_.first_use(v); s.valid(); s = g_.next_use(s))
      if (!marked(nodes_, g_.user(s).index))
        return true;
    return false;
  }

  const graph_storage& g_;
  vector<std::uint32_t> nodes_, values_; // by id: the last region that held it
  std::uint32_t stamp_ = 0;
};

} // namespace detail

/// Makes each region a subgraph, and one call of `higher_order::invoke_subgraph` in the place of its calls:
/// `prefix_0`, `prefix_1`, ... The regions must be some of those that `find_regions` gave for this very
/// graph. Gives the calls, in the order of the regions. Linear.
template <class = when_used>
vector<node_id> outline_regions(graph_storage& g, span<const vector<node_id>> regions,
                                std::string_view prefix = "subgraph") {
  vector<node_id> calls;
  if (regions.empty())
    return calls;
  detail::region_gatherer(g, regions).run();
  detail::outliner outline(g);
  detail::copy_tables tables;
  detail::border_reader border_of_region(g);
  for (std::size_t i = 0; i != regions.size(); ++i) {
    const subgraph_border border = border_of_region(regions[i]);
    calls.push_back(outline.run(border, detail::copy_subgraph(g, border, tables),
                                std::string(prefix) + "_" + std::to_string(i)));
  }
  return calls;
}

} // namespace espalier
