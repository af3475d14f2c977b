// SPDX-License-Identifier: BSL-1.0
// The analyses: known answers on graphs made by hand, a law each against a slow and obvious definition, and
// what a pipeline keeps of them.
#include <espalier/ir/boost_graph.hpp>
#include <espalier/ir/graph.hpp>
#include <espalier/ir/view.hpp>
#include <espalier/passes/cse.hpp>
#include <espalier/passes/dce.hpp>
#include <espalier/passes/infer_shapes.hpp>
#include <espalier/pipeline/analyses/alias_sets.hpp>
#include <espalier/pipeline/analyses/cost.hpp>
#include <espalier/pipeline/analyses/critical_path.hpp>
#include <espalier/pipeline/analyses/dominance.hpp>
#include <espalier/pipeline/analyses/liveness.hpp>
#include <espalier/pipeline/analyses/memory_estimate.hpp>
#include <espalier/pipeline/analyses/purity.hpp>
#include <espalier/pipeline/analyses/use_counts.hpp>
#include <espalier/pipeline/instruments/diff.hpp>
#include <espalier/pipeline/instruments/statistics.hpp>
#include <espalier/pipeline/pipeline.hpp>
#include <espalier/pipeline/properties.hpp>
#include <espalier/schema/aten.hpp>

#include <boost/graph/adjacency_list.hpp>
#include <boost/graph/dominator_tree.hpp>

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace es = espalier;

namespace {

static_assert(es::analysis<es::use_counts> && es::analysis<es::liveness> && es::analysis<es::dominance> &&
              es::analysis<es::post_dominance> && es::analysis<es::alias_sets> && es::analysis<es::purity> &&
              es::analysis<es::cost> && es::analysis<es::memory_estimate> &&
              es::analysis<es::critical_path<>> && es::analysis<es::critical_path<es::operations_weight>>);

bool holds(bool ok) { return ok; }

es::op_id op(std::string_view name) { return *es::find_op(name); }
es::value_meta f32(es::sym_ints sizes) { return es::make_meta(es::scalar_type::f32, std::move(sizes)); }

es::value_id put(es::graph_storage& g, std::string_view name, es::vector<es::argument> args,
                 const es::value_meta& m = {}) {
  const auto v = g.result(g.call(op(name), args, 1));
  if (m.kind != es::value_kind::unknown)
    g.set_meta(v, m);
  return v;
}
es::value_id input(es::graph_storage& g, std::string_view name, const es::value_meta& m = {},
                   es::input_kind k = es::input_kind::user_input) {
  const auto v = g.result(g.placeholder(k, name));
  if (m.kind != es::value_kind::unknown)
    g.set_meta(v, m);
  return v;
}
es::node_id give(es::graph_storage& g, es::vector<es::argument> values) { return g.output(values); }

/// A random graph over `f32[4]`, with views, mutation, random numbers and holes if asked.
es::graph_storage random_graph(std::uint64_t seed, std::size_t size, bool functional = true) {
  std::mt19937_64 rng(seed);
  es::graph_storage g;
  const auto m = f32({4});
  es::vector<es::value_id> values;
  for (std::size_t i = 0; i != 1 + seed % 3; ++i)
    values.push_back(input(g, "x" + std::to_string(i), m));
  es::vector<es::node_id> holes;
  while (values.size() < size) {
    const es::value_id a = values[rng() % values.size()], b = values[rng() % values.size()];
    switch (rng() % (functional ? 4 : 8)) {
    case 0:
      values.push_back(put(g, "aten::relu", {a}, m));
      break;
    case 1:
    case 2:
      values.push_back(put(g, "aten::add.Tensor", {a, b}, m));
      break;
    case 3:
      holes.push_back(g.def(put(g, "aten::tanh", {a}, m)));
      break;
    case 4:
      values.push_back(put(g, "aten::alias", {a}, m));
      break;
    case 5:
      values.push_back(put(g, "aten::add_.Tensor", {a, b}, m));
      break;
    case 6:
      values.push_back(put(g, "aten::rand_like", {a}, m));
      break;
    default:
      values.push_back(put(g, "aten::dropout", {a, 0.5, true}, m));
    }
  }
  give(g, {values.back(), values[values.size() / 2]});
  for (const auto n : holes)
    if (rng() % 2)
      g.erase(n);
  return g;
}

es::vector<es::node_id> nodes_of(const es::graph_storage& g) {
  es::vector<es::node_id> out;
  for (es::node n : es::nodes(g))
    out.push_back(n);
  return out;
}

} // namespace

// ---- use counts
// --------------------------------------------------------------------------------------------------

TEST_CASE("use counts tell uses from users") {
  es::graph_storage g;
  const auto x = input(g, "x"), y = input(g, "y");
  const auto a = put(g, "aten::add.Tensor", {x, x});
  const es::argument list[] = {a, x, a};
  const auto c = put(g, "aten::cat", {es::argument(es::span<const es::argument>(list)), 0});
  give(g, {c, c});
  const auto r = es::use_counts::compute(g);
  CHECK(r.uses(x) == 3);
  CHECK(r.users(x) == 2);
  CHECK(r.uses(a) == 2);
  CHECK(r.users(a) == 1);
  CHECK(r.uses(c) == 2);
  CHECK(r.users(c) == 1);
  CHECK(r.uses(y) == 0);
}

