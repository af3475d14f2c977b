// SPDX-License-Identifier: BSL-1.0
// The state of a program: tensors by fully qualified name, in order, parameters told from buffers.
#pragma once

#include <espalier/ir/strings.hpp>
#include <espalier/support/error.hpp>
#include <espalier/support/vector.hpp>

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace espalier {

/// One tensor of a state dict. Tied weights are entries whose tensors share a storage.
struct state_entry {
  std::string name;
  at::Tensor tensor;
  bool is_parameter = false;
};

/// An ordered map of names to tensors. Copies share the tensors, as Python's dicts do.
class state_dict {
public:
  auto begin() const noexcept { return entries_.begin(); }
  auto end() const noexcept { return entries_.end(); }
  std::size_t size() const noexcept { return entries_.size(); }
  bool empty() const noexcept { return entries_.empty(); }
  const state_entry& operator[](std::size_t i) const noexcept { return entries_[i]; }

  /// The position of a name, or `size()`.
  template <class = when_used>
  std::size_t position(std::string_view name) const {
    const str_id i = names_.find(name);
    return i.valid() ? i.index : entries_.size();
  }
  template <class = when_used>
  bool contains(std::string_view name) const {
    return position(name) != entries_.size();
  }
  /// The tensor of a name, or null.
  template <class = when_used>
  const at::Tensor* find(std::string_view name) const {
    const auto i = position(name);
    return i == entries_.size() ? nullptr : &entries_[i].tensor;
  }
  /// The tensor of a name. Throws `error` (usage) when there is none.
  template <class = when_used>
  const at::Tensor& at(std::string_view name) const {
    if (const auto* t = find(name))
      return *t;
    fail(error_kind::usage, "there is no tensor '" + std::string(name) + "' among " + std::to_string(size()),
         "state dict", "iterate over the state dict to see its names");
  }
  /// Adds a tensor, or replaces the one of that name.
  template <class = when_used>
  void set(std::string name, at::Tensor t, bool is_parameter) {
    const std::size_t at = names_.intern(name).index;
    if (at == entries_.size()) {
      entries_.push_back({std::move(name), std::move(t), is_parameter});
    } else {
      entries_[at].tensor = std::move(t);
      entries_[at].is_parameter = is_parameter;
    }
  }
  /// Forgets a name; the order of the others stays. O(size).
  template <class = when_used>
  bool erase(std::string_view name) {
    return contains(name) && erase_if([&](const state_entry& e) { return e.name == name; }) != 0;
  }
  /// Forgets the entries that `gone(entry)` is true of, in one walk; the order of the others stays. Gives
  /// their number.
  template <class Predicate>
  std::size_t erase_if(Predicate&& gone) {
    const std::size_t count = espalier::erase_if(entries_, gone);
    if (count != 0) {
      names_ = {};
      for (const auto& e : entries_)
        names_.intern(e.name);
    }
    return count;
  }

private:
  vector<state_entry> entries_;
  string_pool names_; // a name's id is its position
};

} // namespace espalier
