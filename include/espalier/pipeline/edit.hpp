// SPDX-License-Identifier: BSL-1.0
// Another pipeline from one that exists: a stage more, one less, one in place of another. Stages are named by
// their type; the result is proven like any pipeline, so that what an edit breaks does not compile.
#pragma once

#include <espalier/pipeline/pipeline.hpp>

#include <concepts>
#include <cstddef>
#include <utility>

namespace espalier {

namespace detail {

/// The place of the stage `S`. The template arguments are what the compiler prints beside the sentence.
template <class S, class... Ps>
struct edited_stage {
  static constexpr std::size_t count = (std::size_t{std::same_as<S, Ps>} + ... + 0);
  static_assert(count != 0,
                "espalier: editing a pipeline requires a stage of it (edited_stage<STAGE, STAGES...> "
                "names them); write the type of one of its stages instead");
  static_assert(count < 2,
                "espalier: editing a pipeline requires a stage that it has once (edited_stage<STAGE, "
                "STAGES...> names them); compose the pipeline anew with `|` instead");
  static constexpr std::size_t position = [] {
    std::size_t at = 0, found = 0;
    ((std::same_as<S, Ps> ? found = at++ : at++), ...);
    return found;
  }();
  static constexpr bool ok = count == 1;
};

template <std::size_t Begin, std::size_t Left, class... Ps, class... Qs, std::size_t... H, std::size_t... M,
          std::size_t... T>
constexpr auto splice(const pipeline<Ps...>& p, const pipeline<Qs...>& q, std::index_sequence<H...>,
                      std::index_sequence<M...>, std::index_sequence<T...>) {
  using P = pipeline<Ps...>;
  return pipeline<typename P::template stage_t<H>..., Qs...,
                  typename P::template stage_t<Begin + Left + T>...>(
      p.template stage<H>()..., q.template stage<M>()..., p.template stage<Begin + Left + T>()...);
}

/// `q` in place of the `Left` stages of `p` from `Begin` on.
template <std::size_t Begin, std::size_t Left, class... Ps, class... Qs>
constexpr auto splice(const pipeline<Ps...>& p, const pipeline<Qs...>& q) {
  return splice<Begin, Left>(p, q, std::make_index_sequence<Begin>{}, std::index_sequence_for<Qs...>{},
                             std::make_index_sequence<sizeof...(Ps) - Begin - Left>{});
}

} // namespace detail

/// `p` with the pass, or the stages of the pipeline, `x` before its stage `S`.
template <class S, class... Ps, pass_type X>
constexpr auto insert_before(const pipeline<Ps...>& p, X x) {
  using at = detail::edited_stage<S, Ps...>;
  if constexpr (at::ok)
    return detail::splice<at::position, 0>(p, detail::as_pipeline(static_cast<X&&>(x)));
}

/// `p` with the pass, or the stages of the pipeline, `x` after its stage `S`.
template <class S, class... Ps, pass_type X>
constexpr auto insert_after(const pipeline<Ps...>& p, X x) {
  using at = detail::edited_stage<S, Ps...>;
  if constexpr (at::ok)
    return detail::splice<at::position + 1, 0>(p, detail::as_pipeline(static_cast<X&&>(x)));
}

/// `p` with the pass, or the stages of the pipeline, `x` in place of its stage `S`.
template <class S, class... Ps, pass_type X>
constexpr auto replace_stage(const pipeline<Ps...>& p, X x) {
  using at = detail::edited_stage<S, Ps...>;
  if constexpr (at::ok)
    return detail::splice<at::position, 1>(p, detail::as_pipeline(static_cast<X&&>(x)));
}

/// `p` without its stage `S`.
template <class S, class... Ps>
constexpr auto drop_stage(const pipeline<Ps...>& p) {
  using at = detail::edited_stage<S, Ps...>;
  if constexpr (at::ok)
    return detail::splice<at::position, 1>(p, pipeline<>());
}

} // namespace espalier
