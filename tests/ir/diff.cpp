// SPDX-License-Identifier: BSL-1.0
// Diffs of graphs: what single edits give, what counts as no difference, and the laws: few edits give few
// entries, the answer is the same every time, and the cost is linear on hostile shapes.
#include <espalier/ir/clone.hpp>
#include <espalier/ir/diff.hpp>
#include <espalier/ir/graph.hpp>
#include <espalier/ir/verify.hpp>
#include <espalier/ir/view.hpp>
#include <espalier/schema/aten.hpp>

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace es = espalier;

namespace {

const es::op_id add = *es::find_op("aten::add.Tensor"), mul = *es::find_op("aten::mul.Tensor"),
                relu = *es::find_op("aten::relu"), gelu = *es::find_op("aten::gelu"),
                tanh_op = *es::find_op("aten::tanh"), dropout = *es::find_op("aten::native_dropout");

bool holds(bool ok) { return ok; }

std::string counts(const es::graph_diff& d) {
  return "+" + std::to_string(d.count(es::edit_kind::added)) + " -" +
         std::to_string(d.count(es::edit_kind::removed)) + " ~" +
         std::to_string(d.count(es::edit_kind::modified));
}

es::value_id put(es::graph_storage& g, es::op_id op, es::vector<es::argument> args) {
  return g.result(g.call(op, args, 1));
}
es::value_id input(es::graph_storage& g, std::string_view name) {
  return g.result(g.placeholder(es::input_kind::user_input, name));
}
void give(es::graph_storage& g, es::vector<es::argument> values) { g.output(values); }

/// x -> relu -> mul(relu, y) -> tanh
struct sample {
  es::graph_storage g;
  es::value_id x, y, r, m, t;
  sample() {
    x = input(g, "x");
    y = input(g, "y");
    r = put(g, relu, {x});
    m = put(g, mul, {r, y});
    t = put(g, tanh_op, {m});
    give(g, {t});
    es::assign_names(g);
  }
};

/// A random graph of unary and binary calls, most of them of recent values.
es::graph_storage random_graph(std::uint64_t seed, std::size_t size) {
  std::mt19937_64 rng(seed);
  es::graph_storage g;
  es::vector<es::value_id> values{input(g, "x"), input(g, "y")};
  while (values.size() != size + 2) {
    const auto pick = [&] {
      const std::size_t recent = std::min<std::size_t>(values.size(), 8);
      return rng() % 8 ? values[values.size() - 1 - rng() % recent] : values[rng() % values.size()];
    };
    const es::value_id a = pick(), b = pick();
    switch (rng() % 4) {
    case 0:
      values.push_back(put(g, relu, {a}));
      break;
    case 1:
      values.push_back(put(g, tanh_op, {a}));
      break;
    case 2:
      values.push_back(put(g, add, {a, b, static_cast<std::int64_t>(rng() % 3)}));
      break;
    default:
      values.push_back(put(g, mul, {a, b}));
    }
  }
  give(g, {values.back(), values[values.size() - 2]});
  return g;
}

es::vector<es::node_id> calls(const es::graph_storage& g) {
  es::vector<es::node_id> out;
  for (es::node n : es::nodes(g))
    if (n.is_call())
      out.push_back(n);
  return out;
}

/// One random edit that touches a bounded number of nodes; true if it made one.
bool edit(es::graph_storage& g, std::mt19937_64& rng) {
  const auto all = calls(g);
  const es::node_id n = all[rng() % all.size()];
  const es::value_id first{g.slot(g.arg_slot(n, 0)).w0};
  switch (rng() % 6) {
  case 0: // another operator
    if (g.op(n) != relu && g.op(n) != tanh_op)
      return false;
    g.set_op(n, gelu);
    return true;
  case 1: // another constant
    if (g.op(n) != add)
      return false;
    g.set_arg(n, 2, std::int64_t{7} + static_cast<std::int64_t>(rng() % 1000));
    return true;
  case 2: { // one call more on the way of one operand
    g.set_insertion_point({n});
    const es::value_id v = put(g, gelu, {first});
    g.set_insertion_point({});
    g.set_operand(g.arg_slot(n, 0), v);
    return true;
  }
  case 3: // one call less
    if (g.num_results(n) != 1 || !g.has_one_use(g.result(n)))
      return false;
    g.replace_all_uses(g.result(n), first);
    g.erase(n);
    return true;
  case 4: // a call that nobody uses
    put(g, gelu, {first});
    return true;
  default: { // another operand
    const es::value_id x = g.result(g.first());
    if (first == x)
      return false;
    g.set_operand(g.arg_slot(n, 0), x);
    return true;
  }
  }
}

} // namespace

