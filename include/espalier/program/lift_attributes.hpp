// SPDX-License-Identifier: BSL-1.0
// Tensors that a graph reads by name (`get_attr`) become inputs of it, as export leaves them
// (`torch/_export/passes/lift_constants_pass.py`): a file has no other place for them.
#pragma once

#include <espalier/ir/naming.hpp>
#include <espalier/ir/view.hpp>
#include <espalier/program/detail/state_inputs.hpp>
#include <espalier/program/state_dict.hpp>
#include <espalier/signature/refresh.hpp>
#include <espalier/signature/signature.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace espalier {

namespace detail {

/// Whether a graph, or a graph in it, reads an attribute.
inline bool reads_attributes(const graph_storage& g) {
  for (node n : nodes(g))
    if (n.kind() == node_kind::get_attr)
      return true;
  for (std::size_t i = 0; i != g.num_subgraphs(); ++i)
    if (reads_attributes(g.subgraph(i)))
      return true;
  return false;
}

/// Throws at the first read of an attribute.
inline void refuse_attributes(const graph_storage& g, const std::string& place) {
  for (node n : nodes(g))
    if (n.kind() == node_kind::get_attr)
      fail(error_kind::unsupported,
           "the graph of a higher-order call reads the attribute '" + std::string(n.arg(0).as_string()) +
               "', which no file can say",
           place, "pass the tensor to the call as an operand");
  for (std::size_t i = 0; i != g.num_subgraphs(); ++i)
    refuse_attributes(g.subgraph(i), place + ", subgraph " + std::to_string(i));
}

} // namespace detail

/// Replaces every read of an attribute in the top graph by a placeholder, one for each tensor: a parameter or
/// buffer if the state has it under that name, else a constant. They stand before the user inputs, in the
/// order of parameters, buffers, constants. Gives the number of inputs added. Throws `error`: usage (a tensor
/// that is nowhere), unsupported (a read in a subgraph).
inline std::size_t lift_attributes(graph_storage& g, program_info& info, const state_dict& state,
                                   const state_dict& constants) {
  for (std::size_t i = 0; i != g.num_subgraphs(); ++i)
    detail::refuse_attributes(g.subgraph(i), "subgraph " + std::to_string(i));
  name_space names = detail::names_in(g);
  std::vector<node> reads;
  for (node n : nodes(g))
    if (n.kind() == node_kind::get_attr)
      reads.push_back(n);
  auto& specs = info.signature.inputs;
  std::size_t added = 0;
  for (node n : reads) {
    const std::string target(n.arg(0).as_string());
    const auto at = state.position(target);
    const bool kept = at != state.size();
    if (!kept && !constants.contains(target))
      fail(error_kind::usage, "the graph reads the attribute '" + target + "', which is nowhere",
           "node '" + std::string(n.name()) + "'", "add it: constants().set(name, tensor, false)");
    const input_kind kind = !kept                    ? input_kind::constant_tensor
                            : state[at].is_parameter ? input_kind::parameter
                                                     : input_kind::buffer;
    const auto inputs = placeholders(g);
    std::size_t same = 0;
    while (same != specs.size() &&
           (specs[same].target != target || specs[same].kind == input_kind::user_input))
      ++same;
    value_id v{};
    if (same < inputs.size()) {
      v = inputs[same].result().id();
    } else {
      v = detail::add_state_input(g, info, names, kind, target,
                                  kept ? state[at].tensor : constants.at(target));
      ++added;
    }
    g.replace_all_uses(n.result().id(), v);
    g.erase(n.id());
  }
  refresh_signature(g, info); // an output may have been such a read
  return added;
}

} // namespace espalier
