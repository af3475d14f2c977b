// SPDX-License-Identifier: BSL-1.0
// A Llama-like decoder in plain torch::nn, with the parameter names of Hugging Face's LlamaForCausalLM: RMS
// norms, rotary positions, grouped-query attention by LibTorch's fused operator, and a gated feed-forward
// part.
#pragma once

#include <torch/torch.h>

#include <tuple>
#include <utility>

namespace models {

struct llama_options {
  int64_t vocabulary = 32000;
  int64_t hidden = 288;
  int64_t layers = 6;
  int64_t heads = 6;
  int64_t key_value_heads = 2; ///< each serves heads / key_value_heads query heads
  int64_t intermediate = 768;
  double rope_theta = 10000.0;
  double epsilon = 1e-5;
  int64_t sequence = 32; ///< of the example input

  int64_t head_size() const { return hidden / heads; }
};

inline llama_options llama_small() {
  return {.vocabulary = 100,
          .hidden = 32,
          .layers = 2,
          .heads = 4,
          .key_value_heads = 2,
          .intermediate = 64,
          .sequence = 12};
}

/// Seven billion parameters (28 GB of floats): to be built without memory and traced, not run.
inline llama_options llama_7b() {
  return {.hidden = 4096, .layers = 32, .heads = 32, .key_value_heads = 8, .intermediate = 14336};
}

/// Two sequences of tokens, in the order of `LlamaImpl::forward`.
inline std::tuple<torch::Tensor> example_inputs(const llama_options& options) {
  return {torch::randint(options.vocabulary, {2, options.sequence}, torch::kLong)};
}

namespace llama {

inline torch::nn::Linear projection(int64_t in, int64_t out) {
  return torch::nn::Linear(torch::nn::LinearOptions(in, out).bias(false));
}

/// Cosines and sines of the rotation of each position, both [sequence, head_size].
struct rotation {
  torch::Tensor cos, sin;

  /// Rotates the pairs (i, i + head_size / 2) of the last dimension of `x`.
  torch::Tensor operator()(const torch::Tensor& x) const {
    auto halves = x.chunk(2, -1);
    auto turned = torch::cat({-halves[1], halves[0]}, -1) * sin;
    return x * cos + turned;
  }
};

} // namespace llama

struct LlamaRMSNormImpl : torch::nn::Module {
  explicit LlamaRMSNormImpl(const llama_options& options) : epsilon(options.epsilon) {
    weight = register_parameter("weight", torch::ones({options.hidden}));
  }

  torch::Tensor forward(torch::Tensor x) {
    auto variance = x.pow(2).mean(-1, /*keepdim=*/true);
    return weight * (x * torch::rsqrt(variance + epsilon));
  }

  double epsilon;
  torch::Tensor weight;
};
TORCH_MODULE(LlamaRMSNorm);

struct LlamaRotaryEmbeddingImpl : torch::nn::Module {
  explicit LlamaRotaryEmbeddingImpl(const llama_options& options) {
    auto exponents = torch::arange(0, options.head_size(), 2, torch::kFloat) / options.head_size();
    inv_freq = register_buffer("inv_freq", torch::pow(options.rope_theta, -exponents));
  }

  llama::rotation forward(int64_t sequence) {
    auto positions = torch::arange(sequence, inv_freq.options());
    auto angles = torch::outer(positions, inv_freq);
    angles = torch::cat({angles, angles}, -1);
    auto cos = angles.cos();
    return {cos, angles.sin()};
  }

  torch::Tensor inv_freq;
};
TORCH_MODULE(LlamaRotaryEmbedding);

struct LlamaAttentionImpl : torch::nn::Module {
  explicit LlamaAttentionImpl(const llama_options& options) : head_size(options.head_size()) {
    const auto queries = options.heads * head_size;
    const auto keys = options.key_value_heads * head_size;
    q_proj = register_module("q_proj", llama::projection(options.hidden, queries));
    k_proj = register_module("k_proj", llama::projection(options.hidden, keys));
    v_proj = register_module("v_proj", llama::projection(options.hidden, keys));
    o_proj = register_module("o_proj", llama::projection(queries, options.hidden));
  }

