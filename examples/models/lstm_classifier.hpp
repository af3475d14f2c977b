// SPDX-License-Identifier: BSL-1.0
// A sentence classifier in plain torch::nn: embedding, bidirectional LSTM, and a linear layer on the final
// hidden states of the last layer's two directions.
#pragma once

#include <torch/torch.h>

#include <tuple>

namespace models {

struct lstm_classifier_options {
  int64_t vocabulary = 10000;
  int64_t embedding = 128;
  int64_t hidden = 256;
  int64_t layers = 2;
  double dropout = 0.1; ///< between the layers, in training
  int64_t classes = 4;
  int64_t sequence = 32; ///< of the example input
};

inline lstm_classifier_options lstm_classifier_small() {
  return {.vocabulary = 100, .embedding = 16, .hidden = 16, .classes = 3, .sequence = 12};
}

/// Two sentences, in the order of `LSTMClassifierImpl::forward`.
inline std::tuple<torch::Tensor> example_inputs(const lstm_classifier_options& options) {
  return {torch::randint(options.vocabulary, {2, options.sequence}, torch::kLong)};
}

struct LSTMClassifierImpl : torch::nn::Module {
  explicit LSTMClassifierImpl(const lstm_classifier_options& options = {}) {
    embedding = register_module("embedding", torch::nn::Embedding(options.vocabulary, options.embedding));
    lstm = register_module("lstm", torch::nn::LSTM(torch::nn::LSTMOptions(options.embedding, options.hidden)
                                                       .num_layers(options.layers)
                                                       .dropout(options.dropout)
                                                       .batch_first(true)
                                                       .bidirectional(true)));
    classifier = register_module("classifier", torch::nn::Linear(2 * options.hidden, options.classes));
  }

  /// `tokens`: integers [batch, sequence]; returns logits [batch, classes].
  torch::Tensor forward(torch::Tensor tokens) {
    auto [outputs, state] = lstm(embedding(tokens));
    auto hidden = std::get<0>(state); // [layers * directions, batch, hidden]
    auto forwards = hidden[-2];
    auto backwards = hidden[-1];
    return classifier(torch::cat({forwards, backwards}, 1));
  }

  torch::nn::Embedding embedding{nullptr};
  torch::nn::LSTM lstm{nullptr};
  torch::nn::Linear classifier{nullptr};
};
TORCH_MODULE(LSTMClassifier);

} // namespace models
