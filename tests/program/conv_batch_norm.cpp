// SPDX-License-Identifier: BSL-1.0
// Convolutions take their batch norm in: the same numbers up to rounding, new state beside the old, shared
// weights kept; what trains, is used twice or is not frozen state stays.
#include "program/torch_files.hpp"

#include <espalier/exporting/export_program.hpp>
#include <espalier/ir/hash.hpp>
#include <espalier/passes/convert_dtype.hpp>
#include <espalier/passes/device_move.hpp>
#include <espalier/program/constant_fold.hpp>
#include <espalier/program/fold_conv_batch_norm.hpp>
#include <espalier/program/pipeline_unit.hpp>
#include <espalier/program/save_load.hpp>

#include "models/resnet18.hpp"

#include <torch/torch.h>

#include <doctest/doctest.h>

#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace es = espalier;

namespace {

constexpr es::pipeline folding{es::fold_conv_batch_norm{}};

std::size_t norms(const es::graph_storage& g) {
  std::size_t n = 0;
  for (es::node x : es::nodes(g))
    n += x.is_call() && es::name_of(x.op()).find("batch_norm") != std::string_view::npos;
  return n;
}
/// Statistics and weights that are not those of a fresh layer.
template <class Norm>
Norm used(Norm n) {
  const at::NoGradGuard no_grad;
  n->running_mean.uniform_(-1, 1);
  n->running_var.uniform_(0.5, 2);
  n->weight.uniform_(-2, 2);
  n->bias.uniform_(-1, 1);
  return n;
}
/// Exports, folds, compares with eager and with the file; the program that is left.
auto check_folds(torch::nn::Sequential net, const at::Tensor& x) {
  net->eval();
  auto p = es::export_program(net, es::inputs(es::named("x", x)));
  const auto before = norms(p.storage());
  CHECK(before == 1);
  CHECK(folding.run(p).rewritten == before);
  CHECK(norms(p.storage()) == 0);
  CHECK_NOTHROW(p.verify());
  CHECK(torch::allclose(p(x), net->forward(x), 1e-4, 1e-5));
  CHECK_FALSE(folding.run(p).changed());
  std::stringstream file;
  es::save(p, file);
  CHECK(torch::equal(es::load<es::training_ir, at::Tensor(at::Tensor)>(file)(x), p(x)));
  return p;
}

struct shared_impl : torch::nn::Module {
  shared_impl() {
    conv = register_module("conv", torch::nn::Conv2d(torch::nn::Conv2dOptions(2, 2, 3).padding(1)));
    one = register_module("one", used(torch::nn::BatchNorm2d(2)));
    two = register_module("two", used(torch::nn::BatchNorm2d(2)));
  }
  at::Tensor forward(at::Tensor x) {
    const auto again = one(conv(two(conv(one(conv(x)))))); // the first and the last alike
    return again + conv(x);
  }
  torch::nn::Conv2d conv{nullptr};
  torch::nn::BatchNorm2d one{nullptr}, two{nullptr};
};
TORCH_MODULE_IMPL(shared, shared_impl);

struct twice_impl : torch::nn::Module {
  twice_impl() {
    conv = register_module("conv", torch::nn::Conv2d(2, 2, 3));
    norm = register_module("norm", used(torch::nn::BatchNorm2d(2)));
  }
  at::Tensor forward(at::Tensor x) {
    const auto y = conv(x);
    return norm(y) + y;
  }
  torch::nn::Conv2d conv{nullptr};
  torch::nn::BatchNorm2d norm{nullptr};
};
TORCH_MODULE_IMPL(twice, twice_impl);

} // namespace

TEST_CASE("every kind of convolution") {
  torch::manual_seed(2);
  using namespace torch::nn;
  check_folds(Sequential(Conv1d(3, 4, 3), used(BatchNorm1d(4))), torch::randn({2, 3, 9}));
  check_folds(Sequential(Conv3d(Conv3dOptions(2, 4, 2).bias(false)), used(BatchNorm3d(4))),
              torch::randn({2, 2, 3, 4, 5}));
  check_folds(Sequential(ConvTranspose1d(ConvTranspose1dOptions(4, 6, 3).groups(2)), used(BatchNorm1d(6))),
              torch::randn({2, 4, 5}));
  check_folds(Sequential(ConvTranspose2d(ConvTranspose2dOptions(4, 2, 3).stride(2).bias(false)),
                         used(BatchNorm2d(2))),
              torch::randn({2, 4, 5, 6}));
  check_folds(Sequential(Conv2d(2, 3, 3), BatchNorm2d(BatchNorm2dOptions(3).affine(false))),
              torch::randn({2, 2, 5, 6}));
  auto p = check_folds(
      Sequential(Conv2d(Conv2dOptions(4, 6, 3).groups(2).padding(1)), used(BatchNorm2d(6)), ReLU()),
      torch::randn({2, 4, 5, 6}));
  std::vector<std::string> names;
  for (const auto& e : p.state_dict())
    names.push_back(e.name + (e.is_parameter ? " p" : ""));
  CHECK(names == std::vector<std::string>{"1.num_batches_tracked", "0.folded_weight p", "0.folded_bias p"});
  CHECK(p.state_dict().at("0.folded_weight").requires_grad());
  CHECK(p.signature().inputs[0].arg.name == "p_0_folded_weight");
}

