// SPDX-License-Identifier: BSL-1.0
// Expressions as text, in both of sympy's forms: `srepr` (`Mul(Integer(2), Symbol('s40', positive=True,
// integer=True))`), which archives hold and which comes back character by character, and `str` (`2*s40`), for
// people and the textual IR.
#pragma once

#include <espalier/support/vector.hpp>
#include <espalier/symbolic/expr.hpp>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace espalier {

/// sympy's `srepr` of an expression.
template <class = when_used>
std::string to_srepr(const expr* e) {
  switch (e->kind()) {
  case expr_kind::integer:
    return "Integer(" + std::to_string(e->value()) + ")";
  case expr_kind::symbol:
    return "Symbol('" + e->name() + "'" + (e->assumptions().empty() ? "" : ", " + e->assumptions()) + ")";
  case expr_kind::number:
    return e->name();
  default:
    break;
  }
  std::string s = e->head() + "(";
  for (std::size_t i = 0; i != e->args().size(); ++i)
    s += (i ? ", " : "") + to_srepr(e->args()[i]);
  return s + ")";
}

namespace detail {

// binding powers, as Python's
inline constexpr int prec_relation = 1, prec_sum = 2, prec_product = 3, prec_unary = 4, prec_power = 5;

struct relation_name {
  std::string_view head, sign;
};
inline std::string_view relation_sign(std::string_view head) noexcept {
  constexpr relation_name rows[] = {{"Equality", "=="}, {"Unequality", "!="},       {"StrictLessThan", "<"},
                                    {"LessThan", "<="}, {"StrictGreaterThan", ">"}, {"GreaterThan", ">="}};
  for (auto& [h, sign] : rows)
    if (h == head)
      return sign;
  return {};
}

inline std::string to_string_prec(const expr* e, int outer) {
  const auto wrap = [&](int prec, std::string s) { return prec < outer ? "(" + s + ")" : s; };
  const auto& a = e->args();
  switch (e->kind()) {
  case expr_kind::integer:
    return e->value() < 0 ? wrap(prec_unary, std::to_string(e->value())) : std::to_string(e->value());
  case expr_kind::symbol:
    return e->name();
  case expr_kind::number:
    if (e->head() == "BooleanTrue")
      return "True";
    if (e->head() == "BooleanFalse")
      return "False";
    return e->name();
  case expr_kind::add: {
    std::string s;
    for (std::size_t i = 0; i != a.size(); ++i) {
      std::string t = to_string_prec(a[i], prec_sum + (i ? 1 : 0));
      if (i && (a[i]->kind() == expr_kind::integer ||
                a[i]->kind() == expr_kind::mul)) { // no brackets around a negative term: a sign
        t = to_string_prec(a[i], prec_sum);
        if (t.starts_with('-')) {
          s += " - " + t.substr(1);
          continue;
        }
      }
      s += (i ? " + " : "") + t;
    }
    return wrap(prec_sum, std::move(s));
  }
  case expr_kind::mul: {
    std::string s;
    std::size_t i = 0;
    if (a.size() > 1 && a[0]->kind() == expr_kind::integer && a[0]->value() == -1) {
      s = "-";
      i = 1;
    }
    for (bool first = true; i != a.size(); ++i, first = false) {
      const bool leading_number = first && s.empty() && a[i]->kind() == expr_kind::integer;
      s += (first ? "" : "*") + to_string_prec(a[i], leading_number ? prec_product : prec_product + 1);
    }
    return wrap(s.starts_with('-') ? prec_sum : prec_product, std::move(s));
  }
  case expr_kind::pow:
    if (a.size() == 2)
      return wrap(prec_power,
                  to_string_prec(a[0], prec_power + 1) + "**" + to_string_prec(a[1], prec_power + 1));
    break;
  case expr_kind::function:
    break;
  }
  if (e->head() == "FloorDiv" && a.size() == 2)
    return "(" + to_string_prec(a[0], prec_product) + "//" + to_string_prec(a[1], prec_product + 1) + ")";
  if (const auto sign = relation_sign(e->head()); !sign.empty() && a.size() == 2)
    return wrap(prec_relation, to_string_prec(a[0], prec_sum) + " " + std::string(sign) + " " +
                                   to_string_prec(a[1], prec_sum));
  std::string s = e->head() + "(";
  for (std::size_t i = 0; i != a.size(); ++i)
    s += (i ? ", " : "") + to_string_prec(a[i], 0);
  return s + ")";
}
inline std::string sym_text(const expr* e) { return to_string_prec(e, 0); }

/// A cursor over an expression's text.
template <class = when_used>
class expr_reader {
public:
  explicit expr_reader(std::string_view text) noexcept : s_(text) {}

