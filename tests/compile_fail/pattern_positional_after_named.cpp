// expect: espalier: pattern<Op>\(\.\.\.\): a positional argument follows a named one; put named ones last
// SPDX-License-Identifier: BSL-1.0
#include <espalier/rewrite/driver.hpp>
#include <espalier/rewrite/rule.hpp>
#include <espalier/schema/aten.hpp>

namespace es = espalier;
namespace aten = es::aten;

constexpr auto x = es::capture<"x">;
#ifdef ESPALIER_CURE
constexpr auto p = es::pattern<aten::add_Tensor>(x, x, es::kw<"alpha">(1));
#else
constexpr auto p = es::pattern<aten::add_Tensor>(es::kw<"alpha">(1), x, x);
#endif
