// SPDX-License-Identifier: BSL-1.0
// What passes that reorder share: which nodes may move at all.
#pragma once

#include <espalier/ir/storage.hpp>
#include <espalier/pipeline/analyses/aliases.hpp>
#include <espalier/pipeline/analyses/effects.hpp>

namespace espalier::detail {

/// Whether a node may stand anywhere between what it uses and its users: it has no effects, draws no random
/// numbers, and touches no memory that is written to. Placeholders and the output stay.
constexpr bool may_move(const graph_storage& g, node_id n, call_classes& classes, alias_classes& memory) {
  switch (g.kind(n)) {
  case node_kind::get_attr:
    return !memory.touches_written(g, n);
  case node_kind::call_function:
  case node_kind::call_higher_order:
    return is_pure(g, n, classes) && !memory.touches_written(g, n);
  default:
    return false;
  }
}

} // namespace espalier::detail
