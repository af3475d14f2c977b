// SPDX-License-Identifier: BSL-1.0
// The hook under every operator call: a boxed fallback on a dispatch key that stands above autograd and
// autocast, so that composites arrive whole. It is registered once for a process, however many translation
// units and shared objects hold this header, and does nothing until a thread installs a mode.
//
// Why the copies agree: the first one to come registers, beside the fallback, an operator that tells where
// the threads' modes are kept. A copy that finds the key taken asks that operator; if nobody answers,
// somebody else holds the key.
#pragma once

#include <espalier/support/config.hpp>
#include <espalier/support/error.hpp>
#include <espalier/trace/place.hpp>

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/stack.h>
#include <c10/core/DispatchKey.h>
#include <c10/core/DispatchKeySet.h>
#include <c10/core/TensorImpl.h>
#include <c10/core/impl/LocalDispatchKeySet.h>
#include <torch/library.h>

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace espalier {

/// The dispatch key that the interceptor holds. Out-of-core by its own description, and free in stock builds.
inline constexpr c10::DispatchKey interceptor_key = c10::DispatchKey::DeferredInit;

/// What a thread does with the operators it calls. Modes nest: an inner one hides the outer ones.
class ESPALIER_SHARED intercept_mode {
public:
  virtual ~intercept_mode() = default;
  /// Serves a call: consumes the arguments on the stack and leaves the results. `keys` are those of the call.
  virtual void call(const c10::OperatorHandle& op, c10::DispatchKeySet keys, torch::jit::Stack& stack) = 0;
  /// The user names a part of the program (`es::scope`): a name, or a `const torch::nn::Module*`.
  virtual void enter_scope(std::string_view) {}
  virtual void enter_scope(const void*) {}
  virtual void leave_scope() {}
  /// Somebody asks for the strides of a fake that has an input's layout, or whether they are contiguous.
  virtual void asked_layout(const c10::TensorImpl&) {}
};

namespace detail {

/// The keys of a call below the interceptor.
inline c10::DispatchKeySet below_interceptor(c10::DispatchKeySet keys) noexcept {
  return keys & c10::DispatchKeySet(c10::DispatchKeySet::FULL_AFTER, interceptor_key);
}

/// The mode of this thread, of this copy of the header.
ESPALIER_SHARED inline intercept_mode*& own_mode_slot() noexcept {
  thread_local intercept_mode* mode = nullptr;
  return mode;
}

/// What copies of the header tell each other. Its address travels as an integer.
struct interceptor_abi {
  std::int64_t version;
  intercept_mode*& (*slot)() noexcept;
};
inline constexpr std::int64_t interceptor_abi_version = 2;
inline constexpr const char* interceptor_operator = "espalier::_interceptor";

/// A traced tensor met where no mode is: it outlived its trace, or it crossed into another thread.
[[noreturn]] ESPALIER_COLD inline void fail_untraced_use(const c10::OperatorHandle& op) {
  fail(error_kind::trace,
       "operator '" + c10::toString(op.operator_name()) +
           "' was called on a tensor of a trace by code that is not traced: on another thread, or after the "
           "trace",
       user_place(capture_stack()),
       "do the work on the thread that traces (operators on plain std::threads are not recorded), and keep "
       "no tensor of the traced call beyond it");
}

inline void intercept(const c10::OperatorHandle& op, c10::DispatchKeySet keys, torch::jit::Stack* stack);

/// Where the holder of the key registered it, as the dispatcher tells: `FILE:LINE`, or nothing.
inline std::string holder_of_key() {
  const auto op = c10::Dispatcher::singleton().findSchema({"aten::add", "Tensor"});
  if (!op)
    return {};
  const std::string table = op->dumpComputedTable();
  const std::string row = std::string(c10::toString(interceptor_key)) + ": registered at ";
  const auto from = table.find(row);
  if (from == table.npos)
    return {};
  const auto text = from + row.size();
  return table.substr(text, table.find(' ', text) - text);
}

/// Holds the registrations for the life of the process.
class ESPALIER_SHARED interceptor_registration {
public:
  static interceptor_registration& instance() {
    static interceptor_registration r;
    return r;
  }
  /// Empty when the hook is in place; else why not. Tries again as long as it is not: the other holder may
  /// have gone.
  std::string problem() {
    if (in_place_.load(std::memory_order_acquire))
      return {};
    std::lock_guard lock(mutex_);
    if (in_place_.load(std::memory_order_relaxed))
      return {};
    std::string why = put_in_place();
    in_place_.store(why.empty(), std::memory_order_release);
    return why;
  }
  intercept_mode*& slot() const noexcept { return abi_.slot(); }

private:
  interceptor_registration() = default;
  std::string put_in_place() {
    auto& dispatcher = c10::Dispatcher::singleton();
    if (!dispatcher.hasBackendFallbackForDispatchKey(interceptor_key)) {
      fragment_.emplace(torch::Library::FRAGMENT, "espalier", std::nullopt, __FILE__, __LINE__);
      fragment_->def("_interceptor() -> int", [] {
        static constexpr interceptor_abi mine{interceptor_abi_version, &own_mode_slot};
        return static_cast<std::int64_t>(reinterpret_cast<std::intptr_t>(&mine));
      });
      fallback_.emplace(torch::Library::IMPL, "_", interceptor_key, __FILE__, __LINE__);
      fallback_->fallback(torch::CppFunction::makeFromBoxedFunction<&intercept>());
      return {};
    }
    const auto op = dispatcher.findSchema({interceptor_operator, ""});
    if (!op) {
      const std::string holder = holder_of_key();
      return std::string("dispatch key ") + c10::toString(interceptor_key) +
             " already has a fallback of another library (" +
             (holder.empty() ? "torchdistX uses it" : "registered at " + holder) + ")";
    }
    const auto* theirs = reinterpret_cast<const interceptor_abi*>(
        static_cast<std::intptr_t>(op->typed<std::int64_t()>().call()));
    if (theirs->version != interceptor_abi_version)
      return "another version of espalier in this process has registered its interceptor";
    abi_ = *theirs;
    return {};
  }
  interceptor_abi abi_{interceptor_abi_version, &own_mode_slot};
  std::optional<torch::Library> fragment_, fallback_;
  std::atomic<bool> in_place_{false};
  std::mutex mutex_;
};

/// The mode of this thread. Valid once the interceptor is in place.
inline intercept_mode*& mode_slot() noexcept { return interceptor_registration::instance().slot(); }

inline void intercept(const c10::OperatorHandle& op, c10::DispatchKeySet keys, torch::jit::Stack* stack) {
  if (intercept_mode* mode = own_mode_slot()) {
    mode->call(op, keys, *stack);
    return;
  }
  // No mode: the key came with a fake tensor, or with thread-local state that somebody carried over from a
  // tracing thread.
  const auto fake = [](const c10::IValue& v) {
    return v.isTensor() && v.toTensor().defined() && v.toTensor().key_set().has(interceptor_key);
  };
  for (const auto& v : torch::jit::last(*stack, op.schema().arguments().size())) {
    if (fake(v))
      fail_untraced_use(op);
    if (v.isList())
      for (const c10::IValue& e : v.toListRef())
        if (fake(e))
          fail_untraced_use(op);
  }
  c10::impl::ExcludeDispatchKeyGuard below(interceptor_key);
  op.redispatchBoxed(below_interceptor(keys), stack);
}

} // namespace detail

/// Puts the interceptor in place unless it is. Throws `error` (trace) when another library holds the dispatch
/// key. The first call walks all operators (about 2 ms) and must not run while another thread dispatches for
/// the first time.
inline void ensure_interceptor() {
  if (const std::string problem = detail::interceptor_registration::instance().problem(); !problem.empty())
    fail(error_kind::trace, "tracing is not available: " + problem, "dispatch key registration",
         "load espalier without that library, or with one version of espalier only");
}

/// Installs a mode on this thread for a scope. Exceptions leave nothing behind.
class mode_guard {
public:
  explicit mode_guard(intercept_mode& m)
      : include_((ensure_interceptor(), interceptor_key)), before_(detail::mode_slot()) {
    detail::mode_slot() = &m;
  }
  mode_guard(const mode_guard&) = delete;
  mode_guard& operator=(const mode_guard&) = delete;
  ~mode_guard() { detail::mode_slot() = before_; }

private:
  c10::impl::IncludeDispatchKeyGuard include_;
  intercept_mode* before_;
};

/// Runs operators for real in a scope of a traced thread: nothing is recorded, and real tensors stay real.
class below_interceptor_guard {
public:
  below_interceptor_guard() : exclude_(interceptor_key) {}

private:
  c10::impl::ExcludeDispatchKeyGuard exclude_;
};

} // namespace espalier
