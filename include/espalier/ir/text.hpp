// SPDX-License-Identifier: BSL-1.0
// The textual form of a graph: everything a graph holds, in a form that people write and that
// ir/text_parser.hpp reads back. Printing what was read gives the same text.
//
//     graph training_ir {
//       %x = placeholder : f32[2, 3]
//       %w = placeholder parameter : f32[4, 3]{requires_grad}
//       %linear = aten.linear.default(%x, %w, None) : f32[2, 4] #0
//       %split: [%a, %b] = aten.split.Tensor(%linear, 2, 1) : f32[2, 2]{strides=[4, 1]}, f32[2,
//       2]{strides=[4, 1], offset=2} %zeros = aten.zeros.default([2, s77], dtype=f64) return %a, %b, 3, None
//       #0 = {"nn_module_stack": "L__self___fc,fc,torch.nn.Linear"}
//     }
//
// `_` is an argument left out, `#0` an entry of the table of origins, `// ...` a comment; names that are no
// identifiers stand in quotes (`%"a b"`, `"my.ns::op"`). Types may be left out where nothing is known.
#pragma once

#include <espalier/ir/format.hpp>
#include <espalier/ir/print.hpp>
#include <espalier/ir/storage.hpp>
#include <espalier/schema/builtin.hpp>
#include <espalier/support/vector.hpp>

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>

namespace espalier {

namespace detail {

/// Identifiers of the textual form: no quotes needed. They may hold dots but not begin with one or with a
/// digit.
constexpr bool is_text_ident(std::string_view s) noexcept {
  if (s.empty() || is_digit(s[0]) || s[0] == '.')
    return false;
  for (char c : s)
    if (!is_ident_char(c) && c != '.')
      return false;
  return true;
}

/// Dense row-major strides, the default of the textual form. Like `contiguous_strides`, but products of
/// hostile sizes wrap instead of overflowing.
inline sym_ints default_strides(const sym_ints& sizes) {
  sym_ints s(sizes.size());
  sym_int run = 1;
  for (std::size_t i = sizes.size(); i-- > 0;) {
    s[i] = run;
    const sym_int size = sizes[i].is_int() && sizes[i].int_or(0) == 0 ? sym_int(1) : sizes[i];
    run = run.is_int() && size.is_int()
              ? sym_int(static_cast<std::int64_t>(static_cast<std::uint64_t>(run.int_or(0)) *
                                                  static_cast<std::uint64_t>(size.int_or(0))))
              : run * size;
  }
  return s;
}

/// A double that reads back bit by bit, NaN payloads included.
template <class = when_used>
void append_exact_double(std::string& out, double d) {
  append_double(out, d);
  if (d == d)
    return;
  constexpr char hex[] = "0123456789abcdef";
  const auto bits = std::bit_cast<std::uint64_t>(d);
  if (bits == std::bit_cast<std::uint64_t>(std::numeric_limits<double>::quiet_NaN()))
    return;
  out += "(0x";
  for (int shift = 60; shift >= 0; shift -= 4)
    out += hex[(bits >> shift) & 15];
  out += ')';
}

constexpr device device_of_bits(std::int64_t b) noexcept {
  return {static_cast<std::int8_t>(b & 0xff), static_cast<std::int8_t>(b >> 8)};
}

/// Whether a qualified operator name reads back from its dotted form.
inline bool has_plain_target(std::string_view q) noexcept {
  const auto colons = q.find("::");
  if (colons == q.npos)
    return false;
  const auto ns = q.substr(0, colons), rest = q.substr(colons + 2);
  if (!is_text_ident(ns) || ns.find('.') != ns.npos)
    return false;
  const auto dot = rest.find('.');
  if (!is_text_ident(rest.substr(0, dot)))
    return false;
  if (dot == rest.npos)
    return true;
  const auto overload = rest.substr(dot + 1);
  if (overload.empty() || overload == "default" || is_python_namespace(ns) || ns == "higher_order")
    return false;
  for (char c : overload)
    if (!is_ident_char(c))
      return false;
  return true;
}

template <class = when_used>
class text_printer {
public:
  text_printer(const graph_storage& g, std::string& out, unsigned level) : g_(g), out_(out), level_(level) {}

