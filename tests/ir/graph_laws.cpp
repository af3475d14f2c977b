// SPDX-License-Identifier: BSL-1.0
// Laws of the storage: use lists against a naive model under random edits, order numbers under hostile
// insertion, names, the verifier, bytes a node, and graphs in constant evaluation.
#include <espalier/ir/graph.hpp>
#include <espalier/ir/hash.hpp>
#include <espalier/ir/naming.hpp>
#include <espalier/ir/text_parser.hpp>
#include <espalier/ir/verify.hpp>
#include <espalier/ir/view.hpp>
#include <espalier/schema/aten.hpp>

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace es = espalier;

namespace {

const es::op_id add = *es::find_op("aten::add.Tensor"), relu = *es::find_op("aten::relu");

bool holds(bool ok) { return ok; }

constexpr bool builds_in_constant_evaluation() {
  es::graph_storage g;
  const auto x = g.result(g.placeholder(es::input_kind::user_input, "x"));
  const es::argument a[] = {x, x};
  const auto n = g.call(es::op_id{7}, a, 1);
  const es::argument b[] = {g.result(n)};
  const auto m = g.call(es::op_id{8}, b, 1);
  const es::argument o[] = {g.result(m)};
  g.output(o);
  bool ok = g.num_nodes() == 4 && g.count_uses(x) == 2 && g.is_before(n, m);
  g.replace_all_uses(g.result(n), x);
  g.erase(n);
  ok = ok && g.count_uses(x) == 1 && g.has_one_use(x) && g.text(g.node_name(g.first())) == "x";
  std::size_t seen = 0;
  for (es::node k : es::nodes(g))
    seen += k.num_results();
  return ok && seen == 2 && g.num_nodes() == 3;
}
static_assert(builds_in_constant_evaluation());

} // namespace

TEST_CASE("random edits keep use lists and order in step with a naive model") {
  const bool ok = rc::check("edits", [](const std::vector<std::pair<int, std::uint32_t>>& edits) {
    es::graph_storage g;
    es::vector<es::node_id> order;                                         // the model: nodes in order, and
    es::vector<std::pair<es::node_id, es::vector<es::value_id>>> operands; // their operands
    const auto operands_of = [&](es::node_id n) -> es::vector<es::value_id>& {
      return std::find_if(operands.begin(), operands.end(), [&](auto& p) { return p.first == n; })->second;
    };
    order.push_back(g.placeholder(es::input_kind::user_input, "x"));
    operands.push_back({order[0], {}});
    for (auto [kind, r] : edits) {
      const auto pick = [&](std::uint32_t k) { return order[k % order.size()]; };
      switch (static_cast<unsigned>(kind) % 4) {
      case 0: { // insert a call somewhere behind its operands
        const auto a = pick(r), b = pick(r / 7);
        const es::argument args[] = {g.result(a), g.result(b)};
        const auto last = g.is_before(a, b) ? b : a;
        g.set_insertion_point({r % 3 ? es::node_id{} : g.next(last)});
        const bool at_end = !g.current_insertion_point().before.valid();
        const auto n = g.call(add, args, 1);
        order.insert(at_end ? order.end() : std::next(std::find(order.begin(), order.end(), last)), n);
        operands.push_back({n, {g.result(a), g.result(b)}});
        break;
      }
      case 1: { // erase a node nobody uses
        const auto n = pick(r);
        if (n == order[0] || g.has_uses(g.result(n)))
          break;
        g.set_insertion_point({});
        g.erase(n);
        order.erase(std::find(order.begin(), order.end(), n));
        operands.erase(std::find_if(operands.begin(), operands.end(), [&](auto& p) { return p.first == n; }));
        break;
      }
      case 2: { // replace all uses of a value by an earlier one
        const auto from = pick(r), to = pick(r / 5);
        if (!g.is_before(to, from))
          break;
        g.replace_all_uses(g.result(from), g.result(to));
        for (auto& [n, vs] : operands)
          std::replace(vs.begin(), vs.end(), g.result(from), g.result(to));
        break;
      }
      case 3: { // replace one operand
        const auto n = pick(r);
        if (n == order[0])
          break;
        g.set_operand(g.arg_slot(n, r % 2), g.result(order[0]));
        operands_of(n)[r % 2] = g.result(order[0]);
      }
      }
    }
    RC_ASSERT(g.num_nodes() == order.size());
    std::size_t i = 0;
    for (es::node n : es::nodes(g)) {
      RC_ASSERT(n.id() == order[i]);
      if (i)
        RC_ASSERT(g.is_before(order[i - 1], order[i]));
      std::multiset<std::uint32_t> users, model;
      for (es::node u : n.result().users())
        users.insert(u.id().index);
      for (auto& [user, vs] : operands)
        for (auto v : vs)
          if (v == n.result().id())
            model.insert(user.index);
      RC_ASSERT(users == model);
      RC_ASSERT(n.result().has_one_use() == (model.size() == 1));
      ++i;
    }
  });
  CHECK(holds(ok));
}

