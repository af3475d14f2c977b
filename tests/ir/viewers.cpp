// SPDX-License-Identifier: BSL-1.0
// Graphs for viewers: Model Explorer's JSON, and the page in one file. (What the page does in a browser is
// checked by tests/python/check_html.py.)
#include <espalier/ir/clone.hpp>
#include <espalier/ir/cpp.hpp>
#include <espalier/ir/graph.hpp>
#include <espalier/ir/html.hpp>
#include <espalier/ir/model_explorer.hpp>
#include <espalier/schema/aten.hpp>

#include <boost/json/src.hpp>

#include <doctest/doctest.h>

#include <set>
#include <sstream>
#include <string>

namespace es = espalier;
namespace json = boost::json;

namespace {

es::graph<es::training_ir> small() {
  const auto meta = es::make_meta(es::scalar_type::f32, {2, 3});
  es::graph<es::training_ir> g;
  const auto x = g.placeholder("x", meta);
  const auto h = g.call<es::aten::transpose_int>(x, 0, 1);
  g.set_name(h.def(), "h");
  g.set_origin(h.def(), "nn_module_stack", "L__self__,,Net;L__self___a,a,A;L__self___a_b,a.b,B");
  g.set_origin(h.def(), "stack_trace", "File \"net.py\", line 3 </script><b>\n\tx.t()");
  g.set_meta(h.id(), es::make_meta(es::scalar_type::f32, {3, 2}));
  const auto [v, i] = g.call<es::aten::max_dim>(h, 0);
  g.set_name(v.def(), "most");
  g.output(v, i);
  return g;
}

json::value data_of(const std::string& page) {
  const std::string open = "<script type=\"application/json\" id=\"data\">";
  const auto begin = page.find(open) + open.size();
  return json::parse(page.substr(begin, page.find("</script>", begin) - begin));
}

} // namespace

TEST_CASE("Model Explorer: nodes, namespaces, attributes, edges and types") {
  const auto doc = json::parse(es::to_model_explorer(small(), "net"));
  CHECK(doc.at("label").as_string() == "net");
  const auto& nodes = doc.at("graphs").at(0).at("nodes").as_array();
  REQUIRE(nodes.size() == 4);
  std::set<std::string> ids;
  for (const auto& n : nodes)
    ids.insert(n.at("id").as_string().c_str());
  CHECK(ids.size() == nodes.size());
  for (const auto& n : nodes)
    for (const auto& e : n.at("incomingEdges").as_array())
      CHECK(ids.count(e.at("sourceNodeId").as_string().c_str()) == 1);
  const auto& h = nodes[1];
  CHECK(h.at("label").as_string() == "aten.transpose.int");
  CHECK(h.at("namespace").as_string() == "a/b");
  CHECK(h.at("outputsMetadata").at(0).at("attrs").at(0).at("value").as_string() == "f32[3, 2]");
  CHECK(h.at("attrs").at(1).at("key").as_string() == "dim0");
  CHECK(h.at("attrs").at(2).at("value").as_string() == "1");
  CHECK(nodes[3].at("incomingEdges").at(1).at("sourceNodeOutputId").as_string() == "1");
}

TEST_CASE("the page holds its data once, and no text of the graph gets out of it") {
  const auto page = es::to_html(small(), {.title = "a <b> net"});
  const auto doc = data_of(page);
  CHECK(doc.at("title").as_string() == "a <b> net");
  const auto& nodes = doc.at("sides").at(0).at("graphs").at(0).at("nodes").as_array();
  REQUIRE(nodes.size() == 4);
  CHECK(nodes[1].at("module").as_string() == "a/b");
  CHECK(nodes[1].at("trace").as_string() == "File \"net.py\", line 3 </script><b>\n\tx.t()");
  CHECK(nodes[1].at("users").as_array().size() == 1);
  CHECK(page.find("http") == page.npos);
}

TEST_CASE("two graphs side by side: what differs is marked on its side") {
  const auto before = small();
  auto after = small();
  for (es::node n : es::nodes(after))
    if (n.name() == "h")
      after.set_arg(n, 1, -2);
  const auto doc = data_of(es::to_html(before, after));
  const auto edits = [&](std::size_t side) {
    std::set<std::string> out;
    for (const auto& n : doc.at("sides").at(side).at("graphs").at(0).at("nodes").as_array())
      if (n.as_object().contains("edit"))
        out.insert(std::string(n.at("name").as_string().c_str()) + " " + n.at("edit").as_string().c_str());
    return out;
  };
  CHECK(edits(0).count("h modified") == 1);
  CHECK(edits(1).count("h modified") == 1);
  const auto same = data_of(es::to_html(before, before));
  for (const auto& n : same.at("sides").at(1).at("graphs").at(0).at("nodes").as_array())
    CHECK_FALSE(n.as_object().contains("edit"));
}

TEST_CASE("docs/viewers.md") {
  const auto graph = small();
  const auto other = small();
  std::ostringstream out;
  out << es::to_html(graph, {.title = "net"});
  out << es::to_html(graph, other, {.title = "before and after"});
  out << es::to_model_explorer(graph, "net");
  out << es::print_cpp(graph);
  CHECK(out.str().find("aten.transpose.int") != std::string::npos);
}
