// SPDX-License-Identifier: BSL-1.0
// What a traced tensor has for a gradient function. A trace records the forward call only, so a backward pass
// that runs inside it would run through nothing: this function says so instead. It also tells our tensors
// from the results of custom autograd functions, whose gradient function is another one.
#pragma once

#include <espalier/support/config.hpp>
#include <espalier/support/error.hpp>
#include <espalier/trace/place.hpp>

#include <c10/util/intrusive_ptr.h>
#include <torch/csrc/autograd/edge.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/variable.h>

#include <string>
#include <utility>
#include <vector>

namespace espalier::detail {

/// The gradient function of every traced tensor that tracks gradients.
class ESPALIER_SHARED untraced_backward final : public torch::autograd::Node {
public:
  torch::autograd::variable_list apply(torch::autograd::variable_list&&) override {
    fail(error_kind::trace, "a backward pass runs inside the traced call, which records the forward only",
         user_place(capture_stack()), // known on the CPU: other devices have threads of their own for it
         "move backward() or grad() out of the traced call; the exported program can be differentiated as a "
         "whole");
  }
  std::string name() const override { return "espalier::untraced_backward"; }
};

/// Gives fakes their gradient functions. Each leads on to the one made before it, and the first ones to the
/// leaves: autograd's engine visits a function only on a way to what it was asked for, and where it finds no
/// way `grad(..., allow_unused)` gives an undefined tensor. So whatever is asked for, it comes by.
class gradient_chain {
public:
  /// Somebody may ask for the gradient of this tensor, a fake or the real one that a fake stands for.
  template <class = when_used>
  void add_source(const at::Tensor& t) {
    if (t.requires_grad())
      sources_.push_back(torch::autograd::impl::gradient_edge(t));
  }
  /// Makes a fake track gradients as a computed tensor does (not as a leaf).
  template <class = when_used>
  void track(const at::Tensor& t) {
    auto node = c10::make_intrusive<untraced_backward>();
    for (auto& e : sources_)
      node->add_next_edge(std::move(e));
    sources_.clear();
    if (last_)
      node->add_next_edge(torch::autograd::Edge(std::move(last_), 0));
    const auto nr = node->add_input_metadata(t);
    last_ = node;
    torch::autograd::impl::set_gradient_edge(t, torch::autograd::Edge(std::move(node), nr));
  }

private:
  std::vector<torch::autograd::Edge> sources_; ///< that no function leads to yet
  c10::intrusive_ptr<torch::autograd::Node> last_;
};

/// Makes a fake forget its history, as `detach_` does.
template <class = when_used>
void untrack_gradient(const at::Tensor& t) {
  if (auto* meta = torch::autograd::impl::get_autograd_meta(t)) {
    meta->set_requires_grad(false, t.unsafeGetTensorImpl());
    meta->grad_fn_.reset();
    meta->output_nr_ = 0;
  }
}
/// The name of the gradient function of a custom autograd function's result; empty when it has none.
template <class = when_used>
std::string foreign_gradient_of(const at::Tensor& t) {
  const auto& f = t.grad_fn();
  if (!f || dynamic_cast<const untraced_backward*>(f.get()))
    return {};
  return f->name();
}

} // namespace espalier::detail
