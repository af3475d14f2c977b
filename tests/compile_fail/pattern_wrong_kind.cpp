// expect: espalier: pattern<Op>\(\.\.\.\): an argument can never match: it has the wrong kind
// SPDX-License-Identifier: BSL-1.0
#include <espalier/rewrite/rule.hpp>
#include <espalier/schema/aten.hpp>

namespace es = espalier;
namespace aten = es::aten;

#ifdef ESPALIER_CURE
constexpr auto p = es::pattern<aten::transpose_int>(es::capture<"x">, 1, 2);
#else
constexpr auto p = es::pattern<aten::transpose_int>(es::capture<"x">, 1, es::scalar_type::f32);
#endif
