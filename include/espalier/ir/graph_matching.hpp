// SPDX-License-Identifier: BSL-1.0
// Which node of one graph is which node of another: the half of `diff` that pairs nodes. Pairs are found by
// fingerprints of what nodes compute (from the inputs) and of what is made of them (from the outputs), then
// along data flow from pair to pair, then by name: a change somewhere spoils the fingerprints on one side of
// it only. Nowhere are two graphs searched for an isomorphism: every step is one pass.
#pragma once

#include <espalier/ir/hash.hpp>
#include <espalier/ir/storage.hpp>
#include <espalier/schema/op_id.hpp>
#include <espalier/support/hash_map.hpp>
#include <espalier/support/span.hpp>
#include <espalier/support/vector.hpp>
#include <espalier/symbolic/expr.hpp>

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <utility>

namespace espalier {

namespace detail {

/// A fingerprint of a whole graph that does not depend on names, ids or the order of nodes, and those of its
/// subgraphs.
struct graph_print {
  std::uint64_t of_graph = 0;
  bool functional = true; ///< nothing in it writes
  vector<graph_print> subgraphs;
};

/// One of the two graphs: its nodes in order, their fingerprints, and who uses them.
template <class = when_used>
class diff_side {
public:
  struct user {
    node_id node;
    std::uint32_t slot, result; ///< the slot within its arguments, and the result that it holds
  };

  diff_side(const graph_storage& graph, const vector<graph_print>& subgraphs, std::size_t& steps)
      : g(graph), graphs(subgraphs), match(graph.node_capacity()), local(graph.node_capacity()),
        below(graph.node_capacity()), above(graph.node_capacity()), first_user_(graph.node_capacity() + 1, 0),
        steps_(&steps) {
    for (auto& s : graphs)
      writes_ = writes_ || !s.functional;
    order.reserve(g.num_nodes());
    for (node_id n = g.first(); n.valid(); n = g.next(n)) {
      order.push_back(n);
      local[n.index] = local_print(n);
      writes_ = writes_ || (is_call(n) && writes(flags_of(g.op(n))));
      for (auto& x : g.slots(n))
        if (x.is_use())
          ++first_user_[g.def(value_id{x.w0}).index + 1];
    }
    for (std::size_t i = 1; i != first_user_.size(); ++i)
      first_user_[i] += first_user_[i - 1];
    users_.resize(first_user_.back());
    auto next = first_user_;
    for (const node_id n : order) {
      std::uint32_t s = 0;
      for (auto& x : g.slots(n)) {
        if (x.is_use()) {
          const value_id v{x.w0};
          users_[next[g.def(v).index]++] = {n, s, static_cast<std::uint32_t>(g.result_index(v))};
        }
        ++s;
      }
    }
  }

  bool is_call(node_id n) const noexcept {
    return g.kind(n) == node_kind::call_function || g.kind(n) == node_kind::call_higher_order;
  }
  bool unmatched(node_id n) const noexcept { return !match[n.index].valid(); }
  /// Uses of a node's results, in program order.
  span<const user> users(node_id n) const noexcept {
    return {users_.data() + first_user_[n.index], first_user_[n.index + 1] - first_user_[n.index]};
  }
  /// Equal fingerprints mean equal values: nothing is written to in between.
  bool functional() const noexcept { return !writes_; }

