// SPDX-License-Identifier: BSL-1.0
// Views of arrays that somebody else owns.
#pragma once

#include <cstddef>
#include <type_traits>
#include <utility>

namespace espalier {

/// A pointer and a length, with the interface of `std::span` and no fixed extents: it takes a `std::span` and
/// becomes one. It asks a range for `data()` and `size()` alone; the constructor of `std::span` has a
/// compiler prove the concepts of iterators for each type of element (`./dev bench --only compile`: `compile
/// one more span`).
template <class T>
class span {
public:
  using element_type = T;
  using value_type = std::remove_cv_t<T>;
  using size_type = std::size_t;
  using difference_type = std::ptrdiff_t;
  using reference = T&;
  using iterator = T*;
  static constexpr std::size_t npos = static_cast<std::size_t>(-1);

  constexpr span() noexcept = default;
  constexpr span(T* data, std::size_t size) noexcept : data_(data), size_(size) {}
  constexpr span(T* first, T* last) noexcept : data_(first), size_(static_cast<std::size_t>(last - first)) {}
  template <std::size_t N>
  constexpr span(T (&array)[N]) noexcept : data_(array), size_(N) {}
  /// Of anything with `data()` and `size()`, of elements of this very type.
  template <class Range>
  requires requires(Range& r, std::size_t& n) {
    requires __is_same(decltype(r.data()), T*) || __is_same(decltype(r.data()), value_type*);
    n = r.size();
  }
  constexpr span(Range&& r) noexcept : data_(r.data()), size_(r.size()) {}

  constexpr T* data() const noexcept { return data_; }
  constexpr std::size_t size() const noexcept { return size_; }
  constexpr std::size_t size_bytes() const noexcept { return size_ * sizeof(T); }
  constexpr bool empty() const noexcept { return size_ == 0; }
  constexpr T* begin() const noexcept { return data_; }
  constexpr T* end() const noexcept { return data_ + size_; }
  constexpr T& operator[](std::size_t i) const noexcept { return data_[i]; }
  constexpr T& front() const noexcept { return data_[0]; }
  constexpr T& back() const noexcept { return data_[size_ - 1]; }
  constexpr span first(std::size_t n) const noexcept { return {data_, n}; }
  constexpr span last(std::size_t n) const noexcept { return {data_ + (size_ - n), n}; }
  /// `n` elements from the one at `at`, or all.
  constexpr span subspan(std::size_t at, std::size_t n = npos) const noexcept {
    return {data_ + at, n == npos ? size_ - at : n};
  }

private:
  T* data_ = nullptr;
  std::size_t size_ = 0;
};

template <class Range>
span(Range&&) -> span<std::remove_pointer_t<decltype(std::declval<Range&>().data())>>;
template <class T, std::size_t N>
span(T (&)[N]) -> span<T>;

/// The bytes of the elements, as `std::as_bytes` gives them.
template <class T>
span<const std::byte> as_bytes(span<T> s) noexcept {
  return {reinterpret_cast<const std::byte*>(s.data()), s.size_bytes()};
}

} // namespace espalier
