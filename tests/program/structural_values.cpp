// SPDX-License-Identifier: BSL-1.0
// Programs of the corpus compute the same when they are split, inlined, unlifted and lifted, and after a trip
// through a file; what they write to their state they write.
#include "passes/regions.hpp"
#include "program/torch_files.hpp"

#include <espalier/passes/inline.hpp>
#include <espalier/passes/split.hpp>
#include <espalier/passes/unlift.hpp>
#include <espalier/program/lift_attributes.hpp>
#include <espalier/program/pipeline_unit.hpp>
#include <espalier/program/save_load.hpp>

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <doctest/doctest.h>

#include <sstream>
#include <string>
#include <vector>

namespace es = espalier;

namespace {

using program = es::exported_program<es::torch_ir>;

/// Runs a copy of the program, whose state is its own, and gives what it put out and what it wrote.
std::vector<at::Tensor> run(const corpus::fs::path& file, const corpus::fs::path& inputs,
                            void (*change)(program&)) {
  const at::NoGradGuard no_grad;
  program p = es::load<es::torch_ir>(file.string());
  change(p);
  p.verify();
  const auto in = corpus::load_list(inputs);
  at::manual_seed(7);
  auto out = corpus::tensors(p(in));
  for (const auto& t : corpus::tensors(in))
    out.push_back(t);
  for (const auto* state : {&p.state_dict(), &p.constants()})
    for (const auto& e : *state)
      out.push_back(e.tensor);
  return out;
}
void as_it_is(program&) {}
void split(program& p) {
  es::pass_context c;
  es::split(laws::some_operators{9}).run(p.storage(), c);
  es::refresh_signature(p.storage(), p.info());
}
void split_and_inline(program& p) {
  split(p);
  es::inline_subgraphs{}.run(p.storage());
  es::refresh_signature(p.storage(), p.info());
}
void unlift(program& p) { es::unlift::run(p); }
void unlift_and_lift(program& p) {
  es::unlift::run(p);
  es::lift::run(p);
}
void split_through_a_file(program& p) {
  split(p);
  std::stringstream file;
  es::save(p, file);
  p = es::load<es::torch_ir>(file);
}
void unlifted_through_a_file(program& p) {
  unlift(p);
  std::stringstream file;
  es::save(p, file);
  p = es::load<es::torch_ir>(file);
}

} // namespace

TEST_CASE("programs of the corpus give the same whichever way they are cut, and whoever holds their state") {
  struct way {
    const char* name;
    void (*change)(program&);
  };
  for (const auto& model : corpus::models())
    for (const auto& file : corpus::archives(model)) {
      const auto want = run(file, model / "inputs.pt", as_it_is);
      for (const way& w :
           {way{"split", split}, way{"split | inline", split_and_inline}, way{"unlift", unlift},
            way{"unlift | lift", unlift_and_lift}, way{"split, saved and loaded", split_through_a_file},
            way{"unlift, saved and loaded", unlifted_through_a_file}}) {
        INFO(file.string() << ": " << w.name);
        CHECK(corpus::difference(run(file, model / "inputs.pt", w.change), want) == 0);
      }
    }
}

TEST_CASE("gradients flow through subgraphs") {
  std::size_t ran = 0;
  for (const auto& model : corpus::models()) {
    INFO(model.string());
    const auto gradients = [&](bool cut) {
      program p = es::load<es::torch_ir>((model / "model.pt2").string());
      if (cut)
        split(p);
      at::manual_seed(7);
      std::vector<at::Tensor> out;
      for (const auto& y : corpus::tensors(p(corpus::load_list(model / "inputs.pt"))))
        if (y.requires_grad() && out.empty()) {
          y.sum().backward();
          for (const auto& t : p.parameters())
            out.push_back(t.grad().defined() ? t.grad() : at::zeros({}));
        }
      return out;
    };
    const auto want = gradients(false);
    ran += !want.empty();
    CHECK(corpus::difference(gradients(true), want) == 0);
  }
  if (!corpus::models().empty())
    CHECK(ran > 0);
}
