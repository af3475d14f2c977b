// SPDX-License-Identifier: BSL-1.0
// The verifier of graphs: what FX's lint, the export verifier (`torch/_export/verifier.py`) and the
// operators' schemas ask, and the rules of a dialect. One walk, linear in nodes and arguments; nothing is
// allocated for a sound graph but one mark a node and a name.
#pragma once

#include <espalier/ir/diagnostic.hpp>
#include <espalier/ir/dialect.hpp>
#include <espalier/ir/storage.hpp>
#include <espalier/ir/verify_arguments.hpp>
#include <espalier/schema/nearest.hpp>
#include <espalier/schema/op_id.hpp>
#include <espalier/schema/schema.hpp>
#include <espalier/support/vector.hpp>

#include <cstddef>
#include <string>
#include <string_view>

namespace espalier {

/// What a verification asks beyond structure and schemas.
struct verify_options {
  bool require_meta = true; ///< placeholders and call results say what they are (`val` of FX)
  bool require_module_stack =
      false;               ///< calls and get_attr of the top graph have one (`_verify_nn_module_stack`)
  std::size_t limit = 100; ///< stop after that many diagnostics
};

namespace detail {

template <class = when_used>
class graph_verifier {
public:
  using rule = std::string_view (*)(op_flags);
  graph_verifier(rule refuses, std::string_view dialect, const verify_options& o, vector<diagnostic>& out)
      : refuses_(refuses), dialect_(dialect), o_(o), out_(out) {}

  void run(const graph_storage& g, const std::string& where, unsigned depth) {
    g_ = &g;
    where_ = &where;
    defined_.assign(g.value_capacity(), 0);
    names_.clear();
    std::size_t outputs = 0, visited = 0;
    bool past_placeholders = false;
    for (node_id n = g.first(); n.valid() && !full(); n = g.next(n)) {
      if (++visited > g.num_nodes()) {
        report(n, "the order of nodes is a cycle", "the graph's storage is damaged: rebuild the graph");
        return;
      }
      const node_kind k = g.kind(n);
      if (outputs)
        report(n, "a node stands after the output node", "move the output node to the end");
      if (k == node_kind::placeholder && past_placeholders)
        report(n, "a placeholder stands after other nodes", "move it before them (placeholders come first)");
      past_placeholders = past_placeholders || k != node_kind::placeholder;
      outputs += k == node_kind::output;
      if (const node_id p = g.prev(n); p.valid() && !g.is_before(p, n))
        report(n, "the order numbers disagree with the order",
               "the graph's storage is damaged: rebuild the graph");
      check_operands(n);
      check_node(n);
      check_results(n, depth);
    }
    if (full())
      return;
    if (!outputs)
      out_.push_back({where, "the graph has no output node", "end it with output(...)", {}});
    for (std::size_t i = 0; i != g.num_subgraphs() && !full(); ++i) {
      const std::string inner =
          (where.empty() ? "graph '" : where + ", graph '") + std::string(g.text(g.subgraph_name(i))) + "'";
      graph_verifier(refuses_, dialect_, o_, out_).run(g.subgraph(i), inner, depth + 1);
    }
  }

private:
  bool full() const { return out_.size() >= o_.limit; }
  ESPALIER_COLD void report(node_id n, std::string what, std::string cure) {
    if (full())
      return;
    std::string place = *where_;
    if (!place.empty())
      place += ", ";
    const auto name = g_->text(g_->node_name(n));
    place += name.empty() ? "node #" + std::to_string(n.index) : "node '" + std::string(name) + "'";
    if (g_->kind(n) == node_kind::call_function || g_->kind(n) == node_kind::call_higher_order)
      place += " (" + std::string(name_of(g_->op(n))) + ")";
    out_.push_back({std::move(place), std::move(what), std::move(cure), n});
  }

