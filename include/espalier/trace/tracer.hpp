// SPDX-License-Identifier: BSL-1.0
// The tracer: an intercept mode that records every operator a function calls into a graph, above autograd,
// and answers it with fakes whose shapes come from our rules. Pre-dispatch capture as
// `make_fx(pre_dispatch=True)` does it for `torch.export`, without Python and without data.
#pragma once

#include <espalier/bridge/ivalue.hpp>
#include <espalier/bridge/types.hpp>
#include <espalier/ir/hash.hpp>
#include <espalier/ir/storage.hpp>
#include <espalier/meta/rules.hpp>
#include <espalier/trace/fake_engine.hpp>
#include <espalier/trace/fake_tensor.hpp>
#include <espalier/trace/gradient_edge.hpp>
#include <espalier/trace/interceptor.hpp>
#include <espalier/trace/op_info.hpp>
#include <espalier/trace/place.hpp>
#include <espalier/trace/report.hpp>
#include <espalier/trace/state_keeper.hpp>
#include <espalier/trace/trace_result.hpp>

#include <ATen/autocast_mode.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>

#include <atomic>
#include <cstring>
#include <functional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

namespace espalier {

namespace detail {

class tracer final : public intercept_mode {
public:
  explicit tracer(const trace_options& options) : options_(options) {
    for (auto& [fqn, type] : options_.modules)
      module_at_.emplace(fqn, module_origins_.size()), module_origins_.push_back(origin_of_module(fqn));
    if (module_origins_.empty()) {
      module_at_.emplace("", 0);
      module_origins_.push_back(origin_of_module(""));
    }
  }

  /// Makes the placeholders and gives the fakes that the function is called with.
  std::vector<at::Tensor> bind(std::span<const traced_input> inputs) {
    std::vector<at::Tensor> fakes;
    for (auto& in : inputs) {
      const node_id n = g_.placeholder(in.kind, in.name);
      const value_id v = g_.result(n);
      targets_.push_back({n, in.target});
      if (in.kind == input_kind::user_input && !first_user_.valid())
        first_user_ = n;
      if (!in.real.defined()) {
        g_.set_meta(v, value_meta::of(value_kind::none));
        fakes.emplace_back();
        continue;
      }
      tensor_meta m = is_fake(in.real) ? fake_of(in.real)->meta() : meta_of(in.real);
      m.requires_grad = in.real.requires_grad();
      g_.set_meta(v, value_meta(m));
      at::Tensor fake = new_fake(m, v, true);
      // tied state: every name has its placeholder, uses go to the last one, as Python's non-strict export
      // does
      real_[in.real.unsafeGetTensorImpl()] = {in.real, fake, module_of_state(in.target), at::Tensor()};
      if (in.kind != input_kind::user_input && in.real.has_storage())
        state_by_storage_[in.real.storage().unsafeGetStorageImpl()].push_back(in.real.unsafeGetTensorImpl());
      fakes.push_back(std::move(fake));
    }
    return fakes;
  }

  /// Ends the graph with the values that the function returned.
  trace_result finish(const std::vector<c10::IValue>& outputs) {
    std::vector<argument> out;
    argument_pool pool;
    for (auto& v : outputs)
      out.push_back(to_argument(v, arg_kind::other, pool,
                                [&](const at::Tensor& t) { return argument(standin(t)->identity().value); }));
    g_.output(out);
    // an `empty` that raw writes filled became a constant: what is left of it has no use
    for (node_id n : emptied_)
      if (!g_.has_uses(g_.result(n)))
        g_.erase(n);
    trace_result r;
    std::unordered_map<std::uint32_t, std::string> by_node;
    for (auto& [n, target] : targets_)
      by_node[n.index] = target;
    for (node_id n = g_.first(); n.valid() && g_.kind(n) == node_kind::placeholder; n = g_.next(n))
      r.targets.push_back(by_node[n.index]);
    r.graph = std::move(g_);
    r.constants = std::move(constants_);
    for (auto& [key, calls] : counts_)
      report_.ops.push_back({op_id{key >> 3}, static_cast<served_by>(key & 7), calls});
    std::sort(report_.ops.begin(), report_.ops.end(),
              [](auto& a, auto& b) { return std::pair(a.op.index, a.by) < std::pair(b.op.index, b.by); });
    r.report = std::move(report_);
    return r;
  }

