// SPDX-License-Identifier: BSL-1.0
// Pipelines from text on parts of a graph: `on_subgraphs(...)` and `on_regions<...>(...)` do what the typed
// combinators do, on graphs and on units that are more than a graph.
#include "../passes/laws.hpp"

#include <espalier/ir/graph.hpp>
#include <espalier/passes/canonicalize.hpp>
#include <espalier/passes/cse.hpp>
#include <espalier/passes/dce.hpp>
#include <espalier/pipeline/bisect.hpp>
#include <espalier/pipeline/combinators.hpp>
#include <espalier/pipeline/instruments/timing.hpp>
#include <espalier/pipeline/on_regions.hpp>
#include <espalier/pipeline/registry.hpp>
#include <espalier/schema/aten.hpp>

#include <doctest/doctest.h>

#include <concepts>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace es = espalier;
namespace aten = es::aten;

namespace {

/// A graph and something that hangs on it.
struct whole {
  es::graph_storage graph;
  int finished = 0;
};

struct needs_whole : es::pass {
  static constexpr std::string_view name = "needs-whole";
  es::pass_result run(whole&) const { return {}; }
};
/// Runs on a graph alone too, but takes the rest along where there is one.
struct takes_along : es::pass {
  static constexpr std::string_view name = "takes-along";
  es::pass_result run(whole&) const { return {}; }
  es::pass_result run(es::graph_storage&) const { return {}; }
};
struct lower_like : es::pass {
  static constexpr std::string_view name = "lower-like";
  using takes = es::training_ir;
  using gives = es::core_aten;
  es::pass_result run(es::graph_storage&) const { return {}; }
};
/// Where the contexts of its runs were.
struct places : es::pass {
  static constexpr std::string_view name = "places";
  std::vector<std::string>* to;
  explicit places(std::vector<std::string>* t) : to(t) {}
  es::pass_result run(const es::graph_storage&, es::pass_context& c) const {
    to->push_back(c.place_text());
    return {};
  }
};
struct puts_out_more : es::pass {
  static constexpr std::string_view name = "puts-out-more";
  es::pass_result run(es::graph_storage& g) const {
    const es::argument a[] = {es::argument(1), es::argument(2), es::argument(3)};
    g.set_args(g.output_node(), a);
    return {0, 1};
  }
};

} // namespace

template <>
struct es::pipeline_unit<whole> {
  using dialect_type = es::training_ir;
  static es::graph_storage& storage(whole& w) { return w.graph; }
  static void finish(whole& w) { ++w.finished; }
};

namespace {

template <class U>
es::pass_registry<U> known() {
  es::pass_registry<U> r;
  r.add(es::dce{});
  r.add(es::cse{});
  r.add(es::canonicalize{});
  r.add(lower_like{});
  r.add(puts_out_more{});
  if constexpr (std::same_as<U, whole>) {
    r.add(needs_whole{});
    r.add(takes_along{});
    r.add(es::renamed<"deep">(es::cse{} | es::fix(needs_whole{})));
    r.add(es::renamed<"flat">(es::cse{} | es::fix(es::dce{})));
  }
  return r;
}

template <class U = es::graph_storage>
std::string refused(std::string_view text) {
  try {
    known<U>().parse(text);
  } catch (const es::error& e) {
    return e.what();
  }
  return "accepted";
}

/// Equal calls at the top, and in two subgraphs, of which one lies in the other.
es::graph_storage branches() {
  const std::string body = "%x = placeholder : f32[2] %a = aten.relu(%x) %b = aten.relu(%x) ";
  return laws::typed("graph { graph @t { graph @in { " + body + "%c = aten.add.Tensor(%a, %b) return %c } " +
                     body +
                     "%c = aten.add.Tensor(%a, %b) [%d] = higher_order.cond(True, @in, @in, [%c]) return %d "
                     "} %x = placeholder : f32[2] %p = placeholder : b8[] %a = aten.relu(%x) %b = "
                     "aten.relu(%x) [%y] = higher_order.cond(%p, @t, @t, [%a]) %z = aten.mul.Tensor(%y, %b) "
                     "return %z }");
}
/// Equal calls inside of regions of `relu` and `add`, and outside of them.
es::graph_storage regions() {
  return laws::typed(
      "graph { %x = placeholder : f32[2] %a = aten.relu(%x) %b = aten.relu(%x) %c = aten.add.Tensor(%a, %b) "
      "%d = aten.exp(%c) %e = aten.exp(%c) %f = aten.relu(%d) %h = aten.mul.Tensor(%f, %e) return %h }");
}

std::vector<std::string> names(es::span<const es::property_info> all) {
  std::vector<std::string> out;
  for (const auto& p : all)
    out.emplace_back(p.name);
  return out;
}
void same_facts(const es::pass_facts& a, const es::pass_facts& b) {
  CHECK(a.name == b.name);
  CHECK(a.takes.type == b.takes.type);
  CHECK(a.gives.type == b.gives.type);
  CHECK(names(a.needs) == names(b.needs));
  CHECK(names(a.establishes) == names(b.establishes));
  CHECK(names(a.destroys) == names(b.destroys));
  CHECK(a.destroys_rest == b.destroys_rest);
}

/// What a pipeline makes of a graph, by text and by type.
template <class P>
void same_work(std::string_view text, const P& typed, const es::graph_storage& g) {
  CAPTURE(text);
  const auto by_text = known<es::graph_storage>().parse(text);
  auto a = g, b = g;
  es::pass_context c, d;
  const auto did = by_text.run(a, es::info_of_dialect<es::training_ir>, c);
  CHECK(did == es::pipeline{typed}.run_dynamic(b, es::info_of_dialect<es::training_ir>, d));
  CHECK(did.changed());
  CHECK(laws::printed(a) == laws::printed(b));
  whole w{g};
  es::pass_context e;
  CHECK(did == known<whole>().parse(text).run(w, es::info_of_dialect<es::training_ir>, e));
  CHECK(laws::printed(w.graph) == laws::printed(b));
  CHECK(w.finished == 1);
}

constexpr es::calls_to<aten::relu, aten::add_Tensor> small_calls;

} // namespace

