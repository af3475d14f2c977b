// expect: op_traits<Op>::index_of<NAME> requires NAME to be an argument of the operator; write one of the names in its schema instead
// SPDX-License-Identifier: BSL-1.0
// says: find<.*alhpa|index_of<.*alhpa
#include <espalier/ir/graph.hpp>
#include <espalier/schema/aten.hpp>

namespace es = espalier;

int main() {
  es::graph<es::training_ir> g;
  const auto x = g.placeholder("x", es::make_meta(es::scalar_type::f32, {2, 3}));
#ifdef ESPALIER_CURE
  g.call<es::aten::add_Tensor>(x, x, es::kw<"alpha">(2));
#else
  g.call<es::aten::add_Tensor>(x, x, es::kw<"alhpa">(2));
#endif
}
