// SPDX-License-Identifier: BSL-1.0
// Integer expressions at run time: range keys (`2*s40`), sizes (`s77 + 1`), guards (`L['x'].size()[0] % 2 ==
// 0`). They are compiled once from their Python text into a postfix program over numbered variables, because
// a program checks its inputs at every call. What is not understood compiles to nothing and is left to the
// reader of the report.
#pragma once

#include <espalier/support/span.hpp>
#include <espalier/support/vector.hpp>
#include <espalier/symbolic/sym_int.hpp>

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

namespace espalier::detail {

/// The variables of a set of expressions: names, and their values during one call.
class variable_table {
public:
  template <class = when_used>
  std::uint32_t slot(std::string_view name) {
    for (std::size_t i = 0; i != names_.size(); ++i)
      if (names_[i] == name)
        return static_cast<std::uint32_t>(i);
    names_.emplace_back(name);
    return static_cast<std::uint32_t>(names_.size() - 1);
  }
  template <class = when_used>
  std::optional<std::uint32_t> find(std::string_view name) const {
    for (std::size_t i = 0; i != names_.size(); ++i)
      if (names_[i] == name)
        return static_cast<std::uint32_t>(i);
    return std::nullopt;
  }
  const std::string& name(std::uint32_t slot) const { return names_[slot]; }
  std::size_t size() const noexcept { return names_.size(); }

private:
  vector<std::string> names_;
};

/// Values of the variables of a table; an absent one is unbound.
using bindings = vector<std::optional<std::int64_t>>;

/// A compiled expression. Truth values are 0 and 1.
class int_expr {
public:
  /// Compiles Python (or sympy) text; nothing when some part of it is not integer arithmetic. Atoms are names
  /// with whatever subscripts, attributes and empty calls follow them, taken as one name.
  template <class = when_used>
  static std::optional<int_expr> compile(std::string_view text, variable_table& vars) {
    parser p{text, vars, {}, 0, true, 0};
    p.disjunction();
    p.blanks();
    if (!p.good || p.at != text.size())
      return std::nullopt;
    int_expr e;
    e.code_ = std::move(p.code);
    e.text_ = std::string(text);
    return e;
  }

  /// The value; nothing when a variable is unbound, on division by zero, or on overflow.
  template <class = when_used>
  std::optional<std::int64_t> evaluate(const bindings& vars) const {
    std::int64_t stack[depth_limit];
    std::size_t n = 0;
    for (const auto& i : code_) {
      switch (i.op) {
      case code::constant:
        stack[n++] = i.value;
        continue;
      case code::variable: {
        const auto s = static_cast<std::size_t>(i.value);
        if (s >= vars.size() || !vars[s])
          return std::nullopt;
        stack[n++] = *vars[s];
        continue;
      }
      case code::negate:
        if (__builtin_sub_overflow(std::int64_t{0}, stack[n - 1], &stack[n - 1]))
          return std::nullopt;
        continue;
      case code::logical_not:
        stack[n - 1] = !stack[n - 1];
        continue;
      case code::absolute:
        if (stack[n - 1] < 0 && __builtin_sub_overflow(std::int64_t{0}, stack[n - 1], &stack[n - 1]))
          return std::nullopt;
        continue;
      default:
        break;
      }
      const std::int64_t b = stack[--n], a = stack[n - 1];
      std::int64_t r = 0;
      switch (i.op) {
      case code::add:
        if (__builtin_add_overflow(a, b, &r))
          return std::nullopt;
        break;
      case code::subtract:
        if (__builtin_sub_overflow(a, b, &r))
          return std::nullopt;
        break;
      case code::multiply:
        if (__builtin_mul_overflow(a, b, &r))
          return std::nullopt;
        break;
      case code::floor_divide:
        if (b == 0 || floordiv_overflow(a, b, &r))
          return std::nullopt;
        break;
      case code::ceil_divide:
        if (b == 0 || ceildiv_overflow(a, b, &r))
          return std::nullopt;
        break;
      case code::divide: // exact, or not an integer
        if (b == 0 || !divides(b, a))
          return std::nullopt;
        r = a / b;
        break;
      case code::modulo:
        if (b == 0)
          return std::nullopt;
        r = floormod_int(a, b);
        break;
      case code::power: {
        if (b < 0 || power_overflow(a, b, &r))
          return std::nullopt;
        break;
      }
      case code::minimum:
        r = std::min(a, b);
        break;
      case code::maximum:
        r = std::max(a, b);
        break;
      case code::equal:
        r = a == b;
        break;
      case code::not_equal:
        r = a != b;
        break;
      case code::less:
        r = a < b;
        break;
      case code::less_equal:
        r = a <= b;
        break;
      case code::greater:
        r = a > b;
        break;
      case code::greater_equal:
        r = a >= b;
        break;
      case code::logical_and:
        r = a && b;
        break;
      case code::logical_or:
        r = a || b;
        break;
      default:
        return std::nullopt;
      }
      stack[n - 1] = r;
    }
    return stack[0];
  }

