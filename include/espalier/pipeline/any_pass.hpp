// SPDX-License-Identifier: BSL-1.0
// Passes whose types only run time knows: what a command line names, what a plugin brings. One vtable a pass
// type, one loop for all pipelines; the proof is the one of typed pipelines, made when the pipeline runs.
#pragma once

#include <espalier/pipeline/combinators.hpp>
#include <espalier/pipeline/pipeline.hpp>
#include <espalier/pipeline/properties.hpp>

#include <concepts>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace espalier {

/// An instrument behind a vtable. An instrument itself.
class any_instrument : public instrument {
public:
  template <instrument_type I>
  explicit any_instrument(I i) : self_(std::make_unique<model<I>>(static_cast<I&&>(i))) {}
  /// Watches through an instrument that lives elsewhere.
  template <instrument_type I>
  static any_instrument refer(I& i) {
    return any_instrument(std::make_unique<model<I&>>(i));
  }
  void started(const pass_context& c) { self_->started(c); }
  void before(const stage_info& s, const graph_storage& g) { self_->before(s, g); }
  void after(const stage_info& s, const graph_storage& g, const pass_result& r) { self_->after(s, g, r); }
  void failed(const stage_info& s, const graph_storage& g, std::string_view what) {
    self_->failed(s, g, what);
  }

private:
  struct interface {
    virtual ~interface() = default;
    virtual void started(const pass_context&) = 0;
    virtual void before(const stage_info&, const graph_storage&) = 0;
    virtual void after(const stage_info&, const graph_storage&, const pass_result&) = 0;
    virtual void failed(const stage_info&, const graph_storage&, std::string_view) = 0;
  };
  template <class I>
  struct model final : interface {
    I i;
    explicit model(I&& x) : i(static_cast<I&&>(x)) {}
    void started(const pass_context& c) override { i.started(c); }
    void before(const stage_info& s, const graph_storage& g) override { i.before(s, g); }
    void after(const stage_info& s, const graph_storage& g, const pass_result& r) override {
      i.after(s, g, r);
    }
    void failed(const stage_info& s, const graph_storage& g, std::string_view what) override {
      i.failed(s, g, what);
    }
  };
  explicit any_instrument(std::unique_ptr<interface> self) : self_(std::move(self)) {}
  std::unique_ptr<interface> self_;
};

namespace detail {

/// Several instruments as one.
struct watchers : instrument {
  std::span<any_instrument> all;
  explicit watchers(std::span<any_instrument> w) : all(w) {}
  void started(const pass_context& c) {
    for (auto& w : all)
      w.started(c);
  }
  void before(const stage_info& s, const graph_storage& g) {
    for (auto& w : all)
      w.before(s, g);
  }
  void after(const stage_info& s, const graph_storage& g, const pass_result& r) {
    for (auto& w : all)
      w.after(s, g, r);
  }
  void failed(const stage_info& s, const graph_storage& g, std::string_view what) {
    for (auto& w : all)
      w.failed(s, g, what);
  }
};

} // namespace detail

template <class U = graph_storage>
class any_pipeline;

/// Any pass that runs on `U`: a graph's storage, or an exported program. Run through an `any_pipeline`.
template <class U = graph_storage>
class any_pass {
public:
  template <pass_type P>
  any_pass(P p) : self_(std::make_shared<const model<P>>(static_cast<P&&>(p))) {}

  /// Repeats a sequence until it changes nothing, at most `limit` times, like `es::fix`. Throws `error`
  /// (usage) when the sequence cannot run a second time after the first.
  static any_pass fix(any_pipeline<U> body, std::size_t limit = 25);
  /// Gives a sequence a name, like `es::renamed`: instruments show it, and it is switched off by it.
  static any_pass renamed(std::string name, any_pipeline<U> body);
  /// Looks whether a property holds, like `es::check<P>`. Throws `error` (usage) for one that no graph shows.
  static any_pass check(const property_info& p);
  /// Takes the user's word that a property holds, like `es::assume<P>`.
  static any_pass assume(const property_info& p);

  std::string_view name() const noexcept { return facts().name; }
  const pass_facts& facts() const noexcept { return self_->facts(); }
  std::string text() const { return text_without({}); }
  /// The same without the parts that are switched off; empty when nothing is left.
  std::string text_without(std::span<const std::string_view> off) const {
    return detail::is_among(off, name()) ? std::string() : self_->text_without(off);
  }
  /// Runs it alone, without asking whether it may run here: an `any_pipeline` asks.
  pass_result run(U& unit, pass_context& c, std::span<any_instrument> watch = {}) const {
    detail::watchers all(watch);
    return self_->run(unit, c, 0, 0, all);
  }

private:
  friend class any_pipeline<U>;
  struct interface {
    virtual ~interface() = default;
    virtual const pass_facts& facts() const noexcept = 0;
    virtual std::string text_without(detail::stage_names off) const = 0;
    virtual void add_live(detail::live_facts& out) const = 0;
    virtual pass_result run(U&, pass_context&, std::size_t position, std::size_t depth,
                            detail::watchers&) const = 0;
  };
  template <class P>
  struct model final : interface {
    P pass;
    explicit model(P p) : pass(static_cast<P&&>(p)) {}
    const pass_facts& facts() const noexcept override { return facts_of<P>; }
    std::string text_without(detail::stage_names off) const override {
      return detail::text_without(pass, off);
    }
    void add_live(detail::live_facts& out) const override { out.add(pass); }
    pass_result run(U& unit, pass_context& c, std::size_t position, std::size_t depth,
                    detail::watchers& watch) const override {
      return detail::run_stage(pass, unit, c, position, depth, watch);
    }
  };
  struct repeated;
  struct fix_model;
  struct grouped;
  struct grouped_model;
  static void sum_facts(pass_facts&, pipeline_prover::summary&, std::string_view name,
                        const pipeline_prover&);
  template <bool Look>
  struct stated;
  template <bool Look>
  struct stated_model;
  any_pass() = default;
  std::shared_ptr<const interface> self_;
};

