// SPDX-License-Identifier: BSL-1.0
// Graphs that read attributes, and higher-order operators that stand for a call: functionalized operators,
// effects, methods of custom objects, printing. What cannot be run is refused before anything runs.
#include <espalier/ir/text_parser.hpp>
#include <espalier/program/reproducer_file.hpp>
#include <espalier/program/save_load.hpp>

#include <ATen/ATen.h>
#include <torch/csrc/jit/serialization/pickle.h>
#include <torch/custom_class.h>
#include <torch/library.h>

#include <doctest/doctest.h>

#include <filesystem>
#include <iostream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace es = espalier;

namespace {

void increment(at::Tensor x) { x.add_(1); }
at::Tensor scale_both(at::TensorList xs, at::Tensor y, std::int64_t k) {
  for (const auto& x : xs)
    const_cast<at::Tensor&>(x).mul_(k);
  y.mul_(k);
  return y.sum();
}

struct counter : torch::CustomClassHolder {
  explicit counter(std::int64_t step) : step_(step) {}
  at::Tensor add(const at::Tensor& x, std::int64_t times) const { return x + times * step_; }
  std::int64_t step_;
};

es::graph_storage graph_of(const char* text) { return es::parse_text(text).graph; }
/// Names of a call's arguments, as a file gives them.
void name_arguments(es::graph_storage& g, const std::string& names) {
  for (es::node n : es::nodes(g))
    if (n.kind() == es::node_kind::call_higher_order)
      g.set_origin(n.id(), es::detail::note::args, names);
}
template <class F>
es::error error_of(F&& f) {
  try {
    f();
  } catch (const es::error& e) {
    return e;
  }
  FAIL("nothing was thrown");
  return es::error(es::error_kind::usage, "", "", "");
}
bool has(std::string_view s, std::string_view part) { return s.find(part) != s.npos; }

/// A program of one tensor in, one out, over a graph whose state is given.
es::exported_program<es::training_ir> program_of(const char* text) {
  es::program_info info;
  info.verifier = es::training_ir::verifier;
  info.torch_version = "2.15.0";
  info.opset_version["aten"] = 10;
  es::input_spec x;
  x.arg.name = "x";
  es::output_spec y;
  y.arg.name = "y";
  info.signature.inputs = {x};
  info.signature.outputs = {y};
  es::module_call_entry root;
  root.signature.emplace();
  root.signature->in_spec =
      es::tree_spec::tuple({es::tree_spec::tuple({es::tree_spec::leaf()}), es::tree_spec::dict({}, {})});
  root.signature->out_spec = es::tree_spec::leaf();
  info.module_calls.push_back(root);
  return {es::graph<es::training_ir>(graph_of(text)), info};
}

} // namespace

TORCH_LIBRARY(espalier_program_test, m) {
  m.def("increment(Tensor(a!) x) -> ()", increment);
  m.def("scale_both(Tensor(a!)[] xs, Tensor(b!) y, int k=2) -> Tensor", scale_both);
  m.class_<counter>("counter")
      .def(torch::init<std::int64_t>())
      .def("add", &counter::add)
      .def_pickle([](const c10::intrusive_ptr<counter>& c) { return c->step_; },
                  [](std::int64_t step) { return c10::make_intrusive<counter>(step); });
}

TEST_CASE("attributes are read from the state, and become inputs of a saved program") {
  auto p = program_of(
      "graph { %x = placeholder : f32[2] %w = get_attr \"layer.W\" %k = get_attr \"k\" %w2 = get_attr "
      "\"layer.W\" %a = aten.mul.Tensor(%x, %w) : f32[2] %b = aten.add.Tensor(%a, %k) : f32[2] %y = "
      "aten.add.Tensor(%b, %w2) : f32[2] return %y }");
  const auto x = at::rand({2}), w = at::rand({2}).requires_grad_(), k = at::rand({2});
  CHECK(has(error_of([&] { p({x}); }).what(), "layer.W"));
  CHECK(has(error_of([&] { p.verify(); }).what(), "the attribute 'layer.W' is nowhere"));
  std::stringstream nowhere;
  CHECK(has(error_of([&] { es::save(p, nowhere); }).what(), "the attribute 'layer.W', which is nowhere"));
  p.state_dict().set("layer.W", w, true);
  p.constants().set("k", k, false);
  p.verify();
  const auto want = x * w + k + w;
  const auto y = p({x})[0].toTensor();
  CHECK(at::equal(y, want));
  y.sum().backward();
  CHECK(at::allclose(w.grad(), x + 1));

  std::stringstream file;
  es::save(p, file);
  CHECK(es::placeholders(p.storage()).size() == 1); // the program itself is as it was
  const auto q = es::load<es::training_ir>(file);
  q.verify();
  CHECK(at::equal(q({x})[0].toTensor(), want));
  const auto& in = q.signature().inputs;
  REQUIRE(in.size() == 3);
  CHECK((in[0].kind == es::input_kind::parameter && in[0].target == "layer.W" &&
         in[0].arg.name == "p_layer_w"));
  CHECK((in[1].kind == es::input_kind::constant_tensor && in[1].target == "k" && in[1].arg.name == "c_k"));
  CHECK(in[2].kind == es::input_kind::user_input);
}

