// SPDX-License-Identifier: BSL-1.0
// What examples/mini_compiler gains: one run of its model, interpreted as exported and with its pointwise
// regions in kernels.
#include "main.hpp"

#include "mini_compiler/pipeline.hpp"
#include "models/gated_mlp.hpp"

#include <espalier/exporting/export_program.hpp>
#include <espalier/program/pipeline_unit.hpp>

namespace es = espalier;

namespace {

void run(benchmark::State& state, bool fused) {
  const at::NoGradGuard inference;
  torch::manual_seed(0);
  const models::gated_mlp_options shape;
  models::GatedMLP net(shape);
  const auto [x] = models::example_inputs(shape);
  auto program = es::export_program(net, es::inputs(es::named("x", x)));
  const mini::work_folder folder;
  if (fused)
    mini::compiler(folder.path()).run(program);
  for (auto _ : state)
    benchmark::DoNotOptimize(program(x));
  state.SetItemsProcessed(state.iterations());
}
void fused_gated_mlp(benchmark::State& state) { run(state, true); }
void unfused_gated_mlp(benchmark::State& state) { run(state, false); }

} // namespace

// the elements of the hidden layer
BENCHMARK(fused_gated_mlp)->Arg(1024 * 1024);
BENCHMARK(unfused_gated_mlp)->Arg(1024 * 1024);

int main(int argc, char** argv) { return bench::run(argc, argv); }
