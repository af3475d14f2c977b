// SPDX-License-Identifier: BSL-1.0
// Passes on programs: the graph is rewritten, and the signature follows it. Whether a pass takes programs of
// this dialect is a question of types.
#pragma once

#include <espalier/pipeline/pass.hpp>
#include <espalier/program/exported_program.hpp>
#include <espalier/signature/refresh.hpp>

#include <concepts>

namespace espalier {

namespace detail {

/// Whether a pass takes graphs of a dialect; one that says nothing takes all.
template <class Pass, class Dialect>
consteval bool takes_dialect() {
  if constexpr (requires { typename Pass::takes; }) {
    if constexpr (!std::same_as<typename Pass::takes, any_dialect>)
      return refines<Dialect, typename Pass::takes>;
  }
  return true;
}
/// Whether a program of a dialect is one still after the pass.
template <class Pass, class Dialect>
consteval bool keeps_dialect() {
  if constexpr (requires { typename Pass::gives; }) {
    if constexpr (!std::same_as<typename Pass::gives, same_dialect>)
      return refines<typename Pass::gives, Dialect>;
  }
  return true;
}

} // namespace detail

/// Runs passes over a program whose types are not known, in the order given; the caller vouches for the
/// dialect. Names and signature are brought up to date afterwards. Gives the sum of what the passes did.
template <class... Passes>
pass_result apply(program_base& p) {
  pass_result done;
  ((done += Passes{}.run(p.storage())), ...);
  refresh_signature(p.storage(), p.info());
  return done;
}

/// Runs passes over a program in place: `es::apply<es::raise, es::dce>(program)`. A pass that takes another
/// dialect than the program's, or gives another one, does not compile.
template <class... Passes, dialect Dialect, class Signature>
pass_result apply(exported_program<Dialect, Signature>& p) {
  constexpr bool taken = (detail::takes_dialect<Passes, Dialect>() && ...);
  static_assert(
      taken,
      "es::apply<Passes...>(program) requires passes that take the program's dialect (`takes` of the pass, "
      "and exported_program<Dialect, ...>, in the lines below); lower the program to that dialect first, or "
      "write `using takes = es::any_dialect;` in a pass that takes them all instead");
  constexpr bool kept = !taken || (detail::keeps_dialect<Passes, Dialect>() && ...);
  static_assert(
      kept, "es::apply<Passes...>(program) requires passes that leave the program in its dialect, because it "
            "works in place; run a pass that lowers in a pipeline, which gives a program of the new type, "
            "instead");
  if constexpr (taken && kept)
    return apply<Passes...>(static_cast<program_base&>(p));
  else
    return {};
}

} // namespace espalier
