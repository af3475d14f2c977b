// SPDX-License-Identifier: BSL-1.0
// How work grows with the size of a graph, in operations counted, not in seconds: the same number in every
// run on any machine.
#pragma once

#include "shapes.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <string_view>

namespace scaling {

/// Edges between basic blocks that this process has run in the sources of this test, the library's headers
/// included, and words that it has allocated.
std::uint64_t operations() noexcept;

/// What to measure: it gets a graph of its own.
using work = void (*)(es::graph_storage&);

/// The exponent e of "operations grow as size^e", between a graph and one four times as large.
inline double growth(es::graph_storage small, es::graph_storage large, work f) {
  const auto count = [&](es::graph_storage& g) {
    const std::uint64_t before = operations();
    f(g);
    return static_cast<double>(operations() - before);
  };
  const double a = count(small), b = count(large);
  REQUIRE(a > static_cast<double>(shape_size)); // it is counted at all
  return std::log(b / a) / std::log(4.0);
}

/// No more than linear on any shape that `fits`.
inline void grows_linearly(std::string_view what, work f, bool (*fits)(const shape&) = nullptr) {
  for (const shape& s : shapes()) {
    if (fits && !fits(s))
      continue;
    const double e = growth(s.small(), s.large(), f);
    INFO(what << " on " << s.name << " grows as the size to the power of " << e);
    CHECK(e <= 1.1);
  }
}
inline bool writes_nothing(const shape& s) { return !s.writes; }

} // namespace scaling
