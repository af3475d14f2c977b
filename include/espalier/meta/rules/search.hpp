// SPDX-License-Identifier: BSL-1.0
// Distances between rows, and places in sorted sequences.
#pragma once

#include <espalier/meta/strides.hpp>

namespace espalier::shape_rules {

/// `_cdist_forward(x1, x2, p, compute_mode)`, `cdist`: the distance of each row of one to each of the other.
constexpr rule_result cdist(const rule_args& a) {
  const auto &x = a.tensor(0), &y = a.tensor(1);
  if (x.dim() < 2 || y.dim() < 2 || !same_size(x.sizes.back(), y.sizes.back()))
    a.refuse("distances need two lists of rows of one length");
  sym_ints sizes = broadcast(sym_ints(x.sizes.begin(), x.sizes.end() - 2),
                             sym_ints(y.sizes.begin(), y.sizes.end() - 2), a);
  sizes.push_back(x.sizes[x.dim() - 2]);
  sizes.push_back(y.sizes[y.dim() - 2]);
  return make_meta(x.dtype, std::move(sizes), x.dev);
}
/// `_pdist_forward(self, p)`, `pdist`: of each row to each after it.
constexpr rule_result pdist(const rule_args& a) {
  const auto& x = a.tensor(0);
  if (x.dim() != 2)
    a.refuse("pdist needs a list of rows");
  const sym_int n = x.sizes[0];
  return make_meta(x.dtype, {n.is_int() && n.as_int() <= 1 ? sym_int(0) : floordiv(n * (n - 1), 2)}, x.dev);
}

namespace detail {
constexpr rule_result places(const rule_args& a, const tensor_meta& sequence, sym_ints sizes) {
  return make_meta(a.boolean(2) ? scalar_type::i32 : scalar_type::i64, std::move(sizes), sequence.dev);
}
} // namespace detail

/// `searchsorted(sorted_sequence, self, *, out_int32, ...)`.
constexpr rule_result searchsorted(const rule_args& a) {
  const auto &sequence = a.tensor(0), &x = a.tensor(1);
  if (sequence.dim() != 1) {
    bool same = sequence.dim() == x.dim();
    for (std::size_t i = 0; same && i + 1 < x.dim(); ++i)
      same = same_size(sequence.sizes[i], x.sizes[i]);
    if (!same)
      a.refuse("the sequences and what is searched have different leading sizes",
               "use one sequence, or one for each row");
  }
  return detail::places(a, sequence, x.sizes);
}
/// `searchsorted.Scalar`: one place in one sequence.
constexpr rule_result searchsorted_number(const rule_args& a) { return detail::places(a, a.tensor(0), {}); }
/// `bucketize(self, boundaries, *, out_int32, ...)`.
constexpr rule_result bucketize(const rule_args& a) {
  return detail::places(a, a.tensor(1), a.tensor(0).sizes);
}
/// `bucketize.Scalar`.
constexpr rule_result bucketize_number(const rule_args& a) { return detail::places(a, a.tensor(1), {}); }

} // namespace espalier::shape_rules
