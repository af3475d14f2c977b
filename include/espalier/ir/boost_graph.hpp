// SPDX-License-Identifier: BSL-1.0
// Graphs as Boost.Graph sees them: VertexListGraph, BidirectionalGraph, AdjacencyGraph and EdgeListGraph. A
// vertex is a node, an edge one use of a value (so `add(x, x)` has two parallel edges), directed from
// definition to user. The in-edges of a node are its operands in order. Nothing is copied; including this
// pulls in traits and property maps only, algorithms are the caller's to include.
//
// `get(vertex_index, g)` numbers the nodes alive from 0 to num_vertices(g) - 1. While nothing was erased that
// is the node's id; with tombstones it is a table made by that call, in linear time, and shared by the map's
// copies: take the map once, after the last edit.
#pragma once

#include <espalier/ir/dialect.hpp>
#include <espalier/ir/storage.hpp>
#include <espalier/support/vector.hpp>

#include <boost/graph/graph_traits.hpp>
#include <boost/graph/properties.hpp>
#include <boost/property_map/property_map.hpp>

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <utility>

namespace espalier {

template <dialect D>
class graph; // ir/graph.hpp

namespace detail {

struct bgl_traversal : virtual boost::bidirectional_graph_tag,
                       virtual boost::adjacency_graph_tag,
                       virtual boost::vertex_list_graph_tag,
                       virtual boost::edge_list_graph_tag {};

/// Multi-pass iterators of the C++17 kind over ids, from a cursor that moves.
template <class Cursor>
class bgl_iterator {
public:
  using value_type = typename Cursor::value_type;
  using reference = value_type;
  using pointer = void;
  using difference_type = std::ptrdiff_t;
  using iterator_category = std::forward_iterator_tag;
  bgl_iterator() = default;
  explicit bgl_iterator(Cursor c) : c_(c) {}
  reference operator*() const { return c_.get(); }
  bgl_iterator& operator++() {
    c_.advance();
    return *this;
  }
  bgl_iterator operator++(int) {
    auto old = *this;
    c_.advance();
    return old;
  }
  friend bool operator==(const bgl_iterator& a, const bgl_iterator& b) { return a.c_ == b.c_; }
  friend bool operator!=(const bgl_iterator& a, const bgl_iterator& b) { return !(a.c_ == b.c_); }

private:
  Cursor c_{};
};

/// Nodes in program order.
struct bgl_vertices {
  using value_type = node_id;
  const graph_storage* g = nullptr;
  node_id at{};
  value_type get() const { return at; }
  void advance() { at = g->next(at); }
  friend bool operator==(const bgl_vertices& a, const bgl_vertices& b) { return a.at == b.at; }
};
/// Uses of a node's results: result by result, newest use first.
struct bgl_out_edges {
  using value_type = slot_id;
  const graph_storage* g = nullptr;
  node_id n{};
  std::size_t result = 0;
  slot_id at{};
  void settle() {
    while (!at.valid() && result + 1 < g->num_results(n))
      at = g->first_use(g->result(n, ++result));
  }
  value_type get() const { return at; }
  void advance() {
    at = g->next_use(at);
    settle();
  }
  friend bool operator==(const bgl_out_edges& a, const bgl_out_edges& b) { return a.at == b.at; }
};
/// Slots of a node that hold values, in argument order.
struct bgl_in_edges {
  using value_type = slot_id;
  const graph_storage* g = nullptr;
  std::uint32_t at = 0, last = 0;
  void settle() {
    while (at != last && !g->slot(slot_id{at}).is_use())
      ++at;
  }
  value_type get() const { return slot_id{at}; }
  void advance() {
    ++at;
    settle();
  }
  friend bool operator==(const bgl_in_edges& a, const bgl_in_edges& b) { return a.at == b.at; }
};
/// In-edges of every node, in program order.
struct bgl_edges {
  using value_type = slot_id;
  const graph_storage* g = nullptr;
  node_id n{};
  bgl_in_edges in{};
  void enter() {
    while (n.valid()) {
      const auto first = g->arg_slot(n, 0).index;
      in = {g, first, first + static_cast<std::uint32_t>(g->slots(n).size())};
      in.settle();
      if (in.at != in.last)
        return;
      n = g->next(n);
    }
    in = {};
  }
  value_type get() const { return in.get(); }
  void advance() {
    in.advance();
    if (in.at != in.last)
      return;
    n = g->next(n);
    enter();
  }
  friend bool operator==(const bgl_edges& a, const bgl_edges& b) { return a.n == b.n && a.in == b.in; }
};
/// Targets of the out-edges.
struct bgl_adjacent {
  using value_type = node_id;
  bgl_out_edges edges{};
  value_type get() const { return edges.g->user(edges.at); }
  void advance() { edges.advance(); }
  friend bool operator==(const bgl_adjacent& a, const bgl_adjacent& b) { return a.edges == b.edges; }
};

} // namespace detail

/// The property map of `boost::vertex_index`: a node's number among those alive, in order of ids.
class node_index_map {
public:
  using key_type = node_id;
  using value_type = std::size_t;
  using reference = std::size_t;
  using category = boost::readable_property_map_tag;

