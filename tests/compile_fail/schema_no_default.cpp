// expect: op_traits<Op>::default_of<NAME> requires an argument that has a default
// SPDX-License-Identifier: BSL-1.0
#include <espalier/schema/aten.hpp>
#include <espalier/schema/op_traits.hpp>

using add = espalier::op_traits<espalier::aten::add_Tensor>;
#ifdef ESPALIER_CURE
constexpr bool one = add::default_of<"alpha">().integer == 1;
#else
constexpr bool one = add::default_of<"other">().integer == 1;
#endif
