// SPDX-License-Identifier: BSL-1.0
// The hash map and the hash set of the library's own types, in the manner of support/vector.hpp: one table of
// positions that is no template, beside a vector of what is kept. `std::unordered_map` costs a compiler ten
// times as much for each pair of types (`./dev bench --only compile`: `compile one more hash map`), and there
// are fifty of them; its order is that of a hash function, where a compiler's output must not depend on one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

#include <espalier/support/id.hpp>
#include <espalier/support/vector.hpp>

namespace espalier {
namespace detail {

// Fibonacci hashing (Knuth, TAOCP 3, 6.4): all bits of the lower half of a number reach the upper half of the
// product; so the upper half is put onto it first.
inline std::uint32_t hash_of(std::uint64_t x) noexcept {
  return static_cast<std::uint32_t>(((x ^ x >> 32) * 0x9e37'79b9'7f4a'7c15ull) >> 32);
}
inline std::uint32_t hash_of(std::string_view s) noexcept {
  return hash_of(std::uint64_t{std::hash<std::string_view>{}(s)});
}
inline std::uint32_t hash_of(const void* p) noexcept {
  return hash_of(std::uint64_t{reinterpret_cast<std::uintptr_t>(p)});
}
template <class Tag>
std::uint32_t hash_of(id<Tag> i) noexcept {
  return hash_of(std::uint64_t{i.index});
}

/// Positions by hash: open addressing with linear probing, at most three quarters full.
class hash_index {
public:
  static constexpr std::uint32_t none = 0xffff'ffffu;

  /// The next position that was added with this hash; `cursor` starts as the hash.
  std::uint32_t next(std::uint32_t hash, std::uint32_t& cursor) const noexcept {
    while (!slots_.empty()) {
      const slot& s = slots_[cursor++ & mask()];
      if (s.position == none || s.hash == hash)
        return s.position;
    }
    return none;
  }
  /// Makes room for `n` positions in all; what else is done until there are as many does not throw.
  void reserve(std::size_t n) {
    if (n * 4 <= slots_.size() * 3)
      return;
    if (n >= none)
      throw std::length_error("espalier::hash_map: more elements than 32 bits count");
    std::size_t size = 8;
    while (n * 4 > size * 3)
      size *= 2;
    vector<slot> old(size, slot{});
    old.swap(slots_);
    for (const slot& s : old)
      if (s.position != none)
        add(s.hash, s.position);
  }
  void add(std::uint32_t hash, std::uint32_t position) noexcept {
    std::uint32_t i = hash & mask();
    while (slots_[i].position != none)
      i = (i + 1) & mask();
    slots_[i] = {position, hash};
  }
  void remove(std::uint32_t hash, std::uint32_t position) noexcept {
    std::uint32_t hole = find(hash, position);
    for (std::uint32_t i = hole;;) { // what was pushed past the hole goes into it
      i = (i + 1) & mask();
      if (slots_[i].position == none)
        break;
      if (((i - slots_[i].hash) & mask()) >= ((i - hole) & mask())) {
        slots_[hole] = slots_[i];
        hole = i;
      }
    }
    slots_[hole] = {};
  }
  void move(std::uint32_t hash, std::uint32_t from, std::uint32_t to) noexcept {
    slots_[find(hash, from)].position = to;
  }
  void clear() noexcept {
    for (slot& s : slots_)
      s = {};
  }

private:
  struct slot {
    std::uint32_t position = none, hash = 0;
  };

  std::uint32_t mask() const noexcept { return static_cast<std::uint32_t>(slots_.size() - 1); }
  std::uint32_t find(std::uint32_t hash, std::uint32_t position) const noexcept {
    std::uint32_t i = hash & mask();
    while (slots_[i].position != position)
      i = (i + 1) & mask();
    return i;
  }

  vector<slot> slots_; // as many as a power of two, or none
};

struct placement {
  std::uint32_t position;
  bool fresh;
};

template <class Key>
struct looked_up {
  using type = Key;
};
template <>
struct looked_up<std::string> {
  using type = std::string_view;
};

template <class Key, class Value>
struct map_entry {
  Key first;
  Value second;

  template <class... A>
  explicit map_entry(typename looked_up<Key>::type k, A&&... a) : first(k), second(static_cast<A&&>(a)...) {}
};

/// What hash_map and hash_set share: elements in the order in which they were added, found by their keys.
template <class Key, class Element>
class hash_table {
  static_assert(
      requires(const typename looked_up<Key>::type& k) { hash_of(k); },
      "espalier::hash_map and hash_set require keys that are text, a number, a pointer or an id; use a "
      "std::map for keys of another kind");

public:
  using key_type = Key;
  using value_type = Element;
  using iterator = Element*;
  using const_iterator = const Element*;
  /// How a key is asked for: text as a view.
  using lookup = typename looked_up<Key>::type;

  std::size_t size() const noexcept { return elements_.size(); }
  bool empty() const noexcept { return elements_.empty(); }
  const Element* begin() const noexcept { return elements_.begin(); }
  const Element* end() const noexcept { return elements_.end(); }
  const Element* find(lookup k) const noexcept {
    const std::uint32_t at = position(k, hash_of(k));
    return at == hash_index::none ? end() : begin() + at;
  }
  bool contains(lookup k) const noexcept { return position(k, hash_of(k)) != hash_index::none; }
  void reserve(std::size_t n) {
    index_.reserve(n);
    elements_.reserve(n);
  }
  void clear() noexcept {
    index_.clear();
    elements_.clear();
  }
  /// Removes the element of a key, if there is one, whose place the last one takes; gives the number removed.
  std::size_t erase(lookup k) {
    const std::uint32_t hash = hash_of(k), at = position(k, hash),
                        last = static_cast<std::uint32_t>(size() - 1);
    if (at == hash_index::none)
      return 0;
    index_.remove(hash, at);
    if (at != last) {
      index_.move(hash_of(lookup(key_of(elements_[last]))), last, at);
      elements_[at] = std::move(elements_[last]);
    }
    elements_.pop_back();
    return 1;
  }

protected:
  /// The element of a key, made of the key and `a` if there was none, and whether it was.
  template <class... A>
  placement place(lookup k, A&&... a) {
    const std::uint32_t hash = hash_of(k), at = position(k, hash);
    if (at != hash_index::none)
      return {at, false};
    const auto last = static_cast<std::uint32_t>(size());
    index_.reserve(size() + 1);
    elements_.emplace_back(k, static_cast<A&&>(a)...);
    index_.add(hash, last);
    return {last, true};
  }

  vector<Element> elements_;

private:
  static const Key& key_of(const Element& e) noexcept {
    if constexpr (__is_same(Key, Element))
      return e;
    else
      return e.first;
  }
  std::uint32_t position(lookup k, std::uint32_t hash) const noexcept {
    std::uint32_t cursor = hash;
    for (;;) {
      const std::uint32_t at = index_.next(hash, cursor);
      if (at == hash_index::none || key_of(elements_[at]) == k)
        return at;
    }
  }

  hash_index index_;
};

} // namespace detail

/// Values by key, in the order in which the keys were added (`erase` moves the last into the gap). The
/// interface of `std::unordered_map` with three differences: what adds or removes a key invalidates iterators
/// and references, an entry's `first` could be written to and must not be, and text is looked up as a
/// `std::string_view`. Throws `std::length_error` beyond 2^32 - 1 entries.
template <class Key, class Value>
class hash_map : public detail::hash_table<Key, detail::map_entry<Key, Value>> {
  using base = detail::hash_table<Key, detail::map_entry<Key, Value>>;

public:
  using mapped_type = Value;
  using typename base::const_iterator;
  using typename base::iterator;
  using typename base::lookup;
  struct inserted {
    iterator first;
    bool second; ///< was there none?
  };

  using base::begin;
  using base::end;
  using base::find;
  iterator begin() noexcept { return this->elements_.begin(); }
  iterator end() noexcept { return this->elements_.end(); }
  iterator find(lookup k) noexcept { return const_cast<iterator>(std::as_const(*this).find(k)); }
  /// Throws `std::out_of_range`.
  const Value& at(lookup k) const {
    const const_iterator e = find(k);
    return e != end() ? e->second : throw std::out_of_range("espalier::hash_map::at");
  }
  Value& at(lookup k) { return const_cast<Value&>(std::as_const(*this).at(k)); }
  Value& operator[](lookup k) { return this->elements_[this->place(k).position].second; }
  /// Makes a value of `a`, unless the key has one.
  template <class... A>
  inserted try_emplace(lookup k, A&&... a) {
    const auto [position, fresh] = this->place(k, static_cast<A&&>(a)...);
    return {begin() + position, fresh};
  }
  template <class V>
  inserted emplace(lookup k, V&& v) {
    return try_emplace(k, static_cast<V&&>(v));
  }
};

/// Keys in the order in which they were added; as hash_map.
template <class Key>
class hash_set : public detail::hash_table<Key, Key> {
  using base = detail::hash_table<Key, Key>;

public:
  using typename base::const_iterator;
  using typename base::lookup;
  struct inserted {
    const_iterator first;
    bool second; ///< was there none?
  };

  inserted insert(lookup k) {
    const auto [position, fresh] = this->place(k);
    return {this->begin() + position, fresh};
  }
};

} // namespace espalier
