// SPDX-License-Identifier: BSL-1.0
// What a graph computes, as a 64-bit number and as an equality: independent of names, of node ids and
// tombstones, of interning order, of origins, and of the run (operators count by name, expressions by text).
// Nodes count in program order: a reordered graph is another graph.
#pragma once

#include <espalier/ir/metadata.hpp>
#include <espalier/ir/storage.hpp>
#include <espalier/schema/op_id.hpp>
#include <espalier/support/optional.hpp>
#include <espalier/support/vector.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace espalier {

/// What a structural hash or comparison looks at, beside operators, arguments and edges.
struct structure_options {
  bool metas = true;        ///< what is known of the values
  bool hints = false;       ///< the values of symbols on the example inputs, too
  bool input_names = false; ///< the placeholders' names
};

namespace detail {

template <class = when_used>
std::uint64_t hash_text(std::string_view s) noexcept {
  std::uint64_t h = 0xcbf2'9ce4'8422'2325ull ^ s.size();
  for (char c : s)
    h = (h ^ static_cast<unsigned char>(c)) * 0x100'0000'01b3ull;
  return h ^ (h >> 29);
}

template <class = when_used>
class structure_hasher {
public:
  structure_hasher(const graph_storage& g, const structure_options& o)
      : g_(g), o_(o), position_(g.value_capacity()) {}

  std::uint64_t run() {
    vector<std::uint64_t> graphs;
    for (std::size_t i = 0; i != g_.num_subgraphs(); ++i)
      graphs.push_back(structure_hasher(g_.subgraph(i), o_).run());
    graphs_ = &graphs;
    std::uint64_t h = 0x6573'7061'6c69'6572ull;
    std::uint32_t next = 0;
    for (node_id n = g_.first(); n.valid(); n = g_.next(n)) {
      h = mix(h, static_cast<std::uint64_t>(g_.kind(n)) | std::uint64_t{g_.returns_list(n)} << 8 |
                     std::uint64_t(g_.num_results(n)) << 16 | std::uint64_t(g_.num_args(n)) << 40);
      if (g_.kind(n) == node_kind::placeholder) {
        h = mix(h, static_cast<std::uint64_t>(g_.input(n)));
        if (o_.input_names)
          h = mix(h, text(g_.node_name(n)));
      }
      if (g_.op(n).valid())
        h = mix(h, op(g_.op(n)));
      for (auto& x : g_.slots(n))
        h = mix(h, slot_hash(x));
      for (std::size_t i = 0; i != g_.num_results(n); ++i) {
        position_[g_.result(n, i).index] = next++;
        if (o_.metas)
          h = mix(h, meta(g_.meta_of(g_.result(n, i))));
      }
    }
    return h;
  }

private:
  std::uint64_t slot_hash(const detail::slot& x) {
    const auto form = static_cast<std::uint64_t>(x.form()) << 56;
    switch (x.form()) {
    case arg_form::value:
      return form | position_[x.w0];
    case arg_form::string:
    case arg_form::opaque:
      return form ^ text(str_id{x.w2});
    case arg_form::symbolic:
      return form ^ hash_text(sym_text(g_.symbol(x.w2)));
    case arg_form::op:
      return form ^ op(op_id{x.w2});
    case arg_form::subgraph:
      return form ^ (x.w2 < graphs_->size() ? (*graphs_)[x.w2] : x.w2);
    case arg_form::list:
    case arg_form::dict:
    case arg_form::complex:
      return form ^ (std::uint64_t{x.w1} << 32 | x.w2); // the count, and where the elements are
    default:
      return mix(form, static_cast<std::uint64_t>(x.bits()));
    }
  }
  template <class F>
  static std::uint64_t remember(vector<std::uint64_t>& table, std::uint32_t i, F&& compute) {
    if (table.size() <= i)
      table.resize(i + 1, 0);
    if (!table[i])
      table[i] = compute() | 1;
    return table[i];
  }
  std::uint64_t text(str_id s) {
    if (!s.valid())
      return 1;
    return remember(texts_, s.index, [&] { return hash_text(g_.text(s)); });
  }
  std::uint64_t op(op_id o) {
    return remember(ops_, o.index, [&] { return hash_text(name_of(o)); });
  }
  static std::uint64_t sym(const sym_int& s) {
    return s.is_int() ? static_cast<std::uint64_t>(s.int_or(0)) : hash_text(sym_text(s.as_expr()));
  }
  std::uint64_t meta(meta_id m) {
    if (!m.valid())
      return 3;
    return remember(metas_, m.index, [&] {
      const value_meta& v = g_.get_meta(m);
      std::uint64_t h = static_cast<std::uint64_t>(v.kind);
      switch (v.kind) {
      case value_kind::tensor: {
        const tensor_meta& t = v.tensor;
        h = mix(h, static_cast<std::uint8_t>(t.dtype) | std::uint64_t{static_cast<std::uint8_t>(t.lay)} << 8 |
                       std::uint64_t{static_cast<std::uint8_t>(t.dev.type)} << 16 |
                       std::uint64_t{static_cast<std::uint8_t>(t.dev.index)} << 24 |
                       std::uint64_t{t.requires_grad} << 32 | std::uint64_t(t.sizes.size()) << 40);
        for (auto& s : t.sizes)
          h = mix(h, sym(s));
        for (auto& s : t.strides)
          h = mix(h, sym(s));
        return mix(h, sym(t.storage_offset));
      }
      case value_kind::custom_object:
        return mix(h, text(v.text));
      case value_kind::sym_int:
      case value_kind::sym_float:
      case value_kind::sym_bool:
        h = mix(h, sym(v.symbol));
        return o_.hints && v.has_hint ? mix(h, static_cast<std::uint64_t>(v.hint)) : h;
      default:
        return h;
      }
    });
  }

