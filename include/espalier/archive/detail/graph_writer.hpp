// SPDX-License-Identifier: BSL-1.0
// Writes one graph in the structs of an archive, with the forms that Python's serializer chooses
// (`torch/_export/serde/serialize.py`: GraphModuleSerializer), and the notes of the reader where a file
// deviated.
#pragma once

#include <espalier/archive/detail/list_tags.hpp>
#include <espalier/archive/detail/meta_writer.hpp>
#include <espalier/archive/detail/notes.hpp>
#include <espalier/archive/detail/sym_text.hpp>
#include <espalier/archive/schema.hpp>
#include <espalier/ir/view.hpp>
#include <espalier/schema/builtin.hpp>
#include <espalier/schema/op_id.hpp>
#include <espalier/support/hash_map.hpp>
#include <espalier/support/optional.hpp>
#include <espalier/support/vector.hpp>

#include <bit>
#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace espalier::detail {

/// Targets as text, made once for each operator.
using target_texts = hash_map<std::uint32_t, std::string>;

template <class = when_used>
class graph_writer : meta_writer<> {
public:
  graph_writer(const graph_storage& g, pt2::graph& out, target_texts& targets)
      : meta_writer<>(g, out), targets_(targets) {
    key_args_ = g.find_string(note::args);
    key_tags_ = g.find_string(note::tags);
    key_results_ = g.find_string(note::results);
    key_target_ = g.find_string(note::target);
    key_hop_single_ = g.find_string(note::hop_single);
    key_no_name_ = g.find_string(note::no_name);
  }

  /// `literals[i]` is the constant that placeholder `i` of the top graph stands for, if any.
  void write(vector<optional<pt2::argument>> literals) {
    out_.nodes.reserve(g_.num_nodes());
    out_.tensor_values.entries.reserve(g_.num_nodes());
    std::size_t i = 0;
    for (node n : nodes(g_)) {
      switch (n.kind()) {
      case node_kind::placeholder:
        placeholder(n, i < literals.size() ? std::move(literals[i]) : std::nullopt);
        ++i;
        break;
      case node_kind::call_function:
      case node_kind::call_higher_order:
        call(n);
        break;
      case node_kind::output:
        output(n);
        break;
      case node_kind::get_attr:
        refuse(n, "a get_attr node cannot be written",
               "lift the attribute to an input first (a constant or a buffer)");
      case node_kind::erased:
        break;
      }
    }
    restore_entries();
  }

private:
  // -- nodes
  void placeholder(node n, optional<pt2::argument> literal) {
    using arg = pt2::argument;
    if (literal) {
      out_.inputs.push_back(std::move(*literal));
      return;
    }
    if (const auto text = g_.origin_text(n, note::literal); !text.empty()) {
      const auto rest = text.substr(1);
      switch (text[0]) {
      case 'i':
        out_.inputs.push_back(arg::make<arg::tag::as_int>(to_number(rest)));
        break;
      case 'b':
        out_.inputs.push_back(arg::make<arg::tag::as_bool>(rest == "1"));
        break;
      case 'f':
        out_.inputs.push_back(arg::make<arg::tag::as_float>(std::bit_cast<double>(to_number(rest))));
        break;
      case 's':
        out_.inputs.push_back(arg::make<arg::tag::as_string>(std::string(rest)));
        break;
      default:
        out_.inputs.push_back(arg::make<arg::tag::as_none>(true));
      }
      return;
    }
    out_.inputs.push_back(define(n.result()));
  }

  void output(node n) {
    const auto tags = g_.origin_text(n, note::tags);
    for (std::size_t i = 0; i != n.num_args(); ++i)
      out_.outputs.push_back(write(n, n.arg(i), nullptr, forced_tag(tags, i)));
  }

  const std::string& target_text(op_id o) {
    const auto [it, fresh] = targets_.try_emplace(o.index);
    if (fresh) {
      const auto name = name_of(o);
      it->second = name.find("::") == name.npos ? std::string(name) : serialized_target(o);
    }
    return it->second;
  }

