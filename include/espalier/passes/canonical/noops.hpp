// SPDX-License-Identifier: BSL-1.0
// umbrella: apart, its rules cost more to include than the rest of a layer
// Copies that nobody needs, and layers that do nothing: `clone` where no memory is written, `cat` of one
// tensor, padding by nothing, dropout that does not train. A copy that leaves the graph stays one.
#pragma once

#include <espalier/passes/canonical/support.hpp>
#include <espalier/support/optional.hpp>

namespace espalier {

namespace detail::canonical {

/// A copy of `x` with the same sizes and strides.
template <op_type Op>
constexpr auto no_op_copy() {
  return rewrite<"no-op-copy">(any_call<Op>(x), [](auto&, const auto& m) -> optional<value> {
    const value kept = m[x], r = m.root().result();
    if (!same_tensor(r, kept) || !may_share(r, kept))
      return std::nullopt;
    return kept;
  });
}
/// Padding by zero on all sides. Sizes alone do not tell: one element may come in where another one goes.
template <op_type Op>
constexpr auto no_op_pad() {
  return rewrite<"no-op-copy">(any_call<Op>(x), [](auto&, const auto& m) -> optional<value> {
    const value kept = m[x], r = m.root().result();
    const auto pads = m.root().arg(1);
    for (std::size_t i = 0; i != pads.size(); ++i)
      if (constant_number(pads[i]) != 0.0)
        return std::nullopt;
    if (pads.form() != arg_form::list || !same_tensor(r, kept) || !may_share(r, kept))
      return std::nullopt;
    return kept;
  });
}
/// Dropout gives back its very input, and draws no random numbers, when it does not train or drops nothing.
template <op_type Op>
constexpr auto dropout_off() {
  return rewrite<"dropout-off">(any_call<Op>(x), [](auto&, const auto& m) -> optional<value> {
    const auto p = m.root().arg(1), train = m.root().arg(2);
    const bool off = (train.form() == arg_form::boolean && !train.as_bool()) || constant_number(p) == 0.0;
    if (!off || !may_merge(m.root().result(), m[x]))
      return std::nullopt;
    return m[x];
  });
}

inline constexpr auto noops =
    rule_set(no_op_copy<aten::clone>(), no_op_copy<aten::_to_copy>(), no_op_copy<aten::lift_fresh_copy>(),
             no_op_copy<aten::view_copy>(), no_op_copy<aten::alias_copy>(), no_op_copy<aten::expand_copy>(),
             no_op_copy<aten::repeat>(), no_op_pad<aten::constant_pad_nd>(), no_op_pad<aten::pad>(),
             rewrite<"no-op-copy">(pattern<aten::cat>(list(x), anything),
                                   [](auto&, const auto& m) -> optional<value> {
                                     const value kept = m[x], r = m.root().result();
                                     if (!same_tensor(r, kept) || !may_share(r, kept))
                                       return std::nullopt;
                                     return kept;
                                   }),
             dropout_off<aten::dropout>(), dropout_off<aten::alpha_dropout>(),
             dropout_off<aten::feature_dropout>(), dropout_off<aten::feature_alpha_dropout>());

} // namespace detail::canonical

namespace canonical {
/// The rules on calls that do nothing, for drivers of your own.
inline constexpr auto& noops = detail::canonical::noops;
} // namespace canonical

} // namespace espalier
