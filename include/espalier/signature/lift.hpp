// SPDX-License-Identifier: BSL-1.0
// Lifting and unlifting: the two ways in which a graph can have its state. Lifted, parameters, buffers and
// constants are placeholders, and what a program writes to its buffers it puts out; that is how export leaves
// a program, and all that a file can say. Unlifted, the graph reads them by name (`get_attr`) and writes to
// them in place, as a module does.
#pragma once

#include <espalier/ir/naming.hpp>
#include <espalier/ir/storage.hpp>
#include <espalier/ir/view.hpp>
#include <espalier/schema/aten.hpp>
#include <espalier/schema/op_traits.hpp>
#include <espalier/signature/refresh.hpp>
#include <espalier/signature/signature.hpp>
#include <espalier/signature/verify.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace espalier {

/// What a graph reads by a name.
struct attribute_info {
  input_kind kind = input_kind::constant_tensor; ///< parameter, buffer or constant_tensor
  value_meta meta{};
};

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

constexpr bool is_state(input_kind k) noexcept {
  return k == input_kind::parameter || k == input_kind::buffer || k == input_kind::constant_tensor;
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

/// Puts placeholders, which are all that the graph has, in an order.
inline void put_placeholders_in_order(graph_storage& g, std::span<const node_id> order) {
  const node_id behind = g.last_placeholder().valid() ? g.next(g.last_placeholder()) : g.first();
  for (const node_id n : order)
    g.move_before(n, behind);
}

/// Writes new names of values into the module calls that were preserved.
template <class = when_used>
void rename_in_module_calls(program_info& info, const std::unordered_map<std::string, std::string>& renamed) {
  for (auto& entry : info.module_calls)
    if (entry.signature)
      for (auto* list : {&entry.signature->inputs, &entry.signature->outputs})
        for (auto& a : *list)
          if (const auto to = renamed.find(a.name); to != renamed.end())
            a.name = to->second;
}

} // namespace detail

/// Replaces every read of an attribute in the top graph by a placeholder, one for each name: the input that
/// stands for it already, or a new one of the kind that `find(name)` tells, a
/// `std::optional<attribute_info>`. New ones stand before the user inputs, in the order of parameters,
/// buffers, constants (`torch/_export/passes/lift_constants_pass.py`). Gives the number of inputs added.
/// Throws `error`, before anything has changed: usage (a name that `find` does not know), unsupported (a read
/// in a subgraph). Linear.
template <class Find>
requires requires(Find& find, std::string_view name) {
  { find(name) } -> std::same_as<std::optional<attribute_info>>;
}
std::size_t lift_attributes(graph_storage& g, program_info& info, Find&& find) {
  for (std::size_t i = 0; i != g.num_subgraphs(); ++i)
    detail::refuse_attributes(g.subgraph(i), "subgraph " + std::to_string(i));
  refresh_signature(g, info); // names everything, and checks the numbers
  auto& specs = info.signature.inputs;
  struct input {
    node_id node;
    input_spec spec;
    std::size_t place = 0;
  };
  struct read {
    node_id node;
    std::string target;
  };
  std::vector<input> inputs;
  std::unordered_map<std::string, node_id> placed; // by target
  for (node n : placeholders(g)) {
    inputs.push_back({n.id(), specs[inputs.size()]});
    if (detail::is_state(inputs.back().spec.kind))
      placed.try_emplace(inputs.back().spec.target, n.id());
  }
  name_space names;
  std::vector<read> reads;
  std::vector<std::pair<std::string, attribute_info>> fresh;
  std::unordered_map<std::string, bool> asked;
  for (node n : nodes(g)) {
    for (std::size_t i = 0; i != n.num_results(); ++i)
      names.reserve(n.result(i).name());
    names.reserve(n.name());
    if (n.kind() != node_kind::get_attr)
      continue;
    reads.push_back({n.id(), std::string(n.arg(0).as_string())});
    const std::string& target = reads.back().target;
    if (placed.contains(target) || !asked.try_emplace(target, true).second)
      continue;
    std::optional<attribute_info> known = find(std::string_view(target));
    if (!known)
      fail(error_kind::usage, "the graph reads the attribute '" + target + "', which is nowhere",
           "node '" + std::string(n.name()) + "'", "add it: constants().set(name, tensor, false)");
    fresh.emplace_back(target, std::move(*known));
  }

  const std::size_t before = inputs.size();
  for (auto& [target, what] : fresh) {
    input in;
    in.spec.kind = what.kind;
    in.spec.target = target;
    in.spec.arg.name = names.create(std::string(name_prefix(what.kind)) + detail::path_atom(target));
    in.node = g.placeholder(what.kind, in.spec.arg.name, g.intern_meta(what.meta));
    in.place = inputs.size();
    placed.emplace(target, in.node);
    inputs.push_back(std::move(in));
  }
  if (!fresh.empty()) { // each before the first that comes later in the order of kinds
    const auto rank = [](const input& i) { return detail::input_rank(i.spec.kind); };
    const auto first_new = inputs.begin() + static_cast<std::ptrdiff_t>(before);
    std::sort(first_new, inputs.end(), [&](const input& a, const input& b) {
      return rank(a) != rank(b) ? rank(a) < rank(b) : a.place < b.place;
    });
    std::vector<input> all;
    auto next = first_new;
    for (auto i = inputs.begin(); i != first_new; ++i) {
      while (next != inputs.end() && rank(*next) < rank(*i))
        all.push_back(std::move(*next++));
      all.push_back(std::move(*i));
    }
    all.insert(all.end(), std::move_iterator(next), std::move_iterator(inputs.end()));
    std::vector<node_id> order;
    specs.clear();
    for (auto& i : all) {
      order.push_back(i.node);
      specs.push_back(std::move(i.spec));
    }
    detail::put_placeholders_in_order(g, order);
  }
  std::unordered_map<std::string, std::string> renamed;
  for (const read& r : reads) {
    const node_id to = placed.at(r.target);
    renamed.emplace(g.text(g.node_name(r.node)), g.text(g.node_name(to)));
    g.replace_all_uses(g.result(r.node), g.result(to));
    g.erase(r.node);
  }
  detail::rename_in_module_calls(info, renamed);
  refresh_signature(g, info); // an output may have been such a read
  return fresh.size();
}

