// SPDX-License-Identifier: BSL-1.0
// Saving and loading a program. From memory to memory, microseconds a node of its graph: the perceptrons of
// models/mlp.hpp, whose weights are tiny, so that it is the graph that costs. To and from a file,
// microseconds a program: two calls and one weight of so many MiB. `bench_archive --write DIR` writes them as
// DIR/mlp_LAYERS.pt2 and DIR/weight_MIB.pt2 instead: Python is measured on these very files
// (bench/peers/torch_archive.py).
#include "bandwidth.hpp"
#include "main.hpp"
#include "models/mlp.hpp"

#include <espalier/espalier.hpp>

#include <torch/torch.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
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

constexpr std::int64_t weight_mib[] = {1, 256};

struct OneWeightImpl : torch::nn::Module {
  explicit OneWeightImpl(std::int64_t mib) {
    weight = register_parameter("weight", torch::ones({mib << 18})); // four bytes each
  }
  torch::Tensor forward(torch::Tensor x) { return x + weight.select(0, 0); }
  torch::Tensor weight;
};
TORCH_MODULE(OneWeight);

auto exported_weight(std::int64_t mib) {
  OneWeight net(mib);
  return es::export_program(net, es::inputs(torch::randn({2})));
}

/// A file for one benchmark, gone with it.
class scratch_file {
public:
  scratch_file() : path_(std::filesystem::temp_directory_path() / "espalier_bench_archive.pt2") {}
  scratch_file(const scratch_file&) = delete;
  scratch_file& operator=(const scratch_file&) = delete;
  ~scratch_file() { std::remove(path_.c_str()); }
  const std::string& path() const noexcept { return path_; }

private:
  std::string path_;
};

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

void save_weight(benchmark::State& state) {
  const auto program = exported_weight(state.range(0));
  const scratch_file file;
  for (auto _ : state)
    es::save(program, file.path());
  state.SetItemsProcessed(state.iterations());
  bench::touches(state, 2.0 * static_cast<double>(state.range(0) << 20));
}

/// Maps the weight, and reads it to compare its checksum.
void load_weight(benchmark::State& state) {
  const scratch_file file;
  es::save(exported_weight(state.range(0)), file.path());
  for (auto _ : state) {
    auto program = es::load(file.path());
    benchmark::DoNotOptimize(program);
  }
  state.SetItemsProcessed(state.iterations());
  bench::touches(state, static_cast<double>(state.range(0) << 20));
}
/// The weight is in the file, and stays there until somebody reads it.
void load_weight_unread(benchmark::State& state) {
  const scratch_file file;
  es::save(exported_weight(state.range(0)), file.path());
  for (auto _ : state) {
    auto program = es::load(file.path(), {.checksums = false});
    benchmark::DoNotOptimize(program);
  }
  state.SetItemsProcessed(state.iterations());
}

#define ESPALIER_SIZES                                                                                       \
  Arg(layer_counts[0])->Arg(layer_counts[1])->Arg(layer_counts[2])->Unit(benchmark::kMillisecond)
BENCHMARK(save_mlp)->ESPALIER_SIZES;
BENCHMARK(load_mlp)->ESPALIER_SIZES;
BENCHMARK(save_weight)->Arg(weight_mib[0])->Arg(weight_mib[1])->Unit(benchmark::kMillisecond);
BENCHMARK(load_weight)->Arg(weight_mib[0])->Arg(weight_mib[1])->Unit(benchmark::kMillisecond);
BENCHMARK(load_weight_unread)->Arg(weight_mib[0])->Arg(weight_mib[1])->Unit(benchmark::kMillisecond);
BENCHMARK(bench::copy_bandwidth)->Name("copy_bandwidth")->Unit(benchmark::kMillisecond);

} // namespace

int main(int argc, char** argv) {
  torch::set_num_threads(1);
  if (argc == 3 && std::string_view(argv[1]) == "--write") {
    for (const auto n : layer_counts)
      es::save(exported(n), std::string(argv[2]) + "/mlp_" + std::to_string(n) + ".pt2");
    for (const auto n : weight_mib)
      es::save(exported_weight(n), std::string(argv[2]) + "/weight_" + std::to_string(n) + ".pt2");
    return 0;
  }
  return bench::run(argc, argv);
}
