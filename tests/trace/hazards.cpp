// SPDX-License-Identifier: BSL-1.0
// One test for each way in which C++ code can escape a trace: it is recorded truly, refused, or reported. The
// table is in docs/hazards.md; what is not seen has a test too, which says so in its name.
#include <espalier/ir/view.hpp>
#include <espalier/trace/tracer.hpp>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ThreadLocalState.h>
#include <ATen/functorch/DynamicLayer.h>
#include <ATen/functorch/TensorWrapper.h>
#include <doctest/doctest.h>
#include <torch/torch.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <future>
#include <stdexcept>
#include <string>
#include <vector>

namespace es = espalier;

namespace {

using tensors = std::vector<at::Tensor>;

es::trace_result run(const std::vector<at::Tensor>& inputs,
                     const std::function<at::Tensor(const tensors&)>& f,
                     const es::trace_options& options = {}) {
  es::vector<es::traced_input> in;
  for (std::size_t i = 0; i != inputs.size(); ++i)
    in.push_back({inputs[i], "x" + std::to_string(i), es::input_kind::user_input, ""});
  return es::trace(
      in, [&](const tensors& fakes) { return std::vector<c10::IValue>{f(fakes)}; }, options);
}
/// Operators of a graph, in order.
std::vector<std::string> ops(const es::trace_result& r) {
  std::vector<std::string> out;
  for (es::node n : es::nodes(r.graph))
    if (n.is_call())
      out.emplace_back(es::name_of(n.op()));
  return out;
}
using names = std::vector<std::string>;
std::string cause_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const es::error& e) {
    CHECK(e.kind() == es::error_kind::trace);
    CHECK(!e.cure().empty());
    const bool in_user_code =
        e.place().find("+0x") != std::string::npos || // tests/places has debug information
        e.place().find("hazards.cpp:") != std::string::npos;
    CHECK(in_user_code);
    return e.cause();
  }
  return "no error";
}
bool has(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }
bool mode_left_behind() { return c10::impl::tls_is_dispatch_key_included(es::interceptor_key); }

/// What torch.vmap does around its function.
struct vmap_level {
  vmap_level() {
    at::functorch::initAndPushDynamicLayer(at::functorch::TransformType::Vmap, c10::SymInt(2),
                                           at::functorch::RandomnessType::Error);
  }
  ~vmap_level() { at::functorch::popDynamicLayerAndDeleteMetadata(); }
};

/// What torch.func.grad and vjp do around their function.
struct grad_level {
  std::int64_t number = at::functorch::initAndPushDynamicLayer(at::functorch::TransformType::Grad,
                                                               std::nullopt, std::nullopt, true);
  ~grad_level() { at::functorch::popDynamicLayerAndDeleteMetadata(); }
};

struct doubled : torch::autograd::Function<doubled> {
  static at::Tensor forward(torch::autograd::AutogradContext*, const at::Tensor& x) { return x * 2; }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext*,
                                                 torch::autograd::variable_list g) {
    return {g[0] * 7};
  }
};

} // namespace

TEST_CASE("hazard: torch::tensor of a vector is a constant with its values") {
  const auto r = run({torch::ones(3)}, [](const tensors& x) {
    return x[0] * torch::tensor(std::vector<float>{1, 2, 3});
  });
  REQUIRE(r.constants.size() == 1);
  CHECK(at::equal(r.constants[0].value, torch::tensor({1.f, 2.f, 3.f})));
  CHECK(r.report.find(es::note_kind::raw_write) != nullptr);
}

TEST_CASE("hazard: torch::tensor of a list of numbers is a constant, without the operators that build it") {
  const auto r = run({torch::ones({2, 2})}, [](const tensors& x) {
    return x[0] * torch::tensor({{1.f, 2.f}, {3.f, 4.f}}) + torch::tensor(0.5);
  });
  CHECK(ops(r) == names{"aten::mul.Tensor", "aten::add.Tensor"});
  REQUIRE(r.constants.size() == 2);
  CHECK(at::equal(r.constants[0].value, torch::tensor({{1.f, 2.f}, {3.f, 4.f}})));
  CHECK(r.report.find(es::note_kind::raw_write) != nullptr);
}

