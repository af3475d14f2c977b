// SPDX-License-Identifier: BSL-1.0
// Conversion between archive structs and graphs: what deviates from what our writer would choose is kept,
// what contradicts itself is refused with the place.
#include <espalier/archive/from_archive.hpp>
#include <espalier/archive/schema_json.hpp>
#include <espalier/archive/to_archive.hpp>
#include <espalier/archive/tree_spec_json.hpp>
#include <espalier/ir/graph.hpp>
#include <espalier/ir/view.hpp>
#include <espalier/schema/aten.hpp>

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

namespace es = espalier;

namespace {

constexpr std::string_view meta =
    R"({"dtype": 7, "sizes": [{"as_int": 2}], "requires_grad": false, "device": {"type": "cpu", "index": null}, "strides": [{"as_int": 1}], "storage_offset": {"as_int": 0}, "layout": 7})";

/// A program of one input `x` and the given nodes; `y` is its output.
std::string program(std::string nodes, std::string tensors = "", std::string tail = "",
                    std::string outputs = R"([{"as_tensor": {"name": "y"}}])") {
  std::string s =
      R"({"graph_module": {"graph": {"inputs": [{"as_tensor": {"name": "x"}}], "outputs": )" + outputs +
      R"(, "nodes": [)" + nodes + R"(], "tensor_values": {"x": )" + std::string(meta) + tensors +
      R"(}, "sym_int_values": {}, "sym_bool_values": {}, "is_single_tensor_return": false, "custom_obj_values": {}, "sym_float_values": {}}, )" +
      R"("signature": {"input_specs": [{"user_input": {"arg": {"as_tensor": {"name": "x"}}}}], "output_specs": [{"user_output": {"arg": {"as_tensor": {"name": "y"}}}}]}, )" +
      R"("module_call_graph": [], "metadata": {}, "treespec_namedtuple_fields": {}}, "opset_version": {"aten": 10}, "range_constraints": {}, "schema_version": {"major": 8, "minor": 20}, )" +
      R"("verifiers": ["TRAINING"], "torch_version": "2.15.0", "guards_code": [])" + tail + "}";
  return s;
}
std::string node(std::string target, std::string inputs,
                 std::string rest = R"(, "metadata": {}, "is_hop_single_tensor_return": null, "name": "y")") {
  return R"({"target": ")" + target + R"(", "inputs": [)" + inputs +
         R"(], "outputs": [{"as_tensor": {"name": "y"}}])" + rest + "}";
}
std::string y() { return R"(, "y": )" + std::string(meta); }

void round_trip(const std::string& text) {
  CAPTURE(text);
  const auto p = es::pt2::from_json<es::pt2::exported_program>(text);
  const std::string before = es::pt2::to_json(p);
  auto g = es::from_archive(p);
  CHECK(es::pt2::to_json(es::to_archive(g.graph, g.info)) == before);
}
std::string refusal(const std::string& text) {
  try {
    es::from_archive(es::pt2::from_json<es::pt2::exported_program>(text));
  } catch (const es::error& e) {
    CHECK(e.kind() == es::error_kind::archive);
    CHECK(!e.cure().empty());
    return e.what();
  }
  return "";
}
es::value_id value_named(const es::graph_storage& g, std::string_view name) {
  for (es::node n : es::nodes(g))
    if (n.name() == name)
      return n.result().id();
  return {};
}
const std::string x = R"({"name": "self", "arg": {"as_tensor": {"name": "x"}}, "kind": 1})";

} // namespace

