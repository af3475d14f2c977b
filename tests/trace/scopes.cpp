// SPDX-License-Identifier: BSL-1.0
// Which module a node belongs to: inferred as docs/tracing.md states it, and as es::scope says it. The
// expected places are those of Python's export of the same models.
#include <espalier/espalier.hpp>

#include "models/bert.hpp"
#include "models/llama.hpp"
#include "models/lstm_classifier.hpp"
#include "models/resnet18.hpp"

#include <doctest/doctest.h>
#include <torch/torch.h>

#include <algorithm>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace es = espalier;

namespace {

/// (operator, path of the innermost module) of each call.
using places = std::vector<std::pair<std::string, std::string>>;

places places_of(const es::graph_storage& g) {
  places out;
  for (es::node n : es::nodes(g)) {
    if (!n.is_call())
      continue;
    const auto stack = es::parse_module_stack(g.origin_text(n.id(), "nn_module_stack"));
    REQUIRE_FALSE(stack.empty());
    CHECK(stack.front().path.empty()); // the root
    out.emplace_back(es::target_of(n.op()), stack.back().path);
  }
  return out;
}
template <class Net, class... Inputs>
places export_places(Net& net, const std::tuple<Inputs...>& inputs) {
  net->eval();
  auto program =
      std::apply([&](const auto&... in) { return es::export_program(net, es::inputs(in...)); }, inputs);
  es::pipeline{es::raise{}}.run(program);
  return places_of(program.graph());
}
/// The operators of one module, in order, without `aten.` and the overload.
std::string run_by(const places& all, const std::string& path) {
  std::string out;
  for (auto& [op, at] : all)
    if (at == path) {
      const auto name = op.substr(op.find('.') + 1);
      out += (out.empty() ? "" : " ") + name.substr(0, name.find('.'));
    }
  return out;
}

template <class F>
places trace_places(const F& f, es::vector<es::traced_module> modules = {}) {
  es::trace_options options;
  options.modules = std::move(modules);
  const es::vector<es::traced_input> in{{torch::ones({2, 2}), "x", es::input_kind::user_input, ""}};
  return places_of(
      es::trace(
          in, [&](const std::vector<at::Tensor>& x) { return std::vector<c10::IValue>{f(x[0])}; }, options)
          .graph);
}

} // namespace

TEST_CASE("ResNet: residual additions, activations and pooling are where Python has them") {
  const auto options = models::resnet18_small();
  models::ResNet18 net(options);
  const auto p = export_places(net, models::example_inputs(options));
  CHECK(run_by(p, "layer1.0") == "add_");
  CHECK(run_by(p, "layer1.0.relu") == "relu_ relu_");
  CHECK(run_by(p, "layer1.1") == "add_");
  CHECK(run_by(p, "layer2.0.downsample.1") == "batch_norm");
  CHECK(run_by(p, "layer2.0") == "add_");
  CHECK(run_by(p, "layer4.1") == "add_");
  CHECK(run_by(p, "relu") == "relu_");
  CHECK(run_by(p, "maxpool") == "max_pool2d");
  CHECK(run_by(p, "avgpool") == "adaptive_avg_pool2d");
  CHECK(run_by(p, "fc") == "linear");
  CHECK(run_by(p, "") == "flatten");
  CHECK(run_by(p, "layer1").empty()); // a Sequential runs nothing itself
}

TEST_CASE("a second call of a module is another call: its key says so, as in Python") {
  const auto options = models::resnet18_small();
  models::ResNet18 net(options);
  net->eval();
  auto program = es::export_program(net, es::inputs(std::get<0>(models::example_inputs(options))));
  std::vector<std::string> keys;
  for (es::node n : es::nodes(program.graph()))
    if (n.is_call()) {
      const auto stack = es::parse_module_stack(program.graph().origin_text(n.id(), "nn_module_stack"));
      if (stack.back().path == "layer1.0.relu" || stack.back().path == "layer1.0")
        keys.emplace_back(stack.back().key);
    }
  CHECK(keys ==
        std::vector<std::string>{"L__self__layer1.0.relu", "L__self__layer1.0", "L__self__layer1.0.relu@1"});
}

