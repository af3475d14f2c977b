// expect: graph::call<Op>\(\.\.\.\): too many positional arguments for the operator's schema; drop some, or pass keyword-only ones by name: es::kw<\\?\"alpha\\?\">\(2\)
// SPDX-License-Identifier: BSL-1.0
#include <espalier/ir/graph.hpp>
#include <espalier/schema/aten.hpp>

namespace es = espalier;

int main() {
  es::graph<es::training_ir> g;
  const auto x = g.placeholder("x", es::make_meta(es::scalar_type::f32, {2, 3}));
#ifdef ESPALIER_CURE
  g.call<es::aten::relu>(x);
#else
  g.call<es::aten::relu>(x, x);
#endif
}
