// SPDX-License-Identifier: BSL-1.0
// The graph that graph and passes are measured on: a chain of adds, each of which also uses a node some way
// back. Two operands, one result, equal metadata. bench/peers/fx.py builds the same.
#pragma once

#include <espalier/ir/graph.hpp>
#include <espalier/schema/aten.hpp>

#include <cstddef>
#include <cstdint>

namespace bench {

inline espalier::graph<espalier::aten_ir> chain(std::int64_t n) {
  espalier::graph<espalier::aten_ir> g;
  g.reserve(static_cast<std::size_t>(n) + 2, static_cast<std::size_t>(n) * 2 + 2);
  const auto x = g.placeholder("x", espalier::make_meta(espalier::scalar_type::f32, {2, 3}));
  const auto meta = g.meta_of(x.id());
  espalier::value prev = x, back = x;
  for (std::int64_t i = 0; i != n; ++i) {
    const auto y = g.call<espalier::aten::add_Tensor>(prev, back);
    g.set_meta(y.id(), meta);
    if (i % 7 == 0)
      back = prev;
    prev = y;
  }
  g.output(prev);
  return g;
}

} // namespace bench
