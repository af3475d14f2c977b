// SPDX-License-Identifier: BSL-1.0
// Regions of a graph as graphs of their own: `extract_subgraph` moves a set of nodes behind one call of a
// higher-order operator, `inline_subgraph` puts such a call's graph back in its place, `copy_subgraph` leaves
// the graph as it is. Splitting, outlining and inlining are made of these. What may move is decided once, by
// `border_of`: along data edges and, for what is not pure, along the program order.
#pragma once

#include <espalier/ir/clone.hpp>
#include <espalier/ir/storage.hpp>
#include <espalier/ir/view.hpp>
#include <espalier/schema/op_id.hpp>
#include <espalier/support/hash_map.hpp>
#include <espalier/support/span.hpp>
#include <espalier/support/vector.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace espalier {

/// A set of nodes that can become one node, and the values that cross its border.
struct subgraph_border {
  vector<node_id> nodes;     ///< in program order, each once
  vector<node_id> followers; ///< other nodes between the first and the last that depend on them
  vector<value_id> inputs;   ///< used inside, computed outside; in the order of their first use
  vector<value_id> outputs;  ///< computed inside, used outside; in program order
};

namespace detail {

template <class = when_used>
std::string quoted_name(const graph_storage& g, node_id n) {
  const node v(g, n);
  const std::string name(v.name());
  return name.empty() ? "node " + std::to_string(n.index) : "'" + name + "'";
}

/// `higher_order::invoke_subgraph`: what stands for extracted nodes.
template <class = when_used>
op_id extracted_op() {
  static const op_id op = *find_op("higher_order::invoke_subgraph");
  return op;
}

/// Finds a set's border; holds what that takes.
template <class = when_used>
class border_finder {
public:
  border_finder(const graph_storage& g, span<const node_id> chosen) : g_(g), role_(g.node_capacity()) {
    if (chosen.empty())
      fail(error_kind::usage, "no nodes were given", "extract_subgraph", "name at least one");
    for (const node_id n : chosen) {
      if (!g.alive(n))
        fail(error_kind::usage, "node " + std::to_string(n.index) + " is not in the graph",
             "extract_subgraph", "take ids from this graph, after its last edit");
      if (g.kind(n) != node_kind::call_function && g.kind(n) != node_kind::call_higher_order)
        fail(error_kind::usage,
             quoted_name(g, n) + " is a node of kind " + std::string(to_string(g.kind(n))) +
                 ", which belongs to its graph",
             "extract_subgraph", "choose calls only: what they take from outside becomes inputs");
      if (role_[n.index] == role::chosen)
        continue;
      role_[n.index] = role::chosen;
      first_ = !first_.valid() || g.is_before(n, first_) ? n : first_;
      last_ = !last_.valid() || g.is_before(last_, n) ? n : last_;
    }
  }

  /// Whether the set can become one node; asked instead of `find`.
  bool exists() {
    explains_ = false;
    walk();
    return !refused_;
  }
  subgraph_border find() {
    walk();
    for (const node_id n : border_.nodes)
      for (std::size_t i = 0; i != g_.num_results(n); ++i)
        if (used_outside(g_.result(n, i)))
          border_.outputs.push_back(g_.result(n, i));
    return std::move(border_);
  }

private:
  enum class role : std::uint8_t { other, chosen, follower };

  void walk() {
    for (node_id n = first_; !refused_; n = g_.next(n)) {
      visit(n);
      if (n == last_)
        break;
    }
  }
  void visit(node_id n) {
    const bool chosen = role_[n.index] == role::chosen;
    for (const auto& x : g_.slots(n)) {
      if (!x.is_use())
        continue;
      const value_id v{x.w0};
      const node_id def = g_.def(v);
      if (chosen && role_[def.index] == role::follower) {
        refused_ = true;
        if (!explains_)
          return;
        refuse_cycle(def, n);
      }
      if (chosen && role_[def.index] != role::chosen)
        add_input(v);
      if (!chosen && role_[def.index] != role::other)
        role_[n.index] = role::follower;
    }
    check_order(n);
    if (chosen)
      border_.nodes.push_back(n);
    else if (role_[n.index] == role::follower)
      border_.followers.push_back(n);
  }