  void call(const c10::OperatorHandle& op, c10::DispatchKeySet keys, torch::jit::Stack& stack) override {
    op_info& info = ops_.find(op);
    const std::size_t n = info.args.size();
    if (info.special == special_op::silent) {
      c10::impl::ExcludeDispatchKeyGuard below(interceptor_key);
      op.redispatchBoxed(below_interceptor(keys), &stack);
      return;
    }
    refuse_transforms(keys);
    std::vector<c10::IValue> given(stack.end() - static_cast<std::ptrdiff_t>(n), stack.end());
    std::vector<c10::IValue> args = given;
    owner_ = 0;
    for (std::size_t i = 0; i != n; ++i)
      substitute(args[i], info.args[i].is_write);
    torch::jit::drop(stack, n);

    if (info.special == special_op::item || info.special == special_op::equal) {
      if (answer_from_values(op, info, args, stack))
        return;
    }
    if (!info.has_tensor_result && !info.results.empty() && !info.data_dependent && !info.mutates &&
        !rule_for(info.id)) {
      // a question about sizes or types (`can_cast`, `is_same_size`): answered, not recorded
      ++depth_;
      torch::jit::Stack inner(args);
      try {
        op.redispatchBoxed(below_interceptor(keys), &inner);
      } catch (...) {
        --depth_;
        throw;
      }
      --depth_;
      for (auto& v : inner)
        stack.push_back(std::move(v));
      return;
    }
    served_by by = served_by::shape_rule;
    const auto place = [&] { return user_place(capture_stack()); };
    fake_results results;
    try {
      results = fakes_.serve(op, info, args, keys, by, depth_);
    } catch (const error& e) {
      if (depth_)
        throw;
      throw e.place().find("line") == std::string::npos ? e.within(place()) : e;
    }
    if (depth_ == 0)
      ++counts_[(info.id.index << 3) | static_cast<std::uint32_t>(by)];

    // record
    node_id node{};
    std::size_t num_values = 0;
    const bool list = info.results.size() == 1 && info.results[0].is == op_result::form::tensor_list;
    for (auto& r : results)
      num_values += r.is_list ? r.metas.size() : 1;
    if (depth_ == 0) {
      graph_args_.clear();
      pool_.clear();
      for (std::size_t i = 0; i != n; ++i)
        graph_args_.push_back(to_argument(args[i], info.args[i].kind, pool_, [&](const at::Tensor& t) {
          return argument(fake_of(t)->identity().value);
        }));
      drop_defaults(info, args);
      node = g_.call(info.id, graph_args_, num_values, list);
      g_.set_origin(node, module_origins_[owner_]);
      if (options_.stack_traces) {
        std::string text;
        for (auto& f : user_frames(capture_stack(), true))
          text = "  " + to_string(f) + "\n" + text;
        g_.set_origin(node, "stack_trace", text);
      }
    }
    const bool tracks = info.differentiable && c10::GradMode::is_enabled() && any_requires_grad(args);
    std::size_t at = 0;
    for (std::size_t k = 0; k != results.size(); ++k) {
      auto& r = results[k];
      const op_result& declared = info.results[k];
      if (declared.is_write && declared.alias_of >= 0 &&
          given[static_cast<std::size_t>(declared.alias_of)].isTensor()) {
        // the argument itself, changed: later uses see the new value
        const auto which = static_cast<std::size_t>(declared.alias_of);
        fake_tensor_impl* f = fake_of(args[which].toTensor());
        tensor_meta m = r.metas.empty() ? f->meta() : r.metas[0];
        m.requires_grad = f->meta().requires_grad || (tracks && is_differentiable(m));
        if (!(m.sizes == f->meta().sizes && m.strides == f->meta().strides &&
              m.storage_offset == f->meta().storage_offset))
          f->set_meta(m);
        f->set_meta_requires_grad(m.requires_grad);
        if (node.valid()) {
          const value_id v = g_.result(node, at);
          g_.set_meta(v, value_meta(m));
          auto who = f->identity();
          who.value = v;
          f->set_identity(who);
        }
        ++at;
        stack.push_back(given[which]);
        continue;
      }
      if (r.is_number) {
        if (node.valid())
          g_.set_meta(g_.result(node, at), value_meta::of(value_kind::sym_int, r.number));
        ++at;
        stack.emplace_back(r.number.as_int());
        continue;
      }
      const auto make = [&](tensor_meta m) {
        m.requires_grad = tracks && is_differentiable(m);
        value_id v{};
        if (node.valid()) {
          v = g_.result(node, at);
          g_.set_meta(v, value_meta(m));
        }
        ++at;
        if (node.valid() && info.special == special_op::empty)
          return new_empty(m, v, node);
        const bool view =
            declared.alias_of >= 0 && args[static_cast<std::size_t>(declared.alias_of)].isTensor();
        return new_fake(m, v, false,
                        view ? fake_memory(args[static_cast<std::size_t>(declared.alias_of)].toTensor()) : 0);
      };
      if (r.is_list) {
        c10::List<at::Tensor> items;
        for (auto& m : r.metas)
          items.push_back(make(std::move(m)));
        stack.emplace_back(std::move(items));
      } else if (r.metas.empty()) {
        if (node.valid())
          g_.set_meta(g_.result(node, at), value_meta::of(value_kind::none));
        ++at;
        stack.emplace_back(at::Tensor());
      } else {
        stack.emplace_back(make(std::move(r.metas[0])));
        if (info.special == special_op::keeps_value)
          keep_value(op, args, stack.back().toTensor());
      }
    }
    if (depth_ == 0) {
      // a mutation through an argument that is not returned
      if (c10::GradMode::is_enabled() != grad_at_start_ && !grad_noted_) {
        grad_noted_ = true;
        report_.notes.push_back(
            {note_kind::gradient_mode,
             "gradients are switched on or off inside the traced call; the graph does not say so", place(),
             "detach() where gradients must stop, if the program will be trained"});
      }
      for (std::size_t i = 0; i != n; ++i) {
        if (given[i].isGenerator())
          report_.notes.push_back({note_kind::generator_dropped,
                                   "the random generator given to " + c10::toString(op.operator_name()) +
                                       " is not part of the program",
                                   place(), "seed the default generator before running the program"});
        if (info.args[i].is_write && args[i].isTensor())
          written_memory_.insert(fake_memory(args[i].toTensor()));
        if (info.args[i].is_write && args[i].isTensor())
          if (const auto c = constant_of_value_.find(fake_memory(args[i].toTensor()));
              c != constant_of_value_.end())
            report_.notes.push_back({note_kind::constant_mutated,
                                     "the program changes the lifted constant '" + c->second + "'", place(),
                                     "register the tensor as a buffer of the module"});
      }
    }
  }

private:
  /// What stands above us or would change what we record: vmap and grad transforms, autocast.
  void refuse_transforms(c10::DispatchKeySet keys) const {
    if (keys.has(c10::DispatchKey::FuncTorchDynamicLayerBackMode) ||
        c10::impl::tls_is_dispatch_key_included(c10::DispatchKey::FuncTorchDynamicLayerFrontMode))
      fail(error_kind::trace, "a functorch transform (vmap, grad) is active in the traced call",
           user_place(capture_stack()), "trace outside the transform");
    if (depth_ == 0 &&
        (at::autocast::is_autocast_enabled(at::kCPU) || at::autocast::is_autocast_enabled(at::kCUDA)))
      fail(error_kind::trace, "autocast is on in the traced call, and its casts are not recorded",
           user_place(capture_stack()),
           "switch autocast off for the export, and cast with to(dtype) where a lower precision is meant");
  }

