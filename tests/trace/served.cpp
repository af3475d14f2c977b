// SPDX-License-Identifier: BSL-1.0
// Where the results of an operator come from while tracing: a rule, a composite kernel, a meta kernel, the
// real kernel on zeros. The user's own operators, one for each way, and the report that counts them.
#include <espalier/ir/view.hpp>
#include <espalier/meta/rules.hpp>
#include <espalier/meta/strides.hpp>
#include <espalier/trace/tracer.hpp>

#include <doctest/doctest.h>
#include <torch/library.h>
#include <torch/torch.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace es = espalier;

namespace {

int kernel_runs = 0; // of operators that need none

at::Tensor never(const at::Tensor& x) {
  ++kernel_runs;
  return x.clone();
}
at::Tensor pairs_meta(const at::Tensor& x) { return at::empty({x.size(0), x.size(0)}, x.options()); }
at::Tensor columns(const at::Tensor& x) {
  TORCH_CHECK(x.is_cpu() && x.eq(0).all().item<bool>(), "columns is meant to run on zeros here");
  return x.sum(0).to(at::kDouble);
}
at::Tensor twice_columns(const at::Tensor& x) {
  static const auto op = c10::Dispatcher::singleton().findSchemaOrThrow("served::columns", "");
  const auto typed = op.typed<at::Tensor(const at::Tensor&)>();
  return typed.call(x) + typed.call(x);
}
at::Tensor no_zeros(const at::Tensor& x) {
  TORCH_CHECK(x.ne(0).all().item<bool>(), "zeros have no logarithm");
  return x.log();
}

TORCH_LIBRARY(served, m) {
  m.def("ruled(Tensor x) -> Tensor");
  m.def("pairs(Tensor x) -> Tensor");
  m.def("columns(Tensor x) -> Tensor");
  m.def("twice_columns(Tensor x) -> Tensor", &twice_columns); // composite
  m.def("unserved(Tensor x) -> Tensor");
  m.def("no_zeros(Tensor x) -> Tensor");
}
TORCH_LIBRARY_IMPL(served, CPU, m) {
  m.impl("ruled", &never);
  m.impl("pairs", &never);
  m.impl("columns", &columns);
  m.impl("no_zeros", &no_zeros);
}
TORCH_LIBRARY_IMPL(served, Meta, m) { m.impl("pairs", &pairs_meta); }

struct ruled : es::op<"served::ruled(Tensor x) -> Tensor"> {};

at::Tensor call(const char* name, const at::Tensor& x) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, "").typed<at::Tensor(const at::Tensor&)>().call(
      x);
}
es::trace_result run(const std::function<at::Tensor(const at::Tensor&)>& f,
                     const at::Tensor& x = torch::ones({2, 3})) {
  return es::trace(es::vector<es::traced_input>{{x, "x", es::input_kind::user_input, ""}},
                   [&](const std::vector<at::Tensor>& in) { return std::vector<c10::IValue>{f(in[0])}; });
}
const es::tensor_meta& meta_of_result(const es::trace_result& r) {
  return r.graph.meta(r.graph.result(r.graph.prev(r.graph.output_node()))).tensor;
}
es::error refusal(const char* name, const at::Tensor& x = torch::ones({2, 3})) {
  try {
    run([&](const at::Tensor& t) { return call(name, t); }, x);
  } catch (const es::error& e) {
    return e;
  }
  FAIL("not refused");
  return {es::error_kind::usage, ""};
}
bool has(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

} // namespace

template <>
struct espalier::shape_rule<ruled> {
  static rule_result infer(const rule_args& a) {
    return make_meta(scalar_type::i64, {a.tensor(0).sizes[1], sym_int(7)}, a.tensor(0).dev);
  }
};

TEST_CASE("a user's shape rule, a meta kernel, a composite and the kernel on zeros serve operators, and are "
          "counted") {
  es::register_rule<ruled>();
  kernel_runs = 0;
  const auto one = [](const char* name, es::served_by by, const std::vector<std::int64_t>& sizes,
                      es::scalar_type type) {
    const auto r = run([&](const at::Tensor& x) { return call(name, x); });
    CAPTURE(name);
    REQUIRE(r.report.ops.size() == 1);
    CHECK(es::name_of(r.report.ops[0].op) == name);
    CHECK(r.report.ops[0].by == by);
    CHECK(r.report.served(by) == 1);
    const auto& m = meta_of_result(r);
    std::vector<std::int64_t> found;
    for (const auto& n : m.sizes)
      found.push_back(n.as_int());
    CHECK(found == sizes);
    CHECK(m.dtype == type);
    CHECK(m.dev == es::cpu_device);
  };
  one("served::ruled", es::served_by::shape_rule, {3, 7}, es::scalar_type::i64);
  one("served::pairs", es::served_by::meta_kernel, {2, 2}, es::scalar_type::f32);
  one("served::twice_columns", es::served_by::composite, {3}, es::scalar_type::f64);
  one("served::columns", es::served_by::zero_tensors, {3}, es::scalar_type::f64);
  CHECK(kernel_runs == 0);
}

TEST_CASE("the report is a table of who served what") {
  es::register_rule<ruled>();
  const auto r = run([](const at::Tensor& x) {
    call("served::ruled", x);
    call("served::columns", x);
    return call("served::pairs", call("served::pairs", x.relu())) * call("served::twice_columns", x)[0];
  });
  CHECK(r.report.served(es::served_by::shape_rule) == 4); // ruled, relu, select, mul
  CHECK(r.report.served(es::served_by::composite) == 1);
  CHECK(r.report.served(es::served_by::meta_kernel) == 2);
  CHECK(r.report.served(es::served_by::zero_tensors) == 1); // those inside the composite are not recorded
  CHECK(es::to_string(r.report) == "4 calls by shape rule\n"
                                   "1 calls by composite\n"
                                   "2 calls by meta kernel\n"
                                   "1 calls by zero tensors\n"
                                   "  served::columns x1: no shape rule, zero tensors\n"
                                   "  served::pairs x2: no shape rule, meta kernel\n"
                                   "  served::twice_columns x1: no shape rule, composite\n");
}

TEST_CASE("an operator that nothing serves is refused, with a cure") {
  for (const char* name : {"served::unserved", "served::no_zeros"}) {
    const auto e = refusal(name);
    CAPTURE(e.what());
    CHECK(has(e.cause(), name));
    CHECK(has(e.cause(), "neither a shape rule nor a meta kernel"));
    CHECK(has(e.cure(), "register_rule"));
    CHECK_FALSE(e.place().empty());
  }
  CHECK(has(refusal("served::unserved").cause(), "no kernel for the CPU"));
  CHECK(has(refusal("served::no_zeros").cause(), "does not run on zeros: zeros have no logarithm"));
  // zeros of this size would be 512 MiB
  CHECK(has(refusal("served::columns", torch::ones({1, 1}).expand({2, std::int64_t{1} << 26})).cause(),
            "too large to run it on zeros"));
}
