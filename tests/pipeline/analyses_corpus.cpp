// SPDX-License-Identifier: BSL-1.0
// The analyses on exported models: operations as Python counts them, and laws that hold of every program.
#include "archive/corpus.hpp"

#include <espalier/archive/loaded_program.hpp>
#include <espalier/ir/clone.hpp>
#include <espalier/ir/diff.hpp>
#include <espalier/ir/view.hpp>
#include <espalier/pipeline/analyses/cost.hpp>
#include <espalier/pipeline/analyses/critical_path.hpp>
#include <espalier/pipeline/analyses/dominance.hpp>
#include <espalier/pipeline/analyses/memory_estimate.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <cstdlib>
#include <string>

namespace es = espalier;

TEST_CASE("operations of the corpus's models are those that Python's FlopCounterMode counts") {
  // torch 2.15: `with torch.no_grad(), FlopCounterMode() as f: torch.export.load(PATH).module()(*example)`
  const struct {
    const char* path;
    std::uint64_t flops;
  } counted[] = {{"resnet18/model.pt2", 13470208}, {"mobilenet_v3_small/model.pt2", 3836288},
                 {"bn_train/model.pt2", 467968},   {"lstm_classifier/model_decomp.pt2", 6196032},
                 {"consts/model.pt2", 768},        {"preserve_sig/model.pt2", 288},
                 {"set_grad/model.pt2", 1024}};
  // the project's own corpus has models of these names too, and others behind them
  const char* root = std::getenv("ESPALIER_SOURCE_ROOT");
  for (const auto& path : corpus::archives())
    for (const auto& c : counted)
      if (path.string().ends_with("/" + std::string(c.path)) && !(root && path.string().starts_with(root))) {
        CAPTURE(c.path);
        CHECK(es::cost::compute(es::load_program(path.string()).graph).total().flops == c.flops);
      }
}

TEST_CASE("laws of the analyses hold of the corpus's models") {
  for (const auto& path : corpus::archives()) {
    CAPTURE(path.string());
    const auto p = es::load_program(path.string());
    const es::graph_storage& g = p.graph;
    CHECK(es::diff(g, es::compacted(g)).empty());
    const auto memory = es::memory_estimate::compute(g);
    if (g.num_subgraphs() == 0)
      CHECK(memory.peak_bytes <= memory.allocated_bytes);
    const auto steps = es::critical_path<>::compute(g);
    CHECK(steps.length() <= steps.work());
    const auto before = es::dominance::compute(g);
    const auto behind = es::post_dominance::compute(g);
    for (es::node n : es::nodes(g)) {
      if (before.immediate(n).valid())
        CHECK(g.is_before(before.immediate(n), n));
      if (behind.immediate(n).valid())
        CHECK(g.is_before(n, behind.immediate(n)));
    }
  }
}
