// expect: program\(args\.\.\.\): the arguments do not fit the program's signature \(exported_program<Dialect, Signature> in the lines below names it\); pass arguments of the types that forward\(\) takes
// SPDX-License-Identifier: BSL-1.0
// floor: torch
#include <espalier/program/exported_program.hpp>

namespace es = espalier;

at::Tensor run(es::exported_program<es::training_ir, at::Tensor(at::Tensor)>& program, const at::Tensor& x) {
#ifdef ESPALIER_CURE
  return program(x);
#else
  return program(x, x);
#endif
}
