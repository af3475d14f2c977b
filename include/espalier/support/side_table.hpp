// SPDX-License-Identifier: BSL-1.0
// How a pass attaches data to nodes or values without touching them: a dense vector by id with a default.
#pragma once

#include <espalier/support/id.hpp>
#include <espalier/support/vector.hpp>

#include <cstddef>
#include <utility>

namespace espalier {

/// A map from ids to `T`: reads of ids never written give the default, writes grow the table. O(1).
template <class Id, class T>
class side_table {
public:
  constexpr explicit side_table(T dflt = T{}) : default_(std::move(dflt)) {}
  /// Room for ids below `n`, so that writes below it do not reallocate.
  constexpr void reserve(std::size_t n) { data_.reserve(n); }
  constexpr const T& operator[](Id i) const { return i.index < data_.size() ? data_[i.index] : default_; }
  constexpr T& operator[](Id i) {
    while (data_.size() <= i.index)
      data_.push_back(default_);
    return data_[i.index];
  }
  constexpr void clear() { data_.clear(); }
  constexpr std::size_t size() const noexcept { return data_.size(); }

private:
  vector<T> data_;
  T default_;
};

} // namespace espalier
