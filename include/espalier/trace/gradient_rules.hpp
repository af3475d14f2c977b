// SPDX-License-Identifier: BSL-1.0
// Autograd's bookkeeping for fakes, whose operators never reach autograd: which results track gradients, what
// an in-place operator does to the history of its argument and its views, and which writes eager mode refuses
// (`torch/csrc/autograd/VariableTypeUtils.h`: check_inplace).
#pragma once

#include <espalier/support/config.hpp>
#include <espalier/support/hash_map.hpp>
#include <espalier/support/vector.hpp>
#include <espalier/trace/fake_tensor.hpp>
#include <espalier/trace/gradient_edge.hpp>
#include <espalier/trace/op_info.hpp>
#include <espalier/trace/place.hpp>
#include <espalier/trace/substitution.hpp>

#include <ATen/core/ivalue.h>
#include <c10/core/GradMode.h>

#include <cstddef>
#include <cstdint>

namespace espalier::detail {

class gradient_rules {
public:
  explicit gradient_rules(gradient_chain& chain) noexcept : chain_(chain) {}

  /// Whether floating-point results of the call track gradients.
  template <class = when_used>
  bool tracks(const op_info& info, at::ArrayRef<c10::IValue> args) {
    bool any = false;
    for (const auto& v : args)
      any_tensor(v, [&](const at::Tensor& t) {
        any = any || requires_grad(t);
        if (const auto* f = fake_of(t); f && t.requires_grad() && t.is_leaf())
          add_leaf(f->identity().history);
        return false; // look at each
      });
    return any && info.differentiable && c10::GradMode::is_enabled();
  }
  /// Throws `error` (trace) if eager mode would refuse the call's writes. `tracking`: what `tracks` said.
  template <class = when_used>
  void check_writes(const op_info& info, at::ArrayRef<c10::IValue> args, bool tracking) const {
    if (!info.mutates || !tracking)
      return;
    for (std::size_t i = 0; i != args.size(); ++i)
      if (info.args[i].is_write)
        any_tensor(args[i], [&](const at::Tensor& t) {
          if (info.args[i].kwarg_only)
            refuse("an out= argument takes a result that tracks gradients, which autograd does not support",
                   "use the operator's form without out, or switch gradients off with torch::NoGradGuard");
          if (t.requires_grad() && t.is_leaf())
            refuse("a leaf tensor that requires gradients (a parameter, an input) is changed in place",
                   leaf_cure);
          if (const auto* f = fake_of(t); f && t.requires_grad() && is_leaf_history(f->identity().history))
            refuse("a view of a leaf tensor that requires gradients is changed in place", leaf_cure);
          return false;
        });
  }
  /// `t` was changed in place by a call that tracks gradients: it does from now on, and so do its views and
  /// what it is a view of.
  template <class = when_used>
  void changed_in_place(const at::Tensor& t) {
    const auto* f = fake_of(t);
    if (!f)
      return;
    if (t.requires_grad())
      return chain_.track(t); // by what was written too, from now on
    tracked_.insert(f->identity().history);
    show(t);
  }
  /// Whether operators on `t` track gradients.
  template <class = when_used>
  bool requires_grad(const at::Tensor& t) const {
    return t.requires_grad() || tracks_by_history(t);
  }
  /// Makes `t` itself say what its history says.
  template <class = when_used>
  void show(const at::Tensor& t) const {
    if (!t.requires_grad() && tracks_by_history(t)) {
      chain_.track(t);
      fake_of(t)->set_meta_requires_grad(true);
    }
  }
  template <class = when_used>
  static bool is_differentiable(const tensor_meta& m) {
    return is_floating(m.dtype) || is_complex(m.dtype);
  }

private:
  static constexpr const char* leaf_cure =
      "eager mode refuses it too: write under torch::NoGradGuard, or use the operator that is not in place";
  template <class = when_used>
  void add_leaf(std::uint32_t history) {
    if (history >= leaves_.size())
      leaves_.resize(std::size_t{history} + 1);
    leaves_[history] = true;
  }
  bool is_leaf_history(std::uint32_t history) const { return history < leaves_.size() && leaves_[history]; }
  template <class = when_used>
  bool tracks_by_history(const at::Tensor& t) const {
    if (tracked_.empty())
      return false;
    const auto* f = fake_of(t);
    return f && is_differentiable(f->meta()) && tracked_.contains(f->identity().history);
  }
  template <class = when_used>
  [[noreturn]] ESPALIER_COLD static void refuse(const char* cause, const char* cure) {
    fail(error_kind::trace, cause, user_place(capture_stack()), cure);
  }
  gradient_chain& chain_;
  vector<bool> leaves_;             // by history, whether it is a leaf's that requires gradients
  hash_set<std::uint32_t> tracked_; // histories that an in-place operator made track gradients
};

} // namespace espalier::detail