/// A sequence of passes that run time put together.
template <class U>
class any_pipeline {
public:
  any_pipeline() = default;
  explicit any_pipeline(std::vector<any_pass<U>> stages) : stages_(std::move(stages)) {}
  void push(any_pass<U> p) { stages_.push_back(std::move(p)); }
  const std::vector<any_pass<U>>& stages() const noexcept { return stages_; }
  /// The contracts of the stages, in order.
  std::vector<pass_facts> facts() const {
    std::vector<pass_facts> out;
    for (const auto& s : stages_)
      out.push_back(s.facts());
    return out;
  }

  /// The stages as text, from position `first` on: what `pass_registry::parse` reads.
  std::string text(std::size_t first = 0) const { return text_without({}, first); }
  /// The same without the stages, and the parts of stages, that are switched off.
  std::string text_without(std::span<const std::string_view> off, std::size_t first = 0) const {
    std::string out;
    for (std::size_t i = first; i < stages_.size(); ++i) {
      const std::string part = stages_[i].text_without(off);
      out += (out.empty() || part.empty() ? "" : " | ") + part;
    }
    return out;
  }

  /// Throws `error` (usage) in a sentence when the pipeline is not legal on a graph of dialect `d`, of which
  /// nothing else is known. Gives the dialect at the end.
  dialect_info prove(const dialect_info& d) const {
    const auto all = facts();
    pipeline_prover p(d);
    if (!p.steps(all))
      fail(error_kind::usage, std::string(explain(p.verdict(), all).view()), text());
    return p.gives();
  }

  /// Proves and runs it, without the stages that the context switches off. Gives the sum of what the passes
  /// did; throws what a pass throws, with the stage named.
  pass_result run(U& unit, const dialect_info& d, pass_context& c,
                  std::span<any_instrument> watch = {}) const {
    prove(d);
    if (!c.disabled().empty())
      detail::check_disabled(*this, facts(), c, text());
    detail::watchers all(watch);
    c.set_dialect(&d);
    return detail::run_named(
        unit, c, [&] { return run_parts(unit, c, 0, all); }, [&] { return text(); }, all);
  }

  /// For passes around this one.
  void add_live(detail::live_facts& out) const {
    for (const auto& s : stages_)
      s.self_->add_live(out);
  }
  pass_result run_parts(U& unit, pass_context& c, std::size_t depth, detail::watchers& watch) const {
    pass_result sum;
    for (std::size_t i = 0; i != stages_.size(); ++i)
      sum += stages_[i].self_->run(unit, c, i, depth, watch);
    return sum;
  }

private:
  std::vector<any_pass<U>> stages_;
};

/// The facts of a pass whose parts the prover went through; they point into `lists`.
template <class U>
void any_pass<U>::sum_facts(pass_facts& all, pipeline_prover::summary& lists, std::string_view name,
                            const pipeline_prover& p) {
  lists = p.summarize();
  all = detail::facts_of_summary(name, p, lists);
}

/// What `fix(a | b)` of a pipeline text is.
template <class U>
struct any_pass<U>::repeated : pass {
  using composite_tag = void;
  static constexpr std::string_view name = "fix";
  any_pipeline<U> body;
  std::size_t limit = 0;
  void add_live(detail::live_facts& out) const { out.push(out.sum(name, body, 2)); }
  std::string text() const { return text_without({}); }
  std::string text_without(detail::stage_names off) const {
    const std::string inside = body.text_without(off);
    return inside.empty() ? inside : "fix<" + std::to_string(limit) + ">(" + inside + ")";
  }
  pass_result run_parts(U& unit, pass_context& c, std::size_t depth, detail::watchers& watch) const {
    return detail::repeat(
        limit, detail::storage_of(unit), [&] { return body.run_parts(unit, c, depth, watch); },
        [&] { return text(); });
  }
};

template <class U>
struct any_pass<U>::fix_model final : any_pass<U>::interface {
  repeated pass;
  pipeline_prover::summary lists;
  pass_facts all;

