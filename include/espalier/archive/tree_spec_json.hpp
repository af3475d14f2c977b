// SPDX-License-Identifier: BSL-1.0
// Tree specs as Python writes them (`torch/utils/_pytree.py`: treespec_dumps, protocol 1): a JSON text inside
// the JSON of an archive. Reading and writing what Python wrote gives the same text, byte for byte, because
// Python compares tree specs as text when it decides whether a signature changed.
#pragma once

#include <espalier/signature/tree_spec.hpp>
#include <espalier/support/error.hpp>

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace espalier {

namespace detail {

/// The protocol of tree specs that we read and write.
inline constexpr int tree_spec_protocol = 1;

/// Marks a context that is not a JSON string but some other JSON value, kept as its text.
inline constexpr char raw_context_mark = '\x01';

inline void append_utf8(std::string& out, std::uint32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xc0 | (c >> 6));
    out += static_cast<char>(0x80 | (c & 0x3f));
  } else if (c < 0x10000) {
    out += static_cast<char>(0xe0 | (c >> 12));
    out += static_cast<char>(0x80 | ((c >> 6) & 0x3f));
    out += static_cast<char>(0x80 | (c & 0x3f));
  } else {
    out += static_cast<char>(0xf0 | (c >> 18));
    out += static_cast<char>(0x80 | ((c >> 12) & 0x3f));
    out += static_cast<char>(0x80 | ((c >> 6) & 0x3f));
    out += static_cast<char>(0x80 | (c & 0x3f));
  }
}

/// A JSON string literal in ASCII, with Python's escapes.
inline void append_json_string(std::string& out, std::string_view s) {
  const auto unit = [&](std::uint32_t u) {
    char buffer[8];
    std::snprintf(buffer, sizeof buffer, "\\u%04x", static_cast<unsigned>(u & 0xffff));
    out += buffer;
  };
  out += '"';
  for (std::size_t i = 0; i != s.size();) {
    const auto c = static_cast<unsigned char>(s[i]);
    switch (c) {
    case '"':
      out += "\\\"";
      ++i;
      continue;
    case '\\':
      out += "\\\\";
      ++i;
      continue;
    case '\n':
      out += "\\n";
      ++i;
      continue;
    case '\r':
      out += "\\r";
      ++i;
      continue;
    case '\t':
      out += "\\t";
      ++i;
      continue;
    case '\b':
      out += "\\b";
      ++i;
      continue;
    case '\f':
      out += "\\f";
      ++i;
      continue;
    default:
      break;
    }
    if (c >= 0x20 && c < 0x7f) {
      out += static_cast<char>(c);
      ++i;
      continue;
    }
    std::uint32_t code = c;
    std::size_t more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : c >= 0xc0 ? 1 : 0;
    if (more)
      code = c & (0x3f >> more);
    for (++i; more && i != s.size() && (static_cast<unsigned char>(s[i]) & 0xc0) == 0x80; --more, ++i)
      code = (code << 6) | (static_cast<unsigned char>(s[i]) & 0x3f);
    if (code >= 0x10000) {
      unit(0xd800 + ((code - 0x10000) >> 10));
      unit(0xdc00 + ((code - 0x10000) & 0x3ff));
    } else
      unit(code);
  }
  out += '"';
}

/// Just enough JSON for tree specs: a cursor that fails with the place.
class json_cursor {
public:
  explicit json_cursor(std::string_view text) noexcept : text_(text) {}

