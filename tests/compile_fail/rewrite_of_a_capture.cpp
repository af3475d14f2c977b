// expect: espalier: rewrite<NAME>\(pattern, function\) requires the pattern of a call, such as es::pattern<aten::relu>\(x\): a rule is found by the operator at its root; write one around it
// SPDX-License-Identifier: BSL-1.0
#include <espalier/rewrite/driver.hpp>
#include <espalier/rewrite/rule.hpp>
#include <espalier/schema/aten.hpp>

namespace es = espalier;
namespace aten = es::aten;

constexpr auto x = es::capture<"x">;
constexpr auto keep = [](auto&, const auto& m) { return m[x]; };
#ifdef ESPALIER_CURE
void f() { (void)es::rewrite<"none">(es::pattern<aten::relu>(x), keep); }
#else
void f() { es::rewrite<"none">(x, keep); }
#endif
