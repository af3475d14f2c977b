// expect: espalier: analyses<A\.\.\.> requires types that have a .static constexpr std::string_view name.; write an analysis of the library
// SPDX-License-Identifier: BSL-1.0
#include <espalier/pipeline/analyses/use_counts.hpp>
#include <espalier/pipeline/combinators.hpp>

namespace es = espalier;

struct odd : es::pass {
  static constexpr std::string_view name = "odd";
#ifdef ESPALIER_CURE
  using preserves = es::analyses<es::use_counts>;
#else
  using preserves = es::analyses<int>;
#endif
  es::pass_result run(es::graph_storage&) const { return {}; }
};
constexpr auto facts = es::facts_of<odd>;
