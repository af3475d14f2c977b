// SPDX-License-Identifier: BSL-1.0
// Tensors without data. A fake has the device, dtype, sizes and strides of the tensor it stands for, the
// dispatch keys of its device, and the interceptor's key, so that no kernel ever meets it: every operator on
// it comes to us, on any thread. What it stands for in a graph is kept in the object, not in a table by
// address, so that shallow copies (`.data()`, factories of the C++ frontend, saved variables) stand for the
// same thing and addresses may be reused.
#pragma once

#include <espalier/bridge/types.hpp>
#include <espalier/meta/tensor_meta.hpp>
#include <espalier/support/config.hpp>
#include <espalier/support/error.hpp>
#include <espalier/support/id.hpp>
#include <espalier/trace/interceptor.hpp>

#include <ATen/core/Tensor.h>
#include <c10/core/Storage.h>
#include <c10/core/TensorImpl.h>
#include <c10/core/TensorOptions.h>

#include <cstdint>
#include <typeinfo>
#include <utility>

namespace espalier {

/// What a fake stands for.
struct fake_identity {
  std::uint64_t owner = 0;  ///< the trace it belongs to; 0 for one made under `fake_construction`
  value_id value{};         ///< the value of that trace's graph
  std::uint32_t memory = 0; ///< fakes with equal memory numbers share storage: views, detached copies
  /// Fakes with equal history numbers share their autograd history: a view and its base, but not a detached
  /// copy.
  std::uint32_t history = 0;
  /// The memory of the input whose strides its own follow from, so that asking for them takes the example's
  /// for granted; 0 for none.
  std::uint32_t layout_of = 0;
};

/// The TensorImpl of a fake. Sizes and strides are those of the base class, which are read without a virtual
/// call, except for the strides of a fake that has an input's layout: the mode is told who asks for them.
class ESPALIER_SHARED fake_tensor_impl final : public c10::TensorImpl {
public:
  template <class = when_used>
  fake_tensor_impl(tensor_meta m, fake_identity who)
      : TensorImpl(keys_of(m.dev), type_of(m.dtype), to_c10(m.dev)), identity_(who), meta_(std::move(m)) {
    apply_meta();
    watch_layout();
    set_storage_access_should_throw();
  }
  /// One with memory behind it, which the user may write by raw pointer: what `empty` gives (see
  /// docs/hazards.md).
  template <class = when_used>
  fake_tensor_impl(tensor_meta m, fake_identity who, c10::Storage storage)
      : TensorImpl(std::move(storage), keys_of(m.dev), type_of(m.dtype)), identity_(who),
        meta_(std::move(m)) {
    apply_meta();
    watch_layout();
  }

  const fake_identity& identity() const noexcept { return identity_; }
  template <class = when_used>
  void set_identity(fake_identity i) noexcept {
    identity_ = i;
    watch_layout();
  }
  /// True for a copy made without an operator (`.data()`, `variable_data()`): the same value, cut off from
  /// autograd.
  bool is_detached_copy() const noexcept { return detached_copy_; }
  void set_detached_copy(bool b) noexcept { detached_copy_ = b; }

  const tensor_meta& meta() const noexcept { return meta_; }
  /// Changes sizes and strides, as `resize_` or `t_` do. The dtype and the device stay.
  template <class = when_used>
  void set_meta(tensor_meta m) {
    meta_ = std::move(m);
    apply_meta();
  }
  void set_meta_requires_grad(bool b) noexcept { meta_.requires_grad = b; }

  /// Forgets the memory behind an `empty`: from now on, raw access throws.
  template <class = when_used>
  void drop_storage() {
    storage_ = c10::Storage();
    set_storage_access_should_throw();
  }

  c10::intrusive_ptr<TensorImpl> shallow_copy_and_detach(const c10::VariableVersion& version,
                                                         bool allow_change) const override {
    return copy(version, allow_change);
  }
  c10::intrusive_ptr<TensorImpl> shallow_copy_and_detach(c10::VariableVersion&& version,
                                                         bool allow_change) const override {
    return copy(version, allow_change);
  }
  void shallow_copy_from(const c10::intrusive_ptr<TensorImpl>& from) override {
    const auto* other = of(*from);
    if (!other)
      fail(error_kind::trace,
           "set_data gives a traced tensor the data of a tensor that is not traced, which no graph can say",
           "Tensor::set_data", "write with copy_ under torch::NoGradGuard, or build a new tensor");
    copy_tensor_metadata(other, this, version_counter(), allow_tensor_metadata_change());
    set_identity(other->identity_);
    meta_ = other->meta_;
    detached_copy_ = true;
  }
  const char* tensorimpl_type_name() const override { return "espalier::fake_tensor_impl"; }