TEST_CASE("use counts agree with the use lists") {
  const bool ok = rc::check("use counts", [](std::uint64_t seed) {
    const auto g = random_graph(seed, 40, false);
    const auto r = es::use_counts::compute(g);
    for (es::node n : es::nodes(g)) {
      if (n.num_results() == 0)
        continue;
      std::set<es::node_id> users;
      for (es::node u : n.result().users())
        users.insert(u);
      RC_ASSERT(r.uses(n.result().id()) == n.result().num_uses());
      RC_ASSERT(r.users(n.result().id()) == users.size());
    }
  });
  CHECK(holds(ok));
}

// ---- liveness
// ----------------------------------------------------------------------------------------------------

TEST_CASE("live ranges and their peak") {
  es::graph_storage g;
  const auto x = input(g, "x", f32({10}));                      // 0: x
  const auto a = put(g, "aten::relu", {x}, f32({10}));          // 1: x a
  const auto dead = put(g, "aten::tanh", {a}, f32({100}));      // 2: x a dead
  const auto b = put(g, "aten::add.Tensor", {a, x}, f32({10})); // 3: x a b
  const auto c = put(g, "aten::relu", {b}, f32({5}));           // 4: b c
  const auto out = give(g, {c});                                // 5: c
  const auto r = es::liveness::compute(g);
  CHECK(r.num_positions() == 6);
  CHECK(r.first(a) == 1);
  CHECK(r.last(a) == 3);
  CHECK(r.last_user(x) == g.def(b));
  CHECK(r.last(dead) == 2);
  CHECK(r.last_user(c) == out);
  CHECK(r.live_values(g.def(dead)) == 3);
  CHECK(r.live_values(g.def(c)) == 2);
  CHECK(r.live_bytes(g.def(c)) == 60);
  CHECK(r.peak_values() == 3);
  CHECK(r.peak_bytes() == 480);
  CHECK(r.peak_node() == g.def(dead));
  CHECK(r.unknown_tensors() == 0);
}

TEST_CASE("liveness agrees with its definition, value by value and node by node") {
  const bool ok = rc::check("liveness", [](std::uint64_t seed) {
    const auto g = random_graph(seed, 40, false);
    const auto r = es::liveness::compute(g);
    const auto all = nodes_of(g);
    for (std::size_t p = 0; p != all.size(); ++p) {
      RC_ASSERT(r.position(all[p]) == p);
      RC_ASSERT(r.node_at(p) == all[p]);
      std::size_t live = 0;
      for (std::size_t q = 0; q <= p; ++q) {
        if (g.num_results(all[q]) == 0)
          continue;
        bool needed = q == p;
        for (es::node u : es::value(g, g.result(all[q])).users())
          needed = needed || !u.is_before(es::node(g, all[p]));
        RC_ASSERT(r.is_live_at(g.result(all[q]), all[p]) == needed);
        live += needed;
      }
      RC_ASSERT(r.live_values(all[p]) == live);
      RC_ASSERT(r.live_bytes(all[p]) == 16 * live);
      RC_ASSERT(r.live_values(all[p]) <= r.peak_values());
    }
  });
  CHECK(holds(ok));
}

// ---- dominance
// ---------------------------------------------------------------------------------------------------

TEST_CASE("dominators and post-dominators of a diamond") {
  es::graph_storage g;
  const auto x = input(g, "x"), y = input(g, "y");
  const auto a = put(g, "aten::relu", {x});
  const auto b = put(g, "aten::tanh", {a}), c = put(g, "aten::relu", {a});
  const auto d = put(g, "aten::add.Tensor", {b, c});
  const auto e = put(g, "aten::mul.Tensor", {d, y});
  const auto out = give(g, {e});
  const auto n = [&](es::value_id v) { return g.def(v); };
  const auto r = es::dominance::compute(g);
  CHECK(r.immediate(n(d)) == n(a));
  CHECK(r.immediate(n(a)) == n(x));
  CHECK(!r.immediate(n(x)).valid());
  CHECK(!r.immediate(n(e)).valid()); // y brings data past the diamond
  CHECK(r.immediate(out) == n(e));
  CHECK(r.dominates(n(x), n(d)));
  CHECK(r.dominates(n(d), n(d)));
  CHECK(!r.dominates(n(b), n(d)));
  CHECK(!r.dominates(n(x), n(e)));
  CHECK(r.common(n(b), n(c)) == n(a));
  CHECK(r.common(n(b), n(a)) == n(a));
  CHECK(!r.common(n(b), n(y)).valid());
  CHECK(r.depth(n(d)) == 3);

  const auto p = es::post_dominance::compute(g);
  CHECK(p.immediate(n(a)) == n(d));
  CHECK(p.immediate(n(b)) == n(d));
  CHECK(p.immediate(n(d)) == n(e));
  CHECK(p.immediate(n(y)) == n(e));
  CHECK(!p.immediate(out).valid());
  CHECK(p.dominates(out, n(x)));
  CHECK(!p.dominates(n(b), n(a)));
}

