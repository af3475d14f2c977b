// SPDX-License-Identifier: BSL-1.0
// What a graph knows of its values, as an archive says it (`tensor_values`, `sym_int_values`, ...), with the
// hints and spellings that the reader noted.
#pragma once

#include <espalier/archive/detail/notes.hpp>
#include <espalier/archive/detail/sym_text.hpp>
#include <espalier/archive/schema.hpp>
#include <espalier/archive/schema_json.hpp>
#include <espalier/ir/view.hpp>
#include <espalier/support/hash_map.hpp>
#include <espalier/support/optional.hpp>
#include <espalier/support/vector.hpp>
#include <espalier/symbolic/expr.hpp>

#include <bit>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace espalier::detail {

inline std::int64_t to_number(std::string_view s) {
  std::int64_t v = 0;
  std::from_chars(s.data(), s.data() + s.size(), v);
  return v;
}
/// `head,tail`: gives the head and leaves the tail.
inline std::string_view next_item(std::string_view& list, char separator = ',') {
  const auto end = list.find(separator);
  const auto item = list.substr(0, end);
  list = end == list.npos ? std::string_view{} : list.substr(end + 1);
  return item;
}

/// Leaves of an entry what a graph holds: no hints, no member of a newer schema, our spelling of expressions.
inline void strip(pt2::sym_expr& e) {
  e.expr_str = srepr_of(parse_srepr(e.expr_str));
  e.hint.reset();
  e.extra = {};
}
template <class Symbol>
void strip(Symbol& s) {
  if (s.is_as_expr())
    strip(s.as_expr());
}
inline void strip(pt2::custom_obj_argument& a) { a.extra = {}; }
inline void strip(pt2::tensor_meta& m) {
  m.extra = {};
  for (auto* list : {&m.sizes, &m.strides})
    for (auto& s : *list)
      strip(s);
  strip(m.storage_offset);
}
/// Whether an entry that the reader kept still says of its value what the graph does.
template <class T>
bool still_true(std::string_view kept, const T& now) {
  auto a = pt2::from_json<T>(kept), b = pt2::from_json<T>(pt2::to_json(now));
  strip(a);
  strip(b);
  return pt2::to_json(a) == pt2::to_json(b);
}

/// The part of a graph's writer that knows values.
template <class = when_used>
class meta_writer {
protected:
  meta_writer(const graph_storage& g, pt2::graph& out) : g_(g), out_(out) { read_graph_notes(); }

  [[noreturn]] void refuse(node n, std::string cause, std::string cure) const {
    fail(error_kind::unsupported, std::move(cause), "node '" + std::string(n.name()) + "'", std::move(cure));
  }
  std::string_view name_of_value(value v) const {
    const auto s = v.name();
    if (s.empty())
      fail(error_kind::usage, "a value has no name", "node '" + std::string(v.def().name()) + "'",
           "call assign_names on the graph before it is written");
    return s;
  }

  // -- notes of the graph
  void read_graph_notes() {
    const node_id o = g_.output_node();
    if (!o.valid() || !g_.origin_of(o).valid())
      return;
    for (const auto& e : g_.get_origin(g_.origin_of(o)).entries) {
      const auto key = g_.text(e.key);
      if (!key.starts_with(note::prefix))
        continue;
      const auto text = g_.text(e.text);
      if (key.starts_with(note::hint))
        hints_.emplace(key.substr(note::hint.size()), text);
      else if (key.starts_with(note::spelling))
        spellings_.emplace(key.substr(note::spelling.size()), text);
      else if (key.starts_with(note::custom_name))
        custom_names_.emplace(key.substr(note::custom_name.size()), text);
      else if (key == note::single_return)
        out_.is_single_tensor_return = text == "true";
      else if (key.starts_with(note::entry)) {
        auto name = key.substr(note::entry.size()), json = text;
        const auto table = next_item(name, '/'), at = next_item(json);
        kept_.push_back({table, name, at, json});
      } else if (key.starts_with(note::extra))
        extras_.emplace_back(key.substr(note::extra.size()), text);
    }
    for (const auto& [path, json] : extras_)
      if (path.starts_with("graph#"))
        out_.extra.add(std::string(path.substr(6)), std::string(json));
  }

