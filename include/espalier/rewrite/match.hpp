// SPDX-License-Identifier: BSL-1.0
// Matching: a pattern against a node, by functions that the pattern's type writes. Where a pattern leaves a
// choice (operands in either order, alternatives), matching starts over with the next choice, so that a later
// part of the pattern may refute an earlier choice. The same functions, compiled a second time, tell why a
// pattern did not match.
#pragma once

#include <espalier/rewrite/pattern.hpp>
#include <espalier/schema/builtin.hpp>
#include <espalier/schema/default_value.hpp>
#include <espalier/support/optional.hpp>
#include <espalier/support/span.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace espalier {

namespace detail {

/// How many names, calls and choices one pattern may have.
inline constexpr std::size_t max_captures = 16, max_matched_calls = 16, max_choices = 16;

/// What a name stands for: a value, or an argument slot.
struct bound {
  bool set = false;
  value_id value{};
  node_id user{};
  slot_id slot{};
};

/// The furthest that matching came, and what stopped it there.
struct match_trace {
  std::size_t reached = 0;
  bool any = false;
  node_id at{};
  std::string reason;
};

/// Where a matching stands. As large as its pattern asks for: one is made for every rule that is tried.
template <std::size_t Names, std::size_t Calls, std::size_t Choices>
struct match_state {
  const graph_storage* g = nullptr;
  bound names[Names == 0 ? 1 : Names]{};
  node_id calls[Calls == 0 ? 1 : Calls]{};
  std::size_t num_calls = 0;
  std::uint8_t choice[Choices == 0 ? 1 : Choices]{}, radix[Choices == 0 ? 1 : Choices]{};
  std::size_t used = 0, planned = 0;
  std::size_t progress = 0; // conditions that held so far
  match_trace* trace = nullptr;

