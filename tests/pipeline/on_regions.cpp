// SPDX-License-Identifier: BSL-1.0
// A pass on the regions of a graph: what is inside changes, what is outside is as it was.
#include "../passes/laws.hpp"
#include "../passes/random_programs.hpp"
#include "../passes/regions.hpp"

#include <espalier/ir/diff.hpp>
#include <espalier/passes/canonicalize.hpp>
#include <espalier/passes/cse.hpp>
#include <espalier/passes/dce.hpp>
#include <espalier/pipeline/combinators.hpp>
#include <espalier/pipeline/instruments/timing.hpp>
#include <espalier/pipeline/on_regions.hpp>

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace es = espalier;
namespace aten = es::aten;

namespace {

using pointwise = es::calls_to<aten::relu, aten::neg, aten::add_Tensor>;
struct everything {
  bool operator()(es::node) const noexcept { return true; }
};

/// Becomes a pass that gives every region an output more.
struct puts_out_more : es::pass {
  static constexpr std::string_view name = "puts_out_more";
  es::pass_result run(es::graph_storage& g) const {
    const es::argument a[] = {es::argument(1), es::argument(2), es::argument(3)};
    g.set_args(g.output_node(), a);
    return {0, 1};
  }
};

/// Makes the last output of every region an argument.
struct puts_out : es::pass {
  static constexpr std::string_view name = "puts_out";
  es::argument what;
  explicit puts_out(es::argument a) : what(a) {}
  es::pass_result run(es::graph_storage& g) const {
    g.set_arg(g.output_node(), g.num_args(g.output_node()) - 1, what);
    return {0, 1};
  }
};

} // namespace

TEST_CASE("its contract is the pass's, and it establishes nothing") {
  constexpr auto p = es::on_regions<pointwise>(es::cse{});
  constexpr auto all = p | es::dce{};
  static_assert(decltype(all)::num_stages == 2);
  static_assert(!decltype(es::dce{} | p)::establishes_property<es::property::no_duplicates>);
  static_assert(decltype(es::dce{} | p)::establishes_property<es::property::no_dead_code>);
  static_assert(!decltype(es::canonicalize{} | p)::establishes_property<es::property::canonical>);
  CHECK(all.text() == "on_regions<aten.relu.default, aten.neg.default, aten.add.Tensor>(cse) | dce");
  CHECK(es::on_regions(everything{}, es::fix(es::cse{} | es::dce{}), {.min_nodes = 2}).text() ==
        "on_regions(fix<25>(cse | dce))"); // text cannot give its predicate
}

TEST_CASE("equal calls are merged inside of regions, and left outside of them") {
  es::graph<es::aten_ir> g(laws::typed(
      "graph { %x = placeholder : f32[2] %a = aten.relu(%x) : f32[2] %b = aten.relu(%x) : f32[2] %c = "
      "aten.add.Tensor(%a, %b) : f32[2] %d = aten.exp(%c) : f32[2] %e = aten.exp(%c) : f32[2] %f = "
      "aten.neg(%d) : f32[2] %h = aten.neg(%e) : f32[2] return %f, %h, %c }"));
  es::timing_tree times;
  const auto done = (es::on_regions<pointwise>(es::cse{}) | es::dce{}).run(g, times);
  CHECK(done == es::pass_result{1, 0});
  CHECK(times.text().find("on_regions") != std::string::npos);
  CHECK(laws::printed(g) ==
        laws::printed(laws::typed("graph { %x = placeholder : f32[2] %a = aten.relu(%x) : f32[2] %c = "
                                  "aten.add.Tensor(%a, %a) : f32[2] %d = aten.exp(%c) : f32[2] %e = "
                                  "aten.exp(%c) : f32[2] %f = aten.neg(%d) : f32[2] %h = aten.neg(%e) : "
                                  "f32[2] return %f, %h, %c }")));
}

TEST_CASE("a pass that does not keep a region's outputs is refused, and the graph is as it was") {
  es::graph<es::aten_ir> g(
      laws::typed("graph { %x = placeholder : f32[2] %a = aten.relu(%x) : f32[2] return %a }"));
  const auto before = laws::printed(g);
  CHECK_THROWS_WITH((es::on_regions<pointwise>(puts_out_more{}) | es::dce{}).run(g),
                    doctest::Contains("'puts_out_more' added or removed inputs or outputs of a region"));
  CHECK(laws::printed(g) == before);
}

TEST_CASE("an output that became a constant is that constant outside, and a list is refused in time") {
  const char* text =
      "graph { %x = placeholder : f32[2] %a = aten.relu(%x) : f32[2] %b = aten.neg(%a) : f32[2] %e = "
      "aten.exp(%a) : f32[2] %c = aten.mul.Tensor(%e, %b) : f32[2] return %c, %b }";
  es::graph<es::aten_ir> g(laws::typed(text));
  (es::on_regions<pointwise>(puts_out(es::argument(2))) | es::dce{}).run(g);
  CHECK(laws::printed(g) ==
        laws::printed(
            laws::typed("graph { %x = placeholder : f32[2] %a = aten.relu(%x) : f32[2] %e = "
                        "aten.exp(%a) : f32[2] %c = aten.mul.Tensor(%e, 2) : f32[2] return %c, 2 }")));
  CHECK(g.num_subgraphs() == 0);
  es::graph<es::aten_ir> h(laws::typed(text));
  const auto before = laws::printed(h);
  const es::argument two[] = {es::argument(1), es::argument(2)};
  CHECK_THROWS_WITH(
      (es::on_regions<pointwise>(puts_out(es::span<const es::argument>(two))) | es::dce{}).run(h),
      doctest::Contains("'puts_out' made output 1 of a region a list"));
  CHECK(laws::printed(h) == before);
}

TEST_CASE("random programs: the laws, and what is in no region is what it was") {
  const auto law = [](std::uint64_t seed, std::size_t size, bool writes) {
    laws::program_options o;
    o.calls = 1 + size % 80;
    o.writes = writes;
    o.random = true;
    const auto g = laws::random_program(seed, o);
    const laws::some_operators takes{seed};
    const auto run = [](const auto& pass) {
      return [&pass](es::graph_storage& h) {
        es::pass_context c;
        return es::detail::run_stage(pass, h, c, 0, 0);
      };
    };
    const auto tidy = es::on_regions(takes, es::fix(es::canonicalize{} | es::cse{} | es::dce{}));
    laws::options once;
    once.idempotent = false; // what is gone may leave regions that can be one
    if (const auto broken = laws::broken_law_of("on_regions", g, run(tidy), once); !broken.empty())
      RC_FAIL(broken);
    auto h = g;
    const auto merge = es::on_regions(takes, es::fix(es::cse{} | es::dce{})); // makes no other operators
    run(merge)(h);
    const auto outside = [&](const es::graph_storage& x) {
      std::vector<std::string> out;
      for (es::node n : es::nodes(x))
        if (n.is_call() && !takes(n))
          out.emplace_back(es::name_of(n.op()));
      return out;
    };
    auto before = outside(g), after = outside(h);
    std::sort(before.begin(), before.end());
    std::sort(after.begin(), after.end());
    RC_ASSERT(before == after);
    const auto nothing = es::on_regions(everything{}, es::no_pass{});
    h = g;
    RC_ASSERT(!run(nothing)(h).changed());
    RC_ASSERT(laws::printed(h) == laws::printed(g));
  };
  CHECK(rc::check("on_regions", law));
}