TEST_CASE("equal graphs have no difference, however they are named and numbered") {
  sample a;
  CHECK(es::diff(a.g, a.g).empty());
  CHECK(es::diff(a.g, a.g).text() == "no difference\n");

  es::graph_storage renamed = a.g;
  for (es::node n : es::nodes(renamed))
    renamed.set_name(n, "other_" + std::to_string(n.id().index));
  CHECK(es::diff(a.g, renamed).empty());

  sample b; // the same by another way: ids, order and tombstones differ
  const auto extra = b.g.call(relu, es::vector<es::argument>{b.y}, 1);
  b.g.erase(extra);
  CHECK(es::diff(a.g, b.g).empty());
  CHECK(es::diff(a.g, es::compacted(b.g)).empty());
}

TEST_CASE("another operator in the same place is one modification") {
  sample a, b;
  b.g.set_op(b.g.def(b.r), gelu);
  const auto d = es::diff(a.g, b.g);
  REQUIRE(d.edits().size() == 1);
  CHECK(d.edits()[0].kind == es::edit_kind::modified);
  CHECK(d.edits()[0].before == a.g.def(a.r));
  CHECK(d.edits()[0].after == b.g.def(b.r));
  CHECK(d.text() == "0 added, 0 removed, 1 modified\n"
                    "  < relu = torch.ops.aten.relu.default(x)\n"
                    "  > relu = torch.ops.aten.gelu.default(x)\n");
}

TEST_CASE("a node put in between is added, and its user modified") {
  sample a, b;
  b.g.set_insertion_point({b.g.def(b.m)});
  const auto v = put(b.g, gelu, {b.r});
  b.g.set_name(b.g.def(v), "gelu");
  b.g.set_operand(b.g.arg_slot(b.g.def(b.m), 0), v);
  CHECK(es::diff(a.g, b.g).text() == "1 added, 0 removed, 1 modified\n"
                                     "  + gelu = torch.ops.aten.gelu.default(relu)\n"
                                     "  < mul = torch.ops.aten.mul.Tensor(relu, y)\n"
                                     "  > mul = torch.ops.aten.mul.Tensor(gelu, y)\n");
  CHECK(es::diff(b.g, a.g).text() == "0 added, 1 removed, 1 modified\n"
                                     "  - gelu = torch.ops.aten.gelu.default(relu)\n"
                                     "  < mul = torch.ops.aten.mul.Tensor(gelu, y)\n"
                                     "  > mul = torch.ops.aten.mul.Tensor(relu, y)\n");
}

TEST_CASE("nodes without names are shown under the names they would be given") {
  es::graph_storage a, b;
  for (auto* g : {&a, &b}) {
    const auto x = input(*g, "x");
    give(*g, {put(*g, g == &a ? relu : tanh_op, {put(*g, add, {x, x})})});
  }
  CHECK(es::diff(a, b).text() == "0 added, 0 removed, 1 modified\n"
                                 "  < relu = torch.ops.aten.relu.default(add)\n"
                                 "  > tanh = torch.ops.aten.tanh.default(add)\n");
}

TEST_CASE("merging equal calls removes one of them and modifies nobody") {
  es::graph_storage a;
  const auto x = input(a, "x");
  const auto p = put(a, relu, {x}), q = put(a, relu, {x});
  give(a, {put(a, mul, {p, p}), put(a, tanh_op, {q}), put(a, add, {q, p})});
  es::graph_storage b = a;
  b.replace_all_uses(q, p);
  b.erase(b.def(q));
  CHECK(counts(es::diff(a, b)) == "+0 -1 ~0");
}

TEST_CASE("two draws of random numbers are two values") {
  es::graph_storage a;
  const auto x = input(a, "x");
  const es::argument args[] = {x, 0.5, true};
  const auto p = a.result(a.call(dropout, args, 2)), q = a.result(a.call(dropout, args, 2));
  const auto u = put(a, relu, {p});
  give(a, {u, put(a, tanh_op, {q})});
  CHECK(es::diff(a, a).empty());
  es::graph_storage b = a;
  b.set_operand(b.arg_slot(b.def(u), 0), q);
  CHECK(counts(es::diff(a, b)) == "+0 -0 ~1");
}

