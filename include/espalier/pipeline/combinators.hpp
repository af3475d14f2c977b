// SPDX-License-Identifier: BSL-1.0
// Passes made of passes: `fix` repeats one until nothing changes, `when` and `select` choose, `on_subgraphs`
// goes into subgraphs, `renamed` gives a name to a part of a pipeline. Each knows its contract from its
// parts, so that the proof of a pipeline sees through them.
#pragma once

#include <espalier/ir/hash.hpp>
#include <espalier/pipeline/pipeline.hpp>
#include <espalier/support/fixed_string.hpp>
#include <espalier/support/span.hpp>
#include <espalier/support/vector.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace espalier {

namespace detail {

/// The facts of several passes after one another, under another name.
template <fixed_string Name, class... Ps>
struct summed_facts {
  static constexpr pipeline_prover::summary summary = proof_facts<Ps...>::summary;
  static constexpr pass_facts facts = facts_of_summary(Name.view(), proof_facts<Ps...>::open, summary);
};

/// Runs rounds until one changes nothing. Throws `error` (usage) after `limit` rounds, or when the graph is
/// one that was there before, by its hash.
template <class Round, class Text>
pass_result repeat(std::size_t limit, const graph_storage& g, Round&& round, Text&& text) {
  pass_result sum;
  vector<std::uint64_t> seen;
  while (seen.size() != limit) {
    const pass_result r = round();
    sum += r;
    if (!r.changed())
      return sum;
    const std::uint64_t h = structural_hash(g);
    if (std::find(seen.begin(), seen.end(), h) != seen.end())
      fail(error_kind::usage,
           "the graph of round " + std::to_string(seen.size() + 1) +
               " was there before: passes undo each other's work",
           text(), "find the passes that disagree: print the graph after each change");
    seen.push_back(h);
  }
  fail(error_kind::usage, "the graph still changes after " + std::to_string(limit) + " rounds", text(),
       "raise the limit, or find the passes that disagree: print the graph after each change");
}

} // namespace detail

/// Runs a pass until it changes nothing. Gives up with an `error` (usage) after `Limit` rounds, or as soon as
/// the graph is one that was there before: then passes undo each other's work, and the error says which ones
/// still changed something.
template <std::size_t Limit, pass_type P>
struct fixpoint : pass {
  static_assert(Limit != 0, "espalier: fix<LIMIT> requires at least one round; write fix<25>(pass) instead");
  using composite_tag = void;
  using gives = typename P::gives;
  static constexpr std::string_view name = "fix";
  [[no_unique_address]] P body;

  constexpr explicit fixpoint(P p = {}) : body(static_cast<P&&>(p)) {}
  // the second round must be legal after the first
  static_assert(detail::proof<P, P>::legal);
  static constexpr pass_facts computed_facts() { return detail::summed_facts<"fix", P>::facts; }

  template <class U, class... Is>
  pass_result run_parts(U& unit, pass_context& c, std::size_t depth, Is&... is) const {
    return detail::repeat(
        Limit, detail::storage_of(unit), [&] { return detail::run_stage(body, unit, c, 0, depth, is...); },
        [&] { return text(); });
  }

  template <class = when_used>
  void add_live(detail::live_facts& out) const {
    out.push(out.sum(name, body, 2));
  }

  std::string text() const { return text_without({}); }
  std::string text_without(detail::stage_names off) const {
    return detail::text_around("fix<" + std::to_string(Limit) + ">", body, off);
  }
};

/// `fix(a | b)`, `fix<100>(a | b)`.
template <std::size_t Limit = 25, pass_type P>
constexpr fixpoint<Limit, P> fix(P p) {
  return fixpoint<Limit, P>(static_cast<P&&>(p));
}

/// A pass that does nothing.
struct no_pass : pass {
  static constexpr std::string_view name = "nothing";
  static constexpr bool needs_graph = false;
  using destroys = properties<>;
  using preserves = all_analyses;
  constexpr pass_result run(const graph_storage&) const noexcept { return {}; }
};

