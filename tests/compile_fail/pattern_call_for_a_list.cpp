// expect: espalier: pattern<Op>\(\.\.\.\): an argument can never match: it has the wrong kind
// SPDX-License-Identifier: BSL-1.0
#include <espalier/rewrite/rule.hpp>
#include <espalier/schema/aten.hpp>

namespace es = espalier;
namespace aten = es::aten;

constexpr auto inner = es::pattern<aten::relu>(es::capture<"x">);
#ifdef ESPALIER_CURE
constexpr auto p = es::pattern<aten::permute>(inner, es::ints(1, 0));
#else
constexpr auto p = es::pattern<aten::permute>(inner, inner);
#endif
