// SPDX-License-Identifier: BSL-1.0
// Regions: the connected parts of a graph whose calls a predicate takes, such that each can become one call.
// What a backend gets delegated, what a fused kernel covers, what a pass is confined to.
//
// Two things keep a call out of a region that it would fit in: it does more than compute its results
// (writing, drawing random numbers, asserting, or using memory that is written to), or a way leads out of the
// region and back in by it. The second is decided by stages: an outside call stands one stage later than a
// region that it uses, everything else no earlier than what it uses. Values go from a region to an earlier or
// the same stage never, so that regions of calls of one stage can all be gathered at once and no cycle
// arises; FX's partitioner (`torch/fx/passes/infra/partitioner.py`) asks the same of all ways between two
// partitions, which takes the square of the graph.
#pragma once

#include <espalier/ir/subgraph.hpp>
#include <espalier/ir/view.hpp>
#include <espalier/pipeline/analyses/aliases.hpp>
#include <espalier/pipeline/analyses/effects.hpp>
#include <espalier/pipeline/order.hpp>
#include <espalier/schema/op_traits.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace espalier {

/// What chooses calls: asked of each `call_function` node, it says whether the node may be in a region. It
/// must answer the same when asked again.
template <class P>
concept node_predicate = std::predicate<const P&, node>;

/// The predicate of calls to some operators: `calls_to<aten::relu, aten::add_Tensor>{}`.
template <op_type... Ops>
struct calls_to {
  constexpr bool operator()(node n) const noexcept { return ((n.op() == id_of<Ops>()) || ...); }
};

/// Why a call is in no region.
enum class left_out : std::uint8_t {
  no,              ///< it is in one
  unsupported,     ///< the predicate says no, or it is a higher-order call
  writes,          ///< it writes to memory that it did not allocate
  random,          ///< it draws random numbers, whose order is part of the program
  effects,         ///< it asserts, prints, or does what nobody knows
  shares_memory,   ///< it uses or gives memory that some call writes to
  too_small,       ///< its region would have fewer calls than the least
};

/// A sentence about the reason.
constexpr std::string_view to_string(left_out r) noexcept {
  constexpr std::string_view names[] = {"in a region",
                                        "not supported",
                                        "writes to memory",
                                        "draws random numbers",
                                        "has effects",
                                        "uses memory that is written to",
                                        "region too small"};
  return names[static_cast<int>(r)];
}

/// How regions are formed.
struct region_options {
  std::size_t min_nodes = 1; ///< regions of fewer calls are given up
};

/// Two regions that stay apart although one uses the other's values: by way of a call outside, they would
/// depend on each other as one.
struct region_gap {
  std::size_t from = 0, to = 0; ///< positions among the regions
  node_id between{};            ///< the call that puts the second behind the first
};

/// The regions of a graph, and why other calls are in none. Holds ids: valid until the graph is edited.
struct region_plan {
  std::vector<std::vector<node_id>> regions;          ///< by their first calls; calls in program order
  std::vector<std::pair<node_id, left_out>> outside;  ///< calls in no region, in program order
  std::vector<region_gap> gaps;                       ///< each pair of regions once
  std::size_t steps = 0;                              ///< nodes and arguments looked at

  /// How many calls are in regions.
  std::size_t num_inside() const noexcept {
    std::size_t n = 0;
    for (const auto& r : regions)
      n += r.size();
    return n;
  }
};

namespace detail {

/// Nodes by group, each group in program order, in one array.
class node_groups {
public:
  static constexpr std::uint32_t none = 0xffff'ffffu;
  /// `group_of(node)` is below `groups`, or `none`.
  template <class F>
  node_groups(const graph_storage& g, std::size_t groups, F&& group_of) : first_(groups + 1) {
    for (node_id n = g.first(); n.valid(); n = g.next(n))
      if (const std::uint32_t k = group_of(n); k != none)
        ++first_[k + 1];
    for (std::size_t k = 0; k != groups; ++k)
      first_[k + 1] += first_[k];
    nodes_.resize(first_.back());
    auto at = first_;
    for (node_id n = g.first(); n.valid(); n = g.next(n))
      if (const std::uint32_t k = group_of(n); k != none)
        nodes_[at[k]++] = n;
  }
  std::span<const node_id> operator[](std::size_t k) const noexcept {
    return {nodes_.data() + first_[k], first_[k + 1] - first_[k]};
  }

private:
  std::vector<std::uint32_t> first_;
  std::vector<node_id> nodes_;
};

/// Forms regions; holds what that takes.
class region_finder {
public:
  explicit region_finder(const graph_storage& g)
      : g_(g), role_(g.node_capacity(), outside), stage_(g.node_capacity(), 0), parent_(g.node_capacity()),
        cause_(g.node_capacity()) {}

