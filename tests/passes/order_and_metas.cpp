// SPDX-License-Identifier: BSL-1.0
// sort, infer_shapes, remove_assertions and rename_placeholders: what they do, what they leave, what they
// refuse.
#include "laws.hpp"

#include <espalier/ir/graph.hpp>
#include <espalier/passes/dce.hpp>
#include <espalier/passes/infer_shapes.hpp>
#include <espalier/passes/remove_assertions.hpp>
#include <espalier/passes/rename_placeholders.hpp>
#include <espalier/passes/sort.hpp>
#include <espalier/schema/aten.hpp>

#include <doctest/doctest.h>

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace es = espalier;

namespace {

std::vector<std::string> names(const es::graph_storage& g) {
  std::vector<std::string> out;
  for (es::node n : es::nodes(g))
    if (n.is_call())
      out.emplace_back(n.name());
  return out;
}
using list = std::vector<std::string>;
es::node_id named(const es::graph_storage& g, std::string_view name) {
  for (es::node n : es::nodes(g))
    if (n.name() == name)
      return n.id();
  FAIL("no node is called " << name);
  return {};
}
template <class P, class U>
es::pass_result run(U& u) {
  es::pass_context c;
  return es::detail::call_pass(P{}, u, c);
}

/// A program as far as `rename_placeholders` looks at one.
struct small_program {
  es::graph_storage graph;
  es::program_info about;
  es::graph_storage& storage() { return graph; }
  es::program_info& info() { return about; }
};

} // namespace

TEST_CASE("sort moves what is used too early, and nothing else") {
  auto g =
      laws::typed("graph { %x = placeholder : f32[2] %a = aten.neg(%x) %b = aten.cos(%x) %c = aten.sin(%a) "
                  "%d = aten.mul.Tensor(%c, %b) return %d }");
  CHECK_FALSE(run<es::sort>(g).changed());
  g.move_before(named(g, "a"), named(g, "d")); // %c now uses it too early
  CHECK_FALSE(es::property::topologically_sorted::holds(g));
  const auto done = run<es::sort>(g);
  CHECK(done.rewritten == 1);
  CHECK(names(g) == list{"b", "a", "c", "d"});
  CHECK(laws::sound(g, {}) == "");
  CHECK_FALSE(run<es::sort>(g).changed());
}
TEST_CASE("sort keeps the order of effects and of what touches written memory") {
  auto g =
      laws::typed("graph { %x = placeholder : f32[2] %y = placeholder buffer : f32[2] %p = aten.cos(%y) %q = "
                  "aten.neg(%p) %r = aten.exp(%x) %m = aten.add_.Tensor(%x, %q) : f32[2] %s = "
                  "aten.exp(%x) %k = aten.rand_like(%s) : f32[2] return %r, %s, %k }");
  g.move_before(named(g, "p"), named(g, "k"));
  CHECK(run<es::sort>(g).changed());
  CHECK(names(g) == list{"p", "q", "r", "m", "s", "k"});
  // the write would have to follow a read that stands after it
  auto h = laws::typed("graph { %x = placeholder : f32[2] %r = aten.exp(%x) %m = aten.add_.Tensor(%x, %r) : "
                       "f32[2] return %m }");
  h.move_before(named(h, "r"), h.output_node());
  CHECK_THROWS_WITH_AS(run<es::sort>(h), doctest::Contains("the nodes form a cycle: 'r' -> 'm' -> 'r'"),
                       es::error);
}
TEST_CASE("sort names the nodes of a cycle") {
  auto g =
      laws::typed("graph { %x = placeholder : f32[2] %a = aten.neg(%x) %b = aten.cos(%a) %c = aten.sin(%b) "
                  "return %c }");
  g.set_operand(g.arg_slot(named(g, "a"), 0), g.result(named(g, "c")));
  CHECK_THROWS_WITH_AS(run<es::sort>(g),
                       doctest::Contains("the nodes form a cycle: 'b' -> 'c' -> 'a' -> 'b'"), es::error);
}
TEST_CASE("sort is linear on a long chain in reverse order, and goes into subgraphs") {
  es::graph_storage inner;
  const auto x = inner.result(inner.placeholder(es::input_kind::user_input, "x"));
  es::vector<es::node_id> chain;
  es::value_id v = x;
  for (int i = 0; i != 20000; ++i) {
    const es::argument a[] = {v};
    chain.push_back(inner.call(es::id_of<es::aten::neg>(), a, 1));
    v = inner.result(chain.back());
  }
  const es::argument out[] = {v};
  inner.output(out);
  for (std::size_t i = 1; i != chain.size(); ++i)
    inner.move_before(chain[i], chain[i - 1]);
  es::graph_storage g;
  g.add_subgraph("body", std::move(inner));
  CHECK(run<es::sort>(g).changed());
  CHECK(es::property::topologically_sorted::holds(g));
}

