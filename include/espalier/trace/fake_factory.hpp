// SPDX-License-Identifier: BSL-1.0
// The one place where a fake is made of a meta. What autograd must see of it goes with it: a leaf gathers
// gradients, a computed tensor has a gradient function, a view shares memory and history with its base, so
// that `requires_grad()`, `is_leaf()` and `grad_fn()` answer in the traced call as they do in eager mode.
#pragma once

#include <espalier/trace/fake_tensor.hpp>
#include <espalier/trace/gradient_edge.hpp>

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <utility>

namespace espalier::detail {

class fake_factory {
public:
  /// `owner`: the trace whose values the fakes are; 0 for none.
  explicit fake_factory(std::uint64_t owner = 0) noexcept : owner_(owner) {}

  std::uint64_t owner() const noexcept { return owner_; }

  /// A user's input, of which each call of the program passes another: it gathers gradients if
  /// `m.requires_grad`.
  template <class = when_used>
  at::Tensor input(tensor_meta m, value_id v) {
    fake_identity who = fresh(v);
    who.layout_of = who.memory;
    at::Tensor t = leaf(std::move(m), who);
    gradients_.add_source(t);
    return t;
  }
  /// A leaf of autograd that stands for what its identity says. Nobody but the tracer sees it.
  template <class = when_used>
  at::Tensor leaf(tensor_meta m, fake_identity who) {
    const bool grad = m.requires_grad;
    at::Tensor t = make_fake(std::move(m), who);
    if (grad)
      t.set_requires_grad(true);
    return t;
  }
  /// A computed tensor, with a gradient function if `m.requires_grad`. `base`: the fake that it is a view of.
  /// `cut`: it is a view that autograd does not know as one (`detach`). `layout_of`: see
  /// `fake_identity`.
  template <class = when_used>
  at::Tensor result(tensor_meta m, value_id v = {}, const fake_tensor_impl* base = nullptr, bool cut = false,
                    std::uint32_t layout_of = 0) {
    fake_identity who = fresh(v);
    who.layout_of = base ? base->identity().layout_of : layout_of;
    if (base) {
      who.memory = base->identity().memory;
      if (!cut)
        who.history = base->identity().history;
    }
    const bool grad = m.requires_grad;
    at::Tensor t = make_fake(std::move(m), who);
    if (grad)
      gradients_.track(t);
    return t;
  }
  /// The gradient functions of this factory's fakes.
  gradient_chain& gradients() noexcept { return gradients_; }
  /// An identity with memory and history of its own.
  template <class = when_used>
  fake_identity fresh(value_id v) noexcept {
    ++count_;
    return {owner_, v, count_, count_, 0};
  }

private:
  std::uint64_t owner_;
  std::uint32_t count_ = 0;
  gradient_chain gradients_;
};

} // namespace espalier::detail