TEST_CASE("Llama: norms that begin before their weight is read, residuals, rotary positions") {
  const auto options = models::llama_small();
  models::Llama net(options);
  const auto p = export_places(net, models::example_inputs(options));
  CHECK(run_by(p, "model.rotary_emb") == "arange outer cat cos sin");
  for (const std::string layer : {"model.layers.0", "model.layers.1"}) {
    CHECK(run_by(p, layer + ".input_layernorm") == "pow mean add rsqrt mul mul");
    CHECK(run_by(p, layer + ".post_attention_layernorm") == "pow mean add rsqrt mul mul");
    CHECK(run_by(p, layer) == "add add");
    CHECK(run_by(p, layer + ".mlp") == "silu mul");
    CHECK(run_by(p, layer + ".self_attn.q_proj") == "linear");
    CHECK(run_by(p, layer + ".self_attn") ==
          "view transpose chunk neg cat mul mul add view transpose chunk neg cat mul mul add view transpose "
          "scaled_dot_product_attention transpose reshape");
  }
  CHECK(run_by(p, "model.norm") == "pow mean add rsqrt mul mul");
  CHECK(run_by(p, "model").empty());
  CHECK(run_by(p, "").empty());
}

TEST_CASE("Llama: a ModuleList is in no stack") {
  const auto options = models::llama_small();
  models::Llama net(options);
  auto [ids] = models::example_inputs(options);
  auto program = es::export_program(net, es::inputs(ids));
  for (es::node n : es::nodes(program.graph()))
    if (n.is_call())
      for (const auto& frame : es::parse_module_stack(program.graph().origin_text(n.id(), "nn_module_stack")))
        CHECK(frame.path != "model.layers");
}

TEST_CASE("BERT: functional activations, dropouts, the mask") {
  const auto options = models::bert_small();
  models::Bert net(options);
  const auto p = export_places(net, models::example_inputs(options));
  CHECK(run_by(p, "embeddings") == "arange zeros_like add add");
  CHECK(run_by(p, "embeddings.dropout") == "dropout");
  CHECK(run_by(p, "") == "unsqueeze unsqueeze to rsub mul");
  const std::string layer = "encoder.layer.1";
  CHECK(run_by(p, layer + ".attention.self.dropout") == "dropout");
  CHECK(run_by(p, layer + ".attention.output") == "add");
  CHECK(run_by(p, layer + ".attention.output.dropout") == "dropout");
  CHECK(run_by(p, layer + ".intermediate") == "gelu");
  CHECK(run_by(p, "pooler") == "tanh");
  // Python has this one in the pooler: nothing in the graph tells
  CHECK(run_by(p, layer + ".output") == "add select");
}

TEST_CASE("LSTM: initial states are the LSTM's, what follows is not") {
  const auto options = models::lstm_classifier_small();
  models::LSTMClassifier net(options);
  const auto p = export_places(net, models::example_inputs(options));
  CHECK(run_by(p, "lstm") == "zeros zeros lstm");
  CHECK(run_by(p, "") == "select select cat");
}

TEST_CASE("layers of a Sequential without state") {
  torch::nn::Sequential net(torch::nn::Conv2d(1, 2, 3), torch::nn::ReLU(), torch::nn::MaxPool2d(2),
                            torch::nn::Flatten(), torch::nn::Linear(18, 2), torch::nn::Dropout(0.5));
  const auto p = export_places(net, std::tuple(torch::ones({1, 1, 8, 8})));
  const places expected{{"aten.conv2d.default", "0"},     {"aten.relu.default", "1"},
                        {"aten.max_pool2d.default", "2"}, {"aten.flatten.using_ints", "3"},
                        {"aten.linear.default", "4"},     {"aten.dropout.default", "5"}};
  CHECK(p == expected);
}

TEST_CASE("several layers of one kind are taken one after the other") {
  struct impl : torch::nn::Module {
    impl() {
      fc = register_module("fc", torch::nn::Linear(2, 2));
      one = register_module("one", torch::nn::ReLU());
      two = register_module("two", torch::nn::ReLU());
      other = register_module("other", torch::nn::Linear(2, 2));
    }
    at::Tensor forward(at::Tensor x) { return two(other(one(fc(x)))); }
    torch::nn::Linear fc{nullptr}, other{nullptr};
    torch::nn::ReLU one, two;
  };
  auto net = std::make_shared<impl>();
  const auto p = export_places(net, std::tuple(torch::ones({1, 2})));
  CHECK(run_by(p, "one") == "relu");
  CHECK(run_by(p, "two") == "relu");
}

