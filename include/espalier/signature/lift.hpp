// SPDX-License-Identifier: BSL-1.0
// Lifting: of the two ways in which a graph can have its state, the one that a file can say. Lifted,
// parameters, buffers and constants are placeholders, and what a program writes to its buffers it puts out;
// that is how export leaves a program. Unlifted, the graph reads them by name (`get_attr`) and writes to them
// in place, as a module does: passes/unlift.hpp, which must know what shares memory.
#pragma once

#include <espalier/ir/naming.hpp>
#include <espalier/ir/storage.hpp>
#include <espalier/ir/view.hpp>
#include <espalier/signature/refresh.hpp>
#include <espalier/signature/signature.hpp>
#include <espalier/signature/verify.hpp>
#include <espalier/support/hash_map.hpp>
#include <espalier/support/optional.hpp>
#include <espalier/support/vector.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

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

/// An input that a signature doesn't list yet. Its placeholder stands behind the others.
struct new_input {
  node_id node;
  input_spec spec;
};

/// Puts new inputs, specs and placeholders, where a signature's order wants them: each before the first of
/// those there that comes later, among themselves in their order. Linear.
inline void merge_inputs(graph_storage& g, vector<input_spec>& specs, vector<new_input> fresh) {
  if (fresh.empty())
    return;
  const auto inputs = placeholders(g); // the new ones last
  vector<std::size_t> by_rank(fresh.size());
  for (std::size_t i = 0; i != by_rank.size(); ++i)
    by_rank[i] = i;
  std::sort(by_rank.begin(), by_rank.end(), [&](std::size_t a, std::size_t b) {
    const int x = input_rank(fresh[a].spec.kind), y = input_rank(fresh[b].spec.kind);
    return x != y ? x < y : a < b;
  });
  vector<node_id> order;
  vector<input_spec> merged;
  auto next = by_rank.begin();
  const auto take_new = [&] {
    order.push_back(fresh[*next].node);
    merged.push_back(std::move(fresh[*next++].spec));
  };
  for (std::size_t i = 0; i != specs.size(); ++i) {
    while (next != by_rank.end() && input_rank(fresh[*next].spec.kind) < input_rank(specs[i].kind))
      take_new();
    order.push_back(inputs[i].id());
    merged.push_back(std::move(specs[i]));
  }
  while (next != by_rank.end())
    take_new();
  const node_id behind = g.next(g.last_placeholder());
  for (const node_id n : order)
    g.move_before(n, behind);
  specs = std::move(merged);
}

/// Writes new names of values into the module calls that were preserved.
template <class = when_used>
void rename_in_module_calls(program_info& info, const hash_map<std::string, std::string>& renamed) {
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
/// `optional<attribute_info>`. New ones stand before the user inputs, in the order of parameters,
/// buffers, constants (`torch/_export/passes/lift_constants_pass.py`). Gives the number of inputs added.
/// Throws `error`, before anything has changed: usage (a name that `find` does not know), unsupported (a read
/// in a subgraph). Linear.
template <class Find>
requires requires(Find& find, std::string_view name) {
  { find(name) } -> optional_of<attribute_info>;
}
std::size_t lift_attributes(graph_storage& g, program_info& info, Find&& find) {
  for (std::size_t i = 0; i != g.num_subgraphs(); ++i)
    detail::refuse_attributes(g.subgraph(i), "subgraph " + std::to_string(i));
  refresh_signature(g, info); // names everything, and checks the numbers
  auto& specs = info.signature.inputs;
  struct read {
    node_id node;
    std::string target;
  };
  hash_map<std::string, node_id> placed; // by target
  for (std::size_t i = 0; const node n : placeholders(g))
    if (const input_spec& spec = specs[i++]; detail::is_state(spec.kind))
      placed.try_emplace(spec.target, n.id());
  vector<read> reads;
  struct wanted_input {
    std::string target;
    attribute_info what;
  };
  vector<wanted_input> wanted;
  hash_set<std::string> asked;
  for (node n : nodes(g)) {
    if (n.kind() != node_kind::get_attr)
      continue;
    reads.push_back({n.id(), std::string(n.arg(0).as_string())});
    const std::string& target = reads.back().target;
    if (placed.contains(target) || !asked.insert(target).second)
      continue;
    optional<attribute_info> known = find(std::string_view(target));
    if (!known)
      fail(error_kind::usage, "the graph reads the attribute '" + target + "', which is nowhere",
           "node '" + std::string(n.name()) + "'", "add it: constants().set(name, tensor, false)");
    wanted.emplace_back(target, std::move(*known));
  }

  name_space names = names_in(g);
  vector<detail::new_input> fresh;
  for (const auto& [target, what] : wanted) {
    detail::new_input& in = fresh.emplace_back();
    in.spec.kind = what.kind;
    in.spec.target = target;
    in.spec.arg.name = names.create(std::string(name_prefix(what.kind)) + detail::path_atom(target));
    in.node = g.placeholder(what.kind, in.spec.arg.name, g.intern_meta(what.meta));
    placed.emplace(target, in.node);
  }
  detail::merge_inputs(g, specs, std::move(fresh));
  hash_map<std::string, std::string> renamed;
  for (const read& r : reads) {
    const node_id to = placed.at(r.target);
    renamed.emplace(g.text(g.node_name(r.node)), g.text(g.node_name(to)));
    g.replace_all_uses(g.result(r.node), g.result(to));
    g.erase(r.node);
  }
  detail::rename_in_module_calls(info, renamed);
  refresh_signature(g, info); // an output may have been such a read
  return wanted.size();
}

} // namespace espalier