  struct real_entry {
    at::Tensor keep; // so that its address is not reused
    at::Tensor fake;
    std::size_t module = 0;
    at::Tensor constant_value; // defined for lifted constants
  };

  /// `leaf`: an input, which gathers gradients; else a computed tensor. `memory`: that of what it is a view
  /// of.
  at::Tensor new_fake(tensor_meta m, value_id v, bool leaf = false, std::uint32_t memory = 0) {
    const bool grad = m.requires_grad;
    at::Tensor t = make_fake(std::move(m), {serial_, v, memory ? memory : ++memory_});
    if (grad && leaf)
      t.set_requires_grad(true);
    else if (grad)
      track_gradient(t);
    return t;
  }
  /// `empty` gets memory with a known pattern, so that writes by raw pointer can be told when it is first
  /// used.
  at::Tensor new_empty(tensor_meta m, value_id v, node_id n) {
    const auto numel = m.numel().as_int();
    const auto bytes = static_cast<std::size_t>(numel) * element_size(m.dtype);
    if (m.dev.type != 0 || bytes == 0 || bytes > raw_write_limit)
      return new_fake(std::move(m), v);
    at::Tensor memory;
    {
      below_interceptor_guard below;
      memory = at::empty({static_cast<std::int64_t>(bytes)}, at::kByte);
    }
    std::memset(memory.data_ptr(), pattern, bytes);
    at::Tensor t = at::detail::make_tensor<fake_tensor_impl>(
        std::move(m), fake_identity{serial_, v, ++memory_}, memory.storage());
    pending_[t.unsafeGetTensorImpl()] = {n, bytes};
    return t;
  }
  static constexpr unsigned char pattern = 0xa5;
  static constexpr std::size_t raw_write_limit = std::size_t{64} << 20;

