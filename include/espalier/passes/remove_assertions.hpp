// SPDX-License-Identifier: BSL-1.0
// Removal of run-time assertions: for a runtime that trusts its inputs, or cannot run them. The program then
// computes the same wherever it did not fail before.
#pragma once

#include <espalier/ir/storage.hpp>
#include <espalier/pipeline/analyses/effects.hpp>
#include <espalier/pipeline/pass.hpp>
#include <espalier/pipeline/pass_result.hpp>
#include <espalier/pipeline/properties.hpp>
#include <espalier/schema/aten.hpp>
#include <espalier/schema/op_traits.hpp>

#include <string_view>

namespace espalier {

/// Erases assertions on tensors, numbers and metadata, and constraints on symbols (whose ranges the program
/// keeps beside its graph), subgraphs included. The functional ones give on the token they were given. What
/// computed the conditions is dead afterwards: run `dce`. Linear.
struct remove_assertions : pass {
  static constexpr std::string_view name = "remove_assertions";
  static constexpr std::string_view description = "drops assertions";
  using destroys = properties<property::no_dead_code, property::canonical>;

  template <class = when_used>
  static constexpr pass_result run(graph_storage& g) {
    pass_result done;
    for (std::size_t i = 0; i != g.num_subgraphs(); ++i)
      done += run(g.subgraph(i));
    node_id following{};
    for (node_id n = g.first(); n.valid(); n = following) {
      following = g.next(n);
      if (g.kind(n) != node_kind::call_function || !is_assertion(g.op(n)))
        continue;
      if (g.num_results(n) == 1 && g.has_uses(g.result(n))) {
        const auto& token = g.slot(g.arg_slot(n, g.num_args(n) - 1));
        if (!token.is_use())
          continue;
        g.replace_all_uses(g.result(n), value_id{token.w0});
      }
      if (detail::has_used_result(g, n))
        continue;
      g.erase(n);
      ++done.erased;
    }
    return done;
  }

private:
  static constexpr op_id functional[] = {id_of<aten::_functional_assert_async_msg>(),
                                         id_of<aten::_functional_assert_scalar>(),
                                         id_of<aten::_functional_sym_constrain_range>(),
                                         id_of<aten::_functional_sym_constrain_range_for_size>()};
  static constexpr op_id assertions[] = {
      id_of<aten::_assert_async>(),       id_of<aten::_assert_async_msg>(),
      id_of<aten::_assert_scalar>(),      id_of<aten::_assert_tensor_metadata>(),
      id_of<aten::sym_constrain_range>(), id_of<aten::sym_constrain_range_for_size>()};

  static constexpr bool is_assertion(op_id o) {
    for (op_id a : assertions)
      if (a == o)
        return true;
    for (op_id a : functional)
      if (a == o)
        return true;
    return false;
  }
};

} // namespace espalier
