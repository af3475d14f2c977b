// SPDX-License-Identifier: BSL-1.0
// From the structs of an archive to a graph and the interface around it. Nothing is lost: what a graph has no
// place for becomes a note (archive/detail/notes.hpp), and `to_archive` gives back what was read. Calls with
// several results are one node here as in the file; Python's `getitem` nodes exist in neither.
#pragma once

#include <espalier/archive/detail/list_tags.hpp>
#include <espalier/archive/detail/notes.hpp>
#include <espalier/archive/detail/sym_text.hpp>
#include <espalier/archive/schema.hpp>
#include <espalier/ir/storage.hpp>
#include <espalier/schema/builtin.hpp>
#include <espalier/schema/op_id.hpp>

#include <bit>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace espalier {

namespace detail {

/// Memory for list arguments while a node is being built; `reset` keeps it for the next node.
class item_pool {
public:
  std::vector<argument>& take() {
    if (used_ == lists_.size())
      lists_.emplace_back();
    lists_[used_].clear();
    return lists_[used_++];
  }
  void reset() noexcept { used_ = 0; }

private:
  std::vector<std::vector<argument>> lists_; // moving a vector keeps its elements where they are
  std::size_t used_ = 0;
};

/// What is looked up once for each target of a file.
struct target_info {
  op_id op;
  const op_schema* schema = nullptr;
  bool higher_order = false;
  bool plain = true; ///< the id gives the target back
};
using target_cache = std::unordered_map<std::string_view, target_info>;

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
class graph_reader {
public:
  graph_reader(graph_storage& g, const pt2::graph& src, target_cache& targets, expression_cache& expressions,
               std::string place)
      : g_(g), src_(src), targets_(targets), expressions_(expressions), place_(std::move(place)) {}

