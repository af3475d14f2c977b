// SPDX-License-Identifier: BSL-1.0
// Rebuilding graphs: `compacted` drops what edits left behind. (A plain copy, `graph_storage h = g`, copies
// the arrays as they are and keeps every id.)
#pragma once

#include <espalier/ir/storage.hpp>
#include <espalier/support/vector.hpp>

#include <cstdint>
#include <string>
#include <utility>

namespace espalier {

namespace detail {

struct subgraph_tag;

/// A table by id that forgets what was written to it at the cost of what was written.
template <class Id, class T = Id>
class copy_table {
public:
  T operator[](Id i) const { return i.index < of_.size() ? of_[i.index] : T{}; }
  void set(Id i, T to) {
    if (i.index >= of_.size())
      of_.resize(i.index + 1);
    of_[i.index] = to;
    written_.push_back(i.index);
  }
  void clear() {
    for (const auto i : written_)
      of_[i] = T{};
    written_.clear();
  }

private:
  vector<T> of_;
  vector<std::uint32_t> written_;
};

/// What has become of a graph's values, metas and so on. Given to one copier after another, it makes each
/// cost what it copies, however large the graph is that it copies from.
struct copy_tables {
  copy_table<value_id> values;
  copy_table<meta_id> metas;
  copy_table<origin_id> origins;
  copy_table<id<subgraph_tag>> subgraphs;
  void clear() {
    values.clear();
    metas.clear();
    origins.clear();
    subgraphs.clear();
  }
};

/// Copies nodes from one graph to the end of another: names, metas, origins and the subgraphs that arguments
/// name.
template <class = when_used>
class node_copier {
public:
  node_copier(const graph_storage& from, graph_storage& to) : from_(from), to_(to), tables_(own_) {}
  node_copier(const graph_storage& from, graph_storage& to, copy_tables& tables)
      : from_(from), to_(to), tables_(tables) {
    tables_.clear();
  }
  node_copier(const node_copier&) = delete;
  node_copier& operator=(const node_copier&) = delete;

  /// What `v` has become; invalid when its node has not been copied.
  value_id operator[](value_id v) const { return tables_.values[v]; }
  void map(value_id from, value_id to) { tables_.values.set(from, to); }
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
      map(v, w);
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
      a.val = tables_.values[v];
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
    if (const meta_id known = tables_.metas[m]; known.valid())
      return known;
    value_meta v = from_.get_meta(m);
    if (v.text.valid())
      v.text = to_.intern(std::string(from_.text(v.text)));
    const meta_id now = to_.intern_meta(v);
    tables_.metas.set(m, now);
    return now;
  }
  origin_id origin_of(origin_id o) {
    if (const origin_id known = tables_.origins[o]; known.valid())
      return known;
    origin out;
    for (auto& e : from_.get_origin(o).entries) {
      const str_id key = to_.intern(std::string(from_.text(e.key)));
      out.entries.push_back({key, to_.intern(std::string(from_.text(e.text)))});
    }
    const origin_id now = to_.intern_origin(out);
    tables_.origins.set(o, now);
    return now;
  }

  const graph_storage& from_;
  graph_storage& to_;
  copy_tables own_;
  copy_tables& tables_;
  struct constant {
    value_id from;
    argument to;
  };
  vector<constant> constants_;
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
template <class Unused>
std::uint32_t node_copier<Unused>::subgraph(std::uint32_t i) {
  if (i >= from_.num_subgraphs())
    return i; // a fault that the verifier reports
  if (const auto known = tables_.subgraphs[id<subgraph_tag>(i)]; known.valid())
    return known.index;
  const std::uint32_t now =
      to_.add_subgraph(std::string(from_.text(from_.subgraph_name(i))), compacted(from_.subgraph(i)));
  tables_.subgraphs.set(id<subgraph_tag>(i), id<subgraph_tag>(now));
  return now;
}
} // namespace detail

} // namespace espalier
