// SPDX-License-Identifier: BSL-1.0
// A graph as C++ that compiles against LibTorch and computes the same: for reading, for taking a model out of
// a framework, for a debugger. Every call goes to the operator's own entry point (`at::_ops::NAME::call`)
// with all of its arguments written out, so that the text does not depend on which overload a compiler would
// pick.
#pragma once

#include <espalier/ir/naming.hpp>
#include <espalier/ir/view.hpp>
#include <espalier/schema/builtin.hpp>
#include <espalier/schema/default_value.hpp>
#include <espalier/support/hash_map.hpp>
#include <espalier/support/vector.hpp>
#include <espalier/symbolic/expr_text.hpp>

#include <cstddef>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>

namespace espalier {

/// How a graph is printed as C++.
struct cpp_options {
  std::string function = "forward"; ///< the function's name
  bool comments = true;             ///< the metas beside the calls
};

namespace detail {

template <class = when_used>
class cpp_printer {
public:
  cpp_printer(const graph_storage& g, const cpp_options& o) : g_(g), o_(o) {}

  std::string run() {
    const std::string body = statements();
    return "// Printed by Espalier from a graph of " + std::to_string(g_.num_nodes()) +
           " nodes. One value a placeholder in, one value an output out.\n"
           "#include <ATen/ATen.h>\n#include <ATen/Operators.h>\n#include <ATen/ScalarOps.h>\n#include "
           "<ATen/core/grad_mode.h>\n#include <ATen/core/ivalue.h>\n\n"
           "#include <algorithm>\n#include <array>\n#include <cmath>\n#include <cstdint>\n#include <limits>\n"
           "#include <optional>\n#include <string_view>\n#include <tuple>\n#include <vector>\n\n" +
           (used_graphs_.empty() ? "" : std::string(helpers)) +
           (autocast_ ? std::string(autocast_helper) : "") + "std::vector<c10::IValue> " + o_.function +
           "(const std::vector<c10::IValue>& inputs) {\n" + body + "}\n";
  }

private:
  /// What graphs that are called need.
  static constexpr std::string_view helpers =
      "#ifndef ESPALIER_PRINTED_HELPERS // two printed texts may stand in one file\n"
      "#define ESPALIER_PRINTED_HELPERS\n"
      "namespace {\n"
      "using values = std::vector<c10::IValue>;\n"
      "[[maybe_unused]] values joined(values a, const values& b) {\n"
      "  a.insert(a.end(), b.begin(), b.end());\n"
      "  return a;\n"
      "}\n"
      "[[maybe_unused]] bool truth(const c10::IValue& v) {\n"
      "  return v.isTensor() ? v.toTensor().item<bool>() : v.toBool();\n"
      "}\n"
      "} // namespace\n"
      "#endif\n\n";

  /// What a region under autocast needs: the mode is what it was afterwards, whatever happens inside.
  static constexpr std::string_view autocast_helper =
      "#ifndef ESPALIER_PRINTED_AUTOCAST\n"
      "#define ESPALIER_PRINTED_AUTOCAST\n"
      "#include <ATen/autocast_mode.h>\n"
      "namespace {\n"
      "class autocast_region {\n"
      "  const at::DeviceType device;\n"
      "  const bool was_on, was_cached;\n"
      "  const at::ScalarType was;\n\n"
      "public:\n"
      "  autocast_region(at::DeviceType d, std::optional<at::ScalarType> type, bool on, std::optional<bool> "
      "cached)\n"
      "      : device(d), was_on(at::autocast::is_autocast_enabled(d)),\n"
      "        was_cached(at::autocast::is_autocast_cache_enabled()), "
      "was(at::autocast::get_autocast_dtype(d)) {\n"
      "    at::autocast::set_autocast_enabled(d, on);\n"
      "    if (type)\n"
      "      at::autocast::set_autocast_dtype(d, *type);\n"
      "    if (cached)\n"
      "      at::autocast::set_autocast_cache_enabled(*cached);\n"
      "    at::autocast::increment_nesting();\n"
      "  }\n"
      "  autocast_region(const autocast_region&) = delete;\n"
      "  autocast_region& operator=(const autocast_region&) = delete;\n"
      "  ~autocast_region() {\n"
      "    if (at::autocast::decrement_nesting() == 0)\n"
      "      at::autocast::clear_cache();\n"
      "    at::autocast::set_autocast_enabled(device, was_on);\n"
      "    at::autocast::set_autocast_dtype(device, was);\n"
      "    at::autocast::set_autocast_cache_enabled(was_cached);\n"
      "  }\n"
      "};\n"
      "} // namespace\n"
      "#endif\n\n";

