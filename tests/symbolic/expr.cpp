// SPDX-License-Identifier: BSL-1.0
#include <espalier/symbolic/sym_int.hpp>

#include <doctest/doctest.h>

namespace es = espalier;

TEST_CASE("srepr comes back character by character") {
  for (const char* text : {
           "Mul(Integer(2), Symbol('s40', positive=True, integer=True))",
           "Add(Symbol('s77', positive=True, integer=True), Integer(1))",
           "Pow(Symbol('s0', positive=True, integer=True), Integer(2))",
           "LessThan(Symbol('u0', integer=True), Integer(16))",
           "FloorDiv(Symbol('s0', positive=True, integer=True), Integer(2))",
           "Max(Integer(1), Mod(Symbol('s0'), Integer(-3)))",
           "Rational(1, 2)",
           "Float('0.5', precision=53)",
           "Piecewise(ExprCondPair(Integer(1), StrictLessThan(Symbol('s0'), Integer(2))), "
           "ExprCondPair(Integer(0), true))",
       })
    CHECK(es::to_srepr(es::parse_srepr(text)) == text);
}

TEST_CASE("equal expressions are one object") {
  const es::sym_int s(es::symbol("s0")), t(es::symbol("s1"));
  CHECK((s + t) == (t + s));
  CHECK((s + 1) * 2 == s + 2 + s);
  CHECK(s * t * s == t * s * s);
  CHECK((s + 3 - s).as_int() == 3);
  CHECK(es::floordiv(s * 4 + 8, 4) == s + 2);
  CHECK(es::mod(s * 6 + 7, 3).as_int() == 1);
  CHECK(es::statically_known(es::sym_lt(s, s + 1)));
  CHECK_FALSE(es::statically_known(es::sym_lt(s, t)));
}

TEST_CASE("expressions print as sympy prints them, and are read back") {
  const es::sym_int s(es::symbol("s0")), t(es::symbol("s1"));
  CHECK(es::to_string(s * 2) == "2*s0");
  CHECK(es::to_string(s + 1) == "s0 + 1");
  CHECK(es::to_string(s - 1) == "s0 - 1");
  CHECK(es::to_string(s * t) == "s0*s1");
  CHECK(es::to_string(s * s) == "s0**2");
  CHECK(es::to_string(es::floordiv(s, 2)) == "(s0//2)");
  CHECK(es::to_string(es::sym_max(s, t + 1)) == "Max(s0, s1 + 1)");
  CHECK(es::to_string((s + 1) * t) == "s1*(s0 + 1)");
  for (const char* text : {"2*s0", "s0 + 1", "s0 - 1", "s0**2", "(s0//2)", "Max(1, s0)", "u0 >= 1", "-s0 + 3",
                           "s1*(s0 + 1)", "2*(s0//2) + 1"})
    CHECK(es::to_string(es::parse_expr(text)) == text);
}

TEST_CASE("evaluation is exact or refused") {
  const auto at = [](std::string_view n) -> std::optional<std::int64_t> {
    if (n == "s0")
      return 7;
    if (n == "big")
      return std::int64_t{1} << 62;
    return std::nullopt;
  };
  CHECK(es::evaluate(es::parse_expr("2*s0 + (s0//2)"), at) == 17);
  CHECK(es::evaluate(es::parse_expr("Mod(-s0, 3)"), at) == 2);
  CHECK(es::evaluate(es::parse_expr("s0 >= 7"), at) == 1);
  CHECK_THROWS_AS(es::evaluate(es::parse_expr("s1 + 1"), at), es::error);
  CHECK_THROWS_AS(es::evaluate(es::parse_expr("(s0//0)"), at), es::error);
  CHECK_THROWS_AS(es::evaluate(es::parse_expr("4*big"), at), es::error);
}

TEST_CASE("malformed text is refused with its place") {
  for (const char* text : {"", "Integer(", "Integer(x)", "Mul(Integer(2)", "Symbol('s0",
                           "Integer(99999999999999999999)", "Integer(1) Integer(2)"})
    CHECK_THROWS_AS(es::parse_srepr(text), es::error);
  std::string deep;
  for (int i = 0; i != 5000; ++i)
    deep += "Abs(";
  CHECK_THROWS_AS(es::parse_srepr(deep), es::error);
  CHECK_THROWS_AS(es::parse_expr(std::string(5000, '(')), es::error);
}

TEST_CASE("a guard needs a context, and the context decides") {
  const es::sym_int s(es::symbol("s0"));
  CHECK_THROWS_AS((void)es::guard(es::sym_eq(s, 4)), es::error);
  struct yes : es::shape_guard_context {
    int asked = 0;
    bool evaluate(const es::expr*) override { return ++asked, true; }
  } context;
  es::shape_guard_context::current() = &context;
  CHECK(es::guard(es::sym_eq(s, 4)));
  es::shape_guard_context::current() = nullptr;
  CHECK(context.asked == 1);
}

static_assert(es::floordiv(es::sym_int(-7), 2) == es::sym_int(-4));
static_assert(es::mod(es::sym_int(-7), 2) == es::sym_int(1));
static_assert(es::ceildiv(es::sym_int(7), 2) == es::sym_int(4));
