// SPDX-License-Identifier: BSL-1.0
// Keeps a signature true after passes: a rewrite may replace the node behind an output, and with it the
// output's name.
#pragma once

#include <espalier/ir/naming.hpp>
#include <espalier/ir/view.hpp>
#include <espalier/signature/signature.hpp>
#include <espalier/support/hash_map.hpp>

#include <cstddef>
#include <string>
#include <utility>

namespace espalier {

/// Names what has no name, and writes the names of placeholders and outputs into the signature, position by
/// position. Throws `error` (verification) when the graph has other numbers of them than the signature.
/// Linear.
template <class = when_used>
void refresh_signature(graph_storage& g, program_info& info) {
  assign_names(g);
  auto& sig = info.signature;
  const auto refuse = [](const char* what, std::size_t in_graph, std::size_t in_signature) {
    fail(error_kind::verification,
         "the graph has " + std::to_string(in_graph) + " " + what + ", the signature " +
             std::to_string(in_signature),
         "signature", "a pass that adds or removes inputs or outputs must change the signature too");
  };
  const auto inputs = placeholders(g);
  if (inputs.size() != sig.inputs.size())
    refuse("placeholders", inputs.size(), sig.inputs.size());
  hash_map<std::string, std::string> renamed;
  for (std::size_t i = 0; i != inputs.size(); ++i)
    if (auto& name = sig.inputs[i].arg.name; name != inputs[i].name()) {
      std::string before = std::exchange(name, std::string(inputs[i].name()));
      renamed.emplace(std::move(before), name);
    }
  if (!renamed.empty())
    for (auto& o : sig.outputs)
      if (o.kind == output_kind::user_input_mutation)
        if (const auto now = renamed.find(o.target); now != renamed.end())
          o.target = now->second;
  if (!g.output_node().valid())
    return;
  const node out(g, g.output_node());
  if (out.num_args() != sig.outputs.size())
    refuse("outputs", out.num_args(), sig.outputs.size());
  for (std::size_t i = 0; i != out.num_args(); ++i)
    if (const auto a = out.arg(i); a.is_value())
      sig.outputs[i].arg.name = a.as_value().name();
}

} // namespace espalier
