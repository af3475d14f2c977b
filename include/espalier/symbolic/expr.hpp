// SPDX-License-Identifier: BSL-1.0
// Expressions over symbols, interned for the process: equal expressions are one object, so comparing two is
// comparing pointers, and a size costs a word. An expression keeps its arguments in the order its author gave
// them (an archive comes back as it went); arithmetic done here brings sums to an affine normal form first.
#pragma once

#include <espalier/support/hash_map.hpp>
#include <espalier/support/mutex.hpp>
#include <espalier/support/optional.hpp>
#include <espalier/support/owned_ptr.hpp>
#include <espalier/support/vector.hpp>
#include <espalier/symbolic/sym_int.hpp>

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

namespace espalier {

/// What an expression is. `function` is anything else that sympy knows by a name (`FloorDiv`, `Max`,
/// `Piecewise`, ...).
enum class expr_kind : std::uint8_t { integer, symbol, number, add, mul, pow, function };

/// An immutable, interned expression. Heads are sympy's class names.
class expr {
public:
  expr_kind kind() const noexcept { return kind_; }
  /// The value of an `integer`.
  std::int64_t value() const noexcept { return value_; }
  /// sympy's class: `Add`, `Mul`, `FloorDiv`, `GreaterThan`, ...
  const std::string& head() const noexcept { return head_; }
  /// A symbol's name; a number's text.
  const std::string& name() const noexcept { return name_; }
  /// A symbol's assumptions as sympy writes them: `positive=True, integer=True`.
  const std::string& assumptions() const noexcept { return extra_; }
  const vector<const expr*>& args() const noexcept { return args_; }

private:
  friend class expr_table;
  expr_kind kind_ = expr_kind::integer;
  std::int64_t value_ = 0;
  std::string head_, name_, extra_;
  vector<const expr*> args_;
};

/// All expressions of the process.
class ESPALIER_SHARED expr_table {
public:
  static expr_table& instance() {
    static expr_table t;
    return t;
  }
  const expr* intern(expr_kind kind, std::string_view head, std::int64_t value, std::string_view name,
                     std::string_view extra, vector<const expr*> args) {
    std::string key;
    key.reserve(48);
    key += head;
    key += '\1';
    key += std::to_string(value);
    key += '\1';
    key += name;
    key += '\1';
    key += extra;
    for (auto* a : args)
      key.append(reinterpret_cast<const char*>(&a), sizeof a);
    const detail::lock_guard lock(mutex_);
    auto& known = all_[key];
    if (!known) {
      owned_ptr<expr> e(new expr());
      e->kind_ = kind;
      e->head_ = head;
      e->value_ = value;
      e->name_ = name;
      e->extra_ = extra;
      e->args_ = std::move(args);
      known = std::move(e);
    }
    return known.get();
  }

private:
  detail::mutex mutex_;
  hash_map<std::string, owned_ptr<expr>> all_; // by all that they are
};

// ---- construction, as written
// ---------------------------------------------------------------------------------------
inline const expr* integer(std::int64_t v) {
  return expr_table::instance().intern(expr_kind::integer, "Integer", v, {}, {}, {});
}
/// A symbol. Symbols of sizes (`s0`) are positive integers, unbacked ones (`u0`) integers.
inline const expr* symbol(std::string_view name, std::string_view assumptions) {
  return expr_table::instance().intern(expr_kind::symbol, "Symbol", 0, name, assumptions, {});
}
inline const expr* symbol(std::string_view name) {
  if (name.starts_with("zuf") || name.starts_with("zf"))
    return symbol(name, "real=True");
  return symbol(name, name.starts_with("u") ? "integer=True" : "positive=True, integer=True");
}
/// Any class of sympy with its arguments in the order given.
inline const expr* make_expr(std::string_view head, vector<const expr*> args) {
  const auto kind = head == "Add"   ? expr_kind::add
                    : head == "Mul" ? expr_kind::mul
                    : head == "Pow" ? expr_kind::pow
                                    : expr_kind::function;
  return expr_table::instance().intern(kind, head, 0, {}, {}, std::move(args));
}

namespace detail {

/// A sum as coefficients of monomials and a constant. Monomials are expressions that are neither sums nor
/// integers.
struct affine {
  static constexpr std::size_t limit = 64; // terms; larger sums stay as written (a hard cap on symbolic work)
  struct term {
    const expr* monomial;
    std::int64_t coefficient;
  };
  vector<term> terms;
  std::int64_t constant = 0;
  bool exact = true;

