// expect: espalier: this pipeline is illegal
// SPDX-License-Identifier: BSL-1.0
// floor: torch
// says: pass 'judge' at position 1 needs property 'measured', which nobody established; put a pass that establishes 'measured' before it
#include <espalier/exporting/export_program.hpp>

namespace es = espalier;

struct measured {
  static constexpr std::string_view name = "measured";
  static constexpr bool lasts = true;
};
struct measure : es::pass {
  static constexpr std::string_view name = "measure";
  using takes = es::no_graph;
  using establishes = es::properties<measured>;
  using destroys = es::properties<>;
  es::pass_result run(es::export_job_data&) const { return {}; }
};
struct judge : es::pass {
  static constexpr std::string_view name = "judge";
  using takes = es::no_graph;
  using needs = es::properties<measured>;
  using destroys = es::properties<>;
  es::pass_result run(es::export_job_data&) const { return {}; }
};

auto exported(at::Tensor (&model)(at::Tensor), const at::Tensor& x) {
#ifdef ESPALIER_CURE
  return es::export_by(measure{} | judge{} | es::training_exporter, model, es::inputs(x));
#else
  return es::export_by(judge{} | measure{} | es::training_exporter, model, es::inputs(x));
#endif
}
