// expect: espalier: this pipeline is illegal
// SPDX-License-Identifier: BSL-1.0
// says: pass 'fuse' at position 3 needs property 'fusable', which pass 'reorder' at position 2 destroyed; put a pass that establishes 'fusable' between them
#include <espalier/pipeline/pipeline.hpp>

namespace es = espalier;

struct fusable {
  static constexpr std::string_view name = "fusable";
};
struct group : es::pass {
  static constexpr std::string_view name = "group";
  using establishes = es::properties<fusable>;
  es::pass_result run(es::graph_storage&) const { return {}; }
};
struct reorder : es::pass {
  static constexpr std::string_view name = "reorder";
  es::pass_result run(es::graph_storage&) const { return {}; }
};
struct fuse : es::pass {
  static constexpr std::string_view name = "fuse";
  using needs = es::properties<fusable>;
  es::pass_result run(es::graph_storage&) const { return {}; }
};

#ifdef ESPALIER_CURE
constexpr auto lower = reorder{} | group{} | fuse{};
#else
constexpr auto lower = group{} | reorder{} | fuse{};
#endif
