// SPDX-License-Identifier: BSL-1.0
// From the structs of an archive to a graph and the interface around it. Nothing is lost: what a graph has no
// place for becomes a note (archive/detail/notes.hpp), and `to_archive` gives back what was read.
#pragma once

#include <espalier/archive/detail/graph_reader.hpp>
#include <espalier/archive/detail/notes.hpp>
#include <espalier/archive/schema.hpp>
#include <espalier/archive/tree_spec_json.hpp>
#include <espalier/ir/storage.hpp>
#include <espalier/signature/signature.hpp>

#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace espalier {

/// A program as the ground floor holds it: no weights.
struct graph_and_info {
  graph_storage graph;
  program_info info;
};

namespace detail {

/// The literal of a `pt2::argument` or `pt2::constant_value`; false when it holds none.
template <class Union>
bool read_literal(const Union& u, constant_value& to) {
  using tag = typename Union::tag;
  switch (u.which()) {
  case tag::as_none:
    to = std::monostate{};
    return true;
  case tag::as_bool:
    to = u.as_bool();
    return true;
  case tag::as_int:
    to = u.as_int();
    return true;
  case tag::as_float:
    to = u.as_float();
    return true;
  case tag::as_string:
    to = u.as_string();
    return true;
  default:
    return false;
  }
}
/// A symbol by the name of its value; false when it is a number.
template <class Symbol>
bool read_symbol(const Symbol& s, io_form form, io_argument& to) {
  if (!s.is_as_name())
    return false;
  to.form = form;
  to.name = s.as_name();
  return true;
}

template <class = when_used>
io_argument io_of(const pt2::argument& a, std::string_view place) {
  using tag = pt2::argument::tag;
  io_argument o;
  bool known = true;
  switch (a.which()) {
  case tag::as_tensor:
    o.name = a.as_tensor().name;
    break;
  case tag::as_sym_int:
    known = read_symbol(a.as_sym_int(), io_form::sym_int, o);
    break;
  case tag::as_sym_float:
    known = read_symbol(a.as_sym_float(), io_form::sym_float, o);
    break;
  case tag::as_sym_bool:
    known = read_symbol(a.as_sym_bool(), io_form::sym_bool, o);
    break;
  case tag::as_custom_obj:
    o.form = io_form::custom_object;
    o.name = a.as_custom_obj().name;
    o.class_name = a.as_custom_obj().class_fqn;
    break;
  default:
    o.form = io_form::constant;
    known = read_literal(a, o.value);
  }
  if (known)
    return o;
  fail(error_kind::archive,
       "an input or output of the signature has the form '" + std::string(a.tag_name()) +
           "', which no signature holds",
       std::string(place), "update espalier if a newer torch wrote the file; else the file is damaged");
}

template <class = when_used>
input_spec spec_of(const pt2::input_spec& s, std::string_view place) {
  using tag = pt2::input_spec::tag;
  input_spec o;
  switch (s.which()) {
  case tag::user_input:
    o.arg = io_of(s.user_input().arg, place);
    return o;
  case tag::parameter:
    o.kind = input_kind::parameter;
    o.arg.name = s.parameter().arg.name;
    o.target = s.parameter().parameter_name;
    return o;
  case tag::buffer:
    o.kind = input_kind::buffer;
    o.arg.name = s.buffer().arg.name;
    o.target = s.buffer().buffer_name;
    o.persistent = s.buffer().persistent;
    return o;
  case tag::tensor_constant:
    o.kind = input_kind::constant_tensor;
    o.arg.name = s.tensor_constant().arg.name;
    o.target = s.tensor_constant().tensor_constant_name;
    return o;
  case tag::custom_obj:
    o.kind = input_kind::custom_obj;
    o.arg.form = io_form::custom_object;
    o.arg.name = s.custom_obj().arg.name;
    o.arg.class_name = s.custom_obj().arg.class_fqn;
    o.target = s.custom_obj().custom_obj_name;
    return o;
  case tag::token:
    o.kind = input_kind::token;
    o.arg.form = io_form::token;
    o.arg.name = s.token().arg.name;
    return o;
  case tag::constant_input: {
    const auto& c = s.constant_input();
    o.arg.form = io_form::constant;
    o.arg.name = c.name;
    if (read_literal(c.value, o.arg.value))
      return o;
    fail(error_kind::archive,
         "the constant input '" + c.name + "' has the unknown form '" + std::string(c.value.tag_name()) + "'",
         std::string(place), "update espalier");
  }
  default:
    fail(error_kind::archive, "an input spec has the unknown kind '" + std::string(s.tag_name()) + "'",
         std::string(place), "update espalier if a newer torch wrote the file");
  }
}

template <class = when_used>
output_spec spec_of(const pt2::output_spec& s, std::string_view place) {
  using tag = pt2::output_spec::tag;
  output_spec o;
  const auto set = [&o](output_kind k, const std::string& name, std::string_view target = {}) {
    o.kind = k;
    o.arg.name = name;
    o.target = target;
  };
  switch (s.which()) {
  case tag::user_output:
    o.arg = io_of(s.user_output().arg, place);
    break;
  case tag::loss_output:
    set(output_kind::loss_output, s.loss_output().arg.name);
    break;
  case tag::buffer_mutation:
    set(output_kind::buffer_mutation, s.buffer_mutation().arg.name, s.buffer_mutation().buffer_name);
    break;
  case tag::parameter_mutation:
    set(output_kind::parameter_mutation, s.parameter_mutation().arg.name,
        s.parameter_mutation().parameter_name);
    break;
  case tag::gradient_to_parameter:
    set(output_kind::gradient_to_parameter, s.gradient_to_parameter().arg.name,
        s.gradient_to_parameter().parameter_name);
    break;
  case tag::gradient_to_user_input:
    set(output_kind::gradient_to_user_input, s.gradient_to_user_input().arg.name,
        s.gradient_to_user_input().user_input_name);
    break;
  case tag::user_input_mutation:
    set(output_kind::user_input_mutation, s.user_input_mutation().arg.name,
        s.user_input_mutation().user_input_name);
    break;
  case tag::token:
    set(output_kind::token, s.token().arg.name);
    o.arg.form = io_form::token;
    break;
  default:
    fail(error_kind::archive, "an output spec has the unknown kind '" + std::string(s.tag_name()) + "'",
         std::string(place), "update espalier if a newer torch wrote the file");
  }
  return o;
}

} // namespace detail

