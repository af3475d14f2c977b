// SPDX-License-Identifier: BSL-1.0
// Shape rules in constant evaluation, on symbolic sizes, and on what they must refuse; a rule of a user's.
#include <espalier/meta/rules.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <limits>
#include <string>

namespace es = espalier;
using es::meta_arg;
using es::scalar_type;
using es::sym_ints;
using es::tensor_meta;

namespace {

/// A rule applied to arguments.
template <class... A>
constexpr tensor_meta result_of(es::rule_fn rule, const A&... args) {
  const meta_arg a[] = {meta_arg(args)...};
  return rule(es::rule_args(es::op_id{}, nullptr, a)).outputs[0].tensor;
}
constexpr tensor_meta channels_last(sym_ints sizes) {
  auto m = es::make_meta(scalar_type::f32, sizes);
  m.strides = es::channels_last_strides(sizes);
  return m;
}
constexpr bool has(const tensor_meta& m, scalar_type t, const sym_ints& sizes, const sym_ints& strides) {
  return m.dtype == t && m.sizes == sizes && m.strides == strides;
}
namespace r = es::shape_rules;
constexpr auto f32 = scalar_type::f32;
constexpr auto i64 = scalar_type::i64;

// promotion
static_assert(es::promote(scalar_type::f16, scalar_type::bf16) == f32);
static_assert(es::promote(scalar_type::u8, scalar_type::i8) == scalar_type::i16);
static_assert(es::promote(scalar_type::bf16, scalar_type::bc32) == scalar_type::bc32);

// pointwise: a column with a row, an integer with a number, and the memory order of channels-last inputs
static_assert(has(result_of(r::binary, es::make_meta(f32, {3, 1}), es::make_meta(i64, {4})), f32, {3, 4},
                  {4, 1}));
static_assert(result_of(r::binary, es::make_meta(i64, {2}), 1.5).dtype == f32);
static_assert(result_of(r::binary_float, es::make_meta(i64, {2}), 2).dtype == f32);
static_assert(has(result_of(r::unary_float, channels_last({2, 3, 4, 5})), f32, {2, 3, 4, 5}, {60, 1, 15, 3}));
// a cast copies, and a copy of an expanded tensor is dense
static_assert([] {
  auto row = es::make_meta(i64, {2, 3});
  row.strides = {0, 1};
  return has(result_of(r::binary, row, es::make_meta(f32, {2, 3})), f32, {2, 3}, {3, 1});
}());

// views
static_assert(has(result_of(r::transpose, es::make_meta(f32, {2, 3}), 0, 1), f32, {3, 2}, {1, 3}));
static_assert([] {
  const auto m = result_of(r::slice, es::make_meta(f32, {10}), 0, 2, 9, 3);
  return has(m, f32, {3}, {3}) && m.storage_offset == es::sym_int(2);
}());
static_assert([] {
  const meta_arg sizes[] = {meta_arg(2), meta_arg(-1)};
  return has(result_of(r::view, es::make_meta(f32, {3, 4}), es::span<const meta_arg>(sizes)), f32, {2, 6},
             {6, 1});
}());

// reductions, joining
static_assert(result_of(r::sum_all, es::make_meta(scalar_type::b8, {4})).dtype == i64);
static_assert([] {
  const auto a = es::make_meta(f32, {2, 3}), b = es::make_meta(f32, {5, 3});
  const meta_arg all[] = {meta_arg(a), meta_arg(b)};
  return has(result_of(r::cat, es::span<const meta_arg>(all), 0), f32, {7, 3}, {3, 1});
}());
static_assert(has(result_of(r::mm<0>, es::make_meta(f32, {2, 3}), es::make_meta(f32, {3, 5})), f32, {2, 5},
                  {5, 1}));

/// A rule applied to symbolic sizes: `s0` rows.
es::sym_int rows() { return es::sym_int(es::symbol("s0")); }

template <class Call>
std::string cause_of(Call&& call) {
  try {
    call();
  } catch (const es::error& e) {
    CHECK_FALSE(e.cure().empty());
    return e.cause();
  }
  return "nothing was thrown";
}
bool contains(const std::string& s, std::string_view part) { return s.find(part) != s.npos; }

} // namespace

