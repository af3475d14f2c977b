// SPDX-License-Identifier: BSL-1.0
// A perceptron of n layers of equal width: the model whose depth is varied. bench/peers/mlp.py is its twin.
#pragma once

#include <torch/nn.h>

#include <cstdint>

namespace bench {

inline constexpr std::int64_t mlp_width = 4;

struct MlpImpl : torch::nn::Module {
  explicit MlpImpl(std::int64_t n) {
    for (std::int64_t i = 0; i != n; ++i) {
      layers->push_back(torch::nn::Linear(mlp_width, mlp_width));
      layers->push_back(torch::nn::ReLU());
    }
    register_module("layers", layers);
  }
  torch::Tensor forward(torch::Tensor x) { return layers->forward(x); }

  torch::nn::Sequential layers;
};
TORCH_MODULE(Mlp);

} // namespace bench
