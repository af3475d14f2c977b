// SPDX-License-Identifier: BSL-1.0
// From a model to a graph, nanoseconds an operator: the whole export, its recording stage alone, and
// LibTorch's own tracer, `torch::jit::tracer::trace`, on the same model and inputs. All three are divided by
// the number of operators in our graph. bench/peers/torch_export.py exports the twins in Python.
#include "main.hpp"
#include "models/mlp.hpp"
#include "models/resnet18.hpp"
#include "models/transformer.hpp"

#include <espalier/espalier.hpp>

#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/frontend/tracer.h>
#include <torch/torch.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace es = espalier;

namespace {

template <class Net>
struct subject {
  Net net;
  torch::Tensor x;
};
subject<bench::Mlp> mlp(std::int64_t layers) {
  return {bench::Mlp(layers), torch::randn({2, bench::mlp_width})};
}
subject<bench::Transformer> transformer(std::int64_t blocks) {
  return {bench::Transformer(blocks), torch::randn({2, bench::transformer_tokens, bench::transformer_width})};
}
subject<models::ResNet18> resnet18(std::int64_t) {
  models::ResNet18 net;
  net->eval();
  return {net, torch::randn({2, 3, 64, 64})};
}

std::int64_t num_operators(const es::graph_storage& g) {
  std::int64_t n = 0;
  for (es::node x : es::nodes(g))
    n += x.is_call();
  return n;
}
template <class Net>
std::int64_t num_operators(subject<Net>& s) {
  return num_operators(es::export_program(s.net, es::inputs(s.x)).storage());
}

void per_operator(benchmark::State& state, std::int64_t n) {
  state.SetItemsProcessed(state.iterations() * n);
  state.counters["operators"] = static_cast<double>(n);
}

template <class Net>
void export_program(benchmark::State& state, subject<Net> s) {
  const auto n = num_operators(s);
  for (auto _ : state) {
    auto program = es::export_program(s.net, es::inputs(s.x));
    benchmark::DoNotOptimize(program);
  }
  per_operator(state, n);
}

/// On a model that is in no cache, as one is that has just been made or read: walks over twice as much memory
/// as the caches of most machines hold, before each export.
template <class Net>
void export_cold(benchmark::State& state, subject<Net> s) {
  const auto n = num_operators(s);
  std::vector<char> others(std::size_t{64} << 20);
  for (auto _ : state) {
    state.PauseTiming();
    for (std::size_t i = 0; i < others.size(); i += 64)
      ++others[i];
    benchmark::ClobberMemory();
    state.ResumeTiming();
    auto program = es::export_program(s.net, es::inputs(s.x));
    benchmark::DoNotOptimize(program);
  }
  per_operator(state, n);
}

template <class Net>
void record(benchmark::State& state, subject<Net> s) {
  const auto n = num_operators(s);
  const auto in = es::inputs(s.x);
  for (auto _ : state) {
    state.PauseTiming();
    {
      es::export_job<Net, std::remove_cvref_t<decltype(in)>> job(s.net, in, {});
      es::stage::bind_inputs{}.run(job);
      es::stage::bind_state{}.run(job);
      state.ResumeTiming();
      es::stage::record{}.run(job);
      state.PauseTiming();
    }
    state.ResumeTiming();
  }
  per_operator(state, n);
}

/// The model's parameters and buffers are attributes of `self`, so that the tracer refers to them by name
/// instead of copying them as constants: the same job as ours.
template <class Net>
void jit_trace(benchmark::State& state, subject<Net> s) {
  const auto n = num_operators(s);
  const torch::NoGradGuard no_grad;
  for (auto _ : state) {
    state.PauseTiming();
    torch::jit::Module self("m");
    const auto attribute = [](std::string name) {
      std::replace(name.begin(), name.end(), '.', '_');
      return name;
    };
    for (const auto& p : s.net->named_parameters())
      self.register_parameter(attribute(p.key()), p.value(), false);
    for (const auto& b : s.net->named_buffers())
      self.register_parameter(attribute(b.key()), b.value(), true);
    state.ResumeTiming();
    auto traced = torch::jit::tracer::trace(
        {s.x}, [&](torch::jit::Stack in) { return torch::jit::Stack{s.net->forward(in[0].toTensor())}; },
        [](const torch::autograd::Variable&) { return std::string(); }, true, false, &self);
    benchmark::DoNotOptimize(traced);
    state.PauseTiming();
    traced = {};
    state.ResumeTiming();
  }
  per_operator(state, n);
}

#define ESPALIER_TRACED(WHAT)                                                                                \
  void WHAT##_mlp(benchmark::State& state) { WHAT(state, mlp(state.range(0))); }                             \
  void WHAT##_transformer(benchmark::State& state) { WHAT(state, transformer(state.range(0))); }             \
  void WHAT##_resnet18(benchmark::State& state) { WHAT(state, resnet18(0)); }                                \
  BENCHMARK(WHAT##_mlp)->RangeMultiplier(4)->Range(64, 4096)->Unit(benchmark::kMillisecond);                 \
  BENCHMARK(WHAT##_transformer)->Arg(1)->Arg(8)->Arg(64)->Arg(1024)->Unit(benchmark::kMillisecond);          \
  BENCHMARK(WHAT##_resnet18)->Unit(benchmark::kMillisecond);
ESPALIER_TRACED(export_program)
ESPALIER_TRACED(record)
ESPALIER_TRACED(jit_trace)
void export_cold_mlp(benchmark::State& state) { export_cold(state, mlp(state.range(0))); }
BENCHMARK(export_cold_mlp)->RangeMultiplier(4)->Range(64, 4096)->Unit(benchmark::kMillisecond);

} // namespace

int main(int argc, char** argv) {
  torch::set_num_threads(1);
  return bench::run(argc, argv);
}
