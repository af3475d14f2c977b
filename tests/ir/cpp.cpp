// SPDX-License-Identifier: BSL-1.0
// Graphs as C++: what is written for each kind of argument, and what cannot be written. (That the text
// compiles and computes the same is checked by tests/python/check_es_opt.py.)
#include <espalier/ir/cpp.hpp>
#include <espalier/ir/graph.hpp>
#include <espalier/ir/subgraph.hpp>
#include <espalier/schema/aten.hpp>

#include <doctest/doctest.h>

#include <limits>
#include <string>

namespace es = espalier;
namespace aten = es::aten;

namespace {

bool has(const std::string& text, const std::string& part) {
  INFO(text);
  return text.find(part) != text.npos;
}

} // namespace

TEST_CASE("every argument is written out, with its default where it was left out") {
  es::graph<es::training_ir> g;
  const auto x = g.placeholder("x", es::make_meta(es::scalar_type::f32, {2, 3}));
  const auto s = g.call<aten::add_Tensor>(x, x);
  g.set_name(s.def(), "switch"); // a word of C++
  const auto c = g.call<aten::clamp>(s, std::numeric_limits<double>::infinity());
  g.set_name(c.def(), "at");
  const auto m = g.call<aten::mean_dim>(c, es::ints(0, 1));
  g.set_name(m.def(), "m.1");
  g.output(m, 3);
  const auto text = es::print_cpp(g, {.function = "net"});
  CHECK(has(text, "std::vector<c10::IValue> net(const std::vector<c10::IValue>& inputs) {"));
  CHECK(has(text, "at::Tensor x = inputs[0].toTensor(); // f32[2, 3]"));
  CHECK(has(text, "_switch = at::_ops::add_Tensor::call(x, x, at::Scalar(std::int64_t{1}));"));
  CHECK(has(text, "at::_ops::clamp::call("));
  CHECK(has(text, "at::Scalar(std::numeric_limits<double>::infinity()), std::nullopt)"));
  CHECK(has(text, "(at::IntArrayRef(std::vector<std::int64_t>{std::int64_t{0}, std::int64_t{1}})"));
  CHECK(has(text, "return {c10::IValue(m_1), c10::IValue(std::int64_t{3})};"));
}

TEST_CASE("a string stays what it was, whatever is in it") {
  es::graph<es::training_ir> g;
  const auto x = g.placeholder("x", es::make_meta(es::scalar_type::f32, {2}));
  g.output(g.call<aten::gelu>(x, es::kw<"approximate">("a\"b\\\n1\xc3")));
  CHECK(has(es::print_cpp(g), R"("a\"b\\\0121\303")"));
}

TEST_CASE("a graph that is called is a lambda, written once, and sees the sizes that are known around it") {
  es::graph<es::training_ir> g;
  const es::sym_int rows(es::symbol("s0"));
  const auto x = g.placeholder("row1", es::make_meta(es::scalar_type::f32, {rows, 2}));
  const auto a = g.call<aten::relu>(x);
  const auto b = g.call<aten::view>(a, es::ints(rows * 2));
  g.set_meta(a.id(), x.meta());
  g.set_meta(b.id(), es::make_meta(es::scalar_type::f32, {rows * 2}));
  g.output(b);
  const es::node_id set[] = {a.def().id(), b.def().id()};
  const es::node_id call = es::extract_subgraph(g, set, {.name = "body.1"});
  const auto text = es::print_cpp(g);
  CHECK(has(text, "const auto graph_body_1 = [&](const values& inputs) -> values {"));
  CHECK(has(
      text,
      "view::call(v1, (c10::SymIntArrayRef(std::vector<c10::SymInt>{c10::SymInt((std::int64_t{2} * s0))}))"));
  CHECK(has(text, " = graph_body_1(values{c10::IValue(row1)});"));

  // again, by another call
  es::graph_storage::copied_args args;
  g.copy_args(call, args);
  args.top[2] = es::argument(x);
  const es::node_id second =
      g.storage().call(g.op(call), args.top, 1, false, es::node_kind::call_higher_order);
  const es::argument both[] = {es::argument(es::value(g, g.result(call))),
                               es::argument(es::value(g, g.result(second)))};
  g.set_args(g.output_node(), both);
  const auto twice = es::print_cpp(g);
  const auto lambda = twice.find("const auto graph_body_1");
  CHECK(twice.find("const auto graph_", lambda + 1) == twice.npos);
  CHECK(twice.find("= graph_body_1(", twice.find("= graph_body_1(") + 1) != twice.npos);
}

TEST_CASE("a region under autocast sets the mode and puts it back; the helper is there once, and only then") {
  es::graph<es::training_ir> body;
  const auto y = body.placeholder("y", es::make_meta(es::scalar_type::f32, {2, 2}));
  body.output(body.call<aten::mm>(y, y));
  es::graph<es::training_ir> g;
  const auto x = g.placeholder("x", es::make_meta(es::scalar_type::f32, {2, 2}));
  const es::argument args[] = {es::argument("cpu"),
                               es::scalar_type::bf16,
                               true,
                               es::argument(),
                               es::argument::of_subgraph(g.add_subgraph("body", body)),
                               es::argument(x)};
  const auto call = g.storage().call(es::intern_op("higher_order::wrap_with_autocast", ""), args, 1, false,
                                     es::node_kind::call_higher_order);
  g.output(es::value(g, g.result(call)));
  const auto text = es::print_cpp(g);
  CHECK(has(text, "const autocast_region mode(at::Device(\"cpu\").type(), static_cast<at::ScalarType>(15), "
                  "truth(c10::IValue(true)), std::nullopt);"));
  CHECK(has(text, "return graph_body(values{c10::IValue(x)});"));
  CHECK(has(text, "class autocast_region {"));
  CHECK_FALSE(has(es::print_cpp(body), "autocast"));

  es::graph_storage::copied_args changed;
  g.copy_args(call, changed);
  changed.top[1] = es::argument(x);
  g.set_args(call, changed.top);
  g.set_name(call, "mode");
  CHECK_THROWS_WITH_AS(
      es::print_cpp(g),
      "the node computes the type of autocast, which the C++ printer cannot write (at node 'mode'); "
      "write it as a constant",
      es::error);
}

TEST_CASE("what cannot be written is refused with the node and a cure") {
  es::graph<es::training_ir> g;
  const auto x = g.placeholder("x", es::make_meta(es::scalar_type::f32, {2}));
  const es::value a(g, g.result(g.get_attr("weight", "w")));
  g.output(g.call<aten::mul_Tensor>(x, a));
  CHECK_THROWS_WITH_AS(
      es::print_cpp(g),
      "the node reads an attribute, which the C++ printer cannot write (at node 'w'); lift it to an "
      "input first (placeholders of constants)",
      es::error);

  es::graph<es::training_ir> region;
  const auto y = region.placeholder("y", es::make_meta(es::scalar_type::f32, {2}));
  region.output(region.call<aten::relu>(y));
  es::graph<es::training_ir> h;
  const auto z = h.placeholder("z", es::make_meta(es::scalar_type::f32, {2}));
  const es::argument args[] = {es::argument::of_subgraph(h.add_subgraph("body", region)), es::argument(z)};
  const auto call = h.storage().call(es::intern_op("higher_order::strange", ""), args, 1, false,
                                     es::node_kind::call_higher_order);
  h.set_name(call, "odd");
  h.output(es::value(h, h.result(call)));
  CHECK_THROWS_WITH_AS(
      es::print_cpp(h),
      "the node calls the higher-order operator strange, which the C++ printer cannot write (at node "
      "'odd'); lower it, or inline its graphs first",
      es::error);
}
