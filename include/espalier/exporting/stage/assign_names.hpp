// SPDX-License-Identifier: BSL-1.0
// Stage: give every node and value its canonical name. `placeholder_naming_pass` of `torch/_export/utils.py`,
// for what the placeholders left free.
#pragma once

#include <espalier/exporting/exporter.hpp>
#include <espalier/exporting/job.hpp>
#include <espalier/ir/naming.hpp>

namespace espalier::stage {

/// Needs a traced graph; gives `named`.
struct assign_names {
  static constexpr const char* name = "assign_names";
  using needs = facts<fact::traced>;
  using gives = facts<fact::named>;

  template <class Job>
  static void run(Job& job) {
    espalier::assign_names(job.traced.graph);
  }
};

} // namespace espalier::stage
