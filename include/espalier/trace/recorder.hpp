// SPDX-License-Identifier: BSL-1.0
// The mode behind `trace`: it records every operator that the traced function calls into a graph, and answers
// it with fakes. What it knows of constants, gradients, scopes and known tensors has headers of its own; here
// is the way of one call: arguments, recording, results.
#pragma once

#include <espalier/bridge/ivalue.hpp>
#include <espalier/bridge/types.hpp>
#include <espalier/ir/storage.hpp>
#include <espalier/meta/rules.hpp>
#include <espalier/support/hash_map.hpp>
#include <espalier/support/span.hpp>
#include <espalier/support/vector.hpp>
#include <espalier/trace/constants.hpp>
#include <espalier/trace/fake_engine.hpp>
#include <espalier/trace/fake_factory.hpp>
#include <espalier/trace/fake_tensor.hpp>
#include <espalier/trace/gradient_edge.hpp>
#include <espalier/trace/gradient_regions.hpp>
#include <espalier/trace/gradient_rules.hpp>
#include <espalier/trace/interceptor.hpp>
#include <espalier/trace/known_tensors.hpp>
#include <espalier/trace/memory_witness.hpp>
#include <espalier/trace/module_tree.hpp>
#include <espalier/trace/op_info.hpp>
#include <espalier/trace/place.hpp>
#include <espalier/trace/report.hpp>
#include <espalier/trace/scope_inference.hpp>
#include <espalier/trace/substitution.hpp>
#include <espalier/trace/tensor_literal.hpp>
#include <espalier/trace/trace_result.hpp>

#include <ATen/autocast_mode.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace espalier {

namespace detail {

template <class = when_used>
class recorder final : public intercept_mode {
public:
  /// `memory`, when given, is told of each call.
  explicit recorder(const trace_options& options, memory_witness* memory = nullptr)
      : stack_traces_(options.stack_traces), keep_stacks_(options.stack_traces || options.strict),
        memory_(memory), modules_(options.modules), fakes_(next_serial()), constants_(g_, fakes_, report_) {}

  /// Makes the placeholders and gives what the function is called with: fakes of the user's inputs, and the
  /// state itself. The inputs must live until the trace is finished.
  std::vector<at::Tensor> bind(span<const traced_input> inputs) {
    std::vector<at::Tensor> given;
    given.reserve(inputs.size());
    targets_.reserve(inputs.size());
    node_id first_user{};
    for (auto& in : inputs) {
      const node_id n = g_.placeholder(in.kind, in.name);
      const value_id v = g_.result(n);
      targets_.emplace_back(n, &in.target);
      if (in.kind == input_kind::user_input && !first_user.valid())
        first_user = n;
      if (!in.real.defined()) {
        g_.set_meta(v, value_meta::of(value_kind::none));
        given.emplace_back();
        continue;
      }
      tensor_meta m = is_fake(in.real) ? fake_of(in.real)->meta() : meta_of(in.real);
      m.requires_grad = in.real.requires_grad();
      g_.set_meta(v, value_meta(m));
      fakes_.gradients().add_source(in.real);
      if (in.kind == input_kind::user_input) {
        at::Tensor fake = fakes_.input(std::move(m), v);
        layouts_not_asked_.emplace(fake_of(fake)->identity().memory, n);
        known_.add_input(in.real, fake);
        given.push_back(std::move(fake));
      } else {
        const fake_identity who = fakes_.fresh(v);
        state_owner_.resize(std::size_t{who.memory} + 1, no_scope);
        state_owner_[who.memory] = modules_.owner_of_state(in.target);
        known_.add_state(in.real, who);
        given.push_back(in.real);
      }
    }
    constants_.set_first_user_input(first_user);
    return given;
  }

