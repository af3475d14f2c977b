// SPDX-License-Identifier: BSL-1.0
// A vector of trivially copyable things whose first N live in the object: sizes and strides of a tensor.
// Unlike Boost's small_vector it works in constant evaluation, where shape rules are tested.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <type_traits>
#include <utility>

namespace espalier {

/// A growable array of trivially copyable `T` with room for `N` in place. Iterators are pointers.
template <class T, std::size_t N>
class inline_vector {
  static_assert(
      std::is_trivially_copyable_v<T>,
      "espalier::inline_vector<T, N> requires 'T' to be trivially copyable; use std::vector for others");

public:
  using value_type = T;
  using iterator = T*;
  using const_iterator = const T*;

  constexpr inline_vector() noexcept = default;
  constexpr inline_vector(std::initializer_list<T> l) { assign(l.begin(), l.end()); }
  template <class It>
  constexpr inline_vector(It first, It last) {
    assign(first, last);
  }
  constexpr explicit inline_vector(std::size_t n, const T& x = T{}) { resize(n, x); }
  constexpr inline_vector(const inline_vector& o) { assign(o.begin(), o.end()); }
  constexpr inline_vector(inline_vector&& o) noexcept { steal(o); }
  constexpr inline_vector& operator=(const inline_vector& o) {
    if (this != &o) {
      clear();
      assign(o.begin(), o.end());
    }
    return *this;
  }
  constexpr inline_vector& operator=(inline_vector&& o) noexcept {
    if (this != &o) {
      delete[] heap_;
      heap_ = nullptr;
      steal(o);
    }
    return *this;
  }
  constexpr ~inline_vector() { delete[] heap_; }

  constexpr std::size_t size() const noexcept { return size_; }
  constexpr bool empty() const noexcept { return size_ == 0; }
  constexpr T* data() noexcept { return heap_ ? heap_ : inline_; }
  constexpr const T* data() const noexcept { return heap_ ? heap_ : inline_; }
  constexpr T* begin() noexcept { return data(); }
  constexpr T* end() noexcept { return data() + size_; }
  constexpr const T* begin() const noexcept { return data(); }
  constexpr const T* end() const noexcept { return data() + size_; }
  constexpr T& operator[](std::size_t i) noexcept { return data()[i]; }
  constexpr const T& operator[](std::size_t i) const noexcept { return data()[i]; }
  constexpr T& front() noexcept { return data()[0]; }
  constexpr const T& front() const noexcept { return data()[0]; }
  constexpr T& back() noexcept { return data()[size_ - 1]; }
  constexpr const T& back() const noexcept { return data()[size_ - 1]; }

  constexpr void clear() noexcept { size_ = 0; }
  constexpr void reserve(std::size_t n) {
    if (n > capacity_)
      grow(n);
  }
  constexpr void push_back(T x) {
    if (size_ == capacity_)
      grow(capacity_ * 2);
    data()[size_++] = x;
  }
  constexpr void pop_back() noexcept { --size_; }
  constexpr void resize(std::size_t n, const T& x = T{}) {
    reserve(n);
    for (std::size_t i = size_; i < n; ++i)
      data()[i] = x;
    size_ = n;
  }
  constexpr void insert(std::size_t at, T x) {
    push_back(x);
    for (std::size_t i = size_ - 1; i > at; --i)
      data()[i] = data()[i - 1];
    data()[at] = x;
  }
  constexpr void erase(std::size_t at) {
    for (std::size_t i = at; i + 1 < size_; ++i)
      data()[i] = data()[i + 1];
    --size_;
  }
  template <class It>
  constexpr void assign(It first, It last) {
    clear();
    for (; first != last; ++first)
      push_back(T(*first));
  }
  friend constexpr bool operator==(const inline_vector& a, const inline_vector& b) {
    if (a.size_ != b.size_)
      return false;
    for (std::size_t i = 0; i != a.size_; ++i)
      if (!(a[i] == b[i]))
        return false;
    return true;
  }

private:
  constexpr void grow(std::size_t n) {
    T* p = new T[n];
    for (std::size_t i = 0; i != size_; ++i)
      p[i] = data()[i];
    delete[] heap_;
    heap_ = p;
    capacity_ = n;
  }
  constexpr void steal(inline_vector& o) noexcept {
    heap_ = std::exchange(o.heap_, nullptr);
    capacity_ = std::exchange(o.capacity_, N);
    size_ = std::exchange(o.size_, 0);
    if (!heap_)
      for (std::size_t i = 0; i != size_; ++i)
        inline_[i] = o.inline_[i];
  }
  T inline_[N]{};
  T* heap_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = N;
};

} // namespace espalier
