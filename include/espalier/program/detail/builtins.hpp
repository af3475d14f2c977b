// SPDX-License-Identifier: BSL-1.0
// Python's builtins on numbers, as exported graphs call them on sizes and items: `_operator.*`, `math.*`,
// `torch.sym_*`. They follow Python (floor division, true division to float, negative powers to float), not
// C++.
#pragma once

#include <espalier/support/error.hpp>
#include <espalier/support/span.hpp>
#include <espalier/symbolic/sym_int.hpp>

#include <ATen/core/ivalue.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>

namespace espalier::detail {

/// A builtin: numbers in, a number out.
using builtin = c10::IValue (*)(span<const c10::IValue>);

/// A Python number: bool, int or float, in the order of its promotion.
struct py_number {
  bool is_float = false;
  std::int64_t i = 0;
  double f = 0;

  template <class = when_used>
  explicit py_number(const c10::IValue& v) {
    if (v.isInt())
      i = v.toInt();
    else if (v.isBool())
      i = v.toBool();
    else if (v.isDouble())
      is_float = true, f = v.toDouble();
    else if (v.isTensor() && v.toTensor().numel() == 1)
      *this = py_number(c10::IValue(v.toTensor().item()));
    else if (v.isSymInt())
      i = v.toSymInt().guard_int(__FILE__, __LINE__);
    else
      fail(error_kind::usage, "a builtin on sizes got " + v.tagKind() + ", not a number");
  }
  double as_double() const noexcept { return is_float ? f : static_cast<double>(i); }
  bool truth() const noexcept { return is_float ? f != 0 : i != 0; }
};

template <class OnInt, class OnFloat>
c10::IValue py_arithmetic(span<const c10::IValue> a, OnInt on_int, OnFloat on_float) {
  const py_number x(a[0]), y(a[1]);
  if (x.is_float || y.is_float)
    return c10::IValue(on_float(x.as_double(), y.as_double()));
  return c10::IValue(on_int(x.i, y.i));
}
/// Comparisons of ints stay exact; mixed ones go through double as CPython's nearly do.
template <class Compare>
c10::IValue py_compare(span<const c10::IValue> a, Compare c) {
  const py_number x(a[0]), y(a[1]);
  return c10::IValue(x.is_float || y.is_float ? c(x.as_double(), y.as_double()) : c(x.i, y.i));
}
template <class = when_used>
std::int64_t nonzero(std::int64_t d) {
  if (d == 0)
    fail(error_kind::constraint, "division of a size by zero", "", "pass inputs whose sizes avoid it");
  return d;
}
inline double py_float_mod(double a, double b) {
  const double r = std::fmod(a, b);
  return r != 0 && ((r < 0) != (b < 0)) ? r + b : r;
}
template <class = when_used>
c10::IValue py_power(span<const c10::IValue> a) {
  const py_number x(a[0]), y(a[1]);
  if (x.is_float || y.is_float || y.i < 0)
    return c10::IValue(std::pow(x.as_double(), y.as_double()));
  std::int64_t r = 1, base = x.i;
  for (std::int64_t k = y.i; k; k >>= 1) { // wraps as int64 does, where Python would grow
    if (k & 1)
      r = static_cast<std::int64_t>(static_cast<std::uint64_t>(r) * static_cast<std::uint64_t>(base));
    base = static_cast<std::int64_t>(static_cast<std::uint64_t>(base) * static_cast<std::uint64_t>(base));
  }
  return c10::IValue(r);
}
template <class Round>
c10::IValue py_round_to_int(span<const c10::IValue> a, Round round) {
  const py_number x(a[0]);
  return c10::IValue(x.is_float ? static_cast<std::int64_t>(round(x.f)) : x.i);
}
template <class Pick>
c10::IValue py_extreme(span<const c10::IValue> a, Pick pick) {
  c10::IValue best = a[0];
  for (const auto& v : a.subspan(1)) {
    const py_number x(best), y(v);
    const bool take = pick(y.as_double(), x.as_double());
    const bool to_float = x.is_float || y.is_float; // torch.sym_max promotes, Python's max does not
    best = take ? v : best;
    if (to_float && !best.isDouble())
      best = c10::IValue(py_number(best).as_double());
  }
  return best;
}
template <class F>
c10::IValue py_math(span<const c10::IValue> a, F f) {
  return c10::IValue(static_cast<double>(f(py_number(a[0]).as_double())));
}

/// The builtin of a qualified name (`_operator::add`), or null.
template <class = when_used>
builtin find_builtin(std::string_view name) {
  using span = span<const c10::IValue>;
  static constexpr auto wrap = [](std::uint64_t u) { return static_cast<std::int64_t>(u); };
  struct row {
    std::string_view name;
    builtin f;
  };
  static const row table[] = {
      {"_operator::add",
       [](span a) {
         return py_arithmetic(
             a, [](auto x, auto y) { return wrap(std::uint64_t(x) + std::uint64_t(y)); },
             [](double x, double y) { return x + y; });
       }},
      {"_operator::sub",
       [](span a) {
         return py_arithmetic(
             a, [](auto x, auto y) { return wrap(std::uint64_t(x) - std::uint64_t(y)); },
             [](double x, double y) { return x - y; });
       }},
      {"_operator::mul",
       [](span a) {
         return py_arithmetic(
             a, [](auto x, auto y) { return wrap(std::uint64_t(x) * std::uint64_t(y)); },
             [](double x, double y) { return x * y; });
       }},
      {"_operator::floordiv",
       [](span a) {
         return py_arithmetic(
             a, [](auto x, auto y) { return floordiv_int(x, nonzero(y)); },
             [](double x, double y) { return std::floor(x / y); });
       }},
      {"_operator::mod",
       [](span a) {
         return py_arithmetic(
             a, [](auto x, auto y) { return floormod_int(x, nonzero(y)); }, py_float_mod);
       }},
      {"_operator::truediv",
       [](span a) { return c10::IValue(py_number(a[0]).as_double() / py_number(a[1]).as_double()); }},
      {"_operator::pow", [](span a) { return py_power(a); }},
      {"_operator::neg",
       [](span a) {
         const py_number x(a[0]);
         return x.is_float ? c10::IValue(-x.f) : c10::IValue(wrap(0 - std::uint64_t(x.i)));
       }},
      {"_operator::pos",
       [](span a) {
         const py_number x(a[0]);
         return x.is_float ? c10::IValue(x.f) : c10::IValue(x.i);
       }},
      {"_operator::abs",
       [](span a) {
         const py_number x(a[0]);
         return x.is_float ? c10::IValue(std::fabs(x.f)) : c10::IValue(x.i < 0 ? -x.i : x.i);
       }},
      {"_operator::eq", [](span a) { return py_compare(a, [](auto x, auto y) { return x == y; }); }},
      {"_operator::ne", [](span a) { return py_compare(a, [](auto x, auto y) { return x != y; }); }},
      {"_operator::lt", [](span a) { return py_compare(a, [](auto x, auto y) { return x < y; }); }},
      {"_operator::le", [](span a) { return py_compare(a, [](auto x, auto y) { return x <= y; }); }},
      {"_operator::gt", [](span a) { return py_compare(a, [](auto x, auto y) { return x > y; }); }},
      {"_operator::ge", [](span a) { return py_compare(a, [](auto x, auto y) { return x >= y; }); }},
      {"_operator::and_",
       [](span a) {
         return a[0].isBool() && a[1].isBool() ? c10::IValue(a[0].toBool() && a[1].toBool())
                                               : c10::IValue(py_number(a[0]).i & py_number(a[1]).i);
       }},
      {"_operator::or_",
       [](span a) {
         return a[0].isBool() && a[1].isBool() ? c10::IValue(a[0].toBool() || a[1].toBool())
                                               : c10::IValue(py_number(a[0]).i | py_number(a[1]).i);
       }},
      {"_operator::not_", [](span a) { return c10::IValue(!py_number(a[0]).truth()); }},
      {"_operator::lshift",
       [](span a) {
         return c10::IValue(wrap(std::uint64_t(py_number(a[0]).i) << (py_number(a[1]).i & 63)));
       }},
      {"_operator::rshift",
       [](span a) { return c10::IValue(py_number(a[0]).i >> (py_number(a[1]).i & 63)); }},
      {"math::ceil", [](span a) { return py_round_to_int(a, [](double x) { return std::ceil(x); }); }},
      {"math::floor", [](span a) { return py_round_to_int(a, [](double x) { return std::floor(x); }); }},
      {"math::trunc", [](span a) { return py_round_to_int(a, [](double x) { return std::trunc(x); }); }},
      {"math::sqrt", [](span a) { return py_math(a, [](double x) { return std::sqrt(x); }); }},
      {"math::pow",
       [](span a) {
         return c10::IValue(std::pow(py_number(a[0]).as_double(), py_number(a[1]).as_double()));
       }},
      {"builtins::round",
       [](span a) { return py_round_to_int(a, [](double x) { return std::nearbyint(x); }); }},
      {"builtins::abs",
       [](span a) {
         const py_number x(a[0]);
         return x.is_float ? c10::IValue(std::fabs(x.f)) : c10::IValue(x.i < 0 ? -x.i : x.i);
       }},
      {"builtins::max", [](span a) { return py_extreme(a, [](double x, double y) { return x > y; }); }},
      {"builtins::min", [](span a) { return py_extreme(a, [](double x, double y) { return x < y; }); }},
      {"torch::sym_int", [](span a) { return py_round_to_int(a, [](double x) { return std::trunc(x); }); }},
      {"torch::sym_float", [](span a) { return c10::IValue(py_number(a[0]).as_double()); }},
      {"torch::sym_not", [](span a) { return c10::IValue(!py_number(a[0]).truth()); }},
      {"torch::sym_ite", [](span a) { return py_number(a[0]).truth() ? a[1] : a[2]; }},
      {"torch::sym_max", [](span a) { return py_extreme(a, [](double x, double y) { return x > y; }); }},
      {"torch::sym_min", [](span a) { return py_extreme(a, [](double x, double y) { return x < y; }); }},
      {"torch::sym_sum",
       [](span a) {
         std::int64_t s = 0;
         if (a.size() == 1 && a[0].isList()) {
           for (const c10::IValue& v : a[0].toListRef())
             s += py_number(v).i;
         } else {
           for (const auto& v : a)
             s += py_number(v).i;
         }
         return c10::IValue(s);
       }},
      {"torch::sym_sqrt", [](span a) { return py_math(a, [](double x) { return std::sqrt(x); }); }},
      {"torch::_sym_sqrt", [](span a) { return py_math(a, [](double x) { return std::sqrt(x); }); }},
      {"torch::_sym_sin", [](span a) { return py_math(a, [](double x) { return std::sin(x); }); }},
      {"torch::_sym_cos", [](span a) { return py_math(a, [](double x) { return std::cos(x); }); }},
      {"torch::_sym_log2", [](span a) { return py_math(a, [](double x) { return std::log2(x); }); }},
  };
  for (const auto& r : table)
    if (r.name == name)
      return r.f;
  return nullptr;
}

} // namespace espalier::detail
