// expect: espalier: pattern<Op>\(\.\.\.\): an argument without a default is left out
// SPDX-License-Identifier: BSL-1.0
#include <espalier/rewrite/rule.hpp>
#include <espalier/schema/aten.hpp>

namespace es = espalier;
namespace aten = es::aten;

#ifdef ESPALIER_CURE
constexpr auto p = es::pattern<aten::mm>(es::capture<"x">, es::anything);
#else
constexpr auto p = es::pattern<aten::mm>(es::capture<"x">);
#endif
