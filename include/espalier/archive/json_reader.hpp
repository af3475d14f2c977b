// SPDX-License-Identifier: BSL-1.0
// A pull reader of JSON: it walks the text once, checks all of it, and names the path to what is wrong.
#pragma once

#include <espalier/support/error.hpp>

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <string_view>

/// A JSON reader and writer.
namespace espalier::json {

/// How deeply arrays and objects may nest. A subgraph of a higher-order operator takes nine levels.
inline constexpr int max_depth = 512;

/// What a value is, by its first character.
enum class kind : unsigned char { null, boolean, number, string, array, object };

class object;
class array;

/// A cursor over JSON text. Each call consumes one value and fails, naming the path to it, when it is another
/// kind. The text must outlive the reader.
class reader {
public:
  /// `place` names the text in errors (`models/model.json`).
  explicit reader(std::string_view text, std::string_view place = "JSON text")
      : begin_(text.data()), p_(text.data()), end_(text.data() + text.size()), place_(place) {}
  reader(const reader&) = delete;
  reader& operator=(const reader&) = delete;

  /// The kind of the next value; consumes nothing but white space.
  [[gnu::noinline]] kind peek() {
    skip_space();
    if (p_ == end_)
      fail_here("the text ends where a value is expected");
    switch (*p_) {
    case '{':
      return kind::object;
    case '[':
      return kind::array;
    case '"':
      return kind::string;
    case 't':
    case 'f':
      return kind::boolean;
    case 'n':
      return kind::null;
    case 'N': // NaN and Infinity are not JSON, but Python writes and reads them
    case 'I':
    case '-':
      return kind::number;
    default:
      if (*p_ >= '0' && *p_ <= '9')
        return kind::number;
      fail_here("found " + quoted(*p_) + " where a value is expected");
    }
  }

  /// Consumes a null if one is next.
  [[gnu::noinline]] bool null() {
    if (peek() != kind::null)
      return false;
    word("null");
    return true;
  }

  [[gnu::noinline]] bool boolean() {
    expect(kind::boolean);
    if (*p_ == 't') {
      word("true");
      return true;
    }
    word("false");
    return false;
  }

  /// An integer of 64 bits. A number with a fraction or an exponent is refused, as is one out of range.
  [[gnu::noinline]] std::int64_t integer() {
    expect(kind::number);
    const char* first = p_;
    if (scan_number())
      fail_at(first, "expected an integer, found " + std::string(first, p_));
    std::int64_t x = 0;
    if (std::from_chars(first, p_, x).ec != std::errc())
      fail_at(first, "the integer " + shortened({first, std::size_t(p_ - first)}) + " does not fit 64 bits");
    return x;
  }

  /// A double; an integer is converted. The words Infinity, -Infinity and NaN count, as strings or bare.
  [[gnu::noinline]] double number() {
    if (peek() == kind::string) {
      const char* first = p_;
      string(scratch_);
      if (scratch_ == "Infinity")
        return std::numeric_limits<double>::infinity();
      if (scratch_ == "-Infinity")
        return -std::numeric_limits<double>::infinity();
      if (scratch_ == "NaN")
        return std::numeric_limits<double>::quiet_NaN();
      fail_at(first, "expected a number, found the string \"" + shortened(scratch_) + "\"");
    }
    expect(kind::number);
    const char* first = p_;
    scan_number();
    std::string_view text(first, std::size_t(p_ - first));
    if (text == "Infinity")
      return std::numeric_limits<double>::infinity();
    if (text == "-Infinity")
      return -std::numeric_limits<double>::infinity();
    if (text == "NaN")
      return std::numeric_limits<double>::quiet_NaN();
    double x = 0;
    auto [end, error] = std::from_chars(first, p_, x);
    if (error == std::errc::result_out_of_range) // as Python: 1e999 is infinite, 1e-999 is zero
      return (exponent_is_negative(text) ? 0.0 : std::numeric_limits<double>::infinity()) *
             (*first == '-' ? -1 : 1);
    if (error != std::errc() || end != p_)
      fail_at(first, "expected a number, found " + shortened(text));
    return x;
  }

  /// A string, decoded to UTF-8, replaces the contents of `out`. A lone surrogate, which Python can write, is
  /// kept as the three bytes that its number would have in UTF-8; the writer turns it back.
  [[gnu::noinline]] void string(std::string& out) {
    expect(kind::string);
    ++p_;
    const char* run = p_;
    p_ = plain_run(p_, end_);
    out.assign(run, p_);
    while (p_ == end_ || *p_ != '"') {
      decode_special(out);
      run = p_;
      p_ = plain_run(p_, end_);
      out.append(run, p_);
    }
    ++p_;
  }

