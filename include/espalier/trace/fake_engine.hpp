// SPDX-License-Identifier: BSL-1.0
// What an operator gives when there is no data: the metas of its results. Our shape rules come first; an
// operator without one is served by its composite kernel (whose inner calls come back here), by LibTorch's
// meta kernel, or by the real kernel on zero-filled tensors. Which one it was is counted, and shown in the
// report.
#pragma once

#include <espalier/bridge/ivalue.hpp>
#include <espalier/bridge/types.hpp>
#include <espalier/meta/rules.hpp>
#include <espalier/support/span.hpp>
#include <espalier/support/vector.hpp>
#include <espalier/trace/fake_tensor.hpp>
#include <espalier/trace/interceptor.hpp>
#include <espalier/trace/op_info.hpp>
#include <espalier/trace/report.hpp>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty_strided.h>
#include <ATen/ops/zeros.h>

#include <boost/container/small_vector.hpp>

#include <deque>
#include <string>
#include <utility>

namespace espalier::detail {

/// One declared result: a tensor's meta (none for an undefined tensor), the metas of a list, or a number.
struct fake_result {
  boost::container::small_vector<tensor_meta, 1> metas;
  bool is_list = false;
  bool is_number = false;
  sym_int number{};
};
using fake_results = boost::container::small_vector<fake_result, 1>;

class fake_engine {
public:
  /// The results of `op` on fakes. `depth` is raised while a composite kernel runs, so that the mode records
  /// nothing.
  template <class = when_used>
  fake_results serve(const c10::OperatorHandle& op, const op_info& info, at::ArrayRef<c10::IValue> args,
                     c10::DispatchKeySet keys, served_by& by, int& depth) {
    if (const rule_fn rule = rule_for(info.id)) {
      by = served_by::shape_rule;
      return by_rule(rule, info, args);
    }
    if (info.data_dependent)
      fail(error_kind::trace,
           "the result of " + c10::toString(op.operator_name()) +
               " has a shape, or is a number, that depends on data",
           "", "use an operator whose result has a fixed shape (torch::where, masked_fill, topk)");
    if (info.composite_implicit) {
      by = served_by::composite;
      return by_composite(op, info, args, keys, depth);
    }
    if (info.meta_kernel || info.composite_explicit) {
      by = served_by::meta_kernel;
      try {
        return by_kernel(op, info, args, true);
      } catch (const c10::NotImplementedError&) {
        // an inner call has no meta kernel
      }
    }
    by = served_by::zero_tensors;
    const auto refuse = [&](const std::string& why) {
      fail(error_kind::unsupported,
           c10::toString(op.operator_name()) + " has neither a shape rule nor a meta kernel, and " + why, "",
           "register a shape rule for it: espalier::register_rule<Op>()");
    };
    try {
      return by_kernel(op, info, args, false);
    } catch (const c10::NotImplementedError&) {
      refuse("no kernel for the CPU");
    } catch (const c10::Error& e) {
      const std::string what = e.what_without_backtrace();
      refuse("its kernel does not run on zeros: " + what.substr(0, what.find('\n')));
    }
    return {};
  }

private:
  // ---- our rules
  template <class = when_used>
  fake_results by_rule(rule_fn rule, const op_info& info, at::ArrayRef<c10::IValue> args) {
    meta_args_.clear();
    lists_.clear();
    for (std::size_t i = 0; i != args.size(); ++i)
      meta_args_.push_back(to_meta_arg(args[i], info.args[i].kind));
    rule_result r = rule(rule_args(info.id, schema_of(info.id), meta_args_));
    fake_results out;
    if (r.list) {
      fake_result f;
      f.is_list = true;
      for (auto& o : r.outputs)
        f.metas.push_back(std::move(o.tensor));
      out.push_back(std::move(f));
      return out;
    }
    for (auto& o : r.outputs) {
      fake_result f;
      if (o.kind == rule_output::kind_type::tensor)
        f.metas.push_back(std::move(o.tensor));
      else if (o.kind == rule_output::kind_type::integer) {
        f.is_number = true;
        f.number = o.number;
      }
      out.push_back(std::move(f));
    }
    return out;
  }
  template <class = when_used>
  meta_arg to_meta_arg(const c10::IValue& v, arg_kind kind) {
    if (v.isTensor()) {
      if (!v.toTensor().defined())
        return meta_arg(std::nullopt);
      return meta_arg(fake_of(v.toTensor())->meta());
    }
    if (v.isNone())
      return meta_arg(std::nullopt);
    if (v.isInt())
      return kind == arg_kind::scalar_type ? meta_arg(static_cast<scalar_type>(v.toInt()))
                                           : meta_arg(sym_int(v.toInt()));
    if (v.isBool())
      return meta_arg(v.toBool());
    if (v.isDouble())
      return meta_arg(v.toDouble());
    if (v.isSymInt())
      return meta_arg(from_c10(v.toSymInt()));
    if (v.isDevice())
      return meta_arg(from_c10(v.toDevice()));
    if (v.isString())
      return meta_arg(std::string_view(v.toStringRef()));
    if (v.isComplexDouble()) {
      meta_arg a;
      a.form = meta_form::complex;
      return a;
    }
    if (v.isList()) {
      const auto items = v.toListRef();
      auto& list = lists_.emplace_back();
      list.reserve(items.size());
      for (auto& e : items)
        list.push_back(to_meta_arg(e, kind));
      return meta_arg(span<const meta_arg>(list));
    }
    meta_arg other;
    other.form = v.isGenerator() ? meta_form::none : meta_form::other;
    return other;
  }