  void add_term(const expr* e, std::int64_t c) {
    for (auto& t : terms)
      if (t.monomial == e) {
        exact = exact && !__builtin_add_overflow(t.coefficient, c, &t.coefficient);
        return;
      }
    terms.push_back({e, c});
    exact = exact && terms.size() <= limit;
  }
  void accumulate(const expr* e, std::int64_t c) {
    if (e->kind() == expr_kind::integer) {
      std::int64_t p = 0;
      exact = exact && !__builtin_mul_overflow(e->value(), c, &p) &&
              !__builtin_add_overflow(constant, p, &constant);
    } else if (e->kind() == expr_kind::add) {
      for (auto* a : e->args())
        accumulate(a, c);
    } else if (e->kind() == expr_kind::mul && e->args().size() >= 2 &&
               e->args()[0]->kind() == expr_kind::integer) {
      std::int64_t p = 0;
      exact = exact && !__builtin_mul_overflow(e->args()[0]->value(), c, &p);
      vector<const expr*> rest(e->args().begin() + 1, e->args().end());
      add_or_recurse(rest.size() == 1 ? rest[0] : make_expr("Mul", rest), p);
    } else {
      add_term(e, c);
    }
  }
  void add_or_recurse(const expr* e, std::int64_t c) {
    if (e->kind() == expr_kind::add)
      accumulate(e, c);
    else
      add_term(e, c);
  }
};

std::string to_string_prec(const expr* e, int outer);

struct power {
  const expr* base;
  std::int64_t exponent;
};

/// Expressions in the order of texts. Insertion will do: they are few, and were compared pair by pair before.
struct text_order {
  struct item {
    std::string text;
    const expr* e;
  };
  vector<item> items;
  void put(std::string text, const expr* e) {
    items.push_back({std::move(text), e});
    for (std::size_t i = items.size(); --i != 0 && items[i].text < items[i - 1].text;)
      std::swap(items[i], items[i - 1]);
  }
};

inline const expr* from_affine(affine a) {
  text_order order;
  for (const auto& [e, c] : a.terms) {
    if (c == 0)
      continue;
    const expr* term = e;
    if (c != 1) {
      vector<const expr*> factors{integer(c)};
      if (e->kind() == expr_kind::mul)
        for (auto* f : e->args())
          factors.push_back(f);
      else
        factors.push_back(e);
      term = make_expr("Mul", std::move(factors));
    }
    order.put(to_string_prec(e, 0), term);
  }
  vector<const expr*> args;
  for (auto& [text, term] : order.items)
    args.push_back(term);
  if (args.empty())
    return integer(a.constant);
  if (a.constant != 0)
    args.push_back(integer(a.constant));
  return args.size() == 1 ? args[0] : make_expr("Add", std::move(args));
}

inline const expr* sum(const expr* a, std::int64_t ca, const expr* b, std::int64_t cb) {
  affine s;
  s.accumulate(a, ca);
  s.accumulate(b, cb);
  if (s.exact)
    return from_affine(std::move(s));
  const expr* scaled = cb == 1 ? b : make_expr("Mul", {integer(cb), b});
  return make_expr("Add", {a, scaled});
}

inline const expr* product(const expr* a, const expr* b) {
  if (b->kind() == expr_kind::integer)
    std::swap(a, b);
  if (a->kind() == expr_kind::integer) {
    affine s;
    s.accumulate(b, a->value());
    if (s.exact)
      return from_affine(std::move(s));
    return make_expr("Mul", {a, b});
  }
  std::int64_t c = 1;
  bool exact = true;
  vector<power> factors;
  const auto put = [&](const expr* f) {
    std::int64_t n = 1;
    if (f->kind() == expr_kind::pow && f->args().size() == 2 && f->args()[1]->kind() == expr_kind::integer) {
      n = f->args()[1]->value();
      f = f->args()[0];
    }
    for (auto& [base, e] : factors)
      if (base == f) {
        exact = exact && !__builtin_add_overflow(e, n, &e);
        return;
      }
    factors.push_back({f, n});
  };
  for (const expr* side : {a, b}) {
    if (side->kind() != expr_kind::mul) {
      put(side);
      continue;
    }
    for (auto* f : side->args()) {
      if (f->kind() == expr_kind::integer)
        exact = exact && !__builtin_mul_overflow(c, f->value(), &c);
      else
        put(f);
    }
  }
  if (!exact)
    return make_expr("Mul", {a, b});
  text_order order;
  for (auto& [base, n] : factors) {
    if (n == 0)
      continue;
    const expr* f = n == 1 ? base : make_expr("Pow", {base, integer(n)});
    order.put((f->kind() == expr_kind::add ? "~" : "") + to_string_prec(f, 0),
              f); // sums last, as sympy prints them
  }
  vector<const expr*> args;
  if (c != 1 || order.items.empty())
    args.push_back(integer(c));
  for (auto& [text, f] : order.items)
    args.push_back(f);
  return args.size() == 1 ? args[0] : make_expr("Mul", std::move(args));
}

/// Positive whatever its symbols are, as far as signs tell.
inline bool is_positive(const expr* e) {
  switch (e->kind()) {
  case expr_kind::integer:
    return e->value() > 0;
  case expr_kind::symbol:
    return e->assumptions().find("positive=True") != std::string::npos;
  case expr_kind::add:
  case expr_kind::mul:
    for (const expr* a : e->args())
      if (!is_positive(a))
        return false;
    return true;
  case expr_kind::pow:
    return e->args().size() == 2 && is_positive(e->args()[0]);
  default:
    return false;
  }
}
/// Whether the quotient is an integer that fits.
constexpr bool divides(std::int64_t by, std::int64_t x) noexcept {
  return by == -1 ? x != std::numeric_limits<std::int64_t>::min() : by != 0 && x % by == 0;
}
/// A product as a coefficient and powers of other expressions.
struct monomial {
  std::int64_t coefficient = 1;
  vector<power> powers;
  bool exact = true;

