// SPDX-License-Identifier: BSL-1.0
// The tracer: runs a function once with fakes for its inputs and gives the graph of the operators it called,
// above autograd. Pre-dispatch capture as `make_fx(pre_dispatch=True)` does it for `torch.export`, without
// Python and without data.
#pragma once

#include <espalier/ir/hash.hpp>
#include <espalier/support/span.hpp>
#include <espalier/support/vector.hpp>
#include <espalier/trace/interceptor.hpp>
#include <espalier/trace/memory_witness.hpp>
#include <espalier/trace/place.hpp>
#include <espalier/trace/recorder.hpp>
#include <espalier/trace/scope.hpp>
#include <espalier/trace/trace_result.hpp>

#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>
#include <c10/util/Exception.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace espalier {

/// The function to trace. It gets a fake for each user input (undefined for literals) and the state as it was
/// given, for a model holds its parameters and buffers itself; it returns its flat outputs.
using traced_function = std::function<std::vector<c10::IValue>(const std::vector<at::Tensor>&)>;

namespace detail {

/// A raw access to a fake, in LibTorch's words.
template <class = when_used>
bool is_raw_access(const c10::Error& e) noexcept {
  const std::string_view what = e.what_without_backtrace();
  return what.starts_with("Cannot access data pointer of Tensor that doesn't have storage") ||
         what.starts_with("Cannot access storage of espalier::fake_tensor_impl");
}
template <class = when_used>
std::string place_or_call(const stack_addresses& stack) {
  std::string place = user_place(stack);
  return place.empty() ? "the traced call" : place;
}
template <class = when_used>
[[noreturn]] ESPALIER_COLD void refuse_raw_access(const c10::Error& e) {
  stack_addresses stack;
  if (const auto& text = e.backtrace())
    stack = addresses_in(text->get());
  fail(error_kind::trace,
       "the memory of a traced tensor is read or written by raw pointer (data_ptr, accessor, storage), but a "
       "trace has no data",
       place_or_call(stack),
       "compute with operators, or make the tensor before the call and pass it as an input");
}

} // namespace detail

/// Records what `f` calls. Throws `error` (trace) when it does something that no graph can say truly, with
/// the user's place and the cure; whatever `f` throws comes through, and no trace mode is left behind.
template <class = when_used>
trace_result trace(span<const traced_input> inputs, const traced_function& f,
                   const trace_options& options = {}) {
  vector<stack_addresses> stacks; // of the calls of a strict trace, by node
  const auto once = [&](detail::memory_witness* memory = nullptr) {
    detail::recorder<> t(options, memory);
    std::vector<c10::IValue> outputs;
    const auto fakes = t.bind(inputs);
    try {
      mode_guard on(t);
      outputs = f(fakes);
    } catch (const c10::Error& e) {
      if (!detail::is_raw_access(e))
        throw;
      detail::refuse_raw_access(e);
    }
    trace_result r = t.finish(outputs);
    stacks = t.stacks();
    return r;
  };
  if (!options.strict)
    return once();
  detail::memory_witness memory(inputs);
  trace_result r = once(&memory);
  const trace_result again = once(&memory);
  if (const auto n = first_difference(r.graph, again.graph)) {
    const bool known = n->valid() && n->index < stacks.size();
    fail(error_kind::trace,
         "two traces of the same call differ" +
             (n->valid() && again.graph.op(*n).valid() ? " at " + std::string(name_of(again.graph.op(*n)))
                                                       : "") +
             ": the model depends on something besides its inputs and its state",
         detail::place_or_call(known ? stacks[n->index] : stack_addresses{}),
         "make std::rand, clocks and counters inputs, or remove them");
  }
  memory.check();
  return r;
}

} // namespace espalier
