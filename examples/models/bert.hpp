// SPDX-License-Identifier: BSL-1.0
// A BERT-like encoder in plain torch::nn, with the parameter names of Hugging Face's BertModel. Attention is
// written out (matmul, softmax, dropout), as most C++ code has it; integer ids and a mask come in, two
// tensors go out.
#pragma once

#include <torch/torch.h>

#include <cmath>
#include <tuple>

namespace models {

struct bert_options {
  int64_t vocabulary = 30522;
  int64_t hidden = 384;
  int64_t layers = 6;
  int64_t heads = 12;
  int64_t intermediate = 1536;
  int64_t positions = 512; ///< longest sequence
  int64_t types = 2;
  double dropout = 0.1;
  double epsilon = 1e-12;
  int64_t sequence = 32; ///< of the example input
};

inline bert_options bert_small() {
  return {.vocabulary = 100,
          .hidden = 32,
          .layers = 2,
          .heads = 4,
          .intermediate = 64,
          .positions = 64,
          .sequence = 12};
}

/// Two sequences, the second one padded from its middle on, in the order of `BertImpl::forward`.
inline std::tuple<torch::Tensor, torch::Tensor> example_inputs(const bert_options& options) {
  auto input_ids = torch::randint(options.vocabulary, {2, options.sequence}, torch::kLong);
  auto attention_mask = torch::ones({2, options.sequence}, torch::kLong);
  attention_mask[1].narrow(0, options.sequence / 2, options.sequence - options.sequence / 2).zero_();
  return {input_ids, attention_mask};
}

namespace bert {

inline torch::nn::LayerNorm layer_norm(const bert_options& options) {
  return torch::nn::LayerNorm(torch::nn::LayerNormOptions({options.hidden}).eps(options.epsilon));
}

} // namespace bert

/// Sum of word, position and token-type embeddings. All tokens are of type 0, as in BertModel without
/// `token_type_ids`.
struct BertEmbeddingsImpl : torch::nn::Module {
  explicit BertEmbeddingsImpl(const bert_options& options) {
    word_embeddings =
        register_module("word_embeddings", torch::nn::Embedding(options.vocabulary, options.hidden));
    position_embeddings =
        register_module("position_embeddings", torch::nn::Embedding(options.positions, options.hidden));
    token_type_embeddings =
        register_module("token_type_embeddings", torch::nn::Embedding(options.types, options.hidden));
    norm = register_module("LayerNorm", bert::layer_norm(options));
    dropout = register_module("dropout", torch::nn::Dropout(options.dropout));
  }

  torch::Tensor forward(torch::Tensor input_ids) {
    auto positions = torch::arange(input_ids.size(1), input_ids.options());
    auto types = torch::zeros_like(input_ids);
    auto embedded = word_embeddings(input_ids);
    embedded = embedded + token_type_embeddings(types);
    embedded = embedded + position_embeddings(positions);
    return dropout(norm(embedded));
  }

  torch::nn::Embedding word_embeddings{nullptr}, position_embeddings{nullptr}, token_type_embeddings{nullptr};
  torch::nn::LayerNorm norm{nullptr};
  torch::nn::Dropout dropout{nullptr};
};
TORCH_MODULE(BertEmbeddings);

struct BertSelfAttentionImpl : torch::nn::Module {
  explicit BertSelfAttentionImpl(const bert_options& options)
      : heads(options.heads), head_size(options.hidden / options.heads) {
    query = register_module("query", torch::nn::Linear(options.hidden, options.hidden));
    key = register_module("key", torch::nn::Linear(options.hidden, options.hidden));
    value = register_module("value", torch::nn::Linear(options.hidden, options.hidden));
    dropout = register_module("dropout", torch::nn::Dropout(options.dropout));
  }

  torch::Tensor forward(torch::Tensor hidden, torch::Tensor mask) {
    auto q = split_heads(query(hidden));
    auto k = split_heads(key(hidden));
    auto v = split_heads(value(hidden));
    auto scores = torch::matmul(q, k.transpose(-1, -2)) / std::sqrt(static_cast<double>(head_size));
    auto weights = dropout(torch::softmax(scores + mask, -1));
    auto context = torch::matmul(weights, v).permute({0, 2, 1, 3});
    return context.reshape({hidden.size(0), hidden.size(1), heads * head_size});
  }

