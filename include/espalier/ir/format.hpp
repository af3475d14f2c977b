// SPDX-License-Identifier: BSL-1.0
// Pieces of text that the printers share: numbers that read back exactly, quoted strings, types of values as
// print_readable writes them. Everything appends to one string, so that printing stays linear.
#pragma once

#include <espalier/ir/storage.hpp>
#include <espalier/meta/types.hpp>
#include <espalier/schema/schema.hpp>
#include <espalier/support/floats.hpp>
#include <espalier/symbolic/sym_int.hpp>

#include <bit>
#include <charconv>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

namespace espalier::detail {

template <class Int>
inline void append_int(std::string& out, Int i) {
  char buf[24];
  const auto r = std::to_chars(buf, buf + sizeof buf, i);
  out.append(buf, static_cast<std::size_t>(r.ptr - buf));
}

/// Python's `repr` of a float: the shortest text that reads back as the same number (`0.1`, `1e-05`, `1.0`).
template <class = when_used>
void append_double(std::string& out, double d) {
  if (is_nan(d)) {
    out += "nan";
    return;
  }
  if (is_infinite(d)) {
    out += d < 0 ? "-inf" : "inf";
    return;
  }
  char buf[40];
  const auto r = std::to_chars(buf, buf + sizeof buf, d, std::chars_format::scientific);
  std::string_view s(buf, static_cast<std::size_t>(r.ptr - buf));
  if (s[0] == '-') {
    out += '-';
    s.remove_prefix(1);
  }
  const auto e = s.find('e');
  int exponent = 0;
  const auto exponent_text = s.substr(e + (s[e + 1] == '+' ? 2 : 1));
  std::from_chars(exponent_text.data(), exponent_text.data() + exponent_text.size(), exponent);
  std::string digits(1, s[0]);
  if (e > 2)
    digits += s.substr(2, e - 2);
  const int n = static_cast<int>(digits.size());
  if (exponent < -4 || exponent >= 16) {
    out += digits[0];
    if (n > 1) {
      out += '.';
      out.append(digits, 1);
    }
    out += exponent < 0 ? "e-" : "e+";
    const int a = exponent < 0 ? -exponent : exponent;
    if (a < 10)
      out += '0';
    append_int(out, a);
  } else if (exponent < 0) {
    out += "0.";
    out.append(static_cast<std::size_t>(-exponent - 1), '0');
    out += digits;
  } else if (n <= exponent + 1) {
    out += digits;
    out.append(static_cast<std::size_t>(exponent + 1 - n), '0');
    out += ".0";
  } else {
    out.append(digits, 0, static_cast<std::size_t>(exponent + 1));
    out += '.';
    out.append(digits, static_cast<std::size_t>(exponent + 1));
  }
}

/// A string between `quote`s; control characters, the quote and the backslash are escaped, other bytes stay.
inline void append_quoted(std::string& out, std::string_view s, char quote = '"') {
  constexpr char hex[] = "0123456789abcdef";
  out += quote;
  for (char c : s) {
    const auto u = static_cast<unsigned char>(c);
    if (c == quote || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n')
      out += "\\n";
    else if (c == '\t')
      out += "\\t";
    else if (c == '\r')
      out += "\\r";
    else if (u < 0x20 || u == 0x7f) {
      out += "\\x";
      out += hex[u >> 4];
      out += hex[u & 15];
    } else
      out += c;
  }
  out += quote;
}

inline void append_sym(std::string& out, const sym_int& s) {
  if (s.is_int())
    append_int(out, s.int_or(0));
  else
    out += sym_text(s.as_expr());
}
inline void append_dims(std::string& out, const sym_ints& d) {
  out += '[';
  for (std::size_t i = 0; i != d.size(); ++i) {
    if (i)
      out += ", ";
    append_sym(out, d[i]);
  }
  out += ']';
}

/// The enumerations come from files, so their names are looked up with the bounds checked; numbers that have
/// no name are written as `dtype(77)`.
inline void append_enum(std::string& out, std::string_view what, std::string_view name, std::int64_t number,
                        bool known) {
  out += what;
  if (known) {
    out += name;
  } else {
    out += '(';
    append_int(out, number);
    out += ')';
  }
}
inline bool known_device(device d) noexcept {
  return d.type >= 0 && static_cast<std::size_t>(d.type) < std::size(device_names);
}
inline bool known_layout(std::int64_t l) noexcept {
  return l >= 0 && static_cast<std::size_t>(l) < std::size(layout_names);
}
inline bool known_memory_format(std::int64_t f) noexcept {
  return f >= 0 && static_cast<std::size_t>(f) < std::size(memory_format_names);
}
inline bool known_dtype(std::int64_t t) noexcept {
  for (auto& r : scalar_type_rows)
    if (static_cast<std::int64_t>(r.type) == t)
      return true;
  return false;
}
inline void append_device(std::string& out, device d) {
  if (known_device(d)) {
    out += device_names[d.type];
    if (d.index >= 0) {
      out += ':';
      append_int(out, static_cast<int>(d.index));
    }
  } else {
    append_enum(out, "device", "", d.type, false);
  }
}

/// `f32[2, 3]`, with strides `f32[2, 3][3, 1]` and device `f32[2, 3][3, 1]cpu` when asked, as print_readable
/// has it; `Sym(s77)` for numbers. Nothing when nothing is known.
inline void append_annotation(std::string& out, const graph_storage& g, const value_meta& m, bool strides,
                              bool devices) {
  switch (m.kind) {
  case value_kind::unknown:
    return;
  case value_kind::none:
    out += "None";
    return;
  case value_kind::tensor:
    out += to_string(m.tensor.dtype);
    append_dims(out, m.tensor.sizes);
    if (strides)
      append_dims(out, m.tensor.strides);
    if (devices)
      append_device(out, m.tensor.dev);
    return;
  case value_kind::sym_int:
  case value_kind::sym_bool:
    out += "Sym(";
    append_sym(out, m.symbol);
    out += ')';
    return;
  case value_kind::sym_float:
    out += "Sym(";
    if (m.symbol.is_int() && m.has_hint)
      append_double(out, std::bit_cast<double>(m.hint));
    else
      append_sym(out, m.symbol);
    out += ')';
    return;
  case value_kind::custom_object:
    out += g.text(m.text);
    return;
  case value_kind::token:
    out += "token";
    return;
  }
}

/// The schema's name of argument `i` when Python passes it by keyword; empty when it is positional.
inline std::string_view keyword_of(const op_schema* s, std::size_t i) noexcept {
  return s && i < s->args.size() && s->args[i].kwarg_only ? s->args[i].name : std::string_view{};
}

} // namespace espalier::detail
