// SPDX-License-Identifier: BSL-1.0
// Reads the textual form of ir/text.hpp. Every malformed text ends in one `error` that tells line and column,
// what was found, and what may stand there; nesting is limited, so that no text can exhaust the stack.
#pragma once

#include <espalier/ir/dialect.hpp>
#include <espalier/ir/storage.hpp>
#include <espalier/ir/text.hpp>
#include <espalier/ir/text_reader.hpp>
#include <espalier/schema/builtin.hpp>
#include <espalier/support/optional.hpp>
#include <espalier/support/span.hpp>
#include <espalier/support/vector.hpp>

#include <string>
#include <string_view>
#include <utility>

namespace espalier {

/// What a text held.
struct parsed_text {
  graph_storage graph;
  std::string dialect; ///< as written after `graph`; may be empty
};

namespace detail {

template <class = when_used>
class text_parser {
public:
  explicit text_parser(std::string_view text) : in_(text) {}

  parsed_text parse() {
    parsed_text out;
    if (!in_.take_word("graph"))
      in_.expected("'graph'", "a text begins with: graph DIALECT {");
    if (in_.peek() == '"')
      out.dialect = in_.quoted();
    else
      out.dialect = in_.ident();
    body(out.graph, 0);
    in_.skip();
    if (!in_.at_end())
      in_.expected("the end of the text", "a text holds one graph");
    return out;
  }

private:
  static constexpr unsigned max_nesting = 64;

  /// What is known of the graph being read.
  struct scope {
    graph_storage& g;
    vector<value_id> values;      // by name
    vector<std::uint32_t> graphs; // by name, plus 1
    struct origin_use {
      node_id user;
      std::uint32_t number;
    };
    vector<origin_use> origin_uses;
    vector<optional<origin_id>> origins;
  };

  void body(graph_storage& g, unsigned level) {
    if (level > max_nesting)
      in_.fail_here("graphs are nested more than " + std::to_string(max_nesting) + " deep", "flatten them");
    in_.need('{', "a graph's nodes stand between braces");
    scope sc{g, {}, {}, {}, {}};
    while (!in_.take('}')) {
      if (in_.at_end())
        in_.expected("'}'", "close the graph");
      if (in_.peek() == '#')
        origin_entry(sc);
      else if (in_.take_word("graph"))
        subgraph(sc, level);
      else
        statement(sc);
    }
    for (auto [n, number] : sc.origin_uses) {
      if (number >= sc.origins.size() || !sc.origins[number])
        in_.fail_here("origin #" + std::to_string(number) + " is used but not defined",
                      "add a line: #" + std::to_string(number) + " = {\"key\": \"text\"}");
      g.set_origin(n, *sc.origins[number]);
    }
  }

  void subgraph(scope& sc, unsigned level) {
    in_.need('@', "an inner graph has a name: graph @name {");
    const auto name = text_name();
    graph_storage inner;
    body(inner, level + 1);
    const auto index = sc.g.add_subgraph(name, std::move(inner));
    auto& slot = at(sc.graphs, sc.g.subgraph_name(index).index);
    if (!slot)
      slot = index + 1;
  }

  void origin_entry(scope& sc) {
    const auto number = origin_number();
    in_.need('=', "an origin is written: #0 = {\"key\": \"text\"}");
    in_.need('{', "an origin is written: #0 = {\"key\": \"text\"}");
    origin o;
    while (!in_.take('}')) {
      if (!o.entries.empty())
        in_.need(',', "entries are separated by commas");
      const str_id key = sc.g.intern(in_.quoted());
      in_.need(':', "an entry is written \"key\": \"text\"");
      const str_id text = sc.g.intern(in_.quoted());
      if (o.find(key).valid())
        in_.fail_here("a key stands twice in one origin", "drop one of them");
      o.entries.push_back({key, text});
    }
    auto& slot = at(sc.origins, number);
    if (slot)
      in_.fail_here("origin #" + std::to_string(number) + " is defined twice", "number origins apart");
    slot = sc.g.intern_origin(o);
  }
  std::uint32_t origin_number() {
    in_.need('#', "");
    const auto n = in_.integer();
    if (n < 0 || static_cast<std::uint64_t>(n) >= in_.size())
      in_.fail_here("an origin's number is out of range", "number origins from 0 on");
    return static_cast<std::uint32_t>(n);
  }

