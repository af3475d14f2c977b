// SPDX-License-Identifier: BSL-1.0
#include <espalier/symbolic/sym_int.hpp>

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <cstdint>
#include <iterator>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

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

namespace {

using i64 = std::int64_t;
__extension__ typedef __int128 wide;
constexpr i64 least = std::numeric_limits<i64>::min(), most = std::numeric_limits<i64>::max();

/// What a computation gives; nothing when it says that the value does not fit, or divides by zero.
template <class F>
std::optional<i64> value_of(F f) {
  try {
    return f();
  } catch (const es::error& e) {
    CHECK(!e.place().empty());
    CHECK(!e.cure().empty());
    return std::nullopt;
  }
}
std::optional<i64> fitting(wide x) {
  return x < least || x > most ? std::nullopt : std::optional(static_cast<i64>(x));
}
/// As Python's `//` and `%`, in twice the width.
wide wide_floordiv(wide a, wide b) { return a / b - (a % b != 0 && ((a < 0) != (b < 0))); }

/// Numbers around the limits, their roots, and zero.
i64 near_the_limits() {
  static constexpr i64 marks[] = {least, most, 0, 1, -1, i64{1} << 31, -(i64{1} << 32), 3037000499, most / 3};
  const auto mark =
      static_cast<std::uint64_t>(*rc::gen::elementOf(std::vector<i64>(std::begin(marks), std::end(marks))));
  return static_cast<i64>(mark + static_cast<std::uint64_t>(*rc::gen::inRange<i64>(-3, 4)));
}

} // namespace

TEST_CASE("arithmetic at the limits is exact or refused, on numbers and in expressions alike") {
  const auto law = [] {
    const i64 a = near_the_limits(), b = near_the_limits(), n = *rc::gen::inRange<i64>(0, 66);
    const es::sym_int s(es::symbol("s0")), t(es::symbol("s1")), x(a), y(b);
    const auto at = [&](std::string_view name) -> std::optional<i64> { return name == "s0" ? a : b; };
    const auto check = [&](std::optional<i64> expected, auto op) {
      RC_ASSERT(value_of([&] { return op(x, y).as_int(); }) == expected);
      // folded as it is built, and the value put in for the symbols
      RC_ASSERT(value_of([&] { return es::evaluate(op(s, t), at); }) == expected);
      RC_ASSERT(value_of([&] { return es::evaluate(op(s, y), at); }) == expected);
    };
    using es::sym_int;
    const wide wa = a, wb = b;
    check(fitting(wa + wb), [](const sym_int& l, const sym_int& r) { return l + r; });
    check(fitting(wa * wb), [](const sym_int& l, const sym_int& r) { return l * r; });
    RC_ASSERT(value_of([&] { return (x - y).as_int(); }) == fitting(wa - wb));
    RC_ASSERT(value_of([&] { return (-x).as_int(); }) == fitting(-wa));
    check(b ? fitting(wide_floordiv(wa, wb)) : std::nullopt,
          [](const sym_int& l, const sym_int& r) { return es::floordiv(l, r); });
    check(b ? fitting(wa - wide_floordiv(wa, wb) * wb) : std::nullopt,
          [](const sym_int& l, const sym_int& r) { return es::mod(l, r); });
    RC_ASSERT(value_of([&] { return es::ceildiv(x, y).as_int(); }) ==
              (b ? fitting(-wide_floordiv(-wa, wb)) : std::nullopt));
    // a chain, folded or not, never has another value than its parts
    const auto chain = value_of([&] { return es::evaluate((s + y) * 2 - y - y, at); });
    RC_ASSERT((!chain || fitting(wa * 2) == chain));
    const auto eval = [&](const char* head, i64 l, i64 r) {
      return value_of([&] {
        return es::evaluate(es::make_expr(head, {es::integer(l), es::integer(r)}), at);
      });
    };
    RC_ASSERT(eval("CeilDiv", a, b) == (b ? fitting(-wide_floordiv(-wa, wb)) : std::nullopt));
    RC_ASSERT(value_of([&] { return es::evaluate(es::make_expr("Abs", {es::integer(a)}), at); }) ==
              fitting(wa < 0 ? -wa : wa));
    RC_ASSERT(eval("LShift", a, n) == (n > 62 ? std::nullopt : fitting(wa * (wide{1} << n))));
    std::optional<i64> power = 1;
    for (i64 i = 0; i != n && power; ++i)
      power = fitting(wide{*power} * wa);
    RC_ASSERT(eval("Pow", a, n) == power);
  };
  CHECK(rc::check("exact or refused", law));
}

TEST_CASE("powers of minus one, and exponents that add up beyond the limit") {
  const auto none = [](std::string_view) -> std::optional<i64> { return std::nullopt; };
  const auto power = [&](i64 base, i64 n) {
    return es::evaluate(es::make_expr("Pow", {es::integer(base), es::integer(n)}), none);
  };
  CHECK(power(-1, 3) == -1);
  CHECK(power(-1, most) == -1);
  CHECK(power(-1, most - 1) == 1);
  CHECK(power(0, 0) == 1);
  const es::expr* huge = es::make_expr("Pow", {es::symbol("s0"), es::integer(most)});
  CHECK(es::to_srepr((es::sym_int(huge) * es::sym_int(huge)).as_expr()).starts_with("Mul(Pow("));
  const es::expr* odd = es::make_expr("Pow", {es::symbol("s0")}); // as a file may hold it
  CHECK((es::sym_int(odd) * es::sym_int(es::symbol("s1"))).is_symbolic());
}

static_assert(es::sym_int(most) + 0 == es::sym_int(most));
static_assert(es::sym_int(most) - most - 1 == es::sym_int(-1));
static_assert(es::mod(es::sym_int(least), -1) == es::sym_int(0));
static_assert(es::floordiv(es::sym_int(-7), 2) == es::sym_int(-4));
static_assert(es::mod(es::sym_int(-7), 2) == es::sym_int(1));
static_assert(es::ceildiv(es::sym_int(7), 2) == es::sym_int(4));
