// SPDX-License-Identifier: BSL-1.0
// A call of a higher-order operator as its implementation sees it: its arguments, its subgraphs to run, and
// what the whole run was given.
#pragma once

#include <espalier/program/detail/plan.hpp>
#include <espalier/support/span.hpp>
#include <espalier/support/vector.hpp>

#include <ATen/core/ivalue.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace espalier {

/// What a run may be given beside its inputs.
struct run_options {
  /// Called after each node of the graph (subgraphs too) with its results; an exception it throws ends the
  /// run.
  std::function<void(node, span<const c10::IValue>)> on_node{};
  /// Values of symbols, by name, for arguments that are expressions no node computes.
  vector<std::pair<std::string, std::int64_t>> symbols{};
  /// Gives the value of an attribute that the graph reads (`get_attr`). A program looks in its state and
  /// constants when nothing is given here.
  std::function<c10::IValue(std::string_view)> attribute{};
};

namespace detail {
// Of program/interpreter.hpp: runs a prepared graph.
template <class = when_used>
std::vector<c10::IValue> run_plan(const plan& p, std::vector<c10::IValue> inputs, const run_options& options);
} // namespace detail

/// A call of a higher-order operator in progress: what its implementation sees.
struct higher_order_call {
  node at;
  std::vector<c10::IValue> args; ///< the node's arguments; a subgraph is its index
  const detail::plan& plan;
  const run_options& options;

  /// Runs the subgraph that argument `i` is.
  template <class = when_used>
  std::vector<c10::IValue> run_graph(std::size_t i, std::vector<c10::IValue> inputs) const {
    return detail::run_plan(*plan.subplans[static_cast<std::size_t>(args[i].toInt())], std::move(inputs),
                            options);
  }
  /// The elements of a list argument.
  template <class = when_used>
  std::vector<c10::IValue> list(std::size_t i) const {
    const auto items = args[i].toListRef();
    return std::vector<c10::IValue>(items.begin(), items.end());
  }
};

} // namespace espalier