  explicit monomial(const expr* e) {
    if (e->kind() == expr_kind::mul) {
      for (const expr* f : e->args())
        put(f, 1);
    } else {
      put(e, 1);
    }
  }
  /// Multiplies by `e` or, with -1, divides.
  void put(const expr* e, std::int64_t exponent) {
    if (e->kind() == expr_kind::integer) {
      if (exponent > 0)
        exact = exact && !__builtin_mul_overflow(coefficient, e->value(), &coefficient);
      else if ((exact = exact && divides(e->value(), coefficient)))
        coefficient /= e->value();
      return;
    }
    if (e->kind() == expr_kind::pow && e->args().size() == 2 && e->args()[1]->kind() == expr_kind::integer) {
      exact = exact && !__builtin_mul_overflow(exponent, e->args()[1]->value(), &exponent);
      e = e->args()[0];
    }
    for (auto& [base, n] : powers)
      if (base == e) {
        exact = exact && !__builtin_add_overflow(n, exponent, &n);
        return;
      }
    powers.push_back({e, exponent});
  }
};
/// `x / y` where that is an integer expression whatever the symbols are; else null. `y` is one product.
inline const expr* exact_quotient(const expr* x, const expr* y) {
  if (y->kind() == expr_kind::integer || !is_positive(y))
    return nullptr;
  if (x->kind() == expr_kind::add && x != y) {
    const expr* total = integer(0);
    for (const expr* term : x->args()) {
      const expr* q = exact_quotient(term, y);
      if (!q)
        return nullptr;
      total = sum(total, 1, q, 1);
    }
    return total;
  }
  monomial m(x);
  const monomial by(y);
  if (!by.exact)
    return nullptr;
  m.put(integer(by.coefficient), -1);
  for (const auto& [base, n] : by.powers)
    m.put(n == 1 ? base : make_expr("Pow", {base, integer(n)}), -1);
  const expr* q = integer(m.coefficient);
  for (const auto& [base, n] : m.powers) {
    if (!m.exact || n < 0)
      return nullptr;
    if (n)
      q = product(q, n == 1 ? base : make_expr("Pow", {base, integer(n)}));
  }
  return m.exact ? q : nullptr;
}

inline const expr* as_expression(const sym_int& s) { return s.is_int() ? integer(s.int_or(0)) : s.as_expr(); }

} // namespace detail

/// sympy's class of a relation or function operator.
constexpr std::string_view head_of(sym_op op) noexcept {
  switch (op) {
  case sym_op::add:
    return "Add";
  case sym_op::sub:
    return "Add";
  case sym_op::mul:
    return "Mul";
  case sym_op::floordiv:
    return "FloorDiv";
  case sym_op::mod:
    return "Mod";
  case sym_op::min:
    return "Min";
  case sym_op::max:
    return "Max";
  case sym_op::pow:
    return "Pow";
  case sym_op::eq:
    return "Equality";
  case sym_op::ne:
    return "Unequality";
  case sym_op::lt:
    return "StrictLessThan";
  case sym_op::le:
    return "LessThan";
  case sym_op::gt:
    return "StrictGreaterThan";
  case sym_op::ge:
    return "GreaterThan";
  case sym_op::logical_and:
    return "And";
  case sym_op::logical_or:
    return "Or";
  }
  return "?";
}

// ---- evaluation
// -----------------------------------------------------------------------------------------------------
/// The value of a symbol by name, or nothing: a reference to whatever is called with a name and gives a
/// `optional<std::int64_t>`, which must live as long. Made of nothing, it knows no symbol.
class symbol_lookup {
public:
  symbol_lookup() = default;
  template <class F>
  requires(!std::is_same_v<F, symbol_lookup>) && requires(const F& f, optional<std::int64_t>& to) {
    to = f(std::string_view());
  }
  symbol_lookup(const F& f) noexcept
      : object_(&f), call_([](const void* object, std::string_view name) -> optional<std::int64_t> {
          return (*static_cast<const F*>(object))(name);
        }) {}
  optional<std::int64_t> operator()(std::string_view name) const {
    return call_ ? call_(object_, name) : std::nullopt;
  }

private:
  const void* object_ = nullptr;
  optional<std::int64_t> (*call_)(const void*, std::string_view) = nullptr;
};

namespace detail {

[[noreturn]] ESPALIER_COLD inline void cannot_evaluate(const expr* e, std::string why) {
  fail(error_kind::constraint, std::move(why), "expression " + to_string_prec(e, 0),
       "check the sizes of the inputs against the program's ranges");
}
inline void no_overflow(bool overflow, const expr* e) {
  if (overflow)
    cannot_evaluate(e, "the value of a size does not fit into 64 bits");
}
template <class = when_used>
std::int64_t evaluate_function(const expr* e, const vector<std::int64_t>& v) {
  const std::string& h = e->head();
  std::int64_t r = 0;
  const auto need = [&](std::size_t n) {
    if (v.size() != n)
      cannot_evaluate(e, "'" + h + "' takes " + std::to_string(n) + " arguments, not " +
                             std::to_string(v.size()));
  };
  const auto divisor = [&] {
    need(2);
    if (v[1] == 0)
      cannot_evaluate(e, "division of a size by zero");
  };
  if (h == "FloorDiv" || h == "CleanDiv" || h == "PythonFloorDiv")
    return divisor(), no_overflow(floordiv_overflow(v[0], v[1], &r), e), r;
  if (h == "Mod" || h == "PythonMod")
    return divisor(), floormod_int(v[0], v[1]);
  if (h == "CeilDiv" || h == "CeilToInt_div")
    return divisor(), no_overflow(ceildiv_overflow(v[0], v[1], &r), e), r;
  if (h == "Max" || h == "Min") {
    if (v.empty())
      need(1);
    std::int64_t m = v[0];
    for (auto x : v)
      m = h == "Max" ? (x > m ? x : m) : (x < m ? x : m);
    return m;
  }
  if (h == "Equality" || h == "Eq")
    return need(2), v[0] == v[1];
  if (h == "Unequality" || h == "Ne")
    return need(2), v[0] != v[1];
  if (h == "StrictLessThan" || h == "Lt")
    return need(2), v[0] < v[1];
  if (h == "LessThan" || h == "Le")
    return need(2), v[0] <= v[1];
  if (h == "StrictGreaterThan" || h == "Gt")
    return need(2), v[0] > v[1];
  if (h == "GreaterThan" || h == "Ge")
    return need(2), v[0] >= v[1];
  if (h == "Not")
    return need(1), !v[0];
  if (h == "And") {
    for (auto x : v)
      if (!x)
        return 0;
    return 1;
  }
  if (h == "Or") {
    for (auto x : v)
      if (x)
        return 1;
    return 0;
  }
  if (h == "Abs") {
    need(1);
    if (v[0] >= 0)
      return v[0];
    return no_overflow(__builtin_sub_overflow(r, v[0], &r), e), r;
  }
  if (h == "ToFloat" || h == "Identity" || h == "TruncToInt" || h == "RoundToInt" || h == "CeilToInt" ||
      h == "FloorToInt")
    return need(1), v[0];
  if (h == "LShift" || h == "RShift") {
    need(2);
    if (v[1] < 0 || v[1] > 62)
      cannot_evaluate(e, "a shift by " + std::to_string(v[1]));
    if (h == "RShift")
      return v[0] >> v[1];
    return no_overflow(__builtin_mul_overflow(v[0], std::int64_t{1} << v[1], &r), e), r;
  }
  cannot_evaluate(e, "'" + h + "' cannot be evaluated on integers");
}
template <class = when_used>
std::int64_t evaluate_at(const expr* e, const symbol_lookup& lookup, int depth) {
  if (depth > 256)
    cannot_evaluate(e, "the expression nests deeper than 256 levels");
  switch (e->kind()) {
  case expr_kind::integer:
    return e->value();
  case expr_kind::symbol: {
    const auto v = lookup(e->name());
    if (!v)
      cannot_evaluate(e, "the symbol '" + e->name() + "' has no value");
    return *v;
  }
  case expr_kind::number:
    if (e->head() == "BooleanTrue")
      return 1;
    if (e->head() == "BooleanFalse")
      return 0;
    cannot_evaluate(e, "a fraction or a floating-point number where an integer is needed");
  default:
    break;
  }
  if (e->head() == "Piecewise") { // ExprCondPair(value, condition)...
    for (auto* p : e->args())
      if (p->args().size() == 2 && evaluate_at(p->args()[1], lookup, depth + 1))
        return evaluate_at(p->args()[0], lookup, depth + 1);
    cannot_evaluate(e, "no case of the piecewise expression holds");
  }
  vector<std::int64_t> v;
  v.reserve(e->args().size());
  for (auto* a : e->args())
    v.push_back(evaluate_at(a, lookup, depth + 1));
  switch (e->kind()) {
  case expr_kind::add: {
    std::int64_t s = 0;
    for (auto x : v)
      no_overflow(__builtin_add_overflow(s, x, &s), e);
    return s;
  }
  case expr_kind::mul: {
    std::int64_t s = 1;
    for (auto x : v)
      no_overflow(__builtin_mul_overflow(s, x, &s), e);
    return s;
  }
  case expr_kind::pow: {
    if (v.size() != 2 || v[1] < 0)
      cannot_evaluate(e, "a negative power of a size is no integer");
    std::int64_t s = 1;
    no_overflow(power_overflow(v[0], v[1], &s), e);
    return s;
  }
  default:
    return evaluate_function(e, v);
  }
}

} // namespace detail

/// The value of an expression, conditions as 0 and 1. Throws `error` (constraint) on an unknown symbol, a
/// division by zero, an overflow, or a function that has no integer value.
template <class = when_used>
std::int64_t evaluate(const expr* e, const symbol_lookup& lookup) {
  return detail::evaluate_at(e, lookup, 0);
}
template <class = when_used>
std::int64_t evaluate(const sym_int& s, const symbol_lookup& lookup) {
  return s.is_int() ? s.as_int() : evaluate(s.as_expr(), lookup);
}

/// The symbols of an expression, each once, in order of first appearance.
inline void collect_symbols(const expr* e, vector<const expr*>& out) {
  if (e->kind() == expr_kind::symbol) {
    for (auto* s : out)
      if (s == e)
        return;
    out.push_back(e);
  }
  for (auto* a : e->args())
    collect_symbols(a, out);
}

// ---- guards
// ---------------------------------------------------------------------------------------------------------
/// Decides symbolic conditions while it is in force, and may record them.
class shape_guard_context {
public:
  virtual ~shape_guard_context() = default;
  virtual bool evaluate(const expr* condition) = 0;
  virtual bool known_true(const expr*) noexcept { return false; }

