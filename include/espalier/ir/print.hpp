// SPDX-License-Identifier: BSL-1.0
// Printers for people, in the two forms that FX made familiar: the Python-like program (`print_readable`) and
// the short node list (`graph():`). Neither is meant to be read back; ir/text.hpp is the form that is.
#pragma once

#include <espalier/ir/format.hpp>
#include <espalier/ir/naming.hpp>
#include <espalier/ir/storage.hpp>
#include <espalier/schema/builtin.hpp>
#include <espalier/support/vector.hpp>

#include <iosfwd>
#include <string>
#include <string_view>
#include <utility>

namespace espalier {

/// What a readable print shows beside the program.
struct print_options {
  bool types = true;        ///< `x: "f32[2, 3]"`
  bool strides = false;     ///< strides after the sizes
  bool devices = false;     ///< the device after the type
  bool module_stack = true; ///< a comment with the module's path and type when it changes
  bool stack_trace = false; ///< a comment with the user's line when it changes
  bool last_uses = false;   ///< `;  x = None` where a value is used for the last time, as Python frees it
  bool subgraphs = true;    ///< the graphs of higher-order calls, nested
  unsigned indent = 0;      ///< columns before each line
  std::string_view name = "GraphModule";
};

namespace detail {

/// Arguments as Python writes them. `sigil` goes before the names of values.
struct python_arguments {
  const graph_storage& g;
  std::string& out;
  std::string_view sigil;

  void value_name(value_id v) {
    out += sigil;
    out += g.text(g.value_name(v));
  }
  void arguments(node_id n, std::string_view equals) {
    const op_schema* schema = schema_of(g.op(n));
    bool first = true, skipped = false;
    for (std::size_t i = 0; i != g.num_args(n); ++i) {
      const slot_id s = g.arg_slot(n, i);
      if (g.slot(s).form() == arg_form::absent) {
        skipped = true; // what follows a left-out argument goes by name
        continue;
      }
      if (!first)
        out += ", ";
      first = false;
      auto key = keyword_of(schema, i);
      if (key.empty() && skipped && schema && i < schema->args.size())
        key = schema->args[i].name;
      if (!key.empty()) {
        out += key;
        out += equals;
      }
      arg(n, s);
    }
  }

  void arg(node_id n, slot_id s) {
    const auto& x = g.slot(s);
    switch (x.form()) {
    case arg_form::absent:
      out += "...";
      return;
    case arg_form::none:
      out += "None";
      return;
    case arg_form::value:
      value_name(value_id{x.w0});
      return;
    case arg_form::integer:
      append_int(out, x.bits());
      return;
    case arg_form::floating:
      append_double(out, std::bit_cast<double>(x.bits()));
      return;
    case arg_form::boolean:
      out += x.bits() ? "True" : "False";
      return;
    case arg_form::string:
      append_quoted(out, g.text(str_id{x.w2}), '\'');
      return;
    case arg_form::scalar_type:
      append_enum(out, "torch.", torch_name(static_cast<scalar_type>(x.bits())), x.bits(),
                  known_dtype(x.bits()));
      return;
    case arg_form::layout:
      append_enum(out, "torch.", known_layout(x.bits()) ? layout_names[x.bits()] : "", x.bits(),
                  known_layout(x.bits()));
      return;
    case arg_form::memory_format:
      append_enum(out, "torch.", known_memory_format(x.bits()) ? memory_format_names[x.bits()] : "", x.bits(),
                  known_memory_format(x.bits()));
      return;
    case arg_form::device: {
      std::string d;
      append_device(d, {static_cast<std::int8_t>(x.bits() & 0xff), static_cast<std::int8_t>(x.bits() >> 8)});
      out += "device(type='";
      const auto colon = d.find(':');
      out.append(d, 0, colon);
      out += '\'';
      if (colon != d.npos)
        out.append(", index=").append(d, colon + 1);
      out += ')';
      return;
    }
    case arg_form::symbolic:
      out += sym_text(g.symbol(x.w2));
      return;
    case arg_form::subgraph:
      out += g.text(g.subgraph_name(x.w2));
      return;
    case arg_form::op:
      out += serialized_target(op_id{x.w2});
      return;
    case arg_form::opaque:
      out += "<";
      out += g.text(str_id{x.w2});
      out += ">";
      return;
    case arg_form::list:
    case arg_form::complex:
    case arg_form::dict:
      sequence(n, s, x.form());
    }
  }
  void sequence(node_id n, slot_id s, arg_form form) {
    const auto [first, count] = g.elements(n, s);
    out += form == arg_form::list ? "[" : form == arg_form::dict ? "{" : "complex(";
    for (std::size_t i = 0; i != count; ++i) {
      if (i)
        out += form == arg_form::dict && i % 2 ? ": " : ", ";
      arg(n, slot_id{first.index + static_cast<std::uint32_t>(i)});
    }
    out += form == arg_form::list ? ']' : form == arg_form::dict ? '}' : ')';
  }
};

template <class = when_used>
class readable_printer {
public:
  readable_printer(const graph_storage& g, const print_options& o, std::string& out)
      : g_(g), o_(o), out_(out), args_{g, out, ""} {
    if (!o.last_uses)
      return;
    last_user_.resize(g.value_capacity());
    for (node_id n = g.first(); n.valid(); n = g.next(n))
      for (auto& x : g.slots(n))
        if (x.is_use())
          last_user_[x.w0] = n;
  }

