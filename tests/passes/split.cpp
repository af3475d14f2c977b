// SPDX-License-Identifier: BSL-1.0
// Splitting and inlining: laws on random programs and on the corpus, what stays outside and why, the report.
#include "../archive/corpus.hpp"
#include "laws.hpp"
#include "random_programs.hpp"
#include "regions.hpp"

#include <espalier/archive/loaded_program.hpp>
#include <espalier/ir/diff.hpp>
#include <espalier/passes/inline.hpp>
#include <espalier/passes/split.hpp>
#include <espalier/pipeline/combinators.hpp>

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace es = espalier;
namespace aten = es::aten;

namespace {

constexpr auto takes_all = [](es::node) { return true; };
using takes_pointwise = es::calls_to<aten::relu, aten::add_Tensor, aten::neg, aten::mul_Tensor>;

template <class P>
es::pass_result run(const P& pass, es::graph_storage& g) {
  es::pass_context c;
  return es::detail::call_pass(pass, g, c);
}
std::size_t count_calls(const es::graph_storage& g, es::op_id o) {
  std::size_t n = 0;
  for (es::node m : es::nodes(g))
    n += m.is_call(o);
  return n;
}
const es::op_id invoke = *es::find_op("higher_order::invoke_subgraph");

} // namespace

TEST_CASE("random programs: the laws, regions as large as they can be, and inlining gives the program back") {
  const auto law = [](std::uint64_t seed, std::size_t size, bool writes, std::uint8_t least) {
    laws::program_options p;
    p.calls = 1 + size % 80;
    p.random = true;
    p.writes = writes;
    const auto g = laws::random_program(seed, p);
    const laws::some_operators takes{seed};
    const es::region_options least_nodes{least % 4u, true};
    const es::split cut(takes, {.min_nodes = least_nodes.min_nodes});
    laws::options o;
    o.idempotent = least % 4 < 2; // what is too small beside a region may be large enough beside a call
    if (const auto broken = laws::broken_law(cut, g, o); !broken.empty())
      RC_FAIL(broken);
    if (const auto why = laws::fault_of_regions(g, es::find_regions(g, takes)); !why.empty())
      RC_FAIL(why + "\n" + laws::printed(g));
    const std::size_t regions = es::find_regions(g, takes, least_nodes).regions.size();

    auto h = g;
    run(cut, h);
    RC_ASSERT(count_calls(h, invoke) == regions);
    if (const auto broken = laws::broken_law(es::inline_subgraphs{}, h); !broken.empty())
      RC_FAIL(broken);
    RC_ASSERT(run(es::inline_subgraphs{}, h).rewritten == regions);
    if (const auto d = es::diff(g, h); !d.empty())
      RC_FAIL(d.text() + laws::printed(g) + laws::printed(h));
    RC_ASSERT(h.num_subgraphs() == g.num_subgraphs());
  };
  CHECK(rc::check("split, and inline", law));
}

TEST_CASE("every program of the corpus splits soundly, and inlining gives it back, names too") {
  std::size_t regions = 0;
  for (const auto& file : corpus::archives())
    for (const auto& p : es::load_programs(file.string()).programs)
      for (std::uint64_t seed = 0; seed != 4; ++seed) {
        INFO(file.string() << ", operators of seed " << seed);
        const laws::some_operators takes{seed * 3};
        const auto plan = es::find_regions(p.graph, takes, {.only_used = true});
        const auto faults = es::verify<es::torch_ir>(p.graph, {.require_meta = false}).size();
        auto g = p.graph;
        CHECK(run(es::split(takes), g).rewritten == plan.num_inside());
        regions += plan.regions.size();
        CHECK(count_calls(g, invoke) >= plan.regions.size());
        CHECK(es::verify<es::torch_ir>(g, {.require_meta = false}).size() == faults);
        run(es::inline_subgraphs{}, g);
        CHECK(es::verify<es::torch_ir>(g, {.require_meta = false}).size() == faults);
        auto whole = p.graph; // what export itself put into subgraphs is inlined too
        run(es::inline_subgraphs{}, whole);
        CHECK(es::diff(whole, g).text() == "no difference\n");
        const auto names = [](const es::graph_storage& h) {
          std::vector<std::string> out;
          for (es::node n : es::nodes(h))
            out.emplace_back(n.name());
          std::sort(out.begin(), out.end());
          return out;
        };
        CHECK(names(whole) == names(g));
      }
  if (!corpus::archives().empty())
    CHECK(regions > 50);
}

