// SPDX-License-Identifier: BSL-1.0
// Stage: flatten the example inputs into leaves with names, and make their tree spec.
// `_process_export_inputs` and
// `_get_forward_arg_names` of `torch/export/_trace.py`.
#pragma once

#include <espalier/exporting/job.hpp>
#include <espalier/support/vector.hpp>

#include <string_view>
#include <tuple>

namespace espalier::stage {

/// Establishes `inputs_bound`: the leaves, the names of the arguments, and the spec of ((args...), {kwargs}).
struct bind_inputs : pass {
  static constexpr std::string_view name = "bind_inputs";
  using takes = no_graph;
  using establishes = properties<property::inputs_bound>;
  using destroys = properties<>;

  template <class Model, class Inputs>
  pass_result run(export_job<Model, Inputs>& job) const {
    vector<tree_spec> positional, keyword;
    vector<std::string> keys;
    std::apply(
        [&](const auto&... in) {
          const auto one = [&]<class T>(const example_input<T>& x) {
            pytree<T>::flatten(x.value, detail::path_atom(x.name), job.leaves);
            (x.keyword ? keyword : positional).push_back(pytree<T>::spec(x.value));
            if (x.keyword)
              keys.push_back(x.name);
            job.arg_names.push_back(x.name);
          };
          (one(in), ...);
        },
        job.inputs.all);
    job.in_spec = tree_spec::tuple(
        {tree_spec::tuple(std::move(positional)), tree_spec::dict(keys, std::move(keyword))});
    return {};
  }
};

} // namespace espalier::stage
