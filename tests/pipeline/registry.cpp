// SPDX-License-Identifier: BSL-1.0
// Pipelines that run time puts together: from text, proven when they run.
#include <espalier/ir/graph.hpp>
#include <espalier/passes/cse.hpp>
#include <espalier/passes/dce.hpp>
#include <espalier/pipeline/instruments/timing.hpp>
#include <espalier/pipeline/registry.hpp>
#include <espalier/schema/aten.hpp>

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <utility>

namespace es = espalier;

namespace {

struct lower_like : es::pass {
  static constexpr std::string_view name = "lower-like";
  using takes = es::training_ir;
  using gives = es::core_aten;
  es::pass_result run(es::graph_storage&) const { return {}; }
};
struct needs_clean : es::pass {
  static constexpr std::string_view name = "needs-clean";
  using takes = es::core_aten;
  using needs = es::properties<es::property::no_dead_code>;
  es::pass_result run(es::graph_storage&) const { return {}; }
};

/// A pass with an argument.
struct counts : es::pass {
  static constexpr std::string_view name = "counts", description = "counts", options = "WHAT";
  std::string what;
  explicit counts(std::string w) : what(std::move(w)) {}
  std::string text() const { return "counts<" + what + ">"; }
  es::pass_result run(es::graph_storage&) const { return {}; }
};

es::pass_registry<> known() {
  es::pass_registry<> r;
  r.add(es::dce{}, "erases what nobody uses");
  r.add(es::cse{});
  r.add(lower_like{});
  r.add(needs_clean{});
  r.add(counts("x"), [](std::string_view a) -> es::any_pass<> {
    if (a.empty())
      es::fail(es::error_kind::usage, "nothing to count", "pass 'counts'", "write counts<WHAT>");
    return counts(std::string(a));
  });
  return r;
}

es::graph<es::aten_ir> small() {
  es::graph<es::aten_ir> g;
  const auto x = g.placeholder("x", es::make_meta(es::scalar_type::f32, {2, 3}));
  const auto a = g.call<es::aten::add_Tensor>(x, x);
  const auto b = g.call<es::aten::add_Tensor>(x, x);
  g.call<es::aten::relu>(b);
  g.output(g.call<es::aten::mul_Tensor>(a, b));
  return g;
}

std::string refused(std::string_view text) {
  try {
    known().parse(text);
  } catch (const es::error& e) {
    return e.what();
  }
  return "accepted";
}

} // namespace

TEST_CASE("text becomes a pipeline, and the pipeline the same text") {
  const auto r = known();
  CHECK(r.parse("cse,dce").text() == "cse | dce");
  CHECK(r.parse(" cse |fix( cse| dce ) ").text() == "cse | fix<25>(cse | dce)");
  CHECK(r.parse(r.parse("fix<3>(fix(dce) | cse)").text()).text() == "fix<3>(fix<25>(dce) | cse)");
}

TEST_CASE("a part has a name in text, under which it is shown and switched off") {
  const auto p = known().parse("cse|renamed<tidy up>( dce | fix(cse | dce) )");
  CHECK(p.text() == "cse | renamed<tidy up>(dce | fix<25>(cse | dce))");
  CHECK(known().parse(p.text()).text() == p.text());
  CHECK(p.stages()[1].name() == "tidy up");
  auto g = small();
  es::pass_context c;
  es::timing_tree times;
  es::vector<es::any_instrument> watch;
  watch.push_back(es::any_instrument::refer(times));
  p.run(g, es::info_of_dialect<es::aten_ir>, c, watch);
  REQUIRE(times.rows().size() == 6);
  CHECK(times.rows()[1].name == "tidy up");
  CHECK(times.rows()[2].depth == 1);

  const auto tidy = known().parse("renamed<tidy>(cse) | cse | dce");
  const std::string_view off[]{"tidy"};
  CHECK(tidy.text_without(off) == "cse | dce");
  auto h = small();
  es::pass_context without;
  without.disable(off);
  es::timing_tree rest;
  watch.clear();
  watch.push_back(es::any_instrument::refer(rest));
  tidy.run(h, es::info_of_dialect<es::aten_ir>, without, watch);
  REQUIRE(rest.rows().size() == 2);
  CHECK(rest.rows()[0].name == "cse");
  CHECK(refused("renamed<>(cse)") == "'renamed<>(' is not how it is written (at column 1 of pipeline "
                                     "'renamed<>(cse)'); write renamed<NAME>(...)");
  CHECK(refused("when(cse, dce)").starts_with("'when(' takes more than a name can say: compose it in C++"));
}

TEST_CASE("passes take arguments where they say so") {
  CHECK(known().parse("dce | counts<a, b|c(d)>, cse").text() == "dce | counts<a, b|c(d)> | cse");
  CHECK(known().parse("fix(counts<a> | dce)").text() == "fix<25>(counts<a> | dce)");
  CHECK(known().list().find("counts<WHAT>: counts\n") != std::string::npos);
  CHECK(refused("dce | counts") ==
        "nothing to count (at column 7 of pipeline 'dce | counts': pass 'counts'); write counts<WHAT>");
  CHECK(refused("dce<3>").starts_with("pass 'dce' takes no arguments (at column 1 "));
  CHECK(refused("counts<a | dce").starts_with("'>' is missing (at column 1 "));
}