  static bool is_differentiable(const tensor_meta& m) { return is_floating(m.dtype) || is_complex(m.dtype); }
  static bool any_requires_grad(const std::vector<c10::IValue>& args) {
    const auto one = [](const c10::IValue& v) {
      return v.isTensor() && v.toTensor().defined() && v.toTensor().requires_grad();
    };
    for (auto& v : args) {
      if (one(v))
        return true;
      if (v.isTensorList() || v.isList())
        for (const c10::IValue& e : v.toListRef())
          if (one(e))
            return true;
    }
    return false;
  }
  static std::uint32_t fake_memory(const at::Tensor& t) {
    return fake_of(t) ? fake_of(t)->identity().memory : 0;
  }

  /// The fake that stands for a tensor: itself, the one of a known real tensor, or a new constant's.
  fake_tensor_impl* standin(const at::Tensor& t) { return fake_of(replacement(t, false)); }

  at::Tensor replacement(const at::Tensor& t, bool written) {
    if (fake_tensor_impl* f = fake_of(t)) {
      if (f->has_storage())
        if (const auto p = pending_.find(t.unsafeGetTensorImpl()); p != pending_.end())
          return settle(t, f, p->second);
      if (f->identity().owner != serial_) {
        if (const auto input = real_.find(t.unsafeGetTensorImpl()); input != real_.end()) {
          owner_ = std::max(owner_, input->second.module);
          return input->second.fake;
        }
        refuse_foreign(f->identity().owner != 0);
      }
      if (depth_ == 0 && f->identity().value.valid())
        return with_autograd_seen(t, f);
      return t;
    }
    (void)written;
    if (t.key_set().has(interceptor_key))
      refuse_set_data();
    auto known = real_.find(t.unsafeGetTensorImpl());
    if (known == real_.end() && t.has_storage())
      if (const auto s = state_by_storage_.find(t.storage().unsafeGetStorageImpl());
          s != state_by_storage_.end())
        for (auto* impl : s->second) { // `.data()` of a parameter: another TensorImpl, the same memory
          auto& e = real_.at(impl);
          if (e.keep.sizes() == t.sizes() && e.keep.strides() == t.strides() &&
              e.keep.storage_offset() == t.storage_offset())
            known = real_.find(impl);
        }
    if (known != real_.end()) {
      owner_ = std::max(owner_, known->second.module);
      at::Tensor& fake = known->second.fake;
      // `.data()` of state that is trained: the same memory, cut off from autograd
      if (depth_ == 0 && fake.requires_grad() && !t.requires_grad())
        return detached(fake);
      return fake;
    }
    return lift(t);
  }
  void substitute(c10::IValue& v, bool written) {
    if (v.isTensor()) {
      if (v.toTensor().defined())
        v = replacement(v.toTensor(), written);
    } else if (v.isTensorList()) {
      c10::List<at::Tensor> items;
      for (const at::Tensor& t : v.toTensorList().vec())
        items.push_back(replacement(t, written));
      v = std::move(items);
    } else if (v.isList()) {
      bool any = false;
      for (const c10::IValue& e : v.toListRef())
        any = any || e.isTensor();
      if (!any)
        return;
      c10::List<std::optional<at::Tensor>> items;
      for (const c10::IValue& e : v.toListRef()) {
        if (e.isTensor() && e.toTensor().defined())
          items.push_back(replacement(e.toTensor(), written));
        else
          items.push_back(std::nullopt);
      }
      v = std::move(items);
    }
  }
  at::Tensor lift(const at::Tensor& t) {
    if (depth_)
      return new_fake(meta_of(t), {}); // a composite's own helper, which is not recorded
    if (t.is_inference())
      fail(error_kind::trace, "a tensor made under InferenceMode is used in the traced call",
           user_place(capture_stack()), "make it outside InferenceMode");
    at::Tensor value;
    {
      below_interceptor_guard below;
      c10::InferenceMode no(false);
      at::NoGradGuard no_grad;
      value = t.detach().clone();
    }
    return add_constant(t, std::move(value), note_kind::lifted_constant,
                        "a tensor that is neither an input nor registered became a constant");
  }
  at::Tensor add_constant(const at::Tensor& key, at::Tensor value, note_kind why, const char* cause) {
    const std::string target = "lifted_tensor_" + std::to_string(constants_.size());
    const node_id n = g_.placeholder(input_kind::constant_tensor, "c_" + target);
    if (first_user_.valid())
      g_.move_before(n, first_user_);
    targets_.push_back({n, target});
    tensor_meta m = meta_of(value);
    m.requires_grad = false;
    const value_id v = g_.result(n);
    g_.set_meta(v, value_meta(m));
    at::Tensor fake = new_fake(m, v);
    constant_of_value_[fake_of(fake)->identity().memory] = target;
    real_[key.unsafeGetTensorImpl()] = {key, fake, 0, value};
    constant_by_value_[v.index] = value;
    constants_.push_back({target, std::move(value)});
    report_.notes.push_back({why, std::string(cause) + " ('" + target + "')", user_place(capture_stack()),
                             "pass it as an input, or register it, if it should not be one"});
    return fake;
  }
  struct pending_empty {
    node_id node;
    std::size_t bytes = 0;
  };
  /// The first use of an `empty`: if its memory was written by raw pointer, its value is a constant.
  at::Tensor settle(const at::Tensor& t, fake_tensor_impl* f, pending_empty p) {
    pending_.erase(t.unsafeGetTensorImpl());
    const auto* bytes = static_cast<const unsigned char*>(f->storage().data());
    bool untouched = true;
    for (std::size_t i = 0; i != p.bytes && untouched; ++i)
      untouched = bytes[i] == pattern;
    if (untouched) {
      f->drop_storage();
      return t;
    }
    at::Tensor value;
    {
      below_interceptor_guard below;
      value = at::empty(to_int_vector(f->meta().sizes), at::TensorOptions().dtype(to_c10(f->meta().dtype)));
      std::memcpy(value.data_ptr(), bytes, p.bytes);
    }
    f->drop_storage();
    emptied_.push_back(p.node);
    at::Tensor fake =
        add_constant(t, std::move(value), note_kind::raw_write,
                     "a tensor that was filled by raw pointer (torch::tensor, accessor) became a constant");
    // the user's handle is this constant from now on
    f->set_identity(fake_of(fake)->identity());
    return t;
  }
  /// `aten.detach` of a fake, recorded.
  at::Tensor detached(const at::Tensor& t) {
    static const op_id detach = *find_op("aten::detach");
    tensor_meta m = fake_of(t)->meta();
    m.requires_grad = false;
    const argument a[] = {argument(fake_of(t)->identity().value)};
    const node_id n = g_.call(detach, a, 1);
    g_.set_origin(n, module_origins_[owner_]);
    const value_id v = g_.result(n);
    g_.set_meta(v, value_meta(m));
    return new_fake(std::move(m), v, false, fake_of(t)->identity().memory);
  }
  /// What autograd did to a fake without an operator: a detached copy, a custom function, requires_grad_().
  at::Tensor with_autograd_seen(const at::Tensor& t, fake_tensor_impl* f) {
    if (f->is_detached_copy()) {
      f->set_detached_copy(false);
      const auto& source = g_.meta(f->identity().value);
      if (source.kind == value_kind::tensor && source.tensor.requires_grad && !t.requires_grad()) {
        const at::Tensor cut = detached(t);
        f->set_identity(fake_of(cut)->identity());
        f->set_meta_requires_grad(false);
        return t;
      }
    }
    if (!t.requires_grad())
      return t;
    if (const auto custom = foreign_gradient_of(t); !custom.empty() && custom_seen_.insert(custom).second)
      report_.notes.push_back(
          {note_kind::custom_backward,
           "the custom backward of '" + custom + "' is not part of the program; its forward is",
           user_place(capture_stack()),
           "register an operator with its own derivative, if the program will be trained"});
    if (!f->meta().requires_grad) {
      f->set_meta_requires_grad(true);
      if (t.is_leaf())
        report_.notes.push_back(
            {note_kind::requires_grad_set,
             "requires_grad_() on a tensor computed inside the traced call is not recorded",
             user_place(capture_stack()), "ask for gradients of the program's inputs or parameters"});
    }
    return t;
  }
  [[noreturn]] ESPALIER_COLD static void refuse_foreign(bool other_trace) {
    if (other_trace)
      fail(error_kind::trace, "a tensor of another trace is used in the traced call",
           user_place(capture_stack()), "pass it to the inner trace as an input");
    fail(error_kind::trace, "a tensor without data that belongs to no input is used in the traced call",
         user_place(capture_stack()), "register it as a parameter or a buffer, or pass it as an input");
  }
  [[noreturn]] ESPALIER_COLD static void refuse_set_data() {
    fail(error_kind::trace, "set_data gave a real tensor the data of a traced one, which no graph can say",
         user_place(capture_stack()), "write with copy_ under torch::NoGradGuard, or build a new tensor");
  }

