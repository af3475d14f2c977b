// SPDX-License-Identifier: BSL-1.0
// Unlifting as a pass: a program whose graph reads its state by name and writes to it in place, as a module
// does. What a backend wants that owns the weights, and what other passes of FX expect.
#pragma once

#include <espalier/ir/dialect.hpp>
#include <espalier/pipeline/pass.hpp>
#include <espalier/pipeline/pass_result.hpp>
#include <espalier/pipeline/properties.hpp>
#include <espalier/signature/lift.hpp>
#include <espalier/signature/signature.hpp>

#include <concepts>
#include <string_view>

namespace espalier {

/// Makes parameters, buffers and constants `get_attr` nodes, and outputs that are written to state or inputs
/// calls of `copy_` (`unlift_attributes`; Python: `ExportedProgram.module()`). Since these write, a
/// functional program is one of `training_ir` afterwards. Counts the inputs that went and the outputs that
/// became writes.
struct unlift : pass {
  static constexpr std::string_view name = "unlift";
  static constexpr std::string_view description =
      "state is read by name and written in place, as a module does";
  using takes = training_ir;
  using gives = training_ir;
  using destroys = properties<property::functional, property::no_dead_code>; // unused state is dead

  template <class U>
  requires requires(U& u) {
    { u.storage() } -> std::convertible_to<graph_storage&>;
    { u.info() } -> std::convertible_to<program_info&>;
  }
  static pass_result run(U& program) {
    program_info& info = program.info();
    const std::size_t outputs = info.signature.outputs.size();
    const std::size_t inputs = unlift_attributes(program.storage(), info);
    return {0, inputs + outputs - info.signature.outputs.size()};
  }
};

} // namespace espalier
