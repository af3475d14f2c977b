// SPDX-License-Identifier: BSL-1.0
// The lexer under ir/text_parser.hpp: characters to words, numbers, strings and expressions, and errors that
// tell where.
#pragma once

#include <espalier/ir/argument.hpp>
#include <espalier/ir/naming.hpp>
#include <espalier/meta/tensor_meta.hpp>
#include <espalier/support/error.hpp>
#include <espalier/symbolic/expr.hpp>

#include <bit>
#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>

namespace espalier::detail {

/// A cursor over a text. White space and `// comments` are skipped before every token.
template <class = when_used>
class text_reader {
public:
  explicit text_reader(std::string_view text) : text_(text) {}

  /// Throws `error` (archive) at the cursor.
  [[noreturn]] ESPALIER_COLD void fail_here(std::string cause, std::string cure) const {
    std::size_t line = 1, column = 1;
    for (std::size_t i = 0; i < at_ && i < text_.size(); ++i) {
      ++column;
      if (text_[i] == '\n') {
        ++line;
        column = 1;
      }
    }
    fail(error_kind::archive, std::move(cause),
         "line " + std::to_string(line) + ", column " + std::to_string(column), std::move(cure));
  }
  [[noreturn]] ESPALIER_COLD void expected(std::string_view what, std::string cure) {
    skip();
    std::string found = "the end of the text";
    if (!at_end()) {
      const auto c = static_cast<unsigned char>(text_[at_]);
      found = c >= 0x20 && c < 0x7f ? "'" + std::string(1, static_cast<char>(c)) + "'"
                                    : "byte " + std::to_string(c);
    }
    fail_here("found " + found + " where " + std::string(what) + " was expected", std::move(cure));
  }

