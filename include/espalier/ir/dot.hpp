// SPDX-License-Identifier: BSL-1.0
// Graphviz output. Our own writer: a node shows its name, its operator, its constant arguments and its type;
// inner graphs are clusters. Texts are escaped, so any name may occur.
#pragma once

#include <espalier/ir/format.hpp>
#include <espalier/ir/print.hpp>
#include <espalier/ir/storage.hpp>
#include <espalier/schema/builtin.hpp>

#include <string>
#include <string_view>

namespace espalier {

/// What a drawing shows.
struct dot_options {
  bool types = true;     ///< the results' types
  bool constants = true; ///< constant arguments
  bool edge_labels =
      true; ///< on an edge: which result of a node of several, and which argument when it is not the first
  bool subgraphs = true;
  std::string_view name = "espalier";
};

namespace detail {

template <class = when_used>
class dot_writer {
public:
  dot_writer(const graph_storage& g, const dot_options& o, std::string& out, std::string prefix)
      : g_(g), o_(o), out_(out), prefix_(std::move(prefix)), args_{g, text_, "%"} {}

  void nodes_and_edges() {
    for (node_id n = g_.first(); n.valid(); n = g_.next(n)) {
      node_line(n);
      edges(n);
    }
    if (!o_.subgraphs)
      return;
    for (std::size_t i = 0; i != g_.num_subgraphs(); ++i) {
      const std::string inner = prefix_ + std::to_string(i) + "_";
      out_ += "  subgraph ";
      quoted("cluster_" + inner);
      out_ += " {\n  label=";
      quoted(g_.text(g_.subgraph_name(i)));
      out_ += ";\n";
      dot_writer(g_.subgraph(i), o_, out_, inner).nodes_and_edges();
      out_ += "  }\n";
    }
  }
  /// A double-quoted Graphviz string; line breaks become `\n`, which Graphviz draws as such.
  void quoted(std::string_view s) {
    out_ += '"';
    for (char c : s) {
      if (c == '"' || c == '\\')
        out_ += '\\';
      if (c == '\n')
        out_ += "\\n";
      else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
        out_ += ' ';
      else
        out_ += c;
    }
    out_ += '"';
  }

private:
  void id(node_id n) {
    out_ += 'n';
    out_ += prefix_;
    append_int(out_, n.index);
  }
  void node_line(node_id n) {
    text_ = g_.text(g_.node_name(n));
    switch (g_.kind(n)) {
    case node_kind::placeholder:
      text_ += '\n';
      text_ += to_string(g_.input(n));
      break;
    case node_kind::output:
      break;
    case node_kind::get_attr:
      text_ += "\nget_attr ";
      if (g_.num_args(n))
        args_.arg(n, g_.arg_slot(n, 0));
      break;
    default:
      text_ += '\n';
      text_ += target_of(g_.op(n));
      if (o_.constants)
        constants(n);
    }
    if (o_.types)
      for (std::size_t i = 0; i != g_.num_results(n); ++i)
        if (const auto& m = g_.meta(g_.result(n, i)); m.kind != value_kind::unknown) {
          text_ += '\n';
          append_annotation(text_, g_, m, false, false);
        }
    out_ += "  ";
    id(n);
    out_ += " [label=";
    quoted(text_);
    switch (g_.kind(n)) {
    case node_kind::placeholder:
      out_ += ", shape=ellipse";
      break;
    case node_kind::output:
      out_ += ", shape=ellipse, style=bold";
      break;
    case node_kind::get_attr:
      out_ += ", shape=note";
      break;
    case node_kind::call_higher_order:
      out_ += ", shape=box, style=bold";
      break;
    default:
      out_ += ", shape=box";
    }
    out_ += "];\n";
  }
  void constants(node_id n) {
    const op_schema* s = schema_of(g_.op(n));
    bool any = false;
    for (std::size_t i = 0; i != g_.num_args(n); ++i) {
      const slot_id a = g_.arg_slot(n, i);
      if (g_.slot(a).is_use() || g_.slot(a).form() == arg_form::absent)
        continue;
      text_ += any ? ", " : "\n";
      any = true;
      if (s && i < s->args.size()) {
        text_ += s->args[i].name;
        text_ += '=';
      }
      args_.arg(n, a);
    }
  }
  void edges(node_id n) {
    std::size_t operand = 0;
    for (auto& x : g_.slots(n)) {
      if (!x.is_use())
        continue;
      const value_id v{x.w0};
      const node_id from = g_.def(v);
      out_ += "  ";
      id(from);
      out_ += " -> ";
      id(n);
      text_.clear();
      if (o_.edge_labels) {
        if (g_.num_results(from) > 1 || g_.returns_list(from))
          text_ += "[" + std::to_string(g_.result_index(v)) + "]";
        if (operand)
          text_ += (text_.empty() ? "" : " ") + std::to_string(operand);
      }
      ++operand;
      if (!text_.empty()) {
        out_ += " [label=";
        quoted(text_);
        out_ += ']';
      }
      out_ += ";\n";
    }
  }

  const graph_storage& g_;
  const dot_options& o_;
  std::string& out_;
  std::string prefix_, text_;
  python_arguments args_;
};

} // namespace detail

/// The graph in Graphviz's language. Linear.
template <class = when_used>
std::string to_dot(const graph_storage& g, const dot_options& o = {}) {
  std::string out;
  detail::with_names(g, [&](const graph_storage& named) {
    detail::dot_writer w(named, o, out, "_");
    out += "digraph ";
    w.quoted(o.name);
    out += " {\n  rankdir=TB;\n  node [fontname=\"monospace\"];\n";
    w.nodes_and_edges();
    out += "}\n";
  });
  return out;
}

} // namespace espalier