  /// The fake behind an impl, or null. The key alone is no proof: `real.set_data(fake)` copies it.
  template <class = when_used>
  static fake_tensor_impl* of(c10::TensorImpl& t) noexcept {
    return t.key_set().has(interceptor_key) && typeid(t) == typeid(fake_tensor_impl)
               ? static_cast<fake_tensor_impl*>(&t)
               : nullptr;
  }

  template <class = when_used>
  static c10::DispatchKeySet keys_of(espalier::device d) {
    const c10::DispatchKey dense = c10::computeDispatchKey(c10::kFloat, c10::kStrided, to_c10(d));
    return c10::DispatchKeySet(dense) | c10::DispatchKeySet(interceptor_key);
  }

protected:
  // what `strides()`, `is_contiguous()` and their like ask of a fake that has an input's layout
  c10::IntArrayRef strides_custom() const override {
    tell_asked();
    return strides_default();
  }
  c10::SymIntArrayRef sym_strides_custom() const override {
    tell_asked();
    return sym_strides_default();
  }
  c10::SymBool sym_is_contiguous_custom(at::MemoryFormat f) const override {
    tell_asked();
    return sym_is_contiguous_default(f);
  }
  bool is_strides_like_custom(at::MemoryFormat f) const override {
    tell_asked();
    return is_strides_like_default(f);
  }
  c10::SymBool sym_is_non_overlapping_and_dense_custom() const override {
    tell_asked();
    return sym_is_non_overlapping_and_dense_default();
  }

private:
  template <class = when_used>
  void watch_layout() {
    set_custom_sizes_strides(identity_.layout_of ? SizesStridesPolicy::CustomStrides
                                                 : SizesStridesPolicy::Default);
  }
  template <class = when_used>
  void tell_asked() const {
    if (intercept_mode* mode = detail::mode_slot())
      mode->asked_layout(*this);
  }
  template <class = when_used>
  static caffe2::TypeMeta type_of(scalar_type t) {
    return c10::scalarTypeToTypeMeta(to_c10(t));
  }

  template <class = when_used>
  c10::intrusive_ptr<TensorImpl> copy(const c10::VariableVersion& version, bool allow_change) const {
    auto impl = storage_ ? c10::make_intrusive<fake_tensor_impl>(meta_, identity_, storage_)
                         : c10::make_intrusive<fake_tensor_impl>(meta_, identity_);
    impl->set_version_counter(version);
    impl->set_allow_tensor_metadata_change(allow_change);
    impl->detached_copy_ = true;
    return impl;
  }
  template <class = when_used>
  void apply_meta() {
    // symbolic sizes will need SizesStridesPolicy::CustomSizes
    const std::size_t n = meta_.sizes.size();
    set_allow_tensor_metadata_change(true);
    sizes_and_strides_.resize(n);
    for (std::size_t i = 0; i != n; ++i) {
      sizes_and_strides_.size_at_unchecked(i) = meta_.sizes[i].as_int();
      sizes_and_strides_.stride_at_unchecked(i) = meta_.strides[i].as_int();
    }
    storage_offset_ = meta_.storage_offset.as_int();
    refresh_numel();
    refresh_contiguous();
  }

  fake_identity identity_;
  bool detached_copy_ = false;
  tensor_meta meta_;
};

/// The fake behind a tensor; null for a real or an undefined one.
template <class = when_used>
fake_tensor_impl* fake_of(const at::Tensor& t) noexcept {
  return t.defined() ? fake_tensor_impl::of(*t.unsafeGetTensorImpl()) : nullptr;
}

/// Whether a tensor is a fake: it has no data.
inline bool is_fake(const at::Tensor& t) noexcept { return fake_of(t) != nullptr; }

namespace detail {

/// A fake without autograd data: what `fake_factory` starts from.
template <class = when_used>
at::Tensor make_fake(tensor_meta m, fake_identity who = {}) {
  return at::detail::make_tensor<fake_tensor_impl>(std::move(m), who);
}

} // namespace detail
} // namespace espalier
