// SPDX-License-Identifier: BSL-1.0
// The code of docs/subgraphs.md, docs/program.md and docs/archive.md: what stands there stands here
// (tools/docs.py compares) and does what the pages say.
#include <espalier/program/save_load.hpp>
namespace es = espalier;

#include <espalier/archive/inspect.hpp>
#include <espalier/exporting/export_program.hpp>
#include <espalier/passes/unlift.hpp>
#include <espalier/program/lift_attributes.hpp>
#include <espalier/program/module_weights.hpp>

#include <torch/torch.h>

#include <doctest/doctest.h>

#include <filesystem>
#include <iostream>
#include <map>
#include <sstream>
#include <string>

namespace {

/// A folder to work in, left and removed at the end.
class scratch_folder {
public:
  explicit scratch_folder(const char* name)
      : here_(std::filesystem::temp_directory_path() / name), back_(std::filesystem::current_path()) {
    std::filesystem::create_directories(here_);
    std::filesystem::current_path(here_);
  }
  scratch_folder(const scratch_folder&) = delete;
  scratch_folder& operator=(const scratch_folder&) = delete;
  ~scratch_folder() {
    std::filesystem::current_path(back_);
    std::filesystem::remove_all(here_);
  }

private:
  std::filesystem::path here_, back_;
};

/// std::cout into a string while it lives.
class captured_output {
public:
  captured_output() : old_(std::cout.rdbuf(text_.rdbuf())) {}
  captured_output(const captured_output&) = delete;
  captured_output& operator=(const captured_output&) = delete;
  ~captured_output() { std::cout.rdbuf(old_); }
  std::string text() const { return text_.str(); }

private:
  std::ostringstream text_;
  std::streambuf* old_;
};

torch::nn::Sequential make_net() {
  torch::manual_seed(3);
  return torch::nn::Sequential(torch::nn::Linear(3, 4), torch::nn::ReLU(), torch::nn::Linear(4, 2));
}

struct RenamedImpl : torch::nn::Module {
  RenamedImpl() {
    body = register_module("body", torch::nn::Linear(3, 4));
    head = register_module("head", torch::nn::Linear(4, 5));
  }
  torch::nn::Linear body{nullptr}, head{nullptr};
};

} // namespace

TEST_CASE("docs/program.md: call, train, save") {
  const scratch_folder folder("espalier_docs_program");
  auto net = make_net();
  const auto x = torch::randn({5, 3}), target = torch::randn({5, 2});
  es::save(es::export_program(net, es::inputs(es::named("x", x))), "net.pt2");
  const auto expected = net->forward(x);

  // clang-format off
  auto program = es::load<es::training_ir, at::Tensor(at::Tensor)>("net.pt2");
  at::Tensor y = program(x);                 // typed: wrong arguments do not compile
  auto leaves = program({x});                // flat: leaves in, leaves out

  torch::optim::SGD sgd(program.parameters(), 0.1);
  torch::mse_loss(program(x), target).backward();
  sgd.step();                                // weights are mapped copy-on-write: the file never changes

  es::save(program, "trained.pt2");          // Python: torch.export.load("trained.pt2")
  // clang-format on

  CHECK(torch::allclose(y, expected));
  REQUIRE(leaves.size() == 1);
  CHECK(torch::equal(leaves[0].toTensor(), y));
  CHECK(torch::equal(es::load<es::training_ir>("trained.pt2")({x})[0].toTensor(), program(x)));
  CHECK(torch::equal(es::load<es::training_ir>("net.pt2")({x})[0].toTensor(), y));
  CHECK(!torch::equal(program(x), y));
}