namespace {

/// Nodes that data reaches from where it enters (or, backwards, that reach where it leaves) without
/// `removed`.
std::set<es::node_id> reached(const es::graph_storage& g, es::node_id removed, bool backwards) {
  std::set<es::node_id> out;
  auto all = nodes_of(g);
  if (backwards)
    std::reverse(all.begin(), all.end());
  for (const auto n : all) {
    es::vector<es::node_id> from;
    if (backwards) {
      const auto [first, last] = adjacent_vertices(n, g);
      from.assign(first, last);
    } else {
      for (es::value v : es::node(g, n).operands())
        from.push_back(v.def());
    }
    const bool in =
        from.empty() || std::any_of(from.begin(), from.end(), [&](auto f) { return out.count(f); });
    if (in && n != removed)
      out.insert(n);
  }
  return out;
}

/// Boost.Graph's answer, on a copy with one root.
es::vector<es::node_id> by_lengauer_tarjan(const es::graph_storage& g, bool backwards) {
  using flow = boost::adjacency_list<boost::vecS, boost::vecS, boost::bidirectionalS>;
  const auto index = get(boost::vertex_index, g);
  const std::size_t root = num_vertices(g);
  flow f(root + 1);
  for (const auto n : nodes_of(g))
    if ((backwards ? out_degree(n, g) : in_degree(n, g)) == 0)
      add_edge(root, index[n], f);
  const auto [first, last] = edges(g);
  for (auto e = first; e != last; ++e)
    add_edge(index[backwards ? target(*e, g) : source(*e, g)],
             index[backwards ? source(*e, g) : target(*e, g)], f);
  std::vector<std::size_t> parent(root + 1, root);
  boost::lengauer_tarjan_dominator_tree(
      f, root, boost::make_iterator_property_map(parent.begin(), get(boost::vertex_index, f)));
  es::vector<es::node_id> at(root + 1), out(g.node_capacity());
  for (const auto n : nodes_of(g))
    at[index[n]] = n;
  for (const auto n : nodes_of(g))
    out[n.index] = at[parent[index[n]]];
  return out;
}

} // namespace

TEST_CASE("removing a dominator disconnects what it dominates, and Boost.Graph gives the same tree") {
  for (const bool backwards : {false, true}) {
    const bool ok = rc::check(backwards ? "post-dominance" : "dominance", [&](std::uint64_t seed) {
      const auto g = random_graph(seed, 24, false);
      const auto r = backwards ? es::post_dominance::compute(g) : es::dominance::compute(g);
      const auto expected = by_lengauer_tarjan(g, backwards);
      const auto all = nodes_of(g);
      for (const auto a : all) {
        RC_ASSERT(r.immediate(a) == expected[a.index]);
        const auto rest = reached(g, a, backwards);
        for (const auto b : all)
          RC_ASSERT(r.dominates(a, b) == !rest.count(b));
      }
      for (const auto a : all)
        for (const auto b : all) {
          auto c = a;
          while (c.valid() && !r.dominates(c, b))
            c = r.immediate(c);
          RC_ASSERT(r.common(a, b) == c);
        }
    });
    CHECK(holds(ok));
  }
}

TEST_CASE("dominance does not recurse: a chain of a million nodes beside a short cut") {
  es::graph_storage g;
  const auto x = input(g, "x");
  auto v = x;
  const auto relu = op("aten::relu");
  for (int i = 0; i != 1'000'000; ++i) {
    const es::argument a[] = {v};
    v = g.result(g.call(relu, a, 1));
  }
  const auto join = put(g, "aten::add.Tensor", {x, v});
  const auto out = give(g, {join});
  const auto r = es::dominance::compute(g);
  CHECK(r.immediate(g.def(join)) == g.def(x));
  CHECK(r.depth(g.def(v)) == 1'000'001);
  CHECK(r.dominates(g.def(x), out));
  CHECK(es::post_dominance::compute(g).immediate(g.def(x)) == g.def(join));
}

TEST_CASE("dominance refuses a graph that is not in order") {
  es::graph_storage g;
  const auto x = input(g, "x");
  const auto a = put(g, "aten::relu", {x}), b = put(g, "aten::tanh", {a});
  give(g, {b});
  g.move_before(g.def(b), g.def(a));
  CHECK_THROWS_AS(es::dominance::compute(g), es::error);
  CHECK_THROWS_AS(es::post_dominance::compute(g), es::error);
  CHECK_THROWS_AS(es::critical_path<>::compute(g), es::error);
}

// ---- alias sets
// --------------------------------------------------------------------------------------------------

TEST_CASE("alias sets follow views and writes") {
  es::graph_storage g;
  const auto x = input(g, "x"), y = input(g, "y");
  const auto a = put(g, "aten::relu", {x});
  const es::argument sizes[] = {-1};
  const auto v = put(g, "aten::view", {a, es::argument(es::span<const es::argument>(sizes))});
  const auto w = put(g, "aten::add_.Tensor", {v, y});
  const auto b = put(g, "aten::mul.Tensor", {a, w});
  give(g, {b});
  const auto r = es::alias_sets::compute(g);
  CHECK(r.num_sets() == 4);
  CHECK(r.may_alias(a, w));
  CHECK(r.may_alias(v, w));
  CHECK(!r.may_alias(a, b));
  CHECK(!r.may_alias(x, y));
  CHECK(r.written(a));
  CHECK(!r.written(y));
  CHECK(r.any_written());
  CHECK(r.escapes(b));
  CHECK(!r.escapes(a));
  CHECK(r.set_of(x) == 0);
  const auto members = r.members(r.set_of(a));
  CHECK(es::vector<es::value_id>(members.begin(), members.end()) == es::vector<es::value_id>{a, v, w});
}

