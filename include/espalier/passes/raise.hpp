// SPDX-License-Identifier: BSL-1.0
// Raising: what LibTorch's C++ layers and operators spell their own way (`t` + `addmm`, scalar overloads, `s
// - x`) becomes what Python's export records for the same model, so that tools that match on operators find
// them. docs/spellings.md has the table, argument by argument, with the conditions under which each row
// holds. A raised call reads all its operands where the last call it replaces stood; where somebody writes to
// one of them in between, the calls stay as they are.
#pragma once

#include <espalier/ir/graph.hpp>
#include <espalier/passes/raise_attention.hpp>
#include <espalier/passes/spellings.hpp>
#include <espalier/pipeline/analyses/aliases.hpp>
#include <espalier/pipeline/analyses/effects.hpp>
#include <espalier/pipeline/pass.hpp>
#include <espalier/pipeline/pass_context.hpp>
#include <espalier/pipeline/pass_result.hpp>
#include <espalier/pipeline/properties.hpp>
#include <espalier/schema/aten.hpp>
#include <espalier/support/vector.hpp>

#include <array>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <string_view>
#include <utility>

namespace espalier {

/// Rewrites C++ spellings into Python's, subgraphs included: layers, `s - x`, what passes/spellings.hpp lists
/// one for one, and what stands around the layers of attention (passes/raise_attention.hpp). Each raised call
/// stands where the last one it replaces stood, with its name forgotten and its metadata and origin kept.
/// Linear.
struct raise : pass {
  static constexpr std::string_view name = "raise";
  static constexpr std::string_view description = "spells what C++ layers call as Python's export does";
  // a raised call has the uses and the place of the last call it replaces; where that wrote to memory of its
  // own and nobody looked, it is dead now
  using destroys =
      properties<property::no_dead_code, property::no_duplicates, property::canonical, property::named>;

  template <class = when_used>
  static pass_result run(graph_storage& g) {
    pass_context c;
    return run(g, c);
  }
  template <class = when_used>
  static pass_result run(graph_storage& g, pass_context& c) {
    detail::call_classes classes;
    return run(g, classes, c);
  }

private:
  /// Who writes to memory, and where: asked before a read moves down the graph.
  template <class = when_used>
  class writes {
  public:
    writes(const graph_storage& g, detail::call_classes& classes) : g_(g), classes_(classes) {
      detail::alias_classes memory(g, classes);
      if (!memory.any_written())
        return;
      written_.resize(g.value_capacity());
      for (std::uint32_t i = 0; i != written_.size(); ++i)
        written_[i] = memory.written(value_id{i});
    }
    /// The walk of the graph has passed a node.
    void pass(node_id n) {
      if (!written_.empty() && may_write(n))
        writers_.push_back(n);
    }
    /// Whether a value may change between node `from` and the node where the walk stands, both excluded.
    /// `known` is a writer between them that does not count. Coarse: any write there, to any memory.
    bool may_change(value_id v, node_id from, node_id known = {}) const {
      if (v.index >= written_.size() || !written_[v.index])
        return false;
      for (auto w = writers_.rbegin(); w != writers_.rend() && g_.is_before(from, *w); ++w)
        if (*w != known)
          return true;
      return false;
    }
    /// A value takes the place of another one.
    template <class = when_used>
    void replace(value_id old, value_id fresh) {
      if (old.index >= written_.size() || !written_[old.index])
        return forget(fresh);
      if (fresh.index >= written_.size())
        written_.resize(fresh.index + 1);
      written_[fresh.index] = true;
    }
    /// A node is about to be erased.
    void erase(node_id n) {
      for (auto w = writers_.end(); w != writers_.begin() && !g_.is_before(*std::prev(w), n); --w)
        if (*std::prev(w) == n) {
          writers_.erase(std::prev(w));
          return;
        }
    }

  private:
    void forget(value_id v) {
      if (v.index < written_.size())
        written_[v.index] = false;
    }
    bool may_write(node_id n) {
      switch (g_.kind(n)) {
      case node_kind::call_function:
      case node_kind::call_higher_order:
        break;
      default:
        return false;
      }
      switch (classes_(g_.op(n))) {
      case detail::call_class::plain:
      case detail::call_class::view:
      case detail::call_class::random:
      case detail::call_class::effect:
        return false;
      default:
        return !detail::is_pure(g_, n, classes_);
      }
    }
    const graph_storage& g_;
    detail::call_classes& classes_;
    vector<bool> written_; ///< by value; empty when nobody writes
    vector<node_id> writers_;
  };

