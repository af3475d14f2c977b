// SPDX-License-Identifier: BSL-1.0
// The value of an argument's default, from its text in the schema. It works in
// constant evaluation, so that a builder can fill omitted arguments in without
// parsing at run time.
#pragma once

#include <espalier/schema/schema.hpp>
#include <espalier/support/inline_vector.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace espalier {

/// What a default is. `word` is an enumerator's name (`contiguous_format`,
/// `long`); `list` has no list inside.
enum class default_kind : std::uint8_t { none, boolean, integer, floating, string, word, list, unreadable };

/// One value of a default that is not a list. Fields that `kind` does not name
/// are zero.
struct default_item {
  default_kind kind = default_kind::none;
  bool boolean = false;
  std::int64_t integer = 0;
  double floating = 0;
  std::string_view text; ///< of a string (without its quotes, escapes as written) or a word
  friend constexpr bool operator==(const default_item&, const default_item&) noexcept = default;
};

/// A default: one value, or a list of values.
struct default_value : default_item {
  inline_vector<default_item, 4> items; ///< of a list
};

namespace detail {

/// A decimal number. Correctly rounded while its digits fit 53 bits and its
/// exponent is within 22, which are all the numbers a person writes; within one
/// unit in the last place otherwise.
constexpr bool read_number(std::string_view t, default_item& out) noexcept {
  const bool minus = t.starts_with('-');
  if (minus || t.starts_with('+'))
    t.remove_prefix(1);
  if (t == "inf" || t == "nan") {
    out.kind = default_kind::floating;
    out.floating = t == "nan" ? __builtin_nan("") : minus ? -__builtin_inf() : __builtin_inf();
    return true;
  }
  std::uint64_t digits = 0;
  int exponent = 0, count = 0;
  bool fraction = false, exact = true;
  std::size_t i = 0;
  for (; i != t.size(); ++i) {
    const char c = t[i];
    if (c == '.' && !fraction) {
      fraction = true;
    } else if (c >= '0' && c <= '9') {
      ++count;
      if (digits < 1'000'000'000'000'000'000u) {
        digits = digits * 10 + static_cast<std::uint64_t>(c - '0');
        exponent -= fraction;
      } else {
        exponent += !fraction;
        exact = false;
      }
    } else {
      break;
    }
  }
  if (count == 0)
    return false;
  bool scientific = false;
  if (i != t.size() && (t[i] == 'e' || t[i] == 'E')) {
    scientific = true;
    ++i;
    const bool down = i != t.size() && t[i] == '-';
    if (i != t.size() && (t[i] == '-' || t[i] == '+'))
      ++i;
    int e = 0;
    const auto first = i;
    for (; i != t.size() && t[i] >= '0' && t[i] <= '9'; ++i)
      if (e < 10'000)
        e = e * 10 + (t[i] - '0');
    if (i == first)
      return false;
    exponent += down ? -e : e;
  }
  if (i != t.size())
    return false;
  if (!fraction && !scientific) {
    if (!exact || digits > 9'223'372'036'854'775'807u)
      return false;
    out.kind = default_kind::integer;
    out.integer = minus ? -static_cast<std::int64_t>(digits) : static_cast<std::int64_t>(digits);
    return true;
  }
  if (exponent > 330 || exponent < -360)
    return false; // beyond what a double holds
  long double x = static_cast<long double>(digits), power = 1, base = 10;
  for (int e = exponent < 0 ? -exponent : exponent; e != 0; e /= 2, base *= base)
    if (e % 2)
      power *= base;
  x = exponent < 0 ? x / power : x * power;
  if (x > 1.7976931348623157e308L)
    return false;
  out.kind = default_kind::floating;
  out.floating = static_cast<double>(minus ? -x : x);
  return true;
}

constexpr default_item read_item(std::string_view t) noexcept {
  default_item out;
  if (t == "None")
    return out;
  if (t == "True" || t == "False" || t == "true" || t == "false") {
    out.kind = default_kind::boolean;
    out.boolean = t == "True" || t == "true";
    return out;
  }
  if (t.size() >= 2 && (t[0] == '"' || t[0] == '\'') && t.back() == t[0]) {
    out.kind = default_kind::string;
    out.text = t.substr(1, t.size() - 2);
    return out;
  }
  if (read_number(t, out))
    return out;
  out = {};
  // native_functions.yaml spells reductions by their enumerators; their type is
  // int
  if (t == "Mean" || t == "Sum") {
    out.kind = default_kind::integer;
    out.integer = t == "Mean" ? 1 : 2;
    return out;
  }
  const bool word =
      !t.empty() && ((t[0] >= 'a' && t[0] <= 'z') || (t[0] >= 'A' && t[0] <= 'Z') || t[0] == '_');
  out.kind = word ? default_kind::word : default_kind::unreadable;
  out.text = t;
  return out;
}

} // namespace detail

/// The value of an argument's default. An argument without one gives `none`, as
/// `=None` does: ask `has_default` first. A default `1` of type `int[2]` stays
/// one integer: it stands for every element. A text that is no value gives
/// `unreadable`.
constexpr default_value parse_default(const schema_arg& a) {
  default_value out;
  std::string_view t = a.default_text;
  if (!a.has_default)
    return out;
  if (!t.starts_with('[') || !t.ends_with(']')) {
    static_cast<default_item&>(out) = detail::read_item(t);
    return out;
  }
  out.kind = default_kind::list;
  t = t.substr(1, t.size() - 2);
  while (!t.empty()) {
    const auto comma = t.find(',');
    auto one = t.substr(0, comma);
    while (one.starts_with(' '))
      one.remove_prefix(1);
    while (one.ends_with(' '))
      one.remove_suffix(1);
    const auto item = detail::read_item(one);
    if (item.kind == default_kind::unreadable)
      out.kind = default_kind::unreadable;
    out.items.push_back(item);
    t = comma == t.npos ? std::string_view() : t.substr(comma + 1);
  }
  return out;
}

} // namespace espalier
