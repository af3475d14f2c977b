// expect: espalier: this pipeline is illegal
// SPDX-License-Identifier: BSL-1.0
// floor: torch
// says: pass 'fuse-core-operators' at position 1 takes a graph of dialect core_aten, but the graph is of dialect training_ir; put a pass that lowers training_ir to core_aten before it
#include <espalier/program/pipeline_unit.hpp>

namespace es = espalier;

struct fuse_core_operators : es::pass {
  static constexpr std::string_view name = "fuse-core-operators";
#ifdef ESPALIER_CURE
  using takes = es::any_dialect;
#else
  using takes = es::core_aten;
#endif
  es::pass_result run(es::graph_storage&) const { return {}; }
};

es::pass_result fuse(es::exported_program<es::training_ir>& program) {
  return es::pipeline{fuse_core_operators{}}.run(program);
}
