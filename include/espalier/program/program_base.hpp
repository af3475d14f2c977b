// SPDX-License-Identifier: BSL-1.0
// A program without its types: graph, interface, state, constants, and how they run.
// `exported_program<Dialect, Signature>` is a typed shell over it, so that the work is compiled once.
#pragma once

#include <espalier/archive/payload.hpp>
#include <espalier/archive/schema_json.hpp>
#include <espalier/ir/naming.hpp>
#include <espalier/program/input_check.hpp>
#include <espalier/program/interpreter.hpp>
#include <espalier/program/state_dict.hpp>
#include <espalier/signature/signature.hpp>
#include <espalier/support/vector.hpp>

#include <ATen/core/grad_mode.h>
#include <torch/csrc/jit/serialization/pickle.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace espalier {

/// How a call is made.
struct call_options {
  bool check_inputs = true; ///< against the sizes, types and ranges the program was exported for
  run_options run{};        ///< the hook per node, extra symbols
};

/// What a run of a program gave, sorted by what the outputs stand for.
struct program_results {
  std::vector<c10::IValue> user; ///< user outputs, and the loss among them
  vector<std::pair<std::string, at::Tensor>>
      gradients; ///< of a joint graph: to parameters and inputs, by target
};

/// Example inputs: `(args, kwargs)` as `torch.save` wrote them, and their leaves when every class in the
/// pickle is known.
struct example_inputs {
  shared_bytes pickle; ///< empty: none
  std::vector<c10::IValue>
      leaves;         ///< in the order of the program's user inputs; empty when they could not be read
  std::string unread; ///< why they could not be read
};

/// What the file of a program holds beside it, kept for the next file: records of others, and members of its
/// tables that are unknown here.
struct archive_rest {
  /// Records that belong to no program, such as Python's `extra_files` (`extra/NAME`).
  vector<pt2::loose_record> records;
  vector<pt2::raw_member> weights, constants;             ///< of the two tables
  std::map<std::string, vector<pt2::raw_member>> entries; ///< of a weight or a constant, by name
};

class program_base {
public:
  template <class = when_used>
  program_info& info() noexcept {
    drop_plan();
    return info_;
  }
  const program_info& info() const noexcept { return info_; }
  const graph_signature& signature() const noexcept { return info_.signature; }

  /// Parameters and persistent buffers, by name.
  espalier::state_dict& state_dict() noexcept { return state_; }
  const espalier::state_dict& state_dict() const noexcept { return state_; }
  /// Lifted tensor constants and buffers that are not persistent, by name.
  espalier::state_dict& constants() noexcept { return constants_; }
  const espalier::state_dict& constants() const noexcept { return constants_; }
  /// Constants that are not tensors (pickled objects), kept closed.
  pt2::payload_table& objects() noexcept { return objects_; }
  const pt2::payload_table& objects() const noexcept { return objects_; }
  espalier::example_inputs& example_inputs() noexcept { return examples_; }
  const espalier::example_inputs& example_inputs() const noexcept { return examples_; }

  /// What its file holds beside it.
  archive_rest& rest() noexcept { return rest_; }
  const archive_rest& rest() const noexcept { return rest_; }

  /// The parameters, for an optimizer: `torch::optim::SGD(program.parameters(), 0.1)`.
  template <class = when_used>
  std::vector<at::Tensor> parameters() const {
    std::vector<at::Tensor> out;
    for (const auto& e : state_)
      if (e.is_parameter)
        out.push_back(e.tensor);
    return out;
  }
  /// Sets every gradient to none.
  template <class = when_used>
  void zero_grad() {
    for (auto& p : parameters())
      p.mutable_grad() = at::Tensor();
  }

  const graph_storage& storage() const noexcept { return *graph_; }
  template <class = when_used>
  graph_storage& storage() noexcept {
    drop_plan();
    return *graph_;
  }