  torch::Tensor forward(torch::Tensor x, const llama::rotation& rotate) {
    auto q = rotate(split_heads(q_proj(x)));
    auto k = rotate(split_heads(k_proj(x)));
    auto v = split_heads(v_proj(x));
    auto context = at::scaled_dot_product_attention(q, k, v, /*attn_mask=*/{}, /*dropout_p=*/0.0,
                                                    /*is_causal=*/true, /*scale=*/{}, /*enable_gqa=*/true);
    return o_proj(context.transpose(1, 2).reshape({x.size(0), x.size(1), -1}));
  }

  int64_t head_size;
  torch::nn::Linear q_proj{nullptr}, k_proj{nullptr}, v_proj{nullptr}, o_proj{nullptr};

private:
  /// [batch, sequence, heads * head_size] to [batch, heads, sequence, head_size]
  torch::Tensor split_heads(const torch::Tensor& x) const {
    return x.view({x.size(0), x.size(1), -1, head_size}).transpose(1, 2);
  }
};
TORCH_MODULE(LlamaAttention);

struct LlamaMLPImpl : torch::nn::Module {
  explicit LlamaMLPImpl(const llama_options& options) {
    gate_proj = register_module("gate_proj", llama::projection(options.hidden, options.intermediate));
    up_proj = register_module("up_proj", llama::projection(options.hidden, options.intermediate));
    down_proj = register_module("down_proj", llama::projection(options.intermediate, options.hidden));
  }

  torch::Tensor forward(torch::Tensor x) {
    auto gate = torch::silu(gate_proj(x));
    return down_proj(gate * up_proj(x));
  }

  torch::nn::Linear gate_proj{nullptr}, up_proj{nullptr}, down_proj{nullptr};
};
TORCH_MODULE(LlamaMLP);

struct LlamaDecoderLayerImpl : torch::nn::Module {
  explicit LlamaDecoderLayerImpl(const llama_options& options) {
    self_attn = register_module("self_attn", LlamaAttention(options));
    mlp = register_module("mlp", LlamaMLP(options));
    input_layernorm = register_module("input_layernorm", LlamaRMSNorm(options));
    post_attention_layernorm = register_module("post_attention_layernorm", LlamaRMSNorm(options));
  }

  torch::Tensor forward(torch::Tensor x, const llama::rotation& rotate) {
    x = x + self_attn(input_layernorm(x), rotate);
    return x + mlp(post_attention_layernorm(x));
  }

  LlamaAttention self_attn{nullptr};
  LlamaMLP mlp{nullptr};
  LlamaRMSNorm input_layernorm{nullptr}, post_attention_layernorm{nullptr};
};
TORCH_MODULE(LlamaDecoderLayer);

struct LlamaModelImpl : torch::nn::Module {
  explicit LlamaModelImpl(const llama_options& options) {
    embed_tokens = register_module("embed_tokens", torch::nn::Embedding(options.vocabulary, options.hidden));
    layers = register_module("layers", torch::nn::ModuleList());
    for (int64_t i = 0; i < options.layers; ++i) {
      layers->push_back(LlamaDecoderLayer(options));
    }
    norm = register_module("norm", LlamaRMSNorm(options));
    rotary_emb = register_module("rotary_emb", LlamaRotaryEmbedding(options));
  }

  torch::Tensor forward(torch::Tensor input_ids) {
    auto hidden = embed_tokens(input_ids);
    auto rotate = rotary_emb(input_ids.size(1));
    for (const auto& layer : *layers) {
      hidden = layer->as<LlamaDecoderLayer>()->forward(hidden, rotate);
    }
    return norm(hidden);
  }

  torch::nn::Embedding embed_tokens{nullptr};
  torch::nn::ModuleList layers{nullptr};
  LlamaRMSNorm norm{nullptr};
  LlamaRotaryEmbedding rotary_emb{nullptr};
};
TORCH_MODULE(LlamaModel);

struct LlamaImpl : torch::nn::Module {
  explicit LlamaImpl(const llama_options& options = {}) {
    model = register_module("model", LlamaModel(options));
    lm_head = register_module("lm_head", llama::projection(options.hidden, options.vocabulary));
  }

  /// `input_ids`: integers [batch, sequence]; returns logits [batch, sequence, vocabulary].
  torch::Tensor forward(torch::Tensor input_ids) { return lm_head(model(input_ids)); }

  LlamaModel model{nullptr};
  torch::nn::Linear lm_head{nullptr};
};
TORCH_MODULE(Llama);

} // namespace models
