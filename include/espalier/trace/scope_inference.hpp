// SPDX-License-Identifier: BSL-1.0
// Which module runs a node, told from the graph: Python's tracer hooks each module's call, `torch::nn` has no
// hooks. A node that reads state belongs to the state's module. Between two such nodes control left the
// modules of the first and entered those of the second, so the nodes between them belong somewhere on that
// way; what they read and who reads them tells where. docs/tracing.md states the rules; `es::scope` overrides
// them.
#pragma once

#include <espalier/ir/naming.hpp>
#include <espalier/ir/storage.hpp>
#include <espalier/support/hash_map.hpp>
#include <espalier/support/vector.hpp>
#include <espalier/trace/module_tree.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>

namespace espalier::detail {

/// What is known of a call when it is recorded.
struct scope_facts {
  scope_id owner = no_scope; ///< the common module of the state (or views of state) that it reads
  scope_id named = no_scope; ///< the innermost `es::scope`
};

class scope_inference {
public:
  /// `facts` by node index.
  template <class = when_used>
  scope_inference(const graph_storage& g, const module_tree& tree, const vector<scope_facts>& facts)
      : g_(g), tree_(tree), facts_(facts), scopes_(g.node_capacity(), no_scope),
        inside_(g.node_capacity(), 0) {}

  /// The scope of each call, by node index.
  template <class = when_used>
  vector<scope_id> run() {
    for (node_id n = g_.first(); n.valid(); n = g_.next(n))
      if (g_.kind(n) == node_kind::call_function)
        calls_.push_back(n);
    for (scope_id s = 0; s != tree_.size(); ++s)
      if (!tree_[s].layer_op.empty() && !tree_[s].has_state)
        layers_[tree_[s].parent][tree_[s].layer_op].push_back(s); // in order of registration, as scopes are
    entered_.resize(tree_.size());
    for (node_id n : calls_)
      if (fact(n).named != no_scope)
        entered_[fact(n).named] = true;
    for (node_id n : calls_)
      if (owner(n) != no_scope)
        place(n, owner(n));
    scope_id before = no_scope;
    for (std::size_t i = 0; i != calls_.size();) {
      if (owner(calls_[i]) != no_scope) {
        before = owner(calls_[i++]);
        continue;
      }
      std::size_t end = i;
      while (end != calls_.size() && owner(calls_[end]) == no_scope)
        ++end;
      gap(i, end, before, end == calls_.size() ? no_scope : owner(calls_[end]));
      i = end;
    }
    place_floating();
    return std::move(scopes_);
  }

private:
  /// Puts a node into a scope, as far as `es::scope` agrees: where one is open, the node is in it; where one
  /// is used elsewhere in the trace, a node outside it is not in it, unless it reads state there.
  template <class = when_used>
  void place(node_id n, scope_id s) {
    const scope_id named = fact(n).named;
    if (owner(n) == no_scope)
      for (scope_id t = s; t != root_scope; t = tree_[t].parent)
        if (entered_[t] && !(named != no_scope && tree_.contains(t, named)))
          s = tree_[t].parent;
    if (named != no_scope && !tree_.contains(named, s))
      s = named;
    scopes_[n.index] = s;
  }
  scope_facts fact(node_id n) const { return n.index < facts_.size() ? facts_[n.index] : scope_facts{}; }
  template <class = when_used>
  scope_id owner(node_id n) const {
    return fact(n).owner;
  }
  template <class F>
  void each_operand(node_id n, F&& f) const {
    for (const auto& s : g_.slots(n))
      if (s.is_use())
        f(value_id{s.w0});
  }
  module_role role(scope_id s) const { return tree_[s].role; }
  /// Whether a module runs operators of its own after those that read its state.
  template <class = when_used>
  bool goes_on(scope_id s) const {
    return s == root_scope || role(s) == module_role::user;
  }
  /// Whether it runs some before them.
  template <class = when_used>
  bool begins_early(scope_id s) const {
    return goes_on(s) || role(s) == module_role::recurrent;
  }

