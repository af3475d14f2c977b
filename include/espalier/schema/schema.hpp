// SPDX-License-Identifier: BSL-1.0
// The schema of an operator as data: argument names, types, defaults, aliasing.
// The same structs hold it at compile time (schema/op_traits.hpp) and at run
// time (schema/op_id.hpp).
#pragma once

#include <espalier/support/span.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace espalier {

/// What an argument or result is, apart from optional and list.
enum class arg_kind : std::uint8_t {
  tensor,
  scalar,
  integer,
  sym_integer,
  floating,
  boolean,
  complex,
  string,
  scalar_type,
  layout,
  device,
  memory_format,
  generator,
  dimname,
  storage,
  stream,
  qscheme,
  sym_bool,
  sym_float,
  other,
};

/// `Tensor?[]` is {tensor, optional = false, list_depth = 1, element_optional =
/// true}; `int[2]` has fixed_size 2.
struct arg_type {
  arg_kind kind = arg_kind::other;
  bool optional = false;
  std::uint8_t list_depth = 0;
  bool element_optional = false;
  std::int16_t fixed_size = -1;
  friend constexpr bool operator==(const arg_type&, const arg_type&) noexcept = default;
};

/// An argument. `alias` is its alias set: 0 for none, 'a', 'b', ... or '*'.
struct schema_arg {
  std::string_view name;
  arg_type type;
  std::string_view default_text; ///< as written: `1`, `None`, `[0, 1]`, `"mean"`
  bool has_default = false;
  bool kwarg_only = false;
  bool is_write = false; ///< `(a!)`: the operator changes it
  char alias = 0;
};

/// A result; the name is usually empty.
struct schema_return {
  std::string_view name;
  arg_type type;
  bool is_write = false;
  char alias = 0;
};

/// An operator's schema. Views point at the schema string, which outlives it.
struct op_schema {
  std::string_view name;     ///< `aten::add`
  std::string_view overload; ///< `Tensor`; empty for the default overload
  span<const schema_arg> args;
  span<const schema_return> returns;
};

/// `aten.add.Tensor`, `aten.relu.default`: how graphs print an operator.
inline std::string target_of(const op_schema& s) {
  std::string out(s.name);
  if (const auto at = out.find("::"); at != out.npos)
    out.replace(at, 2, ".");
  out += '.';
  out += s.overload.empty() ? std::string_view("default") : s.overload;
  return out;
}

/// What passes ask of an operator.
struct op_flags {
  bool mutates = false;        ///< changes an argument
  bool view = false;           ///< a result may share memory with an argument it does not change
  bool random = false;         ///< two equal calls may differ
  bool data_dependent = false; ///< the shape of a result, or a number it gives, depends on data
  bool pointwise = false;
  bool core = false;         ///< part of Core ATen, or a builtin on sizes
  bool effects = false;      ///< matters though no result is used: assertions, printing
  bool higher_order = false; ///< takes graphs
  bool known_schema = false;
  /// Equal calls give equal results, and an unused call may go.
  constexpr bool pure() const noexcept {
    return !mutates && !random && !effects && !higher_order && known_schema;
  }
  friend constexpr bool operator==(const op_flags&, const op_flags&) noexcept = default;
};

} // namespace espalier