  // -- statements
  struct heading {
    optional<std::string> node_name;
    vector<std::string> results;
    bool list = false;
  };
  void statement(scope& sc) {
    if (sc.g.output_node().valid())
      in_.fail_here("a statement after 'return'", "'return' is the last statement of a graph");
    const heading h = read_heading();
    node_id n;
    if (in_.take_word("placeholder"))
      n = placeholder(sc, h);
    else if (in_.take_word("get_attr"))
      n = get_attr(sc, h);
    else if (in_.take_word("return"))
      n = output(sc, h);
    else
      n = call(sc, h);
    if (h.node_name)
      sc.g.set_name(n, *h.node_name);
    for (std::size_t i = 0; i != h.results.size(); ++i) {
      const value_id v = sc.g.result(n, i);
      if (h.results.size() == 1 && !h.list && !h.node_name)
        sc.g.set_name(n, h.results[i]);
      sc.g.set_value_name(v, h.results[i]);
      auto& known = at(sc.values, sc.g.value_name(v).index);
      if (known.valid())
        in_.fail_here("value %" + h.results[i] + " is defined twice", "give the values different names");
      known = v;
    }
    if (in_.take(':'))
      types(sc, n);
    origin_use(sc, n);
  }
  /// `%v =`, `%a, %b =`, `[%a, %b] =`, `%node: ... =`, or nothing.
  heading read_heading() {
    heading h;
    const char c = in_.peek();
    if (c != '%' && c != '[')
      return h;
    if (c == '%') {
      std::string first = value_name();
      if (in_.take(':')) {
        h.node_name = std::move(first);
      } else {
        h.results.push_back(std::move(first));
        while (in_.take(','))
          h.results.push_back(value_name());
        in_.need('=', "a statement is written: %name = OPERATOR(ARGUMENTS)");
        return h;
      }
    }
    if (in_.take('[')) {
      h.list = true;
      while (!in_.take(']')) {
        if (!h.results.empty())
          in_.need(',', "results are separated by commas");
        h.results.push_back(value_name());
      }
    } else if (in_.peek() == '%') {
      do
        h.results.push_back(value_name());
      while (in_.take(','));
    }
    in_.need('=', "a statement is written: %name = OPERATOR(ARGUMENTS)");
    return h;
  }
  void need_results(const heading& h, std::size_t n, std::string_view what) {
    if (h.results.size() != n || h.list)
      in_.fail_here(std::string(what) + " has " + std::to_string(n) + " result" + (n == 1 ? "" : "s") +
                        ", but " + std::to_string(h.results.size()) + " are named",
                    n ? "write: %name = " + std::string(what) : "write it without '%name ='");
  }

