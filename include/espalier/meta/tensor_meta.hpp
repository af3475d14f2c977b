// SPDX-License-Identifier: BSL-1.0
// What is known of a tensor without its data. The `val` of an FX node, for tensors.
#pragma once

#include <espalier/meta/types.hpp>
#include <espalier/support/inline_vector.hpp>
#include <espalier/symbolic/sym_int.hpp>

#include <cstddef>
#include <cstdint>

namespace espalier {

/// Sizes or strides, in elements; five dimensions live in place.
using sym_ints = inline_vector<sym_int, 5>;

namespace detail {
/// The product of sizes. Throws `error` (usage) when it does not fit 64 bits, as LibTorch refuses such a
/// tensor.
constexpr sym_int size_product(const sym_int& a, const sym_int& b) {
  if (a.is_int() && b.is_int())
    if (std::int64_t n = 0; __builtin_mul_overflow(a.as_int(), b.as_int(), &n))
      fail(error_kind::usage, "the sizes of a tensor multiply to more than 64 bits hold", "tensor_meta",
           "use smaller sizes");
  return a * b;
}
} // namespace detail

/// Strides of a dense row-major tensor (a dimension of size 0 counts as 1, as in ATen). Throws `error`
/// (usage) when they do not fit 64 bits.
constexpr sym_ints contiguous_strides(const sym_ints& sizes) {
  sym_ints s(sizes.size());
  sym_int run = 1;
  for (std::size_t i = sizes.size(); i-- > 0;) {
    s[i] = run;
    // a symbolic size is taken to be at least 1 here, as export does
    if (i && !(sizes[i].is_int() && sizes[i].as_int() == 0))
      run = detail::size_product(run, sizes[i]);
  }
  return s;
}

/// dtype, sizes, strides, offset (in elements), device, layout, and whether autograd tracks it.
struct tensor_meta {
  scalar_type dtype = scalar_type::f32;
  layout lay = layout::strided;
  device dev = cpu_device;
  bool requires_grad = false;
  sym_ints sizes;
  sym_ints strides;
  sym_int storage_offset = 0;

  constexpr std::size_t dim() const noexcept { return sizes.size(); }
  /// How many elements. Throws `error` (usage) when they are more than 64 bits count.
  constexpr sym_int numel() const {
    for (auto& s : sizes)
      if (s.is_int() && s.as_int() == 0)
        return 0;
    sym_int n = 1;
    for (auto& s : sizes)
      n = detail::size_product(n, s);
    return n;
  }
  friend constexpr bool operator==(const tensor_meta&, const tensor_meta&) = default;
};

/// A dense row-major tensor's meta.
constexpr tensor_meta make_meta(scalar_type t, sym_ints sizes, device d = cpu_device) {
  tensor_meta m;
  m.dtype = t;
  m.dev = d;
  m.strides = contiguous_strides(sizes);
  m.sizes = std::move(sizes);
  return m;
}

} // namespace espalier