  /// `inputs` are the input specs of the top graph; null for a subgraph.
  void read(const std::vector<pt2::input_spec>* inputs) {
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
  [[noreturn]] void refuse(std::string cause) const {
    fail(error_kind::archive, std::move(cause), place_,
         "the file is damaged or was written by hand; export the program again");
  }

  // -- values
  value_id find(std::string_view name, std::string_view user) const {
    const str_id s = g_.find_string(name);
    if (s.valid() && s.index < by_name_.size() && by_name_[s.index].valid())
      return by_name_[s.index];
    fail(error_kind::archive,
         "'" + std::string(user) + "' uses the value '" + std::string(name) +
             "', which nothing before it computes",
         place_, "the file is damaged or was written by hand; export the program again");
  }
  void define(value_id v, std::string_view name) {
    const str_id s = g_.value_name(v);
    if (by_name_.size() <= s.index)
      by_name_.resize(s.index + s.index / 2 + 16);
    if (by_name_[s.index].valid())
      refuse("two values are named '" + std::string(name) + "'");
    by_name_[s.index] = v;
  }

  /// The entry of a name in one of the file's dicts. Definitions come in the dicts' order, as a rule.
  template <class T>
  struct lookup {
    const pt2::dict<T>* dict;
    std::size_t next = 0;
    std::unordered_map<std::string_view, const T*> index{};
    const T* find(std::string_view key) {
      if (next < dict->size() && dict->entries[next].key == key)
        return &dict->entries[next++].value;
      if (dict->empty())
        return nullptr;
      if (index.empty())
        index = dict->index();
      const auto it = index.find(key);
      return it == index.end() ? nullptr : it->second;
    }
  };

  void note_hint(std::string_view text, const pt2::sym_expr_hint& h) {
    std::string s;
    using tag = pt2::sym_expr_hint::tag;
    if (h.which() == tag::as_int)
      s = "i" + std::to_string(h.as_int());
    else if (h.which() == tag::as_bool)
      s = h.as_bool() ? "b1" : "b0";
    else if (h.which() == tag::as_float)
      s = "f" + std::to_string(std::bit_cast<std::int64_t>(h.as_float()));
    else
      return;
    graph_notes_.set(g_.intern(note_key(note::hint, text)), g_.intern(s));
  }
  const expr* expression(const pt2::sym_expr& e) {
    const auto& parsed = expressions_.parse(e.expr_str, place_);
    if (&parsed != last_noted_) { // a size repeats along a graph; its notes are made once
      const auto key = reinterpret_cast<std::uintptr_t>(&parsed);
      if (noted_.emplace(key, true).second) {
        if (parsed.canonical != e.expr_str)
          graph_notes_.set(g_.intern(note_key(note::spelling, parsed.canonical)), g_.intern(e.expr_str));
        if (e.hint)
          note_hint(parsed.canonical, *e.hint);
      }
      last_noted_ = &parsed;
    }
    return parsed.e;
  }
  sym_int number(const pt2::sym_int& s) {
    if (s.is_as_int())
      return s.as_int();
    if (s.is_as_expr())
      return sym_int(expression(s.as_expr()));
    refuse("a size is neither a number nor an expression but '" + std::string(s.tag_name()) + "'");
  }
  void numbers(const std::vector<pt2::sym_int>& from, sym_ints& to) {
    for (const auto& s : from)
      to.push_back(number(s));
  }
  meta_id tensor(const pt2::tensor_meta& m, std::string_view name) {
    value_meta v;
    v.kind = value_kind::tensor;
    const auto dtype = map_from(scalar_type_map, m.dtype);
    const auto lay = map_from(layout_map, m.layout);
    const auto dev = from_pt2(m.device);
    if (!dtype)
      refuse("the value '" + std::string(name) + "' has the unknown element type " +
             std::to_string(static_cast<std::int64_t>(m.dtype)));
    if (!lay)
      refuse("the value '" + std::string(name) + "' has the unknown layout " +
             std::to_string(static_cast<std::int64_t>(m.layout)));
    if (!dev)
      refuse("the value '" + std::string(name) + "' lives on the unknown device '" + m.device.type + "'");
    v.tensor.dtype = *dtype;
    v.tensor.lay = *lay;
    v.tensor.dev = *dev;
    v.tensor.requires_grad = m.requires_grad;
    numbers(m.sizes, v.tensor.sizes);
    numbers(m.strides, v.tensor.strides);
    v.tensor.storage_offset = number(m.storage_offset);
    keep_extra(m.extra, note_key("tensor_values/", name), graph_notes_);
    return g_.intern_meta(v);
  }
  meta_id symbolic(const pt2::sym_int& s) {
    auto v = value_meta::of(value_kind::sym_int, number(s));
    if (s.is_as_expr() && s.as_expr().hint && s.as_expr().hint->is_as_int())
      v.has_hint = true, v.hint = s.as_expr().hint->as_int();
    return g_.intern_meta(v);
  }
  meta_id symbolic(const pt2::sym_float& s) {
    auto v = value_meta::of(value_kind::sym_float);
    if (s.is_as_float())
      v.has_hint = true, v.hint = std::bit_cast<std::int64_t>(s.as_float());
    else if (s.is_as_expr()) {
      v.symbol = sym_int(expression(s.as_expr()));
      if (const auto& h = s.as_expr().hint; h && h->is_as_float())
        v.has_hint = true, v.hint = std::bit_cast<std::int64_t>(h->as_float());
    } else
      refuse("a symbolic float has the unknown form '" + std::string(s.tag_name()) + "'");
    return g_.intern_meta(v);
  }
  meta_id symbolic(const pt2::sym_bool& s) {
    auto v = value_meta::of(value_kind::sym_bool);
    if (s.is_as_bool())
      v.symbol = s.as_bool() ? 1 : 0;
    else if (s.is_as_expr())
      v.symbol = sym_int(expression(s.as_expr()));
    else
      refuse("a symbolic bool has the unknown form '" + std::string(s.tag_name()) + "'");
    return g_.intern_meta(v);
  }
  meta_id custom(const pt2::custom_obj_argument& a, std::string_view name) {
    value_meta v;
    v.kind = value_kind::custom_object;
    v.text = g_.intern(a.class_fqn);
    if (a.name != name)
      graph_notes_.set(g_.intern(note_key(note::custom_name, name)), g_.intern(a.name));
    return g_.intern_meta(v);
  }

  /// The name and meta of an input or result; false for None and for literals.
  bool describe(const pt2::argument& a, std::string_view& name, meta_id& m) {
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
        m = symbolic(*s);
      else
        m = g_.intern_meta(value_meta::of(value_kind::sym_int));
      return true;
    case tag::as_sym_float:
      if (!a.as_sym_float().is_as_name())
        return false;
      name = a.as_sym_float().as_name();
      if (auto* s = sym_floats_.find(name))
        m = symbolic(*s);
      else
        m = g_.intern_meta(value_meta::of(value_kind::sym_float));
      return true;
    case tag::as_sym_bool:
      if (!a.as_sym_bool().is_as_name())
        return false;
      name = a.as_sym_bool().as_name();
      if (auto* s = sym_bools_.find(name))
        m = symbolic(*s);
      else
        m = g_.intern_meta(value_meta::of(value_kind::sym_bool));
      return true;
    case tag::as_custom_obj:
      name = a.as_custom_obj().name;
      m = custom(a.as_custom_obj(), name);
      if (auto* c = customs_.find(name))
        m = custom(*c, name);
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
      if (a.is_as_int()) v = value_meta::of(value_kind::sym_int, a.as_int());
      if (a.is_as_bool()) v = value_meta::of(value_kind::sym_bool, a.as_bool() ? 1 : 0);
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

  /// Targets of no known shape (those of serialization extensions, `#namespace:name`) are operators by their
  /// whole text.
  static op_id target_op(const std::string& t) {
    const auto dot = t.find('.');
    if (t.empty() || t[0] == '#' || dot == t.npos || dot == 0 || t.back() == '.')
      return intern_op(t, {});
    return op_of_target(t);
  }
  const target_info& target(const std::string& t) {
    if (last_target_ && last_target_->first == t)
      return last_target_->second;
    auto it = targets_.find(std::string_view(t));
    if (it == targets_.end()) {
      target_info i;
      i.op = target_op(t);
      i.schema = schema_of(i.op);
      i.higher_order = flags_of(i.op).higher_order;
      i.plain = serialized_target(i.op) == t;
      it = targets_.emplace(std::string_view(t), i).first;
    }
    last_target_ = &*it;
    return it->second;
  }

  void node(const pt2::node& src) {
    const target_info& t = target(src.target);
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
    if (src.is_hop_single_tensor_return != (t.higher_order ? std::optional<bool>(false) : std::nullopt))
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
    if (!graph_notes_.entries.empty())
      g_.set_origin(n, g_.intern_origin(graph_notes_));
  }

  void remember(std::string_view key, std::string_view text) { notes_.set(g_.intern(key), g_.intern(text)); }
  void keep_extra(const pt2::extra_fields& extra, std::string_view path, origin& notes) {
    for (const auto& m : extra) {
      std::string key(note::extra);
      key += path;
      key += '#';
      key += m.name;
      notes.set(g_.intern(key), g_.intern(m.json));
    }
  }
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
  void put(std::size_t at, const pt2::argument& a, const arg_type* type, std::string& tags) {
    bool usual = true;
    args_[at] = convert(a, type, usual);
    if (!usual) {
      if (!tags.empty())
        tags += ',';
      tags += std::to_string(at) + ':' + std::string(a.tag_name());
    }
  }
  argument of_value(std::string_view name) { return argument(find(name, user_)); }
  value_kind kind_of(value_id v) const { return g_.meta(v).kind; }
  template <class List, class Each>
  argument list(const List& from, Each&& each) {
    std::vector<argument> items = std::move(pool_.take()); // nested lists take from the pool meanwhile
    items.clear();
    items.reserve(from.size());
    for (const auto& x : from)
      items.push_back(each(x));
    auto& home = pool_.take();
    home = std::move(items);
    return argument(std::span<const argument>(home));
  }

  /// `usual` becomes false when `to_archive` would choose another tag for the argument that comes of it.
  argument convert(const pt2::argument& a, const arg_type* type, bool& usual) {
    using tag = pt2::argument::tag;
    switch (a.which()) {
    case tag::as_none:
      return argument(std::nullopt);
    case tag::as_tensor: {
      const argument v = of_value(a.as_tensor().name);
      const auto k = kind_of(v.val);
      usual = k == value_kind::tensor || k == value_kind::unknown || k == value_kind::token ||
              k == value_kind::none;
      return v;
    }
    case tag::as_tensors: {
      const argument l =
          list(a.as_tensors(), [&](const pt2::tensor_argument& t) { return of_value(t.name); });
      usual = usual_list(l, a, type);
      return l;
    }
    case tag::as_int:
      return argument(a.as_int());
    case tag::as_float:
      return argument(a.as_float());
    case tag::as_bool:
      return argument(a.as_bool());
    case tag::as_string:
      return argument(std::string_view(a.as_string()));
    case tag::as_ints: {
      const argument l = list(a.as_ints(), [](std::int64_t i) { return argument(i); });
      usual = usual_list(l, a, type);
      return l;
    }
    case tag::as_floats: {
      const argument l = list(a.as_floats(), [](double d) { return argument(d); });
      usual = usual_list(l, a, type);
      return l;
    }
    case tag::as_bools: {
      const argument l = list(a.as_bools(), [](bool b) { return argument(b); });
      usual = usual_list(l, a, type);
      return l;
    }
    case tag::as_strings: {
      const argument l =
          list(a.as_strings(), [](const std::string& s) { return argument(std::string_view(s)); });
      usual = usual_list(l, a, type);
      return l;
    }
    case tag::as_sym_int:
      return symbolic_argument(a.as_sym_int(), value_kind::sym_int, usual);
    case tag::as_sym_float:
      return symbolic_argument(a.as_sym_float(), value_kind::sym_float, usual);
    case tag::as_sym_bool:
      return symbolic_argument(a.as_sym_bool(), value_kind::sym_bool, usual);
    case tag::as_sym_ints:
      return symbolic_list(a.as_sym_ints(), a, type, usual);
    case tag::as_sym_floats:
      return symbolic_list(a.as_sym_floats(), a, type, usual);
    case tag::as_sym_bools:
      return symbolic_list(a.as_sym_bools(), a, type, usual);
    case tag::as_scalar_type: {
      const auto t = map_from(scalar_type_map, a.as_scalar_type());
      if (!t)
        refuse("an argument of '" + std::string(user_) + "' is the unknown element type " +
               std::to_string(static_cast<std::int64_t>(a.as_scalar_type())));
      return argument(*t);
    }
    case tag::as_layout: {
      const auto l = map_from(layout_map, a.as_layout());
      if (!l)
        refuse("an argument of '" + std::string(user_) + "' is the unknown layout " +
               std::to_string(static_cast<std::int64_t>(a.as_layout())));
      return argument(*l);
    }
    case tag::as_memory_format: {
      const auto f = map_from(memory_format_map, a.as_memory_format());
      if (!f)
        refuse("an argument of '" + std::string(user_) + "' is the unknown memory format " +
               std::to_string(static_cast<std::int64_t>(a.as_memory_format())));
      return argument(*f);
    }
    case tag::as_device: {
      const auto d = from_pt2(a.as_device());
      if (!d)
        refuse("an argument of '" + std::string(user_) + "' is the unknown device '" + a.as_device().type +
               "'");
      return argument(*d);
    }
    case tag::as_complex: {
      auto& parts = pool_.take();
      parts.push_back(argument(a.as_complex().real));
      parts.push_back(argument(a.as_complex().imag));
      return argument::of_complex(std::span<const argument, 2>(parts.data(), 2));
    }
    case tag::as_graph: {
      graph_storage sub;
      const auto& from = a.as_graph();
      graph_reader(sub, *from.graph, targets_, expressions_, place_ + ": subgraph '" + from.name + "'")
          .read(nullptr);
      return argument::of_subgraph(g_.add_subgraph(from.name, std::move(sub)));
    }
    case tag::as_optional_tensors: {
      const argument l = list(a.as_optional_tensors(), [&](const pt2::optional_tensor_argument& t) {
        return t.is_as_tensor() ? of_value(t.as_tensor().name) : argument(std::nullopt);
      });
      usual = usual_list(l, a, type);
      return l;
    }
    case tag::as_optional_tensor:
      usual = false;
      return a.as_optional_tensor().is_as_tensor() ? of_value(a.as_optional_tensor().as_tensor().name)
                                                   : argument(std::nullopt);
    case tag::as_nested_tensors: {
      const argument l = list(a.as_nested_tensors(), [&](const auto& row) {
        return list(row, [&](const pt2::tensor_argument& t) { return of_value(t.name); });
      });
      usual = l.count != 0;
      for (std::size_t i = 0; i != l.count; ++i)
        usual = usual && l.items[i].count != 0;
      return l;
    }
    case tag::as_int_lists: {
      const argument l = list(a.as_int_lists(), [&](const auto& row) {
        return list(row, [](std::int64_t i) { return argument(i); });
      });
      usual = l.count != 0;
      for (std::size_t i = 0; i != l.count; ++i)
        usual = usual && l.items[i].count != 0;
      return l;
    }
    case tag::as_float_lists: {
      const argument l = list(a.as_float_lists(), [&](const auto& row) {
        return list(row, [](double d) { return argument(d); });
      });
      usual = l.count != 0;
      for (std::size_t i = 0; i != l.count; ++i)
        usual = usual && l.items[i].count != 0;
      return l;
    }
    case tag::as_custom_obj: {
      const auto& c = a.as_custom_obj();
      const str_id s = g_.find_string(c.name);
      if (s.valid() && s.index < by_name_.size() && by_name_[s.index].valid()) {
        const value_id v = by_name_[s.index];
        usual = kind_of(v) == value_kind::custom_object && g_.text(g_.meta(v).text) == c.class_fqn;
        return argument(v);
      }
      usual = false; // an object of the constants: its two texts
      auto& parts = pool_.take();
      parts.push_back(argument(std::string_view(c.name)));
      parts.push_back(argument(std::string_view(c.class_fqn)));
      return argument(std::span<const argument>(parts));
    }
    case tag::as_operator: {
      const op_id o = target_op(a.as_operator());
      if (serialized_target(o) == a.as_operator())
        return argument::of_op(o);
      usual = false;
      return argument(std::string_view(a.as_operator()));
    }
    case tag::as_string_to_argument: {
      std::vector<argument> pairs;
      for (const auto& e : a.as_string_to_argument()) {
        bool inner = true;
        pairs.push_back(argument(std::string_view(e.key)));
        pairs.push_back(convert(e.value, nullptr, inner));
        if (!inner)
          refuse("an argument of '" + std::string(user_) + "' is a dict whose entry '" + e.key +
                 "' has the unusual form '" + std::string(e.value.tag_name()) + "'");
      }
      auto& home = pool_.take();
      home = std::move(pairs);
      return argument::of_dict(home);
    }
    case tag::unknown: {
      const auto& raw = a.unknown();
      auto& text = opaque_texts_.emplace_back(std::make_unique<std::string>(raw.name + '\n' + raw.json));
      return argument::of_opaque(*text);
    }
    }
    return argument(std::nullopt);
  }

  template <class Sym>
  argument symbolic_argument(const Sym& s, value_kind kind, bool& usual) {
    if (s.is_as_name()) {
      const argument v = of_value(s.as_name());
      usual = kind_of(v.val) == kind;
      return v;
    }
    usual = false;
    return symbolic_constant(s);
  }
  argument symbolic_constant(const pt2::sym_int_argument& s) { return argument(s.as_int()); }
  argument symbolic_constant(const pt2::sym_float_argument& s) { return argument(s.as_float()); }
  argument symbolic_constant(const pt2::sym_bool_argument& s) { return argument(s.as_bool()); }
  template <class Sym>
  argument symbolic_list(const std::vector<Sym>& from, const pt2::argument& a, const arg_type* type,
                         bool& usual) {
    const argument l = list(
        from, [&](const Sym& s) { return s.is_as_name() ? of_value(s.as_name()) : symbolic_constant(s); });
    usual = usual_list(l, a, type);
    return l;
  }
  /// Whether `to_archive` chooses this tag for such a list.
  bool usual_list(const argument& l, const pt2::argument& a, const arg_type* type) const {
    const auto kind = [this](value_id v) { return kind_of(v); };
    return list_tag(given_items{std::span<const argument>(l.items, l.count), kind}, type) == a.which();
  }

  graph_storage& g_;
  const pt2::graph& src_;
  target_cache& targets_;
  expression_cache& expressions_;
  std::string place_;
  std::vector<value_id> by_name_; // by string id
  lookup<pt2::tensor_meta> tensors_{&src_.tensor_values};
  lookup<pt2::sym_int> sym_ints_{&src_.sym_int_values};
  lookup<pt2::sym_float> sym_floats_{&src_.sym_float_values};
  lookup<pt2::sym_bool> sym_bools_{&src_.sym_bool_values};
  lookup<pt2::custom_obj_argument> customs_{&src_.custom_obj_values};
  origin graph_notes_, notes_;
  item_pool pool_;
  std::vector<argument> args_;
  std::vector<pending_result> results_;
  std::vector<text_memo> keys_, texts_;
  std::vector<std::unique_ptr<std::string>> opaque_texts_;
  std::unordered_map<std::uintptr_t, bool> noted_;
  const void* last_noted_ = nullptr;
  const std::pair<const std::string_view, target_info>* last_target_ = nullptr;
  std::string_view user_;
};

} // namespace detail
} // namespace espalier
