// SPDX-License-Identifier: BSL-1.0
// Extraction and inlining: laws on random graphs and random sets of nodes, and the refusals.
#include <espalier/ir/clone.hpp>
#include <espalier/ir/dialect.hpp>
#include <espalier/ir/hash.hpp>
#include <espalier/ir/subgraph.hpp>
#include <espalier/ir/text_parser.hpp>
#include <espalier/ir/verify.hpp>
#include <espalier/ir/view.hpp>

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace es = espalier;

namespace {

const es::value_meta f32(es::make_meta(es::scalar_type::f32, {2}));

/// Calls of one to three results over what stands before them.
es::graph_storage draw(const std::vector<std::uint32_t>& choices) {
  static const es::op_id add = *es::find_op("aten::add.Tensor"), relu = *es::find_op("aten::relu"),
                         max = *es::find_op("aten::max.dim"), split = *es::find_op("aten::split.Tensor");
  es::graph_storage g;
  es::vector<es::value_id> values;
  for (const char* name : {"x", "y"})
    values.push_back(g.result(g.placeholder(es::input_kind::user_input, name, g.intern_meta(f32))));
  for (const auto c : choices) {
    const es::argument a(es::value(g, values[c / 4 % values.size()])),
        b(es::value(g, values[c / 64 % values.size()]));
    es::node_id n;
    switch (c % 4) {
    case 0: {
      const es::argument args[] = {a, b};
      n = g.call(add, args, 1);
      break;
    }
    case 1: {
      const es::argument args[] = {a};
      n = g.call(relu, args, 1);
      break;
    }
    case 2: {
      const es::argument args[] = {a, es::argument(0)};
      n = g.call(max, args, 2);
      break;
    }
    default: {
      const es::argument args[] = {a, es::argument(1)};
      n = g.call(split, args, 3, true);
    }
    }
    for (std::size_t i = 0; i != g.num_results(n); ++i) {
      g.set_meta(g.result(n, i), f32);
      values.push_back(g.result(n, i));
    }
    if (c % 3)
      g.set_origin(n, "stack_trace", "line " + std::to_string(c % 5));
  }
  es::vector<es::argument> outs;
  for (std::size_t i = values.size() - std::min<std::size_t>(values.size(), 3); i != values.size(); ++i)
    outs.push_back(es::argument(es::value(g, values[i])));
  g.output(outs);
  es::assign_names(g);
  return g;
}

es::vector<es::node_id> calls(const es::graph_storage& g) {
  es::vector<es::node_id> out;
  for (es::node n : es::nodes(g))
    if (n.is_call())
      out.push_back(n.id());
  return out;
}
/// Calls chosen by `bits`, and those on ways between them.
es::vector<es::node_id> convex(const es::graph_storage& g, const std::vector<bool>& bits) {
  const auto all = calls(g);
  std::vector<bool> from(g.node_capacity()), to(g.node_capacity());
  const auto chosen = [&](std::size_t i) { return i < bits.size() && bits[i]; };
  for (std::size_t i = 0; i != all.size(); ++i) {
    bool reached = chosen(i);
    for (const auto& x : g.slots(all[i]))
      reached = reached || (x.is_use() && from[g.def(es::value_id{x.w0}).index]);
    from[all[i].index] = reached;
  }
  es::vector<es::node_id> out;
  for (std::size_t i = all.size(); i-- > 0;) {
    bool reaches = chosen(i);
    for (std::size_t r = 0; r != g.num_results(all[i]); ++r)
      for (es::node u : es::value(g, g.result(all[i], r)).users())
        reaches = reaches || to[u.id().index];
    to[all[i].index] = reaches;
    if (reaches && from[all[i].index])
      out.push_back(all[i]);
  }
  return out; // backwards: the order does not matter
}
/// What a graph computes, whatever the order of its nodes: the outputs by what they are computed from, and
/// all nodes likewise, sorted.
std::vector<std::uint64_t> contents(const es::graph_storage& g) {
  std::vector<std::uint64_t> of(g.value_capacity()), out;
  for (es::node_id n = g.first(); n.valid(); n = g.next(n)) {
    std::uint64_t h = static_cast<std::uint64_t>(g.kind(n)) * 31 + g.op(n).index + g.num_results(n) * 1009;
    if (g.kind(n) == es::node_kind::placeholder)
      h += es::detail::hash_text(g.text(g.node_name(n)));
    for (const auto& x : g.slots(n))
      h = (h ^ (x.is_use() ? of[x.w0] : static_cast<std::uint64_t>(x.bits()) + x.w0)) *
              0x9e37'79b9'7f4a'7c15ull +
          7;
    h ^= es::detail::hash_text(es::node(g, n).graph().origin_text(n, "stack_trace"));
    for (std::size_t i = 0; i != g.num_results(n); ++i)
      of[g.result(n, i).index] = h * (i * 2 + 3);
    out.push_back(h);
  }
  std::sort(out.begin(), out.end());
  return out;
}
std::string faults(const es::graph_storage& g) {
  std::string s;
  for (const auto& d : es::verify<es::training_ir>(g))
    s += to_string(d) + "\n";
  return s;
}
es::node_id named(const es::graph_storage& g, std::string_view name) {
  for (es::node n : es::nodes(g))
    if (n.name() == name)
      return n.id();
  return {};
}
es::error refusal(es::graph_storage& g, std::initializer_list<std::string_view> names) {
  es::vector<es::node_id> set;
  for (auto n : names)
    set.push_back(named(g, n));
  const auto before = es::to_text(g, "");
  try {
    es::extract_subgraph(g, set);
  } catch (const es::error& e) {
    if (e.kind() == es::error_kind::verification)
      CHECK_FALSE(es::can_extract(g, set));
    CHECK(!e.cure().empty());
    CHECK(es::to_text(g, "") == before);
    return e;
  }
  FAIL("no error");
  return {es::error_kind::usage, ""};
}
bool has(std::string_view s, std::string_view part) { return s.find(part) != s.npos; }

} // namespace