  const expr* srepr() {
    const expr* e = srepr_at(0);
    finish();
    return e;
  }
  const expr* plain() {
    const expr* e = relation(0);
    finish();
    return e;
  }

private:
  static constexpr int limit = 200;

  [[noreturn]] ESPALIER_COLD void refuse(std::string what) const {
    std::string text(s_.substr(0, 200));
    fail(error_kind::archive, "malformed expression: " + std::move(what),
         "'" + text + "' at offset " + std::to_string(at_),
         "write a sympy expression over symbols, or re-export the program");
  }
  char peek() const noexcept { return at_ < s_.size() ? s_[at_] : '\0'; }
  void spaces() noexcept {
    while (peek() == ' ')
      ++at_;
  }
  void finish() {
    spaces();
    if (at_ != s_.size())
      refuse("something follows its end");
  }
  bool take(std::string_view t) {
    spaces();
    if (s_.substr(at_, t.size()) != t)
      return false;
    at_ += t.size();
    return true;
  }
  void expect(std::string_view t) {
    if (!take(t))
      refuse("'" + std::string(t) + "' is missing");
  }
  static bool word_char(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.';
  }
  std::string_view word() {
    spaces();
    const auto first = at_;
    while (word_char(peek()))
      ++at_;
    if (first == at_)
      refuse("a name is missing");
    return s_.substr(first, at_ - first);
  }
  std::int64_t number() {
    spaces();
    std::int64_t v = 0;
    const char* first = s_.data() + at_;
    const auto [end, err] = std::from_chars(first, s_.data() + s_.size(), v);
    if (err != std::errc())
      refuse("an integer is missing or too large");
    at_ += static_cast<std::size_t>(end - first);
    return v;
  }
  /// The raw text up to the bracket that closes the one just opened, quotes respected.
  std::string_view raw_rest() {
    const auto first = at_;
    int depth = 1;
    char quote = 0;
    for (; at_ < s_.size(); ++at_) {
      const char c = s_[at_];
      if (quote) {
        if (c == quote)
          quote = 0;
        continue;
      }
      if (c == '\'' || c == '"')
        quote = c;
      depth += c == '(';
      depth -= c == ')';
      if (depth == 0) {
        const auto t = s_.substr(first, at_ - first);
        ++at_;
        return t;
      }
    }
    refuse("a bracket is not closed");
  }
  const expr* srepr_at(int depth) {
    if (depth > limit)
      refuse("it nests deeper than " + std::to_string(limit) + " levels");
    spaces();
    const auto start = at_;
    const auto head = word();
    if (head == "true" || head == "True")
      return expr_table::instance().intern(expr_kind::number, "BooleanTrue", 0, head, {}, {});
    if (head == "false" || head == "False")
      return expr_table::instance().intern(expr_kind::number, "BooleanFalse", 0, head, {}, {});
    if (peek() != '(')
      return expr_table::instance().intern(expr_kind::number, "Constant", 0, head, {}, {}); // oo, pi, ...
    ++at_;
    if (head == "Integer") {
      const auto v = number();
      expect(")");
      return integer(v);
    }
    if (head == "Symbol") {
      if (!take("'"))
        refuse("a symbol's name is missing");
      const auto close = s_.find('\'', at_);
      if (close == s_.npos)
        refuse("a symbol's name is not closed");
      const auto name = s_.substr(at_, close - at_);
      at_ = close + 1;
      take(",");
      spaces();
      return symbol(name, raw_rest());
    }
    if (head == "Rational" || head == "Float") {
      raw_rest();
      return expr_table::instance().intern(expr_kind::number, head, 0, s_.substr(start, at_ - start), {}, {});
    }
    vector<const expr*> args;
    if (!take(")"))
      for (;;) {
        args.push_back(srepr_at(depth + 1));
        if (take(")"))
          break;
        expect(",");
      }
    return make_expr(head, std::move(args));
  }

