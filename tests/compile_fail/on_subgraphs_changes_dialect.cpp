// expect: espalier: on_subgraphs\(pass\) requires a pass that gives back the dialect it takes, because the graph around keeps its own
// SPDX-License-Identifier: BSL-1.0
#include <espalier/pipeline/combinators.hpp>

namespace es = espalier;

struct lower : es::pass {
  static constexpr std::string_view name = "lower";
  using gives = es::core_aten;
  es::pass_result run(es::graph_storage&) const { return {}; }
};
struct tidy : es::pass {
  static constexpr std::string_view name = "tidy";
  es::pass_result run(es::graph_storage&) const { return {}; }
};

#ifdef ESPALIER_CURE
constexpr auto inside = es::on_subgraphs(tidy{});
#else
constexpr auto inside = es::on_subgraphs(lower{});
#endif
