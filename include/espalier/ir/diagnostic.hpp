// SPDX-License-Identifier: BSL-1.0
// What verifiers report: where, what, and the cure. A verifier collects all it finds; the caller decides
// whether to print them or to throw.
#pragma once

#include <espalier/support/error.hpp>
#include <espalier/support/id.hpp>
#include <espalier/support/span.hpp>

#include <string>
#include <string_view>

namespace espalier {

/// One broken rule.
struct diagnostic {
  std::string place; ///< `graph 'true_graph_0', node 'add_1' (aten::add.Tensor)`
  std::string what;  ///< what was found, and which rule it breaks
  std::string cure;  ///< what to do about it
  node_id node{};    ///< in the graph that `place` names; invalid when no single node is to blame
};

/// `PLACE: WHAT; CURE`.
inline std::string to_string(const diagnostic& d) {
  std::string s = d.place;
  if (!s.empty())
    s += ": ";
  s += d.what;
  if (!d.cure.empty())
    s += "; " + d.cure;
  return s;
}

/// Throws the first diagnostic as an `error` (verification), telling how many others there are. Nothing if
/// none.
inline void throw_first(span<const diagnostic> found) {
  if (found.empty())
    return;
  std::string what = found.front().what;
  if (found.size() > 1)
    what += " (and " + std::to_string(found.size() - 1) + " more)";
  fail(error_kind::verification, what, found.front().place, found.front().cure);
}

} // namespace espalier
