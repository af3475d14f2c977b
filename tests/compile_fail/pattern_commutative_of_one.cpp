// expect: espalier: pattern<Op>\(\.\.\.\)\.commutative\(\) requires two arguments to swap
// SPDX-License-Identifier: BSL-1.0
#include <espalier/rewrite/driver.hpp>
#include <espalier/rewrite/rule.hpp>
#include <espalier/schema/aten.hpp>

namespace es = espalier;
namespace aten = es::aten;

constexpr auto x = es::capture<"x">;
#ifdef ESPALIER_CURE
constexpr auto p = es::pattern<aten::mul_Tensor>(x, x).commutative();
#else
constexpr auto p = es::pattern<aten::relu>(x).commutative();
#endif