TEST_CASE("what does more than compute stays outside, in its order, and the report says why") {
  auto g = laws::typed(R"(graph {
    %b = placeholder buffer : f32[2, 3] %x = placeholder : f32[2, 3]
    %a = aten.relu(%x) : f32[2, 3]
    %d = aten.dropout(%a, 0.5, True) : f32[2, 3]
    %n = aten.neg(%d) : f32[2, 3]
    %w = aten.add_.Tensor(%b, 1) : f32[2, 3]
    %r = aten.mul.Tensor(%b, %n) : f32[2, 3]
    %v = aten.view(%b, [6]) : f32[6]
    aten._assert_tensor_metadata(%n, None, None, f32)
    %e = aten.exp(%n) : f32[2, 3]
    %s = aten.add.Tensor(%e, %a) : f32[2, 3]
    %c = aten.cos(%s) : f32[2, 3]
    return %r, %c, %v })");
  const auto supported = [](es::node n) { return es::name_of(n.op()) != "aten::exp"; };
  es::delegation_report report;
  const es::split cut(supported, {.min_nodes = 2, .prefix = "npu", .report = &report});
  CHECK(laws::broken_law(cut, g, {.idempotent = false}) == "");
  CHECK(report.regions.size() == 2); // it ran twice
  report = {};
  const auto before =
      report_of(g, es::find_regions(g, supported, {.min_nodes = 2, .only_used = true}), cut.options).text();
  CHECK(run(cut, g) == es::pass_result{0, 2});
  CHECK(report.text() == before);
  CHECK(report.text() == R"(Regions: 1
Calls in regions: 2
Calls left out: 8

region  calls  inputs  outputs
npu_0       2       2        1

operator                              in regions  left out
aten._assert_tensor_metadata.default           0         1
aten.add.Tensor                                1         0
aten.add_.Tensor                               0         1
aten.cos.default                               1         0
aten.dropout.default                           0         1
aten.exp.default                               0         1
aten.mul.Tensor                                0         1
aten.neg.default                               0         1
aten.relu.default                              0         1
aten.view.default                              0         1

Left out, not supported: 1
  aten.exp.default

Left out, writes to memory: 1
  aten.add_.Tensor

Left out, draws random numbers: 1
  aten.dropout.default

Left out, has effects: 1
  aten._assert_tensor_metadata.default

Left out, uses memory that is written to: 2
  aten.mul.Tensor, aten.view.default

Left out, region too small (fewer than 2 calls): 2
  aten.neg.default, aten.relu.default
)");
}

TEST_CASE("dead code is no region: a call without a result is none that Python takes") {
  auto p = es::parse_text(
      "graph { %x = placeholder : f32[2] %a = aten.relu(%x) : f32[2] %b = aten.neg(%a) : f32[2] "
      "%c = aten.neg(%x) : f32[2] return %c }");
  es::delegation_report report;
  run(es::split(takes_pointwise{}, {.report = &report}), p.graph);
  CHECK(count_calls(p.graph, invoke) == 1);
  CHECK(report.delegated == 1);
  REQUIRE(report.omissions.size() == 2); // by operator
  for (const auto& o : report.omissions)
    CHECK(o.why == es::left_out::unused);
}

