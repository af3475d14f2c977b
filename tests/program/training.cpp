// SPDX-License-Identifier: BSL-1.0
// A loaded program is trained like the module it was exported from: the same gradients, the same weights and
// statistics after some steps of torch::optim.
#include <espalier/exporting/export_program.hpp>
#include <espalier/program/save_load.hpp>

#include <torch/torch.h>

#include <doctest/doctest.h>

#include <cstdint>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

namespace es = espalier;

namespace {

struct netImpl : torch::nn::Module {
  netImpl() {
    torch::manual_seed(5);
    conv = register_module("conv", torch::nn::Conv2d(torch::nn::Conv2dOptions(3, 6, 3).padding(1)));
    norm = register_module("norm", torch::nn::BatchNorm2d(6));
    embedding = register_module("embedding", torch::nn::Embedding(7, 6));
    hidden = register_module("hidden", torch::nn::Linear(6, 8));
    head = register_module("head", torch::nn::Linear(8, 7));
    frozen = register_parameter("frozen", torch::randn({6}), false);
  }
  at::Tensor forward(const at::Tensor& image, const at::Tensor& ids) {
    auto x = torch::relu(norm->forward(conv->forward(image))).mean({2, 3}) + frozen;
    x = x + embedding->forward(ids);
    return head->forward(torch::gelu(hidden->forward(x)));
  }
  torch::nn::Conv2d conv{nullptr};
  torch::nn::BatchNorm2d norm{nullptr};
  torch::nn::Embedding embedding{nullptr};
  torch::nn::Linear hidden{nullptr}, head{nullptr};
  at::Tensor frozen;
};
TORCH_MODULE(net);

using program = es::exported_program<es::training_ir, at::Tensor(at::Tensor, at::Tensor)>;

program exported(net& n, const at::Tensor& image, const at::Tensor& ids) {
  std::stringstream file;
  es::save(es::export_program(n, es::inputs(es::named("image", image), es::named("ids", ids))), file);
  return es::load<es::training_ir, at::Tensor(at::Tensor, at::Tensor)>(file);
}
void check_same(const std::string& name, const at::Tensor& ours, const at::Tensor& theirs) {
  CAPTURE(name);
  REQUIRE(ours.defined() == theirs.defined());
  if (ours.defined())
    CHECK(torch::allclose(ours, theirs, 1e-5, 1e-6));
}

} // namespace

TEST_CASE("gradients through a loaded program equal eager's") {
  net n;
  const auto image = torch::randn({4, 3, 5, 5}), ids = torch::randint(7, {4});
  auto p = exported(n, image, ids);
  for (int time = 0; time != 2; ++time) { // gradients add up
    p(image, ids).square().sum().backward();
    n->forward(image, ids).square().sum().backward();
  }
  for (const auto& x : n->named_parameters())
    check_same(x.key(), p.state_dict().at(x.key()).grad(), x.value().grad());
  CHECK(!p.state_dict().at("frozen").requires_grad());
  p.zero_grad();
  CHECK(!p.state_dict().at("conv.weight").grad().defined());

  auto with_gradient = image.clone().requires_grad_();
  auto same = image.clone().requires_grad_();
  p(with_gradient, ids).sum().backward();
  n->forward(same, ids).sum().backward();
  check_same("image", with_gradient.grad(), same.grad());
}

TEST_CASE("steps of torch::optim on a loaded program equal eager's") {
  for (const bool adam : {false, true}) {
    CAPTURE(adam);
    net n;
    const auto image = torch::randn({4, 3, 5, 5}), ids = torch::randint(7, {4}),
               target = torch::randint(7, {4});
    auto p = exported(n, image, ids);
    const auto train = [&](std::vector<at::Tensor> parameters, auto&& model) {
      std::unique_ptr<torch::optim::Optimizer> optimizer;
      if (adam)
        optimizer = std::make_unique<torch::optim::AdamW>(parameters, torch::optim::AdamWOptions(1e-2));
      else
        optimizer =
            std::make_unique<torch::optim::SGD>(parameters, torch::optim::SGDOptions(0.05).momentum(0.9));
      std::vector<double> losses;
      for (int step = 0; step != 6; ++step) {
        optimizer->zero_grad();
        const auto loss = torch::nn::functional::cross_entropy(model(image, ids), target);
        loss.backward();
        optimizer->step();
        losses.push_back(loss.template item<double>());
      }
      return losses;
    };
    const auto ours = train(p.parameters(), p);
    const auto theirs =
        train(n->parameters(), [&](const auto& i, const auto& k) { return n->forward(i, k); });
    CHECK(ours.back() < ours.front());
    for (std::size_t i = 0; i != ours.size(); ++i)
      CHECK(ours[i] == doctest::Approx(theirs[i]).epsilon(1e-5));
    for (const auto& x : n->named_parameters())
      check_same(x.key(), p.state_dict().at(x.key()), x.value());
    for (const auto& x : n->named_buffers()) // statistics of the norm, its counter among them
      check_same(x.key(), p.state_dict().at(x.key()), x.value());
    CHECK(p.state_dict().at("norm.num_batches_tracked").item<std::int64_t>() == 6);
  }
}