  node_index_map() = default;
  explicit node_index_map(const graph_storage& g) {
    if (g.num_nodes() == g.node_capacity())
      return;
    auto table = std::make_shared<vector<std::uint32_t>>(g.node_capacity());
    std::uint32_t next = 0;
    for (std::uint32_t i = 0; i != g.node_capacity(); ++i)
      if (g.alive(node_id{i}))
        (*table)[i] = next++;
    table_ = std::move(table);
  }
  std::size_t operator[](node_id n) const { return table_ ? (*table_)[n.index] : n.index; }
  friend std::size_t get(const node_index_map& m, node_id n) { return m[n]; }

private:
  std::shared_ptr<const vector<std::uint32_t>> table_; // none while ids are dense
};

// ---- the concepts' functions, found by argument-dependent lookup on the graph

inline auto vertices(const graph_storage& g) {
  using it = detail::bgl_iterator<detail::bgl_vertices>;
  return std::pair<it, it>(it({&g, g.first()}), it({&g, {}}));
}
inline std::size_t num_vertices(const graph_storage& g) { return g.num_nodes(); }

inline auto out_edges(node_id n, const graph_storage& g) {
  using it = detail::bgl_iterator<detail::bgl_out_edges>;
  detail::bgl_out_edges first{&g, n, 0, g.num_results(n) ? g.first_use(g.result(n)) : slot_id{}};
  first.settle();
  return std::pair<it, it>(it(first), it({&g, n, g.num_results(n), {}}));
}
/// O(uses).
inline std::size_t out_degree(node_id n, const graph_storage& g) {
  std::size_t d = 0;
  for (std::size_t i = 0; i != g.num_results(n); ++i)
    d += g.count_uses(g.result(n, i));
  return d;
}
inline auto in_edges(node_id n, const graph_storage& g) {
  using it = detail::bgl_iterator<detail::bgl_in_edges>;
  const std::uint32_t first = g.arg_slot(n, 0).index,
                      last = first + static_cast<std::uint32_t>(g.slots(n).size());
  detail::bgl_in_edges begin{&g, first, last};
  begin.settle();
  return std::pair<it, it>(it(begin), it({&g, last, last}));
}
/// O(arguments).
inline std::size_t in_degree(node_id n, const graph_storage& g) {
  std::size_t d = 0;
  for (auto& x : g.slots(n))
    d += x.is_use();
  return d;
}
inline std::size_t degree(node_id n, const graph_storage& g) { return in_degree(n, g) + out_degree(n, g); }
inline node_id source(slot_id e, const graph_storage& g) { return g.def(value_id{g.slot(e).w0}); }
inline node_id target(slot_id e, const graph_storage& g) { return g.user(e); }

inline auto adjacent_vertices(node_id n, const graph_storage& g) {
  using it = detail::bgl_iterator<detail::bgl_adjacent>;
  detail::bgl_out_edges first{&g, n, 0, g.num_results(n) ? g.first_use(g.result(n)) : slot_id{}};
  first.settle();
  return std::pair<it, it>(it({first}), it({detail::bgl_out_edges{&g, n, g.num_results(n), {}}}));
}

inline auto edges(const graph_storage& g) {
  using it = detail::bgl_iterator<detail::bgl_edges>;
  detail::bgl_edges first{&g, g.first(), {}};
  first.enter();
  return std::pair<it, it>(it(first), it(detail::bgl_edges{&g, {}, {}}));
}
/// O(nodes + arguments).
inline std::size_t num_edges(const graph_storage& g) {
  std::size_t d = 0;
  for (node_id n = g.first(); n.valid(); n = g.next(n))
    d += in_degree(n, g);
  return d;
}

/// Nodes and uses carry no properties that Boost.Graph's algorithms would copy.
using no_properties = boost::static_property_map<boost::no_property>;
inline no_properties get(boost::vertex_all_t, const graph_storage&) { return no_properties({}); }
inline no_properties get(boost::edge_all_t, const graph_storage&) { return no_properties({}); }

inline node_index_map get(boost::vertex_index_t, const graph_storage& g) { return node_index_map(g); }
/// O(1) while nothing was erased, else linear: take the map instead of asking node by node.
inline std::size_t get(boost::vertex_index_t, const graph_storage& g, node_id n) {
  return node_index_map(g)[n];
}

} // namespace espalier

