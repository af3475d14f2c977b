// SPDX-License-Identifier: BSL-1.0
// The interpreter on graphs made by hand: builtins on numbers, higher-order operators, list results, symbols.
#include <espalier/ir/graph.hpp>
#include <espalier/program/interpreter.hpp>
#include <espalier/schema/aten.hpp>
#include <espalier/schema/builtin.hpp>

#include <ATen/ATen.h>

#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

namespace es = espalier;

namespace {

c10::IValue builtin(const char* name, std::vector<c10::IValue> args) {
  const auto f = es::detail::find_builtin(name);
  if (!f)
    FAIL(name);
  return f(args);
}
es::argument arg(const es::value& v) { return es::argument(v); }
es::value result(es::graph_storage& g, es::node_id n, std::size_t i = 0) { return {g, g.result(n, i)}; }
es::value placeholder(es::graph_storage& g, const char* name) {
  return result(g, g.placeholder(es::input_kind::user_input, name));
}
template <class Op>
es::value call(es::graph_storage& g, es::vector<es::argument> args) {
  return result(g, g.call(es::id_of<Op>(), args, 1));
}
es::node_id higher(es::graph_storage& g, const char* name, es::vector<es::argument> args,
                   std::size_t results) {
  return g.call(es::higher_order_op(name), args, results, false, es::node_kind::call_higher_order);
}
void output(es::graph_storage& g, es::vector<es::argument> values) { g.output(values); }

} // namespace

TEST_CASE("builtins follow Python") {
  CHECK(builtin("_operator::floordiv", {-7, 2}).toInt() == -4);
  CHECK(builtin("_operator::mod", {-7, 2}).toInt() == 1);
  CHECK(builtin("_operator::mod", {-7.5, 2.0}).toDouble() == 0.5);
  CHECK(builtin("_operator::truediv", {7, 2}).toDouble() == 3.5);
  CHECK(builtin("_operator::pow", {2, 10}).toInt() == 1024);
  CHECK(builtin("_operator::pow", {2, -1}).toDouble() == 0.5);
  CHECK(builtin("_operator::add", {1, 2.5}).toDouble() == 3.5);
  CHECK(builtin("_operator::add", {true, 2}).toInt() == 3);
  CHECK(builtin("_operator::and_", {true, false}).toBool() == false);
  CHECK(builtin("_operator::and_", {6, 3}).toInt() == 2);
  CHECK(builtin("_operator::lt", {1, 1.5}).toBool());
  CHECK(builtin("math::ceil", {1.2}).toInt() == 2);
  CHECK(builtin("math::trunc", {-1.7}).toInt() == -1);
  CHECK(builtin("builtins::round", {2.5}).toInt() == 2);
  CHECK(builtin("torch::sym_max", {3, 2.5}).toDouble() == 3);
  CHECK(builtin("torch::sym_min", {3, 2}).toInt() == 2);
  CHECK(builtin("torch::sym_ite", {false, 1, 2}).toInt() == 2);
  CHECK(builtin("torch::sym_not", {false}).toBool());
  CHECK(builtin("torch::sym_float", {3}).toDouble() == 3);
  CHECK(std::isnan(builtin("torch::_sym_sqrt", {-1}).toDouble()));
  CHECK_THROWS_AS(builtin("_operator::floordiv", {1, 0}), es::error);
  CHECK(!static_cast<bool>(es::detail::find_builtin("_operator::nothing")));
}

TEST_CASE("numbers for tensors, lists of values, list results") {
  es::graph_storage g;
  const auto x = placeholder(g, "x");
  const auto n = call<es::aten::sym_size_int>(g, {arg(x), 0});
  const auto m = call<es::builtin::floordiv>(g, {arg(n), 2});
  const es::argument sizes[] = {arg(m), arg(m)};
  const auto parts =
      g.call(es::id_of<es::aten::split_with_sizes>(),
             es::vector<es::argument>{arg(x), es::argument(es::span<const es::argument>(sizes))}, 2, true);
  const auto sum =
      call<es::aten::add_Tensor>(g, {arg(result(g, parts, 0)), 1.5}); // a float where the schema says Tensor
  const es::argument both[] = {arg(sum), arg(result(g, parts, 1))};
  const auto cat = call<es::aten::cat>(g, {es::argument(es::span<const es::argument>(both))});
  output(g, {arg(cat), arg(m)});
  const es::interpreter run(g);
  const auto in = at::arange(4, at::kFloat);
  const auto out = run.run({in});
  CHECK(at::equal(out[0].toTensor(), at::cat({in.slice(0, 0, 2) + 1.5, in.slice(0, 2, 4)})));
  CHECK(out[1].toInt() == 2);
  CHECK_THROWS_AS(run.run({}), es::error);
}

