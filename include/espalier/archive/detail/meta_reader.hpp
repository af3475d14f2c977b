// SPDX-License-Identifier: BSL-1.0
// What an archive says of values (`tensor_values`, `sym_int_values`, ...), as the metas of a graph.
// Expressions are parsed once; the hints of symbols become notes of the graph.
#pragma once

#include <espalier/archive/detail/notes.hpp>
#include <espalier/archive/detail/sym_text.hpp>
#include <espalier/archive/schema.hpp>
#include <espalier/archive/schema_json.hpp>
#include <espalier/ir/storage.hpp>
#include <espalier/support/hash_map.hpp>
#include <espalier/support/optional.hpp>
#include <espalier/support/vector.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace espalier::detail {

/// The entry of a name in one of the file's dicts. Definitions come in the dicts' order, as a rule.
template <class T>
struct lookup {
  const pt2::dict<T>* dict;
  std::size_t next = 0;
  hash_map<std::string_view, std::size_t> index{};
  vector<bool> found = vector<bool>(dict->size());
  const T* find(std::string_view key) {
    if (next < dict->size() && dict->entries[next].key == key)
      return at(next++);
    if (dict->empty())
      return nullptr;
    if (index.empty())
      for (std::size_t i = 0; i != dict->size(); ++i)
        index.emplace(dict->entries[i].key, i);
    const auto it = index.find(key);
    return it == index.end() ? nullptr : at(it->second);
  }

private:
  const T* at(std::size_t i) {
    found[i] = true;
    return &dict->entries[i].value;
  }
};

/// The part of a graph's reader that knows values.
template <class = when_used>
class meta_reader {
protected:
  meta_reader(graph_storage& g, expression_cache& expressions, std::string place)
      : g_(g), expressions_(expressions), place_(std::move(place)) {}

  [[noreturn]] void refuse(std::string cause) const {
    fail(error_kind::archive, std::move(cause), place_,
         "the file is damaged or was written by hand; export the program again");
  }
  void keep_extra(const pt2::extra_fields& extra, std::string_view path, origin& notes) {
    for (const auto& m : extra) {
      std::string key(note::extra);
      key += path;
      key += '#';
      key += m.name;
      notes.set(g_.intern(key), g_.intern(m.json));
    }
  }

  /// Keeps an entry of a table as the file has it, where the graph alone would not give it back: always the
  /// one of a value that the graph does not have (then with its place in the table), else the one whose
  /// expressions say more than a graph holds.
  template <class T>
  void keep_entry(std::string_view table, std::string_view name, const T& x, const std::string& at = {}) {
    std::string key(note::entry);
    key += table;
    key += '/';
    key += name;
    graph_notes_.entries.push_back({g_.intern(key), g_.intern(at + ',' + pt2::to_json(x))});
  }
  template <class T>
  void keep_entry_if_it_deviates(std::string_view table, std::string_view name, const T& x) {
    if (std::exchange(deviates_, false))
      keep_entry(table, name, x);
  }
  template <class T>
  void keep_unclaimed(std::string_view table, const lookup<T>& l) {
    for (std::size_t i = 0; i != l.found.size(); ++i)
      if (!l.found[i])
        keep_entry(table, l.dict->entries[i].key, l.dict->entries[i].value, std::to_string(i));
  }

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
    if (parsed.e != last_noted_) { // a size repeats along a graph; its notes are made once
      const auto [it, fresh] = noted_.try_emplace(parsed.e, &e);
      if (fresh) {
        if (parsed.canonical != e.expr_str)
          graph_notes_.set(g_.intern(note_key(note::spelling, parsed.canonical)), g_.intern(e.expr_str));
        if (e.hint)
          note_hint(parsed.canonical, *e.hint);
      }
      last_noted_ = parsed.e;
      last_source_ = it->second;
    }
    // notes hold one spelling and one hint of an expression, and no member of a newer schema
    deviates_ = deviates_ || !e.extra.empty() || !same_hint(e.hint, last_source_->hint) ||
                (&e != last_source_ && e.expr_str != last_source_->expr_str);
    return parsed.e;
  }
  static bool same_hint(const optional<pt2::sym_expr_hint>& a, const optional<pt2::sym_expr_hint>& b) {
    if (!a || !b)
      return !a && !b;
    using tag = pt2::sym_expr_hint::tag;
    if (a->which() != b->which())
      return false;
    switch (a->which()) {
    case tag::as_int:
      return a->as_int() == b->as_int();
    case tag::as_bool:
      return a->as_bool() == b->as_bool();
    case tag::as_float:
      return std::bit_cast<std::int64_t>(a->as_float()) == std::bit_cast<std::int64_t>(b->as_float());
    case tag::unknown:
      break;
    }
    return false; // of a newer schema
  }
  sym_int number(const pt2::sym_int& s) {
    if (s.is_as_int())
      return s.as_int();
    if (s.is_as_expr())
      return sym_int(expression(s.as_expr()));
    refuse("a size is neither a number nor an expression but '" + std::string(s.tag_name()) + "'");
  }
  void numbers(const vector<pt2::sym_int>& from, sym_ints& to) {
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
    keep_entry_if_it_deviates("tensor_values", name, m);
    return g_.intern_meta(v);
  }
  meta_id symbolic(const pt2::sym_int& s, std::string_view name) {
    auto v = value_meta::of(value_kind::sym_int, number(s));
    if (s.is_as_expr() && s.as_expr().hint && s.as_expr().hint->is_as_int())
      v.has_hint = true, v.hint = s.as_expr().hint->as_int();
    keep_entry_if_it_deviates("sym_int_values", name, s);
    return g_.intern_meta(v);
  }
  meta_id symbolic(const pt2::sym_float& s, std::string_view name) {
    auto v = value_meta::of(value_kind::sym_float);
    if (s.is_as_float())
      v.has_hint = true, v.hint = std::bit_cast<std::int64_t>(s.as_float());
    else if (s.is_as_expr()) {
      v.symbol = sym_int(expression(s.as_expr()));
      if (const auto& h = s.as_expr().hint; h && h->is_as_float())
        v.has_hint = true, v.hint = std::bit_cast<std::int64_t>(h->as_float());
    } else
      refuse("a symbolic float has the unknown form '" + std::string(s.tag_name()) + "'");
    keep_entry_if_it_deviates("sym_float_values", name, s);
    return g_.intern_meta(v);
  }
  meta_id symbolic(const pt2::sym_bool& s, std::string_view name) {
    auto v = value_meta::of(value_kind::sym_bool);
    if (s.is_as_bool())
      v.symbol = s.as_bool() ? 1 : 0;
    else if (s.is_as_expr())
      v.symbol = sym_int(expression(s.as_expr()));
    else
      refuse("a symbolic bool has the unknown form '" + std::string(s.tag_name()) + "'");
    keep_entry_if_it_deviates("sym_bool_values", name, s);
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

  graph_storage& g_;
  expression_cache& expressions_;
  std::string place_;
  origin graph_notes_; ///< of the output node, once there is one

private:
  hash_map<const expr*, const pt2::sym_expr*> noted_; ///< where its notes were taken from
  const expr* last_noted_ = nullptr;
  const pt2::sym_expr* last_source_ = nullptr;
  bool deviates_ = false; ///< the entry being read says more of an expression than the notes
};

} // namespace espalier::detail
