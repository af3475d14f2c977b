// expect: espalier: pattern<Op>\(\.\.\.\)\.result<I>\(\) requires a result that the operator has
// SPDX-License-Identifier: BSL-1.0
#include <espalier/rewrite/driver.hpp>
#include <espalier/rewrite/rule.hpp>
#include <espalier/schema/aten.hpp>

namespace es = espalier;
namespace aten = es::aten;

constexpr auto x = es::capture<"x">;
#ifdef ESPALIER_CURE
constexpr auto p = es::pattern<aten::max_dim>(x, 0).result<1>();
#else
constexpr auto p = es::pattern<aten::max_dim>(x, 0).result<2>();
#endif
