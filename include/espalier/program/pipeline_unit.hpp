// SPDX-License-Identifier: BSL-1.0
// Pipelines run on exported programs: passes get the graph (or the whole program, where they ask for it), the
// signature follows what they did, and the dialect in the program's type is the one that they lead to.
#pragma once

#include <espalier/pipeline/pipeline.hpp>
#include <espalier/program/convert_tensors.hpp> // passes that take a program's tensors along
#include <espalier/program/exported_program.hpp>
#include <espalier/signature/refresh.hpp>

#include <utility>

namespace espalier {

template <dialect D, class Signature>
struct pipeline_unit<exported_program<D, Signature>> {
  using dialect_type = D;
  static graph_storage& storage(exported_program<D, Signature>& p) { return p.storage(); }
  /// Names what has no name, and writes the names of inputs and outputs into the signature.
  static void finish(exported_program<D, Signature>& p) { refresh_signature(p.storage(), p.info()); }
  template <dialect E>
  static exported_program<E, Signature> retag(exported_program<D, Signature>&& p) {
    if constexpr (std::same_as<D, E>)
      return std::move(p);
    else
      return std::move(p).template into<E>();
  }
};

} // namespace espalier
