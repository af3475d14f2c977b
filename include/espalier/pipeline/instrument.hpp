// SPDX-License-Identifier: BSL-1.0
// Instruments watch a pipeline run. They are types given to `run`; a pipeline that is given none has no trace
// of them in its machine code.
#pragma once

#include <espalier/ir/storage.hpp>
#include <espalier/pipeline/pass_context.hpp>
#include <espalier/pipeline/pass_result.hpp>

#include <concepts>
#include <string_view>
#include <type_traits>

namespace espalier {

/// The base of instruments: every hook does nothing. Derive and hide the hooks that matter.
struct instrument {
  /// Before the first stage of a run.
  constexpr void started(const pass_context&) {}
  /// Before a stage runs.
  constexpr void before(const stage_info&, const graph_storage&) {}
  /// After it ran.
  constexpr void after(const stage_info&, const graph_storage&, const pass_result&) {}
  /// After it threw; the exception goes on afterwards. The graph may be between two states.
  constexpr void failed(const stage_info&, const graph_storage&, std::string_view /*what*/) {}
};

/// An instrument, or a reference to one.
template <class I>
concept instrument_type = std::derived_from<std::remove_cvref_t<I>, instrument>;

} // namespace espalier
