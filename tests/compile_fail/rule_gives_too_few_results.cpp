// expect: espalier: rewrite<NAME>\(pattern, function\) requires a function that gives an es::value for a root with one result, and std::array
// SPDX-License-Identifier: BSL-1.0
#include <espalier/rewrite/driver.hpp>
#include <espalier/schema/aten.hpp>

namespace es = espalier;
namespace aten = es::aten;

constexpr auto x = es::capture<"x">;
constexpr auto rule = es::rewrite<"min-instead">(es::pattern<aten::max_dim>(x, 0), [](auto& r, const auto& m) {
#ifdef ESPALIER_CURE
  return r.template call<aten::min_dim>(m[x], 0);
#else
  return r.template call<aten::relu>(m[x]);
#endif
});
es::pass_result run(es::graph_storage& g, es::pass_context& c) { return es::rewrite_once(g, c, es::rule_set(rule)); }
