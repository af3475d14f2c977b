// SPDX-License-Identifier: BSL-1.0
// The parser of schema strings (`add.Tensor(Tensor self, Tensor other, *,
// Scalar alpha=1) -> Tensor`), one function for constant evaluation and for run
// time: it counts when it is given nowhere to write to. The grammar is that of
// `torch/csrc/jit/frontend/function_schema_parser.cpp` and of
// native_functions.yaml.
#pragma once

#include <espalier/schema/schema.hpp>
#include <espalier/support/error.hpp>
#include <espalier/support/vector.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace espalier {

/// What is wrong with a schema string.
enum class schema_fault : std::uint8_t {
  none,
  no_arguments,  ///< no `(` after the name
  no_name,       ///< nothing before the `(`, or nothing around its `::` or after its
                 ///< `.`
  bad_type,      ///< a type was expected
  bad_alias,     ///< `(a)`, `(a!)`, `(a -> *)`
  bad_list,      ///< `[`, a size or nothing, `]`
  no_arg_name,   ///< a type without the argument's name
  bad_default,   ///< nothing after `=`, or a bracket or quote left open
  bad_separator, ///< neither `,` nor `)`
  no_arrow,      ///< no `->` after the arguments
  trailing_text, ///< text after the results
  same_name,     ///< two arguments with one name
};

/// What was expected, in words.
constexpr std::string_view to_string(schema_fault f) noexcept {
  switch (f) {
  case schema_fault::none:
    return "nothing is wrong";
  case schema_fault::no_arguments:
    return "'(' is expected after the operator's name";
  case schema_fault::no_name:
    return "a name is expected: namespace::name.overload";
  case schema_fault::bad_type:
    return "a type is expected: Tensor, SymInt[2], Scalar?";
  case schema_fault::bad_alias:
    return "an alias annotation is expected: (a), (a!) or (a -> *)";
  case schema_fault::bad_list:
    return "a list is expected to be written [] or [2], with a size below 4096";
  case schema_fault::no_arg_name:
    return "the argument's name is expected after its type";
  case schema_fault::bad_default:
    return "a default value is expected after '=', its brackets and quotes "
           "closed";
  case schema_fault::bad_separator:
    return "',' or ')' is expected";
  case schema_fault::no_arrow:
    return "'->' and the results are expected after the arguments";
  case schema_fault::trailing_text:
    return "nothing is expected after the results";
  case schema_fault::same_name:
    return "another argument has this name";
  }
  return "?";
}

namespace detail {

/// `text.find(what, from)`. The standard's tests pointers for null, and
/// `-fsanitize=undefined` of g++ 12 calls that no constant expression for the
/// text of a template argument.
constexpr std::size_t offset_of(std::string_view what, std::string_view text, std::size_t from = 0) noexcept {
  for (auto i = from; i + what.size() <= text.size(); ++i) {
    std::size_t same = 0;
    while (same != what.size() && text[i + same] == what[same])
      ++same;
    if (same == what.size())
      return i;
  }
  return text.npos;
}

/// What a parse found; `at` is the offset of what is wrong.
struct schema_counts {
  std::size_t args = 0, returns = 0;
  schema_fault fault = schema_fault::none;
  std::size_t at = 0;
  std::string_view name, overload;
};

/// `name` and `overload` of `aten::add.Tensor` or `add.Tensor`. A dot before
/// `::` belongs to the namespace.
struct operator_name {
  std::string_view name, overload;
  bool has_dot = false;
  constexpr explicit operator_name(std::string_view full) noexcept : name(full) {
    const auto colons = offset_of("::", full);
    const auto dot = offset_of(".", full, colons == full.npos ? 0 : colons);
    if (dot == full.npos)
      return;
    has_dot = true;
    name = full.substr(0, dot);
    overload = full.substr(dot + 1);
  }
};

constexpr arg_kind arg_kind_of(std::string_view word) noexcept {
  struct row {
    std::string_view word;
    arg_kind kind;
  };
  constexpr row rows[] = {
      {"Tensor", arg_kind::tensor},          {"Scalar", arg_kind::scalar},
      {"number", arg_kind::scalar},          {"int", arg_kind::integer},
      {"SymInt", arg_kind::sym_integer},     {"float", arg_kind::floating},
      {"bool", arg_kind::boolean},           {"str", arg_kind::string},
      {"ScalarType", arg_kind::scalar_type}, {"Layout", arg_kind::layout},
      {"Device", arg_kind::device},          {"MemoryFormat", arg_kind::memory_format},
      {"Generator", arg_kind::generator},    {"Dimname", arg_kind::dimname},
      {"Storage", arg_kind::storage},        {"Stream", arg_kind::stream},
      {"QScheme", arg_kind::qscheme},        {"complex", arg_kind::complex},
      {"SymBool", arg_kind::sym_bool},       {"SymFloat", arg_kind::sym_float},
      {"DeviceIndex", arg_kind::integer},
  };
  for (auto& r : rows)
    if (r.word == word)
      return r.kind;
  return arg_kind::other;
}

/// One pass over a schema string. Null arrays are not written to: parse once to
/// count, once to fill.
class schema_parser {
public:
  constexpr schema_parser(std::string_view text, schema_arg* args, schema_return* returns) noexcept
      : s_(text), args_(args), returns_(returns) {}

