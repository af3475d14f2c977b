// SPDX-License-Identifier: BSL-1.0
// Gradient mode inside a traced call: regions run as regions, so that training the program trains what eager
// training does; writes that eager refuses are refused; fakes answer questions about autograd truly.
#include <espalier/espalier.hpp>

#include <doctest/doctest.h>
#include <torch/torch.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>
#include <tuple>
#include <vector>

namespace es = espalier;

namespace {

/// Three regions: with one result, with none of its own (it updates a buffer, and what it splits is read by
/// the third), and, after a return to gradients, a third.
struct RegionsImpl : torch::nn::Module {
  RegionsImpl() {
    a = register_module("a", torch::nn::Linear(4, 4));
    b = register_module("b", torch::nn::Linear(4, 4));
    mean = register_buffer("mean", torch::zeros({1}));
  }
  std::tuple<at::Tensor, at::Tensor> forward(at::Tensor x) {
    auto h = a(x).relu();
    at::Tensor scale, shifted;
    {
      torch::NoGradGuard no_grad;
      scale = h.abs().mean(-1, true) + 1e-3;
      shifted = h / scale;
    }
    auto y = b(shifted);
    {
      torch::NoGradGuard no_grad;
      mean.mul_(0.5).add_(y.mean());
    }
    {
      torch::NoGradGuard no_grad;
      auto parts = y.split(2, 1);
      {
        torch::AutoGradMode on(true);
        h = h * 2;
      }
      scale = parts[0].sum() + parts[1].amax();
    }
    return {y + h * scale, scale};
  }
  torch::nn::Linear a{nullptr}, b{nullptr};
  at::Tensor mean;
};
TORCH_MODULE(Regions);

std::size_t regions(const es::graph_storage& g) {
  std::size_t n = 0;
  for (es::node x : es::nodes(g))
    n += x.is_call() && es::name_of(x.op()) == "higher_order::wrap_with_set_grad_enabled";
  return n;
}
std::string cause_of(const std::function<at::Tensor(at::Tensor)>& f, const at::Tensor& x) {
  try {
    es::export_program(f, es::inputs(es::named("x", x)));
  } catch (const es::error& e) {
    CHECK(e.kind() == es::error_kind::trace);
    CHECK_FALSE(e.cure().empty());
    return e.cause();
  }
  return "no error";
}
/// What eager mode says, or nothing.
bool eager_refuses(const std::function<at::Tensor(at::Tensor)>& f, const at::Tensor& x) {
  try {
    f(x);
    return false;
  } catch (const c10::Error&) {
    return true;
  }
}
bool has(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

} // namespace

TEST_CASE("regions without gradients are subgraphs, and the program trains as eager does") {
  torch::manual_seed(3);
  Regions net;
  const auto x = torch::randn({3, 4});
  auto program = es::export_program(net, es::inputs(es::named("x", x)));
  CHECK(regions(program.graph()) == 3);
  CHECK_NOTHROW(program.verify());
  CHECK(net->mean.item<float>() == 0);

  const auto [y, scale] = program(x);
  const auto mean = net->mean.clone();
  CHECK(y.requires_grad());
  CHECK_FALSE(scale.requires_grad());
  y.square().sum().backward();
  std::vector<at::Tensor> ours;
  for (auto& p : net->parameters())
    ours.push_back(p.grad().clone());
  net->zero_grad();
  {
    torch::NoGradGuard no_grad;
    net->mean.zero_();
  }
  const auto [z, s] = net->forward(x);
  z.square().sum().backward();
  CHECK(torch::allclose(y, z));
  CHECK(torch::equal(scale, s));
  CHECK(torch::equal(mean, net->mean));
  for (std::size_t i = 0; i != ours.size(); ++i)
    CHECK(torch::allclose(ours[i], net->parameters()[i].grad()));
}

TEST_CASE("regions survive a file, and values keep the names they have without regions") {
  torch::manual_seed(4);
  Regions net;
  const auto x = torch::randn({3, 4});
  auto program = es::export_program(net, es::inputs(es::named("x", x)));
  const char* keep = std::getenv("ESPALIER_KEEP"); // a folder in which to leave the file
  const auto file =
      (keep ? std::filesystem::path(keep) : std::filesystem::temp_directory_path()) / "espalier_regions.pt2";
  es::save(program, file);
  auto again = es::load<es::training_ir>(file);
  CHECK(regions(again.graph()) == 3);
  const auto results = again({x});
  const auto [y, scale] = net->forward(x);
  CHECK(torch::allclose(results[0].toTensor(), y));
  CHECK(torch::allclose(results[1].toTensor(), scale));
  const es::graph_storage& g = again.graph();
  const es::graph_storage& first = g.subgraph(0);
  CHECK(es::node(first, first.first()).name() == "relu");
  for (es::node n : es::nodes(g))
    if (n.kind() == es::node_kind::call_higher_order) {
      CHECK(n.name() == "wrap_with_set_grad_enabled");
      REQUIRE(n.num_results() == 1);
      CHECK(n.result(0).name() == "div");
      CHECK_FALSE(n.result(0).meta().tensor.requires_grad);
      break;
    }
  if (!keep)
    std::filesystem::remove(file);
}

TEST_CASE("a trace that runs without gradients has no regions but those with gradients") {
  torch::NoGradGuard no_grad;
  const auto f = [](at::Tensor t) {
    auto y = t * 2;
    {
      torch::AutoGradMode on(true);
      y = y + 1;
    }
    return y;
  };
  auto program = es::export_program(f, es::inputs(torch::ones({2})));
  CHECK(regions(program.graph()) == 1);
  auto inner = es::export_program([](at::Tensor t) { return t * 2; }, es::inputs(torch::ones({2})));
  CHECK(regions(inner.graph()) == 0);
}

TEST_CASE("InferenceMode inside the call is a region without gradients") {
  const auto f = [](at::Tensor t) {
    auto y = t * 2;
    at::Tensor scale;
    {
      c10::InferenceMode inference;
      scale = y.abs().mean();
    }
    return y + scale;
  };
  const auto x = torch::randn({3}).set_requires_grad(true);
  auto program = es::export_program(f, es::inputs(x));
  CHECK(regions(program.graph()) == 1);
  const auto y = program(x);
  CHECK(torch::equal(y, f(x)));
  y.sum().backward();
  CHECK(torch::equal(x.grad(), torch::full({3}, 2.f)));
}

TEST_CASE("passes see a region as a call with effects: nothing of it is lost") {
  Regions net;
  auto program = es::export_program(net, es::inputs(torch::randn({3, 4})));
  (es::raise{} | es::dce{}).run(program);
  CHECK(regions(program.graph()) == 3);
  program(torch::ones({3, 4}));
  CHECK(net->mean.item<float>() != 0); // the buffer is updated
}

TEST_CASE("in place on a leaf that requires gradients: refused as eager refuses it") {
  const auto leaf = [] { return torch::ones({2, 2}).set_requires_grad(true); };
  struct row {
    std::function<at::Tensor(at::Tensor)> f;
    const char* part; // of the cause; null where eager permits it
  };
  const row table[] = {
      {[](at::Tensor t) { return t.add_(1); }, "a leaf tensor that requires gradients"},
      {[](at::Tensor t) { return t[0].add_(1); }, "a view of a leaf"},
      {[](at::Tensor t) { return t.view({4}).t().mul_(2); }, "a view of a leaf"},
      {[](at::Tensor t) { return at::add_out(t, t, t); }, "out="},
      {[](at::Tensor t) {
         auto out = torch::empty({2, 2});
         return at::mul_out(out, t, t);
       },
       "out="},
      {[](at::Tensor t) {
         torch::NoGradGuard no_grad;
         return t.add_(1);
       },
       nullptr},
      {[](at::Tensor t) { return t.detach().add_(1); }, nullptr},
      {[](at::Tensor t) { return t.data().add_(1); }, nullptr},
      {[](at::Tensor t) { return (t * 2).add_(1); }, nullptr},
      {[](at::Tensor t) {
         auto y = t * 2;
         y[0].add_(1);
         return y;
       },
       nullptr},
  };
  for (const auto& r : table) {
    CAPTURE(&r - table);
    CHECK(eager_refuses(r.f, leaf()) == (r.part != nullptr));
    CHECK(has(cause_of(r.f, leaf()), r.part ? r.part : "no error"));
  }
}

TEST_CASE("a parameter changed in place outside torch::NoGradGuard is refused") {
  struct net : torch::nn::Module {
    net() { w = register_parameter("w", torch::ones({2})); }
    at::Tensor forward(at::Tensor t) { return t + w.mul_(2); }
    at::Tensor w;
  };
  auto m = std::make_shared<net>();
  CHECK_THROWS_AS(es::export_program(m, es::inputs(torch::ones({2}))), es::error);
  CHECK(m->w.sum().item<float>() == 2);
}

TEST_CASE("fakes answer requires_grad, is_leaf and grad_fn as real tensors do") {
  std::vector<std::vector<bool>> traced, eager;
  const auto questions = [](std::vector<std::vector<bool>>& out) {
    return [&out](at::Tensor t, at::Tensor plain) {
      const auto ask = [&](const at::Tensor& x) {
        out.push_back({x.requires_grad(), x.is_leaf(), static_cast<bool>(x.grad_fn())});
      };
      ask(t);
      ask(plain);
      auto y = t * 2;
      ask(y);
      ask(plain * 2);
      ask(y.detach());
      ask(y.argmax());
      ask(std::get<0>(y.max(0)));
      ask(std::get<1>(y.max(0)));
      auto z = plain.clone();
      ask(z);
      z.add_(t); // from here on it tracks gradients
      ask(z);
      auto w = plain.clone();
      w[0] = t[0]; // and so does what a view was taken of
      ask(w * 1);
      {
        torch::NoGradGuard no_grad;
        ask(t * 2);
      }
      auto d = t * 3;
      d.detach_();
      ask(d);
      return y + z + d;
    };
  };
  const auto t = torch::ones({2}).set_requires_grad(true), plain = torch::ones({2});
  questions(eager)(t, plain);
  es::export_program(questions(traced), es::inputs(t, plain));
  CHECK(traced == eager);
}
