// SPDX-License-Identifier: BSL-1.0
// dce, cse and raise: what goes, what must stay, and that the second run finds nothing.
#include <espalier/ir/text_parser.hpp>
#include <espalier/ir/verify.hpp>
#include <espalier/passes/cse.hpp>
#include <espalier/passes/dce.hpp>
#include <espalier/passes/raise.hpp>

#include <doctest/doctest.h>

#include <string>
#include <string_view>

namespace es = espalier;

namespace {

template <class Pass>
std::string after(std::string_view text) {
  auto p = es::parse_text(text);
  const auto before = es::to_text(p.graph, p.dialect);
  const auto done = Pass::run(p.graph);
  CHECK(done.changed() == (es::to_text(p.graph, p.dialect) != before));
  CHECK_FALSE(Pass::run(p.graph).changed()); // idempotent
  CHECK(es::verify<es::training_ir>(p.graph, {.require_meta = false}).empty());
  return es::to_text(p.graph, p.dialect);
}
std::string same(std::string_view text) {
  const auto p = es::parse_text(text);
  return es::to_text(p.graph, p.dialect);
}

} // namespace

TEST_CASE("dce drops dead chains and unread attributes") {
  CHECK(after<es::dce>("graph { %x = placeholder %a = aten.relu(%x) %b = aten.neg(%a) %c = aten.neg(%x) %w = "
                       "get_attr \"w\" return %c }") ==
        same("graph { %x = placeholder %c = aten.neg(%x) return %c }"));
  CHECK(after<es::dce>("graph { %x = placeholder %m: %v, %i = aten.max.dim(%x, 0) %n: %p, %q = "
                       "aten.max.dim(%x, 1) return %p }") ==
        same("graph { %x = placeholder %n: %p, %q = aten.max.dim(%x, 1) return %p }"));
}
TEST_CASE("dce keeps what writes, draws, asserts, or is not known") {
  for (const char* kept : {
           "graph { %x = placeholder %a = aten.add_.Tensor(%x, 1) return %x }",
           "graph { %x = placeholder %a = aten.rand([2]) return %x }",
           "graph { %x = placeholder aten._assert_async(%x) return %x }",
           "graph { %x = placeholder %a = my.unknown_op(%x) return %x }",
           "graph { %x = placeholder %m = placeholder buffer %v = placeholder buffer "
           "%a = aten.batch_norm(%x, None, None, %m, %v, True, 0.1, 1e-05, False) return %x }",
           "graph { graph @f { %a = placeholder %b = aten.add_.Tensor(%a, 1) return %b } %x = placeholder "
           "[%r] = higher_order.cond(%x, @f, @f, [%x]) return %x }",
           "graph { %x = placeholder return }",
       })
    CHECK(after<es::dce>(kept) == same(kept));
}
TEST_CASE("dce sees through higher-order calls of pure graphs, and into graphs") {
  CHECK(after<es::dce>("graph { graph @f { %a = placeholder %b = aten.relu(%a) return %a } %x = placeholder "
                       "[%r] = higher_order.cond(%x, @f, @f, [%x]) return %r }") ==
        same("graph { graph @f { %a = placeholder return %a } %x = placeholder [%r] = higher_order.cond(%x, "
             "@f, @f, [%x]) return %r }"));
  CHECK(after<es::dce>("graph { graph @f { %a = placeholder return %a } %x = placeholder [%r] = "
                       "higher_order.cond(%x, @f, @f, [%x]) return %x }")
            .find("cond(") == std::string::npos);
}

