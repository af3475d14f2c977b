// SPDX-License-Identifier: BSL-1.0
// Graphs of any size: an ordinary one, and those on which compilers have been quadratic.
#pragma once

#include <espalier/ir/infer.hpp>
#include <espalier/ir/storage.hpp>

#include <cstdint>
#include <string_view>

namespace scaling {

namespace es = espalier;

/// Nodes of the smaller graph of a shape, about. The larger one has four times as many.
inline constexpr std::int64_t shape_size = 4'000;

class shape {
public:
  std::string_view name;
  bool writes; ///< some call writes to memory
  es::graph_storage (*make)(std::int64_t size);

  /// Made once.
  const es::graph_storage& small() const;
  const es::graph_storage& large() const;
};
es::span<const shape> shapes();

} // namespace scaling
