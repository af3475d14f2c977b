// SPDX-License-Identifier: BSL-1.0
// What must hold of the regions of a graph, looked at the slow way.
#pragma once

#include <espalier/pipeline/regions.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace laws {

namespace es = espalier;

/// Takes a part of the operators, another one for each seed.
struct some_operators {
  std::uint64_t seed = 0;
  bool operator()(es::node n) const noexcept {
    return ((n.op().index + 1) * (seed * 2 + 1) * 0x9e37'79b9'7f4a'7c15ull >> 60) < 4 + seed % 11;
  }
};

/// A graph whose regions are one node each.
class contracted {
public:
  contracted(const es::graph_storage& g, const es::region_plan& plan)
      : of(g.node_capacity()), next(g.node_capacity()) {
    for (std::uint32_t i = 0; i != of.size(); ++i)
      of[i] = i;
    for (const auto& r : plan.regions)
      for (const es::node_id n : r)
        of[n.index] = r.front().index;
    for (es::node n : es::nodes(g))
      for (es::value v : n.operands())
        if (const auto a = of[v.def().id().index], b = of[n.id().index]; a != b)
          next[a].push_back(b);
    // calls outside that do more than compute their results keep their order
    es::detail::call_classes classes;
    es::detail::alias_classes memory(g, classes);
    std::vector<bool> inside(g.node_capacity());
    for (const auto& r : plan.regions)
      for (const es::node_id n : r)
        inside[n.index] = true;
    es::node_id last{};
    for (es::node n : es::nodes(g)) {
      if (inside[n.id().index] || n.kind() == es::node_kind::placeholder ||
          n.kind() == es::node_kind::output || es::detail::may_move(g, n.id(), classes, memory))
        continue;
      if (last.valid())
        next[last.index].push_back(n.id().index);
      last = n.id();
    }
  }
  /// Whether a way of more than one step leads from `a` to `b`.
  bool way_around(std::uint32_t a, std::uint32_t b) const {
    std::vector<bool> seen(next.size());
    std::vector<std::uint32_t> stack;
    for (const auto n : next[a])
      if (n != b)
        stack.push_back(n);
    while (!stack.empty()) {
      const auto c = stack.back();
      stack.pop_back();
      if (c == b)
        return true;
      if (seen[c])
        continue;
      seen[c] = true;
      stack.insert(stack.end(), next[c].begin(), next[c].end());
    }
    return false;
  }
  std::vector<std::uint32_t> of; ///< by node: the first of its region, or itself
  std::vector<std::vector<std::uint32_t>> next;
};

/// Says what is wrong with a plan: regions are connected, none is on a way from itself to itself, and two
/// that feed each other would be. Takes time: for small graphs.
inline std::string fault_of_regions(const es::graph_storage& g, const es::region_plan& plan) {
  const contracted c(g, plan);
  for (const auto& r : plan.regions) {
    const auto me = r.front().index;
    if (c.way_around(me, me))
      return "a region depends on itself";
    std::vector<bool> reached(g.node_capacity());
    es::vector<es::node_id> stack{r.front()};
    std::size_t seen = 0;
    while (!stack.empty()) {
      const es::node n(g, stack.back());
      stack.pop_back();
      if (reached[n.id().index] || c.of[n.id().index] != me)
        continue;
      reached[n.id().index] = true;
      ++seen;
      for (es::value v : n.operands())
        stack.push_back(v.def().id());
      for (std::size_t i = 0; i != n.num_results(); ++i)
        for (es::node u : n.result(i).users())
          stack.push_back(u.id());
    }
    if (seen != r.size())
      return "a region is not connected";
  }
  std::size_t gaps = 0;
  for (std::size_t a = 0; a != plan.regions.size(); ++a)
    for (std::size_t b = 0; b != plan.regions.size(); ++b) {
      const auto from = plan.regions[a].front().index, to = plan.regions[b].front().index;
      bool feeds = false; // the order of calls is none among regions
      for (const auto n : c.next[from])
        feeds = feeds || n == to;
      if (!feeds)
        continue;
      ++gaps;
      if (!c.way_around(from, to))
        return "two regions could be one";
      bool told = false;
      for (const auto& gap : plan.gaps)
        told = told || (gap.from == a && gap.to == b && gap.between.valid() &&
                        c.of[gap.between.index] != from && c.of[gap.between.index] != to);
      if (!told)
        return "two regions are apart, and it is not told why";
    }
  return gaps == plan.gaps.size() ? "" : "a gap is told that is none";
}

} // namespace laws
