// SPDX-License-Identifier: BSL-1.0
// Factories, copies and casts.
#pragma once

#include <espalier/meta/promotion.hpp>
#include <espalier/meta/rules/views.hpp>
#include <espalier/meta/strides.hpp>
#include <espalier/support/optional.hpp>

namespace espalier::shape_rules {

/// `empty.memory_format(size, dtype, layout, device, pin_memory, memory_format)`.
constexpr rule_result empty(const rule_args& a) {
  auto m = make_meta(a.dtype(1).value_or(scalar_type::f32), checked_sizes(a.ints(0), a),
                     a.dev(3).value_or(cpu_device));
  if (const auto f = a.format(5))
    m.strides = strides_for(m.sizes, *f);
  return m;
}
/// `zeros(size, dtype, layout, device, ...)`, `ones`, `rand`, `randn`.
constexpr rule_result filled(const rule_args& a) {
  return make_meta(a.dtype(1).value_or(scalar_type::f32), checked_sizes(a.ints(0), a),
                   a.dev(3).value_or(cpu_device));
}
/// `full(size, fill_value, dtype, layout, device, ...)`: the dtype of the value unless one is named.
constexpr rule_result full(const rule_args& a) {
  const auto f = a.raw(1).form;
  const scalar_type t = f == meta_form::boolean   ? scalar_type::b8
                        : f == meta_form::integer ? scalar_type::i64
                        : f == meta_form::complex ? scalar_type::c64
                                                  : scalar_type::f32;
  return make_meta(a.dtype(2).value_or(t), checked_sizes(a.ints(0), a), a.dev(4).value_or(cpu_device));
}
/// `scalar_tensor(s, dtype, layout, device)`.
constexpr rule_result scalar_tensor(const rule_args& a) {
  return make_meta(a.dtype(1).value_or(scalar_type::f32), {}, a.dev(3).value_or(cpu_device));
}
namespace detail {
/// `randint`, `randperm`, `eye`: dtype at `T`, device two further.
constexpr tensor_meta factory(const rule_args& a, sym_ints sizes, std::size_t t, scalar_type dflt) {
  return make_meta(a.dtype(t).value_or(dflt), checked_sizes(std::move(sizes), a),
                   a.dev(t + 2).value_or(cpu_device));
}
constexpr double number(const rule_args& a, std::size_t n, double dflt) {
  const auto& x = a.raw(n);
  if (x.form == meta_form::integer)
    return static_cast<double>(x.i.as_int());
  if (x.form == meta_form::floating)
    return x.d;
  return dflt;
}
/// `arange`: a floating bound makes the range floating, and its length is worked out in doubles.
constexpr rule_result range(const rule_args& a, std::ptrdiff_t start, std::ptrdiff_t end, std::ptrdiff_t step,
                            std::size_t t) {
  bool floating = false;
  for (auto n : {start, end, step})
    if (n >= 0 && a.raw(static_cast<std::size_t>(n)).form == meta_form::floating)
      floating = true;
  const auto dtype = a.dtype(t).value_or(floating ? scalar_type::f32 : scalar_type::i64);
  const auto no_step = [&] { a.refuse("the step of a range is 0", "pass a step that leads to the end"); };
  sym_int size = 0;
  if (floating) {
    const double lo = start < 0 ? 0 : number(a, static_cast<std::size_t>(start), 0),
                 hi = number(a, static_cast<std::size_t>(end), 0),
                 by = step < 0 ? 1 : number(a, static_cast<std::size_t>(step), 1);
    if (by == 0)
      no_step();
    const double exact = (hi - lo) / by;
    if (!(exact > -1e18 && exact < 1e18))
      a.refuse("the range has no end, or too far a one", "pass finite bounds");
    auto n = static_cast<std::int64_t>(exact);
    if (static_cast<double>(n) < exact)
      ++n;
    size = n;
  } else {
    const sym_int lo = start < 0 ? sym_int(0) : a.integer(static_cast<std::size_t>(start)),
                  hi = a.integer(static_cast<std::size_t>(end)),
                  by = step < 0 ? sym_int(1) : a.integer(static_cast<std::size_t>(step));
    if (by.is_int() && by.as_int() == 0)
      no_step();
    size = ceildiv(hi - lo, by);
  }
  if (size.is_int() && size.as_int() < 0)
    a.refuse("the range is empty the wrong way round", "make the step's sign that of end - start");
  return factory(a, {size}, t, dtype);
}
} // namespace detail
/// `arange(end, dtype, ...)`.
constexpr rule_result arange_end(const rule_args& a) { return detail::range(a, -1, 0, -1, 1); }
/// `arange.start(start, end, dtype, ...)`.
constexpr rule_result arange_start(const rule_args& a) { return detail::range(a, 0, 1, -1, 2); }
/// `arange.start_step(start, end, step, dtype, ...)`.
constexpr rule_result arange_step(const rule_args& a) { return detail::range(a, 0, 1, 2, 3); }
/// `linspace(start, end, steps, dtype, ...)`.
constexpr rule_result linspace(const rule_args& a) {
  return detail::factory(a, {a.integer(2)}, 3, scalar_type::f32);
}
/// `logspace(start, end, steps, base, dtype, ...)`.
constexpr rule_result logspace(const rule_args& a) {
  return detail::factory(a, {a.integer(2)}, 4, scalar_type::f32);
}
constexpr rule_result eye(const rule_args& a) {
  return detail::factory(a, {a.integer(0), a.integer(0)}, 1, scalar_type::f32);
}
constexpr rule_result eye_m(const rule_args& a) {
  return detail::factory(a, {a.integer(0), a.integer(1)}, 2, scalar_type::f32);
}
/// `randint(high, size, dtype, ...)` and `randint.low(low, high, size, dtype, ...)`: i64 is the default of
/// the argument, so that None means the default floating dtype.
constexpr rule_result randint(const rule_args& a) {
  return detail::factory(a, a.ints(1), 2, scalar_type::f32);
}
constexpr rule_result randint_low(const rule_args& a) {
  return detail::factory(a, a.ints(2), 3, scalar_type::f32);
}
constexpr rule_result randperm(const rule_args& a) {
  return detail::factory(a, {a.integer(0)}, 1, scalar_type::i64);
}
/// `X_like(self, dtype, layout, device, pin_memory, memory_format)`; `First` is where the dtype stands.
template <std::size_t First>
constexpr rule_result like_self(const rule_args& a) {
  const auto& m = a.tensor(0);
  auto out = like(m, a.dtype(First).value_or(m.dtype), a.format(First + 4).value_or(memory_format::preserve));
  if (const auto d = a.dev(First + 2))
    out.dev = *d;
  return out;
}
/// `new_X(self, size, dtype, layout, device, ...)`; `First` is where the dtype stands.
template <std::size_t First>
constexpr rule_result new_like_self(const rule_args& a) {
  return make_meta(a.dtype(First).value_or(a.tensor(0).dtype), checked_sizes(a.ints(1), a),
                   a.dev(First + 2).value_or(a.tensor(0).dev));
}
/// `empty_strided(size, stride, dtype, ...)`.
constexpr rule_result empty_strided(const rule_args& a) {
  auto m = detail::factory(a, a.ints(0), 2, scalar_type::f32);
  m.strides = a.ints(1);
  if (m.sizes.size() != m.strides.size())
    a.refuse("as many strides are needed as sizes");
  return m;
}

/// `new_empty_strided(self, size, stride, dtype, layout, device, ...)`.
constexpr rule_result new_empty_strided(const rule_args& a) {
  auto m = make_meta(a.dtype(3).value_or(a.tensor(0).dtype), checked_sizes(a.ints(1), a),
                     a.dev(5).value_or(a.tensor(0).dev));
  m.strides = a.ints(2);
  if (m.sizes.size() != m.strides.size())
    a.refuse("as many strides are needed as sizes");
  return m;
}

namespace detail {
/// A cast: the tensor itself when nothing changes and no copy is asked for.
constexpr tensor_meta cast(const tensor_meta& m, scalar_type t, device d, bool copy,
                           optional<memory_format> f) {
  const auto format = f.value_or(memory_format::preserve);
  const bool keeps_format = format == memory_format::preserve || format == suggested_format(m);
  if (t == m.dtype && d == m.dev && !copy && keeps_format)
    return m;
  auto out = like(m, t, format);
  out.dev = d;
  return out;
}
} // namespace detail
/// `to.dtype(self, dtype, non_blocking, copy, memory_format)`.
constexpr rule_result to_dtype(const rule_args& a) {
  const auto& m = a.tensor(0);
  return detail::cast(m, a.dtype(1).value_or(m.dtype), m.dev, a.boolean(3), a.format(4));
}
/// `to.dtype_layout(self, dtype, layout, device, pin_memory, non_blocking, copy, memory_format)`.
constexpr rule_result to_dtype_layout(const rule_args& a) {
  const auto& m = a.tensor(0);
  return detail::cast(m, a.dtype(1).value_or(m.dtype), a.dev(3).value_or(m.dev), a.boolean(6), a.format(7));
}
/// `to.device(self, device, dtype, non_blocking, copy, memory_format)`.
constexpr rule_result to_device(const rule_args& a) {
  const auto& m = a.tensor(0);
  return detail::cast(m, a.dtype(2).value_or(m.dtype), a.dev(1).value_or(m.dev), a.boolean(4), a.format(5));
}
/// `to.other(self, other, non_blocking, copy, memory_format)`, `type_as`.
constexpr rule_result to_other(const rule_args& a) {
  return detail::cast(a.tensor(0), a.tensor(1).dtype, a.tensor(1).dev, a.boolean(3), a.format(4));
}
constexpr rule_result type_as(const rule_args& a) {
  return detail::cast(a.tensor(0), a.tensor(1).dtype, a.tensor(1).dev, false, {});
}
/// `_to_copy(self, dtype, layout, device, pin_memory, non_blocking, memory_format)`.
constexpr rule_result to_copy(const rule_args& a) {
  const auto& m = a.tensor(0);
  return detail::cast(m, a.dtype(1).value_or(m.dtype), a.dev(3).value_or(m.dev), true, a.format(6));
}
/// `clone(self, memory_format)`.
constexpr rule_result clone(const rule_args& a) {
  return like(a.tensor(0), a.tensor(0).dtype, a.format(1).value_or(memory_format::preserve));
}
/// `contiguous(self, memory_format)`: itself when it is.
constexpr rule_result contiguous(const rule_args& a) {
  const auto& m = a.tensor(0);
  const auto f = a.format(1).value_or(memory_format::contiguous);
  if (f == memory_format::channels_last || f == memory_format::channels_last_3d ? is_channels_last(m)
                                                                                : is_contiguous(m))
    return m;
  return like(m, m.dtype, f);
}
/// `lift_fresh_copy(self)`, `bernoulli(self)`: dense.
constexpr rule_result fresh_copy(const rule_args& a) {
  return make_meta(a.tensor(0).dtype, a.tensor(0).sizes, a.tensor(0).dev);
}

/// `sym_size.int(self, dim)`, `sym_stride.int`, `sym_numel`, `sym_storage_offset`.
constexpr rule_result sym_size(const rule_args& a) {
  rule_result r;
  r.outputs.push_back(
      rule_output::of_integer(a.tensor(0).sizes[wrap_own_dim(a.integer(1), a.tensor(0).dim(), a)]));
  return r;
}
constexpr rule_result sym_stride(const rule_args& a) {
  rule_result r;
  r.outputs.push_back(
      rule_output::of_integer(a.tensor(0).strides[wrap_own_dim(a.integer(1), a.tensor(0).dim(), a)]));
  return r;
}
constexpr rule_result sym_numel(const rule_args& a) {
  rule_result r;
  r.outputs.push_back(rule_output::of_integer(a.tensor(0).numel()));
  return r;
}
constexpr rule_result sym_storage_offset(const rule_args& a) {
  rule_result r;
  r.outputs.push_back(rule_output::of_integer(a.tensor(0).storage_offset));
  return r;
}
/// No result: assertions.
constexpr rule_result nothing(const rule_args&) { return {}; }

} // namespace espalier::shape_rules