  // How much an operator minds its place: not at all, with respect to others of the kind (random numbers,
  // running statistics, assertions), with respect to all. What was extracted before, as much as it holds.
  static std::size_t mind(const graph_storage& g, node_id n) {
    if (!node(g, n).is_call())
      return 0;
    if (g.op(n) == extracted_op()) {
      std::size_t most = 0;
      for (const auto& x : g.slots(n))
        if (x.form() == arg_form::subgraph && x.w2 < g.num_subgraphs())
          for (const node inner : nodes(g.subgraph(x.w2)))
            most = std::max(most, mind(g.subgraph(x.w2), inner));
      return most;
    }
    const op_flags f = flags_of(g.op(n));
    if (f.mutates || f.higher_order || !f.known_schema)
      return 2;
    const std::string_view name = name_of(g.op(n));
    const bool statistics = name.find("batch_norm") != name.npos || name.find("instance_norm") != name.npos;
    return f.pure() && !statistics ? 0 : 1;
  }
  // All chosen nodes come to stand together, those that depend on them behind, all others before. None may
  // notice changing places with an earlier one.
  void check_order(node_id n) {
    const role mine = role_[n.index];
    const std::size_t level = mind(g_, n);
    const auto passes = [&](role earlier) {
      for (std::size_t other = 0; other != 3; ++other)
        if (const node_id blame = seen_[static_cast<std::size_t>(earlier)][other];
            blame.valid() && level + other >= 2) {
          refused_ = true;
          if (!explains_)
            return;
          fail(error_kind::verification,
               quoted_name(g_, blame) + " and " + quoted_name(g_, n) +
                   " would change places, and one of them changes or depends on more than its results",
               "extract_subgraph",
               "choose the nodes between them too, or lower to a functional dialect first");
        }
    };
    if (mine == role::other)
      passes(role::chosen);
    if (mine != role::follower)
      passes(role::follower);
    seen_[static_cast<std::size_t>(mine)][level] = n;
  }

  void add_input(value_id v) {
    if (is_input_.size() < g_.value_capacity())
      is_input_.resize(g_.value_capacity());
    if (is_input_[v.index])
      return;
    is_input_[v.index] = true;
    border_.inputs.push_back(v);
  }
  bool used_outside(value_id v) const {
    for (slot_id s = g_.first_use(v); s.valid(); s = g_.next_use(s))
      if (role_[g_.user(s).index] != role::chosen)
        return true;
    return false;
  }

  // Tells the way from the set through `last` back to `into`.
  [[noreturn]] void refuse_cycle(node_id last, node_id into) const {
    std::string path = quoted_name(g_, into);
    for (node_id n = last; n.valid();) {
      path = quoted_name(g_, n) + " -> " + path;
      if (role_[n.index] == role::chosen)
        break;
      node_id before;
      for (const auto& x : g_.slots(n))
        if (x.is_use() && role_[g_.def(value_id{x.w0}).index] != role::other)
          before = g_.def(value_id{x.w0});
      n = before;
    }
    fail(error_kind::verification, "as one node, the chosen nodes would depend on themselves: " + path,
         "extract_subgraph",
         "choose the nodes between, such as " + quoted_name(g_, last) + ", as well, or leave out " +
             quoted_name(g_, into));
  }

  const graph_storage& g_;
  vector<role> role_;     // by node
  vector<bool> is_input_; // by value
  node_id seen_[3][3];    // by role and by how much it minds: the latest
  node_id first_, last_;
  bool explains_ = true, refused_ = false;
  subgraph_border border_;
};

} // namespace detail

