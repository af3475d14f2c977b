// SPDX-License-Identifier: BSL-1.0
// A program instantiates the stages it names and no others. The proof is that this file compiles: for the
// jobs below, calling any stage that the pipeline does not name is deleted.
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
concept can_run = requires(const Stage& stage, Job& job, es::pass_context& c) {
  es::detail::call_pass(stage, job, c);
};
} // namespace

namespace espalier::detail {
template <>
pass_result call_pass(const stage::assign_names&, traced_job&, pass_context&) = delete;
template <>
pass_result call_pass(const stage::describe&, traced_job&, pass_context&) = delete;
template <>
pass_result call_pass(const stage::verify&, traced_job&, pass_context&) = delete;

template <>
pass_result call_pass(const stage::bind_state&, bound_job&, pass_context&) = delete;
template <>
pass_result call_pass(const stage::record&, bound_job&, pass_context&) = delete;
template <>
pass_result call_pass(const stage::assign_names&, bound_job&, pass_context&) = delete;
template <>
pass_result call_pass(const stage::describe&, bound_job&, pass_context&) = delete;
template <>
pass_result call_pass(const stage::verify&, bound_job&, pass_context&) = delete;
} // namespace espalier::detail

// The method works: what is deleted cannot be run.
static_assert(can_run<es::stage::record, traced_job> && !can_run<es::stage::describe, traced_job>);
static_assert(can_run<es::stage::bind_inputs, bound_job> && !can_run<es::stage::record, bound_job>);

TEST_CASE("a pipeline of the tracing stages traces, and instantiates no other stage") {
  constexpr auto tracing = es::stage::bind_inputs{} | es::stage::bind_state{} | es::stage::record{};
  static_assert(decltype(tracing)::num_stages == 3);
  traced_only model;
  const auto inputs = es::inputs(es::named("x", torch::ones({2})));
  const auto job = tracing(es::export_job(model, inputs));
  static_assert(
      std::is_same_v<decltype(job), const es::export_job<traced_only, inputs_type, es::training_ir>>);
  std::vector<std::string_view> ops;
  for (es::node n : es::nodes(job.traced.graph))
    if (n.is_call())
      ops.push_back(es::name_of(n.op()));
  CHECK(ops == std::vector<std::string_view>{"aten::mul.Scalar", "aten::relu"});
  CHECK(job.info.signature.inputs.empty()); // nobody described it
}

TEST_CASE("a pipeline that only binds inputs does not instantiate the tracer for its model") {
  bound_only model;
  const auto inputs = es::inputs(es::named("x", torch::ones({2})));
  bound_job job(model, inputs);
  es::pipeline{es::stage::bind_inputs{}}.run(job);
  REQUIRE(job.leaves.size() == 1);
  CHECK(job.leaves[0].path == "x");
  CHECK(job.traced.graph.num_nodes() == 0);
}
