// expect: espalier: this pipeline is illegal
// SPDX-License-Identifier: BSL-1.0
// says: the pipeline speaks of more than 64 properties; split it into several pipelines
#include <espalier/pipeline/combinators.hpp>

namespace es = espalier;

template <int I>
struct numbered {
  static constexpr std::string_view name = "numbered";
};
template <class>
struct first_of;
template <int... I>
struct first_of<std::integer_sequence<int, I...>> {
  using type = es::properties<numbered<I>...>;
};
struct states_much : es::pass {
  static constexpr std::string_view name = "states-much";
#ifdef ESPALIER_CURE
  using establishes = first_of<std::make_integer_sequence<int, 64>>::type;
#else
  using establishes = first_of<std::make_integer_sequence<int, 65>>::type;
#endif
  es::pass_result run(es::graph_storage&) const { return {}; }
};
void f(es::graph<es::aten_ir>& g) { es::pipeline{states_much{}}.run(g); }
