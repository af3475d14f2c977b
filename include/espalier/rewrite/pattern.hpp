// SPDX-License-Identifier: BSL-1.0
// Patterns: expressions over operator types. A pattern is a literal type, checked against the operators'
// schemas where it is written: arity, names, kinds, result counts. What it leaves out must have its default
// in the graph, so that `pattern<aten::add_Tensor>(x, y)` does not match an addition with another alpha.
#pragma once

#include <espalier/ir/build_check.hpp>
#include <espalier/ir/view.hpp>
#include <espalier/schema/op_traits.hpp>
#include <espalier/support/fixed_string.hpp>

#include <array>
#include <concepts>
#include <cstddef>
#include <string_view>
#include <type_traits>
#include <utility>

namespace espalier {

/// The base of pattern expressions.
struct pattern_expression {};
/// A pattern expression.
template <class P>
concept pattern_type = std::derived_from<P, pattern_expression>;

/// Matches every argument, given or not, and keeps nothing.
struct anything_t : pattern_expression {};
inline constexpr anything_t anything{}; ///< the one `anything_t`

/// Matches a value (a tensor, a number that a node computes) and keeps it under a name. A name that comes
/// twice must be the same value both times.
template <fixed_string Name>
struct capture_t : pattern_expression {
  static constexpr auto name_text = Name;
  static constexpr std::string_view name = name_text.view();
};
/// `capture<"x">`.
template <fixed_string Name>
inline constexpr capture_t<Name> capture{};

/// Matches an argument that is no value (a number, a list, None, or left out) and keeps it under a name.
template <fixed_string Name>
struct constant_t : pattern_expression {
  static constexpr auto name_text = Name;
  static constexpr std::string_view name = name_text.view();
};
/// `constant<"dim">`.
template <fixed_string Name>
inline constexpr constant_t<Name> constant{};

/// Matches what has this very value: what a pattern makes of `2`, `1.5`, `true`, `ints(0, 1)`,
/// `std::nullopt`. Numbers are compared as numbers.
template <class T>
struct literal_t : pattern_expression {
  T value;
  constexpr explicit literal_t(T v) : value(static_cast<T&&>(v)) {}
};

namespace detail {

template <std::size_t I, class T>
struct pattern_part {
  T part;
};
template <class Indexes, class... Ts>
struct pattern_parts;
template <std::size_t... Is, class... Ts>
struct pattern_parts<std::index_sequence<Is...>, Ts...> : pattern_part<Is, Ts>... {
  constexpr explicit pattern_parts(Ts... ts) : pattern_part<Is, Ts>{static_cast<Ts&&>(ts)}... {}
};
template <std::size_t I, class T>
constexpr const T& part(const pattern_part<I, T>& p) noexcept {
  return p.part;
}
template <class... Ts>
using pattern_list = pattern_parts<std::index_sequence_for<Ts...>, Ts...>;

/// What a pattern makes of an argument written into it.
template <class T>
constexpr auto as_pattern(const T& x) {
  if constexpr (pattern_type<T>)
    return x;
  else if constexpr (int_like<T>)
    return literal_t<std::int64_t>(x);
  else if constexpr (std::floating_point<T>)
    return literal_t<double>(x);
  else if constexpr (text_like<T>)
    return literal_t<std::string_view>(x);
  else
    return literal_t<T>(x);
}
template <fixed_string N, class T>
constexpr auto as_pattern(const named_argument<N, T>& a) {
  using P = decltype(as_pattern(a.given));
  return named_argument<N, P>{as_pattern(a.given)};
}
template <class T>
using as_pattern_t = decltype(as_pattern(std::declval<const T&>()));

template <class T>
struct literal_value {
  using type = void;
};
template <class T>
struct literal_value<literal_t<T>> {
  using type = T;
};

/// Whether a pattern can ever match an argument of that type in a schema.
template <class P>
constexpr bool pattern_fits(arg_type t) {
  if constexpr (!std::is_void_v<typename literal_value<P>::type>)
    return accepts<typename literal_value<P>::type>(t);
  else if constexpr (requires { P::expects_list; })
    return t.list_depth != 0;
  else if constexpr (requires { P::expects_value; })
    return t.list_depth == 0 && scalar_accepts<value>(t.kind);
  else
    return true;
}

/// The template arguments are what the compiler prints beside the sentence.
template <class Op, std::size_t Index, class Pattern>
constexpr bool check_pattern_argument() {
  constexpr bool ok =
      Index < op_traits<Op>::arity &&
      pattern_fits<Pattern>(op_traits<Op>::schema.args[Index < op_traits<Op>::arity ? Index : 0].type);
  static_assert(ok,
                "espalier: pattern<Op>(...): an argument can never match: it has the wrong kind for the "
                "operator's schema (check_pattern_argument<Op, argument index, pattern> names it); write a "
                "pattern of a value for a Tensor, a literal of the right kind, or es::anything");
  return ok;
}

/// Which of the patterns given is for argument `Index`; `sizeof...(A)` when none is.
template <class Op, class... A>
constexpr std::size_t pattern_for(std::size_t index) {
  std::size_t at = 0, found = sizeof...(A), positional = 0;
  ((is_named<A> ? (void)(named_index<A>::template of<Op>() == index ? found = at : 0)
                : (void)(positional++ == index ? found = at : 0),
    ++at),
   ...);
  return found;
}

template <class Op, class... A>
constexpr bool check_pattern() {
  constexpr std::size_t positional = (std::size_t{0} + ... + std::size_t(!is_named<A>));
  constexpr bool few = positional <= op_traits<Op>::arity;
  static_assert(few, "espalier: pattern<Op>(...): more arguments than the operator's schema has; drop some");
  constexpr bool order = [] {
    bool seen = false, good = true;
    ((is_named<A> ? (seen = true) : (good = good && !seen)), ...);
    return good;
  }();
  static_assert(order,
                "espalier: pattern<Op>(...): a positional argument follows a named one; put named ones last");
  if constexpr (few && order) {
    constexpr bool known =
        ((!is_named<A> || named_index<A>::template of<Op>() < op_traits<Op>::arity) && ...);
    if constexpr (known) {
      constexpr bool complete = [] {
        for (std::size_t i = 0; i != op_traits<Op>::arity; ++i)
          if (pattern_for<Op, A...>(i) == sizeof...(A) && !op_traits<Op>::schema.args[i].has_default)
            return false;
        return true;
      }();
      static_assert(complete,
                    "espalier: pattern<Op>(...): an argument without a default is left out; the "
                    "operator's schema_str lists them; write es::anything for one that may be anything");
      return complete&&[]<std::size_t... I>(std::index_sequence<I...>) {
        return (check_pattern_argument < Op, is_named<A> ? named_index<A>::template of<Op>() : I,
                typename given_type<A>::type > () && ...);
      }
      (std::index_sequence_for<A...>{});
    }
  }
  return false;
}

} // namespace detail

/// How a call pattern is to be read.
struct call_pattern_options {
  bool commutative = false; ///< the first two arguments may be swapped
  bool one_use = false;     ///< nobody else uses the result
  std::size_t result = 0;   ///< which result the pattern around it uses
};

/// A call of `Op` with arguments that match `Args`.
template <op_type Op, call_pattern_options Options, class... Args>
struct call_pattern : pattern_expression {
  static constexpr bool expects_value = true;
  using op = Op;
  static constexpr call_pattern_options options = Options;
  detail::pattern_list<Args...> args;

