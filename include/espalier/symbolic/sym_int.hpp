// SPDX-License-Identifier: BSL-1.0
// Integers and booleans that may be symbolic: what sizes, strides and conditions on them are made of. A
// constant costs an integer; only the symbolic path touches the expression table, so rules over constants run
// in constant evaluation.
#pragma once

#include <espalier/support/error.hpp>

#include <concepts>
#include <cstdint>
#include <string>

namespace espalier {

class expr; // symbolic/expr.hpp: an interned, immutable expression; equal expressions are one object

/// The operations that sizes meet.
enum class sym_op : std::uint8_t {
  add,
  sub,
  mul,
  floordiv,
  mod,
  min,
  max,
  pow,
  eq,
  ne,
  lt,
  le,
  gt,
  ge,
  logical_and,
  logical_or
};

class sym_int;
class sym_bool;
namespace detail {
const expr* sym_binary(sym_op op, const sym_int& a, const sym_int& b);  // defined in symbolic/expr.hpp
const expr* sym_logic(sym_op op, const sym_bool& a, const sym_bool& b); // defined in symbolic/expr.hpp
const expr* sym_not(const expr* e);                                     // defined in symbolic/expr.hpp
bool sym_constant(const expr* e, std::int64_t& out) noexcept;           // defined in symbolic/expr.hpp
bool guard_symbolic(const expr* e);                                     // defined in symbolic/expr.hpp
bool known_true_symbolic(const expr* e) noexcept;                       // defined in symbolic/expr.hpp
std::string sym_text(const expr* e);                                    // defined in symbolic/expr.hpp
} // namespace detail

namespace detail {

// Arithmetic that tells when the result does not fit, as the compiler's builtins do: true, and `out` is not
// to be used. Divisors are not zero.
constexpr bool floordiv_overflow(std::int64_t a, std::int64_t b, std::int64_t* out) noexcept {
  if (b == -1)
    return __builtin_sub_overflow(std::int64_t{0}, a, out);
  *out = a / b - (a % b != 0 && ((a < 0) != (b < 0)));
  return false;
}
constexpr bool ceildiv_overflow(std::int64_t a, std::int64_t b, std::int64_t* out) noexcept {
  if (b == -1)
    return __builtin_sub_overflow(std::int64_t{0}, a, out);
  *out = a / b + (a % b != 0 && ((a < 0) == (b < 0)));
  return false;
}
/// Of an exponent that is not negative.
constexpr bool power_overflow(std::int64_t base, std::int64_t exponent, std::int64_t* out) noexcept {
  *out = 1;
  if (base >= -1 && base <= 1) { // the others overflow after 63 rounds at most
    *out = exponent == 0 ? 1 : base == -1 && exponent % 2 == 0 ? 1 : base;
    return false;
  }
  for (; exponent != 0; --exponent)
    if (__builtin_mul_overflow(*out, base, out))
      return true;
  return false;
}
/// The remainder with the divisor's sign; it always fits.
constexpr std::int64_t floormod_int(std::int64_t a, std::int64_t b) noexcept {
  if (b == -1)
    return 0;
  const std::int64_t r = a % b;
  return r != 0 && ((r < 0) != (b < 0)) ? r + b : r;
}
[[noreturn]] ESPALIER_COLD inline void size_overflows(std::int64_t a, const char* op, std::int64_t b) {
  fail(error_kind::constraint, "a size does not fit into 64 bits", std::to_string(a) + op + std::to_string(b),
       "check the sizes of the inputs, and the numbers that the program computes sizes with");
}
[[noreturn]] ESPALIER_COLD inline void size_by_zero(std::int64_t a, const char* op) {
  fail(error_kind::usage, "division of a size by zero", std::to_string(a) + op + "0",
       "check the divisor before it gets here");
}
constexpr std::int64_t floordiv_int(std::int64_t a, std::int64_t b) {
  std::int64_t q = 0;
  if (b == 0)
    size_by_zero(a, " // ");
  if (floordiv_overflow(a, b, &q))
    size_overflows(a, " // ", b);
  return q;
}

} // namespace detail

/// A 64-bit integer, or an expression over symbols. Arithmetic on constants whose result does not fit throws
/// `error` (constraint); an expression that cannot be folded for that reason stays as written. `==` is
/// identity of the two as written (constants by value, expressions by interned object); to ask whether two
/// sizes are equal, use `sym_eq`.
class sym_int {
public:
  constexpr sym_int() noexcept = default;
  template <std::integral I>
  constexpr sym_int(I i) noexcept : value_(static_cast<std::int64_t>(i)) {}
  /// From an expression; one that is a constant becomes an integer.
  explicit sym_int(const expr* e) : expr_(e) {
    if (e && detail::sym_constant(e, value_))
      expr_ = nullptr;
  }

