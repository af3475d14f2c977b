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
#include <espalier/signature/refresh.hpp>
#include <espalier/signature/signature.hpp>
#include <espalier/support/hash_map.hpp>
#include <espalier/support/span.hpp>
#include <espalier/support/vector.hpp>

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace espalier::detail {

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
  template <class = when_used>
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
  template <class = when_used>
  void keep_out(std::string_view name) {
    if (const auto* t = find(name); t && t->defined() && t->has_storage())
      changed_.push_back(t->storage().unsafeGetStorageImpl());
  }
  template <class = when_used>
  const at::Tensor* find(std::string_view name) const {
    const auto* t = program_.state_dict().find(name);
    return t ? t : program_.constants().find(name);
  }

  const program_base& program_;
  alias_classes& memory_;
  const graph_storage& graph_;
  vector<std::size_t> of_node_; // placeholders: their position
  vector<const c10::StorageImpl*> changed_;
};

/// Changes the state of a program and the inputs that stand for it: tensors are added one by one, and
/// `finish` puts the signature in order once. Linear in program and changes together.
class state_edit {
public:
  template <class = when_used>
  explicit state_edit(program_base& p) : program_(p), graph_(p.storage()) {
    assign_names(graph_);
    names_ = names_in(graph_);
    for (const auto& s : p.info().signature.inputs)
      targets_.insert(s.target);
  }

  /// Adds a tensor to the state, under a name after `wanted` that nothing has yet, and an input for it, named
  /// as export names it: `p_fc_weight`. The value of the input.
  template <class = when_used>
  value_id add(input_kind kind, const std::string& wanted, const at::Tensor& tensor) {
    new_input in;
    in.spec.kind = kind;
    in.spec.target = fresh_target(wanted);
    in.spec.arg.name = names_.create(std::string(name_prefix(kind)) + path_atom(in.spec.target));
    in.node = graph_.placeholder(kind, in.spec.arg.name, graph_.intern_meta(value_meta(meta_of(tensor))));
    auto& home = kind == input_kind::constant_tensor ? program_.constants() : program_.state_dict();
    home.set(in.spec.target, tensor, kind == input_kind::parameter);
    fresh_.push_back(std::move(in));
    return graph_.result(fresh_.back().node);
  }

  /// Puts new inputs where they belong. Then erases those of the given placeholders and reads of attributes
  /// that nothing uses, and the tensors that nothing names afterwards. Gives the number of nodes erased.
  template <class = when_used>
  std::size_t finish(span<const node_id> candidates) {
    auto& sig = program_.info().signature;
    merge_inputs(graph_, sig.inputs, std::move(fresh_));
    hash_set<node_id> gone;
    vector<node_id> order;
    for (const node_id n : candidates)
      if (!graph_.has_uses(graph_.result(n)) && gone.insert(n).second)
        order.push_back(n);
    hash_set<std::string> unnamed; // what the nodes that go name
    vector<input_spec> left;
    for (std::size_t i = 0; const node n : placeholders(graph_))
      if (input_spec& spec = sig.inputs[i++]; gone.contains(n.id()))
        unnamed.insert(spec.target);
      else
        left.push_back(std::move(spec));
    sig.inputs = std::move(left);
    for (const node_id n : order) {
      if (graph_.kind(n) == node_kind::get_attr)
        unnamed.insert(node(graph_, n).arg(0).as_string());
      graph_.erase(n);
    }
    for (const auto& spec : sig.inputs)
      unnamed.erase(spec.target);
    for (const auto& spec : sig.outputs)
      unnamed.erase(spec.target);
    if (!unnamed.empty())
      keep_attributes(graph_, unnamed);
    for (auto* home : {&program_.state_dict(), &program_.constants()})
      home->erase_if([&](const state_entry& e) { return unnamed.contains(e.name); });
    refresh_signature(graph_, program_.info());
    return gone.size();
  }

private:
  template <class = when_used>
  std::string fresh_target(const std::string& wanted) {
    std::string name = wanted;
    for (std::size_t i = 1; program_.state_dict().contains(name) || program_.constants().contains(name) ||
                            program_.objects().find(name) || targets_.contains(name);
         ++i)
      name = wanted + "_" + std::to_string(i);
    targets_.insert(name);
    return name;
  }
  /// Takes out of `names` what a graph, or a graph in it, reads.
  template <class = when_used>
  static void keep_attributes(const graph_storage& g, hash_set<std::string>& names) {
    for (const node n : nodes(g))
      if (n.kind() == node_kind::get_attr)
        names.erase(std::string(n.arg(0).as_string()));
    for (std::size_t i = 0; i != g.num_subgraphs(); ++i)
      keep_attributes(g.subgraph(i), names);
  }

  program_base& program_;
  graph_storage& graph_;
  name_space names_;
  hash_set<std::string> targets_; // of inputs
  vector<new_input> fresh_;
};

} // namespace espalier::detail
