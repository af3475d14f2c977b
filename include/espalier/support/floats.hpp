// SPDX-License-Identifier: BSL-1.0
// What a double is, in constant evaluation too. <cmath> knows the first two, and brings every special
// function of mathematics into each program that includes it: a tenth of what the ground floor's standard
// headers cost.
#pragma once

#include <bit>
#include <cstdint>
#include <limits>

namespace espalier::detail {

constexpr bool is_nan(double d) noexcept { return d != d; }
constexpr bool is_infinite(double d) noexcept {
  return d == std::numeric_limits<double>::infinity() || d == -std::numeric_limits<double>::infinity();
}
/// Whether the sign is minus: of -0.0 too.
constexpr bool has_minus(double d) noexcept { return std::bit_cast<std::uint64_t>(d) >> 63 != 0; }

} // namespace espalier::detail
