// SPDX-License-Identifier: BSL-1.0
// Who broke it, where passes run on parts of a graph: the check is asked of the whole, and the guilty pass is
// the one inside.
#include <espalier/ir/text_parser.hpp>
#include <espalier/passes/cse.hpp>
#include <espalier/passes/dce.hpp>
#include <espalier/passes/lower_spellings.hpp>
#include <espalier/passes/raise.hpp>
#include <espalier/pipeline/bisect.hpp>
#include <espalier/pipeline/combinators.hpp>
#include <espalier/pipeline/on_regions.hpp>
#include <espalier/rewrite/driver.hpp>
#include <espalier/schema/aten.hpp>

#include <doctest/doctest.h>

#include <string>

namespace es = espalier;
namespace aten = es::aten;

namespace {

constexpr auto x = es::capture<"x">;
constexpr auto neg_neg = es::rewrite<"neg-neg">(es::pattern<aten::neg>(es::pattern<aten::neg>(x)),
                                                [](auto&, const auto& m) { return m[x]; });
/// Drops every `relu`.
constexpr auto drop_relu =
    es::rewrite<"drop-relu">(es::pattern<aten::relu>(x), [](auto&, const auto& m) { return m[x]; });

/// A wrong pass of no rules.
struct drops : es::pass {
  static constexpr std::string_view name = "drops";
  es::pass_result run(es::graph_storage& g) const {
    es::pass_result done;
    for (es::node n : es::nodes(g))
      if (n.is_call(es::id_of<aten::relu>())) {
        g.replace_all_uses(n.result().id(), n.arg(0).as_value().id());
        g.erase(n);
        ++done.erased;
      }
    return done;
  }
};

/// The top graph multiplies, and its branches are two subgraphs: a check that is given one of them says no.
es::graph_storage branches() {
  return es::parse_text(
             "graph { graph @t { %x = placeholder : f32[2] %n = aten.neg(%x) : f32[2] %m = "
             "aten.neg(%n) : f32[2] return %m } graph @f { %x = placeholder : f32[2] %n = "
             "aten.neg(%x) : f32[2] %m = aten.neg(%n) : f32[2] %r = aten.relu(%m) : f32[2] return %r } %p = "
             "placeholder : b8[] %x = placeholder : f32[2] [%y] = higher_order.cond(%p, @t, @f, [%x]) : "
             "f32[2] %z = aten.mul.Tensor(%y, %x) : f32[2] return %z }")
      .graph;
}
/// Two regions of `neg` and `relu` around a multiplication.
es::graph_storage regions() {
  return es::parse_text(
             "graph { %x = placeholder : f32[2] %n = aten.neg(%x) : f32[2] %m = aten.neg(%n) : f32[2] %y = "
             "aten.mul.Tensor(%m, %x) : f32[2] %a = aten.neg(%y) : f32[2] %b = aten.neg(%a) : f32[2] %r = "
             "aten.relu(%b) : f32[2] return %r }")
      .graph;
}
std::size_t calls_of(const es::graph_storage& g, es::op_id op) {
  std::size_t out = 0;
  for (es::node n : es::nodes(g))
    out += n.is_call(op);
  for (std::size_t i = 0; i != g.num_subgraphs(); ++i)
    out += calls_of(g.subgraph(i), op);
  return out;
}
/// True of the graphs above, and of no part of them.
bool whole_and_rectified(const es::graph_storage& g) {
  return calls_of(g, es::id_of<aten::mul_Tensor>()) == 1 && calls_of(g, es::id_of<aten::relu>()) == 1;
}
template <class P>
es::bisect_report found(const es::graph_storage& g, const P& pipe) {
  return es::bisect([&] { return g; },
                    [&](es::graph_storage& h, es::pass_context& c, auto&... is) {
                      pipe.run_dynamic(h, es::info_of_dialect<es::training_ir>, c, is...);
                    },
                    whole_and_rectified);
}

constexpr es::calls_to<aten::neg, aten::relu> small_calls;

} // namespace

