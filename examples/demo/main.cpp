// SPDX-License-Identifier: BSL-1.0
// The main job on real input: four plain torch::nn models are exported, run, saved, reloaded and compared.
// Python takes it from there (tests/python/check_demo.py).
#include <espalier/espalier.hpp>

#include "models/bert.hpp"
#include "models/llama.hpp"
#include "models/lstm_classifier.hpp"
#include "models/resnet18.hpp"

#include <torch/torch.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

namespace es = espalier;
namespace fs = std::filesystem;

namespace {

double milliseconds(std::chrono::steady_clock::time_point since) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - since).count();
}

void write_values(const fs::path& path, const std::vector<c10::IValue>& values) {
  c10::impl::GenericList list(c10::AnyType::get());
  for (auto& v : values)
    list.push_back(v.isTensor() ? c10::IValue(v.toTensor().detach()) : v);
  const auto bytes = es::torch_save(list);
  std::ofstream out(path, std::ios::binary);
  out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  if (!out.flush())
    es::fail(es::error_kind::io, "cannot write", path.string(),
             "check the folder's permissions and free space");
}

template <class T>
std::vector<c10::IValue> leaves_of(const T& x) {
  std::vector<es::tree_leaf> flat;
  es::pytree<T>::flatten(x, "", flat);
  std::vector<c10::IValue> out;
  for (auto& leaf : flat)
    out.push_back(leaf.value);
  return out;
}

/// The largest difference between two results, or infinity when their shapes differ.
double gap(const std::vector<c10::IValue>& a, const std::vector<c10::IValue>& b) {
  double worst = a.size() == b.size() ? 0.0 : std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < a.size() && i < b.size(); ++i) {
    const auto &x = a[i].toTensor(), &y = b[i].toTensor();
    if (x.sizes() != y.sizes())
      return std::numeric_limits<double>::infinity();
    if (x.numel())
      worst = std::max(worst, (x - y).abs().max().item<double>());
  }
  return worst;
}

template <class Net, class... Inputs>
bool show(const std::string& name, Net& net, const fs::path& folder, es::example_input<Inputs>... inputs) {
  net->eval();
  std::printf("%-16s", name.c_str());
  std::fflush(stdout);

  auto start = std::chrono::steady_clock::now();
  auto program = es::export_program(net, es::inputs(inputs...));
  const double exported = milliseconds(start);

  const auto eager = leaves_of(net->forward(inputs.value...));
  const auto ours = leaves_of(program(inputs.value...)); // a typed call: the result has forward's type

  // What Python would call it by: C++ spells linear as t + addmm.
  es::apply<es::raise>(program);

  const fs::path file = folder / (name + ".pt2");
  start = std::chrono::steady_clock::now();
  es::save(program, file);
  const double saved = milliseconds(start);
  write_values(folder / (name + ".inputs.pt"), {inputs.value...});
  write_values(folder / (name + ".outputs.pt"), eager);

  start = std::chrono::steady_clock::now();
  auto again = es::load<es::training_ir>(file);
  const double loaded = milliseconds(start);
  const auto reloaded = again({inputs.value...});

  const double g1 = gap(ours, eager), g2 = gap(reloaded, eager);
  const bool good = g1 < 1e-5 && g2 < 1e-5;
  std::printf(" %4zu nodes   export %7.1f ms   save %6.1f ms   load %6.1f ms   gap to eager %.1e, reloaded "
              "%.1e   %s\n",
              program.graph().num_nodes(), exported, saved, loaded, g1, g2, good ? "ok" : "WRONG");
  std::ofstream(folder / (name + ".graph.txt")) << es::print_readable(program.graph());
  return good;
}

} // namespace

int main(int argc, char** argv) try {
  if (argc != 2 || std::string(argv[1]) == "--help") {
    std::puts("usage: demo FOLDER\n\nExports ResNet-18, a BERT-like encoder, a Llama-like decoder and an "
              "LSTM classifier, runs them, and writes\n"
              "NAME.pt2, NAME.inputs.pt, NAME.outputs.pt and NAME.graph.txt into FOLDER.");
    return argc == 2 ? 0 : 2;
  }
  const fs::path folder = argv[1];
  fs::create_directories(folder);
  torch::manual_seed(0);

  bool good = true;
  {
    const auto options = models::resnet18_small();
    models::ResNet18 net(options);
    auto [x] = models::example_inputs(options);
    good &= show("resnet18", net, folder, es::named("x", x));
  }
  {
    const auto options = models::bert_small();
    models::Bert net(options);
    auto [ids, mask] = models::example_inputs(options);
    good &= show("bert", net, folder, es::named("input_ids", ids), es::named("attention_mask", mask));
  }
  {
    const auto options = models::llama_small();
    models::Llama net(options);
    auto [ids] = models::example_inputs(options);
    good &= show("llama", net, folder, es::named("input_ids", ids));
  }
  {
    const auto options = models::lstm_classifier_small();
    models::LSTMClassifier net(options);
    auto [ids] = models::example_inputs(options);
    good &= show("lstm_classifier", net, folder, es::named("tokens", ids));
  }
  return good ? 0 : 1;
} catch (const std::exception& e) {
  std::fprintf(stderr, "demo: %s\n", e.what());
  return 1;
}
