// SPDX-License-Identifier: BSL-1.0
// Views of arrays: a user's std::span goes in and comes out.
#include <espalier/ir/graph.hpp>
#include <espalier/schema/aten.hpp>
#include <espalier/support/span.hpp>

#include <doctest/doctest.h>

#include <array>
#include <span>
#include <type_traits>
#include <vector>

namespace es = espalier;
namespace aten = es::aten;

static_assert(std::is_convertible_v<std::span<const es::argument>, es::span<const es::argument>>);
static_assert(std::is_convertible_v<es::span<const es::argument>, std::span<const es::argument>>);
static_assert(std::is_convertible_v<std::vector<int>&, es::span<int>>);
static_assert(std::is_convertible_v<const std::array<int, 2>&, es::span<const int>>);
static_assert(!std::is_convertible_v<es::span<const int>, es::span<int>>);
static_assert(std::is_convertible_v<es::span<int>, es::span<const int>>);
struct derived : es::argument {}; // an array of them is no array of arguments
static_assert(!std::is_convertible_v<std::vector<derived>&, es::span<const es::argument>>);
static_assert(!std::is_convertible_v<std::vector<long>&, es::span<const int>>);

constexpr int digits(es::span<const int> s) {
  int d = 0;
  for (const int x : s)
    d = d * 10 + x;
  return d;
}
constexpr int numbers[] = {1, 2, 3, 4, 5};
static_assert(digits(numbers) == 12345 && digits(es::span(numbers).first(2)) == 12);
static_assert(digits(es::span(numbers).last(2)) == 45 && digits(es::span(numbers).subspan(3)) == 45);
static_assert(digits(es::span(numbers).subspan(1, 2)) == 23 && digits({numbers + 1, numbers + 3}) == 23);
static_assert(es::span(numbers).front() == 1 && es::span(numbers).back() == 5 && es::span(numbers)[2] == 3);
static_assert(es::span<int>().empty() && es::span(numbers).size_bytes() == sizeof numbers);

TEST_CASE("std::span goes into a graph and comes out of it") {
  es::graph<es::training_ir> g;
  const auto x = g.placeholder("x", es::make_meta(es::scalar_type::f32, {2}));
  const es::vector<es::argument> args{x, x};
  const es::node sum = g.call_dynamic(es::id_of<aten::add_Tensor>(), std::span(args), 1);
  const std::span<const es::detail::slot> slots = static_cast<const es::graph_storage&>(g).slots(sum);
  CHECK(slots.size() == 2);
  CHECK(slots[0].is_use());
}