template <>
struct boost::graph_traits<espalier::graph_storage> {
  using vertex_descriptor = espalier::node_id;
  using edge_descriptor = espalier::slot_id;
  using directed_category = boost::bidirectional_tag;
  using edge_parallel_category = boost::allow_parallel_edge_tag;
  using traversal_category = espalier::detail::bgl_traversal;
  using vertex_iterator = espalier::detail::bgl_iterator<espalier::detail::bgl_vertices>;
  using edge_iterator = espalier::detail::bgl_iterator<espalier::detail::bgl_edges>;
  using out_edge_iterator = espalier::detail::bgl_iterator<espalier::detail::bgl_out_edges>;
  using in_edge_iterator = espalier::detail::bgl_iterator<espalier::detail::bgl_in_edges>;
  using adjacency_iterator = espalier::detail::bgl_iterator<espalier::detail::bgl_adjacent>;
  using vertices_size_type = std::size_t;
  using edges_size_type = std::size_t;
  using degree_size_type = std::size_t;
  static vertex_descriptor null_vertex() { return {}; }
};
template <class D>
struct boost::graph_traits<espalier::graph<D>> : boost::graph_traits<espalier::graph_storage> {};

template <>
struct boost::property_map<espalier::graph_storage, boost::vertex_index_t> {
  using type = espalier::node_index_map;
  using const_type = espalier::node_index_map;
};
template <class D>
struct boost::property_map<espalier::graph<D>, boost::vertex_index_t> {
  using type = espalier::node_index_map;
  using const_type = espalier::node_index_map;
};

#define ESPALIER_BGL_NO_PROPERTIES(all, trait)                                                               \
  template <>                                                                                                \
  struct boost::property_map<espalier::graph_storage, boost::all> {                                          \
    using type = espalier::no_properties;                                                                    \
    using const_type = espalier::no_properties;                                                              \
  };                                                                                                         \
  template <class D>                                                                                         \
  struct boost::property_map<espalier::graph<D>, boost::all>                                                 \
      : boost::property_map<espalier::graph_storage, boost::all> {};                                         \
  template <>                                                                                                \
  struct boost::trait<espalier::graph_storage> {                                                             \
    using type = boost::no_property;                                                                         \
  };                                                                                                         \
  template <class D>                                                                                         \
  struct boost::trait<espalier::graph<D>> : boost::trait<espalier::graph_storage> {}
ESPALIER_BGL_NO_PROPERTIES(vertex_all_t, vertex_property_type);
ESPALIER_BGL_NO_PROPERTIES(edge_all_t, edge_property_type);
#undef ESPALIER_BGL_NO_PROPERTIES