  /// Ends the graph with the values that the function returned.
  trace_result finish(const std::vector<c10::IValue>& outputs) {
    vector<argument> out;
    argument_pool pool;
    for (auto& v : outputs)
      out.push_back(to_argument(v, arg_kind::other, pool, [&](const at::Tensor& t) {
        return argument(fake_of(replacement(t))->identity().value);
      }));
    g_.output(out);
    for (node_id n : raw_.replaced())
      if (!g_.has_uses(g_.result(n)))
        g_.erase(n);
    note_unused_inputs();
    constants_.copy_written();
    if (stack_traces_)
      give_stack_traces();
    place_in_modules();
    gradient_regions(g_, grad_enabled_, grad_at_start_).wrap();

    trace_result r;
    vector<const std::string*> by_node(g_.node_capacity(), nullptr);
    for (auto& [n, target] : targets_)
      by_node[n.index] = target;
    for (auto& [n, target] : constants_.placeholders())
      by_node[n.index] = &target;
    for (node_id n = g_.first(); n.valid() && g_.kind(n) == node_kind::placeholder; n = g_.next(n))
      r.targets.push_back(*by_node[n.index]);
    r.constants = std::move(constants_.all());
    for (auto& [key, calls] : counts_)
      report_.ops.push_back({op_id{key >> 3}, static_cast<served_by>(key & 7), calls});
    std::sort(report_.ops.begin(), report_.ops.end(), [](auto& a, auto& b) {
      return std::pair(name_of(a.op), a.by) < std::pair(name_of(b.op), b.by);
    });
    r.graph = std::move(g_);
    r.report = std::move(report_);
    return r;
  }

  /// The stacks of the recorded calls, by node; of strict traces and those with stack traces.
  vector<stack_addresses> stacks() { return std::move(stacks_); }

  void call(const c10::OperatorHandle& op, c10::DispatchKeySet keys, torch::jit::Stack& stack) override {
    const raised inside(calls_open_);
    op_info& info = ops_.find(op);
    if (info.special == special_op::silent) {
      c10::impl::ExcludeDispatchKeyGuard below(interceptor_key);
      op.redispatchBoxed(below_interceptor(keys), &stack);
      return;
    }
    refuse_transforms(info.special);
    if (info.special == special_op::set_data)
      refuse_set_data_between(torch::jit::last(stack, 2));
    if (memory_ && depth_ == 0)
      memory_->at_call();
    if (depth_ == 0 && literals_.builds(info, torch::jit::last(stack, info.args.size()))) {
      c10::impl::ExcludeDispatchKeyGuard below(interceptor_key);
      op.redispatchBoxed(below_interceptor(keys), &stack);
      literals_.add(stack.back());
      return;
    }
    const auto first = stack.end() - static_cast<std::ptrdiff_t>(info.args.size());
    call_in_progress c{op, info, {std::move_iterator(first), std::move_iterator(stack.end())}};
    c.args = c.given;
    state_read_ = no_scope;
    for (auto& v : c.args)
      substitute_tensors(v, [&](const at::Tensor& t) { return note_state(replacement(t, info.mutates)); });
    torch::jit::drop(stack, info.args.size());

    if (info.special == special_op::item || info.special == special_op::equal) {
      if (answer_from_values(c, stack))
        return;
    }
    if (!info.has_tensor_result && !info.results.empty() && !info.data_dependent && !info.mutates &&
        !rule_for(info.id))
      return answer_below(c, keys, stack);

    c.tracks = gradients_.tracks(info, c.args);
    if (depth_ == 0)
      gradients_.check_writes(info, c.args, c.tracks);
    served_by by = served_by::shape_rule;
    fake_results results;
    try {
      results = engine_.serve(op, info, c.args, keys, by, depth_);
    } catch (const error& e) {
      if (depth_)
        throw;
      // a composite of the user's may have told a place further in
      const std::string here = user_place(capture_stack());
      throw here.empty() || e.place().starts_with(here) ? e : e.within(here);
    }
    if (depth_ == 0) {
      ++counts_[(info.id.index << 3) | static_cast<std::uint32_t>(by)];
      record(c, results);
    }
    give_results(c, std::move(results), stack);
    if (depth_ == 0)
      note_effects(c);
  }

