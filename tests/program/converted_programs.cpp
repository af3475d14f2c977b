// SPDX-License-Identifier: BSL-1.0
// device_move and convert_dtype on whole programs: tensors go with the graph, tied weights stay tied, and an
// error leaves everything as it was.
#include "program/torch_files.hpp"

#include <espalier/exporting/export_program.hpp>
#include <espalier/ir/hash.hpp>
#include <espalier/passes/convert_dtype.hpp>
#include <espalier/passes/device_move.hpp>
#include <espalier/program/pipeline_unit.hpp>
#include <espalier/program/save_load.hpp>

#include <torch/torch.h>

#include <doctest/doctest.h>

#include <sstream>
#include <string>
#include <vector>

namespace es = espalier;

namespace {

struct tied_impl : torch::nn::Module {
  tied_impl() {
    torch::manual_seed(6);
    const auto w = torch::randn({5, 4});
    register_parameter("embedding", w);
    register_parameter("head", w);               // one tensor under two names
    row = register_buffer("row", w.detach()[2]); // a part of it
    steps = register_buffer("steps", torch::arange(5));
  }
  at::Tensor forward(at::Tensor ids, at::Tensor scale) {
    const auto x = torch::embedding(parameters()[0], ids) * scale + row;
    return torch::relu(x.matmul(parameters()[1].t())) + steps;
  }
  at::Tensor row, steps;
};
TORCH_MODULE_IMPL(tied, tied_impl);

const at::Tensor ids = torch::tensor({1, 3}), scale = torch::tensor({0.5f});

auto make(tied& net) {
  return es::export_program(net, es::inputs(es::named("ids", ids), es::named("scale", scale)));
}
/// Whether what was one tensor, or a part of one, is.
template <class Program>
bool still_tied(const Program& p) {
  const auto &a = p.state_dict().at("embedding"), &b = p.state_dict().at("head"),
             &c = p.state_dict().at("row");
  return a.is_alias_of(b) && a.is_alias_of(c) && c.storage_offset() - a.storage_offset() == 8;
}
constexpr auto to_double =
    es::check<es::property::functional>{} | es::convert_dtype(es::scalar_type::f32, es::scalar_type::f64);

} // namespace

TEST_CASE("another element type for a whole program") {
  tied net;
  auto p = make(net);
  REQUIRE(still_tied(p));
  CHECK(to_double.run(p).changed());
  CHECK_NOTHROW(p.verify());
  for (const char* name : {"embedding", "head", "row"})
    CHECK((p.state_dict().at(name).scalar_type() == at::kDouble));
  CHECK((p.state_dict().at("steps").scalar_type() == at::kLong));
  CHECK(p.state_dict().at("embedding").requires_grad());
  CHECK(p.state_dict().at("embedding").is_leaf());
  CHECK(still_tied(p));
  CHECK((p.example_inputs().leaves.at(1).toTensor().scalar_type() == at::kDouble));
  const auto wide = scale.to(at::kDouble);
  const auto y = p(ids, wide);
  CHECK((y.scalar_type() == at::kDouble));
  CHECK(torch::allclose(y.to(at::kFloat), net->forward(ids, scale), 1e-5, 1e-5));
  CHECK_FALSE(to_double.run(p).changed());

  std::stringstream file;
  es::save(p, file);
  const auto again = es::load<es::training_ir, at::Tensor(at::Tensor, at::Tensor)>(file);
  CHECK(torch::equal(again(ids, wide), y));
  CHECK(still_tied(again));
  CHECK((again.example_inputs().leaves.at(1).toTensor().scalar_type() == at::kDouble));
}

TEST_CASE("gradients are converted with their parameters") {
  tied net;
  auto p = make(net);
  p(ids, scale).sum().backward();
  const auto before = p.state_dict().at("embedding").grad();
  REQUIRE(before.defined());
  to_double.run(p);
  CHECK(torch::equal(p.state_dict().at("embedding").grad(), before.to(at::kDouble)));
}

