// SPDX-License-Identifier: BSL-1.0
// Rebuilding graphs: `compacted` drops what edits left behind. (A plain copy, `graph_storage h = g`, copies
// the arrays as they are and keeps every id.)
#pragma once

#include <espalier/ir/storage.hpp>
#include <espalier/support/side_table.hpp>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace espalier {

namespace detail {

/// Copies nodes from one graph to the end of another: names, metas, origins and the subgraphs that arguments
/// name.
class node_copier {
public:
  node_copier(const graph_storage& from, graph_storage& to)
      : from_(from), to_(to), values_(from.value_capacity()), metas_(), origins_() {}

  /// What `v` has become; invalid when its node has not been copied.
  value_id operator[](value_id v) const { return values_[v.index]; }
  void map(value_id from, value_id to) { values_[from.index] = to; }
  /// Uses of `from` become a constant, which owns no text and no items.
  void map(value_id from, const argument& constant) { constants_.push_back({from, constant}); }

  /// A placeholder of the target that stands for a value of the source: its name and what is known of it.
  void stand_in(value_id v) {
    const value_id w =
        to_.result(to_.placeholder(input_kind::user_input, std::string(from_.text(from_.value_name(v)))));
    if (from_.meta_of(v).valid())
      to_.set_meta(w, meta(from_.meta_of(v)));
    map(v, w);
  }

  node_id copy(node_id n) {
    graph_storage::copied_args args;
    from_.copy_args(n, args);
    for (auto& a : args.top)
      rewrite(a);
    for (auto& list : args.nested)
      for (auto& a : list)
        rewrite(a);
    node_id m;
    switch (from_.kind(n)) {
    case node_kind::placeholder:
      m = to_.placeholder(from_.input(n), {});
      break;
    case node_kind::output:
      m = to_.output(args.top);
      break;
    case node_kind::get_attr:
      m = to_.get_attr({}, {});
      to_.set_args(m, args.top);
      break;
    default:
      m = to_.call(from_.op(n), args.top, from_.num_results(n), from_.returns_list(n), from_.kind(n));
    }
    if (from_.node_name(n).valid())
      to_.set_name(m, std::string(from_.text(from_.node_name(n))));
    for (std::size_t i = 0; i != from_.num_results(n); ++i) {
      const value_id v = from_.result(n, i), w = to_.result(m, i);
      values_[v.index] = w;
      if (from_.value_name(v).valid())
        to_.set_value_name(w, std::string(from_.text(from_.value_name(v))));
      if (from_.meta_of(v).valid())
        to_.set_meta(w, meta(from_.meta_of(v)));
    }
    if (from_.origin_of(n).valid())
      to_.set_origin(m, origin_of(from_.origin_of(n)));
    return m;
  }

private:
  void rewrite(argument& a) {
    if (a.form == arg_form::value) {
      const value_id v = a.val;
      a.val = values_[v.index];
      if (!a.val.valid())
        for (const auto& [from, constant] : constants_)
          if (from == v)
            a = constant;
    }
    if (a.form == arg_form::subgraph)
      a.bits = subgraph(static_cast<std::uint32_t>(a.bits));
  }
  std::uint32_t subgraph(std::uint32_t i);
  meta_id meta(meta_id m) {
    meta_id& known = metas_[m];
    if (!known.valid()) {
      value_meta v = from_.get_meta(m);
      if (v.text.valid())
        v.text = to_.intern(std::string(from_.text(v.text)));
      known = to_.intern_meta(v);
    }
    return known;
  }
  origin_id origin_of(origin_id o) {
    origin_id& known = origins_[o];
    if (!known.valid()) {
      origin out;
      for (auto& e : from_.get_origin(o).entries) {
        const str_id key = to_.intern(std::string(from_.text(e.key)));
        out.entries.push_back({key, to_.intern(std::string(from_.text(e.text)))});
      }
      known = to_.intern_origin(out);
    }
    return known;
  }

  const graph_storage& from_;
  graph_storage& to_;
  std::vector<value_id> values_;
  std::vector<std::pair<value_id, argument>> constants_;
  side_table<meta_id, meta_id> metas_;
  side_table<origin_id, origin_id> origins_;
  std::vector<std::uint32_t> subgraphs_; // plus 1
};

} // namespace detail

/// The same graph without tombstones, unused argument slots, strings, metas and graphs that nothing names.
/// Node ids follow the program order. Linear.
template <class = when_used>
graph_storage compacted(const graph_storage& g) {
  graph_storage out;
  out.reserve(g.num_nodes(), g.num_nodes() * 3);
  detail::node_copier copier(g, out);
  for (node_id n = g.first(); n.valid(); n = g.next(n))
    copier.copy(n);
  return out;
}

namespace detail {
inline std::uint32_t node_copier::subgraph(std::uint32_t i) {
  if (i >= from_.num_subgraphs())
    return i; // a fault that the verifier reports
  if (subgraphs_.size() < from_.num_subgraphs())
    subgraphs_.resize(from_.num_subgraphs(), 0);
  if (!subgraphs_[i])
    subgraphs_[i] =
        to_.add_subgraph(std::string(from_.text(from_.subgraph_name(i))), compacted(from_.subgraph(i))) + 1;
  return subgraphs_[i] - 1;
}
} // namespace detail

} // namespace espalier
