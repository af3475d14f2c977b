// SPDX-License-Identifier: BSL-1.0
// Names a part of a forward function. `torch::nn` has no hooks, so the module that a node belongs to is
// inferred (see docs/tracing.md); where inference cannot know, or where there is no module, this says it:
//
//     at::Tensor forward(at::Tensor x) {
//       es::scope here(*this);        // this module, exactly
//       x = x * 2;
//       es::scope part("attention");  // and a named part of it
//       ...
//
// Outside a trace it does nothing, and costs the reading of a thread-local flag.
#pragma once

#include <espalier/trace/interceptor.hpp>

#include <c10/core/impl/LocalDispatchKeySet.h>

#include <string_view>

namespace torch::nn {
class Module;
}

namespace espalier {

class scope {
public:
  /// A scope `name` in the present one; "a.b" are two. If there is a module of that path, it is the module.
  template <class = when_used>
  explicit scope(std::string_view name) {
    if (enter())
      mode_->enter_scope(name);
  }
  /// The scope of a registered module of the traced model, wherever it stands. A module that is not of the
  /// model changes nothing.
  template <class = when_used>
  explicit scope(const torch::nn::Module& m) {
    if (enter())
      mode_->enter_scope(static_cast<const void*>(&m));
  }
  scope(const scope&) = delete;
  scope& operator=(const scope&) = delete;
  ~scope() {
    if (mode_ && active() == mode_)
      mode_->leave_scope();
  }

private:
  template <class = when_used>
  static intercept_mode* active() noexcept {
    return c10::impl::tls_is_dispatch_key_included(interceptor_key) ? detail::mode_slot() : nullptr;
  }
  template <class = when_used>
  bool enter() noexcept {
    return (mode_ = active()) != nullptr;
  }
  intercept_mode* mode_ = nullptr;
};

} // namespace espalier