TEST_CASE("hazard: a literal that the program writes to is copied in each run") {
  const auto r = run({torch::ones(2)}, [](const tensors& x) {
    auto t = torch::tensor({1.f, 2.f}), untouched = torch::tensor({3.f, 4.f});
    auto e = torch::empty({2});
    e.accessor<float, 1>()[0] = 5;
    e.add_(1);
    t.add_(x[0]);
    return t * untouched + e;
  });
  CHECK(ops(r) == names{"aten::lift_fresh_copy", "aten::lift_fresh_copy", "aten::add_.Scalar",
                        "aten::add_.Tensor", "aten::mul.Tensor", "aten::add.Tensor"});
  CHECK(r.report.find(es::note_kind::constant_mutated) == nullptr);
}

TEST_CASE("hazard: factories below autograd are no literals") {
  const auto r = run({torch::ones(2)}, [](const tensors& x) {
    at::AutoDispatchBelowAutograd below;
    return x[0] + at::ones({2}) + at::rand({2});
  });
  CHECK(r.constants.empty());
}

TEST_CASE("hazard: an accessor fills an empty tensor") {
  const auto r = run({torch::ones(2)}, [](const tensors& x) {
    auto t = torch::empty({2});
    t.accessor<float, 1>()[0] = 5;
    t.accessor<float, 1>()[1] = 6;
    return x[0] + t;
  });
  REQUIRE(r.constants.size() == 1);
  CHECK(at::equal(r.constants[0].value, torch::tensor({5.f, 6.f})));
  CHECK(ops(r) == names{"aten::add.Tensor"});
}

TEST_CASE("hazard: an empty tensor that an operator fills stays an operator") {
  const auto r = run({torch::ones(2)}, [](const tensors& x) { return x[0] + torch::empty({2}).fill_(3); });
  CHECK(r.constants.empty());
  CHECK(ops(r) == names{"aten::empty.memory_format", "aten::fill_.Scalar", "aten::add.Tensor"});
}

TEST_CASE("hazard: from_blob and free tensors become constants, and are reported") {
  float data[2] = {4, 5};
  const auto r = run({torch::ones(2)}, [&](const tensors& x) { return x[0] + torch::from_blob(data, {2}); });
  data[0] = 0; // the constant is a snapshot
  REQUIRE(r.constants.size() == 1);
  CHECK(r.constants[0].value[0].item<float>() == 4);
  REQUIRE(r.report.find(es::note_kind::lifted_constant) != nullptr);
  CHECK(!r.report.find(es::note_kind::lifted_constant)->cure.empty());
}

TEST_CASE("hazard: raw access to a traced tensor is refused") {
  for (const auto& f : std::vector<std::function<at::Tensor(const tensors&)>>{
           [](const tensors& x) { return x[0] + x[0].data_ptr<float>()[0]; },
           [](const tensors& x) {
             const auto y = x[0] * 2;
             return x[0] + y.accessor<float, 1>()[0];
           },
           [](const tensors& x) { return x[0] + *static_cast<const float*>(x[0].storage().data()); },
           [](const tensors& x) {
             auto y = torch::empty(2);
             y.fill_(1); // from here on it has no memory
             return x[0] + *static_cast<const float*>(y.storage().data());
           }})
    CHECK(has(cause_of([&] { run({torch::ones(2)}, f); }), "raw pointer"));
  CHECK(!mode_left_behind());
}

TEST_CASE("an error of the user's own that speaks of storage comes through") {
  CHECK_THROWS_AS(run({torch::ones(2)},
                      [](const tensors& x) {
                        TORCH_CHECK(x.size() == 7, "the storage of the model is full");
                        return x[0];
                      }),
                  c10::Error);
}

TEST_CASE("hazard: data() cuts gradients, and the graph says so") {
  const auto r =
      run({torch::ones(2).set_requires_grad(true)}, [](const tensors& x) { return x[0].data() * 2 + x[0]; });
  CHECK(ops(r) == names{"aten::detach", "aten::mul.Scalar", "aten::add.Tensor"});
}