  // sympy's `str`: relations, sums, products, powers, calls
  const expr* relation(int depth) {
    const expr* a = sum_(depth);
    constexpr relation_name signs[] = {{"Equality", "=="},      {"Unequality", "!="},
                                       {"LessThan", "<="},      {"GreaterThan", ">="},
                                       {"StrictLessThan", "<"}, {"StrictGreaterThan", ">"}};
    for (auto& [head, sign] : signs)
      if (take(sign))
        return make_expr(head, {a, sum_(depth)});
    return a;
  }
  const expr* sum_(int depth) {
    vector<const expr*> terms{product_(depth)};
    for (;;) {
      if (take("+"))
        terms.push_back(product_(depth));
      else if (take("-"))
        terms.push_back(negated(product_(depth)));
      else
        break;
    }
    return terms.size() == 1 ? terms[0] : make_expr("Add", std::move(terms));
  }
  static const expr* negated(const expr* e) {
    if (e->kind() == expr_kind::integer)
      return integer(-e->value());
    vector<const expr*> f;
    if (e->kind() == expr_kind::mul && e->args()[0]->kind() == expr_kind::integer) {
      f = e->args();
      f[0] = integer(-f[0]->value());
    } else if (e->kind() == expr_kind::mul) {
      f = e->args();
      f.insert(f.begin(), integer(-1));
    } else {
      f = {integer(-1), e};
    }
    return make_expr("Mul", std::move(f));
  }
  const expr* product_(int depth) {
    if (depth > limit)
      refuse("it nests deeper than " + std::to_string(limit) + " levels");
    if (take("-"))
      return negated(product_(depth + 1));
    vector<const expr*> factors{power(depth)};
    for (;;) {
      spaces();
      if (s_.substr(at_, 2) == "//") {
        at_ += 2;
        const expr* left = factors.size() == 1 ? factors[0] : make_expr("Mul", factors);
        factors = {make_expr("FloorDiv", {left, power(depth)})};
      } else if (peek() == '*' && s_.substr(at_, 2) != "**") {
        ++at_;
        factors.push_back(power(depth));
      } else if (peek() == '%') {
        ++at_;
        const expr* left = factors.size() == 1 ? factors[0] : make_expr("Mul", factors);
        factors = {make_expr("Mod", {left, power(depth)})};
      } else {
        break;
      }
    }
    return factors.size() == 1 ? factors[0] : make_expr("Mul", std::move(factors));
  }
  const expr* power(int depth) {
    const expr* base = atom(depth + 1);
    if (take("**"))
      return make_expr("Pow", {base, take("-") ? negated(atom(depth + 1)) : atom(depth + 1)});
    return base;
  }
  const expr* atom(int depth) {
    if (depth > limit)
      refuse("it nests deeper than " + std::to_string(limit) + " levels");
    if (take("(")) {
      const expr* e = relation(depth + 1);
      expect(")");
      return e;
    }
    spaces();
    if (peek() >= '0' && peek() <= '9') {
      const auto start = at_;
      while (word_char(peek()))
        ++at_;
      const auto text = s_.substr(start, at_ - start);
      if (text.find('.') != text.npos)
        return expr_table::instance().intern(expr_kind::number, "Float", 0, text, {}, {});
      at_ = start;
      return integer(number());
    }
    const auto w = word();
    if (w == "True" || w == "False")
      return expr_table::instance().intern(expr_kind::number, w == "True" ? "BooleanTrue" : "BooleanFalse", 0,
                                           w == "True" ? "true" : "false", {}, {});
    if (peek() != '(')
      return symbol(w);
    ++at_;
    vector<const expr*> args;
    if (!take(")"))
      for (;;) {
        args.push_back(relation(depth + 1));
        if (take(")"))
          break;
        expect(",");
      }
    return make_expr(w, std::move(args));
  }

  std::string_view s_;
  std::size_t at_ = 0;
};

} // namespace detail

/// The expression of sympy's `srepr` text, arguments in the order given. Throws `error` (archive) on
/// malformed text.
template <class = when_used>
const expr* parse_srepr(std::string_view text) {
  return detail::expr_reader(text).srepr();
}

/// The expression of sympy's `str` text: `2*s40`, `s77 + 1`, `(s17//2)`, `Max(1, s0)`, `u0 >= 1`. Symbols get
/// the assumptions that export gives them by their names.
template <class = when_used>
const expr* parse_expr(std::string_view text) {
  return detail::expr_reader(text).plain();
}

/// sympy's `str` of an expression.
template <class = when_used>
std::string to_string(const expr* e) {
  return detail::to_string_prec(e, 0);
}
template <class = when_used>
std::string to_string(const sym_int& s) {
  return s.is_int() ? std::to_string(s.int_or(0)) : to_string(s.as_expr());
}

} // namespace espalier