  /// `head` is what stands between `graph` and the brace.
  void print(std::string_view head) {
    line();
    out_ += "graph";
    if (!head.empty()) {
      out_ += ' ';
      out_ += head;
    }
    out_ += " {\n";
    ++level_;
    vector<unsigned> times;
    for (std::size_t i = 0; i != g_.num_subgraphs(); ++i) {
      const auto s = g_.subgraph_name(i).index;
      if (times.size() <= s)
        times.resize(s + 1);
      subgraph_unique_.push_back(times[s]++ == 0);
    }
    for (std::size_t i = 0; i != g_.num_subgraphs(); ++i) {
      std::string name = "@";
      append_name(name, g_.text(g_.subgraph_name(i)));
      text_printer(g_.subgraph(i), out_, level_).print(name);
    }
    for (node_id n = g_.first(); n.valid(); n = g_.next(n))
      print_node(n);
    for (std::size_t i = 0; i != origins_.size(); ++i)
      print_origin(i);
    --level_;
    line();
    out_ += "}\n";
  }

private:
  void line() { out_.append(2 * level_, ' '); }
  static void append_name(std::string& out, std::string_view s) {
    if (is_text_ident(s))
      out += s;
    else
      append_quoted(out, s);
  }
  void name(std::string_view s) {
    out_ += '%';
    append_name(out_, s);
  }
  void name(value_id v) { name(g_.text(g_.value_name(v))); }

  void print_node(node_id n) {
    line();
    const node_kind k = g_.kind(n);
    const std::size_t results = g_.num_results(n);
    const auto node_name = g_.text(g_.node_name(n));
    const bool list = g_.returns_list(n);
    if (results == 1 && !list && node_name == g_.text(g_.value_name(g_.result(n)))) {
      name(node_name);
      out_ += " = ";
    } else if (k != node_kind::output || node_name != "output") {
      name(node_name);
      out_ += list ? ": [" : results ? ": " : ":";
      for (std::size_t i = 0; i != results; ++i) {
        if (i)
          out_ += ", ";
        name(g_.result(n, i));
      }
      out_ += list ? "] = " : " = ";
    }
    switch (k) {
    case node_kind::placeholder:
      out_ += "placeholder";
      if (g_.input(n) != input_kind::user_input) {
        out_ += ' ';
        out_ += to_string(g_.input(n));
      }
      break;
    case node_kind::get_attr:
      out_ += "get_attr ";
      if (g_.num_args(n))
        arg(n, g_.arg_slot(n, 0));
      else
        out_ += "\"\"";
      break;
    case node_kind::output:
      out_ += "return";
      for (std::size_t i = 0; i != g_.num_args(n); ++i) {
        out_ += i ? ", " : " ";
        arg(n, g_.arg_slot(n, i));
      }
      break;
    default:
      call(n);
    }
    types(n);
    if (const origin_id o = g_.origin_of(n); o.valid()) {
      out_ += " #";
      append_int(out_, origin_number(o));
    }
    out_ += '\n';
  }

  void call(node_id n) {
    const auto q = name_of(g_.op(n));
    if (const bool hop = g_.kind(n) == node_kind::call_higher_order; hop != q.starts_with("higher_order::"))
      out_ += hop ? "hop " : "call ";
    target(g_.op(n));
    out_ += '(';
    const op_schema* schema = schema_of(g_.op(n));
    if (schema && g_.num_args(n) > schema->args.size())
      schema = nullptr; // too many: a fault to show, not to hide
    bool named = false;
    for (std::size_t i = 0; i != g_.num_args(n); ++i) {
      const slot_id s = g_.arg_slot(n, i);
      const auto key = keyword_of(schema, i);
      named = named || !key.empty();
      if (named && g_.slot(s).form() == arg_form::absent)
        continue;
      if (out_.back() != '(')
        out_ += ", ";
      if (!key.empty()) {
        out_ += key;
        out_ += '=';
      }
      arg(n, s);
    }
    out_ += ')';
  }
  void target(op_id o) {
    if (const auto q = name_of(o); has_plain_target(q))
      out_ += target_of(o);
    else
      append_quoted(out_, q);
  }