  /// Skips a value of any kind, checking it, and gives its text.
  [[gnu::noinline]] std::string_view raw() {
    skip_space();
    const char* first = p_;
    skip_value();
    return {first, std::size_t(p_ - first)};
  }

  /// The text must be at its end.
  void finish() {
    skip_space();
    if (p_ != end_)
      fail_here("found " + quoted(*p_) + " after the end of the value");
  }

  /// Throws: `cause`, at the path of the value being read.
  [[noreturn]] ESPALIER_COLD void fail_here(std::string cause) const { fail_at(p_, std::move(cause)); }

private:
  friend class object;
  friend class array;

  // One level of the path to the value being read; lives in the `object` or `array` on the caller's stack.
  struct frame {
    frame* up = nullptr;
    bool is_array = false;
    std::string_view key;
    std::size_t index = 0;
  };

  [[gnu::noinline]] void enter(frame& f, kind k) {
    expect(k);
    if (depth_ == max_depth)
      fail_here("arrays and objects nest more than " + std::to_string(max_depth) + " levels deep");
    ++depth_;
    ++p_;
    f.up = top_;
    top_ = &f;
  }
  void leave(const frame& f) noexcept {
    --depth_;
    top_ = f.up;
  }

  void skip_space() noexcept {
    while (p_ != end_ && (*p_ == ' ' || *p_ == '\n' || *p_ == '\r' || *p_ == '\t'))
      ++p_;
  }
  bool take(char c) noexcept {
    skip_space();
    if (p_ == end_ || *p_ != c)
      return false;
    ++p_;
    return true;
  }
  void expect(kind k) {
    static constexpr const char* names[] = {"null",     "true or false", "a number",
                                            "a string", "an array",      "an object"};
    kind found = peek();
    if (found != k)
      fail_here(std::string("expected ") + names[int(k)] + ", found " + names[int(found)]);
  }
  void word(std::string_view w) {
    if (std::size_t(end_ - p_) < w.size() || std::memcmp(p_, w.data(), w.size()) != 0)
      fail_here("found " + quoted(*p_) + " where a value is expected");
    p_ += w.size();
  }

  // Consumes a number by JSON's grammar; true if it has a fraction or an exponent, or is not finite.
  bool scan_number() {
    const char* first = p_;
    if (*p_ == '-')
      ++p_;
    if (p_ != end_ && *p_ == 'I')
      return word("Infinity"), true;
    if (*first == 'N')
      return word("NaN"), true;
    auto digits = [&] {
      const char* d = p_;
      while (p_ != end_ && *p_ >= '0' && *p_ <= '9')
        ++p_;
      if (d == p_)
        fail_at(first, "a number is malformed");
    };
    bool real = false;
    if (p_ != end_ && *p_ == '0')
      ++p_;
    else
      digits();
    if (p_ != end_ && *p_ == '.') {
      ++p_;
      digits();
      real = true;
    }
    if (p_ != end_ && (*p_ == 'e' || *p_ == 'E')) {
      ++p_;
      if (p_ != end_ && (*p_ == '+' || *p_ == '-'))
        ++p_;
      digits();
      real = true;
    }
    return real;
  }
  static bool exponent_is_negative(std::string_view text) {
    auto e = text.find_first_of("eE");
    return e == text.npos ? text.find_first_of("123456789") > text.find('.') : text[e + 1] == '-';
  }

  friend class writer;
  // The end of the run of characters that stand for themselves: printable ASCII but for quotes and
  // backslashes.
  static const char* plain_run(const char* p, const char* end) noexcept {
    constexpr std::uint64_t ones = 0x0101'0101'0101'0101u, highs = ones * 0x80;
    while (end - p >= 8) {
      std::uint64_t x;
      std::memcpy(&x, p, 8);
      std::uint64_t quote = x ^ (ones * '"'), slash = x ^ (ones * '\\');
      // a byte's high bit is set by the first two when it is zero, by the third when below 32, by x when
      // above 127
      if ((((quote - ones) & ~quote) | ((slash - ones) & ~slash) | (x - ones * 32) | x) & highs)
        break;
      p += 8;
    }
    while (p != end) {
      auto c = static_cast<unsigned char>(*p);
      if (c < 32 || c > 126 || c == '"' || c == '\\')
        break;
      ++p;
    }
    return p;
  }

