// SPDX-License-Identifier: BSL-1.0
// Whether an argument in a graph is one that a schema takes. The rules are those of Python's argument parser,
// not the dispatcher's: a number may stand for a Tensor (`aten.add.Tensor(x, 1)`), one integer for `int[2]`.
#pragma once

#include <espalier/ir/format.hpp>
#include <espalier/ir/storage.hpp>
#include <espalier/schema/schema.hpp>

#include <string>

namespace espalier::detail {

constexpr bool is_number_kind(arg_kind k) noexcept {
  switch (k) {
  case arg_kind::scalar:
  case arg_kind::integer:
  case arg_kind::sym_integer:
  case arg_kind::floating:
  case arg_kind::boolean:
  case arg_kind::complex:
  case arg_kind::sym_bool:
  case arg_kind::sym_float:
    return true;
  default:
    return false;
  }
}

/// A value as an argument of kind `k`, as far as its meta tells.
inline bool value_fits(const value_meta& m, arg_kind k) noexcept {
  switch (m.kind) {
  case value_kind::unknown:
  case value_kind::none:
    return true;
  case value_kind::tensor:
    return k == arg_kind::tensor || is_number_kind(k); // a 0-d tensor may stand for a number
  case value_kind::sym_int:
  case value_kind::sym_float:
  case value_kind::sym_bool:
    return k == arg_kind::tensor || is_number_kind(k);
  case value_kind::custom_object:
  case value_kind::token:
    return k != arg_kind::string && !is_number_kind(k);
  }
  return false;
}

template <class = when_used>
bool argument_fits(const graph_storage& g, node_id n, slot_id s, arg_type t, unsigned list_level = 0) {
  const auto& x = g.slot(s);
  const unsigned depth = t.list_depth - std::min<unsigned>(t.list_depth, list_level); // lists still to open
  const arg_form f = x.form();
  if (t.kind == arg_kind::other || f == arg_form::opaque)
    return true;
  if (f == arg_form::absent)
    return false;
  if (f == arg_form::none) {
    if (t.optional && list_level == 0)
      return true;
    return (t.element_optional && list_level != 0) || t.kind == arg_kind::generator;
  }
  if (depth > 0) {
    if (f == arg_form::list) {
      const auto [first, count] = g.elements(n, s);
      for (std::size_t i = 0; i != count; ++i)
        if (!argument_fits(g, n, slot_id{first.index + static_cast<std::uint32_t>(i)}, t, list_level + 1))
          return false;
      return true;
    }
    // one integer for a list of fixed size; a value that is itself a list is not known to be one
    if (f == arg_form::value)
      return g.meta(value_id{x.w0}).kind == value_kind::unknown || t.fixed_size > 0;
    if (t.fixed_size <= 0)
      return false;
  }
  switch (f) {
  case arg_form::value:
    return value_fits(g.meta(value_id{x.w0}), t.kind);
  case arg_form::integer:
  case arg_form::boolean:
  case arg_form::symbolic:
    return is_number_kind(t.kind) || t.kind == arg_kind::tensor || t.kind == arg_kind::qscheme;
  case arg_form::floating:
  case arg_form::complex:
    return t.kind == arg_kind::tensor || t.kind == arg_kind::scalar || t.kind == arg_kind::complex ||
           (f == arg_form::floating && (t.kind == arg_kind::floating || t.kind == arg_kind::sym_float));
  case arg_form::string:
    return t.kind == arg_kind::string || t.kind == arg_kind::dimname || t.kind == arg_kind::device;
  case arg_form::scalar_type:
    return t.kind == arg_kind::scalar_type;
  case arg_form::layout:
    return t.kind == arg_kind::layout;
  case arg_form::device:
    return t.kind == arg_kind::device;
  case arg_form::memory_format:
    return t.kind == arg_kind::memory_format;
  default:
    return false;
  }
}

/// A schema type as schemas write it, for messages.
template <class = when_used>
std::string to_text(arg_type t) {
  constexpr std::string_view names[] = {"Tensor", "Scalar",       "int",       "SymInt",     "float",
                                        "bool",   "complex",      "str",       "ScalarType", "Layout",
                                        "Device", "MemoryFormat", "Generator", "Dimname",    "Storage",
                                        "Stream", "QScheme",      "SymBool",   "SymFloat",   "any"};
  std::string s(names[static_cast<int>(t.kind)]);
  if (t.element_optional)
    s += '?';
  for (unsigned i = 0; i != t.list_depth; ++i) {
    s += '[';
    if (t.fixed_size > 0)
      append_int(s, static_cast<int>(t.fixed_size));
    s += ']';
  }
  if (t.optional)
    s += '?';
  return s;
}

/// What an argument is, for messages.
template <class = when_used>
std::string describe(const graph_storage& g, slot_id s) {
  const auto& x = g.slot(s);
  if (!x.is_use())
    return "of form '" + std::string(to_string(x.form())) + "'";
  constexpr std::string_view kinds[] = {
      "a value",         "None",      "a tensor", "a symbolic int", "a symbolic float",
      "a symbolic bool", "an object", "a token"};
  return std::string(kinds[static_cast<int>(g.meta(value_id{x.w0}).kind)]);
}

} // namespace espalier::detail
