// SPDX-License-Identifier: BSL-1.0
// Regions as C++.
//
// The idea: a kernel is the inner loop of LibTorch's TensorIterator, `void(char** data, const int64_t*
// strides, int64_t n)`: broadcasting, layouts and threads are the iterator's, and what is emitted is one loop
// over a row. Shapes are known when it is emitted, so is which operand stands still along a row: the strides
// that it expects are constants of the fast path, which the compiler vectorises; all others take the same
// loop with strides as variables.
#pragma once

#include "kernel_math.hpp"
#include "operators.hpp"

#include <espalier/ir/subgraph.hpp>

#include <cmath>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

namespace mini {

/// A kernel: a function `name` of the emitted file, and what its results are.
struct kernel {
  std::string name;
  espalier::vector<es::scalar_type> results;
};

/// The source of all kernels of a program. Regions that compute the same share one.
class kernel_source {
public:
  /// The number of the kernel that computes a region.
  std::size_t add(const es::graph_storage& region) {
    const std::string name = "kernel_" + std::to_string(kernels_.size());
    const auto [at, fresh] = number_of_.try_emplace(code_of(region, "kernel"), kernels_.size());
    if (fresh) {
      text_ += code_of(region, name);
      kernels_.push_back({name, {}});
      for (std::size_t i = 0; i != region.num_args(region.output_node()); ++i)
        kernels_.back().results.push_back(output(region, i).tensor().dtype);
    }
    return at->second;
  }
  const std::vector<kernel>& kernels() const { return kernels_; }
  std::string text() const { return std::string(kernel_prelude) + text_; }

private:
  static es::value output(const es::graph_storage& region, std::size_t i) {
    const es::node out(region, region.output_node());
    return out.arg(i).as_value();
  }
  static std::string_view type_name(es::scalar_type t) {
    return t == es::scalar_type::f32 ? "float" : t == es::scalar_type::f64 ? "double" : "bool";
  }
  /// The tensors that the loop reads and writes, results first: the order of TensorIterator's operands.
  struct operand {
    std::string name;
    es::value value;
    bool written;
    /// The step, in elements, that it makes along a row of `loop` when it lies row-major.
    int usual_step(const es::sym_ints& loop) const {
      const auto& sizes = value.tensor().sizes;
      std::size_t last = 0; // from the end; dimensions of size 1 have no steps
      while (last != loop.size() && loop[loop.size() - 1 - last] == 1)
        ++last;
      return last < sizes.size() && sizes[sizes.size() - 1 - last] != 1 ? 1 : 0;
    }
  };
  static std::vector<operand> operands_of(const es::graph_storage& region) {
    std::vector<operand> all;
    for (std::size_t i = 0; i != region.num_args(region.output_node()); ++i)
      all.push_back({"out" + std::to_string(i), output(region, i), true});
    for (const es::node p : es::placeholders(region))
      all.push_back({"in" + std::to_string(all.size()), p.result(), false});
    return all;
  }

  static std::string number(double v) {
    if (std::isnan(v))
      return "T(NAN)";
    if (std::isinf(v))
      return v > 0 ? "T(INFINITY)" : "T(-INFINITY)";
    char text[32];
    std::snprintf(text, sizeof text, "T(%.17g)", v);
    return text;
  }
  /// An argument as C++: the variable of a value, a constant, or the schema's default.
  static std::string argument(es::node n, std::size_t i,
                              const es::side_table<es::value_id, std::string>& names) {
    const es::arg_view a = n.arg(i);
    switch (a.form()) {
    case es::arg_form::value:
      return names[a.as_value().id()];
    case es::arg_form::boolean:
      return a.as_bool() ? "true" : "false";
    case es::arg_form::integer:
    case es::arg_form::floating:
      return number(a.as_double());
    case es::arg_form::absent: {
      const std::string_view text = es::schema_of(n.op())->args[i].default_text;
      return text == "None" ? "math::none()" : "T(" + std::string(text) + ")";
    }
    default:
      return "math::none()";
    }
  }
  /// The expression of a call, with its arguments in place.
  static std::string expression(es::node n, const es::side_table<es::value_id, std::string>& names) {
    const std::string_view text = expression_of(n.op());
    const auto& args = es::schema_of(n.op())->args;
    std::string out;
    for (std::size_t at = 0; at != text.size();) {
      if (text[at] != '$') {
        out += text[at++];
        continue;
      }
      const std::string_view name = text.substr(at + 1, name_length(text.substr(at + 1)));
      std::size_t i = 0;
      while (args[i].name != name) // it is there: the table was checked
        ++i;
      out += argument(n, i, names);
      at += 1 + name.size();
    }
    return out;
  }

