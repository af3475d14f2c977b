// SPDX-License-Identifier: BSL-1.0
// The algebra of passes: what composes, what the type knows, what runs in which order, and what run time may
// switch off. What must not compile is under tests/compile_fail.
#include <espalier/passes/cse.hpp>
#include <espalier/passes/dce.hpp>
#include <espalier/pipeline/combinators.hpp>
#include <espalier/pipeline/on_regions.hpp>
#include <espalier/pipeline/pipeline.hpp>
#include <espalier/pipeline/properties.hpp>
#include <espalier/schema/aten.hpp>

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

namespace es = espalier;

namespace {

struct fused_layout {
  static constexpr std::string_view name = "fused_layout";
};

struct needs_clean : es::pass {
  static constexpr std::string_view name = "needs-clean";
  using needs = es::properties<es::property::no_dead_code>;
  es::pass_result run(es::graph_storage&) const { return {}; }
};
/// Writes its name into a log.
template <es::fixed_string Name>
struct logs : es::pass {
  static constexpr auto text_name = Name;
  static constexpr std::string_view name = text_name.view();
  using destroys = es::properties<>;
  std::string* log = nullptr;
  constexpr logs() = default;
  constexpr explicit logs(std::string* l) : log(l) {}
  es::pass_result run(es::graph_storage&) const {
    if (log)
      *log += Name.view();
    return {};
  }
};

struct functionalize_like : es::pass {
  static constexpr std::string_view name = "functionalize-like";
  using takes = es::training_ir;
  using gives = es::aten_ir;
  using establishes = es::properties<fused_layout>;
  es::pass_result run(es::graph_storage&) const { return {}; }
};
struct needs_layout : es::pass {
  static constexpr std::string_view name = "needs-layout";
  using takes = es::aten_ir;
  using needs = es::properties<fused_layout>;
  using destroys = es::properties<>;
  es::pass_result run(es::graph_storage&) const { return {}; }
};
struct needs_functional : es::pass {
  static constexpr std::string_view name = "needs-functional";
  using needs = es::properties<es::property::functional>;
  using destroys = es::properties<>;
  es::pass_result run(es::graph_storage&) const { return {}; }
};
struct breaks_everything : es::pass {
  [[maybe_unused]] static constexpr std::string_view name = "breaks-everything";
  es::pass_result run(es::graph_storage&) const { return {}; }
};
struct to_core : es::pass {
  static constexpr std::string_view name = "to-core";
  using takes = es::aten_ir;
  using gives = es::core_aten;
  es::pass_result run(es::graph_storage&) const { return {}; }
};
struct throws : es::pass {
  static constexpr std::string_view name = "throws";
  using destroys = es::properties<>;
  es::pass_result run(es::graph_storage&) const {
    es::fail(es::error_kind::unsupported, "no such thing", "node 'x'", "do without it");
  }
};

es::graph<es::aten_ir> small() {
  es::graph<es::aten_ir> g;
  const auto x = g.placeholder("x", es::make_meta(es::scalar_type::f32, {2, 3}));
  const auto a = g.call<es::aten::add_Tensor>(x, x);
  const auto b = g.call<es::aten::add_Tensor>(x, x);
  const auto c = g.call<es::aten::mul_Tensor>(a, b);
  g.call<es::aten::relu>(c);
  g.output(c);
  for (auto v : {a, b, c})
    g.set_meta(v.id(), g.meta_of(x.id()));
  return g;
}

// --- what the type knows
// -----------------------------------------------------------------------------------------

constexpr auto abc = logs<"a">{} | logs<"b">{} | logs<"c">{};
static_assert(std::same_as<decltype(abc), const es::pipeline<logs<"a">, logs<"b">, logs<"c">>>);
static_assert(std::same_as<decltype(abc | abc), decltype(abc | logs<"a">{} | (logs<"b">{} | logs<"c">{}))>,
              "joining is associative: the type is flat");
static_assert(decltype(abc)::num_stages == 3 && decltype(abc)::stages[1].name == "b");
static_assert(std::same_as<decltype(abc)::stage_t<2>, logs<"c">>);

using lowering = decltype(functionalize_like{} | needs_layout{} | to_core{});
static_assert(std::same_as<lowering::dialect_after<es::training_ir>, es::core_aten>);
static_assert(lowering::runs_on_dialect<es::training_ir> && lowering::runs_on_dialect<es::core_aten>);
static_assert(!lowering::runs_on_dialect<es::torch_ir>, "no dialect takes anything unless it refines it");
static_assert(!lowering::establishes_property<fused_layout>, "to_core destroys what it does not name");
static_assert(decltype(functionalize_like{} | needs_layout{})::establishes_property<fused_layout>);
static_assert(decltype(functionalize_like{} | needs_functional{})::runs_on_dialect<es::training_ir>,
              "a dialect without mutation is functional, whatever a pass destroys");
static_assert(!decltype(es::pipeline{needs_functional{}})::runs_on_dialect<es::training_ir>);
static_assert(decltype(es::check<es::property::functional>{} |
                       needs_functional{})::runs_on_dialect<es::training_ir>);
static_assert(decltype(es::cse{} | es::dce{})::establishes_property<es::property::no_duplicates>);

static_assert(es::facts_of<decltype(es::fix(functionalize_like{} | needs_layout{}))>.gives.type ==
              es::info_of_dialect<es::aten_ir>.type);
static_assert(std::same_as<decltype(es::select<true>(es::cse{}, es::dce{})), es::cse>);
static_assert(std::same_as<decltype(es::select<false>(es::cse{})), es::no_pass>);

} // namespace

