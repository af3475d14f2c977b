// SPDX-License-Identifier: BSL-1.0
// What a structural pass tells its caller. A pass that says `changed` when nothing changed makes every driver
// above it work in vain, so passes count what they did, and `changed` is derived.
#pragma once

#include <cstddef>

namespace espalier {

/// Edits that one run of a pass made, subgraphs included.
struct pass_result {
  std::size_t erased = 0;    ///< nodes that are gone
  std::size_t rewritten = 0; ///< nodes that were replaced by others
  constexpr bool changed() const noexcept { return erased != 0 || rewritten != 0; }
  constexpr explicit operator bool() const noexcept { return changed(); }
  constexpr pass_result& operator+=(const pass_result& o) noexcept {
    erased += o.erased;
    rewritten += o.rewritten;
    return *this;
  }
  friend constexpr bool operator==(const pass_result&, const pass_result&) noexcept = default;
};

} // namespace espalier