TEST_CASE("hazard: variable_data() cuts gradients, and the graph says so") {
  const auto r = run({torch::ones(2).set_requires_grad(true)},
                     [](const tensors& x) { return (x[0] * 3).variable_data() * 2 + x[0]; });
  CHECK(ops(r) == names{"aten::mul.Scalar", "aten::detach", "aten::mul.Scalar", "aten::add.Tensor"});
}

TEST_CASE("hazard: set_data is refused and undone") {
  auto w = torch::ones(2);
  CHECK(has(cause_of([&] {
              run({torch::ones(2), w}, [&](const tensors& x) {
                w.set_data(x[0] * 2);
                return x[0] + 1;
              });
            }),
            "set_data"));
  CHECK(!es::is_fake(w));
  CHECK(w.sum().item<float>() == 2);
}

TEST_CASE("hazard: requires_grad_ inside the call is reported") {
  const auto r = run({torch::ones(2)}, [](const tensors& x) {
    auto y = x[0] * 2;
    y.requires_grad_();
    return y + 1;
  });
  CHECK(r.report.find(es::note_kind::requires_grad_set) != nullptr);
}

TEST_CASE("hazard: sizes are numbers of the example") {
  const auto r = run({torch::ones({2, 3})},
                     [](const tensors& x) { return x[0].view({x[0].size(0) * x[0].size(1)}).contiguous(); });
  CHECK(r.graph.meta(r.graph.result(r.graph.prev(r.graph.output_node()))).tensor.sizes[0] == es::sym_int(6));
}

TEST_CASE("hazard: contiguous() records a copy only where the example is not contiguous") {
  CHECK(ops(run({torch::ones({2, 3})}, [](const tensors& x) { return x[0].contiguous() + 1; })) ==
        names{"aten::add.Scalar"});
  CHECK(ops(run({torch::ones({2, 3}).t()}, [](const tensors& x) { return x[0].contiguous() + 1; })) ==
        names{"aten::contiguous", "aten::add.Scalar"});
}

TEST_CASE("hazard: strides and contiguity of an input, taken from the example, are reported") {
  const tensors examples{torch::ones({4, 6}), torch::ones({6, 4}).t(), torch::ones({1, 2, 4, 4})};
  auto layer = torch::nn::Conv2d(2, 3, 3);
  const auto asked = [&](const std::function<at::Tensor(const tensors&)>& f) {
    std::vector<std::string> causes;
    for (const auto& n : run(examples, f).report.notes)
      if (n.kind == es::note_kind::layout_asked) {
        causes.push_back(n.cause);
        CHECK(!n.place.empty());
        CHECK(!n.cure.empty());
      }
    return causes;
  };
  const std::function<at::Tensor(const tensors&)> one_question[] = {
      [](const tensors& x) { return x[1].is_contiguous() ? x[1] + 1 : x[1]; },
      [](const tensors& x) {
        return x[1].as_strided({2, 2}, {x[1].stride(0), 1});
      },
      [](const tensors& x) { return x[1] + x[1].strides()[1] + x[1].stride(1); }, // each input is noted once
      [](const tensors& x) { return x[1].contiguous(); },
      [](const tensors& x) { return x[1].is_non_overlapping_and_dense() ? x[1] + 1 : x[1]; },
      [](const tensors& x) {
        return x[1].suggest_memory_format() == at::MemoryFormat::Contiguous ? x[1] : -x[1];
      },
      [](const tensors& x) { return x[1] + x[1].t()[0].sym_strides()[0].expect_int(); }, // a view of a view
      [](const tensors& x) { return x[1] + x[1].detach().stride(0); },
      [](const tensors& x) { return (x[1] * 2).relu().contiguous(); }, // laid out as x[1] is
      [](const tensors& x) { return x[1].clone().to(at::kDouble).contiguous(); },
  };
  for (const auto& f : one_question) {
    const auto causes = asked(f);
    CAPTURE(&f - one_question);
    REQUIRE(causes.size() == 1);
    CHECK(has(causes[0], "'x1'"));
  }
  CHECK(asked([](const tensors& x) { return x[0] * x[0].stride(0) * x[1].stride(0); }).size() == 2);

  // operators answer anew in each run, and state is the same in each
  CHECK(asked([&](const tensors& x) {
          const auto y = x[1].reshape({-1}) + x[0].flatten() + x[0].clone().view(-1) + x[0].t().reshape(-1);
          return layer->forward(x[2]).sum() + y + at::linear(x[0], x[1], {}).mean() +
                 layer->weight.stride(0) + x[0].expand_as(x[1]).sum() + at::empty_like(x[1]).sum() +
                 x[1].to(at::kDouble).sum() + at::scaled_dot_product_attention(x[2], x[2], x[2]).sum();
        }).empty());
}