  /// What a node computes, from the seeds that the placeholders hold in `below`. Calls that are not functions
  /// of their operands count their likes before them.
  void print_below() {
    hash_map<std::uint64_t, std::uint64_t> likes;
    for (const node_id n : order) {
      ++*steps_;
      if (g.kind(n) == node_kind::placeholder)
        continue;
      std::uint64_t h = local[n.index];
      for (auto& x : g.slots(n)) {
        ++*steps_;
        if (x.is_use())
          h = mix(h, mix(below[g.def(value_id{x.w0}).index], g.result_index(value_id{x.w0})));
        else if (x.form() == arg_form::subgraph)
          h = mix(h, x.w2 < graphs.size() ? graphs[x.w2].of_graph : x.w2);
      }
      if (is_call(n))
        if (const op_flags f = flags_of(g.op(n)); !f.pure() && !f.higher_order)
          h = mix(h, likes[h]++);
      below[n.index] = h;
    }
  }
  /// What is made of a node.
  void print_above() {
    for (auto at = order.rbegin(); at != order.rend(); ++at) {
      ++*steps_;
      std::uint64_t sum = 0; // whatever the order of the users
      for (const user& u : users(*at)) {
        ++*steps_;
        sum += mix(mix(0x616c'6c6fu, above[u.node.index]), std::uint64_t{u.slot} << 32 | u.result);
      }
      above[at->index] = mix(local[at->index], sum);
    }
  }

  const graph_storage& g;
  const vector<graph_print>& graphs; ///< fingerprints of the subgraphs
  vector<node_id> order;
  vector<node_id> match;                     ///< by node: its partner in the other graph
  vector<std::uint64_t> local, below, above; ///< by node

private:
  static bool writes(const op_flags& f) noexcept { return f.mutates || (!f.known_schema && !f.higher_order); }
  /// The node without its operands: kind, operator, constants, and where operands are.
  std::uint64_t local_print(node_id n) {
    ++*steps_;
    std::uint64_t h =
        mix(0x6469'6666u, static_cast<std::uint64_t>(g.kind(n)) | std::uint64_t{g.returns_list(n)} << 8 |
                              std::uint64_t(g.num_results(n)) << 16);
    if (g.op(n).valid())
      h = mix(h, op_print(g.op(n)));
    for (auto& x : g.slots(n)) {
      ++*steps_;
      const auto form = static_cast<std::uint64_t>(x.form()) << 56;
      switch (x.form()) {
      case arg_form::value:
      case arg_form::subgraph:
        h = mix(h, form);
        break;
      case arg_form::string:
      case arg_form::opaque:
        h = mix(h, form ^ text_print(str_id{x.w2}));
        break;
      case arg_form::symbolic:
        h = mix(h, form ^ symbol_print(g.symbol(x.w2)));
        break;
      case arg_form::op:
        h = mix(h, form ^ op_print(op_id{x.w2}));
        break;
      case arg_form::list:
      case arg_form::dict:
      case arg_form::complex:
        h = mix(h, form ^ (std::uint64_t{x.w1} << 32 | x.w2));
        break;
      default:
        h = mix(mix(h, form), static_cast<std::uint64_t>(x.bits()));
      }
    }
    return h;
  }
  std::uint64_t text_print(str_id s) {
    if (texts_.size() <= s.index)
      texts_.resize(s.index + 1, 0);
    if (!texts_[s.index])
      texts_[s.index] = hash_text(g.text(s)) | 1;
    return texts_[s.index];
  }

  // Ids and addresses differ from run to run; names and texts do not.
  std::uint64_t op_print(op_id o) {
    if (ops_.size() <= o.index)
      ops_.resize(o.index + 1, 0);
    if (!ops_[o.index])
      ops_[o.index] = hash_text(name_of(o)) | 1;
    return ops_[o.index];
  }
  std::uint64_t symbol_print(const expr* e) {
    auto& h = symbols_[e];
    if (!h)
      h = hash_text(sym_text(e)) | 1;
    return h;
  }

  vector<std::uint32_t> first_user_;
  vector<user> users_;
  vector<std::uint64_t> texts_, ops_;
  hash_map<const expr*, std::uint64_t> symbols_;
  std::size_t* steps_;
  bool writes_ = false;
};

/// Fingerprints a graph and, first, its subgraphs.
template <class = when_used>
graph_print print_graph(const graph_storage& g, std::size_t& steps) {
  graph_print out;
  for (std::size_t i = 0; i != g.num_subgraphs(); ++i)
    out.subgraphs.push_back(print_graph(g.subgraph(i), steps));
  diff_side side(g, out.subgraphs, steps);
  std::uint64_t inputs = 0, sum = 0;
  for (const node_id n : side.order)
    if (g.kind(n) == node_kind::placeholder)
      side.below[n.index] = mix(++inputs, static_cast<std::uint64_t>(g.input(n)));
  side.print_below();
  for (const node_id n : side.order)
    sum += mix(0x7375'6dull, side.below[n.index]);
  out.functional = side.functional();
  out.of_graph = mix(sum, g.output_node().valid() ? side.below[g.output_node().index] : 0);
  return out;
}

/// Pairs the nodes of two graphs.
template <class = when_used>
class node_matcher {
public:
  node_matcher(diff_side<>& before, diff_side<>& after, std::size_t& steps)
      : a_(before), b_(after), steps_(steps) {}

  void run() {
    match_inputs();
    if (a_.g.output_node().valid() && b_.g.output_node().valid())
      pair(a_.g.output_node(), b_.g.output_node());
    a_.print_below();
    b_.print_below();
    a_.print_above();
    b_.print_above();
    match_by([](const diff_side<>& s, node_id n) { return mix(s.below[n.index], s.above[n.index]); }, false);
    // nodes that compute the same as others (twins) wait until their neighbours or names tell them apart
    match_by([](const diff_side<>& s, node_id n) { return s.below[n.index]; }, true);
    match_by([](const diff_side<>& s, node_id n) { return s.above[n.index]; }, true);
    spread();
    match_names();
    spread();
    match_by([](const diff_side<>& s, node_id n) { return s.below[n.index]; }, false);
    spread();
    while (next_loose_ != pairs_.size()) {
      follow(next_loose_++, true);
      spread();
    }
  }

private:
  void pair(node_id n, node_id m) {
    a_.match[n.index] = m;
    b_.match[m.index] = n;
    pairs_.push_back({n, m});
  }

  /// Placeholders are the calling convention: by position while their number stays, else by name, and what is
  /// left in order.
  void match_inputs() {
    const auto inputs = [](const diff_side<>& s) {
      vector<node_id> out;
      for (const node_id n : s.order)
        if (s.g.kind(n) == node_kind::placeholder)
          out.push_back(n);
      return out;
    };
    const auto x = inputs(a_), y = inputs(b_);
    if (x.size() != y.size()) {
      match_names(true);
      for (std::size_t i = 0, j = 0; i != x.size() && j != y.size();) {
        if (!a_.unmatched(x[i]))
          ++i;
        else if (!b_.unmatched(y[j]))
          ++j;
        else if (a_.g.input(x[i]) != b_.g.input(y[j]))
          ++i; // another kind of input: added or removed, not renamed
        else
          pair(x[i++], y[j++]);
      }
    } else {
      for (std::size_t i = 0; i != x.size(); ++i)
        pair(x[i], y[i]);
    }
    std::uint64_t seed = 0;
    for (const auto& [n, m] : pairs_)
      a_.below[n.index] = b_.below[m.index] = mix(0x696eu, ++seed);
    for (const node_id n : x)
      if (a_.unmatched(n))
        a_.below[n.index] = mix(0x696eu, ++seed);
    for (const node_id m : y)
      if (b_.unmatched(m))
        b_.below[m.index] = mix(0x696eu, ++seed);
  }

  /// Pairs unmatched nodes with equal keys, in program order; `balanced`: only where both graphs have equally
  /// many of a key.
  template <class Key>
  void match_by(Key&& key, bool balanced) {
    struct bucket {
      std::uint32_t head = nil, tail = nil;
      std::int64_t surplus = 0; // of those before over those after
    };
    hash_map<std::uint64_t, bucket> buckets;
    vector<std::uint32_t> next(a_.g.node_capacity(), nil);
    for (const node_id n : a_.order) {
      ++steps_;
      if (!a_.unmatched(n) || !may_match(a_, n))
        continue;
      bucket& b = buckets[key(a_, n)];
      (b.head == nil ? b.head : next[b.tail]) = n.index;
      b.tail = n.index;
      ++b.surplus;
    }
    if (buckets.empty())
      return;
    const auto each_after = [&](auto&& f) {
      for (const node_id m : b_.order) {
        ++steps_;
        if (!b_.unmatched(m) || !may_match(b_, m))
          continue;
        if (const auto at = buckets.find(key(b_, m)); at != buckets.end())
          f(m, at->second);
      }
    };
    if (balanced)
      each_after([](node_id, bucket& b) { --b.surplus; });
    each_after([&](node_id m, bucket& b) {
      if (b.head == nil || (balanced && b.surplus != 0))
        return;
      const node_id n{b.head};
      b.head = next[b.head];
      pair(n, m);
    });
  }
  static bool may_match(const diff_side<>& s, node_id n) noexcept {
    return s.is_call(n) || s.g.kind(n) == node_kind::get_attr;
  }

  /// Pairs nodes of equal name and operator; names that a graph gives twice say nothing.
  void match_names(bool inputs = false) {
    hash_map<std::string_view, node_id> named;
    const auto each = [&](const diff_side<>& s, auto&& f) {
      for (const node_id n : s.order) {
        ++steps_;
        const bool kind = inputs ? s.g.kind(n) == node_kind::placeholder : may_match(s, n);
        if (kind && s.unmatched(n) && s.g.node_name(n).valid())
          f(s.g.text(s.g.node_name(n)), n);
      }
    };
    each(a_, [&](std::string_view name, node_id n) {
      if (const auto [at, fresh] = named.try_emplace(name, n); !fresh)
        at->second = {};
    });
    vector<node_id> after;
    hash_map<std::string_view, std::size_t> times;
    each(b_, [&](std::string_view name, node_id m) {
      ++times[name];
      after.push_back(m);
    });
    for (const node_id m : after) {
      const std::string_view name = b_.g.text(b_.g.node_name(m));
      const auto at = named.find(name);
      if (at == named.end() || !at->second.valid() || times[name] != 1)
        continue;
      const node_id n = at->second;
      if (a_.g.kind(n) == b_.g.kind(m) && a_.g.op(n) == b_.g.op(m))
        pair(n, m);
    }
  }

  void spread() {
    while (next_strict_ != pairs_.size())
      follow(next_strict_++, false);
  }
  /// Pairs the neighbours of a pair. Strictly: those of equal operator and constants at the same place;
  /// loosely: whatever stands alone at the same place.
  void follow(std::size_t at, bool loose) {
    const auto [n, m] = pairs_[at];
    const auto x = a_.g.slots(n), y = b_.g.slots(m);
    for (std::size_t i = 0; i != x.size() && i != y.size(); ++i) {
      ++steps_;
      if (!x[i].is_use() || !y[i].is_use())
        continue;
      const value_id v{x[i].w0}, w{y[i].w0};
      if (a_.g.result_index(v) == b_.g.result_index(w))
        try_pair(a_.g.def(v), b_.g.def(w), loose);
    }
    collect(a_, n, loose, users_before_);
    collect(b_, m, loose, users_after_);
    for (std::size_t i = 0, j = 0; i != users_before_.size() && j != users_after_.size();) {
      const std::uint64_t k = users_before_[i].key, l = users_after_[j].key;
      if (k != l) {
        ++(k < l ? i : j);
        continue;
      }
      const std::size_t p = run_of(users_before_, i), q = run_of(users_after_, j);
      if (p == q && (!loose || p == 1))
        for (std::size_t r = 0; r != p; ++r)
          try_pair(users_before_[i + r].node, users_after_[j + r].node, loose);
      i += p;
      j += q;
    }
  }
  void try_pair(node_id n, node_id m, bool loose) {
    if (a_.unmatched(n) && b_.unmatched(m) && may_match(a_, n) && may_match(b_, m) &&
        (loose || a_.local[n.index] == b_.local[m.index]))
      pair(n, m);
  }
  struct keyed_user {
    std::uint64_t key;
    std::size_t place; ///< among the users
    node_id node;
  };
  using keyed = vector<keyed_user>;
  /// Unmatched users of a node by where they use it, in program order where that is equal.
  void collect(const diff_side<>& s, node_id n, bool loose, keyed& out) {
    out.clear();
    for (const auto& u : s.users(n)) {
      ++steps_;
      if (s.unmatched(u.node))
        out.push_back({mix(loose ? 0 : s.local[u.node.index], std::uint64_t{u.slot} << 32 | u.result),
                       out.size(), u.node});
    }
    std::sort(out.begin(), out.end(), [](const auto& p, const auto& q) {
      return p.key != q.key ? p.key < q.key : p.place < q.place;
    });
  }
  static std::size_t run_of(const keyed& k, std::size_t i) noexcept {
    std::size_t j = i;
    while (j != k.size() && k[j].key == k[i].key)
      ++j;
    return j - i;
  }

  static constexpr std::uint32_t nil = 0xffff'ffffu;
  diff_side<>& a_;
  diff_side<>& b_;
  std::size_t& steps_;
  struct node_pair {
    node_id before, after;
  };
  vector<node_pair> pairs_;
  std::size_t next_strict_ = 0, next_loose_ = 0;
  keyed users_before_, users_after_;
};

} // namespace detail

} // namespace espalier
