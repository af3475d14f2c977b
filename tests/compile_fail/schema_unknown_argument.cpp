// expect: op_traits<Op>::index_of<NAME> requires NAME to be an argument of the operator; write one of the names in its schema instead
// SPDX-License-Identifier: BSL-1.0
#include <espalier/schema/aten.hpp>
#include <espalier/schema/op_traits.hpp>

using add = espalier::op_traits<espalier::aten::add_Tensor>;
#ifdef ESPALIER_CURE
constexpr auto at = add::index_of<"alpha">;
#else
constexpr auto at = add::index_of<"alhpa">;
#endif
