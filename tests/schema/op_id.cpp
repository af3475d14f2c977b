// SPDX-License-Identifier: BSL-1.0
// Run-time ids: the constant table, and the registry for what it does not list.
#include <espalier/schema/aten.hpp>
#include <espalier/schema/op_id.hpp>
#include <espalier/schema/op_traits.hpp>

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <string>
#include <thread>
#include <vector>

namespace es = espalier;
namespace aten = espalier::aten;

static_assert(es::id_of<aten::add_Tensor>().index == aten::add_Tensor::index);
static_assert(es::detail::find_aten("aten::add.Tensor") == aten::add_Tensor::index);
static_assert(es::detail::find_aten("aten::relu") == aten::relu::index);
static_assert(es::detail::find_aten("aten::no_such") == es::detail::num_aten_ops);
static_assert(es::detail::find_aten("") == es::detail::num_aten_ops);

namespace {
std::string cause_of(auto&& call) {
  try {
    call();
  } catch (const es::error& e) {
    CHECK(e.kind() == es::error_kind::usage);
    CHECK_FALSE(e.cure().empty());
    return e.cause();
  }
  return "nothing was thrown";
}
bool contains(const std::string& s, std::string_view part) { return s.find(part) != s.npos; }
} // namespace

TEST_CASE("the table is sorted, so that every listed name is found at its own index") {
  for (std::uint32_t i = 0; i != es::detail::num_aten_ops; ++i) {
    const auto name = es::detail::aten_row_name(i);
    INFO(name);
    if (i)
      CHECK(es::detail::aten_row_name(i - 1) < name);
    CHECK(es::find_op(name) == es::op_id{i});
    CHECK(es::name_of(es::op_id{i}) == name);
    const bool known = es::flags_of(es::op_id{i}).known_schema;
    CHECK((es::schema_of(es::op_id{i}) != nullptr) == known);
    CHECK(es::flags_of(es::op_id{i}).higher_order != known);
  }
}

TEST_CASE("packing flags and unpacking them gives the same flags") {
  rc::check([] {
    const unsigned bits = *rc::gen::inRange(0u, 512u);
    RC_ASSERT(es::detail::pack_flags(es::detail::unpack_flags(bits)) == bits);
  });
}

TEST_CASE("'.default' is another spelling of the default overload") {
  CHECK(es::find_op("aten::relu.default") == es::id_of<aten::relu>());
  CHECK(es::intern_op("aten::relu.default", {}) == es::id_of<aten::relu>());
  CHECK(es::intern_op("other::f.default", "other::f(Tensor a) -> Tensor") == es::intern_op("other::f", {}));
}

TEST_CASE("an invalid id has no name, schema or flags") {
  CHECK(es::name_of(es::op_id{}).empty());
  CHECK(es::schema_of(es::op_id{}) == nullptr);
  CHECK(es::flags_of(es::op_id{}) == es::op_flags{});
  CHECK(es::name_of(es::op_id{0x7fff'fff0u}).empty());
}

TEST_CASE("an unknown operator is known by name first, and by schema later") {
  CHECK_FALSE(es::find_op("other::later"));
  const auto id = es::intern_op("other::later", {});
  CHECK(id.index >= es::detail::num_aten_ops);
  CHECK(es::find_op("other::later") == id);
  CHECK(es::schema_of(id) == nullptr);
  CHECK_FALSE(es::flags_of(id).pure());
  CHECK(es::intern_op("other::later", "later(Tensor(a!) x, int n=1) -> ()") == id);
  REQUIRE(es::schema_of(id) != nullptr);
  CHECK(es::schema_of(id)->args[1].name == "n");
  CHECK(es::flags_of(id).mutates);
  CHECK_FALSE(es::flags_of(id).effects);
  const auto* schema = es::schema_of(id);
  es::op_flags more;
  more.random = true;
  es::intern_op("other::later", {}, more);
  CHECK(es::flags_of(id).random);
  CHECK(es::flags_of(id).mutates);
  CHECK(es::schema_of(id) == schema);
}

TEST_CASE("a second schema must take and give the same") {
  const auto id = es::intern_op("other::twice", "twice(Tensor a, SymInt n=1) -> Tensor");
  CHECK(es::intern_op("other::twice", "other::twice(Tensor a, int n=2) -> Tensor") == id); // spelt otherwise
  const auto cause = cause_of([] { es::intern_op("other::twice", "twice(Tensor a) -> Tensor"); });
  CHECK(contains(cause, "other::twice"));
  CHECK(contains(cause, "twice(Tensor a, SymInt n=1) -> Tensor"));
  CHECK(contains(cause_of([] { es::intern_op("aten::relu", "relu(Tensor self, int n) -> Tensor"); }),
                 "aten::relu"));
  CHECK(es::intern_op("aten::relu", "relu(Tensor self) -> Tensor") == es::id_of<aten::relu>());
  CHECK(contains(cause_of([] { es::intern_op("higher_order::cond", "cond(Tensor a) -> Tensor"); }), "none"));
}

TEST_CASE("names and schemas that cannot be are refused, and leave nothing behind") {
  CHECK(contains(cause_of([] { es::intern_op("no_namespace", {}); }), "no_namespace"));
  CHECK(contains(cause_of([] { es::intern_op("::f", {}); }), "no operator's name"));
  CHECK(contains(cause_of([] { es::intern_op("other::bad", "bad(Tensor) -> Tensor"); }), "malformed"));
  CHECK_FALSE(es::find_op("other::bad"));
  CHECK(contains(cause_of([] { es::intern_op("other::bad", "good(Tensor a) -> Tensor"); }),
                 "another operator"));
  CHECK(contains(cause_of([] { es::intern_op("other::bad", "bad.out(Tensor a) -> Tensor"); }),
                 "another operator"));
  CHECK_FALSE(es::find_op("other::bad"));
  const auto id = es::intern_op("other::bad", "bad(Tensor a) -> Tensor");
  CHECK(es::name_of(id) == "other::bad");
  CHECK(es::flags_of(id).pure());
}

TEST_CASE("higher-order operators are so by their namespace") {
  CHECK(es::flags_of(es::intern_op("higher_order::cond", {})).higher_order);
  CHECK(es::flags_of(es::intern_op("higher_order::of_tomorrow", {})).higher_order);
}

TEST_CASE("threads that name the same operators at once agree, and readers never wait") {
  constexpr int threads = 4, names = 500;
  std::vector<es::vector<es::op_id>> seen(threads);
  std::vector<std::thread> pool;
  for (int t = 0; t != threads; ++t)
    pool.emplace_back([&ids = seen[static_cast<std::size_t>(t)]] {
      for (int i = 0; i != names; ++i) {
        const std::string name = "race" + std::to_string(i);
        const auto id = es::intern_op("other::" + name, name + "(Tensor(a!) self) -> Tensor(a!)");
        ids.push_back(id);
        if (!es::flags_of(id).mutates || es::schema_of(id) == nullptr)
          ids.push_back({});
        if (es::schema_of(es::op_id{static_cast<std::uint32_t>(100 + i)}) == nullptr)
          ids.push_back({});
      }
    });
  for (auto& t : pool)
    t.join();
  CHECK(seen[0].size() == names);
  for (auto& ids : seen)
    CHECK(ids == seen[0]);
  auto ids = seen[0];
  std::sort(ids.begin(), ids.end());
  CHECK(std::unique(ids.begin(), ids.end()) == ids.end());
  for (int i = 0; i != names; ++i)
    CHECK(es::name_of(seen[0][static_cast<std::size_t>(i)]) == "other::race" + std::to_string(i));
}
