// SPDX-License-Identifier: BSL-1.0
// Graphs are built and passes run in constant evaluation: a test of a pass can be a `static_assert`.
#include <espalier/ir/graph.hpp>
#include <espalier/passes/canonicalize.hpp>
#include <espalier/passes/cse.hpp>
#include <espalier/passes/dce.hpp>
#include <espalier/passes/hoist.hpp>
#include <espalier/passes/infer_shapes.hpp>
#include <espalier/passes/remove_assertions.hpp>
#include <espalier/passes/sink.hpp>
#include <espalier/passes/sort.hpp>
#include <espalier/pipeline/pipeline.hpp>
#include <espalier/rewrite/driver.hpp>
#include <espalier/schema/aten.hpp>

#include <doctest/doctest.h>

namespace es = espalier;
namespace aten = es::aten;

namespace {

constexpr es::value_meta f32(es::sym_ints sizes) {
  return es::value_meta(es::make_meta(es::scalar_type::f32, sizes));
}
/// Whether a graph calls exactly these operators, in this order.
template <class... Ops>
constexpr bool calls(const es::graph_storage& g) {
  const es::op_id wanted[]{es::id_of<Ops>()..., {}};
  std::size_t i = 0;
  for (es::node n : es::nodes(g))
    if (n.is_call() && (i == sizeof...(Ops) || n.op() != wanted[i++]))
      return false;
  return i == sizeof...(Ops);
}

// --- passes

constexpr bool dead_chains_go() {
  es::graph<es::aten_ir> g;
  const auto x = g.placeholder("x", f32({2, 3}));
  const auto a = g.call<aten::add_Tensor>(x, x);
  g.call<aten::relu>(g.call<aten::relu>(a));
  g.call<aten::rand>(es::ints(2)); // draws random numbers: stays
  g.output(a);
  return es::dce::run(g).erased == 2 && calls<aten::add_Tensor, aten::rand>(g) &&
         es::property::no_dead_code::holds(g);
}
static_assert(dead_chains_go());

constexpr bool equal_calls_become_one() {
  es::graph<es::aten_ir> g;
  const auto x = g.placeholder("x", f32({2, 3}));
  const auto a = g.call<aten::view>(x, es::ints(6)), b = g.call<aten::view>(x, es::ints(6));
  g.output(g.call<aten::mul_Tensor>(a, b));
  return es::cse::run(g).erased == 1 && g.count_uses(a.id()) == 2 && calls<aten::view, aten::mul_Tensor>(g);
}
static_assert(equal_calls_become_one());

constexpr bool reads_around_a_write_stay() {
  es::graph<es::training_ir> g;
  const auto x = g.placeholder("x", f32({2, 3})), y = g.placeholder("y", f32({2, 3}));
  const auto before = g.call<aten::relu>(y);
  g.call<aten::add__Tensor>(y, x);
  const auto after = g.call<aten::relu>(y);
  g.output(before, after);
  return es::cse::run(g).erased == 0 && es::dce::run(g).erased == 0 && !es::property::functional::holds(g);
}
static_assert(reads_around_a_write_stay());

constexpr bool assertions_go() {
  es::graph<es::aten_ir> g;
  const auto x = g.placeholder("x", f32({2, 3}));
  g.call<aten::_assert_tensor_metadata>(x);
  g.output(x);
  return es::remove_assertions::run(g).erased == 1 && calls<>(g);
}
static_assert(assertions_go());

constexpr bool order_is_mended() {
  es::graph<es::aten_ir> g;
  const auto x = g.placeholder("x", f32({2, 3}));
  const auto a = g.call<aten::relu>(x), b = g.call<aten::neg>(a), c = g.call<aten::exp>(x);
  g.output(g.call<aten::add_Tensor>(b, c));
  g.move_before(b.def(), a.def());
  bool ok = !es::property::topologically_sorted::holds(g) && es::sort::run(g).changed() &&
            calls<aten::relu, aten::neg, aten::exp, aten::add_Tensor>(g);
  g.move_before(c.def(), a.def());
  ok = ok && es::sink::run(g).changed() && calls<aten::relu, aten::neg, aten::exp, aten::add_Tensor>(g);
  return ok && es::hoist::run(g).changed() && calls<aten::relu, aten::exp, aten::neg, aten::add_Tensor>(g);
}
static_assert(order_is_mended());

constexpr bool shapes_are_told() {
  es::graph<es::aten_ir> g;
  const auto x = g.placeholder("x", f32({2, 3, 5}));
  const auto s = g.call<aten::sum_dim_IntList>(g.call<aten::permute>(x, es::ints(2, 0, 1)), es::ints(1));
  g.output(s);
  es::pass_context c;
  return es::infer_shapes::run(g, c).rewritten == 2 && s.tensor().sizes == es::sym_ints{5, 3} &&
         es::property::shapes_known::holds(g);
}
static_assert(shapes_are_told());

// --- rules and pipelines

constexpr auto x = es::capture<"x">;
constexpr auto double_relu =
    es::rewrite<"double-relu">(es::pattern<aten::relu>(es::pattern<aten::relu>(x)),
                               [](auto& r, const auto& m) { return r.template call<aten::relu>(m[x]); });

constexpr bool rules_apply() {
  es::graph<es::aten_ir> g;
  auto v = g.placeholder("in", f32({2, 3}));
  for (int i = 0; i != 4; ++i)
    v = g.call<aten::relu>(v);
  g.output(v);
  es::pass_context c;
  const auto done = es::rewrite_greedily(g, c, es::rule_set(double_relu));
  const es::node left(g, g.next(g.first())); // the shape rule says what it is
  return done.rewritten == 3 && calls<aten::relu>(g) && left.result().tensor().sizes == es::sym_ints{2, 3} &&
         c.statistics().size() == 1 && c.statistics()[0].value == 3;
}
static_assert(rules_apply());

constexpr bool pipelines_run() {
  es::graph<es::aten_ir> g;
  const auto in = g.placeholder("in", f32({2, 3}));
  const auto p = g.call<aten::permute>(in, es::ints(1, 0));
  g.set_meta(p.id(), f32({3, 2}));
  const auto q = g.call<aten::permute>(p, es::ints(1, 0));
  g.set_meta(q.id(), f32({2, 3}));
  g.output(g.call<aten::add_Tensor>(g.call<aten::relu>(q), g.call<aten::relu>(in)));
  const auto done = (es::canonicalize{} | es::cse{} | es::dce{}).run(g);
  return done.changed() && calls<aten::relu, aten::add_Tensor>(g);
}
static_assert(pipelines_run());

} // namespace

TEST_CASE("what is asserted above holds at run time too") {
  CHECK(dead_chains_go());
  CHECK(equal_calls_become_one());
  CHECK(reads_around_a_write_stay());
  CHECK(assertions_go());
  CHECK(order_is_mended());
  CHECK(shapes_are_told());
  CHECK(rules_apply());
  CHECK(pipelines_run());
}
