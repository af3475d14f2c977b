// SPDX-License-Identifier: BSL-1.0
// The storage of a graph: flat arrays of nodes, values and argument slots, linked by 32-bit ids. It is no
// template and knows no dialect: `graph<Dialect>` and the views are typed shells over it, so that every
// instantiation shares this code. A node with two operands and one result takes 96 bytes, metadata ids
// included.
//
// Copying a graph copies its arrays. Erased nodes leave tombstones, so that ids stay valid until
// `compacted()`.
#pragma once

#include <espalier/ir/argument.hpp>
#include <espalier/ir/metadata.hpp>
#include <espalier/ir/strings.hpp>
#include <espalier/support/error.hpp>
#include <espalier/support/id.hpp>
#include <espalier/support/span.hpp>
#include <espalier/support/vector.hpp>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

namespace espalier {

/// FX's kinds of node. `call_module` and `call_method` do not exist: an exported graph never holds them.
enum class node_kind : std::uint8_t {
  erased,
  placeholder,
  call_function,
  call_higher_order,
  get_attr,
  output
};

/// What a placeholder stands for (`torch/export/graph_signature.py`: InputKind).
enum class input_kind : std::uint8_t { user_input, parameter, buffer, constant_tensor, custom_obj, token };

constexpr std::string_view to_string(node_kind k) noexcept {
  constexpr std::string_view names[] = {"erased",   "placeholder", "call_function", "call_higher_order",
                                        "get_attr", "output"};
  return names[static_cast<int>(k)];
}
constexpr std::string_view to_string(input_kind k) noexcept {
  constexpr std::string_view names[] = {"user_input",      "parameter",  "buffer",
                                        "constant_tensor", "custom_obj", "token"};
  return names[static_cast<int>(k)];
}

class graph_storage;

namespace detail { // ir/boost_graph.hpp
template <class Cursor>
class bgl_iterator;
struct bgl_out_edges;
} // namespace detail

/// Sees every edit of a graph: indexes, journals and dirty sets hang on it. All hooks default to nothing. A
/// listener belongs to the graph object it was set on; copies of the graph have none.
class edit_listener {
public:
  constexpr virtual ~edit_listener() = default;
  /// After a node, its results and its arguments exist.
  constexpr virtual void created(graph_storage&, node_id) {}
  /// Before a node goes; its arguments are still there.
  constexpr virtual void erasing(graph_storage&, node_id) {}
  /// After argument slot `s` of `user` changed from `before` (invalid if it was a constant).
  constexpr virtual void argument_changed(graph_storage&, node_id, slot_id, value_id) {}
  /// After a call became one of another operator, its arguments staying as they were.
  constexpr virtual void op_changed(graph_storage&, node_id, op_id /*before*/) {}
  /// After a node moved in the order.
  constexpr virtual void moved(graph_storage&, node_id) {}
  /// After a subgraph came; no node names it yet. Its own edits are told to its own listener.
  constexpr virtual void subgraph_added(graph_storage&, std::uint32_t) {}
  /// In the place of a subgraph's new number: it is gone.
  static constexpr std::uint32_t dropped = 0xffff'ffffu;
  /// After subgraphs were dropped and the others moved up: `now[i]` is the number of what was subgraph `i`,
  /// or `dropped`. Every node names them by the new numbers already; `argument_changed` follows for each slot
  /// whose number is another.
  constexpr virtual void subgraphs_renumbered(graph_storage&, span<const std::uint32_t> /*now*/) {}
};

/// Where new nodes go: before a node, or at the end (before the output node when there is one).
struct insertion_point {
  node_id before{};
};

class graph_storage {
public:
  /// Some algorithms of Boost.Graph ask the class rather than `graph_traits`. Complete with
  /// ir/boost_graph.hpp.
  using out_edge_iterator = detail::bgl_iterator<detail::bgl_out_edges>;

