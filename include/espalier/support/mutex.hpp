// SPDX-License-Identifier: BSL-1.0
// A mutex for tables of the process that are locked for a look-up. <mutex> brings <chrono> for its timed
// kinds: a twentieth of a second of compile time in every file that knows an operator's name.
#pragma once

#include <atomic>

namespace espalier::detail {

/// Excludes threads from each other; a thread that has to wait sleeps.
class mutex {
public:
  void lock() noexcept {
    while (locked_.test_and_set(std::memory_order_acquire))
      locked_.wait(true, std::memory_order_relaxed);
  }
  void unlock() noexcept {
    locked_.clear(std::memory_order_release);
    locked_.notify_one();
  }

private:
  std::atomic_flag locked_;
};

/// Holds a mutex for a scope.
class [[nodiscard]] lock_guard {
public:
  explicit lock_guard(mutex& m) noexcept : mutex_(m) { m.lock(); }
  lock_guard(const lock_guard&) = delete;
  lock_guard& operator=(const lock_guard&) = delete;
  ~lock_guard() { mutex_.unlock(); }

private:
  mutex& mutex_;
};

} // namespace espalier::detail
