// SPDX-License-Identifier: BSL-1.0
// Vectors of equal elements in constant evaluation too, where clang with libstdc++ 12 refuses
// `std::vector(n)` and `resize`.
#pragma once

#include <cstddef>
#include <type_traits>
#include <vector>

namespace espalier::detail {

/// Makes `v` at least `n` elements long.
template <class T>
constexpr void lengthen(std::vector<T>& v, std::size_t n, const T& x) {
  if (std::is_constant_evaluated()) {
    v.reserve(n);
    while (v.size() < n)
      v.push_back(x);
  } else if (v.size() < n) {
    v.resize(n, x);
  }
}
/// `n` copies of `x`.
template <class T>
constexpr std::vector<T> filled(std::size_t n, const T& x) {
  std::vector<T> v;
  lengthen(v, n, x);
  return v;
}

} // namespace espalier::detail