TEST_CASE("inputs are compared by position, and by name where their number changes") {
  sample a, b;
  b.g.set_input_kind(b.g.def(b.y), es::input_kind::buffer);
  CHECK(es::diff(a.g, b.g).text() == "0 added, 0 removed, 1 modified\n"
                                     "  < y: user_input\n"
                                     "  > y: buffer\n");
  es::graph_storage c, d;
  for (auto* g : {&c, &d}) {
    const auto x = input(*g, "x");
    if (g == &d)
      input(*g, "between");
    const auto y = input(*g, "y");
    give(*g, {put(*g, mul, {x, y})});
  }
  CHECK(es::diff(c, d).text() == "1 added, 0 removed, 0 modified\n"
                                 "  + between: user_input\n");
  CHECK(counts(es::diff(d, c)) == "+0 -1 ~0");
}

TEST_CASE("attributes, lists, strings and outputs are compared by what they hold") {
  const auto cat = *es::find_op("aten::cat");
  const auto make = [&](std::string_view attribute, bool swapped, std::string_view mode,
                        std::size_t outputs) {
    es::graph_storage g;
    const auto x = input(g, "x");
    const auto w = g.result(g.get_attr(attribute, "w"));
    const es::argument items[] = {swapped ? w : x, swapped ? x : w};
    const auto c = put(g, cat, {es::argument(es::span<const es::argument>(items)), 1});
    const auto d = put(g, gelu, {c, mode});
    give(g, outputs == 1 ? es::vector<es::argument>{d} : es::vector<es::argument>{d, c});
    return g;
  };
  const auto base = make("w", false, "none", 1);
  CHECK(es::diff(base, make("w", false, "none", 1)).empty());
  CHECK(counts(es::diff(base, make("v", false, "none", 1))) == "+0 -0 ~1");
  CHECK(counts(es::diff(base, make("w", true, "none", 1))) == "+0 -0 ~1");
  CHECK(counts(es::diff(base, make("w", false, "tanh", 1))) == "+0 -0 ~1");
  CHECK(counts(es::diff(base, make("w", false, "none", 2))) == "+0 -0 ~1");
  CHECK(counts(es::diff(base, make("v", true, "tanh", 2))) == "+0 -0 ~4");
}

TEST_CASE("what changed in a subgraph is told there") {
  const auto cond = es::intern_op("higher_order::cond", "");
  const auto make = [&](es::op_id op, bool deep) {
    es::graph_storage inner, branch, other, g;
    give(inner, {put(inner, op, {input(inner, "i")})});
    for (auto* b : {&branch, &other}) {
      const auto v = input(*b, "b");
      if (b == &branch && deep) {
        const auto at = b->add_subgraph("body", inner);
        const es::argument args[] = {v, es::argument::of_subgraph(at), es::argument::of_subgraph(at), v};
        give(*b, {b->result(b->call(cond, args, 1, false, es::node_kind::call_higher_order))});
      } else {
        give(*b, {put(*b, b == &branch ? op : tanh_op, {v})});
      }
    }
    const auto p = input(g, "p"), x = input(g, "x");
    const auto t = g.add_subgraph("true_graph_0", branch), f = g.add_subgraph("false_graph_0", other);
    const es::argument args[] = {p, es::argument::of_subgraph(t), es::argument::of_subgraph(f), x};
    const auto c = g.result(g.call(cond, args, 1, false, es::node_kind::call_higher_order));
    give(g, {put(g, relu, {c})});
    es::assign_names(g);
    return g;
  };
  CHECK(es::diff(make(relu, false), make(relu, false)).empty());
  CHECK(es::diff(make(relu, true), make(relu, true)).empty());
  CHECK(es::diff(make(relu, false), make(gelu, false)).text() ==
        "0 added, 0 removed, 1 modified\n"
        "in true_graph_0:\n"
        "  < relu = torch.ops.aten.relu.default(b)\n"
        "  > gelu = torch.ops.aten.gelu.default(b)\n");
  const auto nested = es::diff(make(relu, true), make(gelu, true));
  REQUIRE(nested.edits().size() == 1); // the body is called twice, and told once
  CHECK(nested.edits()[0].graph == "true_graph_0.body");
}

TEST_CASE("a change at either end of a deep graph does not spread") {
  const auto chain = [](std::size_t changed, es::op_id to) {
    es::graph_storage g;
    auto v = input(g, "x");
    for (std::size_t i = 0; i != 2000; ++i)
      v = put(g, i == changed ? to : relu, {v});
    give(g, {v});
    return g;
  };
  const auto base = chain(0, relu);
  for (std::size_t at : {0u, 1u, 1000u, 1998u, 1999u})
    CHECK(counts(es::diff(base, chain(at, gelu))) == "+0 -0 ~1");
}

