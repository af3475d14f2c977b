// SPDX-License-Identifier: BSL-1.0
// On programs of Python's, whose spellings `raise` aims at: what `lower_spellings` writes comes back operator
// by operator.
#include "archive/corpus.hpp"

#include <espalier/archive/loaded_program.hpp>
#include <espalier/ir/hash.hpp>
#include <espalier/ir/view.hpp>
#include <espalier/passes/lower_spellings.hpp>
#include <espalier/passes/raise.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <string>
#include <vector>

namespace es = espalier;

namespace {

std::vector<std::string> targets(const es::graph_storage& g) {
  std::vector<std::string> out;
  for (es::node n : es::nodes(g))
    if (n.kind() == es::node_kind::call_function)
      out.push_back(es::target_of(n.op()));
  return out;
}

} // namespace

TEST_CASE("programs of the corpus, lowered and raised, call what they called") {
  std::size_t layers = 0;
  for (const auto& path : corpus::archives()) {
    CAPTURE(path.string());
    auto p = es::load_program(path.string());
    es::raise::run(p.graph); // a product with a transposed weight is a layer to it, whoever wrote it
    const auto before = targets(p.graph);
    const auto hash = es::structural_hash(p.graph);
    es::pass_context context;
    es::lower_spellings::run(p.graph, context);
    for (const auto& t : targets(p.graph))
      layers += t == "aten.addmm.default" || t == "aten.matmul.default";
    es::raise::run(p.graph);
    CHECK(targets(p.graph) == before);
    CHECK(es::structural_hash(p.graph) == hash);
  }
  if (!corpus::archives().empty())
    CHECK(layers != 0);
}