TEST_CASE("hazard: questions that never reach the dispatcher are answered as for the example") {
  const auto ask = [](const at::Tensor& t) {
    std::vector<std::int64_t> a;
    for (auto s : t.sizes())
      a.push_back(s);
    for (auto s : t.strides())
      a.push_back(s);
    for (const auto q : {t.dim(),
                         t.numel(),
                         t.storage_offset(),
                         std::int64_t(t.is_contiguous()),
                         std::int64_t(t.is_contiguous(at::MemoryFormat::ChannelsLast)),
                         std::int64_t(t.is_floating_point()),
                         std::int64_t(t.is_complex()),
                         std::int64_t(t.is_conj()),
                         std::int64_t(t.is_neg()),
                         std::int64_t(t.is_inference()),
                         std::int64_t(t._is_zerotensor()),
                         std::int64_t(t.is_leaf()),
                         std::int64_t(t.requires_grad()),
                         std::int64_t(t.output_nr()),
                         std::int64_t(t.retains_grad()),
                         std::int64_t(t.get_device()),
                         std::int64_t(t.is_cpu()),
                         std::int64_t(t.layout()),
                         std::int64_t(t.scalar_type()),
                         std::int64_t(t.element_size()),
                         std::int64_t(t.sym_numel().expect_int()),
                         std::int64_t(t.suggest_memory_format()),
                         std::int64_t(t.is_non_overlapping_and_dense())})
      a.push_back(q);
    return a;
  };
  const tensors examples{torch::ones({2, 3}),
                         torch::ones({2, 3, 4, 5}).contiguous(at::MemoryFormat::ChannelsLast),
                         torch::ones({4, 6}).t().slice(0, 1, 5, 2),
                         torch::ones({2, 3}, torch::kLong),
                         torch::ones({}, torch::kComplexFloat),
                         torch::ones({2}).set_requires_grad(true),
                         torch::ones({0, 3}),
                         torch::ones({1}).expand({4, 1})};
  run(examples, [&](const tensors& x) {
    for (std::size_t i = 0; i != examples.size(); ++i) {
      CAPTURE(i);
      CHECK(ask(x[i]) == ask(examples[i]));
    }
    return x[0] + 1;
  });
}

TEST_CASE("hazard: an input that no operator reads is reported") {
  const auto r = run({torch::ones(2), torch::ones(3)}, [](const tensors& x) { return x[0] * x[1].size(0); });
  REQUIRE(r.report.find(es::note_kind::unused_input) != nullptr);
  CHECK(has(r.report.find(es::note_kind::unused_input)->cause, "'x1'"));
  CHECK(r.report.notes.size() == 1);
  const auto passed_on = run({torch::ones(2)}, [](const tensors& x) { return x[0]; });
  CHECK(passed_on.report.notes.empty());
}

TEST_CASE("hazard: item is refused with a cure, unless the value is known") {
  CHECK(has(cause_of([] {
              run({torch::ones(1)}, [](const tensors& x) { return x[0].item<float>() > 0 ? x[0] : -x[0]; });
            }),
            "value of a tensor is read"));
  CHECK(!mode_left_behind());
  const auto r = run({torch::ones(1)}, [](const tensors& x) {
    return x[0] * torch::tensor(std::vector<float>{3}).item<float>();
  });
  CHECK(ops(r).back() == "aten::mul.Scalar");
}

TEST_CASE("hazard: item of a constant that the program has changed is refused") {
  auto c = torch::ones(1);
  CHECK(has(cause_of([&] {
              run({torch::ones(1)}, [&](const tensors& x) {
                c.add_(x[0]);
                return x[0] * c.item<float>();
              });
            }),
            "value of a tensor is read"));
  CHECK(c.item<float>() == 1); // nothing ran
}

