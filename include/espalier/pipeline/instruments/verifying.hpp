// SPDX-License-Identifier: BSL-1.0
// Verification between passes. It costs as much as a cheap pass does, so that a pipeline has none unless it
// is asked: give `verify_each` to `run`, or put the pass `verified<D>` where the boundary is.
#pragma once

#include <espalier/ir/verify.hpp>
#include <espalier/pipeline/instrument.hpp>
#include <espalier/pipeline/pass.hpp>

#include <string>
#include <string_view>

namespace espalier {

/// Verifies the graph after every pass that changed it, against the dialect that it is in by then, and throws
/// `error` (verification) with the first fault.
class verify_each : public instrument {
public:
  explicit verify_each(verify_options o = {}) : options_(o) { options_.limit = 1; }

  template <class = when_used>
  void after(const stage_info& s, const graph_storage& g, const pass_result& r) const {
    if (!r.changed() || s.composite)
      return;
    throw_first(verify(g, s.dialect ? *s.dialect : info_of_dialect<torch_ir>, options_));
  }

private:
  verify_options options_;
};

/// A boundary: verifies the graph against dialect `D`, and throws `error` (verification) when it breaks a
/// rule.
template <dialect D>
struct verified : pass {
  static constexpr std::string_view name = "verified", options = "DIALECT";
  static constexpr std::string_view description = "refuses a graph that breaks a rule of the dialect";
  using takes = D;
  using destroys = properties<>;
  using preserves = all_analyses;
  template <class = when_used>
  pass_result run(const graph_storage& g) const {
    verify_or_throw<D>(g, {.limit = 1});
    return {};
  }
  template <class = when_used>
  std::string text() const {
    return "verified<" + std::string(D::name) + ">";
  }
};

} // namespace espalier
