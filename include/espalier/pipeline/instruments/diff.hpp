// SPDX-License-Identifier: BSL-1.0
// What each pass did to the graph, as a diff: shorter to read than the graph before and the graph after.
#pragma once

#include <espalier/ir/diff.hpp>
#include <espalier/pipeline/instrument.hpp>

#include <ostream>

namespace espalier {

/// Prints the diff of every pass that says that it changed something, under a line that names the stage.
/// Copies the graph before each pass.
class diff_each : public instrument {
public:
  explicit diff_each(std::ostream& out) : out_(&out) {}

  template <class = when_used>
  void before(const stage_info& s, const graph_storage& g) {
    if (!s.composite) // its parts are stages of their own, and come before its end
      before_ = g;
  }
  template <class = when_used>
  void after(const stage_info& s, const graph_storage& g, const pass_result& r) {
    if (s.composite || !r.changed())
      return;
    *out_ << "// ----- diff of stage " << s.position + 1 << " '" << s.name << "'\n"
          << diff(before_, g).text();
  }

private:
  std::ostream* out_;
  graph_storage before_;
};

} // namespace espalier