TEST_CASE("hazard: a write through a view is recorded on the view") {
  const auto r = run({torch::ones(2)}, [](const tensors& x) {
    auto y = x[0] * 1;
    y[0] += 2;
    return y;
  });
  CHECK(ops(r) == names{"aten::mul.Scalar", "aten::select.int", "aten::add_.Scalar"});
}

TEST_CASE("hazard: index_put_ with slices") {
  const auto r = run({torch::ones({2, 2})}, [](const tensors& x) {
    auto y = x[0].clone();
    y.index_put_({0, torch::indexing::Slice()}, 3);
    return y;
  });
  CHECK(ops(r).front() == "aten::clone");
  CHECK(ops(r).back() == "aten::fill_.Scalar");
}

TEST_CASE("hazard: number minus tensor") {
  const auto r = run({torch::ones(2)}, [](const tensors& x) { return 1.0 - x[0]; });
  CHECK(ops(r) == names{"aten::empty_like", "aten::fill_.Scalar", "aten::sub_.Tensor"});
  CHECK(r.constants.empty());
}

TEST_CASE("hazard: linear arrives in LibTorch's own spelling") {
  torch::nn::Linear l(2, 3);
  es::vector<es::traced_input> in{{l->weight, "p_weight", es::input_kind::parameter, "weight"},
                                  {l->bias, "p_bias", es::input_kind::parameter, "bias"},
                                  {torch::ones({4, 2}), "x", es::input_kind::user_input, ""}};
  const auto r = es::trace(in, [&](const tensors& f) { return std::vector<c10::IValue>{l(f[2])}; });
  CHECK(ops(r) == names{"aten::t", "aten::addmm"});
  CHECK(r.constants.empty());
}

TEST_CASE("hazard: equal is decided by identity and shape, and reported otherwise") {
  bool same = false, other = true, shape = true;
  const auto r = run({torch::ones(2), torch::ones(2), torch::ones(3)}, [&](const tensors& x) {
    same = at::equal(x[0], x[0]);
    shape = at::equal(x[0], x[2]);
    other = at::equal(x[0], x[1]);
    return x[0] + 1;
  });
  CHECK(same);
  CHECK(!other);
  CHECK(!shape);
  std::size_t notes = 0;
  for (auto& n : r.report.notes)
    notes += n.kind == es::note_kind::equality_assumed;
  CHECK(notes == 1);
}

TEST_CASE("hazard: multihead attention compares its inputs, which is decided by identity") {
  torch::nn::MultiheadAttention m(torch::nn::MultiheadAttentionOptions(4, 2));
  es::vector<es::traced_input> in;
  for (auto& p : m->named_parameters())
    in.push_back({p.value(), "p_" + p.key(), es::input_kind::parameter, p.key()});
  in.push_back({torch::randn({3, 1, 4}), "x", es::input_kind::user_input, ""});
  const auto r = es::trace(in, [&](const tensors& f) {
    return std::vector<c10::IValue>{std::get<0>(m(f.back(), f.back(), f.back()))};
  });
  CHECK(r.constants.empty());
  CHECK(r.report.find(es::note_kind::equality_assumed) == nullptr);
  std::size_t projections = 0; // one for query, key and value together: they are the same tensor
  for (auto& op : ops(r))
    projections += op == "aten::addmm" || op == "aten::matmul";
  CHECK(projections == 2);
}

TEST_CASE("hazard: lstm stays whole") {
  torch::nn::LSTM m(torch::nn::LSTMOptions(2, 3));
  const auto r = run({torch::ones({4, 1, 2})}, [&](const tensors& x) { return std::get<0>(m(x[0])); });
  CHECK(ops(r).back() == "aten::lstm.input");
}

TEST_CASE("hazard: the backward of a custom autograd function is reported lost") {
  const auto r = run({torch::ones(2).set_requires_grad(true)},
                     [](const tensors& x) { return doubled::apply(x[0]) + 1; });
  CHECK(ops(r) == names{"aten::mul.Scalar", "aten::add.Scalar"});
  REQUIRE(r.report.find(es::note_kind::custom_backward) != nullptr);
}

TEST_CASE("hazard: a backward pass inside the call is refused") {
  CHECK(has(cause_of([] {
              run({torch::ones(2).set_requires_grad(true)}, [](const tensors& x) {
                (x[0] * x[0]).sum().backward();
                return x[0] + 1;
              });
            }),
            "backward pass"));
}

