// SPDX-License-Identifier: BSL-1.0
// Splitting by operators that are named in text.
#include <espalier/ir/graph.hpp>
#include <espalier/ir/hash.hpp>
#include <espalier/passes/dce.hpp>
#include <espalier/passes/split.hpp>
#include <espalier/pipeline/registry.hpp>
#include <espalier/schema/aten.hpp>

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

namespace es = espalier;
namespace aten = es::aten;

namespace {

es::graph<es::aten_ir> build() {
  es::graph<es::aten_ir> g;
  const auto x = g.placeholder("x", es::make_meta(es::scalar_type::f32, {3, 3}));
  const auto a = g.call<aten::add_Tensor>(x, x), b = g.call<aten::add_Scalar>(a, 1);
  g.output(g.call<aten::relu>(g.call<aten::mm>(b, b)));
  return g;
}

/// The calls that a list of names takes, as printers write them.
std::string taken(std::string_view names) {
  const auto g = build();
  const auto by = es::split_named::parse(names).operators;
  std::string out;
  for (es::node n : es::nodes(g))
    if (n.is_call() && by(n))
      out += (out.empty() ? "" : " ") + es::target_of(n.op());
  return out;
}
std::string refused(std::string_view options) {
  try {
    es::split_named::parse(options);
  } catch (const es::error& e) {
    CHECK(e.kind() == es::error_kind::usage);
    CHECK_FALSE(e.place().empty());
    CHECK_FALSE(e.cure().empty());
    return e.cause();
  }
  return "accepted";
}

} // namespace

TEST_CASE("a name takes an overload or all, stars any letters, and not: takes away") {
  CHECK(taken("aten.add.Tensor") == "aten.add.Tensor");
  CHECK(taken("aten.add") == "aten.add.Tensor aten.add.Scalar");
  CHECK(taken("aten.relu, aten.mm.default") == "aten.mm.default aten.relu.default");
  CHECK(taken("aten.*") == "aten.add.Tensor aten.add.Scalar aten.mm.default aten.relu.default");
  CHECK(taken("*.add.*") == "aten.add.Tensor aten.add.Scalar");
  CHECK(taken("aten.*l*") == "aten.add.Scalar aten.mm.default aten.relu.default"); // `default` has one
  CHECK(taken("aten.*, not:aten.add") == "aten.mm.default aten.relu.default");
  CHECK(taken("not:aten.add.Tensor, aten.add") == "aten.add.Scalar"); // the order says nothing
  CHECK(taken("not:aten.add") == "aten.mm.default aten.relu.default");
}

TEST_CASE("what no operator is called is refused") {
  CHECK(refused("") == "no operator is named");
  CHECK(refused("min_nodes=2") == "no operator is named");
  CHECK(refused("relu") == "it has no namespace and name");
  CHECK(refused("aten.rely") == "ATen has no such operator");
  CHECK(refused("not:aten.rely") == "ATen has no such operator");
  CHECK(refused("mine.rely") == "accepted"); // it may be registered later
  CHECK(refused("aten::relu") == "no operator has ':' in its name");
  CHECK(refused("aten.relu, min_nodes=two") == "'min_nodes=two' needs a whole number");
  CHECK(refused("aten.relu, min_nodes=-1") == "'min_nodes=-1' needs a whole number");
  CHECK(refused("aten.relu, min_nodes=99999999999999999999") ==
        "'min_nodes=99999999999999999999' is too large");
  CHECK(refused("aten.relu, min_nodes=1, min_nodes=2") == "'min_nodes=2' is given twice");
  CHECK(refused("aten.relu,, aten.mm") == "an option is missing beside a comma");
  CHECK(refused("aten.relu, most=2") == "'most=2' is no option of it");
  CHECK(refused("aten.relu, prefix=a b") == "a prefix is letters, digits and '_', not 'a b'");
}

TEST_CASE("from text it cuts as the typed pass does, and tells of it") {
  es::pass_registry<> passes;
  passes.add(es::dce{});
  passes.add(es::split_named{}, [](std::string_view a) { return es::any_pass<>(es::split_named::parse(a)); });
  constexpr std::string_view text = "split<aten.add, aten.mm.default, min_nodes=2, prefix=npu>";
  const auto pipeline = passes.parse(text);
  CHECK(pipeline.text() == text);

  auto named = build(), typed = build();
  es::pass_context c, other;
  es::vector<es::pass_remark> remarks;
  c.collect_remarks(&remarks);
  pipeline.run(named, es::info_of_dialect<es::aten_ir>, c);
  es::delegation_report report;
  const es::split cut(es::calls_to<aten::add_Tensor, aten::add_Scalar, aten::mm>{},
                      {.min_nodes = 2, .prefix = "npu", .report = &report});
  cut.run(typed, other);
  REQUIRE(named.num_subgraphs() == 1);
  CHECK(es::structural_hash(named) == es::structural_hash(typed));
  REQUIRE(remarks.size() == 1);
  CHECK(remarks[0].pass == "split");
  CHECK(remarks[0].text == report.text());
  CHECK(report.text().find("Calls in regions: 3") != std::string::npos);
}

TEST_CASE("a typed split is written so that it can be read, where its predicate has names") {
  CHECK(es::split(es::calls_to<aten::relu, aten::add_Tensor>{}, {.min_nodes = 3}).text() ==
        "split<aten.relu.default, aten.add.Tensor, min_nodes=3>");
  CHECK(es::split([](es::node) { return true; }).text() == "split");
}
