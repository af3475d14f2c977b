// SPDX-License-Identifier: BSL-1.0
// Views: a graph and an id, read like an object. `node`, `value` and `arg_view` cost what a pointer and an
// index cost, own nothing, and never change the graph (the graph's own members do that).
#pragma once

#include <espalier/ir/storage.hpp>
#include <espalier/schema/schema.hpp>
#include <espalier/support/vector.hpp>

#include <bit>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string_view>

namespace espalier {

class node;
class value;
class arg_view;

namespace detail {
/// An iterator over views that are made when looked at; multi-pass, default-constructible.
template <class Traverse>
class view_iterator {
public:
  using value_type = decltype(std::declval<const Traverse&>().get());
  using reference = value_type;
  using pointer = void;
  using difference_type = std::ptrdiff_t;
  using iterator_category = std::forward_iterator_tag;
  constexpr view_iterator() = default;
  constexpr explicit view_iterator(Traverse t) : t_(t) {}
  constexpr reference operator*() const { return t_.get(); }
  constexpr view_iterator& operator++() {
    t_.advance();
    return *this;
  }
  constexpr view_iterator operator++(int) {
    auto old = *this;
    t_.advance();
    return old;
  }
  friend constexpr bool operator==(const view_iterator& a, const view_iterator& b) { return a.t_ == b.t_; }

private:
  Traverse t_{};
};
template <class Traverse>
struct view_range {
  view_iterator<Traverse> first, last;
  constexpr view_iterator<Traverse> begin() const { return first; }
  constexpr view_iterator<Traverse> end() const { return last; }
  constexpr bool empty() const { return first == last; }
};
} // namespace detail

/// A result of a node.
class value {
public:
  constexpr value() noexcept = default;
  constexpr value(const graph_storage& g, value_id i) noexcept : g_(&g), id_(i) {}
  constexpr value_id id() const noexcept { return id_; }
  constexpr const graph_storage& graph() const noexcept { return *g_; }
  constexpr explicit operator bool() const noexcept { return g_ && id_.valid(); }
  /// The name it was given; empty when it has none yet (see ir/naming.hpp).
  constexpr std::string_view name() const noexcept { return g_->text(g_->value_name(id_)); }
  constexpr const value_meta& meta() const noexcept { return g_->meta(id_); }
  /// Its tensor meta. Throws when it is no tensor or nothing is known of it.
  constexpr const tensor_meta& tensor() const {
    const auto& m = meta();
    if (m.kind != value_kind::tensor)
      fail(error_kind::usage, "no tensor meta is recorded for this value",
           "value '" + std::string(name()) + "'", "set it, or run infer_metas");
    return m.tensor;
  }
  constexpr node def() const noexcept;
  constexpr std::size_t index() const noexcept { return g_->result_index(id_); }
  constexpr bool has_uses() const noexcept { return g_->has_uses(id_); }
  constexpr bool has_one_use() const noexcept { return g_->has_one_use(id_); }
  constexpr std::size_t num_uses() const noexcept { return g_->count_uses(id_); }
  /// The using nodes, newest use first; a node that uses the value twice comes twice.
  constexpr auto users() const noexcept;
  friend constexpr bool operator==(const value& a, const value& b) noexcept {
    return a.g_ == b.g_ && a.id_ == b.id_;
  }

private:
  const graph_storage* g_ = nullptr;
  value_id id_{};
};

constexpr argument::argument(const value& v) noexcept : form(arg_form::value), val(v.id()) {}

/// An argument of a node, or an element of a list argument.
class arg_view {
public:
  constexpr arg_view() noexcept = default;
  constexpr arg_view(const graph_storage& g, node_id n, slot_id s) noexcept : g_(&g), node_(n), slot_(s) {}
  constexpr arg_form form() const noexcept {
    return slot_.valid() ? g_->slot(slot_).form() : arg_form::absent;
  }
  constexpr slot_id slot() const noexcept { return slot_; }
  /// The node whose argument it is.
  constexpr node_id user() const noexcept { return node_; }
  /// Given, and not None.
  constexpr bool has_value() const noexcept { return form() != arg_form::absent && form() != arg_form::none; }
  constexpr bool is_value() const noexcept { return form() == arg_form::value; }
  constexpr value as_value() const { return {*g_, value_id{expect(arg_form::value).w0}}; }
  constexpr std::int64_t as_int() const { return expect(arg_form::integer).bits(); }
  constexpr bool as_bool() const { return expect(arg_form::boolean).bits() != 0; }
  /// A floating-point number; an integer is taken too.
  constexpr double as_double() const {
    if (form() == arg_form::integer)
      return static_cast<double>(as_int());
    return std::bit_cast<double>(expect(arg_form::floating).bits());
  }
  constexpr std::string_view as_string() const { return g_->text(str_id{expect(arg_form::string).w2}); }
  constexpr std::string_view as_opaque() const { return g_->text(str_id{expect(arg_form::opaque).w2}); }
  constexpr scalar_type as_dtype() const {
    return static_cast<scalar_type>(expect(arg_form::scalar_type).bits());
  }
  constexpr layout as_layout() const { return static_cast<layout>(expect(arg_form::layout).bits()); }
  constexpr memory_format as_memory_format() const {
    return static_cast<memory_format>(expect(arg_form::memory_format).bits());
  }
  constexpr device as_device() const {
    const auto b = expect(arg_form::device).bits();
    return {static_cast<std::int8_t>(b & 0xff), static_cast<std::int8_t>(b >> 8)};
  }
  constexpr op_id as_op() const { return op_id{expect(arg_form::op).w2}; }
  constexpr std::uint32_t as_subgraph() const { return expect(arg_form::subgraph).w2; }
  constexpr const graph_storage& subgraph() const { return g_->subgraph(as_subgraph()); }
  /// An integer constant or an expression over symbols; values computed by nodes are `as_value()`.
  constexpr sym_int as_sym_int() const {
    if (form() == arg_form::symbolic)
      return sym_int(g_->symbol(g_->slot(slot_).w2));
    return as_int();
  }
  /// Number of elements of a list, a dict (keys and values count) or a complex number; 0 for others.
  constexpr std::size_t size() const noexcept {
    switch (form()) {
    case arg_form::list:
    case arg_form::dict:
    case arg_form::complex:
      return g_->slot(slot_).w1;
    default:
      return 0;
    }
  }
  constexpr arg_view operator[](std::size_t i) const noexcept {
    return {*g_, node_, slot_id{g_->elements(node_, slot_).first.index + static_cast<std::uint32_t>(i)}};
  }
  /// A list of integer constants.
  constexpr sym_ints as_sym_ints() const {
    sym_ints out;
    for (std::size_t i = 0; i != size(); ++i)
      out.push_back((*this)[i].as_sym_int());
    return out;
  }

private:
  constexpr const detail::slot& expect(arg_form f) const {
    if (form() != f)
      fail(error_kind::usage,
           "the argument is " + std::string(to_string(form())) + ", not " + std::string(to_string(f)),
           "node '" + std::string(g_->text(g_->node_name(node_))) + "'", "ask form() first");
    return g_->slot(slot_);
  }
  const graph_storage* g_ = nullptr;
  node_id node_{};
  slot_id slot_{};
};

/// A node.
class node {
public:
  constexpr node() noexcept = default;
  constexpr node(const graph_storage& g, node_id i) noexcept : g_(&g), id_(i) {}
  constexpr node_id id() const noexcept { return id_; }
  constexpr const graph_storage& graph() const noexcept { return *g_; }
  constexpr explicit operator bool() const noexcept { return g_ && id_.valid(); }
  constexpr operator node_id() const noexcept { return id_; }
  constexpr node_kind kind() const noexcept { return g_->kind(id_); }
  constexpr op_id op() const noexcept { return g_->op(id_); }
  constexpr bool is_call() const noexcept {
    return kind() == node_kind::call_function || kind() == node_kind::call_higher_order;
  }
  constexpr bool is_call(op_id o) const noexcept { return is_call() && op() == o; }
  constexpr input_kind input() const noexcept { return g_->input(id_); }
  constexpr std::string_view name() const noexcept { return g_->text(g_->node_name(id_)); }
  constexpr std::size_t num_args() const noexcept { return g_->num_args(id_); }
  /// Argument `i` of the schema; absent when it was left out.
  constexpr arg_view arg(std::size_t i) const noexcept {
    return i < num_args() ? arg_view(*g_, id_, g_->arg_slot(id_, i)) : arg_view(*g_, id_, slot_id{});
  }
  constexpr std::size_t num_results() const noexcept { return g_->num_results(id_); }
  constexpr bool returns_list() const noexcept { return g_->returns_list(id_); }
  constexpr value result(std::size_t i = 0) const noexcept { return {*g_, g_->result(id_, i)}; }
  /// No result has a use.
  constexpr bool unused() const noexcept {
    for (std::size_t i = 0; i != num_results(); ++i)
      if (result(i).has_uses())
        return false;
    return true;
  }
  /// The values used, in argument order, list elements included.
  constexpr auto operands() const noexcept;
  constexpr bool is_before(node o) const noexcept { return g_->is_before(id_, o.id_); }
  friend constexpr bool operator==(const node& a, const node& b) noexcept {
    return a.g_ == b.g_ && a.id_ == b.id_;
  }

private:
  const graph_storage* g_ = nullptr;
  node_id id_{};
};

constexpr node value::def() const noexcept { return {*g_, g_->def(id_)}; }

namespace detail {
struct traverse_users {
  const graph_storage* g = nullptr;
  slot_id at{};
  constexpr node get() const { return {*g, g->user(at)}; }
  constexpr void advance() { at = g->next_use(at); }
  friend constexpr bool operator==(const traverse_users& a, const traverse_users& b) { return a.at == b.at; }
};
struct traverse_operands {
  const graph_storage* g = nullptr;
  const slot* at = nullptr;
  const slot* last = nullptr;
  constexpr void settle() {
    while (at != last && !at->is_use())
      ++at;
  }
  constexpr value get() const { return {*g, value_id{at->w0}}; }
  constexpr void advance() {
    ++at;
    settle();
  }
  friend constexpr bool operator==(const traverse_operands& a, const traverse_operands& b) {
    return a.at == b.at;
  }
};
/// Takes the next node before it gives the current one, so that the current one may be erased.
struct traverse_nodes {
  const graph_storage* g = nullptr;
  node_id at{}, following{};
  constexpr node get() const { return {*g, at}; }
  constexpr void advance() {
    at = following;
    following = at.valid() ? g->next(at) : node_id{};
  }
  friend constexpr bool operator==(const traverse_nodes& a, const traverse_nodes& b) { return a.at == b.at; }
};
struct traverse_nodes_backwards {
  const graph_storage* g = nullptr;
  node_id at{}, following{};
  constexpr node get() const { return {*g, at}; }
  constexpr void advance() {
    at = following;
    following = at.valid() ? g->prev(at) : node_id{};
  }
  friend constexpr bool operator==(const traverse_nodes_backwards& a, const traverse_nodes_backwards& b) {
    return a.at == b.at;
  }
};
} // namespace detail

constexpr auto value::users() const noexcept {
  using it = detail::view_iterator<detail::traverse_users>;
  return detail::view_range<detail::traverse_users>{it{{g_, g_->first_use(id_)}}, it{{g_, slot_id{}}}};
}
constexpr auto node::operands() const noexcept {
  using it = detail::view_iterator<detail::traverse_operands>;
  const auto s = g_->slots(id_);
  detail::traverse_operands first{g_, s.data(), s.data() + s.size()};
  first.settle();
  return detail::view_range<detail::traverse_operands>{it{first},
                                                       it{{g_, s.data() + s.size(), s.data() + s.size()}}};
}

/// The nodes of a graph in order. Erasing the node at hand is allowed; so is inserting anywhere but right
/// after it (such a node is not visited).
constexpr auto nodes(const graph_storage& g) noexcept {
  using it = detail::view_iterator<detail::traverse_nodes>;
  const auto f = g.first();
  return detail::view_range<detail::traverse_nodes>{it{{&g, f, f.valid() ? g.next(f) : node_id{}}},
                                                    it{{&g, {}, {}}}};
}
/// The same from the last node to the first: users come before what they use.
constexpr auto nodes_reversed(const graph_storage& g) noexcept {
  using it = detail::view_iterator<detail::traverse_nodes_backwards>;
  const auto f = g.last();
  return detail::view_range<detail::traverse_nodes_backwards>{it{{&g, f, f.valid() ? g.prev(f) : node_id{}}},
                                                              it{{&g, {}, {}}}};
}
/// The placeholders, in order.
template <class = when_used>
vector<node> placeholders(const graph_storage& g) {
  vector<node> out;
  for (node n : nodes(g)) {
    if (n.kind() != node_kind::placeholder)
      break;
    out.push_back(n);
  }
  return out;
}

} // namespace espalier