TEST_CASE("extracting a set and inlining it gives the same graph") {
  CHECK(rc::check("any convex set: the same up to the order of independent nodes",
                  [](const std::vector<std::uint32_t>& choices, const std::vector<bool>& bits) {
                    auto g = draw(choices);
                    const auto before = contents(g);
                    const auto set = convex(g, bits);
                    RC_PRE(!set.empty());
                    RC_ASSERT(es::can_extract(g, set));
                    const auto out_names = [&] {
                      std::vector<std::string> s;
                      for (std::size_t i = 0; i != g.num_args(g.output_node()); ++i)
                        s.emplace_back(es::node(g, g.output_node()).arg(i).as_value().name());
                      return s;
                    };
                    const auto names = out_names();
                    const std::size_t count = g.num_nodes();
                    const auto call = es::extract_subgraph(g, set);
                    RC_ASSERT(faults(g).empty());
                    RC_ASSERT(g.num_nodes() == count - set.size() + 1);
                    RC_ASSERT(out_names() == names);
                    es::inline_subgraph(g, call);
                    RC_ASSERT(faults(g).empty());
                    RC_ASSERT(out_names() == names);
                    RC_ASSERT(contents(g) == before);
                    RC_ASSERT(es::compacted(g).num_subgraphs() == 0u);
                  }));
  CHECK(rc::check("consecutive nodes: the same canonical hash, and the same names",
                  [](const std::vector<std::uint32_t>& choices, std::uint32_t from, std::uint32_t size) {
                    auto g = draw(choices);
                    const auto all = calls(g);
                    RC_PRE(!all.empty());
                    const auto first = from % all.size();
                    const auto last = first + size % (all.size() - first) + 1;
                    const es::graph_storage before = g;
                    const auto call = es::extract_subgraph(g, es::span(all).subspan(first, last - first));
                    RC_ASSERT(es::structural_hash(g) != es::structural_hash(before));
                    es::inline_subgraph(g, call);
                    const auto after = es::compacted(g);
                    RC_ASSERT(es::structural_hash(after) == es::structural_hash(before));
                    RC_ASSERT(es::structurally_equal(after, before));
                    RC_ASSERT(es::to_text(after, "") == es::to_text(es::compacted(before), ""));
                  }));
}

