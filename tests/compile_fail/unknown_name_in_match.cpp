// expect: op_traits<Op>::index_of<NAME> requires NAME to be an argument of the operator; write one of the names in its schema instead
// SPDX-License-Identifier: BSL-1.0
// says: find<.*another|index_of<.*another
#include <espalier/ir/graph.hpp>
#include <espalier/schema/aten.hpp>

namespace es = espalier;

int main() {
  es::graph<es::training_ir> g;
  const auto x = g.placeholder("x", es::make_meta(es::scalar_type::f32, {2, 3}));
  const auto add = es::match<es::aten::add_Tensor>(x);
#ifdef ESPALIER_CURE
  (void)add.arg<"other">();
#else
  (void)add.arg<"another">();
#endif
}
