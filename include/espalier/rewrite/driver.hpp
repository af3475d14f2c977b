// SPDX-License-Identifier: BSL-1.0
// Drivers: how rules are taken over a graph. All rules of a set go into one matcher, bucketed by the operator
// that a rule starts from, so that a node is visited once however many rules there are. `rewrite_greedily`
// works on a list of nodes until no rule applies, erasing what is dead before anything else; `rewrite_once`
// walks over the graph a single time and does not look at what it made.
//
// Memory: in a graph that writes to values, a rule is not applied where something that it covers shares
// memory with a value that is written to, because the new calls read later than the old ones did.
#pragma once

#include <espalier/pipeline/analyses/aliases.hpp>
#include <espalier/pipeline/analyses/effects.hpp>
#include <espalier/pipeline/pass.hpp>
#include <espalier/pipeline/pass_context.hpp>
#include <espalier/pipeline/pass_result.hpp>
#include <espalier/pipeline/properties.hpp>
#include <espalier/rewrite/rule.hpp>
#include <espalier/support/optional.hpp>
#include <espalier/support/span.hpp>
#include <espalier/support/vector.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace espalier {

/// A set of rules. Earlier ones are tried first at a node.
template <rule_type... Rules>
struct rule_set {
  detail::pattern_list<Rules...> rules;
  constexpr explicit rule_set(Rules... rs) : rules(static_cast<Rules&&>(rs)...) {}
  static constexpr std::size_t size = sizeof...(Rules);
};
template <class... Rules>
rule_set(Rules...) -> rule_set<Rules...>;

/// Limits of a driver.
struct rewrite_options {
  /// Rewrites for a node of the graph, before a driver takes it that rules undo each other's work. Small
  /// graphs have a thousand in any case.
  std::size_t rewrites_per_node = 16;
};

namespace detail {

/// The rules of each operator: positions in a rule set, in order.
template <class... Rules>
class rule_buckets {
public:
  constexpr rule_buckets() {
    const std::array<op_id, sizeof...(Rules)> roots{id_of<typename Rules::root_op>()...};
    std::uint32_t most = 0;
    for (auto o : roots)
      most = std::max(most, o.index);
    head_.resize(most + 1, nil);
    for (std::size_t i = roots.size(); i-- != 0;) {
      next_[i] = head_[roots[i].index];
      head_[roots[i].index] = static_cast<std::uint16_t>(i);
    }
  }
  static constexpr std::uint16_t nil = 0xffff;
  constexpr std::uint16_t first(op_id o) const noexcept {
    return o.index < head_.size() ? head_[o.index] : nil;
  }
  constexpr std::uint16_t next(std::uint16_t r) const noexcept { return next_[r]; }

private:
  vector<std::uint16_t> head_;
  std::array<std::uint16_t, sizeof...(Rules)> next_{};
};

/// What one run over one graph shares: not a template, so that rules add little to it.
struct rewrite_run {
  graph_storage& g;
  pass_context& context;
  call_classes classes{};
  optional<alias_classes> memory{}; // only of graphs that write
  vector<node_id> made{};           // by the rule at hand
  vector<value_id> touched{};       // what the replaced node used
  struct replacement_value {
    value_id by;
    slot_id first_use; // before
  };
  vector<replacement_value> replaced_by{};