TEST_CASE("a diamond that would be a cycle stays two regions, and one that would not becomes one") {
  auto g = laws::typed("graph { %x = placeholder : f32[2] %a = aten.relu(%x) : f32[2] %w = aten.exp(%a) : "
                       "f32[2] %b = aten.add.Tensor(%a, %w) : f32[2] return %b }");
  es::delegation_report report;
  run(es::split(takes_pointwise{}, {.report = &report}), g);
  CHECK(report.regions.size() == 2);
  REQUIRE(report.gaps.size() == 1);
  CHECK(report.gaps[0].between == "w");
  CHECK(report.text().find("subgraph_0 and subgraph_1: 'w' stands between") != std::string::npos);
  CHECK(laws::printed(g) == laws::printed(laws::typed(R"(graph {
    graph @subgraph_0 { %x = placeholder : f32[2] %a = aten.relu(%x) : f32[2] return %a }
    graph @subgraph_1 { %a = placeholder : f32[2] %w = placeholder : f32[2]
      %b = aten.add.Tensor(%a, %w) : f32[2] return %b }
    %x = placeholder : f32[2]
    %invoke_subgraph: %a = higher_order.invoke_subgraph(@subgraph_0, "subgraph_0", %x) : f32[2]
    %w = aten.exp(%a) : f32[2]
    %invoke_subgraph_1: %b = higher_order.invoke_subgraph(@subgraph_1, "subgraph_1", %a, %w) : f32[2]
    return %b })")));

  // the way by %w begins in another part: nothing keeps %u from %v
  g = laws::typed("graph { %x = placeholder : f32[2] %a = aten.relu(%x) : f32[2] %w = aten.exp(%a) : f32[2] "
                  "%u = aten.neg(%x) : f32[2] %v = aten.add.Tensor(%u, %w) : f32[2] return %v }");
  const auto plan = es::find_regions(g, takes_pointwise{});
  CHECK(plan.regions.size() == 2);
  CHECK(plan.gaps.empty());
  CHECK(laws::fault_of_regions(g, plan) == "");
}

TEST_CASE("the order of calls that write is a way too") {
  auto g =
      laws::typed("graph { %p = placeholder buffer : f32[2] %x = placeholder : f32[2] %a = aten.relu(%x) "
                  ": f32[2] %w = aten.add_.Tensor(%p, %a) : f32[2] %e = aten.exp(%p) : f32[2] %b = "
                  "aten.add.Tensor(%a, %e) : f32[2] return %b }");
  auto h = laws::typed(
      "graph { %p = placeholder buffer : f32[2] %q = placeholder parameter : f32[2] %x = placeholder : "
      "f32[2] %a = aten.relu(%x) : f32[2] %w = aten.add_.Tensor(%p, %a) : f32[2] %v = "
      "aten.add_.Tensor(%q, 1) : f32[2] %e = aten.exp(%q) : f32[2] %b = aten.add.Tensor(%a, "
      "%e) : f32[2] return %b }");
  for (auto* graph : {&g, &h}) {
    const auto plan = es::find_regions(*graph, takes_pointwise{});
    CHECK(plan.regions.size() == 2);
    CHECK(plan.gaps.size() == 1);
    CHECK(laws::fault_of_regions(*graph, plan) == "");
    CHECK(laws::broken_law(es::split(takes_pointwise{}), *graph) == "");
  }
}

TEST_CASE("a report has the names that subgraphs got, and is of all graphs that were cut") {
  const auto text = R"(graph {
    graph @npu_0 { %a = placeholder : f32[2] %b = aten.relu(%a) : f32[2] %w = aten.exp(%b) : f32[2]
      %c = aten.add.Tensor(%b, %w) : f32[2] return %c }
    graph @f {
      graph @inner { %a = placeholder : f32[2] %b = aten.neg(%a) : f32[2] return %b }
      %p = placeholder : b8[] %a = placeholder : f32[2]
      [%y] = higher_order.cond(%p, @inner, @inner, [%a]) : f32[2] return %y }
    %p = placeholder : b8[] %x = placeholder : f32[2]
    [%y] = higher_order.cond(%p, @npu_0, @npu_0, [%x]) : f32[2]
    [%v] = higher_order.cond(%p, @f, @f, [%p, %x]) : f32[2]
    %z = aten.neg(%y) : f32[2] return %z, %v })";
  es::graph<es::aten_ir> g(laws::typed(text));
  es::delegation_report report;
  const es::split cut(takes_pointwise{}, {.prefix = "npu", .report = &report});
  (es::on_subgraphs(cut) | cut).run(g);
  std::string regions;
  for (const auto& r : report.regions)
    regions += r.graph + ":" + r.name + " ";
  // @npu_0 is taken in the top graph only
  CHECK(regions == "npu_0:npu_0 npu_0:npu_1 f/inner:npu_0 :npu_0_1 ");
  CHECK(g.text(g.subgraph_name(2)) == "npu_0_1");
  REQUIRE(report.gaps.size() == 1);
  CHECK(report.gaps[0].graph == "npu_0");
  CHECK(report.delegated == 4);
  CHECK(report.text() == R"(Regions: 4
Calls in regions: 4
Calls left out: 4

region         calls  inputs  outputs
npu_0/npu_0        1       1        1
npu_0/npu_1        1       2        1
f/inner/npu_0      1       1        1
npu_0_1            1       1        1

operator           in regions  left out
aten.add.Tensor             1         0
aten.exp.default            0         1
aten.neg.default            2         0
aten.relu.default           1         0
higher_order.cond           0         3

Left out, not supported: 4
  aten.exp.default, higher_order.cond (3)

Regions that would be a cycle as one:
  npu_0/npu_0 and npu_0/npu_1: 'w' stands between
)");

  // the names of a gap are those that the subgraphs got, too
  auto h =
      laws::typed("graph { graph @npu_0 { %a = placeholder : f32[2] return %a } %p = placeholder : b8[] %x = "
                  "placeholder : f32[2] [%y] = higher_order.cond(%p, @npu_0, @npu_0, [%x]) : f32[2] %a = "
                  "aten.relu(%y) : f32[2] %w = aten.exp(%a) : f32[2] %b = aten.add.Tensor(%a, %w) : f32[2] "
                  "return %b }");
  report = {};
  run(cut, h);
  REQUIRE(report.gaps.size() == 1);
  CHECK(report.gaps[0].from == "npu_0_1");
  CHECK(report.gaps[0].to == "npu_1");
}

TEST_CASE("calls of graphs are no part of a region, and subgraphs are left to on_subgraphs") {
  auto g = laws::typed("graph { graph @f { %a = placeholder : f32[2] %b = aten.relu(%a) : f32[2] return %b } "
                       "%p = placeholder : b8[] %x = placeholder : f32[2] [%y] = higher_order.cond(%p, @f, "
                       "@f, [%x]) : f32[2] %z = aten.neg(%y) : f32[2] return %z }");
  CHECK(run(es::split(takes_all), g) == es::pass_result{0, 1});
  CHECK(count_calls(g.subgraph(0), invoke) == 0);
}