TEST_CASE("copies and renamed copies have no difference") {
  const bool ok = rc::check("clones", [](std::uint64_t seed) {
    es::graph_storage g = random_graph(seed, 60);
    std::mt19937_64 rng(seed);
    for (int i = 0; i != 10; ++i)
      edit(g, rng);
    es::graph_storage c = es::compacted(g);
    RC_ASSERT(es::diff(g, g).empty());
    RC_ASSERT(es::diff(g, c).empty());
    es::assign_names(g);
    for (es::node n : es::nodes(c))
      c.set_name(n, "n" + std::to_string(rng() % 20)); // not even unique
    RC_ASSERT(es::diff(g, c).empty());
    RC_ASSERT(es::diff(c, g).empty());
  });
  CHECK(holds(ok));
}

TEST_CASE("k edits give O(k) entries, with names and without") {
  const bool ok = rc::check("edits", [](std::uint64_t seed, bool named) {
    es::graph_storage g = random_graph(seed, 400);
    if (named)
      es::assign_names(g);
    es::graph_storage h = g;
    std::mt19937_64 rng(seed + 1);
    const std::size_t k = 1 + rng() % 8;
    for (std::size_t i = 0; i != k;)
      i += edit(h, rng);
    for (auto& f : es::verify<es::aten_ir>(h, {.require_meta = false}))
      RC_FAIL(es::to_string(f));
    const auto d = es::diff(g, h);
    RC_ASSERT(d.edits().size() <= 4 * k);
    // the entries account for the nodes, and for nothing twice
    RC_ASSERT(g.num_nodes() + d.count(es::edit_kind::added) ==
              h.num_nodes() + d.count(es::edit_kind::removed));
    std::vector<int> seen(h.node_capacity(), 0);
    for (const auto& e : d.edits())
      if (e.after.valid())
        RC_ASSERT(++seen[e.after.index] == 1);
    // deterministic, and blind to how the graphs are stored
    RC_ASSERT(d.text() == es::diff(g, h).text());
    const auto c = es::diff(es::compacted(g), es::compacted(h));
    RC_ASSERT(counts(c) == counts(d));
    RC_CLASSIFY(d.edits().empty(), "edits that cancel out");
  });
  CHECK(holds(ok));
}

TEST_CASE("no difference means the same computation") {
  const bool ok = rc::check("sound", [](std::uint64_t seed) {
    const es::graph_storage g = random_graph(seed, 30);
    es::graph_storage h = g;
    std::mt19937_64 rng(seed + 2);
    while (!edit(h, rng)) {
    }
    const bool same = es::structurally_equal(g, h);
    const auto d = es::diff(g, h);
    RC_ASSERT(d.empty() == same);
  });
  CHECK(holds(ok));
}

TEST_CASE("the cost of a diff is linear, on hostile shapes too") {
  enum shape { random_dag, chain, hub, identical, wide_inputs };
  const auto make = [](shape s, std::size_t n) {
    if (s == random_dag)
      return random_graph(7, n);
    es::graph_storage g;
    const auto x = input(g, "x");
    es::vector<es::argument> outputs;
    auto v = x;
    for (std::size_t i = 0; i != n; ++i) {
      if (s == wide_inputs) {
        outputs.push_back(put(g, relu, {input(g, "i" + std::to_string(i))}));
        continue;
      }
      v = s == chain ? put(g, relu, {v})
          : s == hub ? put(g, add, {x, x, static_cast<std::int64_t>(i)})
                     : put(g, relu, {x});
      if (s == hub)
        outputs.push_back(v);
    }
    outputs.push_back(v);
    give(g, outputs);
    return g;
  };
  for (const shape s : {random_dag, chain, hub, identical, wide_inputs}) {
    double least = 1e9, most = 0;
    for (const std::size_t n : {500u, 4000u, 32000u}) {
      const auto g = make(s, n);
      auto h = g;
      std::size_t i = 0;
      for (const es::node_id c : calls(h))
        if (++i % 50 == 0 && h.op(c) == relu)
          h.set_op(c, gelu);
        else if (i % 50 == 25 && h.op(c) == add)
          h.set_arg(c, 2, std::int64_t{-5});
      const double steps = static_cast<double>(es::diff(g, h).steps()) / static_cast<double>(n);
      least = std::min(least, steps);
      most = std::max(most, steps);
    }
    CAPTURE(static_cast<int>(s));
    CHECK(most < 1.25 * least);
    CHECK(most < 120);
  }
}