  template <class Predicate>
  region_plan run(const Predicate& predicate, const region_options& o) {
    call_classes classes;
    alias_classes memory(g_, classes);
    for (node_id n = g_.first(); n.valid(); n = g_.next(n)) {
      const node_kind k = g_.kind(n);
      if (k == node_kind::call_function || k == node_kind::call_higher_order) {
        const left_out why = k == node_kind::call_function && predicate(node(g_, n))
                                 ? why_not(n, classes, memory)
                                 : left_out::unsupported;
        if (why == left_out::no)
          role_[n.index] = inside;
        else
          plan_.outside.emplace_back(n, why);
      }
      if (role_[n.index] != inside && k != node_kind::placeholder && !may_move(g_, n, classes, memory))
        role_[n.index] = pinned;
      set_stage(n);
    }
    join_late();
    collect(o);
    find_gaps();
    return std::move(plan_);
  }

private:
  enum role : std::uint8_t { outside, pinned, inside };

  left_out why_not(node_id n, call_classes& classes, alias_classes& memory) const {
    switch (classes(g_.op(n))) {
    case call_class::plain:
    case call_class::view:
      break;
    case call_class::norm:
      if (updates_statistics(g_, n))
        return left_out::writes;
      break;
    case call_class::mutating:
      return left_out::writes;
    case call_class::random:
      return left_out::random;
    default:
      return left_out::effects;
    }
    return memory.touches_written(g_, n) ? left_out::shares_memory : left_out::no;
  }
  std::uint32_t root(std::uint32_t i) noexcept {
    while (parent_[i] != i)
      i = parent_[i] = parent_[parent_[i]];
    return i;
  }
  /// The earlier node leads.
  void unite(std::uint32_t a, std::uint32_t b) noexcept {
    a = root(a);
    b = root(b);
    if (a == b)
      return;
    if (g_.is_before(node_id{b}, node_id{a}))
      std::swap(a, b);
    parent_[b] = a;
  }

  /// The earliest stage that a node can have, and, for what is inside, the region of that stage that it
  /// continues.
  void set_stage(node_id n) {
    parent_[n.index] = n.index;
    ++plan_.steps;
    std::uint32_t s = 0;
    node_id cause{};
    for (const auto& x : g_.slots(n)) {
      ++plan_.steps;
      if (!x.is_use())
        continue;
      const node_id d = g_.def(value_id{x.w0});
      const bool leaves = role_[d.index] == inside && role_[n.index] != inside;
      const std::uint32_t t = stage_[d.index] + leaves;
      if (t > s)
        cause = leaves ? n : cause_[d.index];
      s = std::max(s, t);
    }
    if (role_[n.index] == pinned) { // these keep their order
      if (last_pinned_.valid() && stage_[last_pinned_.index] > s) {
        s = stage_[last_pinned_.index];
        cause = cause_[last_pinned_.index];
      }
      last_pinned_ = n;
    }
    stage_[n.index] = s;
    cause_[n.index] = cause;
    last_stage_ = std::max(last_stage_, s);
    if (role_[n.index] != inside)
      return;
    for (const auto& x : g_.slots(n))
      if (x.is_use())
        if (const node_id d = g_.def(value_id{x.w0}); role_[d.index] == inside && stage_[d.index] == s)
          unite(d.index, n.index);
  }