  bool answer_from_values(const c10::OperatorHandle& op, const op_info& info,
                          const std::vector<c10::IValue>& args, torch::jit::Stack& stack) {
    std::vector<c10::IValue> real;
    bool all_known = true;
    for (auto& v : args) {
      if (!v.isTensor() || !v.toTensor().defined()) {
        real.push_back(v);
        continue;
      }
      const auto c = constant_by_value_.find(fake_of(v.toTensor())->identity().value.index);
      all_known =
          all_known && c != constant_by_value_.end() && !written_memory_.count(fake_memory(v.toTensor()));
      if (all_known)
        real.emplace_back(c->second);
    }
    if (all_known) {
      c10::impl::ExcludeDispatchKeyGuard below(interceptor_key);
      torch::jit::Stack s(real);
      op.callBoxed(s);
      stack.push_back(s.back());
      return true;
    }
    if (info.special == special_op::equal) {
      const auto *a = fake_of(args[0].toTensor()), *b = fake_of(args[1].toTensor());
      const bool same = a == b || (a->identity().value.valid() && a->identity().value == b->identity().value);
      if (!same && a->meta().sizes == b->meta().sizes)
        report_.notes.push_back(
            {note_kind::equality_assumed, "equal() of two different tensors was taken as false",
             user_place(capture_stack()), "do not let the model's structure depend on values"});
      stack.emplace_back(same);
      return true;
    }
    fail(error_kind::trace,
         "the value of a tensor is read (" + c10::toString(op.operator_name()) +
             "), but a trace has no values",
         user_place(capture_stack()),
         "keep the computation in tensors (torch::where instead of if), or pass the number as an input of "
         "the export");
  }