TEST_CASE("infer_shapes says what values are, and says so only once") {
  auto p = es::parse_text("graph { graph @f { %a = placeholder : f32[2] %b = aten.neg(%a) return %b } %x = "
                          "placeholder : f32[2, 3]{requires_grad} %y = placeholder : f32[3, 4] %m = "
                          "aten.mm(%x, %y) : f32[9, 9]{requires_grad} %r = aten.relu(%m) return %r }");
  CHECK(run<es::infer_shapes>(p.graph).rewritten == 3);
  const es::value m(p.graph, p.graph.result(named(p.graph, "m")));
  CHECK(m.tensor().sizes == es::sym_ints{2, 4});
  CHECK(m.tensor().requires_grad); // not asked anew
  CHECK(es::property::shapes_known::holds(p.graph));
  CHECK_FALSE(run<es::infer_shapes>(p.graph).changed());
}
TEST_CASE("infer_shapes keeps what no rule tells, counts it, and refuses to promise what it does not know") {
  auto p =
      es::parse_text("graph { %x = placeholder : f32[2] %a = my.op(%x) : f32[7] %b = aten.neg(%a) return "
                     "%b }");
  es::pass_context c;
  CHECK(es::infer_shapes::run(p.graph, c).rewritten == 1);
  REQUIRE(c.statistics().size() == 1);
  CHECK(c.statistics()[0].name == "no rule");
  auto q = es::parse_text("graph { %x = placeholder : f32[2] %a = my.op(%x) %b = aten.neg(%a) return %b }");
  CHECK_THROWS_WITH_AS(run<es::infer_shapes>(q.graph), doctest::Contains("node 'a' (my::op)"), es::error);
  auto r = es::parse_text("graph { %x = placeholder : f32[2, 3] %a = aten.mm(%x, %x) return %a }");
  CHECK_THROWS_WITH_AS(run<es::infer_shapes>(r.graph), doctest::Contains("node 'a'"), es::error);
}

TEST_CASE("remove_assertions drops assertions and hands tokens on") {
  auto p = es::parse_text(
      "graph { graph @f { %a = placeholder aten._assert_async(%a) return %a } %x = placeholder %t = "
      "placeholder "
      "aten._assert_async.msg(%x, \"no\") aten._assert_tensor_metadata(%x, None, None, f32) %n = "
      "aten.item(%x) : SymInt(u0) aten.sym_constrain_range_for_size(%n) aten._assert_scalar(%n, \"no\") %k = "
      "aten._functional_assert_async.msg(%x, \"no\", %t) %r = aten.add.Tensor(%x, %k) return %r }");
  CHECK(laws::broken_law(es::remove_assertions{}, p.graph) == "");
  CHECK(run<es::remove_assertions>(p.graph).erased == 6);
  CHECK(names(p.graph) == list{"n", "r"});
  CHECK(es::node(p.graph, named(p.graph, "r")).arg(1).as_value().name() == "t");
  CHECK(run<es::dce>(p.graph).erased == 1);
}

TEST_CASE("rename_placeholders names state after its path, and keeps the names of user inputs") {
  small_program p;
  p.graph =
      es::parse_text("graph { %w = placeholder parameter : f32[2] %b = placeholder buffer : f32[2] %x = "
                     "placeholder : f32[2] %b_run_mean = placeholder : f32[2] %p_net_0_weight = "
                     "aten.add.Tensor(%w, %x) %r = aten.mul.Tensor(%p_net_0_weight, %b) return %r, "
                     "%p_net_0_weight }")
          .graph;
  using es::input_kind;
  auto& s = p.about.signature;
  s.inputs.resize(4);
  s.inputs[0].kind = input_kind::parameter, s.inputs[0].target = "net.0.weight";
  s.inputs[1].kind = input_kind::buffer, s.inputs[1].target = "run.mean";
  s.outputs.resize(2);
  es::module_call_entry e;
  e.signature.emplace();
  e.signature->inputs.resize(1);
  e.signature->inputs[0].name = "w";
  e.signature->outputs.resize(1);
  e.signature->outputs[0].name = "p_net_0_weight";
  p.about.module_calls.push_back(e);
  CHECK(run<es::rename_placeholders>(p).rewritten == 2);
  CHECK(s.inputs[0].arg.name == "p_net_0_weight");
  CHECK(s.inputs[1].arg.name == "b_run_mean_1"); // a user input has the name
  CHECK(s.inputs[2].arg.name == "x");
  CHECK(s.inputs[3].arg.name == "b_run_mean");
  CHECK(s.outputs[1].arg.name == "add");
  CHECK(p.about.module_calls[0].signature->inputs[0].name == "p_net_0_weight");
  CHECK(p.about.module_calls[0].signature->outputs[0].name == "add");
  CHECK(laws::sound(p.graph, {}) == "");
  CHECK_FALSE(run<es::rename_placeholders>(p).changed());
}