  /// The variable, when the expression is nothing else.
  template <class = when_used>
  std::optional<std::uint32_t> as_variable() const noexcept {
    if (code_.size() == 1 && code_[0].op == code::variable)
      return static_cast<std::uint32_t>(code_[0].value);
    return std::nullopt;
  }
  template <class = when_used>
  std::optional<std::int64_t> as_constant() const noexcept {
    if (code_.size() == 1 && code_[0].op == code::constant)
      return code_[0].value;
    return std::nullopt;
  }

  /// Solves `this == target` when exactly one variable is unbound and the expression is linear in it, and
  /// binds it.
  template <class = when_used>
  bool solve(bindings& vars, std::int64_t target) const {
    std::optional<std::uint32_t> unknown;
    for (const auto& i : code_)
      if (i.op == code::variable && !vars[static_cast<std::size_t>(i.value)]) {
        const auto s = static_cast<std::uint32_t>(i.value);
        if (unknown && *unknown != s)
          return false;
        unknown = s;
      }
    if (!unknown)
      return false;
    std::int64_t y[3];
    for (int k = 0; k != 3; ++k) {
      vars[*unknown] = k + 1;
      const auto v = evaluate(vars);
      vars[*unknown].reset();
      if (!v)
        return false;
      y[k] = *v;
    }
    std::int64_t slope = 0, next = 0, rest = 0, x = 0;
    if (__builtin_sub_overflow(y[1], y[0], &slope) || __builtin_sub_overflow(y[2], y[1], &next) ||
        slope == 0 || next != slope || __builtin_sub_overflow(target, y[0], &rest) || !divides(slope, rest) ||
        __builtin_add_overflow(rest / slope, 1, &x))
      return false;
    vars[*unknown] = x;
    if (evaluate(vars) == target)
      return true;
    vars[*unknown].reset();
    return false;
  }

  /// The text it was compiled from.
  const std::string& text() const noexcept { return text_; }
  /// Calls `f(slot)` for each variable, repeated ones too.
  template <class F>
  void for_each_variable(F&& f) const {
    for (const auto& i : code_)
      if (i.op == code::variable)
        f(static_cast<std::uint32_t>(i.value));
  }

private:
  enum class code : std::uint8_t {
    constant,
    variable,
    negate,
    logical_not,
    absolute,
    add,
    subtract,
    multiply,
    divide,
    floor_divide,
    ceil_divide,
    modulo,
    power,
    minimum,
    maximum,
    equal,
    not_equal,
    less,
    less_equal,
    greater,
    greater_equal,
    logical_and,
    logical_or,
  };
  struct instruction {
    code op;
    std::int64_t value = 0;
  };
  static constexpr std::size_t nesting_limit = 32;
  static constexpr std::size_t depth_limit =
      nesting_limit * 6; // of the operand stack: one operand a level of grammar

  // One function a precedence level of Python's grammar.
  struct parser {
    std::string_view text;
    variable_table& vars;
    vector<instruction> code;
    std::size_t at;
    bool good;
    std::size_t depth;

    void blanks() {
      while (at < text.size() && (text[at] == ' ' || text[at] == '\n'))
        ++at;
    }
    bool take(std::string_view token) {
      blanks();
      if (text.substr(at, token.size()) != token)
        return false;
      if (std::isalpha(static_cast<unsigned char>(token[0]))) {
        const char after = at + token.size() < text.size() ? text[at + token.size()] : ' ';
        if (std::isalnum(static_cast<unsigned char>(after)) || after == '_')
          return false;
      }
      at += token.size();
      return true;
    }
    void emit(int_expr::code op, std::int64_t v = 0) { code.push_back({op, v}); }
    void refuse() { good = false; }

