// expect: an operator requires a well-formed schema_str, but .* a list is malformed; write
// SPDX-License-Identifier: BSL-1.0
#include <espalier/schema/op_traits.hpp>

#ifdef ESPALIER_CURE
using pool = espalier::op<"my::pool(Tensor x, int[2] size) -> Tensor">;
#else
using pool = espalier::op<"my::pool(Tensor x, int[2 size) -> Tensor">;
#endif
constexpr auto arity = espalier::op_traits<pool>::arity;