  /// The context in force on this thread, or null.
  static shape_guard_context*& current() noexcept {
    static thread_local shape_guard_context* c = nullptr;
    return c;
  }
};

namespace detail {

inline const expr* sym_binary(sym_op op, const sym_int& a, const sym_int& b) {
  const expr *x = as_expression(a), *y = as_expression(b);
  switch (op) {
  case sym_op::add:
    return sum(x, 1, y, 1);
  case sym_op::sub:
    return sum(x, 1, y, -1);
  case sym_op::mul:
    return product(x, y);
  case sym_op::floordiv: {
    // (k*e) // k is e
    if (y->kind() == expr_kind::integer && y->value() != 0) {
      affine s;
      s.accumulate(x, 1);
      bool divides = s.exact && detail::divides(y->value(), s.constant);
      for (auto& t : s.terms)
        divides = divides && detail::divides(y->value(), t.coefficient);
      if (divides) {
        s.constant /= y->value();
        for (auto& t : s.terms)
          t.coefficient /= y->value();
        return from_affine(std::move(s));
      }
    }
    if (const expr* q = exact_quotient(x, y))
      return q;
    return make_expr("FloorDiv", {x, y});
  }
  case sym_op::mod: {
    if (y->kind() == expr_kind::integer && y->value() != 0) {
      affine s;
      s.accumulate(x, 1);
      bool divides = s.exact;
      for (auto& t : s.terms)
        divides = divides && detail::divides(y->value(), t.coefficient);
      if (divides)
        return integer(floormod_int(s.constant, y->value()));
    }
    if (exact_quotient(x, y))
      return integer(0);
    return make_expr("Mod", {x, y});
  }
  case sym_op::eq:
  case sym_op::ne:
  case sym_op::lt:
  case sym_op::le: {
    affine s; // x - y, a constant decides
    s.accumulate(x, 1);
    s.accumulate(y, -1);
    bool constant = s.exact;
    for (auto& t : s.terms)
      constant = constant && t.coefficient == 0;
    if (constant) {
      const bool holds = op == sym_op::eq   ? s.constant == 0
                         : op == sym_op::ne ? s.constant != 0
                         : op == sym_op::lt ? s.constant < 0
                                            : s.constant <= 0;
      return integer(holds);
    }
    return make_expr(head_of(op), {x, y});
  }
  default:
    return make_expr(head_of(op), {x, y});
  }
}
inline const expr* sym_logic(sym_op op, const sym_bool& a, const sym_bool& b) {
  return make_expr(head_of(op), {a.as_expr(), b.as_expr()});
}
inline const expr* sym_not(const expr* e) {
  if (e->kind() == expr_kind::integer)
    return integer(!e->value());
  if (e->head() == "Equality")
    return make_expr("Unequality", e->args());
  if (e->head() == "Unequality")
    return make_expr("Equality", e->args());
  return make_expr("Not", {e});
}
inline bool sym_constant(const expr* e, std::int64_t& out) noexcept {
  if (e->kind() != expr_kind::integer)
    return false;
  out = e->value();
  return true;
}
inline bool guard_symbolic(const expr* e) {
  if (e->kind() == expr_kind::integer)
    return e->value() != 0;
  if (auto* c = shape_guard_context::current())
    return c->evaluate(e);
  fail(error_kind::unsupported, "a decision depends on a symbolic size: " + to_string_prec(e, 0), "",
       "give the dimension a fixed size, or decide under a shape environment");
}
inline bool known_true_symbolic(const expr* e) noexcept {
  if (e->kind() == expr_kind::integer)
    return e->value() != 0;
  if (auto* c = shape_guard_context::current())
    return c->known_true(e);
  return false;
}

} // namespace detail
} // namespace espalier

#include <espalier/symbolic/expr_text.hpp>