  [[noreturn]] void refuse(std::string found) const {
    fail(error_kind::archive, "a tree spec is malformed: " + std::move(found),
         "character " + std::to_string(at_) + " of '" + std::string(text_.substr(0, 80)) + "'",
         "export the program again; this file is damaged or was written by another producer");
  }
  void blanks() noexcept {
    while (at_ != text_.size() &&
           (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t' || text_[at_] == '\r'))
      ++at_;
  }
  bool take(char c) noexcept {
    blanks();
    if (at_ == text_.size() || text_[at_] != c)
      return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!take(c))
      refuse(std::string("'") + c + "' expected");
  }
  bool take_null() noexcept {
    blanks();
    if (text_.substr(at_, 4) != "null")
      return false;
    at_ += 4;
    return true;
  }
  bool at_string() noexcept {
    blanks();
    return at_ != text_.size() && text_[at_] == '"';
  }
  bool done() noexcept {
    blanks();
    return at_ == text_.size();
  }
  std::int64_t integer() {
    blanks();
    std::int64_t v = 0;
    const std::size_t first = at_;
    while (at_ != text_.size() && text_[at_] >= '0' && text_[at_] <= '9' && at_ - first < 18)
      v = v * 10 + (text_[at_++] - '0');
    if (at_ == first)
      refuse("a number expected");
    return v;
  }
  std::string string() {
    expect('"');
    std::string out;
    for (;;) {
      if (at_ == text_.size())
        refuse("a string does not end");
      const char c = text_[at_++];
      if (c == '"')
        return out;
      if (c != '\\') {
        out += c;
        continue;
      }
      if (at_ == text_.size())
        refuse("a string does not end");
      switch (const char e = text_[at_++]) {
      case 'n':
        out += '\n';
        break;
      case 'r':
        out += '\r';
        break;
      case 't':
        out += '\t';
        break;
      case 'b':
        out += '\b';
        break;
      case 'f':
        out += '\f';
        break;
      case 'u': {
        std::uint32_t code = unit();
        if (code >= 0xd800 && code < 0xdc00 && text_.substr(at_, 2) == "\\u") {
          at_ += 2;
          code = 0x10000 + ((code - 0xd800) << 10) + (unit() - 0xdc00);
        }
        append_utf8(out, code);
        break;
      }
      default:
        out += e;
      }
    }
  }
  /// The text of any value, skipped.
  std::string_view raw() {
    blanks();
    const std::size_t first = at_;
    std::size_t depth = 0;
    do {
      if (at_ == text_.size())
        refuse("a value does not end");
      const char c = text_[at_];
      if (c == '"') {
        string();
        continue;
      }
      if (c == '[' || c == '{')
        ++depth;
      if (c == ']' || c == '}') {
        if (depth == 0)
          break;
        --depth;
      }
      if (depth == 0 && c == ',')
        break;
      ++at_;
    } while (depth != 0 ||
             (at_ != text_.size() && text_[at_] != ',' && text_[at_] != ']' && text_[at_] != '}'));
    if (at_ == first)
      refuse("a value expected");
    return text_.substr(first, at_ - first);
  }

private:
  std::uint32_t unit() {
    std::uint32_t v = 0;
    for (int i = 0; i != 4; ++i) {
      if (at_ == text_.size())
        refuse("an escape does not end");
      const char c = text_[at_++];
      const int d = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
      if (d < 0)
        refuse("an escape is not hexadecimal");
      v = v * 16 + static_cast<std::uint32_t>(d);
    }
    return v;
  }
  std::string_view text_;
  std::size_t at_ = 0;
};

inline tree_spec parse_tree_spec(json_cursor& in, int depth) {
  if (depth > 256)
    in.refuse("it nests deeper than 256 levels");
  tree_spec t;
  in.expect('{');
  bool leaf = false;
  do {
    const std::string key = in.string();
    in.expect(':');
    if (key == "type") {
      if (in.take_null())
        leaf = true;
      else
        t.type = in.string();
    } else if (key == "context") {
      if (in.at_string())
        t.context = in.string();
      else if (in.take_null())
        t.context.clear();
      else
        t.context = raw_context_mark + std::string(in.raw());
    } else if (key == "children_spec") {
      in.expect('[');
      if (!in.take(']')) {
        do
          t.children.push_back(parse_tree_spec(in, depth + 1));
        while (in.take(','));
        in.expect(']');
      }
    } else
      in.raw(); // a newer producer's field
  } while (in.take(','));
  in.expect('}');
  if (leaf && !t.children.empty())
    in.refuse("a leaf has children");
  return t;
}

inline void write_tree_spec(const tree_spec& t, std::string& out) {
  out += "{\"type\": ";
  if (t.is_leaf())
    out += "null";
  else
    append_json_string(out, t.type);
  out += ", \"context\": ";
  if (!t.context.empty() && t.context.front() == raw_context_mark)
    out += t.context.substr(1);
  else if (t.context.empty())
    out += "null";
  else
    append_json_string(out, t.context);
  out += ", \"children_spec\": [";
  for (std::size_t i = 0; i != t.children.size(); ++i) {
    if (i)
      out += ", ";
    write_tree_spec(t.children[i], out);
  }
  out += "]}";
}

} // namespace detail

/// The text of a tree spec, as `torch.utils._pytree.treespec_dumps(spec, 1)` gives it.
inline std::string to_json(const tree_spec& t) {
  std::string out = "[" + std::to_string(detail::tree_spec_protocol) + ", ";
  detail::write_tree_spec(t, out);
  return out + "]";
}

/// The tree spec of such a text. Throws `error` (archive) when it is malformed or of another protocol.
inline tree_spec parse_tree_spec(std::string_view text) {
  detail::json_cursor in(text);
  in.expect('[');
  const auto protocol = in.integer();
  if (protocol != detail::tree_spec_protocol)
    fail(error_kind::archive,
         "a tree spec has protocol " + std::to_string(protocol) + ", but only " +
             std::to_string(detail::tree_spec_protocol) + " is known",
         "", "export the program with a torch that writes protocol 1, or update espalier");
  in.expect(',');
  tree_spec t = detail::parse_tree_spec(in, 0);
  in.expect(']');
  if (!in.done())
    in.refuse("text follows its end");
  return t;
}

/// The keys of a dict-like node: its context when that is a list of strings, else nothing.
inline std::vector<std::string> keys_of(const tree_spec& t) {
  std::vector<std::string> keys;
  std::string_view c = t.context;
  if (!c.empty() && c.front() == detail::raw_context_mark)
    c.remove_prefix(1);
  if (c.empty() || c.front() != '[')
    return keys;
  detail::json_cursor in(c);
  in.expect('[');
  if (in.take(']'))
    return keys;
  if (in.take('[')) { // a registered dataclass: [[fields], [fields that are None]]
    if (in.take(']'))
      return keys;
  }
  do {
    if (!in.at_string())
      return {};
    keys.push_back(in.string());
  } while (in.take(','));
  return keys;
}

} // namespace espalier