  void check_operands(node_id n) {
    for (auto& x : g_->slots(n)) {
      if (!x.is_use())
        continue;
      if (x.w0 >= defined_.size())
        report(n, "an argument is a value that this graph does not have",
               "build every argument from this graph's values");
      else if (!defined_[x.w0])
        report(n,
               "uses value '" + std::string(g_->text(g_->value_name(value_id{x.w0}))) +
                   "' before it is defined",
               g_->alive(g_->def(value_id{x.w0})) ? "move the definition before its first use"
                                                  : "its node was erased: replace the use");
      else if (node_id{x.w1} != n)
        report(n, "a use is linked to another node", "the graph's storage is damaged: rebuild the graph");
    }
  }

  void check_node(node_id n) {
    const graph_storage& g = *g_;
    switch (g.kind(n)) {
    case node_kind::placeholder:
      if (g.num_results(n) != 1)
        report(n, "a placeholder has exactly one result", "rebuild it with placeholder(...)");
      break;
    case node_kind::get_attr:
      if (g.num_args(n) != 1 || g.slot(g.arg_slot(n, 0)).form() != arg_form::string ||
          g.text(str_id{g.slot(g.arg_slot(n, 0)).w2}).empty())
        report(n, "a get_attr node needs a target", "give it the attribute's path");
      break;
    case node_kind::output:
      break;
    case node_kind::call_function:
    case node_kind::call_higher_order:
      check_call(n);
      break;
    case node_kind::erased:
      report(n, "an erased node is still in the order", "the graph's storage is damaged: rebuild the graph");
    }
  }

  void check_call(node_id n) {
    const graph_storage& g = *g_;
    if (!g.op(n).valid()) {
      report(n, "a call without an operator", "set its operator (set_op)");
      return;
    }
    const auto& known = facts(g.op(n));
    if (!known.refused.empty())
      report(n, std::string(known.refused) + " (dialect " + std::string(dialect_) + ")",
             "lower the operator first, or use a dialect that permits it");
    for (auto& x : g.slots(n))
      if (x.form() == arg_form::subgraph && x.w2 >= g.num_subgraphs())
        report(n,
               "an argument is graph " + std::to_string(x.w2) + ", but there are " +
                   std::to_string(g.num_subgraphs()) + " graphs",
               "add the graph first (add_subgraph)");
    if (aten_lacks(g.op(n)))
      report(n, "ATen has no such operator", spell_as_aten(g.op(n)));
    if (!known.schema)
      return;
    const op_schema& s = *known.schema;
    if (g.num_args(n) > s.args.size())
      report(n,
             "has " + std::to_string(g.num_args(n)) + " arguments, but the schema takes " +
                 std::to_string(s.args.size()),
             "drop the last ones");
    for (std::size_t i = 0; i != s.args.size() && !full(); ++i) {
      const bool given = i < g.num_args(n) && g.slot(g.arg_slot(n, i)).form() != arg_form::absent;
      if (!given) {
        if (!s.args[i].has_default)
          report(n, "the required argument '" + std::string(s.args[i].name) + "' is missing", "give it");
      } else if (!argument_fits(g, n, g.arg_slot(n, i), s.args[i].type)) {
        report(n,
               "argument '" + std::string(s.args[i].name) + "' is " + describe(g, g.arg_slot(n, i)) +
                   ", but the schema wants " + to_text(s.args[i].type),
               "pass an argument of that kind");
      }
    }
    check_result_count(n, s);
  }

  void check_result_count(node_id n, const op_schema& s) {
    const std::size_t have = g_->num_results(n);
    bool lists = false;
    for (auto& r : s.returns)
      lists = lists || r.type.list_depth != 0;
    if (s.returns.size() == 1 && lists) {
      if (!g_->returns_list(n))
        report(n, "the operator returns a list, but the node's results are not marked as one",
               "build it with list_result");
    } else if (lists ? have < s.returns.size() - 1 : have != s.returns.size()) {
      report(n,
             "has " + std::to_string(have) + " results, but the operator returns " +
                 std::to_string(s.returns.size()),
             "build the node with as many");
    }
  }

