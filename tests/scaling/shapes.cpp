// SPDX-License-Identifier: BSL-1.0
#include "shapes.hpp"

#include <espalier/ir/graph.hpp>
#include <espalier/ir/naming.hpp>
#include <espalier/ir/verify.hpp>
#include <espalier/symbolic/expr.hpp>

#include <doctest/doctest.h>

#include <map>
#include <string>
#include <vector>

namespace {

namespace es = espalier;
namespace aten = es::aten;
using graph = es::graph<es::torch_ir>;
using values = es::vector<es::value>;

es::tensor_meta matrix() { return es::make_meta(es::scalar_type::f32, {4, 4}); }

/// Ends a graph: its outputs, what its calls give, and their names.
es::graph_storage finished(graph& g, const values& outputs) {
  g.output(es::span<const es::value>(outputs));
  for (es::node n : es::nodes(g))
    if (n.kind() == es::node_kind::call_function)
      es::infer_metas(g, n.id());
  es::assign_names(g);
  return std::move(g.storage());
}
/// `v` with a number added, so that it is like no other.
es::value distinct(graph& g, es::value v, std::int64_t i) { return g.call<aten::add_Scalar>(v, i + 2); }

/// Layers with views, numbers, duplicates, dead code, and a trace of where each call comes from.
es::graph_storage ordinary(std::int64_t size) {
  graph g;
  const auto x = g.placeholder("x", matrix());
  const auto w = g.placeholder<es::input_kind::parameter>("w", matrix());
  const auto b = g.placeholder<es::input_kind::parameter>("b", es::make_meta(es::scalar_type::f32, {4}));
  es::value h = x;
  for (std::int64_t i = 0; i < size / 10; ++i) {
    const auto linear = g.call<aten::linear>(h, w, b);
    const auto flat =
        g.call<aten::view>(g.call<aten::view>(g.call<aten::relu>(linear), es::ints(2, 8)), es::ints(4, 4));
    const auto t = g.call<aten::permute>(g.call<aten::permute>(flat, es::ints(1, 0)), es::ints(1, 0));
    const auto twice =
        g.call<aten::add_Tensor>(g.call<aten::mul_Scalar>(t, 2), g.call<aten::mul_Scalar>(t, 2));
    g.call<aten::neg>(twice);
    h = g.call<aten::sub_Tensor>(twice, h);
    const std::string layer = "layers." + std::to_string(i);
    g.set_origin(linear.def().id(), "nn_module_stack", "L," + layer + ",Linear");
    g.set_origin(linear.def().id(), "stack_trace", "line " + std::to_string(i));
  }
  return finished(g, {h});
}
es::graph_storage users_of_one_value(std::int64_t size) {
  graph g;
  const auto x = g.placeholder("x", matrix());
  values out;
  for (std::int64_t i = 0; i != size; ++i)
    out.push_back(distinct(g, x, i));
  return finished(g, out);
}
es::graph_storage identical_nodes(std::int64_t size) {
  graph g;
  const auto x = g.placeholder("x", matrix());
  values out;
  for (std::int64_t i = 0; i != size / 2; ++i)
    out.push_back(distinct(g, g.call<aten::neg>(x), i));
  return finished(g, out);
}
es::graph_storage deep_chain(std::int64_t size) {
  graph g;
  es::value v = g.placeholder("x", matrix());
  for (std::int64_t i = 0; i != size; ++i)
    v = g.call<aten::neg>(v);
  return finished(g, {v, g.call<aten::relu>(v)});
}
es::graph_storage chain_of_views(std::int64_t size) {
  graph g;
  es::value v = g.placeholder("x", matrix());
  for (std::int64_t i = 0; i != size; ++i)
    v = g.call<aten::view>(v, i % 2 ? es::ints(4, 4) : es::ints(2, 8));
  return finished(g, {g.call<aten::neg>(v)});
}
/// Every edit gives one value one more user.
es::graph_storage edits_at_one_value(std::int64_t size) {
  graph g;
  const auto x = g.placeholder("x", matrix());
  values out;
  for (std::int64_t i = 0; i != size / 2; ++i)
    out.push_back(distinct(g, g.call<aten::mul_Scalar>(x, 1), i));
  return finished(g, out);
}
/// Every edit changes an operand of one node.
es::graph_storage edits_at_one_node(std::int64_t size) {
  graph g;
  const auto x = g.placeholder("x", matrix());
  values parts;
  for (std::int64_t i = 0; i != size / 3; ++i)
    parts.push_back(g.call<aten::neg>(g.call<aten::neg>(distinct(g, x, i))));
  return finished(g, {g.call<aten::cat>(es::span<const es::value>(parts))});
}
es::graph_storage inputs(std::int64_t size) {
  graph g;
  values in, out;
  for (std::int64_t i = 0; i != size / 2; ++i)
    in.push_back(i % 2 ? g.placeholder("x" + std::to_string(i), matrix())
                       : g.placeholder<es::input_kind::parameter>("p" + std::to_string(i), matrix()));
  for (std::size_t i = 0; i != in.size(); ++i)
    out.push_back(g.call<aten::add_Tensor>(in[i], in[i / 2]));
  return finished(g, out);
}
/// Seven different calls of each input: what a table that keeps neighbours together must spread.
es::graph_storage inputs_of_many_calls(std::int64_t size) {
  graph g;
  values in, out;
  for (std::int64_t i = 0; i != size / 8; ++i)
    in.push_back(g.placeholder("x" + std::to_string(i), matrix()));
  for (const auto& x : in)
    for (std::int64_t i = 0; i != 7; ++i)
      out.push_back(distinct(g, x, i));
  return finished(g, out);
}
es::graph_storage inputs_written_to(std::int64_t size) {
  graph g;
  values in, out;
  for (std::int64_t i = 0; i != size / 3; ++i)
    in.push_back(g.placeholder<es::input_kind::buffer>("b" + std::to_string(i), matrix()));
  for (const auto& b : in) {
    g.call<aten::add__Scalar>(b, 1);
    out.push_back(g.call<aten::neg>(b));
  }
  return finished(g, out);
}
es::graph_storage views_of_a_written_value(std::int64_t size) {
  graph g;
  const auto b = g.placeholder<es::input_kind::buffer>("b", matrix());
  const auto x = g.placeholder("x", matrix());
  values out;
  es::value v = b;
  for (std::int64_t i = 0; i != size / 3; ++i) {
    v = g.call<aten::view>(v, es::ints(4, 4));
    g.call<aten::add__Scalar>(v, 1);
    out.push_back(distinct(g, x, i));
  }
  return finished(g, out);
}
es::graph_storage dead_nodes(std::int64_t size) {
  graph g;
  const auto x = g.placeholder("x", matrix());
  es::value v = x;
  for (std::int64_t i = 0; i != size / 2; ++i) {
    v = g.call<aten::neg>(v);
    distinct(g, x, i);
  }
  return finished(g, {g.call<aten::relu>(x)});
}
es::graph_storage results_of_one_node(std::int64_t size) {
  graph g;
  const auto x = g.placeholder("x", es::make_meta(es::scalar_type::f32, {size / 2, 4}));
  const auto parts = g.call_list<aten::split_Tensor>(static_cast<std::size_t>(size / 2), x, 1);
  values out;
  for (std::int64_t i = 0; i != size / 2; ++i)
    out.push_back(distinct(g, parts.result(static_cast<std::size_t>(i)), i));
  return finished(g, out);
}
/// No two values have the same size.
es::graph_storage symbols(std::int64_t size) {
  graph g;
  values out;
  for (std::int64_t i = 0; i != size / 2; ++i)
    out.push_back(g.call<aten::neg>(g.placeholder(
        "x" + std::to_string(i),
        es::make_meta(es::scalar_type::f32, {es::sym_int(es::symbol("s" + std::to_string(i)))}))));
  return finished(g, out);
}
es::graph_storage assertions(std::int64_t size) {
  graph g;
  es::value v = g.placeholder("x", matrix());
  for (std::int64_t i = 0; i != size / 2; ++i) {
    v = g.call<aten::neg>(v);
    g.call<aten::_assert_tensor_metadata>(v);
  }
  return finished(g, {v});
}
es::graph_storage subgraphs(std::int64_t size) {
  static const es::op_id cond = es::intern_op("higher_order::cond", {}, es::op_flags{.higher_order = true});
  graph g;
  const auto on = g.placeholder("on", es::make_meta(es::scalar_type::b8, {}));
  es::value v = g.placeholder("x", matrix());
  for (std::int64_t i = 0; i != size / 8; ++i) {
    es::argument branches[2];
    for (const bool first : {true, false}) {
      graph s;
      const auto a = s.placeholder("a", matrix());
      auto inner = finished(s, {first ? s.call<aten::neg>(a) : s.call<aten::relu>(a)});
      branches[first] = es::argument::of_subgraph(
          g.add_subgraph((first ? "true_" : "false_") + std::to_string(i), std::move(inner)));
    }
    const es::argument operands[] = {v.id()};
    const es::argument args[] = {on.id(), branches[1], branches[0], es::argument(es::span(operands))};
    const auto n = g.storage().call(cond, args, 1, true, es::node_kind::call_higher_order);
    g.set_meta(g.result(n), matrix());
    v = es::value(g, g.result(n));
  }
  return finished(g, {v});
}

} // namespace