TEST_CASE("stages run in order, nested ones in their place") {
  std::string log;
  const logs<"a"> a(&log);
  const logs<"b"> b(&log);
  const logs<"c"> c(&log);
  auto g = small();
  const auto nested = a | es::renamed<"inner">(b | c) | a;
  static_assert(decltype(nested)::num_stages == 3);
  nested.run(g);
  CHECK(log == "abca");
  CHECK(nested.text() == "a | renamed<inner>(b | c) | a");
}

TEST_CASE("a pipeline sums what its passes did and takes a graph from dialect to dialect") {
  auto g = small();
  const auto r = (es::cse{} | es::dce{}).run(g);
  CHECK(r.erased == 2);
  CHECK(g.num_nodes() == 4);
  auto core = (es::cse{} | to_core{})(small());
  static_assert(std::same_as<decltype(core), es::graph<es::core_aten>>);
  CHECK(core.num_nodes() == 5);
}

TEST_CASE("fix repeats until nothing changes, and refuses to go round in circles") {
  auto g = small();
  const auto clean = es::fix(es::cse{} | es::dce{});
  CHECK(clean.text() == "fix<25>(cse | dce)");
  CHECK(es::pipeline{clean}.run(g).erased == 2);
  CHECK_FALSE(es::pipeline{clean}.run(g).changed());
}

namespace {
struct flips : es::pass {
  static constexpr std::string_view name = "flips";
  using destroys = es::properties<>;
  es::pass_result run(es::graph_storage& s) const {
    for (auto n = s.first(); n.valid(); n = s.next(n))
      if (s.op(n) == es::id_of<es::aten::mul_Tensor>())
        s.set_op(n, es::id_of<es::aten::div_Tensor>());
      else if (s.op(n) == es::id_of<es::aten::div_Tensor>())
        s.set_op(n, es::id_of<es::aten::mul_Tensor>());
    return {0, 1};
  }
};
struct grows : es::pass {
  static constexpr std::string_view name = "grows";
  using destroys = es::properties<>;
  es::pass_result run(es::graph_storage& s) const {
    const es::argument x(es::value(s, s.result(s.first())));
    const es::argument args[]{x, x};
    s.call(es::id_of<es::aten::mul_Tensor>(), args, 1);
    return {0, 1};
  }
};
template <class P>
std::string message_of(const P& p) {
  auto g = small();
  try {
    p.run(g);
  } catch (const es::error& e) {
    return e.what();
  }
  return "nothing was thrown";
}
} // namespace

