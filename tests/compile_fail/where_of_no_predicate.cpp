// expect: espalier: where\(pattern, predicate\) requires a predicate on an es::value or an es::arg_view
// SPDX-License-Identifier: BSL-1.0
#include <espalier/rewrite/driver.hpp>
#include <espalier/rewrite/rule.hpp>
#include <espalier/schema/aten.hpp>

namespace es = espalier;
namespace aten = es::aten;

constexpr auto x = es::capture<"x">;
#ifdef ESPALIER_CURE
constexpr auto p = es::where(x, [](es::value) { return true; });
#else
constexpr auto p = es::where(x, [](es::node) { return true; });
#endif