  void print() {
    line(0);
    out_ += "class ";
    out_ += o_.name;
    out_ += "(torch.nn.Module):\n";
    line(1);
    out_ += "def forward(self";
    for (node_id n = g_.first(); n.valid() && g_.kind(n) == node_kind::placeholder; n = g_.next(n)) {
      out_ += ", ";
      name(g_.result(n));
      type(g_.result(n));
    }
    out_ += "):\n";
    for (node_id n = g_.first(); n.valid(); n = g_.next(n))
      if (g_.kind(n) != node_kind::placeholder)
        print_node(n);
    if (!g_.output_node().valid()) {
      line(2);
      out_ += "pass\n";
    }
    if (!o_.subgraphs)
      return;
    for (std::size_t i = 0; i != g_.num_subgraphs(); ++i) {
      out_ += '\n';
      print_options inner = o_;
      inner.indent = o_.indent + 4;
      const std::string title(g_.text(g_.subgraph_name(i)));
      inner.name = title;
      readable_printer(g_.subgraph(i), inner, out_).print();
    }
  }

private:
  void line(unsigned level) { out_.append(o_.indent + 4 * level, ' '); }
  void name(value_id v) { out_ += g_.text(g_.value_name(v)); }
  void type(value_id v) {
    const auto& m = g_.meta(v);
    if (!o_.types || m.kind == value_kind::unknown)
      return;
    out_ += ": \"";
    append_annotation(out_, g_, m, o_.strides, o_.devices);
    out_ += '"';
  }

  void print_node(node_id n) {
    if (g_.kind(n) != node_kind::output)
      comments(n);
    line(2);
    switch (g_.kind(n)) {
    case node_kind::output:
      out_ += "return (";
      for (std::size_t i = 0; i != g_.num_args(n); ++i) {
        if (i)
          out_ += ", ";
        args_.arg(n, g_.arg_slot(n, i));
      }
      out_ += g_.num_args(n) == 1 ? ",)\n" : ")\n";
      return;
    case node_kind::get_attr:
      name(g_.result(n));
      type(g_.result(n));
      out_ += " = self.";
      if (g_.num_args(n) && g_.slot(g_.arg_slot(n, 0)).form() == arg_form::string)
        out_ += g_.text(str_id{g_.slot(g_.arg_slot(n, 0)).w2});
      break;
    default:
      call(n);
    }
    if (o_.last_uses)
      last_uses(n);
    out_ += '\n';
    if (g_.num_results(n) != 1 || g_.returns_list(n))
      for (std::size_t i = 0; i != g_.num_results(n); ++i) {
        line(2);
        name(g_.result(n, i));
        type(g_.result(n, i));
        out_ += " = ";
        out_ += g_.text(g_.node_name(n));
        out_ += '[';
        append_int(out_, i);
        out_ += "]\n";
      }
  }

