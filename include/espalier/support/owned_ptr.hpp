// SPDX-License-Identifier: BSL-1.0
// The owner of one object, in the manner of support/vector.hpp: `std::unique_ptr` keeps its deleter in a
// tuple, and costs a compiler many times as much for each type (`./dev bench --only compile`: `compile one
// more owned pointer`).
#pragma once

namespace espalier {

/// Owns an object made by `new`, or none. `T` may be incomplete until the owner is destroyed.
template <class T>
class owned_ptr {
public:
  owned_ptr() noexcept = default;
  explicit owned_ptr(T* p) noexcept : p_(p) {}
  owned_ptr(owned_ptr&& o) noexcept : p_(o.p_) { o.p_ = nullptr; }
  owned_ptr& operator=(owned_ptr&& o) noexcept {
    T* const p = o.p_;
    o.p_ = nullptr;
    delete p_;
    p_ = p;
    return *this;
  }
  ~owned_ptr() { delete p_; }

  T* get() const noexcept { return p_; }
  T& operator*() const noexcept { return *p_; }
  T* operator->() const noexcept { return p_; }
  explicit operator bool() const noexcept { return p_ != nullptr; }

private:
  T* p_ = nullptr;
};

} // namespace espalier
