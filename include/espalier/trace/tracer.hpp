// SPDX-License-Identifier: BSL-1.0
// The tracer: runs a function once with fakes for its inputs and gives the graph of the operators it called,
// above autograd. Pre-dispatch capture as `make_fx(pre_dispatch=True)` does it for `torch.export`, without
// Python and without data.
#pragma once

#include <espalier/ir/hash.hpp>
#include <espalier/trace/interceptor.hpp>
#include <espalier/trace/recorder.hpp>
#include <espalier/trace/scope.hpp>
#include <espalier/trace/state_keeper.hpp>
#include <espalier/trace/trace_result.hpp>

#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>
#include <c10/util/Exception.h>

#include <functional>
#include <span>
#include <string_view>
#include <vector>

namespace espalier {

/// The function to trace: it gets a fake for each input (undefined for literals) and returns its flat
/// outputs.
using traced_function = std::function<std::vector<c10::IValue>(const std::vector<at::Tensor>&)>;

/// Records what `f` calls. Throws `error` (trace) when it does something that no graph can say truly, with
/// the user's place and the cure; whatever `f` throws comes through, and no trace mode is left behind.
inline trace_result trace(std::span<const traced_input> inputs, const traced_function& f,
                          const trace_options& options = {}) {
  const auto once = [&] {
    detail::recorder t(options);
    std::vector<c10::IValue> outputs;
    const auto fakes = t.bind(inputs);
    detail::state_keeper state(inputs);
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
  if (!options.strict)
    return once();
  const detail::memory_witness memory(inputs);
  trace_result r = once();
  if (!structurally_equal(r.graph, once().graph))
    fail(error_kind::trace,
         "two traces of the same call differ: the model depends on something besides its inputs and its "
         "state",
         "trace", "make std::rand, clocks and counters inputs, or remove them");
  memory.check();
  return r;
}

} // namespace espalier