  int64_t heads, head_size;
  torch::nn::Linear query{nullptr}, key{nullptr}, value{nullptr};
  torch::nn::Dropout dropout{nullptr};

private:
  /// [batch, sequence, hidden] to [batch, heads, sequence, head_size]
  torch::Tensor split_heads(const torch::Tensor& x) const {
    return x.view({x.size(0), x.size(1), heads, head_size}).permute({0, 2, 1, 3});
  }
};
TORCH_MODULE(BertSelfAttention);

/// What follows attention and the feed-forward part alike: projection, dropout, residual, norm.
struct BertResidualImpl : torch::nn::Module {
  BertResidualImpl(int64_t in, const bert_options& options) {
    dense = register_module("dense", torch::nn::Linear(in, options.hidden));
    norm = register_module("LayerNorm", bert::layer_norm(options));
    dropout = register_module("dropout", torch::nn::Dropout(options.dropout));
  }

  torch::Tensor forward(torch::Tensor x, torch::Tensor residual) {
    return norm(dropout(dense(x)) + residual);
  }

  torch::nn::Linear dense{nullptr};
  torch::nn::LayerNorm norm{nullptr};
  torch::nn::Dropout dropout{nullptr};
};
TORCH_MODULE(BertResidual);

struct BertAttentionImpl : torch::nn::Module {
  explicit BertAttentionImpl(const bert_options& options) {
    self = register_module("self", BertSelfAttention(options));
    output = register_module("output", BertResidual(options.hidden, options));
  }

  torch::Tensor forward(torch::Tensor hidden, torch::Tensor mask) {
    return output(self(hidden, mask), hidden);
  }

  BertSelfAttention self{nullptr};
  BertResidual output{nullptr};
};
TORCH_MODULE(BertAttention);

struct BertIntermediateImpl : torch::nn::Module {
  explicit BertIntermediateImpl(const bert_options& options) {
    dense = register_module("dense", torch::nn::Linear(options.hidden, options.intermediate));
  }

  torch::Tensor forward(torch::Tensor hidden) { return torch::gelu(dense(hidden)); }

  torch::nn::Linear dense{nullptr};
};
TORCH_MODULE(BertIntermediate);

struct BertLayerImpl : torch::nn::Module {
  explicit BertLayerImpl(const bert_options& options) {
    attention = register_module("attention", BertAttention(options));
    intermediate = register_module("intermediate", BertIntermediate(options));
    output = register_module("output", BertResidual(options.intermediate, options));
  }

  torch::Tensor forward(torch::Tensor hidden, torch::Tensor mask) {
    auto attended = attention(hidden, mask);
    return output(intermediate(attended), attended);
  }

  BertAttention attention{nullptr};
  BertIntermediate intermediate{nullptr};
  BertResidual output{nullptr};
};
TORCH_MODULE(BertLayer);

struct BertEncoderImpl : torch::nn::Module {
  explicit BertEncoderImpl(const bert_options& options) {
    layer = register_module("layer", torch::nn::ModuleList());
    for (int64_t i = 0; i < options.layers; ++i) {
      layer->push_back(BertLayer(options));
    }
  }

  torch::Tensor forward(torch::Tensor hidden, torch::Tensor mask) {
    for (const auto& each : *layer) {
      hidden = each->as<BertLayer>()->forward(hidden, mask);
    }
    return hidden;
  }

  torch::nn::ModuleList layer{nullptr};
};
TORCH_MODULE(BertEncoder);

/// One vector a sequence, made of its first token.
struct BertPoolerImpl : torch::nn::Module {
  explicit BertPoolerImpl(const bert_options& options) {
    dense = register_module("dense", torch::nn::Linear(options.hidden, options.hidden));
  }

  torch::Tensor forward(torch::Tensor hidden) { return torch::tanh(dense(hidden.select(1, 0))); }

  torch::nn::Linear dense{nullptr};
};
TORCH_MODULE(BertPooler);

struct BertImpl : torch::nn::Module {
  explicit BertImpl(const bert_options& options = {}) {
    embeddings = register_module("embeddings", BertEmbeddings(options));
    encoder = register_module("encoder", BertEncoder(options));
    pooler = register_module("pooler", BertPooler(options));
  }

  /// `input_ids`, `attention_mask`: integers [batch, sequence], 1 in the mask where there is a token.
  /// Returns the last hidden state [batch, sequence, hidden] and the pooled output [batch, hidden].
  std::tuple<torch::Tensor, torch::Tensor> forward(torch::Tensor input_ids, torch::Tensor attention_mask) {
    auto hidden = embeddings(input_ids);
    auto keep = attention_mask.unsqueeze(1).unsqueeze(2).to(hidden.scalar_type());
    auto mask = (1.0 - keep) * -1e4;
    hidden = encoder(hidden, mask);
    return {hidden, pooler(hidden)};
  }

  BertEmbeddings embeddings{nullptr};
  BertEncoder encoder{nullptr};
  BertPooler pooler{nullptr};
};
TORCH_MODULE(Bert);

} // namespace models