TEST_CASE("hazard: grad() inside the call is refused, also where it may leave a gradient undefined") {
  using function = at::Tensor (*)(const at::Tensor&, const at::Tensor&);
  const function ways[] = {
      [](const at::Tensor& x, const at::Tensor&) { return (x * x).sum(); },           // of a leaf
      [](const at::Tensor& x, const at::Tensor& w) { return (w.exp() + x).sum(); },   // of both
      [](const at::Tensor& x, const at::Tensor&) { return torch::zeros(2).add_(x); }, // by a write
      [](const at::Tensor& x, const at::Tensor& w) { return (w * 2).mul_(x); },
  };
  for (const bool allow_unused : {false, true})
    for (const auto way : ways)
      CHECK(has(cause_of([&] {
                  run({torch::ones(2).set_requires_grad(true), torch::ones(2).set_requires_grad(true)},
                      [&](const tensors& x) {
                        const auto y = way(x[0], x[1]);
                        return torch::autograd::grad({y}, {x[0]}, {torch::ones_like(y)}, std::nullopt, false,
                                                     allow_unused)[0];
                      });
                }),
                "backward pass"));
  // of real tensors: a parameter that is an input of the graph, and a captured one
  torch::nn::Linear layer(2, 1);
  const auto captured = torch::ones(2).set_requires_grad(true);
  for (const at::Tensor& real : {layer->weight, captured})
    CHECK(has(cause_of([&] {
                const es::vector<es::traced_input> in = {
                    {layer->weight, "p_weight", es::input_kind::parameter, "weight"},
                    {torch::ones(2), "x", es::input_kind::user_input, ""}};
                es::trace(in, [&](const tensors& x) {
                  const auto y = (x[1] * layer->weight * captured).sum();
                  return std::vector<c10::IValue>{
                      y, torch::autograd::grad({y}, {real}, {}, std::nullopt, false, true)[0]};
                });
              }),
              "backward pass"));
  // of a computed tensor
  CHECK(has(cause_of([] {
              run({torch::ones(2).set_requires_grad(true)}, [](const tensors& x) {
                const auto h = x[0] * 2, y = h.exp().sum();
                const auto g = torch::autograd::grad({y}, {h}, {}, std::nullopt, false, true)[0];
                return g.defined() ? g : h;
              });
            }),
            "backward pass"));
}

TEST_CASE("hazard: functorch's grad inside the call is refused") {
  const auto cause = cause_of([] {
    run({torch::ones(2)}, [](const tensors& x) {
      const grad_level level;
      const auto w = at::functorch::makeTensorWrapper(x[0], level.number);
      return w * w;
    });
  });
  CHECK(has(cause, "functorch"));
  CHECK_FALSE(mode_left_behind());
  CHECK(cause_of([] {
          run({torch::ones(2)}, [](const tensors& x) { // what is wrapped may be a parameter
            const grad_level level;
            return x[0] + torch::ones(2);
          });
        }).find("functorch") != std::string::npos);
}

TEST_CASE("hazard: gradients switched off inside the call are a region of the graph") {
  const auto r = run({torch::ones(2).set_requires_grad(true)}, [](const tensors& x) {
    auto y = x[0] * 2;
    {
      torch::NoGradGuard no_grad;
      y = y + y.abs();
    }
    return y * x[0];
  });
  CHECK(ops(r) == names{"aten::mul.Scalar", "higher_order::wrap_with_set_grad_enabled", "aten::mul.Tensor"});
  REQUIRE(r.graph.num_subgraphs() == 1);
  CHECK(r.graph.subgraph(0).num_nodes() == 4); // placeholder, abs, add, output
  CHECK(r.report.notes.empty());
}

TEST_CASE("hazard: std::rand, clocks, counters: a strict trace finds a hidden counter") {
  int calls = 0;
  es::trace_options strict;
  strict.strict = true;
  CHECK(has(cause_of([&] {
              run(
                  {torch::ones(2)}, [&](const tensors& x) { return x[0] * (1.0 + calls++); }, strict);
            }),
            "two traces"));
}

