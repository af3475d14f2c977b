// SPDX-License-Identifier: BSL-1.0
// Stage: hold the graph against the rules of its dialect, and what `_verify_nn_module_stack`,
// `_verify_stack_trace` and `_verify_placeholder_names` of `torch/export/_trace.py` ask: calls have a module
// stack, placeholders and outputs have neither one nor a stack trace (a call may do without a trace), and a
// placeholder that has a name has the prefix of its kind.
#pragma once

#include <espalier/exporting/job.hpp>
#include <espalier/ir/dialect.hpp>
#include <espalier/ir/verify.hpp>
#include <espalier/ir/view.hpp>
#include <espalier/signature/verify.hpp>

#include <string>
#include <string_view>

namespace espalier::stage {

/// Verifies the graph as it is by now, against the dialect that it has by now. Throws `error` (verification)
/// on the first broken rule.
struct verify : pass {
  static constexpr std::string_view name = "verify";
  using destroys = properties<>;
  using preserves = all_analyses;

  template <class = when_used>
  pass_result run(const graph_storage& g, pass_context& c) const {
    throw_first(espalier::verify(g, c.dialect() ? *c.dialect() : info_of_dialect<training_ir>));
    for (node n : placeholders(g))
      if (!n.name().empty() && !n.name().starts_with(name_prefix(n.input())))
        fail(error_kind::verification,
             "the name of a " + std::string(to_string(n.input())) + " begins with '" +
                 std::string(name_prefix(n.input())) + "'",
             "placeholder '" + std::string(n.name()) + "'",
             "a pass that names placeholders keeps their prefixes (set_name)");
    for (node n : nodes(g))
      if (n.is_call() && g.origin_text(n, "nn_module_stack").empty())
        fail(error_kind::verification, "a call has no module stack", "node '" + std::string(n.name()) + "'",
             "a pass that makes calls gives them the metadata of those that they replace");
    return {};
  }
};

} // namespace espalier::stage
