// SPDX-License-Identifier: BSL-1.0
// The textual form: round trips of everything a graph holds, and errors that tell where.
#include <espalier/ir/clone.hpp>
#include <espalier/ir/dot.hpp>
#include <espalier/ir/hash.hpp>
#include <espalier/ir/text_parser.hpp>
#include <espalier/ir/verify.hpp>

#include <doctest/doctest.h>

#include <string>
#include <string_view>

namespace es = espalier;

namespace {

constexpr std::string_view everything = R"(graph training_ir {
  graph @true_graph_0 {
    %a = placeholder : f32[2]
    return %a
  }
  %x = placeholder : f32[2, 3]
  %w = placeholder parameter : f32[4, 2*s77]{device="cuda:0", requires_grad}
  %linear = aten.linear.default(%x, %w, None) : f32[2, 4] #0
  %split: [%a, %b] = aten.split.Tensor(%linear, 2, 1) : f32[2, 2]{strides=[4, 1]}, f32[2, 2]{strides=[4, 1], offset=2}
  %max_1: %m, %i = aten.max.dim(%linear, 1) : f32[2], ?
  %z = aten.zeros.default([2, sym(2*s77)], dtype=f64, device=device("cuda:1"))
  %u = my.thing.default({"a": 1, "b": [None, 1.0, -inf, nan, nan(0x7ff8000000000001)]}, complex(1.0, -2), opaque("x\ny\x01\"q"), layout.strided, memory_format.preserve_format, op(aten.relu.default), _, True, dtype(77), device(99), "s", i64, []) : SymInt(s0 + 1, hint=4)
  %"weird name" = "a.b::c.d.e"(%x, 1e-05, 0.1, 1e+16, -9223372036854775808) : object("cls")
  %f = hop aten.relu.default(%x) : SymFloat(s0, hint=1.5)
  %nm: %y = aten.relu.default(%x) : token
  %n: = aten._assert_async.default(%x)
  %g = get_attr "a.b" : f32[]
  %cond: [%r] = higher_order.cond(%x, @true_graph_0, [%x]) : f32[2]{layout=sparse_csr}
  return %a, %b, 3, None #1
  #0 = {"nn_module_stack": "L__self___fc,fc,torch.nn.Linear", "stack_trace": "a\n  b"}
  #1 = {}
}
)";

std::string place_of(std::string_view text) {
  try {
    es::parse_text(text);
  } catch (const es::error& e) {
    CHECK(e.kind() == es::error_kind::archive);
    CHECK(!e.cause().empty());
    CHECK(!e.cure().empty());
    return e.place();
  }
  return "accepted";
}

} // namespace

TEST_CASE("printing what was read gives the same text") {
  const auto p = es::parse_text(everything);
  CHECK(p.dialect == "training_ir");
  CHECK(es::to_text(p.graph, p.dialect) == everything);
}

TEST_CASE("a copy without tombstones is the same text and the same hash") {
  auto p = es::parse_text(everything);
  const auto relu = p.graph.def(p.graph.result(p.graph.first())); // the first placeholder itself
  CHECK(relu == p.graph.first());
  const auto h = es::structural_hash(p.graph);
  const es::argument a[] = {p.graph.result(p.graph.first())};
  const auto extra = p.graph.call(*es::find_op("aten::relu"), a, 1);
  CHECK(es::structural_hash(p.graph) != h);
  p.graph.erase(extra);
  const auto c = es::compacted(p.graph);
  CHECK(c.node_capacity() == c.num_nodes());
  CHECK(p.graph.node_capacity() == p.graph.num_nodes() + 1);
  CHECK(es::to_text(c, p.dialect) == everything);
  CHECK(es::structural_hash(c) == h);
  CHECK(es::structurally_equal(c, p.graph));
}

TEST_CASE("the hash ignores names and origins, and sees operators, constants, edges and metas") {
  const auto hash = [](const char* s, es::structure_options o = {}) {
    return es::structural_hash(es::parse_text(s).graph, o);
  };
  const auto base = hash("graph { %x = placeholder : f32[2] %y = aten.relu(%x) : f32[2] return %y }");
  CHECK(base == hash("graph { %a = placeholder : f32[2] %b = aten.relu(%a) : f32[2] #0 return %b #0 = "
                     "{\"k\": \"v\"} }"));
  CHECK(base != hash("graph { %x = placeholder : f32[2] %y = aten.neg(%x) : f32[2] return %y }"));
  CHECK(base != hash("graph { %x = placeholder : f32[2] %y = aten.relu(%x) : f32[2] return %x }"));
  CHECK(base != hash("graph { %x = placeholder : f32[3] %y = aten.relu(%x) : f32[3] return %y }"));
  CHECK(base != hash("graph { %x = placeholder parameter : f32[2] %y = aten.relu(%x) : f32[2] return %y }"));
  const es::structure_options no_metas{.metas = false};
  CHECK(hash("graph { %x = placeholder : f32[3] return %x }", no_metas) ==
        hash("graph { %x = placeholder return %x }", no_metas));
}

TEST_CASE("errors tell line and column") {
  CHECK(place_of("") == "line 1, column 1");
  CHECK(place_of("graph {\n  %y = aten.relu(%x)\n}") == "line 2, column 20");
  CHECK(place_of("graph { %x = placeholder %x = placeholder }") != "accepted");
  CHECK(place_of("graph { %x = placeholder : q32[2] }") != "accepted");
  CHECK(place_of("graph { return 1 return 2 }") != "accepted");
  CHECK(place_of("graph { aten.relu(99999999999999999999) }") != "accepted");
  CHECK(place_of("graph { aten.relu(\"abc) }") != "accepted");
  CHECK(place_of("graph { aten.add.Tensor(beta=1) }") != "accepted");
  CHECK(place_of("graph { no.such_op(beta=1) }") != "accepted");
  CHECK(place_of("graph { %x = placeholder #3 }") != "accepted");
  CHECK(place_of("graph { } x") != "accepted");
  CHECK(place_of("graph { my.op(" + std::string(100'000, '[') + ") }") != "accepted");
  std::string deep;
  for (int i = 0; i != 1000; ++i)
    deep += "graph @f {";
  CHECK(place_of("graph { " + deep) != "accepted");
}

TEST_CASE("drawings and readable prints hold names that need escapes") {
  const auto p = es::parse_text(everything);
  const auto dot = es::to_dot(p.graph);
  CHECK(dot.find("digraph \"espalier\" {") == 0);
  CHECK(dot.find("weird name\\na.b::c.d.e") == std::string::npos);
  CHECK(dot.find("cluster__0_") != std::string::npos);
  CHECK(es::print_readable(p.graph).find(
            "linear: \"f32[2, 4]\" = torch.ops.aten.linear.default(x, w, None)") != std::string::npos);
  CHECK(es::print_readable(p.graph).find("# fc (torch.nn.Linear)") != std::string::npos);
  CHECK(es::print_short(p.graph).find(
            "%a : [num_users=1] = call_function[target=operator.getitem](args = (%split, 0), kwargs = {})") !=
        std::string::npos);
}
