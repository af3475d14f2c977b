// SPDX-License-Identifier: BSL-1.0
// Passes: nanoseconds a node of the graph they are given. `dead`: every call is unused once the output reads
// the placeholder. `twice`: every call stands there twice.
#include "chain.hpp"
#include "main.hpp"

#include <espalier/passes/cse.hpp>
#include <espalier/passes/dce.hpp>

#include <cstddef>
#include <cstdint>

namespace es = espalier;

namespace {

/// Runs `Pass` on a fresh copy of `g` each time; fails when it does not erase what it should.
template <class Pass>
void on_copies(benchmark::State& state, const es::graph_storage& g, std::size_t erased) {
  for (auto _ : state) {
    state.PauseTiming();
    es::graph_storage copy = g;
    state.ResumeTiming();
    const auto done = Pass::run(copy);
    if (done.erased != erased)
      state.SkipWithError("the pass erased another number of nodes than expected");
    state.PauseTiming();
    copy = es::graph_storage{};
    state.ResumeTiming();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(g.num_nodes()));
}

void dce_nothing(benchmark::State& state) {
  const auto g = bench::chain(state.range(0));
  on_copies<es::dce>(state, g, 0);
}

void dce_dead(benchmark::State& state) {
  auto g = bench::chain(state.range(0));
  for (es::node n : es::nodes_reversed(g))
    if (n.kind() == es::node_kind::output)
      g.replace_all_uses((*n.operands().begin()).id(), g.result(g.first(), 0));
  on_copies<es::dce>(state, g, static_cast<std::size_t>(state.range(0)));
}

void cse_nothing(benchmark::State& state) {
  const auto g = bench::chain(state.range(0));
  on_copies<es::cse>(state, g, 0);
}

void cse_twice(benchmark::State& state) {
  es::graph<es::aten_ir> g;
  const auto x = g.placeholder("x", es::make_meta(es::scalar_type::f32, {2, 3}));
  const auto meta = g.meta_of(x.id());
  es::value a = x, b = x;
  for (std::int64_t i = 0; i != state.range(0) / 2; ++i) {
    const auto u = g.call<es::aten::add_Tensor>(a, x), v = g.call<es::aten::add_Tensor>(b, x);
    g.set_meta(u.id(), meta);
    g.set_meta(v.id(), meta);
    a = u;
    b = v;
  }
  g.output(g.call<es::aten::mul_Tensor>(a, b));
  on_copies<es::cse>(state, g, static_cast<std::size_t>(state.range(0) / 2));
}

#define ESPALIER_SIZES Arg(1'000)->Arg(100'000)->Arg(1'000'000)->Unit(benchmark::kMillisecond)
BENCHMARK(dce_nothing)->ESPALIER_SIZES;
BENCHMARK(dce_dead)->ESPALIER_SIZES;
BENCHMARK(cse_nothing)->ESPALIER_SIZES;
BENCHMARK(cse_twice)->ESPALIER_SIZES;

} // namespace

int main(int argc, char** argv) { return bench::run(argc, argv); }