  std::string statements() {
    std::string body;
    std::size_t input = 0;
    for (node n : nodes(g_)) {
      switch (n.kind()) {
      case node_kind::placeholder:
        body += placeholder(n, input++);
        break;
      case node_kind::call_function:
        body += call(n);
        break;
      case node_kind::output:
        body += output(n);
        break;
      case node_kind::get_attr:
        refuse(n, "reads an attribute", "lift it to an input first (placeholders of constants)");
      case node_kind::call_higher_order:
        body += higher_order(n);
        break;
      case node_kind::erased:
        break;
      }
    }
    return body;
  }

  [[noreturn]] void refuse(node n, std::string what, std::string cure) const {
    fail(error_kind::unsupported, "the node " + what + ", which the C++ printer cannot write",
         "node '" + std::string(n.name()) + "'", std::move(cure));
  }

  // --- names
  std::string name(value_id v) {
    if (const auto at = names_.find(v.index); at != names_.end())
      return at->second;
    std::string s(g_.text(g_.value_name(v)));
    for (char& c : s)
      if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'))
        c = '_';
    if (s.empty() || (s[0] >= '0' && s[0] <= '9') || reserved(s))
      s = "v" + std::to_string(v.index) + (s.empty() ? "" : "_" + s);
    s = unique(std::move(s));
    names_.emplace(v.index, s);
    return s;
  }
  std::string unique(std::string s) {
    const std::string base = s;
    for (std::size_t i = 1; !taken_.insert(s).second; ++i)
      s = base + "_" + std::to_string(i);
    return s;
  }
  /// Words that a value may not be called, of C++ and of the printed text.
  static bool reserved(std::string_view s) {
    constexpr std::string_view words[] = {
        "alignas",  "and",    "asm",      "auto",     "bool",     "break",     "case",     "catch",
        "char",     "class",  "const",    "continue", "default",  "delete",    "do",       "double",
        "else",     "enum",   "explicit", "export",   "extern",   "false",     "float",    "for",
        "friend",   "goto",   "if",       "inline",   "int",      "long",      "mutable",  "namespace",
        "new",      "not",    "operator", "or",       "private",  "protected", "public",   "register",
        "requires", "return", "short",    "signed",   "sizeof",   "static",    "struct",   "switch",
        "template", "this",   "throw",    "true",     "try",      "typedef",   "typename", "union",
        "unsigned", "using",  "virtual",  "void",     "volatile", "while",     "xor",      "inputs",
        "at",       "c10",    "std",      "concept",  "values",   "joined",    "truth",    "autocast_region"};
    for (auto w : words)
      if (s == w)
        return true;
    return s.starts_with("__");
  }