  template <class = when_used>
  static pass_result run(graph_storage& g, detail::call_classes& classes, pass_context& c) {
    pass_result done;
    for (std::size_t i = 0; i != g.num_subgraphs(); ++i)
      done += run(g.subgraph(i), classes, c);
    const auto edited = [&](auto&& edit) { // looks and rewrites at once: it is not asked when no edit is left
      if (c.edits_left() == 0 || !edit())
        return false;
      c.made_edits(name, 1);
      ++done.rewritten;
      return true;
    };
    {
      writes w(g, classes);
      detail::respelling spell(g);
      for (node n : nodes(g)) {
        if (n.kind() == node_kind::call_function) {
          const bool respelt = edited([&] { return spell.raise(n.id()); });
          if (!respelt &&
              edited([&] { return linear_from_addmm(g, n, w) || linear_from_add(g, n, w) || rsub(g, n, w); }))
            continue;
        }
        w.pass(n.id());
      }
    }
    bool attends = false;
    { // a matmul that no add_ follows is a linear without a bias
      writes w(g, classes);
      for (node n : nodes(g)) {
        attends = attends || n.is_call(id_of<aten::bmm>());
        if (!edited([&] { return linear_from_matmul(g, n, w); }))
          w.pass(n.id());
      }
    }
    if (attends) { // what stands around layers
      writes w(g, classes);
      detail::raise_attention attention(g, w);
      for (node n : nodes(g)) {
        if (!edited([&] { return attention(n); }))
          w.pass(n.id());
      }
    }
    return done;
  }

  static bool is_one(arg_view a) {
    return a.form() == arg_form::absent || (a.form() == arg_form::integer && a.as_int() == 1) ||
           (a.form() == arg_form::floating && a.as_double() == 1.0);
  }
  static bool has_tensor(value v) { return v.meta().kind == value_kind::tensor; }

  /// Replaces `old`'s only result by a new call in its place, and erases `old` and whatever of `inner` has no
  /// use left.
  template <std::size_t N>
  static void put(graph_storage& g, node old, op_id op, const std::array<argument, N>& args,
                  std::initializer_list<node_id> inner, writes<>& w) {
    const auto at = g.current_insertion_point();
    g.set_insertion_point({old.id()});
    const node_id fresh = g.call(op, args, 1);
    g.set_insertion_point(at);
    g.set_meta(g.result(fresh), g.meta_of(old.result().id()));
    g.set_origin(fresh, g.origin_of(old.id()));
    g.replace_all_uses(old.result().id(), g.result(fresh));
    w.replace(old.result().id(), g.result(fresh));
    g.erase(old.id());
    for (node_id n : inner)
      if (g.alive(n) && !g.has_uses(g.result(n))) {
        w.erase(n);
        g.erase(n);
      }
  }

