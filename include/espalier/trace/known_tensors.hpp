// SPDX-License-Identifier: BSL-1.0
// The real tensors that a trace knows: inputs, parameters, buffers, lifted constants. They are known by the
// identity of their TensorImpl, and state also by its memory, for `.data()` gives the same memory another
// TensorImpl. `torch::nn` modules keep their real tensors; what stands for them is found here when an
// operator meets one. Almost all are found by identity: memory is looked at when a tensor is met that is not
// known by that. A model has many parameters, and most are read once: no fake of one is kept unless it must
// be.
#pragma once

#include <espalier/support/vector.hpp>
#include <espalier/trace/fake_tensor.hpp>

#include <ATen/core/Tensor.h>
#include <c10/core/Storage.h>
#include <c10/core/TensorImpl.h>

#include <boost/unordered/unordered_flat_map.hpp>

#include <cstddef>
#include <cstdint>
#include <utility>

namespace espalier::detail {

class known_tensors {
public:
  struct entry {
    c10::TensorImpl* real = nullptr;
    at::Tensor keep; ///< the real tensor, of constants: inputs outlive the trace
    at::Tensor fake; ///< undefined while any fake with its identity will do
    fake_identity who;
    bool by_memory = false; ///< other tensors of the same memory, sizes and strides are known too
  };

  /// Adds a user's input.
  template <class = when_used>
  void add_input(const at::Tensor& real, at::Tensor fake) {
    const fake_identity who = fake_of(fake)->identity();
    add({real.unsafeGetTensorImpl(), {}, std::move(fake), who, false});
  }
  /// Adds a parameter or a buffer. Of tied state every name has its placeholder; uses go to the last one, as
  /// Python's non-strict export does.
  template <class = when_used>
  void add_state(const at::Tensor& real, fake_identity who) {
    add({real.unsafeGetTensorImpl(), {}, {}, who, !is_fake(real)});
  }
  /// Adds a constant.
  template <class = when_used>
  void add_constant(const at::Tensor& real, at::Tensor fake) {
    const fake_identity who = fake_of(fake)->identity();
    add({real.unsafeGetTensorImpl(), real, std::move(fake), who, false});
  }
  /// What is known of this very tensor; null when nothing is.
  template <class = when_used>
  entry* find_same(const at::Tensor& t) {
    const auto e = by_impl_.find(t.unsafeGetTensorImpl());
    return e == by_impl_.end() ? nullptr : &entries_[e->second];
  }
  /// What is known of this tensor, or of state that it has the memory and the shape of.
  template <class = when_used>
  entry* find(const at::Tensor& t) {
    if (auto* same = find_same(t))
      return same;
    if (!t.has_storage())
      return nullptr;
    for (; in_memory_ != entries_.size(); ++in_memory_)
      if (const auto& e = entries_[in_memory_]; e.by_memory && e.real->has_storage())
        by_storage_[e.real->storage().unsafeGetStorageImpl()].push_back(in_memory_);
    const auto s = by_storage_.find(t.storage().unsafeGetStorageImpl());
    if (s == by_storage_.end())
      return nullptr;
    entry* found = nullptr;
    for (const std::size_t i : s->second) {
      auto& e = entries_[i];
      if (e.real->sizes() == t.sizes() && e.real->strides() == t.strides() &&
          e.real->storage_offset() == t.storage_offset())
        found = &e;
    }
    return found;
  }

private:
  template <class = when_used>
  void add(entry e) {
    const auto [at, fresh] = by_impl_.try_emplace(e.real, static_cast<std::uint32_t>(entries_.size()));
    if (fresh) {
      entries_.push_back(std::move(e));
    } else {
      entries_[at->second].fake = std::move(e.fake);
      entries_[at->second].who = e.who;
    }
  }
  vector<entry> entries_;
  boost::unordered_flat_map<c10::TensorImpl*, std::uint32_t> by_impl_;
  boost::unordered_flat_map<c10::StorageImpl*, vector<std::size_t>> by_storage_;
  std::size_t in_memory_ = 0; // entries that `by_storage_` knows of
};

} // namespace espalier::detail
