// SPDX-License-Identifier: BSL-1.0
// What C++ functions and layers call, raised: the operators that Python's export records for the same, and
// the same values, bit by bit. docs/spellings.md has the table.
#include "program/same_bits.hpp"

#include <espalier/exporting/export_program.hpp>
#include <espalier/ir/hash.hpp>
#include <espalier/ir/text.hpp>
#include <espalier/passes/dce.hpp>
#include <espalier/passes/lower_spellings.hpp>
#include <espalier/passes/raise.hpp>
#include <espalier/program/pipeline_unit.hpp>
#include <espalier/program/validate.hpp>

#include <torch/torch.h>

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace es = espalier;
namespace F = torch::nn::functional;

namespace {

std::string calls(const es::graph_storage& g) {
  std::string out;
  for (es::node n : es::nodes(g))
    if (n.is_call()) {
      out += (out.empty() ? "" : " ") + es::target_of(n.op());
      if (out.ends_with(".default"))
        out.resize(out.size() - 8);
    }
  return out;
}
/// What stands between the brackets of the last call.
std::string last_arguments(const es::graph_storage& g) {
  const std::string text = es::to_text(g, "training_ir");
  const auto end = text.rfind(") :", text.find("\n  return")), open = text.find('(', text.rfind('\n', end));
  return text.substr(open + 1, end - open - 1);
}

template <class... X, class F>
void check(std::string_view name, F f, std::string_view cpp, std::string_view python,
           std::string_view arguments, const X&... x) {
  CAPTURE(name);
  const at::NoGradGuard no_grad;
  constexpr const char* names[] = {"x0", "x1"};
  auto p = [&]<std::size_t... I>(std::index_sequence<I...>) {
    return es::export_program(f, es::inputs(es::named(names[I], x)...));
  }
  (std::index_sequence_for<X...>());
  CHECK(calls(p.storage()) == cpp);
  const auto want = p(x...);
  const auto same = [&] {
    CHECK_NOTHROW(p.verify());
    const auto now = p(x...);
    CHECK(now.strides() == want.strides());
    CHECK(corpus::same_bits(now, want));
  };
  es::pipeline{es::raise{}}.run(p);
  CHECK(calls(p.storage()) == python);
  CHECK(last_arguments(p.storage()) == arguments);
  same();
  const auto raised = es::structural_hash(p.storage());
  CHECK_FALSE(es::pipeline{es::raise{}}.run(p).changed());
  es::pipeline{es::lower_spellings{}}.run(p);
  same();
  es::pipeline{es::raise{}}.run(p);
  CHECK(es::structural_hash(p.storage()) == raised);
}
using T = at::Tensor;
std::vector<double> by(double a, double b) { return {a, b}; }

} // namespace

