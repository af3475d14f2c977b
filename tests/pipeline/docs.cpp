// SPDX-License-Identifier: BSL-1.0
// The code of docs/pipelines.md, docs/rewriting.md, docs/subgraphs.md.
#include <espalier/ir/graph.hpp>
#include <espalier/ir/print.hpp>
#include <espalier/passes/cse.hpp>
#include <espalier/passes/dce.hpp>
#include <espalier/passes/split.hpp>
#include <espalier/passes/view_copy.hpp>
#include <espalier/pipeline/bisect.hpp>
#include <espalier/pipeline/combinators.hpp>
#include <espalier/pipeline/instruments/printing.hpp>
#include <espalier/pipeline/instruments/timing.hpp>
#include <espalier/pipeline/instruments/verifying.hpp>
#include <espalier/pipeline/on_regions.hpp>
#include <espalier/pipeline/registry.hpp>
#include <espalier/rewrite/driver.hpp>
#include <espalier/schema/aten.hpp>

#include <doctest/doctest.h>

#include <iostream>
#include <sstream>

namespace es = espalier;

namespace {

// --- a pass
// ---------------------------------------------------------------------------------------------------------

struct drop_prints : es::pass {
  static constexpr std::string_view name = "drop-prints";
  using takes = es::any_dialect;
  using gives = es::same_dialect;
  using destroys = es::properties<es::property::no_dead_code>;
  static constexpr std::string_view statistics[] = {"prints"};

  es::pass_result run(es::graph_storage& g, es::pass_context& c) const {
    es::pass_result done;
    for (es::node n : es::nodes(g))
      if (n.is_call() && es::name_of(n.op()) == "aten::_print") {
        g.erase(n);
        ++done.erased;
      }
    c.count("prints", done.erased);
    return done;
  }
};

// --- a property, and passes that speak of it

struct quantised {
  static constexpr std::string_view name = "quantised";
};
struct quantise : es::pass {
  static constexpr std::string_view name = "quantise";
  using takes = es::core_aten;
  using establishes = es::properties<quantised>;
  es::pass_result run(es::graph_storage&) const { return {}; }
};
struct fold_scales : es::pass {
  static constexpr std::string_view name = "fold-scales";
  using takes = es::core_aten;
  using needs = es::properties<quantised, es::property::no_dead_code>;
  using destroys = es::properties<>;
  es::pass_result run(es::graph_storage&) const { return {}; }
};

// --- an operator and a dialect of one's own

using fused_gelu = es::op<"my::fused_gelu(Tensor x, float slope=1.0) -> Tensor">;

struct no_views {
  static constexpr bool permits(es::op_flags f) noexcept { return !f.view; }
  static constexpr std::string_view sentence = "the dialect has no views: use the copying operators";
};
struct my_target {
  static constexpr std::string_view name = "my_target", verifier = "ATEN";
  using rule_list = es::rules<es::no_mutation, no_views>;
  using refines = es::dialects<es::aten_ir>;
};
struct copy_views : es::pass {
  static constexpr std::string_view name = "copy-views";
  using takes = es::aten_ir;
  using gives = my_target;
  es::pass_result run(es::graph_storage& g, es::pass_context& c) const {
    return es::views_to_copies{}.run(g, c);
  }
};

// --- patterns and rules

namespace aten = es::aten;
constexpr auto x = es::capture<"x">;
constexpr auto w = es::capture<"w">;
constexpr auto b = es::capture<"b">;

constexpr auto linear = es::rewrite<"mm-add">(
    es::pattern<aten::add_Tensor>(es::pattern<aten::mm>(x, w).one_use(), b).commutative(),
    [](auto& r, const auto& m) { return r.template call<aten::addmm>(m[b], m[x], m[w]); });

constexpr auto p = es::constant<"p">;
constexpr auto drop_in_eval = es::rewrite<"dropout-in-eval">(es::pattern<aten::dropout>(x, p, false),
                                                             [](auto&, const auto& m) { return m[x]; });

es::graph<es::core_aten> small() {
  const auto meta = es::make_meta(es::scalar_type::f32, {4, 4});
  es::graph<es::core_aten> g;
  const auto a = g.placeholder("a", meta), c = g.placeholder("c", meta);
  const auto product = g.call<aten::mm>(a, c);
  g.output(g.call<aten::add_Tensor>(c, product));
  g.set_meta(product.id(), meta);
  return g;
}

} // namespace

