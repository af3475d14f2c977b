// expect: espalier: run\(graph\) requires a pipeline that gives back the dialect it takes; write `auto lowered = pipeline\(std::move\(graph\)\);` instead
// SPDX-License-Identifier: BSL-1.0
#include <espalier/pipeline/pipeline.hpp>

namespace es = espalier;

struct lower : es::pass {
  static constexpr std::string_view name = "lower";
  using gives = es::core_aten;
  es::pass_result run(es::graph_storage&) const { return {}; }
};

es::graph<es::core_aten> lowered(es::graph<es::training_ir> g) {
#ifdef ESPALIER_CURE
  return es::pipeline{lower{}}(std::move(g));
#else
  es::pipeline{lower{}}.run(g);
  return es::graph<es::core_aten>(g.storage());
#endif
}
