// SPDX-License-Identifier: BSL-1.0
// Dead code elimination: one sweep from the last node to the first, so that a dead chain falls in one pass.
// Calls that write, draw random numbers, assert or do what we do not know stay, also in the training dialect;
// so do placeholders, which belong to the signature.
#pragma once

#include <espalier/ir/storage.hpp>
#include <espalier/pipeline/analyses/effects.hpp>
#include <espalier/pipeline/pass.hpp>
#include <espalier/pipeline/pass_context.hpp>
#include <espalier/pipeline/pass_result.hpp>
#include <espalier/pipeline/properties.hpp>

#include <string_view>

namespace espalier {

/// Erases unused calls without effects and unused `get_attr` nodes, subgraphs included. Linear.
struct dce : pass {
  static constexpr std::string_view name = "dce";
  static constexpr std::string_view description = "erases what nobody uses";
  using establishes = properties<property::no_dead_code>;
  using destroys = properties<>;

  template <class = when_used>
  static constexpr pass_result run(graph_storage& g) {
    pass_context c;
    return run(g, c);
  }
  template <class = when_used>
  static constexpr pass_result run(graph_storage& g, pass_context& c) {
    detail::call_classes classes;
    return sweep(g, classes, c);
  }

private:
  static constexpr pass_result sweep(graph_storage& g, detail::call_classes& classes, pass_context& c) {
    pass_result done;
    for (std::size_t i = 0; i != g.num_subgraphs(); ++i)
      done += sweep(g.subgraph(i), classes, c);
    std::size_t erased = 0;
    const std::size_t allowed = c.edits_left();
    node_id before{};
    for (node_id n = g.last(); n.valid() && erased != allowed; n = before) {
      before = g.prev(n);
      if (!detail::is_dead(g, n, classes))
        continue;
      g.erase(n);
      ++erased;
    }
    c.made_edits(name, erased);
    done.erased += erased;
    return done;
  }
};

} // namespace espalier
