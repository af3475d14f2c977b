// SPDX-License-Identifier: BSL-1.0
// Raising: what LibTorch's C++ layers and operators spell their own way (`t` + `addmm`, scalar overloads, `s
// - x`) becomes what Python's export records for the same model, so that tools that match on operators find
// them. docs/spellings.md has the table, argument by argument, with the conditions under which each row
// holds.
#pragma once

#include <espalier/ir/graph.hpp>
#include <espalier/pipeline/pass_result.hpp>
#include <espalier/schema/aten.hpp>

#include <array>
#include <string_view>
#include <utility>

namespace espalier {

/// Rewrites C++ spellings into Python's, subgraphs included. Each raised call stands where the last one it
/// replaces stood, with its name forgotten and its metadata and origin kept. Linear.
struct raise {
  static constexpr std::string_view name = "raise";

  static pass_result run(graph_storage& g) {
    pass_result done;
    for (std::size_t i = 0; i != g.num_subgraphs(); ++i)
      done += run(g.subgraph(i));
    for (node n : nodes(g)) {
      if (n.kind() != node_kind::call_function)
        continue;
      if (scalar_overload(g, n))
        ++done.rewritten;
      else if (linear_from_addmm(g, n) || linear_from_add(g, n) || rsub(g, n))
        ++done.rewritten;
    }
    // a matmul that no add_ follows is a linear without a bias
    for (node n : nodes(g))
      if (linear_from_matmul(g, n))
        ++done.rewritten;
    return done;
  }

private:
  static bool is_one(arg_view a) {
    return a.form() == arg_form::absent || (a.form() == arg_form::integer && a.as_int() == 1) ||
           (a.form() == arg_form::floating && a.as_double() == 1.0);
  }
  static bool has_tensor(value v) { return v.meta().kind == value_kind::tensor; }

  /// Replaces `old`'s only result by a new call in its place, and erases `old` and whatever of `inner` has no
  /// use left.
  template <std::size_t N>
  static void put(graph_storage& g, node old, op_id op, const std::array<argument, N>& args,
                  std::initializer_list<node_id> inner) {
    const auto at = g.current_insertion_point();
    g.set_insertion_point({old.id()});
    const node_id fresh = g.call(op, args, 1);
    g.set_insertion_point(at);
    g.set_meta(g.result(fresh), g.meta_of(old.result().id()));
    g.set_origin(fresh, g.origin_of(old.id()));
    g.replace_all_uses(old.result().id(), g.result(fresh));
    g.erase(old.id());
    for (node_id n : inner)
      if (g.alive(n) && !g.has_uses(g.result(n)))
        g.erase(n);
  }

  /// `add.Scalar(x, s)` is `add.Tensor(x, s)` to Python, and so on.
  static bool scalar_overload(graph_storage& g, node n) {
    static constexpr std::pair<std::uint32_t, std::uint32_t> rows[] = {
        {aten::add_Scalar::index, aten::add_Tensor::index},
        {aten::sub_Scalar::index, aten::sub_Tensor::index},
        {aten::mul_Scalar::index, aten::mul_Tensor::index},
        {aten::div_Scalar::index, aten::div_Tensor::index},
        {aten::add__Scalar::index, aten::add__Tensor::index},
        {aten::sub__Scalar::index, aten::sub__Tensor::index},
        {aten::mul__Scalar::index, aten::mul__Tensor::index},
        {aten::div__Scalar::index, aten::div__Tensor::index},
        {aten::div_Scalar_mode::index, aten::div_Tensor_mode::index},
    };
    for (auto& [from, to] : rows)
      if (n.op().index == from) {
        g.set_op(n.id(), op_id{to}); // `alpha` stands at the same position, by keyword
        return true;
      }
    return false;
  }

  /// The weight behind `t(w)`, or an empty value.
  static value transposed_weight(value v) {
    const auto t = match<aten::t>(v);
    if (!t)
      return {};
    const value w = t.template arg<"self">();
    return has_tensor(w) && w.tensor().dim() == 2 ? w : value();
  }
  static bool is_bias(value b, value w) {
    return has_tensor(b) && b.tensor().dim() == 1 && b.tensor().sizes[0] == w.tensor().sizes[0];
  }
  /// `addmm(b, x, t(w))`.
  static bool linear_from_addmm(graph_storage& g, node n) {
    const auto m = match<aten::addmm>(n);
    if (!m || !is_one(n.arg(3)) || !is_one(n.arg(4)))
      return false;
    const value b = m.template arg<"self">(), x = m.template arg<"mat1">(), t = m.template arg<"mat2">(),
                w = transposed_weight(t);
    if (!w || !is_bias(b, w))
      return false;
    put(g, n, id_of<aten::linear>(), std::array{argument(x), argument(w), argument(b)}, {t.def().id()});
    return true;
  }
  /// `add_(matmul(x, t(w)), b)`, the product being used by nothing else.
  static bool linear_from_add(graph_storage& g, node n) {
    const auto m = match<aten::add__Tensor>(n);
    if (!m || !is_one(n.arg(2)) || !n.arg(1).is_value())
      return false;
    const auto product = match<aten::matmul>(m.template arg<"self">());
    if (!product || !product.result().has_one_use())
      return false;
    const value b = m.template arg<"other">(), x = product.template arg<"self">(),
                t = product.template arg<"other">(), w = transposed_weight(t);
    if (!w || !is_bias(b, w))
      return false;
    put(g, n, id_of<aten::linear>(), std::array{argument(x), argument(w), argument(b)},
        {(*product).id(), t.def().id()});
    return true;
  }
  static bool linear_from_matmul(graph_storage& g, node n) {
    const auto m = match<aten::matmul>(n);
    if (!m)
      return false;
    const value x = m.template arg<"self">(), t = m.template arg<"other">(), w = transposed_weight(t);
    if (!w)
      return false;
    put(g, n, id_of<aten::linear>(), std::array{argument(x), argument(w)}, {t.def().id()});
    return true;
  }
  /// `sub_(fill_(empty_like(x), s), x)` is `s - x`.
  static bool rsub(graph_storage& g, node n) {
    const auto m = match<aten::sub__Tensor>(n);
    if (!m || !is_one(n.arg(2)) || !n.arg(1).is_value())
      return false;
    const auto fill = match<aten::fill__Scalar>(m.template arg<"self">());
    if (!fill || !fill.result().has_one_use())
      return false;
    const auto empty = match<aten::empty_like>(fill.template arg<"self">());
    const value x = m.template arg<"other">();
    if (!empty || !empty.result().has_one_use() || !(empty.template arg<"self">() == x) || !has_tensor(x))
      return false;
    const auto s = fill.template arg<"value">();
    const auto dtype = x.tensor().dtype;
    if (!is_floating(dtype) && !is_complex(dtype) &&
        (s.form() != arg_form::integer || dtype == scalar_type::b8))
      return false;
    graph_storage::copied_args copy;
    const argument number = g.copy_arg((*fill).id(), s.slot(), copy);
    put(g, n, id_of<aten::rsub_Scalar>(), std::array{argument(x), number}, {(*fill).id(), (*empty).id()});
    return true;
  }
};

} // namespace espalier