  constexpr explicit call_pattern(detail::pattern_list<Args...> a) : args(static_cast<decltype(a)&&>(a)) {}

  /// The same with the first two arguments in either order.
  constexpr auto commutative() const {
    static_assert(sizeof...(Args) >= 2,
                  "espalier: pattern<Op>(...).commutative() requires two arguments to swap");
    constexpr call_pattern_options o{true, Options.one_use, Options.result};
    return call_pattern<Op, o, Args...>(args);
  }
  /// The same, and nothing but the pattern around it uses the result.
  constexpr auto one_use() const {
    constexpr call_pattern_options o{Options.commutative, true, Options.result};
    return call_pattern<Op, o, Args...>(args);
  }
  /// The same, used through its result `I`: `pattern<aten::max_dim>(x, dim).result<1>()`.
  template <std::size_t I>
  constexpr auto result() const {
    static_assert(I < op_traits<Op>::num_returns,
                  "espalier: pattern<Op>(...).result<I>() requires a result that the operator has");
    constexpr call_pattern_options o{Options.commutative, Options.one_use, I};
    return call_pattern<Op, o, Args...>(args);
  }
};

/// A call of `Op`: arguments in schema order, the rest by name (`kw<"alpha">(2)`). An argument is a pattern,
/// or a constant that must be there as it is written; one left out must have its default.
template <op_type Op, class... Args>
constexpr auto pattern(const Args&... args) {
  using P = call_pattern<Op, call_pattern_options{}, detail::as_pattern_t<Args>...>;
  (void)detail::check_pattern<Op, detail::as_pattern_t<Args>...>(); // says its own sentences
  return P(detail::pattern_list<detail::as_pattern_t<Args>...>(detail::as_pattern(args)...));
}

/// A list argument with exactly these elements: `pattern<aten::cat>(list(x, y))`.
template <class... Ps>
struct list_pattern : pattern_expression {
  static constexpr bool expects_list = true;
  detail::pattern_list<Ps...> items;
  constexpr explicit list_pattern(Ps... ps) : items(static_cast<Ps&&>(ps)...) {}
};
/// `list(x, y)`.
template <class... Ps>
constexpr auto list(const Ps&... ps) {
  return list_pattern<detail::as_pattern_t<Ps>...>(detail::as_pattern(ps)...);
}

/// The first pattern, or else the second.
template <pattern_type P, pattern_type Q>
struct either_pattern : pattern_expression {
  P first;
  Q second;
  constexpr either_pattern(P p, Q q) : first(static_cast<P&&>(p)), second(static_cast<Q&&>(q)) {}
};
/// `either(pattern<relu>(x), x)`.
template <pattern_type P, pattern_type Q>
constexpr either_pattern<P, Q> either(P p, Q q) {
  return {static_cast<P&&>(p), static_cast<Q&&>(q)};
}
/// A pattern that a call of `Op` may or may not stand around: `maybe<aten::relu>(x)`.
template <op_type Op, pattern_type P>
constexpr auto maybe(P p) {
  return either(pattern<Op>(p), p);
}

/// A pattern whose value is kept under a name as well.
template <fixed_string Name, pattern_type P>
struct named_pattern : pattern_expression {
  static constexpr bool expects_value = true;
  static constexpr auto name_text = Name;
  static constexpr std::string_view name = name_text.view();
  P inner;
  constexpr explicit named_pattern(P p) : inner(static_cast<P&&>(p)) {}
};
/// `as<"product">(pattern<mm>(x, y))`.
template <fixed_string Name, pattern_type P>
constexpr named_pattern<Name, P> as(P p) {
  return named_pattern<Name, P>(static_cast<P&&>(p));
}

/// A pattern with a condition on what it matched: a predicate on `value`, or on `arg_view` for constants.
template <pattern_type P, class Predicate>
struct where_pattern : pattern_expression {
  static_assert(
      std::predicate<const Predicate&, value> || std::predicate<const Predicate&, arg_view>,
      "espalier: where(pattern, predicate) requires a predicate on an es::value or an es::arg_view");
  P inner;
  [[no_unique_address]] Predicate predicate;
  constexpr where_pattern(P p, Predicate q)
      : inner(static_cast<P&&>(p)), predicate(static_cast<Predicate&&>(q)) {}
};
/// `where(x, [](es::value v) { ... })`.
template <pattern_type P, class Predicate>
constexpr where_pattern<P, Predicate> where(P p, Predicate q) {
  return {static_cast<P&&>(p), static_cast<Predicate&&>(q)};
}

} // namespace espalier
