// SPDX-License-Identifier: BSL-1.0
// Programs made by hand: typed calls, training, mutation of state and inputs, save and load, dialects,
// errors.
#include "program/torch_files.hpp"
#include "signature/specs.hpp"

#include <espalier/program/module_weights.hpp>
#include <espalier/program/save_load.hpp>
#include <espalier/schema/aten.hpp>

#include <torch/torch.h>

#include <doctest/doctest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

namespace es = espalier;
using specs::input;
using specs::output;

namespace {

es::value_meta f32(es::sym_ints sizes) {
  return es::value_meta(es::make_meta(es::scalar_type::f32, std::move(sizes)));
}
es::module_call_entry root(std::size_t inputs, std::size_t outputs) {
  es::module_call_entry e;
  e.signature.emplace();
  e.signature->in_spec = es::tree_spec::tuple(
      {es::tree_spec::tuple(es::vector<es::tree_spec>(inputs)), es::tree_spec::dict({}, {})});
  e.signature->out_spec =
      outputs == 1 ? es::tree_spec::leaf() : es::tree_spec::tuple(es::vector<es::tree_spec>(outputs));
  return e;
}

/// y = x @ w.T + b, and the buffer `calls` counts up.
template <class Dialect>
es::exported_program<Dialect> linear() {
  es::graph<Dialect> g;
  const auto w = g.template placeholder<es::input_kind::parameter>("p_w", f32({2, 3}));
  const auto b = g.template placeholder<es::input_kind::parameter>("p_b", f32({2}));
  const auto calls = g.template placeholder<es::input_kind::buffer>("b_calls", f32({1}));
  const auto x = g.template placeholder<es::input_kind::user_input>("x", f32({4, 3}));
  const auto y = g.template call<es::aten::linear>(x, w, b);
  g.set_name(y.def(), "linear");
  g.set_meta(y.id(), f32({4, 2}));
  const auto n = g.template call<es::aten::add_Scalar>(calls, 1);
  g.set_name(n.def(), "add");
  g.set_meta(n.id(), f32({1}));
  g.output(n, y);
  es::program_info info;
  info.verifier = Dialect::verifier;
  info.torch_version = "2.15.0";
  info.opset_version["aten"] = 10;
  info.signature.inputs = {
      input(es::input_kind::parameter, "p_w", "w"), input(es::input_kind::parameter, "p_b", "b"),
      input(es::input_kind::buffer, "b_calls", "calls"), input(es::input_kind::user_input, "x")};
  info.signature.outputs = {output(es::output_kind::buffer_mutation, "add", "calls"),
                            output(es::output_kind::user_output, "linear")};
  info.module_calls.push_back(root(1, 1));
  es::exported_program<Dialect> p(std::move(g), std::move(info));
  torch::manual_seed(1);
  p.state_dict().set("w", torch::randn({2, 3}, torch::requires_grad()), true);
  p.state_dict().set("b", torch::zeros({2}, torch::requires_grad()), true);
  p.state_dict().set("calls", torch::zeros({1}), false);
  return p;
}
std::string temporary(const char* name) { return (std::filesystem::temp_directory_path() / name).string(); }
template <class F>
std::string what_of(F&& f) {
  try {
    f();
  } catch (const es::error& e) {
    CHECK(!e.cure().empty());
    return e.what();
  }
  return {};
}
bool has(const std::string& s, std::string_view part) { return s.find(part) != s.npos; }

} // namespace

TEST_CASE("a typed call") {
  auto p = linear<es::aten_ir>().with_signature<at::Tensor(at::Tensor)>();
  p.verify();
  const auto x = torch::randn({4, 3});
  const at::Tensor y = p(x);
  CHECK(torch::allclose(y, torch::linear(x, p.state_dict().at("w"), p.state_dict().at("b"))));
  CHECK(p.state_dict().at("calls").item<float>() == 1);
  static_assert(std::is_same_v<decltype(p(x)), at::Tensor>);
  const auto copy = p;
  CHECK(torch::equal(copy(x), y));
  CHECK(p.state_dict().at("calls").item<float>() == 2); // copies share state
  auto moved = std::move(p);
  CHECK(torch::equal(moved(x), y));
}