  // Decodes one escape or one character beyond ASCII.
  void decode_special(std::string& out) {
    if (p_ == end_)
      fail_here("the text ends inside a string");
    auto c = static_cast<unsigned char>(*p_);
    if (c == '\\')
      return decode_escape(out);
    if (c == 127)
      return out.push_back(*p_++);
    if (c < 32)
      fail_here("a string holds a control character");
    std::size_t n = utf8_length(p_, end_);
    if (n == 0)
      fail_here("a string holds bytes that are not UTF-8");
    out.append(p_, n);
    p_ += n;
  }
  void decode_escape(std::string& out) {
    if (end_ - p_ < 2)
      fail_here("the text ends inside a string");
    switch (p_[1]) {
    case '"':
      out.push_back('"');
      break;
    case '\\':
      out.push_back('\\');
      break;
    case '/':
      out.push_back('/');
      break;
    case 'b':
      out.push_back('\b');
      break;
    case 'f':
      out.push_back('\f');
      break;
    case 'n':
      out.push_back('\n');
      break;
    case 'r':
      out.push_back('\r');
      break;
    case 't':
      out.push_back('\t');
      break;
    case 'u': {
      std::uint32_t u = hex4(p_ + 2);
      p_ += 6;
      if (u >= 0xd800 && u < 0xdc00 && end_ - p_ >= 6 && p_[0] == '\\' && p_[1] == 'u') {
        std::uint32_t low = hex4(p_ + 2);
        if (low >= 0xdc00 && low < 0xe000) {
          p_ += 6;
          u = 0x1'0000 + ((u - 0xd800) << 10) + (low - 0xdc00);
        }
      }
      append_utf8(out, u);
      return;
    }
    default:
      fail_here("a string holds the unknown escape \\" + std::string(1, p_[1]));
    }
    p_ += 2;
  }
  std::uint32_t hex4(const char* p) {
    std::uint32_t u = 0;
    if (end_ - p < 4)
      fail_here("the text ends inside a string");
    for (int i = 0; i != 4; ++i) {
      char c = p[i];
      std::uint32_t d = c >= '0' && c <= '9'   ? std::uint32_t(c - '0')
                        : c >= 'a' && c <= 'f' ? std::uint32_t(c - 'a' + 10)
                        : c >= 'A' && c <= 'F' ? std::uint32_t(c - 'A' + 10)
                                               : 16;
      if (d == 16)
        fail_here("a \\u escape needs four hexadecimal digits");
      u = u * 16 + d;
    }
    return u;
  }
  static void append_utf8(std::string& out, std::uint32_t u) {
    if (u < 0x80) {
      out.push_back(char(u));
    } else if (u < 0x800) {
      out.push_back(char(0xc0 | u >> 6));
      out.push_back(char(0x80 | (u & 63)));
    } else if (u < 0x1'0000) {
      out.push_back(char(0xe0 | u >> 12));
      out.push_back(char(0x80 | (u >> 6 & 63)));
      out.push_back(char(0x80 | (u & 63)));
    } else {
      out.push_back(char(0xf0 | u >> 18));
      out.push_back(char(0x80 | (u >> 12 & 63)));
      out.push_back(char(0x80 | (u >> 6 & 63)));
      out.push_back(char(0x80 | (u & 63)));
    }
  }
  // Bytes of the well-formed UTF-8 character at p; 0 if there is none.
  static std::size_t utf8_length(const char* p, const char* end) noexcept {
    auto at = [&](std::ptrdiff_t i) -> unsigned {
      return p + i < end ? static_cast<unsigned char>(p[i]) : 0;
    };
    auto tail = [&](std::ptrdiff_t i) { return (at(i) & 0xc0) == 0x80; };
    unsigned c = at(0);
    if (c >= 0xc2 && c <= 0xdf)
      return tail(1) ? 2 : 0;
    if (c >= 0xe0 && c <= 0xef) {
      unsigned lo = c == 0xe0 ? 0xa0 : 0x80, hi = c == 0xed ? 0x9f : 0xbf;
      return at(1) >= lo && at(1) <= hi && tail(2) ? 3 : 0;
    }
    if (c >= 0xf0 && c <= 0xf4) {
      unsigned lo = c == 0xf0 ? 0x90 : 0x80, hi = c == 0xf4 ? 0x8f : 0xbf;
      return at(1) >= lo && at(1) <= hi && tail(2) && tail(3) ? 4 : 0;
    }
    return 0;
  }

