// expect: espalier: a pass's .takes. requires a dialect; write .using takes = es::any_dialect;. or a dialect such as es::aten_ir instead
// SPDX-License-Identifier: BSL-1.0
#include <espalier/pipeline/combinators.hpp>

namespace es = espalier;

struct odd : es::pass {
  static constexpr std::string_view name = "odd";
#ifdef ESPALIER_CURE
  using takes = es::aten_ir;
#else
  using takes = int;
#endif
  es::pass_result run(es::graph_storage&) const { return {}; }
};
constexpr auto facts = es::facts_of<odd>;
