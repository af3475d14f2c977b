// expect: mini_compiler: a row of kernel_expressions requires an operator that works element by element
// SPDX-License-Identifier: BSL-1.0
#include "mini_compiler/operators.hpp"

#ifdef ESPALIER_CURE
constexpr auto row = mini::computes<mini::aten::mul_Tensor, "$self * $other">();
#else
constexpr auto row = mini::computes<mini::aten::mm, "$self * $mat2">();
#endif