TEST_CASE("a program is trained with torch::optim, from a file whose bytes stay as they are") {
  const auto path = temporary("espalier_train.pt2");
  es::save(linear<es::training_ir>(), path);
  const auto before = corpus::read(path);
  {
    auto p = es::load<es::training_ir, at::Tensor(at::Tensor)>(path);
    const auto x = torch::randn({4, 3}), target = torch::randn({4, 2});
    torch::optim::SGD sgd(p.parameters(), 0.1);
    double first = 0, last = 0;
    for (int step = 0; step != 50; ++step) {
      sgd.zero_grad();
      const auto loss = torch::mse_loss(p(x), target);
      loss.backward();
      sgd.step();
      (step ? last : first) = loss.item<double>();
    }
    CHECK(last < 0.5 * first);
    CHECK(p.state_dict().at("calls").item<float>() == 50);
    CHECK(p.state_dict().at("w").grad().defined());
  }
  CHECK(corpus::read(path) == before);
  std::remove(path.c_str());
}

TEST_CASE("saved and loaded: state, ties, requires_grad, example inputs, bytes") {
  auto p = linear<es::aten_ir>();
  p.state_dict().set("b", p.state_dict().at("w").detach().select(1, 0).set_requires_grad(true),
                     true); // a view of w
  p.example_inputs().leaves = {torch::ones({4, 3})};
  std::stringstream a, b;
  es::save(p, a);
  es::save(p, b);
  CHECK(a.str() == b.str());
  const auto q = es::load<es::aten_ir>(a);
  CHECK(torch::equal(q.state_dict().at("w"), p.state_dict().at("w")));
  CHECK(q.state_dict().at("w").requires_grad());
  CHECK(q.state_dict().at("b").stride(0) == 3);
  CHECK(q.state_dict().at("b").storage().is_alias_of(q.state_dict().at("w").storage()));
  CHECK(!q.state_dict().at("calls").requires_grad());
  REQUIRE(q.example_inputs().leaves.size() == 1);
  CHECK(torch::equal(q.example_inputs().leaves[0].toTensor(), torch::ones({4, 3})));
  const auto text = b.str();
  const auto m =
      es::load<es::aten_ir>(es::span(reinterpret_cast<const std::byte*>(text.data()), text.size()));
  CHECK(torch::equal(m({torch::ones({4, 3})})[0].toTensor(), q({torch::ones({4, 3})})[0].toTensor()));
}

TEST_CASE("several programs in one archive") {
  const auto one = linear<es::aten_ir>(), two = linear<es::aten_ir>();
  std::stringstream file;
  es::archive_of().add("one", one).add("two", two).save(file);
  const auto text = file.str();
  CHECK(torch::equal(es::load<es::aten_ir>(file, "two").state_dict().at("w"), two.state_dict().at("w")));
  std::stringstream again(text), third(text);
  CHECK(has(what_of([&] { es::load<es::aten_ir>(again); }), "several programs: one, two"));
  CHECK(has(what_of([&] { es::load<es::aten_ir>(third, "three"); }), "no program 'three'"));
}

TEST_CASE("a program that is not sound is neither saved nor loaded, unless it is asked for") {
  const auto path = temporary("espalier_sound.pt2");
  const auto bytes = [&] {
    std::ifstream in(path, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(in), {});
  };
  es::save(linear<es::aten_ir>(), path);
  const std::string before = bytes();
  auto broken = linear<es::aten_ir>();
  broken.state_dict().erase("w"); // which the signature names
  const auto refused = what_of([&] { es::save(broken, path); });
  CHECK(has(refused, "the parameter 'w' is not in the state dict"));
  CHECK(has(refused, "save it with {.verify = false} to keep it as it is"));
  CHECK(has(what_of([&] { es::archive_of().add("one", broken); }),
            "the parameter 'w' is not in the state dict"));
  CHECK(bytes() == before);

  es::save(broken, path, {.verify = false});
  CHECK(bytes() != before);
  const auto again = what_of([&] { es::load<es::aten_ir>(path); });
  CHECK(has(again, "the parameter 'w' is not in the state dict"));
  CHECK(has(again, path + ": "));
  CHECK(has(again, "load it with {.verify = false} to look at it as it is"));
  CHECK(!es::load<es::aten_ir>(path, {.verify = false}).state_dict().contains("w"));

  auto wrong = linear<es::aten_ir>(); // an argument that the schema requires is missing
  for (es::node n : es::nodes(wrong.storage()))
    if (n.is_call(es::id_of<es::aten::linear>()))
      wrong.storage().set_args(n.id(), {});
  CHECK(has(what_of([&] { es::save(wrong, path); }), "is missing"));
  std::remove(path.c_str());
}