  /// Nodes [i, end) read no state; `before` and `after` own the state read around them.
  template <class = when_used>
  void gap(std::size_t i, std::size_t end, scope_id before, scope_id after) {
    const std::size_t into_next = after == no_scope || !goes_on(after) ? end : start_of(i, end, after);
    const scope_id from = before == no_scope ? root_scope : before;
    const scope_id top = tree_.common(from, after == no_scope ? root_scope : after);
    for (std::size_t k = i; k != into_next; ++k) {
      const node_id n = calls_[k];
      if (is_floating(n))
        floating_.push_back({n, before, after});
      else
        place(n, settle(n, from, top));
    }
    for (std::size_t k = into_next; k != end; ++k)
      place(calls_[k], after);
  }
  /// The scope that a value comes from; none for state, for a node without a place, and for constants.
  template <class = when_used>
  scope_id scope_of(value_id v) const {
    const node_id d = g_.def(v);
    if (g_.kind(d) == node_kind::placeholder)
      return g_.input(d) == input_kind::user_input ? root_scope : no_scope;
    return scopes_[d.index];
  }
  /// Whether a node reads neither data nor state: a factory, and what only reads such nodes. `zeros_like` and
  /// its kin take a shape, no data.
  template <class = when_used>
  bool is_floating(node_id n) {
    const std::string& base = base_of(n);
    if (base.ends_with("_like") || base.starts_with("new_"))
      return true;
    bool floating = true;
    each_operand(n, [&](value_id v) { floating = floating && scope_of(v) == no_scope; });
    return floating;
  }
  /// The common scope of what a node reads. A value from outside `top` came in through the arguments of a
  /// forward function: it stands for the places in `top` where it was read before, if any.
  template <class = when_used>
  scope_id common_of_operands(node_id n, scope_id top) const {
    scope_id common = no_scope;
    const auto add = [&](scope_id s) { common = common == no_scope ? s : tree_.common(common, s); };
    each_operand(n, [&](value_id v) {
      const scope_id s = scope_of(v);
      if (s == no_scope)
        return;
      if (tree_.contains(top, s))
        return add(s);
      for (slot_id u = g_.first_use(v); u.valid() && common != top; u = g_.next_use(u)) {
        const node_id user = g_.user(u);
        if (const scope_id at = scopes_[user.index];
            at != no_scope && g_.is_before(user, n) && tree_.contains(top, at))
          add(at);
      }
    });
    return common == no_scope ? top : common;
  }

  /// Where in [i, end) module `after` begins: after the one tensor that it takes and reads more than once.
  /// `end` when there is no such place.
  template <class = when_used>
  std::size_t start_of(std::size_t i, std::size_t end, scope_id after) {
    std::map<std::uint32_t, std::size_t> reads; // values that the inside takes from outside, with their uses
    ++gap_number_;
    const auto is_inside = [&](node_id n) { return inside_[n.index] == gap_number_; };
    const auto take_in = [&](node_id n) {
      inside_[n.index] = gap_number_;
      for (std::size_t r = 0; r != g_.num_results(n); ++r)
        reads.erase(g_.result(n, r).index);
      each_operand(n, [&](value_id v) {
        const node_id d = g_.def(v);
        const bool state = g_.kind(d) == node_kind::placeholder && g_.input(d) != input_kind::user_input;
        if (!state && !is_inside(d))
          ++reads[v.index];
      });
    };
    for (std::size_t k = end; k != calls_.size() && owner(calls_[k]) == after; ++k)
      take_in(calls_[k]);
    for (std::size_t k = end; k-- > i;) {
      const node_id n = calls_[k];
      for (std::size_t r = 0; r != g_.num_results(n); ++r)
        for (slot_id u = g_.first_use(g_.result(n, r)); u.valid(); u = g_.next_use(u))
          if (!is_inside(g_.user(u)))
            return end; // it is read outside too
      take_in(n);
      if (reads.size() == 1 && reads.begin()->second > 1)
        return k;
    }
    return end;
  }

