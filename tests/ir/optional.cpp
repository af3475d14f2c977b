// SPDX-License-Identifier: BSL-1.0
// es::optional does what std::optional does and becomes one; es::owned_ptr destroys what it owns once.
#include <espalier/support/mutex.hpp>
#include <espalier/support/optional.hpp>
#include <espalier/support/owned_ptr.hpp>

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace es = espalier;

namespace {

static_assert(std::is_trivially_copyable_v<es::optional<int>>);
static_assert(std::is_trivially_destructible_v<es::optional<int>>);
static_assert(!std::is_trivially_copyable_v<es::optional<std::string>>);
static_assert(sizeof(es::optional<int>) == sizeof(std::optional<int>));
static_assert(std::is_convertible_v<const char*, es::optional<std::string>>);
static_assert(!std::is_convertible_v<std::string_view, es::optional<std::string>>); // as std::string itself
static_assert(!std::is_constructible_v<es::optional<int>, std::string>);
static_assert(es::optional_of<std::optional<int>, int> && es::optional_of<es::optional<int>, int>);
static_assert(!es::optional_of<es::optional<int>, long> && !es::optional_of<int, int>);

constexpr int in_constant_evaluation(int a) {
  es::optional<int> x;
  if (a != 0)
    x = a;
  es::optional<int> y = x;
  y.emplace(7);
  y.reset();
  y = x;
  return y.value_or(3);
}
static_assert(in_constant_evaluation(0) == 3 && in_constant_evaluation(5) == 5);
static_assert(es::optional<int>(3) == 3 && es::optional<int>() == std::nullopt);
static_assert(!(es::optional<int>(3) == es::optional<int>()) && es::optional<int>() == es::optional<int>());

} // namespace

TEST_CASE("an optional is what std::optional is after the same random edits") {
  CHECK(rc::check([] {
    es::optional<std::string> ours, ours_too;
    std::optional<std::string> theirs, theirs_too;
    const int steps = *rc::gen::inRange(0, 60);
    for (int i = 0; i != steps; ++i) {
      const std::string x = std::to_string(i) + " is longer than a short string holds";
      switch (*rc::gen::inRange(0, 8)) {
      case 0:
        ours = x;
        theirs = x;
        break;
      case 1:
        ours = std::nullopt;
        theirs = std::nullopt;
        break;
      case 2:
        ours.emplace(30, 'x');
        theirs.emplace(30, 'x');
        break;
      case 3:
        ours_too = ours;
        theirs_too = theirs;
        break;
      case 4:
        ours = std::move(ours_too);
        theirs = std::move(theirs_too);
        ours_too.reset();
        theirs_too.reset();
        break;
      case 5:
        ours = std::as_const(ours); // itself
        break;
      case 6:
        ours = es::optional<std::string>(theirs);
        break;
      case 7:
        ours = {};
        theirs = {};
        break;
      }
      RC_ASSERT(ours.has_value() == theirs.has_value());
      RC_ASSERT(std::optional<std::string>(ours) == theirs);
      RC_ASSERT(ours.value_or("none") == theirs.value_or("none"));
      RC_ASSERT((ours == ours_too) == (theirs == theirs_too));
      if (theirs)
        RC_ASSERT(*ours == *theirs && ours->size() == theirs->size() && ours.value() == *theirs);
      else
        RC_ASSERT_THROWS_AS(ours.value(), std::bad_optional_access);
    }
  }));
}

TEST_CASE("an optional holds what cannot be copied, and gives it away") {
  es::optional<std::unique_ptr<int>> x = std::make_unique<int>(4);
  es::optional<std::unique_ptr<int>> y = std::move(x);
  CHECK(**y == 4);
  const std::unique_ptr<int> out = *std::move(y);
  CHECK(*out == 4);
}

TEST_CASE("an owned_ptr destroys its object once, through its base too") {
  struct base {
    virtual ~base() = default;
    virtual int number() const = 0;
  };
  struct counted : base {
    int& left;
    explicit counted(int& l) : left(l) { ++left; }
    ~counted() override { --left; }
    int number() const override { return 7; }
  };
  int left = 0;
  {
    es::owned_ptr<base> a(new counted(left)), b;
    CHECK(left == 1);
    CHECK(a->number() == 7);
    b = std::move(a);
    CHECK(!a);
    CHECK((*b).number() == 7);
    auto& self = b;
    b = std::move(self);
    CHECK(b.get() != nullptr);
    b = es::owned_ptr<base>(new counted(left));
    CHECK(left == 1);
    es::owned_ptr<base> c(std::move(b));
    CHECK(left == 1);
  }
  CHECK(left == 0);
}

TEST_CASE("a mutex lets one thread in at a time") {
  es::detail::mutex m;
  int count = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t != 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i != 20000; ++i) {
        const es::detail::lock_guard lock(m);
        ++count;
      }
    });
  for (auto& t : threads)
    t.join();
  CHECK(count == 80000);
}
