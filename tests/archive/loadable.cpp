// SPDX-License-Identifier: BSL-1.0
// Programs whose calls of subgraphs Python refuses are not saved, and the error says what to do; those that
// it takes are.
#include <espalier/archive/loaded_program.hpp>
#include <espalier/ir/text_parser.hpp>

#include <doctest/doctest.h>

#include <sstream>
#include <string>
#include <string_view>
#include <utility>

namespace es = espalier;

namespace {

/// What saving says of a call of a graph with this body; nothing when it saves.
std::string refusal(std::string_view body, std::string_view call, std::string_view grad = "{requires_grad}") {
  auto parsed =
      es::parse_text("graph { graph @block { %n = placeholder : f32[4] %x = placeholder : f32[4] " +
                     std::string(body) + " } %b_n = placeholder buffer : f32[4] %x = placeholder : f32[4]" +
                     std::string(grad) + " " + std::string(call) + " return %x }");
  es::loaded_program p;
  p.graph = std::move(parsed.graph);
  es::input_spec s;
  s.kind = es::input_kind::buffer;
  s.arg.name = "b_n";
  s.target = "n";
  p.info.signature.inputs.push_back(s);
  s = {};
  s.arg.name = "x";
  p.info.signature.inputs.push_back(s);
  std::stringstream file;
  try {
    es::save_program(p, file);
  } catch (const es::error& e) {
    CHECK(e.kind() == es::error_kind::unsupported);
    CHECK(e.place().find("call") != std::string::npos);
    CHECK(e.cure().find("inline_subgraphs") != std::string::npos);
    CHECK(file.str().empty());
    return e.cause();
  }
  CHECK(!file.str().empty());
  return {};
}
constexpr std::string_view call =
    "%call: [%r] = higher_order.invoke_subgraph(@block, \"block\", %b_n, %x) : f32[4]";
bool has(const std::string& s, std::string_view part) { return s.find(part) != s.npos; }

} // namespace

TEST_CASE("a call of a graph that writes to a buffer, in a program that trains, is not saved") {
  const std::string_view write =
      "%w = aten.add_.Tensor(%n, 1) : f32[4] %y = aten.add.Tensor(%x, %n) : f32[4] return %y";
  CHECK(has(refusal(write, call), "'w'"));
  CHECK(has(refusal("%v = aten.view(%n, [2, 2]) : f32[2, 2] %w = aten.zero_(%v) : f32[2, 2] %y = "
                    "aten.neg(%x) : f32[4] return %y",
                    call),
            "'w'"));
  CHECK(refusal(write, call, "").empty()); // without gradients Python runs it
}
TEST_CASE("a call without results is not saved") {
  CHECK(has(refusal("%w = aten.add_.Tensor(%n, 1) : f32[4] return",
                    "%call: [] = higher_order.invoke_subgraph(@block, \"block\", %b_n, %x)", ""),
            "no result"));
}
TEST_CASE("a call of an `aten` operator that ATen does not have is not saved, in a subgraph neither") {
  for (const std::string_view text :
       {"graph { %x = placeholder : f32[4] %y = aten.rely(%x) : f32[4] return %y }",
        "graph { graph @block { %x = placeholder : f32[4] %y = aten.rely(%x) : f32[4] return %y } "
        "%x = placeholder : f32[4] [%r] = higher_order.invoke_subgraph(@block, \"block\", %x) : f32[4] "
        "return %r }"}) {
    es::loaded_program p;
    p.graph = es::parse_text(text).graph;
    std::stringstream file;
    try {
      es::save_program(p, file);
      FAIL("it was saved");
    } catch (const es::error& e) {
      CHECK(e.kind() == es::error_kind::unsupported);
      CHECK(e.place().find("aten::rely") != std::string::npos);
      CHECK(e.cure().starts_with("write aten::relu, or "));
    }
  }
}
TEST_CASE("calls of other graphs are saved") {
  CHECK(refusal("%y = aten.add.Tensor(%x, %n) : f32[4] return %y", call).empty());
  // memory of its own
  CHECK(refusal("%a = aten.neg(%x) : f32[4] %y = aten.relu_(%a) : f32[4] return %y", call).empty());
}
