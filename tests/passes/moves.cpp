// SPDX-License-Identifier: BSL-1.0
// sink, hoist, device_move, views_to_copies and copies_to_views.
#include "laws.hpp"

#include <espalier/passes/device_move.hpp>
#include <espalier/passes/hoist.hpp>
#include <espalier/passes/sink.hpp>
#include <espalier/passes/view_copy.hpp>

#include <doctest/doctest.h>

#include <string>
#include <string_view>

namespace es = espalier;

namespace {

template <class P>
std::string order_after(std::string_view text) {
  auto g = laws::typed(text);
  CHECK(laws::broken_law(P{}, g) == "");
  es::pass_context c;
  es::detail::call_pass(P{}, g, c);
  std::string out;
  for (es::node n : es::nodes(g))
    if (n.kind() != es::node_kind::placeholder && n.kind() != es::node_kind::output)
      out += (out.empty() ? "" : " ") + std::string(n.name());
  return out;
}
template <class P>
void check(std::string_view given, std::string_view wanted, const P& pass = {}) {
  auto g = laws::typed(given);
  const auto w = laws::typed(wanted);
  CHECK(laws::broken_law(pass, g) == "");
  es::pass_context c;
  es::detail::call_pass(pass, g, c);
  if (es::structural_hash(g) != es::structural_hash(w))
    CHECK(laws::printed(g) == laws::printed(w));
  CHECK(es::structural_hash(g) == es::structural_hash(w));
}

} // namespace

TEST_CASE("sink brings what one node uses right before it, trees as a whole") {
  CHECK(order_after<es::sink>(
            "graph { %x = placeholder : f32[2] %a = aten.neg(%x) %w = get_attr \"w\" : f32[2] "
            "%b = aten.cos(%a) %c = aten.sin(%x) %d = aten.exp(%x) %e = aten.mul.Tensor(%d, "
            "%w) %f = aten.add.Tensor(%b, %c) return %e, %f, %d }") == "d w e a b c f");
}
TEST_CASE("sink leaves what several nodes use, writes, draws, asserts, or touches written memory") {
  for (const char* text :
       {"graph { %x = placeholder : f32[2] %a = aten.neg(%x) %b = aten.cos(%a) %c = aten.sin(%a) return %c, "
        "%b }",
        "graph { %x = placeholder : f32[2] %a = aten.cos(%x) %m = aten.add_.Tensor(%x, 1) : f32[2] %r = "
        "aten.neg(%a) return %r }",
        "graph { %x = placeholder : f32[2] %a = aten.rand_like(%x) : f32[2] %b = aten.rand_like(%x) : f32[2] "
        "%r "
        "= aten.neg(%a) %s = aten.neg(%b) return %s, %r }"})
    CHECK(order_after<es::sink>(text).starts_with("a "));
}
TEST_CASE("sink moves a multi-result node whose results one node uses") {
  CHECK(order_after<es::sink>(
            "graph { %x = placeholder : f32[2, 2] %m: %v, %i = aten.max.dim(%x, 0) %c = "
            "aten.cos(%x) %d = aten.cos(%c) %g = aten.gather(%d, 0, %i) : f32[2, 2] return %c, "
            "%g }") == "c d m g");
}

TEST_CASE("hoist computes everything as soon as it can be") {
  CHECK(order_after<es::hoist>(
            "graph { %x = placeholder : f32[2] %y = placeholder : f32[2] %a = aten.neg(%x) %b "
            "= aten.cos(%a) %c = aten.sin(%y) %o = aten.ones([2]) %w = get_attr \"w\" : f32[2] "
            "%d = aten.mul.Tensor(%w, %o) %e = aten.add.Tensor(%d, %b) return %e, %c }") == "o w a c d b e");
  CHECK(order_after<es::hoist>("graph { %x = placeholder : f32[2] %m = aten.add_.Tensor(%x, 1) : f32[2] %c = "
                               "aten.cos(%x) return %c }") == "m c");
  CHECK(order_after<es::hoist>(
            "graph { %x = placeholder : f32[2] aten._assert_async(%x) %c = aten.cos(%x) %r = "
            "aten.rand_like(%x) : f32[2] %d = aten.sin(%c) return %d, %r }")
            .starts_with("c d "));
}

