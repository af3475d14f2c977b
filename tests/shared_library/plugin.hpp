// SPDX-License-Identifier: BSL-1.0
// What the plugin, a shared library with hidden visibility, offers the host: graphs go across the boundary by
// value and by reference, operators by run-time id, errors by exception.
#pragma once

#include <espalier/graph.hpp>

#include <string_view>

/// An operator of the user's own; both sides name it, each from its own copy of the headers.
struct scale_by {
  static constexpr const char* name = "plugin::scale_by";
  static constexpr const char* overload_name = "";
  static constexpr const char* schema_str = "plugin::scale_by(Tensor self, float factor) -> Tensor";
};

#define PLUGIN_API __attribute__((visibility("default")))

namespace plugin {
/// relu(x) + x, scaled by the plugin's own operator.
PLUGIN_API espalier::graph<espalier::training_ir> build();
/// Removes pure calls that nobody uses; returns how many nodes went.
PLUGIN_API std::size_t remove_dead_calls(espalier::graph_storage&);
/// The id that the plugin's copy of the registry gives an operator.
PLUGIN_API espalier::op_id id_of_scale_by();
PLUGIN_API espalier::op_id intern(std::string_view qualified, std::string_view schema);
/// The text of a graph, as the plugin's copy of the printer writes it.
PLUGIN_API std::string text_of(const espalier::graph<espalier::training_ir>&);
/// Throws espalier::error.
PLUGIN_API void refuse();
} // namespace plugin
