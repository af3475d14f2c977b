// SPDX-License-Identifier: BSL-1.0
// What passes on programs do with state: find the tensor behind a value, know whether a run may change it,
// add inputs for new tensors, and forget those that nothing reads any more. Graph, signature and tensors
// change together.
#pragma once

#include <espalier/bridge/pytree.hpp>
#include <espalier/bridge/types.hpp>
#include <espalier/ir/naming.hpp>
#include <espalier/ir/view.hpp>
#include <espalier/pipeline/analyses/aliases.hpp>
#include <espalier/program/program_base.hpp>
#include <espalier/signature/lift.hpp>
#include <espalier/signature/signature.hpp>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace espalier::detail {

/// Every name in a graph's top level. Nodes and values have names afterwards.
inline name_space names_in(graph_storage& g) {
  assign_names(g);
  name_space names;
  for (node n : nodes(g)) {
    for (std::size_t i = 0; i != n.num_results(); ++i)
      names.reserve(n.result(i).name());
    names.reserve(n.name());
  }
  return names;
}

/// Adds an input for a tensor of the state: a placeholder and its spec, before the inputs that come later in
/// a signature's order. Named as export names it: `p_fc_weight`.
inline value_id add_state_input(graph_storage& g, program_info& info, name_space& names, input_kind kind,
                                const std::string& target, const at::Tensor& tensor) {
  auto& specs = info.signature.inputs;
  const auto inputs = placeholders(g);
  std::size_t before = 0;
  while (before != specs.size() && input_rank(specs[before].kind) <= input_rank(kind))
    ++before;
  input_spec s;
  s.kind = kind;
  s.target = target;
  s.arg.name = names.create(std::string(name_prefix(kind)) + path_atom(target));
  const node_id fresh = g.placeholder(kind, s.arg.name, g.intern_meta(value_meta(meta_of(tensor))));
  const node_id after = g.next(fresh);
  for (std::size_t i = before; i < inputs.size(); ++i) // it was put last: the later ones go behind it
    g.move_before(inputs[i].id(), after);
  specs.insert(specs.begin() + static_cast<std::ptrdiff_t>(before), std::move(s));
  return g.result(fresh);
}

/// A tensor that a program holds, under its name there.
struct held_tensor {
  at::Tensor tensor; ///< undefined: none
  input_kind kind = input_kind::constant_tensor;
  std::string target{};
  explicit operator bool() const noexcept { return tensor.defined(); }
};

/// The tensors that no run of a program changes: constants, and buffers and parameters that the graph does
/// not write to, that no output is copied into, and whose gradient no output is. Tied tensors count as one.
class fixed_state {
public:
  fixed_state(const program_base& p, alias_classes& memory)
      : program_(p), memory_(memory), graph_(p.storage()), of_node_(graph_.node_capacity(), none) {
    const auto& sig = p.signature();
    const auto inputs = placeholders(graph_);
    for (std::size_t i = 0; i != std::min(inputs.size(), sig.inputs.size()); ++i)
      of_node_[inputs[i].id().index] = i;
    for (const auto& o : sig.outputs)
      if (o.kind == output_kind::buffer_mutation || o.kind == output_kind::parameter_mutation ||
          o.kind == output_kind::gradient_to_parameter)
        keep_out(o.target);
    for (std::size_t i = 0; i != std::min(inputs.size(), sig.inputs.size()); ++i)
      if (is_state(sig.inputs[i].kind) && memory_.written(inputs[i].result().id()))
        keep_out(sig.inputs[i].target);
    for (node n : nodes(graph_))
      if (n.kind() == node_kind::get_attr && memory_.written(n.result().id()))
        keep_out(n.arg(0).as_string());
  }