TEST_CASE("order numbers survive insertion at one point, at the front of it and at random") {
  constexpr std::size_t count = 20'000;
  for (int mode : {0, 1, 2}) {
    es::graph_storage g;
    const auto x = g.placeholder(es::input_kind::user_input, "x");
    const es::argument a[] = {g.result(x)};
    const auto anchor = g.call(relu, a, 1);
    std::mt19937 random(3);
    es::vector<es::node_id> made{anchor};
    for (std::size_t i = 0; i != count; ++i) {
      g.set_insertion_point({mode == 0 ? anchor : mode == 1 ? g.next(x) : made[random() % made.size()]});
      made.push_back(g.call(relu, a, 1));
    }
    bool sorted = true;
    for (auto n = g.first(); g.next(n).valid(); n = g.next(n))
      sorted = sorted && g.is_before(n, g.next(n));
    CHECK(sorted);
    CHECK(g.num_nodes() == count + 2);
  }
}

TEST_CASE("a graph is put in another order at once, or stays as it is") {
  es::graph<es::torch_ir> g;
  const auto x = g.placeholder("x");
  const auto a = g.call<es::aten::neg>(x), b = g.call<es::aten::abs>(x), c = g.call<es::aten::relu>(x);
  const auto out = g.output(c);
  const auto ids = [](auto... v) { return es::vector<es::node_id>{v.def().id()...}; };
  auto order = ids(x, c, a, b);
  order.push_back(out.id());
  struct : es::edit_listener {
    es::vector<es::node_id> seen;
    void moved(es::graph_storage&, es::node_id n) override { seen.push_back(n); }
  } listener;
  g.set_listener(&listener);
  CHECK(g.reorder(order) == 1);
  CHECK(g.reorder(order) == 0);
  CHECK(listener.seen == ids(c));
  es::vector<es::node_id> found;
  for (es::node n : es::nodes(g)) {
    CHECK((found.empty() || g.is_before(found.back(), n.id())));
    found.push_back(n.id());
  }
  CHECK(found == order);
  CHECK(g.last_placeholder() == x.def().id());
  const auto before = es::structural_hash(g);
  for (auto wrong : {ids(x, c, a), ids(x, c, c, a, b)}) {
    CHECK_THROWS_AS(g.reorder(wrong), es::error);
    CHECK(es::structural_hash(g) == before);
  }
  g.placeholder("y"); // goes after the last one
  CHECK(g.next(x.def().id()) == g.last_placeholder());
}
TEST_CASE("an index by operator follows every edit through a listener") {
  struct index : es::edit_listener {
    std::map<std::uint32_t, std::set<std::uint32_t>> calls; // by operator
    std::vector<std::uint32_t> added;
    void created(es::graph_storage& g, es::node_id n) override { calls[g.op(n).index].insert(n.index); }
    void erasing(es::graph_storage& g, es::node_id n) override { calls[g.op(n).index].erase(n.index); }
    void op_changed(es::graph_storage& g, es::node_id n, es::op_id before) override {
      CHECK(calls[before.index].erase(n.index) == 1);
      calls[g.op(n).index].insert(n.index);
    }
    void subgraph_added(es::graph_storage& g, std::uint32_t i) override {
      CHECK(g.num_subgraphs() == i + 1);
      added.push_back(i);
    }
  } by_op;
  es::graph_storage g;
  g.set_listener(&by_op);
  const auto now = [&] {
    std::map<std::uint32_t, std::set<std::uint32_t>> out;
    for (es::node n : es::nodes(g))
      out[n.op().index].insert(n.id().index);
    std::erase_if(by_op.calls, [](const auto& e) { return e.second.empty(); });
    return out;
  };
  const es::op_id ops[]{es::id_of<es::aten::neg>(), es::id_of<es::aten::relu>(), es::id_of<es::aten::abs>()};
  es::vector<es::node_id> calls;
  es::argument last = g.result(g.placeholder(es::input_kind::user_input, "x"));
  for (int i = 0; i != 30; ++i) {
    calls.push_back(g.call(ops[i % 3], es::span(&last, 1), 1, false));
    last = g.result(calls.back());
  }
  CHECK(by_op.calls == now());
  for (int i = 0; i != 30; i += 2)
    g.set_op(calls[static_cast<std::size_t>(i)], ops[(i / 2) % 3]);
  CHECK(by_op.calls == now());
  for (int i = 29; i != 20; --i)
    g.erase(calls[static_cast<std::size_t>(i)]);
  CHECK(by_op.calls == now());
  g.add_subgraph("f", es::graph_storage());
  CHECK(by_op.added == std::vector<std::uint32_t>{0});
}