  /// Gives the tables what the reader kept of them: entries of values that the graph never had, where they
  /// stood; and the file's own words for the others, as long as they are true.
  void restore_entries() {
    if (kept_.empty())
      return;
    restore_entries("tensor_values", out_.tensor_values);
    restore_entries("sym_int_values", out_.sym_int_values);
    restore_entries("sym_float_values", out_.sym_float_values);
    restore_entries("sym_bool_values", out_.sym_bool_values);
    restore_entries("custom_obj_values", out_.custom_obj_values);
  }
  template <class T>
  void restore_entries(std::string_view table, pt2::dict<T>& to) const {
    hash_map<std::string_view, std::size_t> index;
    for (std::size_t i = 0; i != to.size(); ++i)
      index.emplace(to.entries[i].key, i);
    struct placed_entry {
      std::size_t at;
      pt2::dict_entry<T> entry;
    };
    vector<placed_entry> unclaimed; // in the file's order
    for (const auto& k : kept_) {
      if (k.table != table)
        continue;
      const auto it = index.find(k.name);
      if (it == index.end()) {
        if (!k.at.empty())
          unclaimed.emplace_back(static_cast<std::size_t>(to_number(k.at)),
                                 pt2::dict_entry<T>{std::string(k.name), pt2::from_json<T>(k.json)});
      } else if (T& now = to.entries[it->second].value; k.at.empty() && still_true(k.json, now))
        now = pt2::from_json<T>(k.json);
    }
    if (unclaimed.empty())
      return;
    vector<pt2::dict_entry<T>> merged;
    merged.reserve(to.size() + unclaimed.size());
    auto next = unclaimed.begin();
    for (auto& e : to.entries) {
      for (; next != unclaimed.end() && next->at <= merged.size(); ++next)
        merged.push_back(std::move(next->entry));
      merged.push_back(std::move(e));
    }
    for (; next != unclaimed.end(); ++next)
      merged.push_back(std::move(next->entry));
    to.entries = std::move(merged);
  }

  // -- metas
  struct written_expression {
    std::string text;
    std::string_view hint;
  };
  const written_expression& text_of(const expr* e) {
    const auto [it, fresh] = expressions_.try_emplace(e);
    if (fresh) {
      const std::string canonical = srepr_of(e);
      const auto s = spellings_.find(canonical);
      it->second.text = s == spellings_.end() ? canonical : std::string(s->second);
      if (const auto h = hints_.find(canonical); h != hints_.end())
        it->second.hint = h->second;
    }
    return it->second;
  }
  static optional<pt2::sym_expr_hint> parse_hint(std::string_view s) {
    using hint = pt2::sym_expr_hint;
    if (s.empty())
      return std::nullopt;
    const auto v = to_number(s.substr(1));
    if (s[0] == 'i')
      return hint::make<hint::tag::as_int>(v);
    if (s[0] == 'b')
      return hint::make<hint::tag::as_bool>(v != 0);
    return hint::make<hint::tag::as_float>(std::bit_cast<double>(v));
  }
  pt2::sym_expr expression(const expr* e) {
    const auto& w = text_of(e);
    pt2::sym_expr x;
    x.expr_str = w.text;
    x.hint = parse_hint(w.hint);
    return x;
  }
  pt2::sym_int number(const sym_int& s) {
    using t = pt2::sym_int;
    if (s.is_int())
      return t::make<t::tag::as_int>(s.as_int());
    auto e = expression(s.as_expr());
    if (!e.hint) // a size that was made here: its value follows from its symbols', when they have one
      if (const auto v = derived_hint(s.as_expr()))
        e.hint = pt2::sym_expr_hint::make<pt2::sym_expr_hint::tag::as_int>(*v);
    return t::make<t::tag::as_expr>(std::move(e));
  }
  optional<std::int64_t> derived_hint(const expr* e) {
    const auto [it, fresh] = derived_.try_emplace(e);
    if (fresh)
      it->second = value_by_symbols(e);
    return it->second;
  }
  optional<std::int64_t> value_by_symbols(const expr* e) const {
    if (hints_.empty())
      return std::nullopt;
    vector<const expr*> symbols;
    collect_symbols(e, symbols);
    hash_map<std::string, std::int64_t> values;
    for (const expr* s : symbols) {
      const auto h = hints_.find(srepr_of(s));
      if (h == hints_.end() || h->second.empty() || h->second[0] != 'i')
        return std::nullopt;
      values.emplace(std::string(s->name()), to_number(h->second.substr(1)));
    }
    try {
      return evaluate(e, [&](std::string_view name) -> optional<std::int64_t> {
        const auto it = values.find(std::string(name));
        return it == values.end() ? std::nullopt : optional(it->second);
      });
    } catch (const error&) {
      return std::nullopt; // not an integer
    }
  }
  void numbers(const sym_ints& from, vector<pt2::sym_int>& to) {
    to.reserve(from.size());
    for (const auto& s : from)
      to.push_back(number(s));
  }
  pt2::tensor_meta tensor(const tensor_meta& m, std::string_view name) {
    pt2::tensor_meta t;
    const auto dtype = map_to(scalar_type_map, m.dtype);
    const auto lay = map_to(layout_map, m.lay);
    if (!dtype || !lay)
      fail(error_kind::unsupported, "the archive has no number for the element type or layout of a value",
           "value '" + std::string(name) + "'", "convert it to another type first");
    t.dtype = *dtype;
    t.layout = *lay;
    t.device = to_pt2(m.dev);
    t.requires_grad = m.requires_grad;
    numbers(m.sizes, t.sizes);
    numbers(m.strides, t.strides);
    t.storage_offset = number(m.storage_offset);
    if (!extras_.empty()) {
      const std::string path = note_key("tensor_values/", name) + "#";
      for (const auto& [key, json] : extras_)
        if (key.starts_with(path))
          t.extra.add(std::string(key.substr(path.size())), std::string(json));
    }
    return t;
  }