TEST_CASE("device_move tells operators and values") {
  const es::device_move to_cuda(es::device{1, 0});
  check("graph { graph @f { %a = placeholder : f32[2] %b = aten.zeros([2]) return %b } %x = placeholder : "
        "f32[2] "
        "%z = aten.zeros([2]) %k = aten.zeros_like(%z) %c = aten._to_copy(%x, device=device(\"cpu\")) %s = "
        "aten.add.Tensor(%c, %k) return %s }",
        "graph { graph @f { %a = placeholder : f32[2]{device=\"cuda:0\"} %b = aten.zeros([2], "
        "device=device(\"cuda:0\")) return %b } %x = placeholder : f32[2]{device=\"cuda:0\"} %z = "
        "aten.zeros([2], device=device(\"cuda:0\")) %k = aten.zeros_like(%z) %c = aten._to_copy(%x, "
        "device=device(\"cuda:0\")) %s = aten.add.Tensor(%c, %k) return %s }",
        to_cuda);
  CHECK(to_cuda.text() == "device_move<cuda:0>");
  const char* elsewhere =
      "graph { %x = placeholder : f32[2]{device=\"cuda:1\"} %s = aten.cos(%x) return %s }";
  check(elsewhere, elsewhere, es::device_move(es::device{1, 0}, es::cpu_device));
}

TEST_CASE("views become copies, and everything knows its new strides") {
  check("graph { %x = placeholder : f32[2, 3] %t = aten.permute(%x, [1, 0]) %c = aten.cos(%t) %s = "
        "aten.slice.Tensor(%c, 0, 1) %r = aten.reshape(%s, [4]) return %r }",
        "graph { %x = placeholder : f32[2, 3] %t = aten.permute_copy(%x, [1, 0]) : f32[3, 2] %c = "
        "aten.cos(%t) %s = "
        "aten.slice_copy.Tensor(%c, 0, 1) : f32[2, 2] %r = aten.reshape(%s, [4]) return %r }",
        es::views_to_copies{});
  const char* strided =
      "graph { %x = placeholder : f32[6] %t = aten.view(%x, [2, 3]) %s = aten.as_strided(%t, "
      "[2], [1], 1) return %s }";
  check(strided, strided, es::views_to_copies{});
  const char* strided_inside =
      "graph { graph @f { %a = placeholder : f32[2, 3] %b = aten.as_strided(%a, [2], [1], 1) return %b } %p "
      "= "
      "placeholder : b8[] %x = placeholder : f32[6] %t = aten.view(%x, [2, 3]) : f32[2, 3] [%c] = "
      "higher_order.cond(%p, @f, @f, [%t]) : f32[2] return %c }";
  check(strided_inside, strided_inside, es::views_to_copies{});
}
TEST_CASE("who knows what an operator without a schema writes: the views that it gets stay views") {
  const char* unknown =
      "graph { %x = placeholder : f32[6] %t = aten.view(%x, [2, 3]) %s = my.own(%t) : f32[2] return %x, %s }";
  check(unknown, unknown, es::views_to_copies{});
}
TEST_CASE("copies become views where nobody can tell") {
  check("graph { %x = placeholder : f32[2, 3] %v = aten.view_copy(%x, [6]) %u = aten.unsqueeze_copy(%v, 0) : "
        "f32[1, 6] "
        "%r = aten.cos(%u) return %r }",
        "graph { %x = placeholder : f32[2, 3] %v = aten.view(%x, [6]) %u = aten.unsqueeze(%v, 0) %r = "
        "aten.cos(%u) return %r }",
        es::copies_to_views{});
  for (const char* kept :
       {"graph { %x = placeholder : f32[2, 3] %v = aten.view_copy(%x, [6]) return %v }",
        "graph { %x = placeholder : f32[2, 3] %v = aten.view_copy(%x, [6]) %w = aten.alias(%v) return %w }",
        "graph { %x = placeholder : f32[2, 3] %v = aten.permute_copy(%x, [1, 0]) : f32[3, 2] %r = "
        "aten.cos(%v) return %r "
        "}",
        "graph { %x = placeholder : f32[2, 3] %v = aten.view_copy(%x, [6]) %m = aten.relu_(%x) : f32[2, 3] "
        "%r = "
        "aten.cos(%v) return %r }"})
    check(kept, kept, es::copies_to_views{});
}
