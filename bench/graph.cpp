// SPDX-License-Identifier: BSL-1.0
// Building, iterating, cloning and erasing graphs: nanoseconds and bytes a node, from 1e3 to 1e7 nodes.
#include "bandwidth.hpp"
#include "chain.hpp"
#include "main.hpp"

#include <cstddef>
#include <cstdint>

namespace es = espalier;

namespace {

void per_node(benchmark::State& state, double touched_bytes) {
  state.SetItemsProcessed(state.iterations() * state.range(0));
  bench::touches(state, touched_bytes);
}

// What a node takes: a record, links, an order number, a value and two argument slots.
constexpr double record = 36, links = 8, order = 4, value = 16, slots = 32;
constexpr double all = record + links + order + value + slots;

void graph_create(benchmark::State& state) {
  std::size_t bytes = 0;
  for (auto _ : state) {
    auto g = bench::chain(state.range(0));
    bytes = g.bytes();
    benchmark::DoNotOptimize(g);
  }
  per_node(state, all);
  state.counters["bytes_per_node"] = static_cast<double>(bytes) / static_cast<double>(state.range(0));
}

void graph_iterate(benchmark::State& state) {
  const auto g = bench::chain(state.range(0));
  for (auto _ : state) {
    std::uint64_t sum = 0;
    for (es::node n : es::nodes(g))
      sum += n.id().index;
    benchmark::DoNotOptimize(sum);
  }
  per_node(state, links);
}

void graph_operands(benchmark::State& state) {
  const auto g = bench::chain(state.range(0));
  for (auto _ : state) {
    std::uint64_t sum = 0;
    for (es::node n : es::nodes(g))
      for (es::value v : n.operands())
        sum += v.id().index;
    benchmark::DoNotOptimize(sum);
  }
  per_node(state, record + links + slots);
}

void graph_clone(benchmark::State& state) {
  const auto g = bench::chain(state.range(0));
  for (auto _ : state) {
    auto copy = g;
    benchmark::DoNotOptimize(copy);
  }
  per_node(state, 2 * all);
}

void graph_erase(benchmark::State& state) {
  const auto g = bench::chain(state.range(0));
  for (auto _ : state) {
    state.PauseTiming();
    auto copy = g;
    state.ResumeTiming();
    for (es::node n : es::nodes_reversed(copy))
      if (n.kind() != es::node_kind::placeholder)
        copy.erase(n);
    benchmark::DoNotOptimize(copy);
  }
  per_node(state, all);
}

#define ESPALIER_SIZES                                                                                       \
  Arg(1'000)->Arg(100'000)->Arg(1'000'000)->Arg(10'000'000)->Unit(benchmark::kMillisecond)
BENCHMARK(bench::copy_bandwidth)->Name("copy_bandwidth")->Unit(benchmark::kMillisecond);
BENCHMARK(graph_create)->ESPALIER_SIZES;
BENCHMARK(graph_iterate)->ESPALIER_SIZES;
BENCHMARK(graph_operands)->ESPALIER_SIZES;
BENCHMARK(graph_clone)->ESPALIER_SIZES;
BENCHMARK(graph_erase)->ESPALIER_SIZES;

} // namespace

int main(int argc, char** argv) { return bench::run(argc, argv); }
