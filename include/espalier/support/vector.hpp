// SPDX-License-Identifier: BSL-1.0
// The vector of the library's own types. What `std::vector` does costs a compiler many times as much for
// each type of element (`./dev bench --only compile`: `compile one more vector`), and a graph, its schemas
// and its passes have a hundred such types: here there are no allocators, no iterator classes and no layers
// of helpers to instantiate for each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <iterator>
#include <new>
#include <stdexcept>
#include <type_traits>
#include <utility>

namespace espalier {
namespace detail {
[[noreturn]] inline void vector_too_long() {
  throw std::length_error("espalier::vector: more elements than memory has addresses");
}
/// Walks an array from its end to its beginning. `std::reverse_iterator` has the concepts of iterators proved
/// for each type of element.
template <class T>
class reverse_pointer {
public:
  using value_type = std::remove_cv_t<T>;
  using difference_type = std::ptrdiff_t;
  using pointer = T*;
  using reference = T&;
  using iterator_category = std::bidirectional_iterator_tag;

  constexpr reverse_pointer() noexcept = default;
  constexpr explicit reverse_pointer(T* end) noexcept : end_(end) {}
  constexpr T& operator*() const noexcept { return end_[-1]; }
  constexpr T* operator->() const noexcept { return end_ - 1; }
  constexpr reverse_pointer& operator++() noexcept { return --end_, *this; }
  constexpr reverse_pointer& operator--() noexcept { return ++end_, *this; }
  constexpr reverse_pointer operator++(int) noexcept { return reverse_pointer(end_--); }
  constexpr reverse_pointer operator--(int) noexcept { return reverse_pointer(end_++); }
  friend constexpr bool operator==(reverse_pointer, reverse_pointer) noexcept = default;

private:
  T* end_ = nullptr;
};
} // namespace detail

/// A growable array with the interface and the guarantees of `std::vector`; iterators are pointers. It works
/// in constant evaluation for elements that have a default constructor and can be assigned. Moving elements
/// must not throw. `vector<bool>` is an array of bools.
template <class T>
class vector {
public:
  using value_type = T;
  using size_type = std::size_t;
  using difference_type = std::ptrdiff_t;
  using reference = T&;
  using const_reference = const T&;
  using iterator = T*;
  using const_iterator = const T*;

  constexpr vector() noexcept = default;
  constexpr vector(std::initializer_list<T> l) : vector() { assign(l.begin(), l.end()); }
  constexpr explicit vector(std::size_t n) : vector() { resize(n); }
  constexpr vector(std::size_t n, const T& x) : vector() { resize(n, x); }
  template <class It>
  requires requires(It i) { *i; }
  constexpr vector(It first, It last) : vector() { assign(first, last); }
  /// From what another library made: anything with `data()` and `size()`.
  template <class Range>
  requires requires(const T*& p, const Range& r) { p = r.data(), r.size(); }
  constexpr vector(const Range& r) : vector() { assign(r.data(), r.data() + r.size()); }
  constexpr vector(const vector& o) : vector() { append_array(o.data_, o.size_); }
  constexpr vector(vector&& o) noexcept : data_(o.data_), size_(o.size_), capacity_(o.capacity_) {
    o.data_ = nullptr;
    o.size_ = o.capacity_ = 0;
  }
  constexpr vector& operator=(const vector& o) {
    if (this != &o) {
      cut(0);
      append_array(o.data_, o.size_);
    }
    return *this;
  }
  constexpr vector& operator=(vector&& o) noexcept {
    swap(o);
    o.cut(0);
    return *this;
  }
  constexpr vector& operator=(std::initializer_list<T> l) {
    assign(l.begin(), l.end());
    return *this;
  }
  constexpr ~vector() {
    cut(0);
    deallocate(data_);
  }

  constexpr std::size_t size() const noexcept { return size_; }
  constexpr std::size_t capacity() const noexcept { return capacity_; }
  constexpr bool empty() const noexcept { return size_ == 0; }
  constexpr T* data() noexcept { return data_; }
  constexpr const T* data() const noexcept { return data_; }
  constexpr T* begin() noexcept { return data_; }
  constexpr T* end() noexcept { return data_ + size_; }
  constexpr const T* begin() const noexcept { return data_; }
  constexpr const T* end() const noexcept { return data_ + size_; }
  constexpr auto rbegin() noexcept { return detail::reverse_pointer<T>(end()); }
  constexpr auto rend() noexcept { return detail::reverse_pointer<T>(begin()); }
  constexpr auto rbegin() const noexcept { return detail::reverse_pointer<const T>(end()); }
  constexpr auto rend() const noexcept { return detail::reverse_pointer<const T>(begin()); }
  constexpr T& operator[](std::size_t i) noexcept { return data_[i]; }
  constexpr const T& operator[](std::size_t i) const noexcept { return data_[i]; }
  /// Throws `std::out_of_range`.
  constexpr T& at(std::size_t i) {
    return i < size_ ? data_[i] : throw std::out_of_range("espalier::vector::at");
  }
  constexpr const T& at(std::size_t i) const {
    return i < size_ ? data_[i] : throw std::out_of_range("espalier::vector::at");
  }
  constexpr T& front() noexcept { return data_[0]; }
  constexpr const T& front() const noexcept { return data_[0]; }
  constexpr T& back() noexcept { return data_[size_ - 1]; }
  constexpr const T& back() const noexcept { return data_[size_ - 1]; }

