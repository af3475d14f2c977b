// SPDX-License-Identifier: BSL-1.0
// Whatever reads or rearranges a graph without rules: linear in operations, on every shape.
#include "operations.hpp"

#include <espalier/ir/clone.hpp>
#include <espalier/ir/diff.hpp>
#include <espalier/ir/hash.hpp>
#include <espalier/ir/verify.hpp>
#include <espalier/passes/cse.hpp>
#include <espalier/passes/dce.hpp>
#include <espalier/passes/hoist.hpp>
#include <espalier/passes/remove_assertions.hpp>
#include <espalier/passes/sink.hpp>
#include <espalier/passes/sort.hpp>

#include <vector>

namespace es = espalier;
using scaling::grows_linearly;
using storage = es::graph_storage;

namespace {

std::size_t kept = 0; // results go here, so that no compiler leaves the work out

template <class Pass>
void run(storage& g) {
  kept += Pass::run(g).changed();
}
/// Turns the order of all calls round, as far from sorted as a graph can be.
void turn_round(storage& g) {
  es::vector<es::node_id> calls;
  for (es::node_id n = g.first(); n.valid(); n = g.next(n))
    if (g.kind(n) != es::node_kind::placeholder && g.kind(n) != es::node_kind::output)
      calls.push_back(n);
  while (!calls.empty()) {
    g.move_before(calls.back(), g.output_node());
    calls.pop_back();
  }
}

} // namespace

TEST_CASE("the measure tells linear from quadratic work") {
  const auto& s = scaling::shapes()[0];
  CHECK(scaling::growth(s.small(), s.large(), [](storage& g) {
          for (es::node_id n = g.first(); n.valid(); n = g.next(n))
            kept += g.num_args(n);
        }) == doctest::Approx(1).epsilon(0.01));
  CHECK(scaling::growth(s.small(), s.large(), [](storage& g) {
          for (es::node_id n = g.first(); n.valid(); n = g.next(n))
            for (es::node_id m = g.first(); m != n; m = g.next(m))
              kept += g.num_args(m);
        }) == doctest::Approx(2).epsilon(0.01));
  CHECK(scaling::growth(s.small(), s.large(), [](storage& g) { // by copying, where no edge is seen
          std::vector<char> copied;
          for (es::node_id n = g.first(); n.valid(); n = g.next(n))
            copied = std::vector<char>(g.num_nodes());
        }) == doctest::Approx(2).epsilon(0.05));
}

TEST_CASE("copies of a graph grow linearly") {
  grows_linearly("a copy", [](storage& g) { kept += storage(g).num_nodes(); });
  grows_linearly("compacted", [](storage& g) { kept += es::compacted(g).num_nodes(); });
}
TEST_CASE("hashing, verification and comparison grow linearly") {
  grows_linearly("structural_hash", [](storage& g) { kept += es::structural_hash(g); });
  grows_linearly("structurally_equal", [](storage& g) { kept += es::structurally_equal(g, g); });
  grows_linearly("verify", [](storage& g) { kept += es::verify<es::torch_ir>(g).size(); });
  grows_linearly("diff", [](storage& g) { kept += es::diff(g, g).edits().size(); });
  grows_linearly("diff with as many edits as nodes", [](storage& g) {
    storage changed = g;
    for (es::node_id n = changed.first(); n.valid(); n = changed.next(n))
      if (changed.kind(n) == es::node_kind::call_function && changed.op(n) == es::id_of<es::aten::neg>())
        changed.set_op(n, es::id_of<es::aten::abs>());
    kept += es::diff(g, changed).edits().size();
  });
  grows_linearly("diff with what dead code elimination leaves", [](storage& g) {
    storage changed = g;
    es::dce::run(changed);
    kept += es::diff(g, changed).edits().size();
  });
}
TEST_CASE("elimination grows linearly") {
  grows_linearly("dce", run<es::dce>);
  grows_linearly("cse", run<es::cse>);
  grows_linearly("remove_assertions", run<es::remove_assertions>);
}
TEST_CASE("insertion at one point costs a logarithm of the size at most") {
  static constexpr auto insert = [](storage& g, bool before_the_last) {
    const es::argument x[] = {g.result(g.first())};
    es::insertion_point at{g.output_node()};
    for (std::size_t i = 0, n = g.num_nodes(); i != n; ++i) {
      g.set_insertion_point(at);
      const auto made = g.call(es::id_of<es::aten::neg>(), x, 1);
      if (before_the_last)
        at = {made};
    }
  };
  const auto& s = scaling::shapes()[0];
  CHECK(scaling::growth(s.small(), s.large(), [](storage& g) { insert(g, false); }) < 1.01);
  CHECK(scaling::growth(s.small(), s.large(), [](storage& g) { insert(g, true); }) < 1.15);
}
TEST_CASE("passes that reorder grow linearly") {
  grows_linearly("sink", run<es::sink>);
  grows_linearly("hoist", run<es::hoist>);
  grows_linearly("sort", run<es::sort>);
  grows_linearly(
      "sort of what is turned round",
      [](storage& g) {
        turn_round(g);
        kept += es::sort::run(g).rewritten;
      },
      scaling::writes_nothing); // turned round, what writes would have to come first and last
}