  /// Writes what is known of a value into the graph's tables, and gives its argument form.
  pt2::argument define(value v) {
    using arg = pt2::argument;
    const auto& m = v.meta();
    if (m.kind == value_kind::none)
      return arg::make<arg::tag::as_none>(true);
    const std::string name(name_of_value(v));
    switch (m.kind) {
    case value_kind::sym_int: {
      auto s = number(m.symbol);
      if (s.is_as_expr() && !s.as_expr().hint && m.has_hint)
        s.as_expr().hint = pt2::sym_expr_hint::make<pt2::sym_expr_hint::tag::as_int>(m.hint);
      out_.sym_int_values.add(name, std::move(s));
      return arg::make<arg::tag::as_sym_int>(
          pt2::sym_int_argument::make<pt2::sym_int_argument::tag::as_name>(name));
    }
    case value_kind::sym_float: {
      using t = pt2::sym_float;
      if (m.symbol.is_symbolic()) {
        auto e = expression(m.symbol.as_expr());
        if (!e.hint && m.has_hint)
          e.hint = pt2::sym_expr_hint::make<pt2::sym_expr_hint::tag::as_float>(std::bit_cast<double>(m.hint));
        out_.sym_float_values.add(name, t::make<t::tag::as_expr>(std::move(e)));
      } else
        out_.sym_float_values.add(name, t::make<t::tag::as_float>(std::bit_cast<double>(m.hint)));
      return arg::make<arg::tag::as_sym_float>(
          pt2::sym_float_argument::make<pt2::sym_float_argument::tag::as_name>(name));
    }
    case value_kind::sym_bool: {
      using t = pt2::sym_bool;
      out_.sym_bool_values.add(name, m.symbol.is_symbolic()
                                         ? t::make<t::tag::as_expr>(expression(m.symbol.as_expr()))
                                         : t::make<t::tag::as_bool>(m.symbol.as_int() != 0));
      return arg::make<arg::tag::as_sym_bool>(
          pt2::sym_bool_argument::make<pt2::sym_bool_argument::tag::as_name>(name));
    }
    case value_kind::custom_object: {
      pt2::custom_obj_argument c;
      c.name = name;
      if (const auto it = custom_names_.find(name); it != custom_names_.end())
        c.name = std::string(it->second);
      c.class_fqn = std::string(g_.text(m.text));
      pt2::custom_obj_argument a;
      a.name = name;
      a.class_fqn = c.class_fqn;
      out_.custom_obj_values.add(name, std::move(c));
      return arg::make<arg::tag::as_custom_obj>(std::move(a));
    }
    case value_kind::tensor:
      out_.tensor_values.add(name, tensor(m.tensor, name));
      break;
    default:
      break;
    }
    return arg::make<arg::tag::as_tensor>(tensor_named(name));
  }
  static pt2::tensor_argument tensor_named(std::string_view name) {
    pt2::tensor_argument t;
    t.name = std::string(name);
    return t;
  }

  const graph_storage& g_;
  pt2::graph& out_;

private:
  hash_map<std::string_view, std::string_view> hints_, spellings_, custom_names_;
  struct extra_member {
    std::string_view path, json;
  };
  vector<extra_member> extras_;
  struct kept_entry {
    std::string_view table, name, at, json;
  };
  vector<kept_entry> kept_;
  hash_map<const expr*, written_expression> expressions_;
  hash_map<const expr*, optional<std::int64_t>> derived_;
};

} // namespace espalier::detail
