// expect: graph::call<Op>\(\.\.\.\): a required argument is missing \(missing_argument<Op, NAME> names the first\); give it, by position or by name: es::kw<\\?\"NAME\\?\">\(x\)
// SPDX-License-Identifier: BSL-1.0
// says: missing_argument<espalier::aten::add_Tensor, .*\"other\"
#include <espalier/ir/graph.hpp>
#include <espalier/schema/aten.hpp>

namespace es = espalier;

int main() {
  es::graph<es::training_ir> g;
  const auto x = g.placeholder("x", es::make_meta(es::scalar_type::f32, {2, 3}));
#ifdef ESPALIER_CURE
  g.call<es::aten::add_Tensor>(x, x);
#else
  g.call<es::aten::add_Tensor>(x);
#endif
}
