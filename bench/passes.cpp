// SPDX-License-Identifier: BSL-1.0
// Passes, nanoseconds a node of the graph they are given: PASS_GRAPH/NODES on the graphs of bench/dag.hpp, of
// which each run gets a fresh copy. `bench_passes --write DIR` writes those graphs as DIR/GRAPH_NODES.dag
// instead: the Python peers are measured on these very files.
#include "bandwidth.hpp"
#include "dag.hpp"
#include "fifty_rules.hpp"
#include "main.hpp"

#include <espalier/ir/diff.hpp>
#include <espalier/ir/graph.hpp>
#include <espalier/ir/hash.hpp>
#include <espalier/ir/print.hpp>
#include <espalier/ir/verify.hpp>
#include <espalier/passes/canonicalize.hpp>
#include <espalier/passes/cse.hpp>
#include <espalier/passes/dce.hpp>
#include <espalier/passes/hoist.hpp>
#include <espalier/passes/sink.hpp>
#include <espalier/passes/sort.hpp>
#include <espalier/passes/split.hpp>
#include <espalier/pipeline/pipeline.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace es = espalier;

namespace {

using storage = es::graph_storage;

storage build(const bench::dag& d) {
  namespace aten = es::aten;
  const es::op_id ops[] = {
      es::id_of<aten::full>(),       es::id_of<aten::add_Tensor>(), es::id_of<aten::sub_Tensor>(),
      es::id_of<aten::mul_Tensor>(), es::id_of<aten::maximum>(),    es::id_of<aten::minimum>(),
      es::id_of<aten::neg>(),        es::id_of<aten::abs>(),        es::id_of<aten::exp>(),
      es::id_of<aten::tanh>(),       es::id_of<aten::sin>(),        es::id_of<aten::cos>(),
      es::id_of<aten::sqrt>(),       es::id_of<aten::erf>(),        es::id_of<aten::relu>(),
      es::id_of<aten::floor>(),      es::id_of<aten::ceil>(),       es::id_of<aten::round>(),
      es::id_of<aten::sign>(),       es::id_of<aten::trunc>(),      es::id_of<aten::sigmoid>(),
      es::id_of<aten::log>()};
  static_assert(std::size(ops) == std::size(bench::dag_names));
  storage g;
  g.reserve(d.inputs + d.nodes.size() + 1, d.nodes.size() * 2 + d.outputs.size() + 2);
  const auto meta = g.intern_meta(es::make_meta(es::scalar_type::f32, {2, 3}));
  es::vector<es::value_id> values;
  values.reserve(d.inputs + d.nodes.size());
  for (std::uint32_t i = 0; i != d.inputs; ++i)
    values.push_back(g.result(g.placeholder(es::input_kind::user_input, "x" + std::to_string(i), meta)));
  const es::argument sizes[] = {2, 3};
  for (std::size_t i = 0; i != d.nodes.size(); ++i) {
    const auto& n = d.nodes[i];
    es::argument args[2];
    const auto count = static_cast<std::size_t>(bench::arity(n.op));
    if (count == 0) {
      args[0] = es::argument(es::span(sizes));
      args[1] = 1.0;
    } else {
      args[0] = values[n.a];
      args[1] = count == 2 ? es::argument(values[n.b]) : es::argument();
    }
    const auto made = g.call(ops[static_cast<std::size_t>(n.op)], args, 1);
    g.set_meta(g.result(made), meta);
    g.set_origin(made, "stack_trace", "model.py:" + std::to_string(i % bench::dag_lines));
    values.push_back(g.result(made));
  }
  es::vector<es::argument> out;
  for (auto v : d.outputs)
    out.push_back(values[v]);
  g.output(out);
  return g;
}

void per_node(benchmark::State& state, const storage& g) {
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(g.num_nodes()));
}
/// What a pass left to do: calls but for those that make a constant, which peers hold outside of graphs.
double calls_left(const storage& g) {
  std::size_t n = 0;
  for (es::node_id at = g.first(); at.valid(); at = g.next(at))
    n += g.kind(at) == es::node_kind::call_function && g.op(at) != es::id_of<es::aten::full>();
  return static_cast<double>(n);
}
/// `work(copy)` on fresh copies of graphs. Fails when it does not give the same as the first time.
template <class F>
void on_copies(benchmark::State& state, const std::vector<storage>& graphs, F work) {
  std::vector<storage> copies = graphs;
  std::vector<es::pass_result> expected;
  double left = 0;
  std::size_t nodes = 0;
  for (auto& g : copies) {
    nodes += g.num_nodes();
    expected.push_back(work(g));
    left += calls_left(g);
  }
  state.counters["calls_left"] = left / static_cast<double>(graphs.size());
  copies.clear();
  for (auto _ : state) {
    state.PauseTiming();
    copies = graphs;
    state.ResumeTiming();
    for (std::size_t i = 0; i != copies.size(); ++i)
      if (work(copies[i]) != expected[i])
        state.SkipWithError("the same work on the same graph gave another result");
    state.PauseTiming();
    copies.clear();
    state.ResumeTiming();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(nodes));
}
/// Of one graph: small ones several at a time, so that stopping the clock does not count.
template <class F>
void on_copies(benchmark::State& state, const storage& g, F work) {
  on_copies(state, std::vector<storage>(std::max<std::size_t>(1, 10'000 / g.num_nodes()), g), work);
}
template <class Pass>
es::pass_result run(storage& g) {
  if constexpr (requires(es::pass_context & c) { Pass::run(g, c); }) {
    es::pass_context c;
    return Pass::run(g, c);
  } else {
    return Pass::run(g);
  }
}
es::pass_result run_fifty(storage& g) {
  es::pass_context c;
  return es::rewrite_greedily(g, c, bench::fifty_rules);
}
es::pass_result run_cse_dce(storage& g) {
  es::pass_result done = es::cse::run(g);
  done += es::dce::run(g);
  return done;
}
es::pass_result run_split(storage& g) {
  es::pass_context c;
  return es::split(es::calls_to<es::aten::add_Tensor>{}).run(g, c);
}

/// `work` alone, on a graph that stays as it is.
template <class F>
void on_one(benchmark::State& state, const storage& g, F work) {
  for (auto _ : state)
    benchmark::DoNotOptimize(work(g));
  per_node(state, g);
}

/// B6: a thousand local edits, each of which puts a call behind a node and lets its users use that;
/// nanoseconds an edit.
void edit(benchmark::State& state) {
  const storage g = build(bench::dags::chain(static_cast<std::uint32_t>(state.range(0))));
  constexpr std::uint32_t edits = 1'000;
  for (auto _ : state) {
    state.PauseTiming();
    auto copy = std::make_unique<storage>(g);
    bench::dag_random r(3);
    state.ResumeTiming();
    for (std::uint32_t i = 0; i != edits; ++i) {
      const es::node_id n{1 + r.below(static_cast<std::uint32_t>(state.range(0)))};
      const es::value_id v = copy->result(n);
      copy->set_insertion_point({copy->next(n)});
      const es::argument arg[] = {v};
      const es::node_id made = copy->call(es::id_of<es::aten::neg>(), arg, 1);
      copy->set_meta(copy->result(made), copy->meta_of(v));
      copy->replace_all_uses(v, copy->result(made));
      copy->set_operand(copy->arg_slot(made, 0), v);
    }
    state.PauseTiming();
    copy.reset();
    state.ResumeTiming();
  }
  state.SetItemsProcessed(state.iterations() * edits);
}

/// B10: two graphs of 100,000 nodes, of which the second differs in so many.
void diff_edits(benchmark::State& state) {
  const storage g = build(bench::dags::chain(100'000));
  storage changed = g;
  const auto apart = static_cast<std::uint32_t>(100'000 / state.range(0));
  for (std::uint32_t i = 0; i != static_cast<std::uint32_t>(state.range(0)); ++i)
    changed.set_op(es::node_id{1 + apart * i + apart / 2}, es::id_of<es::aten::div_Tensor>());
  for (auto _ : state) {
    const auto d = es::diff(g, changed);
    if (d.count(es::edit_kind::modified) != static_cast<std::size_t>(state.range(0)))
      state.SkipWithError("the diff does not tell as many edits as there are");
  }
  per_node(state, g);
}

/// Trivial passes: each counts the calls of some operators. A pipeline of them, and their loops written by
/// hand.
std::size_t counted[32];
template <std::uint32_t I>
struct count_some : es::pass {
  static constexpr std::string_view name = "count_some";
  using destroys = es::properties<>;
  static es::pass_result run(const storage& g) {
    std::size_t n = 0;
    for (es::node_id at = g.first(); at.valid(); at = g.next(at))
      n += g.op(at).index % 32 == I;
    counted[I] += n;
    return {};
  }
};
template <std::uint32_t... I>
constexpr auto pipeline_of(std::integer_sequence<std::uint32_t, I...>) {
  return (count_some<I>{} | ...);
}
template <std::uint32_t N>
void pipeline_trivial(benchmark::State& state) {
  es::graph<es::aten_ir> g(build(bench::dags::random(1'000)));
  constexpr auto passes = pipeline_of(std::make_integer_sequence<std::uint32_t, N>{});
  for (auto _ : state)
    benchmark::DoNotOptimize(passes.run(g));
  state.SetItemsProcessed(state.iterations() * N);
}
template <std::uint32_t N>
void by_hand_trivial(benchmark::State& state) {
  const auto g = build(bench::dags::random(1'000));
  for (auto _ : state) {
    for (std::uint32_t i = 0; i != N; ++i) {
      std::size_t n = 0;
      for (es::node_id at = g.first(); at.valid(); at = g.next(at))
        n += g.op(at).index % 32 == i;
      counted[i] += n;
    }
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * N);
}

// Bytes a node that a pass touches at least: a node with its links, value and two argument slots, and an
// entry of a table. What it writes besides, and what it reads twice, makes the limit lower than it could be.
constexpr double graph_bytes = 96, table_bytes = 16;

using work = es::pass_result (*)(storage&);
struct row {
  const char* name;
  work run;
  double bytes;
  std::vector<std::string_view> graphs;
};
const std::vector<row>& rows() {
  static const std::vector<row> all{
      {"cse",
       run<es::cse>,
       graph_bytes + table_bytes,
       {"random", "chain", "duplicates", "identical", "users", "inputs", "transformer"}},
      {"cse_dce", run_cse_dce, graph_bytes + table_bytes, {"random", "transformer"}},
      {"dce", run<es::dce>, graph_bytes, {"random", "chain", "dead", "users", "inputs", "transformer"}},
      {"canonicalize",
       run<es::canonicalize>,
       graph_bytes,
       {"random", "chain", "deep", "edits", "users", "inputs", "transformer"}},
      {"fifty_rules", run_fifty, graph_bytes, {"pairs", "random"}},
      {"sort", run<es::sort>, graph_bytes, {"random"}},
      {"sink", run<es::sink>, graph_bytes, {"random"}},
      {"hoist", run<es::hoist>, graph_bytes, {"random"}},
      {"split", run_split, graph_bytes, {"chain", "partition"}},
  };
  return all;
}
/// The graphs that grow to ten million nodes, to see whether time a node stays; the others show shapes.
std::vector<std::int64_t> sizes_of(std::string_view graph) {
  if (graph == "random" || graph == "pairs")
    return {1'000, 10'000, 100'000, 1'000'000, 10'000'000};
  return {1'000, 100'000};
}

/// Kept until another one is asked for: the largest take seconds to make.
const storage& graph_of(std::string_view name, std::int64_t n) {
  static std::pair<std::string, storage> kept;
  const std::string key = std::string(name) + "/" + std::to_string(n);
  if (kept.first != key) {
    kept.second = {};
    kept = {key, build(bench::dags::make(name, n))};
  }
  return kept.second;
}

/// A million nodes or more, in random graphs of `n` nodes of which no two are the same.
const std::vector<storage>& randoms(std::int64_t n) {
  static std::pair<std::int64_t, std::vector<storage>> kept;
  if (kept.first != n) {
    kept = {n, {}};
    for (std::int64_t i = 0; i == 0 || i < 1'000'000 / n; ++i)
      kept.second.push_back(
          build(bench::dags::random(static_cast<std::uint32_t>(n), static_cast<std::uint64_t>(i + 1))));
  }
  return kept.second;
}

void register_all() {
  for (const auto& d : bench::dags::all)
    for (const std::int64_t n : sizes_of(d.name))
      for (const row& r : rows())
        if (std::find(r.graphs.begin(), r.graphs.end(), d.name) != r.graphs.end()) {
          auto* b = benchmark::RegisterBenchmark(
              (std::string(r.name) + "_" + std::string(d.name) + "/" + std::to_string(n)).c_str(),
              [&r, name = d.name, n](benchmark::State& state) {
                on_copies(state, graph_of(name, n), r.run);
                bench::touches(state, r.bytes);
              });
          b->Unit(benchmark::kMillisecond);
          if (n >= 1'000'000)
            b->Iterations(1); // a repetition each
        }
  for (const std::int64_t n : sizes_of("random"))
    for (const row& r : rows())
      if (std::string_view(r.name) == "cse" || std::string_view(r.name) == "dce" ||
          std::string_view(r.name) == "canonicalize") {
        auto* b =
            benchmark::RegisterBenchmark((std::string(r.name) + "_randoms/" + std::to_string(n)).c_str(),
                                         [&r, n](benchmark::State& state) {
                                           on_copies(state, randoms(n), r.run);
                                           bench::touches(state, r.bytes);
                                         });
        b->Unit(benchmark::kMillisecond);
        b->Iterations(1);
      }
  const auto reads = [](const char* name, auto f) {
    for (const std::int64_t n : {1'000, 100'000})
      benchmark::RegisterBenchmark((std::string(name) + "_random/" + std::to_string(n)).c_str(),
                                   [f, n](benchmark::State& state) {
                                     on_one(state, graph_of("random", n), f);
                                     bench::touches(state, graph_bytes);
                                   })
          ->Unit(benchmark::kMillisecond);
  };
  reads("verify", [](const storage& g) { return es::verify<es::aten_ir>(g).size(); });
  reads("hash", [](const storage& g) { return es::structural_hash(g); });
  reads("print", [](const storage& g) { return es::print_readable(g).size(); });
}

BENCHMARK(edit)->Arg(1'000)->Arg(100'000)->Unit(benchmark::kMillisecond);
BENCHMARK(diff_edits)->Arg(1)->Arg(100)->Arg(10'000)->Unit(benchmark::kMillisecond);
BENCHMARK(pipeline_trivial<8>)->Name("pipeline_trivial/8");
BENCHMARK(by_hand_trivial<8>)->Name("by_hand_trivial/8");
BENCHMARK(pipeline_trivial<32>)->Name("pipeline_trivial/32");
BENCHMARK(by_hand_trivial<32>)->Name("by_hand_trivial/32");
BENCHMARK(bench::copy_bandwidth)->Name("copy_bandwidth")->Unit(benchmark::kMillisecond);

} // namespace

int main(int argc, char** argv) {
  if (argc == 3 && std::string_view(argv[1]) == "--write") {
    for (const auto& d : bench::dags::all)
      for (const std::uint32_t n : {1'000, 10'000, 100'000})
        bench::write(d.make(n),
                     std::string(argv[2]) + "/" + std::string(d.name) + "_" + std::to_string(n) + ".dag");
    return 0;
  }
  register_all();
  return bench::run(argc, argv);
}
