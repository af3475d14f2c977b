// SPDX-License-Identifier: BSL-1.0
// What a double is, in constant evaluation too. <cmath> knows it at run time, and brings the special
// functions of mathematics into each program that includes it: the dearest of the standard headers that we
// can do without.
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