  // --- statements
  std::string comment(value_id v) const {
    const value_meta& m = g_.meta(v);
    if (!o_.comments || m.kind != value_kind::tensor)
      return "\n";
    std::string out = " // " + std::string(to_string(m.tensor.dtype)) + "[";
    for (std::size_t i = 0; i != m.tensor.sizes.size(); ++i)
      out += (i ? ", " : "") + sym_text(m.tensor.sizes[i]);
    return out + "]\n";
  }
  static std::string sym_text(const sym_int& s) {
    return s.is_int() ? std::to_string(s.int_or(0)) : detail::sym_text(s.as_expr());
  }
  std::string placeholder(node n, std::size_t i) {
    const value_id v = n.result().id();
    const value_meta& m = g_.meta(v);
    const std::string from = "inputs[" + std::to_string(i) + "]";
    if (m.kind != value_kind::tensor && m.kind != value_kind::unknown && m.kind != value_kind::sym_int) {
      ignored_.insert(v.index); // None, objects: a use of it is refused
      return "";
    }
    if (m.kind == value_kind::sym_int)
      return "  const std::int64_t " + name(v) + " = " + from + ".toInt();\n" + symbol_of(m.symbol, name(v));
    std::string out = "  at::Tensor " + name(v) + " = " + from + ".toTensor();" + comment(v);
    if (m.kind == value_kind::tensor)
      for (std::size_t d = 0; d != m.tensor.sizes.size(); ++d)
        out += symbol_of(m.tensor.sizes[d], name(v) + ".size(" + std::to_string(d) + ")");
    return out;
  }
  std::string symbol_of(const sym_int& s, const std::string& from) {
    if (s.is_int() || s.as_expr()->kind() != expr_kind::symbol ||
        !symbols_.insert(s.as_expr()->name()).second)
      return "";
    return "  [[maybe_unused]] const std::int64_t " + s.as_expr()->name() + " = " + from + ";\n";
  }
  std::string output(node n) {
    std::string out = "  return {";
    for (std::size_t i = 0; i != n.num_args(); ++i) {
      const arg_view a = n.arg(i);
      out +=
          (i ? ", " : "") + (a.is_value() ? "c10::IValue(" + used(n, a.as_value().id()) + ")" : plain(n, a));
    }
    return out + "};\n";
  }
  /// A constant that a graph gives out.
  std::string plain(node n, arg_view a) {
    switch (a.form()) {
    case arg_form::none:
      return "c10::IValue()";
    case arg_form::boolean:
      return a.as_bool() ? "c10::IValue(true)" : "c10::IValue(false)";
    case arg_form::integer:
    case arg_form::symbolic:
      return "c10::IValue(" + integer(n, a) + ")";
    case arg_form::floating:
      return "c10::IValue(" + number(a.as_double()) + ")";
    default:
      refuse(n, "gives out a constant that is " + std::string(to_string(a.form())),
             "keep it out of the graph");
    }
  }

  std::string used(node n, value_id v) {
    if (ignored_.contains(v.index))
      refuse(n, "uses an input that is no tensor and no number", "drop the input");
    return name(v);
  }