  /// The first question about each input. What operators ask for is theirs to answer again in each run.
  void asked_layout(const c10::TensorImpl& t) override {
    const auto& who = static_cast<const fake_tensor_impl&>(t).identity();
    if (calls_open_ || who.owner != fakes_.owner())
      return;
    const auto input = layouts_not_asked_.find(who.layout_of);
    if (input == layouts_not_asked_.end())
      return;
    const raised inside(calls_open_); // a note asks nothing more
    report_.notes.push_back(
        {note_kind::layout_asked,
         "the strides of the input '" + std::string(g_.text(g_.node_name(input->second))) +
             "' are asked (stride, is_contiguous, contiguous), and the example's answer holds "
             "for every run",
         user_place(capture_stack()), "pass inputs with the example's strides, or write it for any strides"});
    layouts_not_asked_.erase(who.layout_of);
  }

  void enter_scope(std::string_view name) override {
    const scope_id now = named();
    named_.push_back(modules_.inside(now == no_scope ? root_scope : now, name));
  }
  void enter_scope(const void* module) override {
    const scope_id s = modules_.of_object(module);
    named_.push_back(s != no_scope ? s : named());
  }
  void leave_scope() override {
    if (!named_.empty())
      named_.pop_back();
  }

private:
  struct raised {
    int& n;
    explicit raised(int& x) : n(x) { ++n; }
    raised(const raised&) = delete;
    raised& operator=(const raised&) = delete;
    ~raised() { --n; }
  };
  struct call_in_progress {
    const c10::OperatorHandle& op;
    op_info& info;
    using arguments = c10::SmallVector<c10::IValue, 8>;
    arguments given;     // as the user gave them
    arguments args{};    // with fakes
    node_id node{};      // none inside a composite
    bool tracks = false; // floating-point results track gradients
  };

  /// What would change what we record: a functorch transform, which shows by the operators that a vmap starts
  /// and ends with and by the modes that are on inside, and autocast.
  void refuse_transforms(special_op what) const {
    constexpr c10::DispatchKeySet functorch_modes(
        {c10::DispatchKey::FuncTorchDynamicLayerFrontMode, c10::DispatchKey::FuncTorchDynamicLayerBackMode});
    if (what == special_op::transform ||
        c10::impl::tls_local_dispatch_key_set().included_.has_any(functorch_modes))
      refuse_functorch();
    if (depth_ == 0 &&
        (at::autocast::is_autocast_enabled(at::kCPU) || at::autocast::is_autocast_enabled(at::kCUDA)))
      fail(error_kind::trace, "autocast is on in the traced call, and its casts are not recorded",
           user_place(capture_stack()),
           "switch autocast off for the export, and cast with to(dtype) where a lower precision is meant");
  }

  [[noreturn]] ESPALIER_COLD static void refuse_functorch() {
    fail(error_kind::trace, "a functorch transform (vmap, grad, vjp, ...) is used in the traced call",
         user_place(capture_stack()),
         "write the batched computation out; take gradients, and transform, outside the traced call");
  }

  // ---- arguments