TEST_CASE("unusual forms survive") {
  SUBCASE("a positional argument given by keyword") {
    round_trip(program(node("torch.ops.aten.sum.dim_IntList",
                            x + R"(, {"name": "dim", "arg": {"as_ints": [0]}, "kind": 2})"),
                       y()));
  }
  SUBCASE("arguments out of order, and without a kind") {
    round_trip(program(node("torch.ops.aten.add.Tensor",
                            R"({"name": "other", "arg": {"as_float": 1.0}, "kind": null}, )" + x),
                       y()));
  }
  SUBCASE("an argument that the schema does not know") {
    round_trip(program(node("torch.ops.aten.relu.default",
                            x + R"(, {"name": "newer", "arg": {"as_bool": true}, "kind": 2})"),
                       y()));
  }
  SUBCASE("an operator without a schema") {
    round_trip(program(
        node("torch.ops.mine.thing.default", x + R"(, {"name": "k", "arg": {"as_int": 3}, "kind": 1})"),
        y()));
  }
  SUBCASE("targets of a serialization extension, and of no known shape") {
    round_trip(program(node("#mine:thing", x), y()));
    round_trip(program(node("what", x), y()));
    round_trip(program(node("torch.ops.", x), y()));
  }
  SUBCASE("a symbolic list of constants only") {
    round_trip(program(
        node("torch.ops.aten.view.default",
             x + R"(, {"name": "size", "arg": {"as_sym_ints": [{"as_int": 2}, {"as_int": 1}]}, "kind": 1})"),
        y()));
  }
  SUBCASE("empty lists by schema, and of another kind") {
    round_trip(program(node("torch.ops.aten.permute.default",
                            x + R"(, {"name": "dims", "arg": {"as_ints": []}, "kind": 1})"),
                       y()));
    round_trip(program(node("torch.ops.aten.permute.default",
                            x + R"(, {"name": "dims", "arg": {"as_tensors": []}, "kind": 1})"),
                       y()));
  }
  SUBCASE("optional tensors") {
    round_trip(program(
        node(
            "torch.ops.aten.index.Tensor",
            x + R"(, {"name": "indices", "arg": {"as_optional_tensors": [{"as_none": true}, {"as_tensor": {"name": "x"}}]}, "kind": 1})"),
        y()));
    round_trip(program(
        node(
            "torch.ops.aten.index.Tensor",
            x + R"(, {"name": "indices", "arg": {"as_optional_tensors": [{"as_tensor": {"name": "x"}}]}, "kind": 1})"),
        y()));
  }
  SUBCASE("nested lists, a complex number, an operator, a dict") {
    round_trip(program(
        node(
            "torch.ops.mine.many.default",
            x + R"(, {"name": "a", "arg": {"as_int_lists": [[1, 2], [], [3]]}, "kind": 1})"
                R"(, {"name": "b", "arg": {"as_complex": {"real": 1.5, "imag": -2.0}}, "kind": 1})"
                R"(, {"name": "c", "arg": {"as_operator": "torch.ops.aten.add.Tensor"}, "kind": 1})"
                R"(, {"name": "d", "arg": {"as_string_to_argument": {"k": {"as_int": 1}, "t": {"as_tensor": {"name": "x"}}}}, "kind": 1})"
                R"(, {"name": "e", "arg": {"as_nested_tensors": [[{"name": "x"}], [{"name": "x"}, {"name": "x"}]]}, "kind": 1})"),
        y()));
  }
  SUBCASE("an unknown member of the argument union") {
    round_trip(program(node("torch.ops.mine.thing.default",
                            x + R"(, {"name": "q", "arg": {"as_quaternion": [1, 2, 3, 4]}, "kind": 1})"),
                       y()));
  }
  SUBCASE("members of a newer schema") {
    round_trip(program(
        node(
            "torch.ops.aten.relu.default", x,
            R"(, "metadata": {"stack_trace": "here", "mine": "kept"}, "is_hop_single_tensor_return": null, "name": "y", "priority": {"a": [1]})"),
        y(), R"(, "newest": {"deep": [1, 2, {"x": null}]})"));
  }
  SUBCASE("an old file without node names") {
    const auto p = es::pt2::from_json<es::pt2::exported_program>(
        program(R"({"target": "torch.ops.aten.relu.default", "inputs": [)" + x +
                    R"(], "outputs": [{"as_tensor": {"name": "y"}}], "metadata": {}})",
                y()));
    auto g = es::from_archive(p);
    CHECK(es::pt2::to_json(es::to_archive(g.graph, g.info)) == es::pt2::to_json(p));
  }
}

