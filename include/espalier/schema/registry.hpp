// SPDX-License-Identifier: BSL-1.0
// Operators that the generated table does not list: one registry for the
// process, written under a lock and read without one, because passes ask it for
// flags in their inner loops. Entries never move and never go.
#pragma once

#include <espalier/schema/parse.hpp>
#include <espalier/schema/schema.hpp>
#include <espalier/support/config.hpp>
#include <espalier/support/error.hpp>
#include <espalier/support/hash_map.hpp>
#include <espalier/support/mutex.hpp>
#include <espalier/support/optional.hpp>
#include <espalier/support/span.hpp>

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace espalier::detail {

/// The bits of packed flags, those of the generated table.
namespace flag_bits {
inline constexpr unsigned mutates = 1, view = 2, random = 4, data_dependent = 8, pointwise = 16, core = 32,
                          effects = 64, higher_order = 128, known_schema = 256;
}

constexpr op_flags unpack_flags(unsigned f) noexcept {
  op_flags o;
  o.mutates = f & flag_bits::mutates;
  o.view = f & flag_bits::view;
  o.random = f & flag_bits::random;
  o.data_dependent = f & flag_bits::data_dependent;
  o.pointwise = f & flag_bits::pointwise;
  o.core = f & flag_bits::core;
  o.effects = f & flag_bits::effects;
  o.higher_order = f & flag_bits::higher_order;
  o.known_schema = f & flag_bits::known_schema;
  return o;
}
constexpr unsigned pack_flags(op_flags o) noexcept {
  unsigned f = 0;
  if (o.mutates)
    f |= flag_bits::mutates;
  if (o.view)
    f |= flag_bits::view;
  if (o.random)
    f |= flag_bits::random;
  if (o.data_dependent)
    f |= flag_bits::data_dependent;
  if (o.pointwise)
    f |= flag_bits::pointwise;
  if (o.core)
    f |= flag_bits::core;
  if (o.effects)
    f |= flag_bits::effects;
  if (o.higher_order)
    f |= flag_bits::higher_order;
  if (o.known_schema)
    f |= flag_bits::known_schema;
  return f;
}
/// What a schema alone tells.
constexpr op_flags flags_of_schema(span<const schema_arg> args, span<const schema_return> returns) noexcept {
  op_flags o;
  o.known_schema = true;
  for (auto& a : args)
    o.mutates = o.mutates || a.is_write;
  for (auto& r : returns)
    o.view = o.view || (r.alias && !r.is_write);
  o.effects = returns.empty() && !o.mutates;
  return o;
}

/// Whether two schemas take the same arguments and give the same results.
/// Spellings of defaults may differ, and `int` stands for `SymInt`: LibTorch
/// prints one operator both ways.
constexpr bool same_signature(const op_schema& a, const op_schema& b) noexcept {
  constexpr auto same_type = [](arg_type x, arg_type y) {
    const auto plain = [](arg_kind k) { return k == arg_kind::sym_integer ? arg_kind::integer : k; };
    x.kind = plain(x.kind);
    y.kind = plain(y.kind);
    return x == y;
  };
  if (a.args.size() != b.args.size() || a.returns.size() != b.returns.size())
    return false;
  for (std::size_t i = 0; i != a.args.size(); ++i) {
    const auto &x = a.args[i], &y = b.args[i];
    if (x.name != y.name || !same_type(x.type, y.type) || x.has_default != y.has_default ||
        x.kwarg_only != y.kwarg_only || x.is_write != y.is_write)
      return false;
  }
  for (std::size_t i = 0; i != a.returns.size(); ++i)
    if (!same_type(a.returns[i].type, b.returns[i].type) || a.returns[i].is_write != b.returns[i].is_write)
      return false;
  return true;
}

[[noreturn]] ESPALIER_COLD inline void refuse_second_schema(std::string_view qualified,
                                                            std::string_view known, std::string_view given) {
  fail(error_kind::usage,
       "operator '" + std::string(qualified) + "' is known with another schema: " + std::string(known),
       std::string(given), "give the operators different overload names, or make the schemas equal");
}

/// The registry. Its ids count from zero; schema/op_id.hpp puts them above the
/// table's.
class ESPALIER_SHARED op_registry {
public:
  struct entry {
    std::string qualified;
    std::atomic<const owned_schema*> schema{nullptr}; ///< set once; kept for the life of the process
    std::atomic<std::uint16_t> flags{0};
  };

  /// Never destroyed: destructors of other static objects may still ask.
  static op_registry& instance() {
    static op_registry& r = *new op_registry;
    return r;
  }

  optional<std::uint32_t> find(std::string_view qualified) const {
    const lock_guard lock(mutex_);
    const auto it = by_name_.find(qualified);
    if (it == by_name_.end())
      return std::nullopt;
    return it->second;
  }

  std::uint32_t intern(std::string_view qualified, std::string_view schema, op_flags extra) {
    const auto colons = qualified.find("::");
    if (colons == qualified.npos || colons == 0 || colons + 2 == qualified.size())
      fail(error_kind::usage, "'" + std::string(qualified) + "' is no operator's name", {},
           "write namespace::name or namespace::name.overload");
    if (qualified.starts_with("higher_order::"))
      extra.higher_order = true;
    const lock_guard lock(mutex_);
    if (const auto it = by_name_.find(qualified); it != by_name_.end()) {
      describe(*at(it->second), schema, extra);
      return it->second;
    }
    const std::uint32_t i = size_;
    entry& e = slot(i);
    e.qualified = qualified;
    try {
      describe(e, schema, extra);
      by_name_.emplace(std::string_view(e.qualified), i);
    } catch (...) {
      e.qualified.clear();
      throw;
    }
    ++size_;
    return i;
  }

  /// The entry of an id that `intern` gave; null for one it cannot have given.
  entry* at(std::uint32_t i) const noexcept {
    const auto b = block_of(i);
    entry* first = b < num_blocks ? blocks_[b].load(std::memory_order_acquire) : nullptr;
    return first ? first + (i - first_of(b)) : nullptr;
  }

private:
  // Block b holds 64 * 2^b entries, so that a fixed array of block addresses
  // suffices for every id.
  static constexpr std::uint32_t first_block = 64, num_blocks = 26;
  static constexpr std::uint32_t block_of(std::uint32_t i) noexcept {
    return static_cast<std::uint32_t>(std::bit_width(i / first_block + 1)) - 1;
  }
  static constexpr std::uint32_t first_of(std::uint32_t b) noexcept { return first_block * ((1u << b) - 1); }

  entry& slot(std::uint32_t i) {
    const auto b = block_of(i);
    entry* first = blocks_[b].load(std::memory_order_relaxed);
    if (!first) {
      first = new entry[std::size_t{first_block} << b];
      blocks_[b].store(first, std::memory_order_release);
    }
    return first[i - first_of(b)];
  }

  /// Adds what is new, refuses what contradicts.
  static void describe(entry& e, std::string_view text, op_flags extra) {
    unsigned flags = e.flags.load(std::memory_order_relaxed) | pack_flags(extra);
    if (!text.empty()) {
      const auto* known = e.schema.load(std::memory_order_relaxed);
      if (!known || known->text() != text) {
        const owned_schema given{std::string(text)};
        check_name(e.qualified, given);
        if (known) {
          if (!same_signature(known->schema(), given.schema()))
            refuse_second_schema(e.qualified, known->text(), text);
        } else {
          flags |= pack_flags(flags_of_schema(given.schema().args, given.schema().returns));
          e.schema.store(new owned_schema(std::string(text)), std::memory_order_release);
        }
      }
    }
    e.flags.store(static_cast<std::uint16_t>(flags), std::memory_order_release);
  }
  static void check_name(std::string_view qualified, const owned_schema& s) {
    const operator_name want(qualified);
    const auto bare = want.name.substr(want.name.find("::") + 2);
    const auto name = s.schema().name;
    const auto overload = s.schema().overload == "default" ? std::string_view() : s.schema().overload;
    if ((name != want.name && name != bare) || overload != want.overload)
      fail(error_kind::usage,
           "the schema given for operator '" + std::string(qualified) + "' names another operator", s.text(),
           "write the same name and overload in both");
  }

  mutable mutex mutex_;
  hash_map<std::string_view, std::uint32_t> by_name_;
  std::uint32_t size_ = 0;
  std::atomic<entry*> blocks_[num_blocks]{};
};

} // namespace espalier::detail