  void call(node n) {
    pt2::node& out = out_.nodes.emplace_back();
    std::string_view args, tags, results, target, hop_single;
    bool has_args = false, no_name = false, has_hop_single = false;
    std::size_t metadata = 0;
    const origin* notes = g_.origin_of(n).valid() ? &g_.get_origin(g_.origin_of(n)) : nullptr;
    bool extras = false;
    if (notes)
      for (const auto& e : notes->entries) {
        if (e.key == key_args_)
          args = g_.text(e.text), has_args = true;
        else if (e.key == key_tags_)
          tags = g_.text(e.text);
        else if (e.key == key_results_)
          results = g_.text(e.text);
        else if (e.key == key_target_)
          target = g_.text(e.text);
        else if (e.key == key_hop_single_)
          hop_single = g_.text(e.text), has_hop_single = true;
        else if (e.key == key_no_name_)
          no_name = true;
        else if (g_.text(e.key).starts_with(note::extra))
          extras = true;
        else
          ++metadata;
      }
    const bool higher_order = n.kind() == node_kind::call_higher_order;
    out.target = target.empty() ? target_text(n.op()) : std::string(target);
    inputs(n, out, has_args, args, tags, higher_order);
    outputs(n, out, results);
    out.metadata.entries.reserve(metadata);
    if (metadata)
      for (const auto& e : notes->entries)
        if (const auto key = g_.text(e.key); !key.starts_with(note::prefix))
          out.metadata.add(std::string(key), std::string(g_.text(e.text)));
    if (has_hop_single) {
      if (hop_single != "null")
        out.is_hop_single_tensor_return = hop_single == "true";
    } else if (higher_order)
      out.is_hop_single_tensor_return = false;
    if (!no_name)
      out.name = std::string(n.name().empty() && n.num_results() ? n.result().name() : n.name());
    if (extras)
      for (const auto& e : notes->entries) {
        const auto key = g_.text(e.key);
        if (!key.starts_with(note::extra))
          continue;
        auto path = key.substr(note::extra.size());
        const auto where = next_item(path, '#');
        if (where.empty())
          out.extra.add(std::string(path), std::string(g_.text(e.text)));
        else if (where.starts_with("inputs/")) {
          const auto i = static_cast<std::size_t>(to_number(where.substr(7)));
          if (i < out.inputs.size())
            out.inputs[i].extra.add(std::string(path), std::string(g_.text(e.text)));
        }
      }
  }

  void input(node n, pt2::node& out, std::size_t i, std::string_view name, optional<pt2::argument_kind> kind,
             const arg_type* type, std::string_view tags) {
    pt2::named_argument& a = out.inputs.emplace_back();
    a.name = std::string(name);
    a.kind = kind;
    a.arg = write(n, n.arg(i), type, forced_tag(tags, i));
  }
  void inputs(node n, pt2::node& out, bool noted, std::string_view names, std::string_view tags,
              bool higher_order) {
    const op_schema* schema = higher_order ? nullptr : schema_of(n.op());
    const std::size_t count = n.num_args();
    out.inputs.reserve(count);
    using kind = pt2::argument_kind;
    if (!noted) {
      bool gap = false;
      for (std::size_t i = 0; i != count; ++i) {
        if (n.arg(i).form() == arg_form::absent) {
          gap = true;
          continue;
        }
        if (!schema || i >= schema->args.size()) {
          input(n, out, i, {}, kind::positional, nullptr, tags);
          continue;
        }
        const auto& formal = schema->args[i];
        // Python fills positions in the order of the file: behind a gap only names are safe
        input(n, out, i, formal.name, formal.kwarg_only || gap ? kind::keyword : kind::positional,
              &formal.type, tags);
      }
      return;
    }
    vector<bool> done(count, false);
    std::size_t position = 0, beyond = schema ? schema->args.size() : 0;
    while (!names.empty()) {
      auto name = next_item(names);
      const auto colon = name.rfind(':');
      const auto how = name.substr(colon + 1);
      name = name.substr(0, colon);
      std::size_t i = position++;
      const arg_type* type = nullptr;
      if (schema) {
        for (i = 0; i != schema->args.size() && schema->args[i].name != name;)
          ++i;
        if (i == schema->args.size())
          i = beyond++;
        else
          type = &schema->args[i].type;
      }
      if (i >= count || n.arg(i).form() == arg_form::absent)
        continue;
      done[i] = true;
      input(n, out, i, name, how == "-" ? std::nullopt : optional(static_cast<kind>(to_number(how))), type,
            tags);
    }
    for (std::size_t i = 0; i != count; ++i) // what a pass has added since
      if (!done[i] && n.arg(i).form() != arg_form::absent) {
        if (schema && i < schema->args.size())
          input(n, out, i, schema->args[i].name, kind::keyword, &schema->args[i].type, tags);
        else
          input(n, out, i, {}, kind::positional, nullptr, tags);
      }
  }

