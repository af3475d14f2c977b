// SPDX-License-Identifier: BSL-1.0
// Constants of a trace: tensors that are no inputs and hold data. A real tensor that nobody registered is
// lifted with its value of that moment; an `empty` that was filled by raw pointer is one too. Their values
// stay known while no operator writes to them, so that reading one (`item`, `equal`) can be answered.
#pragma once

#include <espalier/bridge/types.hpp>
#include <espalier/ir/storage.hpp>
#include <espalier/support/hash_map.hpp>
#include <espalier/support/vector.hpp>
#include <espalier/trace/fake_factory.hpp>
#include <espalier/trace/fake_tensor.hpp>
#include <espalier/trace/interceptor.hpp>
#include <espalier/trace/place.hpp>
#include <espalier/trace/report.hpp>
#include <espalier/trace/trace_result.hpp>

#include <ATen/Functions.h>
#include <ATen/core/grad_mode.h>

#include <cstdint>
#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <utility>

namespace espalier::detail {

/// The constants of one trace, and the placeholders that stand for them.
class constant_table {
public:
  constant_table(graph_storage& g, fake_factory& fakes, trace_report& report)
      : g_(g), fakes_(fakes), report_(report) {}

  /// The first placeholder that is a user input: constants stand before it.
  void set_first_user_input(node_id n) noexcept { first_user_ = n; }

  /// A copy of a real tensor becomes a constant; gives its fake. `literal`: the traced call made it. Throws
  /// `error` (trace) for an inference tensor.
  template <class = when_used>
  at::Tensor lift(const at::Tensor& t, bool literal) {
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
    return literal ? add_fresh(std::move(value))
                   : add(std::move(value), note_kind::lifted_constant,
                         "a tensor that is neither an input nor registered became a constant");
  }
  /// A tensor that the traced call makes and fills itself: each run has one of its own.
  template <class = when_used>
  at::Tensor add_fresh(at::Tensor value) {
    at::Tensor fake =
        add(std::move(value), note_kind::raw_write,
            "a tensor that was filled by raw pointer (torch::tensor, accessor) became a constant");
    const auto& who = fake_of(fake)->identity();
    fresh_[who.memory] = {who.value, false};
    return fake;
  }

  /// The value of a fake; null when a trace cannot know it.
  template <class = when_used>
  const at::Tensor* value_of(const fake_tensor_impl& f) const {
    const auto c = values_.find(f.identity().value.index);
    return c == values_.end() || written_.contains(f.identity().memory) ? nullptr : &c->second;
  }
  /// `result` has this value from now on.
  template <class = when_used>
  void set_value(const fake_tensor_impl& result, at::Tensor value) {
    values_[result.identity().value.index] = std::move(value);
  }
  /// An operator writes to this fake. Gives the constant that is changed by it, if it is one's memory.
  template <class = when_used>
  const std::string* wrote(const fake_tensor_impl& f) {
    written_.insert(f.identity().memory);
    if (const auto fresh = fresh_.find(f.identity().memory); fresh != fresh_.end()) {
      fresh->second.written = true;
      return nullptr;
    }
    const auto c = by_memory_.find(f.identity().memory);
    return c == by_memory_.end() ? nullptr : &c->second;
  }

  /// Gives each run its own copy of the fresh constants that the program writes to (`aten.lift_fresh_copy`,
  /// as Python's tracer does).
  template <class = when_used>
  void copy_written() {
    static const op_id copy = *find_op("aten::lift_fresh_copy");
    for (const auto& [memory, c] : fresh_) {
      if (!c.written)
        continue;
      const auto before = g_.current_insertion_point();
      g_.set_insertion_point({g_.next(g_.last_placeholder())});
      const argument a[] = {argument(c.value)};
      const node_id n = g_.call(copy, a, 1);
      g_.set_insertion_point(before);
      g_.set_meta(g_.result(n), g_.meta_of(c.value));
      g_.replace_all_uses(c.value, g_.result(n));
      g_.set_args(n, a);
    }
  }

