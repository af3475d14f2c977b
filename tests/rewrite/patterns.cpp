// SPDX-License-Identifier: BSL-1.0
// What patterns match and what they do not, and why. Most of it in constant evaluation.
#include <espalier/ir/graph.hpp>
#include <espalier/rewrite/match.hpp>
#include <espalier/schema/aten.hpp>

#include <doctest/doctest.h>

#include <string>

namespace es = espalier;
namespace aten = es::aten;

namespace {

constexpr auto x = es::capture<"x">;
constexpr auto y = es::capture<"y">;
constexpr auto z = es::capture<"z">;

/// A graph with four inputs.
struct fixture {
  es::graph<es::training_ir> g;
  es::value a = g.placeholder("a"), b = g.placeholder("b"), c = g.placeholder("c"), d = g.placeholder("d");
  template <class P>
  constexpr bool matches(const P& p, es::value v) const {
    return es::match_at(p, v.def()).has_value();
  }
};

constexpr bool defaults_must_hold() {
  fixture f;
  const auto plain = f.g.call<aten::add_Tensor>(f.a, f.b);
  const auto one = f.g.call<aten::add_Tensor>(f.a, f.b, es::kw<"alpha">(1));
  const auto two = f.g.call<aten::add_Tensor>(f.a, f.b, es::kw<"alpha">(2));
  constexpr auto p = es::pattern<aten::add_Tensor>(x, y);
  constexpr auto any = es::pattern<aten::add_Tensor>(x, y, es::kw<"alpha">(es::anything));
  constexpr auto with2 = es::pattern<aten::add_Tensor>(x, y, es::kw<"alpha">(2));
  return f.matches(p, plain) && f.matches(p, one) && !f.matches(p, two) && f.matches(any, two) &&
         f.matches(with2, two) && !f.matches(with2, one) && !f.matches(with2, plain);
}
static_assert(defaults_must_hold());

constexpr bool names_that_come_twice() {
  fixture f;
  constexpr auto square = es::pattern<aten::mul_Tensor>(x, x);
  return f.matches(square, f.g.call<aten::mul_Tensor>(f.a, f.a)) &&
         !f.matches(square, f.g.call<aten::mul_Tensor>(f.a, f.b));
}
static_assert(names_that_come_twice());

// (x * y) + x, where both may be swapped: the choice made for the sum is refuted by the product's operands
constexpr bool choices_are_taken_back() {
  constexpr auto p = es::pattern<aten::add_Tensor>(
                         es::pattern<aten::mul_Tensor>(x, es::pattern<aten::relu>(y)).commutative(), x)
                         .commutative();
  fixture f;
  const auto r = f.g.call<aten::relu>(f.b);
  bool all = true;
  for (int i = 0; i != 4; ++i) {
    const auto m = i & 1 ? f.g.call<aten::mul_Tensor>(f.a, r) : f.g.call<aten::mul_Tensor>(r, f.a);
    const auto s = i & 2 ? f.g.call<aten::add_Tensor>(m, f.a) : f.g.call<aten::add_Tensor>(f.a, m);
    const auto found = es::match_at(p, s.def());
    all = all && found && (*found)[x] == f.a && (*found)[y] == f.b && found->calls().size() == 3;
  }
  const auto m = f.g.call<aten::mul_Tensor>(f.a, r);
  return all && !f.matches(p, f.g.call<aten::add_Tensor>(m, f.c));
}
static_assert(choices_are_taken_back());

// a product on both sides, only one of them with a relu inside
constexpr bool choices_are_taken_back_across_operands() {
  constexpr auto p =
      es::pattern<aten::sub_Tensor>(es::pattern<aten::mul_Tensor>(x, y).commutative(),
                                    es::pattern<aten::mul_Tensor>(es::pattern<aten::relu>(y), z));
  fixture f;
  const auto left = f.g.call<aten::mul_Tensor>(f.a, f.b);
  const auto right = f.g.call<aten::mul_Tensor>(f.g.call<aten::relu>(f.a), f.c);
  const auto found = es::match_at(p, f.g.call<aten::sub_Tensor>(left, right).def());
  return found && (*found)[x] == f.b && (*found)[y] == f.a && (*found)[z] == f.c;
}
static_assert(choices_are_taken_back_across_operands());

constexpr bool alternatives() {
  fixture f;
  constexpr auto p = es::pattern<aten::neg>(es::maybe<aten::relu>(x));
  constexpr auto q =
      es::pattern<aten::neg>(es::either(es::pattern<aten::relu>(x), es::pattern<aten::sigmoid>(x)));
  const auto with = f.g.call<aten::neg>(f.g.call<aten::relu>(f.a));
  const auto without = f.g.call<aten::neg>(f.a);
  const auto other = f.g.call<aten::neg>(f.g.call<aten::sigmoid>(f.a));
  const auto m = es::match_at(p, with.def());
  return m && (*m)[x] == f.a && f.matches(p, without) && f.matches(q, with) && f.matches(q, other) &&
         !f.matches(q, without);
}
static_assert(alternatives());

constexpr bool lists_and_literals() {
  fixture f;
  const auto two = f.g.call<aten::cat>(std::array{f.a, f.b}, -1);
  const auto three = f.g.call<aten::cat>(std::array{f.a, f.b, f.c}, -1);
  constexpr auto p = es::pattern<aten::cat>(es::list(x, y), -1);
  const auto viewed = f.g.call<aten::permute>(f.a, es::ints(0, 2, 1));
  constexpr auto swap = es::pattern<aten::permute>(x, es::ints(0, 2, 1));
  constexpr auto same = es::pattern<aten::permute>(x, es::ints(0, 1, 2));
  const auto cast = f.g.call<aten::_to_copy>(f.a, es::kw<"dtype">(es::scalar_type::f16));
  constexpr auto half = es::pattern<aten::_to_copy>(x, es::kw<"dtype">(es::scalar_type::f16));
  constexpr auto bfloat = es::pattern<aten::_to_copy>(x, es::kw<"dtype">(es::scalar_type::bf16));
  return f.matches(p, two) && !f.matches(p, three) && f.matches(swap, viewed) && !f.matches(same, viewed) &&
         f.matches(half, cast) && !f.matches(bfloat, cast);
}
static_assert(lists_and_literals());

constexpr bool constants_and_conditions() {
  fixture f;
  const auto t = f.g.call<aten::transpose_int>(f.a, 1, 2);
  const auto twice = f.g.call<aten::transpose_int>(t, 1, 2);
  const auto otherwise = f.g.call<aten::transpose_int>(t, 0, 2);
  constexpr auto d0 = es::constant<"d0">;
  constexpr auto d1 = es::constant<"d1">;
  constexpr auto undo = es::pattern<aten::transpose_int>(es::pattern<aten::transpose_int>(x, d0, d1), d0, d1);
  constexpr auto last = es::pattern<aten::transpose_int>(
      x, es::anything, es::where(es::constant<"d">, [](es::arg_view v) { return v.as_int() == 2; }));
  const auto m = es::match_at(undo, twice.def());
  return m && (*m)[d0].as_int() == 1 && !f.matches(undo, otherwise) && !f.matches(undo, t) &&
         f.matches(last, t) && !f.matches(last, f.g.call<aten::transpose_int>(f.a, 2, 1));
}
static_assert(constants_and_conditions());

constexpr bool use_counts_and_results() {
  fixture f;
  const auto r = f.g.call<aten::relu>(f.a);
  const auto n = f.g.call<aten::neg>(r);
  constexpr auto only = es::pattern<aten::neg>(es::pattern<aten::relu>(x).one_use());
  const bool before = f.matches(only, n);
  f.g.call<aten::sigmoid>(r);
  const auto [values, indexes] = f.g.call<aten::max_dim>(f.a, 0);
  constexpr auto arg_max = es::pattern<aten::neg>(es::pattern<aten::max_dim>(x, 0).result<1>());
  return before && !f.matches(only, n) && f.matches(arg_max, f.g.call<aten::neg>(indexes)) &&
         !f.matches(arg_max, f.g.call<aten::neg>(values));
}
static_assert(use_counts_and_results());

} // namespace

