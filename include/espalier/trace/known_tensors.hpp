// SPDX-License-Identifier: BSL-1.0
// The real tensors that a trace knows: inputs, parameters, buffers, lifted constants. They are known by the
// identity of their TensorImpl, and state also by its memory, for `.data()` gives the same memory another
// TensorImpl. `torch::nn` modules keep their real tensors; the fakes are found here when an operator meets
// one.
#pragma once

#include <espalier/trace/fake_tensor.hpp>

#include <ATen/core/Tensor.h>
#include <c10/core/Storage.h>
#include <c10/core/TensorImpl.h>

#include <unordered_map>
#include <utility>
#include <vector>

namespace espalier::detail {

class known_tensors {
public:
  /// `by_memory`: other tensors of the same memory, sizes and strides are known too.
  void add(const at::Tensor& real, at::Tensor fake, bool by_memory) {
    auto* impl = real.unsafeGetTensorImpl();
    if (by_memory && real.has_storage() && !is_fake(real))
      by_storage_[real.storage().unsafeGetStorageImpl()].push_back(impl);
    // tied state: every name has its placeholder, uses go to the last one, as Python's non-strict export does
    entries_.insert_or_assign(impl, entry{real, std::move(fake)});
  }
  /// The fake of this very tensor; null when it is unknown.
  const at::Tensor* find_same(const at::Tensor& t) const {
    const auto e = entries_.find(t.unsafeGetTensorImpl());
    return e == entries_.end() ? nullptr : &e->second.fake;
  }
  /// The fake of this tensor, or of known state that it has the memory and the shape of.
  const at::Tensor* find(const at::Tensor& t) const {
    if (const auto* same = find_same(t))
      return same;
    if (by_storage_.empty() || !t.has_storage())
      return nullptr;
    const auto s = by_storage_.find(t.storage().unsafeGetStorageImpl());
    if (s == by_storage_.end())
      return nullptr;
    const at::Tensor* found = nullptr;
    for (auto* impl : s->second) {
      const auto& e = entries_.at(impl);
      if (e.keep.sizes() == t.sizes() && e.keep.strides() == t.strides() &&
          e.keep.storage_offset() == t.storage_offset())
        found = &e.fake;
    }
    return found;
  }

private:
  struct entry {
    at::Tensor keep; // so that its address is not reused
    at::Tensor fake;
  };
  std::unordered_map<c10::TensorImpl*, entry> entries_;
  std::unordered_map<c10::StorageImpl*, std::vector<c10::TensorImpl*>> by_storage_;
};

} // namespace espalier::detail
