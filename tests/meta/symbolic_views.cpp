// SPDX-License-Identifier: BSL-1.0
// Views of tensors with symbolic sizes, contiguous or not: decided by what the expressions are, without a
// question to the symbols, and right for every value that they may have.
#include <espalier/meta/rules/views.hpp>
#include <espalier/meta/tensor_meta.hpp>
#include <espalier/symbolic/sym_int.hpp>

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace es = espalier;

namespace {

es::sym_int size(const char* text) { return es::sym_int(es::parse_expr(text)); }
es::sym_ints sizes(std::vector<const char*> texts) {
  es::sym_ints out;
  for (const char* t : texts)
    out.push_back(size(t));
  return out;
}
es::tensor_meta transposed(es::tensor_meta m, std::size_t a, std::size_t b) {
  std::swap(m.sizes[a], m.sizes[b]);
  std::swap(m.strides[a], m.strides[b]);
  return m;
}
es::tensor_meta dense(std::vector<const char*> texts) {
  return es::make_meta(es::scalar_type::f32, sizes(std::move(texts)));
}

} // namespace

TEST_CASE("a view of a tensor that is not contiguous asks its symbols nothing") {
  // heads of attention: [b, s, 8, 16] -> transpose -> back
  const auto heads = transposed(dense({"s0", "s1", "8", "16"}), 1, 2);
  const auto split = es::shape_rules::detail::view_strides(heads, sizes({"s0", "8", "s1", "4", "4"}));
  REQUIRE(split);
  CHECK(*split == sizes({"128*s1", "16", "128", "4", "1"}));
  const auto merged = es::shape_rules::detail::view_strides(transposed(dense({"s2", "s0", "s1"}), 0, 1),
                                                            sizes({"s0", "s2", "s1", "1"}));
  REQUIRE(merged);
  CHECK((*merged)[0] == size("s1"));
  // dimensions that lie together, under a transposed one
  const auto rows = es::shape_rules::detail::view_strides(transposed(dense({"s0", "s1", "s2", "3"}), 0, 1),
                                                          sizes({"s1", "s0", "3*s2"}));
  REQUIRE(rows);
  CHECK(*rows == es::sym_ints{size("s2") * 3, size("s1") * size("s2") * 3, 1});
}

TEST_CASE("a size of -1 beside symbols is worked out") {
  CHECK(es::mod(size("12*s0*s1"), size("4*s1")).int_or(-1) == 0);
  CHECK(es::floordiv(size("12*s0*s1"), size("4*s1")) == size("3*s0"));
  CHECK(es::floordiv(size("s0**2*s1"), size("s0")) == size("s0*s1"));
  CHECK(es::floordiv(size("s0*s1 + 2*s0"), size("s0")) == size("s1 + 2"));
  CHECK(es::floordiv(size("5*s0"), size("s0")).int_or(-1) == 5);
  // not for every value, or by a divisor that may be zero
  CHECK(es::mod(size("6*s0"), size("4*s0")).is_symbolic());
  CHECK(es::mod(size("s0 + 1"), size("s0")).is_symbolic());
  CHECK(es::mod(size("u0*s0"), size("u0")).is_symbolic());
  CHECK(es::floordiv(size("s0"), size("s0*s1")).is_symbolic());
}

TEST_CASE("strides of symbolic views are those of each of their values") {
  const auto law = [] {
    const char* const pool[] = {"s0", "s1", "2", "s2", "6", "3*s0"};
    const auto pick = [&] { return pool[*rc::gen::inRange<std::size_t>(0, std::size(pool))]; };
    std::vector<const char*> texts;
    for (std::size_t i = 0, n = *rc::gen::inRange<std::size_t>(2, 5); i != n; ++i)
      texts.push_back(pick());
    auto m = dense(texts);
    const auto at = [&] { return *rc::gen::inRange<std::size_t>(0, m.dim()); };
    m = transposed(m, at(), at());
    es::sym_ints wanted;
    for (std::size_t i = 0; i != m.dim(); ++i) { // merged with the one before, cut in two, or as it is
      const auto how = *rc::gen::inRange<int>(0, 3);
      if (how == 0 && !wanted.empty())
        wanted[wanted.size() - 1] *= m.sizes[i];
      else if (how == 1 && m.sizes[i] == size("6"))
        wanted.push_back(2), wanted.push_back(3);
      else
        wanted.push_back(m.sizes[i]);
    }
    const std::int64_t values[] = {*rc::gen::inRange<std::int64_t>(2, 7),
                                   *rc::gen::inRange<std::int64_t>(2, 7),
                                   *rc::gen::inRange<std::int64_t>(2, 7)};
    const auto lookup = [&](std::string_view name) { return std::optional(values[name[1] - '0']); };
    const auto concrete = [&](const es::sym_ints& from) {
      es::sym_ints out;
      for (const auto& s : from)
        out.push_back(es::evaluate(s, lookup));
      return out;
    };
    struct example : es::shape_guard_context { // decides as the values do
      const decltype(lookup)& at;
      explicit example(const decltype(lookup)& a) : at(a) {}
      bool evaluate(const es::expr* e) override { return es::evaluate(e, at) != 0; }
    } context(lookup);
    auto n = m;
    n.sizes = concrete(m.sizes);
    n.strides = concrete(m.strides);
    es::shape_guard_context::current() = &context;
    const auto symbolic = es::shape_rules::detail::view_strides(m, wanted);
    es::shape_guard_context::current() = nullptr;
    const auto numbers = es::shape_rules::detail::view_strides(n, concrete(wanted));
    RC_ASSERT(symbolic.has_value() == numbers.has_value());
    if (symbolic)
      RC_ASSERT(concrete(*symbolic) == *numbers);
  };
  CHECK(rc::check("as the values", law));
}