  /// The tensor behind a placeholder or a read of an attribute; none when it is no state, or not fixed.
  held_tensor operator()(node_id n) const {
    held_tensor h;
    if (graph_.kind(n) == node_kind::get_attr) {
      h.target = node(graph_, n).arg(0).as_string();
      const auto i = program_.state_dict().position(h.target);
      h.kind = i == program_.state_dict().size()       ? input_kind::constant_tensor
               : program_.state_dict()[i].is_parameter ? input_kind::parameter
                                                       : input_kind::buffer;
    } else if (graph_.kind(n) == node_kind::placeholder && of_node_[n.index] != none) {
      const auto& s = program_.signature().inputs[of_node_[n.index]];
      if (!is_state(s.kind))
        return {};
      h.target = s.target;
      h.kind = s.kind;
    } else {
      return {};
    }
    const at::Tensor* t = find(h.target);
    if (!t || !t->defined() || t->layout() != c10::kStrided || t->is_quantized() ||
        memory_.written(graph_.result(n)) ||
        std::find(changed_.begin(), changed_.end(), t->storage().unsafeGetStorageImpl()) != changed_.end())
      return {};
    h.tensor = *t;
    return h;
  }

private:
  static constexpr std::size_t none = ~std::size_t{};
  /// Tensors of other names may share the memory.
  void keep_out(std::string_view name) {
    if (const auto* t = find(name); t && t->defined() && t->has_storage())
      changed_.push_back(t->storage().unsafeGetStorageImpl());
  }
  const at::Tensor* find(std::string_view name) const {
    const auto* t = program_.state_dict().find(name);
    return t ? t : program_.constants().find(name);
  }

  const program_base& program_;
  alias_classes& memory_;
  const graph_storage& graph_;
  std::vector<std::size_t> of_node_; // placeholders: their position
  std::vector<const c10::StorageImpl*> changed_;
};

/// A name for new state that no tensor, object or input of the program has.
inline std::string fresh_target(const program_base& p, const std::string& wanted) {
  const auto taken = [&](const std::string& name) {
    if (p.state_dict().contains(name) || p.constants().contains(name) || p.objects().find(name))
      return true;
    for (const auto& s : p.signature().inputs)
      if (s.target == name)
        return true;
    return false;
  };
  std::string name = wanted;
  for (std::size_t i = 1; taken(name); ++i)
    name = wanted + "_" + std::to_string(i);
  return name;
}

/// Whether a graph, or a graph in it, reads an attribute of that name.
inline bool reads_attribute(const graph_storage& g, std::string_view name) {
  for (node n : nodes(g))
    if (n.kind() == node_kind::get_attr && n.arg(0).as_string() == name)
      return true;
  for (std::size_t i = 0; i != g.num_subgraphs(); ++i)
    if (reads_attribute(g.subgraph(i), name))
      return true;
  return false;
}

/// Erases those of the given placeholders and reads of attributes that nothing uses, and the tensors that
/// nothing names afterwards. Gives the number of nodes erased.
inline std::size_t drop_unused_state(program_base& p, std::span<const node_id> candidates) {
  graph_storage& g = p.storage();
  auto& sig = p.info().signature;
  std::vector<std::string> targets;
  std::size_t erased = 0;
  for (const node_id n : candidates) {
    if (!g.alive(n) || g.has_uses(g.result(n)))
      continue;
    if (g.kind(n) == node_kind::placeholder) {
      const auto inputs = placeholders(g);
      const auto i = std::find(inputs.begin(), inputs.end(), node(g, n)) - inputs.begin();
      targets.push_back(sig.inputs[static_cast<std::size_t>(i)].target);
      sig.inputs.erase(sig.inputs.begin() + i);
    } else {
      targets.emplace_back(node(g, n).arg(0).as_string());
    }
    g.erase(n);
    ++erased;
  }
  for (const auto& target : targets) {
    const auto named = [&](const auto& spec) { return spec.target == target; };
    if (std::any_of(sig.inputs.begin(), sig.inputs.end(), named) ||
        std::any_of(sig.outputs.begin(), sig.outputs.end(), named) || reads_attribute(g, target))
      continue;
    p.state_dict().erase(target);
    p.constants().erase(target);
  }
  return erased;
}

} // namespace espalier::detail