TEST_CASE("one operator for one") {
  torch::manual_seed(1);
  const auto x = torch::randn({2, 3, 4, 5}), i = torch::randint(-9, 9, {3, 4}), d = x.to(torch::kDouble),
             h = x.to(torch::kHalf);
  check(
      "floor_divide", [](T a) { return torch::floor_divide(a, 2); }, "aten.floor_divide.Scalar",
      "aten.floor_divide", "%x0, 2", i);
  check(
      "floor_divide", [](T a) { return torch::floor_divide(a, 0.7); }, "aten.floor_divide.Scalar",
      "aten.floor_divide", "%x0, 0.7", x);
  check(
      "s - x", [](T a) { return 2.1 - a; }, "aten.empty_like aten.fill_.Scalar aten.sub_.Tensor",
      "aten.rsub.Scalar", "%x0, 2.1", x);
  check(
      "s - x", [](T a) { return 2.1 - a; }, "aten.empty_like aten.fill_.Scalar aten.sub_.Tensor",
      "aten.rsub.Scalar", "%x0, 2.1", d);
  check(
      "s - x", [](T a) { return 2.1 - a; }, "aten.empty_like aten.fill_.Scalar aten.sub_.Tensor",
      "aten.rsub.Scalar", "%x0, 2.1", h);
  check(
      "s - x", [](T a) { return 2 - a; }, "aten.empty_like aten.fill_.Scalar aten.sub_.Tensor",
      "aten.rsub.Scalar", "%x0, 2", i);
  for (const auto& t : {x, d, x.transpose(1, 3)}) {
    check(
        "var", [](T a) { return a.var(1); }, "aten.var.correction", "aten.var.dim", "%x0, [1]", t);
    check(
        "var",
        [](T a) {
          return a.var({1, 2}, std::nullopt, true);
        },
        "aten.var.correction", "aten.var.dim", "%x0, [1, 2], True, True", t);
    check(
        "std", [](T a) { return a.std(1); }, "aten.std.correction", "aten.std.dim", "%x0, [1]", t);
    check(
        "norm", [](T a) { return a.norm(); }, "aten.norm.Scalar", "aten.linalg_vector_norm", "%x0", t);
    check(
        "norm", [](T a) { return a.norm(3); }, "aten.norm.Scalar", "aten.linalg_vector_norm", "%x0, 3", t);
    for (const double p : {0., 1., 2., 0.5})
      check(
          "norm",
          [p](T a) {
            return a.norm(p, {1, 2}, true);
          },
          "aten.norm.ScalarOpt_dim", "aten.linalg_vector_norm",
          "%x0, " +
              std::string(p == 0.5 ? "0.5"
                          : p == 0 ? "0.0"
                          : p == 1 ? "1.0"
                                   : "2.0") +
              ", [1, 2], True",
          t);
    check(
        "norm", [](T a) { return a.norm(2, {1}, true, torch::kDouble); }, "aten.norm.ScalarOpt_dim_dtype",
        "aten.linalg_vector_norm", "%x0, 2, [1], True, dtype=f64", t);
    check(
        "reflect",
        [](T a) {
          return F::pad(a, F::PadFuncOptions({1, 2, 1, 1}).mode(torch::kReflect));
        },
        "aten._pad_enum", "aten.pad", "%x0, [1, 2, 1, 1], \"reflect\"", t);
    check(
        "replicate",
        [](T a) {
          return F::pad(a, F::PadFuncOptions({1, 2, 1, 1}).mode(torch::kReplicate));
        },
        "aten._pad_enum", "aten.pad", "%x0, [1, 2, 1, 1], \"replicate\"", t);
    check(
        "circular",
        [](T a) {
          return F::pad(a, F::PadFuncOptions({1, 2, 1, 1}).mode(torch::kCircular));
        },
        "aten._pad_enum", "aten.pad", "%x0, [1, 2, 1, 1], \"circular\"", t);
    check(
        "constant",
        [](T a) {
          return F::pad(a, F::PadFuncOptions({1, -1}));
        },
        "aten._pad_enum", "aten.pad", "%x0, [1, -1]", t);
    check(
        "constant",
        [](T a) {
          return F::pad(a, F::PadFuncOptions({1, 2}).value(3));
        },
        "aten._pad_enum", "aten.pad", "%x0, [1, 2], \"constant\", 3.0", t);
    using options = F::InterpolateFuncOptions;
    check(
        "by scale", [](T a) { return F::interpolate(a, options().scale_factor(by(2.3, 1.7))); },
        "aten.upsample_nearest2d", "aten.upsample_nearest2d.vec", "%x0, None, [2.3, 1.7]", t);
    check(
        "by size",
        [](T a) {
          return F::interpolate(a, options().size(std::vector<std::int64_t>{7, 9}));
        },
        "aten.upsample_nearest2d", "aten.upsample_nearest2d.vec", "%x0, [7, 9], None", t);
    check(
        "bilinear",
        [](T a) {
          return F::interpolate(
              a, options().size(std::vector<std::int64_t>{7, 9}).mode(torch::kBilinear).align_corners(true));
        },
        "aten.upsample_bilinear2d", "aten.upsample_bilinear2d.vec", "%x0, [7, 9], True, None", t);
    check(
        "bicubic",
        [](T a) {
          return F::interpolate(
              a, options().scale_factor(by(2.5, 2)).mode(torch::kBicubic).align_corners(false));
        },
        "aten.upsample_bicubic2d", "aten.upsample_bicubic2d.vec", "%x0, None, False, [2.5, 2.0]", t);
  }
  check(
      "dtype", [](T a) { return a.to(torch::dtype(torch::kDouble)); }, "aten.to.dtype_layout",
      "aten.to.dtype", "%x0, f64", x);
  check(
      "toType", [](T a) { return a.toType(torch::kDouble); }, "aten.to.dtype_layout", "aten.to.dtype",
      "%x0, f64", x);
  check(
      "device", [](T a) { return a.to(torch::kCPU) + 1; }, "aten.to.dtype_layout aten.add.Scalar",
      "aten.to.dtype_layout aten.add.Tensor", "%to, 1", x);
  check(
      "options", [](T a, T b) { return a.to(b.options()); }, "aten.to.dtype_layout", "aten.to.dtype",
      "%x0, i64", x, i);
  check(
      "other", [](T a, T b) { return a.to(b); }, "aten.to.other", "aten.to.device",
      "%x0, device(\"cpu\"), i64", x, i);
}