TEST_CASE("docs/pipelines.md: composing and running") {
  auto graph = small();
  constexpr auto tidy = drop_prints{} | es::fix(es::cse{} | es::dce{});
  const es::pass_result done = tidy.run(graph);
  CHECK_FALSE(done.changed());

  constexpr auto lower = quantise{} | es::dce{} | fold_scales{};
  static_assert(decltype(lower)::num_stages == 3);
  static_assert(decltype(lower)::runs_on_dialect<es::core_aten>);
  static_assert(!decltype(lower)::runs_on_dialect<es::training_ir>);
  static_assert(decltype(lower)::establishes_property<quantised>);
  CHECK(lower.text() == "quantise | dce | fold-scales");

  constexpr auto is_large = [](const es::graph_storage& g) { return g.num_nodes() > 10'000; };
  constexpr auto careful =
      es::when(is_large, es::cse{}) | es::select<sizeof(void*) == 8>(drop_prints{}) | es::dce{};
  careful.run(graph);

  auto lowered = lower(std::move(graph));
  static_assert(std::same_as<decltype(lowered), es::graph<es::core_aten>>);
}

TEST_CASE("docs/pipelines.md: watching") {
  auto graph = small();
  std::ostringstream out;
  es::timing_tree times;
  es::print_after print(out, es::print_when::changed);
  es::verify_each verify({.require_meta = false});
  (es::cse{} | es::dce{}).run(graph, times, print, verify);
  out << times.text();
  CHECK(out.str().find("dce") != std::string::npos);

  es::pass_context context;
  const std::string_view off[] = {"cse"};
  context.disable(off);
  (es::cse{} | es::dce{} | es::assume<es::property::no_duplicates>{}).run(graph, context);
}

TEST_CASE("docs/pipelines.md: pipelines from text") {
  auto graph = small();
  es::pass_registry<> passes;
  passes.add(es::cse{}, "merges equal calls");
  passes.add(es::dce{}, "erases what nobody uses");
  const auto pipeline = passes.parse("fix(cse | dce)");
  es::pass_context context;
  pipeline.run(graph, es::info_of_dialect<es::core_aten>, context);
  CHECK(pipeline.text() == "fix<25>(cse | dce)");
}

TEST_CASE("docs/pipelines.md: an operator and a dialect of one's own") {
  es::graph<my_target> g;
  const auto in = g.placeholder("x");
  const auto out = g.call<fused_gelu>(in, es::kw<"slope">(0.5));
  g.output(out);
  CHECK(es::match<fused_gelu>(out.def()).arg<"slope">().as_double() == 0.5);
  static_assert(es::refines<my_target, es::training_ir>);

  es::graph<es::aten_ir> loaded;
  const auto rows = loaded.placeholder("rows", es::make_meta(es::scalar_type::f32, {2, 3}));
  loaded.output(loaded.call<es::aten::t>(rows));
  const es::vector<es::diagnostic> found = es::verify<my_target>(loaded, {.require_meta = false});
  CHECK(found.at(0).what.starts_with(no_views::sentence));

  const auto lower = copy_views{} | es::verified<my_target>{} | es::dce{};
  const es::graph<my_target> copied = lower(std::move(loaded));
  CHECK(es::verify<my_target>(copied).empty());
}

TEST_CASE("docs/rewriting.md") {
  auto graph = small();
  constexpr auto fuse = es::rewrites<"fuse">(linear, drop_in_eval);
  CHECK((fuse | es::dce{}).run(graph).rewritten == 1);

  auto other = small();
  for (es::node n : es::nodes(other))
    if (auto found = es::match_at(linear.pattern, n))
      CHECK((*found)[b].name() == "c");

  const es::match_report why = es::explain(linear.pattern, es::node(other, other.first()));
  CHECK(why.reason == "'a' is placeholder, and the pattern wants torch.ops.aten.add.Tensor");

  const auto still_multiplies = [](const es::graph_storage& g) {
    for (es::node n : es::nodes(g))
      if (n.is_call() && es::name_of(n.op()) == "aten::mm")
        return true;
    return false;
  };
  const auto pipeline = fuse | es::dce{};
  const es::bisect_report guilty = es::bisect(
      [&] { return small(); },
      [&](auto& g, auto& context, auto&... watch) { pipeline.run(g, context, watch...); }, still_multiplies);
  CHECK(guilty.text() == "pass 'fuse' at position 1, rule 'mm-add', rewrite 1");
}

TEST_CASE("docs/subgraphs.md") {
  auto graph = small();
  std::ostringstream out;
  es::delegation_report report;
  const auto takes = es::calls_to<aten::relu, aten::add_Tensor, aten::neg>{};
  (es::split(takes, {.min_nodes = 2, .prefix = "npu", .report = &report}) | es::dce{}).run(graph);
  out << report.text();
  CHECK(out.str().starts_with("Regions: " + std::to_string(report.regions.size())));
  CHECK(report.delegated + report.left > 0);

  constexpr auto confined = es::on_regions(es::calls_to<aten::relu, aten::neg>{}, es::cse{}) | es::dce{};
  confined.run(graph);
  CHECK(confined.text() == "on_regions<aten.relu.default, aten.neg.default>(cse) | dce");
}
