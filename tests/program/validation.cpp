// SPDX-License-Identifier: BSL-1.0
// Numeric validation: a pass that keeps the numbers passes, one that does not is named.
#include <espalier/ir/graph.hpp>
#include <espalier/pipeline/pipeline.hpp>
#include <espalier/program/validate.hpp>
#include <espalier/rewrite/driver.hpp>
#include <espalier/schema/aten.hpp>

#include <ATen/ATen.h>

#include <doctest/doctest.h>

namespace es = espalier;

namespace {

constexpr auto x = es::capture<"x">;
constexpr auto w = es::capture<"w">;
constexpr auto b = es::capture<"b">;
constexpr auto right = es::rewrite<"addmm">(
    es::pattern<es::aten::add_Tensor>(es::pattern<es::aten::mm>(x, w), b),
    [](auto& r, const auto& m) { return r.template call<es::aten::addmm>(m[b], m[x], m[w]); });
constexpr auto wrong =
    es::rewrite<"swapped">(es::pattern<es::aten::addmm>(b, x, w), [](auto& r, const auto& m) {
      return r.template call<es::aten::addmm>(m[b], m[w], m[x]);
    });

struct once_wrong : es::pass { // greedily, a swap would not end
  static constexpr std::string_view name = "wrong";
  es::pass_result run(es::graph_storage& g, es::pass_context& c) const {
    return es::rewrite_once(g, c, es::rule_set(wrong));
  }
};

es::graph<es::training_ir> build() {
  const auto meta = es::make_meta(es::scalar_type::f32, {4, 4});
  es::graph<es::training_ir> g;
  const auto in = g.placeholder("in", meta), weight = g.placeholder("weight", meta),
             bias = g.placeholder("bias", meta);
  const auto s = g.call<es::aten::add_Tensor>(g.call<es::aten::mm>(in, weight), bias);
  const auto d = g.call<es::aten::dropout>(s, 0.5, true);
  g.set_name(d.def(), "drop");
  g.output(g.call<es::aten::relu>(d), in);
  return g;
}
std::vector<c10::IValue> values() {
  at::manual_seed(3);
  return {at::randn({4, 4}), at::randn({4, 4}), at::randn({4, 4})};
}

} // namespace

TEST_CASE("a pass that keeps the numbers is recorded with its gap") {
  auto g = build();
  es::numeric_validation check(values());
  const auto before = at::detail::getDefaultCPUGenerator().get_state();
  es::pipeline{es::rewrites<"right">(right)}.run(g, check);
  CHECK(at::equal(
      before, at::detail::getDefaultCPUGenerator().get_state())); // the caller's random numbers are untouched
  REQUIRE(check.rows().size() == 1);
  CHECK(check.rows()[0].pass == "right");
  CHECK(check.rows()[0].gap <= 1);
}

TEST_CASE("the first pass that changes the numbers is named") {
  auto g = build();
  es::numeric_validation check(values());
  try {
    (es::rewrites<"right">(right) | once_wrong{}).run(g, check);
    FAIL("nobody noticed");
  } catch (const es::error& e) {
    CHECK(e.kind() == es::error_kind::verification);
    CHECK(e.place().find("pass 'wrong', stage 2 of 'right | wrong': first at node 'drop'") == 0);
  }
  REQUIRE(check.rows().size() == 2);
  CHECK(check.rows()[1].gap > 1);
}

TEST_CASE("gaps") {
  const auto t = at::ones({2});
  CHECK(es::gap_between(t, t) == 0);
  CHECK(es::gap_between(t, t * (1 + 1e-5)) < 1);
  CHECK(es::gap_between(t, t * 2) > 1);
  CHECK(std::isinf(es::gap_between(t, at::ones({3}))));
  CHECK(std::isinf(es::gap_between(t, t.to(at::kDouble))));
  const auto nan = at::full({2}, std::nan(""));
  CHECK(es::gap_between(nan, nan) == 0);
  CHECK(std::isinf(es::gap_between(nan, t)));
}
