// SPDX-License-Identifier: BSL-1.0
// Stage: give every node and value its canonical name. `placeholder_naming_pass` of `torch/_export/utils.py`,
// for what the placeholders left free.
#pragma once

#include <espalier/exporting/job.hpp>
#include <espalier/ir/naming.hpp>

#include <string_view>

namespace espalier::stage {

/// Establishes `named`. A pass like any other: it runs on graphs outside of an export too.
struct assign_names : pass {
  static constexpr std::string_view name = "assign_names";
  using establishes = properties<property::named>;
  using destroys = properties<>;
  using preserves = all_analyses;

  template <class = when_used>
  pass_result run(graph_storage& g) const {
    espalier::assign_names(g);
    return {};
  }
};

} // namespace espalier::stage