es::span<const scaling::shape> scaling::shapes() {
  static constexpr shape all[] = {{"an ordinary graph", false, ordinary},
                                  {"N users of one value", false, users_of_one_value},
                                  {"N identical nodes", false, identical_nodes},
                                  {"an N-deep chain", false, deep_chain},
                                  {"a chain of N views", false, chain_of_views},
                                  {"N edits at one value", false, edits_at_one_value},
                                  {"N edits at one node", false, edits_at_one_node},
                                  {"N inputs", false, inputs},
                                  {"N inputs of many calls", false, inputs_of_many_calls},
                                  {"N inputs written to", true, inputs_written_to},
                                  {"N views of a written value", true, views_of_a_written_value},
                                  {"N dead nodes", false, dead_nodes},
                                  {"N results of one node", false, results_of_one_node},
                                  {"N symbols", false, symbols},
                                  {"N assertions", false, assertions},
                                  {"N subgraphs", false, subgraphs}};
  return all;
}

namespace {
const es::graph_storage& made(const scaling::shape& s, std::int64_t size) {
  static std::map<std::pair<std::string_view, std::int64_t>, es::graph_storage> all;
  const auto [at, fresh] = all.try_emplace({s.name, size});
  if (fresh)
    at->second = s.make(size);
  return at->second;
}
} // namespace

const es::graph_storage& scaling::shape::small() const { return made(*this, shape_size); }
const es::graph_storage& scaling::shape::large() const { return made(*this, 4 * shape_size); }

TEST_CASE("the shapes are sound, and of the size that they should have") {
  for (const auto& s : scaling::shapes()) {
    INFO(s.name);
    const auto found = es::verify<es::torch_ir>(s.small());
    CHECK_MESSAGE(found.empty(), (found.empty() ? std::string() : es::to_string(found.front())));
    std::size_t small = s.small().num_nodes(), large = s.large().num_nodes();
    for (std::size_t i = 0; i != s.small().num_subgraphs(); ++i)
      small += s.small().subgraph(i).num_nodes();
    for (std::size_t i = 0; i != s.large().num_subgraphs(); ++i)
      large += s.large().subgraph(i).num_nodes();
    CHECK(small > scaling::shape_size / 2);
    CHECK(large > 3.9 * static_cast<double>(small));
    CHECK(large < 4.1 * static_cast<double>(small));
  }
}