  void call(node_id n) {
    if (g_.num_results(n) == 1 && !g_.returns_list(n)) {
      name(g_.result(n));
      type(g_.result(n));
    } else {
      out_ += g_.text(g_.node_name(n));
    }
    out_ += " = ";
    out_ += serialized_target(g_.op(n));
    out_ += '(';
    args_.arguments(n, " = ");
    out_ += ')';
  }
  // -- comments
  void comments(node_id n) {
    if (g_.origin_of(n) == shown_origin_ && shown_any_)
      return;
    std::string module, place;
    if (o_.module_stack) {
      const auto frames = parse_module_stack(g_.origin_text(n, "nn_module_stack"));
      if (!frames.empty() && !frames.back().path.empty()) {
        module = frames.back().path;
        module += " (";
        module += frames.back().type;
        module += ')';
      }
    }
    if (o_.stack_trace)
      place = user_line(g_.origin_text(n, "stack_trace"));
    const bool new_module = module != shown_module_, new_place = place != shown_place_ && !place.empty();
    if ((new_module || new_place) && shown_any_)
      out_ += '\n';
    if (new_module)
      comment(module.empty() ? "(root)" : module);
    if (new_place)
      comment(place);
    shown_module_ = std::move(module);
    shown_place_ = std::move(place);
    shown_origin_ = g_.origin_of(n);
    shown_any_ = true;
  }
  void comment(std::string_view text) {
    line(2);
    out_ += "# ";
    out_ += text;
    out_ += '\n';
  }
  /// The innermost frame of a Python stack trace (`  File "a.py", line 3, in f` and the code below it) as one
  /// line.
  static std::string user_line(std::string_view trace) {
    const auto at = trace.rfind("File \"");
    if (at == trace.npos)
      return {};
    trace.remove_prefix(at + 6);
    const auto quote = trace.find('"');
    const auto end = trace.find('\n');
    if (quote == trace.npos || quote > end)
      return {};
    std::string out = "File: ";
    out += trace.substr(0, quote);
    auto rest = trace.substr(quote + 1, end == trace.npos ? end : end - quote - 1);
    if (rest.starts_with(", line ")) {
      rest.remove_prefix(7);
      const auto comma = rest.find(',');
      out += ':';
      out += rest.substr(0, comma);
      if (comma != rest.npos)
        out += rest.substr(comma + 1);
    }
    if (end != trace.npos) {
      auto code = trace.substr(end + 1);
      code = code.substr(0, code.find('\n'));
      while (!code.empty() && code.front() == ' ')
        code.remove_prefix(1);
      if (!code.empty()) {
        out += ", code: ";
        out += code;
      }
    }
    return out;
  }
  /// Names the values that node `n` is the last to use, and its own result if nobody uses it.
  void last_uses(node_id n) {
    std::string dead;
    const auto add = [&](value_id v) {
      dead += g_.text(g_.value_name(v));
      dead += " = ";
    };
    for (auto& x : g_.slots(n))
      if (x.is_use() && last_user_[x.w0] == n) {
        add(value_id{x.w0});
        last_user_[x.w0] = {}; // once, even if it is used twice
      }
    if (g_.num_results(n) == 1 && !g_.returns_list(n) && !g_.has_uses(g_.result(n)))
      add(g_.result(n));
    if (!dead.empty()) {
      out_ += ";  ";
      out_ += dead;
      out_ += "None";
    }
  }

  const graph_storage& g_;
  const print_options& o_;
  std::string& out_;
  python_arguments args_;
  vector<node_id> last_user_; // by value
  origin_id shown_origin_{};
  bool shown_any_ = false;
  std::string shown_module_, shown_place_;
};

template <class = when_used>
struct short_printer {
  const graph_storage& g;
  std::string& out;
  python_arguments args;