  /// From the last stage to the first, moves regions to the stage of one that uses them, where all their
  /// users allow it, and what is outside as far as its users allow. Stages stay as they must be.
  void join_late() {
    const auto is_inside = [&](node_id n) { return role_[n.index] == inside; };
    const node_groups parts(g_, g_.node_capacity(),
                            [&](node_id n) { return is_inside(n) ? root(n.index) : none; });
    const node_groups leads(g_, last_stage_ + 1, [&](node_id n) {
      return is_inside(n) && root(n.index) == n.index ? stage_[n.index] : none;
    });
    const node_groups others(g_, last_stage_ + 1,
                             [&](node_id n) { return is_inside(n) ? none : stage_[n.index]; });
    late_ = stage_;
    node_id next_pinned{};
    for (std::size_t s = last_stage_ + 1; s-- > 0;) {
      for (const node_id lead : leads[s])
        join(parts[lead.index]);
      const auto here = others[s];
      for (std::size_t i = here.size(); i-- > 0;) {
        const node_id n = here[i];
        std::uint32_t limit = last_stage_;
        if (role_[n.index] == pinned) {
          if (next_pinned.valid())
            limit = late_[next_pinned.index];
          next_pinned = n;
        }
        each_user(n, [&](node_id u) { limit = std::min(limit, late(u)); });
        late_[n.index] = limit;
      }
    }
  }
  std::uint32_t late(node_id u) noexcept {
    return role_[u.index] == inside ? late_[root(u.index)] : late_[u.index];
  }
  template <class F>
  void each_user(node_id n, F&& f) {
    for (std::size_t i = 0; i != g_.num_results(n); ++i)
      for (slot_id u = g_.first_use(g_.result(n, i)); u.valid(); u = g_.next_use(u)) {
        ++plan_.steps;
        if (g_.kind(g_.user(u)) != node_kind::output)
          f(g_.user(u));
      }
  }
  void join(std::span<const node_id> part) {
    const std::uint32_t me = root(part.front().index);
    std::uint32_t limit = last_stage_;
    bool is_used = false;
    for (const node_id n : part)
      each_user(n, [&](node_id u) {
        if (role_[u.index] != inside)
          limit = std::min(limit, late_[u.index] - 1);
        else if (root(u.index) != me)
          limit = std::min(limit, late(u)), is_used = true;
      });
    bool joined = false;
    if (is_used)
      for (const node_id n : part)
        each_user(n, [&](node_id u) {
          if (role_[u.index] != inside || root(u.index) == root(me) || late(u) != limit)
            return;
          unite(me, u.index);
          late_[root(me)] = limit;
          joined = true;
        });
    if (joined)
      return;
    // Nobody to join. Who is fed by no region may go late, which leaves the more room to regions before it;
    // who is fed by one stays where that can join it.
    for (const node_id n : part)
      for (const auto& x : g_.slots(n))
        if (x.is_use())
          if (const node_id d = g_.def(value_id{x.w0}); role_[d.index] == inside && root(d.index) != me)
            return;
    late_[me] = limit;
  }

  void collect(const region_options& o) {
    std::vector<std::uint32_t> size(g_.node_capacity());
    for (node_id n = g_.first(); n.valid(); n = g_.next(n))
      if (role_[n.index] == inside)
        ++size[root(n.index)];
    region_.assign(g_.node_capacity(), none);
    bool given_up = false;
    for (node_id n = g_.first(); n.valid(); n = g_.next(n)) {
      if (role_[n.index] != inside)
        continue;
      const std::uint32_t lead = root(n.index);
      if (size[lead] < o.min_nodes) {
        plan_.outside.emplace_back(n, left_out::too_small);
        given_up = true;
        continue;
      }
      if (region_[lead] == none) {
        region_[lead] = static_cast<std::uint32_t>(plan_.regions.size());
        plan_.regions.emplace_back().reserve(size[lead]);
      }
      region_[n.index] = region_[lead];
      plan_.regions[region_[n.index]].push_back(n);
    }
    if (given_up)
      std::sort(plan_.outside.begin(), plan_.outside.end(),
                [&](const auto& a, const auto& b) { return g_.is_before(a.first, b.first); });
  }

