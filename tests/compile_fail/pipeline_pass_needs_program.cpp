// expect: espalier: a pass has no .run. that takes what the pipeline runs on \(pass_runs<PASS, UNIT> names the two\); give it .es::pass_result run\(es::graph_storage&\) const., or, if it requires more than a graph, run the pipeline on an exported program
// SPDX-License-Identifier: BSL-1.0
#include <espalier/pipeline/pipeline.hpp>

namespace es = espalier;

struct program {};
struct rename_inputs : es::pass {
  static constexpr std::string_view name = "rename-inputs";
#ifdef ESPALIER_CURE
  es::pass_result run(es::graph_storage&) const { return {}; }
#else
  es::pass_result run(program&) const { return {}; }
#endif
};
void lower(es::graph<es::aten_ir>& g) { es::pipeline{rename_inputs{}}.run(g); }