  constexpr schema_counts parse() noexcept {
    header() && arguments() && arrow() && results() && end();
    return out_;
  }

private:
  constexpr bool wrong(schema_fault f) noexcept { return wrong(f, at_); }
  constexpr bool wrong(schema_fault f, std::size_t at) noexcept {
    out_.fault = f;
    out_.at = at;
    return false;
  }
  constexpr char peek() const noexcept { return at_ < s_.size() ? s_[at_] : '\0'; }
  constexpr void spaces() noexcept {
    while (peek() == ' ' || peek() == '\n' || peek() == '\t')
      ++at_;
  }
  constexpr bool take(std::string_view t) noexcept {
    if (s_.size() - at_ < t.size() || s_.substr(at_, t.size()) != t)
      return false;
    at_ += t.size();
    return true;
  }
  static constexpr bool word_char(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.';
  }
  constexpr std::string_view word() noexcept {
    const auto first = at_;
    while (word_char(peek()))
      ++at_;
    return s_.substr(first, at_ - first);
  }

  constexpr bool header() noexcept {
    const auto open = offset_of("(", s_);
    if (open == s_.npos)
      return wrong(schema_fault::no_arguments, s_.size());
    const operator_name full(s_.substr(0, open));
    out_.name = full.name;
    out_.overload = full.overload;
    if (full.name.empty() || full.name.starts_with("::") || full.name.ends_with("::"))
      return wrong(schema_fault::no_name, 0);
    if (full.has_dot && full.overload.empty())
      return wrong(schema_fault::no_name, open);
    for (char c : full.name)
      if (!word_char(c) && c != ':')
        return wrong(schema_fault::no_name, 0);
    at_ = open + 1;
    return true;
  }
  constexpr bool arrow() noexcept {
    spaces();
    if (!take("->"))
      return wrong(schema_fault::no_arrow);
    spaces();
    return true;
  }
  constexpr bool end() noexcept {
    spaces();
    return at_ == s_.size() || wrong(schema_fault::trailing_text);
  }