  const graph_storage& g_;
  const structure_options& o_;
  vector<std::uint32_t> position_; // of values in program order
  vector<std::uint64_t> texts_, ops_, metas_;
  const vector<std::uint64_t>* graphs_ = nullptr;
};

inline bool same_symbol(const sym_int& a, const sym_int& b) { return a == b; } // expressions are interned
template <class = when_used>
bool same_meta(const graph_storage& a, const value_meta& x, const graph_storage& b, const value_meta& y,
               const structure_options& o) {
  if (x.kind != y.kind)
    return false;
  switch (x.kind) {
  case value_kind::tensor:
    return x.tensor == y.tensor;
  case value_kind::custom_object:
    return a.text(x.text) == b.text(y.text);
  case value_kind::sym_int:
  case value_kind::sym_float:
  case value_kind::sym_bool:
    return same_symbol(x.symbol, y.symbol) && (!o.hints || (x.has_hint == y.has_hint && x.hint == y.hint));
  default:
    return true;
  }
}

} // namespace detail

/// A hash of what a graph computes. The same in every run, on every machine. Linear.
template <class = when_used>
std::uint64_t structural_hash(const graph_storage& g, const structure_options& o = {}) {
  return detail::structure_hasher(g, o).run();
}

template <class = when_used>
bool structurally_equal(const graph_storage& a, const graph_storage& b, const structure_options& o = {});

/// The first node of `b` that is not what `a` has there; an invalid one where `b` ends too early; nothing
/// when both compute the same by the same nodes in the same order. Linear.
template <class = when_used>
optional<node_id> first_difference(const graph_storage& a, const graph_storage& b,
                                   const structure_options& o = {}) {
  vector<std::uint32_t> in_b(a.value_capacity(), ~std::uint32_t{0}); // value of a -> value of b
  node_id m = b.first();
  for (node_id n = a.first(); n.valid(); n = a.next(n), m = b.next(m)) {
    if (!m.valid() || a.kind(n) != b.kind(m) || a.op(n) != b.op(m) || a.num_args(n) != b.num_args(m) ||
        a.num_results(n) != b.num_results(m) || a.returns_list(n) != b.returns_list(m))
      return m;
    if (a.kind(n) == node_kind::placeholder &&
        (a.input(n) != b.input(m) || (o.input_names && a.text(a.node_name(n)) != b.text(b.node_name(m)))))
      return m;
    const auto x = a.slots(n), y = b.slots(m);
    if (x.size() != y.size())
      return m;
    for (std::size_t i = 0; i != x.size(); ++i) {
      if (x[i].form() != y[i].form())
        return m;
      switch (x[i].form()) {
      case arg_form::value:
        if (in_b[x[i].w0] != y[i].w0)
          return m;
        break;
      case arg_form::string:
      case arg_form::opaque:
        if (a.text(str_id{x[i].w2}) != b.text(str_id{y[i].w2}))
          return m;
        break;
      case arg_form::symbolic:
        if (a.symbol(x[i].w2) != b.symbol(y[i].w2))
          return m;
        break;
      case arg_form::subgraph:
        if (x[i].w2 >= a.num_subgraphs() || y[i].w2 >= b.num_subgraphs() ||
            !structurally_equal(a.subgraph(x[i].w2), b.subgraph(y[i].w2), o))
          return m;
        break;
      default:
        if (x[i].w1 != y[i].w1 || x[i].bits() != y[i].bits())
          return m;
      }
    }
    for (std::size_t i = 0; i != a.num_results(n); ++i) {
      in_b[a.result(n, i).index] = b.result(m, i).index;
      if (o.metas && !detail::same_meta(a, a.meta(a.result(n, i)), b, b.meta(b.result(m, i)), o))
        return m;
    }
  }
  if (m.valid())
    return m;
  return std::nullopt;
}

/// Whether two graphs compute the same by the same nodes in the same order. Linear.
template <class>
bool structurally_equal(const graph_storage& a, const graph_storage& b, const structure_options& o) {
  return a.num_nodes() == b.num_nodes() && a.num_subgraphs() == b.num_subgraphs() &&
         !first_difference(a, b, o);
}

} // namespace espalier