  node_id placeholder(scope& sc, const heading& h) {
    need_results(h, 1, "placeholder");
    if (sc.g.last() != sc.g.last_placeholder())
      in_.fail_here("a placeholder after other nodes", "placeholders come first");
    input_kind kind = input_kind::user_input;
    const char c = in_.peek();
    const auto mark = in_.position();
    const std::string_view word = is_ident_char(c) ? in_.ident() : std::string_view{};
    bool known = word.empty();
    for (int i = 0; i <= static_cast<int>(input_kind::token); ++i)
      if (to_string(static_cast<input_kind>(i)) == word) {
        kind = static_cast<input_kind>(i);
        known = true;
      }
    if (!known && (word.find('.') != word.npos || one_word_statement(word))) {
      in_.back_to(mark); // the next statement, on the same line
      known = true;
    }
    if (!known)
      in_.fail_here("'" + std::string(word) + "' is no kind of input",
                    "write user_input, parameter, buffer, constant_tensor, custom_obj or token");
    return sc.g.placeholder(kind, {});
  }
  static bool one_word_statement(std::string_view w) noexcept {
    return w == "return" || w == "graph" || w == "call" || w == "hop" || w == "get_attr" ||
           w == "placeholder";
  }
  node_id get_attr(scope& sc, const heading& h) {
    need_results(h, 1, "get_attr");
    return sc.g.get_attr(in_.quoted(), {});
  }
  node_id output(scope& sc, const heading& h) {
    need_results(h, 0, "return");
    begin_arguments();
    vector<argument> args;
    const char c = in_.peek();
    if (c != '}' && c != '#' && c != '\0') {
      do
        args.push_back(arg(sc, 0));
      while (in_.take(','));
    }
    const node_id n = sc.g.output(args);
    if (!h.node_name)
      sc.g.set_name(n, "output");
    return n;
  }
  node_id call(scope& sc, const heading& h) {
    optional<node_kind> kind;
    if (in_.take_word("call"))
      kind = node_kind::call_function;
    else if (in_.take_word("hop"))
      kind = node_kind::call_higher_order;
    const op_id op = target();
    if (!kind)
      kind =
          name_of(op).starts_with("higher_order::") ? node_kind::call_higher_order : node_kind::call_function;
    in_.need('(', "arguments stand between parentheses");
    begin_arguments();
    vector<argument>& args = args_;
    args.clear();
    bool named = false;
    for (bool first = true; !in_.take(')'); first = false) {
      if (!first)
        in_.need(',', "arguments are separated by commas");
      if (const auto key = in_.take_key(); !key.empty()) {
        named = true;
        const std::size_t i = position(op, key);
        if (args.size() <= i)
          args.resize(i + 1);
        if (args[i].form != arg_form::absent)
          in_.fail_here("argument '" + std::string(key) + "' is given twice", "drop one of them");
        args[i] = arg(sc, 0);
      } else {
        if (named)
          in_.fail_here("a positional argument follows a named one", "put named arguments last");
        args.push_back(arg(sc, 0));
      }
    }
    return sc.g.call(op, args, h.results.size(), h.list, *kind);
  }
  std::size_t position(op_id op, std::string_view key) {
    const op_schema* s = schema_of(op);
    if (!s)
      in_.fail_here("argument '" + std::string(key) + "' is named, but the schema of " +
                        std::string(name_of(op)) + " is not known",
                    "write its arguments by position, or make the operator known first (intern_op)");
    for (std::size_t i = 0; i != s->args.size(); ++i)
      if (s->args[i].name == key)
        return i;
    in_.fail_here("operator " + std::string(name_of(op)) + " has no argument '" + std::string(key) + "'",
                  "look up its schema");
  }
  op_id target() {
    if (in_.peek() == '"') {
      const std::string q = in_.quoted();
      if (q.empty())
        in_.fail_here("an operator's name is empty",
                      "write NAMESPACE.NAME.OVERLOAD or \"namespace::name.overload\"");
      if (q.starts_with("higher_order::"))
        return higher_order_op(std::string_view(q).substr(14));
      return intern_op(q, {});
    }
    const std::string_view t = in_.ident();
    const auto dot = t.find('.');
    if (dot == t.npos || dot == 0 || dot + 1 == t.size() || t.find("..") != t.npos || t.back() == '.')
      in_.expected("an operator",
                   "write NAMESPACE.NAME.OVERLOAD (aten.add.Tensor), placeholder, get_attr or return");
    const auto ns = t.substr(0, dot), rest = t.substr(dot + 1);
    if (ns == "higher_order")
      return higher_order_op(rest);
    if (is_python_namespace(ns))
      return op_of_target(t);
    std::string q(ns);
    q += "::";
    q += rest;
    return intern_op(q, {});
  }
  void origin_use(scope& sc, node_id n) {
    const auto mark = in_.position();
    if (in_.peek() != '#')
      return;
    const auto number = origin_number();
    if (in_.peek() == '=') { // the first line of the table
      in_.back_to(mark);
      return;
    }
    sc.origin_uses.emplace_back(n, number);
  }

