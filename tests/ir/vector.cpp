// SPDX-License-Identifier: BSL-1.0
// es::vector does what std::vector does: the same random edits of both, of elements with and without a
// destructor, and in constant evaluation.
#include <espalier/support/vector.hpp>

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace es = espalier;

namespace {

constexpr int sum(const es::vector<int>& v) {
  int s = 0;
  for (const int x : v)
    s = s * 10 + x;
  return s;
}
constexpr es::vector<int> digits() {
  es::vector<int> v{1, 2, 3};
  v.push_back(4);
  v.insert(v.begin() + 1, 9);
  v.erase(v.begin());
  v.resize(6, 7);
  v.pop_back();
  return v;
}
static_assert(sum(digits()) == 92347);
static_assert(digits() == es::vector<int>{9, 2, 3, 4, 7} && digits() < es::vector<int>{9, 3});
constexpr std::size_t nested() {
  es::vector<es::vector<int>> v;
  for (int i = 0; i != 9; ++i)
    v.emplace_back(es::vector<int>(static_cast<std::size_t>(i), i));
  auto copy = v;
  erase_if(copy, [](const auto& x) { return x.size() % 2 == 0; });
  return copy.size() + copy.back().size();
}
static_assert(nested() == 4 + 7);

std::string element(std::string*) { return *rc::gen::container<std::string>(rc::gen::inRange('a', 'z')); }
int element(int*) { return *rc::gen::arbitrary<int>(); }

/// One random edit of both.
template <class T>
void edit(es::vector<T>& ours, std::vector<T>& theirs) {
  const auto index = [&](std::size_t end) { return *rc::gen::inRange<std::size_t>(0, end); };
  const auto at = [](auto& v, std::size_t i) { return v.begin() + static_cast<std::ptrdiff_t>(i); };
  const std::size_t n = theirs.size();
  switch (*rc::gen::inRange(0, 12)) {
  case 0: {
    const T x = element(static_cast<T*>(nullptr));
    ours.push_back(x);
    theirs.push_back(x);
    break;
  }
  case 1: // an element of its own, which growth moves
    if (const std::size_t i = n ? index(n) : 0; n) {
      ours.push_back(ours[i]);
      theirs.push_back(T(theirs[i]));
    }
    break;
  case 2:
    if (n) {
      ours.pop_back();
      theirs.pop_back();
    }
    break;
  case 3: {
    const T x = element(static_cast<T*>(nullptr));
    const std::size_t i = index(n + 1);
    CHECK(*ours.insert(at(ours, i), x) == x);
    theirs.insert(at(theirs, i), x);
    break;
  }
  case 4: {
    const std::list<T> more(3, element(static_cast<T*>(nullptr)));
    const std::size_t i = index(n + 1);
    ours.insert(at(ours, i), more.begin(), more.end());
    theirs.insert(at(theirs, i), more.begin(), more.end());
    break;
  }
  case 5: {
    const std::size_t i = index(n + 1), j = i + index(n - i + 1);
    ours.erase(at(ours, i), at(ours, j));
    theirs.erase(at(theirs, i), at(theirs, j));
    break;
  }
  case 6: {
    const std::size_t m = index(20);
    ours.resize(m);
    theirs.resize(m);
    break;
  }
  case 7: {
    const std::size_t m = index(20);
    const T x = n ? theirs.front() : element(static_cast<T*>(nullptr));
    if (n)
      ours.resize(m, ours.front()); // of its own, as above
    else
      ours.resize(m, x);
    theirs.resize(m, x);
    break;
  }
  case 8: {
    const T x = element(static_cast<T*>(nullptr));
    ours.assign(5, x);
    theirs.assign(5, x);
    break;
  }
  case 9: {
    es::vector<T> copy(ours);
    CHECK(copy == ours);
    es::vector<T> moved(std::move(copy));
    copy = ours;
    ours = std::move(moved);
    ours.swap(copy);
    break;
  }
  case 10:
    ours.shrink_to_fit();
    CHECK(ours.capacity() == ours.size());
    break;
  default: {
    const auto gone = [&](const T& x) { return theirs.front() < x; };
    if (n)
      CHECK(erase_if(ours, [first = theirs.front()](const T& x) { return first < x; }) ==
            static_cast<std::size_t>(std::count_if(theirs.begin(), theirs.end(), gone)));
    if (n)
      std::erase_if(theirs, [first = theirs.front()](const T& x) { return first < x; });
  }
  }
}
template <class T>
void same_edits() {
  CHECK(rc::check([] {
    es::vector<T> ours;
    std::vector<T> theirs;
    for (int i = 0, n = *rc::gen::inRange(0, 60); i != n; ++i) {
      edit(ours, theirs);
      RC_ASSERT(ours == theirs); // a vector of another library
      RC_ASSERT(ours.empty() == theirs.empty());
      RC_ASSERT(std::equal(ours.rbegin(), ours.rend(), theirs.rbegin(), theirs.rend()));
    }
    RC_ASSERT(es::vector<T>(theirs) == ours);
  }));
}

} // namespace

TEST_CASE("the same edits of numbers") { same_edits<int>(); }
TEST_CASE("the same edits of strings, which own memory") { same_edits<std::string>(); }

TEST_CASE("elements that can only be moved, and places that are not there") {
  es::vector<std::unique_ptr<int>> v;
  for (int i = 0; i != 40; ++i)
    v.push_back(std::make_unique<int>(i));
  v.erase(v.begin() + 3);
  CHECK(*v[3] == 4);
  CHECK(*v.at(38) == 39);
  CHECK_THROWS_AS(v.at(39), std::out_of_range);
}

TEST_CASE("a size whose bytes do not fit 64 bits is refused, and nothing is lost") {
  es::vector<std::uint64_t> v{1, 2, 3};
  for (const std::size_t n : {SIZE_MAX, SIZE_MAX / sizeof(std::uint64_t) + 2}) { // the second would wrap to 8
    CHECK_THROWS_AS(v.resize(n), std::length_error);
    CHECK_THROWS_AS(v.reserve(n), std::length_error);
    CHECK_THROWS_AS(es::vector<std::uint64_t>{}.assign(n, 0), std::length_error);
    CHECK(v == es::vector<std::uint64_t>{1, 2, 3});
  }
}
