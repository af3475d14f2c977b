// SPDX-License-Identifier: BSL-1.0
// How much memory a run takes: what is there before it (parameters, buffers, constants, inputs), and the peak
// of what it allocates. Every value is taken to be freed after the last use of anything that may share its
// memory, so the estimate is from above, but for the scratch memory of kernels and what an allocator rounds
// up.
#pragma once

#include <espalier/ir/storage.hpp>
#include <espalier/pipeline/analyses/alias_sets.hpp>
#include <espalier/pipeline/analyses/effects.hpp>
#include <espalier/pipeline/analyses/sizes.hpp>
#include <espalier/support/vector.hpp>

#include <algorithm>
#include <cstdint>
#include <string_view>

namespace espalier {

/// Bytes that a run needs. Linear in the nodes and arguments, subgraphs included.
struct memory_estimate {
  static constexpr std::string_view name = "memory-estimate";

  struct result {
    std::uint64_t parameter_bytes = 0;
    std::uint64_t buffer_bytes = 0;
    std::uint64_t constant_bytes = 0;  ///< tensor constants, and attributes that the graph reads
    std::uint64_t input_bytes = 0;     ///< the user's inputs
    std::uint64_t allocated_bytes = 0; ///< by all calls together: the peak, if nothing were ever freed
    std::uint64_t peak_bytes = 0; ///< the most that lives at once of what calls allocate, outputs included
    node_id peak_node{};          ///< the first node that reaches the peak; invalid when nothing is allocated
    std::size_t unknown_tensors = 0; ///< tensors that count nothing: no meta, or a symbol without a hint
    /// With what is there before the run.
    std::uint64_t total_bytes() const noexcept {
      return parameter_bytes + buffer_bytes + constant_bytes + input_bytes + peak_bytes;
    }
    friend bool operator==(const result&, const result&) noexcept = default;
  };

  /// `sizes` gives the values of symbols; the graph's hints stand in for those it does not know.
  template <class = when_used>
  static result compute(const graph_storage& g, const symbol_lookup& sizes = {}) {
    detail::size_values values(sizes);
    detail::call_classes classes;
    return walk(g, values, classes);
  }

private:
  template <class = when_used>
  static result walk(const graph_storage& g, detail::size_values& sizes, detail::call_classes& classes) {
    sizes.learn(g);
    vector<result> graphs;
    for (std::size_t i = 0; i != g.num_subgraphs(); ++i)
      graphs.push_back(walk(g.subgraph(i), sizes, classes));
    const alias_sets::result sets = alias_sets::compute(g);

    vector<node_id> last_use(sets.num_sets()); // of any member of the set
    for (node_id n = g.first(); n.valid(); n = g.next(n)) {
      for (std::size_t i = 0; i != g.num_results(n); ++i)
        last_use[sets.set_of(g.result(n, i))] = n;
      for (auto& x : g.slots(n))
        if (x.is_use())
          last_use[sets.set_of(value_id{x.w0})] = n;
    }

    result r;
    std::uint64_t live = 0;
    vector<std::uint64_t> freed(g.node_capacity(), 0); // after the node
    for (node_id n = g.first(); n.valid(); n = g.next(n)) {
      for (std::size_t i = 0; i != g.num_results(n); ++i) {
        const value_id v = g.result(n, i);
        const std::uint64_t bytes = bytes_of(g, n, v, sizes, classes, r);
        live = detail::saturating_add(live, bytes);
        r.allocated_bytes = detail::saturating_add(r.allocated_bytes, bytes);
        freed[last_use[sets.set_of(v)].index] += bytes;
      }
      std::uint64_t inside = 0; // only one graph runs at a time
      for (auto& x : g.slots(n))
        if (x.form() == arg_form::subgraph && x.w2 < graphs.size()) {
          inside = std::max(inside, graphs[x.w2].peak_bytes);
          r.unknown_tensors += graphs[x.w2].unknown_tensors;
        }
      if (const auto now = detail::saturating_add(live, inside); now > r.peak_bytes) {
        r.peak_bytes = now;
        r.peak_node = n;
      }
      live -= std::min(live, freed[n.index]);
    }
    return r;
  }

  /// The bytes that a node allocates for a result; those that were there before the run go where they belong.
  template <class = when_used>
  static std::uint64_t bytes_of(const graph_storage& g, node_id n, value_id v, detail::size_values& sizes,
                                detail::call_classes& classes, result& r) {
    const node_kind k = g.kind(n);
    const bool call = k == node_kind::call_function || k == node_kind::call_higher_order;
    if (call && shares(classes(g.op(n))))
      return 0;
    const value_meta& m = g.meta(v);
    if (m.kind != value_kind::tensor && m.kind != value_kind::unknown)
      return 0;
    const auto known =
        m.kind == value_kind::tensor ? sizes.storage_bytes(m.tensor) : detail::size_values::amount{};
    r.unknown_tensors += !known;
    const std::uint64_t bytes = known.value_or(0);
    if (call)
      return bytes;
    std::uint64_t* there = &r.constant_bytes;
    if (k == node_kind::placeholder)
      switch (g.input(n)) {
      case input_kind::parameter:
        there = &r.parameter_bytes;
        break;
      case input_kind::buffer:
        there = &r.buffer_bytes;
        break;
      case input_kind::user_input:
        there = &r.input_bytes;
        break;
      default:
        break;
      }
    *there = detail::saturating_add(*there, bytes);
    return 0;
  }
  /// Results that lie in the memory of an argument. Those that only may do so count as their own.
  static bool shares(detail::call_class c) noexcept {
    return c == detail::call_class::view || c == detail::call_class::mutating;
  }
};

} // namespace espalier
