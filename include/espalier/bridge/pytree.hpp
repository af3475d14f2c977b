// SPDX-License-Identifier: BSL-1.0
// Pytrees of C++ types: how nested arguments and results become a flat list of leaves and come back, with the
// tree spec that Python's loader understands. Tensors, numbers, strings, optionals, tuples, pairs, vectors,
// arrays, maps with string keys, and structs that Boost.Hana reflects (`BOOST_HANA_DEFINE_STRUCT`,
// `BOOST_HANA_ADAPT_STRUCT`). Python sees a tuple as a tuple, a vector as a list, a map or a struct as a
// dict, since its own class is unknown there.
#pragma once

#include <espalier/ir/naming.hpp>
#include <espalier/signature/tree_spec.hpp>
#include <espalier/support/error.hpp>

#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>

#include <boost/hana/accessors.hpp>
#include <boost/hana/concept/struct.hpp>
#include <boost/hana/first.hpp>
#include <boost/hana/for_each.hpp>
#include <boost/hana/second.hpp>
#include <boost/hana/string.hpp>

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

namespace espalier {

/// One leaf on its way into a graph: its value and where it stood (`x`, `x_0_mask`: atoms joined as Python
/// joins them).
struct tree_leaf {
  c10::IValue value;
  std::string path;
};

/// Leaves on their way out, taken in order.
class leaf_reader {
public:
  explicit leaf_reader(std::span<const c10::IValue> leaves) noexcept : leaves_(leaves) {}
  /// Throws `error` (usage) when there is none left.
  const c10::IValue& take() {
    const c10::IValue& v = peek();
    ++at_;
    return v;
  }
  const c10::IValue& peek() const {
    if (at_ == leaves_.size())
      fail(error_kind::usage, "fewer leaves than the type needs", "pytree",
           "pass as many values as the tree spec has leaves");
    return leaves_[at_];
  }
  bool done() const noexcept { return at_ == leaves_.size(); }

private:
  std::span<const c10::IValue> leaves_;
  std::size_t at_ = 0;
};

/// How a type is flattened. Specialise it for a type of your own that Hana cannot reflect, with the three
/// functions.
template <class T>
struct pytree;

/// A type that can be an argument or a result of an exported model.
template <class T>
concept pytree_type = requires(const T& x, std::vector<tree_leaf>& out, leaf_reader& in) {
  pytree<T>::flatten(x, std::string{}, out);
  { pytree<T>::spec(x) } -> std::same_as<tree_spec>;
  { pytree<T>::unflatten(in) } -> std::convertible_to<T>;
};

namespace detail {
template <class T>
struct leaf_tree {
  static void flatten(const T& x, std::string path, std::vector<tree_leaf>& out) {
    out.push_back({c10::IValue(x), std::move(path)});
  }
  static tree_spec spec(const T&) { return tree_spec::leaf(); }
};
inline std::string join(const std::string& path, std::string_view atom) {
  return path.empty() ? std::string(atom) : path + "_" + std::string(atom);
}
} // namespace detail

template <>
struct pytree<at::Tensor> : detail::leaf_tree<at::Tensor> {
  static at::Tensor unflatten(leaf_reader& in) {
    const auto& v = in.take();
    return v.isNone() ? at::Tensor() : v.toTensor();
  }
};
template <>
struct pytree<bool> : detail::leaf_tree<bool> {
  static bool unflatten(leaf_reader& in) { return in.take().toBool(); }
};
template <std::integral I>
requires(!std::same_as<I, bool>) struct pytree<I> {
  static void flatten(I x, std::string path, std::vector<tree_leaf>& out) {
    out.push_back({c10::IValue(static_cast<std::int64_t>(x)), std::move(path)});
  }
  static tree_spec spec(I) { return tree_spec::leaf(); }
  static I unflatten(leaf_reader& in) { return static_cast<I>(in.take().toInt()); }
};
template <std::floating_point F>
struct pytree<F> {
  static void flatten(F x, std::string path, std::vector<tree_leaf>& out) {
    out.push_back({c10::IValue(static_cast<double>(x)), std::move(path)});
  }
  static tree_spec spec(F) { return tree_spec::leaf(); }
  static F unflatten(leaf_reader& in) { return static_cast<F>(in.take().toDouble()); }
};
template <>
struct pytree<std::string> : detail::leaf_tree<std::string> {
  static std::string unflatten(leaf_reader& in) { return in.take().toStringRef(); }
};

/// An absent optional is one leaf, None; a present one is what it holds.
template <pytree_type T>
struct pytree<std::optional<T>> {
  static void flatten(const std::optional<T>& x, std::string path, std::vector<tree_leaf>& out) {
    if (x)
      pytree<T>::flatten(*x, std::move(path), out);
    else
      out.push_back({c10::IValue(), std::move(path)});
  }
  static tree_spec spec(const std::optional<T>& x) { return x ? pytree<T>::spec(*x) : tree_spec::leaf(); }
  static std::optional<T> unflatten(leaf_reader& in) {
    if (in.peek().isNone()) {
      in.take();
      return std::nullopt;
    }
    return pytree<T>::unflatten(in);
  }
};

namespace detail {
template <class T, class... Es>
struct tuple_tree {
  static void flatten(const T& x, const std::string& path, std::vector<tree_leaf>& out) {
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      (pytree<Es>::flatten(std::get<I>(x), join(path, std::to_string(I)), out), ...);
    }
    (std::index_sequence_for<Es...>{});
  }
  static tree_spec spec(const T& x) {
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
      return tree_spec::tuple({pytree<Es>::spec(std::get<I>(x))...});
    }
    (std::index_sequence_for<Es...>{});
  }
  static T unflatten(leaf_reader& in) { return T{pytree<Es>::unflatten(in)...}; } // braces: left to right
};
} // namespace detail
template <pytree_type... Es>
struct pytree<std::tuple<Es...>> : detail::tuple_tree<std::tuple<Es...>, Es...> {};
template <pytree_type A, pytree_type B>
struct pytree<std::pair<A, B>> : detail::tuple_tree<std::pair<A, B>, A, B> {};