  void head(std::string_view name, std::size_t users) {
    out += "    %";
    out += name;
    out += " : [num_users=";
    append_int(out, users);
    out += "] = ";
  }
  void print() {
    out += "graph():\n";
    for (node_id n = g.first(); n.valid(); n = g.next(n)) {
      const std::string_view name = g.text(g.node_name(n));
      const bool one = g.num_results(n) == 1 && !g.returns_list(n);
      std::size_t users = 0;
      for (std::size_t i = 0; i != g.num_results(n); ++i)
        users += one ? g.count_uses(g.result(n, i)) : 1;
      switch (g.kind(n)) {
      case node_kind::placeholder:
        head(name, users);
        out += "placeholder[target=";
        out += name;
        out += "]\n";
        break;
      case node_kind::get_attr:
        head(name, users);
        out += "get_attr[target=";
        if (g.num_args(n) && g.slot(g.arg_slot(n, 0)).form() == arg_form::string)
          out += g.text(str_id{g.slot(g.arg_slot(n, 0)).w2});
        out += "]\n";
        break;
      case node_kind::output:
        out += "    return (";
        for (std::size_t i = 0; i != g.num_args(n); ++i) {
          if (i)
            out += ", ";
          args.arg(n, g.arg_slot(n, i));
        }
        out += g.num_args(n) == 1 ? ",)\n" : ")\n";
        break;
      default:
        head(name, users);
        out += "call_function[target=";
        out += serialized_target(g.op(n));
        out += "](args = (";
        call_arguments(n);
        out += "})\n";
        if (one)
          break;
        for (std::size_t i = 0; i != g.num_results(n); ++i) {
          head(g.text(g.value_name(g.result(n, i))), g.count_uses(g.result(n, i)));
          out += "call_function[target=operator.getitem](args = (%";
          out += name;
          out += ", ";
          append_int(out, i);
          out += "), kwargs = {})\n";
        }
      }
    }
  }
  void call_arguments(node_id n) {
    const op_schema* schema = schema_of(g.op(n));
    std::size_t positional = 0;
    while (positional != g.num_args(n) && keyword_of(schema, positional).empty() &&
           g.slot(g.arg_slot(n, positional)).form() != arg_form::absent)
      ++positional;
    for (std::size_t i = 0; i != positional; ++i) {
      if (i)
        out += ", ";
      args.arg(n, g.arg_slot(n, i));
    }
    out += positional == 1 ? ",), kwargs = {" : "), kwargs = {";
    bool first = true;
    for (std::size_t i = positional; i != g.num_args(n); ++i) {
      if (g.slot(g.arg_slot(n, i)).form() == arg_form::absent)
        continue;
      if (!first)
        out += ", ";
      first = false;
      if (schema && i < schema->args.size())
        out += schema->args[i].name;
      else
        append_int(out, i);
      out += ": ";
      args.arg(n, g.arg_slot(n, i));
    }
  }
};

/// Calls `f` with `g`, or with a copy whose missing names are filled in.
template <class F>
void with_names(const graph_storage& g, F&& f) {
  if (all_named(g)) {
    f(g);
  } else {
    graph_storage named = g;
    assign_names(named);
    f(named);
  }
}

} // namespace detail

/// The program as Python-like text (`GraphModule.print_readable`). Values without names are shown under the
/// names they would be given. Linear in the size of the graph.
template <class = when_used>
std::string print_readable(const graph_storage& g, const print_options& o = {}) {
  std::string out;
  detail::with_names(g, [&](const graph_storage& named) {
    out.reserve(named.num_nodes() * 96);
    detail::readable_printer(named, o, out).print();
  });
  return out;
}

/// One line a node (`str(graph)` of FX): `%add : [num_users=1] = call_function[target=...](args = (...),
/// kwargs = {})`.
template <class = when_used>
std::string print_short(const graph_storage& g) {
  std::string out;
  detail::with_names(g, [&](const graph_storage& named) {
    out.reserve(named.num_nodes() * 96);
    detail::short_printer{named, out, {named, out, "%"}}.print();
  });
  return out;
}

template <class Traits> // so that who prints to a stream includes <ostream>, and nobody else
std::basic_ostream<char, Traits>& operator<<(std::basic_ostream<char, Traits>& os, const graph_storage& g) {
  return os << print_readable(g);
}

} // namespace espalier