TEST_CASE("hazard: raw writes to a parameter or an input are found by a strict trace") {
  auto w = torch::ones(2);
  const es::vector<es::traced_input> in{{w, "p_w", es::input_kind::parameter, "layer.w"},
                                        {torch::ones(2), "x", es::input_kind::user_input, ""}};
  const auto f = [&](const tensors& x) {
    w.data_ptr<float>()[0] += 1;
    return std::vector<c10::IValue>{x[1] + w};
  };
  es::trace_options strict;
  strict.strict = true;
  CHECK(has(cause_of([&] { es::trace(in, f, strict); }), "'layer.w' was written by raw pointer"));
}

TEST_CASE("hazard, not seen: a raw write to a parameter in a trace that is not strict") {
  auto w = torch::ones(2);
  const es::vector<es::traced_input> in{{w, "p_w", es::input_kind::parameter, "w"},
                                        {torch::ones(2), "x", es::input_kind::user_input, ""}};
  const auto r = es::trace(in, [&](const tensors& x) {
    w.data_ptr<float>()[0] = 5;
    return std::vector<c10::IValue>{x[1] + w};
  });
  CHECK(ops(r) == names{"aten::add.Tensor"});
  CHECK(w[0].item<float>() == 5); // it happened while tracing, and will not happen again
}

TEST_CASE("hazard, not seen: a raw read of a real parameter is a number in the graph") {
  const auto w = torch::full({2}, 3.f);
  const es::vector<es::traced_input> in{{w, "p_w", es::input_kind::parameter, "w"},
                                        {torch::ones(2), "x", es::input_kind::user_input, ""}};
  const auto r = es::trace(
      in, [&](const tensors& x) { return std::vector<c10::IValue>{x[1] * w.data_ptr<float>()[0]}; });
  CHECK(ops(r) == names{"aten::mul.Scalar"});
  CHECK(r.report.notes.empty());
}

TEST_CASE("hazard: shapes that depend on data are refused") {
  for (const auto& f : std::vector<std::function<at::Tensor(const tensors&)>>{
           [](const tensors& x) { return x[0].nonzero(); },
           [](const tensors& x) { return x[0].masked_select(x[0] > 0); },
           [](const tensors& x) { return x[0].index({x[0] > 0}); },
           [](const tensors& x) { return std::get<0>(at::_unique2(x[0])); }}) {
    try {
      run({torch::ones(3)}, f);
      FAIL("a shape that depends on data must not be traced");
    } catch (const es::error& e) {
      CHECK(has(e.cause(), "depends on data"));
      CHECK_FALSE(e.cure().empty());
    }
  }
}

TEST_CASE("hazard: an explicit generator is left out and reported") {
  auto g = at::make_generator<at::CPUGeneratorImpl>();
  const auto r = run({torch::ones(2)}, [&](const tensors& x) { return x[0].clone().uniform_(0, 1, g); });
  CHECK(r.report.find(es::note_kind::generator_dropped) != nullptr);
}

TEST_CASE("hazard: a constant that the program changes carries state, and is reported") {
  auto c = torch::zeros(2);
  const auto r = run({torch::ones(2)}, [&](const tensors& x) { return c.add_(x[0]) * 2; });
  CHECK(r.report.find(es::note_kind::constant_mutated) != nullptr);
  CHECK(c.sum().item<float>() == 0);
}

TEST_CASE("hazard: a functorch transform is refused") {
  CHECK(has(cause_of([] {
              run({torch::ones(2)}, [](const tensors& x) {
                const vmap_level vmap;
                return at::_add_batch_dim(x[0], 0, 1) + 1;
              });
            }),
            "functorch"));
}

TEST_CASE("hazard: the order of two calls in one argument list is the compiler's; each is recorded once") {
  const auto a = [](const at::Tensor& t) { return t.exp(); };
  const auto b = [](const at::Tensor& t) { return t.sin(); };
  const auto r = run({torch::ones(2)}, [&](const tensors& x) { return at::sub(a(x[0]), b(x[0])); });
  auto seen = ops(r);
  CHECK(seen.back() == "aten::sub.Tensor");
  std::sort(seen.begin(), seen.end());
  CHECK(seen == names{"aten::exp", "aten::sin", "aten::sub.Tensor"});
  const es::node sub(r.graph, r.graph.prev(r.graph.output_node()));
  CHECK(es::name_of(sub.arg(0).as_value().def().op()) == "aten::exp"); // whatever the order
}