  /// The place of a node between state of `before` and the next, whose modules have `top` in common: the
  /// innermost module on the way up to `top` that holds what the node reads.
  template <class = when_used>
  scope_id settle(node_id n, scope_id before, scope_id top) {
    scope_id common = common_of_operands(n, top);
    // nothing but its children runs in a container: what reads their results is a child as well
    if (tree_.contains(common, before))
      while (common != before && !goes_on(common))
        common = tree_.step_toward(common, before);
    scope_id found = no_scope, outermost = no_scope;
    for (scope_id s = before;; s = tree_[s].parent) {
      if (goes_on(s)) {
        outermost = s;
        if (found == no_scope && tree_.contains(s, common))
          found = s;
      }
      if (found != no_scope || role(s) == module_role::container)
        if (const scope_id layer = layer_in(s, n); layer != no_scope)
          return layer;
      if (s == top)
        break;
    }
    if (found == no_scope)
      found = outermost;
    for (scope_id s = top; found == no_scope; s = tree_[s].parent)
      if (goes_on(s))
        found = s;
    if (const scope_id layer = layer_in(found, n); layer != no_scope)
      return layer;
    return found;
  }
  /// The stateless layer of LibTorch in `s` that runs a node's operator. Of several, one after the other.
  template <class = when_used>
  scope_id layer_in(scope_id s, node_id n) {
    const auto in = layers_.find(s);
    if (in == layers_.end())
      return no_scope;
    const std::string& base = base_of(n);
    const std::string_view op = std::string_view(base).substr(0, base.size() - base.ends_with('_'));
    const auto at = in->second.find(op);
    if (at == in->second.end())
      return no_scope;
    const vector<scope_id>& fit = at->second;
    return fit[layer_calls_[fit.front()]++ % fit.size()];
  }
  /// The name of a node's operator without namespace and overload.
  template <class = when_used>
  const std::string& base_of(node_id n) {
    std::string& base = bases_[g_.op(n).index];
    if (base.empty())
      base = base_name(g_.op(n));
    return base;
  }

  /// Nodes that read neither data nor state (`arange`, `zeros`) belong where they are used.
  template <class = when_used>
  void place_floating() {
    for (auto f = floating_.rbegin(); f != floating_.rend(); ++f) {
      scope_id common = no_scope;
      for (std::size_t r = 0; r != g_.num_results(f->n); ++r)
        for (slot_id u = g_.first_use(g_.result(f->n, r)); u.valid(); u = g_.next_use(u))
          if (const scope_id s = scopes_[g_.user(u).index]; s != no_scope)
            common = common == no_scope ? s : tree_.common(common, s);
      if (common == no_scope)
        common = root_scope;
      const auto shared = [&](scope_id s) { return tree_.common(s == no_scope ? root_scope : s, common); };
      const scope_id up = shared(f->before), down = shared(f->after);
      scope_id found = tree_[up].depth > tree_[down].depth ? up : down;
      while (!begins_early(found))
        found = tree_[found].parent;
      place(f->n, found);
    }
  }

  struct floating {
    node_id n;
    scope_id before, after;
  };
  const graph_storage& g_;
  const module_tree& tree_;
  const vector<scope_facts>& facts_;
  vector<scope_id> scopes_;
  vector<std::uint32_t> inside_; // the gap in which a node was last taken for a part of the next module
  std::uint32_t gap_number_ = 0;
  vector<bool> entered_; // scopes that an es::scope opened
  vector<node_id> calls_;
  vector<floating> floating_;
  hash_map<scope_id, std::map<std::string_view, vector<scope_id>>>
      layers_;                                  // stateless layers in each scope, by operator
  hash_map<scope_id, std::size_t> layer_calls_; // by the first layer of a kind
  hash_map<std::uint32_t, std::string> bases_;  // by operator
};

} // namespace espalier::detail
