// SPDX-License-Identifier: BSL-1.0
// Run-time ids of operators. ATen's are indexes of a generated, sorted, constant table, so nothing happens at start-up
// and every shared object agrees on them; other operators get the ids above from a registry of the process when they
// are first named.
#pragma once

#include <espalier/schema/aten_table.hpp>
#include <espalier/schema/parse.hpp>
#include <espalier/schema/schema.hpp>
#include <espalier/support/error.hpp>
#include <espalier/support/id.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <iterator>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace espalier {

/// An operator at run time: one integer, equal exactly when the operators are.
using op_id = id<struct op_tag>;

namespace detail {

inline constexpr std::uint32_t num_aten_ops = static_cast<std::uint32_t>(std::size(aten_rows));

/// `aten::add.Tensor` of a row.
constexpr std::string_view aten_row_name(std::uint32_t i) noexcept {
  const char* s = aten_rows[i].schema;
  std::size_t n = 0;
  while (s[n] != '(') ++n;
  return {s, n};
}
/// The index of a qualified name in the table, or `num_aten_ops`.
constexpr std::uint32_t find_aten(std::string_view qualified) noexcept {
  std::uint32_t lo = 0, hi = num_aten_ops;
  while (lo < hi) {
    const auto mid = lo + (hi - lo) / 2;
    if (aten_row_name(mid) < qualified) lo = mid + 1;
    else hi = mid;
  }
  return lo < num_aten_ops && aten_row_name(lo) == qualified ? lo : num_aten_ops;
}
constexpr op_flags unpack_flags(unsigned f) noexcept {
  op_flags o;
  o.mutates = f & 1;
  o.view = f & 2;
  o.random = f & 4;
  o.data_dependent = f & 8;
  o.pointwise = f & 16;
  o.core = f & 32;
  o.effects = f & 64;
  o.known_schema = true;
  return o;
}
/// What a schema alone tells.
constexpr op_flags flags_of_schema(std::span<const schema_arg> args, std::span<const schema_return> returns) noexcept {
  op_flags o;
  o.known_schema = true;
  for (auto& a : args) o.mutates = o.mutates || a.is_write;
  for (auto& r : returns) o.view = o.view || (r.alias && !r.is_write);
  o.effects = returns.empty() && !o.mutates;
  return o;
}

/// A schema parsed at run time, owning its text.
struct owned_schema {
  std::string text;
  std::vector<schema_arg> args;
  std::vector<schema_return> returns;
  op_schema schema;

  explicit owned_schema(std::string t) : text(std::move(t)) {
    const auto n = schema_parser(text, nullptr, nullptr).parse();
    if (n.error_at != std::string_view::npos)
      fail(error_kind::usage, "malformed operator schema '" + text + "'", "offset " + std::to_string(n.error_at),
           "write it as in native_functions.yaml: name.overload(Type name=default, ...) -> Type");
    args.resize(n.args);
    returns.resize(n.returns);
    schema_parser(text, args.data(), returns.data()).parse();
    schema = {n.name, n.overload, args, returns};
  }
  owned_schema(const owned_schema&) = delete;
  owned_schema& operator=(const owned_schema&) = delete;
};

/// Operators that are not in the table. One object for the process.
class ESPALIER_SHARED op_registry {
public:
  static op_registry& instance() {
    static op_registry r;
    return r;
  }
  struct entry {
    std::string qualified;
    std::optional<owned_schema> schema;
    op_flags flags;
  };
  std::optional<std::uint32_t> find(std::string_view qualified) const {
    std::lock_guard lock(mutex_);
    const auto it = by_name_.find(qualified);
    if (it == by_name_.end()) return std::nullopt;
    return it->second;
  }
  std::uint32_t intern(std::string_view qualified, std::string_view schema, op_flags extra) {
    std::lock_guard lock(mutex_);
    if (const auto it = by_name_.find(qualified); it != by_name_.end()) {
      auto& e = entries_[it->second];
      if (!schema.empty()) {
        if (e.schema && e.schema->text != schema)
          fail(error_kind::usage, "operator '" + std::string(qualified) + "' is already known with another schema: " + e.schema->text,
               std::string(schema), "give the operators different overload names, or make the schemas equal");
        if (!e.schema) fill(e, schema, extra);
      }
      return it->second;
    }
    auto& e = entries_.emplace_back();
    e.qualified = qualified;
    e.flags = extra;
    if (!schema.empty()) fill(e, schema, extra);
    const auto i = static_cast<std::uint32_t>(entries_.size() - 1);
    by_name_.emplace(std::string_view(e.qualified), i); // a deque's elements stay where they are
    return i;
  }
  const entry& operator[](std::uint32_t i) const {
    std::lock_guard lock(mutex_);
    return entries_[i];
  }

private:
  static void fill(entry& e, std::string_view schema, op_flags extra) {
    e.schema.emplace(std::string(schema));
    e.flags = flags_of_schema(e.schema->args, e.schema->returns);
    e.flags.random = extra.random;
    e.flags.data_dependent = extra.data_dependent;
    e.flags.pointwise = extra.pointwise;
    e.flags.core = extra.core;
    e.flags.effects = e.flags.effects || extra.effects;
    e.flags.higher_order = extra.higher_order;
  }
  mutable std::mutex mutex_;
  std::deque<entry> entries_;
  std::map<std::string_view, std::uint32_t, std::less<>> by_name_;
};

/// ATen schemas parsed so far, by id; a lost race parses twice and keeps one.
ESPALIER_SHARED inline std::atomic<const owned_schema*> aten_schemas[num_aten_ops]{};

inline constexpr auto aten_flags = [] {
  struct {
    op_flags at[num_aten_ops];
  } t{};
  for (std::uint32_t i = 0; i != num_aten_ops; ++i) t.at[i] = unpack_flags(aten_rows[i].flags);
  return t;
}();

} // namespace detail

