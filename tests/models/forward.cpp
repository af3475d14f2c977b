// SPDX-License-Identifier: BSL-1.0
// The example models by themselves, before anything is exported: shapes, the names that Python's twins have,
// and the properties that make each model what it is (a mask that masks, a decoder that is causal, norms that
// learn in training).
#include <doctest/doctest.h>

#include <torch/torch.h>

#include "models/bert.hpp"
#include "models/llama.hpp"
#include "models/lstm_classifier.hpp"
#include "models/resnet18.hpp"

#include <string>
#include <vector>

namespace {

using names = std::vector<std::string>;

names parameter_names(const torch::nn::Module& module) { return module.named_parameters().keys(); }
names buffer_names(const torch::nn::Module& module) { return module.named_buffers().keys(); }

names prefixed(const std::string& prefix, const names& suffixes) {
  names result;
  for (const auto& suffix : suffixes) {
    result.push_back(prefix + suffix);
  }
  return result;
}

void append(names& all, const names& more) { all.insert(all.end(), more.begin(), more.end()); }

/// Every parameter takes part: each has a gradient after a backward pass in training.
template <class Model>
void check_trains(Model& model, const torch::Tensor& output) {
  output.square().sum().backward();
  for (const auto& parameter : model->named_parameters()) {
    INFO(parameter.key());
    REQUIRE(parameter.value().grad().defined());
    CHECK(parameter.value().grad().abs().sum().template item<double>() > 0.0);
  }
}

} // namespace

TEST_CASE("resnet18: shapes, torchvision's names, statistics move only in training") {
  torch::manual_seed(1);
  const auto options = models::resnet18_small();
  models::ResNet18 net(options);

  names parameters = {"conv1.weight", "bn1.weight", "bn1.bias"};
  for (int stage = 1; stage <= 4; ++stage) {
    for (int block = 0; block < 2; ++block) {
      const auto prefix = "layer" + std::to_string(stage) + "." + std::to_string(block) + ".";
      append(parameters, prefixed(prefix, {"conv1.weight", "bn1.weight", "bn1.bias", "conv2.weight",
                                           "bn2.weight", "bn2.bias"}));
      if (stage > 1 && block == 0) {
        append(parameters,
               prefixed(prefix, {"downsample.0.weight", "downsample.1.weight", "downsample.1.bias"}));
      }
    }
  }
  append(parameters, {"fc.weight", "fc.bias"});
  CHECK(parameter_names(*net) == parameters);
  CHECK(buffer_names(*net).size() == 3 * 20); // running_mean, running_var, num_batches_tracked
  CHECK(buffer_names(*net).front() == "bn1.running_mean");

  const auto x = std::get<0>(models::example_inputs(options));
  net->eval();
  const auto y = net->forward(x);
  CHECK(y.sizes() == torch::IntArrayRef({2, 10}));
  CHECK(torch::equal(net->forward(x), y));
  CHECK(net->bn1->num_batches_tracked.item<int64_t>() == 0);

  net->train();
  check_trains(net, net->forward(x));
  CHECK(net->bn1->num_batches_tracked.item<int64_t>() == 1);
  CHECK(net->bn1->running_mean.abs().sum().item<double>() > 0.0);
}