  void find_gaps() {
    std::vector<std::uint32_t> seen(plan_.regions.size(), none); // by which region from which one
    for (std::uint32_t to = 0; to != plan_.regions.size(); ++to)
      for (const node_id n : plan_.regions[to])
        for (const auto& x : g_.slots(n)) {
          ++plan_.steps;
          if (!x.is_use())
            continue;
          const std::uint32_t from = region_[g_.def(value_id{x.w0}).index];
          if (from == none || from == to || seen[from] == to)
            continue;
          seen[from] = to;
          plan_.gaps.push_back({from, to, cause_[n.index]});
        }
  }

  static constexpr std::uint32_t none = node_groups::none;
  const graph_storage& g_;
  std::vector<role> role_;
  std::vector<std::uint32_t> stage_;  // by node: the earliest
  std::vector<std::uint32_t> late_;   // by node outside and by region's lead: the final one
  std::vector<std::uint32_t> parent_; // union-find of nodes inside
  std::vector<std::uint32_t> region_; // by node
  std::vector<node_id> cause_;        // by node: whose stage is why its own is no earlier
  node_id last_pinned_{};
  std::uint32_t last_stage_ = 0;
  region_plan plan_;
};

} // namespace detail

/// The regions of a graph: the connected sets of calls that the predicate takes and that do nothing but
/// compute their results, such that all of them can become one call each without a cycle. Subgraphs are not
/// looked into, and higher-order calls are in no region. Regions that feed each other stay apart only where
/// their stages differ (above): `gaps` tells. Linear in the nodes and arguments.
template <node_predicate Predicate>
region_plan find_regions(const graph_storage& g, const Predicate& predicate, const region_options& o = {}) {
  return detail::region_finder(g).run(predicate, o);
}

namespace detail {

/// Moves the calls of each region together, so that each is an interval of the program. All else keeps its
/// place as far as it can: what a region needs comes before it, and calls that do more than compute their
/// results keep their order. Tells how many nodes had to move. Linear.
class region_gatherer {
public:
  region_gatherer(graph_storage& g, std::span<const std::vector<node_id>> regions)
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
    return put_in_order(g_, order_);
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
      const std::span<const node_id> all = r == none ? std::span(&lead, 1) : std::span(regions_[r]);
      auto& s = state_[lead.index];
      if (s == waiting) {
        s = opened;
        for (auto n = all.rbegin(); n != all.rend(); ++n)
          need_operands(*n);
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
  std::span<const std::vector<node_id>> regions_;
  std::vector<std::uint32_t> cluster_; // by node: the region
  std::vector<state> state_;           // by lead
  std::vector<node_id> pinned_before_; // by node
  std::vector<node_id> stack_, order_;
};

/// The borders of regions. Linear in what they hold.
class border_reader {
public:
  explicit border_reader(const graph_storage& g) : g_(g) {}
  subgraph_border operator()(std::span<const node_id> region) {
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
  void mark(std::vector<std::uint32_t>& of, std::uint32_t i) const {
    if (i >= of.size())
      of.resize(i + 1);
    of[i] = stamp_;
  }
  bool marked(const std::vector<std::uint32_t>& of, std::uint32_t i) const {
    return i < of.size() && of[i] == stamp_;
  }
  bool used_outside(value_id v) const {
    for (slot_id s = g_.first_use(v); s.valid(); s = g_.next_use(s))
      if (!marked(nodes_, g_.user(s).index))
        return true;
    return false;
  }

  const graph_storage& g_;
  std::vector<std::uint32_t> nodes_, values_; // by id: the last region that held it
  std::uint32_t stamp_ = 0;
};

} // namespace detail

/// Makes each region a subgraph, and one call of `higher_order::invoke_subgraph` in the place of its calls:
/// `prefix_0`, `prefix_1`, ... The regions must be some of those that `find_regions` gave for this very
/// graph. Gives the calls, in the order of the regions. Linear.
inline std::vector<node_id> outline_regions(graph_storage& g, std::span<const std::vector<node_id>> regions,
                                            std::string_view prefix = "subgraph") {
  std::vector<node_id> calls;
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