TEST_CASE("a node that reads state of several modules belongs to what they have in common") {
  struct inner : torch::nn::Module {
    inner() { w = register_parameter("w", torch::ones({2})); }
    at::Tensor w;
  };
  struct outer : torch::nn::Module {
    outer() {
      a = register_module("a", std::make_shared<inner>());
      b = register_module("b", std::make_shared<inner>());
    }
    at::Tensor forward(at::Tensor x) { return x * torch::stack({a->w, b->w}); }
    std::shared_ptr<inner> a, b;
  };
  struct root : torch::nn::Module {
    root() { part = register_module("part", std::make_shared<outer>()); }
    at::Tensor forward(at::Tensor x) { return part->forward(x); }
    std::shared_ptr<outer> part;
  };
  auto net = std::make_shared<root>();
  const auto p = export_places(net, std::tuple(torch::ones({2, 2})));
  CHECK(run_by(p, "part") == "stack");
}

TEST_CASE("scope: named parts, nested, without modules") {
  const auto p = trace_places([](at::Tensor x) {
    auto y = x + 1;
    {
      const es::scope block("block.first");
      y = y * 2;
      {
        const es::scope inner("inner");
        y = y.relu();
      }
      y = y.exp();
    }
    return y - 1;
  });
  const places expected{{"aten.add.Scalar", ""},
                        {"aten.mul.Scalar", "block.first"},
                        {"aten.relu.default", "block.first.inner"},
                        {"aten.exp.default", "block.first"},
                        {"aten.sub.Scalar", ""}};
  CHECK(p == expected);
}

TEST_CASE("scope: a module says exactly where it is, and state below it stays with its module") {
  struct headImpl : torch::nn::Module {
    headImpl() { fc = register_module("fc", torch::nn::Linear(2, 2)); }
    at::Tensor forward(at::Tensor x) {
      const es::scope here(*this);
      return fc(x.sigmoid()).tanh();
    }
    torch::nn::Linear fc{nullptr};
  };
  struct root : torch::nn::Module {
    root() {
      body = register_module("body", torch::nn::Linear(2, 2));
      head = register_module("head", std::make_shared<headImpl>());
    }
    at::Tensor forward(at::Tensor x) { return head->forward(body(x)) * 2; }
    torch::nn::Linear body{nullptr};
    std::shared_ptr<headImpl> head;
  };
  auto net = std::make_shared<root>();
  const auto p = export_places(net, std::tuple(torch::ones({2, 2})));
  CHECK(run_by(p, "head") == "sigmoid tanh"); // inference alone has sigmoid in the root, and mul in the head
  CHECK(run_by(p, "") == "mul");
  CHECK(run_by(p, "head.fc") == "linear");
}

TEST_CASE("scope: a named part of a module (docs/tracing.md)") {
  struct headImpl : torch::nn::Module {
    at::Tensor forward(at::Tensor x) {
      const es::scope here(*this);  // this module, by its registration
      const es::scope part("mask"); // a named part of it: `PATH.mask`, of type espalier::scope
      return x.triu();
    }
  };
  struct root : torch::nn::Module {
    root() { head = register_module("head", std::make_shared<headImpl>()); }
    at::Tensor forward(at::Tensor x) { return head->forward(x) * 2; }
    std::shared_ptr<headImpl> head;
  };
  auto net = std::make_shared<root>();
  const auto p = export_places(net, std::tuple(torch::ones({2, 2})));
  CHECK(run_by(p, "head.mask") == "triu");
  CHECK(run_by(p, "") == "mul");
}

TEST_CASE("scope: its name may be a module's path; a module of another model changes nothing") {
  torch::nn::ReLU stranger;
  const auto p = trace_places(
      [&](at::Tensor x) {
        const es::scope a("encoder");
        const es::scope b(*stranger);
        return x.relu();
      },
      {{"", "net"}, {"encoder", "encoder_type"}});
  CHECK(p == places{{"aten.relu.default", "encoder"}});
}

TEST_CASE("scope: outside a trace, across the end of one, and under an exception") {
  { const es::scope nothing("nothing"); }
  std::optional<es::scope> outlives;
  trace_places([&](at::Tensor x) {
    outlives.emplace("outer");
    return x.relu();
  });
  const auto p = trace_places([&](at::Tensor x) {
    auto y = x.exp();
    outlives.reset(); // of a trace that is over
    try {
      const es::scope s("s");
      throw 1;
    } catch (int) {
    }
    return y.relu();
  });
  CHECK(p == places{{"aten.exp.default", ""}, {"aten.relu.default", ""}});
}