TEST_CASE("cse merges equal pure calls, transitively") {
  CHECK(after<es::cse>("graph { %x = placeholder %a = aten.relu(%x) %b = aten.relu(%x) %c = "
                       "aten.add.Tensor(%a, %a, alpha=2) %d = aten.add.Tensor(%b, %b, alpha=2) "
                       "%e = aten.mul.Tensor(%c, %d) return %e }") ==
        same("graph { %x = placeholder %a = aten.relu(%x) %c = aten.add.Tensor(%a, %a, alpha=2) %e = "
             "aten.mul.Tensor(%c, %c) return %e }"));
  CHECK(after<es::cse>("graph { %x = placeholder %v = get_attr \"w\" %w = get_attr \"w\" %e = "
                       "aten.mul.Tensor(%v, %w) return %e }") ==
        same("graph { %x = placeholder %v = get_attr \"w\" %e = aten.mul.Tensor(%v, %v) return %e }"));
  CHECK(after<es::cse>("graph { %x = placeholder %a = aten.sum.dim_IntList(%x, [0, 1]) %b = "
                       "aten.sum.dim_IntList(%x, [0, 1]) %c = aten.mul.Tensor(%a, %b) return %c }")
            .find("%b") == std::string::npos);
}
TEST_CASE("cse leaves what differs, draws, is written to, or is an output") {
  for (const char* kept : {
           "graph { %x = placeholder %a = aten.add.Tensor(%x, 1) %b = aten.add.Tensor(%x, 1.0) %c = "
           "aten.mul.Tensor(%a, %b) return %c }",
           "graph { %a = aten.rand([2]) %b = aten.rand([2]) %c = aten.mul.Tensor(%a, %b) return %c }",
           "graph { %x = placeholder %a = aten.relu(%x) %m = aten.add_.Tensor(%x, 1) %b = aten.relu(%x) %c = "
           "aten.mul.Tensor(%a, %b) return %c }",
           "graph { %x = placeholder %v = aten.view(%x, [4]) %a = aten.relu(%x) %m = aten.add_.Tensor(%v, 1) "
           "%b = aten.relu(%x) %c = aten.mul.Tensor(%a, %b) return %c }",
           "graph { %a = aten.zeros([2]) %b = aten.zeros([2]) %m = aten.add_.Tensor(%a, 1) %c = "
           "aten.mul.Tensor(%a, %b) return %c }",
           "graph { %x = placeholder %a = aten.relu(%x) %b = aten.relu(%x) return %a, %b }",
           "graph { %x = placeholder %a = aten.item(%x) : SymInt(u0) %b = aten.item(%x) : SymInt(u1) %c = "
           "aten.zeros([%a, %b]) return %c }",
           "graph { %p = placeholder buffer %q = placeholder buffer %a = aten.relu(%p) %m = "
           "aten.add_.Tensor(%q, 1) %b = aten.relu(%p) %c = aten.mul.Tensor(%a, %b) return %c }",
       })
    CHECK(after<es::cse>(kept) == same(kept));
}

TEST_CASE("raise gives Python's spelling of linear, scalar overloads and rsub") {
  CHECK(after<es::raise>(
            "graph { %w = placeholder parameter : f32[4, 3] %b = placeholder parameter : f32[4] %x = "
            "placeholder : f32[2, 3] "
            "%t = aten.t(%w) : f32[3, 4] %addmm = aten.addmm(%b, %x, %t) : f32[2, 4] return %addmm }") ==
        same("graph { %w = placeholder parameter : f32[4, 3] %b = placeholder parameter : f32[4] %x = "
             "placeholder : f32[2, 3] "
             "%linear = aten.linear(%x, %w, %b) : f32[2, 4] return %linear }"));
  CHECK(after<es::raise>("graph { %w = placeholder parameter : f32[4, 3] %b = placeholder parameter : f32[4] "
                         "%x = placeholder : f32[5, 2, 3] "
                         "%t = aten.t(%w) : f32[3, 4] %m = aten.matmul(%x, %t) : f32[5, 2, 4] %y = "
                         "aten.add_.Tensor(%m, %b) : f32[5, 2, 4] return %y }")
            .find("aten.linear.default(%x, %w, %b)") != std::string::npos);
  CHECK(after<es::raise>("graph { %w = placeholder parameter : f32[4, 3] %x = placeholder : f32[2, 3] %t = "
                         "aten.t(%w) : f32[3, 4] "
                         "%m = aten.matmul(%x, %t) : f32[2, 4] return %m }")
            .find("aten.linear.default(%x, %w)") != std::string::npos);
  CHECK(after<es::raise>(
            "graph { %x = placeholder : f32[2] %a = aten.add.Scalar(%x, 2, 3) : f32[2] return %a }")
            .find("aten.add.Tensor(%x, 2, alpha=3)") != std::string::npos);
  CHECK(after<es::raise>("graph { %x = placeholder : f32[2] %e = aten.empty_like(%x) : f32[2] %f = "
                         "aten.fill_.Scalar(%e, 1) : f32[2] "
                         "%y = aten.sub_.Tensor(%f, %x) : f32[2] return %y }")
            .find("aten.rsub.Scalar(%x, 1)") != std::string::npos);
}
TEST_CASE("raise leaves what is no linear") {
  for (const char* kept : {
           "graph { %w = placeholder : f32[4, 3] %b = placeholder : f32[2, 4] %x = placeholder : f32[2, 3] "
           "%t = aten.t(%w) : f32[3, 4] %y = aten.addmm(%b, %x, %t) : f32[2, 4] return %y }",
           "graph { %w = placeholder : f32[4, 3] %b = placeholder : f32[4] %x = placeholder : f32[2, 3] %t = "
           "aten.t(%w) : f32[3, 4] %y = aten.addmm(%b, %x, %t, beta=2) : f32[2, 4] return %y }",
           "graph { %w = placeholder : f32[3, 4] %b = placeholder : f32[4] %x = placeholder : f32[2, 3] %y = "
           "aten.addmm(%b, %x, %w) : f32[2, 4] return %y }",
       })
    CHECK(after<es::raise>(kept) == same(kept));
}