/// Runs `Then` where the predicate says so of the graph, else `Else`. What only one of them establishes is
/// not established; what one destroys is destroyed. Both must give back the dialect that they take.
template <class Predicate, pass_type Then, pass_type Else>
struct conditional : pass {
  static_assert(std::same_as<typename Then::gives, same_dialect> &&
                    std::same_as<typename Else::gives, same_dialect>,
                "espalier: when(predicate, then, else) requires passes that give back the dialect they take, "
                "because only run time knows which one runs; write select<CONDITION>(then, else) where the "
                "compiler knows, or lower the graph outside of it");
  static_assert(std::predicate<const Predicate&, const graph_storage&>,
                "espalier: when(predicate, ...) requires a predicate on const graph_storage&");
  using composite_tag = void;
  static constexpr std::string_view name = "when";
  [[no_unique_address]] Predicate predicate;
  [[no_unique_address]] Then yes;
  [[no_unique_address]] Else no;

  constexpr conditional(Predicate p, Then t, Else e)
      : predicate(static_cast<Predicate&&>(p)), yes(static_cast<Then&&>(t)), no(static_cast<Else&&>(e)) {}

  static constexpr pass_facts computed_facts() { return facts_by(summary); }
  template <class = when_used>
  void add_live(detail::live_facts& out) const {
    const pass_facts then = out.sum(name, yes), otherwise = out.sum(name, no);
    out.push(facts_by(out.keep(make_summary(then, otherwise))));
  }

  template <class U, class... Is>
  pass_result run_parts(U& unit, pass_context& c, std::size_t depth, Is&... is) const {
    return predicate(std::as_const(detail::storage_of(unit)))
               ? detail::run_stage(yes, unit, c, 0, depth, is...)
               : detail::run_stage(no, unit, c, 1, depth, is...);
  }

  std::string text() const { return text_without({}); }
  std::string text_without(detail::stage_names off) const {
    std::string then = detail::text_without(yes, off), other;
    if constexpr (!std::same_as<Else, no_pass>)
      other = detail::text_without(no, off);
    if (then.empty() && other.empty())
      return {};
    if (then.empty())
      then = no_pass::name;
    return "when(" + then + (other.empty() ? "" : ", " + other) + ")";
  }

private:
  static constexpr pass_facts facts_by(const pipeline_prover::summary& s) {
    return {name,
            one_dialect() ? facts_of<Then>.takes : facts_of<Else>.takes,
            {},
            {s.needs.data(), s.num_needs},
            {s.establishes.data(), s.num_establishes},
            {s.destroys.data(), s.num_destroys},
            s.destroys_rest};
  }
  /// Whether every graph that `Then` takes is one that `Else` takes.
  static constexpr bool one_dialect() {
    const dialect_info &a = facts_of<Then>.takes, &b = facts_of<Else>.takes;
    return a.type != 0 && (b.type == 0 || dialect_refines(a, b));
  }
  static_assert(
      facts_of<Then>.takes.type == 0 || facts_of<Else>.takes.type == 0 || one_dialect() ||
          dialect_refines(facts_of<Else>.takes, facts_of<Then>.takes),
      "espalier: when(predicate, then, else) requires passes that can take the same graph; lower the "
      "graph before, or choose with select<CONDITION>(then, else)");
  static constexpr bool lists(span<const property_info> all, const property_info& p) {
    for (const auto& q : all)
      if (q.type == p.type)
        return true;
    return false;
  }
  static constexpr pipeline_prover::summary make_summary(const pass_facts& a, const pass_facts& b) {
    pipeline_prover::summary s;
    const auto add = [](auto& list, std::size_t& n, const property_info& p) {
      if (!lists({list.data(), n}, p))
        list[n++] = p;
    };
    for (const auto* f : {&a, &b}) {
      for (const auto& p : f->needs)
        add(s.needs, s.num_needs, p);
      for (const auto& p : f->destroys)
        add(s.destroys, s.num_destroys, p);
    }
    for (const auto& p : a.establishes)
      (lists(b.establishes, p) ? add(s.establishes, s.num_establishes, p) : void());
    s.destroys_rest = a.destroys_rest || b.destroys_rest;
    return s;
  }
  static constexpr pipeline_prover::summary summary = make_summary(facts_of<Then>, facts_of<Else>);
};

/// Chooses at run time, by what a predicate says of the graph: `when(is_large, cse{})`.
template <class Predicate, pass_type Then, pass_type Else = no_pass>
constexpr conditional<Predicate, Then, Else> when(Predicate p, Then t, Else e = {}) {
  return {static_cast<Predicate&&>(p), static_cast<Then&&>(t), static_cast<Else&&>(e)};
}

