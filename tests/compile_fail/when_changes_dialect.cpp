// expect: espalier: when\(predicate, then, else\) requires passes that give back the dialect they take
// SPDX-License-Identifier: BSL-1.0
#include <espalier/pipeline/combinators.hpp>

namespace es = espalier;

struct lower : es::pass {
  static constexpr std::string_view name = "lower";
  using gives = es::core_aten;
  es::pass_result run(es::graph_storage&) const { return {}; }
};

#ifdef ESPALIER_CURE
constexpr auto lowering = es::select<true>(lower{});
#else
constexpr auto lowering = es::when([](const es::graph_storage&) { return true; }, lower{});
#endif
