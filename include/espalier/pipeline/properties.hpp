// SPDX-License-Identifier: BSL-1.0
// The properties that the passes of the library speak of, and the two passes that bring one in from outside:
// `check<P>` looks, `assume<P>` takes the user's word.
#pragma once

#include <espalier/ir/naming.hpp>
#include <espalier/pipeline/analyses/effects.hpp>
#include <espalier/pipeline/pass.hpp>
#include <espalier/pipeline/pass_result.hpp>
#include <espalier/pipeline/property.hpp>

#include <string>
#include <string_view>

namespace espalier {

namespace property {

/// No operator writes to its arguments. One whose schema nobody knows may.
struct functional {
  static constexpr std::string_view name = "functional";
  static constexpr bool holds(const graph_storage& g) {
    for (node_id n = g.first(); n.valid(); n = g.next(n))
      if (g.kind(n) == node_kind::call_function)
        if (const op_flags f = flags_of(g.op(n)); f.mutates || !(f.known_schema || f.higher_order))
          return false;
    for (std::size_t i = 0; i != g.num_subgraphs(); ++i)
      if (!holds(g.subgraph(i)))
        return false;
    return true;
  }
  /// Of a dialect whose rules refuse an operator for nothing but that it mutates.
  static constexpr bool provided_by(const dialect_info& d) {
    op_flags f{};
    f.known_schema = f.core = true;
    if (!d.refuses(f).empty())
      return false;
    f.mutates = true;
    return !d.refuses(f).empty();
  }
};

/// Every value says what it is: kind, and for tensors dtype, sizes and strides.
struct shapes_known {
  static constexpr std::string_view name = "shapes_known";
  static constexpr bool holds(const graph_storage& g) {
    for (node_id n = g.first(); n.valid(); n = g.next(n))
      for (std::size_t i = 0; i != g.num_results(n); ++i)
        if (g.meta(g.result(n, i)).kind == value_kind::unknown)
          return false;
    for (std::size_t i = 0; i != g.num_subgraphs(); ++i)
      if (!holds(g.subgraph(i)))
        return false;
    return true;
  }
};

/// Every value is defined before it is used. Builders keep it; passes that move nodes may break it.
struct topologically_sorted {
  static constexpr std::string_view name = "topologically_sorted";
  static constexpr bool holds(const graph_storage& g) {
    for (node_id n = g.first(); n.valid(); n = g.next(n))
      for (auto& x : g.slots(n))
        if (x.is_use() && !g.is_before(g.def(value_id{x.w0}), n))
          return false;
    for (std::size_t i = 0; i != g.num_subgraphs(); ++i)
      if (!holds(g.subgraph(i)))
        return false;
    return true;
  }
};

/// Every call without effects is used.
struct no_dead_code {
  static constexpr std::string_view name = "no_dead_code";
  static constexpr bool holds(const graph_storage& g) {
    detail::call_classes classes;
    return holds(g, classes);
  }

private:
  static constexpr bool holds(const graph_storage& g, detail::call_classes& classes) {
    for (node_id n = g.first(); n.valid(); n = g.next(n))
      if (detail::is_dead(g, n, classes))
        return false;
    for (std::size_t i = 0; i != g.num_subgraphs(); ++i)
      if (!holds(g.subgraph(i), classes))
        return false;
    return true;
  }
};

/// Every node and value has a name. A pass that makes nodes leaves them without, and destroys it.
struct named {
  static constexpr std::string_view name = "named";
  static constexpr bool holds(const graph_storage& g) { return all_named(g); }
};

/// No two calls compute the same thing. Not observable in less than the work of `cse`.
struct no_duplicates {
  static constexpr std::string_view name = "no_duplicates";
};

/// The canonicalisation patterns match nowhere.
struct canonical {
  static constexpr std::string_view name = "canonical";
};

} // namespace property

namespace detail {
/// Throws `error` (verification) when the graph does not have a property that can be seen.
inline void demand_property(const graph_storage& g, const property_info& p) {
  if (!p.holds(g))
    fail(error_kind::verification, "the graph does not have the property '" + std::string(p.name) + "'",
         "check<" + std::string(p.name) + ">", "run a pass that establishes it before");
}
} // namespace detail

/// Looks whether a property holds, and throws `error` (verification) when it does not. Establishes it.
template <observable_property P>
struct check : pass {
  static constexpr std::string_view name = "check";
  using establishes = properties<P>;
  using destroys = properties<>;
  using preserves = all_analyses;
  pass_result run(const graph_storage& g) const {
    detail::demand_property(g, info_of_property<P>);
    return {};
  }
  std::string text() const { return "check<" + std::string(P::name) + ">"; }
};

/// Establishes a property on the user's word.
template <graph_property P>
struct assume : pass {
  static constexpr std::string_view name = "assume";
  static constexpr bool needs_graph = false;
  using establishes = properties<P>;
  using destroys = properties<>;
  using preserves = all_analyses;
  pass_result run(const graph_storage&) const noexcept { return {}; }
  std::string text() const { return "assume<" + std::string(P::name) + ">"; }
};

} // namespace espalier