  void skip_string() {
    ++p_;
    p_ = plain_run(p_, end_);
    while (p_ == end_ || *p_ != '"') {
      scratch_.clear();
      decode_special(scratch_);
      p_ = plain_run(p_, end_);
    }
    ++p_;
  }
  inline void skip_value();

  // Text from the file, fit for an error message: short and printable.
  static std::string shortened(std::string_view s) {
    std::string out;
    for (char c : s.substr(0, 40))
      out.push_back(c >= 32 && c < 127 ? c : '?');
    if (s.size() > 40)
      out += "...";
    return out;
  }
  static std::string quoted(char c) {
    return c >= 32 && c < 127 ? std::string{'\'', c, '\''}
                              : "byte " + std::to_string(static_cast<unsigned char>(c));
  }
  static void print_path(const frame* f, std::string& out) {
    if (!f)
      return;
    print_path(f->up, out);
    if (f->is_array) {
      out += '[' + std::to_string(f->index) + ']';
    } else if (!f->key.empty()) {
      if (!out.empty())
        out += '.';
      out += shortened(f->key);
    }
  }
  [[noreturn]] ESPALIER_COLD void fail_at(const char* at, std::string cause) const {
    std::string path;
    print_path(top_, path);
    if (path.size() > 400) // deep nesting: what encloses it, and what is nearest
      path = path.substr(0, 200) + " ... " + path.substr(path.size() - 150);
    std::string where(place_);
    if (!path.empty())
      where += ": " + path;
    where += " (byte " + std::to_string(at - begin_) + ")";
    fail(error_kind::archive, std::move(cause), std::move(where),
         "the file is damaged or of an unknown format; get a fresh copy, or export it again");
  }

  const char *begin_, *p_, *end_;
  std::string_view place_;
  frame* top_ = nullptr;
  int depth_ = 0;
  std::string scratch_;
};

/// Reads an object: `for (json::object o(r); o.next();) use(o.key()), /* read the value from r */;`
class object {
public:
  explicit object(reader& r) : r_(r) { r.enter(frame_, kind::object); }
  object(const object&) = delete;
  object& operator=(const object&) = delete;
  ~object() { r_.leave(frame_); }

  /// Consumes a comma and the next member's name, or the closing brace, and says which.
  [[gnu::noinline]] bool next() {
    if (r_.take('}'))
      return false;
    if (!first_ && !r_.take(','))
      r_.fail_here("a ',' or '}' is missing after a member");
    first_ = false;
    read_key();
    if (!r_.take(':'))
      r_.fail_here("a ':' is missing after a member's name");
    return true;
  }
  /// The name of the member; valid until the next one is read.
  std::string_view key() const noexcept { return frame_.key; }

private:
  void read_key() {
    r_.expect(kind::string);
    const char* first = ++r_.p_;
    const char* last = reader::plain_run(first, r_.end_);
    if (last != r_.end_ && *last == '"') { // nothing to decode: the name is a piece of the text
      frame_.key = {first, std::size_t(last - first)};
      r_.p_ = last + 1;
    } else {
      r_.p_ = first - 1;
      r_.string(decoded_);
      frame_.key = decoded_;
    }
  }
  reader& r_;
  reader::frame frame_;
  bool first_ = true;
  std::string decoded_;
};

/// Reads an array: `for (json::array a(r); a.next();) /* read an element from r */;`
class array {
public:
  explicit array(reader& r) : r_(r) {
    frame_.is_array = true;
    r.enter(frame_, kind::array);
  }
  array(const array&) = delete;
  array& operator=(const array&) = delete;
  ~array() { r_.leave(frame_); }

  /// Consumes a comma or the closing bracket, and says whether an element follows.
  [[gnu::noinline]] bool next() {
    if (r_.take(']'))
      return false;
    if (first_) {
      first_ = false;
      return true;
    }
    if (!r_.take(','))
      r_.fail_here("a ',' or ']' is missing after an element");
    ++frame_.index;
    return true;
  }

private:
  reader& r_;
  reader::frame frame_;
  bool first_ = true;
};

inline void reader::skip_value() {
  switch (peek()) {
  case kind::object:
    for (object o(*this); o.next();)
      skip_value();
    break;
  case kind::array:
    for (array a(*this); a.next();)
      skip_value();
    break;
  case kind::string:
    skip_string();
    break;
  case kind::number:
    scan_number();
    break;
  case kind::boolean:
    boolean();
    break;
  case kind::null:
    word("null");
    break;
  }
}

} // namespace espalier::json
