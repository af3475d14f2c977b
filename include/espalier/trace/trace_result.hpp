// SPDX-License-Identifier: BSL-1.0
// What a trace takes and gives: inputs in the order of the placeholders, options, and the graph with the
// constants that were lifted and the report.
#pragma once

#include <espalier/ir/storage.hpp>
#include <espalier/support/vector.hpp>
#include <espalier/trace/report.hpp>

#include <ATen/core/Tensor.h>

#include <string>

namespace espalier {

/// A placeholder-to-be. `real` is the example tensor, the parameter or the buffer that it stands for;
/// undefined for a literal, whose placeholder has no uses.
struct traced_input {
  at::Tensor real;
  std::string name;
  input_kind kind = input_kind::user_input;
  std::string target; ///< the state's name
};

/// A module of the traced model: its path from the root ("" for the root itself), its type, and the object
/// (`const torch::nn::Module*`), by which `es::scope(*this)` finds it.
struct traced_module {
  std::string path, type;
  const void* object = nullptr;
};

/// What a trace may be told.
struct trace_options {
  /// Record the user's C++ stack of each call (slow; needs symbols to be readable).
  bool stack_traces = false;
  /// Trace twice and compare.
  bool strict = false;
  /// The module hierarchy. State belongs to the module of its name's prefix.
  vector<traced_module> modules;
};

/// A tensor that was met and is no input: its value of that moment.
struct lifted_constant {
  std::string target;
  at::Tensor value;
};

/// What a trace gives.
struct trace_result {
  graph_storage graph;         ///< placeholders (state, constants, user inputs), calls, output
  vector<std::string> targets; ///< of each placeholder; empty for user inputs
  vector<lifted_constant> constants;
  trace_report report;
};

} // namespace espalier
