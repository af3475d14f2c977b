// SPDX-License-Identifier: BSL-1.0
// `export_program`: from a model and example inputs to an exported program. `torch.export.export` in
// non-strict mode: training IR, above autograd, static shapes. It is `training_exporter`, a composition of
// stages; a program that wants others composes its own `exporter<...>` and instantiates only those.
#pragma once

#include <espalier/exporting/exporter.hpp>
#include <espalier/exporting/inputs.hpp>
#include <espalier/exporting/job.hpp>
#include <espalier/exporting/stage/assign_names.hpp>
#include <espalier/exporting/stage/bind_inputs.hpp>
#include <espalier/exporting/stage/bind_state.hpp>
#include <espalier/exporting/stage/describe.hpp>
#include <espalier/exporting/stage/record.hpp>
#include <espalier/exporting/stage/verify.hpp>
#include <espalier/program/exported_program.hpp>

#include <utility>

namespace espalier {

/// The stages of `export_program`, in order.
using training_exporter = exporter<stage::bind_inputs, stage::bind_state, stage::record, stage::assign_names,
                                   stage::describe, stage::verify>;

namespace detail {

/// Moves what the stages made into a program: graph, signature, state, constants, example inputs.
template <class Program>
Program assemble(export_job_data& job, graph<training_ir> g) {
  Program p(std::move(g), std::move(job.info));
  for (auto& s : job.state)
    (s.persistent ? p.state_dict() : p.constants()).set(s.fqn, s.tensor, s.is_parameter);
  for (auto& c : job.traced.constants)
    p.constants().set(c.target, c.value, false);
  for (auto& leaf : job.leaves)
    p.example_inputs().leaves.push_back(std::move(leaf.value));
  return p;
}

} // namespace detail

/// Exports a model: a `torch::nn` module (its holder, a shared pointer, or the module itself) or any
/// callable.
///
///     auto program = es::export_program(net, es::inputs(es::named("x", x)));
///
/// The program shares the model's parameters and buffers, as Python's does. Nothing of the model is changed:
/// it runs on stand-ins without data. Throws `error`: trace (the model does what a graph cannot say truly;
/// place and cure are told), verification, usage; whatever the model throws comes through. `report`, when
/// given, gets the tracer's counts and notes: constants that were lifted, operators without a shape rule.
template <class Model, class... Ts>
auto export_program(Model&& model, const example_args<Ts...>& inputs, export_options options = {},
                    trace_report* report = nullptr) {
  using model_type = std::remove_reference_t<Model>;
  using signature = typename detail::model_result<model_type, example_args<Ts...>>::signature;
  export_job<model_type, example_args<Ts...>> job(model, inputs, std::move(options));
  training_exporter::run(job);
  if (report)
    *report = std::move(job.traced.report);
  return detail::assemble<exported_program<training_ir, signature>>(
      job, graph<training_ir>(std::move(job.traced.graph)));
}

} // namespace espalier
