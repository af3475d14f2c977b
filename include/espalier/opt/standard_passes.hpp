// SPDX-License-Identifier: BSL-1.0
// umbrella: apart, it instantiates every pass
// The passes of the library that need no arguments, by name: what es-opt starts with.
#pragma once

#include <espalier/passes/canonicalize.hpp>
#include <espalier/passes/cse.hpp>
#include <espalier/passes/dce.hpp>
#include <espalier/passes/hoist.hpp>
#include <espalier/passes/infer_shapes.hpp>
#include <espalier/passes/lower_spellings.hpp>
#include <espalier/passes/raise.hpp>
#include <espalier/passes/remove_assertions.hpp>
#include <espalier/passes/rename_placeholders.hpp>
#include <espalier/passes/sink.hpp>
#include <espalier/passes/sort.hpp>
#include <espalier/passes/view_copy.hpp>
#include <espalier/pipeline/registry.hpp>

namespace espalier {

/// A registry of the library's passes for units of type `U`, such as an exported program.
template <class U>
pass_registry<U> standard_passes() {
  pass_registry<U> r;
  r.add(dce{});
  r.add(cse{});
  r.add(canonicalize{});
  r.add(raise{});
  r.add(lower_spellings{});
  r.add(views_to_copies{});
  r.add(copies_to_views{});
  r.add(sink{});
  r.add(hoist{});
  r.add(sort{});
  r.add(infer_shapes{});
  r.add(remove_assertions{});
  r.add(rename_placeholders{});
  return r;
}

} // namespace espalier