TEST_CASE("hazard: another thread is refused") {
  CHECK(has(cause_of([] {
              run({torch::ones(2)}, [](const tensors& x) {
                return std::async(std::launch::async, [&] { return x[0] + 1; }).get();
              });
            }),
            "not traced"));
}

TEST_CASE("hazard: another thread that was given the tracing thread's state is refused too") {
  CHECK(has(cause_of([] {
              run({torch::ones(2)}, [](const tensors& x) {
                const at::ThreadLocalState here;
                return std::async(std::launch::async,
                                  [&] {
                                    const at::ThreadLocalStateGuard there(here);
                                    return x[0] + 1;
                                  })
                    .get();
              });
            }),
            "not traced"));
}

TEST_CASE("hazard: a tensor that another thread makes is a constant, and is reported") {
  const auto r = run({torch::ones(2)}, [](const tensors& x) {
    return x[0] + std::async(std::launch::async, [] { return torch::ones(2) * 3; }).get();
  });
  REQUIRE(r.constants.size() == 1);
  CHECK(r.constants[0].value[0].item<float>() == 3);
  CHECK(r.report.find(es::note_kind::lifted_constant) != nullptr);
}

TEST_CASE("hazard: a fake that outlives its trace is refused") {
  at::Tensor kept;
  run({torch::ones(2)}, [&](const tensors& x) { return kept = x[0] + 1; });
  CHECK(has(cause_of([&] { (void)(kept + 1); }), "not traced"));
}

TEST_CASE(
    "hazard: a trace inside a trace records into the inner one; tensors of the outer are refused there") {
  std::size_t inner_ops = 0;
  const auto example = torch::ones(2);
  const auto outer = run({torch::ones(2)}, [&](const tensors& x) {
    auto y = x[0] * 2;
    inner_ops = ops(run({example}, [](const tensors& z) { return z[0] + z[0] + z[0]; })).size();
    return y + 1;
  });
  CHECK(inner_ops == 2);
  CHECK(ops(outer) == names{"aten::mul.Scalar", "aten::add.Scalar"});
  CHECK(has(cause_of([] {
              run({torch::ones(2)}, [](const tensors& x) {
                run({torch::ones(2)}, [&](const tensors& z) { return z[0] + x[0]; });
                return x[0] + 1;
              });
            }),
            "another trace"));
}

TEST_CASE("hazard: a model that throws leaves no trace mode") {
  CHECK_THROWS_AS(
      run({torch::ones(2)}, [](const tensors&) -> at::Tensor { throw std::runtime_error("model"); }),
      std::runtime_error);
  CHECK(!mode_left_behind());
  CHECK((torch::ones(2) + 1).sum().item<float>() == 4);
}

TEST_CASE("hazard: real buffers do not change while tracing") {
  torch::nn::BatchNorm1d bn(3);
  es::vector<es::traced_input> in;
  for (auto& p : bn->named_parameters())
    in.push_back({p.value(), "p_" + p.key(), es::input_kind::parameter, p.key()});
  for (auto& b : bn->named_buffers())
    in.push_back({b.value(), "b_" + b.key(), es::input_kind::buffer, b.key()});
  in.push_back({torch::randn({4, 3}), "x", es::input_kind::user_input, ""});
  const auto r = es::trace(in, [&](const tensors& f) { return std::vector<c10::IValue>{bn(f.back())}; });
  CHECK(bn->running_mean.abs().sum().item<float>() == 0);
  CHECK(bn->num_batches_tracked.item<std::int64_t>() == 0);
  CHECK(ops(r).back() == "aten::batch_norm");
}

TEST_CASE("hazard: autocast is refused") {
  at::autocast::set_autocast_enabled(at::kCPU, true);
  const auto cause = cause_of([] {
    run({torch::ones({2, 2})}, [](const tensors& x) { return x[0].mm(x[0]); });
  });
  at::autocast::set_autocast_enabled(at::kCPU, false);
  CHECK(has(cause, "autocast"));
}
