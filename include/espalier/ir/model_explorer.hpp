// SPDX-License-Identifier: BSL-1.0
// A graph for Model Explorer: its JSON graph format, with the module hierarchy as namespaces, constants as
// attributes, and types on the edges. Subgraphs are graphs of their own.
#pragma once

#include <espalier/ir/format.hpp>
#include <espalier/ir/metadata.hpp>
#include <espalier/ir/naming.hpp>
#include <espalier/ir/print.hpp>
#include <espalier/ir/storage.hpp>
#include <espalier/schema/builtin.hpp>
#include <espalier/support/vector.hpp>

#include <cstddef>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>

namespace espalier {

namespace detail {

/// A JSON string. Bytes that are no ASCII go through: texts are UTF-8. `<` is escaped, so that the text may
/// stand in an HTML script.
template <class = when_used>
void append_json(std::string& out, std::string_view s) {
  out += '"';
  for (char c : s) {
    const auto u = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (u < 0x20 || c == '<') {
      char code[8];
      std::snprintf(code, sizeof code, "\\u%04x", static_cast<unsigned>(u));
      out += code;
    } else {
      out += c;
    }
  }
  out += '"';
}

/// What a viewer shows of a node, as text.
template <class = when_used>
class node_facts {
public:
  explicit node_facts(const graph_storage& g) : g_(g), args_{g, text_, "%"} {}

  std::string_view name(node_id n) const { return g_.text(g_.node_name(n)); }
  std::string label(node_id n) const {
    switch (g_.kind(n)) {
    case node_kind::call_function:
    case node_kind::call_higher_order:
      return std::string(target_of(g_.op(n)));
    case node_kind::placeholder:
      return std::string(to_string(g_.input(n)));
    default:
      return std::string(to_string(g_.kind(n)));
    }
  }
  /// The path of the innermost module, with dots as slashes; empty for the root.
  std::string module_path(node_id n) const {
    const auto frames = parse_module_stack(g_.origin_text(n, "nn_module_stack"));
    std::string path(frames.empty() ? std::string_view{} : frames.back().path);
    for (char& c : path)
      if (c == '.')
        c = '/';
    return path;
  }
  struct constant {
    std::string name, text;
  };
  /// Constant arguments in schema order.
  vector<constant> constants(node_id n) {
    vector<constant> out;
    if (g_.kind(n) != node_kind::call_function && g_.kind(n) != node_kind::call_higher_order &&
        g_.kind(n) != node_kind::get_attr)
      return out;
    const op_schema* s = g_.op(n).valid() ? schema_of(g_.op(n)) : nullptr;
    for (std::size_t i = 0; i != g_.num_args(n); ++i) {
      const slot_id a = g_.arg_slot(n, i);
      if (g_.slot(a).is_use() || g_.slot(a).form() == arg_form::absent)
        continue;
      text_.clear();
      args_.arg(n, a);
      out.emplace_back(s && i < s->args.size() ? std::string(s->args[i].name) : std::to_string(i), text_);
    }
    return out;
  }
  std::string type(value_id v) {
    text_.clear();
    if (const auto& m = g_.meta(v); m.kind != value_kind::unknown)
      append_annotation(text_, g_, m, false, false);
    return text_;
  }

private:
  const graph_storage& g_;
  std::string text_;
  python_arguments args_;
};

template <class = when_used>
class model_explorer_writer {
public:
  explicit model_explorer_writer(std::string& out) : out_(out) {}

  void graph(const graph_storage& g, const std::string& id) {
    node_facts facts(g);
    out_ += first_ ? "{\"id\":" : ",{\"id\":";
    first_ = false;
    append_json(out_, id);
    out_ += ",\"nodes\":[";
    bool comma = false;
    for (node_id n = g.first(); n.valid(); n = g.next(n)) {
      out_ += comma ? ",\n{" : "\n{";
      comma = true;
      field("id", node_name(n), false);
      field("label", facts.label(n));
      field("namespace", facts.module_path(n));
      out_ += ",\"attrs\":[";
      bool some = false;
      attribute("name", facts.name(n), some);
      for (const auto& [key, text] : facts.constants(n))
        attribute(key, text, some);
      if (const auto trace = g.origin_text(n, "stack_trace"); !trace.empty())
        attribute("stack_trace", trace, some);
      out_ += "],\"incomingEdges\":[";
      std::size_t input = 0;
      for (auto& x : g.slots(n)) {
        if (!x.is_use())
          continue;
        out_ += input ? ",{" : "{";
        field("sourceNodeId", node_name(g.def(value_id{x.w0})), false);
        field("sourceNodeOutputId", std::to_string(g.result_index(value_id{x.w0})));
        field("targetNodeInputId", std::to_string(input++));
        out_ += '}';
      }
      out_ += "],\"outputsMetadata\":[";
      for (std::size_t i = 0; i != g.num_results(n); ++i) {
        out_ += i ? ",{" : "{";
        field("id", std::to_string(i), false);
        out_ += ",\"attrs\":[";
        bool any = false;
        if (const auto type = facts.type(g.result(n, i)); !type.empty())
          attribute("tensor_shape", type, any);
        out_ += "]}";
      }
      out_ += "]}";
    }
    out_ += "]}";
    for (std::size_t i = 0; i != g.num_subgraphs(); ++i)
      graph(g.subgraph(i), id + "." + std::string(g.text(g.subgraph_name(i))));
  }

private:
  static std::string node_name(node_id n) { return std::to_string(n.index); }
  void field(std::string_view key, std::string_view text, bool comma = true) {
    if (comma)
      out_ += ',';
    append_json(out_, key);
    out_ += ':';
    append_json(out_, text);
  }
  void attribute(std::string_view key, std::string_view text, bool& some) {
    out_ += some ? ",{" : "{";
    some = true;
    field("key", key, false);
    field("value", text);
    out_ += '}';
  }
  std::string& out_;
  bool first_ = true;
};

} // namespace detail

/// The graph and its subgraphs as a graph collection of Model Explorer. Linear.
template <class = when_used>
std::string to_model_explorer(const graph_storage& g, std::string_view label = "espalier") {
  std::string out = "{\"label\":";
  detail::append_json(out, label);
  out += ",\"graphs\":[";
  detail::with_names(
      g, [&](const graph_storage& named) { detail::model_explorer_writer(out).graph(named, "main"); });
  return out + "]}\n";
}

} // namespace espalier