  constexpr std::uint8_t choose(std::uint8_t n) noexcept {
    if (used == planned) {
      choice[planned] = 0;
      radix[planned++] = n;
    }
    return choice[used++];
  }
  constexpr void start_over() noexcept {
    for (auto& b : names)
      b.set = false;
    num_calls = used = progress = 0;
  }
  /// The next way through the choices that were made; false when there is none.
  constexpr bool next_choice() noexcept {
    planned = used;
    while (planned && choice[planned - 1] + 1 == radix[planned - 1])
      --planned;
    if (!planned)
      return false;
    ++choice[planned - 1];
    return true;
  }
};

// --- the names of a pattern
// ---------------------------------------------------------------------------------------

struct name_set {
  std::string_view at[64]{};
  std::size_t size = 0;
  std::size_t calls = 0, choices = 0;
  constexpr std::size_t find(std::string_view n) const noexcept {
    std::size_t i = 0;
    while (i != size && at[i] != n)
      ++i;
    return i;
  }
  constexpr void add(std::string_view n) {
    if (find(n) == size)
      at[size++] = n;
  }
};

template <class P>
struct collect_names {
  static constexpr void into(name_set&) {}
};
template <fixed_string N>
struct collect_names<capture_t<N>> {
  static constexpr void into(name_set& s) { s.add(capture_t<N>::name); }
};
template <fixed_string N>
struct collect_names<constant_t<N>> {
  static constexpr void into(name_set& s) { s.add(constant_t<N>::name); }
};
template <fixed_string N, class P>
struct collect_names<named_argument<N, P>> : collect_names<P> {};
template <class Op, call_pattern_options O, class... A>
struct collect_names<call_pattern<Op, O, A...>> {
  static constexpr void into(name_set& s) {
    ++s.calls;
    s.choices += O.commutative;
    (collect_names<A>::into(s), ...);
  }
};
template <class... P>
struct collect_names<list_pattern<P...>> {
  static constexpr void into(name_set& s) { (collect_names<P>::into(s), ...); }
};
template <class P, class Q>
struct collect_names<either_pattern<P, Q>> {
  static constexpr void into(name_set& s) {
    ++s.choices;
    collect_names<P>::into(s);
    collect_names<Q>::into(s);
  }
};
template <fixed_string N, class P>
struct collect_names<named_pattern<N, P>> {
  static constexpr void into(name_set& s) {
    s.add(named_pattern<N, P>::name);
    collect_names<P>::into(s);
  }
};
template <class P, class F>
struct collect_names<where_pattern<P, F>> : collect_names<P> {};

template <class Root>
inline constexpr name_set names_of = [] {
  name_set s;
  collect_names<Root>::into(s);
  return s;
}();

template <class Root>
using match_state_of = match_state<names_of<Root>.size, names_of<Root>.calls, names_of<Root>.choices>;

// --- constants
// ------------------------------------------------------------------------------------------------------

constexpr bool is_number(arg_form f) noexcept { return f == arg_form::integer || f == arg_form::floating; }
constexpr double number(const arg_view& a) { return a.as_double(); }

/// Whether an argument is the value of a default, given or left out.
constexpr bool equals_item(const arg_view& a, const default_item& d) {
  switch (d.kind) {
  case default_kind::none:
    return a.form() == arg_form::none;
  case default_kind::boolean:
    return a.form() == arg_form::boolean && a.as_bool() == d.boolean;
  case default_kind::integer:
    return is_number(a.form()) && number(a) == static_cast<double>(d.integer);
  case default_kind::floating:
    return is_number(a.form()) && number(a) == d.floating;
  case default_kind::string:
    return a.form() == arg_form::string && a.as_string() == d.text;
  case default_kind::word:
    return a.form() == arg_form::memory_format && to_string(a.as_memory_format()) == d.text;
  case default_kind::list:
  case default_kind::unreadable:
    break;
  }
  return false;
}
constexpr bool is_default(const arg_view& a, const default_value& d) {
  if (a.form() == arg_form::absent)
    return true;
  if (a.form() == arg_form::list && d.kind != default_kind::list) { // `int[2] stride=1`
    for (std::size_t i = 0; i != a.size(); ++i)
      if (!equals_item(a[i], d))
        return false;
    return a.size() != 0;
  }
  if (d.kind != default_kind::list)
    return equals_item(a, d);
  if (a.form() != arg_form::list || a.size() != d.items.size())
    return false;
  for (std::size_t i = 0; i != a.size(); ++i)
    if (!equals_item(a[i], d.items[i]))
      return false;
  return true;
}

template <class Op, std::size_t I>
inline constexpr default_value default_of = parse_default(op_traits<Op>::schema.args[I]);

template <class T>
constexpr bool equals_literal(const arg_view& a, const T& x) {
  if constexpr (std::same_as<T, std::nullopt_t>)
    return a.form() == arg_form::none || a.form() == arg_form::absent;
  else if constexpr (std::same_as<T, bool>)
    return a.form() == arg_form::boolean && a.as_bool() == x;
  else if constexpr (std::same_as<T, std::int64_t>)
    return a.form() == arg_form::integer
               ? a.as_int() == x
               : a.form() == arg_form::floating && a.as_double() == static_cast<double>(x);
  else if constexpr (std::same_as<T, double>)
    return is_number(a.form()) && number(a) == x;
  else if constexpr (std::same_as<T, sym_int>)
    return (a.form() == arg_form::integer || a.form() == arg_form::symbolic) && a.as_sym_int() == x;
  else if constexpr (std::same_as<T, std::string_view>)
    return a.form() == arg_form::string && a.as_string() == x;
  else if constexpr (std::same_as<T, scalar_type>)
    return a.form() == arg_form::scalar_type && a.as_dtype() == x;
  else if constexpr (std::same_as<T, layout>)
    return a.form() == arg_form::layout && a.as_layout() == x;
  else if constexpr (std::same_as<T, memory_format>)
    return a.form() == arg_form::memory_format && a.as_memory_format() == x;
  else if constexpr (list_like<T>) {
    if (a.form() != arg_form::list)
      return false;
    std::size_t i = 0;
    for (const auto& e : x)
      if (i == a.size() || !equals_literal(a[i++], e))
        return false;
    return i == a.size();
  } else
    return false;
}

// --- the engine
// -----------------------------------------------------------------------------------------------------

template <class Root, bool Explain>
struct matcher {
  using state = match_state_of<Root>;
  static constexpr const name_set& names = names_of<Root>;
  static_assert(names.size <= max_captures, "espalier: a pattern requires at most 16 names; split it");
  static_assert(names.calls <= max_matched_calls, "espalier: a pattern requires at most 16 calls; split it");
  static_assert(names.choices <= max_choices, "espalier: a pattern requires at most 16 choices; split it");

