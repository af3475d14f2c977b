// expect: espalier: properties<P\.\.\.> requires types that have a .static constexpr std::string_view name.; write a property of the library
// SPDX-License-Identifier: BSL-1.0
#include <espalier/pipeline/combinators.hpp>
#include <espalier/pipeline/properties.hpp>

namespace es = espalier;

struct odd : es::pass {
  static constexpr std::string_view name = "odd";
#ifdef ESPALIER_CURE
  using needs = es::properties<es::property::no_dead_code>;
#else
  using needs = es::properties<int>;
#endif
  es::pass_result run(es::graph_storage&) const { return {}; }
};
constexpr auto facts = es::facts_of<odd>;
