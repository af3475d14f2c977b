// SPDX-License-Identifier: BSL-1.0
// umbrella: apart, it instantiates every pass
// The passes of the library that need no arguments, by name: what es-opt starts with.
#pragma once

#include <espalier/passes/canonicalize.hpp>
#include <espalier/passes/cse.hpp>
#include <espalier/passes/dce.hpp>
#include <espalier/passes/hoist.hpp>
#include <espalier/passes/infer_shapes.hpp>
#include <espalier/passes/inline.hpp>
#include <espalier/passes/lower_spellings.hpp>
#include <espalier/passes/raise.hpp>
#include <espalier/passes/remove_assertions.hpp>
#include <espalier/passes/rename_placeholders.hpp>
#include <espalier/passes/sink.hpp>
#include <espalier/passes/sort.hpp>
#include <espalier/passes/unlift.hpp>
#include <espalier/passes/view_copy.hpp>
#include <espalier/pipeline/registry.hpp>
#include <espalier/program/lift_attributes.hpp>

namespace espalier {

/// A registry of the library's passes for units of type `U`, such as an exported program.
template <class U>
pass_registry<U> standard_passes() {
  pass_registry<U> r;
  r.add(dce{}, "erases what nobody uses");
  r.add(cse{}, "merges equal calls");
  r.add(canonicalize{}, "algebraic identities, chains of views and casts, what does nothing");
  r.add(raise{}, "spells what C++ layers call as Python's export does");
  r.add(lower_spellings{}, "the reverse of raise");
  r.add(views_to_copies{}, "views become copies");
  r.add(copies_to_views{}, "copies of views become views");
  r.add(sink{}, "moves a call with one user down to it");
  r.add(hoist{}, "moves calls up to what they use");
  r.add(sort{}, "sorts topologically, keeping the order where it can");
  r.add(infer_shapes{}, "tells the values' types anew by the shape rules");
  r.add(remove_assertions{}, "drops assertions");
  r.add(rename_placeholders{}, "names inputs as export does");
  r.add(inline_subgraphs{}, "calls that only run a graph become its nodes");
  r.add(lift{}, "tensors that the graph reads by name become inputs");
  r.add(unlift{}, "state is read by name and written in place, as a module does");
  return r;
}

} // namespace espalier