  /// Runs the program on the leaves of its arguments, in order; leaves that the program was specialised on
  /// may be left out altogether. Buffers and inputs that the program changes are changed, all at once, after
  /// the last node. Gives the leaves of the result. Throws `error`: constraint (inputs that do not fit), or
  /// what an operator reported, with its node.
  template <class = when_used>
  std::vector<c10::IValue> operator()(std::vector<c10::IValue> inputs,
                                      const call_options& options = {}) const {
    return run(std::move(inputs), options).user;
  }

  /// The same, with the gradients of a joint graph.
  template <class = when_used>
  program_results run(std::vector<c10::IValue> inputs, const call_options& options = {}) const {
    const auto p = prepared_plan();
    if (inputs.size() == p->check.num_free_inputs() && inputs.size() != p->check.num_inputs())
      inputs = p->check.with_constants(std::move(inputs));
    run_options run = options.run;
    auto symbols = options.check_inputs || inputs.size() != p->check.num_inputs() ? p->check.check(inputs)
                                                                                  : p->check.symbols(inputs);
    if (!run.attribute)
      run.attribute = [this](std::string_view name) {
        return stored({source::place::state, 0, std::string(name), {}});
      };
    run.symbols.insert(run.symbols.end(), std::make_move_iterator(symbols.begin()),
                       std::make_move_iterator(symbols.end()));

    std::vector<c10::IValue> placeholders;
    placeholders.reserve(p->sources.size());
    std::size_t next = 0;
    for (const auto& s : p->sources)
      placeholders.push_back(s.from == source::place::user ? inputs[next++] : stored(s));
    auto results = p->run.run(std::move(placeholders), run);

    program_results out;
    vector<write> writes;
    for (std::size_t i = 0; i != results.size(); ++i) {
      const auto& spec = info_.signature.outputs[i];
      switch (spec.kind) {
      case output_kind::user_output:
      case output_kind::loss_output:
        out.user.push_back(std::move(results[i]));
        break;
      case output_kind::buffer_mutation:
      case output_kind::parameter_mutation:
        add_write(writes, stored({source::place::state, 0, spec.target, {}}), results[i]);
        break;
      case output_kind::user_input_mutation: {
        std::size_t at = 0;
        while (at != inputs.size() && p->check.name(at) != spec.target)
          ++at;
        if (at == inputs.size())
          fail(error_kind::verification,
               "the program writes to the input '" + spec.target + "', which it does not have", "signature",
               "run verify on the program");
        add_write(writes, inputs[at], results[i]);
        break;
      }
      case output_kind::gradient_to_parameter:
      case output_kind::gradient_to_user_input:
        out.gradients.emplace_back(spec.target, results[i].isTensor() ? results[i].toTensor() : at::Tensor());
        break;
      case output_kind::token:
        break;
      }
    }
    write_back(writes);
    return out;
  }

  /// One value a placeholder of the graph, in order, for a call with these inputs: what an interpreter of the
  /// graph alone takes. With `converted`, floating-point inputs may be those of the program before its
  /// element type or device was changed: they are given the placeholder's.
  template <class = when_used>
  std::vector<c10::IValue> placeholder_values(std::vector<c10::IValue> inputs, bool converted = false) const {
    const auto p = prepared_plan();
    if (inputs.size() == p->check.num_free_inputs() && inputs.size() != p->check.num_inputs())
      inputs = p->check.with_constants(std::move(inputs));
    if (converted)
      convert_inputs(inputs);
    p->check.check(inputs);
    std::vector<c10::IValue> out;
    out.reserve(p->sources.size());
    std::size_t next = 0;
    for (const auto& s : p->sources)
      out.push_back(s.from == source::place::user ? inputs[next++] : stored(s));
    return out;
  }

