// expect: espalier: a pass's .gives. requires a dialect; write .using gives = es::same_dialect;. or a dialect such as es::core_aten instead
// SPDX-License-Identifier: BSL-1.0
#include <espalier/pipeline/combinators.hpp>

namespace es = espalier;

struct odd : es::pass {
  static constexpr std::string_view name = "odd";
#ifdef ESPALIER_CURE
  using gives = es::core_aten;
#else
  using gives = int;
#endif
  es::pass_result run(es::graph_storage&) const { return {}; }
};
constexpr auto facts = es::facts_of<odd>;
