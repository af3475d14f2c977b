// SPDX-License-Identifier: BSL-1.0
// What the placeholders and outputs of a program stand for, and how its arguments nest: the interface between
// a flat graph and the model it came from. Follows `torch/export/graph_signature.py` and the `.pt2` schema.
#pragma once

#include <espalier/ir/storage.hpp>
#include <espalier/signature/tree_spec.hpp>
#include <espalier/support/optional.hpp>
#include <espalier/support/vector.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

namespace espalier {

/// What an output stands for (`OutputKind`).
enum class output_kind : std::uint8_t {
  user_output,
  loss_output,
  buffer_mutation,
  parameter_mutation,
  gradient_to_parameter,
  gradient_to_user_input,
  user_input_mutation,
  token,
};

constexpr std::string_view to_string(output_kind k) noexcept {
  constexpr std::string_view names[] = {"user_output",           "loss_output",
                                        "buffer_mutation",       "parameter_mutation",
                                        "gradient_to_parameter", "gradient_to_user_input",
                                        "user_input_mutation",   "token"};
  return names[static_cast<int>(k)];
}

/// A literal that the program was specialised on, or returns.
using constant_value = std::variant<std::monostate, bool, std::int64_t, double, std::string>;

/// What kind of thing an input or output is (`TensorArgument`, `SymIntArgument`, ...).
enum class io_form : std::uint8_t { tensor, sym_int, sym_float, sym_bool, custom_object, token, constant };

/// One input or output: a name in the graph, or a constant.
struct io_argument {
  io_form form = io_form::tensor;
  std::string name; ///< the value's name; for a constant input the placeholder's, for a constant output empty
  constant_value value;   ///< for `constant`
  std::string class_name; ///< for `custom_object`
  friend bool operator==(const io_argument&, const io_argument&) = default;
};

/// `InputSpec`: `target` is the state's name (parameters, buffers, constants, objects), empty for user
/// inputs.
struct input_spec {
  input_kind kind = input_kind::user_input;
  io_argument arg;
  std::string target;
  bool persistent = true; ///< for buffers
  friend bool operator==(const input_spec&, const input_spec&) = default;
};

/// `OutputSpec`: `target` is the buffer, parameter or user input that the output is written to.
struct output_spec {
  output_kind kind = output_kind::user_output;
  io_argument arg;
  std::string target;
  friend bool operator==(const output_spec&, const output_spec&) = default;
};

/// `ExportGraphSignature`: one spec for each placeholder and each output, in order.
struct graph_signature {
  vector<input_spec> inputs;
  vector<output_spec> outputs;

  /// The targets of all inputs of a kind, in order.
  template <class = when_used>
  vector<std::string_view> targets(input_kind k) const {
    vector<std::string_view> out;
    for (auto& s : inputs)
      if (s.kind == k)
        out.push_back(s.target);
    return out;
  }
  std::size_t count(input_kind k) const noexcept {
    std::size_t n = 0;
    for (auto& s : inputs)
      n += s.kind == k;
    return n;
  }
  std::size_t count(output_kind k) const noexcept {
    std::size_t n = 0;
    for (auto& s : outputs)
      n += s.kind == k;
    return n;
  }
  friend bool operator==(const graph_signature&, const graph_signature&) = default;
};

/// The range of a symbol or of an expression of symbols, as written (`s77`, `2*s40`); an absent end is
/// infinite.
struct range_constraint {
  std::string symbol;
  optional<std::int64_t> min, max;
  friend bool operator==(const range_constraint&, const range_constraint&) = default;
};

/// How a (sub)module was called (`ModuleCallSignature`).
struct module_call_signature {
  vector<io_argument> inputs, outputs;
  tree_spec in_spec, out_spec;
  optional<vector<std::string>> forward_arg_names;
  friend bool operator==(const module_call_signature&, const module_call_signature&) = default;
};

/// `ModuleCallEntry`: a module of the hierarchy, by path from the root (which is ""); with a signature when
/// preserved.
struct module_call_entry {
  std::string fqn;
  optional<module_call_signature> signature;
  friend bool operator==(const module_call_entry&, const module_call_entry&) = default;
};

/// What a program is besides its graph, its weights and its constants.
struct program_info {
  graph_signature signature;
  vector<range_constraint> ranges;
  vector<module_call_entry> module_calls;
  vector<std::string> guards_code; ///< Python expressions over the inputs, kept as they are
  hash_map<std::string, std::int64_t> opset_version;
  std::string torch_version;
  std::string verifier; ///< Python's dialect name: TRAINING, ATEN, ...
  /// The structure of ((args...), {kwargs}) and of the result; entry "" of the module call graph holds them.
  template <class = when_used>
  const module_call_signature* root() const noexcept {
    for (auto& e : module_calls)
      if (e.fqn.empty() && e.signature)
        return &*e.signature;
    return nullptr;
  }
};

} // namespace espalier