  // ---- LibTorch's kernels
  template <class = when_used>
  static void read(const c10::IValue& v, bool list, fake_results& out, device dev) {
    fake_result f;
    const auto meta = [&](const at::Tensor& t) {
      tensor_meta m = is_fake(t) ? fake_of(t)->meta() : meta_of(t);
      m.dev = dev;
      m.requires_grad = false;
      return m;
    };
    if (list) {
      f.is_list = true;
      for (const at::Tensor& t : v.toTensorList().vec())
        f.metas.push_back(meta(t));
    } else if (v.isTensor()) {
      if (v.toTensor().defined())
        f.metas.push_back(meta(v.toTensor()));
    } else if (v.isInt()) {
      f.is_number = true;
      f.number = v.toInt();
    } else {
      fail(error_kind::unsupported, "an operator gives a " + v.tagKind() + ", which a graph has no value for",
           "", "keep the computation in tensors");
    }
    out.push_back(std::move(f));
  }
  /// Results share the device of the arguments.
  template <class = when_used>
  static device device_of(const op_info& info, at::ArrayRef<c10::IValue> args) {
    if (info.device_arg >= 0 && args[static_cast<std::size_t>(info.device_arg)].isDevice())
      return from_c10(args[static_cast<std::size_t>(info.device_arg)].toDevice());
    for (auto& v : args) {
      if (v.isTensor() && v.toTensor().defined())
        return fake_of(v.toTensor())->meta().dev;
      if (v.isTensorList() && v.toTensorList().size())
        return fake_of(at::Tensor(v.toTensorList().get(0)))->meta().dev;
    }
    return cpu_device;
  }
  template <class = when_used>
  static fake_results by_composite(const c10::OperatorHandle& op, const op_info& info,
                                   at::ArrayRef<c10::IValue> args, c10::DispatchKeySet keys, int& depth) {
    struct inner {
      int& d;
      explicit inner(int& x) : d(x) { ++d; }
      ~inner() { --d; }
    } scope(depth);
    at::NoGradGuard no_grad;
    torch::jit::Stack stack = args.vec();
    op.redispatchBoxed(below_interceptor(keys),
                       &stack); // the key stays included: inner calls come back to the mode
    fake_results out;
    for (std::size_t i = 0; i != info.results.size(); ++i)
      read(stack[i], info.results[i].is == op_result::form::tensor_list, out, device_of(info, args));
    return out;
  }
  template <class = when_used>
  static at::Tensor empty_of(const tensor_meta& m, bool meta) {
    const auto options = at::TensorOptions()
                             .dtype(to_c10(m.dtype))
                             .device(meta ? at::Device(at::kMeta) : at::Device(at::kCPU));
    at::Tensor t = at::empty_strided(to_int_vector(m.sizes), to_int_vector(m.strides), options);
    if (!meta)
      t.zero_();
    return t;
  }
  template <class = when_used>
  static fake_results by_kernel(const c10::OperatorHandle& op, const op_info& info,
                                at::ArrayRef<c10::IValue> args, bool meta) {
    c10::impl::ExcludeDispatchKeyGuard below(interceptor_key);
    at::NoGradGuard no_grad;
    torch::jit::Stack stack;
    for (std::size_t i = 0; i != args.size(); ++i) {
      const auto& v = args[i];
      const auto stand_in = [&](const at::Tensor& t) {
        const auto& m = fake_of(t)->meta();
        if (!meta && m.numel().as_int() > zero_limit)
          fail(error_kind::unsupported,
               c10::toString(op.operator_name()) + " has neither a shape rule nor a meta kernel, and its "
                                                   "argument is too large to run it on zeros",
               "", "register a shape rule for it: espalier::register_rule<Op>()");
        return empty_of(m, meta);
      };
      if (v.isTensor() && v.toTensor().defined()) {
        stack.emplace_back(stand_in(v.toTensor()));
      } else if (v.isTensorList()) {
        c10::List<at::Tensor> items;
        for (const at::Tensor& t : v.toTensorList().vec())
          items.push_back(stand_in(t));
        stack.emplace_back(std::move(items));
      } else if (info.args[i].kind == arg_kind::tensor && v.isList()) {
        c10::List<std::optional<at::Tensor>> items;
        for (const c10::IValue& e : v.toListRef()) {
          if (e.isTensor() && e.toTensor().defined())
            items.push_back(stand_in(e.toTensor()));
          else
            items.push_back(std::nullopt);
        }
        stack.emplace_back(std::move(items));
      } else if (static_cast<std::int16_t>(i) == info.device_arg) {
        stack.emplace_back(meta ? at::Device(at::kMeta) : at::Device(at::kCPU));
      } else {
        stack.push_back(v);
      }
    }
    op.callBoxed(stack);
    fake_results out;
    for (std::size_t i = 0; i != info.results.size(); ++i)
      read(stack[i], info.results[i].is == op_result::form::tensor_list, out, device_of(info, args));
    return out;
  }
  static constexpr std::int64_t zero_limit = std::int64_t{1} << 26;

  vector<meta_arg> meta_args_;
  std::deque<vector<meta_arg>> lists_;
};

} // namespace espalier::detail
