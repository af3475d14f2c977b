// SPDX-License-Identifier: BSL-1.0
// umbrella: apart, its rules cost more to include than the rest of a layer
// Canonicalisation: one form for what can be written in many, by rules that change no bit of any result
// (passes/canonical/). Metas decide whether a rule holds, so that a graph without them stays as it is; a call
// whose result is written to, or whose going would make two results of the program share memory, stays too.
#pragma once

#include <espalier/passes/canonical/algebra.hpp>
#include <espalier/passes/canonical/casts.hpp>
#include <espalier/passes/canonical/noops.hpp>
#include <espalier/passes/canonical/views.hpp>
#include <espalier/rewrite/driver.hpp>

#include <string_view>

namespace espalier {

namespace detail {

template <class... A, class... B, std::size_t... I, std::size_t... J>
constexpr auto join_rules(const rule_set<A...>& a, const rule_set<B...>& b, std::index_sequence<I...>,
                          std::index_sequence<J...>) {
  return rule_set<A..., B...>(part<I>(a.rules)..., part<J>(b.rules)...);
}
/// The rules of two sets, in order.
template <class... A, class... B>
constexpr auto join_rules(const rule_set<A...>& a, const rule_set<B...>& b) {
  return join_rules(a, b, std::index_sequence_for<A...>{}, std::index_sequence_for<B...>{});
}
template <class A, class B, class... Rest>
constexpr auto join_rules(const A& a, const B& b, const Rest&... rest) {
  return join_rules(join_rules(a, b), rest...);
}

} // namespace detail

namespace canonical {
/// All canonicalisation rules.
inline constexpr auto all = espalier::detail::join_rules(
    detail::canonical::noops, detail::canonical::views, detail::canonical::casts, detail::canonical::algebra);
} // namespace canonical

/// Applies the canonicalisation rules until none applies, subgraphs included, and erases what is dead. New
/// calls are Core ATen's (`permute`, `view`, `expand`, `slice`, `_to_copy`, `add`, `sub`) or the replaced
/// call's own operator, so that a graph keeps its dialect. Counts its rules by name. Linear.
struct canonicalize : pass {
  static constexpr std::string_view name = "canonicalize";
  static constexpr std::string_view description =
      "algebraic identities, chains of views and casts, what does nothing";
  using establishes = properties<property::canonical, property::no_dead_code>;
  // a replaced operand may make two calls equal
  using destroys = properties<property::no_duplicates, property::named>;

  static constexpr pass_result run(graph_storage& g, pass_context& c) {
    return rewrite_greedily(g, c, canonical::all);
  }
};

} // namespace espalier