  void arg(node_id n, slot_id s) {
    const auto& x = g_.slot(s);
    switch (x.form()) {
    case arg_form::absent:
      out_ += '_';
      return;
    case arg_form::none:
      out_ += "None";
      return;
    case arg_form::value:
      name(value_id{x.w0});
      return;
    case arg_form::integer:
      append_int(out_, x.bits());
      return;
    case arg_form::floating:
      append_exact_double(out_, std::bit_cast<double>(x.bits()));
      return;
    case arg_form::boolean:
      out_ += x.bits() ? "True" : "False";
      return;
    case arg_form::string:
      append_quoted(out_, g_.text(str_id{x.w2}));
      return;
    case arg_form::scalar_type:
      dtype(x.bits());
      return;
    case arg_form::layout:
      enumerated("layout", known_layout(x.bits()) ? layout_names[x.bits()] : "", x.bits());
      return;
    case arg_form::memory_format:
      enumerated("memory_format", known_memory_format(x.bits()) ? memory_format_names[x.bits()] : "",
                 x.bits());
      return;
    case arg_form::device:
      out_ += "device(";
      device_text(x.bits());
      out_ += ')';
      return;
    case arg_form::symbolic:
      out_ += "sym(";
      out_ += sym_text(g_.symbol(x.w2));
      out_ += ')';
      return;
    case arg_form::subgraph:
      if (x.w2 < subgraph_unique_.size() && subgraph_unique_[x.w2]) {
        out_ += '@';
        append_name(out_, g_.text(g_.subgraph_name(x.w2)));
      } else {
        out_ += "graph(";
        append_int(out_, x.w2);
        out_ += ')';
      }
      return;
    case arg_form::op:
      out_ += "op(";
      target(op_id{x.w2});
      out_ += ')';
      return;
    case arg_form::opaque:
      out_ += "opaque(";
      append_quoted(out_, g_.text(str_id{x.w2}));
      out_ += ')';
      return;
    case arg_form::list:
      sequence(n, s, '[', ']');
      return;
    case arg_form::dict:
      sequence(n, s, '{', '}');
      return;
    case arg_form::complex:
      out_ += "complex";
      sequence(n, s, '(', ')');
      return;
    }
  }
  void sequence(node_id n, slot_id s, char open, char close) {
    const auto [first, count] = g_.elements(n, s);
    out_ += open;
    for (std::size_t i = 0; i != count; ++i) {
      if (i)
        out_ += open == '{' && i % 2 ? ": " : ", ";
      arg(n, slot_id{first.index + static_cast<std::uint32_t>(i)});
    }
    out_ += close;
  }
  void dtype(std::int64_t t) {
    if (known_dtype(t))
      out_ += to_string(static_cast<scalar_type>(t));
    else
      enumerated("dtype", "", t);
  }
  void enumerated(std::string_view what, std::string_view member, std::int64_t number) {
    out_ += what;
    out_ += member.empty() ? '(' : '.';
    out_ += member;
    if (!member.empty())
      return;
    append_int(out_, number);
    out_ += ')';
  }
  void device_text(std::int64_t bits) {
    const device d = device_of_bits(bits);
    if (known_device(d) && d.index >= -1 && argument(d).bits == bits) {
      out_ += '"';
      append_device(out_, d);
      out_ += '"';
    } else {
      append_int(out_, bits);
    }
  }

