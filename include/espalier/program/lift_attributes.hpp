// SPDX-License-Identifier: BSL-1.0
// Lifting where the tensors are: what a program's graph reads by name is looked up in its state. The rest is
// in signature/lift.hpp, the inverse in passes/unlift.hpp.
#pragma once

#include <espalier/bridge/types.hpp>
#include <espalier/pipeline/pass.hpp>
#include <espalier/pipeline/pass_result.hpp>
#include <espalier/pipeline/properties.hpp>
#include <espalier/program/state_dict.hpp>
#include <espalier/signature/lift.hpp>
#include <espalier/signature/signature.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace espalier {

/// Replaces every read of an attribute in the top graph by a placeholder, one for each tensor: a parameter or
/// buffer if the state has it under that name, else a constant. They stand before the user inputs, in the
/// order of parameters, buffers, constants. Gives the number of inputs added. Throws `error`: usage (a tensor
/// that is nowhere), unsupported (a read in a subgraph).
template <class = when_used>
std::size_t lift_attributes(graph_storage& g, program_info& info, const state_dict& state,
                            const state_dict& constants) {
  return lift_attributes(g, info, [&](std::string_view name) -> std::optional<attribute_info> {
    if (const auto at = state.position(name); at != state.size())
      return attribute_info{state[at].is_parameter ? input_kind::parameter : input_kind::buffer,
                            value_meta(meta_of(state[at].tensor))};
    if (const auto* tensor = constants.find(name))
      return attribute_info{input_kind::constant_tensor, value_meta(meta_of(*tensor))};
    return std::nullopt;
  });
}

/// The same as a pass, for exported programs. `save` does it by itself, in the file.
struct lift : pass {
  static constexpr std::string_view name = "lift";
  static constexpr std::string_view description = "tensors that the graph reads by name become inputs";
  // two reads of one tensor are one value now, and inputs of two kinds are known to be two tensors
  using destroys = properties<property::canonical, property::no_duplicates>;

  template <class U>
  requires requires(U& u) {
    { u.storage() } -> std::convertible_to<graph_storage&>;
    { u.info() } -> std::convertible_to<program_info&>;
    { u.state_dict() } -> std::convertible_to<const state_dict&>;
  }
  static pass_result run(U& program) {
    if (!detail::reads_attributes(program.storage()))
      return {};
    std::size_t reads = 0;
    for (node n : nodes(program.storage()))
      reads += n.kind() == node_kind::get_attr;
    lift_attributes(program.storage(), program.info(), program.state_dict(), program.constants());
    return {0, reads};
  }
};

} // namespace espalier
