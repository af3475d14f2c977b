// expect: espalier: a pattern requires at most 16 names; split it
// SPDX-License-Identifier: BSL-1.0
#include <espalier/rewrite/driver.hpp>
#include <espalier/rewrite/rule.hpp>
#include <espalier/schema/aten.hpp>

namespace es = espalier;
namespace aten = es::aten;

constexpr auto x = es::capture<"x">;
constexpr auto rule = es::rewrite<"join">(es::pattern<aten::cat>(es::list(
#ifdef ESPALIER_CURE
    es::capture<"a">, es::capture<"b">, es::capture<"c">, es::capture<"d">, es::capture<"e">, es::capture<"f">, es::capture<"g">, es::capture<"h">, es::capture<"i">, es::capture<"j">, es::capture<"k">, es::capture<"l">, es::capture<"m">, es::capture<"n">, es::capture<"o">, es::capture<"p">
#else
    es::capture<"a">, es::capture<"b">, es::capture<"c">, es::capture<"d">, es::capture<"e">, es::capture<"f">, es::capture<"g">, es::capture<"h">, es::capture<"i">, es::capture<"j">, es::capture<"k">, es::capture<"l">, es::capture<"m">, es::capture<"n">, es::capture<"o">, es::capture<"p">, es::capture<"q">
#endif
    )), [](auto&, const auto& m) { return m[es::capture<"a">]; });
es::pass_result run(es::graph_storage& g, es::pass_context& c) { return es::rewrite_once(g, c, es::rule_set(rule)); }
