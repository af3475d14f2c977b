// SPDX-License-Identifier: BSL-1.0
// Types as numbers. Constant evaluation may compare addresses of objects of two types, but g++ 12 refuses to
// under `-fsanitize=undefined` (either might be a null weak symbol); numbers it compares always.
#pragma once

#include <cstdint>
#include <string_view>

namespace espalier {

namespace detail {

template <class T>
constexpr std::uint64_t hash_of_type() noexcept {
  std::uint64_t h = 0xcbf2'9ce4'8422'2325ull;
  for (const char* c = __PRETTY_FUNCTION__; *c; ++c)
    h = (h ^ static_cast<unsigned char>(*c)) * 0x100'0000'01b3ull;
  return h;
}

} // namespace detail

/// A number that tells types apart by their spelled names: the same in every translation unit of a program.
template <class T>
inline constexpr std::uint64_t type_hash = detail::hash_of_type<T>();

} // namespace espalier