  /// Throws unless the inputs are ones the program takes; runs nothing.
  template <class = when_used>
  void check_inputs(const std::vector<c10::IValue>& inputs) const {
    prepared_plan()->check.check(inputs);
  }
  /// Guards of the program that no call checks: they are more than arithmetic on sizes.
  template <class = when_used>
  vector<std::string> unchecked_guards() const {
    const auto u = prepared_plan()->check.unchecked_guards();
    return {u.begin(), u.end()};
  }
  /// Names of the leaves that a call takes, in order.
  template <class = when_used>
  vector<std::string> input_names() const {
    const auto p = prepared_plan();
    vector<std::string> out;
    for (std::size_t i = 0; i != p->check.num_inputs(); ++i)
      out.push_back(p->check.name(i));
    return out;
  }

protected:
  program_base(std::shared_ptr<graph_storage> g, program_info i)
      : graph_(std::move(g)), info_(std::move(i)) {}
  program_base(program_base&&) noexcept = default;
  program_base& operator=(program_base&&) noexcept = default;
  ~program_base() = default;
  /// Copies everything but the graph, which the typed shell copies. Tensors are shared, as Python's are.
  program_base(const program_base& o, std::shared_ptr<graph_storage> g)
      : graph_(std::move(g)), info_(o.info_), state_(o.state_), constants_(o.constants_), objects_(),
        examples_(o.examples_), rest_(o.rest_) {
    for (const auto& [name, p] : o.objects_) {
      pt2::payload copy;
      copy.bytes = p.bytes;
      copy.meta = pt2::from_json<pt2::payload_meta>(pt2::to_json(p.meta), name); // the structs only move
      objects_.add(name, std::move(copy));
    }
  }

  template <class = when_used>
  void drop_plan() const {
    if (plan_)
      plan_->drop();
  }
  std::shared_ptr<graph_storage> graph_; // never shared; keeps its address when the program moves
  program_info info_;
  espalier::state_dict state_, constants_;
  pt2::payload_table objects_;
  espalier::example_inputs examples_;
  archive_rest rest_;

private:
  /// Where a placeholder's value comes from.
  struct source {
    enum class place : std::uint8_t { user, state, constant, object, nothing } from = place::user;
    std::size_t hint = 0; ///< its position in the state dict when it was prepared
    std::string target{};
    c10::IValue value{}; ///< of an object, opened when it was prepared
  };
  struct prepared {
    interpreter run;
    input_check check;
    vector<source> sources;
  };
  /// The prepared form, made at the first call and dropped when the program is edited.
  class plan_slot {
  public:
    template <class Make>
    std::shared_ptr<const prepared> get(Make&& make) {
      const std::lock_guard lock(mutex_);
      if (!p_)
        p_ = make();
      return p_;
    }
    void drop() {
      const std::lock_guard lock(mutex_);
      p_ = nullptr;
    }

  private:
    std::mutex mutex_;
    std::shared_ptr<const prepared> p_;
  };

  template <class = when_used>
  std::shared_ptr<const prepared> prepared_plan() const {
    return plan_->get([this] {
      assign_names(*graph_);
      auto p = std::make_shared<prepared>(prepared{interpreter(*graph_), input_check(*graph_, info_), {}});
      const auto& specs = info_.signature.inputs;
      for (const auto& s : specs) {
        source x;
        x.target = s.target;
        switch (s.kind) {
        case input_kind::user_input:
          break;
        case input_kind::parameter:
        case input_kind::buffer:
        case input_kind::constant_tensor:
          x.from = state_.contains(s.target) && s.kind != input_kind::constant_tensor
                       ? source::place::state
                       : source::place::constant;
          x.hint = (x.from == source::place::state ? state_ : constants_).position(s.target);
          break;
        case input_kind::custom_obj:
          x.from = source::place::object;
          x.value = opened_object(s);
          break;
        case input_kind::token:
          x.from = source::place::nothing;
          break;
        }
        p->sources.push_back(std::move(x));
      }
      std::size_t placeholders = 0,
                  outputs = graph_->output_node().valid() ? graph_->num_args(graph_->output_node()) : 0;
      for (node n : nodes(*graph_))
        placeholders += n.kind() == node_kind::placeholder;
      if (placeholders != specs.size() || outputs != info_.signature.outputs.size())
        fail(error_kind::verification,
             "the graph has " + std::to_string(placeholders) + " inputs and " + std::to_string(outputs) +
                 " outputs, but the signature lists " + std::to_string(specs.size()) + " and " +
                 std::to_string(info_.signature.outputs.size()),
             "signature", "change both together");
      return std::shared_ptr<const prepared>(std::move(p));
    });
  }

