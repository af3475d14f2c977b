// SPDX-License-Identifier: BSL-1.0
// Fifty rules at once, each with a pattern two operators deep: 50 pairs of unary operators become `tanh`,
// which is in no pattern. tests/scaling runs them too.
#pragma once

#include <espalier/rewrite/driver.hpp>
#include <espalier/schema/aten.hpp>

#include <cstddef>
#include <utility>

namespace bench {

namespace es = espalier;

template <class Outer, class Inner>
constexpr auto pair_rule() {
  return es::rewrite<"pair">(
      es::pattern<Outer>(es::pattern<Inner>(es::capture<"x">)),
      [](auto& r, const auto& m) { return r.template call<es::aten::tanh>(m[es::capture<"x">]); });
}
template <class... Ops>
struct op_list {};
template <class... Outer, class... Inner>
constexpr auto rules_of_pairs(op_list<Outer...>, op_list<Inner...> inner) {
  const auto with = []<class O, class... I>(op_list<I...>, O*) { return std::tuple(pair_rule<O, I>()...); };
  return std::apply([](auto... r) { return es::rule_set(r...); },
                    std::tuple_cat(with(inner, static_cast<Outer*>(nullptr))...));
}

inline constexpr auto fifty_rules = rules_of_pairs(
    op_list<es::aten::sin, es::aten::cos, es::aten::exp, es::aten::sqrt, es::aten::erf>{},
    op_list<es::aten::neg, es::aten::abs, es::aten::relu, es::aten::floor, es::aten::ceil, es::aten::round,
            es::aten::sign, es::aten::trunc, es::aten::sigmoid, es::aten::log>{});
static_assert(decltype(fifty_rules)::size == 50);

} // namespace bench
