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
#include <map>
#include <sstream>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace es = espalier;
namespace fs = std::filesystem;

namespace {

double milliseconds(std::chrono::steady_clock::time_point since) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - since).count();
}

[[noreturn]] void refuse_write(const fs::path& path) {
  es::fail(es::error_kind::io, "cannot write", path.string(),
           "check the folder's permissions and free space");
}

void write_values(const fs::path& path, const std::vector<c10::IValue>& values) {
  c10::impl::GenericList list(c10::AnyType::get());
  for (auto& v : values)
    list.push_back(v.isTensor() ? c10::IValue(v.toTensor().detach()) : v);
  const auto bytes = es::torch_save(list);
  std::ofstream out(path, std::ios::binary);
  out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  if (!out.flush())
    refuse_write(path);
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

/// A graph in a few lines: how often it calls what, its first two calls and its last one.
void print_in_short(const es::graph_storage& g) {
  std::map<std::string, int> count;
  for (es::node n : es::nodes(g))
    if (n.is_call())
      ++count[std::string(es::name_of(n.op()))];
  std::vector<std::pair<std::string, int>> often(count.begin(), count.end());
  std::sort(often.begin(), often.end(),
            [](auto& a, auto& b) { return a.second != b.second ? a.second > b.second : a.first < b.first; });
  std::printf("  %zu nodes:", g.num_nodes());
  const char* comma = "";
  for (std::size_t i = 0; i != std::min<std::size_t>(often.size(), 7); ++i, comma = ",")
    std::printf("%s %d %s", comma, often[i].second, often[i].first.c_str());
  std::puts(often.size() > 7 ? ", ..." : "");

  std::vector<std::string> calls;
  std::istringstream text(es::print_readable(g));
  for (std::string line; std::getline(text, line);)
    if (line.find(" = torch.ops.") != line.npos)
      calls.push_back(line.substr(line.find_first_not_of(' ')));
  const auto show_line = [](const std::string& line) {
    std::printf("    %s\n", line.size() > 108 ? (line.substr(0, 105) + "...").c_str() : line.c_str());
  };
  for (std::size_t i = 0; i != std::min<std::size_t>(calls.size(), 2); ++i)
    show_line(calls[i]);
  if (calls.size() > 3)
    std::printf("    ... %zu more ...\n", calls.size() - 3);
  if (calls.size() > 2)
    show_line(calls.back());
}

/// One step of the table: how long it took and what is to be said of it.
void report(const char* step, double ms, const std::string& what) {
  std::printf("  %-7s %8.1f ms   %s\n", step, ms, what.c_str());
  std::fflush(stdout);
}
std::string gap_text(double g) {
  char text[64];
  std::snprintf(text, sizeof text, "largest gap to eager %.1e", g);
  return text;
}

template <class Net, class... Inputs>
bool show(const std::string& name, Net& net, const fs::path& folder, es::example_input<Inputs>... inputs) {
  net->eval();
  std::printf("%s\n", name.c_str());
  std::fflush(stdout);

  auto start = std::chrono::steady_clock::now();
  auto program = es::export_program(net, es::inputs(inputs...));
  report("export", milliseconds(start), "training IR, as traced");

  const auto eager = leaves_of(net->forward(inputs.value...));
  start = std::chrono::steady_clock::now();
  const auto ours = leaves_of(program(inputs.value...)); // a typed call: the result has forward's type
  const double to_eager = gap(ours, eager);
  report("run", milliseconds(start), gap_text(to_eager));

  // What Python would call it by: C++ spells linear as t + addmm.
  start = std::chrono::steady_clock::now();
  const auto done = es::pipeline{es::raise{}}.run(program);
  report("raise", milliseconds(start), std::to_string(done.rewritten) + " calls in Python's spelling");
  print_in_short(program.graph());

  const fs::path file = folder / (name + ".pt2");
  start = std::chrono::steady_clock::now();
  es::save(program, file);
  report("save", milliseconds(start),
         file.string() + ", " + std::to_string(fs::file_size(file) / 1024) + " KiB");
  write_values(folder / (name + ".inputs.pt"), {inputs.value...});
  write_values(folder / (name + ".outputs.pt"), eager);
  std::ofstream readable(folder / (name + ".graph.txt"));
  if (!(readable << es::print_readable(program.graph())).flush())
    refuse_write(folder / (name + ".graph.txt"));

  start = std::chrono::steady_clock::now();
  auto again = es::load<es::training_ir>(file);
  const double loaded = milliseconds(start);
  const double reloaded = gap(again({inputs.value...}), eager);
  const bool good = to_eager < 1e-5 && reloaded < 1e-5;
  report("load", loaded, gap_text(reloaded) + (good ? "   ok" : "   WRONG"));
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
  std::error_code refused;
  fs::create_directories(folder, refused);
  if (refused)
    es::fail(es::error_kind::io, "cannot make the folder: " + refused.message(), folder.string(),
             "name one that you may write to");
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