  std::string call(node n) {
    const op_schema* s = schema_of(n.op());
    const std::string_view op = name_of(n.op());
    if (!op.starts_with("aten::"))
      return builtin(n, op);
    if (!s)
      refuse(n, "calls an operator without a known schema", "declare the operator");
    std::string function(op.substr(6));
    for (char& c : function)
      if (c == '.')
        c = '_';
    std::string text = "at::_ops::" + function + "::call(";
    for (std::size_t i = 0; i != s->args.size(); ++i)
      text += (i ? ", " : "") + argument(n, s->args[i], n.arg(i));
    text += ")";
    if (n.returns_list()) {
      const std::string list = "list" + std::to_string(n.id().index);
      std::string out = "  const auto " + list + " = " + text + ";\n";
      for (std::size_t i = 0; i != n.num_results(); ++i)
        if (n.result(i).has_uses())
          out += "  at::Tensor " + name(n.result(i).id()) + " = " + list + "[" + std::to_string(i) + "];" +
                 comment(n.result(i).id());
      return out;
    }
    if (n.num_results() == 0 || n.unused())
      return "  " + text + ";\n";
    if (n.num_results() == 1) {
      const value_id v = n.result().id();
      const arg_kind k = s->returns.size() == 1 ? s->returns[0].type.kind : arg_kind::tensor;
      std::string type = k == arg_kind::tensor ? "at::Tensor" : "const auto";
      if (k == arg_kind::sym_integer)
        text += ".expect_int()";
      else if (k == arg_kind::scalar) // what `item()` gives
        text += g_.meta(v).kind == value_kind::sym_float  ? ".toDouble()"
                : g_.meta(v).kind == value_kind::sym_bool ? ".toBool()"
                                                          : ".toLong()";
      return "  " + type + " " + name(v) + " = " + text + ";" + comment(v);
    }
    const std::string tuple = "tuple" + std::to_string(n.id().index);
    std::string out = "  const auto " + tuple + " = " + text + ";\n";
    for (std::size_t i = 0; i != n.num_results(); ++i)
      if (n.result(i).has_uses())
        out += "  auto " + name(n.result(i).id()) + " = std::get<" + std::to_string(i) + ">(" + tuple + ");" +
               comment(n.result(i).id());
    return out;
  }
  // --- higher-order calls: graphs are lambdas, written where they are first used
  /// The name of the lambda that argument `i` is; what has to be written for it goes to `out`.
  std::string graph(node n, std::size_t i, std::string& out) {
    if (n.arg(i).form() != arg_form::subgraph)
      refuse(n, "has no graph where its operator takes one", "run the verifier on the graph");
    const std::uint32_t index = n.arg(i).as_subgraph();
    if (const auto at = used_graphs_.find(index); at != used_graphs_.end())
      return at->second;
    std::string lambda = "graph_";
    for (const char c : g_.text(g_.subgraph_name(index)))
      lambda += (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ? c : '_';
    lambda = unique(std::move(lambda));
    used_graphs_.emplace(index, lambda);
    cpp_printer inner(g_.subgraph(index), o_);
    inner.symbols_ = symbols_; // it sees those that are known here
    out += "  const auto " + lambda + " = [&](const values& inputs) -> values {\n";
    const std::string body = inner.statements();
    autocast_ = autocast_ || inner.autocast_;
    for (std::size_t at = 0; at != body.size();) {
      const std::size_t end = body.find('\n', at) + 1;
      out += "  " + body.substr(at, end - at);
      at = end;
    }
    out += "  };\n";
    return lambda;
  }
  std::string boxed(node n, arg_view a) {
    return a.is_value() ? "c10::IValue(" + used(n, a.as_value().id()) + ")" : plain(n, a);
  }
  /// Operands as a list: the elements of argument `i`.
  std::string boxed_list(node n, std::size_t i) {
    std::string out = "values{";
    for (std::size_t k = 0; k != n.arg(i).size(); ++k)
      out += (k ? ", " : "") + boxed(n, n.arg(i)[k]);
    return out + "}";
  }
  /// Operands given one by one, from argument `first` on.
  std::string boxed_rest(node n, std::size_t first) {
    std::string out = "values{";
    for (std::size_t i = first; i < n.num_args(); ++i)
      out += (i != first ? ", " : "") + boxed(n, n.arg(i));
    return out + "}";
  }
  /// The slices at `at` of the tensors in argument `i`.
  std::string slices(node n, std::size_t i, const std::string& at) {
    std::string out = "values{";
    for (std::size_t k = 0; k != n.arg(i).size(); ++k)
      out += (k ? ", " : "") + std::string("c10::IValue(") + sliced(n, i, k) + ".select(0, " + at + "))";
    return out + "}";
  }
  std::string sliced(node n, std::size_t i, std::size_t k) {
    if (n.arg(i).size() <= k || !n.arg(i)[k].is_value())
      refuse(n, "has nothing to walk over", "run the verifier on the graph");
    return used(n, n.arg(i)[k].as_value().id());
  }

  /// One statement or a loop that leaves all results in a vector, and the results by name.
  std::string higher_order(node n) {
    std::string_view op = name_of(n.op());
    if (op.starts_with("higher_order::"))
      op.remove_prefix(14);
    const auto fresh = [&](const char* what) { return unique(what + std::to_string(n.id().index)); };
    const std::string results = fresh("results");
    std::string out, text;
    if (op == "cond") {
      const std::string yes = graph(n, 1, out), no = graph(n, 2, out), operands = boxed_list(n, 3);
      text = "const values " + results + " = truth(" + boxed(n, n.arg(0)) + ") ? " + yes + "(" + operands +
             ") : " + no + "(" + operands + ")";
    } else if (op == "while_loop") {
      const std::string test = graph(n, 0, out), body = graph(n, 1, out), more = boxed_list(n, 3);
      text = "values " + results + " = " + boxed_list(n, 2) + ";\n  while (truth(" + test + "(joined(" +
             results + ", " + more + ")).at(0)))\n    " + results + " = " + body + "(joined(" + results +
             ", " + more + "))";
    } else if (op == "map_impl" || op == "map" || op == "scan") {
      const bool scan = op == "scan"; // scan carries its first results on
      const std::size_t xs = scan ? 2 : 1, carried = scan ? n.arg(1).size() : 0;
      const std::string body = graph(n, 0, out), rows = fresh("rows"), row = fresh("row"), at = fresh("i");
      text = "values " + results + " = " + (scan ? boxed_list(n, 1) : "{}") +
             ";\n  std::vector<std::vector<at::Tensor>> " + rows + "(" +
             std::to_string(n.num_results() - carried) + ");\n  for (std::int64_t " + at + " = 0; " + at +
             " != " + sliced(n, xs, 0) + ".size(0); ++" + at + ") {\n    values " + row + " = " + body +
             "(joined(joined(" + results + ", " + slices(n, xs, at) + "), " + boxed_list(n, xs + 1) +
             "));\n    for (std::size_t k = 0; k != " + rows + ".size(); ++k)\n      " + rows +
             "[k].push_back(" + row + "[" + std::to_string(carried) + " + k].toTensor());\n    " + row +
             ".resize(" + std::to_string(carried) + ");\n    " + results + " = " + row +
             ";\n  }\n  for (const auto& " + row + " : " + rows + ")\n    " + results +
             ".push_back(at::stack(" + row + "))";
    } else if (op == "wrap_with_set_grad_enabled") {
      const std::string body = graph(n, 1, out);
      text = "const values " + results + " = [&] {\n    const c10::AutoGradMode mode(truth(" +
             boxed(n, n.arg(0)) + "));\n    return " + body + "(" + boxed_rest(n, 2) + ");\n  }()";
    } else if (op == "associative_scan") {
      const std::string body = graph(n, 0, out), rows = fresh("rows"), row = fresh("row"), at = fresh("i");
      const std::string more = n.num_args() > 2 ? boxed_list(n, 2) : "values{}";
      text = "values " + results + " = " + boxed_list(n, 1) + ";\n  std::vector<std::vector<at::Tensor>> " +
             rows + "(" + results + ".size());\n  for (std::int64_t " + at + " = 0; " + at +
             " != " + sliced(n, 1, 0) + ".size(0); ++" + at + ") {\n    const values " + row + " = " +
             slices(n, 1, at) + ";\n    " + results + " = " + at + " == 0 ? " + row + " : " + body +
             "(joined(joined(" + results + ", " + row + "), " + more +
             "));\n    for (std::size_t k = 0; k != " + rows + ".size(); ++k)\n      " + rows +
             "[k].push_back(" + results + ".at(k).toTensor());\n  }\n  for (std::size_t k = 0; k != " + rows +
             ".size(); ++k)\n    if (!" + rows + "[k].empty())\n      " + results + "[k] = at::stack(" +
             rows + "[k])";
    } else if (op == "wrap_with_autocast") {
      const std::string body = graph(n, 4, out);
      if (n.arg(0).form() != arg_form::string)
        refuse(n, "names no device for autocast", "run the verifier on the graph");
      const auto given = [&](std::size_t i, arg_form form, const char* what) {
        const arg_form has = n.arg(i).form();
        if (has != form && has != arg_form::none && has != arg_form::absent)
          refuse(n, "computes " + std::string(what) + " of autocast", "write it as a constant");
        return has == form;
      };
      const std::string type =
          given(1, arg_form::scalar_type, "the type") ? dtype(n.arg(1).as_dtype()) : "std::nullopt";
      const std::string cached =
          given(3, arg_form::boolean, "the cache")
              ? "std::optional<bool>(" + std::string(n.arg(3).as_bool() ? "true" : "false") + ")"
              : "std::nullopt";
      text = "const values " + results + " = [&] {\n    const autocast_region mode(at::Device(" +
             quoted(n.arg(0).as_string()) + ").type(), " + type + ", truth(" + boxed(n, n.arg(2)) + "), " +
             cached + ");\n    return " + body + "(" + boxed_rest(n, 5) + ");\n  }()";
      autocast_ = true;
    } else if (op == "invoke_subgraph" || op == "wrap") {
      const std::string body = graph(n, 0, out);
      text = "const values " + results + " = " + body + "(" + boxed_rest(n, op == "wrap" ? 1 : 2) + ")";
    } else {
      refuse(n, "calls the higher-order operator " + std::string(op), "lower it, or inline its graphs first");
    }
    out += "  " + text + ";\n";
    for (std::size_t i = 0; i != n.num_results(); ++i)
      if (n.result(i).has_uses())
        out += unboxed(n.result(i).id(), results + "[" + std::to_string(i) + "]");
    return out;
  }
  /// A variable for a value that comes out of a graph.
  std::string unboxed(value_id v, const std::string& from) {
    switch (g_.meta(v).kind) {
    case value_kind::sym_int:
      return "  const std::int64_t " + name(v) + " = " + from + ".toInt();\n" +
             symbol_of(g_.meta(v).symbol, name(v));
    case value_kind::sym_float:
      return "  const double " + name(v) + " = " + from + ".toDouble();\n";
    case value_kind::sym_bool:
      return "  const bool " + name(v) + " = " + from + ".toBool();\n";
    default:
      return "  at::Tensor " + name(v) + " = " + from + ".toTensor();" + comment(v);
    }
  }

  /// Python's arithmetic on sizes.
  std::string builtin(node n, std::string_view op) {
    struct row {
      std::string_view python, sign;
    };
    static constexpr row infix[] = {
        {"_operator::add", "+"}, {"_operator::sub", "-"},  {"_operator::mul", "*"}, {"_operator::eq", "=="},
        {"_operator::ne", "!="}, {"_operator::lt", "<"},   {"_operator::le", "<="}, {"_operator::gt", ">"},
        {"_operator::ge", ">="}, {"_operator::and_", "&"}, {"_operator::or_", "|"}};
    const auto arg = [&](std::size_t i) { return integer(n, n.arg(i)); };
    std::string text;
    for (auto& [python, sign] : infix)
      if (op == python)
        text = arg(0) + " " + std::string(sign) + " " + arg(1);
    if (op == "_operator::floordiv")
      text = "static_cast<std::int64_t>(std::floor(static_cast<double>(" + arg(0) +
             ") / static_cast<double>(" + arg(1) + ")))";
    else if (op == "_operator::mod")
      text = "((" + arg(0) + ") % (" + arg(1) + ") + (" + arg(1) + ")) % (" + arg(1) + ")";
    else if (op == "_operator::neg")
      text = "-(" + arg(0) + ")";
    else if (op == "torch::sym_max")
      text = "std::max<std::int64_t>(" + arg(0) + ", " + arg(1) + ")";
    else if (op == "torch::sym_min")
      text = "std::min<std::int64_t>(" + arg(0) + ", " + arg(1) + ")";
    if (text.empty())
      refuse(n, "calls " + std::string(op), "lower it to ATen operators first");
    return "  const auto " + name(n.result().id()) + " = " + text + ";\n";
  }

  // --- arguments
  static std::string number(double d) {
    if (d != d)
      return "std::numeric_limits<double>::quiet_NaN()";
    if (d == std::numeric_limits<double>::infinity())
      return "std::numeric_limits<double>::infinity()";
    if (d == -std::numeric_limits<double>::infinity())
      return "-std::numeric_limits<double>::infinity()";
    char text[40];
    std::snprintf(text, sizeof text, "%.17g", d);
    std::string s(text);
    return s.find_first_of(".e") == s.npos ? s + ".0" : s;
  }
  std::string integer(node n, arg_view a) {
    switch (a.form()) {
    case arg_form::value:
      return used(n, a.as_value().id());
    case arg_form::integer:
      return a.as_int() == std::numeric_limits<std::int64_t>::min()
                 ? "std::numeric_limits<std::int64_t>::min()"
                 : "std::int64_t{" + std::to_string(a.as_int()) + "}";
    case arg_form::symbolic:
      return expression(n, a.as_sym_int().as_expr());
    case arg_form::boolean:
      return a.as_bool() ? "true" : "false";
    default:
      refuse(n, "has " + std::string(to_string(a.form())) + " where a number is wanted",
             "correct the argument");
    }
  }
  std::string expression(node n, const expr* e) {
    const auto all = [&](std::string_view sign) {
      std::string out = "(";
      for (std::size_t i = 0; i != e->args().size(); ++i)
        out += (i ? " " + std::string(sign) + " " : "") + expression(n, e->args()[i]);
      return out + ")";
    };
    switch (e->kind()) {
    case expr_kind::integer:
      return "std::int64_t{" + std::to_string(e->value()) + "}";
    case expr_kind::symbol:
      if (!symbols_.contains(e->name()))
        break;
      return e->name();
    case expr_kind::add:
      return all("+");
    case expr_kind::mul:
      return all("*");
    case expr_kind::function:
      if ((e->head() == "FloorDiv" || e->head() == "CleanDiv") && e->args().size() == 2)
        return all("/"); // sizes are not negative
      if ((e->head() == "Mod" || e->head() == "PythonMod") && e->args().size() == 2)
        return all("%");
      break;
    default:
      break;
    }
    refuse(n, "has the expression " + detail::sym_text(e), "specialise the program to fixed sizes");
  }
  static std::string dtype(scalar_type t) {
    return "static_cast<at::ScalarType>(" + std::to_string(static_cast<int>(t)) + ")";
  }
  /// A string literal. Other bytes than printable ASCII are written in octal, which ends after three digits.
  static std::string quoted(std::string_view s) {
    std::string out = "\"";
    for (char c : s) {
      const auto u = static_cast<unsigned char>(c);
      if (c == '"' || c == '\\')
        out += '\\';
      if (u >= 0x20 && u < 0x7f) {
        out += c;
      } else {
        out += '\\';
        for (int shift = 6; shift >= 0; shift -= 3)
          out += static_cast<char>('0' + (u >> shift & 7));
      }
    }
    return out + "\"";
  }

  static std::string item(const default_item& d, const arg_type& t) {
    switch (d.kind) {
    case default_kind::none:
      return "std::nullopt";
    case default_kind::boolean:
      return scalar(t, d.boolean ? "true" : "false");
    case default_kind::integer:
      if (t.kind == arg_kind::floating)
        return number(static_cast<double>(d.integer));
      return scalar(t, "std::int64_t{" + std::to_string(d.integer) + "}");
    case default_kind::floating:
      return scalar(t, number(d.floating));
    case default_kind::string:
      return quoted(d.text);
    case default_kind::word:
      return t.kind == arg_kind::memory_format ? "at::MemoryFormat::" + format_word(d.text)
             : t.kind == arg_kind::scalar_type
                 ? "at::k" + std::string(1, static_cast<char>(d.text[0] - 'a' + 'A')) +
                       std::string(d.text.substr(1))
                 : std::string(d.text);
    default:
      return "{}";
    }
  }
  static std::string format_word(std::string_view w) {
    return w == "preserve_format"    ? "Preserve"
           : w == "channels_last"    ? "ChannelsLast"
           : w == "channels_last_3d" ? "ChannelsLast3d"
                                     : "Contiguous";
  }
  /// A number as the type that the entry point takes.
  static std::string scalar(const arg_type& t, const std::string& text) {
    switch (t.kind) {
    case arg_kind::tensor: // a number where a tensor is wanted counts little in type promotion
      return "at::native::wrapped_scalar_tensor(at::Scalar(" + text + "))";
    case arg_kind::scalar:
      return "at::Scalar(" + text + ")";
    case arg_kind::sym_integer:
      return "c10::SymInt(" + text + ")";
    default:
      return text;
    }
  }

  std::string argument(node n, const schema_arg& a, arg_view x) {
    const arg_type& t = a.type;
    if (x.form() == arg_form::absent) {
      if (!a.has_default)
        refuse(n, "leaves the argument '" + std::string(a.name) + "' out", "give it");
      const default_value d = parse_default(a);
      if (t.list_depth == 0 || d.kind == default_kind::none)
        return item(d, t);
      vector<std::string> items;
      if (d.kind == default_kind::list)
        for (const auto& i : d.items)
          items.push_back(item(i, t));
      else
        items.assign(t.fixed_size > 0 ? static_cast<std::size_t>(t.fixed_size) : 1, item(d, t));
      return list(t, items);
    }
    if (x.form() == arg_form::none)
      return "std::nullopt";
    if (t.list_depth != 0) {
      vector<std::string> items;
      if (x.form() == arg_form::list)
        for (std::size_t i = 0; i != x.size(); ++i)
          items.push_back(single(n, t, x[i]));
      else
        items.assign(t.fixed_size > 0 ? static_cast<std::size_t>(t.fixed_size) : 1, single(n, t, x));
      return list(t, items);
    }
    return single(n, t, x);
  }
  static std::string list(const arg_type& t, const vector<std::string>& items) {
    std::string in = "{";
    for (std::size_t i = 0; i != items.size(); ++i)
      in += (i ? ", " : "") + items[i];
    in += "}";
    switch (t.kind) {
    case arg_kind::tensor:
      return t.element_optional ? "c10::List<std::optional<at::Tensor>>(" + in + ")"
                                : "at::TensorList(std::vector<at::Tensor>" + in + ")";
    case arg_kind::sym_integer:
      return std::string(t.optional ? "at::OptionalSymIntArrayRef(" : "(") +
             "c10::SymIntArrayRef(std::vector<c10::SymInt>" + in + "))";
    case arg_kind::integer:
      return std::string(t.optional ? "at::OptionalIntArrayRef(" : "(") +
             "at::IntArrayRef(std::vector<std::int64_t>" + in + "))";
    case arg_kind::boolean:
      return "std::array<bool, " + std::to_string(items.size()) + ">" + in;
    case arg_kind::floating:
      return "at::ArrayRef<double>(std::vector<double>" + in + ")";
    case arg_kind::scalar:
      return "at::ArrayRef<at::Scalar>(std::vector<at::Scalar>" + in + ")";
    default:
      return in;
    }
  }
  std::string single(node n, const arg_type& t, arg_view x) {
    switch (x.form()) {
    case arg_form::none:
      return "std::nullopt";
    case arg_form::value: {
      const std::string v = used(n, x.as_value().id());
      if (x.as_value().meta().kind == value_kind::tensor || x.as_value().meta().kind == value_kind::unknown)
        return v;
      return scalar(t, v);
    }
    case arg_form::integer:
      if (t.kind == arg_kind::floating || t.kind == arg_kind::sym_float)
        return number(x.as_double());
      return scalar(t, integer(n, x));
    case arg_form::symbolic:
    case arg_form::boolean:
      return scalar(t, integer(n, x));
    case arg_form::floating:
      return scalar(t, number(x.as_double()));
    case arg_form::complex:
      return "at::Scalar(c10::complex<double>(" + number(x[0].as_double()) + ", " + number(x[1].as_double()) +
             "))";
    case arg_form::string:
      return t.kind == arg_kind::device ? "at::Device(" + quoted(x.as_string()) + ")" : quoted(x.as_string());
    case arg_form::scalar_type:
      return dtype(x.as_dtype());
    case arg_form::layout:
      return "static_cast<at::Layout>(" + std::to_string(static_cast<int>(x.as_layout())) + ")";
    case arg_form::memory_format:
      return "static_cast<at::MemoryFormat>(" + std::to_string(static_cast<int>(x.as_memory_format())) + ")";
    case arg_form::device:
      return "at::Device(static_cast<at::DeviceType>(" +
             std::to_string(static_cast<int>(x.as_device().type)) + "), " +
             std::to_string(static_cast<int>(x.as_device().index)) + ")";
    default:
      refuse(n, "has an argument that is " + std::string(to_string(x.form())), "lower it first");
    }
  }

  const graph_storage& g_;
  const cpp_options& o_;
  hash_map<std::uint32_t, std::string> names_;
  hash_set<std::string> taken_;
  hash_set<std::string> symbols_;
  hash_map<std::uint32_t, std::string> used_graphs_; ///< by index: the lambda's name
  hash_set<std::uint32_t> ignored_;
  bool autocast_ = false; ///< some graph runs under autocast
};

} // namespace detail

/// The graph as a C++ function `std::vector<c10::IValue> forward(const std::vector<c10::IValue>&)`: one value
/// a placeholder in (parameters and buffers among them), one value an output out. Symbols are read from the
/// sizes of the inputs. Graphs of control flow, of a region without gradient or under autocast, and of
/// `invoke_subgraph` are lambdas. Throws `error` (unsupported) with the node that cannot be written: other
/// higher-order calls, attributes, operators outside ATen.
template <class = when_used>
std::string print_cpp(const graph_storage& g, const cpp_options& o = {}) {
  return detail::cpp_printer(g, o).run();
}

} // namespace espalier
