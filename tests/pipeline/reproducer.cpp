// SPDX-License-Identifier: BSL-1.0
// Reproducers: what a failing stage was given, and the stages from it on, fail again in the same way.
#include <espalier/ir/graph.hpp>
#include <espalier/ir/naming.hpp>
#include <espalier/ir/text.hpp>
#include <espalier/ir/text_parser.hpp>
#include <espalier/passes/cse.hpp>
#include <espalier/passes/dce.hpp>
#include <espalier/pipeline/instruments/reproducer.hpp>
#include <espalier/pipeline/instruments/verifying.hpp>
#include <espalier/pipeline/registry.hpp>
#include <espalier/schema/aten.hpp>

#include <doctest/doctest.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace es = espalier;

namespace {

struct throws : es::pass {
  static constexpr std::string_view name = "throws";
  using needs = es::properties<es::property::no_dead_code>;
  es::pass_result run(es::graph_storage& g) const {
    if (g.num_nodes() == 4)
      es::fail(es::error_kind::unsupported, "four nodes are too many", "throws", "have fewer");
    return {};
  }
};
/// Says that no dead code is left, and leaves some.
struct lies : es::pass {
  static constexpr std::string_view name = "lies";
  using establishes = es::properties<es::property::no_dead_code>;
  es::pass_result run(es::graph_storage& g) const {
    const es::argument x[] = {g.result(g.first())};
    g.call(es::id_of<es::aten::relu>(), x, 1);
    return {.rewritten = 1};
  }
};
/// Leaves out an argument that the schema requires.
struct breaks : es::pass {
  static constexpr std::string_view name = "breaks";
  es::pass_result run(es::graph_storage& g) const {
    for (es::node n : es::nodes(g))
      if (n.is_call())
        g.set_args(n, {});
    return {.rewritten = 1};
  }
};

es::pass_registry<> known() {
  es::pass_registry<> r;
  r.add(es::dce{});
  r.add(es::cse{});
  r.add(throws{});
  r.add(lies{});
  r.add(breaks{});
  return r;
}

es::graph<es::aten_ir> small() {
  es::graph<es::aten_ir> g;
  const auto x = g.placeholder("x", es::make_meta(es::scalar_type::f32, {2, 3}));
  const auto a = g.call<es::aten::add_Tensor>(x, x);
  g.call<es::aten::relu>(a);
  g.output(g.call<es::aten::mul_Tensor>(a, x));
  return g;
}

/// A file of the ground floor: text instead of an archive.
struct kept {
  es::reproduction how;
  std::string graph;
  void operator()(const es::reproduction& h, const es::graph<es::aten_ir>& before) {
    how = h;
    graph = es::to_text(before);
  }
};

/// The message without the stage that `run` puts before the place: positions count from another stage now.
std::string message(const es::error& e) {
  const auto at = e.place().find("': ");
  return e.cause() + " / " + (at == std::string::npos ? std::string() : e.place().substr(at)) + " / " +
         e.cure();
}

/// Runs a pipeline text, with verification after each pass.
std::string failure(std::string_view text, es::graph_storage& g, const es::dialect_info& d) {
  es::pass_context c;
  es::vector<es::any_instrument> watch;
  watch.push_back(es::any_instrument(es::verify_each({.require_meta = false})));
  try {
    known().parse(text).run(g, d, c, watch);
  } catch (const es::error& e) {
    return message(e);
  }
  return {};
}

/// Runs a typed pipeline that must fail, then what its reproducer kept, which must fail alike.
template <class P>
kept fails_again(const P& pipeline) {
  auto g = small();
  es::assign_names(g); // as the text does: messages name nodes
  kept file;
  es::reproducer keep(g, pipeline, std::ref(file));
  es::verify_each verify({.require_meta = false});
  std::string first;
  try {
    pipeline.run(g, keep, verify);
  } catch (const es::error& e) {
    first = message(e);
    CHECK(file.how.message.starts_with(e.cause()));
  }
  CHECK(keep.written());
  CHECK(keep.problem().empty());
  REQUIRE(!first.empty());
  auto again = es::parse_graph<es::graph<es::aten_ir>>(file.graph);
  CHECK(failure(file.how.pipeline, again, es::info_of_dialect<es::aten_ir>) == first);
  return file;
}

} // namespace

TEST_CASE("a stage that throws is kept with what the stages before it had established") {
  const auto file = fails_again(es::cse{} | es::dce{} | throws{} | es::cse{});
  CHECK(file.how.pipeline == "assume<no_dead_code> | throws | cse");
  CHECK(file.how.pass == "throws");
  CHECK(file.how.position == 2);
  CHECK(file.how.dialect.name == "aten_ir");
  CHECK(file.graph.find("relu") == std::string::npos); // as dce left it
}