  // ---- reading
  // ------------------------------------------------------------------------------------------------
  /// Nodes alive.
  constexpr std::size_t num_nodes() const noexcept { return alive_; }
  /// One more than the largest node index ever given: the size of a dense side table.
  constexpr std::size_t node_capacity() const noexcept { return nodes_.size(); }
  constexpr std::size_t value_capacity() const noexcept { return values_.size(); }
  constexpr node_id first() const noexcept { return node_id{head_}; }
  constexpr node_id last() const noexcept { return node_id{tail_}; }
  constexpr node_id next(node_id n) const noexcept { return node_id{links_[n.index].next}; }
  constexpr node_id prev(node_id n) const noexcept { return node_id{links_[n.index].prev}; }
  constexpr bool alive(node_id n) const noexcept {
    return n.index < nodes_.size() && nodes_[n.index].kind != node_kind::erased;
  }
  constexpr node_kind kind(node_id n) const noexcept { return nodes_[n.index].kind; }
  constexpr op_id op(node_id n) const noexcept { return op_id{nodes_[n.index].op}; }
  constexpr input_kind input(node_id n) const noexcept { return nodes_[n.index].input; }
  /// True when the op's one result is a list whose elements are the node's results.
  constexpr bool returns_list(node_id n) const noexcept { return nodes_[n.index].flags & list_result_flag; }
  constexpr std::size_t num_args(node_id n) const noexcept { return nodes_[n.index].num_args; }
  constexpr std::size_t num_results(node_id n) const noexcept { return nodes_[n.index].num_results; }
  constexpr value_id result(node_id n, std::size_t i = 0) const noexcept {
    return value_id{nodes_[n.index].first_result + static_cast<std::uint32_t>(i)};
  }
  /// The slot of top-level argument `i`, which is the schema's argument `i`.
  constexpr slot_id arg_slot(node_id n, std::size_t i) const noexcept {
    return slot_id{nodes_[n.index].first_slot + static_cast<std::uint32_t>(i)};
  }
  /// All slots of a node, list elements included: scanning them visits every use once.
  constexpr span<const detail::slot> slots(node_id n) const noexcept {
    return {slots_.data() + nodes_[n.index].first_slot, nodes_[n.index].num_slots};
  }
  constexpr const detail::slot& slot(slot_id s) const noexcept { return slots_[s.index]; }
  /// Slots that follow each other: the first, and their number.
  struct slot_range {
    slot_id first;
    std::size_t count;
  };
  /// Elements of a list-like slot: its first element's slot and their number.
  constexpr slot_range elements(node_id n, slot_id s) const noexcept {
    return {slot_id{nodes_[n.index].first_slot + slots_[s.index].w2}, slots_[s.index].w1};
  }
  constexpr str_id node_name(node_id n) const noexcept { return str_id{nodes_[n.index].name}; }

  constexpr node_id def(value_id v) const noexcept { return node_id{values_[v.index].def}; }
  /// Which result of its node a value is.
  constexpr std::size_t result_index(value_id v) const noexcept {
    return v.index - nodes_[values_[v.index].def].first_result;
  }
  constexpr str_id value_name(value_id v) const noexcept { return str_id{values_[v.index].name}; }
  constexpr bool has_uses(value_id v) const noexcept {
    return values_[v.index].first_use != detail::slot::nil;
  }
  /// O(1).
  constexpr bool has_one_use(value_id v) const noexcept {
    const auto u = values_[v.index].first_use;
    return u != detail::slot::nil && slots_[u].w2 == detail::slot::nil;
  }
  /// The head of the use list (newest use first), and its next link; invalid at the end.
  constexpr slot_id first_use(value_id v) const noexcept { return slot_id{values_[v.index].first_use}; }
  constexpr slot_id next_use(slot_id s) const noexcept { return slot_id{slots_[s.index].w2}; }
  constexpr node_id user(slot_id s) const noexcept { return node_id{slots_[s.index].w1}; }
  /// O(uses).
  constexpr std::size_t count_uses(value_id v) const noexcept {
    std::size_t n = 0;
    for (auto s = first_use(v); s.valid(); s = next_use(s))
      ++n;
    return n;
  }

  constexpr meta_id meta_of(value_id v) const noexcept { return meta_id{values_[v.index].meta}; }
  /// What is known of a value; `value_kind::unknown` when nothing is. Valid until the next `set_meta`.
  constexpr const value_meta& meta(value_id v) const noexcept {
    const meta_id m = meta_of(v);
    return m.valid() ? metas_[m] : unknown_meta();
  }
  constexpr origin_id origin_of(node_id n) const noexcept { return origin_id{nodes_[n.index].origin}; }
  constexpr const origin& get_origin(origin_id o) const noexcept { return origins_[o]; }
  constexpr std::string_view text(str_id s) const noexcept { return strings_.view(s); }
  constexpr const expr* symbol(std::size_t i) const noexcept { return symbols_[i]; }

