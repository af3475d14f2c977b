// expect: espalier: on_regions\(predicate, pass\) requires a pass that gives back the dialect it takes
// SPDX-License-Identifier: BSL-1.0
#include <espalier/pipeline/on_regions.hpp>

namespace es = espalier;

struct everything {
  bool operator()(es::node) const { return true; }
};
struct lower : es::pass {
  static constexpr std::string_view name = "lower";
  using gives = es::core_aten;
  es::pass_result run(es::graph_storage&) const { return {}; }
};

#ifdef ESPALIER_CURE
constexpr auto lowering = lower{};
#else
constexpr auto lowering = es::on_regions<everything>(lower{});
#endif