  /// The fake that stands for a tensor: itself, the one of a known real tensor, or a new constant's.
  /// `to_keep`: the call may change what it stands for.
  at::Tensor replacement(const at::Tensor& t, bool to_keep = false) {
    if (fake_tensor_impl* f = fake_of(t)) {
      if (f->has_storage())
        if (auto value = raw_.settle(t)) {
          const at::Tensor constant = constants_.add_fresh(std::move(*value));
          f->set_identity(fake_of(constant)->identity()); // the user's handle is it from now on
          return t;
        }
      if (f->identity().owner != fakes_.owner()) {
        if (auto* known = known_.find_same(t))
          return fake_for(*known, to_keep);
        refuse_foreign(f->identity().owner != 0);
      }
      if (depth_ == 0 && f->identity().value.valid())
        see_autograd(t, *f);
      return t;
    }
    if (t.key_set().has_any(c10::DispatchKeySet(
            {c10::DispatchKey::FuncTorchGradWrapper, c10::DispatchKey::FuncTorchBatched})))
      refuse_functorch();
    if (t.key_set().has(interceptor_key))
      refuse_set_data();
    if (auto* known = known_.find(t)) {
      at::Tensor fake = fake_for(*known, to_keep);
      // `.data()` of state that is trained: the same memory, cut off from autograd
      return depth_ == 0 && fake.requires_grad() && !t.requires_grad() ? detached(fake) : fake;
    }
    if (depth_)
      return fakes_.result(meta_of(t)); // a composite's own helper, which is not recorded
    at::Tensor constant = constants_.lift(t, literals_.take(t));
    fakes_.gradients().add_source(t);
    known_.add_constant(t, constant);
    return constant;
  }
  at::Tensor fake_for(known_tensors::entry& known, bool to_keep) {
    if (known.fake.defined())
      return known.fake;
    at::Tensor fake = fakes_.leaf(g_.meta(known.who.value).tensor, known.who);
    if (to_keep)
      known.fake = fake;
    return fake;
  }
  /// Remembers whose state the call reads, itself or a view of it.
  at::Tensor note_state(at::Tensor fake) {
    if (depth_ == 0)
      if (const std::uint32_t memory = fake_of(fake)->identity().memory;
          memory < state_owner_.size() && state_owner_[memory] != no_scope)
        state_read_ = state_read_ == no_scope ? state_owner_[memory]
                                              : modules_.common(state_read_, state_owner_[memory]);
    return fake;
  }
  /// What autograd did to a fake without an operator: a detached copy, a custom function, requires_grad_().
  void see_autograd(const at::Tensor& t, fake_tensor_impl& f) {
    if (f.is_detached_copy()) {
      f.set_detached_copy(false);
      const auto& source = g_.meta(f.identity().value);
      if (source.kind == value_kind::tensor && source.tensor.requires_grad && !t.requires_grad()) {
        f.set_identity(fake_of(detached(t))->identity());
        f.set_meta_requires_grad(false);
        return;
      }
    }
    gradients_.show(t);
    if (!t.requires_grad())
      return;
    if (const auto custom = foreign_gradient_of(t); !custom.empty()) {
      inline_custom_forward(g_.def(f.identity().value));
      if (custom_seen_.insert(custom).second)
        report_.notes.push_back(
            {note_kind::custom_backward,
             "the custom backward of '" + custom + "' is not part of the program; its forward is",
             user_place(capture_stack()),
             "register an operator with its own derivative, if the program will be trained"});
    }
    if (!f.meta().requires_grad) {
      f.set_meta_requires_grad(true);
      if (t.is_leaf())
        report_.notes.push_back(
            {note_kind::requires_grad_set,
             "requires_grad_() on a tensor computed inside the traced call is not recorded",
             user_place(capture_stack()), "ask for gradients of the program's inputs or parameters"});
    }
  }
  /// A custom function runs its forward with gradients off. Those nodes are not a region of the graph: the
  /// function's result does track gradients, and without its backward they go through the forward's
  /// operators, as in Python's export.
  void inline_custom_forward(node_id n) {
    for (; n.valid() && n.index < grad_enabled_.size() && !grad_enabled_[n.index]; n = g_.prev(n))
      grad_enabled_[n.index] = true;
  }
  /// `aten.detach` of a fake, recorded.
  at::Tensor detached(const at::Tensor& t) {
    static const op_id detach = *find_op("aten::detach");
    const fake_tensor_impl& f = *fake_of(t);
    tensor_meta m = f.meta();
    m.requires_grad = false;
    const argument a[] = {argument(f.identity().value)};
    const scope_id read_so_far = std::exchange(state_read_, no_scope);
    note_state(t);
    const node_id n = g_.call(detach, a, 1);
    add_facts(n);
    state_read_ = read_so_far;
    g_.set_meta(g_.result(n), value_meta(m));
    return fakes_.result(std::move(m), g_.result(n), &f, true);
  }
  [[noreturn]] ESPALIER_COLD static void refuse_foreign(bool other_trace) {
    if (other_trace)
      fail(error_kind::trace, "a tensor of another trace is used in the traced call",
           user_place(capture_stack()), "pass it to the inner trace as an input");
    fail(error_kind::trace, "a tensor without data that belongs to no input is used in the traced call",
         user_place(capture_stack()), "register it as a parameter or a buffer, or pass it as an input");
  }
  static void refuse_set_data_between(at::ArrayRef<c10::IValue> tensors) {
    const auto of_trace = [](const c10::IValue& v) { return v.isTensor() && is_fake(v.toTensor()); };
    if (of_trace(tensors[0]) != of_trace(tensors[1]))
      refuse_set_data();
  }
  [[noreturn]] ESPALIER_COLD static void refuse_set_data() {
    fail(error_kind::trace,
         "set_data gives a tensor the data of another, of which one is traced; no graph can say that",
         user_place(capture_stack()), "write with copy_ under torch::NoGradGuard, or build a new tensor");
  }

