// SPDX-License-Identifier: BSL-1.0
// es::hash_map and es::hash_set hold what std::unordered_map does after the same random edits, and in the
// order in which keys came.
#include <espalier/support/hash_map.hpp>

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace es = espalier;

namespace {

std::string key(std::string*, int i) {
  return std::string(static_cast<std::size_t>(i % 3) * 12, 'k') + std::to_string(i);
}
std::uint32_t key(std::uint32_t*, int i) { return static_cast<std::uint32_t>(i) << 20; }
es::node_id key(es::node_id*, int i) { return es::node_id(static_cast<std::uint32_t>(i)); }
const char* key(const char**, int i) {
  static const char memory[64] = {};
  return memory + i;
}

/// Random edits of both, with all look-ups after each.
template <class Key>
void edits_agree() {
  CHECK(rc::check([] {
    es::hash_map<Key, std::string> ours;
    std::unordered_map<Key, std::string> theirs;
    std::vector<Key> order;
    bool ordered = true; // until something is erased
    const int steps = *rc::gen::inRange(0, 120);
    for (int i = 0; i != steps; ++i) {
      const Key k = key(static_cast<Key*>(nullptr), *rc::gen::inRange(0, 40));
      const std::string v = std::to_string(i) + " and more than fits into a short string";
      const bool fresh = !theirs.contains(k);
      if (fresh)
        order.push_back(k);
      switch (*rc::gen::inRange(0, 6)) {
      case 0:
        theirs[k] = v;
        ours[k] = v;
        break;
      case 1: {
        const auto a = theirs.try_emplace(k, v);
        const auto [at, made] = ours.try_emplace(k, v);
        RC_ASSERT(made == a.second && at->first == k && at->second == a.first->second);
        break;
      }
      case 2: {
        const auto a = theirs.emplace(k, v);
        const auto [at, made] = ours.emplace(k, v);
        RC_ASSERT(made == a.second && at->second == a.first->second);
        break;
      }
      case 3:
        if (fresh)
          order.pop_back();
        else
          ordered = false;
        RC_ASSERT(ours.erase(k) == theirs.erase(k));
        break;
      case 4: { // a copy is another map
        if (fresh)
          order.pop_back();
        auto copy = ours;
        copy[k] = "the copy's";
        ours = std::move(copy);
        if (fresh)
          ours.erase(k);
        else
          ours[k] = theirs[k];
        break;
      }
      case 5:
        if (fresh)
          order.pop_back();
        ours.reserve(ours.size() + static_cast<std::size_t>(i));
        break;
      }
      RC_ASSERT(ours.size() == theirs.size() && ours.empty() == theirs.empty());
      for (int j = 0; j != 40; ++j) {
        const Key x = key(static_cast<Key*>(nullptr), j);
        const auto a = theirs.find(x);
        const auto b = ours.find(x);
        RC_ASSERT((a == theirs.end()) == (b == ours.end()));
        RC_ASSERT(ours.contains(x) == theirs.contains(x));
        if (a != theirs.end())
          RC_ASSERT(b->second == a->second && ours.at(x) == a->second);
      }
    }
    if (ordered) {
      std::size_t i = 0;
      for (const auto& [k, v] : ours)
        RC_ASSERT(k == order[i++]);
    }
    ours.clear();
    RC_ASSERT(ours.empty() && ours.find(key(static_cast<Key*>(nullptr), 1)) == ours.end());
    ours[key(static_cast<Key*>(nullptr), 1)] = "again";
    RC_ASSERT(ours.size() == 1);
  }));
}

} // namespace

TEST_CASE("a hash map holds what std::unordered_map does, in the order of its keys") {
  edits_agree<std::string>();
  edits_agree<std::uint32_t>();
  edits_agree<es::node_id>();
  edits_agree<const char*>();
}

TEST_CASE("a hash set takes each key once, in order") {
  es::hash_set<std::string> s;
  for (int i = 0; i != 1000; ++i)
    CHECK(s.insert(std::to_string(i * 7 % 500)).second == (i < 500));
  CHECK(s.size() == 500);
  int i = 0;
  for (const std::string& k : s)
    CHECK(k == std::to_string(i++ * 7 % 500));
  for (int j = 0; j < 500; j += 2)
    CHECK(s.erase(std::to_string(j)) == 1);
  CHECK(s.erase("0") == 0);
  for (int j = 0; j != 500; ++j)
    CHECK(s.contains(std::to_string(j)) == (j % 2 == 1));
  const auto [at, fresh] = s.insert("1");
  CHECK(!fresh);
  CHECK(*at == "1");
}

TEST_CASE("text is looked up without a copy, and a view may be a key") {
  es::hash_map<std::string, int> m;
  m["a rather long key that a string must allocate"] = 1;
  CHECK(m.find(std::string_view("a rather long key that a string must allocate"))->second == 1);
  es::hash_map<std::string_view, int> views;
  const std::string home = "home";
  views[home] = 2;
  CHECK(views.at("home") == 2);
  CHECK_THROWS_AS(views.at("away"), std::out_of_range);
}

TEST_CASE("a hash map owns what cannot be copied, and is as before when a value cannot be made") {
  es::hash_map<int, std::unique_ptr<int>> m;
  for (int i = 0; i != 100; ++i)
    m.try_emplace(i, std::make_unique<int>(i));
  auto moved = std::move(m);
  CHECK(*moved.at(57) == 57);
  CHECK(moved.erase(57) == 1);
  CHECK(!moved.contains(57));
  CHECK(*moved.at(99) == 99);

  struct refuses {
    int value;
    explicit refuses(int x) : value(x) {
      if (x == 3)
        throw std::runtime_error("3");
    }
  };
  es::hash_map<int, refuses> r;
  for (int i = 0; i != 20; ++i)
    if (i == 3)
      CHECK_THROWS_AS(r.try_emplace(i, i), std::runtime_error);
    else
      r.try_emplace(i, i);
  CHECK(r.size() == 19);
  CHECK(!r.contains(3));
  CHECK(r.at(19).value == 19);
}