/// The border of a set of calls, given in any order. Throws `error`: usage for what is no call of this graph;
/// verification when the set is not convex (a way leads out of it and back in; the message tells the way), or
/// when gathering it would move a node that is not pure past another. Linear.
template <class = when_used>
subgraph_border border_of(const graph_storage& g, span<const node_id> nodes) {
  return detail::border_finder(g, nodes).find();
}

/// Whether `border_of` has an answer for the set: what a pass that grows regions asks at every step. Nodes
/// that are no calls of this graph throw as there. Linear.
template <class = when_used>
bool can_extract(const graph_storage& g, span<const node_id> nodes) {
  return detail::border_finder(g, nodes).exists();
}

namespace detail {
template <class = when_used>
graph_storage copy_subgraph(const graph_storage& g, const subgraph_border& border, copy_tables& tables) {
  graph_storage out;
  out.reserve(border.nodes.size() + border.inputs.size() + 1, border.nodes.size() * 4);
  node_copier copier(g, out, tables);
  for (const value_id v : border.inputs)
    copier.stand_in(v);
  for (const node_id n : border.nodes)
    copier.copy(n);
  vector<argument> results;
  for (const value_id v : border.outputs) {
    argument a;
    a.form = arg_form::value;
    a.val = copier[v];
    results.push_back(a);
  }
  out.set_name(out.output(results), "output");
  return out;
}
} // namespace detail

/// The set as a graph of its own: a placeholder for each input, named as the value it stands for; the nodes;
/// the outputs. Names, metas, origins and subgraphs come along.
template <class = when_used>
graph_storage copy_subgraph(const graph_storage& g, const subgraph_border& border) {
  detail::copy_tables tables;
  return detail::copy_subgraph(g, border, tables);
}

/// How `extract_subgraph` calls what it extracted.
struct extract_options {
  std::string name = {}; ///< the subgraph's, with a number if it is taken; empty: `subgraph_N`
};

namespace detail {

/// Puts calls in the place of sets of nodes. What one costs depends on the set alone, so that a graph can be
/// cut into many.
template <class = when_used>
class outliner {
public:
  explicit outliner(graph_storage& g) : g_(g) {
    for (std::size_t i = 0; i != g.num_subgraphs(); ++i)
      names_.insert(std::string(g.text(g.subgraph_name(i))));
  }
  /// The body is a graph with the border's inputs and outputs, such as a copy of the set. An empty name, or
  /// one that is taken, gets a number.
  node_id run(const subgraph_border& border, graph_storage body, const std::string& name) {
    const std::string unique = name_for(name);
    const std::uint32_t index = g_.add_subgraph(unique, std::move(body));
    vector<argument> args{argument::of_subgraph(index), argument(std::string_view(unique))};
    for (const value_id v : border.inputs)
      args.push_back(argument(value(g_, v)));
    const node_id last = border.nodes.back(), behind = g_.next(last);
    const insertion_point before = g_.current_insertion_point();
    g_.set_insertion_point({behind});
    // as Python writes a call whose graph gives a tuple: its results one by one, the call under a name of its
    // own
    const node_id call =
        g_.call(extracted_op(), args, border.outputs.size(), false, node_kind::call_higher_order);
    std::string call_name = "invoke_subgraph";
    while (g_.find_string(call_name).valid())
      call_name = "invoke_subgraph_" + std::to_string(++calls_);
    g_.set_name(call, call_name);
    if (border.outputs.size() == 1 && !g_.value_name(border.outputs.front()).valid())
      g_.clear_name(call); // its name would be its result's
    g_.set_origin(call, g_.origin_of(last));
    for (const node_id n : border.followers)
      g_.move_before(n, behind);
    for (std::size_t i = 0; i != border.outputs.size(); ++i) {
      const value_id old = border.outputs[i], now = g_.result(call, i);
      g_.set_meta(now, g_.meta_of(old));
      if (g_.value_name(old).valid())
        g_.set_value_name(now, std::string(g_.text(g_.value_name(old))));
      g_.replace_all_uses(old, now);
    }
    for (auto n = border.nodes.rbegin(); n != border.nodes.rend(); ++n)
      g_.erase(*n);
    g_.set_insertion_point({before.before.valid() && !g_.alive(before.before) ? call : before.before});
    return call;
  }

private:
  std::string name_for(const std::string& wish) {
    std::string name = wish;
    for (std::size_t i = wish.empty() ? g_.num_subgraphs() : 1; name.empty() || !names_.insert(name).second;
         ++i)
      name = (wish.empty() ? "subgraph" : wish) + "_" + std::to_string(i);
    return name;
  }

