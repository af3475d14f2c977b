// SPDX-License-Identifier: BSL-1.0
// Building, iterating, cloning and erasing graphs: nanoseconds and bytes a node, from 1e3 to 1e7 nodes.
#include <espalier/ir/graph.hpp>
#include <espalier/schema/aten.hpp>

#include <benchmark/benchmark.h>

#include <cstdint>
#include <malloc.h>
#include <vector>

namespace es = espalier;

namespace {

/// A chain of adds, each also using a node some way back: two operands, one result, equal metadata.
es::graph<es::aten_ir> chain(std::int64_t n) {
  es::graph<es::aten_ir> g;
  g.reserve(static_cast<std::size_t>(n) + 2, static_cast<std::size_t>(n) * 2 + 2);
  const auto x = g.placeholder("x", es::make_meta(es::scalar_type::f32, {2, 3}));
  const auto meta = g.meta_of(x.id());
  es::value prev = x, back = x;
  for (std::int64_t i = 0; i != n; ++i) {
    const auto y = g.call<es::aten::add_Tensor>(prev, back);
    g.set_meta(y.id(), meta);
    if (i % 7 == 0)
      back = prev;
    prev = y;
  }
  g.output(prev);
  return g;
}

void per_node(benchmark::State& state) { state.SetItemsProcessed(state.iterations() * state.range(0)); }

void graph_create(benchmark::State& state) {
  std::size_t bytes = 0;
  for (auto _ : state) {
    auto g = chain(state.range(0));
    bytes = g.bytes();
    benchmark::DoNotOptimize(g);
  }
  per_node(state);
  state.counters["bytes_per_node"] = static_cast<double>(bytes) / static_cast<double>(state.range(0));
}

void graph_iterate(benchmark::State& state) {
  const auto g = chain(state.range(0));
  for (auto _ : state) {
    std::uint64_t sum = 0;
    for (es::node n : es::nodes(g))
      sum += n.id().index;
    benchmark::DoNotOptimize(sum);
  }
  per_node(state);
}

void graph_operands(benchmark::State& state) {
  const auto g = chain(state.range(0));
  for (auto _ : state) {
    std::uint64_t sum = 0;
    for (es::node n : es::nodes(g))
      for (es::value v : n.operands())
        sum += v.id().index;
    benchmark::DoNotOptimize(sum);
  }
  per_node(state);
}

void graph_clone(benchmark::State& state) {
  const auto g = chain(state.range(0));
  for (auto _ : state) {
    auto copy = g;
    benchmark::DoNotOptimize(copy);
  }
  per_node(state);
}

void graph_erase(benchmark::State& state) {
  const auto g = chain(state.range(0));
  for (auto _ : state) {
    state.PauseTiming();
    auto copy = g;
    state.ResumeTiming();
    for (es::node n : es::nodes_reversed(copy))
      if (n.kind() != es::node_kind::placeholder)
        copy.erase(n);
    benchmark::DoNotOptimize(copy);
  }
  per_node(state);
}

#define ESPALIER_SIZES RangeMultiplier(100)->Range(1'000, 10'000'000)->Unit(benchmark::kMillisecond)
BENCHMARK(graph_create)->ESPALIER_SIZES;
BENCHMARK(graph_iterate)->ESPALIER_SIZES;
BENCHMARK(graph_operands)->ESPALIER_SIZES;
BENCHMARK(graph_clone)->ESPALIER_SIZES;
BENCHMARK(graph_erase)->ESPALIER_SIZES;

} // namespace

int main(int argc, char** argv) {
  // Freed memory stays with the process: what is measured is the graph, not the first touch of fresh pages.
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, -1);
  mallopt(M_TOP_PAD, 256 << 20);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv))
    return 1;
  benchmark::RunSpecifiedBenchmarks();
}
