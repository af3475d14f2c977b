// SPDX-License-Identifier: BSL-1.0
// Operators that ATen does not have, and what a misspelt name was meant to be, for errors to say.
#pragma once

#include <espalier/schema/op_id.hpp>
#include <espalier/support/config.hpp>
#include <espalier/support/span.hpp>
#include <espalier/support/vector.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace espalier::detail {

/// Whether an operator claims to be ATen's and is not. The generated table has all of ATen, and Python loads
/// no other `aten` operator; but one whose schema this process was told is the user's own.
template <class = when_used>
bool aten_lacks(op_id o) {
  return o.index >= num_aten_ops && name_of(o).starts_with("aten::") && !schema_of(o);
}

/// The least number of letters to insert, drop or replace that makes one text the other (Levenshtein 1966).
template <class = when_used>
std::size_t edit_distance(std::string_view a, std::string_view b) {
  vector<std::size_t> row(b.size() + 1); // of a's first i letters to each beginning of b
  for (std::size_t j = 0; j != row.size(); ++j)
    row[j] = j;
  for (std::size_t i = 0; i != a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j != b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] != b[j]);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
    }
  }
  return row[b.size()];
}

/// The one of some names that is spelt most like `given`: the case of letters does not count, and a third of
/// them may be others, or one. Empty when none is near.
template <class = when_used>
std::string_view nearest_name(std::string_view given, span<const std::string_view> names) {
  const auto lower = [](std::string_view s) {
    std::string out(s);
    for (char& c : out)
      c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    return out;
  };
  const std::string word = lower(given);
  std::size_t best = std::max<std::size_t>(1, given.size() / 3) + 1;
  std::string_view found;
  for (const auto name : names)
    if (const auto d = edit_distance(word, lower(name)); d < best) {
      best = d;
      found = name;
    }
  return found;
}

/// The operator of the generated table that is spelt most like `qualified`: the name counts first, then the
/// overload. Empty when more than a third of the name's letters are others.
template <class = when_used>
std::string_view nearest_listed(std::string_view qualified) {
  const auto split = [](std::string_view name) {
    const auto dot = std::min(name.find('.'), name.size());
    return std::pair(name.substr(0, dot), name.substr(dot));
  };
  const auto [name, overload] = split(qualified);
  const std::size_t colons = name.find("::");
  const std::string_view space = name.substr(0, colons == name.npos ? 0 : colons + 2);
  std::pair best{(name.size() - space.size()) / 3 + 1, std::size_t{0}};
  std::string_view found;
  for (std::uint32_t i = 0; i != num_aten_ops; ++i) {
    if (!aten_row_name(i).starts_with(space))
      continue;
    const auto [other, its_overload] = split(aten_row_name(i));
    const auto longer = std::max(name.size(), other.size()), shorter = std::min(name.size(), other.size());
    if (longer - shorter > best.first) // each letter more is an insertion
      continue;
    const std::pair here{edit_distance(name, other), edit_distance(overload, its_overload)};
    if (here < best) {
      best = here;
      found = aten_row_name(i);
    }
  }
  return found;
}

/// The cure for an operator that ATen lacks.
template <class = when_used>
std::string spell_as_aten(op_id o) {
  const std::string_view near = nearest_listed(name_of(o));
  return (near.empty() ? "" : "write " + std::string(near) + ", or ") +
         "register its schema if it is your own: intern_op(name, schema)";
}

} // namespace espalier::detail
