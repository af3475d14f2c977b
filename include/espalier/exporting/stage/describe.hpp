// SPDX-License-Identifier: BSL-1.0
// Stage: make the signature and the module call graph. `_convert_to_export_graph_signature` of
// `torch/export/graph_signature.py` and `_make_module_call_graph` of `torch/export/_trace.py`.
#pragma once

#include <espalier/exporting/job.hpp>
#include <espalier/ir/view.hpp>
#include <espalier/support/hash_map.hpp>

#include <torch/version.h>

#include <string>
#include <string_view>

namespace espalier {
namespace detail {

/// A literal as a signature holds it.
template <class = when_used>
constant_value to_constant(const c10::IValue& v) {
  if (v.isBool())
    return v.toBool();
  if (v.isInt())
    return v.toInt();
  if (v.isDouble())
    return v.toDouble();
  if (v.isString())
    return v.toStringRef();
  return std::monostate{};
}
template <class = when_used>
constant_value to_constant(arg_view a) {
  switch (a.form()) {
  case arg_form::boolean:
    return a.as_bool();
  case arg_form::integer:
    return a.as_int();
  case arg_form::floating:
    return a.as_double();
  case arg_form::string:
    return std::string(a.as_string());
  default:
    return std::monostate{};
  }
}
template <class = when_used>
io_argument io_of(value v) {
  io_argument a;
  a.name = v.name();
  switch (v.meta().kind) {
  case value_kind::sym_int:
    a.form = io_form::sym_int;
    break;
  case value_kind::sym_float:
    a.form = io_form::sym_float;
    break;
  case value_kind::sym_bool:
    a.form = io_form::sym_bool;
    break;
  case value_kind::custom_object:
    a.form = io_form::custom_object;
    break;
  case value_kind::token:
    a.form = io_form::token;
    break;
  default:
    a.form = io_form::tensor;
  }
  return a;
}

} // namespace detail

namespace stage {

/// Needs `named`; establishes `described`.
struct describe : pass {
  static constexpr std::string_view name = "describe";
  using needs = properties<property::named>;
  using establishes = properties<property::described>;
  using destroys = properties<>;
  using preserves = all_analyses;

  template <class = when_used>
  pass_result run(export_job_data& job) const {
    const graph_storage& g = job.traced.graph;
    hash_map<std::string, bool> persistent;
    for (auto& s : job.state)
      if (!s.is_parameter)
        persistent[s.fqn] = s.persistent;

    auto& sig = job.info.signature;
    sig = {};
    sig.inputs.reserve(job.state.size() + job.leaves.size() + job.traced.constants.size());
    job.info.module_calls.clear();
    job.info.module_calls.reserve(job.modules.size());
    std::size_t leaf = 0, at = 0;
    for (node n : placeholders(g)) {
      input_spec spec;
      spec.kind = n.input();
      spec.arg = detail::io_of(n.result());
      spec.target = at < job.traced.targets.size() ? job.traced.targets[at] : std::string{};
      if (spec.kind == input_kind::buffer)
        if (const auto p = persistent.find(spec.target); p != persistent.end())
          spec.persistent = p->second;
      if (spec.kind == input_kind::user_input) {
        if (leaf == job.leaves.size())
          fail(error_kind::usage, "the graph has more user inputs than example inputs were given",
               "stage 'describe'", "a pass that adds inputs runs after the export");
        const auto& v = job.leaves[leaf++].value;
        if (!v.isTensor()) {
          spec.arg.form = io_form::constant;
          spec.arg.value = detail::to_constant(v);
        }
      }
      sig.inputs.push_back(std::move(spec));
      ++at;
    }
    const node out(g, g.output_node());
    for (std::size_t i = 0; i != out.num_args(); ++i) {
      output_spec spec;
      const auto a = out.arg(i);
      if (a.is_value()) {
        spec.arg = detail::io_of(a.as_value());
      } else {
        spec.arg.form = io_form::constant;
        spec.arg.value = detail::to_constant(a);
      }
      sig.outputs.push_back(std::move(spec));
    }

    for (auto& m : job.modules) {
      module_call_entry e;
      e.fqn = m.path;
      if (m.path.empty())
        e.signature = module_call_signature{{}, {}, job.in_spec, job.out_spec, job.arg_names};
      job.info.module_calls.push_back(std::move(e));
    }
    job.info.opset_version.clear();
    job.info.opset_version["aten"] = 10;
    job.info.torch_version = TORCH_VERSION;
    return {};
  }
};

} // namespace stage
} // namespace espalier
