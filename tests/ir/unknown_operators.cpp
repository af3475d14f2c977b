// SPDX-License-Identifier: BSL-1.0
// Operators that claim to be ATen's and are not: the verifier refuses them and tells the nearest name; those
// of other namespaces, and those whose schema the process was told, pass.
#include <espalier/ir/text_parser.hpp>
#include <espalier/ir/verify.hpp>
#include <espalier/schema/nearest.hpp>

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

namespace es = espalier;

namespace {

es::vector<es::diagnostic> verified(std::string_view call) {
  const auto g =
      es::parse_text("graph { %x = placeholder : f32[4] %y = " + std::string(call) + " : f32[4] return %y }")
          .graph;
  return es::verify<es::training_ir>(g);
}

} // namespace

TEST_CASE("the verifier refuses an operator of ATen's namespace that ATen does not have") {
  const auto found = verified("aten.rely(%x)");
  REQUIRE(found.size() == 1);
  CHECK(found[0].what == "ATen has no such operator");
  CHECK(found[0].place == "node 'y' (aten::rely)");
  CHECK(found[0].cure.starts_with("write aten::relu, or "));
  CHECK(verified("aten.relu(%x)").empty());
}
TEST_CASE("an operator of another namespace, or one that the process was told of, passes") {
  CHECK(verified("somebodys.rely(%x)").empty());
  es::intern_op("aten::of_a_test", "aten::of_a_test(Tensor self) -> Tensor");
  CHECK(verified("aten.of_a_test(%x)").empty());
}

TEST_CASE("the nearest name counts letters, of the name first and of the overload then") {
  CHECK(es::detail::edit_distance("kitten", "sitting") == 3);
  CHECK(es::detail::edit_distance("", "abc") == 3);
  CHECK(es::detail::edit_distance("abc", "abc") == 0);
  CHECK(es::detail::nearest_listed("aten::lineal") == "aten::linear");
  CHECK(es::detail::nearest_listed("aten::add.Tensr") == "aten::add.Tensor");
  CHECK(es::detail::nearest_listed("aten::scaled_dot_product_atention") ==
        "aten::scaled_dot_product_attention");
  CHECK(es::detail::nearest_listed("aten::nothing_like_any_of_these").empty());
  CHECK(es::detail::nearest_listed("elsewhere::relu").empty());
}