/// Chooses at compile time: the other one is not part of the pipeline.
template <bool Condition, pass_type Then, pass_type Else = no_pass>
constexpr auto select(Then t, Else e = {}) {
  if constexpr (Condition)
    return t;
  else
    return e;
}

namespace detail {

/// The context is at a graph as long as this lives, and then where it was.
class place_visit {
public:
  place_visit(pass_context& c, const graph_place& here) : c_(c), before_(c.move_to(&here)) {}
  place_visit(const place_visit&) = delete;
  ~place_visit() { c_.move_to(before_); }

private:
  pass_context& c_;
  const graph_place* before_;
};

/// Calls `run(subgraph, position)` for every subgraph, innermost first, with the context there.
template <class Run>
pass_result on_each_subgraph(graph_storage& g, const graph_place* around, pass_context& c, const Run& run) {
  pass_result sum;
  for (std::size_t i = 0; i != g.num_subgraphs(); ++i) {
    const graph_place here{g.text(g.subgraph_name(i)), around};
    sum += on_each_subgraph(g.subgraph(i), &here, c, run);
    const place_visit stays(c, here);
    sum += run(g.subgraph(i), i);
  }
  return sum;
}

/// The contract of a pass on subgraphs. What holds of the subgraphs alone establishes nothing of the whole;
/// what is destroyed in one is destroyed.
constexpr pass_facts facts_on_subgraphs(std::string_view name, pass_facts f) {
  f.name = name;
  f.establishes = {};
  return f;
}

} // namespace detail

/// Runs a pass on every subgraph, innermost first, and not on the graph itself. For passes that look at one
/// graph only; those of the library go into subgraphs by themselves.
template <pass_type P>
struct subgraph_pass : pass {
  static_assert(
      std::same_as<typename P::gives, same_dialect>,
      "espalier: on_subgraphs(pass) requires a pass that gives back the dialect it takes, because the "
      "graph around keeps its own");
  using composite_tag = void;
  static constexpr std::string_view name = "on_subgraphs";
  [[no_unique_address]] P body;
  constexpr explicit subgraph_pass(P p = {}) : body(static_cast<P&&>(p)) {}
  static constexpr pass_facts computed_facts() { return detail::facts_on_subgraphs(name, facts_of<P>); }
  template <class = when_used>
  void add_live(detail::live_facts& out) const {
    out.push(detail::facts_on_subgraphs(name, out.sum(name, body)));
  }

  template <class U, class... Is>
  pass_result run_parts(U& unit, pass_context& c, std::size_t depth, Is&... is) const {
    return detail::on_each_subgraph(detail::storage_of(unit), c.place(), c,
                                    [&](graph_storage& g, std::size_t position) {
                                      return detail::run_stage(body, g, c, position, depth, is...);
                                    });
  }
  std::string text() const { return text_without({}); }
  std::string text_without(detail::stage_names off) const { return detail::text_around(name, body, off); }
};
/// `on_subgraphs(pass)`.
template <pass_type P>
constexpr subgraph_pass<P> on_subgraphs(P p) {
  return subgraph_pass<P>(static_cast<P&&>(p));
}

/// A part of a pipeline under a name of its own: for timing trees, and to switch it off as one.
template <fixed_string Name, pass_type P>
struct named_pass : pass {
  using composite_tag = void;
  using gives = typename P::gives;
  static constexpr auto text_name = Name;
  static constexpr std::string_view name = text_name.view();
  [[no_unique_address]] P body;
  constexpr explicit named_pass(P p = {}) : body(static_cast<P&&>(p)) {}
  static constexpr pass_facts computed_facts() { return detail::summed_facts<Name, P>::facts; }
  template <class U, class... Is>
  pass_result run_parts(U& unit, pass_context& c, std::size_t depth, Is&... is) const {
    return detail::run_stage(body, unit, c, 0, depth, is...);
  }
  std::string text() const { return text_without({}); }
  template <class = when_used>
  void add_live(detail::live_facts& out) const {
    out.push(out.sum(name, body));
  }
  std::string text_without(detail::stage_names off) const {
    return detail::text_around("renamed<" + std::string(name) + ">", body, off);
  }
};
/// `renamed<"cleanup">(cse{} | dce{})`.
template <fixed_string Name, pass_type P>
constexpr named_pass<Name, P> renamed(P p) {
  return named_pass<Name, P>(static_cast<P&&>(p));
}

} // namespace espalier