  static std::string code_of(const es::graph_storage& region, const std::string& name) {
    return "\nnamespace { namespace " + name + "_loop {\n" + loop_of(region) + "}} // namespaces\n" +
           entry_of(region, name);
  }
  /// The loop, a template over the operands' steps.
  static std::string loop_of(const es::graph_storage& region) {
    es::side_table<es::value_id, std::string> names;
    const auto operands = operands_of(region);
    std::string heads, steps, pointers, lines;
    for (const operand& o : operands) {
      const std::string at = std::to_string(&o - operands.data()), step = "s" + at;
      const std::string type(type_name(o.value.tensor().dtype));
      heads += (heads.empty() ? "class S" : ", class S") + at;
      steps += ", S" + at + " " + step;
      pointers += "  " + (o.written ? type : "const " + type) + "* " + o.name + " = reinterpret_cast<" +
                  (o.written ? type : "const " + type) + "*>(data[" + at + "]);\n";
      if (!o.written) {
        names[o.value.id()] = o.name + "_i";
        lines += "    const " + type + " " + o.name + "_i = " + o.name + "[i * " + step + "];\n";
      }
    }
    es::scalar_type element = es::scalar_type::b8;
    std::size_t next = 0;
    for (const es::node n : es::nodes(region)) {
      if (!n.is_call())
        continue;
      element = fit_of(n).element;
      std::string& name = names[n.result().id()] = "v" + std::to_string(next++);
      lines += "    const " + std::string(type_name(n.result().tensor().dtype)) + " " + name + " = " +
               expression(n, names) + ";\n";
    }
    for (const operand& o : operands)
      if (o.written)
        lines += "    " + o.name + "[i * s" + std::to_string(&o - operands.data()) +
                 "] = " + names[o.value.id()] + ";\n";
    return "using T = " + std::string(type_name(element)) + ";\ntemplate <" + heads +
           ">\ninline void run(char** data, std::int64_t n" + steps + ") {\n" + pointers +
           "  STEPS_ARE_INDEPENDENT\n  for (std::int64_t i = 0; i < n; ++i) {\n" + lines + "  }\n}\n";
  }

  /// The function that TensorIterator calls: the fast path if the strides are as expected.
  static std::string entry_of(const es::graph_storage& region, const std::string& name) {
    std::string expected, constants, variables;
    std::size_t i = 0;
    const es::sym_ints loop = output(region, 0).tensor().sizes;
    for (const operand& o : operands_of(region)) {
      const std::string size = "std::int64_t(sizeof(" + std::string(type_name(o.value.tensor().dtype)) + "))";
      const std::string stride = "strides[" + std::to_string(i++) + "]",
                        step = std::to_string(o.usual_step(loop));
      expected += (expected.empty() ? "" : " && ") + stride + " == " + step + " * " + size;
      constants += ", step<" + step + ">()";
      variables += ", " + stride + " / " + size;
    }
    return "extern \"C\" void " + name +
           "(char** data, const std::int64_t* strides, std::int64_t n) {\n  if (" + expected + ")\n    " +
           name + "_loop::run(data, n" + constants + ");\n  else\n    " + name + "_loop::run(data, n" +
           variables + ");\n}\n";
  }

  std::map<std::string, std::size_t> number_of_; ///< by its code
  std::vector<kernel> kernels_;
  std::string text_;
};

} // namespace mini
