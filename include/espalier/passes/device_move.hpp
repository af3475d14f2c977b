// SPDX-License-Identifier: BSL-1.0
// Moving a graph to another device: what its operators are told to make things on, and what is known of its
// values. On a whole program, its tensors move too (program/convert_tensors.hpp).
#pragma once

#include <espalier/ir/storage.hpp>
#include <espalier/pipeline/pass.hpp>
#include <espalier/pipeline/pass_result.hpp>
#include <espalier/pipeline/properties.hpp>
#include <espalier/support/optional.hpp>

#include <cstddef>
#include <string>
#include <string_view>

namespace espalier {

/// Replaces device arguments (`zeros(..., device=cpu)`, assertions on devices too) and the devices of all
/// metas by `to`; those that differ from `from` stay, when it is given. Factories that are told no device
/// make their tensors on the CPU: they are told one. Subgraphs included. Counts the nodes that it changed.
/// Linear.
struct device_move : pass {
  static constexpr std::string_view name = "device_move";
  static constexpr std::string_view description =
      "moves what operators make, and what is known of values, to another device";
  static constexpr std::string_view options = "DEVICE[, FROM]";
  using destroys = properties<property::canonical>; // a copy between devices may now copy nothing

  device to;
  optional<device> from;
  constexpr explicit device_move(device where, optional<device> whence = std::nullopt)
      : to(where), from(whence) {}

  template <class = when_used>
  pass_result run(graph_storage& g) const {
    pass_result done;
    for (std::size_t i = 0; i != g.num_subgraphs(); ++i)
      done += run(g.subgraph(i));
    for (node_id n = g.first(); n.valid(); n = g.next(n)) {
      bool changed = false;
      if (g.kind(n) == node_kind::call_function)
        changed = move_arguments(g, n);
      for (std::size_t i = 0; i != g.num_results(n); ++i) {
        const value_meta& m = g.meta(g.result(n, i));
        if (m.kind != value_kind::tensor || !moves(m.tensor.dev))
          continue;
        value_meta moved = m;
        moved.tensor.dev = to;
        g.set_meta(g.result(n, i), moved);
        changed = true;
      }
      done.rewritten += changed;
    }
    return done;
  }
  /// On a program, its state, constants and example inputs move with the graph, or nothing does. Throws
  /// `error` where a tensor cannot be moved (program/convert_tensors.hpp).
  template <class Program>
  requires requires(Program& p, const device_move& m) { run_on_program(p, m); }
  pass_result run(Program& p) const { return run_on_program(p, *this); }
  /// Whether what is on `d` moves. A device without an index is any of its type.
  constexpr bool moves(device d) const noexcept { return !is(d, to) && (!from || is(d, *from)); }
  /// `device_move<cuda:0>`, `device_move<cuda:0, cpu>`.
  template <class = when_used>
  std::string text() const {
    return std::string(name) + "<" + to_string(to) + (from ? ", " + to_string(*from) : "") + ">";
  }

private:
  static constexpr bool is(device d, device wanted) noexcept {
    return d.type == wanted.type && (wanted.index < 0 || d.index == wanted.index);
  }

  template <class = when_used>
  bool move_arguments(graph_storage& g, node_id n) const {
    const op_schema* s = schema_of(g.op(n));
    if (!s)
      return false;
    bool takes_tensors = false;
    for (auto& a : s->args)
      takes_tensors = takes_tensors || a.type.kind == arg_kind::tensor;
    bool changed = false;
    for (std::size_t i = 0; i != s->args.size(); ++i) {
      if (s->args[i].type.kind != arg_kind::device || s->args[i].type.list_depth != 0)
        continue;
      const detail::slot* x = i < g.num_args(n) ? &g.slot(g.arg_slot(n, i)) : nullptr;
      const arg_form form = x ? x->form() : arg_form::absent;
      if (form == arg_form::device) {
        const auto b = x->bits();
        if (!moves({static_cast<std::int8_t>(b & 0xff), static_cast<std::int8_t>(b >> 8)}))
          continue;
      } else if (takes_tensors || (form != arg_form::absent && form != arg_form::none) ||
                 !moves(cpu_device)) {
        continue; // as its tensors, or said by a value
      }
      g.set_arg(n, i, to);
      changed = true;
    }
    return changed;
  }
};

} // namespace espalier
