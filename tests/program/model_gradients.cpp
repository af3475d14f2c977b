// SPDX-License-Identifier: BSL-1.0
// The demo's models, exported, saved and loaded: the gradient of each parameter through the loaded program is
// eager's.
#include <espalier/bridge/pytree.hpp>
#include <espalier/exporting/export_program.hpp>
#include <espalier/program/save_load.hpp>

#include <doctest/doctest.h>
#include <torch/torch.h>

#include "models/bert.hpp"
#include "models/llama.hpp"
#include "models/lstm_classifier.hpp"
#include "models/resnet18.hpp"

#include <sstream>
#include <tuple>
#include <vector>

namespace es = espalier;

namespace {

/// A number that all floating outputs have a part in.
at::Tensor loss_of(const std::vector<c10::IValue>& outputs) {
  auto loss = at::zeros({});
  for (const auto& o : outputs)
    loss = loss + o.toTensor().square().mean();
  return loss;
}
template <class T>
std::vector<c10::IValue> leaves_of(const T& x) {
  es::vector<es::tree_leaf> flat;
  es::pytree<T>::flatten(x, "", flat);
  std::vector<c10::IValue> out;
  for (auto& leaf : flat)
    out.push_back(leaf.value);
  return out;
}

template <class Net, class Options>
void check_gradients(const Options& options) {
  torch::manual_seed(3);
  Net net(options);
  net->eval();
  const auto inputs = models::example_inputs(options);
  std::stringstream file;
  std::apply([&](const auto&... x) { es::save(es::export_program(net, es::inputs(x...)), file); }, inputs);
  auto loaded = es::load<es::training_ir>(file);

  loss_of(loaded(std::apply([](const auto&... x) { return std::vector<c10::IValue>{x...}; }, inputs)))
      .backward();
  loss_of(std::apply([&](const auto&... x) { return leaves_of(net->forward(x...)); }, inputs)).backward();
  CHECK(loaded.parameters().size() == net->parameters().size());
  for (const auto& x : net->named_parameters()) {
    CAPTURE(x.key());
    const auto ours = loaded.state_dict().at(x.key()).grad(), theirs = x.value().grad();
    REQUIRE(ours.defined());
    REQUIRE(theirs.defined());
    CHECK(theirs.abs().sum().template item<double>() > 0);
    CHECK(at::allclose(ours, theirs, 1e-5, 1e-5 * theirs.abs().max().template item<double>()));
  }
}

} // namespace

TEST_CASE("gradients through the demo's loaded programs equal eager's") {
  SUBCASE("resnet18") { check_gradients<models::ResNet18>(models::resnet18_small()); }
  SUBCASE("bert") { check_gradients<models::Bert>(models::bert_small()); }
  SUBCASE("llama") { check_gradients<models::Llama>(models::llama_small()); }
  SUBCASE("lstm_classifier") { check_gradients<models::LSTMClassifier>(models::lstm_classifier_small()); }
}