  graph_storage& g_;
  hash_set<std::string> names_; // of subgraphs
  std::size_t calls_ = 0;       // the number in the last name of a call
};

} // namespace detail

/// Moves a set of calls into a subgraph and puts one call of `higher_order::invoke_subgraph` in their place:
/// its arguments are the subgraph, its name, and the border's inputs, its results the border's outputs, under
/// their old names. The call stands where the last of them stood; those that depend on the set and stood
/// between follow it. Throws as `border_of`, before anything has changed. Returns the call. Linear.
template <class = when_used>
node_id extract_subgraph(graph_storage& g, span<const node_id> nodes, const extract_options& options = {}) {
  const subgraph_border border = border_of(g, nodes);
  return detail::outliner(g).run(border, copy_subgraph(g, border), options.name);
}

namespace detail {

/// Whether an output of a graph can take the place of a result of a call: it is no list, and no graph.
inline bool is_value_or_constant(arg_view out) {
  return out.is_value() || (out.form() != arg_form::list && out.form() != arg_form::dict &&
                            out.form() != arg_form::complex && out.form() != arg_form::subgraph);
}

/// Puts graphs in the place of calls. What one costs depends on the graph it puts in, so that many calls can
/// be inlined into a large graph.
template <class = when_used>
class inliner {
public:
  explicit inliner(graph_storage& g) : g_(g) {
    for (node_id n = g.first(); n.valid(); n = g.next(n))
      take_names(n);
    for (std::size_t i = 0; i != g.num_subgraphs(); ++i)
      mark(graphs_taken_, g.subgraph_name(i), true);
  }