  constexpr std::size_t num_subgraphs() const noexcept { return subgraphs_.size(); }
  constexpr const graph_storage& subgraph(std::size_t i) const noexcept { return subgraphs_[i]; }
  constexpr graph_storage& subgraph(std::size_t i) noexcept { return subgraphs_[i]; }
  constexpr str_id subgraph_name(std::size_t i) const noexcept { return subgraph_names_[i]; }

  /// Bytes that nodes, links, values and argument slots take, without strings and metadata records.
  constexpr std::size_t bytes() const noexcept {
    return nodes_.size() * (sizeof(node_record) + sizeof(link) + sizeof(std::uint32_t)) +
           values_.size() * sizeof(value_record) + slots_.size() * sizeof(detail::slot);
  }

  // ---- order
  // --------------------------------------------------------------------------------------------------
  /// Whether `a` stands before `b` in the order. O(1): order numbers are kept under insertion (amortised
  /// O(log n)).
  constexpr bool is_before(node_id a, node_id b) const noexcept { return order_[a.index] < order_[b.index]; }
  constexpr std::uint32_t order(node_id n) const noexcept { return order_[n.index]; }

  // ---- building
  // -----------------------------------------------------------------------------------------------
  constexpr void reserve(std::size_t nodes, std::size_t slots) {
    nodes_.reserve(nodes);
    links_.reserve(nodes);
    order_.reserve(nodes);
    values_.reserve(nodes);
    slots_.reserve(slots);
  }
  constexpr str_id intern(std::string_view s) { return strings_.intern(s); }
  constexpr str_id find_string(std::string_view s) const { return strings_.find(s); }

  /// New nodes go before `p.before` from now on; by default at the end, before the output.
  constexpr void set_insertion_point(insertion_point p) noexcept { insert_before_ = p.before; }
  constexpr insertion_point current_insertion_point() const noexcept { return {insert_before_}; }