  // ---- calls that are answered and not recorded

  /// A question about sizes or types (`can_cast`, `is_same_size`).
  void answer_below(const call_in_progress& c, c10::DispatchKeySet keys, torch::jit::Stack& stack) {
    const raised inner(depth_);
    torch::jit::Stack answers(c.args.begin(), c.args.end());
    c.op.redispatchBoxed(below_interceptor(keys), &answers);
    for (auto& v : answers)
      stack.push_back(std::move(v));
  }
  /// `item` and `equal`: from the values of constants, or by identity.
  bool answer_from_values(const call_in_progress& c, torch::jit::Stack& stack) {
    torch::jit::Stack real;
    bool all_known = true;
    for (auto& v : c.args) {
      if (!v.isTensor() || !v.toTensor().defined()) {
        real.push_back(v);
        continue;
      }
      const at::Tensor* value = constants_.value_of(*fake_of(v.toTensor()));
      all_known = all_known && value;
      if (all_known)
        real.emplace_back(*value);
    }
    if (all_known) {
      c10::impl::ExcludeDispatchKeyGuard below(interceptor_key);
      c.op.callBoxed(real);
      stack.push_back(real.back());
      return true;
    }
    if (c.info.special == special_op::equal) {
      const auto *a = fake_of(c.args[0].toTensor()), *b = fake_of(c.args[1].toTensor());
      const bool same = a == b || (a->identity().value.valid() && a->identity().value == b->identity().value);
      if (!same && a->meta().sizes == b->meta().sizes)
        report_.notes.push_back(
            {note_kind::equality_assumed, "equal() of two different tensors was taken as false",
             user_place(capture_stack()), "do not let the model's structure depend on values"});
      stack.emplace_back(same);
      return true;
    }
    fail(error_kind::trace,
         "the value of a tensor is read (" + c10::toString(c.op.operator_name()) +
             "), but a trace has no values",
         user_place(capture_stack()),
         "keep the computation in tensors (torch::where instead of if), or pass the number as an input of "
         "the export");
  }

  // ---- recording

  void record(call_in_progress& c, const fake_results& results) {
    std::size_t num_values = 0;
    for (auto& r : results)
      num_values += r.is_list ? r.metas.size() : 1;
    graph_args_.clear();
    pool_.clear();
    for (std::size_t i = 0; i != c.args.size(); ++i)
      graph_args_.push_back(to_argument(c.args[i], c.info.args[i].kind, pool_, [&](const at::Tensor& t) {
        return argument(fake_of(t)->identity().value);
      }));
    drop_defaults(c);
    const bool list = c.info.results.size() == 1 && c.info.results[0].is == op_result::form::tensor_list;
    c.node = g_.call(c.info.id, graph_args_, num_values, list);
    add_facts(c.node);
  }
  /// Arguments that equal their defaults are left out, as `torch.fx` leaves them out.
  void drop_defaults(const call_in_progress& c) {
    bool trailing = true;
    for (std::size_t i = c.args.size(); i-- > 0;) {
      const auto& a = c.info.args[i];
      const bool is_default = a.has_default && same_constant(c.args[i], a.dflt);
      if (a.kwarg_only ? is_default : trailing && is_default)
        graph_args_[i] = argument{};
      else if (!a.kwarg_only)
        trailing = false;
    }
  }
  scope_id named() const { return named_.empty() ? no_scope : named_.back(); }
  /// What a node is placed by when the trace is done.
  void add_facts(node_id n) {
    scope_facts_.resize(n.index + 1);
    scope_facts_[n.index] = {state_read_, named()};
    grad_enabled_.resize(n.index + 1, grad_at_start_);
    grad_enabled_[n.index] = c10::GradMode::is_enabled();
    if (keep_stacks_) {
      stacks_.resize(n.index + 1);
      stacks_[n.index] = capture_stack();
    }
  }
  void give_stack_traces() {
    stack_addresses all;
    for (const auto& s : stacks_)
      all.insert(all.end(), s.begin(), s.end());
    (void)user_frames(all, true); // their lines at once
    for (node_id n = g_.first(); n.valid(); n = g_.next(n))
      if (n.index < stacks_.size() && !stacks_[n.index].empty())
        g_.set_origin(n, "stack_trace", stack_trace_text(stacks_[n.index]));
  }
  void place_in_modules() {
    const auto scopes = scope_inference(g_, modules_, scope_facts_).run();
    module_calls calls(modules_);
    const str_id key = g_.intern("nn_module_stack");
    for (node_id n = g_.first(); n.valid(); n = g_.next(n)) {
      if (g_.kind(n) != node_kind::call_function)
        continue;
      origin o = g_.origin_of(n).valid() ? g_.get_origin(g_.origin_of(n)) : origin{};
      o.set(key, g_.intern(calls.enter(scopes[n.index])));
      g_.set_origin(n, g_.intern_origin(o));
    }
  }

