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
#include <espalier/support/optional.hpp>
#include <espalier/support/vector.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

namespace espalier {

namespace detail {

/// A literal as `pt2::argument` or `pt2::constant_value` holds it.
template <class Union>
Union literal_as(const constant_value& v) {
  using tag = typename Union::tag;
  struct visitor {
    Union operator()(std::monostate) const { return Union::template make<tag::as_none>(true); }
    Union operator()(bool b) const { return Union::template make<tag::as_bool>(b); }
    Union operator()(std::int64_t i) const { return Union::template make<tag::as_int>(i); }
    Union operator()(double d) const { return Union::template make<tag::as_float>(d); }
    Union operator()(const std::string& s) const { return Union::template make<tag::as_string>(s); }
  };
  return std::visit(visitor{}, v);
}
/// A symbol by the name of its value.
template <pt2::argument::tag Tag>
pt2::argument symbol_as(const std::string& name) {
  using form = pt2::argument::alternative<Tag>;
  return pt2::argument::make<Tag>(form::template make<form::tag::as_name>(name));
}
/// A spec of one value by its name; for most kinds with the name of what it stands for, in the member
/// `target`.
template <class Union, typename Union::tag Tag, class Spec, class Target = std::nullptr_t>
Union spec_as(const Spec& from, Target target = nullptr) {
  typename Union::template alternative<Tag> x;
  x.arg.name = from.arg.name;
  if constexpr (!std::is_null_pointer_v<Target>)
    x.*target = from.target;
  return Union::template make<Tag>(std::move(x));
}

template <class = when_used>
pt2::argument to_pt2(const io_argument& o) {
  using a = pt2::argument;
  switch (o.form) {
  case io_form::sym_int:
    return symbol_as<a::tag::as_sym_int>(o.name);
  case io_form::sym_float:
    return symbol_as<a::tag::as_sym_float>(o.name);
  case io_form::sym_bool:
    return symbol_as<a::tag::as_sym_bool>(o.name);
  case io_form::constant:
    return literal_as<a>(o.value);
  case io_form::custom_object: {
    pt2::custom_obj_argument c;
    c.name = o.name;
    c.class_fqn = o.class_name;
    return a::make<a::tag::as_custom_obj>(std::move(c));
  }
  case io_form::tensor:
  case io_form::token:
    break;
  }
  pt2::tensor_argument t;
  t.name = o.name;
  return a::make<a::tag::as_tensor>(std::move(t));
}

template <class = when_used>
pt2::input_spec to_pt2(const input_spec& s) {
  using u = pt2::input_spec;
  switch (s.kind) {
  case input_kind::parameter:
    return spec_as<u, u::tag::parameter>(s, &pt2::input_to_parameter_spec::parameter_name);
  case input_kind::buffer: {
    auto x = spec_as<u, u::tag::buffer>(s, &pt2::input_to_buffer_spec::buffer_name);
    x.buffer().persistent = s.persistent;
    return x;
  }
  case input_kind::constant_tensor:
    return spec_as<u, u::tag::tensor_constant>(s, &pt2::input_to_tensor_constant_spec::tensor_constant_name);
  case input_kind::custom_obj: {
    auto x = spec_as<u, u::tag::custom_obj>(s, &pt2::input_to_custom_obj_spec::custom_obj_name);
    x.custom_obj().arg.class_fqn = s.arg.class_name;
    return x;
  }
  case input_kind::token:
    return spec_as<u, u::tag::token>(s);
  case input_kind::user_input:
    break;
  }
  if (s.arg.form == io_form::constant && !s.arg.name.empty()) {
    pt2::input_to_constant_input_spec x;
    x.name = s.arg.name;
    x.value = literal_as<pt2::constant_value>(s.arg.value);
    return u::make<u::tag::constant_input>(std::move(x));
  }
  pt2::user_input_spec x;
  x.arg = to_pt2(s.arg);
  return u::make<u::tag::user_input>(std::move(x));
}

template <class = when_used>
pt2::output_spec to_pt2(const output_spec& s) {
  using u = pt2::output_spec;
  switch (s.kind) {
  case output_kind::loss_output:
    return spec_as<u, u::tag::loss_output>(s);
  case output_kind::buffer_mutation:
    return spec_as<u, u::tag::buffer_mutation>(s, &pt2::buffer_mutation_spec::buffer_name);
  case output_kind::parameter_mutation:
    return spec_as<u, u::tag::parameter_mutation>(s, &pt2::parameter_mutation_spec::parameter_name);
  case output_kind::gradient_to_parameter:
    return spec_as<u, u::tag::gradient_to_parameter>(s, &pt2::gradient_to_parameter_spec::parameter_name);
  case output_kind::gradient_to_user_input:
    return spec_as<u, u::tag::gradient_to_user_input>(s, &pt2::gradient_to_user_input_spec::user_input_name);
  case output_kind::user_input_mutation:
    return spec_as<u, u::tag::user_input_mutation>(s, &pt2::user_input_mutation_spec::user_input_name);
  case output_kind::token:
    return spec_as<u, u::tag::token>(s);
  case output_kind::user_output:
    break;
  }
  pt2::user_output_spec x;
  x.arg = to_pt2(s.arg);
  return u::make<u::tag::user_output>(std::move(x));
}

/// The program's notes, which hang on the output node.
template <class = when_used>
void read_program_notes(const graph_storage& g, pt2::exported_program& p) {
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
template <class = when_used>
void assign_archive_names(graph_storage& g) {
  for (std::size_t i = 0; i != g.num_subgraphs(); ++i)
    assign_archive_names(g.subgraph(i));
  vector<value_id> unused;
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

} // namespace detail

/// What an archive says of a program. Values without a name get their canonical ones first (hence not
/// `const`). Throws `error` (unsupported) for what archives cannot hold.
template <class = when_used>
pt2::exported_program to_archive(graph_storage& graph, const program_info& info) {
  if (!all_named(graph))
    detail::assign_archive_names(graph);
  pt2::exported_program p;
  auto& m = p.graph_module;
  vector<optional<pt2::argument>> literals(info.signature.inputs.size());
  for (std::size_t i = 0; i != info.signature.inputs.size(); ++i) {
    const auto& s = info.signature.inputs[i];
    if (s.arg.form == io_form::constant)
      literals[i] = detail::literal_as<pt2::argument>(s.arg.value);
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
template <class = when_used>
pt2::exported_program to_archive(const graph_storage& graph, const program_info& info) {
  if (all_named(graph))
    return to_archive(const_cast<graph_storage&>(graph), info); // which then changes nothing
  graph_storage named = graph;
  return to_archive(named, info);
}

} // namespace espalier
