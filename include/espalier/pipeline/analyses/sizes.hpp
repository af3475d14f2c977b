// SPDX-License-Identifier: BSL-1.0
// Sizes as numbers: what analyses that add up bytes and operations need of metas that may be symbolic. A
// symbol counts with the value its author gives, else with the hint that the graph records for it; without
// either, the amount is not known, and the analysis says so instead of guessing.
#pragma once

#include <espalier/ir/storage.hpp>
#include <espalier/meta/tensor_meta.hpp>
#include <espalier/support/hash_map.hpp>
#include <espalier/support/optional.hpp>
#include <espalier/symbolic/expr.hpp>

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

namespace espalier::detail {

/// Amounts stop at the largest number instead of wrapping round.
inline std::uint64_t saturating_add(std::uint64_t a, std::uint64_t b) noexcept {
  return a + b < a ? std::numeric_limits<std::uint64_t>::max() : a + b;
}
inline std::uint64_t saturating_mul(std::uint64_t a, std::uint64_t b) noexcept {
  return b != 0 && a > std::numeric_limits<std::uint64_t>::max() / b
             ? std::numeric_limits<std::uint64_t>::max()
             : a * b;
}

/// Values of sizes. Each expression is evaluated once.
class size_values {
public:
  using amount = optional<std::uint64_t>;

  /// `given` must live as long.
  explicit size_values(const symbol_lookup& given = {}) : given_(given) {}

  /// Takes the hints that a graph records: values that are a symbol, and what it was on the example inputs.
  template <class = when_used>
  void learn(const graph_storage& g) {
    for (node_id n = g.first(); n.valid(); n = g.next(n))
      for (std::size_t i = 0; i != g.num_results(n); ++i) {
        const value_meta& m = g.meta(g.result(n, i));
        if (m.kind == value_kind::sym_int && m.has_hint && m.symbol.is_symbolic() &&
            m.symbol.as_expr()->kind() == expr_kind::symbol)
          hints_.try_emplace(m.symbol.as_expr()->name(), m.hint);
      }
  }

  /// A size; nothing when it is not known, or negative.
  template <class = when_used>
  amount value(const sym_int& s) {
    if (s.is_int())
      return s.int_or(0) < 0 ? amount{} : amount(static_cast<std::uint64_t>(s.int_or(0)));
    const auto [at, fresh] = known_.try_emplace(s.as_expr());
    if (fresh)
      at->second = evaluated(s.as_expr());
    return at->second;
  }
  /// Elements that the tensor's sizes span.
  template <class = when_used>
  amount numel(const tensor_meta& t) {
    std::uint64_t n = 1;
    for (auto& s : t.sizes) {
      const amount v = value(s);
      if (!v)
        return {};
      n = saturating_mul(n, *v);
    }
    return n;
  }
  /// Bytes of its elements.
  template <class = when_used>
  amount bytes(const tensor_meta& t) {
    const amount n = numel(t);
    return n ? amount(saturating_mul(*n, element_size(t.dtype))) : amount{};
  }
  /// Bytes of the memory that its elements lie in: less than `bytes` for an expanded tensor, more for one
  /// with gaps. What lies before its storage offset is not counted.
  template <class = when_used>
  amount storage_bytes(const tensor_meta& t) {
    if (t.strides.size() != t.sizes.size())
      return bytes(t);
    std::uint64_t last = 0;
    for (std::size_t i = 0; i != t.sizes.size(); ++i) {
      const amount size = value(t.sizes[i]), stride = value(t.strides[i]);
      if (!size || !stride)
        return bytes(t);
      if (*size == 0)
        return 0;
      last = saturating_add(last, saturating_mul(*size - 1, *stride));
    }
    return saturating_mul(saturating_add(last, 1), element_size(t.dtype));
  }

private:
  template <class = when_used>
  amount evaluated(const expr* e) {
    try {
      const auto v = evaluate(e, [&](std::string_view name) -> optional<std::int64_t> {
        if (const auto g = given_(name))
          return g;
        const auto at = hints_.find(std::string(name));
        return at == hints_.end() ? optional<std::int64_t>{} : at->second;
      });
      return v < 0 ? amount{} : amount(static_cast<std::uint64_t>(v));
    } catch (const error&) {
      return {}; // no value for one of its symbols: not known
    }
  }

  symbol_lookup given_;
  hash_map<std::string, std::int64_t> hints_;
  hash_map<const expr*, amount> known_;
};

} // namespace espalier::detail