TEST_CASE("bert: shapes, BertModel's names, masked tokens are not seen") {
  torch::manual_seed(2);
  const auto options = models::bert_small();
  models::Bert net(options);

  names parameters =
      prefixed("embeddings.", {"word_embeddings.weight", "position_embeddings.weight",
                               "token_type_embeddings.weight", "LayerNorm.weight", "LayerNorm.bias"});
  for (int64_t layer = 0; layer < options.layers; ++layer) {
    append(parameters,
           prefixed("encoder.layer." + std::to_string(layer) + ".",
                    {"attention.self.query.weight", "attention.self.query.bias", "attention.self.key.weight",
                     "attention.self.key.bias", "attention.self.value.weight", "attention.self.value.bias",
                     "attention.output.dense.weight", "attention.output.dense.bias",
                     "attention.output.LayerNorm.weight", "attention.output.LayerNorm.bias",
                     "intermediate.dense.weight", "intermediate.dense.bias", "output.dense.weight",
                     "output.dense.bias", "output.LayerNorm.weight", "output.LayerNorm.bias"}));
  }
  append(parameters, {"pooler.dense.weight", "pooler.dense.bias"});
  CHECK(parameter_names(*net) == parameters);
  CHECK(buffer_names(*net).empty());

  auto [ids, mask] = models::example_inputs(options);
  net->eval();
  const auto [hidden, pooled] = net->forward(ids, mask);
  CHECK(hidden.sizes() == torch::IntArrayRef({2, options.sequence, options.hidden}));
  CHECK(pooled.sizes() == torch::IntArrayRef({2, options.hidden}));

  auto other = ids.clone();
  other[1][options.sequence - 1] =
      (other[1][options.sequence - 1] + 1) % options.vocabulary; // a masked token
  CHECK(torch::equal(std::get<1>(net->forward(other, mask)), pooled));
  CHECK_FALSE(torch::equal(std::get<1>(net->forward(other, torch::ones_like(mask))), pooled));

  net->train();
  const auto [trained_hidden, trained_pooled] = net->forward(ids, mask);
  CHECK_FALSE(torch::equal(trained_hidden, hidden)); // dropout
  (trained_hidden.square().sum() + trained_pooled.square().sum()).backward();
  CHECK(net->pooler->dense->weight.grad().defined());
  CHECK(net->embeddings->token_type_embeddings->weight.grad().defined());
}

TEST_CASE("llama: shapes, LlamaForCausalLM's names, a token sees only those before it") {
  torch::manual_seed(3);
  const auto options = models::llama_small();
  models::Llama net(options);

  names parameters = {"model.embed_tokens.weight"};
  for (int64_t layer = 0; layer < options.layers; ++layer) {
    append(parameters,
           prefixed("model.layers." + std::to_string(layer) + ".",
                    {"self_attn.q_proj.weight", "self_attn.k_proj.weight", "self_attn.v_proj.weight",
                     "self_attn.o_proj.weight", "mlp.gate_proj.weight", "mlp.up_proj.weight",
                     "mlp.down_proj.weight", "input_layernorm.weight", "post_attention_layernorm.weight"}));
  }
  append(parameters, {"model.norm.weight", "lm_head.weight"});
  CHECK(parameter_names(*net) == parameters);
  CHECK(buffer_names(*net) == names{"model.rotary_emb.inv_freq"});
  CHECK(net->model->rotary_emb->inv_freq[0].item<double>() == doctest::Approx(1.0));

  const auto ids = std::get<0>(models::example_inputs(options));
  net->eval();
  const auto logits = net->forward(ids);
  CHECK(logits.sizes() == torch::IntArrayRef({2, options.sequence, options.vocabulary}));

  auto other = ids.clone();
  const auto last = options.sequence - 1;
  other.select(1, last) = (other.select(1, last) + 1) % options.vocabulary;
  const auto changed = net->forward(other);
  CHECK(torch::allclose(changed.narrow(1, 0, last), logits.narrow(1, 0, last)));
  CHECK_FALSE(torch::allclose(changed.select(1, last), logits.select(1, last)));

  net->train();
  check_trains(net, net->forward(ids));
}

TEST_CASE("lstm_classifier: shapes, names, both directions count") {
  torch::manual_seed(4);
  const auto options = models::lstm_classifier_small();
  models::LSTMClassifier net(options);

  names parameters = {"embedding.weight"};
  for (const auto* suffix : {"_l0", "_l0_reverse", "_l1", "_l1_reverse"}) {
    for (const auto* kind : {"weight_ih", "weight_hh", "bias_ih", "bias_hh"}) {
      parameters.push_back(std::string("lstm.") + kind + suffix);
    }
  }
  append(parameters, {"classifier.weight", "classifier.bias"});
  CHECK(parameter_names(*net) == parameters);
  CHECK(buffer_names(*net).empty());

  const auto tokens = std::get<0>(models::example_inputs(options));
  net->eval();
  const auto logits = net->forward(tokens);
  CHECK(logits.sizes() == torch::IntArrayRef({2, options.classes}));
  for (const int64_t position : {int64_t{0}, options.sequence - 1}) {
    auto other = tokens.clone();
    other.select(1, position) = (other.select(1, position) + 1) % options.vocabulary;
    CHECK_FALSE(torch::equal(net->forward(other), logits));
  }

  net->train();
  check_trains(net, net->forward(tokens));
}