TEST_CASE("entries of values that no node computes survive, each in its table and at its place") {
  const auto with = [](std::string text, std::string_view table, std::string_view entries) {
    const std::string head = "\"" + std::string(table) + "\": {";
    return text.insert(text.find(head) + head.size(), entries);
  };
  const std::string relu = node("torch.ops.aten.relu.default", x), m(meta), plain = program(relu, y());
  const std::string u0 = R"x({"as_expr": {"expr_str": "Symbol('u0', integer=True)", "hint": null}})x";
  round_trip(program(relu, R"(, "ghost": )" + m + y() + R"(, "last": )" + m + R"(, "y/#,": )" + m));
  round_trip(with(plain, "tensor_values", R"("first": )" + m + ", "));
  round_trip(with(plain, "sym_int_values", R"("u0": )" + u0 + R"(, "n": {"as_int": 3}, "x": {"as_int": 2})"));
  round_trip(with(plain, "sym_bool_values", R"("b": {"as_bool": true}, "later": {"as_trit": 2})"));
  round_trip(with(plain, "sym_float_values", R"("f": {"as_float": 0.5}, "g": )" + u0));
  round_trip(with(plain, "custom_obj_values", R"("o": {"name": "o", "class_fqn": "c", "newer": 1})"));

  SUBCASE("a value of that name that a pass makes has its own entry") {
    auto g = es::from_archive(es::pt2::from_json<es::pt2::exported_program>(
        program(relu, R"(, "ghost": )" + m + y() + R"(, "other": )" + m)));
    g.graph.set_value_name(value_named(g.graph, "y"), "ghost");
    const auto p = es::to_archive(g.graph, g.info);
    const auto& entries = p.graph_module.graph.tensor_values.entries;
    REQUIRE(entries.size() == 3);
    CHECK(entries[1].key == "ghost");
    CHECK(entries[2].key == "other");
  }
}

TEST_CASE("what a newer schema says of expressions survives, and each hint of its own") {
  const auto meta_of = [](std::string expr) {
    std::string s(meta);
    return s.replace(s.find(R"({"as_int": 2})"), 13, R"({"as_expr": )" + expr + "}");
  };
  const std::string s0 = R"x({"expr_str": "Symbol('s0', positive=True, integer=True)", "hint": )x";
  const std::string relu = node("torch.ops.aten.relu.default", x);
  for (const char* rest : {
           R"({"as_int": 5}, "newer": {"deep": [1]}})",
           R"({"as_rational": [1, 2]}})",
           R"({"as_rational": [1, 2]}, "newer": null})",
           "null}",
       })
    round_trip(program(relu, R"(, "y": )" + meta_of(s0 + rest)));

  SUBCASE("one expression with several hints and spellings") {
    const std::string two = relu + R"(, {"target": "torch.ops.aten.relu.default", "inputs": [)" + x +
                            R"(], "outputs": [{"as_tensor": {"name": "z"}}], "metadata": {}, )" +
                            R"("is_hop_single_tensor_return": null, "name": "z"})";
    const auto pair = [&](const std::string& a, const std::string& b) {
      round_trip(program(two, R"(, "y": )" + meta_of(a) + R"(, "z": )" + meta_of(b)));
    };
    const std::string five = s0 + R"({"as_int": 5}})";
    pair(five, s0 + R"({"as_int": 6}})");
    pair(five, s0 + "null}");
    pair(s0 + R"({"as_int": 5}, "newer": 1})", s0 + R"({"as_int": 5}, "newer": 2})");
    pair(five, R"x({"expr_str": "Symbol('s0',positive=True,integer=True)", "hint": {"as_int": 5}})x");
  }
  SUBCASE("a meta that a pass has changed is written as it is now") {
    auto g = es::from_archive(es::pt2::from_json<es::pt2::exported_program>(
        program(relu, R"(, "y": )" + meta_of(s0 + R"({"as_int": 5}, "newer": 1})"))));
    g.graph.set_meta(value_named(g.graph, "y"), es::value_meta(es::make_meta(es::scalar_type::f32, {7})));
    const auto p = es::to_archive(g.graph, g.info);
    CHECK(p.graph_module.graph.tensor_values.find("y")->sizes.at(0).as_int() == 7);
  }
}

TEST_CASE("results: several, a list, a list among others, None") {
  const auto two =
      R"(, "a": )" + std::string(meta) + R"(, "b": )" + std::string(meta) + R"(, "y": )" + std::string(meta);
  const auto call = [&](std::string outputs) {
    return R"({"target": "torch.ops.mine.several.default", "inputs": [)" + x + R"(], "outputs": [)" +
           outputs + R"(], "metadata": {}, "is_hop_single_tensor_return": null, "name": "several"}, )" +
           R"({"target": "torch.ops.aten.relu.default", "inputs": [{"name": "self", "arg": {"as_tensor": {"name": "a"}}, "kind": 1}], "outputs": [{"as_tensor": {"name": "y"}}], "metadata": {}, "is_hop_single_tensor_return": null, "name": "y"})";
  };
  round_trip(program(call(R"({"as_tensor": {"name": "a"}}, {"as_tensor": {"name": "b"}})"), two));
  round_trip(program(call(R"({"as_tensors": [{"name": "a"}, {"name": "b"}]})"), two));
  round_trip(
      program(call(R"({"as_tensor": {"name": "b"}}, {"as_tensors": [{"name": "a"}]}, {"as_none": true})"),
              R"(, "b": )" + std::string(meta) + R"(, "a": )" + std::string(meta) + R"(, "y": )" +
                  std::string(meta)));
}

TEST_CASE("every kind of input and output of a signature survives") {
  const std::string literals[] = {R"({"as_none": true})", R"({"as_int": 3})", R"({"as_float": 0.5})",
                                  R"({"as_string": "s"})", R"({"as_bool": false})"};
  std::vector<std::string> args = {R"({"as_tensor": {"name": "v"}})", R"({"as_sym_int": {"as_name": "v"}})",
                                   R"({"as_sym_float": {"as_name": "v"}})",
                                   R"({"as_sym_bool": {"as_name": "v"}})",
                                   R"({"as_custom_obj": {"name": "v", "class_fqn": "c"}})"};
  args.insert(args.end(), std::begin(literals), std::end(literals));
  std::vector<std::string> inputs, outputs;
  for (const auto& a : args) {
    inputs.push_back(R"({"user_input": {"arg": )" + a + "}}");
    outputs.push_back(R"({"user_output": {"arg": )" + a + "}}");
  }
  for (const auto& l : literals)
    inputs.push_back(R"({"constant_input": {"name": "k", "value": )" + l + "}}");
  const std::string tensor = R"(": {"arg": {"name": "v"})";
  const auto named = [&](const char* kind, const char* target) {
    return "{\"" + std::string(kind) + tensor + ", \"" + target + "\": \"t\"}}";
  };
  inputs.push_back(named("parameter", "parameter_name"));
  for (const char* persistent : {"true", "false"})
    inputs.push_back("{\"buffer" + tensor + R"(, "buffer_name": "t", "persistent": )" + persistent + "}}");
  inputs.push_back(named("tensor_constant", "tensor_constant_name"));
  inputs.push_back(R"({"custom_obj": {"arg": {"name": "v", "class_fqn": "c"}, "custom_obj_name": "t"}})");
  inputs.push_back("{\"token" + tensor + "}}");
  outputs.push_back("{\"loss_output" + tensor + "}}");
  outputs.push_back("{\"token" + tensor + "}}");
  outputs.push_back(named("buffer_mutation", "buffer_name"));
  outputs.push_back(named("parameter_mutation", "parameter_name"));
  outputs.push_back(named("gradient_to_parameter", "parameter_name"));
  outputs.push_back(named("gradient_to_user_input", "user_input_name"));
  outputs.push_back(named("user_input_mutation", "user_input_name"));
  for (const auto& text : inputs)
    CHECK(es::pt2::to_json(es::detail::to_pt2(
              es::detail::spec_of(es::pt2::from_json<es::pt2::input_spec>(text), "here"))) == text);
  for (const auto& text : outputs)
    CHECK(es::pt2::to_json(es::detail::to_pt2(
              es::detail::spec_of(es::pt2::from_json<es::pt2::output_spec>(text), "here"))) == text);
  const auto strange =
      es::pt2::from_json<es::pt2::input_spec>(R"({"user_input": {"arg": {"as_ints": [1]}}})");
  CHECK_THROWS_WITH(es::detail::spec_of(strange, "here"), doctest::Contains("'as_ints'"));
}

TEST_CASE("contradictions are refused with the place") {
  CHECK(refusal(program(node("torch.ops.aten.relu.default",
                             R"({"name": "self", "arg": {"as_tensor": {"name": "nowhere"}}, "kind": 1})"),
                        y()))
            .find("'nowhere', which nothing before it computes") != std::string::npos);
  CHECK(refusal(program(node("torch.ops.aten.relu.default",
                             R"({"name": "self", "arg": {"as_tensor": {"name": "y"}}, "kind": 1})"),
                        y()))
            .find("'y' uses the value 'y'") != std::string::npos);
  CHECK(
      refusal(program(node("torch.ops.aten.relu.default", x) + ", " + node("torch.ops.aten.relu.default", x),
                      y()))
          .find("two values are named 'y'") != std::string::npos);
  CHECK(refusal(program(node("torch.ops.aten.relu.default", x + ", " + x), y())).find("'self' twice") !=
        std::string::npos);
  CHECK(refusal(program(node("torch.ops.aten.to.dtype",
                             x + R"(, {"name": "dtype", "arg": {"as_scalar_type": 4711}, "kind": 1})"),
                        y()))
            .find("4711") != std::string::npos);
}

TEST_CASE("a graph made here is written as Python would write it") {
  es::graph<es::core_aten> g;
  const es::value_meta m(es::make_meta(es::scalar_type::f32, {2, 3}));
  const auto a = g.placeholder("a", m);
  const auto sum = g.call<es::aten::add_Tensor>(a, a, es::kw<"alpha">(2));
  g.set_meta(sum.id(), m);
  const auto top = g.call<es::aten::max_dim>(sum, 1);
  g.set_meta(top[0].id(), es::value_meta(es::make_meta(es::scalar_type::f32, {2})));
  g.set_meta(top[1].id(), es::value_meta(es::make_meta(es::scalar_type::i64, {2})));
  g.output(top[0]);
  es::program_info info;
  es::input_spec in;
  in.arg.name = "a";
  info.signature.inputs.push_back(in);
  const auto p = es::to_archive(g, info);
  const auto& nodes = p.graph_module.graph.nodes;
  REQUIRE(nodes.size() == 2);
  CHECK(nodes[0].target == "torch.ops.aten.add.Tensor");
  REQUIRE(nodes[0].inputs.size() == 3);
  CHECK(nodes[0].inputs[2].name == "alpha");
  CHECK(nodes[0].inputs[2].kind == es::pt2::argument_kind::keyword);
  CHECK(nodes[0].inputs[1].kind == es::pt2::argument_kind::positional);
  REQUIRE(nodes[1].outputs.size() == 2);
  CHECK(nodes[1].name == "max_1");
  CHECK(nodes[1].outputs[0].as_tensor().name == "getitem");
  CHECK(nodes[1].outputs[1].as_tensor().name == "max_1_unused_1");
  CHECK(p.graph_module.graph.tensor_values.size() == 4);
}

TEST_CASE("hints of sizes made here follow from the symbols'") {
  es::graph<es::training_ir> g;
  const es::sym_int s0(es::parse_expr("s0"));
  const auto a = g.placeholder("a", es::value_meta(es::make_meta(es::scalar_type::f32, {s0})));
  const auto b = g.call<es::aten::cat>(es::vector<es::value>{a, a});
  g.set_meta(b.id(), es::value_meta(es::make_meta(es::scalar_type::f32, {s0 * 2})));
  g.output(b);
  es::program_info info;
  const auto hint_of = [&](const char* name) {
    const auto p = es::to_archive(g, info);
    const auto& size = p.graph_module.graph.tensor_values.find(name)->sizes.at(0).as_expr();
    return size.hint ? size.hint->as_int() : -1;
  };
  CHECK(hint_of("cat") == -1);
  es::set_symbol_hint(g, "Symbol('s0', positive=True, integer=True)", 5);
  CHECK(hint_of("a") == 5);
  CHECK(hint_of("cat") == 10);
}

TEST_CASE("tree specs keep their text") {
  for (
      const char* text :
      {R"([1, {"type": "builtins.tuple", "context": "null", "children_spec": [{"type": null, "context": null, "children_spec": []}, {"type": "builtins.dict", "context": "[\"a\", \"b \\u00e9\"]", "children_spec": []}]}])",
       R"([1, {"type": "mine.Point", "context": {"deep": [1, "]"]}, "children_spec": []}])",
       R"([1, {"type": null, "context": null, "children_spec": []}])"}) {
    CHECK(es::to_json(es::parse_tree_spec(text)) == text);
  }
  CHECK_THROWS_AS(es::parse_tree_spec("[2, {}]"), es::error);
  CHECK_THROWS_WITH(es::parse_tree_spec("[1, {\"type\": null, \"children_spec\": []}]", "here"),
                    doctest::Contains("here"));
  CHECK_THROWS_AS(es::parse_tree_spec("[1, {\"type\": null"), es::error);
  std::string deep = "[1, ";
  for (int i = 0; i != 10000; ++i)
    deep += R"({"type": "builtins.tuple", "context": "null", "children_spec": [)";
  CHECK_THROWS_AS(es::parse_tree_spec(deep), es::error);
}
