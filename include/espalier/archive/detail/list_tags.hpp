// SPDX-License-Identifier: BSL-1.0
// Which member of the archive's argument union Python's serializer chooses for a list (`torch/_export/serde/
// serialize.py`: serialize_input): by what is in it, and for an empty one by the schema. The reader asks it
// to notice unusual forms, the writer to choose.
#pragma once

#include <espalier/archive/schema.hpp>
#include <espalier/ir/view.hpp>
#include <espalier/schema/schema.hpp>
#include <espalier/support/span.hpp>

#include <cstddef>

namespace espalier::detail {

/// The elements of an `argument` list on its way into a graph.
template <class KindOf>
struct given_items {
  span<const argument> items;
  const KindOf& kind_of;
  std::size_t size() const noexcept { return items.size(); }
  arg_form form(std::size_t i) const noexcept { return items[i].form; }
  value_kind kind(std::size_t i) const { return kind_of(items[i].val); }
  given_items nested(std::size_t i) const { return {{items[i].items, items[i].count}, kind_of}; }
};
template <class KindOf>
given_items(span<const argument>, const KindOf&) -> given_items<KindOf>;

/// The elements of a list in a graph.
struct held_items {
  arg_view list;
  std::size_t size() const noexcept { return list.size(); }
  arg_form form(std::size_t i) const noexcept { return list[i].form(); }
  value_kind kind(std::size_t i) const { return list[i].as_value().meta().kind; }
  held_items nested(std::size_t i) const { return {list[i]}; }
};

inline pt2::argument::tag empty_list_tag(const arg_type* type) noexcept {
  using tag = pt2::argument::tag;
  if (!type)
    return tag::as_tensors;
  if (type->list_depth >= 2)
    return type->kind == arg_kind::floating ? tag::as_float_lists
           : type->kind == arg_kind::tensor ? tag::as_nested_tensors
                                            : tag::as_int_lists;
  switch (type->kind) {
  case arg_kind::boolean:
  case arg_kind::sym_bool:
    return tag::as_bools;
  case arg_kind::integer:
  case arg_kind::sym_integer:
    return tag::as_ints;
  case arg_kind::floating:
  case arg_kind::sym_float:
    return tag::as_floats;
  case arg_kind::string:
    return tag::as_strings;
  default:
    return tag::as_tensors;
  }
}

/// `tag::unknown` when the archive has no form for such a list.
template <class Items>
pt2::argument::tag list_tag(const Items& items, const arg_type* type) {
  using tag = pt2::argument::tag;
  if (items.size() == 0)
    return empty_list_tag(type);
  bool bools = true, ints = true, floats = true, strings = true;
  bool sym_ints = true, sym_floats = true, sym_bools = true, values = true, optional = true;
  bool lists = true, value_lists = true, int_lists = true, float_lists = true;
  for (std::size_t i = 0; i != items.size(); ++i) {
    const arg_form f = items.form(i);
    bools = bools && f == arg_form::boolean;
    ints = ints && f == arg_form::integer;
    floats = floats && f == arg_form::floating;
    strings = strings && f == arg_form::string;
    values = values && f == arg_form::value;
    optional = optional && (f == arg_form::value || f == arg_form::none);
    const value_kind k = f == arg_form::value ? items.kind(i) : value_kind::unknown;
    sym_ints = sym_ints && (f == arg_form::integer || k == value_kind::sym_int);
    sym_floats = sym_floats && (f == arg_form::floating || k == value_kind::sym_float);
    sym_bools = sym_bools && (f == arg_form::boolean || k == value_kind::sym_bool);
    lists = lists && f == arg_form::list;
    if (lists) {
      const auto inner = items.nested(i);
      for (std::size_t j = 0; j != inner.size(); ++j) {
        value_lists = value_lists && inner.form(j) == arg_form::value;
        int_lists = int_lists && inner.form(j) == arg_form::integer;
        float_lists = float_lists && inner.form(j) == arg_form::floating;
      }
    }
  }
  if (bools)
    return tag::as_bools;
  if (ints)
    return tag::as_ints;
  if (floats)
    return tag::as_floats;
  if (strings)
    return tag::as_strings;
  if (sym_ints)
    return tag::as_sym_ints;
  if (sym_floats)
    return tag::as_sym_floats;
  if (sym_bools)
    return tag::as_sym_bools;
  if (values)
    return tag::as_tensors;
  if (lists && value_lists)
    return tag::as_nested_tensors;
  if (optional)
    return tag::as_optional_tensors;
  if (lists && int_lists)
    return tag::as_int_lists;
  if (lists && float_lists)
    return tag::as_float_lists;
  return tag::unknown;
}

} // namespace espalier::detail