  // -- arguments
  void begin_arguments() {
    lists_.clear();
    strings_.clear();
  }
  std::string_view keep(std::string_view s) {
    const auto& kept = strings_.emplace_back(s.begin(), s.end());
    return {kept.data(), kept.size()};
  }
  argument sequence(scope& sc, unsigned depth, char close, bool pairs) {
    if (depth > max_nesting)
      in_.fail_here("lists are nested more than " + std::to_string(max_nesting) + " deep", "flatten them");
    vector<argument> items;
    while (!in_.take(close)) {
      if (!items.empty()) {
        if (pairs && items.size() % 2)
          in_.need(':', "an entry is written \"key\": argument");
        else
          in_.need(',', "elements are separated by commas");
      }
      items.push_back(arg(sc, depth + 1));
    }
    if (pairs && items.size() % 2)
      in_.fail_here("a key without an argument", "write \"key\": argument");
    if (items.empty())
      return argument(span<const argument>{});
    return argument(span<const argument>(lists_.emplace_back(std::move(items))));
  }
  argument arg(scope& sc, unsigned depth) {
    switch (in_.peek()) {
    case '%':
      return value_argument(sc);
    case '"':
      return argument(keep(in_.quoted()));
    case '[':
      in_.take('[');
      return sequence(sc, depth, ']', false);
    case '{': {
      in_.take('{');
      argument a = sequence(sc, depth, '}', true);
      a.form = arg_form::dict;
      return a;
    }
    case '@': {
      in_.take('@');
      const std::string name = text_name();
      const str_id s = sc.g.find_string(name);
      if (!s.valid() || s.index >= sc.graphs.size() || !sc.graphs[s.index])
        in_.fail_here("there is no graph @" + name, "define it before its use: graph @" + name + " { ... }");
      return argument::of_subgraph(sc.graphs[s.index] - 1);
    }
    default:
      break;
    }
    if (in_.at_number())
      return in_.number();
    return word_argument(sc, depth);
  }
  argument value_argument(scope& sc) {
    const std::string name = value_name();
    const str_id s = sc.g.find_string(name);
    if (!s.valid() || s.index >= sc.values.size() || !sc.values[s.index].valid())
      in_.fail_here("value %" + name + " is not defined here",
                    "define it before its use; values of an outer graph are passed as operands");
    return argument(sc.values[s.index]);
  }
  argument word_argument(scope& sc, unsigned depth) {
    const std::string_view w = in_.ident();
    if (w == "_")
      return {};
    if (w == "None")
      return argument(std::nullopt);
    if (w == "True" || w == "true")
      return argument(true);
    if (w == "False" || w == "false")
      return argument(false);
    if (const auto t = parse_scalar_type(w))
      return argument(*t);
    if (w.starts_with("layout."))
      if (const auto l = parse_layout(w.substr(7)))
        return argument(*l);
    if (w.starts_with("memory_format."))
      if (const auto f = parse_memory_format(w.substr(14)))
        return argument(*f);
    if (in_.peek() == '(') {
      in_.take('(');
      if (w == "complex") {
        argument a = sequence(sc, depth, ')', false);
        if (a.count != 2)
          in_.fail_here("a complex number has two parts", "write complex(real, imaginary)");
        a.form = arg_form::complex;
        return a;
      }
      argument a;
      if (w == "dtype" || w == "layout" || w == "memory_format") {
        a.form = w == "dtype"    ? arg_form::scalar_type
                 : w == "layout" ? arg_form::layout
                                 : arg_form::memory_format;
        a.bits = in_.integer();
      } else if (w == "device") {
        a.form = arg_form::device;
        a.bits = in_.device_bits();
      } else if (w == "sym") {
        a = argument(in_.expression());
      } else if (w == "graph") {
        a.form = arg_form::subgraph;
        a.bits = in_.integer();
        if (a.bits < 0 || static_cast<std::size_t>(a.bits) >= sc.g.num_subgraphs())
          in_.fail_here("there is no graph of that number", "define it first");
      } else if (w == "op") {
        a = argument::of_op(target());
      } else if (w == "opaque") {
        a = argument::of_opaque(keep(in_.quoted()));
      } else {
        in_.fail_here(
            "'" + std::string(w) + "(' begins no argument",
            "arguments are numbers, \"strings\", [lists], %values, None, True, f32, sym(...), device(...)");
      }
      in_.need(')', "close the parenthesis");
      return a;
    }
    in_.fail_here(
        "'" + std::string(w) + "' is no argument",
        "arguments are numbers, \"strings\", [lists], %values, None, True, f32, sym(...), device(...)");
  }