  /// Throws `error` (verification) before anything has changed.
  void run(node_id call, const graph_storage& body, span<const argument> operands) {
    check(call, body, operands);
    const auto inputs = placeholders(body);
    const node_id output = body.output_node();
    const std::size_t outputs = g_.num_results(call);
    // the call goes; its results keep their names
    mark(taken_, g_.node_name(call), false);
    for (std::size_t i = 0; i != outputs; ++i)
      mark(taken_, g_.value_name(g_.result(call, i)), true);

    node_copier copier(body, g_, tables_);
    for (std::size_t i = 0; i != inputs.size(); ++i)
      if (const value_id v = inputs[i].result().id(); operands[i].form == arg_form::value)
        copier.map(v, operands[i].val);
      else
        copier.map(v, operands[i]);
    const insertion_point before = g_.current_insertion_point();
    g_.set_insertion_point({call});
    constexpr std::size_t none = ~std::size_t{0};
    vector<std::size_t> output_of(body.value_capacity(),
                                  none); // the first that puts a value of the body out
    for (std::size_t i = outputs; i-- > 0;)
      if (const auto out = result_of(body, output, i); out.is_value())
        output_of[out.as_value().id().index] = i;
    const auto first_new = static_cast<std::uint32_t>(g_.value_capacity());
    vector<node_id> made;
    for (node_id n = body.first(); n.valid(); n = body.next(n)) {
      if (body.kind(n) == node_kind::placeholder || body.kind(n) == node_kind::output)
        continue;
      const node_id m = copier.copy(n);
      made.push_back(m);
      const bool one = g_.num_results(m) == 1 && !g_.returns_list(m); // its name is its result's
      bool clash = !one && is_taken(taken_, g_.node_name(m));
      for (std::size_t i = 0; i != g_.num_results(m); ++i) {
        const str_id name = g_.value_name(g_.result(m, i));
        const std::size_t out = output_of[body.result(n, i).index];
        clash =
            clash || (is_taken(taken_, name) && (out == none || g_.value_name(g_.result(call, out)) != name));
      }
      if (clash)
        g_.clear_name(m);
    }
    vector<bool> named(g_.value_capacity() - first_new); // of the values that came with the body
    for (std::size_t i = 0; i != outputs; ++i) {
      const value_id old = g_.result(call, i);
      const auto out = result_of(body, output, i);
      const value_id now = out.is_value() ? copier[out.as_value().id()] : value_id{};
      if (!now.valid()) {
        replace_uses(old, constant_output(body, output, i, inputs, operands));
        continue;
      }
      const std::string name(g_.text(g_.value_name(old)));
      g_.replace_all_uses(old, now);
      if (name.empty() || now.index < first_new || named[now.index - first_new])
        continue; // an operand, or named by an earlier output
      named[now.index - first_new] = true;
      const node_id def = g_.def(now);
      if (g_.num_results(def) == 1 && !g_.returns_list(def))
        g_.set_name(def, name);
      else
        g_.set_value_name(now, name);
    }
    for (const node_id m : made)
      take_names(m);
    for (; graphs_ != g_.num_subgraphs(); ++graphs_)
      rename_graph(graphs_);
    const node_id next = g_.next(call);
    g_.erase(call);
    g_.set_insertion_point({before.before == call ? next : before.before});
  }

private:
  static arg_view result_of(const graph_storage& body, node_id output, std::size_t i) {
    return arg_view(body, output, body.arg_slot(output, i));
  }
  void check(node_id call, const graph_storage& body, span<const argument> operands) const {
    const auto refuse = [&](std::string cause, std::string cure) {
      fail(error_kind::verification, std::move(cause), "inline_subgraph, " + quoted_name(g_, call),
           std::move(cure));
    };
    const auto inputs = placeholders(body);
    const node_id output = body.output_node();
    const std::size_t outputs = output.valid() ? body.num_args(output) : 0;
    if (inputs.size() != operands.size())
      refuse("the subgraph has " + std::to_string(inputs.size()) + " placeholders, but " +
                 std::to_string(operands.size()) + " operands are given",
             "give one for each placeholder");
    if (outputs != g_.num_results(call))
      refuse("the subgraph puts out " + std::to_string(outputs) + " values, but the call has " +
                 std::to_string(g_.num_results(call)) + " results",
             "correct the call, or the subgraph");
    for (const argument& a : operands)
      if (a.count != 0 || !a.text.empty())
        refuse("an operand is text or a list, which a placeholder does not stand for",
               "pass the list's elements one by one");
    for (std::size_t i = 0; i != outputs; ++i)
      if (g_.has_uses(g_.result(call, i)) && !is_value_or_constant(result_of(body, output, i)))
        refuse("result " + std::to_string(i) + " is used, but is a list in the subgraph",
               "put out its elements one by one");
  }

