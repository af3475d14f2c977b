// SPDX-License-Identifier: BSL-1.0
// Lifting and unlifting on the ground floor: both ways on the corpus, names and orders, the refusals.
#include "../archive/corpus.hpp"
#include "specs.hpp"

#include <espalier/archive/loaded_program.hpp>
#include <espalier/ir/diff.hpp>
#include <espalier/ir/text_parser.hpp>
#include <espalier/ir/verify.hpp>
#include <espalier/passes/unlift.hpp>
#include <espalier/signature/lift.hpp>

#include <doctest/doctest.h>

#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace es = espalier;
using specs::input;
using specs::output;

namespace {

std::string text(const es::graph_storage& g) { return es::to_text(g, "training_ir"); }
std::string same(std::string_view t) { return text(es::parse_text(t).graph); }
std::size_t faults(const es::graph_storage& g, const es::program_info& info) {
  return es::verify<es::torch_ir>(g, {.require_meta = false}).size() + es::verify_signature(g, info).size();
}

} // namespace

TEST_CASE("state becomes attributes, and writes to it copy_, in the order of the outputs") {
  using ik = es::input_kind;
  using ok = es::output_kind;
  auto g = es::parse_text("graph { %p_w = placeholder parameter : f32[2] %b_n = placeholder buffer : f32[2] "
                          "%c_k = placeholder constant_tensor : f32[2] %x = placeholder : f32[2] %a = "
                          "aten.mul.Tensor(%x, %p_w) : f32[2] %m = aten.add.Tensor(%b_n, %c_k) : f32[2] %y = "
                          "aten.neg(%a) : f32[2] return %m, %y, %a, %m }")
               .graph;
  es::program_info info;
  info.signature.inputs = {input(ik::parameter, "p_w", "layer.w"), input(ik::buffer, "b_n", "n"),
                           input(ik::constant_tensor, "c_k", "k"), input(ik::user_input, "x")};
  info.signature.outputs = {output(ok::buffer_mutation, "m", "n"), output(ok::user_input_mutation, "y", "x"),
                            output(ok::user_output, "a"), output(ok::user_output, "m")};
  es::module_call_entry layer;
  layer.fqn = "layer";
  layer.signature.emplace();
  es::io_argument weight;
  weight.name = "p_w";
  layer.signature->inputs = {weight};
  info.module_calls.push_back(layer);
  REQUIRE(faults(g, info) == 0);
  const auto lifted = g;
  CHECK(es::unlift_attributes(g, info) == 3);
  CHECK(
      text(g) ==
      same("graph { %x = placeholder : f32[2] %layer_w = get_attr \"layer.w\" : f32[2] %n = get_attr \"n\" : "
           "f32[2] %k = get_attr \"k\" : f32[2] %a = aten.mul.Tensor(%x, %layer_w) : f32[2] %m = "
           "aten.add.Tensor(%n, %k) : f32[2] %y = aten.neg(%a) : f32[2] %copy_ = aten.copy_(%n, %m) : f32[2] "
           "%copy__1 = aten.copy_(%x, %y) : f32[2] return %a, %copy_ }"));
  CHECK(faults(g, info) == 0);
  REQUIRE(info.signature.inputs.size() == 1);
  CHECK(info.signature.inputs[0].arg.name == "x");
  REQUIRE(info.signature.outputs.size() == 2);
  CHECK(info.signature.outputs[1].arg.name == "copy_");
  CHECK(info.module_calls[0].signature->inputs[0].name == "layer_w");
  CHECK(es::unlift_attributes(g, info) == 0); // nothing is left to do

  const auto meta = lifted.meta(lifted.result(lifted.first()));
  const auto find = [&](std::string_view name) -> std::optional<es::attribute_info> {
    const auto kind = name == "n" ? ik::buffer : name == "k" ? ik::constant_tensor : ik::parameter;
    return es::attribute_info{kind, meta};
  };
  CHECK(es::lift_attributes(g, info, find) == 3);
  CHECK(
      text(g) ==
      same("graph { %p_layer_w = placeholder parameter : f32[2] %b_n = placeholder buffer : f32[2] %c_k = "
           "placeholder constant_tensor : f32[2] %x = placeholder : f32[2] %a = aten.mul.Tensor(%x, "
           "%p_layer_w) : f32[2] %m = aten.add.Tensor(%b_n, %c_k) : f32[2] %y = aten.neg(%a) : f32[2] %copy_ "
           "= aten.copy_(%b_n, %m) : f32[2] %copy__1 = aten.copy_(%x, %y) : f32[2] return %a, %copy_ }"));
  CHECK(faults(g, info) == 0);
  CHECK(info.module_calls[0].signature->inputs[0].name == "p_layer_w");
  CHECK(es::lift_attributes(g, info, find) == 0);
}

