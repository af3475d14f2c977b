// SPDX-License-Identifier: BSL-1.0
// Passes whose types only run time knows: what a command line names, what a plugin brings. One vtable a pass
// type, one loop for all pipelines; the proof is the one of typed pipelines, made when the pipeline runs.
#pragma once

#include <espalier/pipeline/calls_named.hpp>
#include <espalier/pipeline/combinators.hpp>
#include <espalier/pipeline/on_regions.hpp>
#include <espalier/pipeline/pipeline.hpp>
#include <espalier/pipeline/properties.hpp>
#include <espalier/pipeline/regions.hpp>
#include <espalier/support/owned_ptr.hpp>
#include <espalier/support/span.hpp>
#include <espalier/support/vector.hpp>

#include <concepts>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace espalier {

/// An instrument behind a vtable. An instrument itself.
class any_instrument : public instrument {
public:
  template <instrument_type I>
  explicit any_instrument(I i) : self_(new model<I>(static_cast<I&&>(i))) {}
  /// Watches through an instrument that lives elsewhere.
  template <instrument_type I>
  static any_instrument refer(I& i) {
    return any_instrument(owned_ptr<interface>(new model<I&>(i)));
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
  explicit any_instrument(owned_ptr<interface> self) : self_(std::move(self)) {}
  owned_ptr<interface> self_;
};

namespace detail {

/// Several instruments as one.
struct watchers : instrument {
  span<any_instrument> all;
  explicit watchers(span<any_instrument> w) : all(w) {}
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

/// Whether a pass of pipelines on `U` can run on a part of the graph: a graph is all that it takes, also
/// where there is more. For a pass of passes, all of its parts must be such.
template <class P, class U>
inline constexpr bool runs_on_parts =
    std::copy_constructible<P> && !composite_pass<P> &&
    (runs_on_unit<P, graph_storage> || runs_on_unit_in_context<P, graph_storage>)&&(
        std::derived_from<U, graph_storage> || !(runs_on_unit<P, U> || runs_on_unit_in_context<P, U>));
template <class... Ps, class U>
inline constexpr bool runs_on_parts<pipeline<Ps...>, U> = (runs_on_parts<Ps, U> && ...);
template <std::size_t Limit, class P, class U>
inline constexpr bool runs_on_parts<fixpoint<Limit, P>, U> = runs_on_parts<P, U>;
template <class Predicate, class Then, class Else, class U>
inline constexpr bool runs_on_parts<conditional<Predicate, Then, Else>, U> =
    runs_on_parts<Then, U>&& runs_on_parts<Else, U>;
template <fixed_string Name, class P, class U>
inline constexpr bool runs_on_parts<named_pass<Name, P>, U> = runs_on_parts<P, U>;
template <class P, class U>
inline constexpr bool runs_on_parts<subgraph_pass<P>, U> = true;
template <class Predicate, class P, class U>
inline constexpr bool runs_on_parts<region_pass<Predicate, P>, U> = true;

/// A pass whose contract only run time knows.
template <class P>
concept has_given_facts = requires(const P& p) {
  { p.given_facts() } -> std::same_as<const pass_facts&>;
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
  /// Runs a sequence on every subgraph, like `es::on_subgraphs`. The sequence sees graphs, also where `U` is
  /// more (`on_parts` makes one of such a sequence). Throws `error` (usage) when it gives another dialect.
  static any_pass on_subgraphs(any_pipeline<graph_storage> body);
  /// Runs a sequence on the regions of some operators' calls, like `es::on_regions`; the rest is as for
  /// `on_subgraphs`.
  static any_pass on_regions(calls_named operators, any_pipeline<graph_storage> body, region_options o = {});
  /// Looks whether a property holds, like `es::check<P>`. Throws `error` (usage) for one that no graph shows.
  static any_pass check(const property_info& p);
  /// Takes the user's word that a property holds, like `es::assume<P>`.
  static any_pass assume(const property_info& p);

  std::string_view name() const noexcept { return facts().name; }
  const pass_facts& facts() const noexcept { return self_->facts(); }
  std::string text() const { return text_without({}); }
  /// The same without the parts that are switched off; empty when nothing is left.
  std::string text_without(span<const std::string_view> off) const {
    return detail::is_among(off, name()) ? std::string() : self_->text_without(off);
  }
  /// The same pass for parts of the graph. Throws `error` (usage) for one that takes more than a graph.
  any_pass<graph_storage> on_parts() const {
    if constexpr (std::same_as<U, graph_storage>)
      return *this;
    else
      return self_->on_parts();
  }
  /// Runs it alone, without asking whether it may run here: an `any_pipeline` asks.
  pass_result run(U& unit, pass_context& c, span<any_instrument> watch = {}) const {
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
    virtual any_pass<graph_storage> on_parts() const = 0;
  };
  template <class P>
  struct model final : interface {
    P pass;
    explicit model(P p) : pass(static_cast<P&&>(p)) {}
    const pass_facts& facts() const noexcept override {
      if constexpr (detail::has_given_facts<P>)
        return pass.given_facts();
      else
        return facts_of<P>;
    }
    std::string text_without(detail::stage_names off) const override {
      return detail::text_without(pass, off);
    }
    void add_live(detail::live_facts& out) const override { out.add(pass); }
    pass_result run(U& unit, pass_context& c, std::size_t position, std::size_t depth,
                    detail::watchers& watch) const override {
      return detail::run_stage(pass, unit, c, position, depth, watch);
    }
    any_pass<graph_storage> on_parts() const override {
      if constexpr (requires { pass.on_parts(); })
        return pass.on_parts();
      else if constexpr (detail::runs_on_parts<P, U>)
        return any_pass<graph_storage>(pass);
      else
        fail(error_kind::usage,
             "pass '" + std::string(facts().name) +
                 "' takes a whole program, of which a subgraph or a region has only nodes",
             {}, "run it outside of on_subgraphs(...) and on_regions(...)");
    }
  };
  std::shared_ptr<const interface> self_;
};

/// A sequence of passes that run time put together.
template <class U>
class any_pipeline {
public:
  any_pipeline() = default;
  explicit any_pipeline(vector<any_pass<U>> stages) : stages_(std::move(stages)) {}
  void push(any_pass<U> p) { stages_.push_back(std::move(p)); }
  const vector<any_pass<U>>& stages() const noexcept { return stages_; }
  /// The same stages for parts of the graph. Throws `error` (usage) when one takes more than a graph.
  any_pipeline<graph_storage> on_parts() const {
    any_pipeline<graph_storage> out;
    for (const auto& s : stages_)
      out.push(s.on_parts());
    return out;
  }
  /// The contracts of the stages, in order.
  vector<pass_facts> facts() const {
    vector<pass_facts> out;
    for (const auto& s : stages_)
      out.push_back(s.facts());
    return out;
  }

