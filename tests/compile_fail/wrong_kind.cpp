// expect: graph::call<Op>\(\.\.\.\): an argument has the wrong kind for the operator's schema \(check_kind<Op, argument index, type given> names it\); pass a value for a Tensor, a number for a Scalar, a list for a list
// SPDX-License-Identifier: BSL-1.0
// says: check_kind.*espalier::aten::mm.* 1.* int\b
#include <espalier/ir/graph.hpp>
#include <espalier/schema/aten.hpp>

namespace es = espalier;

int main() {
  es::graph<es::training_ir> g;
  const auto x = g.placeholder("x", es::make_meta(es::scalar_type::f32, {2, 3}));
#ifdef ESPALIER_CURE
  g.call<es::aten::mm>(x, x);
#else
  g.call<es::aten::mm>(x, 2);
#endif
}
