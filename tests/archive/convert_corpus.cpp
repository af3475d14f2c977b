// SPDX-License-Identifier: BSL-1.0
// Every archive of the corpus, read into a graph and written back, says what it said: the JSON text is the
// same byte for byte, and so is the whole file's after a rewrite of its program.
#include "archive/corpus.hpp"

#include <espalier/archive/from_archive.hpp>
#include <espalier/archive/loaded_program.hpp>
#include <espalier/archive/pt2_archive.hpp>
#include <espalier/archive/schema_json.hpp>
#include <espalier/archive/to_archive.hpp>
#include <espalier/ir/dialect.hpp>
#include <espalier/ir/verify.hpp>
#include <espalier/ir/view.hpp>

#include <doctest/doctest.h>

#include <sstream>
#include <string>

namespace es = espalier;

TEST_CASE("archives of the corpus survive the way into a graph and back") {
  for (const auto& path : corpus::archives()) {
    CAPTURE(path.string());
    auto a = es::pt2::read_archive(path.string());
    for (const auto& m : a.models) {
      const std::string before = es::pt2::to_json(m.program);
      auto g = es::from_archive(m.program);
      CHECK(g.graph.num_nodes() ==
            m.program.graph_module.graph.nodes.size() + m.program.graph_module.graph.inputs.size() + 1);
      CHECK(es::pt2::to_json(es::to_archive(g.graph, g.info)) == before);
      const es::graph_storage copy = g.graph; // notes travel with copies
      CHECK(es::pt2::to_json(es::to_archive(copy, g.info)) == before);
    }
  }
}

TEST_CASE("graphs of the corpus verify") {
  for (const auto& path : corpus::archives()) {
    CAPTURE(path.string());
    const auto p = es::load_program(path.string());
    const auto found = p.info.verifier == es::aten_ir::verifier ? es::verify<es::aten_ir>(p.graph)
                                                                : es::verify<es::training_ir>(p.graph);
    for (const auto& d : found)
      FAIL_CHECK(es::to_string(d));
  }
}

TEST_CASE("a program without LibTorch: read, written, read again") {
  for (const auto& path : corpus::archives()) {
    CAPTURE(path.string());
    auto p = es::load_program(path.string());
    std::stringstream file;
    es::save_program(p, file);
    auto again = es::open_programs(es::pt2::read_archive(file), "stream");
    REQUIRE(again.programs.size() == 1);
    auto& q = again.programs[0];
    CHECK(es::pt2::to_json(es::to_archive(q.graph, q.info)) ==
          es::pt2::to_json(es::to_archive(p.graph, p.info)));
    CHECK(q.sample_inputs.text() == p.sample_inputs.text());
    REQUIRE(q.weights.size() == p.weights.size());
    for (const auto& [name, w] : p.weights) {
      REQUIRE(q.weights.find(name));
      CHECK(q.weights.find(name)->bytes.text() == w.bytes.text());
    }
    CHECK(q.constants.size() == p.constants.size());
  }
}
