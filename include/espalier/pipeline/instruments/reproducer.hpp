// SPDX-License-Identifier: BSL-1.0
// Reproducers: when a stage of a pipeline fails, what it was given is kept, with the pipeline from that stage
// on, so that the failure can be had again without the rest of the program (MLIR's crash reproducers).
#pragma once

#include <espalier/pipeline/instrument.hpp>
#include <espalier/pipeline/legality.hpp>
#include <espalier/pipeline/pipeline.hpp>
#include <espalier/support/optional.hpp>
#include <espalier/support/span.hpp>
#include <espalier/support/vector.hpp>

#include <concepts>
#include <cstddef>
#include <exception>
#include <string>
#include <string_view>
#include <utility>

namespace espalier {

/// What a failed run tells beside the graph that the failing stage was given.
struct reproduction {
  /// The stages from the failing one on, in a form that `pass_registry::parse` reads if it knows the passes
  /// (combinators that take code, such as `when`, it never does); `assume<P>` before them
  /// says what earlier stages had established and these need.
  std::string pipeline;
  std::string pass;         ///< the pass that failed: the stage itself, or a part of it
  std::size_t position = 0; ///< of the stage in the whole pipeline, from 0
  std::string message;      ///< what it threw
  dialect_info dialect{};   ///< of the graph before the stage; of no type when nobody knows
};

/// Keeps a copy of the unit (graph or program) as it is before each stage, and hands it to a writer when that
/// stage fails: when it throws, or when an instrument such as `verify_each` refuses what it made. A stage is
/// one of the pipeline itself: a combinator counts as one, so that what it did before is done again.
///
///     es::reproducer keep(graph, pipeline, [&](const es::reproduction& how, es::graph<D>& before) { ... });
///     pipeline.run(graph, keep, verify);
///
/// Stages that the context switched off, and such parts of stages, are left out of what is written: it runs
/// what this run ran. What the writer throws is kept in `problem()`; the pipeline's own error is never
/// replaced. Without this instrument nothing is copied.
template <pipeline_runs_on U, class P, std::invocable<const reproduction&, U&> Write>
class reproducer : public instrument {
public:
  /// `unit` is what the pipeline is run on, and `pipeline` that pipeline (typed, or an `any_pipeline`); both
  /// must outlive the instrument.
  reproducer(U& unit, const P& pipeline, Write write)
      : unit_(&unit), pipeline_(&pipeline), write_(static_cast<Write&&>(write)) {}

  void started(const pass_context& c) { disabled_ = c.disabled(); }
  /// Throws `error` (usage) when the pipeline runs on something else than the unit given.
  void before(const stage_info& s, const graph_storage& g) {
    if (s.depth != 0)
      return;
    if (&detail::storage_of(*unit_) != &g)
      fail(error_kind::usage, "the reproducer was given another unit than the pipeline runs on", "reproducer",
           "construct it with the graph or program that run() gets");
    before_.emplace(*unit_);
    how_.position = s.position;
    how_.dialect = s.dialect ? *s.dialect : dialect_info{};
  }
  void failed(const stage_info& s, const graph_storage&, std::string_view what) {
    if (!before_)
      return;
    how_.pass = s.name;
    how_.message = what;
    how_.pipeline = rest();
    try {
      pipeline_unit<U>::finish(*before_);
      write_(std::as_const(how_), *before_);
      written_ = true;
    } catch (const std::exception& e) {
      problem_ = e.what();
    }
    before_.reset();
  }

  /// Whether a stage failed and what it was given has been written.
  bool written() const noexcept { return written_; }
  /// Why nothing could be written; empty otherwise.
  const std::string& problem() const noexcept { return problem_; }

private:
  /// The contracts of the stages that were still to run.
  vector<pass_facts> facts() const {
    vector<pass_facts> out;
    const auto take = [&](const auto& all) {
      for (std::size_t i = how_.position; i < all.size(); ++i)
        if (!detail::is_among(disabled_, all[i].name))
          out.push_back(all[i]);
    };
    if constexpr (requires { P::stages.begin(); })
      take(P::stages);
    else
      take(pipeline_->facts());
    return out;
  }
  std::string rest() const {
    pipeline_prover p;
    std::string out;
    if (p.steps(facts())) {
      const auto asks = p.summarize();
      for (std::size_t i = 0; i != asks.num_needs; ++i)
        if (how_.dialect.type == 0 || !asks.needs[i].provided_by(how_.dialect))
          out += "assume<" + std::string(asks.needs[i].name) + "> | ";
    }
    return out + pipeline_->text_without(disabled_, how_.position);
  }

  U* unit_;
  const P* pipeline_;
  Write write_;
  optional<U> before_;
  reproduction how_;
  span<const std::string_view> disabled_; // of the run in progress
  bool written_ = false;
  std::string problem_;
};

} // namespace espalier
