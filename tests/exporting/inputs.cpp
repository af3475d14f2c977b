// SPDX-License-Identifier: BSL-1.0
// What an exported callable may take: tensors, numbers, strings, optionals, vectors, maps, tuples and
// structs, by position and by name. The names, specs and literals expected here are those of Python's
// torch.export for the same call; tests/python/check_inputs.py loads what the last case writes and calls it
// by keyword.
#include <espalier/espalier.hpp>

#include <boost/hana/define_struct.hpp>
#include <doctest/doctest.h>
#include <torch/torch.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

namespace es = espalier;
namespace fs = std::filesystem;

namespace {

struct window {
  BOOST_HANA_DEFINE_STRUCT(window, (at::Tensor, mask), (std::optional<double>, scale),
                           (std::vector<at::Tensor>, extra));
};
using named_tensors = std::map<std::string, at::Tensor>;
using names = es::vector<std::string>;

at::Tensor mixed(at::Tensor x, const named_tensors& sides, const std::vector<at::Tensor>& items,
                 std::tuple<at::Tensor, std::int64_t> pair, const window& w, std::optional<at::Tensor> bias,
                 double scale, bool negate, const std::string& mode) {
  auto y = x * sides.at("left") - sides.at("Right side");
  for (const auto& t : items)
    y = y + t;
  y = y * std::get<0>(pair) + std::get<1>(pair);
  y = y * w.mask * w.scale.value_or(7) + w.extra.at(0);
  if (bias)
    y = y + *bias;
  y = y * scale;
  if (negate)
    y = -y;
  return mode == "mean" ? y.mean() : y;
}
auto t() { return torch::rand({2, 3}); }
window some_window() { return {t(), 0.5, {t()}}; }
named_tensors some_sides() { return {{"left", t()}, {"Right side", t()}}; }

auto export_mixed(std::optional<at::Tensor> bias) {
  return es::export_program(
      mixed, es::inputs(es::named("x", t()), es::named("sides", some_sides()),
                        es::named("items", std::vector<at::Tensor>{t(), t()}),
                        es::named("pair", std::tuple(t(), std::int64_t{3})), es::kwarg("w", some_window()),
                        es::kwarg("bias", std::move(bias)), es::kwarg("scale", 2.0),
                        es::kwarg("negate", true), es::kwarg("mode", std::string("sum"))));
}
names placeholder_names(const es::graph_storage& g) {
  names out;
  for (es::node n : es::placeholders(g))
    out.emplace_back(n.name());
  return out;
}
names operators(const es::graph_storage& g) {
  names out;
  for (es::node n : es::nodes(g))
    if (n.is_call())
      out.push_back(es::target_of(n.op()));
  return out;
}
/// The program as a file brings it back. The file is left in the build folder, where there is one, for
/// Python.
template <class Program>
Program reloaded(const Program& p, const char* name) {
  const char* build = std::getenv("ESPALIER_BUILD_ROOT");
  const auto folder = (build ? fs::path(build) : fs::temp_directory_path()) / "inputs";
  fs::create_directories(folder);
  const auto file = (folder / (std::string(name) + ".pt2")).string();
  es::save(p, file);
  return es::load<typename Program::dialect_type, typename Program::signature_type>(file);
}
template <class F>
es::error error_of(es::error_kind kind, F f) {
  try {
    f();
  } catch (const es::error& e) {
    CHECK(e.kind() == kind);
    CHECK_FALSE(e.cure().empty());
    return e;
  }
  FAIL("nothing was refused");
  return {es::error_kind::usage, ""};
}
bool has(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

} // namespace

TEST_CASE("tensors, numbers, strings, optionals and containers, by position and by keyword") {
  const auto program = export_mixed(t());
  CHECK(placeholder_names(program.graph()) == names{"x", "sides_right_side", "sides_left", "items_0",
                                                    "items_1", "pair_0", "pair_1", "w_mask", "w_scale",
                                                    "w_extra_0", "bias", "scale", "negate", "mode"});
  const auto& signature = *program.info().root();
  CHECK(signature.forward_arg_names ==
        names{"x", "sides", "items", "pair", "w", "bias", "scale", "negate", "mode"});
  using s = es::tree_spec;
  const s leaf = s::leaf();
  CHECK(signature.in_spec ==
        s::tuple({s::tuple({leaf, s::dict({"Right side", "left"}, {leaf, leaf}), s::list({leaf, leaf}),
                            s::tuple({leaf, leaf})}),
                  s::dict({"w", "bias", "scale", "negate", "mode"},
                          {s::dict({"mask", "scale", "extra"}, {leaf, leaf, s::list({leaf})}), leaf, leaf,
                           leaf, leaf})}));

  std::map<std::string, es::constant_value> literals;
  for (const auto& in : program.signature().inputs) {
    CHECK(in.kind == es::input_kind::user_input);
    if (in.arg.form == es::io_form::constant)
      literals[in.arg.name] = in.arg.value;
    else
      CHECK(in.arg.form == es::io_form::tensor);
  }
  const bool same = literals == std::map<std::string, es::constant_value>{
                                    {"pair_1", std::int64_t{3}},
                                    {"w_scale", 0.5},
                                    {"scale", 2.0},
                                    {"negate", true},
                                    {"mode", std::string("sum")}}; // doctest cannot print it
  CHECK(same);
}

TEST_CASE("a program with such inputs runs as eager does, typed and flat, also from a file") {
  for (const bool with_bias : {true, false}) {
    const auto bias = [&] { return with_bias ? std::optional(t()) : std::nullopt; };
    const auto program = export_mixed(bias());
    const auto again = reloaded(program, with_bias ? "mixed" : "mixed_without_bias");
    CHECK(placeholder_names(again.graph()) == placeholder_names(program.graph()));
    CHECK(again.info().root()->in_spec.children.size() == 2);

    const auto x = t();
    const auto sides = some_sides();
    const std::vector<at::Tensor> items{t(), t()};
    const std::tuple<at::Tensor, std::int64_t> pair(t(), 3);
    const auto w = some_window();
    const auto b = bias();
    const auto eager = mixed(x, sides, items, pair, w, b, 2.0, true, "sum");
    CHECK(torch::equal(program(x, sides, items, pair, w, b, 2.0, true, "sum"), eager));
    CHECK(torch::equal(again(x, sides, items, pair, w, b, 2.0, true, "sum"), eager));

    // the leaves, with the literals and without
    std::vector<c10::IValue> leaves{x,
                                    sides.at("Right side"),
                                    sides.at("left"),
                                    items[0],
                                    items[1],
                                    std::get<0>(pair),
                                    3,
                                    w.mask,
                                    0.5,
                                    w.extra[0],
                                    b,
                                    2.0,
                                    true,
                                    "sum"};
    CHECK(torch::equal(program(leaves)[0].toTensor(), eager));
    std::erase_if(leaves, [](const c10::IValue& v) { return !v.isTensor(); });
    CHECK(torch::equal(again(leaves)[0].toTensor(), eager));

    // example inputs are kept, literals and None among them
    REQUIRE(again.example_inputs().leaves.size() == 14);
    CHECK(again.example_inputs().leaves[10].isNone() == !with_bias);
    CHECK(again.example_inputs().leaves[13].toStringRef() == "sum");
    const auto of_examples = again(again.example_inputs().leaves)[0].toTensor();
    CHECK(torch::equal(of_examples, program(program.example_inputs().leaves)[0].toTensor()));
  }
}

TEST_CASE("another literal, length, set of keys or presence than the example's is refused") {
  const auto program = export_mixed(std::nullopt);
  using tensors = std::vector<at::Tensor>;
  const auto refused = [&](const named_tensors& sides, const tensors& items, std::optional<at::Tensor> bias,
                           double scale, const std::string& mode) {
    return error_of(es::error_kind::constraint, [&] {
      program(t(), sides, items, std::tuple(t(), std::int64_t{3}), some_window(), bias, scale, true, mode);
    });
  };
  CHECK(has(refused(some_sides(), {t(), t()}, std::nullopt, 3.0, "sum").what(),
            "specialised on 2, but 3 was passed (at input 'scale')"));
  CHECK(has(refused(some_sides(), {t(), t()}, std::nullopt, 2.0, "mean").what(),
            "specialised on 'sum', but 'mean'"));
  CHECK(has(refused(some_sides(), {t(), t()}, t(), 2.0, "sum").what(), "specialised on None"));
  CHECK(has(refused(some_sides(), {t()}, std::nullopt, 2.0, "sum").what(), "nest as"));
  const auto keys = refused({{"left", t()}, {"right", t()}}, {t(), t()}, std::nullopt, 2.0, "sum");
  CHECK(has(keys.cause(), "'left': *, 'right': *"));
  CHECK(has(keys.cause(), "'Right side': *, 'left': *"));
}

TEST_CASE("names that collide get the suffixes that Python gives them") {
  struct net : torch::nn::Module {
    net() {
      register_parameter("weight", torch::ones(2));
      register_buffer("scale", torch::ones(2));
      register_buffer("Scale_4", torch::ones(2));
      register_buffer("part_of", torch::ones(2));
      register_module("part", std::make_shared<torch::nn::Module>("part"))
          ->register_buffer("of", torch::ones(2));
    }
    at::Tensor forward(const named_tensors& x, at::Tensor x_a_7, at::Tensor x_a, at::Tensor p_weight,
                       at::Tensor b_scale, at::Tensor add_1, at::Tensor input) {
      const auto y = x.at("a") + x_a_7 + x_a + p_weight;
      return y * b_scale + add_1 + input;
    }
  };
  const auto one = [] { return torch::ones(2); };
  net m;
  const auto program = es::export_program(
      m, es::inputs(es::named("x", named_tensors{{"a", one()}}), es::named("x_a_7", one()),
                    es::named("x_a", one()), es::named("p_weight", one()), es::kwarg("b_scale", one()),
                    es::kwarg("add_1", one()), es::kwarg("input", one())));
  CHECK(placeholder_names(program.graph()) == names{"p_weight_1", "b_scale_1", "b_scale_4", "b_part_of",
                                                    "b_part_of_1", "x_a", "x_a_7", "x_a_8", "p_weight",
                                                    "b_scale", "add_1", "input"});
  names calls;
  for (es::node n : es::nodes(program.graph()))
    if (n.is_call())
      calls.emplace_back(n.name());
  CHECK(calls == names{"add", "add_2", "add_3", "mul", "add_4", "add_5"});
  CHECK(program.signature().inputs[0].target == "weight");
  CHECK(program.signature().inputs[4].target == "part.of");
  CHECK(program(named_tensors{{"a", one()}}, one(), one(), one(), one(), one(), one())[0].item<float>() == 6);
}

TEST_CASE("one name for two inputs, and a position behind a keyword, are refused") {
  CHECK(has(
      error_of(es::error_kind::usage, [] { es::inputs(es::named("x", t()), es::kwarg("x", t())); }).cause(),
      "two example inputs are called 'x'"));
  CHECK(has(error_of(es::error_kind::usage, [] { es::inputs(es::kwarg("x", t()), t()); }).cause(),
            "follows a keyword one"));
}

TEST_CASE("an input that the model changes is changed by the program, and not by the export") {
  const auto f = [](at::Tensor x, const std::vector<at::Tensor>& state) {
    state.at(0).add_(x);
    state.at(1).select(0, 0).zero_();
    return state[0] * 2;
  };
  const auto ones = [] { return std::vector<at::Tensor>{torch::ones({2, 3}), torch::ones({2, 3})}; };
  const auto examples = ones();
  const auto program =
      es::export_program(f, es::inputs(es::named("x", torch::ones({2, 3})), es::named("state", examples)));
  CHECK(torch::equal(examples[0], torch::ones({2, 3})));
  CHECK(torch::equal(examples[1], torch::ones({2, 3})));
  CHECK(operators(program.graph()) ==
        names{"aten.add_.Tensor", "aten.select.int", "aten.zero_.default", "aten.mul.Scalar"});
  const auto again = reloaded(program, "changed_input");
  for (const auto* p : {&program, &again}) {
    const auto x = t();
    const auto ours = ones(), eagers = ones();
    CHECK(torch::equal((*p)(x, ours), f(x, eagers)));
    CHECK(torch::equal(ours[0], eagers[0]));
    CHECK(torch::equal(ours[1], eagers[1]));
    CHECK(ours[1][0].sum().item<float>() == 0);
  }
}

TEST_CASE(
    "buffers that are not persistent are constants of the program and of its file, and are changed there") {
  struct net : torch::nn::Module {
    net() {
      kept = register_buffer("kept", torch::full({2}, 2.f));
      steps = register_buffer("steps", torch::zeros({2}));
    }
    at::Tensor forward(at::Tensor x) {
      steps.add_(1);
      return x * kept + steps;
    }
    at::Tensor kept, steps;
  };
  net m;
  es::export_options options;
  options.non_persistent_buffers = {"steps"};
  const auto program = es::export_program(m, es::inputs(es::named("x", torch::ones(2))), options);
  const auto again = reloaded(program, "non_persistent");
  for (const auto* p : {&program, &again}) {
    CHECK(p->signature().inputs[0].persistent == true);
    CHECK(p->signature().inputs[1].persistent == false);
    CHECK(p->state_dict().contains("kept"));
    CHECK_FALSE(p->state_dict().contains("steps"));
    REQUIRE(p->constants().contains("steps"));
    CHECK((*p)(torch::ones(2))[0].item<float>() == 3);
    CHECK((*p)(torch::ones(2))[0].item<float>() == 4);
    CHECK(p->constants().at("steps")[0].item<float>() == 2);
  }
  CHECK(m.steps[0].item<float>() == 2); // the program shares the model's buffer, a file's has its own

  options.non_persistent_buffers = {"step"};
  const auto unknown = [&](auto&& model) {
    return error_of(es::error_kind::usage,
                    [&] { es::export_program(model, es::inputs(torch::ones(2)), options); });
  };
  CHECK(has(unknown(m).cause(), "names 'step', but the model has no such buffer"));
  CHECK(has(unknown([](at::Tensor x) { return x + 1; }).cause(), "names 'step'"));
}
