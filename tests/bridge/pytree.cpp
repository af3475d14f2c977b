// SPDX-License-Identifier: BSL-1.0
// Pytrees of C++ types: leaves and their paths, specs as Python reads them, and the way back.
#include <espalier/bridge/pytree.hpp>

#include <boost/hana/adapt_struct.hpp>
#include <boost/hana/define_struct.hpp>
#include <doctest/doctest.h>
#include <torch/torch.h>

#include <array>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace es = espalier;

namespace {

struct inner {
  BOOST_HANA_DEFINE_STRUCT(inner, (at::Tensor, mask), (std::optional<double>, scale));
};
struct outer {
  at::Tensor Hidden;
  std::vector<inner> parts;
  std::map<std::string, at::Tensor> named;
  std::int32_t step = 0;
};
/// A type of somebody else's, with a pytree of its own.
struct interval {
  double low, high;
};

template <class T>
es::vector<es::tree_leaf> leaves(const T& x, std::string path = "x") {
  es::vector<es::tree_leaf> out;
  es::pytree<T>::flatten(x, std::move(path), out);
  CHECK(es::pytree<T>::spec(x).num_leaves() == out.size()); // whatever the type
  return out;
}
template <class T>
std::vector<std::string> paths(const T& x) {
  std::vector<std::string> out;
  for (auto& l : leaves(x))
    out.push_back(l.path);
  return out;
}
std::vector<c10::IValue> values(const es::vector<es::tree_leaf>& l) {
  std::vector<c10::IValue> out;
  for (auto& x : l)
    out.push_back(x.value);
  return out;
}
/// What `unflatten` makes of its own leaves.
template <class T>
T back(const T& x) {
  const auto v = values(leaves(x));
  es::leaf_reader in(v);
  T y = es::pytree<T>::unflatten(in);
  CHECK(in.done());
  return y;
}
using names = std::vector<std::string>;
at::Tensor t(double x) { return torch::full({1}, x); }
double number(const at::Tensor& x) { return x.item<double>(); }

} // namespace

BOOST_HANA_ADAPT_STRUCT(outer, Hidden, parts, named, step);

template <>
struct es::pytree<interval> {
  static void flatten(const interval& x, const std::string& path, es::vector<es::tree_leaf>& out) {
    out.push_back({x.low, es::detail::join(path, "low")});
    out.push_back({x.high, es::detail::join(path, "high")});
  }
  static es::tree_spec spec(const interval&) {
    return es::tree_spec::tuple({es::tree_spec::leaf(), es::tree_spec::leaf()});
  }
  static interval unflatten(es::leaf_reader& in) {
    const double low = in.take().toDouble();
    return {low, in.take().toDouble()};
  }
};

static_assert(es::pytree_type<at::Tensor> && es::pytree_type<bool> && es::pytree_type<short> &&
              es::pytree_type<unsigned> && es::pytree_type<float> && es::pytree_type<std::string>);
static_assert(es::pytree_type<outer> && es::pytree_type<interval> && es::pytree_type<std::vector<interval>>);
static_assert(es::pytree_type<std::optional<std::tuple<at::Tensor, std::pair<int, outer>>>>);
static_assert(!es::pytree_type<void*> && !es::pytree_type<std::map<int, at::Tensor>> &&
              !es::pytree_type<std::vector<void*>>);

TEST_CASE("single leaves keep their kind") {
  CHECK(leaves(t(1))[0].value.isTensor());
  CHECK(leaves(true)[0].value.isBool());
  CHECK(leaves(short{3})[0].value.toInt() == 3);
  CHECK(leaves(2.5f)[0].value.toDouble() == 2.5);
  CHECK(leaves(std::string("s"))[0].value.toStringRef() == "s");
  CHECK(back(true) == true);
  CHECK(back(std::uint8_t{200}) == 200);
  CHECK(back(-7) == -7);
  CHECK(back(0.25f) == 0.25f);
  CHECK(back(std::string("text")) == "text");
  CHECK(number(back(t(4))) == 4);
  CHECK_FALSE(back(at::Tensor()).defined());
  CHECK(es::pytree<int>::spec(1).is_leaf());
}

