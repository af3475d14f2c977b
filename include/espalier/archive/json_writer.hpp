// SPDX-License-Identifier: BSL-1.0
// Prints JSON exactly as Python's json.dumps does, byte for byte, so that a program which passes through
// unchanged leaves the same file.
#pragma once

#include <espalier/archive/json_reader.hpp>
#include <espalier/support/floats.hpp>

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace espalier::json {

/// Prints JSON as Python's json.dumps does by default: ", " and ": " between, ASCII only, the shortest digits
/// that read back as the same double. The caller keeps arrays and objects balanced.
class writer {
public:
  void begin_object() { open('{'); }
  void end_object() { close('}'); }
  void begin_array() { open('['); }
  void end_array() { close(']'); }
  /// The name of the next member.
  [[gnu::noinline]] void key(std::string_view k) {
    string(k);
    out_.append(": ", 2);
    comma_ = false;
  }
  void null() { raw("null"); }
  void boolean(bool b) { raw(b ? "true" : "false"); }
  [[gnu::noinline]] void integer(std::int64_t x) {
    char buffer[24];
    auto end = std::to_chars(buffer, buffer + sizeof buffer, x).ptr;
    raw({buffer, std::size_t(end - buffer)});
  }
  /// A double in the digits of Python's repr. What is not finite becomes a string, as the schema has it.
  [[gnu::noinline]] void number(double x) {
    if (espalier::detail::is_nan(x))
      return raw("\"NaN\"");
    if (espalier::detail::is_infinite(x))
      return raw(x > 0 ? "\"Infinity\"" : "\"-Infinity\"");
    separate();
    append_repr(out_, x);
  }
  [[gnu::noinline]] void string(std::string_view s) {
    separate();
    out_ += '"';
    const char *p = s.data(), *end = p + s.size();
    while (p != end) {
      const char* run = reader::plain_run(p, end);
      out_.append(p, run);
      p = run;
      if (p != end)
        p = append_escaped(p, end);
    }
    out_ += '"';
  }
  /// A value that is JSON text already.
  [[gnu::noinline]] void raw(std::string_view json) {
    separate();
    out_ += json;
  }

  const std::string& text() const& noexcept { return out_; }
  std::string text() && noexcept { return std::move(out_); }
  void reserve(std::size_t bytes) { out_.reserve(bytes); }

  /// Appends Python's `repr(x)` of a finite x: `0.1`, `1.0`, `1e-05`, `1e+16`.
  static void append_repr(std::string& out, double x) {
    char buffer[40]; // -d.dddde-eee
    auto end = std::to_chars(buffer, buffer + sizeof buffer, x, std::chars_format::scientific).ptr;
    const char* p = buffer;
    if (*p == '-')
      out += *p++;
    char digits[24];
    int n = 0;
    for (; p != end && *p != 'e'; ++p)
      if (*p != '.')
        digits[n++] = *p;
    int exponent = 0;
    std::from_chars(p + (p[1] == '+' ? 2 : 1), end, exponent);
    if (exponent < -4 || exponent >= 16) {
      out += digits[0];
      if (n > 1) {
        out += '.';
        out.append(digits + 1, std::size_t(n - 1));
      }
      out.append(p, std::size_t(end - p)); // to_chars and repr agree on the exponent's form
    } else if (exponent < 0) {
      out += "0.";
      out.append(std::size_t(-exponent - 1), '0');
      out.append(digits, std::size_t(n));
    } else {
      int whole = exponent + 1;
      for (int i = 0; i != whole; ++i)
        out += i < n ? digits[i] : '0';
      out += '.';
      if (n > whole)
        out.append(digits + whole, std::size_t(n - whole));
      else
        out += '0';
    }
  }

private:
  [[gnu::noinline]] void open(char c) {
    separate();
    out_ += c;
    comma_ = false;
  }
  [[gnu::noinline]] void close(char c) {
    out_ += c;
    comma_ = true;
  }
  void separate() {
    if (comma_)
      out_.append(", ", 2);
    comma_ = true;
  }
  // Appends one character that does not stand for itself, and gives what follows it. A byte that is no UTF-8
  // becomes \udcXX, Python's "surrogateescape": a path of any bytes survives in a stack trace.
  const char* append_escaped(const char* p, const char* end) {
    switch (*p) {
    case '"':
      out_ += "\\\"";
      return p + 1;
    case '\\':
      out_ += "\\\\";
      return p + 1;
    case '\n':
      out_ += "\\n";
      return p + 1;
    case '\r':
      out_ += "\\r";
      return p + 1;
    case '\t':
      out_ += "\\t";
      return p + 1;
    case '\b':
      out_ += "\\b";
      return p + 1;
    case '\f':
      out_ += "\\f";
      return p + 1;
    case 127:
      out_ += *p;
      return p + 1;
    default:
      break;
    }
    auto byte = [&](std::ptrdiff_t i) { return std::uint32_t(static_cast<unsigned char>(p[i])); };
    std::uint32_t u = byte(0);
    if (u < 0x80) {
      append_u(u);
      return p + 1;
    }
    std::size_t n = reader::utf8_length(p, end);
    if (n == 2) {
      u = (u & 0x1f) << 6 | (byte(1) & 63);
    } else if (n == 3 || is_surrogate(p, end)) {
      n = 3;
      u = (u & 0x0f) << 12 | (byte(1) & 63) << 6 | (byte(2) & 63);
    } else if (n == 4) {
      u = ((u & 0x07) << 18 | (byte(1) & 63) << 12 | (byte(2) & 63) << 6 | (byte(3) & 63)) - 0x1'0000;
      append_u(0xd800 + (u >> 10));
      u = 0xdc00 + (u & 0x3ff);
    } else {
      n = 1;
      u = 0xdc00 + u;
    }
    append_u(u);
    return p + n;
  }
  static bool is_surrogate(const char* p, const char* end) noexcept {
    return end - p >= 3 && p[0] == '\xed' && (p[1] & '\xe0') == '\xa0' && (p[2] & '\xc0') == '\x80';
  }
  void append_u(std::uint32_t u) {
    static constexpr char hex[] = "0123456789abcdef";
    out_ += "\\u";
    for (int shift = 12; shift >= 0; shift -= 4)
      out_ += hex[u >> shift & 15];
  }

  std::string out_;
  bool comma_ = false;
};

} // namespace espalier::json