  constexpr bool is_int() const noexcept { return expr_ == nullptr; }
  constexpr bool is_symbolic() const noexcept { return expr_ != nullptr; }
  /// The integer. Throws `error` (unsupported) when symbolic: code that cannot carry symbols must say so.
  constexpr std::int64_t as_int() const {
    if (expr_)
      fail(error_kind::unsupported,
           "a concrete integer is needed here, but the size is symbolic: " + detail::sym_text(expr_));
    return value_;
  }
  /// The integer if constant, else `dflt`.
  constexpr std::int64_t int_or(std::int64_t dflt) const noexcept { return expr_ ? dflt : value_; }
  /// The expression, or null for a constant.
  constexpr const expr* as_expr() const noexcept { return expr_; }

  friend constexpr bool operator==(const sym_int&, const sym_int&) noexcept = default;

  friend constexpr sym_int operator+(const sym_int& a, const sym_int& b) {
    if (a.is_int() && b.is_int()) {
      std::int64_t r = 0;
      if (__builtin_add_overflow(a.value_, b.value_, &r))
        detail::size_overflows(a.value_, " + ", b.value_);
      return r;
    }
    if (a.is_int() && a.value_ == 0)
      return b;
    if (b.is_int() && b.value_ == 0)
      return a;
    return sym_int(detail::sym_binary(sym_op::add, a, b));
  }
  friend constexpr sym_int operator-(const sym_int& a, const sym_int& b) {
    if (a.is_int() && b.is_int()) {
      std::int64_t r = 0;
      if (__builtin_sub_overflow(a.value_, b.value_, &r))
        detail::size_overflows(a.value_, " - ", b.value_);
      return r;
    }
    if (b.is_int() && b.value_ == 0)
      return a;
    if (a == b)
      return 0;
    return sym_int(detail::sym_binary(sym_op::sub, a, b));
  }
  friend constexpr sym_int operator*(const sym_int& a, const sym_int& b) {
    if (a.is_int() && b.is_int()) {
      std::int64_t r = 0;
      if (__builtin_mul_overflow(a.value_, b.value_, &r))
        detail::size_overflows(a.value_, " * ", b.value_);
      return r;
    }
    if (a.is_int() && a.value_ == 1)
      return b;
    if (b.is_int() && b.value_ == 1)
      return a;
    if ((a.is_int() && a.value_ == 0) || (b.is_int() && b.value_ == 0))
      return 0;
    return sym_int(detail::sym_binary(sym_op::mul, a, b));
  }
  constexpr sym_int& operator+=(const sym_int& o) { return *this = *this + o; }
  constexpr sym_int& operator-=(const sym_int& o) { return *this = *this - o; }
  constexpr sym_int& operator*=(const sym_int& o) { return *this = *this * o; }
  constexpr sym_int operator-() const { return sym_int(0) - *this; }

private:
  std::int64_t value_ = 0;
  const expr* expr_ = nullptr;
};

/// A boolean, or a condition over symbols.
class sym_bool {
public:
  constexpr sym_bool(bool b) noexcept : value_(b) {}
  explicit constexpr sym_bool(const expr* e) noexcept : expr_(e) {}
  constexpr bool is_bool() const noexcept { return expr_ == nullptr; }
  constexpr bool is_symbolic() const noexcept { return expr_ != nullptr; }
  constexpr bool value_or(bool dflt) const noexcept { return expr_ ? dflt : value_; }
  constexpr const expr* as_expr() const noexcept { return expr_; }
  friend constexpr sym_bool operator&&(const sym_bool& a, const sym_bool& b) {
    if (a.is_bool())
      return a.value_ ? b : a;
    if (b.is_bool())
      return b.value_ ? a : b;
    return sym_bool(detail::sym_logic(sym_op::logical_and, a, b));
  }
  friend constexpr sym_bool operator||(const sym_bool& a, const sym_bool& b) {
    if (a.is_bool())
      return a.value_ ? a : b;
    if (b.is_bool())
      return b.value_ ? b : a;
    return sym_bool(detail::sym_logic(sym_op::logical_or, a, b));
  }
  friend constexpr sym_bool operator!(const sym_bool& a) {
    return a.is_bool() ? sym_bool(!a.value_) : sym_bool(detail::sym_not(a.expr_));
  }

private:
  bool value_ = false;
  const expr* expr_ = nullptr;
};

/// Division rounded towards minus infinity (Python's `//`). Division by the constant zero throws.
constexpr sym_int floordiv(const sym_int& a, const sym_int& b) {
  if (b.is_int() && b.as_int() == 0)
    detail::size_by_zero(a.int_or(0), " // ");
  if (a.is_int() && b.is_int())
    return detail::floordiv_int(a.as_int(), b.as_int());
  if (b.is_int() && b.as_int() == 1)
    return a;
  if (a == b)
    return 1;
  return sym_int(detail::sym_binary(sym_op::floordiv, a, b));
}
/// Division rounded up.
constexpr sym_int ceildiv(const sym_int& a, const sym_int& b) {
  if (a.is_int() && b.is_int() && b.as_int() != 0) {
    std::int64_t q = 0;
    if (detail::ceildiv_overflow(a.as_int(), b.as_int(), &q))
      detail::size_overflows(a.as_int(), " // ", b.as_int());
    return q;
  }
  return -floordiv(-a, b);
}
/// The remainder with the divisor's sign (Python's `%`). By the constant zero it throws.
constexpr sym_int mod(const sym_int& a, const sym_int& b) {
  if (b.is_int() && b.as_int() == 0)
    detail::size_by_zero(a.int_or(0), " % ");
  if (a.is_int() && b.is_int())
    return detail::floormod_int(a.as_int(), b.as_int());
  if (a == b)
    return 0;
  return sym_int(detail::sym_binary(sym_op::mod, a, b));
}
constexpr sym_int sym_min(const sym_int& a, const sym_int& b) {
  if (a.is_int() && b.is_int())
    return a.as_int() < b.as_int() ? a : b;
  return a == b ? a : sym_int(detail::sym_binary(sym_op::min, a, b));
}
constexpr sym_int sym_max(const sym_int& a, const sym_int& b) {
  if (a.is_int() && b.is_int())
    return a.as_int() > b.as_int() ? a : b;
  return a == b ? a : sym_int(detail::sym_binary(sym_op::max, a, b));
}

/// Conditions on sizes. They decide nothing: pass them to `guard` or `statically_known`.
constexpr sym_bool sym_eq(const sym_int& a, const sym_int& b) {
  if (a == b)
    return true;
  if (a.is_int() && b.is_int())
    return false;
  return sym_bool(detail::sym_binary(sym_op::eq, a, b));
}
constexpr sym_bool sym_ne(const sym_int& a, const sym_int& b) { return !sym_eq(a, b); }
constexpr sym_bool sym_lt(const sym_int& a, const sym_int& b) {
  if (a.is_int() && b.is_int())
    return a.as_int() < b.as_int();
  return a == b ? sym_bool(false) : sym_bool(detail::sym_binary(sym_op::lt, a, b));
}
constexpr sym_bool sym_le(const sym_int& a, const sym_int& b) {
  if (a.is_int() && b.is_int())
    return a.as_int() <= b.as_int();
  return a == b ? sym_bool(true) : sym_bool(detail::sym_binary(sym_op::le, a, b));
}
constexpr sym_bool sym_gt(const sym_int& a, const sym_int& b) { return sym_lt(b, a); }
constexpr sym_bool sym_ge(const sym_int& a, const sym_int& b) { return sym_le(b, a); }

/// Decides a condition: a constant at once; a symbolic one by the shape environment in force, which records
/// the guard. Without an environment it throws `error` (unsupported).
constexpr bool guard(const sym_bool& c) {
  return c.is_bool() ? c.value_or(false) : detail::guard_symbolic(c.as_expr());
}
/// True only if the condition holds whatever the symbols are; never records a guard.
constexpr bool statically_known(const sym_bool& c) {
  return c.is_bool() ? c.value_or(false) : detail::known_true_symbolic(c.as_expr());
}

} // namespace espalier

#include <espalier/symbolic/expr.hpp>
