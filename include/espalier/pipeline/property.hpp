// SPDX-License-Identifier: BSL-1.0
// Properties: what may hold of a graph beyond its dialect, as tag types. Passes say which they need,
// establish and destroy, and the compiler follows them along a pipeline. A property that can be seen from the
// graph says how (`holds`), so that `check<P>` establishes it at run time and a validating run catches a pass
// that lies.
#pragma once

#include <espalier/ir/dialect.hpp>
#include <espalier/ir/storage.hpp>
#include <espalier/support/span.hpp>
#include <espalier/support/type_hash.hpp>

#include <concepts>
#include <cstdint>
#include <string_view>

namespace espalier {

/// A property: a struct with a name. One that is not about the graph but about the work around it (the inputs
/// of an export are bound) says `static constexpr bool lasts = true;`: then only a pass that names it
/// destroys it.
template <class P>
concept graph_property = requires {
  { P::name } -> std::convertible_to<std::string_view>;
};

/// A property that can be looked up on a graph. `holds` is asked of the top graph and looks into its
/// subgraphs itself.
template <class P>
concept observable_property = graph_property<P> && requires(const graph_storage& g) {
  { P::holds(g) } -> std::same_as<bool>;
};

/// A list of properties.
template <class... Ps>
struct properties {};

/// What a pass destroys when it does not say: everything but what it establishes.
struct all_properties {};

/// A property as a value: constant evaluation compares `type`, run time prints names.
struct property_info {
  std::uint64_t type = 0; ///< `type_hash` of the tag
  std::string_view name;
  bool (*holds)(const graph_storage&) = nullptr; ///< null: cannot be seen from the graph
  /// Whether the rules of a dialect guarantee it.
  bool (*provided_by)(const dialect_info&) = nullptr;
  bool lasts = false; ///< survives a pass that destroys all that it does not name
};

namespace detail {

template <class P>
constexpr bool dialect_provides([[maybe_unused]] const dialect_info& d) {
  if constexpr (requires {
                  { P::provided_by(d) } -> std::same_as<bool>;
                })
    return P::provided_by(d);
  else
    return false;
}

template <class P>
constexpr property_info make_property_info() {
  property_info i{type_hash<P>, P::name, nullptr, &dialect_provides<P>};
  if constexpr (observable_property<P>)
    i.holds = &P::holds;
  if constexpr (requires { P::lasts; })
    i.lasts = P::lasts;
  return i;
}

template <class List>
struct property_list;
template <class... Ps>
struct property_list<properties<Ps...>> {
  static_assert(
      (graph_property<Ps> && ...),
      "espalier: properties<P...> requires types that have a `static constexpr std::string_view name`; "
      "write a property of the library (es::property::functional) or such a type of yours");
  static constexpr property_info data[sizeof...(Ps) + 1] = {make_property_info<Ps>()..., {}};
  static constexpr span<const property_info> view{data, sizeof...(Ps)};
};
template <>
struct property_list<all_properties> : property_list<properties<>> {};

} // namespace detail

/// The `property_info` of a property.
template <graph_property P>
inline constexpr property_info info_of_property = detail::make_property_info<P>();

} // namespace espalier
