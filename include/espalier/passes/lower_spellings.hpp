// SPDX-License-Identifier: BSL-1.0
// The way back from `raise`: Python's spellings become the operators that LibTorch's C++ layers call, for
// kernels and tools that know those. docs/spellings.md has the table. Everything stays functional: where C++
// writes to a product of its own (`add_`), a sum stands here.
#pragma once

#include <espalier/ir/infer.hpp>
#include <espalier/passes/canonical/support.hpp>
#include <espalier/passes/spellings.hpp>
#include <espalier/rewrite/driver.hpp>
#include <espalier/support/optional.hpp>

#include <cstdint>
#include <string_view>
#include <utility>

namespace espalier {

namespace detail::canonical {

inline constexpr auto weight = capture<"weight">;
inline constexpr auto bias = capture<"bias">;

/// `linear(x, w, b)` is `addmm(b, x, t(w))` for matrices, else `add(matmul(x, t(w)), b)`.
inline constexpr auto linear_with_bias =
    rewrite<"linear">(pattern<aten::linear>(x, weight, bias), [](auto& r, const auto& m) -> optional<value> {
      if (!is_tensor(m[x]) || !is_tensor(m[weight]) || m[weight].tensor().dim() != 2)
        return std::nullopt;
      const value t = r.template call<aten::t>(m[weight]);
      if (m[x].tensor().dim() == 2)
        return if_same(r.template call<aten::addmm>(m[bias], m[x], t), m.root());
      return if_same(r.template call<aten::add_Tensor>(r.template call<aten::matmul>(m[x], t), m[bias]),
                     m.root());
    });
inline constexpr auto linear_without_bias =
    rewrite<"linear">(pattern<aten::linear>(x, weight), [](auto& r, const auto& m) -> optional<value> {
      if (!is_tensor(m[weight]) || m[weight].tensor().dim() != 2)
        return std::nullopt;
      return if_same(r.template call<aten::matmul>(m[x], r.template call<aten::t>(m[weight])), m.root());
    });

} // namespace detail::canonical

/// Rewrites `linear` into `t` and a product, arithmetic with a number into its `Scalar` overload, `rsub` into
/// a difference, and padding, norms, variances and resampling into C++'s operators, subgraphs included. A
/// `linear` of more than two dimensions with a bias may round otherwise than the fused kernel does. Linear.
struct lower_spellings : pass {
  static constexpr std::string_view name = "lower_spellings";
  static constexpr std::string_view description = "the reverse of raise";
  // `t(w)` comes once a product
  using destroys = properties<property::no_duplicates, property::canonical, property::named>;

  template <class = when_used>
  static pass_result run(graph_storage& g, pass_context& c) {
    pass_result done = one_for_one(g, c);
    done += rewrite_once(
        g, c, rule_set(detail::canonical::linear_with_bias, detail::canonical::linear_without_bias));
    return done;
  }

private:
  template <class = when_used>
  static pass_result one_for_one(graph_storage& g, pass_context& c) {
    pass_result done;
    for (std::size_t i = 0; i != g.num_subgraphs(); ++i)
      done += one_for_one(g.subgraph(i), c);
    detail::respelling spell(g);
    for (node_id n = g.first(); n.valid() && c.edits_left() != 0; n = g.next(n))
      if (g.kind(n) == node_kind::call_function && (spell.lower(n) || rsub(g, n))) {
        c.made_edits(name, 1);
        ++done.rewritten;
      }
    return done;
  }
  /// `s - x` is `sub(full_like(x, s), x)`, where `full_like` makes what `x` is.
  template <class = when_used>
  static bool rsub(graph_storage& g, node_id id) {
    const node n(g, id);
    if (!n.is_call(id_of<aten::rsub_Scalar>()) || !detail::is_one(n.arg(2)) || !n.arg(0).is_value() ||
        !detail::is_tensor(n.arg(0).as_value()))
      return false;
    const value x = n.arg(0).as_value();
    const scalar_type dtype = x.tensor().dtype;
    const arg_form s = n.arg(1).form();
    if (dtype == scalar_type::b8 ||
        (s != arg_form::integer && (s != arg_form::floating || !is_floating(dtype))))
      return false;
    graph_storage::copied_args own;
    const argument given[] = {x, g.copy_arg(id, n.arg(1).slot(), own)};
    const insertion_point before = g.current_insertion_point();
    g.set_insertion_point({id});
    const node_id full = g.call(id_of<aten::full_like>(), given, 1);
    g.set_insertion_point(before);
    g.set_origin(full, g.origin_of(id));
    if (infer_metas(g, full) != inferred::done ||
        g.meta(g.result(full)).tensor.strides != x.tensor().strides) {
      g.erase(full);
      return false;
    }
    const argument args[] = {g.result(full), x};
    g.clear_name(id);
    g.set_op(id, id_of<aten::sub_Tensor>());
    g.set_args(id, args);
    return true;
  }
};

} // namespace espalier
