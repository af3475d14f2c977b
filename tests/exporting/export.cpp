// SPDX-License-Identifier: BSL-1.0
#include <espalier/espalier.hpp>

#include <doctest/doctest.h>
#include <torch/torch.h>

namespace es = espalier;

namespace {

struct NetImpl : torch::nn::Module {
  NetImpl() {
    one = register_module("one", torch::nn::Linear(4, 8));
    norm = register_module("norm", torch::nn::BatchNorm1d(8));
    two = register_module("two", torch::nn::Linear(8, 2));
  }
  at::Tensor forward(at::Tensor x) { return two(torch::relu(norm(one(x)))); }
  torch::nn::Linear one{nullptr}, two{nullptr};
  torch::nn::BatchNorm1d norm{nullptr};
};
TORCH_MODULE(Net);

std::vector<std::string> operators(const es::graph_storage& g) {
  std::vector<std::string> out;
  for (es::node n : es::nodes(g))
    if (n.is_call())
      out.push_back(es::target_of(n.op()));
  return out;
}

template <class F>
auto export_function(F f, at::Tensor x, es::trace_report* report = nullptr, es::export_options options = {}) {
  return es::export_program(f, es::inputs(es::named("x", x)), std::move(options), report);
}

} // namespace

TEST_CASE("a module is exported with Python's names, and runs as eager does") {
  torch::manual_seed(1);
  Net net;
  net->eval();
  const auto x = torch::randn({3, 4});
  auto program = es::export_program(net, es::inputs(es::named("x", x)));
  static_assert(
      std::is_same_v<decltype(program), es::exported_program<es::training_ir, at::Tensor(at::Tensor)>>);
  std::vector<std::string> names;
  for (es::node n : es::placeholders(program.graph()))
    names.emplace_back(n.name());
  CHECK(names == std::vector<std::string>{"p_one_weight", "p_one_bias", "p_norm_weight", "p_norm_bias",
                                          "p_two_weight", "p_two_bias", "b_norm_running_mean",
                                          "b_norm_running_var", "b_norm_num_batches_tracked", "x"});
  CHECK(torch::equal(program(x), net->forward(x)));
  es::pipeline{es::raise{}}.run(program);
  CHECK(operators(program.graph()) == std::vector<std::string>{"aten.linear.default",
                                                               "aten.batch_norm.default", "aten.relu.default",
                                                               "aten.linear.default"});
  CHECK(torch::equal(program(x), net->forward(x)));
  CHECK_NOTHROW(program.verify());
}

TEST_CASE("tracing in training mode records the buffers' mutation and changes no buffer") {
  Net net;
  const auto before = net->norm->running_mean.clone();
  auto program = es::export_program(net, es::inputs(torch::randn({3, 4})));
  CHECK(torch::equal(net->norm->running_mean, before));
  CHECK(net->norm->num_batches_tracked.item<std::int64_t>() == 0);
  program(torch::randn({3, 4}));
  CHECK(net->norm->num_batches_tracked.item<std::int64_t>() == 1);
}

namespace {

/// Reads its state between writes: to it, to a view of it, and to what `.data()` gives.
struct WriterImpl : torch::nn::Module {
  WriterImpl()
      : weight(register_parameter("weight", torch::ones({3}))),
        total(register_buffer("total", torch::zeros({3}))) {}
  at::Tensor forward(at::Tensor x) {
    {
      const torch::NoGradGuard no_grad;
      weight.mul_(2);
      total.add_(1);
      total.select(0, 1).fill_(7);
      at::Tensor data = weight.data();
      data.add_(1);
    }
    const auto y = x * weight + total;
    total.add_(1);
    return y + total;
  }
  torch::Tensor weight, total;
};
TORCH_MODULE(Writer);

} // namespace

TEST_CASE("state that the model writes to is what was written when it is read again") {
  const auto x = torch::tensor({1.f, 2.f, 3.f});
  Writer eager, traced;
  for (const bool strict : {false, true}) {
    es::export_options options;
    options.strict = strict;
    auto program = es::export_program(Writer(), es::inputs(x), options);
    Writer expected;
    for (int call = 0; call != 2; ++call) {
      CHECK(torch::equal(program(x), expected->forward(x)));
      CHECK(torch::equal(program.state_dict().at("weight"), expected->weight));
      CHECK(torch::equal(program.state_dict().at("total"), expected->total));
    }
  }
  (void)es::export_program(traced, es::inputs(x));
  CHECK(torch::equal(traced->weight, eager->weight));
  CHECK(torch::equal(traced->total, eager->total));
}

