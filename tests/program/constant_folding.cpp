// SPDX-License-Identifier: BSL-1.0
// Constant folding: results stay equal bit by bit, on every program of the corpus too; what is random,
// written to, returned or too large stays; state that nothing reads goes, from the file as well.
#include "program/torch_files.hpp"

#include <espalier/exporting/export_program.hpp>
#include <espalier/ir/hash.hpp>
#include <espalier/passes/dce.hpp>
#include <espalier/program/constant_fold.hpp>
#include <espalier/program/pipeline_unit.hpp>
#include <espalier/program/save_load.hpp>

#include <torch/torch.h>

#include <doctest/doctest.h>

#include <sstream>
#include <string>
#include <tuple>
#include <vector>

namespace es = espalier;

namespace {

template <class F>
auto exported(F f, const at::Tensor& x) {
  return es::export_program(f, es::inputs(es::named("x", x)));
}
template <class Program>
es::pass_result fold(Program& p, es::fold_options o = {}) {
  return es::pipeline{es::constant_fold(o)}.run(p);
}
std::size_t calls(const es::graph_storage& g, std::string_view op = {}) {
  std::size_t n = 0;
  for (es::node x : es::nodes(g))
    n += x.is_call() && (op.empty() || es::name_of(x.op()) == op);
  return n;
}
/// Folding finds nothing in a function of one tensor that knows `w`.
template <class F>
void check_stays(F f, es::fold_options o = {}) {
  const auto x = torch::randn({4});
  auto p = exported(f, x);
  const auto before = es::structural_hash(p.storage());
  CHECK_FALSE(fold(p, o).changed());
  CHECK(es::structural_hash(p.storage()) == before);
}

struct net_impl : torch::nn::Module {
  net_impl() {
    torch::manual_seed(1);
    linear = register_module("linear", torch::nn::Linear(4, 4));
    rate = register_buffer("rate", torch::rand({4}));
    count = register_buffer("count", torch::zeros({4}));
    unused = register_buffer("unused", torch::zeros({2}));
  }
  at::Tensor forward(at::Tensor x) {
    count.add_(1);
    return linear(x) * rate.log().exp() + (rate + 1) + count.view({2, 2}).flatten();
  }
  torch::nn::Linear linear{nullptr};
  at::Tensor rate, count, unused;
};
TORCH_MODULE_IMPL(net, net_impl);

} // namespace

TEST_CASE("what depends on constants alone is a constant; state that nothing reads goes") {
  const auto w = torch::rand({4}), x = torch::randn({4});
  auto p = exported(
      [w](at::Tensor y) {
        const auto scaled = y * w.log().exp();
        return scaled + (w + 1);
      },
      x);
  const auto expected = p(x);
  const auto old = std::string(p.signature().targets(es::input_kind::constant_tensor).at(0));
  const auto done = fold(p);
  CHECK(done == es::pass_result{.erased = 4, .rewritten = 2}); // log, exp, add; the constant itself
  CHECK(calls(p.storage()) == 2);
  CHECK(torch::equal(p(x), expected));
  CHECK(p.signature().count(es::input_kind::constant_tensor) == 2);
  CHECK_FALSE(p.constants().contains(old));
  CHECK(p.constants().contains("folded_exp"));
  std::vector<std::string> names;
  for (const auto& in : p.signature().inputs)
    names.push_back(in.arg.name);
  CHECK(names == std::vector<std::string>{"c_folded_exp", "c_folded_add", "x"});
  CHECK_NOTHROW(p.verify());
  CHECK_FALSE(fold(p).changed());

  std::stringstream file;
  es::save(p, file);
  const auto again = es::load<es::training_ir, at::Tensor(at::Tensor)>(file);
  CHECK(torch::equal(again(x), expected));
  CHECK(again.constants().size() == 2);
}

TEST_CASE("calls of constants that nobody needs hold up nothing, and their state goes with them") {
  const auto w = torch::rand({4}), v = torch::rand({4}), x = torch::randn({4});
  auto p = exported(
      [w, v](at::Tensor y) {
        const auto e = w.exp();
        (e + v).neg();
        return y + e.log();
      },
      x);
  const auto expected = p(x);
  CHECK(calls(p.storage()) == 5);
  CHECK(fold(p) == es::pass_result{.erased = 6, .rewritten = 1}); // exp, add, neg, log; w and v
  CHECK(calls(p.storage()) == 1);
  CHECK(p.constants().size() == 1);
  CHECK(torch::equal(p(x), expected));
  CHECK_NOTHROW(p.verify());
}

TEST_CASE("parameters fold when they are frozen, buffers when no run writes to them") {
  net n;
  const auto x = torch::randn({3, 4});
  auto p = es::export_program(n, es::inputs(es::named("x", x)));
  auto frozen = p;
  const auto all = p.state_dict().size();
  SUBCASE("by default, gradients stay those of eager mode") {
    const auto rows = fold(p);
    // the graph writes to a buffer, and any other buffer might be the same memory
    CHECK_FALSE(rows.changed());
    p(x).sum().backward();
    n->forward(x).sum().backward();
    CHECK(torch::allclose(p.state_dict().at("linear.weight").grad(), n->linear->weight.grad()));
  }
  SUBCASE("frozen parameters") {
    CHECK(fold(frozen, {.parameters = true}).changed()); // the transposed weight
    CHECK(frozen.state_dict().size() == all - 1);
    CHECK(frozen.state_dict().contains("unused")); // was unread before: not ours to drop
    CHECK(calls(frozen.storage(), "aten::t") == 0);
    const auto y = frozen(x); // counts on the module's counter
    n->count.zero_();
    CHECK(torch::equal(n->forward(x), y));
    CHECK(torch::equal(frozen(x), y + 1));
    CHECK_FALSE(fold(frozen, {.parameters = true}).changed());
  }
}