TEST_CASE("dropping subgraphs tells a listener their new numbers, and which arguments got one") {
  auto g = es::parse_text(
               "graph { graph @f { %a = placeholder return %a } graph @g { %a = placeholder return %a } "
               "graph @h { %a = placeholder return %a } graph @i { %a = placeholder return %a } "
               "%p = placeholder : b8[] %x = placeholder [%c] = higher_order.cond(%p, @f, @h, [%x]) "
               "[%d] = higher_order.cond(%p, @h, @i, [%x]) return %c, %d }")
               .graph;
  struct : es::edit_listener {
    std::vector<std::uint32_t> numbers;
    std::vector<std::string> changed;
    void subgraphs_renumbered(es::graph_storage& h, es::span<const std::uint32_t> now) override {
      CHECK(changed.empty());
      CHECK(es::verify<es::training_ir>(h, {.require_meta = false}).empty());
      numbers.assign(now.begin(), now.end());
    }
    void argument_changed(es::graph_storage& h, es::node_id n, es::slot_id s, es::value_id before) override {
      CHECK_FALSE(before.valid());
      const auto to = h.subgraph_name(h.slot(s).w2);
      changed.push_back(std::string(h.text(h.node_name(n))) + " @" + std::string(h.text(to)));
    }
  } listener;
  g.set_listener(&listener);
  g.drop_unused_subgraphs();
  CHECK(g.num_subgraphs() == 3);
  CHECK(listener.numbers == std::vector<std::uint32_t>{0, es::edit_listener::dropped, 1, 2});
  const std::string c(g.text(g.node_name(g.prev(g.prev(g.last()))))),
      d(g.text(g.node_name(g.prev(g.last()))));
  CHECK(listener.changed == std::vector<std::string>{c + " @h", d + " @h", d + " @i"});
  listener.numbers.clear();
  g.drop_unused_subgraphs(); // nothing to drop, nothing to tell
  CHECK(listener.numbers.empty());
  CHECK(listener.changed.size() == 3);
}
TEST_CASE("nodes may be erased while iterating, in both directions") {
  es::graph_storage g;
  const auto x = g.placeholder(es::input_kind::user_input, "x");
  const es::argument a[] = {g.result(x)};
  for (int i = 0; i != 100; ++i)
    g.call(relu, a, 1);
  std::size_t seen = 0;
  for (es::node n : es::nodes(g))
    if (++seen % 2 == 0)
      g.erase(n);
  CHECK(seen == 101);
  CHECK(g.num_nodes() == 51);
  for (es::node n : es::nodes_reversed(g))
    if (n.is_call())
      g.erase(n);
  CHECK(g.num_nodes() == 1);
}

TEST_CASE("a node with two operands takes at most 100 bytes") {
  es::graph_storage g;
  const auto x = g.result(g.placeholder(es::input_kind::user_input, "x"));
  const es::argument a[] = {x, x};
  for (int i = 0; i != 1000; ++i)
    g.call(add, a, 1);
  CHECK(g.bytes() <= 100 * g.num_nodes());
}

