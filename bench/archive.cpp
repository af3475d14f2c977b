// SPDX-License-Identifier: BSL-1.0
// Saving and loading a program, from memory to memory: microseconds a node of its graph. The programs are the
// perceptrons of models/mlp.hpp, whose weights are tiny, so that it is the graph that costs.
// `bench_archive --write DIR` writes them as DIR/mlp_LAYERS.pt2 instead: Python is measured on these very
// files (bench/peers/torch_archive.py).
#include "main.hpp"
#include "models/mlp.hpp"

#include <espalier/espalier.hpp>

#include <torch/torch.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <sstream>
#include <string>
#include <string_view>

namespace es = espalier;

namespace {

constexpr std::int64_t layer_counts[] = {16, 128, 1024};

auto exported(std::int64_t layers) {
  bench::Mlp net(layers);
  return es::export_program(net, es::inputs(torch::randn({2, bench::mlp_width})));
}

void per_node(benchmark::State& state, std::size_t nodes, std::size_t bytes) {
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(nodes));
  state.counters["nodes"] = static_cast<double>(nodes);
  state.counters["file_bytes"] = static_cast<double>(bytes);
}

void save_mlp(benchmark::State& state) {
  const auto program = exported(state.range(0));
  std::size_t bytes = 0;
  for (auto _ : state) {
    std::ostringstream to;
    es::save(program, to);
    bytes = static_cast<std::size_t>(to.tellp());
  }
  per_node(state, program.storage().num_nodes(), bytes);
}

void load_mlp(benchmark::State& state) {
  std::ostringstream to;
  es::save(exported(state.range(0)), to);
  const std::string file = to.str();
  std::size_t nodes = 0;
  for (auto _ : state) {
    const auto program = es::load(std::as_bytes(std::span(file)));
    nodes = program.storage().num_nodes();
  }
  per_node(state, nodes, file.size());
}

#define ESPALIER_SIZES                                                                                       \
  Arg(layer_counts[0])->Arg(layer_counts[1])->Arg(layer_counts[2])->Unit(benchmark::kMillisecond)
BENCHMARK(save_mlp)->ESPALIER_SIZES;
BENCHMARK(load_mlp)->ESPALIER_SIZES;

} // namespace

int main(int argc, char** argv) {
  torch::set_num_threads(1);
  if (argc == 3 && std::string_view(argv[1]) == "--write") {
    for (const auto n : layer_counts)
      es::save(exported(n), std::string(argv[2]) + "/mlp_" + std::to_string(n) + ".pt2");
    return 0;
  }
  return bench::run(argc, argv);
}