  void outputs(node n, pt2::node& out, std::string_view layout) {
    using arg = pt2::argument;
    const auto list = [&](std::size_t first, std::size_t count) {
      vector<pt2::tensor_argument> items;
      items.reserve(count);
      for (std::size_t i = first; i != first + count; ++i) {
        define(n.result(i));
        items.push_back(tensor_named(n.result(i).name()));
      }
      out.outputs.push_back(arg::make<arg::tag::as_tensors>(std::move(items)));
    };
    if (n.returns_list())
      return list(0, n.num_results());
    if (layout.empty()) {
      out.outputs.reserve(n.num_results());
      for (std::size_t i = 0; i != n.num_results(); ++i)
        out.outputs.push_back(define(n.result(i)));
      return;
    }
    std::size_t at = 0;
    while (!layout.empty()) {
      const auto item = next_item(layout);
      const std::size_t count = item[0] == 'L' ? static_cast<std::size_t>(to_number(item.substr(1))) : 1;
      if (at + count > n.num_results())
        break;
      if (item[0] == 'L')
        list(at, count);
      else
        out.outputs.push_back(define(n.result(at)));
      at += count;
    }
  }

  // -- arguments
  static std::string_view forced_tag(std::string_view tags, std::size_t i) {
    while (!tags.empty()) {
      auto item = next_item(tags);
      if (static_cast<std::size_t>(to_number(next_item(item, ':'))) == i)
        return item;
    }
    return {};
  }
  static pt2::argument::tag tag_of(std::string_view name) {
    using arg = pt2::argument;
    for (std::size_t i = 1; i != std::size(arg::tag_names); ++i)
      if (arg::tag_names[i] == name)
        return static_cast<arg::tag>(i);
    return arg::tag::unknown;
  }
  std::string name_in(arg_view a) const { return std::string(name_of_value(a.as_value())); }

