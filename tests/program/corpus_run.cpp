// SPDX-License-Identifier: BSL-1.0
// Every program of the corpus runs here and gives what Python recorded: as exported, decomposed, and with
// dynamic sizes on further input sets; what it changes is changed; wrong sizes are refused.
#include "program/torch_files.hpp"

#include <espalier/program/save_load.hpp>

#include <ATen/ATen.h>
#include <torch/library.h>

#include <doctest/doctest.h>

#include <cstdint>
#include <sstream>
#include <string>

namespace es = espalier;

// The operators of tests/corpus/operators.py.
namespace {
at::Tensor shift_(at::Tensor x, const at::Tensor& by, std::int64_t times) {
  x.add_(by, times);
  return x.sum();
}
} // namespace
TORCH_LIBRARY(espalier_corpus, m) {
  m.def("shift_(Tensor(a!) x, Tensor by, *, int times=1) -> Tensor", shift_);
}

namespace {
es::exported_program<es::torch_ir> load(const corpus::fs::path& p) {
  return es::load<es::torch_ir>(p.string());
}
} // namespace

TEST_CASE("programs of the corpus give the recorded outputs") {
  const at::NoGradGuard no_grad;
  for (const auto& model : corpus::models())
    for (const auto& path : corpus::archives(model)) {
      CAPTURE(path.string());
      const auto p = load(path);
      for (const auto& d : p.diagnose())
        FAIL_CHECK(es::to_string(d));
      const auto want = corpus::load_list(model / "outputs.pt");
      const auto inputs = corpus::load_list(model / "inputs.pt");
      CHECK(corpus::difference(p(inputs), want) < 1e-5);
      if (corpus::fs::exists(model / "inputs_after.pt"))
        CHECK(corpus::difference(inputs, corpus::load_list(model / "inputs_after.pt")) < 1e-5);
      if (corpus::fs::exists(model / "state_after.pt")) {
        const auto after = corpus::load_value(model / "state_after.pt").toGenericDict();
        for (const auto& e : after) {
          const auto name = e.key().toStringRef();
          CAPTURE(name);
          const auto* t = p.state_dict().find(name);
          if (!t)
            t = p.constants().find(name);
          REQUIRE(t);
          CHECK(corpus::difference(std::vector<at::Tensor>{*t},
                                   std::vector<at::Tensor>{e.value().toTensor()}) < 1e-5);
        }
      }
    }
}

TEST_CASE("programs with dynamic sizes give the recorded outputs on other sizes") {
  const at::NoGradGuard no_grad;
  for (const auto& model : corpus::models()) {
    if (!corpus::fs::exists(model / "model_dyn.pt2"))
      continue;
    for (int k = 1; corpus::fs::exists(model / ("inputs_dyn" + std::to_string(k) + ".pt")); ++k) {
      CAPTURE(model.string());
      CAPTURE(k);
      const auto p = load(model / "model_dyn.pt2");
      const auto want = corpus::load_list(model / ("outputs_dyn" + std::to_string(k) + ".pt"));
      CHECK(corpus::difference(p(corpus::load_list(model / ("inputs_dyn" + std::to_string(k) + ".pt"))),
                               want) < 1e-5);
    }
  }
}

TEST_CASE("a reloaded copy runs like the original") {
  const at::NoGradGuard no_grad;
  for (const auto& model : corpus::models())
    for (const auto& path : corpus::archives(model)) {
      CAPTURE(path.string());
      std::stringstream file;
      es::save(load(path), file);
      const auto again = es::load<es::torch_ir>(file);
      CHECK(corpus::difference(again(corpus::load_list(model / "inputs.pt")),
                               corpus::load_list(model / "outputs.pt")) < 1e-5);
    }
}

TEST_CASE("example inputs in the archive run too") {
  const at::NoGradGuard no_grad;
  std::size_t known = 0;
  for (const auto& model : corpus::models()) {
    const auto p = load(model / "model.pt2");
    if (p.example_inputs().leaves.empty()) {
      CHECK(!p.example_inputs().unread.empty()); // a class of Python's: told, not lost
      CHECK(!p.example_inputs().pickle.empty());
      continue;
    }
    ++known;
    CAPTURE(model.string());
    CHECK(corpus::difference(p(p.example_inputs().leaves), corpus::load_list(model / "outputs.pt")) < 1e-5);
  }
  if (!corpus::models().empty())
    CHECK(known > 0);
}

TEST_CASE("inputs of other sizes, ranks and types are refused before anything runs") {
  for (const auto& model : corpus::models()) {
    CAPTURE(model.string());
    const auto p = load(model / "model.pt2");
    const auto good = corpus::load_list(model / "inputs.pt");
    for (std::size_t i = 0; i != good.size(); ++i) {
      if (!good[i].isTensor())
        continue;
      const auto refused = [&](const at::Tensor& t) {
        auto bad = good;
        bad[i] = t;
        try {
          p(bad);
        } catch (const es::error& e) {
          CHECK(e.kind() == es::error_kind::constraint);
          CHECK(e.place().find("input '") != std::string::npos);
          return true;
        }
        return false;
      };
      const auto t = good[i].toTensor();
      CHECK(refused(t.unsqueeze(0)));
      CHECK(refused(t.to(t.scalar_type() == at::kDouble ? at::kFloat : at::kDouble)));
      if (t.dim() > 0)
        CHECK(refused(at::cat({t, t}, t.dim() - 1)));
    }
    auto few = good;
    few.pop_back();
    if (!few.empty() || p.input_names().size() > 0)
      CHECK_THROWS_AS(p(few), es::error);
  }
}