  void types(node_id n) {
    bool any = false;
    for (std::size_t i = 0; i != g_.num_results(n); ++i)
      any = any || g_.meta(g_.result(n, i)).kind != value_kind::unknown;
    if (!any)
      return;
    for (std::size_t i = 0; i != g_.num_results(n); ++i) {
      out_ += i ? ", " : " : ";
      type(g_.meta(g_.result(n, i)));
    }
  }
  void type(const value_meta& m) {
    switch (m.kind) {
    case value_kind::unknown:
      out_ += '?';
      return;
    case value_kind::none:
      out_ += "None";
      return;
    case value_kind::tensor:
      tensor(m.tensor);
      return;
    case value_kind::sym_int:
      symbol("SymInt(", m);
      return;
    case value_kind::sym_float:
      symbol("SymFloat(", m);
      return;
    case value_kind::sym_bool:
      symbol("SymBool(", m);
      return;
    case value_kind::custom_object:
      out_ += "object(";
      append_quoted(out_, g_.text(m.text));
      out_ += ')';
      return;
    case value_kind::token:
      out_ += "token";
      return;
    }
  }
  void symbol(std::string_view head, const value_meta& m) {
    out_ += head;
    append_sym(out_, m.symbol);
    if (m.has_hint) {
      out_ += ", hint=";
      if (m.kind == value_kind::sym_float)
        append_exact_double(out_, std::bit_cast<double>(m.hint));
      else
        append_int(out_, m.hint);
    }
    out_ += ')';
  }
  void tensor(const tensor_meta& t) {
    dtype(static_cast<std::int64_t>(t.dtype));
    append_dims(out_, t.sizes);
    char sep = '{';
    const auto next = [&](std::string_view key) {
      out_ += sep;
      if (sep == ',')
        out_ += ' ';
      sep = ',';
      out_ += key;
    };
    if (t.strides != default_strides(t.sizes)) {
      next("strides=");
      append_dims(out_, t.strides);
    }
    if (t.storage_offset != sym_int(0)) {
      next("offset=");
      append_sym(out_, t.storage_offset);
    }
    if (t.dev != cpu_device) {
      next("device=");
      device_text(argument(t.dev).bits);
    }
    if (t.lay != layout::strided) {
      next("layout=");
      const auto l = static_cast<std::int64_t>(t.lay);
      if (known_layout(l))
        out_ += layout_names[l];
      else
        append_int(out_, l);
    }
    if (t.requires_grad)
      next("requires_grad");
    if (sep == ',')
      out_ += '}';
  }

  std::uint32_t origin_number(origin_id o) {
    if (numbers_.size() <= o.index)
      numbers_.resize(o.index + 1, ~std::uint32_t{0});
    auto& n = numbers_[o.index];
    if (n == ~std::uint32_t{0}) {
      n = static_cast<std::uint32_t>(origins_.size());
      origins_.push_back(o);
    }
    return n;
  }
  void print_origin(std::size_t i) {
    line();
    out_ += '#';
    append_int(out_, i);
    out_ += " = {";
    const origin& o = g_.get_origin(origins_[i]);
    for (auto& e : o.entries) {
      if (out_.back() != '{')
        out_ += ", ";
      append_quoted(out_, g_.text(e.key));
      out_ += ": ";
      append_quoted(out_, g_.text(e.text));
    }
    out_ += "}\n";
  }

  const graph_storage& g_;
  std::string& out_;
  unsigned level_;
  vector<bool> subgraph_unique_;
  vector<std::uint32_t> numbers_; // by origin id
  vector<origin_id> origins_;     // in order of appearance
};

} // namespace detail

/// The textual form of a graph of a dialect of that name. Values without names are written under the names
/// they would be given (see ir/naming.hpp). Linear.
template <class = when_used>
std::string to_text(const graph_storage& g, std::string_view dialect_name) {
  std::string out, head;
  if (detail::is_text_ident(dialect_name))
    head = dialect_name;
  else if (!dialect_name.empty())
    detail::append_quoted(head, dialect_name);
  detail::with_names(g, [&](const graph_storage& named) {
    out.reserve(named.num_nodes() * 64);
    detail::text_printer(named, out, 0).print(head);
  });
  return out;
}
template <class G>
requires std::convertible_to<decltype(G::dialect_type::name), std::string_view> std::string
to_text(const G& g) {
  return to_text(static_cast<const graph_storage&>(g), G::dialect_type::name);
}

} // namespace espalier
