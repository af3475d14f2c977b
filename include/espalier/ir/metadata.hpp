// SPDX-License-Identifier: BSL-1.0
// What a graph knows about its values (`val` of FX) and about where its nodes come from (module stack, stack
// trace, provenance). Both are interned per graph: the thousand nodes of a layer share one record, a copy is
// an id.
#pragma once

#include <espalier/ir/strings.hpp>
#include <espalier/meta/tensor_meta.hpp>
#include <espalier/support/id.hpp>
#include <espalier/support/inline_vector.hpp>
#include <espalier/support/vector.hpp>
#include <espalier/symbolic/sym_int.hpp>

#include <bit>
#include <cstdint>
#include <string_view>
#include <type_traits>

namespace espalier {

/// What a value is.
enum class value_kind : std::uint8_t {
  unknown, ///< nothing recorded
  none,    ///< None: an optional result that was not computed
  tensor,
  sym_int, ///< an integer: a size, an item()
  sym_float,
  sym_bool,
  custom_object, ///< an instance of a custom class; `text` is its class
  token,         ///< orders effects
};

/// What is known of a value. For `tensor`, `tensor` holds; for the symbolic kinds `symbol` is the expression
/// (or the constant) and `hint` its value on the example inputs, when there was one.
struct value_meta {
  value_kind kind = value_kind::unknown;
  tensor_meta tensor{};
  sym_int symbol{};
  bool has_hint = false;
  std::int64_t hint = 0; ///< a double's bits for `sym_float`
  str_id text{};

  constexpr value_meta() = default;
  constexpr value_meta(tensor_meta t) : kind(value_kind::tensor), tensor(std::move(t)) {}
  static constexpr value_meta of(value_kind k, sym_int s = {}) {
    value_meta m;
    m.kind = k;
    m.symbol = s;
    return m;
  }
  friend constexpr bool operator==(const value_meta&, const value_meta&) = default;
};

/// Where a node comes from: keys (`nn_module_stack`, `stack_trace`, `torch_fn`, `from_node`, ...) and their
/// texts, as the archive holds them, in order of key insertion.
struct origin {
  struct entry {
    str_id key, text;
    friend constexpr bool operator==(entry, entry) noexcept = default;
  };
  inline_vector<entry, 4> entries;
  constexpr str_id find(str_id key) const noexcept {
    for (auto& e : entries)
      if (e.key == key)
        return e.text;
    return {};
  }
  constexpr void set(str_id key, str_id text) {
    for (auto& e : entries)
      if (e.key == key) {
        e.text = text;
        return;
      }
    entries.push_back({key, text});
  }
  friend constexpr bool operator==(const origin&, const origin&) = default;
};

namespace detail {

constexpr std::uint64_t mix(std::uint64_t h, std::uint64_t x) noexcept {
  h ^= x + 0x9e37'79b9'7f4a'7c15ull + (h << 6) + (h >> 2);
  h *= 0xff51'afd7'ed55'8ccdull;
  return h ^ (h >> 32);
}
constexpr std::uint64_t hash_of(const sym_int& s) noexcept {
  if (s.is_int())
    return static_cast<std::uint64_t>(s.int_or(0));
  // Expressions are interned: the address tells them apart. It decides where a record lies in the table and
  // nothing else. Constant evaluation has no addresses.
  return std::is_constant_evaluated() ? 0x5'1bull : std::bit_cast<std::uintptr_t>(s.as_expr()) >> 4;
}
constexpr std::uint64_t hash_of(const tensor_meta& m) noexcept {
  std::uint64_t h = static_cast<std::uint64_t>(m.dtype) * 131 + static_cast<std::uint64_t>(m.lay) * 17 +
                    static_cast<std::uint64_t>(m.dev.type) * 7 + (m.requires_grad ? 3 : 0);
  for (auto& s : m.sizes)
    h = mix(h, hash_of(s));
  for (auto& s : m.strides)
    h = mix(h, hash_of(s));
  return mix(h, hash_of(m.storage_offset));
}
constexpr std::uint64_t hash_of(const value_meta& m) noexcept {
  return mix(static_cast<std::uint64_t>(m.kind) + static_cast<std::uint64_t>(m.hint) * 31 + m.text.index,
             m.kind == value_kind::tensor ? hash_of(m.tensor) : hash_of(m.symbol));
}
constexpr std::uint64_t hash_of(const origin& o) noexcept {
  std::uint64_t h = o.entries.size();
  for (auto& e : o.entries)
    h = mix(h, (std::uint64_t{e.key.index} << 32) | e.text.index);
  return h;
}

/// Equal records get equal ids.
template <class T, class Id>
class interner {
public:
  constexpr Id intern(const T& x) {
    if ((items_.size() + 1) * 4 > table_.size() * 3)
      grow();
    std::size_t at = hash_of(x) & (table_.size() - 1);
    while (table_[at] != 0) {
      if (items_[table_[at] - 1] == x)
        return Id{table_[at] - 1};
      at = (at + 1) & (table_.size() - 1);
    }
    items_.push_back(x);
    table_[at] = static_cast<std::uint32_t>(items_.size());
    return Id{static_cast<std::uint32_t>(items_.size() - 1)};
  }
  constexpr const T& operator[](Id i) const noexcept { return items_[i.index]; }
  constexpr std::size_t size() const noexcept { return items_.size(); }

private:
  constexpr void grow() {
    const std::size_t n = table_.empty() ? 16 : table_.size() * 2;
    table_.assign(n, 0);
    for (std::size_t i = 0; i != items_.size(); ++i) {
      std::size_t at = hash_of(items_[i]) & (n - 1);
      while (table_[at] != 0)
        at = (at + 1) & (n - 1);
      table_[at] = static_cast<std::uint32_t>(i + 1);
    }
  }
  vector<T> items_;
  vector<std::uint32_t> table_; // index + 1, or 0
};

} // namespace detail

/// One frame of a node's module stack: the key that Python gives it, the module's path from the root, its
/// type.
struct module_frame {
  std::string_view key, path, type;
  friend constexpr bool operator==(const module_frame&, const module_frame&) = default;
};

/// The frames of a serialised `nn_module_stack` (`key,path,type;key,path,type`), outermost first. The type
/// may hold commas; the key and the path may not.
template <class = when_used>
vector<module_frame> parse_module_stack(std::string_view s) {
  vector<module_frame> frames;
  while (!s.empty()) {
    const auto end = s.find(';');
    auto one = s.substr(0, end);
    module_frame f;
    const auto a = one.find(',');
    f.key = one.substr(0, a);
    if (a != one.npos) {
      const auto b = one.find(',', a + 1);
      f.path = one.substr(a + 1, b == one.npos ? one.npos : b - a - 1);
      if (b != one.npos)
        f.type = one.substr(b + 1);
    }
    frames.push_back(f);
    if (end == s.npos)
      break;
    s.remove_prefix(end + 1);
  }
  return frames;
}

} // namespace espalier