TEST_CASE("control flow") {
  const auto unary = [](auto build) {
    es::graph_storage s;
    const auto a = placeholder(s, "a");
    output(s, {arg(build(s, a))});
    return s;
  };
  SUBCASE("cond") {
    es::graph_storage g;
    const auto p = placeholder(g, "p"), x = placeholder(g, "x");
    const auto yes =
        g.add_subgraph("yes", unary([](auto& s, auto a) { return call<es::aten::neg>(s, {arg(a)}); }));
    const auto no =
        g.add_subgraph("no", unary([](auto& s, auto a) { return call<es::aten::abs>(s, {arg(a)}); }));
    const es::argument operands[] = {arg(x)};
    const auto n = higher(g, "cond",
                          {arg(p), es::argument::of_subgraph(yes), es::argument::of_subgraph(no),
                           es::argument(es::span<const es::argument>(operands))},
                          1);
    output(g, {arg(result(g, n))});
    const es::interpreter run(g);
    const auto x1 = at::full({2}, -3.0);
    CHECK(at::equal(run.run({at::scalar_tensor(true), x1})[0].toTensor(), -x1));
    CHECK(at::equal(run.run({false, x1})[0].toTensor(), x1.abs()));
  }
  SUBCASE("while_loop: counts to n, doubling") {
    es::graph_storage test, body, g;
    {
      const auto i = placeholder(test, "i");
      placeholder(test, "x");
      const auto n = placeholder(test, "n");
      output(test, {arg(call<es::aten::lt_Tensor>(test, {arg(i), arg(n)}))});
    }
    {
      const auto i = placeholder(body, "i"), x = placeholder(body, "x");
      placeholder(body, "n");
      output(body, {arg(call<es::aten::add_Scalar>(body, {arg(i), 1})),
                    arg(call<es::aten::mul_Scalar>(body, {arg(x), 2}))});
    }
    const auto i = placeholder(g, "i"), x = placeholder(g, "x"), n = placeholder(g, "n");
    const auto t = g.add_subgraph("test", test), b = g.add_subgraph("body", body);
    const es::argument carried[] = {arg(i), arg(x)}, additional[] = {arg(n)};
    const auto w = higher(g, "while_loop",
                          {es::argument::of_subgraph(t), es::argument::of_subgraph(b),
                           es::argument(es::span<const es::argument>(carried)),
                           es::argument(es::span<const es::argument>(additional))},
                          2);
    output(g, {arg(result(g, w, 0)), arg(result(g, w, 1))});
    const auto out = es::interpreter(g).run({at::scalar_tensor(0), at::ones({2}), at::scalar_tensor(5)});
    CHECK(out[0].toTensor().item<double>() == 5);
    CHECK(at::equal(out[1].toTensor(), at::full({2}, 32.0)));
  }
  SUBCASE("map and a region without gradient") {
    es::graph_storage row, g;
    const auto a = placeholder(row, "a"), k = placeholder(row, "k");
    output(row, {arg(call<es::aten::mul_Tensor>(row, {arg(a), arg(k)}))});
    const auto x = placeholder(g, "x"), y = placeholder(g, "y");
    const auto f = g.add_subgraph("row", row);
    const es::argument xs[] = {arg(x)}, shared[] = {arg(y)};
    const auto m = higher(g, "map_impl",
                          {es::argument::of_subgraph(f), es::argument(es::span<const es::argument>(xs)),
                           es::argument(es::span<const es::argument>(shared))},
                          1);
    const auto quiet =
        higher(g, "wrap_with_set_grad_enabled", {false, es::argument::of_subgraph(f), arg(x), arg(y)}, 1);
    output(g, {arg(result(g, m)), arg(result(g, quiet))});
    const auto in = at::rand({3, 2}).requires_grad_();
    const auto factor = at::full({2}, 3.0);
    const auto out = es::interpreter(g).run({in, factor});
    CHECK(at::allclose(out[0].toTensor(), in * factor));
    CHECK(out[0].toTensor().requires_grad());
    CHECK(!out[1].toTensor().requires_grad());
    CHECK(at::GradMode::is_enabled());
  }
  SUBCASE("autocast") {
    es::graph_storage inner, g;
    const auto a = placeholder(inner, "a");
    output(inner, {arg(call<es::aten::mm>(inner, {arg(a), arg(a)}))});
    const auto x = placeholder(g, "x");
    const auto f = g.add_subgraph("inner", inner);
    const auto n =
        higher(g, "wrap_with_autocast",
               {"cpu", es::scalar_type::bf16, true, true, es::argument::of_subgraph(f), arg(x)}, 1);
    output(g, {arg(result(g, n))});
    CHECK((es::interpreter(g).run({at::rand({2, 2})})[0].toTensor().scalar_type() == at::kBFloat16));
    CHECK(!at::autocast::is_autocast_enabled(at::kCPU));
  }
}

TEST_CASE("sizes that no node computes come from the symbols") {
  es::graph_storage g;
  const auto x =
      result(g, g.placeholder(es::input_kind::user_input, "x",
                              g.intern_meta(es::value_meta(es::make_meta(
                                  es::scalar_type::f32, {es::sym_int(es::parse_expr("s0")), 2})))));
  const es::argument sizes[] = {es::argument(es::sym_int(es::parse_expr("2*s0")))};
  output(g, {arg(call<es::aten::view>(g, {arg(x), es::argument(es::span<const es::argument>(sizes))}))});
  CHECK(es::interpreter(g).run({at::zeros({3, 2})})[0].toTensor().size(0) == 6);
}

TEST_CASE("operators that LibTorch does not know are all named") {
  es::graph_storage g;
  const auto x = placeholder(g, "x");
  const es::argument a[] = {arg(x)};
  g.call(es::intern_op("nowhere::one", {}), a, 1);
  g.call(es::intern_op("nowhere::two", {}), a, 1);
  output(g, {arg(x)});
  try {
    es::interpreter run(g);
    FAIL("it should have thrown");
  } catch (const es::error& e) {
    CHECK(std::string(e.what()).find("nowhere::one, nowhere::two") != std::string::npos);
  }
}
