// SPDX-License-Identifier: BSL-1.0
// The optional of the library's own types, in the manner of support/vector.hpp: `std::optional` is five
// layers of bases for each type, and costs a compiler many times as much (`./dev bench --only compile`:
// `compile one more optional`).
#pragma once

#include <new>
#include <optional>
#include <utility>

namespace espalier {

/// A value or nothing, with the interface of `std::optional`, from which and to which it converts. Trivially
/// copyable where its value is; only then can it be assigned to in constant evaluation. Moving values must
/// not throw.
template <class T>
class optional {
public:
  using value_type = T;

  constexpr optional() noexcept : nothing_() {}
  constexpr optional(std::nullopt_t) noexcept : nothing_() {}
  constexpr optional(const T& x) : value_(x), has_(true) {}
  constexpr optional(T&& x) : value_(static_cast<T&&>(x)), has_(true) {}
  /// From what becomes a `T` by itself.
  template <class U>
  requires requires(U&& x, void (&take)(T)) { take(static_cast<U&&>(x)); }
  constexpr optional(U&& x) : value_(static_cast<U&&>(x)), has_(true) {}
  template <class O> // a template, so that the other optional is not looked into where it is not given
  requires(__is_same(O, std::optional<T>)) constexpr optional(const O& o) : nothing_() {
    if (o)
      construct(*o);
  }
  constexpr optional(const optional&) requires(__is_trivially_copyable(T)) = default;
  constexpr optional(const optional& o) : nothing_() {
    if (o.has_)
      construct(o.value_);
  }
  constexpr optional(optional&&) requires(__is_trivially_copyable(T)) = default;
  constexpr optional(optional&& o) noexcept : nothing_() {
    if (o.has_)
      construct(static_cast<T&&>(o.value_));
  }
  constexpr optional& operator=(const optional&) requires(__is_trivially_copyable(T)) = default;
  constexpr optional& operator=(const optional& o) { return *this = optional(o); }
  constexpr optional& operator=(optional&&) requires(__is_trivially_copyable(T)) = default;
  constexpr optional& operator=(optional&& o) noexcept {
    if (this != &o) {
      reset();
      if (o.has_)
        construct(static_cast<T&&>(o.value_));
    }
    return *this;
  }
  constexpr ~optional() requires(__is_trivially_copyable(T)) = default;
  constexpr ~optional() { reset(); }

  constexpr bool has_value() const noexcept { return has_; }
  constexpr explicit operator bool() const noexcept { return has_; }
  constexpr T& operator*() & noexcept { return value_; }
  constexpr const T& operator*() const& noexcept { return value_; }
  constexpr T&& operator*() && noexcept { return static_cast<T&&>(value_); }
  constexpr T* operator->() noexcept { return &value_; }
  constexpr const T* operator->() const noexcept { return &value_; }
  /// Throws `std::bad_optional_access`.
  constexpr const T& value() const& { return has_ ? value_ : throw std::bad_optional_access(); }
  constexpr T& value() & { return has_ ? value_ : throw std::bad_optional_access(); }
  constexpr T value_or(T other) const& { return has_ ? value_ : static_cast<T&&>(other); }
  constexpr T value_or(T other) && { return static_cast<T&&>(has_ ? value_ : other); }
  template <class O>
  requires(__is_same(O, std::optional<T>)) constexpr operator O() const { return has_ ? O(value_) : O(); }

  /// Leaves nothing.
  constexpr void reset() noexcept {
    if constexpr (__is_trivially_copyable(T))
      *this = optional();
    else if (has_) {
      has_ = false;
      value_.~T();
    }
  }
  /// Makes a value of `a`, which must be no part of the one that is there.
  template <class... A>
  constexpr T& emplace(A&&... a) {
    reset();
    construct(static_cast<A&&>(a)...);
    return value_;
  }

  friend constexpr bool operator==(const optional& a, const optional& b) {
    return a.has_ == b.has_ && (!a.has_ || a.value_ == b.value_);
  }
  /// With what a `T` compares with.
  template <class U>
  requires(!__is_same(U, optional) && !__is_same(U, std::optional<T>) &&
           !__is_same(U, std::nullopt_t)) friend constexpr bool
  operator==(const optional& a, const U& b) {
    return a.has_ && a.value_ == b;
  }
  friend constexpr bool operator==(const optional& a, std::nullopt_t) noexcept { return !a.has_; }

private:
  /// Where there is none.
  template <class... A>
  constexpr void construct(A&&... a) {
    if constexpr (__is_trivially_copyable(T))
      *this = optional(T(static_cast<A&&>(a)...));
    else {
      ::new (static_cast<void*>(&value_)) T(static_cast<A&&>(a)...);
      has_ = true;
    }
  }

  // As many zeros as a value has bytes: g++ cannot always see that nobody reads what is not there, and warns.
  struct nothing {
    unsigned char zeros[sizeof(T)] = {};
  };
  union {
    nothing nothing_;
    T value_;
  };
  bool has_ = false;
};

/// An optional of `T`, this one or the standard library's.
template <class O, class T>
concept optional_of = __is_same(O, optional<T>) || __is_same(O, std::optional<T>);

} // namespace espalier
