// SPDX-License-Identifier: BSL-1.0
// Notices raw writes (`data_ptr`, accessors) to parameters, buffers and inputs while a model is traced. No
// operator tells of them: the only trace that they leave is in the memory itself.
#pragma once

#include <espalier/support/error.hpp>
#include <espalier/support/span.hpp>
#include <espalier/support/vector.hpp>
#include <espalier/trace/fake_tensor.hpp>
#include <espalier/trace/place.hpp>
#include <espalier/trace/trace_result.hpp>

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <string>

namespace espalier::detail {

/// Compares checksums of the memory of all real inputs: at the end, and so often between two recorded calls
/// that a call costs no more than a mebibyte of checksums, which tells where the write was. For strict
/// traces.
class memory_witness {
public:
  template <class = when_used>
  explicit memory_witness(span<const traced_input> inputs) {
    std::size_t bytes = 0;
    for (const auto& in : inputs)
      if (in.real.defined() && !is_fake(in.real) && in.real.is_cpu() && in.real.has_storage()) {
        seen_.push_back({in.real, in.target.empty() ? in.name : in.target, sum(in.real)});
        bytes += in.real.storage().nbytes();
      }
    calls_between_ = 1 + (bytes >> 20);
  }
  /// The model is about to call an operator.
  template <class = when_used>
  void at_call() {
    if (changed_ || ++calls_ % calls_between_)
      return;
    look();
    (changed_ ? after_ : before_) = capture_stack();
  }
  /// Throws `error` (trace) when an input has changed.
  template <class = when_used>
  void check() {
    look();
    if (changed_)
      fail(error_kind::trace,
           "the memory of '" + changed_->name +
               "' was written by raw pointer (data_ptr, accessor), which no graph can say",
           place(), "write with copy_ or another operator");
  }

private:
  struct witnessed {
    at::Tensor tensor;
    std::string name;
    std::uint64_t sum;
  };
  template <class = when_used>
  void look() {
    for (const auto& s : seen_)
      if (!changed_ && sum(s.tensor) != s.sum)
        changed_ = &s;
  }
  /// The write was between two calls, or at one end of the traced call.
  template <class = when_used>
  std::string place() const {
    const std::string before = user_place(before_), after = user_place(after_);
    if (before.empty() && after.empty())
      return "the traced call";
    if (before.empty() || before == after)
      return "before " + after;
    return after.empty() ? "after " + before : "between " + before + " and " + after;
  }
  template <class = when_used>
  static std::uint64_t sum(const at::Tensor& t) {
    const auto& storage = t.storage();
    const auto* bytes = static_cast<const unsigned char*>(storage.data());
    std::uint64_t h = 0xcbf2'9ce4'8422'2325ull;
    for (std::size_t i = 0; i != storage.nbytes(); ++i)
      h = (h ^ bytes[i]) * 0x100'0000'01b3ull;
    return h;
  }
  vector<witnessed> seen_;
  const witnessed* changed_ = nullptr;
  std::size_t calls_ = 0, calls_between_ = 1;
  stack_addresses before_, after_; // of the last call before the write, and of the first one after it
};

} // namespace espalier::detail
