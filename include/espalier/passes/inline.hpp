// SPDX-License-Identifier: BSL-1.0
// Inlining: calls that do nothing but run a graph become that graph's nodes. The reverse of `split`, and what
// a pass wants that looks at one graph only.
#pragma once

#include <espalier/ir/subgraph.hpp>
#include <espalier/pipeline/analyses/effects.hpp>
#include <espalier/pipeline/pass.hpp>
#include <espalier/pipeline/pass_context.hpp>
#include <espalier/pipeline/pass_options.hpp>
#include <espalier/pipeline/pass_result.hpp>
#include <espalier/pipeline/properties.hpp>
#include <espalier/schema/op_id.hpp>
#include <espalier/support/vector.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace espalier {

/// What is known of the gradient mode that a graph runs under.
enum class grad_mode : std::uint8_t {
  unknown,    ///< whatever the caller of the program has set
  disabled,   ///< `torch.no_grad()`
  enabled,    ///< `torch.enable_grad()`
  irrelevant, ///< nobody asks for gradients
};

/// The name of a mode, as pipelines' texts write it.
constexpr std::string_view to_string(grad_mode m) noexcept {
  constexpr std::string_view names[] = {"unknown", "disabled", "enabled", "irrelevant"};
  return names[static_cast<int>(m)];
}

/// Replaces calls by the nodes of the graphs that they run, where running the graph is all that they do:
/// `invoke_subgraph`, `wrap`, `strict_mode`; and `wrap_with_set_grad_enabled` where it changes nothing,
/// because the mode is that already (inside another such region) or because nobody asks for gradients. That
/// is what Python does: export makes such a region only where the mode differs from the one around
/// (`torch/_export/passes/replace_set_grad_with_hop_pass.py`), and `run_decompositions`, which gives programs
/// for inference, inlines them all. Autocast regions change what their operators compute, and checkpointed
/// regions what autograd keeps: both stay.
///
/// Bodies are inlined first, subgraphs of other calls too. Nodes keep the metadata that they have in the
/// body, results the names that the call gave them, other names are kept where they are free; a result that
/// is a constant in the body becomes it; subgraphs that nobody names any more are dropped. Throws `error`
/// (verification) for a call that does not fit its graph. Counts the calls that it replaced. Linear in what
/// there is afterwards.
struct inline_subgraphs : pass {
  static constexpr std::string_view name = "inline";
  static constexpr std::string_view description = "calls that only run a graph become its nodes";
  static constexpr std::string_view options = "grad_mode=MODE";
  using destroys =
      properties<property::no_dead_code, property::no_duplicates, property::canonical, property::named>;

  grad_mode around = grad_mode::unknown; ///< the mode that the program runs under
  constexpr explicit inline_subgraphs(grad_mode m = grad_mode::unknown) : around(m) {}

  template <class = when_used>
  pass_result run(graph_storage& g) const {
    pass_context c;
    return run(g, c);
  }
  template <class = when_used>
  pass_result run(graph_storage& g, pass_context& c) const {
    return run(g, c, around);
  }
  /// `inline`, or `inline<grad_mode=irrelevant>`.
  template <class = when_used>
  std::string text() const {
    option_printer out;
    if (around != grad_mode::unknown)
      out.value("grad_mode", to_string(around));
    return out.after(name);
  }

private:
  template <class = when_used>
  static pass_result run(graph_storage& g, pass_context& c, grad_mode mode) {
    pass_result done;
    if (g.num_subgraphs() == 0)
      return done;
    const auto modes = modes_of_subgraphs(g, mode);
    for (std::size_t i = 0; i != g.num_subgraphs(); ++i)
      done += run(g.subgraph(i), c, modes[i]);

    struct graph_call {
      node_id call;
      std::size_t first; // operand
    };
    vector<graph_call> calls;
    for (node_id n = g.first(); n.valid(); n = g.next(n))
      if (const std::size_t first = first_operand(g, n, mode); first != none)
        calls.emplace_back(n, first);
    if (calls.empty())
      return done;
    detail::inliner into(g);
    graph_storage::copied_args args;
    for (const auto& [n, first] : calls) {
      if (!c.may_edit(name))
        break;
      g.copy_args(n, args);
      vector<argument> operands;
      std::uint32_t body = 0;
      for (std::size_t i = 0; i != args.top.size(); ++i) {
        const argument& a = args.top[i];
        if (a.form == arg_form::subgraph)
          body = static_cast<std::uint32_t>(a.bits);
        else if (a.form == arg_form::list && g.op(n) == strict_mode)
          operands.insert(operands.end(), a.items, a.items + a.count);
        else if (i >= first)
          operands.push_back(a);
      }
      const graph_storage copy = g.subgraph(body); // its own subgraphs join those among which it is
      into.run(n, copy, operands);
      ++done.rewritten;
    }
    g.drop_unused_subgraphs();
    return done;
  }

