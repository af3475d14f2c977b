// SPDX-License-Identifier: BSL-1.0
// A shared object that traces, and that is built so as to share nothing with its host by the linker: hidden
// visibility, no unique symbols, its own definitions first.
#include "tracing_plugin.hpp"

#include <espalier/exporting/export_program.hpp>
#include <espalier/ir/view.hpp>
#include <espalier/trace/tracer.hpp>

#include <ATen/Functions.h>
#include <torch/nn/modules/linear.h>

namespace es = espalier;

#define PLUGIN_API extern "C" __attribute__((visibility("default")))

PLUGIN_API void plugin_compute(const at::Tensor& x, at::Tensor& out) {
  const es::scope here("plugin");
  out = at::relu(at::mul(x, x));
}
PLUGIN_API void plugin_trace(tensor_function f, const at::Tensor& example, std::vector<std::string>& ops) {
  const es::vector<es::traced_input> inputs{{example, "x", es::input_kind::user_input, ""}};
  const auto r = es::trace(
      inputs, [&](const std::vector<at::Tensor>& fakes) { return std::vector<c10::IValue>{f(fakes[0])}; });
  for (es::node n : es::nodes(r.graph))
    if (n.is_call())
      ops.emplace_back(es::name_of(n.op()));
}
PLUGIN_API void plugin_export(const at::Tensor& example, std::optional<plugin_program>& program,
                              at::Tensor& eager) {
  torch::nn::Linear net(example.size(1), 3);
  eager = net->forward(example);
  program = es::export_program(net, es::inputs(es::named("x", example)));
}
PLUGIN_API void* plugin_mode_slot() {
  es::ensure_interceptor();
  return &es::detail::mode_slot();
}