/// The id of a qualified name (`aten::add.Tensor`, `aten::relu`), or nothing when nobody has named it yet.
inline std::optional<op_id> find_op(std::string_view qualified) {
  if (qualified.ends_with(".default")) qualified.remove_suffix(8);
  if (const auto i = detail::find_aten(qualified); i != detail::num_aten_ops) return op_id{i};
  if (const auto i = detail::op_registry::instance().find(qualified)) return op_id{detail::num_aten_ops + *i};
  return std::nullopt;
}
/// The id of an operator, which is made known when it is new. `schema` may be empty (unknown), else it must be the one
/// the operator is known with. `extra` adds what a schema does not tell (random, core, higher_order, ...).
inline op_id intern_op(std::string_view qualified, std::string_view schema, op_flags extra = {}) {
  if (qualified.ends_with(".default")) qualified.remove_suffix(8);
  if (const auto i = detail::find_aten(qualified); i != detail::num_aten_ops) return op_id{i};
  return op_id{detail::num_aten_ops + detail::op_registry::instance().intern(qualified, schema, extra)};
}
/// The schema of an operator; null if unknown. The pointer stays valid.
inline const op_schema* schema_of(op_id o) {
  if (o.index < detail::num_aten_ops) {
    auto& slot = detail::aten_schemas[o.index];
    if (auto* s = slot.load(std::memory_order_acquire)) return &s->schema;
    auto* fresh = new detail::owned_schema(detail::aten_rows[o.index].schema); // kept for the life of the process
    const detail::owned_schema* expected = nullptr;
    if (!slot.compare_exchange_strong(expected, fresh, std::memory_order_acq_rel)) {
      delete fresh;
      return &expected->schema;
    }
    return &fresh->schema;
  }
  const auto& e = detail::op_registry::instance()[o.index - detail::num_aten_ops];
  return e.schema ? &e.schema->schema : nullptr;
}
/// `aten::add.Tensor`; without a dot for the default overload. Empty for an invalid id.
inline std::string_view name_of(op_id o) {
  if (!o.valid()) return {};
  if (o.index < detail::num_aten_ops) return detail::aten_row_name(o.index);
  return detail::op_registry::instance()[o.index - detail::num_aten_ops].qualified;
}
/// One load for ATen's operators.
inline op_flags flags_of(op_id o) {
  if (o.index < detail::num_aten_ops) return detail::aten_flags.at[o.index];
  if (!o.valid()) return {};
  return detail::op_registry::instance()[o.index - detail::num_aten_ops].flags;
}

} // namespace espalier