TEST_CASE("ResNet") {
  torch::manual_seed(3);
  models::ResNet18 net(models::resnet18_small());
  for (auto& m : net->modules(false))
    if (auto* n = m->as<torch::nn::BatchNorm2d>()) {
      const at::NoGradGuard no_grad;
      n->running_mean.uniform_(-0.1, 0.1);
      n->running_var.uniform_(0.5, 2);
    }
  net->eval();
  const auto x = torch::randn({2, 3, 64, 64});
  auto p = es::export_program(net, es::inputs(es::named("x", x)));
  CHECK(norms(p.storage()) == 20);
  CHECK(folding.run(p).rewritten == 20);
  CHECK(norms(p.storage()) == 0);
  CHECK(torch::allclose(p(x), net->forward(x), 1e-3, 1e-4));
  CHECK_NOTHROW(p.verify());
}

TEST_CASE("shared weights stay for their other users; equal pairs share the new ones") {
  torch::manual_seed(4);
  shared net;
  net->eval();
  const auto x = torch::randn({1, 2, 4, 4});
  auto p = es::export_program(net, es::inputs(es::named("x", x)));
  CHECK(folding.run(p).rewritten == 3);
  CHECK(norms(p.storage()) == 0);
  CHECK(p.state_dict().contains("conv.weight"));
  CHECK(p.state_dict().contains("conv.folded_weight"));
  CHECK(p.state_dict().contains("conv.folded_weight_1"));
  CHECK_FALSE(p.state_dict().contains("conv.folded_weight_2"));
  CHECK_FALSE(p.state_dict().contains("one.running_mean"));
  CHECK(torch::allclose(p(x), net->forward(x), 1e-4, 1e-5));
}

TEST_CASE("left alone: two uses, training, no batch, statistics that a run writes to") {
  torch::manual_seed(5);
  using namespace torch::nn;
  const auto stays = [](auto net, const at::Tensor& x, bool train = false) {
    net->train(train);
    auto p = es::export_program(net, es::inputs(es::named("x", x)));
    const auto before = es::structural_hash(p.storage());
    CHECK(norms(p.storage()) == 1);
    CHECK_FALSE(folding.run(p).changed());
    CHECK(es::structural_hash(p.storage()) == before);
  };
  const auto x = torch::randn({2, 2, 4, 4});
  stays(twice(), x);
  stays(Sequential(Conv2d(2, 2, 3), BatchNorm2d(2)), x, true);
  stays(Sequential(Conv2d(2, 2, 3), BatchNorm2d(BatchNorm2dOptions(2).track_running_stats(false))), x);
  // a 2-d convolution without a batch gives three dimensions, of which the norm takes the second
  stays(Sequential(Conv2d(2, 4, 1), BatchNorm1d(4)), torch::randn({2, 4, 4}));
}

TEST_CASE("docs/program.md: passes on whole programs") {
  torch::manual_seed(6);
  using namespace torch::nn;
  Sequential net(Conv2d(2, 3, 3), used(BatchNorm2d(3)), ReLU(), Flatten(), Linear(12, 2));
  net->eval();
  const auto x = torch::randn({1, 2, 4, 4});
  auto program = es::export_program(net, es::inputs(es::named("x", x)));

  // clang-format off
  // these parameters are frozen: new ones take their place
  constexpr auto for_inference = es::fold_conv_batch_norm{} | es::constant_fold({.parameters = true});
  for_inference.run(program);

  // graph, state, constants and example inputs, or nothing
  constexpr auto narrow = es::check<es::property::functional>{} |
                          es::convert_dtype(es::scalar_type::f32, es::scalar_type::bf16);
  narrow.run(program);
  es::device_move(*es::parse_device("meta")).run(program); // or "cuda:0"
  // clang-format on

  CHECK(norms(program.storage()) == 0);
  for (const auto& e : program.state_dict())
    CHECK((e.tensor.is_meta() && e.tensor.scalar_type() != at::kFloat));
  CHECK_NOTHROW(program.verify());
}

TEST_CASE("programs of the corpus") {
  const at::NoGradGuard no_grad;
  std::size_t folded = 0;
  for (const auto& model : corpus::models())
    for (const auto& path : corpus::archives(model)) {
      CAPTURE(path.string());
      auto p = es::load<es::torch_ir>(path.string());
      const auto before = norms(p.storage());
      const auto done = folding.run(p);
      folded += done.rewritten;
      CHECK(norms(p.storage()) == before - done.rewritten);
      if (!done.changed())
        continue;
      for (const auto& d : p.diagnose())
        FAIL_CHECK(es::to_string(d));
      CHECK(corpus::difference(p(corpus::load_list(model / "inputs.pt")),
                               corpus::load_list(model / "outputs.pt")) < 1e-4);
      CHECK_FALSE(folding.run(p).changed());
    }
  MESSAGE(folded << " pairs folded");
}
