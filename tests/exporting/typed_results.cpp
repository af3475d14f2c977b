// SPDX-License-Identifier: BSL-1.0
// Typed calls of exported programs whose arguments and results nest: vectors keep their lengths, maps their
// keys, and keys find their values in whatever order they come.
#include <espalier/espalier.hpp>

#include <boost/hana/define_struct.hpp>
#include <doctest/doctest.h>
#include <torch/torch.h>

#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace es = espalier;

namespace {

using tensors = std::vector<at::Tensor>;
using named_tensors = std::map<std::string, at::Tensor>;

struct split_result {
  BOOST_HANA_DEFINE_STRUCT(split_result, (tensors, halves), (std::optional<at::Tensor>, rest),
                           (named_tensors, sums));
};

split_result split(const tensors& xs) {
  split_result r;
  for (const auto& x : xs) {
    r.halves.push_back(x / 2);
    r.sums["of " + std::to_string(r.halves.size())] = x.sum();
  }
  return r;
}

template <class P>
P reloaded(const P& p) {
  std::stringstream file;
  es::save(p, file);
  return es::load<typename P::dialect_type, typename P::signature_type>(file);
}

} // namespace

TEST_CASE("a result of nested vectors comes back as it left") {
  const auto f = [](at::Tensor x) {
    return std::tuple(tensors{x + 1, x + 2}, tensors{x * 3}, x, std::vector<tensors>{{x}, {}, {x, x - 1}});
  };
  const auto x = torch::randn({3});
  const auto p = es::export_program(f, es::inputs(x));
  const auto y = f(x);
  for (const auto& q : {p, reloaded(p)}) {
    const auto [a, b, c, d] = q(x);
    REQUIRE(a.size() == 2);
    CHECK(torch::equal(a[1], std::get<0>(y)[1]));
    REQUIRE(b.size() == 1);
    CHECK(torch::equal(b[0], std::get<1>(y)[0]));
    CHECK(torch::equal(c, x));
    REQUIRE(d.size() == 3);
    CHECK(d[1].empty());
    CHECK(torch::equal(d[2][1], x - 1));
  }
}

TEST_CASE("a result of a struct with a vector, an optional and a map") {
  const tensors xs{torch::randn({2}), torch::randn({3})};
  const auto p = es::export_program(split, es::inputs(xs));
  const auto y = split(xs);
  for (const auto& q : {p, reloaded(p)}) {
    const split_result r = q(xs);
    REQUIRE(r.halves.size() == 2);
    CHECK(torch::equal(r.halves[1], y.halves[1]));
    CHECK_FALSE(r.rest.has_value());
    REQUIRE(r.sums.size() == 2);
    CHECK(torch::equal(r.sums.at("of 2"), y.sums.at("of 2")));
  }
  CHECK_THROWS_WITH_AS(p(tensors{xs[0]}),
                       doctest::Contains("the arguments nest as ([*]), but the program takes ([*, *])"),
                       es::error);
}

TEST_CASE("the keys of a map must be those of the example, and are found in any order") {
  const auto f = [](const named_tensors& x) { return x.at("a") - x.at("b"); };
  const named_tensors x{{"a", torch::randn({2})}, {"b", torch::randn({2})}};
  auto p = es::export_program(f, es::inputs(x));
  CHECK(torch::equal(p(x), f(x)));
  // as Python, which keeps the order in which keys were put in, may have exported it
  auto& dict = p.info().module_calls.front().signature->in_spec.children[0].children[0];
  REQUIRE(dict.context == R"(["a", "b"])");
  dict.context = R"(["b", "a"])";
  CHECK(torch::equal(p(x), -f(x)));
  CHECK_THROWS_WITH_AS(
      p(named_tensors{{"a", x.at("a")}, {"c", x.at("b")}}),
      doctest::Contains("the arguments nest as ({'a': *, 'c': *}), but the program takes ({'b': *, 'a': *})"),
      es::error);
}