  template <class = when_used>
  constexpr rewrite_run(graph_storage& graph, pass_context& c) : g(graph), context(c) {
    for (node_id n = g.first(); n.valid(); n = g.next(n))
      if (g.kind(n) == node_kind::call_function || g.kind(n) == node_kind::call_higher_order) {
        const auto k = classes(g.op(n));
        if (k == call_class::mutating || k == call_class::unknown || k == call_class::higher_order ||
            (k == call_class::norm && updates_statistics(g, n))) {
          memory.emplace(g, classes);
          break;
        }
      }
    if (memory && !memory->any_written())
      memory.reset();
  }
  constexpr bool safe(span<const node_id> calls) {
    for (node_id n : calls)
      if (memory && memory->touches_written(g, n))
        return false;
    return true;
  }
  /// Takes back what a rule built before it declined.
  constexpr void take_back() {
    while (!made.empty()) {
      g.erase(made.back());
      made.pop_back();
    }
  }
  template <class = when_used>
  constexpr void replace(node_id root, span<const value_id> by, std::string_view rule) {
    replaced_by.clear();
    for (std::size_t i = 0; i != by.size(); ++i) {
      slot_id head = g.first_use(by[i]); // not one of the root's, which go
      while (head.valid() && g.user(head) == root)
        head = g.next_use(head);
      replaced_by.emplace_back(by[i], head);
      const value_id old = g.result(root, i);
      if (by[i] == old)
        fail(error_kind::usage,
             "rule '" + std::string(rule) + "' gives back the value that it was to replace",
             "node '" + std::string(g.text(g.node_name(root))) + "'",
             "decline by an empty std::optional where there is nothing to do");
      if (!g.meta_of(by[i]).valid() || g.meta(by[i]).kind == value_kind::unknown)
        g.set_meta(by[i], g.meta_of(old));
      if (g.has_uses(old))
        g.replace_all_uses(old, by[i]);
    }
    touched.clear();
    for (auto& x : g.slots(root))
      if (x.is_use())
        touched.push_back(value_id{x.w0});
    g.erase(root);
    context.count(rule);
  }
};

template <dialect D, class Rule>
constexpr bool try_rule(const Rule& rule, rewrite_run& run, node_id n) {
  using P = typename Rule::pattern_t;
  const match_of<P> m(rule.pattern, run.g, n);
  if (!m)
    return false;
  if (!run.safe(m.calls()))
    return false;
  run.made.clear();
  rewriter<D> r(run.g, n, run.made, m.calls());
  using given = std::remove_cvref_t<decltype(rule.make(r, m))>;
  if constexpr (rule_gives<typename Rule::root_op, given>::ok) {
    const auto by = [&] {
      try {
        return as_replacement<typename Rule::root_op>(rule.make(r, m));
      } catch (...) { // a shape rule may refuse what the rule made: the graph is as it was
        run.take_back();
        throw;
      }
    }();
    if (by.count == 0 || !run.context.may_edit(Rule::name)) { // declined, or the budget is spent
      run.take_back();
      return false;
    }
    run.replace(n, {by.by.data(), by.count}, Rule::name);
    return true;
  }
  return false;
}

template <dialect D, class... Rules>
struct rule_matcher {
  using set = rule_set<Rules...>;
  using function = bool (*)(const set&, rewrite_run&, node_id);
  template <std::size_t... I>
  static constexpr std::array<function, sizeof...(Rules)> table(std::index_sequence<I...>) {
    return {
        +[](const set& s, rewrite_run& run, node_id n) { return try_rule<D>(part<I>(s.rules), run, n); }...};
  }
  static constexpr std::array<function, sizeof...(Rules)> functions =
      table(std::index_sequence_for<Rules...>{});
  static constexpr std::array<std::string_view, sizeof...(Rules)> names{Rules::name...};

  /// The position of the rule that applied; `nil` when none did.
  static constexpr std::uint16_t apply(const set& s, const rule_buckets<Rules...>& buckets, rewrite_run& run,
                                       node_id n) {
    if (run.g.kind(n) != node_kind::call_function)
      return buckets.nil;
    for (auto r = buckets.first(run.g.op(n)); r != buckets.nil; r = buckets.next(r))
      if (functions[r](s, run, n))
        return r;
    return buckets.nil;
  }
};

/// Nodes to look at, each at most once at a time.
class node_worklist {
public:
  template <class = when_used>
  constexpr void push(node_id n) {
    if (n.index >= in_.size())
      in_.resize(n.index + n.index / 2 + 1);
    if (!in_[n.index]) {
      in_[n.index] = 1;
      nodes_.push_back(n);
    }
  }
  constexpr node_id pop() {
    const node_id n = nodes_.back();
    nodes_.pop_back();
    in_[n.index] = 0;
    return n;
  }
  constexpr bool empty() const noexcept { return nodes_.empty(); }
  template <class = when_used>
  constexpr void reserve(std::size_t n) {
    nodes_.reserve(n);
    if (in_.size() < n)
      in_.resize(n);
  }

private:
  vector<node_id> nodes_;
  vector<std::uint8_t> in_;
};

/// Erases a dead node and hands on what it used.
template <class Then>
constexpr void erase_dead(graph_storage& g, node_id n, pass_result& done, Then&& then) {
  value_id used[8];
  std::size_t count = 0;
  vector<value_id> more;
  for (auto& x : g.slots(n))
    if (x.is_use()) {
      if (count != 8)
        used[count++] = value_id{x.w0};
      else
        more.push_back(value_id{x.w0});
    }
  g.erase(n);
  ++done.erased;
  for (std::size_t i = 0; i != count; ++i)
    then(used[i]);
  for (auto v : more)
    then(v);
}

} // namespace detail