  // ---- results

  void give_results(call_in_progress& c, fake_results results, torch::jit::Stack& stack) {
    std::size_t at = 0; // the next value of the node
    const auto next_value = [&](const value_meta& m) {
      if (!c.node.valid())
        return value_id{};
      const value_id v = g_.result(c.node, at++);
      g_.set_meta(v, m);
      return v;
    };
    for (std::size_t k = 0; k != results.size(); ++k) {
      auto& r = results[k];
      const op_result& declared = c.info.results[k];
      const auto source = static_cast<std::size_t>(declared.alias_of); // when it is not negative
      const bool aliases = declared.alias_of >= 0 && c.args[source].isTensor();
      if (declared.is_write && aliases) {
        change(c.args[source].toTensor(), r, c, next_value);
        stack.push_back(c.given[source]);
        continue;
      }
      if (r.is_number) {
        next_value(value_meta::of(value_kind::sym_int, r.number));
        stack.emplace_back(r.number.as_int());
        continue;
      }
      const auto make = [&](tensor_meta m) {
        m.requires_grad = c.tracks && gradient_rules::is_differentiable(m);
        const value_id v = next_value(value_meta(m));
        if (v.valid() && c.info.special == special_op::empty)
          if (auto t = raw_.make(m, fakes_.fresh(v), c.node))
            return *t;
        return fakes_.result(std::move(m), v, aliases ? fake_of(c.args[source].toTensor()) : nullptr,
                             c.info.cuts_gradients, c.info.keeps_layout ? layout_of_arguments(c) : 0);
      };
      if (r.is_list) {
        c10::List<at::Tensor> items;
        for (auto& m : r.metas)
          items.push_back(make(std::move(m)));
        stack.emplace_back(std::move(items));
      } else if (r.metas.empty()) {
        next_value(value_meta::of(value_kind::none));
        stack.emplace_back(at::Tensor());
      } else {
        stack.emplace_back(make(std::move(r.metas[0])));
        if (c.info.special == special_op::keeps_value)
          keep_value(c, stack.back().toTensor());
      }
    }
  }
  static std::uint32_t layout_of_arguments(const call_in_progress& c) {
    std::uint32_t found = 0;
    const auto has_one = [&](const at::Tensor& t) { return (found = fake_of(t)->identity().layout_of) != 0; };
    for (std::size_t i = 0; i != c.args.size() && !found; ++i)
      any_tensor(c.args[i], has_one);
    return found;
  }
  /// The argument itself, changed: later uses see the new value.
  template <class NextValue>
  void change(const at::Tensor& t, const fake_result& r, const call_in_progress& c, NextValue& next_value) {
    fake_tensor_impl* f = fake_of(t);
    tensor_meta m = r.metas.empty() ? f->meta() : r.metas[0];
    if (c.info.cuts_gradients)
      untrack_gradient(t);
    m.requires_grad = gradients_.requires_grad(t) || (c.tracks && gradient_rules::is_differentiable(m));
    if (!(m.sizes == f->meta().sizes && m.strides == f->meta().strides &&
          m.storage_offset == f->meta().storage_offset))
      f->set_meta(m);
    f->set_meta_requires_grad(m.requires_grad);
    if (m.requires_grad && c.tracks)
      gradients_.changed_in_place(t);
    if (const value_id v = next_value(value_meta(m)); v.valid()) {
      auto who = f->identity();
      who.value = v;
      f->set_identity(who);
    }
  }
  /// A copy or a cast of a constant whose value is known is one, so that item() of it is.
  void keep_value(const call_in_progress& c, const at::Tensor& result) {
    if (!c.args[0].isTensor() || !c.args[0].toTensor().defined())
      return;
    const at::Tensor* value = constants_.value_of(*fake_of(c.args[0].toTensor()));
    if (!value)
      return;
    torch::jit::Stack real(c.args.begin(), c.args.end());
    real[0] = *value;
    for (std::size_t i = 1; i != real.size(); ++i)
      if (real[i].isTensor())
        return;
    {
      below_interceptor_guard below;
      at::NoGradGuard no_grad;
      c.op.callBoxed(real);
    }
    constants_.set_value(*fake_of(result), real.back().toTensor());
  }
  /// What the call did besides giving results.
  void note_effects(const call_in_progress& c) {
    for (std::size_t i = 0; i != c.args.size(); ++i) {
      if (c.given[i].isGenerator())
        report_.notes.push_back({note_kind::generator_dropped,
                                 "the random generator given to " + c10::toString(c.op.operator_name()) +
                                     " is not part of the program",
                                 user_place(capture_stack()),
                                 "seed the default generator before running the program"});
      if (!c.info.args[i].is_write)
        continue;
      any_tensor(c.args[i], [&](const at::Tensor& t) {
        if (const std::string* constant = constants_.wrote(*fake_of(t)))
          report_.notes.push_back(
              {note_kind::constant_mutated, "the program changes the lifted constant '" + *constant + "'",
               user_place(capture_stack()), "register the tensor as a buffer of the module"});
        return false;
      });
    }
  }