TEST_CASE("parts in text do what the typed combinators do") {
  same_work("on_subgraphs(cse | dce)", es::on_subgraphs(es::cse{} | es::dce{}), branches());
  same_work("fix(on_subgraphs(cse) | cse)", es::fix(es::on_subgraphs(es::cse{}) | es::cse{}), branches());
  same_work("on_regions<aten.relu.default, aten.add.Tensor>(cse)", es::on_regions(small_calls, es::cse{}),
            regions());
  same_work("on_regions<aten.relu, aten.add, min_nodes=2>(fix(cse | dce))",
            es::on_regions(small_calls, es::fix(es::cse{} | es::dce{}), {.min_nodes = 2}), regions());
  same_work("on_subgraphs(on_regions<aten.*>(cse))",
            es::on_subgraphs(es::on_regions(
                [](es::node n) { return es::target_of(n.op()).starts_with("aten."); }, es::cse{})),
            branches());
}

TEST_CASE("a pipeline on parts prints what is parsed") {
  const auto again = [](std::string_view text) {
    CHECK(known<whole>().parse(text).text() == text);
    return known<es::graph_storage>().parse(text).text();
  };
  for (const std::string_view text :
       {"on_subgraphs(cse | dce) | dce", "on_subgraphs(fix<3>(cse | renamed<tidy>(dce)))",
        "on_regions<aten.relu.default, aten.add.*, not:aten.add.Scalar>(cse)",
        "on_regions<aten.relu, min_nodes=2>(cse | dce)",
        "on_subgraphs(on_regions<aten.relu>(check<no_dead_code> | on_subgraphs(assume<canonical>)))"})
    CHECK(again(text) == text);
  CHECK(known<es::graph_storage>().parse("on_regions< aten.add ,aten.relu>( cse )").text() ==
        "on_regions<aten.add, aten.relu>(cse)");
  const auto typed = es::on_regions(small_calls, es::cse{}, {.min_nodes = 3});
  CHECK(again(typed.text()) == "on_regions<aten.relu.default, aten.add.Tensor, min_nodes=3>(cse)");
}

TEST_CASE("their contracts are those of the typed combinators") {
  const auto r = known<whole>();
  const auto facts = [&](const es::any_pipeline<whole>& p, const es::pass_facts& typed) {
    REQUIRE(p.stages().size() == 1);
    same_facts(p.stages()[0].facts(), typed);
  };
  const auto sub = r.parse("on_subgraphs(canonicalize | cse | dce)");
  facts(sub, es::facts_of<decltype(es::on_subgraphs(es::canonicalize{} | es::cse{} | es::dce{}))>);
  const auto reg = r.parse("on_regions<aten.relu, aten.add.Tensor>(canonicalize | cse | dce)");
  facts(reg, es::facts_of<decltype(es::on_regions(small_calls, es::canonicalize{} | es::cse{} | es::dce{}))>);
}