TEST_CASE("an attribute that is an output, and one that is an input already") {
  auto p = program_of("graph { %x = placeholder : f32[2] %y = get_attr \"k\" return %y }");
  p.constants().set("k", at::full({2}, 3.0), false);
  std::stringstream file, again;
  es::save(p, file);
  const auto q = es::load<es::training_ir>(file);
  q.verify();
  CHECK(at::equal(q({at::zeros({2})})[0].toTensor(), at::full({2}, 3.0)));
  es::graph_storage g(q.storage());
  es::program_info info(q.info());
  g.set_insertion_point({g.output_node()});
  const auto read = g.get_attr("k", "second");
  g.replace_all_uses(es::placeholders(g)[0].result().id(), g.result(read));
  CHECK(es::lift_attributes(g, info, q.state_dict(), q.constants()) == 0);
  CHECK(!es::detail::reads_attributes(g));
  CHECK(info.signature.outputs[0].arg.name == "c_k");
}

TEST_CASE("an attribute of a branch runs; a file cannot say it") {
  auto p = program_of(
      "graph { graph @t { %a = placeholder %c = get_attr \"c\" %r = aten.add.Tensor(%a, %c) return %r } "
      "graph @f { %a = placeholder %r = aten.neg(%a) return %r } %x = placeholder : f32[2] %y = "
      "higher_order.cond(True, @t, @f, [%x]) : f32[2] return %y }");
  p.constants().set("c", at::full({2}, 5.0), false);
  CHECK(at::equal(p({at::zeros({2})})[0].toTensor(), at::full({2}, 5.0)));
  std::stringstream file;
  const auto e = error_of([&] { es::save(p, file); });
  CHECK(has(e.what(), "reads the attribute 'c'"));
  CHECK(has(e.cure(), "as an operand"));
}

TEST_CASE("what Python would not load is saved only when it is asked for, and by a reproducer") {
  const auto p =
      program_of("graph { graph @block { %a = placeholder : f32[2] return } %x = placeholder : f32[2] "
                 "%call: [] = higher_order.invoke_subgraph(@block, \"block\", %x) "
                 "%y = aten.neg(%x) : f32[2] return %y }");
  std::stringstream file;
  const auto e = error_of([&] { es::save(p, file); });
  CHECK(e.kind() == es::error_kind::unsupported);
  CHECK(has(e.what(), "has no result"));
  CHECK(has(e.cure(), "inline_subgraphs"));
  CHECK(file.str().empty());
  es::save(p, file, {.verify = false});
  CHECK(es::load<es::training_ir>(file, {.verify = false}).storage().num_nodes() == p.storage().num_nodes());
  const auto kept = (std::filesystem::temp_directory_path() / "espalier_refused.pt2").string();
  es::save_reproducer(p, {}, kept);
  CHECK(es::load<es::training_ir>(kept, {.verify = false}).storage().num_nodes() == p.storage().num_nodes());
  std::filesystem::remove(kept);
}

TEST_CASE("auto_functionalized copies what the operator writes to") {
  auto g = graph_of("graph { %x = placeholder %n, %y = "
                    "higher_order.auto_functionalized(op(espalier_program_test.increment), "
                    "%x) return %y, %x }");
  name_arguments(g, ":1,x:2");
  const auto x = at::zeros({2, 3}).t();
  const auto out = es::interpreter(g).run({x});
  CHECK(at::equal(out[0].toTensor(), at::ones({3, 2})));
  CHECK(out[0].toTensor().strides() == x.strides());
  CHECK(at::equal(x, at::zeros({3, 2})));
}

TEST_CASE("auto_functionalized_v2 rebuilds views of bases") {
  auto g =
      graph_of("graph { %x = placeholder %z = placeholder %s, %x2, %z2 = higher_order.auto_functionalized_v2("
               "op(espalier_program_test.scale_both), 3, 2, 0, 1, 0, 1, 1, 0, [2], [1], 4, [%x, %z]) "
               "return %s, %x2, %z2 }");
  // xs = [slice(x, 1, 0, 1), z], y = as_strided(x, [2], [1], 4)
  name_arguments(
      g, ":1,k:2,_xs_length:2,_xs_0_base_index:2,_xs_0_slice_dim:2,_xs_0_slice_start:2,_xs_0_slice_end:2,"
         "_xs_1_base_index:2,_y_base_index:2,_y_size:2,_y_stride:2,_y_storage_offset:2,_all_bases:2");
  const auto x = at::ones({2, 3}), z = at::ones({1});
  auto out = es::interpreter(g).run({x, z});
  auto want = at::ones({2, 3});
  want.slice(1, 0, 1).mul_(3);
  want.as_strided({2}, {1}, 4).mul_(3);
  CHECK(at::equal(out[1].toTensor(), want));
  CHECK(at::equal(out[2].toTensor(), at::full({1}, 3.0)));
  CHECK(out[0].toTensor().item<float>() == 6);
  CHECK(at::equal(x, at::ones({2, 3})));
  CHECK(at::equal(z, at::ones({1})));
  // without a copy of the second base
  auto h = graph_of("graph { %x = placeholder %n, %x2 = higher_order.auto_functionalized_v2("
                    "op(espalier_program_test.increment), 0, True, [%x], []) return %x2 }");
  name_arguments(h, ":1,_x_base_index:2,_x_alias:2,_all_bases:2,_only_clone_these_bases:2");
  const auto in_place = at::zeros({2});
  es::interpreter(h).run({in_place});
  CHECK(at::equal(in_place, at::ones({2})));
}

