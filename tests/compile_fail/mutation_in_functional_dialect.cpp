// expect: graph<Dialect>::call<Op>: the operator mutates an argument, but the dialect is functional; use the functional overload \(add_Tensor for add__Tensor\), or build the graph in es::training_ir
// SPDX-License-Identifier: BSL-1.0
#include <espalier/ir/graph.hpp>
#include <espalier/schema/aten.hpp>

namespace es = espalier;

int main() {
#ifdef ESPALIER_CURE
  es::graph<es::training_ir> g;
#else
  es::graph<es::core_aten> g;
#endif
  const auto x = g.placeholder("x", es::make_meta(es::scalar_type::f32, {2, 3}));
  g.call<es::aten::add__Tensor>(x, x);
}