  /// Appends a placeholder after the last one, whatever the insertion point.
  constexpr node_id placeholder(input_kind k, std::string_view name, meta_id m = {}) {
    node_id at = head_ == nil ? node_id{} : node_id{head_};
    if (last_placeholder_ != nil)
      at = next(node_id{last_placeholder_});
    const node_id n = add_node(node_kind::placeholder, {}, at, 1);
    nodes_[n.index].input = k;
    if (!name.empty()) {
      nodes_[n.index].name = intern(name).index;
      values_[nodes_[n.index].first_result].name = nodes_[n.index].name;
    }
    values_[nodes_[n.index].first_result].meta = m.index;
    last_placeholder_ = n.index;
    if (listener_)
      listener_->created(*this, n);
    return n;
  }
  /// A call of an operator. `args[i]` is the schema's argument `i`; trailing arguments may be left out, one
  /// in the middle is left out as `argument{}` (absent).
  constexpr node_id call(op_id op, span<const argument> args, std::size_t num_results,
                         bool list_result = false, node_kind kind = node_kind::call_function) {
    const node_id n = add_node(kind, op, insert_before(), num_results);
    if (list_result)
      nodes_[n.index].flags |= list_result_flag;
    put_args(n, args);
    if (listener_)
      listener_->created(*this, n);
    return n;
  }
  constexpr node_id get_attr(std::string_view target, std::string_view name) {
    const node_id n = add_node(node_kind::get_attr, {}, insert_before(), 1);
    const argument a[] = {argument(target)};
    put_args(n, a);
    if (!name.empty())
      set_name(n, name);
    if (listener_)
      listener_->created(*this, n);
    return n;
  }
  /// The output node: last, at most one. Its arguments are the flat outputs.
  constexpr node_id output(span<const argument> args) {
    if (output_ != nil)
      fail(error_kind::usage, "the graph already has an output node", "", "change it with set_args");
    const node_id n = add_node(node_kind::output, {}, {}, 0);
    put_args(n, args);
    output_ = n.index;
    if (listener_)
      listener_->created(*this, n);
    return n;
  }
  constexpr node_id output_node() const noexcept { return node_id{output_}; }
  constexpr node_id last_placeholder() const noexcept { return node_id{last_placeholder_}; }
  constexpr std::uint32_t add_subgraph(std::string_view name, graph_storage g) {
    subgraph_names_.push_back(intern(name));
    subgraphs_.push_back(std::move(g));
    const auto index = static_cast<std::uint32_t>(subgraphs_.size() - 1);
    if (listener_)
      listener_->subgraph_added(*this, index);
    return index;
  }
  constexpr void set_subgraph_name(std::size_t i, std::string_view name) {
    subgraph_names_[i] = intern(name);
  }
  /// Drops the subgraphs that no node names; the others move up, and keep their order. A listener is told the
  /// new numbers, and of each argument that got one. Linear.
  constexpr void drop_unused_subgraphs() {
    vector<std::uint32_t> to;
    for (std::size_t i = 0; i != subgraphs_.size(); ++i)
      to.push_back(nil);
    const auto each = [&](auto&& f) {
      for (node_id n = first(); n.valid(); n = next(n)) {
        const auto& r = nodes_[n.index];
        for (std::uint32_t i = r.first_slot; i != r.first_slot + r.num_slots; ++i)
          if (slots_[i].form() == arg_form::subgraph && slots_[i].w2 < to.size())
            f(n, i);
      }
    };
    each([&](node_id, std::uint32_t i) { to[slots_[i].w2] = 0; });
    std::uint32_t kept = 0;
    for (std::size_t i = 0; i != to.size(); ++i) {
      if (to[i] == nil)
        continue;
      to[i] = kept;
      if (kept != i) {
        subgraphs_[kept] = std::move(subgraphs_[i]);
        subgraph_names_[kept] = subgraph_names_[i];
      }
      ++kept;
    }
    if (kept == to.size())
      return;
    subgraphs_.resize(kept);
    subgraph_names_.resize(kept);
    struct place {
      node_id user;
      slot_id slot;
    };
    vector<place> changed; // told when all are consistent
    each([&](node_id n, std::uint32_t i) {
      auto& x = slots_[i];
      if (listener_ && to[x.w2] != x.w2)
        changed.push_back({n, slot_id{i}});
      x = detail::slot::constant(arg_form::subgraph, 0, to[x.w2]);
    });
    if (listener_)
      listener_->subgraphs_renumbered(*this, to);
    for (const auto& [n, s] : changed)
      if (listener_)
        listener_->argument_changed(*this, n, s, value_id{});
  }

  // ---- metadata
  // -----------------------------------------------------------------------------------------------
  /// Names a node, and its result when it has exactly one. Names are kept as given; uniqueness is the
  /// verifier's.
  constexpr void set_name(node_id n, std::string_view name) {
    const auto s = intern(name).index;
    nodes_[n.index].name = s;
    if (nodes_[n.index].num_results == 1 && !returns_list(n))
      values_[nodes_[n.index].first_result].name = s;
  }
  constexpr void set_value_name(value_id v, std::string_view name) {
    values_[v.index].name = intern(name).index;
  }
  /// Forgets a node's and its results' names: they get canonical ones when they are next needed.
  constexpr void clear_name(node_id n) noexcept {
    nodes_[n.index].name = nil;
    for (std::size_t i = 0; i != num_results(n); ++i)
      values_[result(n, i).index].name = nil;
  }
  constexpr void set_input_kind(node_id n, input_kind k) noexcept { nodes_[n.index].input = k; }
  constexpr meta_id intern_meta(const value_meta& m) { return metas_.intern(m); }
  constexpr const value_meta& get_meta(meta_id m) const noexcept { return metas_[m]; }
  constexpr void set_meta(value_id v, meta_id m) noexcept { values_[v.index].meta = m.index; }
  constexpr void set_meta(value_id v, const value_meta& m) { set_meta(v, intern_meta(m)); }
  constexpr origin_id intern_origin(const origin& o) { return origins_.intern(o); }
  constexpr void set_origin(node_id n, origin_id o) noexcept { nodes_[n.index].origin = o.index; }
  /// Sets one key of a node's origin (copy on write: other nodes keep theirs).
  constexpr void set_origin(node_id n, std::string_view key, std::string_view text) {
    origin o = origin_of(n).valid() ? origins_[origin_of(n)] : origin{};
    o.set(intern(key), intern(text));
    set_origin(n, origins_.intern(o));
  }
  /// The text of one key of a node's origin; empty when it has none.
  constexpr std::string_view origin_text(node_id n, std::string_view key) const {
    if (!origin_of(n).valid())
      return {};
    const str_id k = strings_.find(key);
    return k.valid() ? text(origins_[origin_of(n)].find(k)) : std::string_view{};
  }