TEST_CASE("a pass that lies about a property") {
  const auto file =
      fails_again(es::cse{} | es::dce{} | lies{} | es::check<es::property::no_dead_code>{} | throws{});
  CHECK(file.how.pipeline == "check<no_dead_code> | throws");
  CHECK(file.how.message.starts_with("the graph does not have the property 'no_dead_code'"));
}

TEST_CASE("a pass that breaks the graph, which another instrument refuses") {
  CHECK(fails_again(es::dce{} | breaks{} | es::cse{}).how.pipeline == "breaks | cse");
  const auto inside = fails_again(es::dce{} | es::fix<7>(es::cse{} | breaks{}) | es::dce{});
  CHECK(inside.how.pipeline == "fix<7>(cse | breaks) | dce"); // a combinator is one stage
  CHECK(inside.how.pass == "breaks");
  CHECK(inside.how.position == 1);
}

TEST_CASE("what was switched off is not written, and the rest fails again without it") {
  const std::string_view off[]{"cse", "breaks"};
  es::pass_context c;
  c.disable(off);
  const auto check = [&](const auto& pipeline, std::string_view wanted) {
    auto g = small();
    es::assign_names(g);
    kept file;
    es::reproducer keep(g, pipeline, std::ref(file));
    std::string first;
    try {
      if constexpr (requires { pipeline.stages(); }) {
        es::vector<es::any_instrument> watch;
        watch.push_back(es::any_instrument::refer(keep));
        pipeline.run(g, es::info_of_dialect<es::aten_ir>, c, watch);
      } else {
        pipeline.run(g, c, keep);
      }
    } catch (const es::error& e) {
      first = message(e);
    }
    REQUIRE(!first.empty());
    CHECK(file.how.pipeline == wanted);
    auto again = es::parse_graph<es::graph<es::aten_ir>>(file.graph);
    CHECK(failure(file.how.pipeline, again, es::info_of_dialect<es::aten_ir>) == first);
  };
  constexpr std::string_view rest = "assume<no_dead_code> | throws | fix<3>(dce) | dce";
  check(es::cse{} | breaks{} | es::dce{} | throws{} | es::fix<3>(es::cse{} | es::dce{}) |
            es::fix<4>(es::cse{}) | breaks{} | es::dce{},
        rest);
  check(known().parse("cse | breaks | dce | throws | fix<3>(cse | dce) | fix<4>(cse) | breaks | dce"), rest);
}

TEST_CASE("a pipeline from text, and a graph that is moved through") {
  const auto pipeline = known().parse("dce | throws");
  auto g = small();
  kept file;
  es::reproducer keep(g, pipeline, std::ref(file));
  es::vector<es::any_instrument> watch;
  watch.push_back(es::any_instrument::refer(keep));
  es::pass_context c;
  CHECK_THROWS_AS(pipeline.run(g, es::info_of_dialect<es::aten_ir>, c, watch), es::error);
  CHECK(file.how.pipeline == "assume<no_dead_code> | throws");

  constexpr auto typed = es::dce{} | throws{};
  auto moved = small();
  es::reproducer also(moved, typed, std::ref(file));
  CHECK_THROWS_AS(typed(std::move(moved), also), es::error);
  CHECK(also.written());
}

TEST_CASE("success writes nothing, and a writer that fails replaces no error") {
  auto g = small();
  constexpr auto fine = es::cse{} | es::dce{};
  es::reproducer unused(g, fine, [](const es::reproduction&, es::graph<es::aten_ir>&) { FAIL("written"); });
  fine.run(g, unused);
  CHECK_FALSE(unused.written());

  auto other = small();
  constexpr auto pipeline = es::dce{} | throws{};
  es::reproducer full(other, pipeline, [](const es::reproduction&, es::graph<es::aten_ir>&) {
    es::fail(es::error_kind::io, "the disk is full");
  });
  CHECK_THROWS_WITH_AS(
      pipeline.run(other, full),
      "four nodes are too many (at pass 'throws', stage 2 of 'dce | throws': throws); have fewer", es::error);
  CHECK_FALSE(full.written());
  CHECK(full.problem() == "the disk is full");

  auto third = small();
  CHECK_THROWS_WITH_AS(
      pipeline.run(third, full),
      "the reproducer was given another unit than the pipeline runs on (at pass 'dce', stage "
      "1 of 'dce | throws': reproducer); construct it with the graph or program that run() gets",
      es::error);
}

TEST_CASE("properties in pipeline texts") {
  CHECK(known().parse("check<no_dead_code>, assume<canonical>").text() ==
        "check<no_dead_code> | assume<canonical>");
  CHECK_THROWS_WITH_AS(known().parse("dce | check<round>"),
                       "no pass speaks of a property 'round' (at column 7 of pipeline 'dce | check<round>'); "
                       "write one of no_dead_code, no_duplicates, canonical",
                       es::error);
  CHECK_THROWS_WITH_AS(known().parse("check<canonical>"),
                       "no graph shows whether it has the property 'canonical' (at check<canonical>); run a "
                       "pass that establishes it, or write assume<canonical>",
                       es::error);
}
