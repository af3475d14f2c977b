// SPDX-License-Identifier: BSL-1.0
// Verification between passes. It costs as much as a cheap pass does, so that a pipeline has none unless it
// is asked: give `verify_each` to `run`, or put the pass `verified<D>` where the boundary is.
#pragma once

#include <espalier/ir/verify.hpp>
#include <espalier/pipeline/instrument.hpp>
#include <espalier/pipeline/pass.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace espalier {

/// Verifies the graph after every pass that changed it, against the dialect that it is in by then, and throws
/// `error` (verification) with the first fault.
class verify_each : public instrument {
public:
  explicit verify_each(verify_options o = {}) : options_(o) { options_.limit = 1; }

  void after(const stage_info& s, const graph_storage& g, const pass_result& r) const {
    if (!r.changed() || s.composite)
      return;
    const dialect_info& d = s.dialect ? *s.dialect : info_of_dialect<torch_ir>;
    std::vector<diagnostic> found;
    const std::string top;
    detail::graph_verifier(d.refuses, d.name, options_, found).run(g, top, 0);
    if (!found.empty())
      fail(error_kind::verification, found[0].what, found[0].place, found[0].cure);
  }

private:
  verify_options options_;
};

/// A boundary: verifies the graph against dialect `D`, and throws `error` (verification) when it breaks a
/// rule.
template <dialect D>
struct verified : pass {
  static constexpr std::string_view name = "verified";
  using takes = D;
  using destroys = properties<>;
  using preserves = all_analyses;
  pass_result run(const graph_storage& g) const {
    verify_options o;
    o.limit = 1;
    std::vector<diagnostic> found;
    const std::string top;
    detail::graph_verifier(&D::rule_list::refuses, D::name, o, found).run(g, top, 0);
    if (!found.empty())
      fail(error_kind::verification, found[0].what, found[0].place, found[0].cure);
    return {};
  }
  std::string text() const { return "verified<" + std::string(D::name) + ">"; }
};

} // namespace espalier