  /// What an output is that became no value of this graph: a constant in the body, or an operand that is one.
  static argument constant_output(const graph_storage& body, node_id output, std::size_t i,
                                  span<const node> inputs, span<const argument> operands) {
    graph_storage::copied_args args;
    const argument out = body.copy_arg(output, body.arg_slot(output, i), args);
    if (out.form == arg_form::value)
      for (std::size_t k = 0; k != inputs.size(); ++k)
        if (inputs[k].result().id() == out.val)
          return operands[k];
    return out;
  }
  /// Uses of a value become a constant.
  void replace_uses(value_id v, const argument& constant) {
    if (!constant.text.empty())
      g_.intern(constant.text); // texts of other arguments must not move when it is put in
    graph_storage::copied_args args;
    const auto replace = [&](auto& list) {
      for (argument& a : list)
        if (a.form == arg_form::value && a.val == v)
          a = constant;
    };
    while (g_.has_uses(v)) {
      const node_id user = g_.user(g_.first_use(v));
      args.nested.clear();
      g_.copy_args(user, args);
      replace(args.top);
      for (auto& list : args.nested)
        replace(list);
      g_.set_args(user, args.top);
    }
  }

  static void mark(vector<bool>& of, str_id s, bool taken) {
    if (!s.valid())
      return;
    if (of.size() <= s.index)
      of.resize(s.index + 1);
    of[s.index] = taken;
  }
  static bool is_taken(const vector<bool>& of, str_id s) {
    return s.valid() && s.index < of.size() && of[s.index];
  }
  void take_names(node_id n) {
    mark(taken_, g_.node_name(n), true);
    for (std::size_t i = 0; i != g_.num_results(n); ++i)
      mark(taken_, g_.value_name(g_.result(n, i)), true);
  }
  /// Files name graphs by text: those that came with a body get names that no other has.
  void rename_graph(std::size_t i) {
    const std::string wish(g_.text(g_.subgraph_name(i)));
    for (std::size_t k = 1; is_taken(graphs_taken_, g_.subgraph_name(i)); ++k)
      g_.set_subgraph_name(i, wish + "_" + std::to_string(k));
    mark(graphs_taken_, g_.subgraph_name(i), true);
  }

  graph_storage& g_;
  copy_tables tables_;
  vector<bool> taken_, graphs_taken_; // names of nodes and values, and of subgraphs, by string
  std::size_t graphs_ = g_.num_subgraphs();
};

} // namespace detail

/// Replaces a call by the nodes of `body`, whose placeholders become `operands`, in their order. What used
/// the call's results uses the values that `body` puts out, under the results' names, or the constants; other
/// names are kept where they are free. Throws `error` (verification), before anything has changed, when
/// operands and placeholders, or results and outputs, do not match in number, when an operand is text or a
/// list, or when a used result is a list in `body`. Linear.
template <class = when_used>
void inline_subgraph(graph_storage& g, node_id call, const graph_storage& body,
                     span<const argument> operands) {
  detail::inliner(g).run(call, body, operands);
}

/// Replaces a call of `higher_order::invoke_subgraph`, as `extract_subgraph` and Python's exporter make it,
/// by its subgraph's nodes. The subgraph stays with the graph, since other calls may name it; `compacted`
/// drops those that none names. Throws as above, and `error` (usage) for other nodes.
template <class = when_used>
void inline_subgraph(graph_storage& g, node_id call) {
  if (!g.alive(call) || g.kind(call) != node_kind::call_higher_order || g.op(call) != detail::extracted_op())
    fail(error_kind::usage, "only calls of higher_order::invoke_subgraph say how to inline them",
         "inline_subgraph",
         "for another operator, give the subgraph and the operands: inline_subgraph(graph, call, body, "
         "operands)");
  graph_storage::copied_args args;
  g.copy_args(call, args);
  if (args.top.size() < 2 || args.top[0].form != arg_form::subgraph ||
      static_cast<std::size_t>(args.top[0].bits) >= g.num_subgraphs())
    fail(error_kind::verification, "its first argument is no subgraph of this graph",
         "inline_subgraph, " + detail::quoted_name(g, call), "run the verifier on the graph");
  // a copy: nodes that take graphs add theirs to the ones among which the body is
  const graph_storage body = g.subgraph(static_cast<std::size_t>(args.top[0].bits));
  inline_subgraph(g, call, body, span<const argument>(args.top).subspan(2));
}

} // namespace espalier
