// SPDX-License-Identifier: BSL-1.0
// Export as a composition of stages. A stage is a type that states which facts it needs and which it gives;
// an `exporter<Stages...>` is legal when every need is met by an earlier stage, which the compiler checks. A
// program instantiates the stages it names and no others.
#pragma once

#include <concepts>
#include <cstddef>
#include <string_view>
#include <type_traits>

namespace espalier {

/// A list of facts about an export job.
template <class... Fs>
struct facts {};

/// Facts that the stages of the library exchange. A user's stage may need and give facts of its own: any type
/// will do.
namespace fact {
struct inputs_bound; ///< the example inputs are flat leaves with names, and their tree spec is known
struct state_bound;  ///< parameters and buffers are listed by name
struct traced;       ///< the graph is recorded, with constants and outputs
struct named;        ///< every node and value has its canonical name
struct described;    ///< the signature, the module call graph and the ranges are made
struct verified;     ///< graph and signature keep the rules of the dialect
} // namespace fact

/// A stage: a name, the facts it needs and gives, and `run(job)`.
template <class S>
concept export_stage = requires {
  { S::name } -> std::convertible_to<std::string_view>;
  typename S::needs;
  typename S::gives;
};

namespace detail {

template <class Have, class F>
inline constexpr bool has_fact = false;
template <class... H, class F>
inline constexpr bool has_fact<facts<H...>, F> = (std::same_as<H, F> || ...);

template <class A, class B>
struct join_facts;
template <class... A, class... B>
struct join_facts<facts<A...>, facts<B...>> {
  using type = facts<A..., B...>;
};

struct no_fact; // nothing is missing

template <class Have, class Needs>
struct first_missing;
template <class Have>
struct first_missing<Have, facts<>> {
  using type = no_fact;
};
template <class Have, class F, class... Fs>
struct first_missing<Have, facts<F, Fs...>> {
  using type = typename std::conditional_t<has_fact<Have, F>, first_missing<Have, facts<Fs...>>,
                                           std::type_identity<F>>::type;
};

/// The template arguments are what the compiler prints beside the sentence: the stage, its place, and what it
/// lacks.
template <class Stage, std::size_t Position, class Needs>
struct stage_lacks {
  static_assert(std::same_as<Needs, no_fact>, "espalier: exporter<Stages...>: a stage needs a fact that no "
                                              "earlier stage gives (stage_lacks<STAGE, POSITION, FACT> names "
                                              "them); put a stage that gives it before");
  static constexpr bool ok = std::same_as<Needs, no_fact>;
};

template <std::size_t I, class Have, class... Stages>
struct check_stages {
  static constexpr bool ok = true;
  using given = Have;
};
template <std::size_t I, class Have, class S, class... Rest>
struct check_stages<I, Have, S, Rest...> {
  static constexpr bool here = stage_lacks<S, I, typename first_missing<Have, typename S::needs>::type>::ok;
  using next = check_stages<I + 1, typename join_facts<Have, typename S::gives>::type, Rest...>;
  static constexpr bool ok = here && next::ok;
  using given = typename next::given;
};

} // namespace detail

/// Runs its stages in order over a job.
template <export_stage... Stages>
struct exporter {
  static_assert(detail::check_stages<0, facts<>, Stages...>::ok);
  /// The facts that hold after the last stage.
  using gives = typename detail::check_stages<0, facts<>, Stages...>::given;
  static constexpr std::size_t num_stages = sizeof...(Stages);

  template <class Job>
  static void run(Job& job) {
    (Stages::run(job), ...);
  }
};

/// An exporter with one more stage at the end.
template <export_stage... A, export_stage... B>
constexpr exporter<A..., B...> operator|(exporter<A...>, exporter<B...>) {
  return {};
}

} // namespace espalier
