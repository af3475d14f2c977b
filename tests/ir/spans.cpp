// SPDX-License-Identifier: BSL-1.0
// Views of arrays: ours is Boost's, and a user's std::span goes in and comes out.
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

TEST_CASE("std::span goes into a graph and comes out of it") {
  es::graph<es::training_ir> g;
  const auto x = g.placeholder("x", es::make_meta(es::scalar_type::f32, {2}));
  const es::vector<es::argument> args{x, x};
  const es::node sum = g.call_dynamic(es::id_of<aten::add_Tensor>(), std::span(args), 1);
  const std::span<const es::detail::slot> slots = static_cast<const es::graph_storage&>(g).slots(sum);
  CHECK(slots.size() == 2);
  CHECK(slots[0].is_use());
}
