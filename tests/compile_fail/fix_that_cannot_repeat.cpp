// expect: espalier: this pipeline is illegal
// SPDX-License-Identifier: BSL-1.0
// says: pass 'fuse' at position 2 needs property 'fusable', which pass 'fuse' at position 1 destroyed
#include <espalier/pipeline/combinators.hpp>

namespace es = espalier;

struct fusable {
  static constexpr std::string_view name = "fusable";
};
struct fuse : es::pass {
  static constexpr std::string_view name = "fuse";
  using needs = es::properties<fusable>;
  es::pass_result run(es::graph_storage&) const { return {}; }
};
struct group : es::pass {
  static constexpr std::string_view name = "group";
  using establishes = es::properties<fusable>;
  es::pass_result run(es::graph_storage&) const { return {}; }
};

#ifdef ESPALIER_CURE
constexpr auto lower = es::fix(group{} | fuse{});
#else
constexpr auto lower = es::fix(fuse{});
#endif
