// SPDX-License-Identifier: BSL-1.0
// Stage: list the model's parameters and buffers by name, and its modules. `_get_original_state_dict`,
// `_get_non_persistent_buffers` and `_get_module_hierarchy` of `torch/export/_trace.py`.
#pragma once

#include <espalier/exporting/job.hpp>
#include <espalier/support/vector.hpp>

#include <torch/nn/module.h>

#include <string_view>

namespace espalier {
namespace detail {

/// The torch::nn::Module behind a model: a holder, a shared pointer, the module itself; null for a plain
/// callable.
template <class Model>
torch::nn::Module* module_of(Model& m) {
  if constexpr (std::derived_from<Model, torch::nn::Module>)
    return &m;
  else if constexpr (requires { m.ptr(); })
    return m.ptr().get();
  else if constexpr (requires {
                       *m;
                       requires std::derived_from<std::remove_cvref_t<decltype(*m)>, torch::nn::Module>;
                     })
    return &*m;
  else
    return nullptr;
}

/// A module's own parameters, which `named_parameters` copies.
struct own_parameters : torch::nn::Module {
  static const auto& of(const torch::nn::Module& m) noexcept { return m.*&own_parameters::parameters_; }
};

/// Depth first, in order of registration; every name of a shared module is listed.
template <class = when_used>
void list_state(const torch::nn::Module& root, export_job_data& job, vector<model_state>& buffers) {
  const torch::nn::Module::ConstNamedModuleApplyFunction list = [&](const std::string& path,
                                                                    const torch::nn::Module& m) {
    job.modules.push_back({path, m.name(), &m});
    const auto named = [&](const std::string& name) { return path.empty() ? name : path + '.' + name; };
    for (const auto& p : own_parameters::of(m))
      if (p.value().defined())
        job.state.push_back({named(p.key()), p.value(), true, true});
    for (const auto& b : m.named_buffers(/*recurse=*/false))
      if (b.value().defined()) {
        std::string name = named(b.key());
        const bool persistent = job.options.non_persistent_buffers.count(name) == 0;
        buffers.push_back({std::move(name), b.value(), false, persistent});
      }
  };
  root.apply(list);
}

} // namespace detail

namespace stage {

/// Establishes `state_bound`: parameters, then buffers, then the module hierarchy. A plain callable has none.
struct bind_state : pass {
  static constexpr std::string_view name = "bind_state";
  using takes = no_graph;
  using establishes = properties<property::state_bound>;
  using destroys = properties<>;

  template <class Model, class Inputs>
  pass_result run(export_job<Model, Inputs>& job) const {
    run_on(job, detail::module_of(job.model));
    return {};
  }

private:
  template <class = when_used>
  static void run_on(export_job_data& job, const torch::nn::Module* root) {
    vector<model_state> buffers;
    if (root)
      detail::list_state(*root, job, buffers);
    else
      job.modules.push_back({"", "callable"});
    for (auto& name : job.options.non_persistent_buffers) {
      bool found = false;
      for (auto& b : buffers)
        found = found || b.fqn == name;
      if (!found)
        fail(error_kind::usage,
             "export_options::non_persistent_buffers names '" + name + "', but the model has no such buffer",
             "export_program", "use a name that named_buffers() lists");
    }
    job.state.insert(job.state.end(), buffers.begin(), buffers.end());
  }
};

} // namespace stage
} // namespace espalier
