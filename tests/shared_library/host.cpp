// SPDX-License-Identifier: BSL-1.0
// Graphs, operator ids and errors across a shared-library boundary: host and plugin each have their own copy
// of every inline function of the headers, and must nevertheless agree about the objects that are one a
// process.
#include "plugin.hpp"

#include <doctest/doctest.h>

namespace es = espalier;

TEST_CASE("a graph that a shared library built is read, matched and verified here") {
  auto g = plugin::build();
  CHECK(g.num_nodes() == 5);
  es::node_id n = g.prev(g.last());
  REQUIRE(n);
  CHECK(g.op(n) == es::id_of<scale_by>());
  CHECK(es::name_of(g.op(n)) == "plugin::scale_by");
  CHECK(static_cast<bool>(es::match<es::aten::add_Tensor>(es::node(g, g.prev(n)))));
  CHECK(es::verify(g).empty());
}

TEST_CASE("both sides give one operator one id, whoever names it first") {
  CHECK(plugin::id_of_scale_by() == es::id_of<scale_by>());
  const auto here = es::intern_op("host::first", "host::first(Tensor self) -> Tensor");
  CHECK(plugin::intern("host::first", "") == here);
  const auto there = plugin::intern("plugin::first", "plugin::first(Tensor self) -> Tensor");
  REQUIRE(es::find_op("plugin::first"));
  CHECK(*es::find_op("plugin::first") == there);
  REQUIRE(es::schema_of(there) != nullptr);
  CHECK(es::schema_of(there)->args.size() == 1);
}

TEST_CASE("a graph built here is edited there, and the text is the same on both sides") {
  auto g = plugin::build();
  const std::string before = es::to_text(g, es::training_ir::name);
  CHECK(plugin::text_of(g) == before);
  const es::graph_storage copy = g;
  const auto scaled = g.prev(g.last());
  const auto x = es::node(g, g.first()).result(0);
  g.set_insertion_point({scaled});
  g.call<es::aten::neg>(x);
  CHECK(g.num_nodes() == 6);
  CHECK(plugin::remove_dead_calls(g) == 1);
  CHECK(es::to_text(g, es::training_ir::name) == before);
  CHECK(es::structural_hash(g) == es::structural_hash(copy));
}

TEST_CASE("an error thrown there is caught here by its type, with its cause and cure") {
  try {
    plugin::refuse();
    FAIL("nothing was thrown");
  } catch (const es::error& e) {
    CHECK(e.kind() == es::error_kind::usage);
    CHECK(std::string(e.what()).find("catch this in the host") != std::string::npos);
  }
}