  vector<lifted_constant>& all() noexcept { return constants_; }
  const vector<std::pair<node_id, std::string>>& placeholders() const noexcept { return placeholders_; }

private:
  template <class = when_used>
  at::Tensor add(at::Tensor value, note_kind why, const char* cause) {
    const std::string target = "lifted_tensor_" + std::to_string(constants_.size());
    const node_id n = g_.placeholder(input_kind::constant_tensor, "c_" + target);
    if (first_user_.valid())
      g_.move_before(n, first_user_);
    placeholders_.emplace_back(n, target);
    tensor_meta m = meta_of(value);
    m.requires_grad = false;
    const value_id v = g_.result(n);
    g_.set_meta(v, value_meta(m));
    at::Tensor fake = fakes_.result(std::move(m), v);
    by_memory_[fake_of(fake)->identity().memory] = target;
    values_[v.index] = value;
    constants_.push_back({target, std::move(value)});
    report_.notes.push_back({why, std::string(cause) + " ('" + target + "')", user_place(capture_stack()),
                             "pass it as an input, or register it, if it should not be one"});
    return fake;
  }

  struct fresh_constant {
    value_id value;
    bool written = false;
  };
  graph_storage& g_;
  fake_factory& fakes_;
  trace_report& report_;
  node_id first_user_{};
  vector<lifted_constant> constants_;
  vector<std::pair<node_id, std::string>> placeholders_;
  hash_map<std::uint32_t, at::Tensor> values_;     // by value
  hash_map<std::uint32_t, std::string> by_memory_; // their names
  std::map<std::uint32_t, fresh_constant> fresh_;  // by memory, in order
  hash_set<std::uint32_t> written_;                // by memory
};

/// What `empty` gave and nobody has used yet. It has memory filled with a pattern, so that writes by raw
/// pointer, which no operator tells of, can be seen when it is first used.
class raw_memory {
public:
  /// An `empty` with memory behind it; nothing when it is too large or on another device.
  template <class = when_used>
  std::optional<at::Tensor> make(const tensor_meta& m, fake_identity who, node_id n) {
    const auto bytes = static_cast<std::size_t>(m.numel().as_int()) * element_size(m.dtype);
    if (m.dev.type != 0 || bytes == 0 || bytes > limit)
      return std::nullopt;
    at::Tensor memory;
    {
      below_interceptor_guard below;
      memory = at::empty({static_cast<std::int64_t>(bytes)}, at::kByte);
    }
    std::memset(memory.data_ptr(), pattern, bytes);
    at::Tensor t = at::detail::make_tensor<fake_tensor_impl>(m, who, memory.storage());
    pending_[t.unsafeGetTensorImpl()] = {n, bytes};
    return t;
  }
  /// The first use of a fake that may be one of ours: gives its value if raw writes filled it. From now on
  /// raw access to it throws.
  template <class = when_used>
  std::optional<at::Tensor> settle(const at::Tensor& t) {
    const auto p = pending_.find(t.unsafeGetTensorImpl());
    if (p == pending_.end())
      return std::nullopt;
    const pending_empty one = p->second;
    pending_.erase(t.unsafeGetTensorImpl());
    fake_tensor_impl* f = fake_of(t);
    const auto* bytes = static_cast<const unsigned char*>(f->storage().data());
    bool untouched = true;
    for (std::size_t i = 0; i != one.bytes && untouched; ++i)
      untouched = bytes[i] == pattern;
    std::optional<at::Tensor> value;
    if (!untouched) {
      below_interceptor_guard below;
      value = at::empty(to_int_vector(f->meta().sizes), at::TensorOptions().dtype(to_c10(f->meta().dtype)));
      std::memcpy(value->data_ptr(), bytes, one.bytes);
      replaced_.push_back(one.node);
    }
    f->drop_storage();
    return value;
  }
  /// The `empty` nodes that became constants: what is left of them has no use.
  const vector<node_id>& replaced() const noexcept { return replaced_; }

private:
  struct pending_empty {
    node_id node;
    std::size_t bytes = 0;
  };
  static constexpr unsigned char pattern = 0xa5;
  static constexpr std::size_t limit = std::size_t{64} << 20;
  hash_map<c10::TensorImpl*, pending_empty> pending_;
  vector<node_id> replaced_;
};

} // namespace espalier::detail
