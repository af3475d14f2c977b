// SPDX-License-Identifier: BSL-1.0
// Tensors that are the same to the last bit.
#pragma once

#include <ATen/ATen.h>

namespace corpus {

/// The same dtype, sizes and bits; one NaN is as good as another.
inline bool same_bits(const at::Tensor& a, const at::Tensor& b) {
  if (a.scalar_type() != b.scalar_type() || a.sizes() != b.sizes())
    return false;
  if (!a.is_floating_point())
    return at::equal(a, b);
  const auto nan = a.isnan() & b.isnan();
  return (nan | (a.eq(b) & (at::signbit(a).eq(at::signbit(b))))).all().item<bool>();
}

} // namespace corpus
