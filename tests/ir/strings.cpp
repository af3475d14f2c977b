// SPDX-License-Identifier: BSL-1.0
// The string pool: a set of strings with stable ids, also when it interns pieces of its own text.
#include <espalier/ir/strings.hpp>

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace es = espalier;

namespace {

constexpr bool interns_in_constant_evaluation() {
  es::string_pool pool;
  const auto whole = pool.intern("relu_backward");
  const auto part = pool.intern(pool.view(whole).substr(0, 4)); // a piece of the pool itself
  for (char c = 'a'; c != 'z'; ++c)
    pool.intern({&c, 1});
  return pool.view(part) == "relu" && pool.view(whole) == "relu_backward" && pool.find("relu") == part &&
         pool.intern("q") == pool.find("q") && !pool.find("Q").valid() && pool.size() == 27;
}
static_assert(interns_in_constant_evaluation());

} // namespace

TEST_CASE("a pool is a set of strings, whose ids are given in order and never change") {
  const bool ok = rc::check("pool", [](const std::vector<std::string>& texts) {
    es::string_pool pool;
    std::vector<std::string> model;
    for (const auto& s : texts) {
      const auto at = static_cast<std::size_t>(std::find(model.begin(), model.end(), s) - model.begin());
      RC_ASSERT(pool.find(s).valid() == (at != model.size()));
      if (at == model.size())
        model.push_back(s);
      RC_ASSERT(pool.intern(s).index == at);
    }
    RC_ASSERT(pool.size() == model.size());
    for (std::uint32_t i = 0; i != model.size(); ++i)
      RC_ASSERT(pool.view(es::str_id{i}) == model[i]);
  });
  CHECK(ok);
}

TEST_CASE("pieces of the pool's own text are interned soundly, whenever it grows") {
  es::string_pool pool;
  std::string text;
  for (int i = 0; i != 400; ++i)
    text += static_cast<char>('a' + i * 7 % 26);
  const auto whole = pool.intern(text);
  for (std::size_t from = 0; from != text.size(); ++from) {
    const auto piece =
        pool.intern(pool.view(whole).substr(from)); // its view dangles as soon as the text moves
    REQUIRE(pool.view(piece) == std::string_view(text).substr(from));
    const auto again = pool.intern(pool.view(piece));
    REQUIRE(again == piece);
  }
  CHECK(pool.view(whole) == text);
  CHECK(pool.size() == text.size());
}

TEST_CASE("copies are independent, and the empty string is one like others") {
  es::string_pool a;
  const auto empty = a.intern("");
  CHECK(empty.valid());
  CHECK(a.view(empty).empty());
  CHECK(a.view({}).empty());
  es::string_pool b = a;
  CHECK(b.intern("x") == a.intern("y"));
  CHECK(a.view(es::str_id{1}) == "y");
  CHECK(b.view(es::str_id{1}) == "x");
  CHECK(a.bytes() > 0);
}