  void check_results(node_id n, unsigned depth) {
    const graph_storage& g = *g_;
    const node_kind k = g.kind(n);
    const bool one = g.num_results(n) == 1 && !g.returns_list(n);
    check_name(n, g.node_name(n));
    for (std::size_t i = 0; i != g.num_results(n); ++i) {
      const value_id v = g.result(n, i);
      defined_[v.index] = 1;
      if (!one || g.value_name(v) != g.node_name(n))
        check_name(n, g.value_name(v));
      const value_meta& m = g.meta(v);
      if (m.kind == value_kind::unknown) {
        if (o_.require_meta && k != node_kind::get_attr)
          report(n,
                 "nothing is known of its result" + (one ? std::string() : " " + std::to_string(i)) +
                     " ('val' is missing)",
                 "set its meta (set_meta), or run infer_metas");
      } else if (m.kind == value_kind::tensor && m.tensor.lay == layout::strided &&
                 m.tensor.strides.size() != m.tensor.sizes.size()) {
        report(n,
               "its tensor has " + std::to_string(m.tensor.sizes.size()) + " sizes but " +
                   std::to_string(m.tensor.strides.size()) + " strides",
               "give as many strides as sizes");
      }
    }
    const bool stacked =
        k == node_kind::get_attr || k == node_kind::call_function || k == node_kind::call_higher_order;
    if (o_.require_module_stack && depth == 0 && stacked && g.origin_text(n, "nn_module_stack").empty())
      report(n, "has no module stack", "record it at export (nn_module_stack)");
    if (!stacked && g.origin_of(n).valid() &&
        (!g.origin_text(n, "nn_module_stack").empty() || !g.origin_text(n, "stack_trace").empty()))
      report(n, "placeholders and outputs have no module stack and no stack trace",
             "remove them from its origin");
  }

  void check_name(node_id n, str_id name) {
    if (!name.valid())
      return;
    if (names_.size() <= name.index)
      names_.resize(name.index + 1, 0);
    if (names_[name.index]++)
      report(n, "the name '" + std::string(g_->text(name)) + "' is given twice",
             "rename one of the two (assign_names gives fresh names)");
  }

  struct op_facts {
    bool known = false;
    std::string_view refused;
    const op_schema* schema = nullptr;
  };
  const op_facts& facts(op_id o) {
    if (facts_.size() <= o.index)
      facts_.resize(o.index + 1);
    op_facts& f = facts_[o.index];
    if (!f.known)
      f = {true, refuses_(flags_of(o)), schema_of(o)};
    return f;
  }

  rule refuses_;
  std::string_view dialect_;
  const verify_options& o_;
  vector<diagnostic>& out_;
  const graph_storage* g_ = nullptr;
  const std::string* where_ = nullptr;
  vector<unsigned char> defined_, names_; // by value, by string
  vector<op_facts> facts_;                // by operator
};

} // namespace detail

/// All that breaks the rules of graphs or of a dialect, in program order, subgraphs included. Empty for a
/// sound graph.
template <class = when_used>
vector<diagnostic> verify(const graph_storage& g, const dialect_info& d, const verify_options& o = {}) {
  vector<diagnostic> out;
  detail::graph_verifier(d.refuses, d.name, o, out).run(g, "", 0);
  return out;
}
/// The same, of a dialect that the compiler knows.
template <dialect D>
vector<diagnostic> verify(const graph_storage& g, const verify_options& o = {}) {
  return verify(g, info_of_dialect<D>, o);
}
/// The same for a graph that knows its dialect.
template <class G>
requires dialect<typename G::dialect_type> vector<diagnostic> verify(const G& g,
                                                                     const verify_options& o = {}) {
  return verify<typename G::dialect_type>(g, o);
}

/// Throws `error` (verification) for the first broken rule.
template <dialect D>
void verify_or_throw(const graph_storage& g, const verify_options& o = {}) {
  throw_first(verify<D>(g, o));
}
template <class G>
requires dialect<typename G::dialect_type>
void verify_or_throw(const G& g, const verify_options& o = {}) {
  verify_or_throw<typename G::dialect_type>(g, o);
}

} // namespace espalier
