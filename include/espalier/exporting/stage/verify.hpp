// SPDX-License-Identifier: BSL-1.0
// Stage: hold the graph and its signature against the rules of the training dialect.
// `_verify_nn_module_stack`,
// `_verify_stack_trace`, `_verify_placeholder_names` of `torch/export/_trace.py` and `TrainingIRVerifier`.
#pragma once

#include <espalier/exporting/exporter.hpp>
#include <espalier/exporting/job.hpp>
#include <espalier/ir/dialect.hpp>
#include <espalier/ir/verify.hpp>

namespace espalier::stage {

/// Needs a described program; gives `verified`. Throws on the first broken rule.
struct verify {
  static constexpr const char* name = "verify";
  using needs = facts<fact::traced, fact::described>;
  using gives = facts<fact::verified>;

  template <class Job>
  static void run(Job& job) {
    run_on(job);
  }
  static void run_on(export_job_data& job) {
    verify_or_throw<training_ir>(job.traced.graph);
    for (node n : nodes(job.traced.graph))
      if (n.is_call() && job.traced.graph.origin_text(n, "nn_module_stack").empty())
        fail(error_kind::verification, "a call has no module stack", "node '" + std::string(n.name()) + "'",
             "this is a defect of the tracer: report it");
  }
};

} // namespace espalier::stage