  void note_unused_inputs() {
    for (node_id n = g_.first(); n.valid() && g_.kind(n) == node_kind::placeholder; n = g_.next(n))
      if (g_.input(n) == input_kind::user_input && g_.meta(g_.result(n)).kind == value_kind::tensor &&
          !g_.has_uses(g_.result(n)))
        report_.notes.push_back(
            {note_kind::unused_input,
             "no operator reads the input '" + std::string(g_.text(g_.node_name(n))) + "'", "",
             "leave it out of the export, unless callers are to pass it all the same"});
  }

  /// Traces are numbered: nested ones must not take each other's fakes for theirs.
  static std::uint64_t next_serial() {
    static std::atomic<std::uint64_t> n{0};
    return ++n;
  }

  bool stack_traces_, keep_stacks_;
  memory_witness* memory_;
  graph_storage g_;
  trace_report report_;
  module_tree modules_;
  op_info_front ops_;
  fake_engine engine_;
  fake_factory fakes_;
  known_tensors known_;
  constant_table constants_;
  tensor_literals literals_;
  raw_memory raw_;
  gradient_rules gradients_{fakes_.gradients()};
  vector<scope_id> state_owner_; // by memory
  hash_set<std::string> custom_seen_;
  vector<std::pair<node_id, const std::string*>> targets_; // of the inputs
  vector<scope_facts> scope_facts_;                        // by node
  vector<bool> grad_enabled_;                              // by node
  vector<stack_addresses> stacks_;                         // by node
  vector<scope_id> named_;                                 // the open `es::scope`s
  vector<argument> graph_args_;
  argument_pool pool_;
  hash_map<std::uint32_t, std::size_t> counts_;
  scope_id state_read_ = no_scope;                     // by the call in progress
  int depth_ = 0;                                      // of composites that are served
  int calls_open_ = 0;                                 // a question about a fake is ours or LibTorch's
  hash_map<std::uint32_t, node_id> layouts_not_asked_; // inputs by memory
  bool grad_at_start_ = c10::GradMode::is_enabled();
};

} // namespace detail
} // namespace espalier