TEST_CASE("a program of another dialect than asked") {
  const auto path = temporary("espalier_dialect.pt2");
  es::save(linear<es::training_ir>(), path);
  const auto what = what_of([&] { es::load<es::aten_ir>(path); });
  CHECK(has(what, "training_ir"));
  CHECK(has(what, "aten_ir"));
  CHECK(has(what, "load it as espalier::training_ir"));
  es::save(linear<es::aten_ir>(), path);
  CHECK(has(what_of([&] { es::load<es::core_aten>(path); }), "Core ATen")); // linear is no core operator
  es::load<es::training_ir>(path);
  es::load<es::torch_ir>(path);
  std::remove(path.c_str());
}

TEST_CASE("errors name the input, the node and the user's line") {
  auto p = linear<es::training_ir>();
  CHECK(has(what_of([&] {
              p({torch::ones({5, 3})});
            }),
            "dimension 0 of 'x' is 5, but the program was exported for 4"));
  CHECK(has(what_of([&] { p({torch::ones({4, 3}, torch::kLong)}); }), "element type is Long"));
  CHECK(has(what_of([&] { p({torch::ones({4})}); }), "1 dimensions"));
  CHECK(has(what_of([&] { p({}); }), "takes 1: x"));
  CHECK(p({torch::ones({5, 3})}, {.check_inputs = false})[0].toTensor().size(0) == 5);
  auto& g = p.graph();
  for (es::node n : es::nodes(g))
    if (n.name() == "linear")
      g.set_origin(n.id(), "stack_trace", "File \"net.py\", line 7, in forward\n    return self.l(x)");
  const auto what = what_of([&] { p({torch::ones({4, 5})}, {.check_inputs = false}); });
  CHECK(has(what, "node 'linear' (aten::linear)"));
  CHECK(has(what, "net.py"));
  CHECK(has(what, "self.l(x)"));
  p.state_dict().erase("w");
  CHECK(has(what_of([&] { p.verify(); }), "parameter 'w' is not in the state dict"));
  CHECK(has(what_of([&] { p({torch::ones({4, 3})}); }), "needs the tensor 'w'"));
}

TEST_CASE("a hook sees every node") {
  const auto p = linear<es::aten_ir>();
  std::vector<std::string> seen;
  es::call_options o;
  o.run.on_node = [&](es::node n, es::span<const c10::IValue> results) {
    seen.emplace_back(n.name());
    CHECK(results.size() == 1);
  };
  p({torch::ones({4, 3})}, o);
  CHECK(seen == std::vector<std::string>{"linear", "add"});
}

TEST_CASE("weights alone, with a report of names") {
  struct net_impl : torch::nn::Module {
    net_impl(std::string name) : fc(register_module(std::move(name), torch::nn::Linear(3, 2))) {
      stat = register_buffer("stat", torch::ones({2}));
    }
    torch::nn::Linear fc;
    at::Tensor stat;
  };
  const auto path = temporary("espalier_state.pt2");
  auto a = std::make_shared<net_impl>("fc"), b = std::make_shared<net_impl>("fc"),
       other = std::make_shared<net_impl>("head");
  es::save_state_dict(*a, path);
  const auto r = es::load_state_dict(*b, path);
  CHECK(r.complete());
  CHECK(r.loaded.size() == 3);
  CHECK(torch::equal(a->fc->weight, b->fc->weight));
  CHECK(has(what_of([&] { es::load_state_dict(*other, path); }), "likely renamed: fc.weight -> head.weight"));
  const auto loose = es::load_state_dict(*other, path, {.strict = false});
  CHECK(loose.missing.size() == 2);
  CHECK(loose.renames.size() == 2);
  CHECK(!torch::equal(a->fc->weight, other->fc->weight));
  CHECK(es::load_state_dict(*other, path, {.apply_likely_renames = true}).complete());
  CHECK(torch::equal(a->fc->weight, other->fc->weight));
  const auto program = es::load<es::training_ir>(path);
  program.verify();
  CHECK(program({}).empty());
  std::remove(path.c_str());
}