TEST_CASE("what draws, is written to, is returned, or makes garbage stays") {
  const auto w = torch::rand({4});
  check_stays([w](at::Tensor x) { return x + torch::dropout(w, 0.5, true); });
  check_stays([w](at::Tensor x) { return x + torch::rand_like(w); });
  check_stays([w](at::Tensor x) { return x + torch::empty_like(w).fill_(1); });
  check_stays([w](at::Tensor x) {
    auto t = w.exp();
    t.add_(x);
    return t;
  });
  check_stays([w](at::Tensor x) {
    auto t = w.exp();
    t.view({2, 2}).mul_(2);
    return x + t;
  });
  check_stays([w](at::Tensor x) { return std::make_tuple(w.exp(), x + 1); });
  check_stays([w](at::Tensor x) { return std::make_tuple(w.exp().view({2, 2}), x + 1); });
  check_stays([w](at::Tensor x) { return x + 1; });
}

TEST_CASE("what is returned stays, what it is computed of folds") {
  const auto w = torch::rand({4}), x = torch::randn({4});
  auto p = exported([w](at::Tensor y) { return std::make_tuple(w.exp().log(), y + 1); }, x);
  CHECK(fold(p).changed());
  CHECK(calls(p.storage(), "aten::exp") == 0);
  const auto one = std::get<0>(p(x)), two = std::get<0>(p(x));
  CHECK(torch::equal(one, w.exp().log()));
  CHECK_FALSE(one.is_alias_of(two));
}

TEST_CASE("sizes: a cap, growth, and constructors only when asked for") {
  const auto w = torch::rand({1, 4}), x = torch::randn({4});
  const auto grows = [w](at::Tensor y) { return y + w.expand({100000, 4}).sum(0); };
  check_stays(grows);
  auto p = exported(grows, x);
  const auto expected = p(x);
  CHECK(fold(p, {.max_growth = 1e6}).changed());
  CHECK(torch::equal(p(x), expected));
  check_stays(grows, {.max_bytes = 100, .max_growth = 1e6});
  check_stays([w](at::Tensor y) { return y + w.exp().sum(0); }, {.max_bytes = 15});

  const auto makes = [](at::Tensor y) { return y + torch::arange(4, torch::kFloat).exp(); };
  check_stays(makes);
  auto q = exported(makes, x);
  CHECK(fold(q, {.constructors = true}).erased == 2);
  CHECK(torch::equal(q(x), x + torch::arange(4, torch::kFloat).exp()));
}

TEST_CASE("a part of a constant takes its own memory, and no more") {
  const auto w = torch::rand({1000, 4}), x = torch::randn({4});
  auto p = exported([w](at::Tensor y) { return y + w.select(0, 7); }, x);
  const auto expected = p(x);
  CHECK(fold(p).changed());
  REQUIRE(p.constants().size() == 1);
  CHECK(p.constants()[0].tensor.storage().nbytes() == 4 * sizeof(float));
  CHECK(torch::equal(p(x), expected));
}

TEST_CASE("an operator that fails leaves the program as it was") {
  const auto w = torch::rand({4}), x = torch::randn({4});
  auto p = exported([w](at::Tensor y) { return y + w.exp(); }, x);
  auto& g = p.graph();
  for (es::node n : es::nodes(g))
    if (n.is_call(es::id_of<es::aten::exp>()))
      g.set_op(n, es::id_of<es::aten::cholesky_inverse>()); // takes matrices
  const auto before = es::structural_hash(g);
  CHECK_THROWS_AS(fold(p), es::error);
  CHECK(es::structural_hash(p.storage()) == before);
  CHECK(p.constants().size() == 1);
}

TEST_CASE("programs of the corpus: the same outputs bit by bit, sound, and nothing left to fold") {
  const at::NoGradGuard no_grad;
  std::size_t folded = 0, programs = 0;
  for (const auto& model : corpus::models())
    for (const auto& path : corpus::archives(model)) {
      CAPTURE(path.string());
      auto p = es::load<es::torch_ir>(path.string());
      const auto inputs = corpus::load_list(model / "inputs.pt");
      const auto outputs = [&](const auto& q) {
        torch::manual_seed(1);
        std::vector<c10::IValue> copies;
        for (const auto& v : inputs)
          copies.push_back(v.isTensor() ? c10::IValue(v.toTensor().clone()) : v);
        return q(copies);
      };
      const auto fresh = es::load<es::torch_ir>(path.string()); // of a run that may write to buffers
      const auto expected = outputs(fresh);
      const es::fold_options options{.parameters = true, .constructors = true};
      const auto done = es::pipeline{es::constant_fold(options)}.run(p);
      folded += done.rewritten;
      ++programs;
      std::stringstream file;
      es::save(p, file);
      for (const auto& d : p.diagnose())
        FAIL_CHECK(es::to_string(d));
      CHECK_FALSE(es::pipeline{es::constant_fold(options)}.run(p).changed());
      CHECK(corpus::difference(outputs(p), expected) == 0);
      CHECK(corpus::difference(outputs(es::load<es::torch_ir>(file)), expected) == 0);
    }
  CHECK((programs == 0 || folded != 0));
}
