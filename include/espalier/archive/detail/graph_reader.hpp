// SPDX-License-Identifier: BSL-1.0
// From the structs of an archive to a graph and the interface around it. Nothing is lost: what a graph has no
// place for becomes a note (archive/detail/notes.hpp), and `to_archive` gives back what was read. Calls with
// several results are one node here as in the file; Python's `getitem` nodes exist in neither.
#pragma once

#include <espalier/archive/detail/argument_reader.hpp>
#include <espalier/archive/detail/notes.hpp>
#include <espalier/archive/detail/sym_text.hpp>
#include <espalier/archive/schema.hpp>
#include <espalier/ir/storage.hpp>
#include <espalier/schema/builtin.hpp>
#include <espalier/schema/op_id.hpp>
#include <espalier/support/hash_map.hpp>
#include <espalier/support/optional.hpp>
#include <espalier/support/span.hpp>
#include <espalier/support/vector.hpp>

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace espalier {

namespace detail {

/// What is looked up once for each target of a file.
struct target_info {
  op_id op;
  const op_schema* schema = nullptr;
  bool higher_order = false;
  bool plain = true; ///< the id gives the target back
};
using target_cache = hash_map<std::string_view, target_info>;

/// Text of a file that usually repeats from one node to the next: comparing is cheaper than hashing.
struct text_memo {
  std::string_view text;
  str_id id{};
  str_id intern(graph_storage& g, std::string_view s) {
    if (id.valid() && s == text)
      return id;
    text = s;
    return id = g.intern(s);
  }
};

/// Reads one graph of a file.
template <class = when_used>
class graph_reader final : argument_reader<> {
public:
  graph_reader(graph_storage& g, const pt2::graph& src, target_cache& targets, expression_cache& expressions,
               std::string place)
      : argument_reader<>(g, expressions, std::move(place)), src_(src), targets_(targets) {}

  /// `inputs` are the input specs of the top graph; null for a subgraph.
  void read(const vector<pt2::input_spec>* inputs) {
    g_.reserve(src_.inputs.size() + src_.nodes.size() + 1, (src_.nodes.size() + 1) * 4);
    if (inputs && inputs->size() != src_.inputs.size())
      refuse("the signature lists " + std::to_string(inputs->size()) + " inputs, but the graph has " +
             std::to_string(src_.inputs.size()));
    for (std::size_t i = 0; i != src_.inputs.size(); ++i)
      placeholder(src_.inputs[i], inputs ? &(*inputs)[i] : nullptr, i);
    for (const auto& n : src_.nodes)
      node(n);
    output();
  }

private:
  // -- values
  void define(value_id v, std::string_view name) {
    const str_id s = g_.value_name(v);
    if (by_name_.size() <= s.index)
      by_name_.resize(s.index + s.index / 2 + 16);
    if (by_name_[s.index].valid())
      refuse("two values are named '" + std::string(name) + "'");
    by_name_[s.index] = v;
  }

  /// The name and meta of an input or result; false for None and for literals.
  bool describe(const pt2::argument& a, std::string_view& name, meta_id& m) {
    const bool value = look_up(a, name, m);
    if (value && name.empty())
      refuse_nameless();
    return value;
  }
  [[noreturn]] ESPALIER_COLD void refuse_nameless() const { refuse("a value has an empty name"); }
  bool look_up(const pt2::argument& a, std::string_view& name, meta_id& m) {
    using tag = pt2::argument::tag;
    switch (a.which()) {
    case tag::as_tensor:
      name = a.as_tensor().name;
      if (auto* t = tensors_.find(name))
        m = tensor(*t, name);
      return true;
    case tag::as_sym_int:
      if (!a.as_sym_int().is_as_name())
        return false;
      name = a.as_sym_int().as_name();
      if (auto* s = sym_ints_.find(name))
        m = symbolic(*s, name);
      else
        m = g_.intern_meta(value_meta::of(value_kind::sym_int));
      return true;
    case tag::as_sym_float:
      if (!a.as_sym_float().is_as_name())
        return false;
      name = a.as_sym_float().as_name();
      if (auto* s = sym_floats_.find(name))
        m = symbolic(*s, name);
      else
        m = g_.intern_meta(value_meta::of(value_kind::sym_float));
      return true;
    case tag::as_sym_bool:
      if (!a.as_sym_bool().is_as_name())
        return false;
      name = a.as_sym_bool().as_name();
      if (auto* s = sym_bools_.find(name))
        m = symbolic(*s, name);
      else
        m = g_.intern_meta(value_meta::of(value_kind::sym_bool));
      return true;
    case tag::as_custom_obj:
      name = a.as_custom_obj().name;
      m = custom(a.as_custom_obj(), name);
      if (auto* c = customs_.find(name)) {
        m = custom(*c, name);
        if (!c->extra.empty())
          keep_entry("custom_obj_values", name, *c);
      }
      return true;
    default:
      return false;
    }
  }

  // -- nodes
  void placeholder(const pt2::argument& a, const pt2::input_spec* spec, std::size_t i) {
    input_kind kind = input_kind::user_input;
    using tag = pt2::input_spec::tag;
    std::string_view literal_name;
    if (spec)
      switch (spec->which()) {
      case tag::user_input:
        break;
      case tag::parameter:
        kind = input_kind::parameter;
        break;
      case tag::buffer:
        kind = input_kind::buffer;
        break;
      case tag::tensor_constant:
        kind = input_kind::constant_tensor;
        break;
      case tag::custom_obj:
        kind = input_kind::custom_obj;
        break;
      case tag::token:
        kind = input_kind::token;
        break;
      case tag::constant_input:
        literal_name = spec->constant_input().name;
        break;
      default:
        refuse("input " + std::to_string(i) + " has the unknown kind '" + std::string(spec->tag_name()) +
               "'");
      }
    std::string_view name;
    meta_id m;
    const bool named = describe(a, name, m);
    if (!named) {
      name = literal_name;
      value_meta v = value_meta::of(value_kind::none); // None, and what no other kind holds: a string
      if (a.is_as_int())
        v = value_meta::of(value_kind::sym_int, a.as_int());
      if (a.is_as_bool())
        v = value_meta::of(value_kind::sym_bool, a.as_bool() ? 1 : 0);
      if (a.is_as_float()) {
        v.kind = value_kind::sym_float;
        v.has_hint = true;
        v.hint = std::bit_cast<std::int64_t>(a.as_float());
      }
      m = g_.intern_meta(v);
    }
    if (kind == input_kind::token && !m.valid())
      m = g_.intern_meta(value_meta::of(value_kind::token));
    const node_id n = g_.placeholder(kind, name, m);
    if (!name.empty())
      define(g_.result(n), name);
    if (!named && literal_name.empty())
      literal(n, a);
  }
  /// A constant input of a subgraph, which has no spec that would keep it.
  void literal(node_id n, const pt2::argument& a) {
    using tag = pt2::argument::tag;
    std::string text;
    switch (a.which()) {
    case tag::as_none:
      text = "n";
      break;
    case tag::as_int:
      text = "i" + std::to_string(a.as_int());
      break;
    case tag::as_bool:
      text = a.as_bool() ? "b1" : "b0";
      break;
    case tag::as_float:
      text = "f" + std::to_string(std::bit_cast<std::int64_t>(a.as_float()));
      break;
    case tag::as_string:
      text = "s" + a.as_string();
      break;
    default:
      refuse("a graph input has the form '" + std::string(a.tag_name()) +
             "', which is neither a value nor a literal");
    }
    g_.set_origin(n, note::literal, text);
  }

  target_info target(const std::string& t) {
    if (last_target_.first == t && !t.empty())
      return last_target_.second;
    auto it = targets_.find(t);
    if (it == targets_.end()) {
      if (t.empty())
        refuse("a node has an empty target");
      target_info i;
      i.op = target_op(t);
      i.schema = schema_of(i.op);
      i.higher_order = flags_of(i.op).higher_order;
      i.plain = serialized_target(i.op) == t;
      it = targets_.emplace(t, i).first;
    }
    last_target_ = {t, it->second};
    return it->second;
  }

  void node(const pt2::node& src) {
    const target_info t = target(src.target);
    pool_.reset();
    args_.clear();
    notes_.entries.clear();
    user_ = src.name ? std::string_view(*src.name) : std::string_view(src.target);

    std::string names, tags;
    const bool by_schema = t.schema != nullptr && !t.higher_order;
    bool deviates = false;
    if (by_schema) {
      const auto& formal = t.schema->args;
      std::size_t last = 0, beyond = formal.size();
      for (std::size_t i = 0; i != src.inputs.size(); ++i) {
        const auto& in = src.inputs[i];
        std::size_t at = i;
        if (at >= formal.size() || formal[at].name != in.name) {
          at = i == 0 ? 0 : last + 1;
          while (at < formal.size() && formal[at].name != in.name)
            ++at;
          if (at >= formal.size()) { // out of order, or no argument of this schema
            for (at = 0; at < formal.size() && formal[at].name != in.name;)
              ++at;
            if (at == formal.size())
              at = beyond++;
            deviates = true;
          }
        }
        if (at < formal.size())
          deviates = deviates || in.kind != (formal[at].kwarg_only ? pt2::argument_kind::keyword
                                                                   : pt2::argument_kind::positional);
        if (args_.size() <= at)
          args_.resize(at + 1);
        if (args_[at].form != arg_form::absent)
          refuse("the node '" + std::string(user_) + "' gives the argument '" + in.name + "' twice");
        last = at;
        put(at, in.arg, at < formal.size() ? &formal[at].type : nullptr, tags);
        keep_extra(in.extra, note_key("inputs/", std::to_string(i)), notes_);
      }
    } else {
      args_.resize(src.inputs.size());
      for (std::size_t i = 0; i != src.inputs.size(); ++i) {
        const auto& in = src.inputs[i];
        deviates = deviates || !in.name.empty() || in.kind != pt2::argument_kind::positional;
        put(i, in.arg, nullptr, tags);
        keep_extra(in.extra, note_key("inputs/", std::to_string(i)), notes_);
      }
    }
    if (deviates) {
      for (const auto& in : src.inputs) {
        if (!names.empty())
          names += ',';
        names += in.name;
        names += ':';
        names += in.kind ? std::to_string(static_cast<std::int64_t>(*in.kind)) : "-";
      }
    }
    // a trailing absent argument cannot be: each was given

    // results
    results_.clear();
    std::string layout;
    bool list = false, mixed = false;
    if (src.outputs.size() == 1 && src.outputs[0].is_as_tensors()) {
      list = true;
      for (const auto& x : src.outputs[0].as_tensors())
        result(x);
    } else {
      for (const auto& o : src.outputs)
        mixed = mixed || o.is_as_tensors();
      for (const auto& o : src.outputs) {
        if (o.is_as_tensors()) {
          layout += (layout.empty() ? "L" : ",L") + std::to_string(o.as_tensors().size());
          for (const auto& x : o.as_tensors())
            result(x);
          continue;
        }
        if (mixed)
          layout += layout.empty() ? "0" : ",0";
        pending_result r;
        if (o.is_as_none()) {
          value_meta none;
          none.kind = value_kind::none;
          r.meta = g_.intern_meta(none);
        } else if (!describe(o, r.name, r.meta))
          refuse("the node '" + std::string(user_) + "' has a result of the unknown form '" +
                 std::string(o.tag_name()) + "'");
        results_.push_back(r);
      }
    }

    const node_id n = g_.call(t.op, args_, results_.size(), list,
                              t.higher_order ? node_kind::call_higher_order : node_kind::call_function);
    if (src.name)
      g_.set_name(n, *src.name);
    for (std::size_t i = 0; i != results_.size(); ++i) {
      const value_id v = g_.result(n, i);
      g_.set_meta(v, results_[i].meta);
      const auto name = results_[i].name;
      if (name.empty())
        continue;
      if (!src.name || results_.size() != 1 || list || name != *src.name)
        g_.set_value_name(v, name);
      define(v, name);
    }

    // where it comes from, and what else the file says
    for (const auto& m : src.metadata)
      notes_.entries.push_back({memo_key(m.key), memo_text(m.key, m.value)});
    if (!src.name)
      remember(note::no_name, "");
    if (deviates)
      remember(note::args, names);
    if (!tags.empty())
      remember(note::tags, tags);
    if (!layout.empty())
      remember(note::results, layout);
    if (!t.plain)
      remember(note::target, src.target);
    if (src.is_hop_single_tensor_return != (t.higher_order ? optional<bool>(false) : std::nullopt))
      remember(note::hop_single, !src.is_hop_single_tensor_return   ? "null"
                                 : *src.is_hop_single_tensor_return ? "true"
                                                                    : "false");
    keep_extra(src.extra, "", notes_);
    if (!notes_.entries.empty())
      g_.set_origin(n, g_.intern_origin(notes_));
  }

  struct pending_result {
    std::string_view name{};
    meta_id meta{};
  };
  void result(const pt2::tensor_argument& x) {
    pending_result r;
    if (x.name.empty())
      refuse_nameless();
    r.name = x.name;
    if (auto* t = tensors_.find(x.name))
      r.meta = tensor(*t, x.name);
    results_.push_back(r);
  }

  void output() {
    pool_.reset();
    args_.clear();
    args_.resize(src_.outputs.size());
    user_ = "output";
    std::string tags;
    for (std::size_t i = 0; i != src_.outputs.size(); ++i)
      put(i, src_.outputs[i], nullptr, tags);
    const node_id n = g_.output(args_);
    g_.set_name(n, "output");
    if (!tags.empty())
      graph_notes_.set(g_.intern(note::tags), g_.intern(tags));
    if (src_.is_single_tensor_return)
      graph_notes_.set(g_.intern(note::single_return), g_.intern("true"));
    keep_extra(src_.extra, "graph", graph_notes_);
    keep_unclaimed("tensor_values", tensors_);
    keep_unclaimed("sym_int_values", sym_ints_);
    keep_unclaimed("sym_float_values", sym_floats_);
    keep_unclaimed("sym_bool_values", sym_bools_);
    keep_unclaimed("custom_obj_values", customs_);
    if (!graph_notes_.entries.empty())
      g_.set_origin(n, g_.intern_origin(graph_notes_));
  }

  void remember(std::string_view key, std::string_view text) { notes_.set(g_.intern(key), g_.intern(text)); }
  str_id memo_key(const std::string& key) {
    for (auto& k : keys_)
      if (k.text == key)
        return k.id;
    keys_.push_back({key, g_.intern(key)});
    return keys_.back().id;
  }
  str_id memo_text(const std::string& key, const std::string& text) {
    for (std::size_t i = 0; i != keys_.size(); ++i)
      if (keys_[i].text == key) {
        if (texts_.size() <= i)
          texts_.resize(i + 1);
        return texts_[i].intern(g_, text);
      }
    return g_.intern(text);
  }

  // -- arguments
  std::uint32_t subgraph(const pt2::graph_argument& from) override {
    graph_storage sub;
    graph_reader(sub, *from.graph, targets_, expressions_, place_ + ": subgraph '" + from.name + "'")
        .read(nullptr);
    return g_.add_subgraph(from.name, std::move(sub));
  }
  void put(std::size_t at, const pt2::argument& a, const arg_type* type, std::string& tags) {
    bool usual = true;
    args_[at] = convert(a, type, usual);
    if (!usual) {
      if (!tags.empty())
        tags += ',';
      tags += std::to_string(at) + ':' + std::string(a.tag_name());
    }
  }
  const pt2::graph& src_;
  target_cache& targets_;
  lookup<pt2::tensor_meta> tensors_{&src_.tensor_values};
  lookup<pt2::sym_int> sym_ints_{&src_.sym_int_values};
  lookup<pt2::sym_float> sym_floats_{&src_.sym_float_values};
  lookup<pt2::sym_bool> sym_bools_{&src_.sym_bool_values};
  lookup<pt2::custom_obj_argument> customs_{&src_.custom_obj_values};
  origin notes_;
  vector<argument> args_;
  vector<pending_result> results_;
  vector<text_memo> keys_, texts_;
  std::pair<std::string_view, target_info> last_target_;
};

} // namespace detail
} // namespace espalier