TEST_CASE("gradients through the program equal eager's") {
  torch::manual_seed(2);
  Net net;
  net->eval();
  const auto x = torch::randn({5, 4});
  auto program = es::export_program(net, es::inputs(x));
  program(x).square().sum().backward();
  const auto ours = net->one->weight.grad().clone();
  net->zero_grad();
  net->forward(x).square().sum().backward();
  CHECK(torch::allclose(ours, net->one->weight.grad()));
}

TEST_CASE("reading a value is refused with a cure") {
  const auto f = [](at::Tensor x) { return x.sum().item<float>() > 0 ? x : -x; };
  try {
    export_function(f, torch::randn({3}));
    FAIL("an item() must not be traced");
  } catch (const es::error& e) {
    CHECK(e.kind() == es::error_kind::trace);
    CHECK(e.cure().find("torch::where") != std::string::npos);
  }
  // and no trace mode is left behind
  CHECK_FALSE(es::is_fake(torch::ones({2}) + 1));
}

TEST_CASE("a tensor written by raw pointer is a constant, with its values") {
  es::trace_report report;
  const auto x = torch::randn({3});
  auto program = export_function(
      [](at::Tensor t) {
        return t * torch::tensor(std::vector<float>{1, 2, 3});
      },
      x, &report);
  CHECK(report.find(es::note_kind::raw_write) != nullptr);
  CHECK(torch::equal(program(x), x * torch::tensor({1.f, 2.f, 3.f})));
}

TEST_CASE("a literal that the program writes to starts anew in each run") {
  const auto f = [](at::Tensor t) {
    auto sum = torch::tensor({1.f, 2.f, 3.f});
    auto view = sum.slice(0, 1);
    view.add_(t.slice(0, 1));
    return sum * 2;
  };
  const auto x = torch::randn({3});
  auto program = export_function(f, x);
  for (int run = 0; run != 2; ++run)
    CHECK(torch::equal(program(x), f(x)));
}

TEST_CASE("a captured tensor is a lifted constant, and is reported") {
  es::trace_report report;
  const auto x = torch::randn({3}), c = torch::randn({3});
  auto program = export_function([c](at::Tensor t) { return t + c; }, x, &report);
  CHECK(program.signature().count(es::input_kind::constant_tensor) == 1);
  CHECK(report.find(es::note_kind::lifted_constant) != nullptr);
  CHECK(torch::equal(program(x), x + c));
}

TEST_CASE("views, in-place operators and several results") {
  const auto x = torch::randn({4, 6});
  auto program = export_function(
      [](at::Tensor t) {
        auto y = t * 2;
        y[0] += 1;
        auto [v, i] = y.max(1);
        auto parts = y.split(4, 1);
        return std::make_tuple(1.0 - y, v, i, parts[1]);
      },
      x);
  auto y = x * 2;
  y[0] += 1;
  const auto [a, v, i, part] = program(x);
  CHECK(torch::allclose(a, 1.0 - y));
  CHECK(torch::equal(v, std::get<0>(y.max(1))));
  CHECK(torch::equal(i, std::get<1>(y.max(1))));
  CHECK(torch::equal(part, y.split(4, 1)[1]));
}

TEST_CASE("a throwing model leaves no trace mode, and its exception comes through") {
  CHECK_THROWS_AS(export_function(
                      [](at::Tensor t) -> at::Tensor {
                        throw std::runtime_error("mine");
                        return t;
                      },
                      torch::ones({2})),
                  std::runtime_error);
  CHECK_FALSE(es::is_fake(torch::ones({2})));
}

TEST_CASE("strict export finds what differs from trace to trace") {
  int calls = 0;
  const auto f = [&calls](at::Tensor t) { return ++calls % 2 ? t.relu() : t.sigmoid(); };
  es::export_options options;
  options.strict = true;
  CHECK_THROWS_AS(export_function(f, torch::ones({2}), nullptr, options), es::error);
}