TEST_CASE("a copy leaves the graph alone, and names what crosses the border") {
  const auto p = es::parse_text(
      "graph { %x = placeholder : f32[2] %a = aten.relu(%x) : f32[2] %b = aten.add.Tensor(%a, %x) "
      ": f32[2] %c = aten.neg(%b) : f32[2] return %c, %a }");
  const auto& g = p.graph;
  const es::node_id set[] = {named(g, "b"), named(g, "a")};
  const auto border = es::border_of(g, set);
  CHECK(border.nodes == es::vector<es::node_id>{set[1], set[0]});
  CHECK(border.inputs == es::vector<es::value_id>{g.result(named(g, "x"))});
  CHECK(border.outputs == es::vector<es::value_id>{g.result(set[1]), g.result(set[0])});
  const auto part = es::copy_subgraph(g, border);
  const auto expected = es::parse_text("graph { %x = placeholder : f32[2] %a = aten.relu(%x) : f32[2] %b = "
                                       "aten.add.Tensor(%a, %x) : f32[2] return %a, %b }");
  CHECK(es::to_text(part, "") == es::to_text(expected.graph, ""));
  CHECK(es::to_text(g, "") == es::to_text(es::compacted(g), ""));
}

TEST_CASE("the call stands in for the nodes; those that depend on them follow it") {
  auto p = es::parse_text(
      "graph { %x = placeholder : f32[2] %a = aten.relu(%x) : f32[2] %after = aten.neg(%a) : f32[2] "
      "%before = aten.exp(%x) : f32[2] %b = aten.add.Tensor(%a, %before) : f32[2] return %b, %after }");
  auto& g = p.graph;
  const es::node_id set[] = {named(g, "a"), named(g, "b")};
  g.set_insertion_point({set[1]});
  const auto call = es::extract_subgraph(g, set, {"block"});
  CHECK(g.current_insertion_point().before == call);
  es::assign_names(g);
  const auto text = es::to_text(g, "");
  CAPTURE(text);
  CHECK(has(text, "invoke_subgraph"));
  CHECK(has(text, "@block"));
  CHECK(g.is_before(named(g, "before"), call));
  CHECK(g.is_before(call, named(g, "after")));
  CHECK(faults(g).empty());
  // two calls may share a subgraph: inlining one keeps it for the other
  CHECK(g.num_subgraphs() == 1);
  const auto again = es::extract_subgraph(g, std::vector{call});
  CHECK(faults(g).empty());
  es::inline_subgraph(g, again);
  es::node_id inner;
  for (es::node n : es::nodes(g))
    if (n.kind() == es::node_kind::call_higher_order)
      inner = n.id();
  REQUIRE(inner.valid());
  es::inline_subgraph(g, inner);
  CHECK(faults(g).empty());
  CHECK(es::compacted(g).num_subgraphs() == 0);
  CHECK(g.num_nodes() == 6);
}

TEST_CASE("sets that cannot become one node are refused, with the way that shows it") {
  auto p = es::parse_text("graph { %x = placeholder : f32[2] %a = aten.relu(%x) : f32[2] %m = aten.neg(%a) : "
                          "f32[2] %n = aten.exp(%m) : "
                          "f32[2] %b = aten.add.Tensor(%n, %x) : f32[2] return %b }");
  const auto cycle = refusal(p.graph, {"a", "b"});
  CHECK(cycle.kind() == es::error_kind::verification);
  CHECK(has(cycle.cause(), "'a' -> 'm' -> 'n' -> 'b'"));
  CHECK(has(cycle.cure(), "'n'"));
  CHECK(has(refusal(p.graph, {}).cause(), "no nodes"));
  CHECK(has(refusal(p.graph, {"x"}).cause(), "'x' is a node of kind placeholder"));
  const es::node_id output[] = {p.graph.output_node()};
  CHECK_THROWS_WITH(es::extract_subgraph(p.graph, output), doctest::Contains("of kind output"));
  CHECK(has(refusal(p.graph, {"nobody"}).cause(), "not in the graph"));
}

