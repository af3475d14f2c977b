// SPDX-License-Identifier: BSL-1.0
// Rules on graphs: what the drivers rewrite, what they keep, and what they refuse.
#include <espalier/ir/graph.hpp>
#include <espalier/ir/hash.hpp>
#include <espalier/ir/verify.hpp>
#include <espalier/passes/dce.hpp>
#include <espalier/pipeline/bisect.hpp>
#include <espalier/pipeline/pipeline.hpp>
#include <espalier/rewrite/driver.hpp>
#include <espalier/schema/aten.hpp>

#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <vector>

namespace es = espalier;
namespace aten = es::aten;

namespace {

constexpr auto x = es::capture<"x">;
constexpr auto y = es::capture<"y">;
constexpr auto b = es::capture<"b">;

constexpr auto relu_relu =
    es::rewrite<"relu-relu">(es::pattern<aten::relu>(es::as<"inner">(es::pattern<aten::relu>(x))),
                             [](auto&, const auto& m) { return m[es::capture<"inner">]; });
constexpr auto addmm = es::rewrite<"addmm">(
    es::pattern<aten::add_Tensor>(es::pattern<aten::mm>(x, y).one_use(), b).commutative(),
    [](auto& r, const auto& m) { return r.template call<aten::addmm>(m[b], m[x], m[y]); });
constexpr auto neg_neg = es::rewrite<"neg-neg">(es::pattern<aten::neg>(es::pattern<aten::neg>(x)),
                                                [](auto&, const auto& m) { return m[x]; });

const es::value_meta square = es::make_meta(es::scalar_type::f32, {4, 4});

template <class D>
struct inputs {
  es::graph<D> g;
  es::value a = g.placeholder("a", square), c = g.placeholder("c", square), d = g.placeholder("d", square);
};

std::vector<std::string> operators(const es::graph_storage& g) {
  std::vector<std::string> out;
  for (es::node n : es::nodes(g))
    if (n.is_call())
      out.emplace_back(es::name_of(n.op()));
  return out;
}
/// The fixtures do not say what their calls' results are.
bool sound(const es::graph_storage& g) {
  es::verify_options o;
  o.require_meta = false;
  return es::verify<es::aten_ir>(g, o).empty();
}
using names = std::vector<std::string>;

template <class... R>
es::pass_result greedily(es::graph_storage& g, R... rules) {
  es::pass_context c;
  return es::rewrite_greedily(g, c, es::rule_set(rules...));
}

} // namespace

TEST_CASE("greedy: rules meet what other rules made, and what is dead goes first") {
  inputs<es::aten_ir> f;
  const auto m = f.g.call<aten::mm>(f.a, f.c);
  const auto s = f.g.call<aten::add_Tensor>(f.d, m);
  const auto r = f.g.call<aten::relu>(f.g.call<aten::relu>(f.g.call<aten::relu>(s)));
  f.g.call<aten::neg>(m); // dead: with it, the product would have two uses
  f.g.output(r);
  const auto done = greedily(f.g, relu_relu, addmm);
  CHECK(done.rewritten == 3);
  CHECK(operators(f.g) == names{"aten::addmm", "aten::relu"});
  CHECK(sound(f.g));
  CHECK_FALSE(greedily(f.g, relu_relu, addmm).changed());
}

TEST_CASE("once: what a rule makes is not looked at again") {
  inputs<es::aten_ir> f;
  auto v = f.a;
  for (int i = 0; i != 4; ++i)
    v = f.g.call<aten::neg>(v);
  f.g.output(f.g.call<aten::relu>(v));
  es::pass_context c;
  const auto done = es::rewrite_once(f.g, c, es::rule_set(neg_neg));
  CHECK(done.rewritten == 2);
  CHECK(operators(f.g) == names{"aten::relu"});
  CHECK(sound(f.g));
}

TEST_CASE("new nodes say what they are and where they come from") {
  inputs<es::aten_ir> f;
  const auto s = f.g.call<aten::add_Tensor>(f.g.call<aten::mm>(f.a, f.c), f.d);
  f.g.set_origin(s.def(), "stack_trace", "model.cpp:42");
  f.g.set_meta(s.id(), square);
  f.g.output(s);
  greedily(f.g, addmm);
  for (es::node n : es::nodes(f.g))
    if (n.is_call()) {
      CHECK(f.g.origin_text(n, "stack_trace") == "model.cpp:42");
      CHECK(n.result().meta() == square);
    }
  CHECK(operators(f.g) == names{"aten::addmm"});
}