  /// Past the bracket that closes the one at `at_`.
  constexpr bool skip_brackets() noexcept {
    const auto open = at_;
    int depth = 0;
    do {
      const char c = peek();
      if (c == '\0')
        return wrong(schema_fault::bad_type, open);
      depth += c == '(' || c == '[';
      depth -= c == ')' || c == ']';
      ++at_;
    } while (depth);
    return true;
  }
  /// `(a)`, `(a!)`, `(a -> *)`, `(a! -> b|c)`, `(*)`: the set before the arrow.
  constexpr bool alias(char& set, bool& write) noexcept {
    const auto open = at_++;
    spaces();
    const char c = peek();
    if (!word_char(c) && c != '*')
      return wrong(schema_fault::bad_alias, open);
    set = c;
    for (bool before_arrow = true; peek() != ')'; ++at_) {
      const char x = peek();
      if (x == '-')
        before_arrow = false;
      if (x == '!' && before_arrow)
        write = true;
      if (!word_char(x) && x != '!' && x != '|' && x != '*' && x != ' ' && x != '-' && x != '>')
        return wrong(schema_fault::bad_alias, open);
    }
    ++at_;
    return true;
  }
  constexpr bool list(arg_type& t) noexcept {
    const auto open = at_++;
    int n = -1;
    for (; peek() >= '0' && peek() <= '9'; ++at_) {
      n = (n < 0 ? 0 : n) * 10 + (peek() - '0');
      if (n > 4095)
        return wrong(schema_fault::bad_list, open);
    }
    if (peek() != ']')
      return wrong(schema_fault::bad_list, open);
    ++at_;
    ++t.list_depth;
    t.element_optional = t.optional;
    t.optional = false;
    t.fixed_size = static_cast<std::int16_t>(n);
    return true;
  }
  constexpr bool type(arg_type& t, char& set, bool& write) noexcept {
    if (peek() == '(') { // a tuple type, which stays `other`
      if (!skip_brackets())
        return false;
    } else {
      const auto w = word();
      if (w.empty() || (w[0] >= '0' && w[0] <= '9'))
        return wrong(schema_fault::bad_type);
      t.kind = arg_kind_of(w);
      const bool generic = w == "Dict" || w == "Future" || w == "Union" || w == "Await" || w == "RRef";
      if (generic && peek() == '(' && !skip_brackets())
        return false;
    }
    for (;;) {
      if (peek() == '(') {
        if (!alias(set, write))
          return false;
      } else if (peek() == '?') {
        ++at_;
        t.optional = true;
      } else if (peek() == '[') {
        if (!list(t))
          return false;
      } else {
        return true;
      }
    }
  }
  constexpr bool default_value(std::string_view& text) noexcept {
    spaces();
    const auto first = at_;
    int depth = 0;
    char quote = 0;
    for (;; ++at_) {
      const char c = peek();
      if (c == '\0')
        return wrong(schema_fault::bad_default, first);
      if (quote) {
        if (c == '\\')
          ++at_;
        else if (c == quote)
          quote = 0;
        continue;
      }
      if (c == '"' || c == '\'')
        quote = c;
      else if (c == '[' || c == '(')
        ++depth;
      else if (depth && (c == ']' || c == ')'))
        --depth;
      else if (depth == 0 && (c == ',' || c == ')'))
        break;
    }
    text = s_.substr(first, at_ - first);
    while (text.ends_with(' '))
      text.remove_suffix(1);
    return !text.empty() || wrong(schema_fault::bad_default, first);
  }
  constexpr bool one_argument(bool kwarg_only) noexcept {
    schema_arg a;
    a.kwarg_only = kwarg_only;
    if (!type(a.type, a.alias, a.is_write))
      return false;
    spaces();
    const auto at = at_;
    a.name = word();
    if (a.name.empty())
      return wrong(schema_fault::no_arg_name);
    spaces();
    if (take("=")) {
      a.has_default = true;
      if (!default_value(a.default_text))
        return false;
    }
    if (args_) {
      for (std::size_t i = 0; i != out_.args; ++i)
        if (args_[i].name == a.name)
          return wrong(schema_fault::same_name, at);
      args_[out_.args] = a;
    }
    ++out_.args;
    return true;
  }
  constexpr bool arguments() noexcept {
    bool kwarg_only = false;
    spaces();
    if (take(")"))
      return true;
    for (;;) {
      spaces();
      if (take("*"))
        kwarg_only = true;
      else if (!take("...") && !one_argument(kwarg_only))
        return false; // `...` adds no argument of its own
      spaces();
      if (take(")"))
        return true;
      if (!take(","))
        return wrong(schema_fault::bad_separator);
    }
  }
  constexpr bool one_result() noexcept {
    if (take("..."))
      return true;
    schema_return r;
    if (!type(r.type, r.alias, r.is_write))
      return false;
    spaces();
    r.name = word();
    if (returns_)
      returns_[out_.returns] = r;
    ++out_.returns;
    return true;
  }
  constexpr bool results() noexcept {
    if (peek() != '(')
      return one_result();
    ++at_;
    spaces();
    if (take(")"))
      return true;
    for (;;) {
      spaces();
      if (!one_result())
        return false;
      spaces();
      if (take(")"))
        return true;
      if (!take(","))
        return wrong(schema_fault::bad_separator);
    }
  }

  std::string_view s_;
  std::size_t at_ = 0;
  schema_arg* args_;
  schema_return* returns_;
  schema_counts out_;
};

} // namespace detail

/// A schema parsed at run time, which owns its text. Throws `error_kind::usage`
/// on a malformed text.
class owned_schema {
public:
  explicit owned_schema(std::string text) : text_(std::move(text)) {
    auto n = detail::schema_parser(text_, nullptr, nullptr).parse();
    if (n.fault == schema_fault::none) {
      args_.resize(n.args);
      returns_.resize(n.returns);
      n = detail::schema_parser(text_, args_.data(), returns_.data()).parse();
    }
    if (n.fault != schema_fault::none)
      fail(error_kind::usage, "malformed operator schema '" + text_ + "': " + std::string(to_string(n.fault)),
           "offset " + std::to_string(n.at),
           "write it as in native_functions.yaml: name.overload(Type "
           "name=default, ...) -> Type");
    schema_ = {n.name, n.overload, args_, returns_};
  }
  owned_schema(const owned_schema&) = delete;
  owned_schema& operator=(const owned_schema&) = delete;

  const op_schema& schema() const noexcept { return schema_; }
  const std::string& text() const noexcept { return text_; }

private:
  std::string text_;
  vector<schema_arg> args_;
  vector<schema_return> returns_;
  op_schema schema_;
};

} // namespace espalier
