// SPDX-License-Identifier: BSL-1.0
// Passes whose types only run time knows: what a command line names, what a plugin brings. One vtable a pass
// type, one loop for all pipelines; the proof is the one of typed pipelines, made when the pipeline runs.
#pragma once

#include <espalier/ir/hash.hpp>
#include <espalier/pipeline/combinators.hpp>
#include <espalier/pipeline/pipeline.hpp>

#include <concepts>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace espalier {

template <class U = graph_storage>
class any_pipeline;

/// Any pass that runs on `U`: a graph's storage, or an exported program.
template <class U = graph_storage>
class any_pass {
public:
  template <pass_type P>
  any_pass(P p) : self_(std::make_shared<const model<P>>(static_cast<P&&>(p))) {}

  /// Repeats a sequence until it changes nothing, at most `limit` times, like `es::fix`.
  static any_pass fix(any_pipeline<U> body, std::size_t limit = 25);

  std::string_view name() const noexcept { return facts().name; }
  const pass_facts& facts() const noexcept { return self_->facts(); }
  std::string text() const { return self_->text(); }
  /// Runs it, and drops the analyses that it does not preserve.
  pass_result run(U& unit, pass_context& c) const { return self_->run(unit, c); }

private:
  struct interface {
    virtual ~interface() = default;
    virtual const pass_facts& facts() const noexcept = 0;
    virtual std::string text() const = 0;
    virtual pass_result run(U&, pass_context&) const = 0;
  };
  template <class P>
  struct model final : interface {
    P pass;
    explicit model(P p) : pass(static_cast<P&&>(p)) {}
    const pass_facts& facts() const noexcept override { return facts_of<P>; }
    std::string text() const override { return detail::text_of(pass); }
    pass_result run(U& unit, pass_context& c) const override {
      if constexpr (detail::composite_pass<P>) {
        return pass.run_parts(unit, c, 1);
      } else {
        const pass_result r = detail::call_pass(pass, unit, c);
        if (r.changed())
          c.analyses().keep_only(typename P::preserves{});
        return r;
      }
    }
  };
  struct fix_model;
  any_pass() = default;
  std::shared_ptr<const interface> self_;
};

/// An instrument behind a vtable.
class any_instrument {
public:
  template <instrument_type I>
  explicit any_instrument(I i) : self_(std::make_unique<model<I>>(static_cast<I&&>(i))) {}
  /// Watches through an instrument that lives elsewhere.
  template <instrument_type I>
  static any_instrument refer(I& i) {
    return any_instrument(forward_to<I>(i));
  }
  void before(const stage_info& s, const graph_storage& g) { self_->before(s, g); }
  void after(const stage_info& s, const graph_storage& g, const pass_result& r) { self_->after(s, g, r); }
  void failed(const stage_info& s, const graph_storage& g, std::string_view what) {
    self_->failed(s, g, what);
  }

private:
  template <class I>
  struct forward_to : instrument {
    I* to;
    explicit forward_to(I& i) : to(&i) {}
    void before(const stage_info& s, const graph_storage& g) { to->before(s, g); }
    void after(const stage_info& s, const graph_storage& g, const pass_result& r) { to->after(s, g, r); }
    void failed(const stage_info& s, const graph_storage& g, std::string_view what) {
      to->failed(s, g, what);
    }
  };
  struct interface {
    virtual ~interface() = default;
    virtual void before(const stage_info&, const graph_storage&) = 0;
    virtual void after(const stage_info&, const graph_storage&, const pass_result&) = 0;
    virtual void failed(const stage_info&, const graph_storage&, std::string_view) = 0;
  };
  template <class I>
  struct model final : interface {
    I i;
    explicit model(I x) : i(static_cast<I&&>(x)) {}
    void before(const stage_info& s, const graph_storage& g) override { i.before(s, g); }
    void after(const stage_info& s, const graph_storage& g, const pass_result& r) override {
      i.after(s, g, r);
    }
    void failed(const stage_info& s, const graph_storage& g, std::string_view what) override {
      i.failed(s, g, what);
    }
  };
  std::unique_ptr<interface> self_;
};

