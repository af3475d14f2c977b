// SPDX-License-Identifier: BSL-1.0
// Strong 32-bit ids: an index into one table, which cannot be mixed up with an index into another.
#pragma once

#include <compare>
#include <cstdint>
#include <string_view>

namespace espalier {

/// A 32-bit index of the table that `Tag` names. Default-constructed, it is invalid.
template <class Tag>
struct id {
  std::uint32_t index = 0xffff'ffffu;

  constexpr id() noexcept = default;
  constexpr explicit id(std::uint32_t i) noexcept : index(i) {}
  constexpr bool valid() const noexcept { return index != 0xffff'ffffu; }
  constexpr explicit operator bool() const noexcept { return valid(); }
  friend constexpr auto operator<=>(id, id) noexcept = default;
};

using node_id = id<struct node_tag>;     ///< a node of one graph
using value_id = id<struct value_tag>;   ///< a result of a node (a placeholder's value is its only result)
using slot_id = id<struct slot_tag>;     ///< an argument slot of a node; a slot that holds a value is a use
using str_id = id<struct str_tag>;       ///< an interned string of one graph
using meta_id = id<struct meta_tag>;     ///< interned metadata of a value, of one graph
using origin_id = id<struct origin_tag>; ///< interned metadata of a node (where it comes from), of one graph

} // namespace espalier

template <class Tag>
struct std::hash<espalier::id<Tag>> {
  std::size_t operator()(espalier::id<Tag> i) const noexcept { return i.index * 0x9e37'79b9'7f4a'7c15ull; }
};
