// SPDX-License-Identifier: BSL-1.0
// The passes of examples/mini_compiler: which regions they make, and that a program stays the program it was.
// Its kernels are run and compared by tests/python/check_mini_compiler.py.
#include "mini_compiler/fuse.hpp"
#include "mini_compiler/emit.hpp"
#include "mini_compiler/simplify.hpp"

#include "passes/laws.hpp"
#include "passes/random_programs.hpp"

#include <espalier/ir/clone.hpp>
#include <espalier/ir/diff.hpp>
#include <espalier/passes/dce.hpp>
#include <espalier/pipeline/combinators.hpp>
#include <espalier/pipeline/pipeline.hpp>

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <string>
#include <string_view>
#include <vector>

namespace es = espalier;

namespace {

struct outlined {
  es::graph_storage graph;
  es::pass_result done;
  std::vector<std::size_t> sizes; ///< calls of each region
};
outlined fuse(es::graph_storage g) {
  es::pass_context c;
  outlined o{std::move(g), {}, {}};
  o.done = mini::fuse_pointwise{}.run(o.graph, c);
  for (std::size_t i = 0; i != o.graph.num_subgraphs(); ++i)
    if (o.graph.text(o.graph.subgraph_name(i)).starts_with(mini::region_prefix)) {
      std::size_t calls = 0;
      for (es::node n : es::nodes(o.graph.subgraph(i)))
        calls += n.is_call();
      o.sizes.push_back(calls);
    }
  return o;
}
outlined fuse(std::string_view text) { return fuse(laws::typed(text)); }
using sizes = std::vector<std::size_t>;

} // namespace

TEST_CASE("fuse_pointwise obeys the laws of passes, and inlining its regions gives the program back") {
  std::size_t regions = 0;
  CHECK(rc::check("random programs", [&](std::uint64_t seed, std::size_t size) {
    laws::program_options o;
    o.calls = 20 + size % 60;
    const auto g = laws::random_program(seed, o);
    const auto broken = laws::broken_law(mini::fuse_pointwise{}, g);
    if (!broken.empty())
      RC_FAIL(broken);
    auto fused = fuse(g);
    regions += fused.sizes.size();
    for (es::node n : es::nodes(fused.graph))
      if (n.kind() == es::node_kind::call_higher_order && n.op() == es::detail::extracted_op())
        es::inline_subgraph(fused.graph, n.id());
    RC_ASSERT(es::diff(g, es::compacted(fused.graph)).empty());
  }));
  CHECK(regions > 20); // the law was about something
}

TEST_CASE("a chain is one region; a branch that comes back through another operator is not in it") {
  CHECK(fuse("graph { %x = placeholder : f32[2, 3] %a = aten.relu(%x) %b = aten.mul.Tensor(%a, %x) "
             "%c = aten.tanh(%b) return %c }")
            .sizes == sizes{3});
  // a -> softmax -> c: with a and c in one region, the region would need its own result
  CHECK(fuse("graph { %x = placeholder : f32[2, 3] %a = aten.relu(%x) %s = aten.softmax.int(%a, 1) "
             "%b = aten.mul.Tensor(%a, 2.0) %c = aten.mul.Tensor(%s, %b) %d = aten.neg(%c) return %d }")
            .sizes == sizes{2, 2});
}

TEST_CASE("two regions that would need each other's results") {
  // p -> r and s -> q: {p, q} and {r, s} are convex, but only one of them can become a node
  const auto o = fuse("graph { %x = placeholder : f32[2, 3] %y = placeholder : f64[2, 3] "
                      "%p = aten.relu(%x) %s = aten.relu(%y) %pm = aten.gt.Tensor(%p, %x) "
                      "%sm = aten.gt.Tensor(%s, %y) %q = aten.where.self(%sm, %p, %x) "
                      "%r = aten.where.self(%pm, %s, %y) return %q, %r }");
  CHECK(o.sizes == sizes{3, 2}); // p, pm and q; s and sm, without r
  CHECK(laws::sound(o.graph, {}).empty());
}

TEST_CASE("memory: a region does not reach over a write") {
  const auto o =
      fuse("graph { %x = placeholder : f32[2] %a = aten.mul.Tensor(%x, 2.0) %b = aten.neg(%a) "
           "%w = aten.add_.Tensor(%x, 1) %c = aten.add.Tensor(%b, %x) %d = aten.neg(%c) return %d, %w }");
  CHECK(o.sizes == sizes{2, 2});
  // a view is no part of a region, and what it looks at comes out of one
  CHECK(fuse("graph { %x = placeholder : f32[2, 3] %a = aten.mul.Tensor(%x, 2.0) %b = aten.neg(%a) "
             "%v = aten.view(%b, [6]) %w = aten.fill_.Scalar(%v, 1.0) %c = aten.neg(%b) %d = aten.neg(%c) "
             "return %d, %w }")
            .sizes == sizes{2, 2});
}

