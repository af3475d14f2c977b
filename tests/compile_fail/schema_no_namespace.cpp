// expect: op<SCHEMA> requires a namespace in its schema string
// SPDX-License-Identifier: BSL-1.0
#include <espalier/schema/op_traits.hpp>

#ifdef ESPALIER_CURE
using fused = espalier::op<"my::fused(Tensor a) -> Tensor">;
#else
using fused = espalier::op<"fused(Tensor a) -> Tensor">;
#endif
constexpr const char* name = fused::name;
