// SPDX-License-Identifier: BSL-1.0
// Type promotion: which dtype comes out when dtypes, zero-dimensional tensors and Python numbers meet. ATen's
// rules (c10/core/ScalarType.h: promoteTypes; ATen/native/TypeProperties.h: result_type).
#pragma once

#include <espalier/meta/rule_args.hpp>
#include <espalier/meta/types.hpp>

namespace espalier {

/// The smallest dtype that holds both (`torch.promote_types`).
constexpr scalar_type promote(scalar_type a, scalar_type b) {
  using t = scalar_type;
  if (a == b)
    return a;
  if (a == t::undefined)
    return b;
  if (b == t::undefined)
    return a;
  if (is_complex(a) || is_complex(b)) {
    if (a == t::bc32 || b == t::bc32) {
      const t o = a == t::bc32 ? b : a;
      return o == t::bf16 || is_integral(o, true) ? t::bc32 : o == t::f64 || o == t::c128 ? t::c128 : t::c64;
    }
    const auto rank = [](t x) { // of the real part: 2 half, 4 float, 8 double
      switch (x) {
      case t::c32:
      case t::f16:
        return 2;
      case t::c64:
      case t::f32:
      case t::bf16:
        return 4;
      case t::c128:
      case t::f64:
        return 8;
      default:
        return 0;
      }
    };
    const int r = rank(a) > rank(b) ? rank(a) : rank(b);
    return r == 8 ? t::c128 : r == 4 ? t::c64 : t::c32;
  }
  if (is_floating(a) || is_floating(b)) {
    if (!is_floating(a))
      return b;
    if (!is_floating(b))
      return a;
    if (element_size(a) != element_size(b))
      return element_size(a) > element_size(b) ? a : b;
    return t::f32; // half and bfloat16
  }
  if (a == t::b8)
    return b;
  if (b == t::b8)
    return a;
  const auto is_unsigned = [](t x) { return x == t::u8 || x == t::u16 || x == t::u32 || x == t::u64; };
  if (is_unsigned(a) == is_unsigned(b))
    return element_size(a) > element_size(b) ? a : b;
  const t s = is_unsigned(a) ? b : a, u = is_unsigned(a) ? a : b;
  if (element_size(s) > element_size(u))
    return s;
  return u == t::u8
             ? t::i16
             : t::i64; // u8 with i8; wider unsigned types promote with signed ones to i64 or not at all
}

/// The complex dtype whose parts are `t`s.
constexpr scalar_type to_complex(scalar_type t) {
  return t == scalar_type::f64    ? scalar_type::c128
         : t == scalar_type::f16  ? scalar_type::c32
         : t == scalar_type::bf16 ? scalar_type::bc32
         : is_complex(t)          ? t
                                  : scalar_type::c64;
}
/// The dtype of a complex dtype's parts; others are their own.
constexpr scalar_type to_real(scalar_type t) {
  return t == scalar_type::c128   ? scalar_type::f64
         : t == scalar_type::c64  ? scalar_type::f32
         : t == scalar_type::c32  ? scalar_type::f16
         : t == scalar_type::bc32 ? scalar_type::bf16
                                  : t;
}

/// Collects operands and gives their common dtype: tensors with dimensions go before those without, which go
/// before numbers, unless the lower category is of a higher kind (a float number lifts an integer tensor).
class result_type {
public:
  constexpr void add(const tensor_meta& m) {
    auto& slot = m.dim() ? dims_ : zero_;
    slot = promote(slot, m.dtype);
  }
  constexpr void add(const meta_arg& a) {
    switch (a.form) {
    case meta_form::tensor:
      add(*a.tensor);
      break;
    case meta_form::boolean:
      number_ = promote(number_, scalar_type::b8);
      break;
    case meta_form::integer:
      number_ = promote(number_, scalar_type::i64);
      break;
    case meta_form::floating:
      number_ = promote(number_, scalar_type::f32);
      break; // the default dtype stands for any float
    case meta_form::complex:
      number_ = promote(number_, scalar_type::c64);
      break;
    default:
      break;
    }
  }
  constexpr scalar_type get() const { return combine(dims_, combine(zero_, number_)); }

private:
  // A category counts only where it lifts the one above it to a higher kind.
  static constexpr scalar_type combine(scalar_type high, scalar_type low) {
    if (high == scalar_type::undefined || low == scalar_type::undefined)
      return promote(high, low);
    if (is_complex(high))
      return high;
    if (is_floating(high))
      return is_complex(low) ? to_complex(high) : high;
    return high == scalar_type::b8 || is_floating(low) || is_complex(low) ? promote(high, low) : high;
  }
  scalar_type dims_ = scalar_type::undefined, zero_ = scalar_type::undefined,
              number_ = scalar_type::undefined;
};

/// The default floating dtype for integers, the dtype itself otherwise (`div`, `mean`, `exp`).
constexpr scalar_type to_floating(scalar_type t) { return is_integral(t, true) ? scalar_type::f32 : t; }

} // namespace espalier
