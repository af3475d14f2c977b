// SPDX-License-Identifier: BSL-1.0
// umbrella: apart, its rules cost more to include than the rest of a layer
// Casts after casts. The first of two may be left out when it loses nothing; back to the type that it came
// from, both may. Two casts that narrow, or that pass through a type with a smaller range, stay.
#pragma once

#include <espalier/passes/canonical/support.hpp>
#include <espalier/support/optional.hpp>

#include <cstdint>

namespace espalier {

namespace detail::canonical {

/// Whether every number of type `from` is one of type `to`.
constexpr bool is_lossless(scalar_type from, scalar_type to) noexcept {
  using t = scalar_type;
  const auto among = [&](std::initializer_list<t> types) {
    for (t x : types)
      if (x == to)
        return true;
    return from == to;
  };
  switch (from) {
  case t::b8:
    return is_integral(to, false) || among({t::f16, t::bf16, t::f32, t::f64});
  case t::u8:
    return among({t::i16, t::i32, t::i64, t::f16, t::bf16, t::f32, t::f64});
  case t::i8:
    return among({t::i16, t::i32, t::i64, t::f16, t::bf16, t::f32, t::f64});
  case t::i16:
    return among({t::i32, t::i64, t::f32, t::f64});
  case t::i32:
    return among({t::i64, t::f64});
  case t::f16:
  case t::bf16:
    return among({t::f32, t::f64});
  case t::f32:
    return among({t::f64});
  default:
    return from == to;
  }
}
/// Whether a cast from `a` to `c` gives what the casts from `a` to `b` to `c` give. A number out of the range
/// of an integral `c` becomes what the machine makes of it, which differs between floating-point types.
constexpr bool may_skip(scalar_type a, scalar_type b, scalar_type c) noexcept {
  return is_lossless(a, b) && !(is_floating(b) && is_integral(c, false) && !is_integral(a, true)) &&
         !is_complex(a) && !is_complex(b) && !is_complex(c);
}

/// A pattern of a cast, which the rule covers: what it reads must not be written to later.
inline constexpr auto cast = as<"inner">(either(any_call<aten::_to_copy>(x), any_call<aten::to_dtype>(x)));

/// Whether `made`, a cast of `from`, does nothing but cast, and may be left out before a cast to `c`.
constexpr bool is_skippable_cast(value from, value made, scalar_type c) {
  if (!is_tensor(from) || !is_tensor(made))
    return false;
  const auto &a = from.tensor(), &b = made.tensor();
  return a.dev == b.dev && a.lay == b.lay && a.strides == b.strides && a.sizes == b.sizes &&
         may_skip(a.dtype, b.dtype, c);
}

/// The casts that lead back to the type and strides they began with.
template <op_type Op>
constexpr auto cast_back() {
  return rewrite<"cast-back">(any_call<Op>(cast), [](auto&, const auto& m) -> optional<value> {
    const value r = m.root().result();
    if (!is_tensor(r) || !is_skippable_cast(m[x], m[inner], r.tensor().dtype) || !same_tensor(r, m[x]) ||
        !may_share(r, m[x]))
      return std::nullopt;
    return m[x];
  });
}

inline constexpr auto casts = rule_set(
    cast_back<aten::_to_copy>(), cast_back<aten::to_dtype>(),
    rewrite<"cast-cast">(
        any_call<aten::_to_copy>(cast),
        [](auto& r, const auto& m) -> optional<value> {
          const node n = m.root();
          if (!is_tensor(n.result()) || !is_skippable_cast(m[x], m[inner], n.result().tensor().dtype))
            return std::nullopt;
          return if_same(r.template call<aten::_to_copy>(
                             m[x], kw<"dtype">(r.same(n.arg(1))), kw<"layout">(r.same(n.arg(2))),
                             kw<"device">(r.same(n.arg(3))), kw<"pin_memory">(r.same(n.arg(4))),
                             kw<"non_blocking">(r.same(n.arg(5))), kw<"memory_format">(r.same(n.arg(6)))),
                         n);
        }),
    rewrite<"cast-cast">(any_call<aten::to_dtype>(cast), [](auto& r, const auto& m) -> optional<value> {
      const node n = m.root();
      if (!is_tensor(n.result()))
        return std::nullopt;
      const auto t = n.result().tensor().dtype;
      if (!is_skippable_cast(m[x], m[inner], t) || m[x].tensor().dtype == t) // no copy would be made
        return std::nullopt;
      return if_same(r.template call<aten::to_dtype>(m[x], r.same(n.arg(1)), r.same(n.arg(2)),
                                                     r.same(n.arg(3)), r.same(n.arg(4))),
                     n);
    }));

} // namespace detail::canonical

namespace canonical {
/// The rules on casts, for drivers of your own.
inline constexpr auto& casts = detail::canonical::casts;
} // namespace canonical

} // namespace espalier
