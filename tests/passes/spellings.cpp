// SPDX-License-Identifier: BSL-1.0
// Spellings that raise and lower_spellings leave alone: where the other one would mean something else, or
// where nobody can tell; and with sizes that are symbols.
#include "laws.hpp"

#include <espalier/ir/text_parser.hpp>
#include <espalier/passes/lower_spellings.hpp>
#include <espalier/passes/raise.hpp>

#include <doctest/doctest.h>

#include <string>
#include <string_view>

namespace es = espalier;

namespace {

std::string with(std::string_view type, std::string_view call) {
  return "graph { %x = placeholder : " + std::string(type) +
         " %y = placeholder : f64[2] %z = " + std::string(call) + " return %z }";
}
/// The graph after a pass: what stands between `%z = ` and the type.
template <class F>
std::string after(const F& run, std::string_view text) {
  auto g = es::parse_text(text).graph;
  run(g);
  CHECK(laws::sound(g, {}) == "");
  return laws::printed(g);
}
std::string raised(std::string_view type, std::string_view call) {
  return after([](es::graph_storage& g) { es::raise::run(g); }, with(type, call));
}
std::string lowered(std::string_view type, std::string_view call) {
  return after(
      [](es::graph_storage& g) {
        es::pass_context c;
        es::lower_spellings::run(g, c);
      },
      with(type, call));
}
std::string same(std::string_view type, std::string_view call) {
  return after([](es::graph_storage&) {}, with(type, call));
}
bool has(const std::string& s, std::string_view part) { return s.find(part) != s.npos; }

} // namespace

TEST_CASE("raise: what is no spelling of Python's stays") {
  const auto kept = [](std::string_view type, std::string_view call) {
    CAPTURE(call);
    CHECK(raised(type, call) == same(type, call));
  };
  kept("f32[2, 3]", "aten._pad_enum(%x, [1, 1], 4) : f32[2, 5]"); // no such mode
  kept("f32[2, 3]", "aten.var.correction(%x, None) : f32[]");
  kept("f32[2, 3]", "aten.var.correction(%x) : f32[]");
  kept("f32[2, 3]", "aten.std.correction(%x, [1], correction=1) : f32[2]"); // Python's own
  kept("i64[2, 3]", "aten.norm.Scalar(%x) : f32[]");                        // fails in its own words
  kept("f32[2, 3]{layout=sparse_coo}", "aten.norm.Scalar(%x) : f32[]");
  kept("f32[2, 3]", "aten.to.dtype_layout(%x, dtype=f64, layout=layout.sparse_coo) : f64[2, 3]");
  kept("f32[2, 3]", "aten.to.dtype_layout(%x, dtype=f64, pin_memory=True) : f64[2, 3]");
  kept("f32[2, 3]",
       "aten.to.dtype_layout(%x, dtype=f32, layout=layout.strided, device=device(\"cpu\")) : f32[2, 3]");
  kept("f32[1, 2, 4, 4]", "aten.upsample_nearest2d(%x, [8, 8], 2.0) : f32[1, 2, 8, 8]"); // one scale of two
  kept("f32[1, 2, 4, 4]", "aten.upsample_nearest2d(%x, [8, 9], 2.0, 2.0) : f32[1, 2, 8, 9]"); // not its sizes
  kept("f32[1, 2, s0, 4]", "aten.upsample_nearest2d(%x, [8, 8], 2.0, 2.0) : f32[1, 2, 8, 8]");
  kept("f32[2]", "aten.sub.Tensor(%y, %x) : f64[2]");
}

TEST_CASE("raise: rows that take no more than part of a call's arguments") {
  const auto cast = raised("f32[2, 3]", "aten.to.dtype_layout(%x, dtype=f64, copy=True) : f64[2, 3]");
  CAPTURE(cast);
  CHECK(has(cast, "aten.to.dtype(%x, f64, False, True)"));
  CHECK(has(raised("f32[2, 3]", "aten.to.dtype_layout(%x, dtype=f64, layout=layout.strided, "
                                "device=device(\"cuda:0\")) : f64[2, 3]{device=\"cuda:0\"}"),
            "aten.to.device(%x, device(\"cuda:0\"), f64)"));
  CHECK(has(raised("f32[2, 3]", "aten.norm.ScalarOpt_dim(%x, None, [1]) : f32[2]"),
            "aten.linalg_vector_norm.default(%x, 2, [1])"));
  CHECK(has(raised("f32[1, 2, s0, s1]", "aten.upsample_nearest2d(%x, [8, 9]) : f32[1, 2, 8, 9]"),
            "aten.upsample_nearest2d.vec(%x, [8, 9], None)"));
}

TEST_CASE("a number that was filled into a tensor of another kind than x is no rsub") {
  const auto text = [](std::string_view arguments, std::string_view type) {
    return "graph { %x = placeholder : f32[2, 3] %e = aten.empty_like(%x" + std::string(arguments) +
           ") : " + std::string(type) + " %f = aten.fill_.Scalar(%e, 1) : " + std::string(type) +
           " %y = aten.sub_.Tensor(%f, %x) : " + std::string(type) + " return %y }";
  };
  const auto run = [](es::graph_storage& g) { es::raise::run(g); };
  CHECK(has(after(run, text("", "f32[2, 3]")), "aten.rsub.Scalar(%x, 1)"));
  CHECK_FALSE(has(after(run, text(", dtype=f64", "f64[2, 3]")), "rsub"));
  CHECK_FALSE(has(
      after(run, text(", memory_format=memory_format.channels_last", "f32[2, 3]{strides=[1, 2]}")), "rsub"));
}

TEST_CASE("lower_spellings: what C++ does not say otherwise stays") {
  const auto kept = [](std::string_view type, std::string_view call) {
    CAPTURE(call);
    CHECK(lowered(type, call) == same(type, call));
  };
  kept("f32[2, 3]", "aten.var.dim(%x, [1], False) : f32[2]");
  kept("f32[2, 3]", "aten.rsub.Scalar(%x, 1, 2) : f32[2, 3]");
  kept("b8[2, 3]", "aten.rsub.Scalar(%x, 1) : i64[2, 3]");
  kept("i64[2, 3]", "aten.rsub.Scalar(%x, 0.5) : f32[2, 3]");
  kept("f32[2, 3]{strides=[0, 1]}", "aten.rsub.Scalar(%x, 0.5) : f32[2, 3]"); // full_like would be dense
  kept("f32[2, 3]", "aten.linalg_vector_norm(%x, 2, [1], dtype=f64) : f64[2]");
  kept("f32[1, 2, s0, 4]", "aten.upsample_nearest2d.vec(%x, None, [2.0, 2.0]) : f32[1, 2, 2*s0, 8]");
  CHECK(has(lowered("f32[2, s0]", "aten.rsub.Scalar(%x, 0.5) : f32[2, s0]"),
            "aten.full_like.default(%x, 0.5)"));
}