  /// Gives floating-point inputs the element types and devices of their placeholders.
  template <class = when_used>
  void convert_inputs(std::vector<c10::IValue>& inputs) const {
    std::size_t next = 0;
    for (node n : nodes(*graph_)) {
      if (n.kind() != node_kind::placeholder || n.input() != input_kind::user_input)
        continue;
      if (next == inputs.size())
        return;
      c10::IValue& v = inputs[next++];
      const value_meta& m = graph_->meta(graph_->result(n.id()));
      if (m.kind == value_kind::tensor && is_floating(m.tensor.dtype) && v.isTensor() &&
          v.toTensor().defined() && v.toTensor().is_floating_point())
        v = v.toTensor().to(to_c10(m.tensor.dev), to_c10(m.tensor.dtype));
    }
  }

  /// A custom object: LibTorch opens it when its class is registered in this process.
  template <class = when_used>
  c10::IValue opened_object(const input_spec& s) const {
    const auto* p = objects_.find(s.target);
    if (!p)
      fail(error_kind::verification, "the object '" + s.target + "' is missing", "input '" + s.arg.name + "'",
           "save the program from Python again");
    try {
      const auto bytes = p->bytes.span();
      return torch::jit::pickle_load_obj({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    } catch (const std::exception& e) {
      std::string why = e.what();
      fail(error_kind::unsupported,
           "the program takes an object of class '" + s.arg.class_name +
               "', which LibTorch cannot open: " + why.substr(0, why.find('\n')),
           "input '" + s.arg.name + "'",
           "link or load the library that registers the class, or run the program in Python");
    }
  }

  template <class = when_used>
  c10::IValue stored(const source& s) const {
    if (s.from == source::place::nothing || s.from == source::place::object)
      return s.value;
    for (const auto* dict : {&state_, &constants_}) {
      if (s.from == (dict == &state_ ? source::place::constant : source::place::state) && dict == &state_)
        continue;
      if (s.hint < dict->size() && (*dict)[s.hint].name == s.target)
        return (*dict)[s.hint].tensor;
      if (const auto* t = dict->find(s.target))
        return *t;
    }
    fail(error_kind::verification,
         "the program needs the tensor '" + s.target +
             "', which is neither in its state dict nor among its constants",
         "signature", "set it: program.state_dict().set(name, tensor, is_parameter)");
  }
  struct write {
    at::Tensor to, from;
  };
  template <class = when_used>
  static void add_write(vector<write>& writes, const c10::IValue& to, const c10::IValue& from) {
    if (from.isTensor() && !to.toTensor().is_same(from.toTensor()))
      writes.push_back({to.toTensor(), from.toTensor().detach()});
  }
  /// Writes as if all at once: a source that shares memory with the target of an earlier write (two buffers
  /// that are swapped), or with its own, is copied before the first of them.
  template <class = when_used>
  static void write_back(vector<write>& writes) {
    const at::NoGradGuard no_grad;
    vector<std::pair<const c10::StorageImpl*, std::size_t>> targets; // sorted, for the first of each
    for (std::size_t i = 0; i != writes.size(); ++i)
      if (writes[i].to.has_storage())
        targets.emplace_back(writes[i].to.storage().unsafeGetStorageImpl(), i);
    std::sort(targets.begin(), targets.end());
    for (std::size_t i = 0; i != writes.size(); ++i) {
      auto& [to, from] = writes[i];
      if (!from.has_storage())
        continue;
      const auto* memory = from.storage().unsafeGetStorageImpl();
      const auto first = std::lower_bound(targets.begin(), targets.end(), std::pair(memory, std::size_t{0}));
      if (first != targets.end() && first->first == memory && first->second <= i &&
          !(first->second == i && from.is_set_to(to)))
        from = from.clone();
    }
    for (const auto& [to, from] : writes)
      to.copy_(from);
  }

  std::shared_ptr<plan_slot> plan_ = std::make_shared<plan_slot>();
};

} // namespace espalier
