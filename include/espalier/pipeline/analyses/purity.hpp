// SPDX-License-Identifier: BSL-1.0
// What each node does beside computing its results. A pass that erases, merges, moves or repeats a node asks
// here which of that is allowed. The graphs that a higher-order call runs count as part of it.
#pragma once

#include <espalier/ir/storage.hpp>
#include <espalier/pipeline/analyses/effects.hpp>
#include <espalier/support/vector.hpp>

#include <cstdint>
#include <string_view>

namespace espalier {

/// What a node does beside computing its results. One that may do anything has all three.
struct node_effects {
  bool random = false;  ///< two equal calls differ: neither merge nor repeat it
  bool writes = false;  ///< changes memory that it did not allocate
  bool effects = false; ///< asserts, prints, or does what nobody knows: stays though unused
  /// May be erased when unused, merged with an equal call, and repeated.
  constexpr bool pure() const noexcept { return !random && !writes && !effects; }
  constexpr node_effects& operator|=(const node_effects& o) noexcept {
    random |= o.random;
    writes |= o.writes;
    effects |= o.effects;
    return *this;
  }
  friend constexpr bool operator==(const node_effects&, const node_effects&) noexcept = default;
};

/// The effects of every node: from the operators' schemas and flags, from arguments where those decide (a
/// batch norm that trains writes to its running statistics), and from the graphs of higher-order calls.
/// Linear in the nodes and arguments, subgraphs included.
struct purity {
  static constexpr std::string_view name = "purity";

  class result {
  public:
    const node_effects& operator[](node_id n) const noexcept { return of_[n.index]; }
    bool is_pure(node_id n) const noexcept { return of_[n.index].pure(); }
    /// What the whole graph does: pure when every node of it is.
    const node_effects& graph() const noexcept { return graph_; }

  private:
    friend purity;
    vector<node_effects> of_; // by node
    node_effects graph_;
  };

  template <class = when_used>
  static result compute(const graph_storage& g) {
    detail::call_classes classes;
    result r;
    r.of_.resize(g.node_capacity());
    r.graph_ = walk(g, classes, &r.of_);
    return r;
  }

private:
  static constexpr node_effects anything{true, true, true};

  template <class = when_used>
  static node_effects walk(const graph_storage& g, detail::call_classes& classes,
                           vector<node_effects>* each) {
    vector<node_effects> graphs; // one graph may be called by many nodes
    for (std::size_t i = 0; i != g.num_subgraphs(); ++i)
      graphs.push_back(walk(g.subgraph(i), classes, nullptr));
    node_effects all;
    for (node_id n = g.first(); n.valid(); n = g.next(n)) {
      if (g.kind(n) != node_kind::call_function && g.kind(n) != node_kind::call_higher_order)
        continue;
      const node_effects e = call(g, n, classes, graphs);
      all |= e;
      if (each)
        (*each)[n.index] = e;
    }
    return all;
  }
  static node_effects call(const graph_storage& g, node_id n, detail::call_classes& classes,
                           const vector<node_effects>& graphs) {
    node_effects e;
    switch (classes(g.op(n))) {
    case detail::call_class::plain:
    case detail::call_class::view:
      return e;
    case detail::call_class::norm:
      e.writes = detail::updates_statistics(g, n);
      return e;
    case detail::call_class::random:
      e.random = true;
      return e;
    case detail::call_class::mutating:
      e.writes = true;
      e.random = flags_of(g.op(n)).random;
      e.effects = flags_of(g.op(n)).effects;
      return e;
    case detail::call_class::effect:
      e.effects = true;
      return e;
    case detail::call_class::higher_order:
      if (!detail::runs_graphs_only(g.op(n)))
        return anything;
      for (auto& x : g.slots(n))
        if (x.form() == arg_form::subgraph)
          e |= x.w2 < graphs.size() ? graphs[x.w2] : anything;
      return e;
    default:
      return anything;
    }
  }
};

} // namespace espalier
