// SPDX-License-Identifier: BSL-1.0
// From a graph and its interface to the structs of an archive, as Python's exporter would have written them;
// a program that was read from a file comes out as it went in, but for what passes have changed.
#pragma once

#include <espalier/archive/detail/graph_writer.hpp>
#include <espalier/archive/detail/notes.hpp>
#include <espalier/archive/schema.hpp>
#include <espalier/archive/tree_spec_json.hpp>
#include <espalier/ir/naming.hpp>
#include <espalier/ir/storage.hpp>
#include <espalier/signature/signature.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace espalier {

namespace detail {

inline pt2::argument literal_of(const constant_value& v) {
  using a = pt2::argument;
  struct visitor {
    a operator()(std::monostate) const { return a::make<a::tag::as_none>(true); }
    a operator()(bool b) const { return a::make<a::tag::as_bool>(b); }
    a operator()(std::int64_t i) const { return a::make<a::tag::as_int>(i); }
    a operator()(double d) const { return a::make<a::tag::as_float>(d); }
    a operator()(const std::string& s) const { return a::make<a::tag::as_string>(s); }
  };
  return std::visit(visitor{}, v);
}
inline pt2::constant_value constant_of(const constant_value& v) {
  using c = pt2::constant_value;
  struct visitor {
    c operator()(std::monostate) const { return c::make<c::tag::as_none>(true); }
    c operator()(bool b) const { return c::make<c::tag::as_bool>(b); }
    c operator()(std::int64_t i) const { return c::make<c::tag::as_int>(i); }
    c operator()(double d) const { return c::make<c::tag::as_float>(d); }
    c operator()(const std::string& s) const { return c::make<c::tag::as_string>(s); }
  };
  return std::visit(visitor{}, v);
}

inline pt2::argument to_pt2(const io_argument& o) {
  using a = pt2::argument;
  switch (o.form) {
  case io_form::sym_int:
    return a::make<a::tag::as_sym_int>(
        pt2::sym_int_argument::make<pt2::sym_int_argument::tag::as_name>(o.name));
  case io_form::sym_float:
    return a::make<a::tag::as_sym_float>(
        pt2::sym_float_argument::make<pt2::sym_float_argument::tag::as_name>(o.name));
  case io_form::sym_bool:
    return a::make<a::tag::as_sym_bool>(
        pt2::sym_bool_argument::make<pt2::sym_bool_argument::tag::as_name>(o.name));
  case io_form::custom_object: {
    pt2::custom_obj_argument c;
    c.name = o.name;
    c.class_fqn = o.class_name;
    return a::make<a::tag::as_custom_obj>(std::move(c));
  }
  case io_form::constant:
    return literal_of(o.value);
  case io_form::tensor:
  case io_form::token:
    break;
  }
  pt2::tensor_argument t;
  t.name = o.name;
  return a::make<a::tag::as_tensor>(std::move(t));
}

inline pt2::input_spec to_pt2(const input_spec& s) {
  using u = pt2::input_spec;
  switch (s.kind) {
  case input_kind::parameter: {
    pt2::input_to_parameter_spec x;
    x.arg.name = s.arg.name;
    x.parameter_name = s.target;
    return u::make<u::tag::parameter>(std::move(x));
  }
  case input_kind::buffer: {
    pt2::input_to_buffer_spec x;
    x.arg.name = s.arg.name;
    x.buffer_name = s.target;
    x.persistent = s.persistent;
    return u::make<u::tag::buffer>(std::move(x));
  }
  case input_kind::constant_tensor: {
    pt2::input_to_tensor_constant_spec x;
    x.arg.name = s.arg.name;
    x.tensor_constant_name = s.target;
    return u::make<u::tag::tensor_constant>(std::move(x));
  }
  case input_kind::custom_obj: {
    pt2::input_to_custom_obj_spec x;
    x.arg.name = s.arg.name;
    x.arg.class_fqn = s.arg.class_name;
    x.custom_obj_name = s.target;
    return u::make<u::tag::custom_obj>(std::move(x));
  }
  case input_kind::token: {
    pt2::input_token_spec x;
    x.arg.name = s.arg.name;
    return u::make<u::tag::token>(std::move(x));
  }
  case input_kind::user_input:
    break;
  }
  if (s.arg.form == io_form::constant && !s.arg.name.empty()) {
    pt2::input_to_constant_input_spec x;
    x.name = s.arg.name;
    x.value = constant_of(s.arg.value);
    return u::make<u::tag::constant_input>(std::move(x));
  }
  pt2::user_input_spec x;
  x.arg = to_pt2(s.arg);
  return u::make<u::tag::user_input>(std::move(x));
}

inline pt2::output_spec to_pt2(const output_spec& s) {
  using u = pt2::output_spec;
  switch (s.kind) {
  case output_kind::loss_output: {
    pt2::loss_output_spec x;
    x.arg.name = s.arg.name;
    return u::make<u::tag::loss_output>(std::move(x));
  }
  case output_kind::buffer_mutation: {
    pt2::buffer_mutation_spec x;
    x.arg.name = s.arg.name;
    x.buffer_name = s.target;
    return u::make<u::tag::buffer_mutation>(std::move(x));
  }
  case output_kind::parameter_mutation: {
    pt2::parameter_mutation_spec x;
    x.arg.name = s.arg.name;
    x.parameter_name = s.target;
    return u::make<u::tag::parameter_mutation>(std::move(x));
  }
  case output_kind::gradient_to_parameter: {
    pt2::gradient_to_parameter_spec x;
    x.arg.name = s.arg.name;
    x.parameter_name = s.target;
    return u::make<u::tag::gradient_to_parameter>(std::move(x));
  }
  case output_kind::gradient_to_user_input: {
    pt2::gradient_to_user_input_spec x;
    x.arg.name = s.arg.name;
    x.user_input_name = s.target;
    return u::make<u::tag::gradient_to_user_input>(std::move(x));
  }
  case output_kind::user_input_mutation: {
    pt2::user_input_mutation_spec x;
    x.arg.name = s.arg.name;
    x.user_input_name = s.target;
    return u::make<u::tag::user_input_mutation>(std::move(x));
  }
  case output_kind::token: {
    pt2::output_token_spec x;
    x.arg.name = s.arg.name;
    return u::make<u::tag::token>(std::move(x));
  }
  case output_kind::user_output:
    break;
  }
  pt2::user_output_spec x;
  x.arg = to_pt2(s.arg);
  return u::make<u::tag::user_output>(std::move(x));
}

/// The program's notes, which hang on the output node.
inline void read_program_notes(const graph_storage& g, pt2::exported_program& p) {
  const node_id o = g.output_node();
  if (!o.valid() || !g.origin_of(o).valid())
    return;
  for (const auto& e : g.get_origin(g.origin_of(o)).entries) {
    const auto key = g.text(e.key), text = g.text(e.text);
    if (key.starts_with(note::metadata))
      p.graph_module.metadata.add(std::string(key.substr(note::metadata.size())), std::string(text));
    else if (key.starts_with(note::named_tuple)) {
      pt2::named_tuple_def def;
      for (auto rest = text; !rest.empty();)
        def.field_names.emplace_back(next_item(rest));
      p.graph_module.treespec_namedtuple_fields.add(std::string(key.substr(note::named_tuple.size())),
                                                    std::move(def));
    } else if (key == note::schema_version) {
      auto rest = text;
      p.schema_version.major = to_number(next_item(rest, '.'));
      p.schema_version.minor = to_number(rest);
    } else if (key.starts_with("espalier.verifier:"))
      p.verifiers.emplace_back(text);
    else if (key.starts_with(note::extra)) {
      auto path = key.substr(note::extra.size());
      const auto where = next_item(path, '#');
      if (where == "program")
        p.extra.add(std::string(path), std::string(text));
      if (where == "graph_module")
        p.graph_module.extra.add(std::string(path), std::string(text));
    }
  }
}

/// Names for what has none: as `assign_names`, but unused results of calls with several are named as Python's
/// serializer names them (`max_1_unused_0`), since no `getitem` takes them.
inline void assign_archive_names(graph_storage& g) {
  for (std::size_t i = 0; i != g.num_subgraphs(); ++i)
    assign_archive_names(g.subgraph(i));
  std::vector<value_id> unused;
  for (node n : nodes(g)) {
    if (n.num_results() < 2 && !n.returns_list())
      continue;
    for (std::size_t r = 0; r != n.num_results(); ++r)
      if (const value v = n.result(r); v.name().empty() && !v.has_uses()) {
        g.set_value_name(v.id(), "_unused"); // taken for now, so that no `getitem` is counted for it
        unused.push_back(v.id());
      }
  }
  assign_names(g);
  for (const value_id v : unused)
    g.set_value_name(v, std::string(g.text(g.node_name(g.def(v)))) + "_unused_" +
                            std::to_string(g.result_index(v)));
}
inline bool every_node_named(const graph_storage& g) {
  for (node n : nodes(g)) {
    if (n.name().empty())
      return false;
    for (std::size_t r = 0; r != n.num_results(); ++r)
      if (n.result(r).name().empty())
        return false;
  }
  for (std::size_t i = 0; i != g.num_subgraphs(); ++i)
    if (!every_node_named(g.subgraph(i)))
      return false;
  return true;
}

} // namespace detail