TEST_CASE("rules carry symbolic sizes through, without a question to the symbols") {
  const auto n = rows();
  const auto x = es::make_meta(f32, {n, 4});
  CHECK(has(result_of(r::binary, x, x), f32, {n, 4}, {4, 1}));
  CHECK(has(result_of(r::binary, x, es::make_meta(f32, {4})), f32, {n, 4}, {4, 1}));
  CHECK(has(result_of(r::unary_float, result_of(r::transpose, x, 0, 1)), f32, {4, n}, {1, 4}));
  CHECK(has(result_of(r::mm<0>, x, es::make_meta(f32, {4, 7})), f32, {n, 7}, {7, 1}));
  const meta_arg split[] = {meta_arg(n), meta_arg(2), meta_arg(2)};
  CHECK(has(result_of(r::view, x, es::span<const meta_arg>(split)), f32, {n, 2, 2}, {4, 2, 1}));
  const meta_arg joined[] = {meta_arg(-1)};
  CHECK(has(result_of(r::view, x, es::span<const meta_arg>(joined)), f32, {n * 4}, {1}));
  const meta_arg both[] = {meta_arg(x), meta_arg(x)};
  CHECK(has(result_of(r::cat, es::span<const meta_arg>(both), 0), f32, {n * 2, 4}, {4, 1}));
  const auto at = es::make_meta(i64, {es::sym_int(es::symbol("s1"))});
  const meta_arg indices[] = {meta_arg(std::nullopt), meta_arg(at)};
  CHECK(has(result_of(r::index, x, es::span<const meta_arg>(indices)), f32, {n, at.sizes[0]},
            {at.sizes[0], 1}));
  CHECK(has(result_of(r::stack, es::span<const meta_arg>(both), 1), f32, {n, 2, 4}, {8, 4, 1}));
  CHECK(has(result_of(r::sum_dim, x, 1), f32, {n}, {1}));
  CHECK(has(result_of(r::softmax, x, -1), f32, {n, 4}, {4, 1}));
}

TEST_CASE("rules refuse what the operator would, and name it") {
  const auto x = es::make_meta(f32, {2, 3});
  CHECK(contains(cause_of([&] {
                   result_of(r::binary, x, es::make_meta(f32, {2, 4}));
                 }),
                 "does not broadcast"));
  CHECK(contains(cause_of([&] { result_of(r::transpose, x, 0, 2); }), "out of range"));
  CHECK(contains(cause_of([&] { result_of(r::mm<0>, x, x); }), ""));
  CHECK(contains(cause_of([&] { result_of(r::binary, 1, 2); }), "no argument is a tensor"));
  const meta_arg sizes[] = {meta_arg(4), meta_arg(-1)};
  CHECK(contains(cause_of([&] { result_of(r::view, x, es::span<const meta_arg>(sizes)); }), "do not divide"));
}

TEST_CASE("sizes that multiply to more than 64 bits are refused, not wrapped") {
  const auto big = std::int64_t{1} << 40;
  CHECK(contains(cause_of([&] { es::make_meta(f32, {2, big, big}); }), "64 bits"));
  CHECK(contains(cause_of([&] {
                   (void)tensor_meta{.sizes = {big, big}, .strides = {0, 0}}.numel();
                 }),
                 "64 bits"));
  CHECK(es::make_meta(f32, {big, big, 0}).numel().as_int() == 0);
}

TEST_CASE("a tensor with a size 0 is contiguous, whatever its strides") {
  tensor_meta m = es::make_meta(f32, {2, 0, 3});
  m.strides = {7, 5, 2};
  CHECK(es::is_contiguous(m));
  CHECK(es::is_dense(m));
}

TEST_CASE("an argument that is left out reads as its default, by the schema") {
  const auto op = es::id_of<es::aten::flatten_using_ints>();
  const auto x = es::make_meta(f32, {2, 3, 4});
  const meta_arg a[] = {meta_arg(x)};
  const auto m = es::rule_for(op)(es::rule_args(op, es::schema_of(op), a)).outputs[0].tensor;
  CHECK(has(m, f32, {24}, {1}));
  const auto draws = es::id_of<es::aten::randint>(); // `dtype=long`
  const meta_arg size[] = {meta_arg(2)};
  const meta_arg b[] = {meta_arg(5), meta_arg(es::span<const meta_arg>(size))};
  CHECK(es::rule_for(draws)(es::rule_args(draws, es::schema_of(draws), b)).outputs[0].tensor.dtype == i64);
}

// ---- the example of docs/shape-rules.md

namespace docs {
struct pairwise_distance
    : es::op<"shop::pairwise_distance(Tensor a, Tensor b, bool squared=False) -> Tensor"> {};
} // namespace docs

template <>
struct espalier::shape_rule<docs::pairwise_distance> {
  static rule_result infer(const rule_args& a) {
    const tensor_meta &x = a.tensor(0), &y = a.tensor(1);
    if (x.dim() != 2 || y.dim() != 2 || !same_size(x.sizes[1], y.sizes[1]))
      a.refuse("points of different dimensions", "pass two matrices with equally many columns");
    return make_meta(promote(x.dtype, y.dtype), {x.sizes[0], y.sizes[0]}, x.dev);
  }
};

TEST_CASE("a rule for an operator of one's own is found, and keeps symbols") {
  es::register_rule<docs::pairwise_distance>();
  const auto op = es::id_of<docs::pairwise_distance>();
  const auto rule = es::rule_for(op);
  REQUIRE(static_cast<bool>(rule));
  const auto x = es::make_meta(f32, {rows(), 3}), y = es::make_meta(f32, {5, 3}),
             z = es::make_meta(f32, {5, 2});
  const meta_arg good[] = {meta_arg(x), meta_arg(y)}, bad[] = {meta_arg(x), meta_arg(z)};
  CHECK(has(rule(es::rule_args(op, es::schema_of(op), good)).outputs[0].tensor, f32, {rows(), 5}, {5, 1}));
  CHECK(contains(cause_of([&] { rule(es::rule_args(op, es::schema_of(op), bad)); }), "points of different"));
}
