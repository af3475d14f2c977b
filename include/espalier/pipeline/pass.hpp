// SPDX-License-Identifier: BSL-1.0
// What a pass is: a type that states its contract, and one function. The contract is read twice: as types by
// the compiler, which proves a pipeline before it runs, and as a value (`pass_facts`) by everything that
// works at run time, such as the registry of a command line tool. Both come from the same declarations.
#pragma once

#include <espalier/ir/dialect.hpp>
#include <espalier/pipeline/analysis.hpp>
#include <espalier/pipeline/pass_result.hpp>
#include <espalier/pipeline/property.hpp>
#include <espalier/support/span.hpp>

#include <concepts>
#include <string_view>
#include <type_traits>

namespace espalier {

/// The dialect of a pass that takes every dialect.
struct any_dialect {};
/// The dialect of a pass that gives back the dialect it was given, also where that refines the one it takes.
struct same_dialect {};

/// The base of passes: the contract of one that says nothing. Derive from it and say what is so:
///
///     struct drop_asserts : es::pass {
///       static constexpr std::string_view name = "drop-asserts";
///       static constexpr std::string_view description = "erases assertions"; // for lists; may be left out
///       using needs = es::properties<es::property::functional>;
///       using destroys = es::properties<es::property::no_dead_code>;
///       using preserves = es::analyses<>;
///       static constexpr std::string_view statistics[] = {"erased"}; // c.count("erased")
///       es::pass_result run(es::graph_storage& g) const;
///     };
///
/// What is left out is the careful answer: any dialect is taken and given back, nothing is needed or
/// established, every property is destroyed, no analysis survives a change.
struct pass {
  using takes = any_dialect;
  using gives = same_dialect;
  using needs = properties<>;
  using establishes = properties<>;
  using destroys = all_properties;
  using preserves = analyses<>;
};

/// A pass's contract as a value. `takes` of no type: any dialect; `gives` of no type: the dialect given.
struct pass_facts {
  std::string_view name;
  dialect_info takes{}, gives{};
  span<const property_info> needs, establishes, destroys;
  bool destroys_rest = false;               ///< every property but those established
  span<const std::string_view> preserves{}; ///< names of analyses
  bool preserves_all = false;               ///< every analysis
  std::string_view description{};           ///< one line for lists; empty when the pass says none
  std::string_view options{}; ///< what stands between `<` and `>` in its text; empty: it has none
  bool needs_graph = true;    ///< false: it does not look, and may run before there is a graph
  span<const std::string_view> statistics{}; ///< what it counts, in the order of its declaration
};

/// A pass: derived from `pass`, with a name. Where it can run is asked where it is run.
template <class P>
concept pass_type = std::derived_from<P, pass> && std::is_object_v<P> && requires {
  { P::name } -> std::convertible_to<std::string_view>;
};

namespace detail {

template <class D>
constexpr dialect_info dialect_or_none() noexcept {
  if constexpr (dialect<D>)
    return info_of_dialect<D>;
  else
    return {};
}

template <class A>
concept has_name = requires {
  { A::name } -> std::convertible_to<std::string_view>;
};
template <class List>
struct analysis_names;
template <class... As>
struct analysis_names<analyses<As...>> {
  static_assert(
      (has_name<As> && ...),
      "espalier: analyses<A...> requires types that have a `static constexpr std::string_view name`; "
      "write an analysis of the library (es::use_counts) or one of yours");
  static constexpr std::string_view data[sizeof...(As) + 1] = {As::name..., {}};
  static constexpr span<const std::string_view> view{data, sizeof...(As)};
};
template <>
struct analysis_names<all_analyses> : analysis_names<analyses<>> {};

template <class P>
constexpr std::string_view description_of() noexcept {
  if constexpr (requires { std::string_view(P::description); })
    return P::description;
  else
    return {};
}
template <class P>
constexpr std::string_view options_of() noexcept {
  if constexpr (requires { std::string_view(P::options); })
    return P::options;
  else
    return {};
}

/// The statistics that a pass declares: `static constexpr std::string_view statistics[] = {"folded"};`.
template <class P>
constexpr span<const std::string_view> statistics_of() noexcept {
  if constexpr (requires { span<const std::string_view>(P::statistics); })
    return P::statistics;
  else
    return {};
}

/// Combinators know their facts from their parts; passes state them.
template <class P>
concept computes_facts = requires {
  { P::computed_facts() } -> std::same_as<pass_facts>;
};

template <class P>
constexpr bool needs_graph_of() noexcept {
  if constexpr (requires { P::needs_graph; })
    return P::needs_graph;
  else
    return true;
}

template <class P>
struct facts_table {
  static_assert(std::same_as<typename P::takes, any_dialect> || dialect<typename P::takes>,
                "espalier: a pass's `takes` requires a dialect; write `using takes = es::any_dialect;` or a "
                "dialect such as es::aten_ir instead");
  static_assert(std::same_as<typename P::gives, same_dialect> || dialect<typename P::gives>,
                "espalier: a pass's `gives` requires a dialect; write `using gives = es::same_dialect;` or a "
                "dialect such as es::core_aten instead");
  static constexpr pass_facts facts{P::name,
                                    dialect_or_none<typename P::takes>(),
                                    dialect_or_none<typename P::gives>(),
                                    property_list<typename P::needs>::view,
                                    property_list<typename P::establishes>::view,
                                    property_list<typename P::destroys>::view,
                                    std::same_as<typename P::destroys, all_properties>,
                                    analysis_names<typename P::preserves>::view,
                                    std::same_as<typename P::preserves, all_analyses>,
                                    description_of<P>(),
                                    options_of<P>(),
                                    needs_graph_of<P>(),
                                    statistics_of<P>()};
};
template <computes_facts P>
struct facts_table<P> {
  static constexpr pass_facts facts = P::computed_facts();
};

} // namespace detail

/// The contract of a pass.
template <pass_type P>
inline constexpr const pass_facts& facts_of = detail::facts_table<P>::facts;

} // namespace espalier