  // ---- editing
  // ------------------------------------------------------------------------------------------------
  /// Makes every use of `from` a use of `to`. O(uses of `from`). Replacing a value by itself is an error.
  constexpr void replace_all_uses(value_id from, value_id to) {
    if (from == to)
      fail(error_kind::usage, "a value cannot replace itself", "replace_all_uses",
           "pass two different values");
    auto s = values_[from.index].first_use;
    if (s == nil)
      return;
    std::uint32_t last = nil;
    for (auto i = s; i != nil; i = slots_[i].w2) {
      slots_[i].w0 = to.index;
      last = i;
    }
    const auto old = values_[to.index].first_use;
    slots_[last].w2 = old;
    if (old != nil)
      slots_[old].w3 = last;
    values_[to.index].first_use = s;
    values_[from.index].first_use = nil;
    if (listener_)
      for (auto i = s;; i = slots_[i].w2) {
        listener_->argument_changed(*this, node_id{slots_[i].w1}, slot_id{i}, from);
        if (i == last)
          break;
      }
  }
  /// Replaces the argument in slot `s`, which must not be a list, by a value. O(1).
  constexpr void set_operand(slot_id s, value_id v) {
    auto& x = slots_[s.index];
    if (!x.is_use())
      fail(error_kind::usage, "set_operand replaces one value by another, but the slot holds a constant", "",
           "use set_arg");
    const value_id before{x.w0};
    unlink(s.index);
    slots_[s.index] = detail::slot::use(v, node_id{slots_[s.index].w1});
    push_use(v, s.index);
    if (listener_)
      listener_->argument_changed(*this, node_id{slots_[s.index].w1}, s, before);
  }
  /// Replaces all arguments of a node. Its old slots are left behind unless the new ones fit into them.
  constexpr void set_args(node_id n, span<const argument> args) {
    drop_args(n);
    put_args(n, args);
    if (listener_)
      listener_->argument_changed(*this, n, slot_id{}, value_id{});
  }
  /// Replaces top-level argument `i`. O(slots of the node).
  constexpr void set_arg(node_id n, std::size_t i, const argument& a) {
    copied_args copy;
    copy_args(n, copy);
    while (copy.top.size() <= i)
      copy.top.push_back(argument{});
    copy.top[i] = a;
    set_args(n, copy.top);
  }
  /// Changes a call's operator, arguments staying as they are.
  constexpr void set_op(node_id n, op_id o) {
    const op_id before{std::exchange(nodes_[n.index].op, o.index)};
    if (listener_ && before != o)
      listener_->op_changed(*this, n, before);
  }

