// SPDX-License-Identifier: BSL-1.0
// Data beside a graph: by node or value, with a default for what nobody wrote.
#include <espalier/ir/graph.hpp>
#include <espalier/schema/aten.hpp>
#include <espalier/support/side_table.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <utility>

namespace es = espalier;
namespace aten = es::aten;

TEST_CASE("ids that nobody wrote read as the default, and reading makes no room") {
  es::side_table<es::node_id, std::string> names("none");
  const auto& read = std::as_const(names);
  CHECK(read[es::node_id{7}] == "none");
  CHECK(names.size() == 0);
  names[es::node_id{3}] = "three";
  CHECK(names.size() == 4);
  CHECK(read[es::node_id{3}] == "three");
  CHECK(read[es::node_id{2}] == "none");
  CHECK(read[es::node_id{4}] == "none");
  names[es::node_id{1}] += ", or one";
  CHECK(read[es::node_id{1}] == "none, or one");
  names.clear();
  CHECK(names.size() == 0);
  CHECK(read[es::node_id{3}] == "none");
}

TEST_CASE("it can be used in constant evaluation") {
  constexpr auto sum = [] {
    es::side_table<es::value_id, int> t(10);
    t.reserve(8);
    t[es::value_id{5}] = 1;
    return std::as_const(t)[es::value_id{5}] + std::as_const(t)[es::value_id{0}] +
           std::as_const(t)[es::value_id{6}];
  }();
  static_assert(sum == 21);
}

TEST_CASE("docs/analyses.md: data beside a graph") {
  const auto meta = es::make_meta(es::scalar_type::f32, {4});
  es::graph<es::aten_ir> g;
  const auto x = g.placeholder("x", meta);
  const auto y = g.call<aten::relu>(g.call<aten::neg>(x));
  g.output(g.call<aten::add_Tensor>(y, x));

  es::side_table<es::node_id, int> depth(0);
  for (es::node n : es::nodes(g))
    for (es::value v : n.operands())
      depth[n.id()] = std::max(depth[n.id()], depth[v.def().id()] + 1);

  CHECK(depth[x.def().id()] == 0);
  CHECK(depth[y.def().id()] == 2);
  CHECK(depth[g.output_node()] == 4);
}

TEST_CASE("a table of bools holds bools") {
  es::side_table<es::node_id, bool> marks;
  bool& second = marks[es::node_id{1}];
  second = true;
  CHECK(std::as_const(marks)[es::node_id{1}]);
  CHECK_FALSE(std::as_const(marks)[es::node_id{0}]);
  CHECK_FALSE(std::as_const(marks)[es::node_id{7}]);
}
