// expect: an operator requires a well-formed schema_str, but .* an argument has the name of an earlier one
// SPDX-License-Identifier: BSL-1.0
#include <espalier/schema/op_traits.hpp>

#ifdef ESPALIER_CURE
using two = espalier::op<"my::two(Tensor a, Tensor b) -> Tensor">;
#else
using two = espalier::op<"my::two(Tensor a, Tensor a) -> Tensor">;
#endif
constexpr auto second = espalier::op_traits<two>::schema.args[1].name;
