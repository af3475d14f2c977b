// SPDX-License-Identifier: BSL-1.0
// What a .pt2 file says, as plain structs: the schema of torch/_export/serde/schema.py, version 8.20, field
// for field and under its own names (snake_case for types). Nothing is interpreted here. What a newer file
// adds survives in each struct's `extra`, in each union's `unknown`, and in enumerators that have no name
// below. What a file must have has no `{}` here: that would make the compiler compile constructors and
// destructors at once.
#pragma once

#include <espalier/archive/reflect.hpp>
#include <espalier/support/optional.hpp>
#include <espalier/support/vector.hpp>

#include <cstdint>
#include <string>

/// The .pt2 file format: its schema, and reading and writing it.
namespace espalier::pt2 {

/// The version of the schema that these structs follow. A file of another major version is refused; a higher
/// minor version means fields that we carry without understanding.
inline constexpr std::int64_t schema_major = 8, schema_minor = 20;
/// The version of the tree specs that we understand.
inline constexpr std::int64_t treespec_version = 1;

/// schema.py: ScalarType. Not c10's numbers.
enum class scalar_type : std::int64_t {
  unknown = 0,
  byte = 1,
  char_ = 2,
  short_ = 3,
  int_ = 4,
  long_ = 5,
  half = 6,
  float_ = 7,
  double_ = 8,
  complex_half = 9,
  complex_float = 10,
  complex_double = 11,
  bool_ = 12,
  bfloat16 = 13,
  uint16 = 28,
  float8_e4m3fn = 29,
  float8_e5m2 = 30,
  float8_e4m3fnuz = 31,
  float8_e5m2fnuz = 32,
  float8_e8m0fnu = 33,
  uint32 = 34,
  uint64 = 35,
};
/// schema.py: Layout.
enum class layout : std::int64_t {
  unknown = 0,
  sparse_coo = 1,
  sparse_csr = 2,
  sparse_csc = 3,
  sparse_bsr = 4,
  sparse_bsc = 5,
  mkldnn = 6,
  strided = 7,
};
/// schema.py: MemoryFormat.
enum class memory_format : std::int64_t {
  unknown = 0,
  contiguous = 1,
  channels_last = 2,
  channels_last_3d = 3,
  preserve = 4,
};
/// schema.py: ArgumentKind.
enum class argument_kind : std::int64_t { unknown = 0, positional = 1, keyword = 2 };

struct graph;

/// Where a tensor lives: `{"cuda", 1}`.
struct device {
  std::string type;
  optional<std::int64_t> index{};
  ESPALIER_PT2_STRUCT(device, 1, type, index);
};

/// The value that a symbolic expression had for the example inputs.
ESPALIER_PT2_UNION(sym_expr_hint, (as_int, std::int64_t), (as_bool, bool), (as_float, double));

/// A symbolic expression as SymPy prints it (`s0 + 2*s1`).
struct sym_expr {
  std::string expr_str;
  optional<sym_expr_hint> hint{};
  ESPALIER_PT2_STRUCT(sym_expr, 1, expr_str, hint);
};

ESPALIER_PT2_UNION(sym_int, (as_expr, sym_expr), (as_int, std::int64_t));
ESPALIER_PT2_UNION(sym_float, (as_expr, sym_expr), (as_float, double));
ESPALIER_PT2_UNION(sym_bool, (as_expr, sym_expr), (as_bool, bool));

/// What is known of a tensor: sizes, strides and offset in elements.
struct tensor_meta {
  scalar_type dtype = scalar_type::unknown;
  vector<sym_int> sizes;
  bool requires_grad = false;
  pt2::device device;
  vector<sym_int> strides;
  sym_int storage_offset;
  pt2::layout layout = pt2::layout::unknown;
  ESPALIER_PT2_STRUCT(tensor_meta, 7, dtype, sizes, requires_grad, device, strides, storage_offset, layout);
};

/// A symbolic integer used as an argument: the name of a value, or (in a list of both) a number.
ESPALIER_PT2_UNION(sym_int_argument, (as_name, std::string), (as_int, std::int64_t));
ESPALIER_PT2_UNION(sym_float_argument, (as_name, std::string), (as_float, double));
ESPALIER_PT2_UNION(sym_bool_argument, (as_name, std::string), (as_bool, bool));

/// A tensor used as an argument, by the name of its value.
struct tensor_argument {
  std::string name;
  ESPALIER_PT2_STRUCT(tensor_argument, 1, name);
};

/// An effect token used as an argument.
struct token_argument {
  std::string name;
  ESPALIER_PT2_STRUCT(token_argument, 1, name);
};

/// An element of a `Tensor?[]`.
ESPALIER_PT2_UNION(optional_tensor_argument, (as_tensor, tensor_argument), (as_none, bool));

/// A subgraph of a higher-order operator.
struct graph_argument {
  std::string name;
  box<pt2::graph> graph;
  ESPALIER_PT2_STRUCT(graph_argument, 2, name, graph);
};

/// An object of a custom class (a TorchBind or an opaque Python object).
struct custom_obj_argument {
  std::string name;
  std::string class_fqn;
  ESPALIER_PT2_STRUCT(custom_obj_argument, 2, name, class_fqn);
};

struct complex_value {
  double real = 0;
  double imag = 0;
  ESPALIER_PT2_STRUCT(complex_value, 2, real, imag);
};

/// One argument or result of a node, an input or output of a graph.
ESPALIER_PT2_UNION(argument, (as_none, bool), (as_tensor, tensor_argument),
                   (as_tensors, vector<tensor_argument>), (as_int, std::int64_t),
                   (as_ints, vector<std::int64_t>), (as_float, double), (as_floats, vector<double>),
                   (as_string, std::string), (as_strings, vector<std::string>),
                   (as_sym_int, sym_int_argument), (as_sym_ints, vector<sym_int_argument>),
                   (as_scalar_type, scalar_type), (as_memory_format, memory_format), (as_layout, layout),
                   (as_device, device), (as_bool, bool), (as_bools, vector<bool>),
                   (as_sym_bool, sym_bool_argument), (as_sym_bools, vector<sym_bool_argument>),
                   (as_graph, graph_argument), (as_optional_tensors, vector<optional_tensor_argument>),
                   (as_custom_obj, custom_obj_argument), (as_operator, std::string),
                   (as_sym_float, sym_float_argument), (as_sym_floats, vector<sym_float_argument>),
                   (as_optional_tensor, optional_tensor_argument), (as_complex, complex_value),
                   (as_nested_tensors, vector<vector<tensor_argument>>),
                   (as_int_lists, vector<vector<std::int64_t>>), (as_string_to_argument, dict<argument>),
                   (as_float_lists, vector<vector<double>>));

/// An argument under the name that the operator's schema gives it (empty for a higher-order operator's).
struct named_argument {
  std::string name;
  argument arg;
  optional<argument_kind> kind{};
  ESPALIER_PT2_STRUCT(named_argument, 2, name, arg, kind);
};

/// A call: `target` as `torch.ops.aten.add.Tensor`, `_operator.mul`, `torch.ops.higher_order.cond`, ...
struct node {
  std::string target;
  vector<named_argument> inputs;
  vector<argument> outputs;
  dict<std::string> metadata;
  optional<bool> is_hop_single_tensor_return{};
  optional<std::string> name{};
  ESPALIER_PT2_STRUCT(node, 4, target, inputs, outputs, metadata, is_hop_single_tensor_return, name);
};

/// Placeholders (`inputs`), calls in order, outputs, and what is known of each named value.
struct graph {
  vector<argument> inputs;
  vector<argument> outputs;
  vector<node> nodes;
  dict<tensor_meta> tensor_values;
  dict<sym_int> sym_int_values;
  dict<sym_bool> sym_bool_values;
  bool is_single_tensor_return = false;
  dict<custom_obj_argument> custom_obj_values{};
  dict<sym_float> sym_float_values{};
  ESPALIER_PT2_STRUCT(graph, 6, inputs, outputs, nodes, tensor_values, sym_int_values, sym_bool_values,
                      is_single_tensor_return, custom_obj_values, sym_float_values);
};

struct user_input_spec {
  argument arg;
  ESPALIER_PT2_STRUCT(user_input_spec, 1, arg);
};

ESPALIER_PT2_UNION(constant_value, (as_none, bool), (as_int, std::int64_t), (as_float, double),
                   (as_string, std::string), (as_bool, bool));

struct input_to_constant_input_spec {
  std::string name;
  constant_value value;
  ESPALIER_PT2_STRUCT(input_to_constant_input_spec, 2, name, value);
};

struct input_to_parameter_spec {
  tensor_argument arg;
  std::string parameter_name;
  ESPALIER_PT2_STRUCT(input_to_parameter_spec, 2, arg, parameter_name);
};

struct input_to_buffer_spec {
  tensor_argument arg;
  std::string buffer_name;
  bool persistent = true;
  ESPALIER_PT2_STRUCT(input_to_buffer_spec, 3, arg, buffer_name, persistent);
};

struct input_to_tensor_constant_spec {
  tensor_argument arg;
  std::string tensor_constant_name;
  ESPALIER_PT2_STRUCT(input_to_tensor_constant_spec, 2, arg, tensor_constant_name);
};

struct input_to_custom_obj_spec {
  custom_obj_argument arg;
  std::string custom_obj_name;
  ESPALIER_PT2_STRUCT(input_to_custom_obj_spec, 2, arg, custom_obj_name);
};

struct input_token_spec {
  token_argument arg;
  ESPALIER_PT2_STRUCT(input_token_spec, 1, arg);
};

/// What a placeholder stands for.
ESPALIER_PT2_UNION(input_spec, (user_input, user_input_spec), (parameter, input_to_parameter_spec),
                   (buffer, input_to_buffer_spec), (tensor_constant, input_to_tensor_constant_spec),
                   (custom_obj, input_to_custom_obj_spec), (token, input_token_spec),
                   (constant_input, input_to_constant_input_spec));

struct user_output_spec {
  argument arg;
  ESPALIER_PT2_STRUCT(user_output_spec, 1, arg);
};

struct loss_output_spec {
  tensor_argument arg;
  ESPALIER_PT2_STRUCT(loss_output_spec, 1, arg);
};

struct buffer_mutation_spec {
  tensor_argument arg;
  std::string buffer_name;
  ESPALIER_PT2_STRUCT(buffer_mutation_spec, 2, arg, buffer_name);
};

struct parameter_mutation_spec {
  tensor_argument arg;
  std::string parameter_name;
  ESPALIER_PT2_STRUCT(parameter_mutation_spec, 2, arg, parameter_name);
};

struct gradient_to_parameter_spec {
  tensor_argument arg;
  std::string parameter_name;
  ESPALIER_PT2_STRUCT(gradient_to_parameter_spec, 2, arg, parameter_name);
};

struct gradient_to_user_input_spec {
  tensor_argument arg;
  std::string user_input_name;
  ESPALIER_PT2_STRUCT(gradient_to_user_input_spec, 2, arg, user_input_name);
};

struct user_input_mutation_spec {
  tensor_argument arg;
  std::string user_input_name;
  ESPALIER_PT2_STRUCT(user_input_mutation_spec, 2, arg, user_input_name);
};

struct output_token_spec {
  token_argument arg;
  ESPALIER_PT2_STRUCT(output_token_spec, 1, arg);
};

/// What an output stands for.
ESPALIER_PT2_UNION(output_spec, (user_output, user_output_spec), (loss_output, loss_output_spec),
                   (buffer_mutation, buffer_mutation_spec),
                   (gradient_to_parameter, gradient_to_parameter_spec),
                   (gradient_to_user_input, gradient_to_user_input_spec),
                   (user_input_mutation, user_input_mutation_spec), (token, output_token_spec),
                   (parameter_mutation, parameter_mutation_spec));

struct graph_signature {
  vector<input_spec> input_specs;
  vector<output_spec> output_specs;
  ESPALIER_PT2_STRUCT(graph_signature, 2, input_specs, output_specs);
};

/// Bounds of a symbol; no value is no bound.
struct range_constraint {
  optional<std::int64_t> min_val;
  optional<std::int64_t> max_val;
  ESPALIER_PT2_STRUCT(range_constraint, 2, min_val, max_val);
};

/// The calling convention of a submodule; the tree specs are JSON text of their own.
struct module_call_signature {
  vector<argument> inputs;
  vector<argument> outputs;
  std::string in_spec;
  std::string out_spec;
  optional<vector<std::string>> forward_arg_names{};
  ESPALIER_PT2_STRUCT(module_call_signature, 4, inputs, outputs, in_spec, out_spec, forward_arg_names);
};

struct module_call_entry {
  std::string fqn;
  optional<module_call_signature> signature{};
  ESPALIER_PT2_STRUCT(module_call_entry, 1, fqn, signature);
};

struct named_tuple_def {
  vector<std::string> field_names;
  ESPALIER_PT2_STRUCT(named_tuple_def, 1, field_names);
};

struct graph_module {
  pt2::graph graph;
  graph_signature signature;
  vector<module_call_entry> module_call_graph;
  dict<std::string> metadata{};
  dict<named_tuple_def> treespec_namedtuple_fields{};
  ESPALIER_PT2_STRUCT(graph_module, 3, graph, signature, module_call_graph, metadata,
                      treespec_namedtuple_fields);
};

struct schema_version {
  std::int64_t major = schema_major;
  std::int64_t minor = schema_minor;
  ESPALIER_PT2_STRUCT(schema_version, 2, major, minor);
};

/// The whole of `models/NAME.json`.
struct exported_program {
  pt2::graph_module graph_module;
  dict<std::int64_t> opset_version;
  dict<range_constraint> range_constraints;
  pt2::schema_version schema_version;
  vector<std::string> verifiers{};
  std::string torch_version = "<=2.4";
  vector<std::string> guards_code{};
  ESPALIER_PT2_STRUCT(exported_program, 4, graph_module, opset_version, range_constraints, schema_version,
                      verifiers, torch_version, guards_code);
};

/// Where a weight or constant lies in the archive, and how to make a tensor of it.
struct payload_meta {
  std::string path_name;
  bool is_param = false;
  bool use_pickle = false;
  optional<pt2::tensor_meta> tensor_meta;
  ESPALIER_PT2_STRUCT(payload_meta, 4, path_name, is_param, use_pickle, tensor_meta);
};

/// The whole of `data/weights/NAME_weights_config.json` and `data/constants/NAME_constants_config.json`.
struct payload_config {
  dict<payload_meta> config;
  ESPALIER_PT2_STRUCT(payload_config, 1, config);
};

} // namespace espalier::pt2
