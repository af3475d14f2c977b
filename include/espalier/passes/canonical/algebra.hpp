// SPDX-License-Identifier: BSL-1.0
// umbrella: apart, its rules cost more to include than the rest of a layer
// Algebraic identities that hold bit for bit: for NaN, infinities and negative zero, under wrap-around and
// under type promotion. What only holds for numbers as one learns them at school is not here: `x * 0` is NaN
// for an infinite `x`, `x + 0.0` makes 0.0 of -0.0, `-(x - y)` is not `y - x` where the two are equal, and
// `abs(relu(x))` loses the sign of the -0.0 that `relu` lets pass.
#pragma once

#include <espalier/passes/canonical/support.hpp>
#include <espalier/support/floats.hpp>
#include <espalier/support/optional.hpp>

namespace espalier {

namespace detail::canonical {

enum class operation : std::uint8_t { add, sub, mul, div, pow };

/// Whether `x OPERATION c` is `x`, for every `x` of that type. Complex products and quotients mix the parts,
/// so that an infinite part makes NaN of the other one.
constexpr bool is_neutral(operation o, double c, scalar_type t) {
  switch (o) {
  case operation::add: // 0.0 would turn -0.0 into 0.0
    return c == 0 && (is_integral(t, false) || (is_floating(t) && has_minus(c)));
  case operation::sub: // x - 0.0 keeps -0.0; x - -0.0 does not
    return c == 0 && (is_integral(t, false) || (is_floating(t) && !has_minus(c)));
  case operation::mul:
  case operation::div:
    return c == 1 && !is_complex(t);
  case operation::pow: // ATen copies
    return c == 1;
  }
  return false;
}

/// `x` when the root is `x OPERATION (a neutral element)`; `other` is the argument that is no `x`.
constexpr optional<value> without_neutral(operation o, node root, value kept, const arg_view& other) {
  const auto c = other.is_value() ? filled_with(other.as_value()) : constant_number(other);
  if (!c || !same_tensor(root.result(), kept) || !is_neutral(o, *c, kept.tensor().dtype) ||
      !may_share(root.result(), kept))
    return std::nullopt;
  return kept;
}

template <op_type Op, operation O>
constexpr auto neutral_right() {
  return rewrite<"neutral-element">(any_call<Op>(x), [](auto&, const auto& m) -> optional<value> {
    if constexpr (O == operation::add || O == operation::sub)
      if (!is_one(m.root().arg(2)))
        return std::nullopt;
    return without_neutral(O, m.root(), m[x], m.root().arg(1));
  });
}
template <op_type Op, operation O>
constexpr auto neutral_left() {
  return rewrite<"neutral-element">(pattern<Op>(y, x), [](auto&, const auto& m) -> optional<value> {
    return without_neutral(O, m.root(), m[x], m.root().arg(0));
  });
}

/// `op(x, x)` is `x`.
template <op_type Op>
constexpr auto same_operands() {
  return rewrite<"same-operands">(pattern<Op>(x, x), [](auto&, const auto& m) -> optional<value> {
    if (!same_tensor(m.root().result(), m[x]) || !may_share(m.root().result(), m[x]))
      return std::nullopt;
    return m[x];
  });
}

/// `op(op(x))` is `op(x)`.
template <op_type Op>
constexpr auto idempotent() {
  return rewrite<"idempotent">(pattern<Op>(as<"inner">(pattern<Op>(x))),
                               [](auto&, const auto& m) -> optional<value> {
                                 if (!may_share(m.root().result(), m[inner]))
                                   return std::nullopt;
                                 return m[inner];
                               });
}
/// `op(op(x))` is `x`.
template <op_type Op>
constexpr auto self_inverse() {
  return rewrite<"self-inverse">(pattern<Op>(pattern<Op>(x)), [](auto&, const auto& m) -> optional<value> {
    if (!same_tensor(m.root().result(), m[x]) || !may_share(m.root().result(), m[x]))
      return std::nullopt;
    return m[x];
  });
}
/// `op(y)` is `y` where `y` is made by an operator of which `Holds` is true.
template <fixed_string Name, op_type Op, class Holds>
constexpr auto absorbed(Holds holds) {
  return rewrite<Name>(pattern<Op>(where(inner, holds)), [](auto&, const auto& m) -> optional<value> {
    if (!same_tensor(m.root().result(), m[inner]) || !may_share(m.root().result(), m[inner]))
      return std::nullopt;
    return m[inner];
  });
}
constexpr bool made_by(value v, std::initializer_list<op_id> ops) {
  if (v.def().kind() != node_kind::call_function)
    return false;
  for (op_id o : ops)
    if (v.def().op() == o)
      return true;
  return false;
}
/// Made by something that gives positive numbers, 0.0 and NaN only. `abs` of the least integer is negative.
inline constexpr auto not_negative = [](value v) {
  return made_by(v, {id_of<aten::sigmoid>(), id_of<aten::exp>(), id_of<aten::softmax_int>(),
                     id_of<aten::_softmax>()}) ||
         (made_by(v, {id_of<aten::abs>()}) && is_tensor(v) && is_floating(v.tensor().dtype));
};
inline constexpr auto whole_numbers = [](value v) {
  return made_by(v, {id_of<aten::floor>(), id_of<aten::ceil>(), id_of<aten::round>(), id_of<aten::trunc>()});
};

/// `neg(y)` may go into an addition: nothing happens between the two, such as a promotion of the wrapped
/// result.
constexpr bool may_fold_sign(value negated, node root) {
  if (!is_tensor(negated) || !is_tensor(root.result()))
    return false;
  const auto t = negated.tensor().dtype;
  return is_floating(t) ? is_floating(root.result().tensor().dtype)
                        : is_integral(t, false) && t == root.result().tensor().dtype;
}

inline constexpr auto algebra = rule_set(
    neutral_right<aten::add_Tensor, operation::add>(), neutral_left<aten::add_Tensor, operation::add>(),
    neutral_right<aten::add_Scalar, operation::add>(), neutral_right<aten::sub_Tensor, operation::sub>(),
    neutral_right<aten::sub_Scalar, operation::sub>(), neutral_right<aten::mul_Tensor, operation::mul>(),
    neutral_left<aten::mul_Tensor, operation::mul>(), neutral_right<aten::mul_Scalar, operation::mul>(),
    neutral_right<aten::div_Tensor, operation::div>(), neutral_right<aten::div_Scalar, operation::div>(),
    neutral_right<aten::pow_Tensor_Scalar, operation::pow>(),
    // x // 1 rounds nothing where there are whole numbers only
    rewrite<"neutral-element">(any_call<aten::div_Tensor_mode>(x),
                               [](auto&, const auto& m) -> optional<value> {
                                 if (!is_tensor(m[x]) || !is_integral(m[x].tensor().dtype, false))
                                   return std::nullopt;
                                 return without_neutral(operation::div, m.root(), m[x], m.root().arg(1));
                               }),
    same_operands<aten::minimum>(), same_operands<aten::maximum>(), same_operands<aten::bitwise_and_Tensor>(),
    same_operands<aten::bitwise_or_Tensor>(), same_operands<aten::logical_and>(),
    same_operands<aten::logical_or>(),
    rewrite<"same-operands">(pattern<aten::where_self>(anything, x, x),
                             [](auto&, const auto& m) -> optional<value> {
                               if (!same_tensor(m.root().result(), m[x]) ||
                                   !may_share(m.root().result(), m[x]))
                                 return std::nullopt;
                               return m[x];
                             }),
    idempotent<aten::relu>(), idempotent<aten::relu6>(), idempotent<aten::abs>(), idempotent<aten::sign>(),
    rewrite<"idempotent">(
        pattern<aten::clamp>(as<"inner">(pattern<aten::clamp>(x, constant<"low">, constant<"high">)),
                             constant<"low">, constant<"high">),
        [](auto&, const auto& m) -> optional<value> {
          if (!may_share(m.root().result(), m[inner]))
            return std::nullopt;
          return m[inner];
        }),
    self_inverse<aten::neg>(), self_inverse<aten::bitwise_not>(), self_inverse<aten::logical_not>(),
    absorbed<"not-negative", aten::relu>(not_negative), absorbed<"not-negative", aten::abs>(not_negative),
    absorbed<"whole-numbers", aten::floor>(whole_numbers),
    absorbed<"whole-numbers", aten::ceil>(whole_numbers),
    absorbed<"whole-numbers", aten::round>(whole_numbers),
    absorbed<"whole-numbers", aten::trunc>(whole_numbers),
    // signs: ATen subtracts by adding with alpha -1, which multiplies exactly
    rewrite<"fold-sign">(pattern<aten::add_Tensor>(x, pattern<aten::neg>(y).one_use()),
                         [](auto& r, const auto& m) -> optional<value> {
                           if (!may_fold_sign(m[y], m.root()))
                             return std::nullopt;
                           return if_same(r.template call<aten::sub_Tensor>(m[x], m[y]), m.root());
                         }),
    rewrite<"fold-sign">(pattern<aten::sub_Tensor>(x, pattern<aten::neg>(y).one_use()),
                         [](auto& r, const auto& m) -> optional<value> {
                           if (!may_fold_sign(m[y], m.root()))
                             return std::nullopt;
                           return if_same(r.template call<aten::add_Tensor>(m[x], m[y]), m.root());
                         }),
    rewrite<"fold-sign">(pattern<aten::add_Tensor>(x, y, kw<"alpha">(-1)),
                         [](auto& r, const auto& m) -> optional<value> {
                           return if_same(r.template call<aten::sub_Tensor>(m[x], m[y]), m.root());
                         }),
    rewrite<"fold-sign">(pattern<aten::sub_Tensor>(x, y, kw<"alpha">(-1)),
                         [](auto& r, const auto& m) -> optional<value> {
                           return if_same(r.template call<aten::add_Tensor>(m[x], m[y]), m.root());
                         }));

} // namespace detail::canonical

namespace canonical {
/// The algebraic identities, for drivers of your own.
inline constexpr auto& algebra = detail::canonical::algebra;
} // namespace canonical

} // namespace espalier
