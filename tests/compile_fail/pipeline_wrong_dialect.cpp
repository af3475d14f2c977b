// expect: espalier: this pipeline is illegal
// SPDX-License-Identifier: BSL-1.0
// says: pass 'fuse' at position 2 takes a graph of dialect aten_ir, but pass 'reinplace' at position 1 gives training_ir; put a pass that lowers training_ir to aten_ir between them, or change their order
#include <espalier/pipeline/pipeline.hpp>

namespace es = espalier;

struct reinplace : es::pass {
  static constexpr std::string_view name = "reinplace";
  using gives = es::training_ir;
  es::pass_result run(es::graph_storage&) const { return {}; }
};
struct fuse : es::pass {
  static constexpr std::string_view name = "fuse";
  using takes = es::aten_ir;
  es::pass_result run(es::graph_storage&) const { return {}; }
};

#ifdef ESPALIER_CURE
constexpr auto lower = fuse{} | reinplace{};
#else
constexpr auto lower = reinplace{} | fuse{};
#endif
