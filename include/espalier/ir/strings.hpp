// SPDX-License-Identifier: BSL-1.0
// The interned strings of one graph: names, string constants, stack traces. One character pool and one
// open-addressed table of ids, both flat, so that copying a graph copies them in two moves; usable in
// constant evaluation.
#pragma once

#include <espalier/support/id.hpp>

#include <cstdint>
#include <string_view>
#include <vector>

namespace espalier {

/// Interns strings: equal strings get equal ids. Interning is O(length) on average; reading is O(1).
class string_pool {
public:
  /// The id of `s`, added when new. Views given out earlier may dangle after this (ids never do).
  constexpr str_id intern(std::string_view s) {
    if ((spans_.size() + 1) * 4 > table_.size() * 3)
      grow();
    std::size_t at = hash(s) & (table_.size() - 1);
    while (table_[at] != 0) {
      const str_id found{table_[at] - 1};
      if (view(found) == s)
        return found;
      at = (at + 1) & (table_.size() - 1);
    }
    const span fresh{static_cast<std::uint32_t>(chars_.size()), static_cast<std::uint32_t>(s.size())};
    for (char c : s)
      chars_.push_back(c);
    spans_.push_back(fresh);
    table_[at] = static_cast<std::uint32_t>(spans_.size());
    return str_id{static_cast<std::uint32_t>(spans_.size() - 1)};
  }
  /// The id of `s` if it is interned, else an invalid id.
  constexpr str_id find(std::string_view s) const {
    if (table_.empty())
      return {};
    std::size_t at = hash(s) & (table_.size() - 1);
    while (table_[at] != 0) {
      if (view(str_id{table_[at] - 1}) == s)
        return str_id{table_[at] - 1};
      at = (at + 1) & (table_.size() - 1);
    }
    return {};
  }
  /// The text of an id; empty for an invalid one. Valid until the next `intern`.
  constexpr std::string_view view(str_id i) const noexcept {
    if (!i.valid())
      return {};
    return {chars_.data() + spans_[i.index].first, spans_[i.index].size};
  }
  constexpr std::size_t size() const noexcept { return spans_.size(); }
  /// Bytes held, for memory reports.
  constexpr std::size_t bytes() const noexcept {
    return chars_.capacity() + spans_.capacity() * sizeof(span) + table_.capacity() * sizeof(std::uint32_t);
  }

private:
  struct span {
    std::uint32_t first, size;
  };
  static constexpr std::uint64_t hash(std::string_view s) noexcept {
    std::uint64_t h = 0xcbf2'9ce4'8422'2325ull; // FNV-1a: short keys, constant evaluation
    for (char c : s)
      h = (h ^ static_cast<unsigned char>(c)) * 0x100'0000'01b3ull;
    return h ^ (h >> 29);
  }
  constexpr void grow() {
    const std::size_t n = table_.empty() ? 16 : table_.size() * 2;
    table_.clear();
    table_.reserve(n);
    for (std::size_t i = 0; i != n; ++i)
      table_.push_back(0); // not resize: clang with libstdc++ 12 refuses it in constant evaluation
    for (std::size_t i = 0; i != spans_.size(); ++i) {
      std::size_t at = hash(view(str_id{static_cast<std::uint32_t>(i)})) & (n - 1);
      while (table_[at] != 0)
        at = (at + 1) & (n - 1);
      table_[at] = static_cast<std::uint32_t>(i + 1);
    }
  }
  std::vector<char> chars_;
  std::vector<span> spans_;
  std::vector<std::uint32_t> table_; // id + 1, or 0
};

} // namespace espalier
