// SPDX-License-Identifier: BSL-1.0
// Modules without memory: what is built under the guard, that it can be traced and exported, that it costs
// the memory of its graph, and what is refused.
#include <espalier/espalier.hpp>

#include "models/llama.hpp"

#include <doctest/doctest.h>
#include <torch/torch.h>

#include <cstddef>
#include <fstream>
#include <string>
#include <vector>

#include <unistd.h>

namespace es = espalier;

namespace {
/// Bytes of this process in memory.
std::size_t resident() {
  std::ifstream f("/proc/self/statm");
  std::size_t total = 0, pages = 0;
  f >> total >> pages;
  return pages * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}
constexpr std::size_t megabyte = std::size_t{1} << 20;

std::string cause_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const es::error& e) {
    CHECK_FALSE(e.cure().empty());
    return e.cause();
  }
  return "no error";
}
} // namespace

TEST_CASE("a Llama of seven billion parameters is built, exported and described in less than 200 MB") {
  {
    models::Llama warm_up(
        models::llama_small()); // tables of the dispatcher, of our operators, of the allocator
    es::export_program(warm_up, es::inputs(std::get<0>(models::example_inputs(models::llama_small()))));
  }
  const auto options = models::llama_7b();
  const auto before = resident();
  models::Llama net{nullptr};
  {
    es::fake_construction fake;
    net = models::Llama(options);
  }
  std::size_t parameters = 0;
  for (const auto& p : net->parameters()) {
    REQUIRE(es::is_fake(p));
    CHECK(p.requires_grad());
    parameters += static_cast<std::size_t>(p.numel());
  }
  CHECK(parameters >= 7'000'000'000);

  const auto [ids] = models::example_inputs(options);
  const auto program = es::export_program(net, es::inputs(es::named("input_ids", ids)));
  CHECK(program.graph().num_nodes() > 32 * 20);
  CHECK(program.signature().count(es::input_kind::parameter) == net->parameters().size());
  const es::node out(program.graph(), program.graph().output_node());
  const auto& logits = out.arg(0).as_value().meta().tensor;
  CHECK((logits.sizes == es::sym_ints{2, options.sequence, options.vocabulary}));
  const auto after = resident();
  CHECK(after - before < 200 * megabyte);
}

TEST_CASE("factories, initialisers and arithmetic give fakes with the sizes of the real thing") {
  at::Tensor w, b, product, literal;
  {
    es::fake_construction fake;
    w = torch::empty({3, 4}, torch::kHalf);
    b = torch::arange(6).view({2, 3}).t();
    torch::nn::init::normal_(w);
    product = torch::ones({2, 3}).mm(torch::zeros({3, 4}));
    literal = torch::tensor({1.f, 2.f});
  }
  CHECK(es::is_fake(w));
  CHECK((w.scalar_type() == torch::kHalf));
  CHECK((b.sizes().vec() == std::vector<std::int64_t>{3, 2}));
  CHECK((b.strides().vec() == std::vector<std::int64_t>{1, 3}));
  CHECK((product.sizes().vec() == std::vector<std::int64_t>{2, 4}));
  CHECK_FALSE(es::is_fake(literal)); // what the user wrote down is kept
  CHECK(literal.sum().item<float>() == 3);
  CHECK_FALSE(es::is_fake(torch::ones({1}))); // the guard is gone
}

TEST_CASE("what needs values is refused under the guard") {
  CHECK(cause_of([] {
          es::fake_construction fake;
          torch::ones({1}).item<float>();
        }).find("the value of a tensor is read") != std::string::npos);
  const auto real = torch::ones({2});
  CHECK(cause_of([&] {
          es::fake_construction fake;
          torch::NoGradGuard no_grad;
          auto view = real;
          view.copy_(torch::zeros({2}));
        }).find("writes a tensor without data into one that has data") != std::string::npos);
  CHECK(real.sum().item<float>() == 2);
}

TEST_CASE("a fake that is used after the guard is refused, except in a trace that knows it") {
  torch::nn::Linear l{nullptr};
  {
    es::fake_construction fake;
    l = torch::nn::Linear(2, 3);
  }
  CHECK(cause_of([&] { l(torch::ones({1, 2})); }).find("not traced") != std::string::npos);
  const auto program = es::export_program(l, es::inputs(torch::ones({1, 2})));
  CHECK(program.graph().num_nodes() > 3);
  CHECK(cause_of([&] {
          const auto stray = l->weight;
          es::export_program([&](at::Tensor x) { return x.mm(stray.t()); }, es::inputs(torch::ones({1, 2})));
        }).find("belongs to no input") != std::string::npos);
}
