// SPDX-License-Identifier: BSL-1.0
// Dead code elimination: one sweep from the last node to the first, so that a dead chain falls in one pass.
// Calls that write, draw random numbers, assert or do what we do not know stay, also in the training dialect;
// so do placeholders, which belong to the signature.
#pragma once

#include <espalier/ir/storage.hpp>
#include <espalier/passes/effects.hpp>
#include <espalier/pipeline/pass_result.hpp>

#include <string_view>

namespace espalier {

/// Erases unused calls without effects and unused `get_attr` nodes, subgraphs included. Linear.
struct dce {
  static constexpr std::string_view name = "dce";
  static pass_result run(graph_storage& g) {
    detail::call_classes classes;
    return sweep(g, classes);
  }

private:
  static pass_result sweep(graph_storage& g, detail::call_classes& classes) {
    pass_result done;
    for (std::size_t i = 0; i != g.num_subgraphs(); ++i)
      done += sweep(g.subgraph(i), classes);
    node_id before{};
    for (node_id n = g.last(); n.valid(); n = before) {
      before = g.prev(n);
      const node_kind k = g.kind(n);
      if (k == node_kind::placeholder || k == node_kind::output || used(g, n))
        continue;
      if (k != node_kind::get_attr && !detail::is_pure(g, n, classes))
        continue;
      g.erase(n);
      ++done.erased;
    }
    return done;
  }
  static bool used(const graph_storage& g, node_id n) noexcept {
    for (std::size_t i = 0; i != g.num_results(n); ++i)
      if (g.has_uses(g.result(n, i)))
        return true;
    return false;
  }
};

} // namespace espalier
