// SPDX-License-Identifier: BSL-1.0
// raise moves reads down to the last call that it replaces: never past somebody who writes to what is read.
#include <espalier/ir/hash.hpp>
#include <espalier/ir/text_parser.hpp>
#include <espalier/ir/verify.hpp>
#include <espalier/passes/lower_spellings.hpp>
#include <espalier/passes/raise.hpp>

#include <doctest/doctest.h>

#include <string>
#include <string_view>

namespace es = espalier;

namespace {

std::string same(std::string_view text) {
  const auto p = es::parse_text(text);
  return es::to_text(p.graph, p.dialect);
}
std::string raised(std::string_view text) {
  auto p = es::parse_text(text);
  es::raise::run(p.graph);
  CHECK_FALSE(es::raise::run(p.graph).changed());
  CHECK(es::verify<es::training_ir>(p.graph, {.require_meta = false}).empty());
  return es::to_text(p.graph, p.dialect);
}
bool has(const std::string& s, std::string_view part) { return s.find(part) != s.npos; }

/// A linear layer on `%x` with `matmul` and `add_`; what stands between is given.
std::string layer(std::string_view before_product, std::string_view after_product,
                  std::string_view kind = "placeholder") {
  return "graph { %w = placeholder parameter : f32[4, 3] %b = placeholder parameter : f32[4] %o = "
         "placeholder "
         "parameter : f32[4, 3] %x = " +
         std::string(kind) + " : f32[5, 2, 3] %z = placeholder : f32[5, 2, 3] %t = aten.t(%w) : f32[3, 4] " +
         std::string(before_product) + " %m = aten.matmul(%x, %t) : f32[5, 2, 4] " +
         std::string(after_product) + " %y = aten.add_.Tensor(%m, %b) : f32[5, 2, 4] return %y }";
}
/// The product may become a linear where it stands, before the write; the bias is added after it.
void check_not_moved(const std::string& out) {
  CAPTURE(out);
  const auto product = out.find("aten.linear.default(%x, %w)"), write = out.find("%q = "),
             sum = out.find("aten.add_.Tensor(%linear, %b)");
  CHECK(product < write);
  CHECK(write < sum);
  CHECK(sum != out.npos);
}
constexpr std::string_view linear = "aten.linear.default(%x, %w, %b)";

} // namespace

TEST_CASE("nothing between, or a write to other memory that nobody reads: raised") {
  CHECK(has(raised(layer("", "")), linear));
  CHECK(has(raised(layer("", "%r = aten.relu(%z) : f32[5, 2, 3]")), linear));
  // x is written after the layer
  CHECK(has(
      raised(
          "graph { %w = placeholder parameter : f32[4, 3] %b = placeholder parameter : f32[4] %x = "
          "placeholder : f32[5, 2, 3] %t = aten.t(%w) : f32[3, 4] %m = aten.matmul(%x, %t) : f32[5, 2, 4] %y "
          "= aten.add_.Tensor(%m, %b) : f32[5, 2, 4] %q = aten.zero_(%x) : f32[5, 2, 3] return %y }"),
      linear));
  // x is written before it
  CHECK(has(raised(layer("%q = aten.zero_(%x) : f32[5, 2, 3]", "")), linear));
}

TEST_CASE("a write to x between its read and add_: kept") {
  for (const char* write : {
           "%q = aten.zero_(%x) : f32[5, 2, 3]",
           "%v = aten.view(%x, [30]) : f32[30] %q = aten.zero_(%v) : f32[30]", // through an alias
           "%q = aten.zero_(%z) : f32[5, 2, 3]", // another input may be the same tensor
           "%q = my.unknown(%x) : f32[5, 2, 3]", // who knows
           "%q = aten.copy_(%x, %z) : f32[5, 2, 3]",
       }) {
    CAPTURE(write);
    check_not_moved(raised(layer("", write)));
  }
}

TEST_CASE("a write to w between t and the product, or after it: kept") {
  for (const char* write : {"%q = aten.zero_(%w) : f32[4, 3]", "%q = aten.t_(%w) : f32[3, 4]",
                            "%q = aten.zero_(%o) : f32[4, 3]"}) {
    CAPTURE(write);
    CHECK(raised(layer(write, "")) == same(layer(write, "")));
    check_not_moved(raised(layer("", write)));
    const std::string addmm =
        "graph { %w = placeholder parameter : f32[4, 3] %b = placeholder parameter : f32[4] %o = "
        "placeholder parameter : f32[4, 3] %x = placeholder : f32[2, 3] %t = aten.t(%w) : f32[3, "
        "4] " +
        std::string(write) + " %y = aten.addmm(%b, %x, %t) : f32[2, 4] return %y }";
    CHECK(raised(addmm) == same(addmm));
    const std::string matmul =
        "graph { %w = placeholder parameter : f32[4, 3] %o = placeholder parameter : f32[4, 3] "
        "%x = placeholder : f32[2, 3] %t = aten.t(%w) : f32[3, 4] " +
        std::string(write) + " %y = aten.matmul(%x, %t) : f32[2, 4] return %y }";
    CHECK(raised(matmul) == same(matmul));
  }
}

