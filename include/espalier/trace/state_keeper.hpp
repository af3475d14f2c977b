// SPDX-License-Identifier: BSL-1.0
// Guards the real tensors of a model while it is traced. `set_data` never reaches the dispatcher: the only
// trace it leaves is in the tensor itself.
#pragma once

#include <espalier/support/error.hpp>
#include <espalier/trace/fake_tensor.hpp>
#include <espalier/trace/interceptor.hpp>
#include <espalier/trace/trace_result.hpp>

#include <ATen/core/Tensor.h>
#include <c10/core/TensorImpl.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace espalier::detail {

/// Finds parameters and buffers whose TensorImpl was given a traced tensor's data (`set_data`), and puts them
/// back, however the trace ends.
class state_keeper {
public:
  explicit state_keeper(std::span<const traced_input> inputs) {
    kept_.reserve(inputs.size());
    for (const auto& in : inputs)
      if (in.real.defined() && !is_fake(in.real))
        kept_.emplace_back(in.real, in.real.unsafeGetTensorImpl()->shallow_copy_and_detach(
                                        in.real.unsafeGetTensorImpl()->version_counter(), true));
  }
  state_keeper(const state_keeper&) = delete;
  state_keeper& operator=(const state_keeper&) = delete;
  ~state_keeper() {
    if (unspoilt_)
      return;
    for (const auto& [t, copy] : kept_)
      if (spoilt(t))
        t.unsafeGetTensorImpl()->shallow_copy_from(copy);
  }
  /// Throws when there are any.
  void check() {
    for (const auto& [t, copy] : kept_)
      if (spoilt(t))
        fail(error_kind::trace,
             "set_data gave a parameter, buffer or input the data of a traced tensor, which no graph can say",
             "the traced call", "write with copy_ under torch::NoGradGuard");
    unspoilt_ = true;
  }

private:
  static bool spoilt(const at::Tensor& t) { return t.key_set().has(interceptor_key); }
  std::vector<std::pair<at::Tensor, c10::intrusive_ptr<c10::TensorImpl>>> kept_;
  bool unspoilt_ = false; // the call is over, and nothing is to be put back
};

/// Notices raw writes (`data_ptr`, accessors) to parameters, buffers and inputs, which no operator tells of:
/// it compares checksums of their memory. For strict traces: it reads all of the model's weights.
class memory_witness {
public:
  explicit memory_witness(std::span<const traced_input> inputs) {
    for (const auto& in : inputs)
      if (in.real.defined() && !is_fake(in.real) && in.real.is_cpu() && in.real.has_storage())
        seen_.push_back({in.real, in.target.empty() ? in.name : in.target, sum(in.real)});
  }
  /// Throws `error` (trace) when one has changed.
  void check() const {
    for (const auto& s : seen_)
      if (sum(s.tensor) != s.before)
        fail(error_kind::trace,
             "the memory of '" + s.name +
                 "' was written by raw pointer (data_ptr, accessor), which no graph can say",
             "the traced call", "write with copy_ or another operator");
  }

private:
  struct witnessed {
    at::Tensor tensor;
    std::string name;
    std::uint64_t before;
  };
  static std::uint64_t sum(const at::Tensor& t) {
    const auto& storage = t.storage();
    const auto* bytes = static_cast<const unsigned char*>(storage.data());
    std::uint64_t h = 0xcbf2'9ce4'8422'2325ull;
    for (std::size_t i = 0; i != storage.nbytes(); ++i)
      h = (h ^ bytes[i]) * 0x100'0000'01b3ull;
    return h;
  }
  std::vector<witnessed> seen_;
};

} // namespace espalier::detail
