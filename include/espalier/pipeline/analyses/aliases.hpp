// SPDX-License-Identifier: BSL-1.0
// Which values may share memory, by union-find over one walk of the graph, and which classes somebody writes
// to. Coarse and conservative: enough to tell a pass what it must leave alone in a graph that mutates.
#pragma once

#include <espalier/ir/storage.hpp>
#include <espalier/pipeline/analyses/effects.hpp>
#include <espalier/schema/op_id.hpp>
#include <espalier/support/vector.hpp>

#include <cstdint>
#include <type_traits>
#include <utility>

namespace espalier::detail {

/// The memory classes of a graph's values. O(values) to build, nearly O(1) to ask.
class alias_classes {
public:
  template <class = when_used>
  constexpr alias_classes(const graph_storage& g, call_classes& classes)
      : parent_(g.value_capacity()), marks_(g.value_capacity()) {
    for (std::uint32_t i = 0; i != parent_.size(); ++i)
      parent_[i] = i;
    for (node_id n = g.first(); n.valid(); n = g.next(n))
      visit(g, n, classes);
    if (any_written_)
      spread_to_twins(g);
  }
  /// Some value is written to after it is made.
  constexpr bool any_written() const noexcept { return any_written_; }
  /// The value shares memory with one that is written to. False of values that were made since.
  constexpr bool written(value_id v) {
    return v.index < parent_.size() && (marks_[root(v.index)] & written_bit);
  }
  /// The node uses or gives a value that shares memory with one that is written to.
  constexpr bool touches_written(const graph_storage& g, node_id n) {
    if (!any_written_)
      return false;
    for (auto& x : g.slots(n))
      if (x.is_use() && written(value_id{x.w0}))
        return true;
    for (std::size_t i = 0; i != g.num_results(n); ++i)
      if (written(g.result(n, i)))
        return true;
    return false;
  }
  /// The value shares memory with an output of the graph.
  constexpr bool escapes(value_id v) { return marks_[root(v.index)] & escape_bit; }
  constexpr void join(value_id a, value_id b) { unite(a.index, b.index); }
  /// The index of the value that stands for all of its class.
  constexpr std::uint32_t class_of(value_id v) noexcept { return root(v.index); }

private:
  static constexpr std::uint8_t written_bit = 1, escape_bit = 2;

  constexpr std::uint32_t root(std::uint32_t i) noexcept {
    while (parent_[i] != i)
      i = parent_[i] = parent_[parent_[i]];
    return i;
  }
  constexpr void unite(std::uint32_t a, std::uint32_t b) noexcept {
    a = root(a);
    b = root(b);
    if (a == b)
      return;
    if (b < a)
      std::swap(a, b); // the older value leads: definitions come first, paths stay short
    parent_[b] = a;
    marks_[a] |= marks_[b];
  }
  constexpr void mark(std::uint32_t v, std::uint8_t bit) noexcept {
    marks_[root(v)] |= bit;
    any_written_ = any_written_ || bit == written_bit;
  }
  /// Visits the values of top-level argument `i`, list elements included.
  template <class F>
  constexpr void each_value(const graph_storage& g, node_id n, slot_id s, F&& f) {
    const auto& x = g.slot(s);
    if (x.is_use())
      return f(x.w0);
    if (x.form() != arg_form::list && x.form() != arg_form::dict)
      return;
    const auto [first, count] = g.elements(n, s);
    for (std::size_t i = 0; i != count; ++i)
      each_value(g, n, slot_id{first.index + static_cast<std::uint32_t>(i)}, f);
  }
  constexpr void join_results(const graph_storage& g, node_id n, std::uint32_t v) {
    for (std::size_t i = 0; i != g.num_results(n); ++i)
      unite(v, g.result(n, i).index);
  }

  constexpr void visit(const graph_storage& g, node_id n, call_classes& classes) {
    switch (g.kind(n)) {
    case node_kind::placeholder:
      sources_.push_back(n);
      return;
    case node_kind::get_attr: { // the same attribute read twice is one tensor
      sources_.push_back(n);
      if (g.num_args(n) != 1)
        return;
      const std::uint32_t name = g.slot(g.arg_slot(n, 0)).w2; // an id of the graph's strings, which are dense
      while (attributes_.size() <= name)
        attributes_.push_back(slot::nil);
      if (attributes_[name] == slot::nil)
        attributes_[name] = g.result(n).index;
      else
        unite(attributes_[name], g.result(n).index);
      return;
    }
    case node_kind::output:
      for (auto& x : g.slots(n))
        if (x.is_use())
          mark(x.w0, escape_bit);
      return;
    case node_kind::erased:
      return;
    case node_kind::call_function:
    case node_kind::call_higher_order:
      break;
    }
    const call_class c = classes(g.op(n));
    switch (c) {
    case call_class::plain:
    case call_class::effect:
      return;
    case call_class::norm:
      if (!updates_statistics(g, n))
        return;
      for (std::size_t i = norm_arguments{}.statistics; i != norm_arguments{}.training && i < g.num_args(n);
           ++i)
        each_value(g, n, g.arg_slot(n, i), [&](std::uint32_t v) { mark(v, written_bit); });
      return;
    case call_class::random: // dropout gives its input back when it does not train
      for (auto& x : g.slots(n))
        if (x.is_use())
          join_results(g, n, x.w0);
      return;
    case call_class::view:
    case call_class::mutating:
      declared(g, n, c);
      return;
    case call_class::higher_order:
    case call_class::unknown:
    case call_class::unasked: {
      const bool writes = !is_pure(g, n, classes);
      for (auto& x : g.slots(n)) {
        if (!x.is_use())
          continue;
        if (writes)
          mark(x.w0, written_bit);
        join_results(g, n, x.w0);
      }
    }
    }
  }
  /// Follows the alias sets of a schema; where it has none (composites that may give back an argument), every
  /// value.
  constexpr void declared(const graph_storage& g, node_id n, call_class c) {
    if (std::is_constant_evaluated())
      declared(g, n, c, parsed_schema(g.op(n)).get());
    else
      declared(g, n, c, schema_of(g.op(n)));
  }
  constexpr void declared(const graph_storage& g, node_id n, call_class c, const op_schema* s) {
    bool any = false;
    for (std::size_t i = 0; i != s->args.size() && i < g.num_args(n); ++i) {
      const auto& a = s->args[i];
      if (!a.alias)
        continue;
      any = true;
      each_value(g, n, g.arg_slot(n, i), [&](std::uint32_t v) {
        if (a.is_write)
          mark(v, written_bit);
        join_results(g, n, v);
      });
    }
    if (!any && c == call_class::view)
      for (auto& x : g.slots(n))
        if (x.is_use())
          join_results(g, n, x.w0);
  }
  /// Inputs of one kind may be the same tensor (tied buffers, one tensor passed twice): if one is written to,
  /// all are.
  constexpr void spread_to_twins(const graph_storage& g) {
    bool kinds[8] = {}, attributes = false;
    for (node_id n : sources_)
      if (written(g.result(n)))
        (g.kind(n) == node_kind::get_attr ? attributes : kinds[static_cast<int>(g.input(n))]) = true;
    for (node_id n : sources_)
      if (g.kind(n) == node_kind::get_attr ? attributes : kinds[static_cast<int>(g.input(n))])
        mark(g.result(n).index, written_bit);
  }

  vector<std::uint32_t> parent_;
  vector<std::uint8_t> marks_;
  vector<node_id> sources_;
  vector<std::uint32_t> attributes_; // the first value of each name, by the id of the string
  bool any_written_ = false;
};

} // namespace espalier::detail
