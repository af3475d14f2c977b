// SPDX-License-Identifier: BSL-1.0
// The interned strings of one graph: names, string constants, stack traces. One character pool and one
// open-addressed table of ids, both flat, so that copying a graph copies them in two moves; usable in
// constant evaluation.
#pragma once

#include <espalier/support/error.hpp>
#include <espalier/support/id.hpp>
#include <espalier/support/vector.hpp>

#include <cstdint>
#include <string_view>
#include <type_traits>
#include <utility>

namespace espalier {

/// Interns strings: equal strings get equal ids. Interning is O(length) on average; reading is O(1).
class string_pool {
public:
  /// The id of `s`, added when new. `s` may be a piece of this pool's own text. Views given out earlier may
  /// dangle after this (ids never do). Throws `error` (unsupported) when the pool would pass 4 GiB.
  constexpr str_id intern(std::string_view s) {
    if ((spans_.size() + 1) * 4 > table_.size() * 3)
      grow();
    const std::uint32_t h = hash(s);
    std::size_t at = h & (table_.size() - 1);
    for (; table_[at] != 0; at = (at + 1) & (table_.size() - 1))
      if (holds(table_[at] - 1, h, s))
        return str_id{table_[at] - 1};
    const span fresh{static_cast<std::uint32_t>(chars_.size()), static_cast<std::uint32_t>(s.size()), h};
    append(s);
    spans_.push_back(fresh);
    table_[at] = static_cast<std::uint32_t>(spans_.size());
    return str_id{static_cast<std::uint32_t>(spans_.size() - 1)};
  }
  /// The id of `s` if it is interned, else an invalid id.
  constexpr str_id find(std::string_view s) const {
    if (table_.empty())
      return {};
    const std::uint32_t h = hash(s);
    for (std::size_t at = h & (table_.size() - 1); table_[at] != 0; at = (at + 1) & (table_.size() - 1))
      if (holds(table_[at] - 1, h, s))
        return str_id{table_[at] - 1};
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
    std::uint32_t first, size, hash;
  };
  constexpr bool holds(std::uint32_t i, std::uint32_t h, std::string_view s) const noexcept {
    return spans_[i].hash == h && view(str_id{i}) == s;
  }
  // Ids follow the order of interning, so that nothing that is seen depends on the hash: the library's, which
  // takes words, at run time, and FNV-1a in constant evaluation, where its bytes do not cost.
  static constexpr std::uint32_t hash(std::string_view s) noexcept {
    std::uint64_t h = 0xcbf2'9ce4'8422'2325ull;
    if (std::is_constant_evaluated())
      for (char c : s)
        h = (h ^ static_cast<unsigned char>(c)) * 0x100'0000'01b3ull;
    else
      h = std::hash<std::string_view>{}(s);
    return static_cast<std::uint32_t>(h ^ (h >> 32));
  }
  // `s` may lie in the pool: the old text lives until the new one holds its copy.
  constexpr void append(std::string_view s) {
    const std::size_t size = chars_.size(), need = size + s.size();
    if (need > 0xffff'ffffu)
      fail(error_kind::unsupported, "the strings of one graph take more than 4 GiB", "string_pool",
           "split the graph, or drop stack traces before interning them");
    if (need <= chars_.capacity())
      return put(chars_, s);
    vector<char> larger;
    larger.reserve(need > 2 * size ? need : 2 * size);
    put(larger, {chars_.data(), size});
    put(larger, s);
    chars_ = std::move(larger);
  }
  // Never reallocates: the callers have reserved.
  static constexpr void put(vector<char>& to, std::string_view s) {
    to.insert(to.end(), s.data(), s.data() + s.size());
  }
  constexpr void grow() {
    const std::size_t n = table_.empty() ? 16 : table_.size() * 2;
    table_.assign(n, 0);
    for (std::size_t i = 0; i != spans_.size(); ++i) {
      std::size_t at = spans_[i].hash & (n - 1);
      while (table_[at] != 0)
        at = (at + 1) & (n - 1);
      table_[at] = static_cast<std::uint32_t>(i + 1);
    }
  }
  vector<char> chars_;
  vector<span> spans_;
  vector<std::uint32_t> table_; // id + 1, or 0
};

} // namespace espalier
