// expect: espalier: when\(predicate, then, else\) requires passes that can take the same graph; lower the graph before, or choose with select<CONDITION>\(then, else\)
// SPDX-License-Identifier: BSL-1.0
#include <espalier/pipeline/combinators.hpp>

namespace es = espalier;

struct left {
  static constexpr std::string_view name = "left", verifier = "";
  using rule_list = es::rules<>;
};
struct right {
  static constexpr std::string_view name = "right", verifier = "";
  using rule_list = es::rules<>;
};
template <class D>
struct tidy : es::pass {
  static constexpr std::string_view name = "tidy";
  using takes = D;
  es::pass_result run(es::graph_storage&) const { return {}; }
};
constexpr auto large = [](const es::graph_storage& g) { return g.num_nodes() > 100; };
#ifdef ESPALIER_CURE
constexpr auto either = es::when(large, tidy<left>{}, tidy<left>{});
#else
constexpr auto either = es::when(large, tidy<left>{}, tidy<right>{});
#endif
