// SPDX-License-Identifier: BSL-1.0
// A string as a template argument: `arg<"alpha">()`.
#pragma once

#include <cstddef>
#include <string_view>

namespace espalier {

/// A string literal that can be a non-type template argument.
template <std::size_t N>
struct fixed_string {
  char data[N]{};
  static constexpr std::size_t size() noexcept { return N - 1; }
  consteval fixed_string(const char (&s)[N]) {
    for (std::size_t i = 0; i != N; ++i)
      data[i] = s[i];
  }
  constexpr std::string_view view() const noexcept { return {data, N - 1}; }
  constexpr operator std::string_view() const noexcept { return view(); }
  template <std::size_t M>
  constexpr bool operator==(const fixed_string<M>& o) const noexcept {
    return view() == o.view();
  }
};

} // namespace espalier