TEST_CASE("alias sets are a partition, joined by every view and every write") {
  const bool ok = rc::check("alias sets", [](std::uint64_t seed) {
    const auto g = random_graph(seed, 40, false);
    const auto r = es::alias_sets::compute(g);
    std::size_t members = 0, values = 0;
    for (std::size_t s = 0; s != r.num_sets(); ++s) {
      RC_ASSERT(!r.members(s).empty());
      for (const auto v : r.members(s)) {
        RC_ASSERT(r.set_of(v) == s);
        RC_ASSERT(r.written(v) == r.written(r.members(s)[0]));
        ++members;
      }
    }
    for (es::node n : es::nodes(g)) {
      values += n.num_results();
      if (n.is_call(op("aten::alias")) || n.is_call(op("aten::add_.Tensor")))
        RC_ASSERT(r.may_alias(n.arg(0).as_value().id(), n.result().id()));
      if (n.is_call(op("aten::add_.Tensor")))
        RC_ASSERT(r.written(n.arg(0).as_value().id()));
      if (n.is_call(op("aten::add.Tensor")))
        RC_ASSERT(!r.may_alias(n.arg(0).as_value().id(), n.result().id()));
    }
    RC_ASSERT(members == values);
  });
  CHECK(holds(ok));
}

// ---- purity
// ------------------------------------------------------------------------------------------------------

TEST_CASE("purity tells what a node does beside its results") {
  es::graph_storage branch, g;
  give(branch, {put(branch, "aten::rand_like", {input(branch, "b")})});
  const auto x = input(g, "x");
  const auto a = put(g, "aten::relu", {x});
  const auto r = put(g, "aten::rand_like", {x});
  const auto w = put(g, "aten::add_.Tensor", {a, r});
  const es::argument check[] = {x, "message"};
  const auto effect = g.call(op("aten::_assert_async.msg"), check, 0);
  const auto unknown = g.call(es::intern_op("no_such::operator_here", ""), check, 1);
  const auto f = g.add_subgraph("f", branch);
  const es::argument cond[] = {x, es::argument::of_subgraph(f), es::argument::of_subgraph(f), x};
  const auto c =
      g.call(es::intern_op("higher_order::cond", ""), cond, 1, false, es::node_kind::call_higher_order);
  const es::argument bn[] = {
      x, es::argument(std::nullopt), es::argument(std::nullopt), x, x, true, 0.1, 1e-5, false};
  const auto trains = g.call(op("aten::batch_norm"), bn, 1);
  const auto out = give(g, {w, g.result(c), g.result(trains)});
  const auto p = es::purity::compute(g);
  CHECK(p.is_pure(g.def(x)));
  CHECK(p.is_pure(g.def(a)));
  CHECK(p[g.def(r)] == es::node_effects{true, false, false});
  CHECK(p[g.def(w)] == es::node_effects{false, true, false});
  CHECK(p[effect] == es::node_effects{false, false, true});
  CHECK(p[unknown] == es::node_effects{true, true, true});
  CHECK(p[c] == es::node_effects{true, false, false});
  CHECK(p[trains] == es::node_effects{false, true, false});
  CHECK(p.is_pure(out));
  CHECK(!p.graph().pure());
}

TEST_CASE("what purity calls pure is what dead code elimination may erase") {
  const bool ok = rc::check("purity", [](std::uint64_t seed) {
    auto g = random_graph(seed, 40, false);
    const auto p = es::purity::compute(g);
    std::set<es::node_id> used; // by something impure or the output
    for (es::node n : es::nodes_reversed(g)) {
      const bool kept = used.count(n) || !n.is_call() || !p.is_pure(n);
      if (!kept)
        continue;
      used.insert(n);
      for (es::value v : n.operands())
        used.insert(v.def());
    }
    es::dce{}.run(g);
    for (const auto n : used)
      RC_ASSERT(g.alive(n));
    RC_ASSERT(g.num_nodes() == used.size());
  });
  CHECK(holds(ok));
}

// ---- cost
// --------------------------------------------------------------------------------------------------------

