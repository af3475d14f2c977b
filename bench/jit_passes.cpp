// SPDX-License-Identifier: BSL-1.0
// A peer: TorchScript's common subexpression and dead code elimination, which LibTorch has in C++, on the
// graphs of bench/dag.hpp. Rows are named as those of bench/passes.cpp are.
#include "dag.hpp"
#include "main.hpp"

#include <torch/csrc/jit/ir/ir.h>
#include <torch/csrc/jit/passes/common_subexpression_elimination.h>
#include <torch/csrc/jit/passes/dead_code_elimination.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace jit = torch::jit;

namespace {

std::shared_ptr<jit::Graph> build(const bench::dag& d) {
  std::vector<c10::Symbol> ops;
  for (const auto name : bench::dag_names)
    ops.push_back(c10::Symbol::fromQualString("aten::" + std::string(name)));
  const auto source = std::make_shared<jit::Source>(std::string(bench::dag_lines, '\n'), "model.py", 1);
  auto g = std::make_shared<jit::Graph>();
  const auto type = c10::TensorType::createContiguous(at::kFloat, at::kCPU, {2, 3});
  std::vector<jit::Value*> values;
  for (std::uint32_t i = 0; i != d.inputs; ++i)
    values.push_back(g->addInput()->setType(type));
  jit::Value* one = nullptr; // a number for `alpha`
  for (std::size_t i = 0; i != d.nodes.size(); ++i) {
    const auto& n = d.nodes[i];
    if (n.op == bench::dag_op::one) { // a tensor that comes from outside
      values.push_back(g->addInput()->setType(type));
      continue;
    }
    std::vector<jit::Value*> args{values[n.a]};
    if (bench::arity(n.op) == 2)
      args.push_back(values[n.b]);
    if (n.op == bench::dag_op::add || n.op == bench::dag_op::sub) {
      if (!one)
        one = g->insertConstant(1);
      args.push_back(one);
    }
    jit::Node* made = g->insertNode(g->create(ops[static_cast<std::size_t>(n.op)], args));
    made->output()->setType(type);
    made->setSourceRange({source, i % bench::dag_lines, i % bench::dag_lines + 1});
    values.push_back(made->output());
  }
  for (auto v : d.outputs)
    g->registerOutput(values[v]);
  return g;
}

template <class F>
void on_copies(benchmark::State& state, const bench::dag& d, F work) {
  const std::size_t nodes = d.nodes.size() + d.inputs + 1; // as many as we count
  const std::size_t at_once = std::max<std::size_t>(1, 10'000 / nodes);
  const auto g = build(d);
  for (auto _ : state) {
    state.PauseTiming();
    std::vector<std::shared_ptr<jit::Graph>> copies;
    for (std::size_t i = 0; i != at_once; ++i)
      copies.push_back(g->copy());
    state.ResumeTiming();
    for (auto& copy : copies)
      work(copy);
    state.PauseTiming();
    copies.clear();
    state.ResumeTiming();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(nodes * at_once));
  auto once = g->copy();
  work(once);
  state.counters["calls_left"] =
      static_cast<double>(std::count_if(once->nodes().begin(), once->nodes().end(),
                                        [](const jit::Node* n) { return n->kind() != c10::prim::Constant; }));
}

void register_all() {
  using work = void (*)(std::shared_ptr<jit::Graph>&);
  const auto add = [](const char* pass, work f, std::vector<const char*> graphs) {
    for (const char* graph : graphs)
      for (const std::int64_t n : {1'000, 10'000, 100'000})
        benchmark::RegisterBenchmark(
            (std::string(pass) + "_" + graph + "/" + std::to_string(n)).c_str(),
            [=](benchmark::State& state) { on_copies(state, bench::dags::make(graph, n), f); })
            ->Unit(benchmark::kMillisecond);
  };
  add("cse", [](std::shared_ptr<jit::Graph>& g) { jit::EliminateCommonSubexpression(g); },
      {"random", "chain", "duplicates", "identical", "users", "inputs", "transformer"});
  add("dce", [](std::shared_ptr<jit::Graph>& g) { jit::EliminateDeadCode(g); },
      {"random", "chain", "dead", "users", "inputs", "transformer"});
}

} // namespace

int main(int argc, char** argv) {
  register_all();
  return bench::run(argc, argv);
}