/// The graph and the interface of what an archive says. Throws `error` (archive) when it contradicts itself:
/// a value used before it is computed, two values of one name, a signature that does not fit the graph.
template <class = when_used>
graph_and_info from_archive(const pt2::exported_program& p, std::string place = "model.json") {
  graph_and_info out;
  const auto& m = p.graph_module;
  detail::target_cache targets;
  detail::expression_cache expressions;
  detail::graph_reader(out.graph, m.graph, targets, expressions, place + ": graph")
      .read(&m.signature.input_specs);

  program_info& info = out.info;
  const std::string at = place + ": signature";
  for (const auto& s : m.signature.input_specs)
    info.signature.inputs.push_back(detail::spec_of(s, at));
  for (const auto& s : m.signature.output_specs)
    info.signature.outputs.push_back(detail::spec_of(s, at));
  for (const auto& r : p.range_constraints)
    info.ranges.push_back({r.key, r.value.min_val, r.value.max_val});
  for (const auto& e : m.module_call_graph) {
    module_call_entry entry;
    entry.fqn = e.fqn;
    if (e.signature) {
      const std::string where = place + ": module '" + e.fqn + "'";
      module_call_signature s;
      for (const auto& a : e.signature->inputs)
        s.inputs.push_back(detail::io_of(a, where));
      for (const auto& a : e.signature->outputs)
        s.outputs.push_back(detail::io_of(a, where));
      s.in_spec = parse_tree_spec(e.signature->in_spec, where + ": in_spec");
      s.out_spec = parse_tree_spec(e.signature->out_spec, where + ": out_spec");
      s.forward_arg_names = e.signature->forward_arg_names;
      entry.signature = std::move(s);
    }
    info.module_calls.push_back(std::move(entry));
  }
  info.guards_code = p.guards_code;
  for (const auto& o : p.opset_version)
    info.opset_version[o.key] = o.value;
  info.torch_version = p.torch_version;
  if (!p.verifiers.empty())
    info.verifier = p.verifiers.front();

  // the rest of the file's members hang on the output node
  auto& g = out.graph;
  const node_id output = g.output_node();
  const auto keep = [&](const pt2::extra_fields& extra, std::string_view path) {
    for (const auto& x : extra)
      g.set_origin(output, detail::note_key(detail::note::extra, std::string(path) + '#' + x.name), x.json);
  };
  for (const auto& e : m.metadata)
    g.set_origin(output, detail::note_key(detail::note::metadata, e.key), e.value);
  for (const auto& e : m.treespec_namedtuple_fields) {
    std::string fields;
    for (const auto& f : e.value.field_names)
      fields += (fields.empty() ? "" : ",") + f;
    g.set_origin(output, detail::note_key(detail::note::named_tuple, e.key), fields);
  }
  if (p.schema_version.major != pt2::schema_major || p.schema_version.minor != pt2::schema_minor)
    g.set_origin(output, detail::note::schema_version,
                 std::to_string(p.schema_version.major) + "." + std::to_string(p.schema_version.minor));
  for (std::size_t i = 1; i < p.verifiers.size(); ++i)
    g.set_origin(output, detail::note_key(detail::note::prefix, "verifier:" + std::to_string(i)),
                 p.verifiers[i]);
  keep(p.extra, "program");
  keep(m.extra, "graph_module");
  return out;
}

} // namespace espalier