TEST_CASE("a fixpoint that never comes is an error that says why") {
  CHECK(message_of(es::pipeline{es::fix(flips{})}).find("was there before: passes undo each other's work") !=
        std::string::npos);
  const auto m = message_of(es::pipeline{es::fix<3>(grows{})});
  CHECK(m.find("still changes after 3 rounds") != std::string::npos);
  CHECK(m.find("pass 'grows'") != std::string::npos);
}

TEST_CASE("a throwing pass is named with its place in the pipeline") {
  CHECK(message_of(es::dce{} | throws{} | es::cse{}) ==
        "no such thing (at pass 'throws', stage 2 of 'dce | throws | cse': node 'x'); do without it");
}

namespace {
struct refuses_composites : es::instrument {
  static void after(const es::stage_info& s, const es::graph_storage&, const es::pass_result&) {
    if (s.composite && s.depth == 0)
      es::fail(es::error_kind::verification, "not so", "", "do otherwise");
  }
};
} // namespace

TEST_CASE("what is wrong with a composite is told of it, not of its last part") {
  auto g = small();
  CHECK_THROWS_WITH_AS((es::dce{} | es::renamed<"tidy">(es::cse{} | es::dce{})).run(g, refuses_composites{}),
                       "not so (at pass 'tidy', stage 2 of 'dce | renamed<tidy>(cse | dce)'); do otherwise",
                       es::error);
}

TEST_CASE("conditions choose at run time, and establish only what both ways establish") {
  const auto large = [](const es::graph_storage& g) { return g.num_nodes() > 4; };
  const auto p = es::when(large, es::cse{} | es::dce{}, es::dce{});
  using facts = decltype(p);
  static_assert(es::facts_of<std::remove_const_t<facts>>.establishes.size() == 1);
  static_assert(es::facts_of<std::remove_const_t<facts>>.establishes[0].name == "no_dead_code");
  auto g = small();
  CHECK(es::pipeline{p}.run(g).erased == 2);
  CHECK_FALSE(es::pipeline{p}.run(g).changed());
  CHECK(es::pipeline{p}.text() == "when(cse | dce, dce)");
}

TEST_CASE("stages are switched off by name where the rest is legal without them") {
  std::string log;
  const auto p = logs<"a">(&log) | logs<"b">(&log) | functionalize_like{} | needs_layout{};
  auto g = es::graph<es::training_ir>(small());
  const auto off = [&](std::string_view name) {
    es::pass_context c;
    const std::string_view names[]{name};
    c.disable(names);
    return p.run_dynamic(g, es::info_of_dialect<es::training_ir>, c);
  };
  off("b");
  CHECK(log == "a");
  CHECK_THROWS_WITH_AS(
      off("functionalize-like"),
      "stage 'functionalize-like' cannot be switched off: the dialect of the result depends on it "
      "(at a | b | functionalize-like | needs-layout); leave it on, or compose a pipeline that does "
      "without what it gives",
      es::error);
  CHECK(log == "a"); // nothing ran
  off("needs-layout");
  CHECK(log == "aab");
}