/// What an archive says of a program. Values without a name get their canonical ones first (hence not
/// `const`). Throws `error` (unsupported) for what archives cannot hold. About 1 us a node.
inline pt2::exported_program to_archive(graph_storage& graph, const program_info& info) {
  if (!detail::every_node_named(graph))
    detail::assign_archive_names(graph);
  pt2::exported_program p;
  auto& m = p.graph_module;
  std::vector<std::optional<pt2::argument>> literals(info.signature.inputs.size());
  for (std::size_t i = 0; i != info.signature.inputs.size(); ++i) {
    const auto& s = info.signature.inputs[i];
    if (s.arg.form == io_form::constant)
      literals[i] = detail::literal_of(s.arg.value);
    m.signature.input_specs.push_back(detail::to_pt2(s));
  }
  for (const auto& s : info.signature.outputs)
    m.signature.output_specs.push_back(detail::to_pt2(s));
  detail::target_texts targets;
  detail::graph_writer(graph, m.graph, targets).write(std::move(literals));

  for (const auto& r : info.ranges) {
    pt2::range_constraint c;
    c.min_val = r.min;
    c.max_val = r.max;
    p.range_constraints.add(r.symbol, std::move(c));
  }
  for (const auto& e : info.module_calls) {
    pt2::module_call_entry entry;
    entry.fqn = e.fqn;
    if (e.signature) {
      pt2::module_call_signature s;
      for (const auto& a : e.signature->inputs)
        s.inputs.push_back(detail::to_pt2(a));
      for (const auto& a : e.signature->outputs)
        s.outputs.push_back(detail::to_pt2(a));
      s.in_spec = to_json(e.signature->in_spec);
      s.out_spec = to_json(e.signature->out_spec);
      s.forward_arg_names = e.signature->forward_arg_names;
      entry.signature = std::move(s);
    }
    m.module_call_graph.push_back(std::move(entry));
  }
  p.guards_code = info.guards_code;
  for (const auto& [ns, version] : info.opset_version)
    p.opset_version.add(ns, version);
  if (!info.torch_version.empty())
    p.torch_version = info.torch_version;
  if (!info.verifier.empty())
    p.verifiers.push_back(info.verifier);
  detail::read_program_notes(graph, p);
  return p;
}

/// The same for a graph that must not change: it is copied when something in it has no name.
inline pt2::exported_program to_archive(const graph_storage& graph, const program_info& info) {
  if (detail::every_node_named(graph))
    return to_archive(const_cast<graph_storage&>(graph), info); // which then changes nothing
  graph_storage named = graph;
  return to_archive(named, info);
}

} // namespace espalier
