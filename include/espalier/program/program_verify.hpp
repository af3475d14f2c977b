// SPDX-License-Identifier: BSL-1.0
// What a program's interface must satisfy beside the rules of its graph (`torch/_export/verifier.py`:
// _verify_exported_program_signature): inputs and outputs match the signature one by one, and state is where
// it says.
#pragma once

#include <espalier/archive/payload.hpp>
#include <espalier/ir/diagnostic.hpp>
#include <espalier/ir/view.hpp>
#include <espalier/program/state_dict.hpp>
#include <espalier/signature/signature.hpp>
#include <espalier/support/vector.hpp>

#include <cstddef>
#include <string>

namespace espalier::detail {

/// What the graphs read by name is there.
template <class = when_used>
void verify_attributes(const graph_storage& g, const state_dict& state, const state_dict& constants,
                       vector<diagnostic>& out) {
  for (node n : nodes(g))
    if (n.kind() == node_kind::get_attr && n.num_args() == 1) {
      const std::string name(n.arg(0).as_string());
      if (!state.contains(name) && !constants.contains(name))
        out.push_back({"node '" + std::string(n.name()) + "'", "the attribute '" + name + "' is nowhere",
                       "add it: constants().set(name, tensor, false)", n.id()});
    }
  for (std::size_t i = 0; i != g.num_subgraphs(); ++i)
    verify_attributes(g.subgraph(i), state, constants, out);
}

template <class = when_used>
void verify_signature(const graph_storage& g, const program_info& info, const state_dict& state,
                      const state_dict& constants, const pt2::payload_table& objects,
                      vector<diagnostic>& out) {
  const auto report = [&](std::string place, std::string what, std::string cure, node_id n = {}) {
    out.push_back({std::move(place), std::move(what), std::move(cure), n});
  };
  const auto inputs = placeholders(g);
  const auto& specs = info.signature.inputs;
  if (inputs.size() != specs.size())
    report("signature",
           "the graph has " + std::to_string(inputs.size()) + " placeholders, but the signature lists " +
               std::to_string(specs.size()) + " inputs",
           "add or remove both together");
  for (std::size_t i = 0; i != inputs.size() && i != specs.size(); ++i) {
    const auto& s = specs[i];
    const std::string place = "signature, input " + std::to_string(i) + " ('" + s.arg.name + "')";
    const bool named = s.arg.form != io_form::constant && s.arg.form != io_form::custom_object;
    if (named && inputs[i].name() != s.arg.name)
      report(place, "the placeholder is named '" + std::string(inputs[i].name()) + "'", "rename one of them",
             inputs[i].id());
    if (inputs[i].input() != s.kind)
      report(place,
             "the placeholder is a " + std::string(to_string(inputs[i].input())) + ", but the spec says " +
                 std::string(to_string(s.kind)),
             "make them agree", inputs[i].id());
    const bool needs_tensor = s.kind == input_kind::parameter || s.kind == input_kind::buffer ||
                              s.kind == input_kind::constant_tensor;
    if (needs_tensor && s.arg.form != io_form::tensor)
      report(place, "it is no tensor", "make its argument a tensor");
    if (needs_tensor && s.target.empty())
      report(place, "it names no tensor", "set its target to the name in the state dict");
    if (s.kind == input_kind::parameter) {
      const auto at = state.position(s.target);
      if (at == state.size())
        report(place, "the parameter '" + s.target + "' is not in the state dict",
               "add it: state_dict().set(name, tensor, true)");
      else if (!state[at].is_parameter)
        report(place, "'" + s.target + "' is no parameter in the state dict",
               "set it again with is_parameter = true");
    } else if (s.kind == input_kind::buffer) {
      if (s.persistent ? !state.contains(s.target) && !constants.contains(s.target)
                       : !constants.contains(s.target))
        report(place, "the buffer '" + s.target + "' is nowhere",
               s.persistent ? "add it to the state dict" : "add it to the constants");
      if (!s.persistent && state.contains(s.target))
        report(place, "the buffer '" + s.target + "' is not persistent, but in the state dict",
               "move it to the constants");
    } else if (s.kind == input_kind::constant_tensor) {
      if (!constants.contains(s.target))
        report(place, "the constant '" + s.target + "' is missing",
               "add it: constants().set(name, tensor, false)");
    } else if (s.kind == input_kind::custom_obj) {
      if (!objects.find(s.target))
        report(place, "the object '" + s.target + "' is missing", "save the program from Python again");
    }
  }

  verify_attributes(g, state, constants, out);

  const node_id o = g.output_node();
  if (!o.valid()) {
    report("graph", "there is no output node", "add one: graph.output(...)");
    return;
  }
  const node output(g, o);
  const auto& outs = info.signature.outputs;
  if (output.num_args() != outs.size())
    report("signature",
           "the graph has " + std::to_string(output.num_args()) + " outputs, but the signature lists " +
               std::to_string(outs.size()),
           "add or remove both together", o);
  for (std::size_t i = 0; i != output.num_args() && i != outs.size(); ++i) {
    const auto& s = outs[i];
    const std::string place = "signature, output " + std::to_string(i) + " ('" + s.arg.name + "')";
    if (s.arg.form == io_form::constant || s.arg.form == io_form::token ||
        s.arg.form == io_form::custom_object)
      continue;
    if (!output.arg(i).is_value()) {
      report(place, "the graph gives a constant", "make the spec's argument a constant", o);
      continue;
    }
    if (const auto name = output.arg(i).as_value().name(); name != s.arg.name)
      report(place, "the graph gives '" + std::string(name) + "'", "make the names agree", o);
    const auto known = [&](input_kind k, bool by_name) {
      for (const auto& in : specs)
        if (in.kind == k && (by_name ? in.arg.name : in.target) == s.target)
          return true;
      return false;
    };
    const bool ok = s.kind == output_kind::buffer_mutation       ? known(input_kind::buffer, false)
                    : s.kind == output_kind::parameter_mutation  ? known(input_kind::parameter, false)
                    : s.kind == output_kind::user_input_mutation ? known(input_kind::user_input, true)
                                                                 : true;
    if (!ok)
      report(place, "it is written to '" + s.target + "', which is no input of that kind",
             "correct the target", o);
  }
}

} // namespace espalier::detail