  template <class Why>
  static constexpr bool miss([[maybe_unused]] state& s, [[maybe_unused]] node_id at,
                             [[maybe_unused]] Why&& why) {
    if constexpr (Explain)
      if (!s.trace->any || s.progress > s.trace->reached)
        *s.trace = {s.progress, true, at, why()};
    return false;
  }
  static constexpr bool hit([[maybe_unused]] state& s) {
    if constexpr (Explain)
      ++s.progress;
    return true;
  }
  static std::string node_text(const graph_storage& g, node_id n) {
    const auto name = g.text(g.node_name(n));
    return name.empty() ? "node #" + std::to_string(n.index) : "'" + std::string(name) + "'";
  }

  // an argument of `user`; `slot` is invalid when it was left out
  static constexpr bool arg(const anything_t&, state&, node_id, slot_id) { return true; }

  template <fixed_string N>
  static constexpr bool arg(const capture_t<N>&, state& s, node_id user, slot_id slot) {
    if (!slot.valid() || !s.g->slot(slot).is_use())
      return miss(s, user, [] { return "'" + std::string(N.view()) + "' must be a value"; });
    return bind_value<names.find(capture_t<N>::name)>(s, value_id{s.g->slot(slot).w0}, user, N.view());
  }
  template <std::size_t I>
  static constexpr bool bind_value(state& s, value_id v, node_id user, std::string_view name) {
    bound& b = s.names[I];
    if (b.set && b.value != v)
      return miss(s, user, [&] {
        return "'" + std::string(name) + "' stands for two values, '" +
               std::string(s.g->text(s.g->value_name(b.value))) + "' and '" +
               std::string(s.g->text(s.g->value_name(v))) + "'";
      });
    b = {true, v, {}, {}};
    return hit(s);
  }

  template <fixed_string N>
  static constexpr bool arg(const constant_t<N>&, state& s, node_id user, slot_id slot) {
    if (slot.valid() && s.g->slot(slot).is_use())
      return miss(s, user,
                  [] { return "'" + std::string(N.view()) + "' must be a constant, and is a value"; });
    constexpr std::size_t at = names.find(constant_t<N>::name);
    bound& b = s.names[at];
    if (b.set) {
      const auto same = [&](slot_id x, slot_id y) {
        if (!x.valid() || !y.valid())
          return x == y;
        const auto& p = s.g->slot(x);
        const auto& q = s.g->slot(y);
        return p.w0 == q.w0 && p.w1 == q.w1 && p.w2 == q.w2 && p.w3 == q.w3;
      };
      if (!same(b.slot, slot))
        return miss(s, user, [] { return "'" + std::string(N.view()) + "' stands for two constants"; });
    }
    b = {true, {}, user, slot};
    return hit(s);
  }

  template <class T>
  static constexpr bool arg(const literal_t<T>& p, state& s, node_id user, slot_id slot) {
    if (!equals_literal(arg_view(*s.g, user, slot), p.value))
      return miss(s, user, [] { return std::string("a constant is another one than the pattern's"); });
    return hit(s);
  }

  template <class Op, call_pattern_options O, class... A>
  static constexpr bool arg(const call_pattern<Op, O, A...>& p, state& s, node_id user, slot_id slot) {
    if (!slot.valid() || !s.g->slot(slot).is_use())
      return miss(s, user, [] {
        return "a call of " + serialized_target(id_of<Op>()) + " is wanted, and there is a constant";
      });
    const value_id v{s.g->slot(slot).w0};
    const node_id n = s.g->def(v);
    if (s.g->result_index(v) != O.result)
      return miss(s, n, [&] {
        return "result " + std::to_string(O.result) + " of " + node_text(*s.g, n) + " is wanted";
      });
    return call(p, s, n);
  }