TEST_CASE("what is not pure keeps its place") {
  const char* mutating = "graph { %x = placeholder : f32[2] %a = aten.relu(%x) : f32[2] %w = "
                         "aten.add_.Tensor(%x, 1) : f32[2] %b = "
                         "aten.add.Tensor(%a, %x) : f32[2] %e = aten.exp(%b) : f32[2] return %e, %w }";
  auto p = es::parse_text(mutating);
  const auto e = refusal(p.graph, {"a", "b"}); // the write would come before the read
  CHECK(has(e.cause(), "'a' and 'w' would change places"));
  const es::node_id whole[] = {named(p.graph, "a"), named(p.graph, "w"), named(p.graph, "b")};
  CHECK_NOTHROW(es::extract_subgraph(p.graph, whole));
  p = es::parse_text(mutating);
  const es::node_id apart[] = {named(p.graph, "b"), named(p.graph, "e")};
  CHECK_NOTHROW(es::extract_subgraph(p.graph, apart));

  p = es::parse_text(
      "graph { %x = placeholder : f32[2] %a = aten.rand_like(%x) : f32[2] %c = aten.exp(%x) : f32[2] %r = "
      "aten.rand_like(%x) : f32[2] %b = aten.add.Tensor(%a, %x) : f32[2] return %b, %r, %c }");
  CHECK(has(refusal(p.graph, {"a", "b"}).cause(), "'a' and 'r'")); // two draws may not change places
  p = es::parse_text(
      "graph { %x = placeholder : f32[2] %a = aten.rand_like(%x) : f32[2] %c = aten.exp(%x) : f32[2] %b = "
      "aten.add.Tensor(%a, %x) : f32[2] return %b, %c }");
  const es::node_id draw_and_add[] = {named(p.graph, "a"), named(p.graph, "b")};
  CHECK_NOTHROW(es::extract_subgraph(p.graph, draw_and_add)); // one may
}

TEST_CASE("what was extracted minds its place as much as what is in it") {
  const auto extracted = [](std::string_view inner) {
    auto p = es::parse_text("graph { %x = placeholder : f32[2] %a = aten.relu(%x) : f32[2] %i = aten." +
                            std::string(inner) +
                            " : f32[2] %b = aten.add.Tensor(%a, %x) : f32[2] return %b, %i }");
    es::extract_subgraph(p.graph, std::vector{named(p.graph, "i")});
    return es::can_extract(p.graph, std::vector{named(p.graph, "a"), named(p.graph, "b")});
  };
  CHECK(extracted("neg(%x)"));
  CHECK(extracted("rand_like(%x)"));
  CHECK_FALSE(extracted("add_.Tensor(%x, 1)"));
}

TEST_CASE("inlining: constants as operands, inputs put out again, names that are taken, mismatches") {
  const auto body =
      es::parse_text(
          "graph { %a = placeholder : f32[2] %k = placeholder : SymInt(3) %t = aten.mul.Scalar(%a, "
          "%k) : f32[2] return %t, %a, None }")
          .graph;
  const char* text =
      "graph { %x = placeholder : f32[2] %t = aten.relu(%x) : f32[2] %p, %q, %r = mine.call(%t) : f32[2], "
      "f32[2], None %z = aten.add.Tensor(%p, %q) : f32[2] return %z }";
  auto p = es::parse_text(text);
  auto& g = p.graph;
  const auto call = g.next(named(g, "t"));
  const es::argument operands[] = {es::argument(es::value(g, g.result(named(g, "t")))), es::argument(3)};
  es::inline_subgraph(g, call, body, operands);
  es::assign_names(g);
  const auto expected =
      es::parse_text("graph { %x = placeholder : f32[2] %t = aten.relu(%x) : f32[2] %p = "
                     "aten.mul.Scalar(%t, 3) : f32[2] %z = aten.add.Tensor(%p, %t) : f32[2] return %z }");
  CHECK(es::to_text(es::compacted(g), "") == es::to_text(es::compacted(expected.graph), ""));

  p = es::parse_text(text);
  const auto fails = [&](es::span<const es::argument> with, std::string_view why) {
    const auto before = es::to_text(g, "");
    try {
      es::inline_subgraph(g, g.next(named(g, "t")), body, with);
      FAIL("no error");
    } catch (const es::error& e) {
      CHECK(has(e.cause(), why));
      CHECK(!e.cure().empty());
      CHECK(es::to_text(g, "") == before);
    }
  };
  const es::argument words[] = {operands[0], es::argument("text")};
  fails({}, "2 placeholders, but 0 operands");
  fails(words, "text or a list");
  CHECK_THROWS_WITH(es::inline_subgraph(g, named(g, "t")), doctest::Contains("invoke_subgraph"));

  const es::argument numbers[] = {es::argument(1), es::argument(3)}; // one of them is put out again
  es::inline_subgraph(g, g.next(named(g, "t")), body, numbers);
  const auto with_numbers =
      es::parse_text("graph { %x = placeholder : f32[2] %t = aten.relu(%x) : f32[2] %p = "
                     "aten.mul.Scalar(1, 3) : f32[2] %z = aten.add.Tensor(%p, 1) : f32[2] return %z }");
  CHECK(es::to_text(es::compacted(g), "") == es::to_text(es::compacted(with_numbers.graph), ""));
}
