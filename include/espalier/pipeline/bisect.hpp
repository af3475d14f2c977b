// SPDX-License-Identifier: BSL-1.0
// Who broke it? `bisect` runs a pipeline on fresh copies, finds the first pass after which a check fails,
// and, where that pass rewrites by rules, the one rewrite that does it: with one fewer the graph is still
// good. Passes on parts of a graph (`on_subgraphs`, `on_regions`) are judged when the graph has its parts
// again.
#pragma once

#include <espalier/pipeline/instrument.hpp>
#include <espalier/pipeline/pass_context.hpp>
#include <espalier/pipeline/pipeline.hpp>
#include <espalier/support/vector.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <string>
#include <string_view>
#include <type_traits>

namespace espalier {

/// What `bisect` found.
struct bisect_report {
  bool guilty = false; ///< some pass makes the check fail
  bool good_before =
      true;         ///< the check holds of the graph that goes in; nothing else is known when it does not
  std::string pass; ///< the pass after which it fails first
  /// The composite that ran that pass on parts of the graph (`on_regions`); empty when it ran on the whole.
  /// Where several passes changed parts and none of their rewrites is guilty, the composite is `pass` itself.
  std::string within;
  std::size_t position = 0; ///< of that pass, or of the composite around it, in its pipeline, from 0
  std::string rule;         ///< the rule of the guilty rewrite; empty when the pass does not rewrite by rules
  std::size_t edit = 0;     ///< which rewrite of the whole run it is, from 1; 0 when unknown
  std::size_t runs = 0;     ///< how often the pipeline ran

  template <class = when_used>
  std::string text() const {
    if (!good_before)
      return "the check fails before the first pass";
    if (!guilty)
      return "the check holds after every pass";
    std::string out = "pass '" + pass + "'";
    if (!within.empty())
      out += " in '" + within + "'";
    out += " at position " + std::to_string(position + 1);
    if (edit)
      out += ", rule '" + rule + "', rewrite " + std::to_string(edit);
    return out;
  }
};

namespace detail {

template <class Good>
class first_bad_stage : public instrument {
public:
  first_bad_stage(const Good& good, const pass_context& c, bisect_report& out)
      : good_(&good), c_(&c), out_(&out) {}
  template <class = when_used>
  void before(const stage_info& s, const graph_storage& g) {
    if (s.depth == 0)
      whole_ = &g;
    if (&g == whole_ && !out_->guilty) {
      edits_before_ = c_->edits();
      parts_.clear();
    }
  }
  template <class = when_used>
  void after(const stage_info& s, const graph_storage& g, const pass_result& r) {
    if (out_->guilty)
      return;
    if (&g != whole_) { // a part, of which the check knows nothing
      if (!s.composite && r.changed())
        parts_.push_back({s.name, c_->edits()});
      return;
    }
    if (!(s.composite ? !parts_.empty() : r.changed()) || (*good_)(g)) {
      parts_.clear();
      return;
    }
    out_->guilty = true;
    out_->position = s.position;
    stage_ = s.name;
    first_ = edits_before_;
    last_ = c_->edits();
    const bool one = std::all_of(parts_.begin(), parts_.end(),
                                 [&](const part& p) { return p.pass == parts_.front().pass; });
    name(parts_.empty() || !one ? s.name : parts_.front().pass);
  }
  /// The pass that made a rewrite of the bad stage.
  template <class = when_used>
  void name_by_edit(std::size_t edit) {
    for (const part& p : parts_)
      if (edit <= p.edits_after)
        return name(p.pass);
  }
  std::string_view stage() const noexcept { return stage_; }
  /// Rewrites before the bad stage and after it.
  std::size_t first_ = 0, last_ = 0;

private:
  /// A pass that changed a part of the graph, and the rewrites until then.
  struct part {
    std::string_view pass;
    std::size_t edits_after;
  };
  void name(std::string_view pass) {
    out_->pass = pass;
    out_->within = pass == stage_ ? std::string_view() : stage_;
  }
  const Good* good_;
  const pass_context* c_;
  bisect_report* out_;
  const graph_storage* whole_ = nullptr;
  vector<part> parts_;     // since the whole was last seen; of the bad stage in the end
  std::string_view stage_; // the bad one
  std::size_t edits_before_ = 0;
};

} // namespace detail

/// `make()` gives what the pipeline runs on, the same each time; `run(unit, context, instruments...)` runs
/// it; `good(graph)` is the check. Runs the pipeline once and then as often as the binary logarithm of the
/// bad pass's rewrites; copies of graphs are cheap.
///
///     auto found = es::bisect([&] { return graph; }, [&](auto& g, auto& c, auto&... is) { pipe.run(g, c,
///     is...); },
///                             [](const es::graph_storage& g) { return values_of(g) == wanted; });
template <class Make, class Run, std::predicate<const graph_storage&> Good>
bisect_report bisect(Make&& make, Run&& run, Good&& good) {
  bisect_report out;
  {
    auto unit = make();
    out.good_before = good(static_cast<const graph_storage&>(detail::storage_of(unit)));
    if (!out.good_before)
      return out;
  }
  using watcher = detail::first_bad_stage<std::remove_reference_t<Good>>;
  pass_context all;
  watcher full(good, all, out);
  {
    auto unit = make();
    run(unit, all, full);
    ++out.runs;
    if (!out.guilty || full.first_ == full.last_)
      return out;
  }
  std::size_t low = full.first_, high = full.last_; // good with `low` rewrites, bad with `high`
  // the stages up to the bad one, with fewer rewrites; those after it are not looked at
  const auto bad_with = [&](std::size_t budget, std::string& rule) {
    bisect_report here;
    auto unit = make();
    pass_context c;
    c.set_edit_budget(budget);
    watcher watch(good, c, here);
    run(unit, c, watch);
    ++out.runs;
    rule = c.last_edit();
    return here.guilty && watch.stage() == full.stage();
  };
  std::string rule;
  if (bad_with(low, rule))
    return out; // bad without any of its rewrites: the pass does more than its rules
  while (high - low > 1) {
    const std::size_t middle = low + (high - low) / 2;
    (bad_with(middle, rule) ? high : low) = middle;
  }
  bad_with(high, rule);
  out.rule = rule;
  out.edit = high;
  full.name_by_edit(high);
  return out;
}

} // namespace espalier
