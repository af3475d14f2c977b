// SPDX-License-Identifier: BSL-1.0
// What an archive could say and Python would not take: calls of operators and subgraphs that
// torch.export.load, or the first step of training, refuses. Saving such a program says so first.
#pragma once

#include <espalier/ir/subgraph.hpp>
#include <espalier/ir/view.hpp>
#include <espalier/pipeline/analyses/aliases.hpp>
#include <espalier/pipeline/analyses/effects.hpp>
#include <espalier/schema/nearest.hpp>
#include <espalier/support/hash_map.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace espalier::detail {

/// A call of the graph that writes, by its schema, to what the graph is given; none if there is none.
template <class = when_used>
node_id write_to_input(const graph_storage& g, call_classes& classes) {
  alias_classes memory(g, classes);
  if (!memory.any_written())
    return {};
  hash_set<std::uint32_t> given;
  for (node n : nodes(g))
    if (n.kind() == node_kind::placeholder)
      given.insert(memory.class_of(n.result().id()));
  for (node n : nodes(g)) {
    if (n.kind() != node_kind::call_function || classes(n.op()) != call_class::mutating)
      continue;
    const auto& formal = schema_of(n.op())->args;
    for (std::size_t i = 0; i != formal.size() && i < n.num_args(); ++i)
      if (formal[i].is_write && n.arg(i).is_value() &&
          given.contains(memory.class_of(n.arg(i).as_value().id())))
        return n.id();
  }
  return {};
}

/// Throws `error` (unsupported) for a call of an `aten` operator that ATen does not have, and for a call of
/// `invoke_subgraph` that Python refuses: one without a result
/// (torch.export.load: SpecViolationError, the call has no value), and one that trains a graph which writes
/// to what it is given (torch/_higher_order_ops/invoke_subgraph.py: no in-place input or buffer mutations).
template <class = when_used>
void require_loadable_calls(const graph_storage& g) {
  constexpr const char* cure =
      "leave writes out of what you extract, as the pass split does, or put the graph "
      "back with the pass inline_subgraphs";
  call_classes classes;
  for (node n : nodes(g)) {
    const auto place = [n] {
      return "node '" + std::string(n.name()) + "' (" + std::string(name_of(n.op())) + ")";
    };
    if (n.is_call() && aten_lacks(n.op()))
      fail(error_kind::unsupported, "ATen has no such operator, and Python loads none", place(),
           spell_as_aten(n.op()));
    if (n.kind() != node_kind::call_higher_order || n.op() != extracted_op())
      continue;
    if (n.num_results() == 0)
      fail(error_kind::unsupported, "a call of invoke_subgraph has no result, and Python loads none without",
           place(), cure);
    bool trains = false;
    node_id writer;
    std::string_view body;
    for (std::size_t i = 0; i != n.num_args(); ++i) {
      const arg_view a = n.arg(i);
      if (a.is_value() && a.as_value().meta().kind == value_kind::tensor)
        trains = trains || a.as_value().tensor().requires_grad;
      if (a.form() == arg_form::subgraph && !writer.valid()) {
        writer = write_to_input(a.subgraph(), classes);
        if (writer.valid())
          body = a.subgraph().text(a.subgraph().node_name(writer));
      }
    }
    if (trains && writer.valid())
      fail(error_kind::unsupported,
           "the graph of a call of invoke_subgraph writes to its inputs ('" + std::string(body) +
               "'), which Python does not train",
           place(), cure);
  }
  for (std::size_t i = 0; i != g.num_subgraphs(); ++i)
    require_loadable_calls(g.subgraph(i));
}

} // namespace espalier::detail