TEST_CASE("tuples, pairs and arrays: paths by position, tuples are tuples, arrays are lists") {
  const std::tuple<at::Tensor, int, std::pair<double, bool>> x{t(1), 2, {0.5, true}};
  CHECK(paths(x) == names{"x_0", "x_1", "x_2_0", "x_2_1"});
  const auto spec = es::pytree<std::remove_const_t<decltype(x)>>::spec(x);
  CHECK(spec.type == "builtins.tuple");
  CHECK(spec.children[2].type == "builtins.tuple");
  const auto y = back(x);
  CHECK(number(std::get<0>(y)) == 1);
  CHECK(std::get<1>(y) == 2);
  CHECK(std::get<2>(y) == std::pair(0.5, true));
  const std::array<std::int64_t, 3> a{3, 2, 1};
  CHECK(es::pytree<std::array<std::int64_t, 3>>::spec(a).type == "builtins.list");
  CHECK((back(a) == a));
  CHECK(leaves(std::tuple<>()).empty());
}

TEST_CASE("vectors: lists of the example's length") {
  const std::vector<std::pair<at::Tensor, int>> x{{t(1), 2}, {t(3), 4}};
  CHECK(paths(x) == names{"x_0_0", "x_0_1", "x_1_0", "x_1_1"});
  const auto spec = es::pytree<std::vector<std::pair<at::Tensor, int>>>::spec(x);
  CHECK(spec.type == "builtins.list");
  CHECK(spec.children.size() == 2);
  CHECK(back(x)[1].second == 4);
  CHECK(leaves(std::vector<at::Tensor>{}).empty());
}

TEST_CASE("maps: dicts, keys in order, made into names") {
  const std::map<std::string, at::Tensor> x{{"b", t(2)}, {"A key", t(1)}, {"c\"", t(3)}};
  CHECK(paths(x) == names{"x_a_key", "x_b", "x_c_"});
  const auto spec = es::pytree<std::map<std::string, at::Tensor>>::spec(x);
  CHECK(spec.type == "builtins.dict");
  CHECK(spec.context == R"(["A key", "b", "c\""])");
  const auto v = values(leaves(x));
  es::leaf_reader in(v);
  CHECK_THROWS_AS((es::pytree<std::map<std::string, at::Tensor>>::unflatten(in)), es::error); // no keys
  const auto y = es::unflatten_like(x, v);
  CHECK(number(y.at("b")) == 2);
}

TEST_CASE("optionals: an absent one is a None leaf, a present one is what it holds") {
  using optional = std::optional<std::tuple<at::Tensor, int>>;
  const optional full(std::in_place, t(1), 2), empty;
  CHECK(paths(full) == names{"x_0", "x_1"});
  CHECK(es::pytree<optional>::spec(full).type == "builtins.tuple");
  CHECK(paths(empty) == names{"x"});
  CHECK(es::pytree<optional>::spec(empty).is_leaf());
  CHECK(leaves(empty)[0].value.isNone());
  CHECK_FALSE(back(empty).has_value());
  REQUIRE(back(full).has_value());
  CHECK(std::get<1>(*back(full)) == 2);
}

TEST_CASE("structs: dicts by member, nested with everything else") {
  const outer x{t(1), {{t(2), 0.5}, {t(3), std::nullopt}}, {{"k", t(4)}}, 7};
  CHECK(paths(x) == names{"x_hidden", "x_parts_0_mask", "x_parts_0_scale", "x_parts_1_mask",
                          "x_parts_1_scale", "x_named_k", "x_step"});
  const auto spec = es::pytree<outer>::spec(x);
  CHECK(spec.type == "builtins.dict");
  CHECK(spec.context == R"(["Hidden", "parts", "named", "step"])");
  CHECK(spec.children[1].type == "builtins.list");
  CHECK(spec.children[1].children[0].context == R"(["mask", "scale"])");

  auto v = values(leaves(x));
  v[1] = t(20);
  v[2] = 1.5;
  v[6] = std::int64_t{8};
  const auto y = es::unflatten_like(x, v);
  CHECK(number(y.parts[0].mask) == 20);
  CHECK(y.parts[0].scale == 1.5);
  CHECK_FALSE(y.parts[1].scale.has_value());
  CHECK(number(y.named.at("k")) == 4);
  CHECK(y.step == 8);
  const inner i{t(5), 0.25};
  CHECK(back(i).scale == 0.25);
}

TEST_CASE("a type with a pytree of its own, alone and inside others") {
  CHECK(paths(interval{1, 2}) == names{"x_low", "x_high"});
  const std::vector<interval> x{{1, 2}, {3, 4}};
  CHECK(paths(x) == names{"x_0_low", "x_0_high", "x_1_low", "x_1_high"});
  auto v = values(leaves(x));
  v[3] = 9.0;
  CHECK(es::unflatten_like(x, v)[1].high == 9);
}