TEST_CASE("what an earlier write would change is cloned before the writes, and nothing else") {
  using ik = es::input_kind;
  using ok = es::output_kind;
  const auto unlifted = [](const char* graph, es::vector<es::output_spec> outputs) {
    auto g = es::parse_text(std::string("graph { %b_a = placeholder buffer : f32[2, 2] %b_b = placeholder "
                                        "buffer : f32[2, 2] %x = placeholder : f32[2, 2] ") +
                            graph + " }")
                 .graph;
    es::program_info info;
    info.signature.inputs = {input(ik::buffer, "b_a", "a"), input(ik::buffer, "b_b", "b"),
                             input(ik::user_input, "x")};
    info.signature.outputs = std::move(outputs);
    CHECK(es::unlift_attributes(g, info) == 2);
    CHECK(faults(g, info) == 0);
    std::string calls;
    for (es::node n : es::nodes(g))
      if (n.is_call()) {
        calls += std::string(n.name()) + "(";
        for (std::size_t i = 0; i != n.num_args(); ++i)
          calls += (i ? " " : "") + (n.arg(i).is_value() ? std::string(n.arg(i).as_value().name()) : "_");
        calls += ") ";
      }
    return calls;
  };
  const auto a = output(ok::buffer_mutation, "", "a"), b = output(ok::buffer_mutation, "", "b"),
             x = output(ok::user_input_mutation, "", "x");
  CHECK(unlifted("return %b_b, %b_a", {a, b}) == "clone(a) copy_(a b) copy__1(b clone) ");
  CHECK(unlifted("%t = aten.t(%b_b) return %t, %b_a", {a, b}) ==
        "t(b) clone(a) copy_(a t) copy__1(b clone) ");
  CHECK(unlifted("%t = aten.t(%b_a) return %t", {a}) == "t(a) clone(t) copy_(a clone) "); // into itself
  CHECK(unlifted("%n = aten.neg(%b_a) return %x, %n", {a, b}) == "n(a) copy_(a x) copy__1(b n) ");
  CHECK(unlifted("return %b_a, %x", {b, a}) == "copy_(b a) copy__1(a x) "); // read before it is written
  CHECK(unlifted("%n = aten.neg_(%b_b) return %x, %n", {a, b}) == "n(b) copy_(a x) copy__1(b n) ");
  // two buffers may be one tensor
  CHECK(unlifted("return %x, %b_a", {b, x}) == "clone(a) copy_(b x) copy__1(x clone) ");
}

TEST_CASE("every program of the corpus is unlifted and lifted again") {
  for (const auto& file : corpus::archives())
    for (auto& p : es::load_programs(file.string()).programs) {
      INFO(file.string());
      const auto before = p.graph;
      const auto before_info = p.info;
      const std::size_t were = faults(p.graph, p.info);
      std::map<std::string, es::attribute_info, std::less<>> known;
      std::size_t state = 0, writes = 0;
      for (std::size_t i = 0; i != p.info.signature.inputs.size(); ++i) {
        const auto& s = p.info.signature.inputs[i];
        if (!es::detail::is_state(s.kind))
          continue;
        ++state;
        known[s.target] = {s.kind, before.meta(es::placeholders(before)[i].result().id())};
      }
      for (const auto& o : p.info.signature.outputs)
        writes += es::detail::is_mutation(o.kind);
      CHECK(es::unlift_attributes(p.graph, p.info) == state);
      CHECK(faults(p.graph, p.info) == were);
      CHECK(p.graph.num_nodes() == before.num_nodes() + writes);
      const auto added = es::lift_attributes(
          p.graph, p.info, [&](std::string_view name) -> std::optional<es::attribute_info> {
            const auto at = known.find(name);
            return at == known.end() ? std::nullopt : std::optional(at->second);
          });
      CHECK(added == known.size());
      CHECK(faults(p.graph, p.info) == were);
      if (writes == 0 && known.size() == state) {
        CHECK(es::diff(before, p.graph).text() == "no difference\n");
        CHECK(p.info.signature.count(es::input_kind::parameter) ==
              before_info.signature.count(es::input_kind::parameter));
      }
    }
}

TEST_CASE("what is not known is refused, and nothing has changed") {
  es::program_info info;
  auto g = es::parse_text("graph { %k = get_attr \"k\" return %k }").graph;
  info.signature.outputs = {output(es::output_kind::user_output, "k")};
  const auto nobody = [](std::string_view) -> std::optional<es::attribute_info> { return std::nullopt; };
  const auto before = text(g);
  CHECK_THROWS_WITH(es::lift_attributes(g, info, nobody), doctest::Contains("'k', which is nowhere"));
  CHECK(text(g) == before);
  info.signature.outputs[0].kind = es::output_kind::buffer_mutation;
  info.signature.outputs[0].target = "b";
  CHECK_THROWS_WITH(es::unlift_attributes(g, info), doctest::Contains("written to 'b', which is no input"));
  CHECK(text(g) == before);
}