/// A sequence of passes that run time put together.
template <class U>
class any_pipeline {
public:
  any_pipeline() = default;
  explicit any_pipeline(std::vector<any_pass<U>> stages) : stages_(std::move(stages)) {}
  void push(any_pass<U> p) { stages_.push_back(std::move(p)); }
  const std::vector<any_pass<U>>& stages() const noexcept { return stages_; }

  std::string text() const {
    std::string out;
    for (const auto& s : stages_)
      out += (out.empty() ? "" : " | ") + s.text();
    return out;
  }

  /// Throws `error` (usage) in a sentence when the pipeline is not legal on a graph of dialect `d`, of which
  /// nothing else is known. Gives the dialect at the end.
  dialect_info prove(const dialect_info& d) const {
    std::vector<pass_facts> facts;
    for (const auto& s : stages_)
      facts.push_back(s.facts());
    pipeline_prover p(d);
    if (!p.steps(facts))
      fail(error_kind::usage, std::string(explain(p.verdict(), facts).view()), text());
    return p.gives();
  }

  /// Proves and runs it. Gives the sum of what the passes did; throws what a pass throws, with the stage
  /// named.
  pass_result run(U& unit, const dialect_info& d, pass_context& c,
                  std::span<any_instrument> watch = {}) const {
    prove(d);
    dialect_info now = d;
    c.set_dialect(&now);
    pass_result sum;
    for (std::size_t i = 0; i != stages_.size(); ++i) {
      const any_pass<U>& p = stages_[i];
      stage_info stage{p.name(), i, 0, false, &now};
      c.enter(stage);
      for (auto& w : watch)
        w.before(stage, detail::storage_of(unit));
      pass_result r;
      try {
        r = p.run(unit, c);
        if (p.facts().gives.type != 0)
          now = p.facts().gives;
        for (auto& w : watch)
          w.after(stage, detail::storage_of(unit), r);
      } catch (const error& e) {
        for (auto& w : watch)
          w.failed(stage, detail::storage_of(unit), e.what());
        c.set_dialect(nullptr);
        throw e.within("pass '" + std::string(p.name()) + "', stage " + std::to_string(i + 1) + " of '" +
                       text() + "'");
      }
      sum += r;
    }
    c.set_dialect(nullptr);
    return sum;
  }

private:
  std::vector<any_pass<U>> stages_;
};

template <class U>
struct any_pass<U>::fix_model final : any_pass<U>::interface {
  any_pipeline<U> body;
  std::size_t limit;
  pipeline_prover::summary lists;
  pass_facts all;

  fix_model(any_pipeline<U> b, std::size_t rounds) : body(std::move(b)), limit(rounds) {
    std::vector<pass_facts> twice; // the second round must be legal after the first
    for (int round = 0; round != 2; ++round)
      for (const auto& s : body.stages())
        twice.push_back(s.facts());
    pipeline_prover p;
    if (!p.steps(twice))
      fail(error_kind::usage, std::string(explain(p.verdict(), twice).view()), text());
    lists = p.summarize();
    all = {"fix",
           p.takes(),
           p.gives(),
           {lists.needs.data(), lists.num_needs},
           {lists.establishes.data(), lists.num_establishes},
           {lists.destroys.data(), lists.num_destroys},
           lists.destroys_rest};
  }
  const pass_facts& facts() const noexcept override { return all; }
  std::string text() const override { return "fix<" + std::to_string(limit) + ">(" + body.text() + ")"; }
  pass_result run(U& unit, pass_context& c) const override {
    pass_result sum;
    std::vector<std::uint64_t> seen;
    for (std::size_t round = 0; round != limit; ++round) {
      pass_result r;
      for (const auto& s : body.stages())
        r += s.run(unit, c);
      sum += r;
      if (!r.changed())
        return sum;
      detail::refuse_cycle(seen, structural_hash(detail::storage_of(unit)), text());
    }
    detail::refuse_limit(limit, text());
  }
};

template <class U>
any_pass<U> any_pass<U>::fix(any_pipeline<U> body, std::size_t limit) {
  any_pass<U> p;
  p.self_ = std::make_shared<const fix_model>(std::move(body), limit);
  return p;
}

} // namespace espalier