  constexpr void reserve(std::size_t n) {
    if (n > capacity_)
      move_to(n);
  }
  constexpr void shrink_to_fit() {
    if (size_ == 0)
      *this = vector();
    else if (size_ != capacity_)
      move_to(size_);
  }
  constexpr void clear() noexcept { cut(0); }
  constexpr void push_back(const T& x) { emplace_back(x); }
  constexpr void push_back(T&& x) { emplace_back(static_cast<T&&>(x)); }
  template <class... A>
  constexpr T& emplace_back(A&&... a) {
    if (size_ == capacity_) [[unlikely]] {
      T made(static_cast<A&&>(a)...); // the arguments may be parts of an element
      move_to(grown());
      put(data_ + size_, static_cast<T&&>(made));
    } else
      put(data_ + size_, static_cast<A&&>(a)...);
    return data_[size_++];
  }
  constexpr void pop_back() noexcept { cut(size_ - 1); }
  constexpr void resize(std::size_t n) {
    if (n < size_)
      return cut(n);
    make_room(n);
    fill(n);
  }
  constexpr void resize(std::size_t n, const T& x) {
    if (n < size_)
      return cut(n);
    if (n > capacity_) {
      const T copy(x); // it may be an element
      make_room(n);
      return resize(n, copy);
    }
    fill(n, x);
  }
  constexpr void assign(std::size_t n, const T& x) {
    const T copy(x);
    clear();
    resize(n, copy);
  }
  /// The range must not be one of this vector's own.
  template <class It>
  requires requires(It i) { *i; }
  constexpr void assign(It first, It last) {
    clear();
    append(first, last);
  }
  /// Elements before `at`; gives the first of them. The range must not be one of this vector's own.
  template <class It>
  requires requires(It i) { *i; }
  constexpr T* insert(const T* at, It first, It last) {
    const std::size_t i = static_cast<std::size_t>(at - data_), old = size_;
    append(first, last);
    rotate(data_ + i, data_ + old, data_ + size_);
    return data_ + i;
  }
  constexpr T* insert(const T* at, T x) {
    const std::size_t i = static_cast<std::size_t>(at - data_);
    emplace_back(std::move(x));
    rotate(data_ + i, data_ + size_ - 1, data_ + size_);
    return data_ + i;
  }
  constexpr T* erase(const T* at) { return erase(at, at + 1); }
  constexpr T* erase(const T* first, const T* last) {
    T* const to = data_ + (first - data_);
    if (first == last)
      return to;
    T* out = to;
    for (T* in = data_ + (last - data_); in != end(); ++in, ++out)
      *out = std::move(*in);
    cut(static_cast<std::size_t>(out - data_));
    return to;
  }
  constexpr void swap(vector& o) noexcept {
    T* const data = data_;
    data_ = o.data_;
    o.data_ = data;
    const std::size_t size = size_, capacity = capacity_;
    size_ = o.size_;
    capacity_ = o.capacity_;
    o.size_ = size;
    o.capacity_ = capacity;
  }

private:
  // In constant evaluation elements beyond the size are there, and written to by assignment; at run time they
  // are raw memory.
  static constexpr T* allocate(std::size_t n) {
    static_assert(
        alignof(T) <= __STDCPP_DEFAULT_NEW_ALIGNMENT__,
        "espalier::vector<T> requires an alignment of T that operator new gives; hold such a T in a "
        "std::vector");
    if (n == 0)
      return nullptr;
    if (n > static_cast<std::size_t>(PTRDIFF_MAX) / sizeof(T)) // a file may lie about a size
      detail::vector_too_long();
    if (std::is_constant_evaluated()) {
      if constexpr (__is_constructible(T))
        return new T[n]();
    }
    return static_cast<T*>(::operator new(n * sizeof(T)));
  }
  static constexpr void deallocate(T* p) noexcept {
    if (std::is_constant_evaluated())
      delete[] p;
    else
      ::operator delete(p);
  }
  template <class... A>
  static constexpr void put(T* at, A&&... a) {
    if (std::is_constant_evaluated()) {
      if constexpr (__is_assignable(T&, T &&))
        *at = T(static_cast<A&&>(a)...);
    } else
      ::new (static_cast<void*>(at)) T(static_cast<A&&>(a)...);
  }
  constexpr void cut(std::size_t n) noexcept {
    if (!std::is_constant_evaluated())
      for (std::size_t i = n; i < size_; ++i)
        data_[i].~T();
    size_ = n;
  }
  template <class It>
  constexpr void append(It first, It last) {
    if constexpr (requires(const T*& p) { p = first; })
      return append_array(first, static_cast<std::size_t>(last - first));
    if constexpr (requires { static_cast<std::size_t>(last - first); })
      make_room(size_ + static_cast<std::size_t>(last - first));
    for (; first != last; ++first)
      emplace_back(*first);
  }
  constexpr void append_array(const T* from, std::size_t n) {
    make_room(size_ + n);
    if constexpr (__is_trivially_copyable(T)) {
      if (!std::is_constant_evaluated()) {
        if (n != 0)
          std::memcpy(static_cast<void*>(data_ + size_), from, n * sizeof(T));
        size_ += n;
        return;
      }
    }
    for (const T* const end = from + n; from != end; ++from, ++size_)
      put(data_ + size_, *from);
  }
  /// Elements up to the `n`th; there is room.
  template <class... A>
  constexpr void fill(std::size_t n, const A&... a) {
    if constexpr (__is_trivially_copyable(T)) { // in registers: what is written may alias the size
      T* const p = data_;
      for (std::size_t i = size_; i < n; ++i)
        put(p + i, a...);
      size_ = n;
    } else
      for (; size_ != n; ++size_)
        put(data_ + size_, a...);
  }
  constexpr std::size_t grown() const noexcept { return capacity_ ? capacity_ * 2 : 4; }
  constexpr void make_room(std::size_t n) {
    if (n > capacity_)
      move_to(n > grown() ? n : grown());
  }
  static constexpr void take(T* to, T* from, std::size_t n) noexcept {
    if constexpr (__is_trivially_copyable(T)) {
      if (!std::is_constant_evaluated()) {
        if (n != 0)
          std::memcpy(static_cast<void*>(to), from, n * sizeof(T));
        return;
      }
    }
    for (std::size_t i = 0; i != n; ++i) {
      put(to + i, static_cast<T&&>(from[i]));
      if (!std::is_constant_evaluated())
        from[i].~T();
    }
  }
  constexpr void move_to(std::size_t n) {
    T* const to = allocate(n);
    take(to, data_, size_);
    deallocate(data_);
    data_ = to;
    capacity_ = n;
  }
  static constexpr void rotate(T* first, T* middle, T* last) {
    const auto reverse = [](T* a, T* b) {
      while (a < --b)
        std::swap(*a++, *b);
    };
    if (first == middle || middle == last)
      return;
    reverse(first, middle);
    reverse(middle, last);
    reverse(first, last);
  }

