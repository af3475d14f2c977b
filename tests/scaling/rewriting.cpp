// SPDX-License-Identifier: BSL-1.0
// Passes made of rules, and those that ask shape rules: linear in operations, on every shape.
#include "../../bench/fifty_rules.hpp"
#include "operations.hpp"

#include <espalier/passes/canonicalize.hpp>
#include <espalier/passes/infer_shapes.hpp>
#include <espalier/passes/lower_spellings.hpp>
#include <espalier/passes/raise.hpp>
#include <espalier/passes/view_copy.hpp>

namespace es = espalier;
using scaling::grows_linearly;
using scaling::writes_nothing;
using storage = es::graph_storage;

namespace {

template <class Pass>
void run(storage& g) {
  es::pass_context c;
  if constexpr (requires { Pass::run(g, c); })
    Pass::run(g, c);
  else
    Pass::run(g);
}
/// Every other unary call becomes one that some rule starts from.
void rewrite_pairs(storage& g, es::pass_result (*drive)(storage&, es::pass_context&)) {
  bool other = false;
  for (es::node_id n = g.first(); n.valid(); n = g.next(n))
    if (g.kind(n) == es::node_kind::call_function && g.op(n) == es::id_of<es::aten::neg>() &&
        (other = !other))
      g.set_op(n, es::id_of<es::aten::cos>());
  es::pass_context c;
  drive(g, c);
}

} // namespace

TEST_CASE("canonicalisation grows linearly") { grows_linearly("canonicalize", run<es::canonicalize>); }
TEST_CASE("changes of spelling grow linearly") {
  grows_linearly("raise", run<es::raise>);
  grows_linearly("lower_spellings", run<es::lower_spellings>);
  grows_linearly("raise after lower_spellings", [](storage& g) {
    run<es::lower_spellings>(g);
    run<es::raise>(g);
  });
}
TEST_CASE("views to copies and back grow linearly") {
  grows_linearly("views_to_copies", run<es::views_to_copies>, writes_nothing);
  grows_linearly(
      "copies_to_views",
      [](storage& g) {
        run<es::views_to_copies>(g);
        run<es::copies_to_views>(g);
      },
      writes_nothing);
}
TEST_CASE("shape inference grows linearly") {
  grows_linearly("infer_shapes", [](storage& g) {
    try {
      run<es::infer_shapes>(g);
    } catch (const es::error&) { // of a call without a shape rule: thrown at the end
    }
  });
}
TEST_CASE("fifty rules at once grow linearly") {
  grows_linearly("rewrite_greedily", [](storage& g) {
    rewrite_pairs(
        g, [](storage& s, es::pass_context& c) { return es::rewrite_greedily(s, c, bench::fifty_rules); });
  });
  grows_linearly("rewrite_once", [](storage& g) {
    rewrite_pairs(g,
                  [](storage& s, es::pass_context& c) { return es::rewrite_once(s, c, bench::fifty_rules); });
  });
}