TEST_CASE("an error leaves the program as it was") {
  tied net;
  {
    const at::NoGradGuard no_grad;
    net->parameters()[0][0][0] = 1e30;
  }
  auto p = make(net);
  const auto before = es::structural_hash(p.storage());
  const auto* weight = p.state_dict().at("embedding").unsafeGetTensorImpl();
  const auto unchanged = [&] {
    CHECK(es::structural_hash(p.storage()) == before);
    CHECK(p.state_dict().at("embedding").unsafeGetTensorImpl() == weight);
    CHECK((p.example_inputs().leaves.at(1).toTensor().scalar_type() == at::kFloat));
    CHECK_NOTHROW(p(ids, scale));
  };
  try {
    es::pass_context c;
    es::convert_dtype(es::scalar_type::f32, es::scalar_type::f16).run(p, c);
    FAIL("1e30 is no half");
  } catch (const es::error& e) {
    CHECK(e.kind() == es::error_kind::unsupported);
    CHECK(e.place() == "tensor 'embedding'");
  }
  unchanged();
  // tensors that nobody can open cannot be converted
  p.example_inputs().leaves.clear();
  p.example_inputs().unread = "a class that nobody knows";
  CHECK_THROWS_AS(to_double.run(p), es::error);
  CHECK(es::structural_hash(p.storage()) == before);
  CHECK(p.state_dict().at("embedding").unsafeGetTensorImpl() == weight);
  p.example_inputs() = {};
  CHECK_NOTHROW(to_double.run(p));
}

TEST_CASE("another device for a whole program") {
  tied net;
  auto p = make(net);
  const auto meta = *es::parse_device("meta");
  CHECK(es::pipeline{es::device_move(meta)}.run(p).changed());
  for (const auto& e : p.state_dict())
    CHECK(e.tensor.is_meta());
  CHECK(still_tied(p));
  CHECK(p.example_inputs().leaves.at(0).toTensor().is_meta());
  CHECK_NOTHROW(p.verify());
  CHECK_FALSE(es::device_move(meta).run(p).changed());
  // what is elsewhere stays
  CHECK_FALSE(es::device_move(*es::parse_device("cuda:0"), es::cpu_device).run(p).changed());
  if (!torch::cuda::is_available()) {
    auto q = make(net);
    const auto before = es::structural_hash(q.storage());
    CHECK_THROWS_AS(es::device_move(*es::parse_device("cuda:0")).run(q), es::error);
    CHECK(es::structural_hash(q.storage()) == before);
    CHECK(q.state_dict().at("embedding").is_cpu());
  } else {
    auto q = make(net);
    es::device_move(*es::parse_device("cuda")).run(q);
    CHECK(still_tied(q));
    CHECK(torch::allclose(q(ids.cuda(), scale.cuda()).cpu(), net->forward(ids, scale), 1e-4, 1e-4));
    CHECK_FALSE(es::device_move(*es::parse_device("cuda")).run(q).changed());
  }
}

TEST_CASE("programs of the corpus in double precision") {
  const at::NoGradGuard no_grad;
  std::size_t ran = 0, refused = 0;
  for (const auto& model : corpus::models()) {
    const auto path = model / "model_decomp.pt2";
    CAPTURE(path.string());
    auto p = es::load<es::torch_ir>(path.string());
    if (!es::property::functional::holds(p.storage()))
      continue;
    p.example_inputs() = {};
    es::pass_context c;
    const auto pass = es::convert_dtype(es::scalar_type::f32, es::scalar_type::f64);
    try {
      pass.run(p, c);
    } catch (const es::error& e) {
      CHECK(e.kind() ==
            es::error_kind::unsupported); // an operator without a schema, or one that looks at bits
      ++refused;
      continue;
    }
    for (const auto* dict : {&p.state_dict(), &p.constants()})
      for (const auto& e : *dict)
        CHECK((e.tensor.scalar_type() != at::kFloat));
    for (const auto& d : p.diagnose())
      FAIL_CHECK(es::to_string(d));
    auto inputs = corpus::load_list(model / "inputs.pt");
    for (auto& v : inputs)
      if (v.isTensor() && v.toTensor().scalar_type() == at::kFloat)
        v = v.toTensor().to(at::kDouble);
    std::vector<at::Tensor> ours = corpus::tensors(p(inputs));
    std::vector<at::Tensor> theirs = corpus::tensors(corpus::load_list(model / "outputs.pt"));
    for (std::size_t i = 0; i != ours.size() && i != theirs.size(); ++i)
      ours[i] = ours[i].to(theirs[i].scalar_type());
    CHECK(corpus::difference(ours, theirs) < 1e-3);
    CHECK_FALSE(pass.run(p, c).changed());
    ++ran;
  }
  CHECK((corpus::models().empty() || ran > refused));
}
