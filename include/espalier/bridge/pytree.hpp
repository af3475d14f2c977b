// SPDX-License-Identifier: BSL-1.0
// Pytrees of C++ types: how nested arguments and results become a flat list of leaves and come back, with the
// tree spec that Python's loader understands. Tensors, numbers, strings, optionals, tuples, pairs, vectors,
// arrays, maps with string keys, and structs that Boost.Hana reflects (`BOOST_HANA_DEFINE_STRUCT`,
// `BOOST_HANA_ADAPT_STRUCT`). Python sees a tuple as a tuple, a vector as a list, a map or a struct as a
// dict, since its own class is unknown there.
#pragma once

#include <espalier/archive/tree_spec_json.hpp>
#include <espalier/ir/naming.hpp>
#include <espalier/signature/tree_spec.hpp>
#include <espalier/support/error.hpp>
#include <espalier/support/span.hpp>
#include <espalier/support/vector.hpp>

#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>

#include <boost/hana/accessors.hpp>
#include <boost/hana/concept/struct.hpp>
#include <boost/hana/first.hpp>
#include <boost/hana/for_each.hpp>
#include <boost/hana/second.hpp>
#include <boost/hana/string.hpp>

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace espalier {

/// One leaf on its way into a graph: its value and where it stood (`x`, `x_0_mask`: atoms joined as Python
/// joins them).
struct tree_leaf {
  c10::IValue value;
  std::string path;
};

/// Leaves on their way out, taken in order; and, where it is known, the structure that they come from, which
/// says how long a list is and what keys a dict has.
class leaf_reader {
public:
  explicit leaf_reader(span<const c10::IValue> leaves, const tree_spec* spec = nullptr) noexcept
      : leaves_(leaves), spec_(spec) {}
  /// Throws `error` (usage) when there is none left.
  template <class = when_used>
  const c10::IValue& take() {
    const c10::IValue& v = peek();
    ++at_;
    return v;
  }
  template <class = when_used>
  const c10::IValue& peek() const {
    if (at_ >= leaves_.size())
      fail(error_kind::usage, "fewer leaves than the type needs", "pytree",
           "pass as many values as the tree spec has leaves");
    return leaves_[at_];
  }
  bool done() const noexcept { return at_ >= leaves_.size(); }

  /// The structure of what is read next; null where it is unknown.
  const tree_spec* spec() const noexcept { return spec_; }
  /// Whether this is a part of what is read.
  bool nested() const noexcept { return nested_; }
  /// Throws `error` (usage) unless what is read next has `n` parts, as far as that is known.
  template <class = when_used>
  void expect_parts(std::size_t n, std::string_view type) const {
    if (spec_ && !spec_->is_leaf() && spec_->children.size() != n)
      fail(error_kind::usage,
           std::string(type) + " of " + std::to_string(n) + " parts is asked for, but the value has " +
               std::to_string(spec_->children.size()),
           "pytree", "name the type of the value, as the program was exported with");
  }
  /// Reads part `i` by `read`: from its own leaves where the structure is known, else from those that follow.
  template <class Read>
  auto part(std::size_t i, Read&& read) {
    const tree_spec* const whole = spec_;
    const std::size_t first = first_;
    if (whole && i < whole->children.size()) {
      at_ = first;
      for (std::size_t k = 0; k != i; ++k)
        at_ += whole->children[k].num_leaves();
      spec_ = &whole->children[i];
    } else
      spec_ = nullptr;
    first_ = at_;
    const bool was_nested = std::exchange(nested_, true);
    auto x = read();
    spec_ = whole;
    first_ = first;
    nested_ = was_nested;
    return x;
  }
  /// Goes behind all parts, in whatever order they were read.
  template <class = when_used>
  void leave() noexcept {
    if (spec_)
      at_ = first_ + spec_->num_leaves();
  }

private:
  span<const c10::IValue> leaves_;
  const tree_spec* spec_;
  std::size_t at_ = 0, first_ = 0; // of what is read next
  bool nested_ = false;
};

/// How a type is flattened. Specialise it for a type of your own that Hana cannot reflect, with the three
/// functions.
template <class T>
struct pytree;

/// A type that can be an argument or a result of an exported model.
template <class T>
concept pytree_type = requires(const T& x, vector<tree_leaf>& out, leaf_reader& in) {
  pytree<T>::flatten(x, std::string{}, out);
  { pytree<T>::spec(x) } -> std::same_as<tree_spec>;
  { pytree<T>::unflatten(in) } -> std::convertible_to<T>;
};

namespace detail {
template <class T>
struct leaf_tree {
  static void flatten(const T& x, std::string path, vector<tree_leaf>& out) {
    out.push_back({c10::IValue(x), std::move(path)});
  }
  static tree_spec spec(const T&) { return tree_spec::leaf(); }
};
template <class = when_used>
std::string join(const std::string& path, std::string_view atom) {
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
  static void flatten(I x, std::string path, vector<tree_leaf>& out) {
    out.push_back({c10::IValue(static_cast<std::int64_t>(x)), std::move(path)});
  }
  static tree_spec spec(I) { return tree_spec::leaf(); }
  static I unflatten(leaf_reader& in) { return static_cast<I>(in.take().toInt()); }
};
template <std::floating_point F>
struct pytree<F> {
  static void flatten(F x, std::string path, vector<tree_leaf>& out) {
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
  static void flatten(const std::optional<T>& x, std::string path, vector<tree_leaf>& out) {
    if (x)
      pytree<T>::flatten(*x, std::move(path), out);
    else
      out.push_back({c10::IValue(), std::move(path)});
  }
  static tree_spec spec(const std::optional<T>& x) { return x ? pytree<T>::spec(*x) : tree_spec::leaf(); }
  static std::optional<T> unflatten(leaf_reader& in) {
    if (in.spec() && !in.spec()->is_leaf())
      return pytree<T>::unflatten(in); // a list without elements has no leaf to look at
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
  static void flatten(const T& x, const std::string& path, vector<tree_leaf>& out) {
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
  static T unflatten(leaf_reader& in) {
    in.expect_parts(sizeof...(Es), "a tuple");
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
      return T{in.part(I, [&] { return pytree<Es>::unflatten(in); })...}; // braces: left to right
    }
    (std::index_sequence_for<Es...>{});
  }
};
} // namespace detail
template <pytree_type... Es>
struct pytree<std::tuple<Es...>> : detail::tuple_tree<std::tuple<Es...>, Es...> {};
template <pytree_type A, pytree_type B>
struct pytree<std::pair<A, B>> : detail::tuple_tree<std::pair<A, B>, A, B> {};

namespace detail {
template <class V>
struct list_tree {
  using E = typename V::value_type;
  static void flatten(const V& x, const std::string& path, vector<tree_leaf>& out) {
    for (std::size_t i = 0; i != x.size(); ++i)
      pytree<E>::flatten(x[i], detail::join(path, std::to_string(i)), out);
  }
  static tree_spec spec(const V& x) {
    vector<tree_spec> c;
    for (const auto& e : x)
      c.push_back(pytree<E>::spec(e));
    return tree_spec::list(std::move(c));
  }
  static V unflatten(leaf_reader& in) {
    const tree_spec* const spec = in.spec();
    if (spec ? spec->is_leaf() : in.nested())
      fail(error_kind::usage,
           spec ? "a vector is asked for, but the value is a single leaf"
                : "the length of a vector inside of another type cannot be read from leaves alone",
           "pytree", "name the type of the value, or use unflatten_like with an example");
    V x;
    while (spec ? x.size() != spec->children.size() : !in.done())
      x.push_back(in.part(x.size(), [&] { return pytree<E>::unflatten(in); }));
    return x;
  }
};
} // namespace detail
/// A list. Its length is the structure's; where that is unknown, a vector takes all leaves that are left, and
/// `unflatten` throws `error` (usage) for one inside of something.
template <pytree_type E>
struct pytree<std::vector<E>> : detail::list_tree<std::vector<E>> {};
template <pytree_type E>
struct pytree<vector<E>> : detail::list_tree<vector<E>> {};
template <pytree_type E, std::size_t N>
struct pytree<std::array<E, N>> {
  static void flatten(const std::array<E, N>& x, const std::string& path, vector<tree_leaf>& out) {
    for (std::size_t i = 0; i != N; ++i)
      pytree<E>::flatten(x[i], detail::join(path, std::to_string(i)), out);
  }
  static tree_spec spec(const std::array<E, N>& x) {
    vector<tree_spec> c;
    for (const auto& e : x)
      c.push_back(pytree<E>::spec(e));
    return tree_spec::list(std::move(c));
  }
  static std::array<E, N> unflatten(leaf_reader& in) {
    in.expect_parts(N, "an array");
    std::array<E, N> x;
    for (std::size_t i = 0; i != N; ++i)
      x[i] = in.part(i, [&] { return pytree<E>::unflatten(in); });
    return x;
  }
};
namespace detail {
template <class M, class E>
struct map_tree {
  static void flatten(const M& x, const std::string& path, vector<tree_leaf>& out) {
    for (auto& [k, v] : x)
      pytree<E>::flatten(v, join(path, path_atom(k)), out);
  }
  static tree_spec spec(const M& x) {
    vector<std::string> keys;
    vector<tree_spec> c;
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
  /// Throws `error` (usage) where the structure, which has the keys, is unknown.
  static std::map<std::string, E> unflatten(leaf_reader& in) {
    const auto keys = in.spec() ? keys_of(*in.spec()) : vector<std::string>();
    if (!in.spec() || in.spec()->is_leaf() || keys.size() != in.spec()->children.size())
      fail(error_kind::usage, "the keys of a map cannot be read from leaves alone", "pytree",
           "use unflatten_like with an example map, or return a struct");
    std::map<std::string, E> x;
    for (std::size_t i = 0; i != keys.size(); ++i)
      x.emplace(keys[i], in.part(i, [&] { return pytree<E>::unflatten(in); }));
    return x;
  }
};

/// A struct that Hana reflects: a dict by member names, in order of declaration. It is read by its members'
/// names where the structure has all of them, else in order.
template <class T>
requires(boost::hana::Struct<T>::value) struct pytree<T> {
  static void flatten(const T& x, const std::string& path, vector<tree_leaf>& out) {
    boost::hana::for_each(boost::hana::accessors<T>(), [&](const auto& member) {
      using M = std::remove_cvref_t<decltype(boost::hana::second(member)(x))>;
      pytree<M>::flatten(boost::hana::second(member)(x),
                         detail::join(path, detail::path_atom(boost::hana::first(member).c_str())), out);
    });
  }
  static tree_spec spec(const T& x) {
    vector<std::string> keys;
    vector<tree_spec> c;
    boost::hana::for_each(boost::hana::accessors<T>(), [&](const auto& member) {
      using M = std::remove_cvref_t<decltype(boost::hana::second(member)(x))>;
      keys.emplace_back(boost::hana::first(member).c_str());
      c.push_back(pytree<M>::spec(boost::hana::second(member)(x)));
    });
    return tree_spec::dict(keys, std::move(c));
  }
  static T unflatten(leaf_reader& in) {
    T x{};
    vector<std::string> names;
    boost::hana::for_each(boost::hana::accessors<T>(), [&](const auto& member) {
      names.emplace_back(boost::hana::first(member).c_str());
    });
    in.expect_parts(names.size(), "a struct");
    const auto keys = in.spec() ? keys_of(*in.spec()) : vector<std::string>();
    const bool by_name = std::is_permutation(keys.begin(), keys.end(), names.begin(), names.end());
    std::size_t i = 0;
    boost::hana::for_each(boost::hana::accessors<T>(), [&](const auto& member) {
      using M = std::remove_cvref_t<decltype(boost::hana::second(member)(x))>;
      const auto at =
          by_name ? static_cast<std::size_t>(std::find(keys.begin(), keys.end(), names[i]) - keys.begin())
                  : i;
      ++i;
      boost::hana::second(member)(x) = in.part(at, [&] { return pytree<M>::unflatten(in); });
    });
    in.leave();
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
T unflatten_like(const T& example, span<const c10::IValue> leaves) {
  T x = example;
  leaf_reader in(leaves);
  replace_leaves(x, in);
  return x;
}

} // namespace espalier
