// SPDX-License-Identifier: BSL-1.0
// The memory format of images (N, C, then space) as the layers choose it: LibTorch looks at the strides of an
// input, calls it channels-last or not, and allocates its result in that format. A layer over one spatial
// dimension runs as one over two, and an input without a batch as a batch of one: the format is looked for in
// those views.
#pragma once

#include <espalier/meta/strides.hpp>

#include <utility>

namespace espalier::shape_rules::detail {

/// What `empty(sizes, memory_format=channels_last)` has for strides. Sizes of 0 multiply as they are, which
/// is not so for row-major strides (c10/core/MemoryFormat.h).
constexpr sym_ints image_strides(const sym_ints& sizes) {
  sym_ints s(sizes.size());
  sym_int run = 1;
  s[1] = run;
  run = run * sizes[1];
  for (std::size_t i = sizes.size(); i-- > 2;) {
    s[i] = run;
    run = run * sizes[i];
  }
  s[0] = run;
  return s;
}

/// A new tensor, row-major or channels-last. Only tensors of four and five dimensions have the latter.
constexpr tensor_meta new_image(scalar_type t, sym_ints sizes, device d, bool channels_last) {
  tensor_meta m = make_meta(t, std::move(sizes), d);
  if (channels_last && (m.dim() == 4 || m.dim() == 5))
    m.strides = image_strides(m.sizes);
  return m;
}

/// `m.unsqueeze(d)`.
constexpr tensor_meta with_unit_dim(tensor_meta m, std::size_t d) {
  const sym_int stride = d < m.dim() ? m.sizes[d] * m.strides[d] : sym_int(1);
  m.sizes.insert(d, 1);
  m.strides.insert(d, stride);
  return m;
}
/// `m.squeeze(d)` of a dimension whose size is 1.
constexpr tensor_meta without_dim(tensor_meta m, std::size_t d) {
  m.sizes.erase(d);
  m.strides.erase(d);
  return m;
}

} // namespace espalier::shape_rules::detail