TEST_CASE("explain names the node that the furthest attempt failed at, and the reason") {
  fixture f;
  const auto m = f.g.call<aten::mm>(f.a, f.b);
  f.g.set_name(m.def(), "product");
  const auto s = f.g.call<aten::add_Tensor>(f.c, m, es::kw<"alpha">(3));
  f.g.set_name(s.def(), "sum");
  const auto r = f.g.call<aten::relu>(s);
  constexpr auto p = es::pattern<aten::relu>(
      es::pattern<aten::add_Tensor>(es::pattern<aten::mm>(x, y).one_use(), z).commutative());

  auto why = es::explain(p, r.def());
  CHECK_FALSE(why.matched);
  CHECK(why.at == s.def().id());
  CHECK(why.reason == "argument 'alpha' of 'sum' is not its default, 1");

  f.g.set_arg(s.def(), 2, 1);
  CHECK(es::explain(p, r.def()).matched);

  f.g.output(m);
  why = es::explain(p, r.def());
  CHECK(why.at == m.def().id());
  CHECK(why.reason == "'product' has other uses");

  why = es::explain(p, s.def());
  CHECK(why.reason ==
        "'sum' is torch.ops.aten.add.Tensor, and the pattern wants torch.ops.aten.relu.default");

  constexpr auto square = es::pattern<aten::mm>(x, x);
  CHECK(es::explain(square, m.def()).reason == "'x' stands for two values, 'a' and 'b'");
}

TEST_CASE("an alternative that was not taken leaves its names unset") {
  fixture f;
  constexpr auto p = es::pattern<aten::neg>(es::either(es::pattern<aten::relu>(x), y));
  const auto m = es::match_at(p, f.g.call<aten::neg>(f.a).def());
  REQUIRE(m);
  CHECK_FALSE(m->has(x));
  CHECK(m->has(y));
  CHECK((*m)[y] == f.a);
}