TEST_CASE("instruments see the parts, the context has their place, and stages inside are switched off") {
  std::vector<std::string> seen;
  es::pass_registry<whole> r;
  r.add(es::cse{});
  r.add(es::dce{});
  r.add(places(&seen));
  const auto p = r.parse("on_subgraphs(places | cse) | dce");
  whole w{branches()};
  es::pass_context c;
  es::timing_tree times;
  es::vector<es::any_instrument> watch;
  watch.push_back(es::any_instrument::refer(times));
  p.run(w, es::info_of_dialect<es::training_ir>, c, watch);
  CHECK(seen == std::vector<std::string>{"t/in", "t"});
  REQUIRE(times.rows().size() == 4);
  CHECK(times.rows()[0].name == "on_subgraphs");
  CHECK(times.rows()[0].result.erased == 2);
  CHECK(times.rows()[2].name == "cse");
  CHECK(times.rows()[2].depth == 1);
  CHECK(times.rows()[2].runs == 2);

  const std::string_view off[]{"cse"}, all[]{"on_subgraphs"};
  CHECK(p.text_without(off) == "on_subgraphs(places) | dce");
  CHECK(p.text_without(all) == "dce");
  for (const es::span<const std::string_view> names : {es::span(off), es::span(all)}) {
    whole left{branches()};
    es::pass_context without;
    without.disable(names);
    CHECK_FALSE(p.run(left, es::info_of_dialect<es::training_ir>, without).changed());
  }
  const auto cut = r.parse("on_regions<aten.relu>(cse)");
  CHECK(cut.text_without(off).empty());
  whole left{regions()};
  es::pass_context without;
  without.disable(off);
  CHECK_FALSE(cut.run(left, es::info_of_dialect<es::training_ir>, without).changed());
}

TEST_CASE("a guilty pass on parts is found by the whole") {
  const auto p = known<es::graph_storage>().parse("dce | on_subgraphs(canonicalize | cse)");
  const auto g = branches();
  const auto size = [](const es::graph_storage& x) { return x.subgraph(0).num_nodes(); };
  const auto found = es::bisect([&] { return g; },
                                [&](es::graph_storage& h, es::pass_context& c, auto&... is) {
                                  es::vector<es::any_instrument> watch;
                                  (watch.push_back(es::any_instrument::refer(is)), ...);
                                  p.run(h, es::info_of_dialect<es::training_ir>, c, watch);
                                },
                                [&](const es::graph_storage& h) { return size(h) == size(g); });
  CHECK(found.pass == "cse");
  CHECK(found.within == "on_subgraphs");
}

TEST_CASE("what cannot run on parts is refused in the text") {
  const std::string cure = "; run it outside of on_subgraphs(...) and on_regions(...)";
  CHECK(refused<whole>("dce | on_subgraphs(cse | needs-whole)") ==
        "pass 'needs-whole' takes a whole program, of which a subgraph or a region has only nodes (at column "
        "26 of pipeline 'dce | on_subgraphs(cse | needs-whole)')" +
            cure);
  CHECK(refused<whole>("on_regions<aten.relu>(fix(takes-along))").starts_with("pass 'takes-along' takes a "));
  CHECK(refused<whole>("on_subgraphs(deep)").starts_with("pass 'deep' takes a whole program"));
  CHECK(refused<whole>("on_subgraphs(flat)") == "accepted");
  CHECK(refused<whole>("on_subgraphs(fix)").starts_with("no pass is called 'fix' (at column 14 "));
  CHECK(refused<whole>("needs-whole | fix(takes-along | on_subgraphs(cse))") == "accepted");
  CHECK(refused("on_subgraphs(dce | lower-like)") ==
        "'dce | lower-like' gives dialect core_aten, but the graph around keeps its own (at column 1 of "
        "pipeline 'on_subgraphs(dce | lower-like)': on_subgraphs(...)); run it on the whole graph");
  CHECK(
      refused("cse | on_regions<aten.relu>(lower-like)")
          .starts_with("'lower-like' gives dialect core_aten, but the graph around keeps its own (at column "
                       "7 of "));
  CHECK(refused("on_regions(cse)") ==
        "'on_regions(' is not how it is written (at column 1 of pipeline 'on_regions(cse)'); write "
        "on_regions<OPERATOR, ...>(...)");
  CHECK(refused("on_subgraphs<t>(cse)").starts_with("'on_subgraphs<t>(' is not how it is written"));
  CHECK(refused("on_regions<aten.rely>(cse)") ==
        "ATen has no such operator (at column 1 of pipeline 'on_regions<aten.rely>(cse)': operator "
        "'aten.rely'); write it as --print does: aten.add.Tensor, aten.add for all of its overloads, aten.* "
        "for all of ATen");
  CHECK(refused("on_regions<min_nodes=2>(cse)").starts_with("no operator is named (at column 1 "));
  CHECK(refused("on_regions<aten.relu, least=2>(cse)").starts_with("'least=2' is no option of it"));
  CHECK(refused("on_regions<aten.relu>(cse").starts_with("')' is missing (at column 26 "));
  CHECK(refused("on_subgraph(cse)").ends_with("; write on_subgraphs(...)"));

  auto g = regions();
  const auto before = laws::printed(g);
  es::pass_context c;
  CHECK_THROWS_WITH_AS(
      known<es::graph_storage>()
          .parse("on_regions<aten.relu>(cse | puts-out-more)")
          .run(g, es::info_of_dialect<es::training_ir>, c),
      doctest::Contains("pass 'cse | puts-out-more' added or removed inputs or outputs of a region"),
      es::error);
  CHECK(laws::printed(g) == before);
}