  template <class... P>
  static constexpr bool arg(const list_pattern<P...>& p, state& s, node_id user, slot_id slot) {
    if (!slot.valid() || s.g->slot(slot).form() != arg_form::list)
      return miss(s, user, [] { return std::string("a list is wanted"); });
    const auto [first, count] = s.g->elements(user, slot);
    if (count != sizeof...(P))
      return miss(s, user, [c = count] {
        return "a list of " + std::to_string(sizeof...(P)) + " is wanted, and there is one of " +
               std::to_string(c);
      });
    return [&, f = first ]<std::size_t... I>(std::index_sequence<I...>) {
      return (arg(part<I>(p.items), s, user, slot_id{f.index + static_cast<std::uint32_t>(I)}) && ...);
    }
    (std::index_sequence_for<P...>{});
  }

  template <class P, class Q>
  static constexpr bool arg(const either_pattern<P, Q>& p, state& s, node_id user, slot_id slot) {
    return s.choose(2) == 0 ? arg(p.first, s, user, slot) : arg(p.second, s, user, slot);
  }

  template <fixed_string N, class P>
  static constexpr bool arg(const named_pattern<N, P>& p, state& s, node_id user, slot_id slot) {
    if (!slot.valid() || !s.g->slot(slot).is_use())
      return miss(s, user, [] { return "'" + std::string(N.view()) + "' must be a value"; });
    return arg(p.inner, s, user, slot) &&
           bind_value<names.find(named_pattern<N, P>::name)>(s, value_id{s.g->slot(slot).w0}, user, N.view());
  }

  template <class P, class F>
  static constexpr bool arg(const where_pattern<P, F>& p, state& s, node_id user, slot_id slot) {
    if (!arg(p.inner, s, user, slot))
      return false;
    bool ok = false;
    if constexpr (std::predicate<const F&, value>)
      ok = slot.valid() && s.g->slot(slot).is_use() && p.predicate(value(*s.g, value_id{s.g->slot(slot).w0}));
    else
      ok = p.predicate(arg_view(*s.g, user, slot));
    return ok ? hit(s)
              : miss(s, user, [] { return std::string("a condition on an argument does not hold"); });
  }

  // a call
  template <class Op, call_pattern_options O, class... A>
  static constexpr bool call(const call_pattern<Op, O, A...>& p, state& s, node_id n) {
    if (s.g->kind(n) != node_kind::call_function || s.g->op(n) != id_of<Op>())
      return miss(s, n, [&] {
        return node_text(*s.g, n) + " is " +
               (s.g->kind(n) == node_kind::call_function ? serialized_target(s.g->op(n))
                                                         : std::string(to_string(s.g->kind(n)))) +
               ", and the pattern wants " + serialized_target(id_of<Op>());
      });
    s.calls[s.num_calls++] = n;
    hit(s);
    if constexpr (O.one_use)
      if (!s.g->has_one_use(s.g->result(n, O.result)))
        return miss(s, n, [&] { return node_text(*s.g, n) + " has other uses"; });
    bool swapped = false;
    if constexpr (O.commutative)
      swapped = s.choose(2) == 1;
    return arguments<Op>(p, s, n, swapped, std::make_index_sequence<op_traits<Op>::arity>{});
  }
  template <class Op, class P, std::size_t... I>
  static constexpr bool arguments(const P& p, state& s, node_id n, bool swapped, std::index_sequence<I...>) {
    return (argument<Op, I>(p, s, n, swapped) && ...);
  }
  template <class Op, std::size_t I, call_pattern_options O, class... A>
  static constexpr bool argument(const call_pattern<Op, O, A...>& p, state& s, node_id n,
                                 [[maybe_unused]] bool swapped) {
    std::size_t at = I;
    if constexpr (O.commutative && I < 2)
      at = swapped ? 1 - I : I;
    const slot_id slot = at < s.g->num_args(n) ? s.g->arg_slot(n, at) : slot_id{};
    constexpr std::size_t k = pattern_for<Op, A...>(I);
    if constexpr (k != sizeof...(A)) {
      return arg(pattern_of(part<k>(p.args)), s, n, absent_if_unset(s, slot));
    } else {
      if (!is_default(arg_view(*s.g, n, slot), default_of<Op, I>))
        return miss(s, n, [&] {
          return "argument '" + std::string(op_traits<Op>::schema.args[I].name) + "' of " +
                 node_text(*s.g, n) + " is not its default, " +
                 std::string(op_traits<Op>::schema.args[I].default_text);
        });
      return hit(s);
    }
  }
  static constexpr slot_id absent_if_unset(const state& s, slot_id slot) {
    return slot.valid() && s.g->slot(slot).form() == arg_form::absent ? slot_id{} : slot;
  }
  template <class P>
  static constexpr const P& pattern_of(const P& p) {
    return p;
  }
  template <fixed_string N, class P>
  static constexpr const P& pattern_of(const named_argument<N, P>& p) {
    return p.given;
  }

