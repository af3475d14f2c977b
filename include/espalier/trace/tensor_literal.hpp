// SPDX-License-Identifier: BSL-1.0
// `torch::tensor(...)` in a traced call. LibTorch builds it with an `empty` that it fills element by element
// or by raw pointer; in a graph that would be a heap of little operators, or memory that nobody wrote. Its
// tensor is real instead, and becomes a constant when it is first used, as Python's tracer makes one.
#pragma once

#include <espalier/support/hash_map.hpp>
#include <espalier/trace/fake_tensor.hpp>
#include <espalier/trace/op_info.hpp>
#include <espalier/trace/substitution.hpp>

#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>
#include <c10/core/DispatchKey.h>
#include <c10/core/Storage.h>
#include <c10/core/impl/LocalDispatchKeySet.h>
#include <c10/util/ArrayRef.h>

namespace espalier::detail {

/// `torch::tensor` makes its tensor below autograd, but not below in-place tracking: nobody else does.
template <class = when_used>
bool inside_tensor_literal() {
  return c10::impl::tls_is_dispatch_key_excluded(c10::DispatchKey::AutogradOther) &&
         !c10::impl::tls_is_dispatch_key_excluded(c10::DispatchKey::ADInplaceOrView);
}

/// The literals of one trace that have not been used yet.
class tensor_literals {
public:
  /// Whether a call is a step of building one, and should run for real.
  template <class = when_used>
  bool builds(const op_info& info, c10::ArrayRef<c10::IValue> args) const {
    if (!info.builds_literal)
      return false;
    if (!info.has_tensor_arg)
      return inside_tensor_literal();
    bool any = false, all = true;
    for (const auto& v : args)
      any_tensor(v, [&](const at::Tensor& t) {
        any = true;
        all = all && has(t);
        return false;
      });
    return any && all;
  }
  template <class = when_used>
  void add(const c10::IValue& result) {
    any_tensor(result, [&](const at::Tensor& t) {
      if (!is_fake(t) && t.has_storage())
        storages_.emplace(t.storage().unsafeGetStorageImpl(), t.storage());
      return false;
    });
  }
  /// Whether `t` is one; from now on it is not, for it has become a constant.
  template <class = when_used>
  bool take(const at::Tensor& t) {
    return has(t) && storages_.erase(t.storage().unsafeGetStorageImpl());
  }

private:
  template <class = when_used>
  bool has(const at::Tensor& t) const {
    return !storages_.empty() && !is_fake(t) && t.has_storage() &&
           storages_.contains(t.storage().unsafeGetStorageImpl());
  }
  hash_map<c10::StorageImpl*, c10::Storage> storages_; // kept, so that addresses are not reused
};

} // namespace espalier::detail