TEST_CASE("what no kernel computes is left alone, and told") {
  es::pass_context c;
  auto g = laws::typed("graph { %x = placeholder : bf16[2] %i = placeholder : i64[2] %a = aten.neg(%x) "
                       "%b = aten.neg(%a) %c = aten.neg(%i) %d = aten.neg(%c) return %b, %d }");
  CHECK_FALSE(mini::fuse_pointwise{}.run(g, c));
  REQUIRE(c.statistics().size() == 1);
  CHECK(c.statistics()[0].name == "element type");
  CHECK(c.statistics()[0].value == 4);
  CHECK(
      fuse("graph { %x = placeholder : f32[2] %y = placeholder : f32[3] %a = aten.neg(%x) %b = aten.neg(%y) "
           "return %a, %b }")
          .sizes.empty()); // one call gains nothing
}

TEST_CASE("simplify: powers, reversed subtraction and activations become what kernels compute") {
  es::graph<es::training_ir> g(
      laws::typed("graph { %x = placeholder : f32[2] %a = aten.pow.Tensor_Scalar(%x, 2) %b = "
                  "aten.pow.Tensor_Scalar(%a, 3.0) "
                  "%c = aten.silu(%b) %d = aten.gelu(%c) %e = aten.gelu(%d, \"tanh\") %f = "
                  "aten.rsub.Scalar(%e, 1) return %f }"));
  (mini::simplify | mini::fuse_pointwise{}).run(g);
  CHECK(g.num_nodes() == 3); // the input, one region, the output
  es::graph<es::training_ir> half(
      laws::typed("graph { %x = placeholder : f16[2] %a = aten.silu(%x) return %a }"));
  CHECK_FALSE(es::pipeline{mini::simplify}.run(half).changed()); // no kernel follows
}

TEST_CASE("equal regions share a kernel") {
  const auto o =
      fuse("graph { %x = placeholder : f32[2, 3] %a = aten.neg(%x) %b = aten.mul.Tensor(%a, 0.5) "
           "%s = aten.softmax.int(%b, 1) %c = aten.neg(%s) %d = aten.mul.Tensor(%c, 0.5) "
           "%t = aten.softmax.int(%d, 1) %e = aten.neg(%t) %f = aten.mul.Tensor(%e, 0.25) return %f }");
  REQUIRE(o.sizes == sizes{2, 2, 2});
  mini::kernel_source source;
  CHECK(source.add(o.graph.subgraph(0)) == 0);
  CHECK(source.add(o.graph.subgraph(1)) == 0);
  CHECK(source.add(o.graph.subgraph(2)) == 1); // another constant
  REQUIRE(source.kernels().size() == 2);
  CHECK(source.kernels()[0].results == std::vector{es::scalar_type::f32});
  CHECK(source.text().find("const float v1 = v0 * T(0.25);") != std::string::npos);
}

TEST_CASE("branches: regions in the graphs that a graph calls") {
  es::graph<es::training_ir> g(
      laws::typed("graph { graph @yes { %a = placeholder : f32[2] %b = aten.mul.Tensor(%a, 2.0) : f32[2] %c "
                  "= aten.relu(%b) : f32[2] "
                  "return %c } graph @no { %a = placeholder : f32[2] %b = aten.neg(%a) : f32[2] return %b } "
                  "%p = placeholder : b8[] %x = placeholder : f32[2] %s = aten.tanh(%x) : f32[2] %t = "
                  "aten.neg(%s) : f32[2] "
                  "[%y] = higher_order.cond(%p, @yes, @no, [%t]) : f32[2] return %y }"));
  es::pass_context c;
  (es::dce{} | es::on_subgraphs(mini::fuse_pointwise{}) | mini::fuse_pointwise{}).run(g, c);
  const auto calls = [](const es::graph_storage& of) {
    std::string out;
    for (es::node n : es::nodes(of))
      if (n.is_call())
        out += (out.empty() ? "" : " ") + es::target_of(n.op());
    return out;
  };
  CHECK(calls(g) == "higher_order.invoke_subgraph higher_order.cond");
  CHECK(calls(g.subgraph(0)) == "higher_order.invoke_subgraph");
  CHECK(calls(g.subgraph(1)) == "aten.neg.default"); // one call gains nothing
  REQUIRE(g.subgraph(0).num_subgraphs() == 1);
  CHECK(calls(g.subgraph(0).subgraph(0)) == "aten.mul.Tensor aten.relu.default"); // and no region in a region
}

TEST_CASE("the contract: dead code goes before regions are made") {
  using early = es::pipeline<mini::fuse_pointwise>;
  static_assert(!early::runs_on_dialect<es::training_ir>);
  using late = decltype(es::dce{} | mini::fuse_pointwise{});
  static_assert(late::runs_on_dialect<es::training_ir> && late::establishes_property<mini::regions_outlined>);
}