/// The length of a vector is that of the example: `unflatten` needs a spec-sized reader, so vectors come back
/// through `unflatten_like`.
template <pytree_type E>
struct pytree<std::vector<E>> {
  static void flatten(const std::vector<E>& x, const std::string& path, std::vector<tree_leaf>& out) {
    for (std::size_t i = 0; i != x.size(); ++i)
      pytree<E>::flatten(x[i], detail::join(path, std::to_string(i)), out);
  }
  static tree_spec spec(const std::vector<E>& x) {
    std::vector<tree_spec> c;
    for (const auto& e : x)
      c.push_back(pytree<E>::spec(e));
    return tree_spec::list(std::move(c));
  }
  static std::vector<E> unflatten(leaf_reader& in) {
    std::vector<E> x;
    while (!in.done())
      x.push_back(pytree<E>::unflatten(in));
    return x;
  }
};
template <pytree_type E, std::size_t N>
struct pytree<std::array<E, N>> {
  static void flatten(const std::array<E, N>& x, const std::string& path, std::vector<tree_leaf>& out) {
    for (std::size_t i = 0; i != N; ++i)
      pytree<E>::flatten(x[i], detail::join(path, std::to_string(i)), out);
  }
  static tree_spec spec(const std::array<E, N>& x) {
    std::vector<tree_spec> c;
    for (const auto& e : x)
      c.push_back(pytree<E>::spec(e));
    return tree_spec::list(std::move(c));
  }
  static std::array<E, N> unflatten(leaf_reader& in) {
    std::array<E, N> x;
    for (auto& e : x)
      e = pytree<E>::unflatten(in);
    return x;
  }
};
namespace detail {
template <class M, class E>
struct map_tree {
  static void flatten(const M& x, const std::string& path, std::vector<tree_leaf>& out) {
    for (auto& [k, v] : x)
      pytree<E>::flatten(v, join(path, path_atom(k)), out);
  }
  static tree_spec spec(const M& x) {
    std::vector<std::string> keys;
    std::vector<tree_spec> c;
    for (auto& [k, v] : x) {
      keys.push_back(k);
      c.push_back(pytree<E>::spec(v));
    }
    return tree_spec::dict(keys, std::move(c));
  }
};
} // namespace detail
template <pytree_type E>
struct pytree<std::map<std::string, E>> : detail::map_tree<std::map<std::string, E>, E> {
  static std::map<std::string, E> unflatten(leaf_reader&) {
    fail(error_kind::usage, "the keys of a map cannot be read from leaves alone", "pytree",
         "use unflatten_like with an example map, or return a struct");
  }
};

/// A struct that Hana reflects: a dict by member names, in order of declaration.
template <class T>
requires(boost::hana::Struct<T>::value) struct pytree<T> {
  static void flatten(const T& x, const std::string& path, std::vector<tree_leaf>& out) {
    boost::hana::for_each(boost::hana::accessors<T>(), [&](const auto& member) {
      using M = std::remove_cvref_t<decltype(boost::hana::second(member)(x))>;
      pytree<M>::flatten(boost::hana::second(member)(x),
                         detail::join(path, detail::path_atom(boost::hana::first(member).c_str())), out);
    });
  }
  static tree_spec spec(const T& x) {
    std::vector<std::string> keys;
    std::vector<tree_spec> c;
    boost::hana::for_each(boost::hana::accessors<T>(), [&](const auto& member) {
      using M = std::remove_cvref_t<decltype(boost::hana::second(member)(x))>;
      keys.emplace_back(boost::hana::first(member).c_str());
      c.push_back(pytree<M>::spec(boost::hana::second(member)(x)));
    });
    return tree_spec::dict(keys, std::move(c));
  }
  static T unflatten(leaf_reader& in) {
    T x{};
    boost::hana::for_each(boost::hana::accessors<T>(), [&](const auto& member) {
      using M = std::remove_cvref_t<decltype(boost::hana::second(member)(x))>;
      boost::hana::second(member)(x) = pytree<M>::unflatten(in);
    });
    return x;
  }
};

/// Replaces the leaves of `x` in place by the next ones, its structure staying: the way back for types whose
/// shape is not in the type (vectors, maps, optionals).
template <class T>
void replace_leaves(T& x, leaf_reader& in) {
  if constexpr (boost::hana::Struct<T>::value) {
    boost::hana::for_each(boost::hana::accessors<T>(),
                          [&](const auto& member) { replace_leaves(boost::hana::second(member)(x), in); });
  } else if constexpr (requires {
                         x.has_value();
                         *x;
                       }) {
    if (x)
      replace_leaves(*x, in);
    else
      in.take();
  } else if constexpr (requires { typename T::mapped_type; }) {
    for (auto& [k, v] : x)
      replace_leaves(v, in);
  } else if constexpr (requires { std::tuple_size<T>::value; }) {
    std::apply([&](auto&... e) { (replace_leaves(e, in), ...); }, x);
  } else if constexpr (requires {
                         x.begin();
                         x.end();
                       } &&
                       !std::same_as<T, std::string>) {
    for (auto& e : x)
      replace_leaves(e, in);
  } else {
    x = pytree<T>::unflatten(in);
  }
}

/// A copy of `example` with other leaves.
template <class T>
T unflatten_like(const T& example, std::span<const c10::IValue> leaves) {
  T x = example;
  leaf_reader in(leaves);
  replace_leaves(x, in);
  return x;
}

} // namespace espalier