  pt2::argument write(node n, arg_view a, const arg_type* type, std::string_view forced) {
    using arg = pt2::argument;
    using tag = arg::tag;
    const tag want = forced.empty() ? tag::unknown : tag_of(forced);
    switch (a.form()) {
    case arg_form::absent:
    case arg_form::none:
      if (want == tag::as_optional_tensor)
        return arg::make<tag::as_optional_tensor>(
            pt2::optional_tensor_argument::make<pt2::optional_tensor_argument::tag::as_none>(true));
      return arg::make<tag::as_none>(true);
    case arg_form::value:
      return of_value(a.as_value(), want);
    case arg_form::integer:
      if (want == tag::as_sym_int)
        return arg::make<tag::as_sym_int>(
            pt2::sym_int_argument::make<pt2::sym_int_argument::tag::as_int>(a.as_int()));
      return arg::make<tag::as_int>(a.as_int());
    case arg_form::floating:
      if (want == tag::as_sym_float)
        return arg::make<tag::as_sym_float>(
            pt2::sym_float_argument::make<pt2::sym_float_argument::tag::as_float>(a.as_double()));
      return arg::make<tag::as_float>(a.as_double());
    case arg_form::boolean:
      if (want == tag::as_sym_bool)
        return arg::make<tag::as_sym_bool>(
            pt2::sym_bool_argument::make<pt2::sym_bool_argument::tag::as_bool>(a.as_bool()));
      return arg::make<tag::as_bool>(a.as_bool());
    case arg_form::complex: {
      pt2::complex_value c;
      c.real = a[0].as_double();
      c.imag = a[1].as_double();
      return arg::make<tag::as_complex>(std::move(c));
    }
    case arg_form::string:
      if (want == tag::as_operator)
        return arg::make<tag::as_operator>(std::string(a.as_string()));
      return arg::make<tag::as_string>(std::string(a.as_string()));
    case arg_form::scalar_type: {
      const auto t = map_to(scalar_type_map, a.as_dtype());
      if (!t)
        refuse(n, "the archive has no number for the element type of an argument",
               "use another element type");
      return arg::make<tag::as_scalar_type>(*t);
    }
    case arg_form::layout: {
      const auto t = map_to(layout_map, a.as_layout());
      if (!t)
        refuse(n, "the archive has no number for the layout of an argument", "use another layout");
      return arg::make<tag::as_layout>(*t);
    }
    case arg_form::memory_format:
      return arg::make<tag::as_memory_format>(
          map_to(memory_format_map, a.as_memory_format()).value_or(pt2::memory_format::unknown));
    case arg_form::device:
      return arg::make<tag::as_device>(to_pt2(a.as_device()));
    case arg_form::symbolic:
      refuse(n,
             "an argument is the expression " + sym_text(a.as_sym_int().as_expr()) +
                 ", which no node computes, and archives hold values only",
             "run the pass that computes sizes by nodes before saving");
    case arg_form::list:
      return list(n, a, type, want);
    case arg_form::dict: {
      pt2::dict<arg> d;
      for (std::size_t i = 0; i + 1 < a.size(); i += 2)
        d.add(std::string(a[i].as_string()), write(n, a[i + 1], nullptr, {}));
      return arg::make<tag::as_string_to_argument>(std::move(d));
    }
    case arg_form::subgraph: {
      pt2::graph_argument s;
      s.name = std::string(g_.text(g_.subgraph_name(a.as_subgraph())));
      graph_writer(a.subgraph(), *s.graph, targets_).write({});
      return arg::make<tag::as_graph>(std::move(s));
    }
    case arg_form::op:
      return arg::make<tag::as_operator>(target_text(a.as_op()));
    case arg_form::opaque: {
      auto text = a.as_opaque();
      const auto name = next_item(text, '\n');
      return arg::make<tag::unknown>(pt2::raw_member{std::string(name), std::string(text)});
    }
    }
    return arg::make<tag::as_none>(true);
  }

  pt2::argument of_value(value v, pt2::argument::tag want) {
    using arg = pt2::argument;
    using tag = arg::tag;
    std::string name(name_of_value(v));
    const auto& m = v.meta();
    if (want == tag::unknown) {
      switch (m.kind) {
      case value_kind::sym_int:
        want = tag::as_sym_int;
        break;
      case value_kind::sym_float:
        want = tag::as_sym_float;
        break;
      case value_kind::sym_bool:
        want = tag::as_sym_bool;
        break;
      case value_kind::custom_object:
        want = tag::as_custom_obj;
        break;
      default:
        break;
      }
    }
    switch (want) {
    case tag::as_sym_int:
      return arg::make<tag::as_sym_int>(
          pt2::sym_int_argument::make<pt2::sym_int_argument::tag::as_name>(std::move(name)));
    case tag::as_sym_float:
      return arg::make<tag::as_sym_float>(
          pt2::sym_float_argument::make<pt2::sym_float_argument::tag::as_name>(std::move(name)));
    case tag::as_sym_bool:
      return arg::make<tag::as_sym_bool>(
          pt2::sym_bool_argument::make<pt2::sym_bool_argument::tag::as_name>(std::move(name)));
    case tag::as_custom_obj: {
      pt2::custom_obj_argument c;
      c.name = std::move(name);
      if (m.kind == value_kind::custom_object)
        c.class_fqn = std::string(g_.text(m.text));
      return arg::make<tag::as_custom_obj>(std::move(c));
    }
    case tag::as_optional_tensor:
      return arg::make<tag::as_optional_tensor>(
          pt2::optional_tensor_argument::make<pt2::optional_tensor_argument::tag::as_tensor>(
              tensor_named(name)));
    default:
      return arg::make<tag::as_tensor>(tensor_named(name));
    }
  }

