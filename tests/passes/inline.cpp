// SPDX-License-Identifier: BSL-1.0
// Inlining: which calls go, which stay, and what their nodes are named and remember.
#include "laws.hpp"

#include <espalier/ir/clone.hpp>
#include <espalier/passes/inline.hpp>

#include <doctest/doctest.h>

#include <string>
#include <string_view>

namespace es = espalier;

namespace {

std::string after(std::string_view text, es::grad_mode around = es::grad_mode::unknown) {
  auto g = laws::typed(text);
  const es::inline_subgraphs pass(around);
  CHECK(laws::broken_law(pass, g) == "");
  pass.run(g);
  return laws::printed(g);
}
std::string same(std::string_view text) { return laws::printed(laws::typed(text)); }

} // namespace

TEST_CASE("plain calls become their graphs' nodes, innermost first; results keep their names") {
  CHECK(
      after("graph { graph @outer { graph @inner { %a = placeholder : f32[2] %r = aten.relu(%a) : f32[2] "
            "return %r } %a = placeholder : f32[2] %i: %n = higher_order.invoke_subgraph(@inner, \"inner\", "
            "%a) : f32[2] %m = aten.neg(%n) : f32[2] return %m, %n } %x = placeholder : f32[2] %i: %y, %z = "
            "higher_order.invoke_subgraph(@outer, \"outer\", %x) : f32[2], f32[2] %s = "
            "aten.add.Tensor(%y, %z) : f32[2] return %s }") ==
      same("graph { %x = placeholder : f32[2] %z = aten.relu(%x) : f32[2] %y = aten.neg(%z) : f32[2] %s = "
           "aten.add.Tensor(%y, %z) : f32[2] return %s }"));
  CHECK(after("graph { graph @f { %a = placeholder : f32[2] %b = placeholder : f32[2] %r = "
              "aten.add.Tensor(%a, %b) : f32[2] return %r } %x = placeholder : f32[2] %w: %y = "
              "higher_order.wrap(@f, %x, %x) : f32[2] %v: %z = higher_order.strict_mode(@f, [%x, %y]) : "
              "f32[2] return %z }") ==
        same("graph { %x = placeholder : f32[2] %y = aten.add.Tensor(%x, %x) : f32[2] %z = "
             "aten.add.Tensor(%x, %y) : f32[2] return %z }"));
}

TEST_CASE("one graph called twice is inlined twice, under other names; graphs in it get names of their own") {
  auto g = laws::typed(
      "graph { graph @f { graph @t { %c = placeholder : f32[2] %d = aten.neg(%c) : f32[2] return %d } %p = "
      "placeholder : b8[] %a = placeholder : f32[2] %b = aten.relu(%a) : f32[2] [%r] = "
      "higher_order.cond(%p, @t, @t, [%b]) : f32[2] return %r } %q = placeholder : b8[] %x = placeholder : "
      "f32[2] %i: %y = higher_order.invoke_subgraph(@f, \"f\", %q, %x) : f32[2] %j: %z = "
      "higher_order.invoke_subgraph(@f, \"f\", %q, %y) : f32[2] return %z }");
  CHECK(es::inline_subgraphs{}.run(g) == es::pass_result{0, 2});
  CHECK(laws::sound(g, {}) == "");
  REQUIRE(g.num_subgraphs() == 2);
  CHECK(g.text(g.subgraph_name(0)) == "t");
  CHECK(g.text(g.subgraph_name(1)) == "t_1");
  es::assign_names(g);
  const auto text = laws::printed(g);
  CHECK(text.find("%b = aten.relu") != text.npos);
  CHECK(text.find("%relu = aten.relu") != text.npos); // %b was taken
}

TEST_CASE("a graph that writes to its operand still does, and one that gives it back is it") {
  CHECK(
      after("graph { graph @f { %a = placeholder : f32[2] %w = aten.add_.Tensor(%a, 1) : f32[2] return %a } "
            "%x = placeholder : f32[2] %i: %y = higher_order.invoke_subgraph(@f, \"f\", %x) : f32[2] %z = "
            "aten.neg(%y) : f32[2] return %z }") ==
      same("graph { %x = placeholder : f32[2] %w = aten.add_.Tensor(%x, 1) : f32[2] %z = aten.neg(%x) : "
           "f32[2] return %z }"));
}