TEST_CASE("what the root does not say of where it comes from, the other calls of the match do") {
  for (const bool root_says : {false, true}) {
    inputs<es::aten_ir> f;
    const auto product = f.g.call<aten::mm>(f.a, f.c);
    const auto s = f.g.call<aten::add_Tensor>(product, f.d);
    f.g.set_origin(product.def(), "stack_trace", "inner.cpp:7");
    f.g.set_origin(product.def(), "nn_module_stack", "layer");
    if (root_says)
      f.g.set_origin(s.def(), "stack_trace", "model.cpp:42");
    f.g.output(s);
    greedily(f.g, addmm);
    REQUIRE(operators(f.g) == names{"aten::addmm"});
    for (es::node n : es::nodes(f.g))
      if (n.is_call()) {
        CHECK(f.g.origin_text(n, "stack_trace") == (root_says ? "model.cpp:42" : "inner.cpp:7"));
        CHECK(f.g.origin_text(n, "nn_module_stack") == "layer");
      }
  }
}

TEST_CASE("a rule that declines leaves nothing behind") {
  inputs<es::aten_ir> f;
  f.g.output(f.g.call<aten::neg>(f.a));
  const auto declines = es::rewrite<"declines">(
      es::pattern<aten::neg>(x), [](auto& r, const auto& m) -> std::optional<es::value> {
        r.template call<aten::sigmoid>(r.template call<aten::relu>(m[x]));
        return std::nullopt;
      });
  CHECK_FALSE(greedily(f.g, declines).changed());
  CHECK(operators(f.g) == names{"aten::neg"});
}

TEST_CASE("several results are replaced together") {
  inputs<es::aten_ir> f;
  const auto [v, i] = f.g.call<aten::max_dim>(f.a, 0);
  f.g.output(v, i);
  const auto min_instead = es::rewrite<"min-instead">(
      es::pattern<aten::max_dim>(x, es::constant<"dim">), [](auto& r, const auto& m) {
        return r.template call<aten::min_dim>(m[x], r.same(m[es::constant<"dim">]));
      });
  CHECK(greedily(f.g, min_instead).rewritten == 1);
  CHECK(operators(f.g) == names{"aten::min.dim"});
  CHECK(sound(f.g));
}

TEST_CASE("rules do not reach over a write") {
  inputs<es::training_ir> f;
  const auto m = f.g.call<aten::mm>(f.a, f.c);
  f.g.call<aten::relu_>(f.a); // between the product and the sum
  const auto s = f.g.call<aten::add_Tensor>(m, f.d);
  const auto elsewhere = f.g.call<aten::neg>(f.g.call<aten::neg>(f.g.call<aten::sigmoid>(f.d)));
  f.g.output(s, elsewhere);
  const auto done = greedily(f.g, addmm, neg_neg);
  CHECK(done.rewritten == 1); // the negations share no memory with what is written to
  CHECK(operators(f.g) == names{"aten::mm", "aten::relu_", "aten::add.Tensor", "aten::sigmoid"});
}

TEST_CASE("subgraphs are rewritten too") {
  inputs<es::aten_ir> inner;
  inner.g.output(inner.g.call<aten::neg>(inner.g.call<aten::neg>(inner.a)));
  inputs<es::aten_ir> f;
  f.g.output(f.a);
  f.g.add_subgraph("body", inner.g);
  CHECK(greedily(f.g, neg_neg).rewritten == 1);
  CHECK(operators(f.g.subgraph(0)).empty());
}

TEST_CASE("rules that undo each other's work are an error that names one") {
  inputs<es::aten_ir> f;
  f.g.output(f.g.call<aten::mul_Tensor>(f.a, f.c));
  const auto flip = es::rewrite<"flip">(es::pattern<aten::mul_Tensor>(x, y), [](auto& r, const auto& m) {
    return r.template call<aten::mul_Tensor>(m[y], m[x]);
  });
  CHECK_THROWS_WITH_AS(
      greedily(f.g, flip),
      "rule 'flip' was the last of 1000 rewrites, and there is no end to them (at "
      "rewrite_greedily); two rules undo each other's work, or one applies to what it makes: add a "
      "condition",
      es::error);
}

