// SPDX-License-Identifier: BSL-1.0
// Example inputs of an export: `es::inputs(x, es::named("mask", m), es::kwarg("scale", 2.0))`. C++ does not
// tell the names of parameters, so they are given here; unnamed ones are `args_0`, `args_1`, ...
#pragma once

#include <espalier/bridge/pytree.hpp>

#include <concepts>
#include <cstddef>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

namespace espalier {

/// One example argument. A keyword argument is passed to `forward` in its place like the others (C++ has no
/// keywords), and is a keyword of the exported program.
template <class T>
struct example_input {
  std::string name;
  T value;
  bool keyword = false;
};

/// A positional argument with the name that Python users will see.
template <class T>
example_input<std::decay_t<T>> named(std::string name, T&& x) {
  return {std::move(name), static_cast<T&&>(x), false};
}
/// A keyword argument. Keyword arguments come last.
template <class T>
example_input<std::decay_t<T>> kwarg(std::string name, T&& x) {
  return {std::move(name), static_cast<T&&>(x), true};
}

/// The example arguments of one call.
template <class... Ts>
struct example_args {
  std::tuple<example_input<Ts>...> all;
};

namespace detail {
template <class T>
inline constexpr bool is_example_input = false;
template <class T>
inline constexpr bool is_example_input<example_input<T>> = true;

template <class T>
struct example_type {
  using type = T;
};
template <class T>
struct example_type<example_input<T>> {
  using type = T;
};
template <class T>
auto to_example(T&& x, std::size_t) {
  if constexpr (is_example_input<std::remove_cvref_t<T>>)
    return static_cast<T&&>(x);
  else
    return example_input<std::decay_t<T>>{{}, static_cast<T&&>(x), false};
}
template <class T>
inline constexpr bool is_module_like = requires(T& m) {
  m.ptr();
};
} // namespace detail

/// Gathers the example arguments of `forward`, in order. Throws `error` (usage) when two have one name, or a
/// positional one comes behind a keyword.
template <class... A>
auto inputs(A&&... a) {
  static_assert(
      (pytree_type<typename detail::example_type<std::decay_t<A>>::type> && ...),
      "espalier: inputs(...): an argument's type cannot be flattened into tensors and numbers; pass tensors, "
      "numbers, strings, "
      "optionals, tuples, vectors, maps with string keys, or a struct adapted with BOOST_HANA_ADAPT_STRUCT");
  std::size_t i = 0;
  example_args<typename detail::example_type<std::decay_t<A>>::type...> out{
      {detail::to_example(static_cast<A&&>(a), i)...}};
  bool keywords = false;
  std::set<std::string_view> names;
  std::apply(
      [&](auto&... in) {
        const auto one = [&](auto& x) {
          if (keywords && !x.keyword)
            fail(error_kind::usage, "a positional example input follows a keyword one", "inputs(...)",
                 "put es::kwarg arguments last");
          keywords = x.keyword;
          if (x.name.empty())
            x.name = "args_" + std::to_string(i);
          if (!names.insert(x.name).second)
            fail(error_kind::usage, "two example inputs are called '" + x.name + "'", "inputs(...)",
                 "give each argument a name of its own");
          ++i;
        };
        (one(in), ...);
      },
      out.all);
  return out;
}

} // namespace espalier