TEST_CASE("parts at any depth are switched off where nothing after them needs what they do") {
  const std::string_view names[]{"dce", "cse"};
  auto g = small();
  std::string log;
  const auto off = [&](const auto& p, std::size_t which = 0) {
    es::pass_context c;
    c.disable(es::span(names).subspan(which, 1));
    return p.run_dynamic(g, es::info_of_dialect<es::aten_ir>, c);
  };
  const std::string why = "stage 'dce' cannot be switched off: it establishes 'no_dead_code'";
  CHECK_THROWS_WITH_AS(off(es::pipeline{es::fix(es::dce{})}), doctest::Contains(why.c_str()), es::error);
  CHECK_THROWS_WITH_AS(off(es::pipeline{es::renamed<"clean">(es::dce{})}), doctest::Contains(why.c_str()),
                       es::error);
  const auto always = [](const es::graph_storage&) { return true; };
  CHECK_FALSE(off(es::pipeline{es::when(always, es::dce{})}).changed()); // promises nothing
  CHECK_THROWS_WITH_AS(off(es::pipeline{es::when(always, es::dce{}, es::dce{})}),
                       doctest::Contains(why.c_str()), es::error);

  // what a later stage needs, however deep the part is; and nothing runs before that is known
  const logs<"first"> first(&log);
  const auto deep = first | es::fix(es::renamed<"inner">(es::dce{} | es::cse{}) | es::dce{}) | needs_clean{};
  off(deep, 1); // no later stage needs what cse establishes, and needs_clean destroys it
  CHECK(log == "first");
  const std::string needed =
      "stage 'dce' cannot be switched off: without it, the pipeline needs 'no_dead_code' of its input";
  CHECK_THROWS_WITH_AS(off(deep), doctest::Contains(needed.c_str()), es::error);
  CHECK_THROWS_WITH_AS(off(first | es::when(always, es::dce{}, es::dce{}) | needs_clean{}),
                       doctest::Contains(needed.c_str()), es::error);
  CHECK(log == "first");
  // inside of regions and subgraphs nothing is promised of the whole
  CHECK_NOTHROW(off(es::on_subgraphs(es::dce{}) | first));
  CHECK_NOTHROW(off(es::on_regions([](es::node) { return true; }, es::dce{}) | first));
}

TEST_CASE("run time proves what the compiler could not know") {
  es::graph_storage g = small();
  es::pass_context c;
  try {
    (needs_layout{} | es::dce{}).run_dynamic(g, es::info_of_dialect<es::training_ir>, c);
    FAIL("an illegal pipeline ran");
  } catch (const es::error& e) {
    CHECK(e.kind() == es::error_kind::usage);
    CHECK(e.cause() ==
          "pass 'needs-layout' at position 1 takes a graph of dialect aten_ir, but the graph is of "
          "dialect training_ir; put a pass that lowers training_ir to aten_ir before it");
  }
}

TEST_CASE("check looks, and its error names the property") {
  es::graph<es::training_ir> g;
  const auto x = g.placeholder("x", es::make_meta(es::scalar_type::f32, {2}));
  g.output(g.call<es::aten::relu_>(x));
  CHECK_THROWS_WITH_AS(
      (es::check<es::property::functional>{} | needs_functional{}).run(g),
      "the graph does not have the property 'functional' (at pass 'check', stage 1 of "
      "'check<functional> | needs-functional': check<functional>); run a pass that establishes it "
      "before",
      es::error);
  es::graph<es::training_ir> foreign;
  const auto y = foreign.placeholder("y", es::make_meta(es::scalar_type::f32, {2}));
  const es::argument args[] = {y};
  foreign.output(foreign.call_dynamic(es::intern_op("nobody::knows", ""), args, 1).result());
  CHECK_FALSE(es::property::functional::holds(foreign)); // it may write
  auto dead = small();
  CHECK_FALSE(es::property::no_dead_code::holds(dead));
  es::pipeline{es::dce{}}.run(dead);
  CHECK(es::property::no_dead_code::holds(dead));
}

TEST_CASE("subgraphs: a pass for one graph is taken into all of them") {
  auto inner = small();
  es::graph<es::aten_ir> g;
  const auto x = g.placeholder("x", es::make_meta(es::scalar_type::f32, {2, 3}));
  g.output(x);
  g.add_subgraph("body_0", inner);
  g.subgraph(0).add_subgraph("body_1", small());
  std::string log;
  const auto r = es::pipeline{es::on_subgraphs(logs<"s">(&log))}.run(g);
  CHECK(log == "ss");
  CHECK_FALSE(r.changed());
  CHECK(es::pipeline{es::dce{}}.run(g).erased == 2);
}
