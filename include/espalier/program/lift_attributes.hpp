// SPDX-License-Identifier: BSL-1.0
// Tensors that a graph reads by name (`get_attr`) become inputs of it, as export leaves them
// (`torch/_export/passes/lift_constants_pass.py`): a file has no other place for them.
#pragma once

#include <espalier/bridge/pytree.hpp>
#include <espalier/bridge/types.hpp>
#include <espalier/ir/naming.hpp>
#include <espalier/ir/view.hpp>
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

/// The order in which a signature lists inputs (`torch/_export/utils.py`): user inputs last.
inline int input_rank(input_kind k) noexcept {
  switch (k) {
  case input_kind::token:
    return 0;
  case input_kind::user_input:
    return 9;
  default:
    return static_cast<int>(k);
  }
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
  assign_names(g);
  name_space names;
  std::vector<node> reads;
  for (node n : nodes(g)) {
    for (std::size_t i = 0; i != n.num_results(); ++i)
      names.reserve(n.result(i).name());
    names.reserve(n.name());
    if (n.kind() == node_kind::get_attr)
      reads.push_back(n);
  }
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
      std::size_t before = 0; // the first input that comes later in that order
      while (before != specs.size() && detail::input_rank(specs[before].kind) <= detail::input_rank(kind))
        ++before;
      input_spec s;
      s.kind = kind;
      s.target = target;
      s.arg.name = names.create(std::string(kind == input_kind::parameter ? "p_"
                                            : kind == input_kind::buffer  ? "b_"
                                                                          : "c_") +
                                detail::path_atom(target));
      const auto& tensor = kept ? state[at].tensor : constants.at(target);
      const node_id fresh = g.placeholder(kind, s.arg.name, g.intern_meta(value_meta(meta_of(tensor))));
      const node_id after = g.next(fresh);
      for (std::size_t i = before; i < inputs.size(); ++i) // it was put last: the later ones go behind it
        g.move_before(inputs[i].id(), after);
      v = g.result(fresh);
      specs.insert(specs.begin() + static_cast<std::ptrdiff_t>(before), std::move(s));
      ++added;
    }
    g.replace_all_uses(n.result().id(), v);
    g.erase(n.id());
  }
  refresh_signature(g, info); // an output may have been such a read
  return added;
}

} // namespace espalier
