// expect: mini_compiler: a \$name in the expression is no argument of the operator
// SPDX-License-Identifier: BSL-1.0
#include "mini_compiler/operators.hpp"

#ifdef ESPALIER_CURE
constexpr auto row = mini::computes<mini::aten::add_Tensor, "$self + $alpha * $other">();
#else
constexpr auto row = mini::computes<mini::aten::add_Tensor, "$self + $scale * $other">();
#endif