  std::size_t size() const noexcept { return text_.size(); }
  std::size_t position() const noexcept { return at_; }
  void back_to(std::size_t p) noexcept { at_ = p; }
  bool at_end() const noexcept { return at_ >= text_.size(); }
  void skip() noexcept {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == ' ' || c == '\n' || c == '\t' || c == '\r') {
        ++at_;
      } else if (c == '/' && at_ + 1 < text_.size() && text_[at_ + 1] == '/') {
        while (at_ < text_.size() && text_[at_] != '\n')
          ++at_;
      } else {
        return;
      }
    }
  }
  /// The next character after white space, or NUL at the end.
  char peek() noexcept {
    skip();
    return peek_raw();
  }
  char peek_raw() const noexcept { return at_end() ? '\0' : text_[at_]; }
  bool take(char c) noexcept {
    if (peek() != c || at_end())
      return false;
    ++at_;
    return true;
  }
  void need(char c, std::string_view cure) {
    if (!take(c))
      expected("'" + std::string(1, c) + "'", std::string(cure));
  }
  /// Takes a word if it stands here whole.
  bool take_word(std::string_view w) noexcept {
    skip();
    if (text_.substr(at_, w.size()) != w)
      return false;
    if (at_ + w.size() < text_.size() && is_word_char(text_[at_ + w.size()]))
      return false;
    at_ += w.size();
    return true;
  }
  /// An identifier (letters, digits, `_`, `.`); empty when none stands here.
  std::string_view ident() noexcept {
    skip();
    return ident_raw();
  }
  std::string_view ident_raw() noexcept {
    const std::size_t first = at_;
    while (at_ < text_.size() && is_word_char(text_[at_]))
      ++at_;
    return text_.substr(first, at_ - first);
  }
  /// `key=` of a named argument; empty, and nothing taken, when no such thing stands here.
  std::string_view take_key() noexcept {
    skip();
    const std::size_t mark = at_;
    const auto word = ident_raw();
    if (!word.empty() && !is_digit(word[0]) && take('='))
      return word;
    at_ = mark;
    return {};
  }

  bool at_number() noexcept {
    const char c = peek();
    if (is_digit(c))
      return true;
    if (c == '-' || c == '+')
      return true;
    return starts_number_word("inf") || starts_number_word("nan");
  }
  /// An integer or a floating-point number, as an argument of that form.
  argument number() {
    skip();
    const std::size_t first = at_;
    bool negative = false;
    if (peek_raw() == '-' || peek_raw() == '+')
      negative = text_[at_++] == '-';
    if (starts_number_word("inf")) {
      at_ += 3;
      constexpr double inf = std::numeric_limits<double>::infinity();
      return argument(negative ? -inf : inf);
    }
    if (starts_number_word("nan")) {
      at_ += 3;
      return argument(nan_value());
    }
    std::size_t end = at_;
    bool integral = true;
    while (end < text_.size()) {
      const char c = text_[end];
      if (c == '.' || c == 'e' || c == 'E' ||
          ((c == '-' || c == '+') && (text_[end - 1] == 'e' || text_[end - 1] == 'E')))
        integral = false;
      else if (!is_digit(c))
        break;
      ++end;
    }
    std::string_view t = text_.substr(first, end - first);
    if (t.starts_with('+'))
      t.remove_prefix(1);
    if (integral) {
      std::int64_t i = 0;
      const auto r = std::from_chars(t.data(), t.data() + t.size(), i);
      if (r.ec != std::errc{} || r.ptr != t.data() + t.size())
        fail_here("'" + std::string(t.substr(0, 40)) + "' is no 64-bit integer",
                  "write a number between -2^63 and 2^63-1");
      at_ = end;
      return argument(i);
    }
    double d = 0;
    const auto r = std::from_chars(t.data(), t.data() + t.size(), d);
    if (r.ec != std::errc{} || r.ptr != t.data() + t.size())
      fail_here("'" + std::string(t.substr(0, 40)) + "' is no number", "write 1, 1.0, 1e-05, inf or nan");
    at_ = end;
    return argument(d);
  }
  std::int64_t integer() {
    const argument a = at_number() ? number() : argument{};
    if (a.form != arg_form::integer)
      expected("an integer", "write a number without a point");
    return a.bits;
  }
  std::int8_t small_integer() {
    const auto i = integer();
    if (i < -128 || i > 127)
      fail_here("the number is out of range", "write a number between -128 and 127");
    return static_cast<std::int8_t>(i);
  }

  /// A string in double quotes, escapes resolved.
  std::string quoted() {
    if (!take('"'))
      expected("a string", "write it in double quotes");
    std::string out;
    for (;;) {
      const std::size_t stop = text_.find_first_of("\"\\", at_);
      if (stop == text_.npos)
        fail_here("a string without an end", "close it with a double quote");
      out.append(text_, at_, stop - at_);
      at_ = stop + 1;
      if (text_[stop] == '"')
        return out;
      if (at_end())
        fail_here("a string without an end", "close it with a double quote");
      switch (const char c = text_[at_++]) {
      case 'n':
        out += '\n';
        break;
      case 't':
        out += '\t';
        break;
      case 'r':
        out += '\r';
        break;
      case '"':
      case '\'':
      case '\\':
        out += c;
        break;
      case 'x': {
        int v = 0;
        const auto digits = text_.substr(at_, 2);
        const auto r = std::from_chars(digits.data(), digits.data() + digits.size(), v, 16);
        if (digits.size() != 2 || r.ec != std::errc{} || r.ptr != digits.data() + 2)
          fail_here("a malformed \\x escape", "write two hexadecimal digits");
        out += static_cast<char>(v);
        at_ += 2;
        break;
      }
      default:
        fail_here("an unknown escape", "write \\n, \\t, \\r, \\\\, \\\" or \\xNN");
      }
    }
  }

  /// An integer or an expression over symbols, up to the comma or bracket that ends it.
  sym_int expression() {
    skip();
    const std::size_t first = at_;
    constexpr std::size_t max_length = 1 << 16;
    constexpr int max_depth = 64;
    int depth = 0;
    std::size_t end = at_;
    for (; end < text_.size(); ++end) {
      const char c = text_[end];
      if (c == '(' || c == '[') {
        if (++depth > max_depth)
          fail_here("an expression is nested more than " + std::to_string(max_depth) + " deep",
                    "simplify it");
      } else if (c == ')' || c == ']') {
        if (depth-- == 0)
          break;
      } else if ((c == ',' && depth == 0) || c == '}' || c == '{' || c == '\n' || c == '#') {
        break;
      }
    }
    std::string_view t = text_.substr(first, end - first);
    while (!t.empty() && (t.back() == ' ' || t.back() == '\t' || t.back() == '\r'))
      t.remove_suffix(1);
    if (t.empty())
      expected("an integer or an expression", "write 4, s0 or 2*s0 + 1");
    std::int64_t i = 0;
    if (const auto r = std::from_chars(t.data(), t.data() + t.size(), i);
        r.ec == std::errc{} && r.ptr == t.data() + t.size()) {
      at_ = end;
      return i;
    }
    if (t.size() > max_length)
      fail_here("an expression is longer than " + std::to_string(max_length) + " characters", "simplify it");
    try {
      const sym_int s(parse_expr(t));
      at_ = end;
      return s;
    } catch (const error& e) {
      fail_here("malformed expression '" + std::string(t.substr(0, 80)) + "': " + e.cause(),
                "write it as sympy does: 2*s0 + 1, s0//2, Max(1, s0)");
    }
  }
  /// `[2, s0, 2*s0]`
  sym_ints dims() {
    need('[', "sizes stand between brackets: [2, 3]");
    sym_ints out;
    while (!take(']')) {
      if (!out.empty())
        need(',', "sizes are separated by commas");
      out.push_back(expression());
    }
    return out;
  }
  /// A device as the graph keeps it: from `"cuda:0"`, or from its bits.
  std::int64_t device_bits() {
    if (peek() != '"')
      return integer();
    const auto d = parse_device(quoted());
    if (!d)
      fail_here("an unknown device", "write cpu, cuda:0, meta, ...");
    return argument(*d).bits;
  }

private:
  static bool is_word_char(char c) noexcept { return is_ident_char(c) || c == '.'; }
  bool starts_number_word(std::string_view w) const noexcept {
    return text_.substr(at_, w.size()) == w &&
           !(at_ + w.size() < text_.size() && is_word_char(text_[at_ + w.size()]));
  }
  double nan_value() {
    if (peek_raw() != '(')
      return std::numeric_limits<double>::quiet_NaN();
    const auto t = text_.substr(at_ + 1, 19);
    std::uint64_t bits = 0;
    if (t.size() != 19 || !t.starts_with("0x") || t.back() != ')')
      fail_here("a malformed NaN", "write nan, or nan(0x7ff8000000000001)");
    const auto r = std::from_chars(t.data() + 2, t.data() + 18, bits, 16);
    const auto d = std::bit_cast<double>(bits);
    if (r.ec != std::errc{} || r.ptr != t.data() + 18 || d == d)
      fail_here("a malformed NaN", "write nan, or nan(0x7ff8000000000001)");
    at_ += 20;
    return d;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

} // namespace espalier::detail
