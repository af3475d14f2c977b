// expect: espalier: this pipeline is illegal
// SPDX-License-Identifier: BSL-1.0
// says: pass 'fuse' at position 1 needs property 'fusable', which nobody established; put a pass that establishes 'fusable' before it, or check<property> if the graph has it
#include <espalier/pipeline/properties.hpp>

namespace es = espalier;

#include <espalier/pipeline/pipeline.hpp>
struct fusable {
  static constexpr std::string_view name = "fusable";
};
struct fuse : es::pass {
  static constexpr std::string_view name = "fuse";
  using needs = es::properties<fusable>;
  es::pass_result run(es::graph_storage&) const { return {}; }
};

void lower(es::graph<es::aten_ir>& g) {
#ifdef ESPALIER_CURE
  (es::assume<fusable>{} | fuse{}).run(g);
#else
  es::pipeline{fuse{}}.run(g);
#endif
}
