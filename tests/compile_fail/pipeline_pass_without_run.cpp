// expect: espalier: a pass has no .run. that takes what the pipeline runs on \(pass_runs<PASS, UNIT> names the two\); give it .es::pass_result run\(es::graph_storage&\) const.
// SPDX-License-Identifier: BSL-1.0
#include <espalier/passes/cse.hpp>
#include <espalier/passes/dce.hpp>
#include <espalier/pipeline/combinators.hpp>

namespace es = espalier;

struct counter : es::pass {
  static constexpr std::string_view name = "counter";
#ifdef ESPALIER_CURE
  es::pass_result run(es::graph_storage&) const { return {}; }
#else
  es::pass_result rum(es::graph_storage&) const { return {}; }
#endif
};
void tidy(es::graph<es::aten_ir>& g) { (es::dce{} | counter{}).run(g); }
