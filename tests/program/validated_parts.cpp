// SPDX-License-Identifier: BSL-1.0
// Numeric validation of passes on parts of a graph, which have other inputs than the whole; and the gap of
// every node.
#include <espalier/ir/text_parser.hpp>
#include <espalier/passes/dce.hpp>
#include <espalier/pipeline/bisect.hpp>
#include <espalier/pipeline/combinators.hpp>
#include <espalier/pipeline/on_regions.hpp>
#include <espalier/program/validate.hpp>
#include <espalier/rewrite/driver.hpp>
#include <espalier/schema/aten.hpp>

#include <ATen/ATen.h>

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace es = espalier;
namespace aten = es::aten;

namespace {

constexpr auto x = es::capture<"x">;
constexpr auto neg_neg = es::rewrite<"neg-neg">(es::pattern<aten::neg>(es::pattern<aten::neg>(x)),
                                                [](auto&, const auto& m) { return m[x]; });
constexpr auto tanh_for_relu = es::rewrite<"tanh-for-relu">(
    es::pattern<aten::relu>(x), [](auto& r, const auto& m) { return r.template call<aten::tanh>(m[x]); });
constexpr auto tidy = es::rewrites<"tidy">(neg_neg);
/// Adds a little to what goes into each `relu`.
struct nudge : es::pass {
  static constexpr std::string_view name = "nudge";
  es::pass_result run(es::graph_storage& g) const {
    es::pass_result done;
    for (es::node n : es::nodes(g))
      if (n.is_call(es::id_of<aten::relu>())) {
        const es::argument a[] = {n.arg(0).as_value().id(), 1e-5};
        g.set_insertion_point({n.id()});
        const es::node_id more = g.call(es::id_of<aten::add_Scalar>(), a, 1);
        g.set_arg(n.id(), 0, g.result(more));
        ++done.rewritten;
      }
    return done;
  }
};
constexpr auto wrong = es::rewrites<"tidy">(neg_neg) | es::rewrites<"wrong">(tanh_for_relu) | es::dce{};
constexpr es::calls_to<aten::neg, aten::relu> small_calls;

/// Two inputs, of which the branches take one.
es::graph<es::training_ir> branches() {
  return es::graph<es::training_ir>(
      es::parse_text(
          "graph { graph @t { %x = placeholder : f32[4] %n = aten.neg(%x) : f32[4] %m = aten.neg(%n) : "
          "f32[4] "
          "%r = aten.relu(%m) : f32[4] return %r } graph @f { %x = placeholder : f32[4] %n = aten.neg(%x) : "
          "f32[4] return %n } %x = placeholder : f32[4] %w = placeholder : f32[4] %s = aten.mul.Tensor(%x, "
          "%w) : f32[4] %u = aten.relu(%s) : f32[4] %y = higher_order.cond(True, @t, @f, [%u]) : f32[4] %z = "
          "aten.mul.Tensor(%y, %x) : "
          "f32[4] return %z }")
          .graph);
}
es::graph<es::training_ir> regions() {
  return es::graph<es::training_ir>(
      es::parse_text(
          "graph { %x = placeholder : f32[4] %w = placeholder : f32[4] %n = aten.neg(%x) : f32[4] %m = "
          "aten.neg(%n) : f32[4] %y = aten.mul.Tensor(%m, %w) : f32[4] %r = aten.relu(%y) : f32[4] return %r "
          "}")
          .graph);
}
std::vector<c10::IValue> values() {
  return {at::tensor({-2.f, -0.5f, 0.5f, 2.f}), at::tensor({1.f, -1.f, 2.f, 3.f})};
}
template <class P>
es::vector<es::numeric_validation::row> rows_of(es::graph<es::training_ir> g, const P& pipeline) {
  es::numeric_validation check(values());
  pipeline.run(g, check);
  return check.rows();
}
template <class P>
std::string refused(es::graph<es::training_ir> g, const P& pipeline) {
  es::numeric_validation check(values());
  try {
    pipeline.run(g, check);
  } catch (const es::error& e) {
    CHECK(e.kind() == es::error_kind::verification);
    CHECK(check.rows().back().gap > 1);
    return e.cause();
  }
  return "accepted";
}
template <class P>
std::string bisected(es::graph<es::training_ir> g, const P& pipeline) {
  es::numeric_validation check(values());
  check.set_reference(g);
  return es::bisect([&] { return g; },
                    [&](auto& h, es::pass_context& c, auto&... is) { pipeline.run(h, c, is...); },
                    [&](const es::graph_storage& h) { return check.gap(h) <= 1; })
      .text();
}

} // namespace