TEST_CASE("costs of products, convolutions and attention") {
  es::graph_storage g;
  const auto c = [&](std::string_view name, es::vector<es::sym_ints> operands, es::sym_ints result,
                     es::vector<es::argument> rest = {}) {
    es::vector<es::argument> args;
    for (auto& s : operands)
      args.push_back(input(g, "", f32(s)));
    args.insert(args.end(), rest.begin(), rest.end());
    const auto v = put(g, name, args, f32(result));
    return es::cost::compute(g)[g.def(v)];
  };
  const auto mm = c("aten::mm", {{2, 3}, {3, 5}}, {2, 5});
  CHECK(mm.flops == 2 * 2 * 3 * 5);
  CHECK(mm.element_ops == 0);
  CHECK(mm.bytes_read == 4 * (6 + 15));
  CHECK(mm.bytes_written == 4 * 10);
  CHECK(mm.model == es::cost_model::product);
  CHECK(mm.known);
  CHECK(c("aten::addmm", {{5}, {2, 3}, {3, 5}}, {2, 5}).flops == 60);
  CHECK(c("aten::bmm", {{7, 2, 3}, {7, 3, 5}}, {7, 2, 5}).flops == 7 * 60);
  CHECK(c("aten::baddbmm", {{7, 2, 5}, {7, 2, 3}, {7, 3, 5}}, {7, 2, 5}).flops == 7 * 60);
  CHECK(c("aten::addbmm", {{2, 5}, {7, 2, 3}, {7, 3, 5}}, {2, 5}).flops == 7 * 60);
  CHECK(c("aten::linear", {{4, 2, 3}, {5, 3}}, {4, 2, 5}).flops == 4 * 60);
  CHECK(c("aten::matmul", {{3}, {3}}, {}).flops == 6);
  CHECK(c("aten::dot", {{9}, {9}}, {}).flops == 18);
  CHECK(c("aten::mv", {{4, 9}, {9}}, {4}).flops == 72);
  // 8 images, 3 channels to 16 by 5 x 5 filters, on 28 x 28 places
  CHECK(c("aten::conv2d", {{8, 3, 32, 32}, {16, 3, 5, 5}}, {8, 16, 28, 28}).flops ==
        2ull * 8 * 16 * 28 * 28 * 3 * 5 * 5);
  // in two groups, each filter sees half of the channels
  CHECK(c("aten::conv2d", {{8, 4, 32, 32}, {16, 2, 5, 5}}, {8, 16, 28, 28}).flops ==
        2ull * 8 * 16 * 28 * 28 * 2 * 5 * 5);
  // transposed: each of the 4 x 4 inputs meets 16 x 3 x 3 weights a channel
  CHECK(c("aten::conv_transpose2d.input", {{1, 8, 4, 4}, {8, 16, 3, 3}}, {1, 16, 6, 6}).flops ==
        2ull * 8 * 4 * 4 * 16 * 3 * 3);
  const es::argument zeros[] = {0, 0}, ones[] = {1, 1};
  const es::argument list0{es::span<const es::argument>(zeros)}, list1{es::span<const es::argument>(ones)};
  CHECK(c("aten::convolution", {{1, 8, 4, 4}, {8, 16, 3, 3}}, {1, 16, 6, 6},
          {es::argument(std::nullopt), list1, list0, list1, true, list0, 1})
            .flops == 2ull * 8 * 4 * 4 * 16 * 3 * 3);
  // 2 x 4 heads: 6 queries of 8, 10 keys of 8, 10 values of 12
  CHECK(c("aten::scaled_dot_product_attention", {{2, 4, 6, 8}, {2, 4, 10, 8}, {2, 4, 10, 12}}, {2, 4, 6, 12})
            .flops == 2ull * 2 * 4 * 6 * 10 * (8 + 12));
}

TEST_CASE("costs of what is no product") {
  es::graph_storage g;
  const auto x = input(g, "x", f32({4, 8})), y = input(g, "y", f32({8}));
  const auto a = put(g, "aten::add.Tensor", {x, y}, f32({4, 8}));
  const auto twice = put(g, "aten::mul.Tensor", {a, a}, f32({4, 8}));
  const es::argument flat[] = {32};
  const auto v = put(g, "aten::view", {twice, es::argument(es::span<const es::argument>(flat))}, f32({32}));
  const auto s = put(g, "aten::sum", {v}, f32({}));
  const auto h =
      put(g, "aten::to.dtype", {a, es::scalar_type::f16}, es::make_meta(es::scalar_type::f16, {4, 8}));
  const auto same = put(g, "aten::to.dtype", {a, es::scalar_type::f32}, f32({4, 8}));
  const auto copy = put(g, "aten::clone", {a}, f32({4, 8}));
  const auto odd = put(g, "aten::trace", {x}, f32({}));
  give(g, {s, h, same, copy, odd});
  const auto r = es::cost::compute(g);
  const auto at = [&](es::value_id value) { return r[g.def(value)]; };
  CHECK(at(x) == es::node_cost{});
  CHECK(at(a) == es::node_cost{0, 32, 4 * 40, 4 * 32, es::cost_model::pointwise, true});
  CHECK(at(twice).bytes_read == 4 * 32); // one operand, though used twice
  CHECK(at(v) == es::node_cost{});
  CHECK(at(s) == es::node_cost{0, 32, 4 * 32, 4, es::cost_model::reduction, true});
  CHECK(at(h) == es::node_cost{0, 0, 4 * 32, 2 * 32, es::cost_model::movement, true});
  CHECK(at(same).bytes() == 0); // gives its argument back
  CHECK(at(copy).bytes() == 2 * 4 * 32);
  CHECK(at(odd).model == es::cost_model::not_modelled);
  CHECK(r.total().element_ops == 32 + 32 + 32 + 1);
  CHECK(r.total().known);
}

TEST_CASE("symbolic sizes count with the value given, else with the hint, else not at all") {
  const es::sym_int s(es::symbol("s0"));
  es::graph_storage g;
  const auto x = input(g, "x", f32({s, 8}));
  const auto w = input(g, "w", f32({8, 2}));
  const auto m = put(g, "aten::mm", {x, w}, f32({s, 2}));
  give(g, {m});
  CHECK(!es::cost::compute(g)[g.def(m)].known);
  CHECK(es::cost::compute(g).total().flops == 0);
  const auto ten = [](std::string_view name) -> std::optional<std::int64_t> {
    return name == "s0" ? std::optional<std::int64_t>(10) : std::nullopt;
  };
  CHECK(es::cost::compute(g, ten).total().flops == 2 * 10 * 8 * 2);
  CHECK(es::liveness::compute(g).unknown_tensors() == 2);
  CHECK(es::liveness::compute(g, ten).peak_bytes() == 4 * (80 + 16 + 20));
  CHECK(es::memory_estimate::compute(g, ten).peak_bytes == 80);

  auto hinted = es::value_meta::of(es::value_kind::sym_int, s);
  hinted.has_hint = true;
  hinted.hint = 3;
  g.set_insertion_point({g.def(m)});
  put(g, "aten::sym_size.int", {x, 0}, hinted);
  CHECK(es::cost::compute(g).total().flops == 2 * 3 * 8 * 2);
  CHECK(es::cost::compute(g, ten).total().flops == 2 * 10 * 8 * 2);
}