  /// A copy or a cast of a constant whose value is known is one, so that item() of it is.
  void keep_value(const c10::OperatorHandle& op, const std::vector<c10::IValue>& args,
                  const at::Tensor& result) {
    if (!args[0].isTensor() || !args[0].toTensor().defined())
      return;
    const auto c = constant_by_value_.find(fake_of(args[0].toTensor())->identity().value.index);
    if (c == constant_by_value_.end() || written_memory_.count(fake_memory(args[0].toTensor())))
      return;
    torch::jit::Stack real(args);
    real[0] = c->second;
    for (std::size_t i = 1; i != real.size(); ++i)
      if (real[i].isTensor())
        return;
    {
      below_interceptor_guard below;
      at::NoGradGuard no_grad;
      op.callBoxed(real);
    }
    constant_by_value_[fake_of(result)->identity().value.index] = real.back().toTensor();
  }

  void drop_defaults(const op_info& info, const std::vector<c10::IValue>& args) {
    bool trailing = true;
    for (std::size_t i = args.size(); i-- > 0;) {
      const auto& a = info.args[i];
      const bool is_default = a.has_default && same_constant(args[i], a.dflt);
      if (a.kwarg_only ? is_default : trailing && is_default)
        graph_args_[i] = argument{};
      else if (!a.kwarg_only)
        trailing = false;
    }
  }