  static constexpr bool root(const Root& p, state& s, node_id n) {
    do {
      s.start_over();
      if (call(p, s, n))
        return true;
    } while (s.next_choice());
    return false;
  }
};

template <class P>
inline constexpr bool is_call_pattern = false;
template <class Op, call_pattern_options O, class... A>
inline constexpr bool is_call_pattern<call_pattern<Op, O, A...>> = true;

} // namespace detail

/// A pattern that a rewrite can start from: a call.
template <class P>
concept root_pattern = detail::is_call_pattern<P>;

/// What a pattern matched: the values and constants under its names, and the calls.
template <root_pattern P>
class match_of {
public:
  /// Tries a pattern at a node; false when it does not match, and nothing else can be asked then. A driver
  /// tries rules this way: the state of matching is not copied.
  constexpr match_of(const P& p, const graph_storage& g, node_id n) {
    state_.g = &g;
    matched_ = detail::matcher<P, false>::root(p, state_, n);
  }
  constexpr explicit operator bool() const noexcept { return matched_; }

  /// The value under a name, also of a pattern named by `as<"x">`. A name that the pattern does not have does
  /// not compile.
  template <fixed_string N>
  constexpr value operator[](capture_t<N>) const {
    check<N>();
    return value(*state_.g, state_.names[index<N>()].value);
  }
  /// The constant under a name: absent when it was left out.
  template <fixed_string N>
  constexpr arg_view operator[](constant_t<N>) const {
    check<N>();
    const auto& b = state_.names[index<N>()];
    return arg_view(*state_.g, b.user, b.slot);
  }
  /// Whether a name was met: one inside an alternative may not have been.
  template <fixed_string N>
  constexpr bool has(capture_t<N>) const {
    return state_.names[index<N>()].set;
  }
  constexpr node root() const { return node(*state_.g, state_.calls[0]); }
  /// The calls that the pattern covers, the root first.
  constexpr span<const node_id> calls() const noexcept { return {state_.calls, state_.num_calls}; }

private:
  template <fixed_string N>
  static constexpr std::size_t index() {
    constexpr auto i = detail::names_of<P>.find(N.view());
    return i < detail::names_of<P>.size ? i : 0;
  }
  template <fixed_string N>
  static constexpr void check() {
    static_assert(
        detail::names_of<P>.find(N.view()) != detail::names_of<P>.size,
        "espalier: match[capture<NAME>] requires a name that the pattern has; write the name of one of its "
        "captures");
  }
  detail::match_state_of<P> state_;
  bool matched_ = false;
};

/// Matches a pattern at a node.
template <root_pattern P>
constexpr optional<match_of<P>> match_at(const P& p, const graph_storage& g, node_id n) {
  const match_of<P> m(p, g, n);
  return m ? optional(m) : std::nullopt;
}
template <root_pattern P>
constexpr optional<match_of<P>> match_at(const P& p, node n) {
  return match_at(p, n.graph(), n.id());
}

/// Why a pattern did not match.
struct match_report {
  bool matched = false;
  node_id at{};       ///< where the attempt that came furthest failed
  std::string reason; ///< what stopped it there
};

/// Whether a pattern matches at a node, and if not: the node that the furthest attempt failed at, and why.
template <root_pattern P>
match_report explain(const P& p, node n) {
  detail::match_trace trace;
  detail::match_state_of<P> s;
  s.g = &n.graph();
  s.trace = &trace;
  if (detail::matcher<P, true>::root(p, s, n.id()))
    return {true, n.id(), {}};
  return {false, trace.at, std::move(trace.reason)};
}

} // namespace espalier