TEST_CASE("a region without gradients goes only where the mode is that already, or does not matter") {
  const char* text =
      "graph { graph @off { graph @again { %b = placeholder : f32[2] %c = aten.neg(%b) : f32[2] return %c } "
      "%a = placeholder : f32[2] %i: %n = higher_order.wrap_with_set_grad_enabled(False, @again, %a) : "
      "f32[2] "
      "%r = aten.relu(%n) : f32[2] return %r } %x = placeholder : f32[2] %j: %y = "
      "higher_order.wrap_with_set_grad_enabled(False, @off, %x) : f32[2] return %y }";
  const auto inner_gone =
      same("graph { graph @off { %a = placeholder : f32[2] %n = aten.neg(%a) : f32[2] %r = aten.relu(%n) : "
           "f32[2] return %r } %x = placeholder : f32[2] %j: %y = "
           "higher_order.wrap_with_set_grad_enabled(False, @off, %x) : f32[2] return %y }");
  const auto all_gone = same("graph { %x = placeholder : f32[2] %n = aten.neg(%x) : f32[2] %y = "
                             "aten.relu(%n) : f32[2] return %y }");
  CHECK(after(text) == inner_gone);
  CHECK(after(text, es::grad_mode::enabled) == inner_gone);
  CHECK(after(text, es::grad_mode::disabled) == all_gone);
  CHECK(after(text, es::grad_mode::irrelevant) == all_gone);
  // a graph that is called under both modes is known to run under neither
  const char* both =
      "graph { graph @f { graph @g { %b = placeholder : f32[2] %c = aten.neg(%b) : f32[2] return %c } %a = "
      "placeholder : f32[2] %i: %n = higher_order.wrap_with_set_grad_enabled(True, @g, %a) : f32[2] return "
      "%n } %x = placeholder : f32[2] %j: %y = higher_order.wrap_with_set_grad_enabled(False, @f, %x) : "
      "f32[2] %k: %z = higher_order.wrap_with_set_grad_enabled(True, @f, %y) : f32[2] return %z }";
  CHECK(after(both) == same(both));
}

TEST_CASE("calls that do more than run a graph stay") {
  for (const char* kept :
       {"graph { graph @f { %a = placeholder : f32[2] %b = aten.relu(%a) : f32[2] return %b } %x = "
        "placeholder : f32[2] %w: %y = higher_order.wrap_with_autocast(\"cpu\", bf16, True, None, @f, %x) : "
        "f32[2] return %y }",
        "graph { graph @f { %a = placeholder : f32[2] %b = aten.relu(%a) : f32[2] return %b } %x = "
        "placeholder : f32[2] %w: %y = higher_order.tag_activation_checkpoint(@f, %x) : f32[2] return %y }",
        "graph { graph @f { %a = placeholder : f32[2] %b = aten.relu(%a) : f32[2] return %b } %p = "
        "placeholder : b8[] %x = placeholder : f32[2] [%y] = higher_order.cond(%p, @f, @f, [%x]) : f32[2] "
        "return %y }"})
    CHECK(after(kept) == same(kept));
}

TEST_CASE("nodes remember where they come from") {
  auto g = laws::typed("graph { graph @f { %a = placeholder : f32[2] %b = aten.relu(%a) : f32[2] return %b } "
                       "%x = placeholder : f32[2] %i: %y = higher_order.invoke_subgraph(@f, \"f\", %x) : "
                       "f32[2] return %y }");
  auto& body = g.subgraph(0);
  body.set_origin(body.next(body.first()), "nn_module_stack", "block.relu");
  body.set_origin(body.next(body.first()), "stack_trace", "relu(x)");
  es::inline_subgraphs{}.run(g);
  const auto relu = g.next(g.first());
  CHECK(g.origin_text(relu, "nn_module_stack") == "block.relu");
  CHECK(g.origin_text(relu, "stack_trace") == "relu(x)");
  CHECK(es::node(g, relu).name() == "y");
}

TEST_CASE("a result that is a constant in the graph becomes it, in lists and outputs too") {
  auto g = laws::typed(R"(graph {
    graph @f { %a = placeholder : f32[2] %k = placeholder : SymInt(5) %b = aten.neg(%a) : f32[2]
      return 3, %b, None, %k, "sum" }
    %x = placeholder : f32[2]
    %i: %n, %y, %none, %m, %s = higher_order.invoke_subgraph(@f, "f", %x, 5) : SymInt(3), f32[2], None, SymInt(5), ?
    %z = aten.mul.Scalar(%y, %n) : f32[2]
    %w = aten.full([%n, %m], %n) : f32[3, 5]
    %v = aten.clamp(%x, %none, %n) : f32[2]
    mine.tell("sun", %s, %x)
    return %z, %w, %v, %n })");
  es::inline_subgraphs{}.run(g);
  CHECK(laws::printed(g) == laws::printed(laws::typed(R"(graph {
    %x = placeholder : f32[2]
    %y = aten.neg(%x) : f32[2]
    %z = aten.mul.Scalar(%y, 3) : f32[2]
    %w = aten.full([3, 5], 3) : f32[3, 5]
    %v = aten.clamp(%x, None, 3) : f32[2]
    mine.tell("sun", "sum", %x)
    return %z, %w, %v, 3 })")));
}

TEST_CASE("a call that does not fit its graph is refused") {
  auto g = laws::typed(
      "graph { graph @f { %a = placeholder : f32[2] return [3, 4] } %x = placeholder : f32[2] %i: "
      "%y = higher_order.invoke_subgraph(@f, \"f\", %x) : f32[2] return %y }");
  const auto before = laws::printed(g);
  CHECK_THROWS_WITH(es::inline_subgraphs{}.run(g), doctest::Contains("result 0 is used, but is a list"));
  CHECK(laws::printed(g) == before);
}