  static constexpr std::size_t none = ~std::size_t{0};

  /// The position of the first operand of a call that can be inlined; `none` for others.
  static std::size_t first_operand(const graph_storage& g, node_id n, grad_mode mode) {
    if (g.kind(n) != node_kind::call_higher_order)
      return none;
    const auto graph_at = [&](std::size_t i) {
      if (g.num_args(n) <= i)
        return false;
      const auto& x = g.slot(g.arg_slot(n, i));
      return x.form() == arg_form::subgraph && x.w2 < g.num_subgraphs();
    };
    const op_id o = g.op(n);
    if (o == invoke_subgraph)
      return graph_at(0) ? 2 : none;
    if (o == wrap || o == strict_mode)
      return graph_at(0) ? 1 : none;
    if (o == set_grad && graph_at(1)) {
      const grad_mode inside = mode_inside(g, n);
      return mode == grad_mode::irrelevant || (mode == inside && inside != grad_mode::unknown) ? 2 : none;
    }
    return none;
  }
  /// The mode that a `wrap_with_set_grad_enabled` sets.
  static grad_mode mode_inside(const graph_storage& g, node_id n) {
    const auto& x = g.slot(g.arg_slot(n, 0));
    if (x.form() != arg_form::boolean)
      return grad_mode::unknown;
    return x.bits() ? grad_mode::enabled : grad_mode::disabled;
  }
  /// The mode that each subgraph runs under: known where all calls of it agree.
  static vector<grad_mode> modes_of_subgraphs(const graph_storage& g, grad_mode mode) {
    vector<grad_mode> out(g.num_subgraphs(), mode);
    if (mode == grad_mode::irrelevant)
      return out;
    vector<bool> called(g.num_subgraphs());
    for (node_id n = g.first(); n.valid(); n = g.next(n)) {
      if (g.kind(n) != node_kind::call_higher_order)
        continue;
      const grad_mode m = g.op(n) == set_grad && g.num_args(n) != 0 ? mode_inside(g, n)
                          : detail::runs_graphs_only(g.op(n)) || g.op(n) == strict_mode
                              ? mode
                              : grad_mode::unknown; // it may set one of its own
      for (const auto& x : g.slots(n)) {
        if (x.form() != arg_form::subgraph || x.w2 >= out.size())
          continue;
        if (called[x.w2] && out[x.w2] != m)
          out[x.w2] = grad_mode::unknown;
        else if (!called[x.w2])
          out[x.w2] = m;
        called[x.w2] = true;
      }
    }
    return out;
  }

  static constexpr op_id invoke_subgraph{detail::find_aten("higher_order::invoke_subgraph")},
      wrap{detail::find_aten("higher_order::wrap")},
      strict_mode{detail::find_aten("higher_order::strict_mode")},
      set_grad{detail::find_aten("higher_order::wrap_with_set_grad_enabled")};
};

} // namespace espalier
