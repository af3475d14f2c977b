// SPDX-License-Identifier: BSL-1.0
// What a running pass may ask for: analyses, a place for its statistics, and where it stands. One object
// serves a whole pipeline.
#pragma once

#include <espalier/pipeline/analysis.hpp>
#include <espalier/pipeline/pass.hpp>
#include <espalier/support/config.hpp>
#include <espalier/support/span.hpp>
#include <espalier/support/vector.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace espalier {

namespace detail {
/// Names of stages that are left out.
using stage_names = span<const std::string_view>;
constexpr bool is_among(stage_names names, std::string_view name) noexcept {
  for (const auto n : names)
    if (n == name)
      return true;
  return false;
}

} // namespace detail

/// A stage of a running pipeline, for instruments and messages.
struct stage_info {
  std::string_view name;
  std::size_t position = 0;              ///< in its pipeline, from 0
  std::size_t depth = 0;                 ///< of pipelines around that pipeline
  bool composite = false;                ///< a combinator, whose parts are stages of their own
  const dialect_info* dialect = nullptr; ///< of the graph as the hook sees it; null when nobody knows
};

/// A number that a pass counted about itself (`merged`, `folded`), summed over its runs.
struct pass_statistic {
  std::string_view pass, name;
  std::size_t value = 0;
};

/// What a pass tells of its work in words (`split`: which calls went where, and why the others did not).
struct pass_remark {
  std::string pass, text;
};

/// A subgraph that a pass is run on by itself, and the one that it lies in, if that is one too.
struct graph_place {
  std::string_view name;
  const graph_place* around = nullptr;
};

class pass_context {
public:
  /// What `A` knows of `g`, computed on demand and kept until a pass changes the graph and does not preserve
  /// it.
  template <analysis A>
  const analysis_result<A>& get(const graph_storage& g) {
    return analyses_.get<A>(g);
  }
  /// Adds to a statistic of the pass that runs. Names must outlive the context: literals.
  template <class = when_used>
  constexpr void count(std::string_view name, std::size_t n = 1) {
    for (auto& s : statistics_)
      if (s.pass == stage_.name && s.name == name) {
        s.value += n;
        return;
      }
    statistics_.push_back({stage_.name, name, n});
  }
  /// What the pass that runs is going to count: rows of zero until it does.
  template <class = when_used>
  constexpr void declare(span<const std::string_view> names) {
    for (const auto name : names)
      count(name, 0);
  }
  constexpr span<const pass_statistic> statistics() const noexcept { return statistics_; }

  /// Whether somebody collects remarks: a pass writes them only then.
  constexpr bool wants_remarks() const noexcept { return remarks_ != nullptr; }
  /// Adds a remark of the pass that runs; nothing when nobody collects them.
  template <class = when_used>
  void remark(std::string text) {
    if (remarks_)
      remarks_->push_back({std::string(stage_.name), std::move(text)});
  }
  /// Collects the remarks of passes, in the order in which they were made; null: nobody does.
  constexpr void collect_remarks(vector<pass_remark>* to) noexcept { remarks_ = to; }

  /// The stage that runs, or that ran last.
  constexpr const stage_info& stage() const noexcept { return stage_; }
  constexpr analysis_cache& analyses() noexcept { return analyses_; }

  /// Where the graph that the pass is given lies; null for a top graph.
  constexpr const graph_place* place() const noexcept { return place_; }
  /// The same as text: the names of the subgraphs, outermost first, with slashes between them
  /// (`true_graph_0/body`).
  template <class = when_used>
  std::string place_text() const {
    std::string out;
    for (const graph_place* p = place_; p; p = p->around)
      out = std::string(p->name) + (out.empty() ? "" : "/") + out;
    return out;
  }
  /// For drivers: goes to another graph; gives the place that it leaves.
  constexpr const graph_place* move_to(const graph_place* p) noexcept { return std::exchange(place_, p); }

  /// Names of stages to leave out. Whether the rest is legal is proven when a pipeline starts.
  /// They must live as long as pipelines run.
  constexpr span<const std::string_view> disabled() const noexcept { return disabled_; }
  constexpr void disable(span<const std::string_view> names) noexcept { disabled_ = names; }
  [[gnu::noinline]] constexpr bool is_disabled(std::string_view name) const noexcept {
    for (auto n : disabled_)
      if (n == name)
        return true;
    return false;
  }

  /// The dialect of the graph at this point; null when nobody knows.
  constexpr const dialect_info* dialect() const noexcept { return dialect_; }
  constexpr void set_dialect(const dialect_info* d) noexcept { dialect_ = d; }

  /// Asks for leave to make one edit that can be left out: one rewrite, by the name of its rule. Refused when
  /// the budget is spent: `bisect` finds a guilty rewrite by giving ever other budgets. Unlimited unless
  /// somebody sets it.
  constexpr bool may_edit(std::string_view rule) noexcept {
    if (edits_ == budget_)
      return false;
    ++edits_;
    last_edit_ = rule;
    return true;
  }
  /// The same for a pass that makes edits by the thousand and counts them itself: how many more it may make,
  /// and how many it made.
  constexpr std::size_t edits_left() const noexcept { return budget_ - edits_; }
  constexpr void made_edits(std::string_view rule, std::size_t n) noexcept {
    if (n != 0)
      last_edit_ = rule;
    edits_ += n;
  }
  /// Edits that were asked for and allowed, and the rule of the last one.
  constexpr std::size_t edits() const noexcept { return edits_; }
  constexpr std::string_view last_edit() const noexcept { return last_edit_; }
  static constexpr std::size_t unlimited = ~std::size_t{};
  constexpr void set_edit_budget(std::size_t n) noexcept { budget_ = n; }

  /// For drivers: the stage that starts.
  constexpr void enter(const stage_info& s) noexcept { stage_ = s; }

private:
  analysis_cache analyses_;
  vector<pass_statistic> statistics_;
  span<const std::string_view> disabled_;
  stage_info stage_{};
  std::size_t edits_ = 0, budget_ = unlimited;
  std::string_view last_edit_;
  const dialect_info* dialect_ = nullptr;
  vector<pass_remark>* remarks_ = nullptr;
  const graph_place* place_ = nullptr;
};

} // namespace espalier
