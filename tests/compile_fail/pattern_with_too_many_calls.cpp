// expect: espalier: a pattern requires at most 16 calls; split it
// SPDX-License-Identifier: BSL-1.0
#include <espalier/rewrite/driver.hpp>
#include <espalier/rewrite/rule.hpp>
#include <espalier/schema/aten.hpp>

namespace es = espalier;
namespace aten = es::aten;

constexpr auto x = es::capture<"x">;
constexpr auto rule = es::rewrite<"long">(
#ifdef ESPALIER_CURE
    es::pattern<aten::relu>(es::pattern<aten::relu>(es::pattern<aten::relu>(es::pattern<aten::relu>(es::pattern<aten::relu>(es::pattern<aten::relu>(es::pattern<aten::relu>(es::pattern<aten::relu>(es::pattern<aten::relu>(es::pattern<aten::relu>(es::pattern<aten::relu>(es::pattern<aten::relu>(es::pattern<aten::relu>(es::pattern<aten::relu>(es::pattern<aten::relu>(es::pattern<aten::relu>(x))))))))))))))))
#else
    es::pattern<aten::relu>(es::pattern<aten::relu>(es::pattern<aten::relu>(es::pattern<aten::relu>(es::pattern<aten::relu>(es::pattern<aten::relu>(es::pattern<aten::relu>(es::pattern<aten::relu>(es::pattern<aten::relu>(es::pattern<aten::relu>(es::pattern<aten::relu>(es::pattern<aten::relu>(es::pattern<aten::relu>(es::pattern<aten::relu>(es::pattern<aten::relu>(es::pattern<aten::relu>(es::pattern<aten::relu>(x)))))))))))))))))
#endif
    , [](auto&, const auto& m) { return m[x]; });
es::pass_result run(es::graph_storage& g, es::pass_context& c) { return es::rewrite_once(g, c, es::rule_set(rule)); }
