// SPDX-License-Identifier: BSL-1.0
// The structure of nested arguments: Python's pytree specs as data. A node names its container type and keeps
// that type's context as JSON text, so that types unknown here survive; leaves have no type.
#pragma once

#include <espalier/support/vector.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace espalier {

/// A tree of containers (`torch/utils/_pytree.py`: TreeSpec, serialised by protocol 1).
struct tree_spec {
  std::string
      type; ///< `builtins.tuple`, `builtins.list`, `builtins.dict`, a registered name; empty for a leaf
  std::string context; ///< JSON text: `null`, a list of keys, whatever the type's owner wrote
  vector<tree_spec> children;

  bool is_leaf() const noexcept { return type.empty(); }
  /// Leaves below, itself included.
  std::size_t num_leaves() const noexcept {
    if (is_leaf())
      return 1;
    std::size_t n = 0;
    for (auto& c : children)
      n += c.num_leaves();
    return n;
  }
  static tree_spec leaf() { return {}; }
  static tree_spec tuple(vector<tree_spec> c) { return {"builtins.tuple", "null", std::move(c)}; }
  static tree_spec list(vector<tree_spec> c) { return {"builtins.list", "null", std::move(c)}; }
  /// `keys` in order, one for each child.
  static tree_spec dict(const vector<std::string>& keys, vector<tree_spec> c) {
    std::string ctx = "[";
    for (std::size_t i = 0; i != keys.size(); ++i) {
      if (i)
        ctx += ", ";
      ctx += '"';
      for (char ch : keys[i]) {
        if (ch == '"' || ch == '\\')
          ctx += '\\';
        ctx += ch;
      }
      ctx += '"';
    }
    return {"builtins.dict", ctx + "]", std::move(c)};
  }
  friend bool operator==(const tree_spec&, const tree_spec&) = default;
};

} // namespace espalier