  // -- types
  void types(scope& sc, node_id n) {
    for (std::size_t i = 0; i != sc.g.num_results(n); ++i) {
      if (i)
        in_.need(',', "write one type for each result");
      const value_meta m = type(sc);
      if (m.kind != value_kind::unknown)
        sc.g.set_meta(sc.g.result(n, i), m);
    }
    if (!sc.g.num_results(n))
      in_.fail_here("a type, but the statement has no result", "drop the type");
  }
  value_meta type(scope& sc) {
    if (in_.take('?'))
      return {};
    const std::string_view w = in_.ident();
    if (w == "None")
      return value_meta::of(value_kind::none);
    if (w == "token")
      return value_meta::of(value_kind::token);
    if (w == "SymInt")
      return symbol(value_kind::sym_int);
    if (w == "SymFloat")
      return symbol(value_kind::sym_float);
    if (w == "SymBool")
      return symbol(value_kind::sym_bool);
    if (w == "object") {
      in_.need('(', "write object(\"class\")");
      value_meta m = value_meta::of(value_kind::custom_object);
      m.text = sc.g.intern(in_.quoted());
      in_.need(')', "write object(\"class\")");
      return m;
    }
    tensor_meta t;
    if (const auto known = parse_scalar_type(w)) {
      t.dtype = *known;
    } else if (w == "dtype") {
      in_.need('(', "write dtype(NUMBER)");
      t.dtype = static_cast<scalar_type>(in_.small_integer());
      in_.need(')', "write dtype(NUMBER)");
    } else {
      in_.fail_here("'" + std::string(w) + "' is no type",
                    "types are f32[2, 3], SymInt(s0), SymFloat(...), SymBool(...), None, token, "
                    "object(\"class\") or ?");
    }
    t.sizes = in_.dims();
    bool strides = false;
    if (in_.take('{'))
      strides = attributes(t);
    if (!strides)
      t.strides = default_strides(t.sizes);
    return value_meta(std::move(t));
  }
  bool attributes(tensor_meta& t) {
    bool strides = false;
    do {
      const auto key = in_.ident();
      if (key == "requires_grad") {
        t.requires_grad = true;
        continue;
      }
      in_.need('=', "write KEY=VALUE");
      if (key == "strides") {
        t.strides = in_.dims();
        strides = true;
      } else if (key == "offset") {
        t.storage_offset = in_.expression();
      } else if (key == "device") {
        t.dev = device_of_bits(in_.device_bits());
      } else if (key == "layout") {
        if (in_.at_number()) {
          t.lay = static_cast<layout>(in_.small_integer());
        } else {
          const auto l = parse_layout(in_.ident());
          if (!l)
            in_.fail_here("an unknown layout", "write strided, sparse_coo, sparse_csr, ...");
          t.lay = *l;
        }
      } else {
        in_.fail_here("'" + std::string(key) + "' is no attribute of a tensor",
                      "write strides=, offset=, device=, layout= or requires_grad");
      }
    } while (in_.take(','));
    in_.need('}', "close the attributes");
    return strides;
  }
  value_meta symbol(value_kind k) {
    in_.need('(', "write SymInt(EXPRESSION, hint=4)");
    value_meta m = value_meta::of(k, in_.expression());
    if (in_.take(',')) {
      if (in_.take_key() != "hint")
        in_.expected("'hint='", "write SymInt(EXPRESSION, hint=4)");
      const argument a = in_.number();
      if (k == value_kind::sym_float ? a.form != arg_form::floating : a.form != arg_form::integer)
        in_.fail_here("a hint of the wrong kind", "SymFloat takes a float (1.0), the others an integer");
      m.has_hint = true;
      m.hint = a.bits;
    }
    in_.need(')', "close the parenthesis");
    return m;
  }

  // -- names
  std::string value_name() {
    in_.need('%', "values are written %name");
    return text_name();
  }
  std::string text_name() { return in_.peek_raw() == '"' ? in_.quoted() : std::string(in_.ident_raw()); }

  template <class V>
  static typename V::value_type& at(V& v, std::size_t i) {
    if (v.size() <= i)
      v.resize(i + 1);
    return v[i];
  }

  text_reader<> in_;
  vector<argument> args_;
  vector<vector<argument>> lists_;
  vector<vector<char>> strings_;
};

} // namespace detail

/// Reads a text. Operators that nobody knows become known without a schema. Throws `error` (archive) with
/// line and column on a malformed text. Nothing is verified: see `verify`.
template <class = when_used>
parsed_text parse_text(std::string_view text) {
  return detail::text_parser(text).parse();
}

/// Reads a text as a graph type; a text that names another dialect is an error (usage).
template <class G>
requires dialect<typename G::dialect_type> G parse_graph(std::string_view text) {
  parsed_text t = parse_text(text);
  if (!t.dialect.empty() && t.dialect != G::dialect_type::name)
    fail(error_kind::usage,
         "the text holds a graph of dialect " + t.dialect + ", not " + std::string(G::dialect_type::name),
         "line 1", "read it as that dialect, or change the text");
  return G(std::move(t.graph));
}

} // namespace espalier
