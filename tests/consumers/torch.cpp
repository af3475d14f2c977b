// SPDX-License-Identifier: BSL-1.0
// What a consumer of the whole library compiles: a module is exported, and the program is run.
#include <espalier/espalier.hpp>

#include <torch/torch.h>

#include <iostream>

namespace es = espalier;

int main() {
  torch::nn::Linear net(3, 2);
  const auto x = torch::ones({4, 3});
  auto program = es::export_program(net, es::inputs(es::named("x", x)));
  const at::Tensor y = program(x);
  const bool same = torch::allclose(y, net->forward(x));
  std::cout << "espalier " << ESPALIER_VERSION_STRING << ": exported and ran a module, "
            << (same ? "as eager does" : "with another result") << '\n';
  return same ? 0 : 1;
}