    void disjunction() {
      conjunction();
      while (good && (take("or") || take("|"))) {
        conjunction();
        emit(int_expr::code::logical_or);
      }
    }
    void conjunction() {
      negation();
      while (good && (take("and") || take("&"))) {
        negation();
        emit(int_expr::code::logical_and);
      }
    }
    void negation() {
      bool flip = false;
      while (take("not"))
        flip = !flip;
      comparison();
      if (flip)
        emit(int_expr::code::logical_not);
    }
    void comparison() {
      sum();
      using c = int_expr::code;
      static constexpr struct {
        std::string_view token;
        c op;
      } table[] = {{"==", c::equal},         {"!=", c::not_equal}, {"<=", c::less_equal},
                   {">=", c::greater_equal}, {"<", c::less},       {">", c::greater}};
      for (auto& row : table)
        if (good && take(row.token)) {
          sum();
          emit(row.op);
          for (auto& again : table)
            if (take(again.token))
              refuse(); // chains (a < b < c) are not needed
          return;
        }
    }
    void sum() {
      product();
      while (good) {
        if (take("+")) {
          product();
          emit(int_expr::code::add);
        } else if (take("-")) {
          product();
          emit(int_expr::code::subtract);
        } else
          return;
      }
    }
    void product() {
      unary();
      while (good) {
        blanks();
        if (text.substr(at, 2) == "**")
          return;
        if (take("//")) {
          unary();
          emit(int_expr::code::floor_divide);
        } else if (take("/")) {
          unary();
          emit(int_expr::code::divide);
        } else if (take("*")) {
          unary();
          emit(int_expr::code::multiply);
        } else if (take("%")) {
          unary();
          emit(int_expr::code::modulo);
        } else
          return;
      }
    }
    void unary() {
      if (++depth > nesting_limit)
        return refuse();
      if (take("-")) {
        unary();
        emit(int_expr::code::negate);
      } else if (take("+"))
        unary();
      else if (take("~")) {
        unary();
        emit(int_expr::code::logical_not);
      } else {
        primary();
        if (good && take("**")) {
          unary();
          emit(int_expr::code::power);
        }
      }
      --depth;
    }
    void primary() {
      blanks();
      if (at == text.size())
        return refuse();
      const char c = text[at];
      if (c == '(') {
        ++at;
        disjunction();
        if (!take(")"))
          refuse();
        return;
      }
      if (std::isdigit(static_cast<unsigned char>(c))) {
        std::int64_t v = 0;
        while (at < text.size() && std::isdigit(static_cast<unsigned char>(text[at])))
          if (__builtin_mul_overflow(v, std::int64_t{10}, &v) ||
              __builtin_add_overflow(v, text[at++] - '0', &v))
            return refuse();
        if (at < text.size() && (text[at] == '.' || text[at] == 'e'))
          return refuse();
        emit(int_expr::code::constant, v);
        return;
      }
      if (!std::isalpha(static_cast<unsigned char>(c)) && c != '_')
        return refuse();
      const std::size_t first = at;
      word();
      const auto head = text.substr(first, at - first);
      if (head == "True" || head == "False")
        return emit(int_expr::code::constant, head == "True");
      if (at < text.size() && text[at] == '(')
        return call(head);
      if (!trailers())
        return refuse();
      emit(int_expr::code::variable, vars.slot(text.substr(first, at - first)));
    }
    void word() {
      while (at < text.size() && (std::isalnum(static_cast<unsigned char>(text[at])) || text[at] == '_'))
        ++at;
    }
    /// `['key']`, `[0]`, `.name`, `()`: part of a name here.
    bool trailers() {
      while (at < text.size()) {
        if (text[at] == '[') {
          char quote = 0;
          for (++at; at < text.size() && (quote || text[at] != ']'); ++at)
            if (quote ? text[at] == quote : (text[at] == '\'' || text[at] == '"'))
              quote = quote ? 0 : text[at];
          if (at == text.size())
            return false;
          ++at;
        } else if (text[at] == '.') {
          ++at;
          word();
        } else if (text.substr(at, 2) == "()")
          at += 2;
        else
          break;
      }
      return true;
    }
    void call(std::string_view f) {
      using c = int_expr::code;
      ++at; // (
      int_expr::code op{};
      std::size_t arity = 2;
      bool fold = false;
      if (f == "Max" || f == "max")
        op = c::maximum, fold = true;
      else if (f == "Min" || f == "min")
        op = c::minimum, fold = true;
      else if (f == "FloorDiv" || f == "CleanDiv")
        op = c::floor_divide;
      else if (f == "CeilDiv")
        op = c::ceil_divide;
      else if (f == "Mod" || f == "PythonMod")
        op = c::modulo;
      else if (f == "PowByNatural")
        op = c::power;
      else if (f == "Eq")
        op = c::equal;
      else if (f == "Ne")
        op = c::not_equal;
      else if (f == "abs" || f == "Abs")
        op = c::absolute, arity = 1;
      else if (f == "Not")
        op = c::logical_not, arity = 1;
      else
        return refuse();
      std::size_t n = 0;
      do {
        disjunction();
        if (++n > 1 && (fold || n == 2))
          emit(op);
      } while (good && take(","));
      if (!take(")"))
        return refuse();
      if (arity == 1) {
        if (n != 1)
          return refuse();
        emit(op);
      } else if (fold ? n == 0 : n != 2)
        refuse();
    }
  };

  vector<instruction> code_;
  std::string text_;
};

} // namespace espalier::detail