TEST_CASE("a right pass on parts is compared once the whole has them") {
  const auto in_subgraphs = rows_of(branches(), es::on_subgraphs(tidy) | es::dce{});
  REQUIRE(in_subgraphs.size() == 1);
  CHECK(in_subgraphs[0].pass == "on_subgraphs(tidy)");
  CHECK(in_subgraphs[0].gap == 0);
  const auto in_regions = rows_of(regions(), es::on_regions(small_calls, tidy) | es::dce{});
  REQUIRE(in_regions.size() == 1);
  CHECK(in_regions[0].pass == "on_regions(tidy)");
  CHECK(in_regions[0].gap == 0);
  CHECK(rows_of(regions(), es::pipeline{es::on_regions(small_calls, es::dce{})}).empty());
}

TEST_CASE("a wrong pass on parts is named with the composite that ran it") {
  CHECK(refused(branches(), es::on_subgraphs(wrong) | es::dce{})
            .starts_with("on_subgraphs(tidy, wrong) changes the results: output 0 is "));
  CHECK(refused(regions(), es::pipeline{es::fix(es::on_regions(small_calls, wrong) | es::dce{})})
            .starts_with("on_regions(tidy, wrong) changes the results: output 0 is "));
  CHECK(bisected(branches(), es::on_subgraphs(wrong) | es::dce{}) ==
        "pass 'wrong' in 'on_subgraphs' at position 1, rule 'tanh-for-relu', rewrite 2");
  CHECK(bisected(regions(), es::on_regions(small_calls, wrong) | es::dce{}) ==
        "pass 'wrong' in 'on_regions' at position 1, rule 'tanh-for-relu', rewrite 2");
}

TEST_CASE("every node that both graphs have is compared") {
  auto g = branches();
  const auto rows = rows_of(g, es::pipeline{nudge{}});
  REQUIRE(rows.size() == 1);
  std::vector<std::string> names;
  for (const auto& n : rows[0].nodes)
    names.push_back(n.name);
  CHECK(names == std::vector<std::string>{"s", "u", "t.n", "t.m", "t.r", "y", "z"}); // of the branch that ran
  CHECK(rows[0].uncompared == 1); // the new node, which has no name
  CHECK(rows[0].nodes[0].gap == 0);
  for (std::size_t i = 1; i != rows[0].nodes.size(); ++i)
    CHECK(rows[0].nodes[i].gap > 0);
  CHECK(rows[0].gap > 0);
  CHECK(rows[0].gap <= 1);
  CHECK(rows[0].first_beyond() == nullptr);
  const auto worst = rows[0].worst(100);
  REQUIRE(worst.size() == 6); // `s` is as it was
  for (std::size_t i = 1; i != worst.size(); ++i)
    CHECK(worst[i - 1].gap >= worst[i].gap);
  CHECK(rows[0].worst(2).size() == 2);
}

TEST_CASE("a node of several results is compared by all of them, and what they hang on is named first") {
  es::graph<es::training_ir> g(
      es::parse_text(
          "graph { %x = placeholder : f32[4] %w = placeholder : f32[4] %n = aten.neg(%x) : f32[4] %u = "
          "aten.relu(%n) : f32[4] %c: [%a, %b] = aten.split.Tensor(%u, 2) : f32[2], f32[2] %m: %v, "
          "%i = aten.max.dim(%w, 0) : f32[], i64[] return %v, %i }")
          .graph);
  const auto rows = rows_of(std::move(g), es::pipeline{nudge{}}); // no result hangs on it
  REQUIRE(rows.size() == 1);
  REQUIRE(rows[0].nodes.size() == 4);
  CHECK(rows[0].gap == 0);
  CHECK(rows[0].nodes[2].name == "c");
  CHECK(rows[0].nodes[2].gap == rows[0].nodes[1].gap);
  CHECK(rows[0].nodes[3].gap == 0);
}