namespace {
/// The layer alone, with the weights of its attention or without.
template <bool Weights>
struct attention_impl : torch::nn::Module {
  attention_impl() {
    torch::manual_seed(3);
    m = register_module("m", torch::nn::MultiheadAttention(torch::nn::MultiheadAttentionOptions(8, 2)));
    const at::NoGradGuard no_grad;
    m->in_proj_bias.uniform_(-1, 1);
    m->out_proj->bias.uniform_(-1, 1);
  }
  at::Tensor forward(at::Tensor x) {
    const auto [y, w] = m->forward(x, x, x, {}, Weights);
    return Weights ? torch::cat({y.flatten(), w.flatten()}) : y;
  }
  torch::nn::MultiheadAttention m{nullptr};
};
} // namespace

TEST_CASE("multi-head attention in torch.nn's operators, as far as the products are the same") {
  const at::NoGradGuard no_grad;
  const auto x = torch::randn({5, 2, 8});
  auto net = std::make_shared<attention_impl<true>>();
  net->eval();
  auto p = es::export_program(*net, es::inputs(es::named("x", x)));
  const auto want = net->forward(x);
  CHECK(es::pipeline{es::raise{}}.run(p).changed());
  CHECK_NOTHROW(p.verify());
  CHECK(es::gap_between(p(x), want) <= 1);
  CHECK_FALSE(es::pipeline{es::raise{}}.run(p).changed());
  // What torch.export records for torch.nn.MultiheadAttention(8, 2).eval()(x, x, x), then the test's own end.
  CHECK(calls(p.storage()) ==
        "aten.linear aten.unflatten.int aten.unsqueeze aten.transpose.int aten.squeeze.dim aten.contiguous "
        "aten.select.int aten.select.int aten.select.int aten.view aten.transpose.int aten.view "
        "aten.transpose.int aten.view aten.transpose.int aten.mul.Tensor aten.transpose.int aten.bmm "
        "aten.softmax.int aten.bmm aten.transpose.int aten.reshape aten.linear aten.view aten.view "
        "aten.mean.dim aten.flatten.using_ints aten.flatten.using_ints aten.cat");

  // Without the weights, torch.nn calls scaled_dot_product_attention, and another layer stays what it is.
  auto quiet = std::make_shared<attention_impl<false>>();
  quiet->eval();
  auto q = es::export_program(*quiet, es::inputs(es::named("x", x)));
  const auto expected = quiet->forward(x);
  (es::raise{} | es::dce{}).run(q);
  CHECK_NOTHROW(q.verify());
  CHECK(es::gap_between(q(x), expected) <= 1);
  CHECK(calls(q.storage()) ==
        "aten.linear aten.unflatten.int aten.unsqueeze aten.transpose.int aten.squeeze.dim aten.contiguous "
        "aten.select.int aten.select.int aten.select.int aten.view aten.transpose.int aten.view "
        "aten.transpose.int aten.view aten.transpose.int aten.mul.Tensor aten.transpose.int aten.bmm "
        "aten.softmax.int aten.bmm aten.transpose.int aten.reshape aten.linear aten.view");
}

TEST_CASE("the pieces of attention change no bit") {
  torch::manual_seed(4);
  const at::NoGradGuard no_grad;
  const auto w = torch::randn({24, 8}), b = torch::randn({24}), v = torch::randn({8, 8});
  // torch::nn's lines (multi_head_attention_forward), its layers called as Python calls them: those may round
  const auto attend = [&](at::Tensor x) {
    const auto parts = torch::linear(x, w, b).chunk(3, -1);
    const auto heads = [](const at::Tensor& t) { return t.contiguous().view({-1, 4, 4}).transpose(0, 1); };
    const auto q = heads(parts[0] * 0.5), k = heads(parts[1]), u = heads(parts[2]);
    const auto weights = torch::dropout(torch::bmm(q, k.transpose(1, 2)).softmax(-1), 0.1, false);
    const auto y = torch::bmm(weights, u).transpose(0, 1).contiguous().view({x.size(0), 2, 8});
    const auto out = torch::linear(y, v);
    const auto average = weights.view({2, 2, x.size(0), x.size(0)}).sum(1) / 2;
    return torch::cat({out.flatten(), average.flatten()});
  };
  for (const auto type : {torch::kFloat, torch::kDouble})
    for (const std::int64_t length : {2, 5, 33}) {
      CAPTURE(length);
      const auto x = torch::randn({length, 2, 8}).to(type);
      for (const at::Tensor* t : {&w, &b, &v})
        t->set_data(t->to(type));
      auto p = es::export_program(attend, es::inputs(es::named("x", x)));
      const auto want = p(x);
      CHECK(es::pipeline{es::raise{}}.run(p).changed());
      const auto now = calls(p.storage());
      CHECK(now.find("aten.chunk") == now.npos);
      CHECK(now.find("aten.dropout") == now.npos);
      CHECK(now.find("aten.reshape aten.linear aten.view aten.view aten.mean.dim") != now.npos);
      CHECK_NOTHROW(p.verify());
      CHECK(corpus::same_bits(p(x), want));
    }
}
