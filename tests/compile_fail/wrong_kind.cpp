// expect: graph::call<Op>\(\.\.\.\): an argument has the wrong kind
// SPDX-License-Identifier: BSL-1.0
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
