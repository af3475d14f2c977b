// SPDX-License-Identifier: BSL-1.0
// The schema's structs under Boost.Hana: the concept, keys, access by key, algorithms.
#include <espalier/archive/hana.hpp>
#include <espalier/archive/schema.hpp>

#include <boost/hana.hpp>
#include <doctest/doctest.h>

#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace hana = boost::hana;
namespace pt2 = espalier::pt2;

namespace {

template <class T>
constexpr bool adapted = hana::Struct<T>::value&& decltype(hana::size(hana::accessors<T>()))::value ==
                         std::size(T::member_names);

static_assert(adapted<pt2::device> && adapted<pt2::tensor_meta> && adapted<pt2::node> && adapted<pt2::graph>);
static_assert(adapted<pt2::exported_program> && adapted<pt2::payload_meta> && adapted<pt2::named_argument>);
static_assert(!hana::Struct<pt2::argument>::value && !hana::Struct<pt2::sym_int>::value);

/// The names of a struct's members, as Hana tells them.
template <class T>
std::vector<std::string> names() {
  std::vector<std::string> out;
  hana::for_each(hana::accessors<T>(), [&](const auto& a) { out.emplace_back(hana::first(a).c_str()); });
  return out;
}
template <class T>
void check_names() {
  CHECK(names<T>() == std::vector<std::string>(std::begin(T::member_names), std::end(T::member_names)));
}

} // namespace

TEST_CASE("keys are the members' names in the file, in their order") {
  check_names<pt2::device>();
  check_names<pt2::tensor_meta>();
  check_names<pt2::node>();
  check_names<pt2::graph>();
  check_names<pt2::graph_module>();
  check_names<pt2::module_call_signature>();
  check_names<pt2::exported_program>();
  check_names<pt2::payload_meta>();
  CHECK(names<pt2::schema_version>() == std::vector<std::string>{"major", "minor"});
}

TEST_CASE("members are reached by key, for reading and for writing") {
  pt2::device d;
  d.type = "cuda";
  hana::at_key(d, BOOST_HANA_STRING("index")) = 1;
  CHECK(d.index == 1);
  const pt2::device& c = d;
  CHECK(&hana::at_key(c, BOOST_HANA_STRING("type")) == &c.type);
  const auto type = BOOST_HANA_STRING("type");
  static_assert(std::is_same_v<decltype(hana::at_key(std::move(d), type)), std::string&&>);
  CHECK(hana::at_key(d, BOOST_HANA_STRING("type")) == "cuda");
}

TEST_CASE("Hana's algorithms run over them") {
  pt2::range_constraint r;
  r.min_val = 2;
  r.max_val = 40;
  CHECK(hana::fold(hana::members(std::move(r)), std::int64_t{0},
                   [](std::int64_t sum, const auto& x) { return sum + x.value_or(0); }) == 42);
  pt2::range_constraint s;
  s.max_val = 40;
  const auto map = hana::to_map(std::move(s));
  CHECK(map[BOOST_HANA_STRING("max_val")] == 40);
  CHECK(hana::contains(map, BOOST_HANA_STRING("min_val")));
  std::string text;
  pt2::schema_version v; // the keys and references to the members, of a struct that only moves
  hana::for_each(hana::accessors<pt2::schema_version>(), hana::fuse([&](auto key, auto member) {
                   text += key.c_str() + std::string("=") + std::to_string(member(v)) + ";";
                 }));
  CHECK(text == "major=8;minor=20;");
}