TEST_CASE("names follow FX") {
  static_assert(std::is_sorted(std::begin(es::detail::reserved_names), std::end(es::detail::reserved_names)));
  CHECK(es::base_name("aten::add.Tensor") == "add");
  CHECK(es::base_name("aten::add_.Tensor") == "add_");
  CHECK(es::base_name("aten::__and__.Tensor") == "and");
  CHECK(es::base_name("aten::sym_size.int") == "sym_size_int");
  CHECK(es::base_name("higher_order::cond") == "cond");
  CHECK(es::base_name("my::fusedOp") == "fused_op");
  es::name_space names;
  CHECK(names.reserve("add"));
  CHECK_FALSE(names.reserve("add"));
  CHECK(names.create("add") == "add_1");
  CHECK(names.create("add") == "add_2");
  CHECK(names.create("max") == "max_1");
  CHECK(names.create("max") == "max_2");
  CHECK(names.create("x_5") == "x_5");
  CHECK(names.create("x") == "x");
  CHECK(names.create("x") == "x_6"); // as FX: the largest suffix given counts on
  CHECK(names.create("a.b-c") == "a_b_c");
  CHECK(names.create("0") == "_0");

  const auto p = es::parse_text(
      "graph { %x = placeholder %add = placeholder [%a] = aten.split.Tensor(%x, 1) aten.relu(%a) return }");
  const auto text = es::to_text(p.graph, "");
  CHECK(text.find("%split: [%a] = ") != std::string::npos);

  es::graph_storage g;
  const auto x = g.result(g.placeholder(es::input_kind::user_input, "relu"));
  const es::argument a[] = {x};
  const auto one = g.call(relu, a, 1);
  const auto two = g.call(*es::find_op("aten::max.dim"), a, 2);
  CHECK(es::assign_names(g) == 4);
  CHECK(g.text(g.node_name(one)) == "relu_1");
  CHECK(g.text(g.node_name(two)) == "max_1");
  CHECK(g.text(g.value_name(g.result(two, 0))) == "getitem");
  CHECK(g.text(g.value_name(g.result(two, 1))) == "getitem_1");
  CHECK(es::assign_names(g) == 0);
}

TEST_CASE("the verifier names the node, the fault and the cure") {
  const auto first = [](const char* text, auto d) {
    const auto found = es::verify<decltype(d)>(es::parse_text(text).graph);
    for (auto& f : found)
      CHECK(!f.cure.empty());
    return found.empty() ? std::string() : es::to_string(found.front());
  };
  CHECK(first("graph { %x = placeholder : f32[2] %y = aten.relu(%x) : f32[2] return %y }", es::core_aten{})
            .empty());
  CHECK(first("graph { %x = placeholder : f32[2] %y = aten.relu(%x) return %y }", es::training_ir{})
            .find("node 'y' (aten::relu): nothing is known") == 0);
  CHECK(first("graph { %x = placeholder : f32[2] }", es::training_ir{}).find("no output") !=
        std::string::npos);
  CHECK(first("graph { %x = placeholder : f32[2] %y = aten.add_.Tensor(%x, 1) : f32[2] return %y }",
              es::aten_ir{})
            .find("functional") != std::string::npos);
  CHECK(first("graph { %x = placeholder : f32[2] %y = aten.add_.Tensor(%x, 1) : f32[2] return %y }",
              es::training_ir{})
            .empty());
  CHECK(first("graph { %x = placeholder : f32[2] %y = aten.add.Tensor(%x) : f32[2] return %y }",
              es::training_ir{})
            .find("'other' is missing") != std::string::npos);
  CHECK(first("graph { %x = placeholder : f32[2] %y = aten.add.Tensor(%x, \"a\") : f32[2] return %y }",
              es::training_ir{})
            .find("'other' is of form 'str'") != std::string::npos);
  CHECK(
      first("graph { %x = placeholder : f32[2] %y = aten.relu(%x, 1) : f32[2] return %y }", es::training_ir{})
          .find("2 arguments") != std::string::npos);
  CHECK(first("graph { %x = placeholder : f32[2] %y, %z = aten.relu(%x) : f32[2], f32[2] return %y }",
              es::training_ir{})
            .find("2 results") != std::string::npos);
  CHECK(first("graph { graph @f { %a = placeholder return %a } %x = placeholder : f32[2] return %x }",
              es::training_ir{})
            .find("graph 'f', node 'a'") == 0);

  auto p = es::parse_text(
      "graph { %x = placeholder : f32[2] %y = aten.relu(%x) : f32[2] %z = aten.neg(%y) : f32[2] return %z }");
  const auto z = p.graph.prev(p.graph.last()), y = p.graph.prev(z);
  p.graph.move_before(z, y);
  CHECK(es::to_string(es::verify<es::training_ir>(p.graph).at(0)).find("before it is defined") !=
        std::string::npos);
  p.graph.move_before(y, z);
  p.graph.set_name(z, "y");
  CHECK(es::to_string(es::verify<es::training_ir>(p.graph).at(0)).find("given twice") != std::string::npos);
  CHECK_THROWS_AS(es::verify_or_throw<es::training_ir>(p.graph), es::error);
}
