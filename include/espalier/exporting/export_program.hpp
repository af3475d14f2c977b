// SPDX-License-Identifier: BSL-1.0
// `export_program`: from a model and example inputs to an exported program. `torch.export.export` in
// non-strict mode: training IR, above autograd, static shapes. It is a pipeline of stages,
// `training_exporter`; `export_by` exports through a pipeline of the caller's.
#pragma once

#include <espalier/exporting/inputs.hpp>
#include <espalier/exporting/job.hpp>
#include <espalier/exporting/stage/assign_names.hpp>
#include <espalier/exporting/stage/bind_inputs.hpp>
#include <espalier/exporting/stage/bind_state.hpp>
#include <espalier/exporting/stage/describe.hpp>
#include <espalier/exporting/stage/record.hpp>
#include <espalier/exporting/stage/verify.hpp>
#include <espalier/pipeline/pipeline.hpp>
#include <espalier/program/exported_program.hpp>

#include <type_traits>
#include <utility>

namespace espalier {

/// The stages of `export_program`, in order.
inline constexpr auto training_exporter = stage::bind_inputs{} | stage::bind_state{} | stage::record{} |
                                          stage::assign_names{} | stage::describe{} | stage::verify{};

namespace detail {

/// Moves what the stages made into a program: graph, signature, state, constants, example inputs. Nothing is
/// left of the job.
template <class Program>
Program assemble(export_job_data& job) {
  using D = typename Program::dialect_type;
  job.info.verifier = D::verifier;
  Program p(graph<D>(std::move(job.traced.graph)), std::move(job.info));
  for (auto& s : job.state)
    (s.persistent ? p.state_dict() : p.constants())
        .set(std::move(s.fqn), std::move(s.tensor), s.is_parameter);
  for (auto& c : job.traced.constants)
    p.constants().set(std::move(c.target), std::move(c.value), false);
  for (auto& leaf : job.leaves)
    p.example_inputs().leaves.push_back(std::move(leaf.value));
  return p;
}

template <class Stages>
struct makes_a_program {
  static constexpr bool here = Stages::template establishes_property<property::described>;
  static_assert(here, "espalier: export_by(stages, model, inputs) requires stages that make a signature; put "
                      "es::stage::describe behind es::stage::record and es::stage::assign_names");
};

} // namespace detail

/// Exports through a pipeline of stages and passes, and gives a program of the dialect that they lead to.
/// Begin with `training_exporter` and edit it: passes over graphs stand anywhere behind the stage `record`.
///
///     auto program = es::export_by(es::training_exporter | es::raise{} | es::dce{}, net, es::inputs(x));
///     constexpr auto unverified = es::drop_stage<es::stage::verify>(es::training_exporter);
///
/// What `export_program` says of model, inputs, options, report and exceptions holds here; a stage that
/// throws an `error` is named in it. Instruments watch the stages.
template <class... Stages, class Model, class... Ts, instrument_type... Is>
auto export_by(const pipeline<Stages...>& stages, Model&& model, const example_args<Ts...>& inputs,
               export_options options = {}, trace_report* report = nullptr, Is&&... is) {
  using model_type = std::remove_reference_t<Model>;
  using signature = typename detail::model_result<model_type, example_args<Ts...>>::signature;
  using D = typename pipeline<Stages...>::template dialect_after<no_graph>;
  if constexpr (detail::makes_a_program<pipeline<Stages...>>::here) {
    auto job = stages(export_job<model_type, example_args<Ts...>>(model, inputs, std::move(options)), is...);
    if (report)
      *report = std::move(job.traced.report);
    return detail::assemble<exported_program<D, signature>>(job);
  }
}

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
  return export_by(training_exporter, model, inputs, std::move(options), report);
}

} // namespace espalier
