// SPDX-License-Identifier: BSL-1.0
// Shapes that are hard for partitioners: the regions are right, and the work for a node does not grow with
// the graph. Work is counted, not timed.
#include "regions.hpp"

#include <espalier/passes/inline.hpp>
#include <espalier/passes/split.hpp>
#include <espalier/pipeline/pipeline.hpp>
#include <espalier/schema/aten.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <random>
#include <string>
#include <vector>

namespace es = espalier;
namespace aten = es::aten;

namespace {

using supported = es::calls_to<aten::relu, aten::add_Tensor>;

/// Builds with `relu` and `add`, which are supported, and `exp`, which is not.
struct builder {
  es::graph_storage g;
  es::value_id x = g.result(g.placeholder(es::input_kind::user_input, "x"));
  es::value_id call(es::op_id o, std::initializer_list<es::value_id> in) {
    es::vector<es::argument> args(in.begin(), in.end());
    return g.result(g.call(o, args, 1));
  }
  es::value_id relu(es::value_id a) { return call(es::id_of<aten::relu>(), {a}); }
  es::value_id exp(es::value_id a) { return call(es::id_of<aten::exp>(), {a}); }
  es::value_id add(es::value_id a, es::value_id b) { return call(es::id_of<aten::add_Tensor>(), {a, b}); }
  es::graph_storage done(es::value_id out) {
    const es::argument a[] = {out};
    g.output(a);
    return std::move(g);
  }
};

// In order of turns: supported, not, supported, ...
es::graph_storage alternating(std::size_t n) {
  builder b;
  auto v = b.x;
  for (std::size_t i = 0; i != n; ++i)
    v = i % 2 ? b.exp(v) : b.relu(v);
  return b.done(v);
}
// The same, with a shortcut around every call that is not supported.
es::graph_storage residual(std::size_t n) {
  builder b;
  auto v = b.x;
  for (std::size_t i = 0; i != n; ++i) {
    v = b.relu(v);
    v = b.add(v, b.exp(v));
  }
  return b.done(v);
}
// One value with n users by two ways each.
es::graph_storage fan(std::size_t n) {
  builder b;
  const auto v = b.relu(b.x);
  auto sum = b.exp(b.x);
  for (std::size_t i = 0; i != n; ++i)
    sum = b.exp(b.add(b.add(v, b.exp(v)), sum));
  return b.done(sum);
}
// n regions that all feed one, each by two ways.
es::graph_storage funnel(std::size_t n) {
  builder b;
  es::vector<es::value_id> ends;
  for (std::size_t i = 0; i != n; ++i) {
    const auto v = b.relu(b.exp(b.x));
    ends.push_back(v);
    ends.push_back(b.exp(v));
  }
  auto sum = b.relu(b.x);
  for (const auto v : ends)
    sum = b.add(sum, v);
  return b.done(sum);
}
// Every layer uses the value of one small region, which nothing keeps from the first.
es::graph_storage shared_mask(std::size_t n) {
  builder b;
  const auto mask = b.relu(b.relu(b.x));
  auto v = b.exp(b.x);
  for (std::size_t i = 0; i != n; ++i)
    v = b.exp(b.relu(b.add(v, mask)));
  return b.done(v);
}
// Two chains that use each other here and there, one out of step.
es::graph_storage ladder(std::size_t n) {
  builder b;
  auto u = b.x, v = b.x;
  for (std::size_t i = 0; i != n; ++i) {
    u = i % 3 == 1 ? b.exp(u) : b.relu(u);
    v = i % 5 == 2 ? b.exp(v) : b.add(v, i % 2 ? u : v);
  }
  return b.done(b.add(u, v));
}
// Anything, a tenth of it not supported, near values more often than far ones.
es::graph_storage anything(std::size_t n) {
  builder b;
  std::mt19937 random(17);
  es::vector<es::value_id> all{b.x};
  const auto some = [&] {
    const std::size_t near = std::min<std::size_t>(all.size(), 8);
    return random() % 8 ? all[all.size() - 1 - random() % near] : all[random() % all.size()];
  };
  for (std::size_t i = 0; i != n; ++i)
    all.push_back(random() % 10 == 0 ? b.exp(some()) : random() % 2 ? b.relu(some()) : b.add(some(), some()));
  return b.done(all.back());
}

struct shape {
  const char* name;
  es::graph_storage (*make)(std::size_t);
};
const shape shapes[] = {{"alternating", alternating}, {"residual", residual},       {"fan", fan},
                        {"funnel", funnel},           {"shared mask", shared_mask}, {"ladder", ladder},
                        {"anything", anything}};

std::size_t size_of(const es::graph_storage& g) {
  std::size_t n = 0;
  for (es::node_id m = g.first(); m.valid(); m = g.next(m))
    n += 1 + g.slots(m).size();
  return n;
}

} // namespace

TEST_CASE("hard shapes: regions are sound, as large as they can be, and told why they are apart") {
  for (const auto& s : shapes)
    for (const std::size_t n : {1, 2, 3, 7, 40}) {
      INFO(std::string(s.name) << " of " << n);
      const auto g = s.make(n);
      CHECK(laws::fault_of_regions(g, es::find_regions(g, supported{})) == "");
    }
  CHECK(es::find_regions(alternating(1000), supported{}).regions.size() == 500);
  CHECK(es::find_regions(residual(1000), supported{}).gaps.size() == 1000);
  CHECK(es::find_regions(shared_mask(1000), supported{}).regions.size() == 1000);
}

TEST_CASE(
    "hard shapes: sixteen times the graph is at most a quarter more work a node, and all pairs are tried") {
  for (const auto& s : shapes) {
    INFO(std::string(s.name));
    const auto work = [&](std::size_t n) {
      const auto g = s.make(n);
      const auto plan = es::find_regions(g, supported{});
      for (const auto& gap : plan.gaps)
        if (!gap.between.valid())
          FAIL_CHECK("a pair of regions was not tried");
      return static_cast<double>(plan.steps) / static_cast<double>(size_of(g));
    };
    const double small = work(1000), large = work(16000);
    MESSAGE(std::string(s.name) << ": " << small << " and " << large << " steps a node and argument");
    CHECK(large < small * 1.25);
    CHECK(large < 16);
  }
}

TEST_CASE("thousands of regions: split and inline name, and give back, every node") {
  for (const auto& s : shapes) {
    INFO(std::string(s.name));
    auto g = s.make(3000);
    const auto calls = g.num_nodes();
    const auto plan = es::find_regions(g, supported{}, {.only_used = true});
    es::pass_context c;
    es::split(supported{}).run(g, c);
    CHECK(g.num_nodes() == calls - plan.num_inside() + plan.regions.size());
    CHECK(g.num_subgraphs() == plan.regions.size());
    CHECK(es::inline_subgraphs{}.run(g).rewritten == plan.regions.size());
    CHECK(g.num_nodes() == calls);
    CHECK(g.num_subgraphs() == 0);
    CHECK(es::property::topologically_sorted::holds(g));
  }
}
