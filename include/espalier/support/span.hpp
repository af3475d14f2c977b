// SPDX-License-Identifier: BSL-1.0
// Views of arrays that somebody else owns.
#pragma once

#include <boost/core/span.hpp>

namespace espalier {

/// Boost's `span`, which takes and becomes a `std::span`. It asks a range for `data()` and `size()` alone:
/// turning a vector into it costs the compiler a seventh of what `std::span` does, whose constructor has it
/// prove the concepts of iterators for each type of element (`./dev bench --only compile`: `compile one more
/// span`).
using boost::span;

} // namespace espalier