TEST_CASE("right passes on parts are innocent") {
  const auto tidy = es::rewrites<"tidy">(neg_neg) | es::dce{};
  CHECK(found(branches(), es::pipeline{es::on_subgraphs(tidy)}).text() == "the check holds after every pass");
  CHECK(found(regions(), es::pipeline{es::on_regions(small_calls, tidy)}).text() ==
        "the check holds after every pass");
}

TEST_CASE("a wrong rule in a part is found") {
  const auto wrong = es::rewrites<"tidy">(neg_neg) | es::rewrites<"guilty">(drop_relu) | es::dce{};
  const auto in_subgraphs = found(branches(), es::cse{} | es::on_subgraphs(wrong) | es::dce{});
  CHECK(in_subgraphs.text() == "pass 'guilty' in 'on_subgraphs' at position 2, rule 'drop-relu', rewrite 3");
  CHECK(in_subgraphs.pass == "guilty");
  CHECK(in_subgraphs.within == "on_subgraphs");
  CHECK(found(regions(), es::on_regions(small_calls, wrong) | es::dce{}).text() ==
        "pass 'guilty' in 'on_regions' at position 1, rule 'drop-relu', rewrite 3");
}

TEST_CASE("a wrong pass without rules in a part is found") {
  CHECK(found(branches(), es::cse{} | es::fix(es::dce{} | es::on_subgraphs(drops{}))).text() ==
        "pass 'drops' in 'on_subgraphs' at position 2");
  CHECK(found(regions(), es::pipeline{es::on_regions(small_calls, drops{})}).text() ==
        "pass 'drops' in 'on_regions' at position 1");
  // where several passes changed parts, and no rewrite is to blame, the composite is named
  const auto two = found(branches(), es::pipeline{es::on_subgraphs(es::rewrites<"tidy">(neg_neg) | drops{})});
  CHECK(two.text() == "pass 'on_subgraphs' at position 1");
}

TEST_CASE("a pass after those on parts is blamed alone") {
  const auto tidy = es::on_regions(small_calls, es::rewrites<"tidy">(neg_neg) | es::dce{});
  CHECK(found(regions(), tidy | drops{}).text() == "pass 'drops' at position 2");
}

TEST_CASE("one spelling that raise and lower_spellings change is found") {
  const auto cpp =
      es::parse_text("graph { %x = placeholder : f32[2, 3] %w = placeholder : f32[4, 3] %v = placeholder : "
                     "f32[4, 3] %t = aten.t(%w) : f32[3, 4] %a = aten.matmul(%x, %t) : f32[2, 4] %u = "
                     "aten.t(%v) : f32[3, 4] %b = aten.matmul(%x, %u) : f32[2, 4] %s = aten.add.Tensor(%a, "
                     "%b) : f32[2, 4] return %s }")
          .graph;
  const auto search = [](const es::graph_storage& g, const auto& pipe, const auto& holds) {
    return es::bisect([&] { return g; },
                      [&](es::graph_storage& h, es::pass_context& c, auto&... is) {
                        pipe.run_dynamic(h, es::info_of_dialect<es::training_ir>, c, is...);
                      },
                      holds)
        .text();
  };
  CHECK(search(cpp, es::raise{} | es::dce{}, [](const es::graph_storage& g) {
          return calls_of(g, es::id_of<aten::linear>()) < 2;
        }) == "pass 'raise' at position 1, rule 'raise', rewrite 2");
  es::graph_storage python = cpp;
  es::raise::run(python);
  es::dce::run(python);
  CHECK(calls_of(python, es::id_of<aten::linear>()) == 2);
  CHECK(search(python, es::lower_spellings{} | es::dce{}, [](const es::graph_storage& g) {
          return calls_of(g, es::id_of<aten::linear>()) > 0;
        }) == "pass 'lower_spellings' at position 1, rule 'linear', rewrite 2");
}
