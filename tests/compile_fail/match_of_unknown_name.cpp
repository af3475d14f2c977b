// expect: espalier: match\[capture<NAME>\] requires a name that the pattern has
// SPDX-License-Identifier: BSL-1.0
#include <espalier/rewrite/rule.hpp>
#include <espalier/schema/aten.hpp>

namespace es = espalier;
namespace aten = es::aten;

constexpr auto p = es::pattern<aten::relu>(es::capture<"x">);
#ifdef ESPALIER_CURE
es::value of(const es::match_of<std::remove_const_t<decltype(p)>>& m) { return m[es::capture<"x">]; }
#else
es::value of(const es::match_of<std::remove_const_t<decltype(p)>>& m) { return m[es::capture<"y">]; }
#endif
