// SPDX-License-Identifier: BSL-1.0
// A graph against its signature: what agrees passes, and every kind of disagreement is named.
#include <espalier/ir/text_parser.hpp>
#include <espalier/signature/refresh.hpp>
#include <espalier/signature/verify.hpp>

#include <doctest/doctest.h>

#include <string>

namespace es = espalier;

namespace {

struct fixture {
  es::graph_storage g =
      es::parse_text("graph { %p_w = placeholder parameter %b_m = placeholder buffer %x = placeholder "
                     "%add = aten.add.Tensor(%b_m, 1) %relu = aten.relu(%x) return %add, %relu, 3 }")
          .graph;
  es::program_info info;
  fixture() {
    auto& s = info.signature;
    s.inputs = {{es::input_kind::parameter, {es::io_form::tensor, "p_w", {}, {}}, "w", true},
                {es::input_kind::buffer, {es::io_form::tensor, "b_m", {}, {}}, "m", true},
                {es::input_kind::user_input, {es::io_form::tensor, "x", {}, {}}, "", true}};
    s.outputs = {{es::output_kind::buffer_mutation, {es::io_form::tensor, "add", {}, {}}, "m"},
                 {es::output_kind::user_output, {es::io_form::tensor, "relu", {}, {}}, ""},
                 {es::output_kind::user_output, {es::io_form::constant, "", std::int64_t{3}, {}}, ""}};
  }
  std::string first() const {
    const auto found = es::verify_signature(g, info, true);
    for (auto& d : found)
      CHECK(!d.cure.empty());
    return found.empty() ? "" : es::to_string(found.front());
  }
};

} // namespace

TEST_CASE_FIXTURE(fixture, "a sound signature") { CHECK(first() == ""); }
TEST_CASE_FIXTURE(fixture, "counts") {
  info.signature.inputs.pop_back();
  CHECK(first().find("the graph has 3, the signature 2") != std::string::npos);
}
TEST_CASE_FIXTURE(fixture, "names") {
  info.signature.inputs[2].arg.name = "y";
  CHECK(first().find("named 'x'") != std::string::npos);
  es::refresh_signature(g, info);
  CHECK(first() == "");
}
TEST_CASE_FIXTURE(fixture, "kinds") {
  info.signature.inputs[0].kind = es::input_kind::buffer;
  CHECK(first().find("the placeholder is a parameter") != std::string::npos);
}
TEST_CASE_FIXTURE(fixture, "targets") {
  info.signature.outputs[0].target = "other";
  CHECK(first().find("written to 'other'") != std::string::npos);
}
TEST_CASE_FIXTURE(fixture, "order of outputs") {
  std::swap(info.signature.outputs[0], info.signature.outputs[1]);
  CHECK(first().find("gives 'add'") != std::string::npos);
  bool late = false;
  for (auto& d : es::verify_signature(g, info))
    late = late || d.what.find("too late") != std::string::npos;
  CHECK(late);
}
TEST_CASE_FIXTURE(fixture, "prefixes") {
  g.set_name(g.first(), "w");
  es::refresh_signature(g, info);
  CHECK(first().find("begins with 'p_'") != std::string::npos);
  CHECK(es::verify_signature(g, info, false).empty());
}
TEST_CASE_FIXTURE(fixture, "module calls name values of the graph") {
  info.module_calls.push_back({"sub", es::module_call_signature{}});
  info.module_calls[0].signature->inputs.push_back({es::io_form::tensor, "gone", {}, {}});
  CHECK(first().find("'gone' is no value") != std::string::npos);
}