TEST_CASE("effects run in the order of the nodes; print prints") {
  auto g = graph_of("graph { %t = placeholder token %x = placeholder %u, %r = higher_order.with_effects(%t, "
                    "op(aten.relu), %x) "
                    "%v, %n = higher_order.with_effects(%u, op(higher_order.print), \"{} and {{{0}}}\", 7) "
                    "%w, %a = higher_order.with_effects(%v, op(aten.add.Tensor), %r, 2, 3) return %v, %a }");
  for (es::node n : es::nodes(g))
    if (n.name() == "w" || (n.num_results() && n.result().name() == "w"))
      g.set_origin(n.id(), es::detail::note::args, ":1,:1,:1,:1,alpha:2");
  std::ostringstream text;
  auto* old = std::cout.rdbuf(text.rdbuf());
  std::vector<c10::IValue> out;
  try {
    out = es::interpreter(g).run({c10::IValue(), at::full({2}, -1.0)});
  } catch (...) {
    std::cout.rdbuf(old);
    throw;
  }
  std::cout.rdbuf(old);
  CHECK(text.str() == "7 and {7}\n");
  CHECK(out[0].isNone());
  CHECK(at::equal(out[1].toTensor(), at::full({2}, 6.0)));
}

TEST_CASE("associative_scan: running sums of the slices") {
  auto g = graph_of(
      "graph { graph @f { %a = placeholder %b = placeholder %r = aten.add.Tensor(%a, %b) return %r } %x = "
      "placeholder [%y] = higher_order.associative_scan(@f, [%x], []) return %y }");
  const auto x = at::rand({5, 3});
  CHECK(at::allclose(es::interpreter(g).run({x})[0].toTensor(), x.cumsum(0)));
  CHECK(es::interpreter(g).run({at::rand({0, 3})})[0].toTensor().size(0) == 0);
}

TEST_CASE("a custom object whose class is registered: opened, and its methods called") {
  auto p = program_of("graph { %x = placeholder : f32[2] %y = higher_order.call_torchbind(%x, \"add\", %x, "
                      "3) : f32[2] return "
                      "%y }");
  auto text = std::string("graph { %o = placeholder custom_obj %x = placeholder : f32[2] %y = "
                          "higher_order.call_torchbind(%o, \"add\", %x, 3) : f32[2] return %y }");
  es::program_info info(std::as_const(p).info());
  es::input_spec o;
  o.kind = es::input_kind::custom_obj;
  o.arg.form = es::io_form::custom_object;
  o.arg.name = "o";
  o.arg.class_name = "__torch__.torch.classes.espalier_program_test.counter";
  o.target = "counter";
  info.signature.inputs.insert(info.signature.inputs.begin(), o);
  es::exported_program<es::training_ir> q(es::graph<es::training_ir>(graph_of(text.c_str())), info);
  CHECK(has(error_of([&] { q({at::zeros({2})}); }).what(), "the object 'counter' is missing"));
  const auto bytes = torch::jit::pickle_save(c10::IValue(c10::make_intrusive<counter>(4)));
  es::pt2::payload object;
  const auto* data = reinterpret_cast<const std::byte*>(bytes.data());
  object.bytes = es::shared_bytes::own(es::vector<std::byte>(data, data + bytes.size()));
  object.meta.use_pickle = true;
  q.objects().add("counter", std::move(object));
  CHECK(at::equal(q({at::zeros({2})})[0].toTensor(), at::full({2}, 12.0)));
}

TEST_CASE("what cannot be run is refused when the graph is prepared, with a cure") {
  const auto refused = [](const char* text) {
    const auto g = graph_of(text);
    return error_of([&] { const es::interpreter run(g); });
  };
  const auto flex = refused("graph { %x = placeholder %y = higher_order.flex_attention(%x) return %y }");
  CHECK(flex.kind() == es::error_kind::unsupported);
  CHECK(has(flex.what(), "flex_attention"));
  CHECK(has(flex.cure(), "scaled_dot_product_attention"));
  const auto triton =
      refused("graph { %x = placeholder %y = higher_order.triton_kernel_wrapper_functional(%x) return %y }");
  CHECK(has(triton.cure(), "Triton"));
  const auto unknown =
      refused("graph { %x = placeholder %n, %y = higher_order.auto_functionalized(op(nowhere.inc), %x) "
              "return %y }");
  CHECK(has(unknown.what(), "nowhere::inc"));
  CHECK(has(unknown.cure(), "load the library that registers"));
}