TEST_CASE("what text gets wrong is said with its column") {
  const std::string cure = "; write names separated by '|', and fix(...) around what is to be repeated";
  CHECK(refused("cse | dcs") == "no pass is called 'dcs' (at column 7 of pipeline 'cse | dcs'); write 'dce'");
  CHECK(refused("DCE") == "no pass is called 'DCE' (at column 1 of pipeline 'DCE'); write 'dce'");
  CHECK(refused("fuse_all").ends_with("; write one of dce, cse, lower-like, needs-clean, counts"));
  CHECK(refused("fixx") == "no pass is called 'fixx' (at column 1 of pipeline 'fixx'); write fix(...), or "
                           "fix<N>(...)");
  CHECK(refused("renamd<a>(cse)").ends_with("'); write renamed<NAME>(...)"));
  CHECK(refused("Fix(cse)").ends_with("'); write fix(...), or fix<N>(...)"));
  CHECK(refused("chek<no_dead_code>").ends_with("'); write check<PROPERTY>"));
  CHECK(refused("asume<no_dead_code>").ends_with("'); write assume<PROPERTY>"));
  CHECK(refused("cse | fix").ends_with("'); write fix(...), or fix<N>(...)"));
  CHECK(refused("check<no_dead_cod>") ==
        "no pass speaks of a property 'no_dead_cod' (at column 1 of pipeline "
        "'check<no_dead_cod>'); write 'no_dead_code'");
  CHECK(refused("cse |") == "the name of a pass is missing (at column 6 of pipeline 'cse |')" + cure);
  CHECK(refused("fix(cse") == "')' is missing (at column 8 of pipeline 'fix(cse')" + cure);
  CHECK(refused("fix<0>(cse)") ==
        "'fix<0>' needs one round at least (at column 1 of pipeline 'fix<0>(cse)')" + cure);
  CHECK(refused("cse)") == "')' closes nothing (at column 4 of pipeline 'cse)')" + cure);
  CHECK(refused("twice(cse)") ==
        "'twice(' is no combinator that text can name (at column 1 of pipeline 'twice(cse)')" + cure);
  CHECK(refused(std::string(40, 'x').replace(0, 40, "fix(fix(fix(fix(fix(fix(fix(fix(fix(fix("))
            .find("missing") != std::string::npos);
  CHECK(refused("fix(lower-like)").find("pass 'lower-like' at position 2 takes") == std::string::npos);
  CHECK(refused("fix(needs-clean)")
            .find("pass 'needs-clean' at position 2 needs property 'no_dead_code', which pass "
                  "'needs-clean' at position 1 destroyed") == 0);
}

TEST_CASE("a command that lists the passes is told of") {
  auto r = known();
  r.listed_by("my-opt --list");
  const auto cure = [&](std::string_view text) {
    try {
      r.parse(text);
    } catch (const es::error& e) {
      return e.cure();
    }
    return std::string("accepted");
  };
  CHECK(cure("cse | dcs") == "write 'dce'; my-opt --list lists the passes");
  CHECK(cure("fuse_all") == "my-opt --list lists the passes");
  CHECK(cure("check<no_dead_cod>") ==
        "write 'no_dead_code'; my-opt --list lists the properties of each pass");
  CHECK(cure("check<nonsense>") == "my-opt --list lists the properties of each pass");
}

TEST_CASE("the proof is made when the pipeline runs, and instruments watch") {
  const auto r = known();
  auto g = small();
  es::pass_context c;
  es::timing_tree times;
  es::vector<es::any_instrument> watch;
  watch.push_back(es::any_instrument::refer(times));
  const auto done = r.parse("fix(cse | dce)").run(g, es::info_of_dialect<es::aten_ir>, c, watch);
  CHECK(done.erased == 2);
  REQUIRE(times.rows().size() == 3); // the parts of fix are watched too
  CHECK(times.rows()[0].name == "fix");
  CHECK(times.rows()[0].result.erased == 2);
  CHECK(times.rows()[1].name == "cse");
  CHECK(times.rows()[1].depth == 1);
  CHECK(times.rows()[1].runs == 2);
  CHECK(times.rows()[2].result.erased == 1);

  auto again = small();
  es::pass_context without;
  const std::string_view off[]{"cse"};
  without.disable(off);
  CHECK_THROWS_AS(r.parse("fix(cse | dce)").run(again, es::info_of_dialect<es::aten_ir>, without), es::error);
  CHECK(again.num_nodes() == 6); // nothing ran
  (void)r.parse("cse | dce").run(again, es::info_of_dialect<es::aten_ir>, c);

  const auto lower = r.parse("lower-like | dce | needs-clean");
  CHECK(lower.prove(es::info_of_dialect<es::training_ir>).name == "core_aten");
  CHECK_NOTHROW(lower.run(g, es::info_of_dialect<es::training_ir>, c));
  CHECK_THROWS_WITH_AS(
      r.parse("lower-like | needs-clean").run(g, es::info_of_dialect<es::training_ir>, c),
      "pass 'needs-clean' at position 2 needs property 'no_dead_code', which pass 'lower-like' at "
      "position 1 destroyed; put a pass that establishes 'no_dead_code' between them, change their "
      "order, or put check<property> before it if it still holds (at lower-like | needs-clean)",
      es::error);
}

TEST_CASE("the list tells contracts") {
  const auto text = known().list();
  CHECK(text.find("dce: erases what nobody uses\n    takes any dialect, gives the same\n    establishes "
                  "no_dead_code\n"
                  "    destroys nothing\n") == 0);
  CHECK(text.find("needs-clean\n    takes core_aten, gives the same\n    needs no_dead_code\n    destroys "
                  "all else\n") != std::string::npos);
  es::pass_registry<> r;
  r.add(es::dce{});
  CHECK_THROWS_AS(r.add(es::dce{}), es::error);
}