  std::size_t module_of_state(const std::string& fqn) const {
    for (std::size_t dot = fqn.rfind('.'); dot != std::string::npos;
         dot = dot ? fqn.rfind('.', dot - 1) : std::string::npos)
      if (const auto at = module_at_.find(fqn.substr(0, dot)); at != module_at_.end())
        return at->second;
    return 0;
  }
  origin_id origin_of_module(const std::string& fqn) {
    std::string text;
    const auto frame = [&](const std::string& path) {
      std::string type = "torch::nn::Module";
      for (auto& [name, t] : options_.modules)
        if (name == path)
          type = t;
      if (!text.empty())
        text += ';';
      text += "L__self__" + path + "," + path + "," + type;
    };
    frame("");
    for (std::size_t dot = fqn.find('.'); !fqn.empty(); dot = fqn.find('.', dot + 1)) {
      frame(fqn.substr(0, dot));
      if (dot == std::string::npos)
        break;
    }
    origin o;
    o.set(g_.intern("nn_module_stack"), g_.intern(text));
    return g_.intern_origin(o);
  }

  trace_options options_;
  graph_storage g_;
  op_info_front ops_;
  fake_engine fakes_;
  std::unordered_map<c10::TensorImpl*, real_entry> real_;
  std::unordered_map<c10::StorageImpl*, std::vector<c10::TensorImpl*>> state_by_storage_;
  std::unordered_map<c10::TensorImpl*, pending_empty> pending_;
  std::unordered_map<std::uint32_t, at::Tensor> constant_by_value_; // by value index
  std::unordered_map<std::uint32_t, std::string> constant_of_value_;
  std::unordered_set<std::uint32_t> written_memory_;
  std::unordered_set<std::string> custom_seen_;
  std::unordered_map<std::string, std::size_t> module_at_;
  std::vector<origin_id> module_origins_;
  std::vector<std::pair<node_id, std::string>> targets_;
  std::vector<lifted_constant> constants_;
  std::vector<node_id> emptied_;
  std::vector<argument> graph_args_;
  argument_pool pool_;
  std::unordered_map<std::uint32_t, std::size_t> counts_;
  trace_report report_;
  node_id first_user_{};
  std::size_t owner_ = 0;
  std::uint32_t memory_ = 0;
  int depth_ = 0;
  std::uint64_t serial_ =
      next_serial(); // of this trace: nested ones must not take each other's fakes for theirs
  static std::uint64_t next_serial() {
    static std::atomic<std::uint64_t> n{0};
    return ++n;
  }
  bool grad_at_start_ = c10::GradMode::is_enabled(), grad_noted_ = false;
};

} // namespace detail

/// The function to trace: it gets a fake for each input (undefined for literals) and returns its flat
/// outputs.
using traced_function = std::function<std::vector<c10::IValue>(const std::vector<at::Tensor>&)>;

/// Records what `f` calls. Throws `error` (trace) when it does something that no graph can say truly, with
/// the user's place and the cure; whatever `f` throws comes through, and no trace mode is left behind.
inline trace_result trace(std::span<const traced_input> inputs, const traced_function& f,
                          const trace_options& options = {}) {
  const auto once = [&] {
    detail::tracer t(options);
    std::vector<c10::IValue> outputs;
    const auto fakes = t.bind(inputs);
    const detail::state_keeper state(inputs);
    try {
      mode_guard on(t);
      outputs = f(fakes);
    } catch (const c10::Error& e) {
      if (std::string_view(e.what_without_backtrace()).find("storage") == std::string_view::npos)
        throw;
      fail(error_kind::trace,
           "the memory of a traced tensor is read or written by raw pointer (data_ptr, accessor), but a "
           "trace has no data",
           "the traced call",
           "compute with operators, or make the tensor before the call and pass it as an input");
    }
    state.check();
    return t.finish(outputs);
  };
  trace_result r = once();
  if (options.strict) {
    const trace_result again = once();
    if (!structurally_equal(r.graph, again.graph))
      fail(error_kind::trace,
           "two traces of the same call differ: the model depends on something besides its inputs and its "
           "state",
           "trace", "make std::rand, clocks and counters inputs, or remove them");
  }
  return r;
}

} // namespace espalier
