// SPDX-License-Identifier: BSL-1.0
// What an archive says and a graph has no place for, kept as notes in the origins of nodes under keys that
// start with `espalier.`: argument names that deviate from the schema, unions written in an unusual form,
// fields of a newer schema, hints of symbols. Notes travel with the node through every pass and are never
// written out as metadata. Notes about a whole graph or program hang on its output node.
#pragma once

#include <espalier/archive/schema.hpp>
#include <espalier/ir/storage.hpp>
#include <espalier/meta/types.hpp>
#include <espalier/support/optional.hpp>
#include <espalier/symbolic/sym_int.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace espalier::detail {

namespace note {
inline constexpr std::string_view prefix = "espalier.";
inline constexpr std::string_view args = "espalier.args"; ///< `name:kind,...` in the order of the file
inline constexpr std::string_view tags = "espalier.tags"; ///< `index:tag,...` of arguments in unusual forms
inline constexpr std::string_view results = "espalier.results"; ///< `0` one value, `Ln` a list of n: `0,L3`
inline constexpr std::string_view target =
    "espalier.target"; ///< a target that its operator id does not give back
inline constexpr std::string_view hop_single =
    "espalier.hop_single"; ///< `is_hop_single_tensor_return`: true, false, null
inline constexpr std::string_view no_name = "espalier.no_name"; ///< an old file: the node had no name
inline constexpr std::string_view literal =
    "espalier.literal"; ///< a placeholder of a subgraph that is a constant
inline constexpr std::string_view single_return =
    "espalier.single_return";                              ///< graph: `is_single_tensor_return`
inline constexpr std::string_view hint = "espalier.hint:"; ///< graph: + expression: its hint
inline constexpr std::string_view spelling =
    "espalier.srepr:"; ///< graph: + our text of an expression: the file's
inline constexpr std::string_view extra =
    "espalier.extra:"; ///< + path: a member that the schema does not know
inline constexpr std::string_view entry =
    "espalier.entry:"; ///< graph: + `table/name`: what the file's tables say and the graph does not
inline constexpr std::string_view custom_name =
    "espalier.custom_name:"; ///< graph: + value: another name in its record
inline constexpr std::string_view metadata =
    "espalier.metadata:"; ///< program: + key: metadata of the graph module
inline constexpr std::string_view named_tuple =
    "espalier.namedtuple:"; ///< program: + type: field names, comma-joined
inline constexpr std::string_view schema_version =
    "espalier.schema_version"; ///< program: `major.minor`, when not ours
} // namespace note

inline std::string note_key(std::string_view head, std::string_view tail) {
  std::string k(head);
  k += tail;
  return k;
}

// The numbers of the schema against c10's.
inline constexpr std::pair<pt2::scalar_type, scalar_type> scalar_type_map[] = {
    {pt2::scalar_type::byte, scalar_type::u8},
    {pt2::scalar_type::char_, scalar_type::i8},
    {pt2::scalar_type::short_, scalar_type::i16},
    {pt2::scalar_type::int_, scalar_type::i32},
    {pt2::scalar_type::long_, scalar_type::i64},
    {pt2::scalar_type::half, scalar_type::f16},
    {pt2::scalar_type::float_, scalar_type::f32},
    {pt2::scalar_type::double_, scalar_type::f64},
    {pt2::scalar_type::complex_half, scalar_type::c32},
    {pt2::scalar_type::complex_float, scalar_type::c64},
    {pt2::scalar_type::complex_double, scalar_type::c128},
    {pt2::scalar_type::bool_, scalar_type::b8},
    {pt2::scalar_type::bfloat16, scalar_type::bf16},
    {pt2::scalar_type::uint16, scalar_type::u16},
    {pt2::scalar_type::uint32, scalar_type::u32},
    {pt2::scalar_type::uint64, scalar_type::u64},
    {pt2::scalar_type::float8_e4m3fn, scalar_type::f8e4m3fn},
    {pt2::scalar_type::float8_e5m2, scalar_type::f8e5m2},
    {pt2::scalar_type::float8_e4m3fnuz, scalar_type::f8e4m3fnuz},
    {pt2::scalar_type::float8_e5m2fnuz, scalar_type::f8e5m2fnuz},
    {pt2::scalar_type::float8_e8m0fnu, static_cast<scalar_type>(44)},
    {pt2::scalar_type::unknown, scalar_type::undefined},
};
inline constexpr std::pair<pt2::layout, layout> layout_map[] = {
    {pt2::layout::strided, layout::strided},       {pt2::layout::sparse_coo, layout::sparse},
    {pt2::layout::sparse_csr, layout::sparse_csr}, {pt2::layout::sparse_csc, layout::sparse_csc},
    {pt2::layout::sparse_bsr, layout::sparse_bsr}, {pt2::layout::sparse_bsc, layout::sparse_bsc},
    {pt2::layout::mkldnn, layout::mkldnn},
};
inline constexpr std::pair<pt2::memory_format, memory_format> memory_format_map[] = {
    {pt2::memory_format::contiguous, memory_format::contiguous},
    {pt2::memory_format::channels_last, memory_format::channels_last},
    {pt2::memory_format::channels_last_3d, memory_format::channels_last_3d},
    {pt2::memory_format::preserve, memory_format::preserve},
};

template <class Map, class T>
constexpr auto map_from(const Map& map, T x) -> optional<decltype(map[0].second)> {
  for (auto& [a, b] : map)
    if (a == x)
      return b;
  return std::nullopt;
}
template <class Map, class T>
constexpr auto map_to(const Map& map, T x) -> optional<decltype(map[0].first)> {
  for (auto& [a, b] : map)
    if (b == x)
      return a;
  return std::nullopt;
}

inline optional<device> from_pt2(const pt2::device& d) {
  auto out = parse_device(d.type);
  if (!out || !d.extra.empty())
    return std::nullopt;
  if (d.index) {
    if (*d.index < 0 || *d.index > 127)
      return std::nullopt;
    out->index = static_cast<std::int8_t>(*d.index);
  }
  return out;
}
inline pt2::device to_pt2(device d) {
  pt2::device out;
  out.type = std::string(device_names[d.type]);
  if (d.index >= 0)
    out.index = d.index;
  return out;
}

} // namespace espalier::detail

namespace espalier {

/// Tells the value that a symbol (or another expression, by its `srepr`) had for the example inputs: archives
/// write it beside the expression, and Python's loader wants it for every symbol of an input's size. On the
/// output node.
inline void set_symbol_hint(graph_storage& g, std::string_view srepr, std::int64_t value) {
  if (!g.output_node().valid())
    fail(error_kind::usage, "hints hang on the output node, and the graph has none yet", "set_symbol_hint",
         "make the output first");
  g.set_origin(g.output_node(), detail::note_key(detail::note::hint, srepr), "i" + std::to_string(value));
}

} // namespace espalier
