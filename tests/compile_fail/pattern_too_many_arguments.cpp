// expect: espalier: pattern<Op>\(\.\.\.\): more arguments than the operator.s schema has; drop some
// SPDX-License-Identifier: BSL-1.0
#include <espalier/rewrite/rule.hpp>
#include <espalier/schema/aten.hpp>

namespace es = espalier;
namespace aten = es::aten;

#ifdef ESPALIER_CURE
constexpr auto p = es::pattern<aten::relu>(es::capture<"x">);
#else
constexpr auto p = es::pattern<aten::relu>(es::capture<"x">, es::capture<"y">);
#endif
