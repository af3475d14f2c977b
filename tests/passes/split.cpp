// SPDX-License-Identifier: BSL-1.0
// Splitting and inlining: laws on random programs, shapes that are hard for partitioners, and the report.
#include "laws.hpp"
#include "random_programs.hpp"

#include <espalier/ir/clone.hpp>
#include <espalier/ir/diff.hpp>
#include <espalier/passes/inline.hpp>
#include <espalier/passes/split.hpp>

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace es = espalier;
namespace aten = es::aten;

namespace {

/// Takes a part of the operators, another one for each seed.
struct some_operators {
  std::uint64_t seed = 0;
  bool operator()(es::node n) const noexcept {
    return ((n.op().index + 1) * (seed * 2 + 1) * 0x9e37'79b9'7f4a'7c15ull >> 60) < 10;
  }
};
constexpr auto takes_all = [](es::node) { return true; };
constexpr auto takes_relu = es::calls_to<aten::relu>{};

es::pass_result run(const auto& pass, es::graph_storage& g) {
  es::pass_context c;
  return es::detail::call_pass(pass, g, c);
}
es::graph_storage parsed(std::string_view text) { return std::move(es::parse_text(text).graph); }
std::vector<std::vector<std::string>> names(const es::graph_storage& g, const es::region_plan& plan) {
  std::vector<std::vector<std::string>> out;
  for (const auto& r : plan.regions) {
    out.emplace_back();
    for (const es::node_id n : r)
      out.back().emplace_back(g.text(g.node_name(n)));
  }
  return out;
}
using groups = std::vector<std::vector<std::string>>;

/// Each region is connected, and with every region as one node there is no cycle (Kahn's way).
std::string fault_of(const es::graph_storage& g, const es::region_plan& plan) {
  std::vector<std::uint32_t> cluster(g.node_capacity());
  for (std::uint32_t i = 0; i != cluster.size(); ++i)
    cluster[i] = i;
  for (const auto& r : plan.regions)
    for (const es::node_id n : r)
      cluster[n.index] = r.front().index;
  for (const auto& r : plan.regions) {
    std::vector<bool> reached(g.node_capacity());
    std::vector<es::node_id> stack{r.front()};
    std::size_t seen = 0;
    while (!stack.empty()) {
      const es::node n(g, stack.back());
      stack.pop_back();
      if (reached[n.id().index] || cluster[n.id().index] != r.front().index)
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
  std::vector<std::vector<std::uint32_t>> next(g.node_capacity());
  std::vector<std::size_t> before(g.node_capacity());
  std::size_t clusters = 0, done = 0;
  std::vector<std::uint32_t> ready;
  for (es::node n : es::nodes(g))
    for (es::value v : n.operands())
      if (const auto a = cluster[v.def().id().index], b = cluster[n.id().index]; a != b) {
        next[a].push_back(b);
        ++before[b];
      }
  for (es::node n : es::nodes(g))
    if (cluster[n.id().index] == n.id().index) {
      ++clusters;
      if (before[n.id().index] == 0)
        ready.push_back(n.id().index);
    }
  while (!ready.empty()) {
    const auto c = ready.back();
    ready.pop_back();
    ++done;
    for (const auto b : next[c])
      if (--before[b] == 0)
        ready.push_back(b);
  }
  return done == clusters ? "" : "the regions are a cycle";
}
laws::program_options some(std::size_t size, bool writes) {
  laws::program_options o;
  o.calls = 1 + size % 80;
  o.random = true;
  o.writes = writes;
  return o;
}

} // namespace

TEST_CASE("split and inline obey the laws, and inlining what was split gives the program back") {
  const auto law = [](std::uint64_t seed, std::size_t size, bool writes, std::uint8_t least) {
    const auto g = laws::random_program(seed, some(size, writes));
    const some_operators takes{seed};
    const es::split cut(takes, {.min_nodes = least % 4u});
    laws::options o;
    o.idempotent = least % 4 < 2; // what is too small alone may be larger beside a call
    if (const auto broken = laws::broken_law(cut, g, o); !broken.empty())
      RC_FAIL(broken);
    if (const auto why = fault_of(g, es::find_regions(g, takes)); !why.empty())
      RC_FAIL(why + laws::printed(g));
    auto h = g;
    const auto moved = run(cut, h);
    if (const auto broken = laws::broken_law(es::inline_subgraphs{}, h); !broken.empty())
      RC_FAIL(broken);
    RC_ASSERT(run(es::inline_subgraphs{}, h).rewritten == h.num_nodes() * 0 + (moved.changed() ? 1u : 0u) * 0 +
              es::find_regions(g, takes, {least % 4u}).regions.size());
    const auto d = es::diff(g, h);
    if (!d.empty())
      RC_FAIL(d.text() + laws::printed(g) + laws::printed(h));
    RC_ASSERT(h.num_subgraphs() == g.num_subgraphs());
  };
  CHECK(rc::check("split | inline", law));
}
