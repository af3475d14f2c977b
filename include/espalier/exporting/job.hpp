// SPDX-License-Identifier: BSL-1.0
// The job that export stages work on: what is known of the model, its inputs and its graph so far. All of it
// is plain data; only the model and its inputs are typed, so that only the stages that touch them are
// instantiated per model. A stage is a pass: export is a pipeline over a job, proven, watched and edited like
// any other, and passes over graphs stand in it wherever there is a graph.
#pragma once

#include <espalier/bridge/pytree.hpp>
#include <espalier/exporting/inputs.hpp>
#include <espalier/pipeline/pipeline.hpp>
#include <espalier/pipeline/properties.hpp>
#include <espalier/signature/refresh.hpp>
#include <espalier/signature/signature.hpp>
#include <espalier/support/vector.hpp>
#include <espalier/trace/tracer.hpp>

#include <ATen/core/Tensor.h>

#include <set>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace espalier {

/// The dialect of a job before its model is recorded.
struct no_graph {
  static constexpr std::string_view name = "no_graph", verifier = "";
  static constexpr bool has_graph = false;
  using rule_list = rules<>;
};

/// What the stages of the library exchange. A stage of your own may need and establish properties of its own.
namespace property {
/// The example inputs are flat leaves with names, and their tree spec is known.
struct inputs_bound {
  static constexpr std::string_view name = "inputs_bound";
  static constexpr bool lasts = true;
};
/// Parameters and buffers are listed by name.
struct state_bound {
  static constexpr std::string_view name = "state_bound";
  static constexpr bool lasts = true;
};
/// The signature and the module call graph are made; they follow what later passes do to the graph.
struct described {
  static constexpr std::string_view name = "described";
  static constexpr bool lasts = true;
};
} // namespace property

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
  vector<tree_leaf> leaves; ///< flat example inputs; paths are the placeholders' wished names
  vector<std::string> arg_names;
  tree_spec in_spec;
  // given by bind_state
  vector<model_state> state;
  vector<traced_module> modules;
  // given by record
  trace_result traced;
  std::vector<c10::IValue> flat_outputs;
  tree_spec out_spec;
  // given by describe
  program_info info;
};

/// A job for one model, which it refers to, and one tuple of example inputs. `D` is the dialect of its graph,
/// once there is one: `stages(es::export_job(model, inputs))` gives a job of the dialect that the stages lead
/// to.
template <class Model, class Inputs, dialect D = no_graph>
struct export_job : export_job_data {
  Model& model;
  Inputs inputs;
  export_job(Model& m, Inputs in, export_options o = {}) : model(m), inputs(std::move(in)) {
    options = std::move(o);
  }
  /// The same job in another dialect.
  template <dialect E>
  explicit export_job(export_job<Model, Inputs, E>&& o)
      : export_job_data(std::move(o)), model(o.model), inputs(std::move(o.inputs)) {}
};
template <class Model, class Inputs>
export_job(Model&, Inputs, export_options = {}) -> export_job<Model, Inputs>;

/// Pipelines run on jobs.
template <class Model, class Inputs, dialect D>
struct pipeline_unit<export_job<Model, Inputs, D>> {
  using dialect_type = D;
  static constexpr std::string_view work = "export_program";
  static graph_storage& storage(export_job<Model, Inputs, D>& job) noexcept { return job.traced.graph; }
  /// The names of inputs and outputs go into the signature, where one is made.
  static void finish(export_job<Model, Inputs, D>& job) {
    if (!job.info.signature.inputs.empty() || !job.info.signature.outputs.empty())
      refresh_signature(job.traced.graph, job.info);
  }
  template <dialect E>
  static export_job<Model, Inputs, E> retag(export_job<Model, Inputs, D>&& job) {
    return export_job<Model, Inputs, E>(std::move(job));
  }
};

} // namespace espalier