TEST_CASE("docs/program.md: a hook per node") {
  auto net = make_net();
  const auto x = torch::randn({5, 3});
  const auto program = es::export_program(net, es::inputs(es::named("x", x)));
  captured_output out;

  // clang-format off
  std::map<std::string, int> calls;
  es::call_options watched;
  watched.run.on_node = [&](es::node n, es::span<const c10::IValue> results) {
    ++calls[std::string(es::name_of(n.op()))];
    if (results[0].toTensor().isnan().any().item<bool>())
      std::cout << n.name() << " made a NaN\n";
  };
  program({x}, watched);
  // clang-format on

  CHECK(calls.at("aten::relu") == 1);
  CHECK(out.text().empty());
  program({torch::full({5, 3}, std::nan(""))}, watched);
  CHECK(out.text().find("relu made a NaN\n") != std::string::npos);
}

TEST_CASE("docs/program.md: weights alone") {
  const scratch_folder folder("espalier_docs_weights");
  auto net = make_net();
  RenamedImpl other;
  const auto before = other.head->weight.clone();
  captured_output out;

  // clang-format off
  es::save_state_dict(*net, "weights.pt2");  // Python: torch.export.load("weights.pt2").state_dict
  auto report = es::load_state_dict(other, "weights.pt2", {.strict = false});
  std::cout << es::to_string(report) << '\n';
  // clang-format on

  const std::string printed = out.text();
  CHECK(printed == R"(0 loaded, 4 missing, 4 unexpected, 0 of other sizes
  missing in the file: body.bias
  missing in the file: body.weight
  missing in the file: head.bias
  missing in the file: head.weight
  unknown to the module: 0.weight
  unknown to the module: 0.bias
  unknown to the module: 2.weight
  unknown to the module: 2.bias
  likely renamed: 0.weight -> body.weight
  likely renamed: 0.bias -> body.bias
)");
  CHECK(!torch::equal(other.body->weight, net[0]->as<torch::nn::Linear>()->weight));

  // clang-format off
  es::load_state_dict(other, "weights.pt2", {.strict = false, .rename = {{"0.weight", "body.weight"},
                                                                         {"0.bias", "body.bias"}}});
  // clang-format on

  CHECK(torch::equal(other.body->weight, net[0]->as<torch::nn::Linear>()->weight));
  CHECK(torch::equal(other.head->weight, before));
  CHECK_THROWS_WITH_AS(es::load_state_dict(other, "weights.pt2"), doctest::Contains("likely renamed"),
                       es::error);
  const auto same = es::load_state_dict(*make_net(), "weights.pt2");
  CHECK(same.complete());
  CHECK(same.loaded.size() == 4);
}

TEST_CASE("docs/archive.md: the structs of a file") {
  const scratch_folder folder("espalier_docs_archive");
  auto net = make_net();
  es::save(es::export_program(net, es::inputs(es::named("x", torch::randn({5, 3})))), "net.pt2");
  captured_output out;

  // clang-format off
  auto a = espalier::pt2::read_archive("net.pt2");        // maps; throws espalier::error
  for (auto& n : a.models[0].program.graph_module.graph.nodes) std::cout << n.target << '\n';
  espalier::pt2::write_archive(a, "copy.pt2");            // whole, or not at all
  std::cout << to_string(espalier::pt2::inspect("net.pt2"));
  // clang-format on

  CHECK(out.text().find("torch.ops.aten.relu.default\n") != std::string::npos);
  const auto x = torch::randn({5, 3});
  CHECK(torch::allclose(es::load<es::training_ir>("copy.pt2")({x})[0].toTensor(), net->forward(x)));
}

TEST_CASE("docs/subgraphs.md: who holds the state") {
  auto net = make_net();
  const auto x = torch::randn({5, 3});
  auto program = es::export_program(net, es::inputs(es::named("x", x)));

  const at::Tensor before = program({x})[0].toTensor();
  es::unlift::run(program);
  CHECK(program.signature().count(es::input_kind::parameter) == 0);
  CHECK(at::equal(program({x})[0].toTensor(), before));
  es::lift::run(program);

  CHECK(program.signature().count(es::input_kind::parameter) == 4);
  CHECK(at::equal(program({x})[0].toTensor(), before));
}