TEST_CASE("a batch norm that trains writes to its statistics, not to x: raised") {
  CHECK(has(
      raised(
          "graph { %w = placeholder parameter : f32[4, 3] %b = placeholder parameter : f32[4] %mean = "
          "placeholder buffer : f32[3] %var = placeholder buffer : f32[3] %x = placeholder : f32[5, 2, 3] %t "
          "= aten.t(%w) : f32[3, 4] %m = aten.matmul(%x, %t) : f32[5, 2, 4] %n = aten.batch_norm(%x, None, "
          "None, %mean, %var, True, 0.1, 1e-05, False) : f32[5, 2, 3] %y = aten.add_.Tensor(%m, %b) : f32[5, "
          "2, 4] return %y, %n }"),
      linear));
}

TEST_CASE("rsub: a change of x's shape between empty_like and sub_ is not passed by") {
  const auto text = [](std::string_view between) {
    return "graph { %x = placeholder : f32[2, 3] %e = aten.empty_like(%x) : f32[2, 3] " +
           std::string(between) +
           " %f = aten.fill_.Scalar(%e, 1) : f32[2, 3] %y = aten.sub_.Tensor(%f, %x) : f32[2, 3] return %y }";
  };
  CHECK(has(raised(text("")), "aten.rsub.Scalar(%x, 1)"));
  CHECK(raised(text("%q = aten.t_(%x) : f32[3, 2]")) == same(text("%q = aten.t_(%x) : f32[3, 2]")));
}

TEST_CASE("a chain of layers, each in place on the last, is raised whole") {
  std::string s =
      "graph { %w = placeholder parameter : f32[3, 3] %b = placeholder parameter : f32[3] %x0 = placeholder "
      ": f32[5, 2, 3] ";
  for (int i = 0; i != 8; ++i) {
    const auto n = std::to_string(i), next = std::to_string(i + 1);
    s += "%t" + n + " = aten.t(%w) : f32[3, 3] %m" + n + " = aten.matmul(%x" + n + ", %t" + n +
         ") : f32[5, 2, 3] %a" + n + " = aten.add_.Tensor(%m" + n + ", %b) : f32[5, 2, 3] %x" + next +
         " = aten.relu_(%a" + n + ") : f32[5, 2, 3] ";
  }
  const auto out = raised(s + "return %x8 }");
  CHECK(!has(out, "matmul"));
  CHECK(!has(out, "aten.t("));
  CHECK(!has(out, "add_"));
}

TEST_CASE("a bias of another type is no bias: add_ casts it, linear refuses it") {
  const std::string text =
      "graph { %w = placeholder parameter : f32[4, 3] %b = placeholder parameter : f64[4] %x = "
      "placeholder : f32[5, 2, 3] %t = aten.t(%w) : f32[3, 4] %m = aten.matmul(%x, %t) : f32[5, 2, "
      "4] %y = aten.add_.Tensor(%m, %b) : f32[5, 2, 4] return %y }";
  const auto out = raised(text);
  CHECK(has(out, "aten.linear.default(%x, %w)"));
  CHECK(has(out, "aten.add_.Tensor("));
}

TEST_CASE("raise takes back what lower_spellings does to a linear of any rank") {
  for (const char* shape : {"[3]", "[2, 3]", "[5, 2, 3]", "[7, 5, 2, 3]"})
    for (const char* bias : {", %b", ""}) {
      std::string out(shape);
      out.replace(out.rfind('3'), 1, "4");
      auto p = es::parse_text(
          "graph { %w = placeholder parameter : f32[4, 3] %b = placeholder parameter : f32[4] %x = "
          "placeholder : f32" +
          std::string(shape) + " %linear = aten.linear.default(%x, %w" + bias + ") : f32" + out +
          " %y = aten.relu.default(%linear) : f32" + out + " return %y }");
      CAPTURE(es::to_text(p.graph, p.dialect));
      const auto before = es::structural_hash(p.graph);
      es::pass_context context;
      CHECK(es::lower_spellings::run(p.graph, context).changed());
      CHECK(es::structural_hash(p.graph) != before);
      es::raise::run(p.graph);
      CHECK(es::structural_hash(p.graph) == before);
    }
}

TEST_CASE("a sum that is no layer's stays a sum") {
  const auto text = [](std::string_view b, std::string_view sum, std::string_view result = "%y") {
    return "graph { %w = placeholder parameter : f32[4, 3] %b = placeholder parameter : " + std::string(b) +
           " %x = placeholder : f32[5, 4, 3] %t = aten.t(%w) : f32[3, 4] %m = aten.matmul(%x, %t) : f32[5, "
           "4, 4] "
           "%y = " +
           std::string(sum) + " : f32[5, 4, 4] return " + std::string(result) + " }";
  };
  CHECK(has(raised(text("f32[4]", "aten.add.Tensor(%m, %b)")), linear));
  CHECK(!has(raised(text("f32[4]", "aten.add.Tensor(%m, %b, alpha=2)")), linear));
  CHECK(!has(raised(text("f32[4, 4]", "aten.add.Tensor(%m, %b)")), linear));
  CHECK(!has(raised(text("f32[1]", "aten.add.Tensor(%m, %b)")), linear));
  CHECK(!has(raised(text("f32[4]", "aten.add.Tensor(%m, 1.5)")), linear));
  CHECK(
      !has(raised(text("f32[4]", "aten.add.Tensor(%m, %b)", "%y, %m")), linear)); // somebody sees the product
}
