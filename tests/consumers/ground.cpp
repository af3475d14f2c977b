// SPDX-License-Identifier: BSL-1.0
// What a consumer of the ground floor compiles: a graph is built and printed, and LibTorch is nowhere near.
#include <espalier/graph.hpp>

#include <iostream>

#if __has_include(<torch/torch.h>)
#error "the ground floor must not bring LibTorch's include folders"
#endif

namespace es = espalier;

int main() {
  es::graph<es::training_ir> g;
  const auto x = g.placeholder("x", es::make_meta(es::scalar_type::f32, {2, 3}));
  const auto y = g.call<es::aten::relu>(x);
  g.output(y);
  const bool found = static_cast<bool>(es::match<es::aten::relu>(y));
  std::cout << "espalier " << ESPALIER_VERSION_STRING << ": built a graph\n";
  return found ? 0 : 1;
}
