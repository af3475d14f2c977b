// SPDX-License-Identifier: BSL-1.0
// Modules without memory: under a `fake_construction` guard, factories and initialisers give fakes, so that a
// model of any size can be built, traced and its graph saved without allocating its parameters. Tensors that
// hold values the user wrote (`torch::tensor({...})`, `from_blob`) stay real.
#pragma once

#include <espalier/trace/fake_engine.hpp>
#include <espalier/trace/fake_factory.hpp>
#include <espalier/trace/fake_tensor.hpp>
#include <espalier/trace/interceptor.hpp>
#include <espalier/trace/op_info.hpp>
#include <espalier/trace/substitution.hpp>
#include <espalier/trace/tensor_literal.hpp>

#include <cstddef>
#include <utility>
#include <vector>

namespace espalier {

namespace detail {

template <class = when_used>
class construction_mode final : public intercept_mode {
public:
  void call(const c10::OperatorHandle& op, c10::DispatchKeySet keys, torch::jit::Stack& stack) override {
    op_info& info = ops_.find(op);
    const std::size_t n = info.args.size();
    bool any_fake = false, any_real = false;
    for (const c10::IValue& v : torch::jit::last(stack, n)) {
      any_fake = any_fake || any_tensor(v, is_fake);
      any_real = any_real || any_tensor(v, [](const at::Tensor& t) { return !is_fake(t); });
    }
    if (!any_fake && (any_real || inside_tensor_literal() || info.special == special_op::silent)) {
      c10::impl::ExcludeDispatchKeyGuard below(interceptor_key);
      op.redispatchBoxed(below_interceptor(keys), &stack);
      return;
    }
    if (info.special == special_op::item || info.special == special_op::equal)
      fail(error_kind::trace,
           "the value of a tensor is read (" + c10::toString(op.operator_name()) +
               "), but under fake_construction tensors have no values",
           "fake_construction", "compute the number from sizes, or build the module without the guard");

    const std::vector<c10::IValue> given(stack.end() - static_cast<std::ptrdiff_t>(n), stack.end());
    std::vector<c10::IValue> args = given;
    for (auto& v : args)
      substitute_tensors(v, [&](const at::Tensor& t) { return fake_like(t); });
    torch::jit::drop(stack, n);
    served_by by{};
    fake_results results = engine_.serve(op, info, args, keys, by, depth_);
    for (std::size_t k = 0; k != results.size(); ++k) {
      auto& r = results[k];
      const op_result& declared = info.results[k];
      if (declared.is_write && declared.alias_of >= 0) {
        const auto which = static_cast<std::size_t>(declared.alias_of);
        if (given[which].isTensor() && !is_fake(given[which].toTensor()))
          fail(error_kind::trace,
               c10::toString(op.operator_name()) + " writes a tensor without data into one that has data",
               "fake_construction", "make both under the guard, or both before it");
        if (auto* f = fake_of(given[which].toTensor());
            f && !r.metas.empty() && !(r.metas[0].sizes == f->meta().sizes)) {
          r.metas[0].requires_grad = f->meta().requires_grad;
          f->set_meta(std::move(r.metas[0]));
        }
        stack.push_back(given[which]);
      } else if (r.is_number) {
        stack.emplace_back(r.number.as_int());
      } else if (r.is_list) {
        c10::List<at::Tensor> items;
        for (auto& m : r.metas)
          items.push_back(fakes_.result(std::move(m)));
        stack.emplace_back(std::move(items));
      } else {
        stack.emplace_back(r.metas.empty() ? at::Tensor() : fakes_.result(std::move(r.metas[0])));
      }
    }
  }

private:
  at::Tensor fake_like(const at::Tensor& t) { return is_fake(t) ? t : fakes_.result(meta_of(t)); }

  op_info_front ops_;
  fake_engine engine_;
  fake_factory fakes_;
  int depth_ = 0;
};

} // namespace detail

/// While it lives, this thread's new tensors have no data: `es::fake_construction fake; Llama
/// model(config);`. Such a module can be traced and exported; it cannot be run, and its weights cannot be
/// saved.
class fake_construction {
public:
  template <class = when_used>
  fake_construction() : on_(mode_) {}

private:
  detail::construction_mode<> mode_;
  mode_guard on_;
};

} // namespace espalier
