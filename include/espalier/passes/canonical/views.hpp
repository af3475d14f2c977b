// SPDX-License-Identifier: BSL-1.0
// umbrella: apart, its rules cost more to include than the rest of a layer
// Views: those that show what their input shows go, and two after one another become one. Only views that are
// views whatever the strides are looked through; `reshape` and its kin may copy, and are looked through only
// where the input is dense, so that they do not.
#pragma once

#include <espalier/passes/canonical/support.hpp>
#include <espalier/support/optional.hpp>
#include <espalier/support/vector.hpp>

#include <cstdint>
#include <initializer_list>

namespace espalier {

namespace detail::canonical {

template <class... Ops>
constexpr bool calls_one_of(value v) {
  if (v.def().kind() != node_kind::call_function || v.def().num_results() != 1)
    return false;
  const op_id o = v.def().op();
  return ((o == id_of<Ops>()) || ...);
}
constexpr value viewed(value v) { return v.def().arg(0).as_value(); }

/// Strided views: sizes, strides and an offset into the same elements, and nothing else. (`conj` has a bit of
/// its own, `as_strided` counts from the storage's begin, `detach` cuts the gradient: two of them are one,
/// but one is not none, also in a graph for inference, because nobody knows here what a caller does with its
/// results.)
inline constexpr auto is_strided_view = [](value v) {
  return calls_one_of<aten::view, aten::permute, aten::transpose_int, aten::t, aten::unsqueeze, aten::squeeze,
                      aten::squeeze_dim, aten::squeeze_dims, aten::expand, aten::slice_Tensor, aten::alias,
                      aten::narrow, aten::movedim_int, aten::movedim_intlist, aten::swapaxes, aten::swapdims,
                      aten::unflatten_int, aten::numpy_T, aten::mT>(v);
};
/// Views that keep the order of the elements; of a dense tensor, none of them copies.
inline constexpr auto is_reshaping = [](value v) {
  return calls_one_of<aten::view, aten::reshape, aten::unsqueeze, aten::squeeze, aten::squeeze_dim,
                      aten::squeeze_dims, aten::flatten_using_ints, aten::unflatten_int>(v);
};
inline constexpr auto is_transposing = [](value v) {
  return calls_one_of<aten::permute, aten::transpose_int, aten::t>(v);
};

constexpr bool is_dense(value v) {
  return is_tensor(v) && v.tensor().lay == layout::strided &&
         v.tensor().strides == contiguous_strides(v.tensor().sizes);
}
constexpr optional<vector<std::int64_t>> static_sizes(value v) {
  vector<std::int64_t> out;
  for (const auto& s : v.tensor().sizes) {
    if (!s.is_int())
      return std::nullopt;
    out.push_back(s.as_int());
  }
  return out;
}

/// The dimensions that `permute` would be given; nothing when the call is odd. An argument left out of `t`
/// stands for its two dimensions.
constexpr optional<vector<std::int64_t>> permutation_of(node n) {
  if (n.num_results() != 1 || !n.arg(0).is_value() || !is_tensor(n.arg(0).as_value()))
    return std::nullopt;
  const auto dims = static_cast<std::int64_t>(n.arg(0).as_value().tensor().dim());
  vector<std::int64_t> out;
  const auto add = [&](const arg_view& a) {
    if (a.form() != arg_form::integer)
      return false;
    const auto d = a.as_int() < 0 ? a.as_int() + dims : a.as_int();
    out.push_back(d);
    return d >= 0 && d < dims;
  };
  if (n.op() == id_of<aten::permute>()) {
    const auto list = n.arg(1);
    for (std::size_t i = 0; i != list.size(); ++i)
      if (!add(list[i]))
        return std::nullopt;
    return static_cast<std::int64_t>(out.size()) == dims ? optional(out) : std::nullopt;
  }
  std::int64_t a = 0, b = 1;
  if (n.op() == id_of<aten::transpose_int>()) {
    if (!add(n.arg(1)) || !add(n.arg(2)))
      return std::nullopt;
    a = out[0], b = out[1];
    out.clear();
  } else if (dims < 2) {
    b = 0;
  }
  for (std::int64_t d = 0; d != dims; ++d)
    out.push_back(d == a ? b : d == b ? a : d);
  return out;
}

/// A view that shows what its input shows, by their metas. With `copy=True` it is a copy of that.
template <op_type Op>
constexpr auto no_op_view() {
  return rewrite<"no-op-view">(any_call<Op>(x), [](auto&, const auto& m) -> optional<value> {
    const value kept = m[x], r = m.root().result();
    if (m.root().num_results() != 1)
      return std::nullopt;
    bool copies = false;
    for (std::size_t i = 0; i != op_traits<Op>::arity; ++i)
      if (op_traits<Op>::schema.args[i].name == "copy" && m.root().arg(i).has_value())
        copies = m.root().arg(i).form() != arg_form::boolean || m.root().arg(i).as_bool();
    if (same_tensor(r, kept) && (copies ? may_share(r, kept) : may_merge(r, kept)))
      return kept;
    return std::nullopt;
  });
}
/// A view of a view that shows what the first one was given.
template <op_type Op>
constexpr auto there_and_back() {
  return rewrite<"there-and-back">(any_call<Op>(where(inner, is_strided_view)),
                                   [](auto&, const auto& m) -> optional<value> {
                                     const value from = viewed(m[inner]), r = m.root().result();
                                     if (same_tensor(r, from) && may_merge(r, from))
                                       return from;
                                     return std::nullopt;
                                   });
}
/// Two permutations are one.
template <op_type Op>
constexpr auto permutations() {
  return rewrite<"compose-permutations">(
      any_call<Op>(where(inner, is_transposing)), [](auto& r, const auto& m) -> optional<value> {
        const auto first = permutation_of(m[inner].def()), second = permutation_of(m.root());
        if (!first || !second || first->size() != second->size())
          return std::nullopt;
        vector<std::int64_t> dims;
        for (auto d : *second)
          dims.push_back((*first)[static_cast<std::size_t>(d)]);
        return if_same(r.template call<aten::permute>(viewed(m[inner]), dims), m.root());
      });
}
/// Two changes of the sizes of a dense tensor are one `view`. `Given` hands on the sizes as they are written.
template <op_type Op, bool Given>
constexpr auto reshapings() {
  return rewrite<"compose-views">(
      any_call<Op>(where(inner, is_reshaping)), [](auto& r, const auto& m) -> optional<value> {
        const value from = viewed(m[inner]);
        if (!is_dense(from) || !is_dense(m.root().result()) || !is_dense(m[inner]))
          return std::nullopt;
        if (const auto sizes = static_sizes(m.root().result()))
          return if_same(r.template call<aten::view>(from, *sizes), m.root());
        if constexpr (Given)
          return if_same(r.template call<aten::view>(from, r.same(m.root().arg(1))), m.root());
        return std::nullopt;
      });
}

inline constexpr auto expand_expand = rewrite<"compose-views">(
    any_call<aten::expand>(any_call<aten::expand>(x)), [](auto& r, const auto& m) -> optional<value> {
      if (!is_tensor(m.root().result()) || !is_tensor(m[x]))
        return std::nullopt;
      const auto sizes = static_sizes(m.root().result());
      if (!sizes)
        return std::nullopt;
      return if_same(r.template call<aten::expand>(m[x], *sizes), m.root());
    });

/// A slice with step 1 between bounds that are known: where it begins and how long it is.
struct known_slice {
  std::int64_t dim = 0, begin = 0, size = 0;
};
constexpr optional<known_slice> slice_of(node n) {
  if (!n.arg(0).is_value() || !is_tensor(n.arg(0).as_value()) || !is_one(n.arg(4)))
    return std::nullopt;
  const auto& m = n.arg(0).as_value().tensor();
  known_slice s;
  const auto read = [](const arg_view& a, std::int64_t otherwise, std::int64_t& out) {
    if (!a.has_value())
      out = otherwise;
    else if (a.form() == arg_form::integer)
      out = a.as_int();
    else
      return false;
    return true;
  };
  std::int64_t end = 0;
  if (!read(n.arg(1), 0, s.dim) || !read(n.arg(2), 0, s.begin) || !read(n.arg(3), INT64_MAX, end))
    return std::nullopt;
  if (s.dim < 0)
    s.dim += static_cast<std::int64_t>(m.dim());
  if (s.dim < 0 || s.dim >= static_cast<std::int64_t>(m.dim()) ||
      !m.sizes[static_cast<std::size_t>(s.dim)].is_int())
    return std::nullopt;
  const auto size = m.sizes[static_cast<std::size_t>(s.dim)].as_int();
  const auto clamp = [&](std::int64_t i, std::int64_t low) {
    i = i < 0 ? i + size : i;
    return i < low ? low : i > size ? size : i;
  };
  s.begin = clamp(s.begin, 0);
  s.size = clamp(end, s.begin) - s.begin;
  return s;
}
inline constexpr auto slice_slice = rewrite<"compose-views">(
    any_call<aten::slice_Tensor>(as<"inner">(any_call<aten::slice_Tensor>(x))),
    [](auto& r, const auto& m) -> optional<value> {
      const auto first = slice_of(m[inner].def()), second = slice_of(m.root());
      if (!first || !second || first->dim != second->dim)
        return std::nullopt;
      const auto begin = first->begin + second->begin;
      return if_same(r.template call<aten::slice_Tensor>(m[x], first->dim, begin, begin + second->size),
                     m.root());
    });

inline constexpr auto detach_detach =
    rewrite<"compose-views">(pattern<aten::detach>(as<"inner">(pattern<aten::detach>(x))),
                             [](auto&, const auto& m) -> optional<value> {
                               const value once = m[inner];
                               if (!may_merge(m.root().result(), once))
                                 return std::nullopt;
                               return once;
                             });

inline constexpr auto views = rule_set(
    no_op_view<aten::view>(), no_op_view<aten::reshape>(), no_op_view<aten::expand>(),
    no_op_view<aten::permute>(), no_op_view<aten::transpose_int>(), no_op_view<aten::t>(),
    no_op_view<aten::slice_Tensor>(), no_op_view<aten::squeeze>(), no_op_view<aten::squeeze_dim>(),
    no_op_view<aten::squeeze_dims>(), no_op_view<aten::flatten_using_ints>(),
    no_op_view<aten::unflatten_int>(), no_op_view<aten::alias>(), no_op_view<aten::contiguous>(),
    no_op_view<aten::expand_as>(), no_op_view<aten::view_as>(), no_op_view<aten::reshape_as>(),
    no_op_view<aten::narrow>(), no_op_view<aten::positive>(), no_op_view<aten::broadcast_to>(),
    no_op_view<aten::movedim_int>(), no_op_view<aten::movedim_intlist>(), no_op_view<aten::swapaxes>(),
    no_op_view<aten::swapdims>(), no_op_view<aten::ravel>(), no_op_view<aten::numpy_T>(),
    no_op_view<aten::real>(), no_op_view<aten::to_dtype>(), no_op_view<aten::to_device>(),
    no_op_view<aten::to_dtype_layout>(), no_op_view<aten::to_other>(), no_op_view<aten::type_as>(),
    no_op_view<aten::split_Tensor>(), no_op_view<aten::split_with_sizes>(), no_op_view<aten::chunk>(),
    there_and_back<aten::view>(), there_and_back<aten::permute>(), there_and_back<aten::transpose_int>(),
    there_and_back<aten::t>(), there_and_back<aten::squeeze>(), there_and_back<aten::squeeze_dim>(),
    there_and_back<aten::squeeze_dims>(), there_and_back<aten::unsqueeze>(),
    there_and_back<aten::unflatten_int>(), there_and_back<aten::mT>(), permutations<aten::permute>(),
    permutations<aten::transpose_int>(), permutations<aten::t>(), reshapings<aten::view, true>(),
    reshapings<aten::reshape, true>(), reshapings<aten::unsqueeze, false>(),
    reshapings<aten::squeeze, false>(), reshapings<aten::squeeze_dim, false>(),
    reshapings<aten::squeeze_dims, false>(), reshapings<aten::flatten_using_ints, false>(),
    reshapings<aten::unflatten_int, false>(), expand_expand, slice_slice, detach_detach);

} // namespace detail::canonical

namespace canonical {
/// The rules on views, for drivers of your own.
inline constexpr auto& views = detail::canonical::views;
} // namespace canonical

} // namespace espalier