  /// Erases a node without uses. Iterating over the graph goes on if the next node was taken before erasing,
  /// as the ranges of `nodes()` do. O(slots of the node).
  constexpr void erase(node_id n) {
    for (std::size_t i = 0; i != num_results(n); ++i)
      if (has_uses(result(n, i)))
        fail(error_kind::usage, "a node with uses cannot be erased",
             "node '" + std::string(text(node_name(n))) + "'",
             "replace its uses first (replace_all_uses), or erase its users");
    if (listener_)
      listener_->erasing(*this, n);
    drop_args(n);
    unlink_order(n);
    if (output_ == n.index)
      output_ = nil;
    nodes_[n.index].kind = node_kind::erased;
    if (insert_before_ == n)
      insert_before_ = next(n);
    --alive_;
  }
  /// Moves a node before another one.
  constexpr void move_before(node_id n, node_id where) {
    if (n == where)
      return;
    unlink_order(n);
    link_before(n, where);
    if (kind(n) == node_kind::placeholder && links_[n.index].prev == last_placeholder_)
      last_placeholder_ = n.index; // still the last one
    if (listener_)
      listener_->moved(*this, n);
  }
  /// Puts the nodes in another order, which names each of them once, and tells how many moved: those that did
  /// not come next of what was left. O(nodes), where moving one by one costs O(log nodes) each.
  constexpr std::size_t reorder(span<const node_id> order) {
    vector<std::uint8_t> named(nodes_.size());
    for (const node_id n : order)
      if (!alive(n) || named[n.index]++)
        fail(error_kind::usage, "an order names a node that is not there, or one twice", "reorder",
             "name every node once");
    if (order.size() != alive_)
      fail(error_kind::usage, "an order leaves nodes out", "reorder", "name every node once");
    for (std::size_t i = 1; i < order.size(); ++i)
      if (nodes_[order[i].index].kind == node_kind::placeholder &&
          nodes_[order[i - 1].index].kind != node_kind::placeholder)
        fail(error_kind::usage, "an order puts a placeholder behind another node", "reorder",
             "name the placeholders first");
    vector<node_id> moved;
    std::uint32_t at = head_; // the next of what is left of the old order
    for (const node_id n : order) {
      named[n.index] = 0; // placed
      if (n.index != at)
        moved.push_back(n);
      while (at != nil && !named[at])
        at = links_[at].next;
    }
    if (moved.empty())
      return 0;
    const auto gap = static_cast<std::uint32_t>(std::min<std::uint64_t>(stride, 0xffff'ffffu / alive_));
    for (std::size_t i = 0; i != order.size(); ++i) {
      const std::uint32_t n = order[i].index;
      links_[n] = {i ? order[i - 1].index : nil, i + 1 != order.size() ? order[i + 1].index : nil};
      order_[n] = gap * static_cast<std::uint32_t>(i + 1);
      if (nodes_[n].kind == node_kind::placeholder)
        last_placeholder_ = n;
    }
    head_ = order.front().index;
    tail_ = order.back().index;
    if (listener_)
      for (const node_id n : moved)
        listener_->moved(*this, n);
    return moved.size();
  }
  constexpr void set_listener(edit_listener* l) noexcept { listener_.p = l; }
  constexpr edit_listener* listener() const noexcept { return listener_.p; }

  /// The arguments of a node as they would be handed to a builder: for copying a node with changes. List
  /// elements live in `nested`, strings in the graph.
  struct copied_args {
    vector<argument> top;
    vector<vector<argument>> nested;
  };
  constexpr void copy_args(node_id n, copied_args& out) const {
    out.top.clear();
    for (std::size_t i = 0; i != num_args(n); ++i)
      out.top.push_back(copy_arg(n, arg_slot(n, i), out));
  }
  constexpr argument copy_arg(node_id n, slot_id s, copied_args& out) const {
    const auto& x = slots_[s.index];
    argument a;
    a.form = x.form();
    switch (a.form) {
    case arg_form::value:
      a.val = value_id{x.w0};
      break;
    case arg_form::string:
    case arg_form::opaque:
      a.text = text(str_id{x.w2});
      break;
    case arg_form::symbolic:
      a.symbol = symbols_[x.w2];
      break;
    case arg_form::list:
    case arg_form::dict:
    case arg_form::complex: {
      const auto [first, count] = elements(n, s);
      vector<argument> items;
      for (std::size_t i = 0; i != count; ++i)
        items.push_back(copy_arg(n, slot_id{first.index + static_cast<std::uint32_t>(i)}, out));
      out.nested.push_back(std::move(items));
      a.items = out.nested.back().data();
      a.count = count;
      break;
    }
    default:
      a.bits = x.bits();
    }
    return a;
  }

private:
  static constexpr std::uint32_t nil = detail::slot::nil;
  static constexpr std::uint8_t list_result_flag = 1;
  static constexpr std::uint32_t stride = 64; // of order numbers of appended nodes

  struct node_record {
    std::uint32_t op = nil;
    node_kind kind = node_kind::erased;
    input_kind input = input_kind::user_input;
    std::uint8_t flags = 0;
    std::uint8_t spare = 0;
    std::uint32_t num_args = 0, num_slots = 0, first_slot = 0;
    std::uint32_t num_results = 0, first_result = 0;
    std::uint32_t name = nil, origin = nil;
  };
  struct value_record {
    std::uint32_t def = nil, first_use = nil, name = nil, meta = nil;
  };
  struct link {
    std::uint32_t prev, next;
  };
  /// A pointer that copies of the graph do not inherit.
  struct listener_slot {
    edit_listener* p = nullptr;
    constexpr listener_slot() noexcept = default;
    constexpr listener_slot(const listener_slot&) noexcept {}
    constexpr listener_slot(listener_slot&& o) noexcept : p(std::exchange(o.p, nullptr)) {}
    constexpr listener_slot& operator=(const listener_slot&) noexcept { return *this; }
    constexpr listener_slot& operator=(listener_slot&& o) noexcept {
      p = std::exchange(o.p, nullptr);
      return *this;
    }
    constexpr explicit operator bool() const noexcept { return p != nullptr; }
    constexpr edit_listener* operator->() const noexcept { return p; }
  };

  static constexpr const value_meta& unknown_meta() noexcept { return unknown_meta_; }
  static const value_meta unknown_meta_;

  constexpr node_id insert_before() const noexcept {
    return insert_before_.valid() ? insert_before_ : node_id{output_};
  }

  constexpr node_id add_node(node_kind kind, op_id op, node_id before, std::size_t num_results) {
    const node_id n{static_cast<std::uint32_t>(nodes_.size())};
    node_record r;
    r.op = op.index;
    r.kind = kind;
    r.num_results = static_cast<std::uint32_t>(num_results);
    r.first_result = static_cast<std::uint32_t>(values_.size());
    r.first_slot = static_cast<std::uint32_t>(slots_.size());
    nodes_.push_back(r);
    links_.push_back({nil, nil});
    order_.push_back(0);
    for (std::size_t i = 0; i != num_results; ++i)
      values_.push_back({n.index, nil, nil, nil});
    link_before(n, before);
    ++alive_;
    return n;
  }

  // -- arguments
  static constexpr std::size_t nested_slots(span<const argument> args) noexcept {
    std::size_t n = 0;
    for (auto& a : args)
      if (a.count)
        n += a.count + nested_slots({a.items, a.count});
    return n;
  }
  constexpr void put_args(node_id n, span<const argument> args) {
    auto& r = nodes_[n.index];
    std::size_t given = args.size();
    while (given && args[given - 1].form == arg_form::absent)
      --given;
    const auto nested = nested_slots(args.first(given));
    const std::size_t need = given + nested;
    if (need > r.num_slots) { // a new node has none; a changed one reuses its own if they suffice
      r.first_slot = static_cast<std::uint32_t>(slots_.size());
      for (std::size_t i = 0; i != need; ++i)
        slots_.push_back({});
    }
    r.num_args = static_cast<std::uint32_t>(given);
    r.num_slots = static_cast<std::uint32_t>(need);
    std::uint32_t free = r.first_slot + static_cast<std::uint32_t>(given);
    for (std::size_t i = 0; i != given; ++i)
      put_arg(n, r.first_slot, r.first_slot + static_cast<std::uint32_t>(i), args[i], free);
  }
  constexpr void put_arg(node_id n, std::uint32_t base, std::uint32_t at, const argument& a,
                         std::uint32_t& free) {
    switch (a.form) {
    case arg_form::value:
      if (a.val.index >= values_.size())
        fail(error_kind::usage, "an argument is a value that this graph does not have", "",
             "build every argument from this graph's values");
      slots_[at] = detail::slot::use(a.val, n);
      push_use(a.val, at);
      break;
    case arg_form::string:
    case arg_form::opaque:
      slots_[at] = detail::slot::constant(a.form, 0, strings_.intern(a.text).index);
      break;
    case arg_form::symbolic:
      symbols_.push_back(a.symbol);
      slots_[at] = detail::slot::constant(a.form, 0, static_cast<std::int64_t>(symbols_.size() - 1));
      break;
    case arg_form::list:
    case arg_form::dict:
    case arg_form::complex: {
      const std::uint32_t first = free;
      free += static_cast<std::uint32_t>(a.count);
      slots_[at] = detail::slot::constant(a.form, static_cast<std::uint32_t>(a.count), first - base);
      for (std::size_t i = 0; i != a.count; ++i)
        put_arg(n, base, first + static_cast<std::uint32_t>(i), a.items[i], free);
      break;
    }
    default:
      slots_[at] = detail::slot::constant(a.form, 0, a.bits);
    }
  }
  constexpr void drop_args(node_id n) noexcept {
    auto& r = nodes_[n.index];
    for (std::uint32_t i = r.first_slot; i != r.first_slot + r.num_slots; ++i)
      if (slots_[i].is_use()) {
        unlink(i);
        slots_[i] = {};
      }
  }
  constexpr void push_use(value_id v, std::uint32_t s) noexcept {
    auto& head = values_[v.index].first_use;
    slots_[s].w2 = head;
    slots_[s].w3 = nil;
    if (head != nil)
      slots_[head].w3 = s;
    head = s;
  }
  constexpr void unlink(std::uint32_t s) noexcept {
    const auto& x = slots_[s];
    if (x.w3 != nil)
      slots_[x.w3].w2 = x.w2;
    else
      values_[x.w0].first_use = x.w2;
    if (x.w2 != nil)
      slots_[x.w2].w3 = x.w3;
  }

  // -- order
  constexpr void link_before(node_id n, node_id where) {
    const std::uint32_t after = where.valid() ? where.index : nil;
    const std::uint32_t before = after == nil ? tail_ : links_[after].prev;
    links_[n.index] = {before, after};
    (before == nil ? head_ : links_[before].next) = n.index;
    (after == nil ? tail_ : links_[after].prev) = n.index;
    const std::uint64_t lo = before == nil ? 0 : order_[before];
    const std::uint64_t hi = after == nil ? lo + 2 * std::uint64_t{stride} : order_[after];
    if (hi - lo < 2 || hi > 0xffff'ffffu)
      renumber_around(n.index);
    else
      order_[n.index] = static_cast<std::uint32_t>(lo + (hi - lo) / 2);
  }
  constexpr void unlink_order(node_id n) noexcept {
    const link l = links_[n.index];
    (l.prev == nil ? head_ : links_[l.prev].next) = l.next;
    (l.next == nil ? tail_ : links_[l.next].prev) = l.prev;
    if (last_placeholder_ == n.index)
      last_placeholder_ = l.prev; // placeholders are a prefix
  }
  /// Spreads the order numbers of the smallest neighbourhood of `n` whose density leaves room (Bender et al.,
  /// "Two simplified algorithms for maintaining order in a list", 2002): amortised O(log n) an insertion. A
  /// neighbourhood twice as wide must be a quarter sparser, so that once spread it takes insertions in
  /// proportion to its width.
  constexpr void renumber_around(std::uint32_t n) {
    std::uint32_t first = n, last = n;
    std::uint64_t count = 1;
    for (std::uint64_t width = 4, room = 4;; width *= 2, room += room / 4) {
      while (count < width && (links_[first].prev != nil || links_[last].next != nil)) {
        if (links_[first].prev != nil)
          first = links_[first].prev, ++count;
        if (count < width && links_[last].next != nil)
          last = links_[last].next, ++count;
      }
      const bool whole = links_[first].prev == nil && links_[last].next == nil;
      const std::uint64_t lo = links_[first].prev == nil ? 0 : order_[links_[first].prev];
      const std::uint64_t hi = links_[last].next == nil
                                   ? lo + (count + 1) * std::max<std::uint64_t>(stride, room)
                                   : order_[links_[last].next];
      const std::uint64_t top = hi < 0xffff'ffffu ? hi : 0xffff'ffffu;
      const std::uint64_t gap = top > lo ? (top - lo) / (count + 1) : 0;
      if (gap >= room || (whole && gap >= 1)) {
        std::uint64_t k = lo;
        for (std::uint32_t i = first;; i = links_[i].next) {
          order_[i] = static_cast<std::uint32_t>(k += gap);
          if (i == last)
            break;
        }
        return;
      }
      if (whole)
        fail(error_kind::unsupported, "a graph holds at most 4,294,967,294 nodes");
    }
  }

  vector<node_record> nodes_;
  vector<link> links_;
  vector<std::uint32_t> order_;
  vector<value_record> values_;
  vector<detail::slot> slots_;
  vector<const expr*> symbols_;
  string_pool strings_;
  detail::interner<value_meta, meta_id> metas_;
  detail::interner<origin, origin_id> origins_;
  vector<graph_storage> subgraphs_;
  vector<str_id> subgraph_names_;
  std::uint32_t head_ = nil, tail_ = nil, output_ = nil, last_placeholder_ = nil;
  node_id insert_before_{};
  std::size_t alive_ = 0;
  listener_slot listener_;
};

inline constexpr value_meta graph_storage::unknown_meta_{};

} // namespace espalier
