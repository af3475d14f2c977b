// SPDX-License-Identifier: BSL-1.0
// The job that export stages work on: what is known of the model, its inputs and its graph so far. All of it
// is plain data; only the model and its inputs are typed, so that only the stages that touch them are
// instantiated per model.
#pragma once

#include <espalier/bridge/pytree.hpp>
#include <espalier/exporting/inputs.hpp>
#include <espalier/signature/signature.hpp>
#include <espalier/trace/tracer.hpp>

#include <ATen/core/Tensor.h>

#include <set>
#include <string>
#include <vector>

namespace espalier {

/// What an export may be told.
struct export_options {
  /// Buffers that Python would have registered with `persistent=False`: LibTorch's register_buffer cannot say
  /// it.
  std::set<std::string> non_persistent_buffers;
  /// Record the user's C++ stack for each node (slower; needs symbols to be readable).
  bool stack_traces = false;
  /// Trace twice and compare: finds models that depend on something hidden (`std::rand`, the clock).
  bool strict = false;
};

/// A parameter or buffer of the model.
struct model_state {
  std::string fqn;
  at::Tensor tensor;
  bool is_parameter = false;
  bool persistent = true;
};

/// What the stages know that does not depend on the model's C++ type.
struct export_job_data {
  export_options options;
  // given by bind_inputs
  std::vector<tree_leaf> leaves; ///< flat example inputs; paths are the placeholders' wished names
  std::vector<std::string> arg_names;
  tree_spec in_spec;
  // given by bind_state
  std::vector<model_state> state;
  std::vector<traced_module> modules;
  // given by record
  trace_result traced;
  std::vector<c10::IValue> flat_outputs;
  tree_spec out_spec;
  // given by describe
  program_info info;
};

/// A job for one model and one tuple of example inputs.
template <class Model, class Inputs>
struct export_job;
template <class Model, class... Ts>
struct export_job<Model, example_args<Ts...>> : export_job_data {
  using model_type = Model;
  using inputs_type = example_args<Ts...>;
  Model& model;
  const inputs_type& inputs;
  export_job(Model& m, const inputs_type& in, export_options o) : model(m), inputs(in) {
    options = std::move(o);
  }
};

} // namespace espalier