TEST_CASE("a pass of rules composes, counts its rules, and stops when its budget is spent") {
  const auto build = [] {
    inputs<es::aten_ir> f;
    auto v = f.a;
    for (int i = 0; i != 6; ++i)
      v = f.g.call<aten::neg>(v);
    f.g.output(f.g.call<aten::relu>(f.g.call<aten::relu>(v)));
    return std::move(f.g);
  };
  constexpr auto pass = es::rewrites<"tidy">(neg_neg, relu_relu);
  static_assert(decltype(pass | es::check<es::property::no_dead_code>{})::num_stages == 2);
  auto g = build();
  es::pass_context c;
  CHECK(es::pipeline{pass}.run(g, c).rewritten == 4);
  REQUIRE(c.statistics().size() == 2);
  CHECK(c.statistics()[0].pass == "tidy");
  CHECK(c.statistics()[0].name == "neg-neg");
  CHECK(c.statistics()[0].value == 3);

  // a rule that declines spends nothing
  const auto declines = es::rewrite<"declines">(
      es::pattern<aten::neg>(x), [](auto&, const auto&) -> std::optional<es::value> { return std::nullopt; });
  auto tried = build();
  es::pass_context two;
  two.set_edit_budget(2);
  CHECK(es::rewrite_greedily(tried, two, es::rule_set(declines, neg_neg)).rewritten == 2);
  CHECK(two.last_edit() == "neg-neg");

  for (std::size_t budget = 0; budget != 5; ++budget) {
    auto h = build();
    es::pass_context limited;
    limited.set_edit_budget(budget);
    CHECK(es::pipeline{pass}.run(h, limited).rewritten == budget);
  }
}

TEST_CASE("bisect finds the guilty rewrite") {
  // a rule that is wrong about one of many nodes: it drops the negation of the fourth input
  const auto wrong = es::rewrite<"drops-neg">(
      es::pattern<aten::neg>(x), [](auto&, const auto& m) -> std::optional<es::value> {
        const auto name = m[x].name();
        return name == "i0" || name == "i3" || name == "i5" ? std::optional(m[x]) : std::nullopt;
      });
  es::graph<es::aten_ir> g;
  es::vector<es::value> outs;
  for (int i = 0; i != 8; ++i) {
    const auto in = g.placeholder("i" + std::to_string(i), square);
    outs.push_back(g.call<aten::neg>(g.call<aten::neg>(g.call<aten::neg>(in))));
  }
  g.output(outs);
  const auto pipe = es::rewrites<"tidy">(relu_relu) | es::rewrites<"guilty">(neg_neg, wrong) | es::dce{};
  const auto negations_of_i3 = [](const es::graph_storage& h) {
    for (es::node n : es::nodes(h))
      if (n.name() == "i3")
        for (es::node user : n.result().users())
          return user.is_call();
    return false;
  };
  const auto found = es::bisect(
      [&] { return g; }, [&](auto& h, auto& c, auto&... is) { pipe.run(h, c, is...); }, negations_of_i3);
  REQUIRE(found.guilty);
  CHECK(found.pass == "guilty");
  CHECK(found.position == 1);
  CHECK(found.rule == "drops-neg");
  CHECK(found.edit > 1);
  CHECK(found.runs < 10);
  CHECK(found.text().find("pass 'guilty' at position 2, rule 'drops-neg', rewrite ") == 0);

  const auto innocent =
      es::bisect([&] { return g; }, [&](auto& h, auto& c, auto&... is) { pipe.run(h, c, is...); },
                 [](const es::graph_storage&) { return true; });
  CHECK(innocent.text() == "the check holds after every pass");
}

TEST_CASE("a rule that throws leaves nothing of what it made") {
  es::graph<es::aten_ir> g;
  const auto in = g.placeholder("x", es::make_meta(es::scalar_type::f32, {2, 3}));
  g.output(g.call<es::aten::relu>(in));
  static constexpr auto x = es::capture<"x">;
  const auto failing = es::rewrite<"failing">(es::pattern<es::aten::relu>(x), [](auto& r, const auto& m) {
    const auto made = r.template call<es::aten::neg>(m[x]);
    es::fail(es::error_kind::usage, "it cannot be done");
    return made;
  });
  const auto before = es::structural_hash(g);
  es::pass_context c;
  CHECK_THROWS_AS(es::rewrite_greedily(g, c, es::rule_set(failing)), es::error);
  CHECK(es::structural_hash(g) == before);
  CHECK(g.num_nodes() == 3);
}
