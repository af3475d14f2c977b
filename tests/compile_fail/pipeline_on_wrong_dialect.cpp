// expect: espalier: this pipeline is illegal
// SPDX-License-Identifier: BSL-1.0
// says: pass 'fuse' at position 1 takes a graph of dialect aten_ir, but the graph is of dialect training_ir; put a pass that lowers training_ir to aten_ir before it
#include <espalier/pipeline/pipeline.hpp>

namespace es = espalier;

struct fuse : es::pass {
  static constexpr std::string_view name = "fuse";
  using takes = es::aten_ir;
  es::pass_result run(es::graph_storage&) const { return {}; }
};

#ifdef ESPALIER_CURE
using graph = es::graph<es::core_aten>;
#else
using graph = es::graph<es::training_ir>;
#endif
void lower(graph& g) { es::pipeline{fuse{}}.run(g); }
