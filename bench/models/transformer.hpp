// SPDX-License-Identifier: BSL-1.0
// An encoder of n pre-norm transformer blocks, small in every way but depth. bench/peers/transformer.py is
// its twin, operator by operator.
#pragma once

#include <torch/nn.h>

#include <cstdint>

namespace bench {

inline constexpr std::int64_t transformer_width = 8, transformer_heads = 2, transformer_tokens = 4;

struct TransformerBlockImpl : torch::nn::Module {
  TransformerBlockImpl() {
    register_module("norm1", norm1);
    register_module("q", q);
    register_module("k", k);
    register_module("v", v);
    register_module("out", out);
    register_module("norm2", norm2);
    register_module("up", up);
    register_module("down", down);
  }
  torch::Tensor forward(torch::Tensor x) {
    const torch::Tensor y = norm1(x);
    const torch::Tensor a = torch::scaled_dot_product_attention(heads(q(y)), heads(k(y)), heads(v(y)));
    x = x + out(a.transpose(1, 2).reshape({-1, transformer_tokens, transformer_width}));
    return x + down(torch::gelu(up(norm2(x))));
  }
  static torch::Tensor heads(const torch::Tensor& t) {
    return t.view({-1, transformer_tokens, transformer_heads, transformer_width / transformer_heads})
        .transpose(1, 2);
  }

  static constexpr std::int64_t w = transformer_width;
  torch::nn::LayerNorm norm1{torch::nn::LayerNormOptions({w})}, norm2{torch::nn::LayerNormOptions({w})};
  torch::nn::Linear q{w, w}, k{w, w}, v{w, w}, out{w, w}, up{w, 4 * w}, down{4 * w, w};
};
TORCH_MODULE(TransformerBlock);

struct TransformerImpl : torch::nn::Module {
  explicit TransformerImpl(std::int64_t n) {
    for (std::int64_t i = 0; i != n; ++i)
      blocks->push_back(TransformerBlock());
    register_module("blocks", blocks);
  }
  torch::Tensor forward(torch::Tensor x) { return blocks->forward(x); }

  torch::nn::Sequential blocks;
};
TORCH_MODULE(Transformer);

} // namespace bench