  fix_model(any_pipeline<U> body, std::size_t limit) {
    pass.body = std::move(body);
    pass.limit = limit;
    const auto once = pass.body.facts();
    auto twice = once;
    twice.insert(twice.end(), once.begin(), once.end());
    pipeline_prover p;
    if (!p.steps(twice))
      fail(error_kind::usage, std::string(explain(p.verdict(), twice).view()), pass.text());
    sum_facts(all, lists, repeated::name, p);
  }
  const pass_facts& facts() const noexcept override { return all; }
  std::string text_without(detail::stage_names off) const override { return pass.text_without(off); }
  void add_live(detail::live_facts& out) const override { out.add(pass); }
  pass_result run(U& unit, pass_context& c, std::size_t position, std::size_t depth,
                  detail::watchers& watch) const override {
    return detail::run_stage(pass, unit, c, position, depth, watch);
  }
};

/// What `renamed<NAME>(a | b)` of a pipeline text is.
template <class U>
struct any_pass<U>::grouped : pass {
  using composite_tag = void;
  static constexpr std::string_view name = "renamed";
  any_pipeline<U> body;
  std::string given;
  std::string_view given_name() const noexcept { return given; }
  void add_live(detail::live_facts& out) const { out.push(out.sum(given, body)); }
  std::string text() const { return text_without({}); }
  std::string text_without(detail::stage_names off) const {
    const std::string inside = body.text_without(off);
    return inside.empty() ? inside : "renamed<" + given + ">(" + inside + ")";
  }
  pass_result run_parts(U& unit, pass_context& c, std::size_t depth, detail::watchers& watch) const {
    return body.run_parts(unit, c, depth, watch);
  }
};

template <class U>
struct any_pass<U>::grouped_model final : any_pass<U>::interface {
  grouped pass;
  pipeline_prover::summary lists;
  pass_facts all;

  grouped_model(std::string name, any_pipeline<U> body) {
    pass.body = std::move(body);
    pass.given = std::move(name);
    const auto parts = pass.body.facts();
    pipeline_prover p;
    if (!p.steps(parts))
      fail(error_kind::usage, std::string(explain(p.verdict(), parts).view()), pass.text());
    sum_facts(all, lists, pass.given, p);
  }
  grouped_model(const grouped_model&) = delete; // the facts point into it
  const pass_facts& facts() const noexcept override { return all; }
  std::string text_without(detail::stage_names off) const override { return pass.text_without(off); }
  void add_live(detail::live_facts& out) const override { out.add(pass); }
  pass_result run(U& unit, pass_context& c, std::size_t position, std::size_t depth,
                  detail::watchers& watch) const override {
    return detail::run_stage(pass, unit, c, position, depth, watch);
  }
};
template <class U>
any_pass<U> any_pass<U>::renamed(std::string name, any_pipeline<U> body) {
  any_pass<U> p;
  p.self_ = std::make_shared<const grouped_model>(std::move(name), std::move(body));
  return p;
}

/// What `check<NAME>` and `assume<NAME>` of a pipeline text are.
template <class U>
template <bool Look>
struct any_pass<U>::stated : pass {
  static constexpr std::string_view name = Look ? "check" : "assume";
  using preserves = all_analyses;
  property_info property;
  pass_result run(const graph_storage& g) const {
    if (Look)
      detail::demand_property(g, property);
    return {};
  }
  std::string text() const { return std::string(name) + "<" + std::string(property.name) + ">"; }
};

template <class U>
template <bool Look>
struct any_pass<U>::stated_model final : any_pass<U>::interface {
  stated<Look> pass;
  pass_facts all;

  explicit stated_model(const property_info& p) {
    pass.property = p;
    all.name = stated<Look>::name;
    all.establishes = {&pass.property, 1};
  }
  stated_model(const stated_model&) = delete; // the facts point into it
  const pass_facts& facts() const noexcept override { return all; }
  std::string text_without(detail::stage_names) const override { return pass.text(); }
  void add_live(detail::live_facts& out) const override { out.push(all); }
  pass_result run(U& unit, pass_context& c, std::size_t position, std::size_t depth,
                  detail::watchers& watch) const override {
    return detail::run_stage(pass, unit, c, position, depth, watch);
  }
};

template <class U>
any_pass<U> any_pass<U>::check(const property_info& property) {
  if (!property.holds)
    fail(error_kind::usage, "no graph shows whether it has the property '" + std::string(property.name) + "'",
         "check<" + std::string(property.name) + ">",
         "run a pass that establishes it, or write assume<" + std::string(property.name) + ">");
  any_pass<U> p;
  p.self_ = std::make_shared<const stated_model<true>>(property);
  return p;
}
template <class U>
any_pass<U> any_pass<U>::assume(const property_info& property) {
  any_pass<U> p;
  p.self_ = std::make_shared<const stated_model<false>>(property);
  return p;
}

template <class U>
any_pass<U> any_pass<U>::fix(any_pipeline<U> body, std::size_t limit) {
  any_pass<U> p;
  p.self_ = std::make_shared<const fix_model>(std::move(body), limit);
  return p;
}

} // namespace espalier
