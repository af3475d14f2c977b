// SPDX-License-Identifier: BSL-1.0
// Passes on programs: the graph is rewritten, and the signature follows it.
#pragma once

#include <espalier/passes/pass_result.hpp>
#include <espalier/program/program_base.hpp>
#include <espalier/signature/refresh.hpp>

namespace espalier {

/// Runs passes over a program in the order given: `es::apply<es::raise, es::dce>(program)`. Names and
/// signature are brought up to date afterwards. Gives the sum of what the passes did.
template <class... Passes>
pass_result apply(program_base& p) {
  pass_result done;
  ((done += Passes::run(p.storage())), ...);
  refresh_signature(p.storage(), p.info());
  return done;
}

} // namespace espalier