  T* data_ = nullptr;
  std::size_t size_ = 0, capacity_ = 0;
};

template <class T>
constexpr bool operator==(const vector<T>& a, const vector<T>& b) {
  if (a.size() != b.size())
    return false;
  for (std::size_t i = 0; i != a.size(); ++i)
    if (!(a[i] == b[i]))
      return false;
  return true;
}
/// With what another library made.
template <class T, class Range>
requires requires(const T*& p, const Range& r) { p = r.data(), r.size(); }
constexpr bool operator==(const vector<T>& a, const Range& b) {
  return a == vector<T>(b.data(), b.data() + b.size());
}
template <class T>
constexpr auto operator<=>(const vector<T>& a, const vector<T>& b) -> decltype(a[0] <=> b[0]) {
  for (std::size_t i = 0; i != a.size() && i != b.size(); ++i)
    if (const auto order = a[i] <=> b[i]; order != 0)
      return order;
  return a.size() <=> b.size();
}
/// Removes the elements that `gone` is true of; gives their number.
template <class T, class Predicate>
constexpr std::size_t erase_if(vector<T>& v, Predicate gone) {
  T* out = v.begin();
  for (T& x : v)
    if (!gone(x)) {
      if (out != &x)
        *out = std::move(x);
      ++out;
    }
  const auto n = static_cast<std::size_t>(v.end() - out);
  v.erase(out, v.end());
  return n;
}

} // namespace espalier
