// SPDX-License-Identifier: BSL-1.0
// A gated feed-forward block as research code writes it: a learned mixture of a GELU gate and a Swish gate,
// clipped and normalised, all spelled in elementwise operators. Between two matrix products lie some twenty
// of them.
#pragma once

#include <torch/torch.h>

#include <tuple>

namespace models {

struct gated_mlp_options {
  int64_t features = 64;
  int64_t hidden = 1024;
  int64_t tokens = 1024; ///< of the example input: a million elements in the hidden layer
};

inline std::tuple<torch::Tensor> example_inputs(const gated_mlp_options& options) {
  return {torch::randn({options.tokens, options.features})};
}

struct GatedMLPImpl : torch::nn::Module {
  explicit GatedMLPImpl(const gated_mlp_options& options = {}) {
    gate_proj = register_module("gate_proj", torch::nn::Linear(options.features, options.hidden));
    up_proj = register_module("up_proj", torch::nn::Linear(options.features, options.hidden));
    down_proj = register_module("down_proj", torch::nn::Linear(options.hidden, options.features));
    mix = register_parameter("mix", torch::randn({options.hidden}));
    beta = register_parameter("beta", torch::ones({options.hidden}));
  }

  torch::Tensor forward(torch::Tensor x) {
    auto gate = gate_proj(x), up = up_proj(x);
    auto gelu = 0.5 * gate * (1 + torch::tanh(0.7978845608028654 * (gate + 0.044715 * gate.pow(3))));
    auto swish = gate * torch::sigmoid(beta * gate);
    auto share = torch::sigmoid(mix);
    auto gated = (share * gelu + torch::rsub(share, 1) * swish) * up;
    auto clipped = gated.clamp(-8, 8);
    auto scale = torch::rsqrt(clipped.pow(2).mean(-1, /*keepdim=*/true) + 1e-6);
    auto normed = clipped * scale;
    return x + down_proj(torch::silu(normed) + 0.1 * normed);
  }

  torch::nn::Linear gate_proj{nullptr}, up_proj{nullptr}, down_proj{nullptr};
  torch::Tensor mix, beta;
};
TORCH_MODULE(GatedMLP);

} // namespace models
