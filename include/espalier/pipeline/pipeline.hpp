// SPDX-License-Identifier: BSL-1.0
// `a | b | c`: passes compose to one literal type. The type is flat (`pipeline<A, B, C>`, however it was put
// together), its legality is one constant expression over the facts of its passes, and running it is a fold
// over them: a pipeline costs what the calls written out by hand cost.
#pragma once

#include <espalier/ir/graph.hpp>
#include <espalier/pipeline/instrument.hpp>
#include <espalier/pipeline/legality.hpp>
#include <espalier/pipeline/pass.hpp>
#include <espalier/pipeline/pass_context.hpp>
#include <espalier/support/owned_ptr.hpp>
#include <espalier/support/span.hpp>
#include <espalier/support/vector.hpp>

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace espalier {

template <pass_type... Ps>
class pipeline;

/// How a pipeline sees what it runs on; specialise it for a type of your own. `dialect_type` is the dialect
/// (or `any_dialect` if only run time knows it), `storage` the graph, `finish` brings up to date what hangs
/// on the graph, and `retag<E>` gives the same thing in another dialect. `work`, where it is there, is what
/// errors call the pipeline instead of spelling it out.
template <class U>
struct pipeline_unit;

template <dialect D>
struct pipeline_unit<graph<D>> {
  using dialect_type = D;
  static constexpr graph_storage& storage(graph<D>& g) noexcept { return g; }
  static constexpr void finish(graph<D>&) noexcept {}
  template <dialect E>
  static constexpr graph<E> retag(graph<D>&& g) {
    return graph<E>(static_cast<graph_storage&&>(g));
  }
};

/// Something that pipelines run on: a `graph<D>`, an `exported_program<D, S>`.
template <class U>
concept pipeline_runs_on = requires(U& u) {
  typename pipeline_unit<U>::dialect_type;
  { pipeline_unit<U>::storage(u) } -> std::same_as<graph_storage&>;
};

namespace detail {

template <class P>
inline constexpr bool is_pipeline = false;
template <class... Ps>
inline constexpr bool is_pipeline<pipeline<Ps...>> = true;

/// Combinators run their parts themselves, with the instruments.
template <class P>
concept composite_pass = requires {
  typename P::composite_tag;
};

template <class P, class U>
concept runs_on_unit = requires(const P& p, U& u) {
  p.run(u);
};
template <class P, class U>
concept runs_on_unit_in_context = requires(const P& p, U& u, pass_context& c) {
  p.run(u, c);
};

template <class U>
constexpr graph_storage& storage_of(U& u) noexcept {
  if constexpr (std::derived_from<U, graph_storage>)
    return u;
  else
    return pipeline_unit<U>::storage(u);
}

template <class P, class U>
struct pass_runs {
  static constexpr bool here = runs_on_unit<P, U> || runs_on_unit_in_context<P, U> ||
                               runs_on_unit<P, graph_storage> || runs_on_unit_in_context<P, graph_storage>;
  static_assert(
      here,
      "espalier: a pass has no `run` that takes what the pipeline runs on (pass_runs<PASS, UNIT> names "
      "the two); give it `es::pass_result run(es::graph_storage&) const`, or, if it requires more than a "
      "graph, run the pipeline on an exported program or an export job");
};

/// Calls a pass with what it takes: the whole unit, or the graph of it.
template <class P, class U>
constexpr pass_result call_pass(const P& p, U& unit, pass_context& c) {
  if constexpr (runs_on_unit_in_context<P, U>)
    return p.run(unit, c);
  else if constexpr (runs_on_unit<P, U>)
    return p.run(unit);
  else if constexpr (runs_on_unit_in_context<P, graph_storage>)
    return p.run(storage_of(unit), c);
  else if constexpr (pass_runs<P, U>::here)
    return p.run(storage_of(unit));
  else
    return {};
}

/// What a stage is called: by its type, or by the pass itself where run time gave it its name.
template <class P>
constexpr std::string_view stage_name(const P& p) noexcept {
  if constexpr (requires {
                  { p.given_name() } -> std::same_as<std::string_view>;
                })
    return p.given_name();
  else
    return P::name;
}

/// One stage: its instruments, the pass, and the analyses that it leaves.
template <class P, class U, class... Is>
constexpr pass_result run_stage(const P& p, U& unit, pass_context& c, std::size_t position, std::size_t depth,
                                Is&... is) {
  const std::string_view name = stage_name(p);
  if (!c.disabled().empty() && c.is_disabled(name))
    return {};
  stage_info stage{name, position, depth, composite_pass<P>, c.dialect()};
  c.enter(stage);
  (is.before(stage, storage_of(unit)), ...);
  pass_result r;
  if constexpr (composite_pass<P>) {
    r = p.run_parts(unit, c, depth + 1, is...);
    c.enter(stage); // what the hooks below find wrong is the whole's, not its last part's
  } else {
    if constexpr (!statistics_of<P>().empty())
      c.declare(statistics_of<P>());
    r = call_pass(p, unit, c);
    if (r.changed())
      c.analyses().keep_only(typename P::preserves{});
    if constexpr (dialect<typename P::gives>) {
      c.set_dialect(&info_of_dialect<typename P::gives>);
      stage.dialect = c.dialect();
    }
  }
  (is.after(stage, storage_of(unit), r), ...);
  return r;
}

/// Runs a whole pipeline: brings up to date what hangs on the unit afterwards, and names the stage that
/// threw.
template <class U, class Body, class Text, class... Is>
constexpr pass_result run_named(U& unit, pass_context& c, Body&& body, Text&& text, Is&... is) {
  c.enter({});
  (is.started(static_cast<const pass_context&>(c)), ...);
  const auto told = [&]([[maybe_unused]] const char* what) {
    (is.failed(c.stage(), storage_of(unit), what), ...);
  };
  try {
    const pass_result r = body();
    if constexpr (!std::same_as<U, graph_storage>)
      pipeline_unit<U>::finish(unit);
    c.set_dialect(nullptr);
    return r;
  } catch (const error& e) {
    c.set_dialect(nullptr);
    if (c.stage().name.empty())
      throw; // nothing has run yet
    told(e.what());
    throw e.within("pass '" + std::string(c.stage().name) + "', stage " +
                   std::to_string(c.stage().position + 1) + " of '" + text() + "'");
  } catch (const std::exception& e) {
    c.set_dialect(nullptr);
    told(e.what());
    throw;
  }
}

/// What the passes of a pipeline that are switched on promise, at any depth.
class live_facts {
public:
  live_facts(const pass_context& c, std::string_view text) : context_(c), text_(text) {}

  /// A pass, or what is left of it.
  template <class P>
  void add(const P& p) {
    if (const auto name = stage_name(p); context_.is_disabled(name))
      off_ = name;
    else if constexpr (requires { p.add_live(*this); })
      p.add_live(*this);
    else
      push(facts_of<P>);
  }
  void push(const pass_facts& f) { all_.push_back(f); }
  /// A pass around another one, whose contract is that of what is left of the other, `rounds` times over.
  template <class Body>
  pass_facts sum(std::string_view name, const Body& body, std::size_t rounds = 1) {
    live_facts inside(context_, text_);
    if constexpr (pass_type<Body>)
      inside.add(body);
    else
      body.add_live(inside); // a sequence that run time put together
    if (!inside.off_.empty())
      off_ = inside.off_;
    pipeline_prover p;
    for (std::size_t r = 0; r != rounds; ++r)
      if (!p.steps(inside.all_))
        refuse(explain(p.verdict(), inside.all_).view());
    lists_.emplace_back(new pipeline_prover::summary(p.summarize()));
    for (auto& l : inside.lists_)
      lists_.push_back(std::move(l));
    return facts_of_summary(name, p, *lists_[lists_.size() - inside.lists_.size() - 1]);
  }
  /// Keeps lists that facts point into.
  const pipeline_prover::summary& keep(const pipeline_prover::summary& s) {
    return *lists_.emplace_back(new pipeline_prover::summary(s));
  }

  const vector<pass_facts>& all() const noexcept { return all_; }
  /// The last name that was switched off; empty: there was none.
  std::string_view off() const noexcept { return off_; }
  [[noreturn]] void refuse(std::string_view why) const {
    fail(error_kind::usage, "stage '" + std::string(off_) + "' cannot be switched off: " + std::string(why),
         std::string(text_), "leave it on, or compose a pipeline that does without what it gives");
  }

private:
  const pass_context& context_;
  std::string_view text_, off_;
  vector<pass_facts> all_;
  vector<owned_ptr<pipeline_prover::summary>> lists_;
};

/// Proves that a pipeline is legal without the stages that are switched off, asks no more of its input, and
/// ends where the whole would.
template <class Pipeline>
void check_disabled(const Pipeline& pipeline, span<const pass_facts> stages, const pass_context& c,
                    const std::string& text) {
  live_facts left(c, text);
  pipeline.add_live(left);
  if (left.off().empty())
    return;
  pipeline_prover all, rest;
  all.steps(stages);
  if (!rest.steps(left.all()))
    left.refuse(explain(rest.verdict(), left.all()).view());
  if (rest.gives().type != all.gives().type)
    left.refuse("the dialect of the result depends on it");
  if (rest.takes().type != 0 && (all.takes().type == 0 || !dialect_refines(all.takes(), rest.takes())))
    left.refuse("without it, the pipeline takes another dialect");
  const auto whole = all.summarize(), less = rest.summarize();
  for (std::size_t i = 0; i != less.num_needs; ++i) {
    bool asked = false;
    for (std::size_t j = 0; j != whole.num_needs; ++j)
      asked = asked || whole.needs[j].type == less.needs[i].type;
    if (!asked)
      left.refuse("without it, the pipeline needs '" + std::string(less.needs[i].name) + "' of its input");
  }
  for (std::size_t i = 0; i != whole.num_establishes; ++i)
    if (!rest.holds(whole.establishes[i]))
      left.refuse("it establishes '" + std::string(whole.establishes[i].name) + "'");
}

/// A pass of a pipeline, by position: the same type may stand at several.
template <std::size_t I, class P>
struct stage_at {
  [[no_unique_address]] P pass;
};

template <class Indexes, class... Ps>
struct stage_store;
template <std::size_t... Is, class... Ps>
struct stage_store<std::index_sequence<Is...>, Ps...> : stage_at<Is, Ps>... {
  constexpr stage_store() = default;
  constexpr explicit stage_store(Ps... ps) requires(sizeof...(Ps) != 0)
      : stage_at<Is, Ps>{static_cast<Ps&&>(ps)}... {}
};

template <std::size_t I, class P>
constexpr const P& stage_of(const stage_at<I, P>& s) noexcept {
  return s.pass;
}
template <std::size_t I, class P>
P stage_type(const stage_at<I, P>&);

template <class P>
concept prints_itself = requires(const P& p) {
  { p.text() } -> std::convertible_to<std::string>;
};
template <class P>
concept prints_parts = requires(const P& p, stage_names off) {
  { p.text_without(off) } -> std::convertible_to<std::string>;
};
/// The text of a pass: its name, and its options where it prints them.
template <class P>
std::string text_of(const P& p) {
  if constexpr (prints_itself<P>)
    return p.text();
  else
    return std::string(std::string_view(P::name));
}
/// The same without the parts that are switched off; empty when nothing is left.
template <class P>
std::string text_without(const P& p, stage_names off) {
  if (is_among(off, stage_name(p)))
    return {};
  if constexpr (prints_parts<P>)
    return p.text_without(off);
  else
    return text_of(p);
}
/// `head` and the text of a body in parentheses; empty when nothing is left of the body.
template <class P>
std::string text_around(std::string_view head, const P& body, stage_names off) {
  const std::string inside = text_without(body, off);
  return inside.empty() ? inside : std::string(head) + "(" + inside + ")";
}

/// What constant evaluation finds out about a sequence of passes.
template <class... Ps>
struct proof_facts {
  static constexpr std::array<pass_facts, sizeof...(Ps)> facts{facts_of<Ps>...};
  static constexpr pipeline_prover make() {
    pipeline_prover p;
    p.steps(facts);
    return p;
  }
  static constexpr pipeline_prover open = make();
  static constexpr pipeline_sentence sentence = explain(open.verdict(), facts);
  static constexpr pipeline_prover::summary summary = open.summarize();
};
template <class... Ps>
struct proof : proof_facts<Ps...> {
  static constexpr bool legal = tell<proof_facts<Ps...>>::legal;
};

/// The same over a graph of a known dialect.
template <class D, class... Ps>
struct proof_on_facts {
  static constexpr pipeline_prover make() {
    pipeline_prover p(info_of_dialect<D>);
    p.steps(proof_facts<Ps...>::facts);
    return p;
  }
  static constexpr pipeline_prover closed = make();
  static constexpr pipeline_sentence sentence = explain(closed.verdict(), proof_facts<Ps...>::facts);
};
template <class D, class... Ps>
struct proof_on {
  static constexpr bool legal = tell<proof_on_facts<D, Ps...>>::legal;
};

/// The dialect tag that the passes give, from left to right: the last that says one.
template <class D, class... Ps>
struct given_dialect {
  using type = D;
};
template <class D, class P, class... Ps>
struct given_dialect<D, P, Ps...>
    : given_dialect<std::conditional_t<std::same_as<typename P::gives, same_dialect>, D, typename P::gives>,
                    Ps...> {};

} // namespace detail

/// Passes in sequence. A pass itself: it nests, and flattens where it is joined by `|`.
template <pass_type... Ps>
class pipeline : public pass, detail::stage_store<std::index_sequence_for<Ps...>, Ps...> {
  using store = detail::stage_store<std::index_sequence_for<Ps...>, Ps...>;
  using proof = detail::proof<Ps...>;
  static_assert(proof::legal);

public:
  using composite_tag = void;
  static constexpr std::string_view name = "pipeline";
  using gives = typename detail::given_dialect<same_dialect, Ps...>::type;

  static constexpr std::size_t num_stages = sizeof...(Ps);
  /// The contracts of the stages, in order.
  static constexpr const std::array<pass_facts, num_stages>& stages = proof::facts;
  /// The pass at position `I`.
  template <std::size_t I>
  using stage_t = decltype(detail::stage_type<I>(std::declval<const store&>()));
  /// The dialect that the whole gives back, given a graph of dialect `D`.
  template <dialect D>
  using dialect_after = std::conditional_t<std::same_as<gives, same_dialect>, D, gives>;
  /// Whether a property is known to hold afterwards.
  template <graph_property P>
  static constexpr bool establishes_property = proof::open.holds(info_of_property<P>);
  /// Whether a graph of dialect `D`, of which nothing else is known, may be given.
  template <dialect D>
  static constexpr bool runs_on_dialect = [] {
    pipeline_prover p(info_of_dialect<D>);
    return p.steps(proof::facts);
  }();

  static constexpr pass_facts computed_facts() {
    return detail::facts_of_summary(name, proof::open, proof::summary);
  }

  constexpr pipeline() = default;
  constexpr explicit(sizeof...(Ps) == 1) pipeline(Ps... ps) requires(sizeof...(Ps) != 0)
      : store(static_cast<Ps&&>(ps)...) {}

  template <std::size_t I>
  constexpr const stage_t<I>& stage() const noexcept {
    return detail::stage_of<I>(static_cast<const store&>(*this));
  }

  /// Runs on something whose dialect the compiler knows, in place. Instruments watch in the order given.
  /// Gives the sum of what the passes did; throws what a pass throws, with the stage named. After a throw the
  /// graph is sound only if the pass left it sound.
  template <pipeline_runs_on U, instrument_type... Is>
  constexpr pass_result run(U& unit, Is&&... is) const {
    pass_context c;
    return run(unit, c, is...);
  }
  template <pipeline_runs_on U, instrument_type... Is>
  constexpr pass_result run(U& unit, pass_context& c, Is&&... is) const {
    using D = typename pipeline_unit<U>::dialect_type;
    static_assert(
        std::same_as<D, dialect_after<D>>,
        "espalier: run(graph) requires a pipeline that gives back the dialect it takes; write `auto "
        "lowered = pipeline(std::move(graph));` instead");
    check<D>();
    c.set_dialect(&info_of_dialect<D>);
    return start(unit, c, is...);
  }

  /// Takes a graph or a program and gives it back, in the dialect that the passes lead to. The passes run
  /// where it is, so that instruments that were given it see the same object.
  template <class U, instrument_type... Is>
  requires(!std::is_lvalue_reference_v<U> && pipeline_runs_on<U>) auto operator()(U&& unit,
                                                                                  Is&&... is) const {
    using D = typename pipeline_unit<U>::dialect_type;
    check<D>();
    pass_context c;
    c.set_dialect(&info_of_dialect<D>);
    start(unit, c, is...);
    return pipeline_unit<U>::template retag<dialect_after<D>>(static_cast<U&&>(unit));
  }

  /// Runs on a graph whose dialect only run time knows; the proof is made now. Throws `error` (usage) when
  /// the pipeline is not legal on it.
  template <instrument_type... Is>
  pass_result run_dynamic(graph_storage& g, const dialect_info& d, pass_context& c, Is&&... is) const {
    pipeline_prover p(d);
    if (!p.steps(stages))
      fail(error_kind::usage, std::string(explain(p.verdict(), stages).view()), text(), {});
    c.set_dialect(&d);
    return start(g, c, is...);
  }

  /// For pipelines around this one.
  template <class U, class... Is>
  constexpr pass_result run_parts(U& unit, pass_context& c, std::size_t depth, Is&... is) const {
    return run_all(std::index_sequence_for<Ps...>{}, unit, c, depth, is...);
  }
  /// For passes around this one: what is left of it.
  template <class = when_used>
  void add_live(detail::live_facts& out) const {
    add_all(std::index_sequence_for<Ps...>{}, out);
  }

  /// The stages as they are written, from position `first` on: `dce | cse`.
  std::string text(std::size_t first = 0) const { return text_without({}, first); }
  /// The same without the stages, and the parts of stages, that are switched off.
  std::string text_without(span<const std::string_view> off, std::size_t first = 0) const {
    return text_all(std::index_sequence_for<Ps...>{}, off, first);
  }

private:
  template <class = when_used>
  ESPALIER_COLD void check_disabled(const pass_context& c) const {
    detail::check_disabled(*this, stages, c, text());
  }
  template <std::size_t... I>
  void add_all(std::index_sequence<I...>, detail::live_facts& out) const {
    (out.add(this->template stage<I>()), ...);
  }

  template <class D>
  static constexpr void check() {
    if constexpr (proof::legal)
      static_assert(detail::proof_on<D, Ps...>::legal);
  }

  template <class U, class... Is>
  constexpr pass_result start(U& unit, pass_context& c, Is&... is) const {
    if (!c.disabled().empty())
      check_disabled(c);
    return detail::run_named(
        unit, c, [&] { return run_parts(unit, c, 0, is...); },
        [&] {
          if constexpr (requires { pipeline_unit<U>::work; })
            return std::string(std::string_view(pipeline_unit<U>::work));
          else
            return text();
        },
        is...);
  }

  template <std::size_t... I, class U, class... Is>
  constexpr pass_result run_all(std::index_sequence<I...>, U& unit, pass_context& c, std::size_t depth,
                                Is&... is) const {
    pass_result sum;
    ((sum += detail::run_stage(this->template stage<I>(), unit, c, I, depth, is...)), ...);
    return sum;
  }

  template <std::size_t... I>
  std::string text_all(std::index_sequence<I...>, span<const std::string_view> off, std::size_t first) const {
    std::string out;
    const auto add = [&](const std::string& part) {
      out += (out.empty() || part.empty() ? "" : " | ") + part;
    };
    ((I < first ? void() : add(detail::text_without(this->template stage<I>(), off))), ...);
    return out;
  }
};

template <class... Ps>
pipeline(Ps...) -> pipeline<Ps...>;

namespace detail {

template <class P>
constexpr pipeline<P> as_pipeline(P p) {
  return pipeline<P>(static_cast<P&&>(p));
}
template <class... Ps>
constexpr pipeline<Ps...> as_pipeline(pipeline<Ps...> p) {
  return p;
}

template <class... As, std::size_t... I, class... Bs, std::size_t... J>
constexpr pipeline<As..., Bs...> join(const pipeline<As...>& a, std::index_sequence<I...>,
                                      const pipeline<Bs...>& b, std::index_sequence<J...>) {
  return pipeline<As..., Bs...>(a.template stage<I>()..., b.template stage<J>()...);
}
template <class... As, class... Bs>
constexpr auto join(const pipeline<As...>& a, const pipeline<Bs...>& b) {
  return join(a, std::index_sequence_for<As...>{}, b, std::index_sequence_for<Bs...>{});
}

} // namespace detail

/// First `a`, then `b`. Associative: the type is flat.
template <pass_type A, pass_type B>
constexpr auto operator|(A a, B b) {
  return detail::join(detail::as_pipeline(static_cast<A&&>(a)), detail::as_pipeline(static_cast<B&&>(b)));
}
/// Says why a pass and something else do not compose.
template <class A, class B>
requires(pass_type<A> != pass_type<B>) constexpr pipeline<> operator|(const A&, const B&) {
  static_assert(
      pass_type<A> && pass_type<B>,
      "espalier: a | b requires two passes, and one of these is none (its operands name it); derive it "
      "from es::pass and give it a `static constexpr std::string_view name`");
  return {};
}

} // namespace espalier
