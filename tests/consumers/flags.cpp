// SPDX-License-Identifier: BSL-1.0
// What proves the flags of the upper floor in little time: LibTorch's headers are found, those of its C++
// frontend too, and both of its libraries are linked. That the whole library compiles is torch.cpp's to show.
#include <espalier/program/pickle.hpp>

#include <ATen/Functions.h>

#include <iostream>

#if !__has_include(<torch/torch.h>)
#error "the upper floor must bring the include folder of LibTorch's C++ frontend"
#endif

namespace es = espalier;

int main() {
  const auto x = at::arange(6).reshape({2, 3});
  const at::Tensor again = es::torch_load(es::torch_save(x)).toTensor();
  const bool same = at::equal(again, x);
  std::cout << "espalier " << ESPALIER_VERSION_STRING << ": pickled a tensor, "
            << (same ? "the same" : "another") << " came back\n";
  return same ? 0 : 1;
}