TEST_CASE("a conditional costs its dearest branch, once a call") {
  const auto branch = [](std::int64_t n) {
    es::graph_storage b;
    const auto x = input(b, "x", f32({n, 8})), w = input(b, "w", f32({8, 2}));
    give(b, {put(b, "aten::mm", {x, w}, f32({n, 2}))});
    return b;
  };
  es::graph_storage g;
  const auto x = input(g, "x", f32({4}));
  const auto t = g.add_subgraph("t", branch(3)), f = g.add_subgraph("f", branch(5));
  const es::argument args[] = {x, es::argument::of_subgraph(t), es::argument::of_subgraph(f), x};
  const auto call = [&](std::string_view name) {
    const auto n = g.call(es::intern_op(name, ""), args, 1, false, es::node_kind::call_higher_order);
    g.set_meta(g.result(n), f32({4}));
    return n;
  };
  const auto c = call("higher_order::cond"), w = call("higher_order::while_loop");
  const auto r = es::cost::compute(g);
  CHECK(r[c].flops == 2 * 5 * 8 * 2);
  CHECK(r[w].flops == 2 * (3 + 5) * 8 * 2);
  CHECK(r[c].model == es::cost_model::subgraphs);
}

TEST_CASE("the total is the sum, and amounts do not wrap round") {
  const bool ok = rc::check("total", [](std::uint64_t seed) {
    const auto g = random_graph(seed, 40, false);
    const auto r = es::cost::compute(g);
    es::node_cost sum;
    for (es::node n : es::nodes(g))
      sum += r[n];
    RC_ASSERT(sum == r.total());
  });
  CHECK(holds(ok));
  es::graph_storage g;
  const std::int64_t huge = std::int64_t{1} << 40;
  const auto x = input(g, "x", f32({huge, huge})), y = input(g, "y", f32({huge, huge}));
  const auto m = put(g, "aten::mm", {x, y}, f32({huge, huge}));
  give(g, {m});
  CHECK(es::cost::compute(g).total().flops == ~std::uint64_t{0});
}

// ---- memory
// ------------------------------------------------------------------------------------------------------

TEST_CASE("the memory estimate knows what shares memory, and when it goes") {
  es::graph_storage g;
  const auto w = input(g, "w", f32({100}), es::input_kind::parameter);
  const auto b = input(g, "b", f32({10}), es::input_kind::buffer);
  const auto x = input(g, "x", f32({50}));
  const auto a = put(g, "aten::relu", {x}, f32({50})); // +200
  const es::argument sizes[] = {5, 10};
  const auto v = put(g, "aten::view", {a, es::argument(es::span<const es::argument>(sizes))}, f32({5, 10}));
  const auto c = put(g, "aten::mul.Tensor", {w, w}, f32({100}));   // +400
  const auto d = put(g, "aten::sum", {c}, f32({}));                // +4, then c goes
  const auto e = put(g, "aten::add.Tensor", {v, b}, f32({5, 10})); // +200, then a goes
  give(g, {d, e});
  const auto r = es::memory_estimate::compute(g);
  CHECK(r.parameter_bytes == 400);
  CHECK(r.buffer_bytes == 40);
  CHECK(r.constant_bytes == 0);
  CHECK(r.input_bytes == 200);
  CHECK(r.allocated_bytes == 804);
  CHECK(r.peak_bytes == 604);
  CHECK(r.peak_node == g.def(d));
  CHECK(r.total_bytes() == 640 + 604);
  CHECK(r.unknown_tensors == 0);
}

TEST_CASE("a graph that is run inside counts while it runs") {
  es::graph_storage inner, g;
  const auto i = input(inner, "i", f32({8}));
  const auto big = put(inner, "aten::relu", {i}, f32({1000}));
  give(inner, {put(inner, "aten::sum", {big}, f32({}))});
  const auto x = input(g, "x", f32({8}));
  const auto a = put(g, "aten::relu", {x}, f32({8}));
  const auto f = g.add_subgraph("f", inner);
  const es::argument args[] = {a, es::argument::of_subgraph(f), es::argument::of_subgraph(f), a};
  const auto n =
      g.call(es::intern_op("higher_order::cond", ""), args, 1, false, es::node_kind::call_higher_order);
  g.set_meta(g.result(n), f32({}));
  give(g, {g.result(n)});
  const auto r = es::memory_estimate::compute(g);
  CHECK(r.peak_node == n);
  CHECK(r.peak_bytes == 32 + 4 + 4004);
}

TEST_CASE("without shared memory, the estimate is the peak of liveness less what was there before") {
  const bool ok = rc::check("memory", [](std::uint64_t seed) {
    const auto g = random_graph(seed, 40);
    const auto r = es::memory_estimate::compute(g);
    const auto live = es::liveness::compute(g);
    std::uint64_t peak = 0;
    for (es::node n : es::nodes(g)) {
      std::uint64_t now = 0;
      for (es::node m : es::nodes(g))
        if (m.is_call() && live.is_live_at(m.result().id(), n))
          now += 16;
      peak = std::max(peak, now);
    }
    RC_ASSERT(r.peak_bytes == peak);
    RC_ASSERT(r.peak_bytes <= r.allocated_bytes);
  });
  CHECK(holds(ok));
}

