// SPDX-License-Identifier: BSL-1.0
// Options of passes as text, both ways: what `text()` prints between `<` and `>`, and what a pipeline's text
// gives there. `parameters, max_bytes=4096`: words, and values under a key, in any order.
#pragma once

#include <espalier/support/config.hpp>
#include <espalier/support/error.hpp>
#include <espalier/support/vector.hpp>

#include <charconv>
#include <concepts>
#include <cstddef>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace espalier {

/// Prints options: only those that differ from what a pass does without them.
class option_printer {
public:
  template <class = when_used>
  void word(std::string_view w) {
    if (!out_.empty())
      out_ += ", ";
    out_ += w;
  }
  template <class = when_used>
  void value(std::string_view key, std::string_view v) {
    word(key);
    out_ += '=';
    out_ += v;
  }
  /// A number in the fewest digits that are read back as the same number.
  template <class T>
  requires(std::integral<T> || std::floating_point<T>) void value(std::string_view key, T v) {
    char digits[32];
    const auto end = std::to_chars(digits, digits + sizeof digits, v).ptr;
    value(key, std::string_view(digits, static_cast<std::size_t>(end - digits)));
  }
  /// `name<a, b=1>`; the name alone when there are none.
  template <class = when_used>
  std::string after(std::string_view name) const {
    return std::string(name) + (out_.empty() ? "" : "<" + out_ + ">");
  }

private:
  std::string out_;
};

/// Reads options. Every refusal is an `error` (usage) that names the pass and says what it takes.
class option_reader {
public:
  struct item {
    std::string_view text;  ///< the whole: `max_bytes=4096`
    std::string_view key;   ///< before `=`; empty for a word
    std::string_view value; ///< after `=`
  };

  /// `pass` and `takes` (a cure: "write name<...>") must outlive the reader, as must the text. Refuses an
  /// option without text, and one that is given twice.
  template <class = when_used>
  option_reader(std::string_view pass, std::string_view text, std::string_view takes)
      : pass_(pass), takes_(takes) {
    for (bool more = !trimmed(text).empty(); more;) {
      const auto comma = text.find(',');
      more = comma != text.npos;
      add(trimmed(text.substr(0, comma)));
      text.remove_prefix(more ? comma + 1 : text.size());
    }
  }

  const vector<item>& items() const noexcept { return items_; }
  auto begin() const noexcept { return items_.begin(); }
  auto end() const noexcept { return items_.end(); }

  /// The number that an option gives. Integers are decimal digits; a NaN is none.
  template <class T>
  requires(std::integral<T> || std::floating_point<T>) T number(const item& i)
  const {
    T out{};
    const char* end = i.value.data() + i.value.size();
    const auto read = std::from_chars(i.value.data(), end, out);
    if (read.ec == std::errc::result_out_of_range)
      refuse(i, "is too large");
    if (read.ec != std::errc() || read.ptr != end || out != out)
      refuse(i, std::integral<T> ? "needs a whole number" : "needs a number");
    return out;
  }
  template <class = when_used>
  [[noreturn]] void refuse(const item& i, std::string_view why = "is no option of it") const {
    refuse("'" + std::string(i.text) + "' " + std::string(why));
  }
  template <class = when_used>
  [[noreturn]] void refuse(std::string why) const {
    fail(error_kind::usage, std::move(why), "pass '" + std::string(pass_) + "'", std::string(takes_));
  }

private:
  static std::string_view trimmed(std::string_view s) noexcept {
    while (s.starts_with(' '))
      s.remove_prefix(1);
    while (s.ends_with(' '))
      s.remove_suffix(1);
    return s;
  }
  void add(std::string_view text) {
    item i{text, {}, {}};
    if (const auto equals = text.find('='); equals != text.npos) {
      i.key = trimmed(text.substr(0, equals));
      i.value = trimmed(text.substr(equals + 1));
    }
    if (text.empty())
      refuse("an option is missing beside a comma");
    for (const item& other : items_)
      if (other.text == text || (!i.key.empty() && other.key == i.key))
        refuse(i, "is given twice");
    items_.push_back(i);
  }

  std::string_view pass_, takes_;
  vector<item> items_;
};

} // namespace espalier
