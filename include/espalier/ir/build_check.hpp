// SPDX-License-Identifier: BSL-1.0
// The compile-time checks of the typed builder, and the conversion of what a caller writes into arguments.
// Each check is one static_assert with a sentence; after it a harmless result follows, so that the sentence
// is the only error.
#pragma once

#include <espalier/ir/argument.hpp>
#include <espalier/ir/dialect.hpp>
#include <espalier/ir/view.hpp>
#include <espalier/schema/op_traits.hpp>
#include <espalier/support/fixed_string.hpp>
#include <espalier/support/optional.hpp>
#include <espalier/support/span.hpp>
#include <espalier/support/vector.hpp>

#include <array>
#include <concepts>
#include <cstddef>
#include <iterator>
#include <string>
#include <type_traits>
#include <utility>

namespace espalier {

/// An argument by name: `kw<"alpha">(2)`.
template <fixed_string Name, class T>
struct named_argument {
  T given;
};
namespace detail {
template <fixed_string Name>
struct kw_maker {
  template <class T>
  constexpr named_argument<Name, std::decay_t<T>> operator()(T&& x) const {
    return {static_cast<T&&>(x)};
  }
  template <class T>
  constexpr named_argument<Name, vector<T>> operator()(std::initializer_list<T> l) const {
    return {vector<T>(l)};
  }
};
} // namespace detail
/// Makes an argument by name: `kw<"dim">(1)`, `kw<"dtype">(es::scalar_type::f32)`.
template <fixed_string Name>
inline constexpr detail::kw_maker<Name> kw{};

/// A list argument of integers: `g.call<aten::view>(x, es::ints(2, 3))`.
template <class... I>
requires(std::convertible_to<I, sym_int>&&...) constexpr std::array<sym_int, sizeof...(I)> ints(I... i) {
  return {sym_int(i)...};
}

namespace detail {

/// What a refused call returns, so that nothing else fails: it converts to anything.
struct refused {
  template <class T>
  constexpr operator T() const {
    return T{};
  }
};

template <class T>
inline constexpr bool is_named = false;
template <fixed_string N, class T>
inline constexpr bool is_named<named_argument<N, T>> = true;

template <class T>
concept int_like = std::integral<T> && !std::same_as<T, bool>;
template <class T>
concept text_like = std::convertible_to<const T&, std::string_view>;
/// What the iterators of a list point at. (<ranges> would give it a longer name, and the views with it.)
template <class T>
using item_of = std::iter_reference_t<decltype(std::begin(std::declval<const T&>()))>;
template <class T>
concept list_like = !text_like<T> && requires(const T& x) {
  typename item_of<T>;
  std::end(x);
};

/// Whether a schema's argument kind takes a C++ type as a single (non-list) argument. Values may stand for
/// numbers too, since sizes are computed by nodes.
template <class T>
constexpr bool scalar_accepts(arg_kind k) {
  if constexpr (std::same_as<T, argument>)
    return true;
  else if constexpr (std::same_as<T, value> || std::same_as<T, value_id>)
    return k == arg_kind::tensor || k == arg_kind::scalar || k == arg_kind::integer ||
           k == arg_kind::sym_integer || k == arg_kind::floating || k == arg_kind::boolean ||
           k == arg_kind::sym_bool || k == arg_kind::sym_float || k == arg_kind::other;
  else if constexpr (std::same_as<T, bool>)
    return k == arg_kind::boolean || k == arg_kind::scalar || k == arg_kind::sym_bool;
  else if constexpr (int_like<T> || std::same_as<T, sym_int>)
    return k == arg_kind::integer || k == arg_kind::sym_integer || k == arg_kind::scalar ||
           k == arg_kind::floating || k == arg_kind::sym_float;
  else if constexpr (std::floating_point<T>)
    return k == arg_kind::floating || k == arg_kind::scalar || k == arg_kind::sym_float;
  else if constexpr (std::same_as<T, scalar_type>)
    return k == arg_kind::scalar_type;
  else if constexpr (std::same_as<T, layout>)
    return k == arg_kind::layout;
  else if constexpr (std::same_as<T, device>)
    return k == arg_kind::device;
  else if constexpr (std::same_as<T, memory_format>)
    return k == arg_kind::memory_format;
  else if constexpr (text_like<T>)
    return k == arg_kind::string || k == arg_kind::dimname || k == arg_kind::device;
  else
    return false;
}
template <class T>
constexpr bool accepts(arg_type t) {
  if constexpr (std::same_as<T, argument>)
    return true;
  else if constexpr (std::same_as<T, std::nullopt_t>)
    return t.optional;
  else if constexpr (list_like<T>) {
    using E = std::remove_cvref_t<item_of<T>>;
    if (t.list_depth == 0)
      return t.kind == arg_kind::other;
    if constexpr (list_like<E>)
      return t.list_depth > 1;
    else if constexpr (optional_of<E, value>)
      return t.kind == arg_kind::tensor && t.element_optional;
    else
      return scalar_accepts<E>(t.kind);
  } else if (t.list_depth == 1 && t.fixed_size > 0)
    return scalar_accepts<T>(t.kind); // `int[2] kernel_size = 3` is [3, 3]
  else
    return t.list_depth == 0 && scalar_accepts<T>(t.kind);
}

template <class Op>
constexpr std::size_t positional_arity() {
  std::size_t n = 0;
  for (auto& a : op_traits<Op>::schema.args)
    n += !a.kwarg_only;
  return n;
}

template <class T>
struct named_index {
  template <class Op>
  static constexpr std::size_t of() {
    return static_cast<std::size_t>(-1);
  }
};
template <fixed_string N, class T>
struct named_index<named_argument<N, T>> {
  template <class Op>
  static constexpr std::size_t of() {
    return op_traits<Op>::template index_of<N>;
  }
};

/// One argument against the schema. The operator, the argument's index and the type given are in the template
/// arguments that the compiler prints beside the sentence.
template <class Op, std::size_t Index, class Given>
constexpr bool check_kind() {
  constexpr bool ok =
      Index < op_traits<Op>::arity &&
      accepts<Given>(op_traits<Op>::schema.args[Index < op_traits<Op>::arity ? Index : 0].type);
  static_assert(ok, "espalier: graph::call<Op>(...): an argument has the wrong kind for the operator's "
                    "schema (check_kind<Op, argument index, "
                    "type given> names it); pass a value for a Tensor, a number for a Scalar, a list for a "
                    "list, std::nullopt only for an optional");
  return ok;
}

/// A name of a schema, so that the compiler prints it.
template <class Op, std::size_t Index>
consteval auto argument_name() {
  constexpr std::string_view name = op_traits<Op>::schema.args[Index].name;
  char text[name.size() + 1]{};
  for (std::size_t i = 0; i != name.size(); ++i)
    text[i] = name[i];
  return fixed_string(text);
}
/// Says that a required argument is missing, unless `Name` is empty.
template <class Op, fixed_string Name>
struct missing_argument {
  static constexpr bool none = Name.size() == 0;
  static_assert(none, "espalier: graph::call<Op>(...): a required argument is missing (missing_argument<Op, "
                      "NAME> names the first); give it, by position or by name: es::kw<\"NAME\">(x)");
};

template <class Op, std::size_t I, class A>
constexpr bool check_one();

template <class Op, class... A>
constexpr bool check_arguments() {
  constexpr std::size_t positional = (std::size_t{0} + ... + std::size_t(!is_named<A>));
  constexpr bool few = positional <= positional_arity<Op>();
  static_assert(few,
                "espalier: graph::call<Op>(...): too many positional arguments for the operator's schema; "
                "drop some, or pass keyword-only ones by name: es::kw<\"alpha\">(2)");
  constexpr bool order = [] {
    bool seen = false, good = true;
    ((is_named<A> ? (seen = true) : (good = good && !seen)), ...);
    return good;
  }();
  static_assert(
      order,
      "espalier: graph::call<Op>(...): a positional argument follows a named one; put named arguments last");
  if constexpr (few && order) {
    constexpr std::size_t n = op_traits<Op>::arity;
    constexpr auto given = [] {
      std::array<int, n + 1> g{};
      for (std::size_t i = 0; i != positional; ++i)
        ++g[i];
      (void)((is_named<A>
                  ? (void)++g[named_index<A>::template of<Op>() < n ? named_index<A>::template of<Op>() : n]
                  : (void)0),
             ...);
      return g;
    }();
    constexpr bool once = [&] {
      for (std::size_t i = 0; i != n; ++i)
        if (given[i] > 1)
          return false;
      return true;
    }();
    static_assert(once, "espalier: graph::call<Op>(...): an argument is given twice, by position and by "
                        "name; drop one of them");
    constexpr bool known = given[n] == 0; // an unknown name has had its own sentence from op_traits
    constexpr std::size_t missing = [&] {
      std::size_t i = 0;
      while (i != n && (given[i] || op_traits<Op>::schema.args[i].has_default))
        ++i;
      return i;
    }();
    if constexpr (known && missing != n) {
      return missing_argument<Op, argument_name<Op, missing>()>::none;
    } else if constexpr (once && known) {
      return [&]<std::size_t... I>(std::index_sequence<I...>) { return (check_one<Op, I, A>() && ...); }
      (std::index_sequence_for<A...>{});
    }
  }
  return false;
}

template <class A>
struct given_type {
  using type = A;
};
template <fixed_string N, class T>
struct given_type<named_argument<N, T>> {
  using type = T;
};

template <class Op, std::size_t I, class A>
constexpr bool check_one() {
  if constexpr (is_named<A>)
    return check_kind<Op, named_index<A>::template of<Op>(), typename given_type<A>::type>();
  else
    return check_kind<Op, I, A>();
}

/// Asks each rule of the dialect, which says its own sentence when it has one.
template <class D, class Op>
constexpr void check_permitted() {
  constexpr bool mutation_ok =
      D::rule_list::refuses(op_flags{
          .mutates = op_traits<Op>::is_mutable, .core = true, .known_schema = true}) != no_mutation::sentence;
  static_assert(mutation_ok,
                "espalier: graph<Dialect>::call<Op>: the operator mutates an argument, but the dialect is "
                "functional; use the "
                "functional overload (add_Tensor for add__Tensor), or build the graph in es::training_ir");
  if constexpr (mutation_ok) {
    constexpr bool rest_ok = D::rule_list::refuses(op_traits<Op>::flags).empty();
    static_assert(rest_ok, "espalier: graph<Dialect>::call<Op>: a rule of the dialect refuses the operator "
                           "(Dialect::rule_list names the rules); "
                           "lower the operator first, or build the graph in a dialect that permits it");
  }
}
template <class Op>
constexpr void check_not_list_result() {
  constexpr bool single =
      !(op_traits<Op>::num_returns == 1 && op_traits<Op>::schema.returns[0].type.list_depth != 0);
  static_assert(
      single,
      "espalier: graph::call<Op>: the operator returns a list whose length the schema does not tell; use "
      "graph::call_list<Op>(count, ...)");
}

/// Converts one given argument, keeping what it points at alive while `next` runs.
template <class T, class Next>
constexpr node_id with_argument(argument& slot, const T& x, arg_type t, Next&& next) {
  if constexpr (list_like<T> && !std::same_as<T, argument>) {
    using E = std::remove_cvref_t<item_of<T>>;
    vector<argument> items;
    if constexpr (list_like<E>) {
      vector<vector<argument>> inner;
      for (auto& row : x) {
        vector<argument> r;
        for (auto& e : row)
          r.push_back(argument(e));
        inner.push_back(std::move(r));
      }
      for (auto& r : inner)
        items.push_back(argument(span<const argument>(r)));
      slot = argument(span<const argument>(items));
      return next();
    } else {
      for (auto&& e : x) {
        if constexpr (optional_of<E, value>)
          items.push_back(e ? argument(*e) : argument(std::nullopt));
        else
          items.push_back(argument(static_cast<const E&>(e)));
      }
      slot = argument(span<const argument>(items));
      return next();
    }
  } else {
    argument a = [&] {
      if constexpr (std::floating_point<T>)
        return argument(static_cast<double>(x));
      else if constexpr (text_like<T>)
        return argument(std::string_view(x));
      else
        return argument(x);
    }();
    // numbers take the kind that the schema names: a float argument given as `1` is 1.0
    if (a.form == arg_form::integer && (t.kind == arg_kind::floating || t.kind == arg_kind::sym_float))
      a = argument(static_cast<double>(a.bits));
    if (t.list_depth == 1 && a.form != arg_form::list && a.form != arg_form::none &&
        a.form != arg_form::absent) {
      vector<argument> items;
      for (int i = 0; i < t.fixed_size; ++i)
        items.push_back(a);
      slot = argument(span<const argument>(items));
      return next();
    }
    slot = a;
    return next();
  }
}
template <class Op, std::size_t I, class Args, class Done>
constexpr node_id with_arguments(Args&, Done&& done) {
  return done();
}
template <class Op, std::size_t I, class Args, class Done, class A, class... Rest>
constexpr node_id with_arguments(Args& args, Done&& done, const A& a, const Rest&... rest) {
  if constexpr (is_named<A>) {
    constexpr std::size_t at = named_index<A>::template of<Op>();
    return with_argument(args[at], a.given, op_traits<Op>::schema.args[at].type,
                         [&] { return with_arguments<Op, I + 1>(args, done, rest...); });
  } else {
    return with_argument(args[I], a, op_traits<Op>::schema.args[I].type,
                         [&] { return with_arguments<Op, I + 1>(args, done, rest...); });
  }
}

} // namespace detail
} // namespace espalier