TEST_CASE("too few leaves are refused") {
  const std::vector<c10::IValue> one{std::int64_t{1}};
  es::leaf_reader in(one);
  try {
    es::pytree<std::tuple<int, int>>::unflatten(in);
    FAIL("one leaf is not two");
  } catch (const es::error& e) {
    CHECK(e.kind() == es::error_kind::usage);
    CHECK(e.cause() == "fewer leaves than the type needs");
  }
  CHECK_THROWS_AS(es::unflatten_like(std::vector<int>{1, 2}, one), es::error);
  es::leaf_reader none(es::span<const c10::IValue>{});
  CHECK_THROWS_AS(es::pytree<std::optional<int>>::unflatten(none), es::error);
}

TEST_CASE("names: letters are lowered, what no identifier holds becomes an underscore") {
  CHECK(es::detail::path_atom("Layer.0-W") == "layer_0_w");
  CHECK(es::detail::join("", "a") == "a");
  CHECK(es::detail::join("x", "0") == "x_0");
}

namespace {
/// What `unflatten` makes of its own leaves, with the structure that says how long lists are.
template <class T>
T back_by_spec(const T& x) {
  const auto v = values(leaves(x));
  const auto spec = es::pytree<T>::spec(x);
  es::leaf_reader in(v, &spec);
  T y = es::pytree<T>::unflatten(in);
  CHECK(in.done());
  return y;
}
std::string refusal(auto&& f) {
  try {
    f();
  } catch (const es::error& e) {
    CHECK(e.kind() == es::error_kind::usage);
    CHECK_FALSE(e.cure().empty());
    return e.cause();
  }
  return "accepted";
}
} // namespace

TEST_CASE("with the structure known, vectors have their lengths and maps their keys, at any depth") {
  using numbers = std::vector<std::int64_t>;
  using lists = std::pair<numbers, numbers>;
  CHECK(back_by_spec(lists{{1, 2}, {3}}) == lists{{1, 2}, {3}});
  CHECK(back_by_spec(lists{{}, {3}}) == lists{{}, {3}});
  const std::vector<numbers> ragged{{1}, {}, {2, 3}};
  CHECK(back_by_spec(ragged) == ragged);
  const std::map<std::string, std::vector<double>> map{{"b", {1, 2}}, {"a\"", {}}, {"", {3}}};
  CHECK(back_by_spec(map) == map);
  using optional = std::tuple<std::optional<numbers>, std::optional<numbers>, std::optional<numbers>, int>;
  const optional o{numbers{}, std::nullopt, numbers{7}, 8};
  CHECK(back_by_spec(o) == o);
  const outer x{t(1), {{t(2), 0.5}, {t(3), std::nullopt}}, {{"k", t(4)}}, 7};
  const auto y = back_by_spec(x);
  CHECK(y.parts.size() == 2);
  CHECK(number(y.parts[1].mask) == 3);
  CHECK(number(y.named.at("k")) == 4);
  CHECK(y.step == 7);

  // without it, a vector inside of something could be of any length
  const auto v = values(leaves(lists{{1, 2}, {3}}));
  CHECK(refusal([&] {
          es::leaf_reader in(v);
          es::pytree<lists>::unflatten(in);
        }).starts_with("the length of a vector inside of another type"));
  // and what is of another structure is refused
  const auto three =
      es::tree_spec::tuple({es::tree_spec::leaf(), es::tree_spec::leaf(), es::tree_spec::leaf()});
  CHECK(refusal([&] {
          es::leaf_reader in(v, &three);
          es::pytree<std::pair<int, int>>::unflatten(in);
        }) == "a tuple of 2 parts is asked for, but the value has 3");
}

TEST_CASE("a struct is read by the names of its members, in whatever order the structure has them") {
  const auto spec = es::tree_spec::dict({"scale", "mask"}, {es::tree_spec::leaf(), es::tree_spec::leaf()});
  const std::vector<c10::IValue> v{0.5, t(2)};
  es::leaf_reader in(v, &spec);
  const auto x = es::pytree<inner>::unflatten(in);
  CHECK(in.done());
  CHECK(x.scale == 0.5);
  CHECK(number(x.mask) == 2);
}