/// The inverse (`torch/export/_unlift.py`): parameters, buffers and constants are read by name, by one
/// `get_attr` each after the user inputs, and outputs that stand for a write become `aten.copy_` calls into
/// what they are written to, before the output node. A value that is also a user output is put out as the
/// result of its `copy_`. Custom objects and tokens stay inputs: no graph of ours reads them by name. Gives
/// the number of inputs that went. Throws `error` (verification), before anything has changed, when graph and
/// signature disagree, or an output is written to what is no input. Linear.
template <class = when_used>
std::size_t unlift_attributes(graph_storage& g, program_info& info) {
  refresh_signature(g, info); // names everything, and checks the numbers
  auto& sig = info.signature;
  const auto inputs = placeholders(g);
  std::unordered_map<std::string_view, std::size_t> state, users; // positions: by target, by name
  for (std::size_t i = 0; i != inputs.size(); ++i)
    if (sig.inputs[i].kind == input_kind::user_input)
      users.emplace(sig.inputs[i].arg.name, i);
    else
      state.emplace(sig.inputs[i].target, i);
  std::vector<std::size_t> written; // by output: the input
  for (const output_spec& o : sig.outputs) {
    const auto& among = o.kind == output_kind::user_input_mutation ? users : state;
    const auto at = among.find(o.target);
    if (detail::is_mutation(o.kind) && at == among.end())
      fail(error_kind::verification, "an output is written to '" + o.target + "', which is no input",
           "signature, output '" + o.arg.name + "'", "correct the target");
    written.push_back(at == among.end() ? inputs.size() : at->second);
  }

  std::vector<value_id> now; // by input
  std::vector<node_id> gone;
  std::vector<std::pair<std::string, node_id>> reads; // by the placeholders' names
  const insertion_point before = g.current_insertion_point();
  const node_id behind = inputs.empty() ? node_id{} : g.next(inputs.back().id());
  for (std::size_t i = 0; i != inputs.size(); ++i) {
    const value_id v = inputs[i].result().id();
    now.push_back(v);
    if (!detail::is_state(sig.inputs[i].kind))
      continue;
    g.set_insertion_point({behind});
    const node_id read = g.get_attr(sig.inputs[i].target, {});
    now.back() = g.result(read);
    g.set_meta(now.back(), g.meta_of(v));
    g.set_origin(read, g.origin_of(inputs[i].id()));
    g.replace_all_uses(v, now.back());
    gone.push_back(inputs[i].id());
    reads.emplace_back(inputs[i].name(), read);
  }

  std::unordered_map<value_id, value_id> copied;
  const node_id out = g.output_node();
  graph_storage::copied_args given;
  if (out.valid())
    g.copy_args(out, given);
  std::vector<argument> left;
  std::vector<output_spec> left_specs;
  g.set_insertion_point({out});
  for (std::size_t i = 0; i != given.top.size(); ++i) {
    if (!detail::is_mutation(sig.outputs[i].kind)) {
      left.push_back(given.top[i]);
      left_specs.push_back(std::move(sig.outputs[i]));
      continue;
    }
    const value_id to = now[written[i]];
    const argument args[] = {to, given.top[i]};
    const node_id copy = g.call(id_of<aten::copy_>(), args, 1);
    g.set_meta(g.result(copy), g.meta_of(to));
    if (given.top[i].form == arg_form::value) {
      g.set_origin(copy, g.origin_of(g.def(given.top[i].val)));
      copied[given.top[i].val] = g.result(copy);
    }
  }
  for (argument& a : left)
    if (a.form == arg_form::value)
      if (const auto c = copied.find(a.val); c != copied.end())
        a.val = c->second;
  if (left.size() != given.top.size())
    g.set_args(out, left);
  sig.outputs = std::move(left_specs);
  g.set_insertion_point(before);
  for (const node_id n : gone)
    g.erase(n);
  std::erase_if(sig.inputs, [](const input_spec& s) { return detail::is_state(s.kind); });
  refresh_signature(g, info);
  std::unordered_map<std::string, std::string> renamed;
  for (const auto& [name, read] : reads)
    renamed.emplace(name, g.text(g.node_name(read)));
  detail::rename_in_module_calls(info, renamed);
  return gone.size();
}

} // namespace espalier