  /// The stages as text, from position `first` on: what `pass_registry::parse` reads.
  std::string text(std::size_t first = 0) const { return text_without({}, first); }
  /// The same without the stages, and the parts of stages, that are switched off.
  std::string text_without(span<const std::string_view> off, std::size_t first = 0) const {
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
  pass_result run(U& unit, const dialect_info& d, pass_context& c, span<any_instrument> watch = {}) const {
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
  vector<any_pass<U>> stages_;
};

namespace detail {

/// A contract that run time found out, and what it points into. The copies of a pass share it.
struct found_facts {
  std::string name;
  pipeline_prover::summary lists;
  pass_facts all;

  explicit found_facts(std::string_view n) : name(n) { all.name = name; }
  /// That of passes in sequence. Throws `error` (usage) when they cannot run so.
  found_facts(std::string_view n, span<const pass_facts> parts, const std::string& text) : name(n) {
    pipeline_prover p;
    if (!p.steps(parts))
      fail(error_kind::usage, std::string(explain(p.verdict(), parts).view()), text);
    lists = p.summarize();
    all = facts_of_summary(name, p, lists);
  }
  found_facts(const found_facts&) = delete;
};

/// What a body in parentheses is with its head; empty when nothing is left of the body.
template <class U>
std::string text_around(std::string_view head, const any_pipeline<U>& body, stage_names off) {
  const std::string inside = body.text_without(off);
  return inside.empty() ? inside : std::string(head) + "(" + inside + ")";
}

/// What `fix(a | b)` of a pipeline text is.
template <class U>
struct any_fix : pass {
  using composite_tag = void;
  static constexpr std::string_view name = "fix";
  any_pipeline<U> body;
  std::size_t limit;
  std::shared_ptr<const found_facts> found;

  any_fix(any_pipeline<U> b, std::size_t rounds) : body(std::move(b)), limit(rounds) {
    const auto once = body.facts();
    auto twice = once; // the second round must be legal after the first
    twice.insert(twice.end(), once.begin(), once.end());
    found = std::make_shared<const found_facts>(name, twice, text());
  }
  const pass_facts& given_facts() const noexcept { return found->all; }
  void add_live(live_facts& out) const { out.push(out.sum(name, body, 2)); }
  any_fix<graph_storage> on_parts() const { return {body.on_parts(), limit}; }
  std::string text() const { return text_without({}); }
  std::string text_without(stage_names off) const {
    return text_around("fix<" + std::to_string(limit) + ">", body, off);
  }
  pass_result run_parts(U& unit, pass_context& c, std::size_t depth, watchers& watch) const {
    return repeat(
        limit, storage_of(unit), [&] { return body.run_parts(unit, c, depth, watch); },
        [&] { return text(); });
  }
};

/// What `renamed<NAME>(a | b)` of a pipeline text is.
template <class U>
struct any_renamed : pass {
  using composite_tag = void;
  static constexpr std::string_view name = "renamed";
  any_pipeline<U> body;
  std::shared_ptr<const found_facts> found;

  any_renamed(std::string_view given, any_pipeline<U> b)
      : body(std::move(b)),
        found(std::make_shared<const found_facts>(given, body.facts(), around(given, body, {}))) {}
  std::string_view given_name() const noexcept { return found->name; }
  const pass_facts& given_facts() const noexcept { return found->all; }
  void add_live(live_facts& out) const { out.push(out.sum(given_name(), body)); }
  any_renamed<graph_storage> on_parts() const { return {given_name(), body.on_parts()}; }
  std::string text() const { return text_without({}); }
  std::string text_without(stage_names off) const { return around(given_name(), body, off); }
  pass_result run_parts(U& unit, pass_context& c, std::size_t depth, watchers& watch) const {
    return body.run_parts(unit, c, depth, watch);
  }

private:
  static std::string around(std::string_view given, const any_pipeline<U>& body, stage_names off) {
    return text_around("renamed<" + std::string(given) + ">", body, off);
  }
};

/// The contract of a body that runs on parts of a graph, as if it ran on the whole. Throws `error` (usage)
/// when it gives another dialect: the graph around keeps its own.
template <class = when_used>
std::shared_ptr<found_facts> facts_of_parts(std::string_view name, const any_pipeline<graph_storage>& body) {
  auto found = std::make_shared<found_facts>(name, body.facts(), body.text());
  if (found->all.gives.type != 0)
    fail(error_kind::usage,
         "'" + body.text() + "' gives dialect " + std::string(found->all.gives.name) +
             ", but the graph around keeps its own",
         std::string(name) + "(...)", "run it on the whole graph");
  return found;
}

/// What `on_subgraphs(a | b)` of a pipeline text is.
template <class U>
struct any_on_subgraphs : pass {
  using composite_tag = void;
  static constexpr std::string_view name = "on_subgraphs";
  any_pipeline<graph_storage> body;
  std::shared_ptr<const found_facts> found;

  explicit any_on_subgraphs(any_pipeline<graph_storage> b) : body(std::move(b)) {
    const auto f = facts_of_parts(name, body);
    f->all = facts_on_subgraphs(name, f->all);
    found = f;
  }
  const pass_facts& given_facts() const noexcept { return found->all; }
  void add_live(live_facts& out) const { out.push(facts_on_subgraphs(name, out.sum(name, body))); }
  any_on_subgraphs<graph_storage> on_parts() const { return any_on_subgraphs<graph_storage>(body); }
  std::string text() const { return text_without({}); }
  std::string text_without(stage_names off) const { return text_around(name, body, off); }
  pass_result run_parts(U& unit, pass_context& c, std::size_t depth, watchers& watch) const {
    return on_each_subgraph(storage_of(unit), c.place(), c, [&](graph_storage& g, std::size_t) {
      return body.run_parts(g, c, depth, watch);
    });
  }
};

/// What `on_regions<aten.relu, aten.add.Tensor>(a | b)` of a pipeline text is.
template <class U>
struct any_on_regions : pass {
  using composite_tag = void;
  static constexpr std::string_view name = "on_regions";
  calls_named operators;
  any_pipeline<graph_storage> body;
  region_options options;
  std::shared_ptr<const found_facts> found;

  any_on_regions(calls_named which, any_pipeline<graph_storage> b, region_options o)
      : operators(std::move(which)), body(std::move(b)), options(o) {
    const auto f = facts_of_parts(name, body);
    const auto lost = lost_in_regions(f->all);
    f->lists.destroys = lost.destroys;
    f->lists.num_destroys = lost.num_destroys;
    f->all = facts_on_regions(name, f->all, f->lists);
    found = f;
  }
  const pass_facts& given_facts() const noexcept { return found->all; }
  void add_live(live_facts& out) const {
    const pass_facts f = out.sum(name, body);
    out.push(facts_on_regions(name, f, out.keep(lost_in_regions(f))));
  }
  any_on_regions<graph_storage> on_parts() const { return {operators, body, options}; }
  std::string text() const { return text_without({}); }
  std::string text_without(stage_names off) const {
    return text_around(on_regions_head(operators, options), body, off);
  }
  pass_result run_parts(U& unit, pass_context& c, std::size_t depth, watchers& watch) const {
    return on_each_region(
        storage_of(unit), operators, options, c,
        [&](graph_storage& part, std::size_t) { return body.run_parts(part, c, depth, watch); },
        [&] { return body.text(); });
  }
};

/// What `check<NAME>` and `assume<NAME>` of a pipeline text are.
template <bool Look>
struct any_stated : pass {
  static constexpr std::string_view name = Look ? "check" : "assume";
  using preserves = all_analyses;
  property_info property;
  std::shared_ptr<const found_facts> found;

  explicit any_stated(const property_info& p) : property(p) {
    const auto f = std::make_shared<found_facts>(name);
    f->lists.establishes[0] = p;
    f->all.establishes = {f->lists.establishes.data(), 1};
    found = f;
  }
  const pass_facts& given_facts() const noexcept { return found->all; }
  void add_live(live_facts& out) const { out.push(found->all); }
  std::string text() const { return std::string(name) + "<" + std::string(property.name) + ">"; }
  pass_result run(const graph_storage& g) const {
    if (Look)
      demand_property(g, property);
    return {};
  }
};

} // namespace detail

template <class U>
any_pass<U> any_pass<U>::fix(any_pipeline<U> body, std::size_t limit) {
  return detail::any_fix<U>(std::move(body), limit);
}
template <class U>
any_pass<U> any_pass<U>::renamed(std::string name, any_pipeline<U> body) {
  return detail::any_renamed<U>(name, std::move(body));
}
template <class U>
any_pass<U> any_pass<U>::on_subgraphs(any_pipeline<graph_storage> body) {
  return detail::any_on_subgraphs<U>(std::move(body));
}
template <class U>
any_pass<U> any_pass<U>::on_regions(calls_named operators, any_pipeline<graph_storage> body,
                                    region_options o) {
  return detail::any_on_regions<U>(std::move(operators), std::move(body), o);
}
template <class U>
any_pass<U> any_pass<U>::check(const property_info& property) {
  if (!property.holds)
    fail(error_kind::usage, "no graph shows whether it has the property '" + std::string(property.name) + "'",
         "check<" + std::string(property.name) + ">",
         "run a pass that establishes it, or write assume<" + std::string(property.name) + ">");
  return detail::any_stated<true>(property);
}
template <class U>
any_pass<U> any_pass<U>::assume(const property_info& property) {
  return detail::any_stated<false>(property);
}

} // namespace espalier