/// Applies rules until none applies. Subgraphs each by themselves. Throws `error` (usage) naming the rule
/// when there is no end to it. Linear in nodes and rewrites.
template <dialect D = torch_ir, class... Rules>
constexpr pass_result rewrite_greedily(graph_storage& g, pass_context& c, const rule_set<Rules...>& rules,
                                       const rewrite_options& o = {}) {
  pass_result done;
  for (std::size_t i = 0; i != g.num_subgraphs(); ++i)
    done += rewrite_greedily<D>(g.subgraph(i), c, rules, o);
  const detail::rule_buckets<Rules...> buckets;
  detail::rewrite_run run(g, c);
  detail::node_worklist list;
  list.reserve(g.node_capacity());
  for (node_id n = g.last(); n.valid(); n = g.prev(n)) // popped in program order
    list.push(n);
  const std::size_t limit = std::max<std::size_t>(1000, g.num_nodes() * o.rewrites_per_node);
  // a value that lost a user may be dead, and patterns may want a value with one use
  const auto lost_a_use = [&](value_id v) {
    list.push(g.def(v));
    if (g.has_one_use(v))
      list.push(g.user(g.first_use(v)));
  };
  while (!list.empty()) {
    const node_id n = list.pop();
    if (!g.alive(n))
      continue;
    if (detail::is_dead(g, n, run.classes)) {
      detail::erase_dead(g, n, done, lost_a_use);
      continue;
    }
    const auto rule = detail::rule_matcher<D, Rules...>::apply(rules, buckets, run, n);
    if (rule == buckets.nil)
      continue;
    if (++done.rewritten == limit)
      fail(error_kind::usage,
           "rule '" + std::string(detail::rule_matcher<D, Rules...>::names[rule]) + "' was the last of " +
               std::to_string(limit) + " rewrites, and there is no end to them",
           "rewrite_greedily",
           "two rules undo each other's work, or one applies to what it makes: add a condition");
    for (value_id v : run.touched)
      if (g.alive(g.def(v)))
        lost_a_use(v);
    for (node_id m : run.made) {
      list.push(m);
      for (std::size_t i = 0; i != g.num_results(m); ++i)
        for (slot_id u = g.first_use(g.result(m, i)); u.valid(); u = g.next_use(u))
          list.push(g.user(u));
    }
    if (run.made.empty()) // replaced by something that was there: its users see a new definition
      for (const auto& [v, before] : run.replaced_by) // uses that moved stand before those that were there
        for (slot_id u = g.first_use(v); u.valid() && u != before; u = g.next_use(u))
          list.push(g.user(u));
  }
  return done;
}

/// Goes over the graph once, in program order, trying the rules at every node that was there at the start,
/// and erases what its own rewrites left dead. For rules that need no second look: half the work of the
/// greedy driver.
template <dialect D = torch_ir, class... Rules>
constexpr pass_result rewrite_once(graph_storage& g, pass_context& c, const rule_set<Rules...>& rules) {
  pass_result done;
  for (std::size_t i = 0; i != g.num_subgraphs(); ++i)
    done += rewrite_once<D>(g.subgraph(i), c, rules);
  const detail::rule_buckets<Rules...> buckets;
  detail::rewrite_run run(g, c);
  vector<node_id> dead;
  node_id following{};
  for (node_id n = g.first(); n.valid(); n = following) {
    following = g.next(n);
    if (detail::rule_matcher<D, Rules...>::apply(rules, buckets, run, n) == buckets.nil)
      continue;
    ++done.rewritten;
    dead.clear();
    for (value_id v : run.touched)
      dead.push_back(g.def(v));
    while (!dead.empty()) { // operands stand before `n`: `following` stays
      const node_id d = dead.back();
      dead.pop_back();
      if (g.alive(d) && detail::is_dead(g, d, run.classes))
        detail::erase_dead(g, d, done, [&](value_id v) { dead.push_back(g.def(v)); });
    }
  }
  return done;
}

/// A pass made of rules, applied greedily: `rewrites<"my-fusions">(rule1, rule2)`. It promises nothing but
/// that dead code is gone, and destroys all else; derive from `pass` and call a driver to promise more.
template <fixed_string Name, dialect D, rule_type... Rules>
struct rewrite_pass : pass {
  static constexpr auto text_name = Name;
  static constexpr std::string_view name = text_name.view();
  using takes = std::conditional_t<std::same_as<D, torch_ir>, any_dialect, D>;
  using establishes = properties<property::no_dead_code>;
  rule_set<Rules...> rules;
  constexpr explicit rewrite_pass(Rules... rs) : rules(static_cast<Rules&&>(rs)...) {}
  constexpr pass_result run(graph_storage& g, pass_context& c) const {
    return rewrite_greedily<D>(g, c, rules);
  }
};
template <fixed_string Name, dialect D = torch_ir, rule_type... Rules>
constexpr rewrite_pass<Name, D, Rules...> rewrites(Rules... rules) {
  return rewrite_pass<Name, D, Rules...>(static_cast<Rules&&>(rules)...);
}

} // namespace espalier
