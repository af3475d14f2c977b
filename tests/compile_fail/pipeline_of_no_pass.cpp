// expect: espalier: a \| b requires two passes, and one of these is none \(its operands name it\); derive it from es::pass and give it a .static constexpr std::string_view name.
// SPDX-License-Identifier: BSL-1.0
#include <espalier/passes/cse.hpp>
#include <espalier/passes/dce.hpp>
#include <espalier/pipeline/combinators.hpp>

namespace es = espalier;

#ifdef ESPALIER_CURE
struct counter : es::pass {
#else
struct counter {
#endif
  static constexpr std::string_view name = "counter";
  es::pass_result run(es::graph_storage&) const { return {}; }
};
constexpr auto tidy = es::dce{} | counter{};
