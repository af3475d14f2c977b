// SPDX-License-Identifier: BSL-1.0
// The parser of schema strings (`add.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor`), one function for
// constant evaluation and for run time: it counts when it is given nowhere to write to.
#pragma once

#include <espalier/schema/schema.hpp>

#include <cstddef>
#include <string_view>

namespace espalier::detail {

/// What a parse found. `error_at` is the offset of the first thing that is wrong, or `npos`.
struct schema_counts {
  std::size_t args = 0, returns = 0;
  std::size_t error_at = std::string_view::npos;
  std::string_view name, overload;
};

class schema_parser {
public:
  constexpr schema_parser(std::string_view text, schema_arg* args, schema_return* returns) noexcept : s_(text), args_(args), returns_(returns) {}

  constexpr schema_counts parse() noexcept {
    const auto open = s_.find('(');
    if (open == s_.npos) return fail(s_.size());
    const auto full = s_.substr(0, open);
    const auto colons = full.find("::");
    const auto dot = full.find('.', colons == full.npos ? 0 : colons);
    out_.name = full.substr(0, dot);
    if (dot != full.npos) out_.overload = full.substr(dot + 1);
    if (out_.name.empty()) return fail(0);
    at_ = open + 1;
    if (!arguments()) return out_;
    spaces();
    if (!take("->")) return fail(at_);
    spaces();
    if (!results()) return out_;
    spaces();
    if (at_ != s_.size()) return fail(at_);
    return out_;
  }

private:
  constexpr schema_counts fail(std::size_t at) noexcept {
    if (out_.error_at == std::string_view::npos) out_.error_at = at;
    return out_;
  }
  constexpr bool wrong() noexcept {
    fail(at_);
    return false;
  }
  constexpr char peek() const noexcept { return at_ < s_.size() ? s_[at_] : '\0'; }
  constexpr void spaces() noexcept {
    while (peek() == ' ') ++at_;
  }
  constexpr bool take(std::string_view t) noexcept {
    if (s_.substr(at_ < s_.size() ? at_ : s_.size(), t.size()) != t) return false;
    at_ += t.size();
    return true;
  }
  static constexpr bool word_char(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.';
  }
  constexpr std::string_view word() noexcept {
    const auto first = at_;
    while (word_char(peek())) ++at_;
    return s_.substr(first, at_ - first);
  }
  /// Past the bracket that closes the one at `at_`.
  constexpr bool skip_brackets() noexcept {
    int depth = 0;
    do {
      const char c = peek();
      if (c == '\0') return wrong();
      depth += c == '(' || c == '[';
      depth -= c == ')' || c == ']';
      ++at_;
    } while (depth);
    return true;
  }
  static constexpr arg_kind kind_of(std::string_view w) noexcept {
    struct row {
      std::string_view word;
      arg_kind kind;
    };
    constexpr row rows[] = {
        {"Tensor", arg_kind::tensor}, {"Scalar", arg_kind::scalar}, {"number", arg_kind::scalar}, {"int", arg_kind::integer},
        {"SymInt", arg_kind::sym_integer}, {"float", arg_kind::floating}, {"bool", arg_kind::boolean}, {"str", arg_kind::string},
        {"ScalarType", arg_kind::scalar_type}, {"Layout", arg_kind::layout}, {"Device", arg_kind::device},
        {"MemoryFormat", arg_kind::memory_format}, {"Generator", arg_kind::generator}, {"Dimname", arg_kind::dimname},
        {"Storage", arg_kind::storage}, {"Stream", arg_kind::stream}, {"QScheme", arg_kind::qscheme}, {"complex", arg_kind::complex},
        {"SymBool", arg_kind::sym_bool}, {"SymFloat", arg_kind::sym_float}, {"DeviceIndex", arg_kind::integer},
    };
    for (auto& r : rows)
      if (r.word == w) return r.kind;
    return arg_kind::other;
  }
  /// `(a)`, `(a!)`, `(a -> *)`, `(a! -> b)`, `(a|b)`, `(*)`.
  constexpr bool alias(char& set, bool& write) noexcept {
    ++at_; // the bracket
    spaces();
    set = peek();
    if (set == '\0' || set == ')') return wrong();
    while (peek() != ')') {
      if (peek() == '!') write = true;
      if (peek() == '\0') return wrong();
      ++at_;
    }
    ++at_;
    return true;
  }
  constexpr bool type(arg_type& t, char& set, bool& write) noexcept {
    if (peek() == '(') { // a tuple type
      if (!skip_brackets()) return false;
    } else {
      const auto w = word();
      if (w.empty()) return wrong();
      t.kind = kind_of(w);
      if ((w == "Dict" || w == "Future" || w == "Union" || w == "Await" || w == "RRef") && peek() == '(' && !skip_brackets()) return false;
    }
    for (;;) {
      if (peek() == '(') {
        if (!alias(set, write)) return false;
      } else if (peek() == '?') {
        ++at_;
        t.optional = true;
      } else if (peek() == '[') {
        ++at_;
        int n = -1;
        while (peek() >= '0' && peek() <= '9') {
          n = (n < 0 ? 0 : n) * 10 + (peek() - '0');
          if (n > 4096) return wrong();
          ++at_;
        }
        if (peek() != ']') return wrong();
        ++at_;
        ++t.list_depth;
        t.element_optional = t.optional;
        t.optional = false;
        t.fixed_size = static_cast<std::int16_t>(n);
      } else {
        return true;
      }
    }
  }
  constexpr bool default_value(std::string_view& text) noexcept {
    const auto first = at_;
    int depth = 0;
    char quote = 0;
    for (;; ++at_) {
      const char c = peek();
      if (c == '\0') return wrong();
      if (quote) {
        if (c == '\\') ++at_;
        else if (c == quote) quote = 0;
        continue;
      }
      if (c == '"' || c == '\'') quote = c;
      else if (c == '[' || c == '(') ++depth;
      else if (c == ']' || (c == ')' && depth)) --depth;
      else if (depth == 0 && (c == ',' || c == ')')) break;
    }
    text = s_.substr(first, at_ - first);
    return !text.empty() || wrong();
  }
  constexpr bool arguments() noexcept {
    bool kwarg_only = false;
    spaces();
    if (take(")")) return true;
    for (;;) {
      spaces();
      if (peek() == '*') {
        ++at_;
        kwarg_only = true;
      } else if (take("...")) {
        // variadic: no argument of its own
      } else {
        schema_arg a;
        a.kwarg_only = kwarg_only;
        if (!type(a.type, a.alias, a.is_write)) return false;
        spaces();
        a.name = word();
        if (a.name.empty()) return wrong();
        spaces();
        if (peek() == '=') {
          ++at_;
          a.has_default = true;
          if (!default_value(a.default_text)) return false;
        }
        if (args_) args_[out_.args] = a;
        ++out_.args;
      }
      spaces();
      if (take(")")) return true;
      if (!take(",")) return wrong();
    }
  }
  constexpr bool one_result() noexcept {
    if (take("...")) return true;
    schema_return r;
    if (!type(r.type, r.alias, r.is_write)) return false;
    spaces();
    r.name = word();
    if (returns_) returns_[out_.returns] = r;
    ++out_.returns;
    return true;
  }
  constexpr bool results() noexcept {
    if (peek() != '(') return one_result();
    ++at_;
    spaces();
    if (take(")")) return true;
    for (;;) {
      spaces();
      if (!one_result()) return false;
      spaces();
      if (take(")")) return true;
      if (!take(",")) return wrong();
    }
  }

  std::string_view s_;
  std::size_t at_ = 0;
  schema_arg* args_;
  schema_return* returns_;
  schema_counts out_;
};

} // namespace espalier::detail
