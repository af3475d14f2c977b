// SPDX-License-Identifier: BSL-1.0
// A program instantiates the stages it names and no others. The proof is that this file compiles: for the
// jobs below, the `run` of every stage that the exporter does not name is deleted.
#include <espalier/espalier.hpp>

#include <doctest/doctest.h>
#include <torch/torch.h>

#include <string_view>
#include <type_traits>
#include <vector>

namespace es = espalier;

namespace {
/// A model of this file alone, so that its job is a type of this file alone.
struct traced_only {
  at::Tensor forward(at::Tensor x) { return (x * 2).relu(); }
};
struct bound_only {
  at::Tensor forward(at::Tensor x) { return x; }
};
using inputs_type = es::example_args<at::Tensor>;
using traced_job = es::export_job<traced_only, inputs_type>;
using bound_job = es::export_job<bound_only, inputs_type>;

template <class Stage, class Job>
concept can_run = requires(Job& job) {
  Stage::run(job);
};
} // namespace

template <>
void es::stage::assign_names::run<traced_job>(traced_job&) = delete;
template <>
void es::stage::describe::run<traced_job>(traced_job&) = delete;
template <>
void es::stage::verify::run<traced_job>(traced_job&) = delete;

template <>
void es::stage::bind_state::run<bound_job>(bound_job&) = delete;
template <>
void es::stage::record::run<bound_job>(bound_job&) = delete;
template <>
void es::stage::assign_names::run<bound_job>(bound_job&) = delete;
template <>
void es::stage::describe::run<bound_job>(bound_job&) = delete;
template <>
void es::stage::verify::run<bound_job>(bound_job&) = delete;

// The method works: what is deleted cannot be run.
static_assert(can_run<es::stage::record, traced_job> && !can_run<es::stage::describe, traced_job>);
static_assert(can_run<es::stage::bind_inputs, bound_job> && !can_run<es::stage::record, bound_job>);

TEST_CASE("an exporter of the tracing stages traces, and instantiates no other stage") {
  using tracing = es::exporter<es::stage::bind_inputs, es::stage::bind_state, es::stage::record>;
  static_assert(tracing::num_stages == 3);
  traced_only model;
  const auto inputs = es::inputs(es::named("x", torch::ones({2})));
  traced_job job(model, inputs, {});
  tracing::run(job);
  std::vector<std::string_view> ops;
  for (es::node n : es::nodes(job.traced.graph))
    if (n.is_call())
      ops.push_back(es::name_of(n.op()));
  CHECK(ops == std::vector<std::string_view>{"aten::mul.Scalar", "aten::relu"});
  CHECK(job.info.signature.inputs.empty()); // nobody described it
}

TEST_CASE("an exporter that only binds inputs does not instantiate the tracer for its model") {
  bound_only model;
  const auto inputs = es::inputs(es::named("x", torch::ones({2})));
  bound_job job(model, inputs, {});
  es::exporter<es::stage::bind_inputs>::run(job);
  REQUIRE(job.leaves.size() == 1);
  CHECK(job.leaves[0].path == "x");
  CHECK(job.traced.graph.num_nodes() == 0);
}