  /// The weight behind `t(w)`, or an empty value.
  template <class = when_used>
  static value transposed_weight(value v) {
    const auto t = match<aten::t>(v);
    if (!t)
      return {};
    const value w = t.template arg<"self">();
    return has_tensor(w) && w.tensor().dim() == 2 ? w : value();
  }
  template <class = when_used>
  static bool is_bias(value b, value w) {
    return has_tensor(b) && b.tensor().dim() == 1 && b.tensor().sizes[0] == w.tensor().sizes[0] &&
           b.tensor().dtype == w.tensor().dtype;
  }
  /// `addmm(b, x, t(w))`.
  template <class = when_used>
  static bool linear_from_addmm(graph_storage& g, node n, writes<>& memory) {
    const auto m = match<aten::addmm>(n);
    if (!m || !is_one(n.arg(3)) || !is_one(n.arg(4)))
      return false;
    const value b = m.template arg<"self">(), x = m.template arg<"mat1">(), t = m.template arg<"mat2">(),
                w = transposed_weight(t);
    if (!w || !is_bias(b, w) || memory.may_change(w.id(), t.def().id()))
      return false;
    put(g, n, id_of<aten::linear>(), std::array{argument(x), argument(w), argument(b)}, {t.def().id()},
        memory);
    return true;
  }
  /// `add_(matmul(x, t(w)), b)` as C++ layers call it, or `add(matmul(x, t(w)), b)` as `lower_spellings`
  /// writes it, the product being used by nothing else.
  template <class = when_used>
  static bool linear_from_add(graph_storage& g, node n, writes<>& memory) {
    if (const auto in_place = match<aten::add__Tensor>(n))
      return linear_from_sum(g, n, in_place, memory);
    if (const auto sum = match<aten::add_Tensor>(n))
      return linear_from_sum(g, n, sum, memory);
    return false;
  }
  template <class Sum>
  static bool linear_from_sum(graph_storage& g, node n, const Sum& m, writes<>& memory) {
    if (!is_one(n.arg(2)) || !n.arg(0).is_value() || !n.arg(1).is_value())
      return false;
    const auto product = match<aten::matmul>(m.template arg<"self">());
    if (!product || !product.result().has_one_use())
      return false;
    const value b = m.template arg<"other">(), x = product.template arg<"self">(),
                t = product.template arg<"other">(), w = transposed_weight(t);
    if (!w || !is_bias(b, w) || memory.may_change(w.id(), t.def().id()) ||
        memory.may_change(x.id(), (*product).id()))
      return false;
    put(g, n, id_of<aten::linear>(), std::array{argument(x), argument(w), argument(b)},
        {(*product).id(), t.def().id()}, memory);
    return true;
  }
  template <class = when_used>
  static bool linear_from_matmul(graph_storage& g, node n, writes<>& memory) {
    const auto m = match<aten::matmul>(n);
    if (!m)
      return false;
    const value x = m.template arg<"self">(), t = m.template arg<"other">(), w = transposed_weight(t);
    if (!w || memory.may_change(w.id(), t.def().id()))
      return false;
    put(g, n, id_of<aten::linear>(), std::array{argument(x), argument(w)}, {t.def().id()}, memory);
    return true;
  }
  /// `sub_(fill_(empty_like(x), s), x)` as C++ calls it, or `sub(full_like(x, s), x)` as `lower_spellings`
  /// writes it, is `s - x`.
  template <class = when_used>
  static bool rsub(graph_storage& g, node n, writes<>& memory) {
    if (!n.arg(0).is_value() || !n.arg(1).is_value() || !is_one(n.arg(2)))
      return false;
    const value x = n.arg(1).as_value(), filled = n.arg(0).as_value();
    if (!filled.has_one_use() || !has_tensor(x))
      return false;
    if (n.is_call(id_of<aten::sub_Tensor>()))
      if (const auto full = match<aten::full_like>(filled); full && full.template arg<"self">() == x)
        return rsub(g, n, x, full.template arg<"fill_value">(), {(*full).id()}, memory);
    if (!n.is_call(id_of<aten::sub__Tensor>()))
      return false;
    const auto fill = match<aten::fill__Scalar>(filled);
    if (!fill)
      return false;
    const auto empty = match<aten::empty_like>(fill.template arg<"self">());
    return empty && empty.result().has_one_use() && empty.template arg<"self">() == x &&
           rsub(g, n, x, fill.template arg<"value">(), {(*fill).id(), (*empty).id()}, memory);
  }
  /// `made`: the calls that make what is filled with the number, the first one last.
  template <class = when_used>
  static bool rsub(graph_storage& g, node n, value x, arg_view s, std::initializer_list<node_id> made,
                   writes<>& memory) {
    const value filled(g, g.result(*made.begin()));
    const auto dtype = x.tensor().dtype;
    if (!has_tensor(filled) || filled.tensor().dtype != dtype || filled.tensor().dev != x.tensor().dev ||
        filled.tensor().lay != x.tensor().lay || filled.tensor().strides != x.tensor().strides)
      return false; // it was told to be of another kind than x
    if (!is_floating(dtype) && !is_complex(dtype) &&
        (s.form() != arg_form::integer || dtype == scalar_type::b8))
      return false;
    const node_id first = *std::prev(made.end());
    if (memory.may_change(x.id(), first, *made.begin())) // its sizes are read up there
      return false;
    graph_storage::copied_args copy;
    const argument number = g.copy_arg(s.user(), s.slot(), copy);
    put(g, n, id_of<aten::rsub_Scalar>(), std::array{argument(x), number}, made, memory);
    return true;
  }
};

} // namespace espalier