  pt2::argument list(node n, arg_view a, const arg_type* type, pt2::argument::tag want) {
    using arg = pt2::argument;
    using tag = arg::tag;
    if (want == tag::unknown)
      want = list_tag(held_items{a}, type);
    const auto each = [&](auto&& make) {
      vector<std::decay_t<decltype(make(a))>> out;
      out.reserve(a.size());
      for (std::size_t i = 0; i != a.size(); ++i)
        out.push_back(make(a[i]));
      return out;
    };
    const auto row = [](arg_view list, auto&& make) {
      vector<std::decay_t<decltype(make(list))>> out;
      for (std::size_t i = 0; i != list.size(); ++i)
        out.push_back(make(list[i]));
      return out;
    };
    const auto tensor_item = [&](arg_view x) { return tensor_named(name_of_value(x.as_value())); };
    switch (want) {
    case tag::as_bools:
      return arg::make<tag::as_bools>(each([](arg_view x) { return x.as_bool(); }));
    case tag::as_ints:
      return arg::make<tag::as_ints>(each([](arg_view x) { return x.as_int(); }));
    case tag::as_floats:
      return arg::make<tag::as_floats>(each([](arg_view x) { return x.as_double(); }));
    case tag::as_strings:
      return arg::make<tag::as_strings>(each([](arg_view x) { return std::string(x.as_string()); }));
    case tag::as_tensors:
      return arg::make<tag::as_tensors>(each(tensor_item));
    case tag::as_sym_ints:
      return arg::make<tag::as_sym_ints>(each([&](arg_view x) {
        using s = pt2::sym_int_argument;
        return x.is_value() ? s::make<s::tag::as_name>(name_in(x)) : s::make<s::tag::as_int>(x.as_int());
      }));
    case tag::as_sym_floats:
      return arg::make<tag::as_sym_floats>(each([&](arg_view x) {
        using s = pt2::sym_float_argument;
        return x.is_value() ? s::make<s::tag::as_name>(name_in(x)) : s::make<s::tag::as_float>(x.as_double());
      }));
    case tag::as_sym_bools:
      return arg::make<tag::as_sym_bools>(each([&](arg_view x) {
        using s = pt2::sym_bool_argument;
        return x.is_value() ? s::make<s::tag::as_name>(name_in(x)) : s::make<s::tag::as_bool>(x.as_bool());
      }));
    case tag::as_optional_tensors:
      return arg::make<tag::as_optional_tensors>(each([&](arg_view x) {
        using s = pt2::optional_tensor_argument;
        return x.is_value() ? s::make<s::tag::as_tensor>(tensor_item(x)) : s::make<s::tag::as_none>(true);
      }));
    case tag::as_nested_tensors:
      return arg::make<tag::as_nested_tensors>(each([&](arg_view x) { return row(x, tensor_item); }));
    case tag::as_int_lists:
      return arg::make<tag::as_int_lists>(
          each([&](arg_view x) { return row(x, [](arg_view y) { return y.as_int(); }); }));
    case tag::as_float_lists:
      return arg::make<tag::as_float_lists>(
          each([&](arg_view x) { return row(x, [](arg_view y) { return y.as_double(); }); }));
    case tag::as_custom_obj: {
      pt2::custom_obj_argument c;
      c.name = std::string(a[0].as_string());
      c.class_fqn = std::string(a[1].as_string());
      return arg::make<tag::as_custom_obj>(std::move(c));
    }
    default:
      refuse(n, "a list mixes elements that no form of the archive holds together",
             "split the list, or compute the odd element by a node");
    }
  }

  target_texts& targets_;
  str_id key_args_, key_tags_, key_results_, key_target_, key_hop_single_, key_no_name_;
};

} // namespace espalier::detail
