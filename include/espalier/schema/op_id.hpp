// SPDX-License-Identifier: BSL-1.0
// Run-time ids of operators. Those of the generated table (ATen, builtins on
// sizes, higher-order operators) are indexes of that sorted constant table, so
// nothing happens at start-up and every shared object agrees on them; other
// operators get the ids above from a registry of the process when they are
// first named.
#pragma once

#include <espalier/schema/aten_table.hpp>
#include <espalier/schema/parse.hpp>
#include <espalier/schema/registry.hpp>
#include <espalier/schema/schema.hpp>
#include <espalier/support/error.hpp>
#include <espalier/support/id.hpp>
#include <espalier/support/optional.hpp>
#include <espalier/support/vector.hpp>

#include <atomic>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>

namespace espalier {

/// An operator at run time: one integer, equal exactly when the operators are.
using op_id = id<struct op_tag>;

namespace detail {

/// How many operators the generated table lists; ids from here on are the
/// registry's.
inline constexpr std::uint32_t num_aten_ops = static_cast<std::uint32_t>(std::size(aten_rows));

/// `aten::add.Tensor` of a row.
constexpr std::string_view aten_row_name(std::uint32_t i) noexcept {
  return {aten_rows[i].schema, aten_rows[i].name_size};
}
/// The index of a qualified name in the table, or `num_aten_ops`.
constexpr std::uint32_t find_aten(std::string_view qualified) noexcept {
  std::uint32_t lo = 0, hi = num_aten_ops;
  while (lo < hi) {
    const auto mid = lo + (hi - lo) / 2;
    if (aten_row_name(mid) < qualified)
      lo = mid + 1;
    else
      hi = mid;
  }
  return lo < num_aten_ops && aten_row_name(lo) == qualified ? lo : num_aten_ops;
}
/// `aten::relu.default` is another spelling of `aten::relu`.
constexpr std::string_view without_default(std::string_view qualified) noexcept {
  if (qualified.ends_with(".default"))
    qualified.remove_suffix(8);
  return qualified;
}

/// Schemas of the table parsed so far, by id; a lost race parses twice and
/// keeps one.
ESPALIER_SHARED inline std::atomic<const owned_schema*> aten_schemas[num_aten_ops]{};

inline const op_schema* aten_schema(std::uint32_t i) {
  auto& slot = aten_schemas[i];
  if (auto* s = slot.load(std::memory_order_acquire))
    return &s->schema();
  if (!(aten_rows[i].flags & flag_bits::known_schema))
    return nullptr;
  auto* fresh = new owned_schema(aten_rows[i].schema); // kept for the life of the process
  const owned_schema* expected = nullptr;
  if (slot.compare_exchange_strong(expected, fresh, std::memory_order_acq_rel))
    return &fresh->schema();
  delete fresh;
  return &expected->schema();
}

/// The schema of a listed operator in constant evaluation, which cannot keep
/// what it parses.
class parsed_schema {
public:
  constexpr explicit parsed_schema(op_id o) {
    if (o.index >= num_aten_ops || !(aten_rows[o.index].flags & flag_bits::known_schema))
      return;
    const std::string_view text(aten_rows[o.index].schema);
    const auto n = schema_parser(text, nullptr, nullptr).parse();
    args_.resize(n.args);
    returns_.resize(n.returns);
    schema_parser(text, args_.data(), returns_.data()).parse();
    schema_ = {n.name, n.overload, args_, returns_};
    known_ = true;
  }
  parsed_schema(const parsed_schema&) = delete;
  /// Null when the operator has no schema.
  constexpr const op_schema* get() const noexcept { return known_ ? &schema_ : nullptr; }

private:
  vector<schema_arg> args_;
  vector<schema_return> returns_;
  op_schema schema_{};
  bool known_ = false;
};

/// Refuses a schema for a listed operator that is not the listed one.
ESPALIER_COLD inline void check_listed_schema(std::uint32_t i, std::string_view text) {
  const owned_schema given{std::string(text)};
  const op_schema* listed = aten_schema(i);
  if (listed == nullptr || !same_signature(*listed, given.schema()))
    refuse_second_schema(aten_row_name(i), listed ? aten_rows[i].schema : "none", text);
}

} // namespace detail

/// The id of a qualified name (`aten::add.Tensor`, `aten::relu`), or nothing
/// when nobody has named it yet.
inline optional<op_id> find_op(std::string_view qualified) {
  qualified = detail::without_default(qualified);
  if (const auto i = detail::find_aten(qualified); i != detail::num_aten_ops)
    return op_id{i};
  if (const auto i = detail::op_registry::instance().find(qualified))
    return op_id{detail::num_aten_ops + *i};
  return std::nullopt;
}

/// The id of an operator, which is made known when it is new. `schema` may be
/// empty (unknown yet); else it must have the arguments and results that the
/// operator is known with, or `error_kind::usage` is thrown, as for a malformed
/// name or schema. `extra` adds flags that a schema does not tell (random,
/// core, higher_order, ...).
inline op_id intern_op(std::string_view qualified, std::string_view schema, op_flags extra = {}) {
  qualified = detail::without_default(qualified);
  if (const auto i = detail::find_aten(qualified); i != detail::num_aten_ops) {
    if (!schema.empty())
      detail::check_listed_schema(i, schema);
    return op_id{i};
  }
  return op_id{detail::num_aten_ops + detail::op_registry::instance().intern(qualified, schema, extra)};
}

/// The schema of an operator; null if unknown. The pointer, and all it points
/// at, stay valid.
inline const op_schema* schema_of(op_id o) {
  if (o.index < detail::num_aten_ops)
    return detail::aten_schema(o.index);
  const auto* e = o.valid() ? detail::op_registry::instance().at(o.index - detail::num_aten_ops) : nullptr;
  const auto* s = e ? e->schema.load(std::memory_order_acquire) : nullptr;
  return s ? &s->schema() : nullptr;
}

/// `aten::add.Tensor`; without a dot for the default overload. Empty for an
/// invalid id.
constexpr std::string_view name_of(op_id o) {
  if (o.index < detail::num_aten_ops)
    return detail::aten_row_name(o.index);
  const auto* e = o.valid() ? detail::op_registry::instance().at(o.index - detail::num_aten_ops) : nullptr;
  return e ? std::string_view(e->qualified) : std::string_view();
}

/// What passes ask. No lock is taken: one load for the operators of the table,
/// three for others.
constexpr op_flags flags_of(op_id o) {
  if (o.index < detail::num_aten_ops)
    return detail::unpack_flags(detail::aten_rows[o.index].flags);
  const auto* e = o.valid() ? detail::op_registry::instance().at(o.index - detail::num_aten_ops) : nullptr;
  return e ? detail::unpack_flags(e->flags.load(std::memory_order_acquire)) : op_flags{};
}

} // namespace espalier