// ---- critical path
// -----------------------------------------------------------------------------------------------

TEST_CASE("the longest path, by steps and by operations") {
  es::graph_storage g;
  const auto x = input(g, "x", f32({4, 4}));
  const auto a = put(g, "aten::relu", {x}, f32({4, 4}));
  const auto b = put(g, "aten::tanh", {a}, f32({4, 4}));
  const auto m = put(g, "aten::mm", {x, x}, f32({4, 4})); // 128 operations in one step
  const auto s = put(g, "aten::add.Tensor", {b, m}, f32({4, 4}));
  const auto out = give(g, {s});
  const auto n = [&](es::value_id v) { return g.def(v); };
  const auto steps = es::critical_path<>::compute(g);
  CHECK(steps.length() == 3);
  CHECK(steps.work() == 4);
  CHECK(steps.nodes() == es::vector<es::node_id>{n(x), n(a), n(b), n(s)});
  CHECK(steps.slack(n(m)) == 1);
  CHECK(steps.slack(n(b)) == 0);
  const auto operations = es::critical_path<es::operations_weight>::compute(g);
  CHECK(operations.length() == 128 + 16);
  CHECK(operations.nodes() == es::vector<es::node_id>{n(x), n(m), n(s)});
  CHECK(operations.slack(n(a)) == 128 - 32);
  CHECK(operations.finish(out) == 144);
}

TEST_CASE("no path is longer than the critical one, and it is as long as it says") {
  const bool ok = rc::check("critical path", [](std::uint64_t seed) {
    const auto g = random_graph(seed, 40, false);
    const auto r = es::critical_path<es::operations_weight>::compute(g);
    const es::operations_weight weight(g);
    std::uint64_t along = 0;
    for (std::size_t i = 0; i != r.nodes().size(); ++i) {
      along += weight(r.nodes()[i]);
      RC_ASSERT(r.slack(r.nodes()[i]) == 0u);
      if (i) {
        bool uses = false;
        for (es::value v : es::node(g, r.nodes()[i]).operands())
          uses = uses || v.def().id() == r.nodes()[i - 1];
        RC_ASSERT(uses);
      }
    }
    RC_ASSERT(along == r.length());
    std::mt19937_64 rng(seed);
    for (int walk = 0; walk != 50; ++walk) { // a random path, from the end
      auto n = nodes_of(g)[rng() % g.num_nodes()];
      const auto end = n;
      std::uint64_t sum = 0;
      while (n.valid()) {
        sum += weight(n);
        es::vector<es::node_id> from;
        for (es::value v : es::node(g, n).operands())
          from.push_back(v.def());
        n = from.empty() ? es::node_id{} : from[rng() % from.size()];
      }
      RC_ASSERT(sum <= r.finish(end));
      RC_ASSERT(r.finish(end) + r.slack(end) <= r.length());
    }
  });
  CHECK(holds(ok));
}

// ---- in a pipeline
// -----------------------------------------------------------------------------------------------

namespace {

int computed = 0; // times that the analysis below ran

struct counted_nodes {
  static constexpr std::string_view name = "counted-nodes";
  static std::size_t compute(const es::graph_storage& g) {
    ++computed;
    return g.num_nodes();
  }
};

struct asks : es::pass {
  static constexpr std::string_view name = "asks";
  using destroys = es::properties<>;
  es::pass_result run(es::graph_storage& g, es::pass_context& c) const {
    c.count("nodes seen", c.get<counted_nodes>(g));
    c.get<es::liveness>(g);
    return {};
  }
};
/// Renames, which no analysis here minds, and says what it preserves and whether it changed something.
template <class Preserves, bool Changes>
struct touches : es::pass {
  static constexpr std::string_view name = "touches";
  using destroys = es::properties<>;
  using preserves = Preserves;
  es::pass_result run(es::graph_storage&) const { return {0, Changes ? 1u : 0u}; }
};

template <class Touch>
int times_computed(Touch touch) {
  es::graph<es::aten_ir> g;
  const auto x = g.placeholder("x");
  g.output(g.call<es::aten::relu>(x));
  computed = 0;
  (asks{} | touch | asks{}).run(g);
  return computed;
}

} // namespace

TEST_CASE("an analysis is kept where it is preserved or nothing changed, and dropped elsewhere") {
  CHECK(times_computed(touches<es::analyses<>, false>{}) == 1);
  CHECK(times_computed(touches<es::analyses<counted_nodes>, true>{}) == 1);
  CHECK(times_computed(touches<es::all_analyses, true>{}) == 1);
  CHECK(times_computed(touches<es::analyses<>, true>{}) == 2);
  CHECK(times_computed(touches<es::analyses<es::liveness>, true>{}) == 2);

  es::graph<es::aten_ir> g;
  const auto x = g.placeholder("x");
  g.output(g.call<es::aten::relu>(x));
  es::pass_context c;
  (asks{} | touches<es::analyses<es::liveness>, true>{}).run(g, c);
  CHECK(c.analyses().cached<counted_nodes>(g) == nullptr);
  REQUIRE(c.analyses().cached<es::liveness>(g) != nullptr);
  CHECK(c.analyses().cached<es::liveness>(g)->num_positions() == 3);
  c.analyses().forget(g);
  CHECK(c.analyses().empty());
}

