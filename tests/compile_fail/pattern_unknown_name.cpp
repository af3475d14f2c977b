// expect: op_traits<Op>::index_of<NAME> requires NAME to be an argument of the operator; write one of the names in its schema instead
// SPDX-License-Identifier: BSL-1.0
#include <espalier/rewrite/rule.hpp>
#include <espalier/schema/aten.hpp>

namespace es = espalier;
namespace aten = es::aten;

#ifdef ESPALIER_CURE
constexpr auto p = es::pattern<aten::add_Tensor>(es::anything, es::anything, es::kw<"alpha">(2));
#else
constexpr auto p = es::pattern<aten::add_Tensor>(es::anything, es::anything, es::kw<"beta">(2));
#endif
