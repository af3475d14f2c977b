// SPDX-License-Identifier: BSL-1.0
// The first screen of README.md, as a program: writes resnet18.pt2 into the working folder.
#include <espalier/espalier.hpp>

#include "models/resnet18.hpp"

#include <iostream>

namespace es = espalier;

int main() {
  models::ResNet18 net; // a plain torch::nn module, nothing of ours in it
  net->eval();
  auto x = torch::randn({2, 3, 224, 224});

  auto program = es::export_program(net, es::inputs(es::named("x", x)));
  //   ^ es::exported_program<es::training_ir, at::Tensor(at::Tensor)>
  constexpr auto tidy = es::raise{} | es::dce{}; // a type: an illegal order does not compile
  tidy.run(program);                             // Python's spellings of operators; what nobody uses goes
  std::cout << es::print_readable(program.graph());

  at::Tensor y = program(x);         // a typed call, interpreted
  es::save(program, "resnet18.pt2"); // Python: torch.export.load("resnet18.pt2")
  auto again = es::load<es::training_ir, at::Tensor(at::Tensor)>("resnet18.pt2"); // or Python's own file
  return torch::allclose(y, net->forward(x)) && torch::equal(again(x), y) ? 0 : 1;
}
