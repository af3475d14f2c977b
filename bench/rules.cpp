// SPDX-License-Identifier: BSL-1.0
// Shape rules, nanoseconds a call, beside LibTorch's own way to the same answer: the operator on meta tensors
// (through the dispatcher, as a tracer would call it). bench/peers/fake_tensor.py asks Python's FakeTensor.
#include "main.hpp"

#include <espalier/meta/rules.hpp>
#include <espalier/schema/aten.hpp>

#include <torch/torch.h>

#include <cstdint>
#include <initializer_list>

namespace es = espalier;

namespace {

es::tensor_meta f32(std::initializer_list<es::sym_int> sizes) {
  return es::make_meta(es::scalar_type::f32, sizes);
}
torch::Tensor meta(at::IntArrayRef sizes) { return torch::empty(sizes, torch::kMeta); }

template <class Op, class... Args>
void ask(benchmark::State& state, const Args&... args) {
  const es::meta_arg row[] = {es::meta_arg(args)...};
  const es::op_id op = es::id_of<Op>();
  const auto rule = es::rule_for(op);
  const es::rule_args call(op, es::schema_of(op), row);
  for (auto _ : state) {
    auto result = rule(call);
    benchmark::DoNotOptimize(result);
  }
  state.SetItemsProcessed(state.iterations());
}
template <class F>
void kernel(benchmark::State& state, F&& f) {
  const torch::InferenceMode no_autograd;
  for (auto _ : state) {
    auto result = f();
    benchmark::DoNotOptimize(result);
  }
  state.SetItemsProcessed(state.iterations());
}

void rule_add(benchmark::State& s) { ask<es::aten::add_Tensor>(s, f32({8, 16, 32}), f32({32})); }
void meta_kernel_add(benchmark::State& s) {
  kernel(s, [a = meta({8, 16, 32}), b = meta({32})] { return at::add(a, b); });
}
void rule_mm(benchmark::State& s) { ask<es::aten::mm>(s, f32({64, 32}), f32({32, 16})); }
void meta_kernel_mm(benchmark::State& s) {
  kernel(s, [a = meta({64, 32}), b = meta({32, 16})] { return at::mm(a, b); });
}
void rule_view(benchmark::State& s) {
  const es::meta_arg sizes[] = {8, -1};
  ask<es::aten::view>(s, f32({8, 16, 32}), es::span<const es::meta_arg>(sizes));
}
void meta_kernel_view(benchmark::State& s) {
  kernel(s, [a = meta({8, 16, 32})] { return a.view({8, -1}); });
}
void rule_sum(benchmark::State& s) {
  const es::meta_arg dims[] = {1};
  ask<es::aten::sum_dim_IntList>(s, f32({8, 16, 32}), es::span<const es::meta_arg>(dims), true);
}
void meta_kernel_sum(benchmark::State& s) {
  kernel(s, [a = meta({8, 16, 32})] { return at::sum(a, {1}, true); });
}

BENCHMARK(rule_add);
BENCHMARK(meta_kernel_add);
BENCHMARK(rule_mm);
BENCHMARK(meta_kernel_mm);
BENCHMARK(rule_view);
BENCHMARK(meta_kernel_view);
BENCHMARK(rule_sum);
BENCHMARK(meta_kernel_sum);

} // namespace

int main(int argc, char** argv) {
  torch::set_num_threads(1);
  return bench::run(argc, argv);
}