TEST_CASE("a pass that edits never leaves an analysis behind that it falsified") {
  es::graph<es::aten_ir> g;
  const auto x = g.placeholder("x", es::make_meta(es::scalar_type::f32, {2}));
  const auto a = g.call<es::aten::relu>(x), b = g.call<es::aten::relu>(x);
  g.output(g.call<es::aten::add_Tensor>(a, b));
  es::pass_context c;
  (asks{} | es::cse{} | asks{} | es::dce{} | asks{}).run(g, c);
  CHECK(c.get<counted_nodes>(g) == g.num_nodes());
  CHECK(c.get<es::use_counts>(g).uses(a.id()) == 2);
}

// docs/analyses.md quotes this one, and the pass after it.
/// The values that a later call may overwrite: fresh, not shared with an output, and used once.
struct reusable {
  static constexpr std::string_view name = "reusable";
  using result = std::vector<bool>; // by value

  static result compute(const es::graph_storage& g) {
    const auto sets = es::alias_sets::compute(g);
    const auto counts = es::use_counts::compute(g);
    result r(g.value_capacity(), false);
    for (es::node n : es::nodes(g))
      if (n.is_call() && n.num_results() == 1) {
        const es::value_id v = n.result().id();
        r[v.index] = counts.uses(v) == 1 && !sets.escapes(v) && sets.members(sets.set_of(v)).size() == 1;
      }
    return r;
  }
};
static_assert(es::analysis<reusable>);

/// Makes `relu` write into its operand where nobody else needs it.
struct relu_in_place : es::pass {
  static constexpr std::string_view name = "relu-in-place";
  using destroys = es::properties<es::property::functional>;
  using preserves = es::analyses<es::use_counts>; // operands stay, operators change

  es::pass_result run(es::graph_storage& g, es::pass_context& c) const {
    static const auto relu = es::id_of<es::aten::relu>(), relu_ = es::id_of<es::aten::relu_>();
    const auto& free = c.get<reusable>(g); // computed here, unless it is known already
    es::pass_result r;
    for (es::node n : es::nodes(g))
      if (n.is_call(relu) && free[n.arg(0).as_value().id().index]) {
        g.set_op(n, relu_);
        c.count("in place");
        ++r.rewritten;
      }
    return r; // changed: the pipeline drops `reusable`, and keeps `use_counts`
  }
};

TEST_CASE("a pass asks for an analysis of the user's") {
  es::graph<es::training_ir> g;
  const auto x = g.placeholder("x");
  const auto a = g.call<es::aten::tanh>(x);
  const auto b = g.call<es::aten::relu>(a);
  const auto c = g.call<es::aten::relu>(x);
  g.output(g.call<es::aten::add_Tensor>(b, c));
  es::pass_context context;
  context.get<es::use_counts>(g);
  const auto r = es::pipeline{relu_in_place{}}.run(g, context);
  CHECK(r.rewritten == 1);
  CHECK(b.def().op() == es::id_of<es::aten::relu_>());
  CHECK(c.def().op() == es::id_of<es::aten::relu>());
  CHECK(context.analyses().cached<reusable>(g) == nullptr);
  CHECK(context.analyses().cached<es::use_counts>(g) != nullptr);
  CHECK(es::statistics_table(context) == "count  pass           what\n"
                                         "    1  relu-in-place  in place\n");
}

// ---- instruments
// -------------------------------------------------------------------------------------------------

TEST_CASE("the diff of each pass that changed something is printed") {
  es::graph<es::aten_ir> g;
  const auto x = g.placeholder("x");
  const auto a = g.call<es::aten::relu>(x), b = g.call<es::aten::relu>(x);
  g.call<es::aten::tanh>(a);
  g.output(g.call<es::aten::add_Tensor>(a, b));
  std::ostringstream out;
  (es::cse{} | es::cse{} | es::pipeline{es::dce{}}).run(g, es::diff_each(out));
  CHECK(out.str() == "// ----- diff of stage 1 'cse'\n"
                     "0 added, 1 removed, 0 modified\n"
                     "  - relu_1 = torch.ops.aten.relu.default(x)\n"
                     "// ----- diff of stage 3 'dce'\n"
                     "0 added, 1 removed, 0 modified\n"
                     "  - tanh = torch.ops.aten.tanh.default(relu)\n");
}

TEST_CASE("statistics that a pass declares are there when it counts nothing") {
  es::graph<es::aten_ir> g;
  g.output(g.placeholder("x", es::make_meta(es::scalar_type::f32, {2})));
  es::pass_context c;
  es::pipeline{es::infer_shapes{}}.run(g, c);
  CHECK(es::statistics_table(c) == "count  pass          what\n"
                                   "    0  infer_shapes  no rule\n"
                                   "    0  infer_shapes  unknown argument\n"
                                   "    0  infer_shapes  undecided\n");
  CHECK(es::facts_of<es::infer_shapes>.statistics.size() == 3);
}

TEST_CASE("a table of statistics lines up, and is empty when nothing was counted") {
  es::pass_context c;
  CHECK(es::statistics_table(c).empty());
  c.enter({"fold", 0, 0, false, nullptr});
  c.count("folded", 12);
  c.count("folded");
  c.enter({"a-longer-name", 1, 0, false, nullptr});
  c.count("merged", 1234567);
  CHECK(es::statistics_table(c) == "  count  pass           what\n"
                                   "     13  fold           folded\n"
                                   "1234567  a-longer-name  merged\n");
}
