// SPDX-License-Identifier: BSL-1.0
// Reductions that give two results, and norms.
#pragma once

#include <espalier/meta/rules/reduction.hpp>

namespace espalier::shape_rules {
namespace detail {
constexpr rule_result deviation_and_mean(const rule_args& a, const sym_ints& dims, bool keep) {
  const auto& x = a.tensor(0);
  rule_result r(reduced(a, x, dims, keep, to_real(x.dtype)));
  r.push(reduced(a, x, dims, keep, x.dtype));
  return r;
}
} // namespace detail

/// `var_mean(self, unbiased)`, `std_mean`.
constexpr rule_result var_mean_all(const rule_args& a) { return detail::deviation_and_mean(a, {}, false); }
/// `var_mean.dim(self, dim, unbiased, keepdim)`, `var_mean.correction(self, dim, *, correction, keepdim)`.
constexpr rule_result var_mean_dim(const rule_args& a) {
  return detail::deviation_and_mean(a, a.ints(1), a.boolean(3));
}
/// `aminmax(self, *, dim, keepdim)`.
constexpr rule_result aminmax(const rule_args& a) {
  const auto& x = a.tensor(0);
  sym_ints dims;
  if (a.present(1))
    dims.push_back(a.integer(1));
  rule_result r(detail::reduced(a, x, dims, a.boolean(2), x.dtype));
  r.push(r.outputs[0].tensor);
  return r;
}
/// `linalg_vector_norm(self, ord, dim, keepdim, *, dtype)`.
constexpr rule_result vector_norm(const rule_args& a) {
  const auto& x = a.tensor(0);
  return detail::reduced(a, x, a.ints(2), a.boolean(3), to_real(a.dtype(4).value_or(x.dtype)));
}
/// `count_nonzero(self, dim)`, `count_nonzero.dim_IntList`.
constexpr rule_result count_nonzero(const rule_args& a) {
  return detail::reduced(a, a.tensor(0), a.present(1) ? a.ints(1) : sym_ints(), false, scalar_type::i64);
}

} // namespace espalier::shape_rules
