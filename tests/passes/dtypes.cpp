// SPDX-License-Identifier: BSL-1.0
// convert_dtype and lower_spellings.
#include "laws.hpp"

#include <espalier/passes/convert_dtype.hpp>
#include <espalier/passes/lower_spellings.hpp>
#include <espalier/passes/raise.hpp>

#include <doctest/doctest.h>

#include <string>
#include <string_view>

namespace es = espalier;

namespace {

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
const es::convert_dtype to_half(es::scalar_type::f32, es::scalar_type::f16);

} // namespace

TEST_CASE("convert_dtype changes inputs, arguments, factories and metas, and leaves other types alone") {
  check("graph { graph @f { %a = placeholder : f32[2] %b = aten.relu(%a) return %b } %w = placeholder "
        "parameter "
        ": f32[2, 2] %x = placeholder : f32[2, 2] %i = placeholder : i64[2, 2] %z = aten.zeros([2, 2]) %o = "
        "aten.ones([2, 2], dtype=f32) %k = aten.full([2], 1, dtype=i64) %m = aten.mm(%x, %w) %s = "
        "aten.add.Tensor(%m, %z) %t = aten._to_copy(%i, dtype=f32) %u = aten.mul.Tensor(%s, %t) %v = "
        "aten.add.Tensor(%u, %o) return %v, %k }",
        "graph { graph @f { %a = placeholder : f16[2] %b = aten.relu(%a) return %b } %w = placeholder "
        "parameter "
        ": f16[2, 2] %x = placeholder : f16[2, 2] %i = placeholder : i64[2, 2] %z = aten.zeros([2, 2], "
        "dtype=f16) %o = aten.ones([2, 2], dtype=f16) %k = aten.full([2], 1, dtype=i64) %m = aten.mm(%x, %w) "
        "%s "
        "= aten.add.Tensor(%m, %z) %t = aten._to_copy(%i, dtype=f16) %u = aten.mul.Tensor(%s, %t) %v = "
        "aten.add.Tensor(%u, %o) return %v, %k }",
        to_half);
  CHECK(to_half.text() == "convert_dtype<f32, f16>");
}
TEST_CASE("convert_dtype keeps what needs the bits between casts, and counts it") {
  const char* text =
      "graph { %x = placeholder : f32[2, 3] %e = aten.exp(%x) %r = aten.mul.Tensor(%e, %x) return "
      "%r }";
  check(text,
        "graph { %x = placeholder : f16[2, 3] %w = aten._to_copy(%x, dtype=f32) %e = aten.exp(%w) %n = "
        "aten._to_copy(%e, dtype=f16) %r = aten.mul.Tensor(%n, %x) return %r }",
        to_half);
  auto g = laws::typed(text);
  es::pass_context c;
  to_half.run(g, c);
  REQUIRE(c.statistics().size() == 1);
  CHECK(c.statistics()[0].name == "kept");
  CHECK(c.statistics()[0].value == 1);
}
TEST_CASE("convert_dtype narrows what comes out wide by itself, and leaves wide what is wide on purpose") {
  check("graph { %i = placeholder : i64[2] %x = placeholder : f32[2] %d = aten.div.Tensor(%i, %i) %r = "
        "aten.mul.Tensor(%d, %x) return %r }",
        "graph { %i = placeholder : i64[2] %x = placeholder : f16[2] %d = aten.div.Tensor(%i, %i) %n = "
        "aten._to_copy(%d, dtype=f16) %r = aten.mul.Tensor(%n, %x) return %r }",
        to_half);
  check("graph { %h = placeholder : f16[2] %x = placeholder : f32[2] %w = aten._to_copy(%h, dtype=f32) %r = "
        "aten.mul.Tensor(%w, %x) return %r }",
        "graph { %h = placeholder : f16[2] %x = placeholder : f16[2] %w = aten._to_copy(%h, dtype=f32) %k = "
        "aten._to_copy(%x, dtype=f32) %r = aten.mul.Tensor(%w, %k) return %r }",
        to_half);
}
TEST_CASE("convert_dtype refuses what it cannot convert faithfully, and touches nothing then") {
  for (const auto& [text, why] :
       {std::pair{"graph { %x = placeholder : f32[2] %y = aten.neg(%x) %r = my.op(%y) : f32[2] return %r }",
                  "the operator has no schema"},
        std::pair{
            "graph { %x = placeholder : f32[2] %y = aten.neg(%x) %r = aten.view.dtype(%y, i32) : i32[2] "
            "return %r }",
            "the operator looks at bits"},
        std::pair{
            "graph { %x = placeholder : f32[2] %y = aten.neg(%x) %r = aten.add.Tensor(%y, 1e30) return %r }",
            "has no finite value in f16"}}) {
    auto g = laws::typed(text);
    const auto before = es::structural_hash(g);
    es::pass_context c;
    CHECK_THROWS_WITH_AS(to_half.run(g, c), doctest::Contains(why), es::error);
    CHECK(es::structural_hash(g) == before);
  }
  CHECK_THROWS_AS(es::convert_dtype(es::scalar_type::f32, es::scalar_type::i8), es::error);
}

TEST_CASE("lower_spellings gives C++'s spelling, and raise takes it back") {
  const char* raised =
      "graph { %w = placeholder parameter : f32[4, 3] %b = placeholder parameter : f32[4] %x = placeholder : "
      "f32[2, 3] %l = aten.linear(%x, %w, %b) %m = aten.linear(%x, %w) %s = aten.add.Tensor(%l, 2, alpha=3) "
      "%t "
      "= aten.mul.Tensor(%s, %m) return %t }";
  const char* lowered =
      "graph { %w = placeholder parameter : f32[4, 3] %b = placeholder parameter : f32[4] %x = placeholder : "
      "f32[2, 3] %v = aten.t(%w) %l = aten.addmm(%b, %x, %v) %u = aten.t(%w) %m = aten.matmul(%x, %u) %s = "
      "aten.add.Scalar(%l, 2, 3) %t = aten.mul.Tensor(%s, %m) return %t }";
  check(raised, lowered, es::lower_spellings{});
  check(lowered, raised, es::raise{});
}
TEST_CASE("lower_spellings: a batch of matrices, and a parameter that is written to") {
  check(
      "graph { %w = placeholder parameter : f32[4, 3] %b = placeholder parameter : f32[4] %x = placeholder : "
      "f32[5, 2, 3] %l = aten.linear(%x, %w, %b) return %l }",
      "graph { %w = placeholder parameter : f32[4, 3] %b = placeholder parameter : f32[4] %x = placeholder : "
      "f32[5, 2, 3] %u = aten.t(%w) %m = aten.matmul(%x, %u) %l = aten.add.Tensor(%m, %b) return %l }",
      es::lower_spellings{});
  const char* written = "graph { %w = placeholder parameter : f32[4, 3] %x = placeholder : f32[2, 3] %k = "
                        "aten.relu_(%w) : f32[4, 3] %l = aten.linear(%x, %w) return %l }";
  check(written, written, es::lower_spellings{});
}
