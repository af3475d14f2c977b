// SPDX-License-Identifier: BSL-1.0
// What structural passes must know of a call beyond its operator's flags: effects that no schema tells (batch
// norm updates its running statistics when it trains), composites that may return their input as it is, and
// higher-order calls, which are as pure as their graphs.
#pragma once

#include <espalier/ir/storage.hpp>
#include <espalier/schema/op_id.hpp>
#include <espalier/schema/schema.hpp>
#include <espalier/support/vector.hpp>

#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <type_traits>

namespace espalier::detail {

/// How a call behaves, as far as its operator tells.
enum class call_class : std::uint8_t {
  unasked,
  plain,        ///< pure, results own their memory
  view,         ///< pure, a result may alias an argument (declared, or known of a composite)
  random,       ///< results own their memory; two calls differ
  mutating,     ///< writes to an argument, by its schema
  norm,         ///< pure, unless its argument `training` is true: then it writes to running statistics
  effect,       ///< assertions, printing: stays where it is, writes to nothing
  higher_order, ///< as its graphs
  unknown,      ///< no schema: may do anything
};

/// The position of `training` and of the first running statistic of a normalisation that updates them
/// silently.
struct norm_arguments {
  std::size_t statistics = 3, training = 5;
};

constexpr bool one_of(std::string_view name, std::initializer_list<std::string_view> names) {
  for (auto n : names)
    if (n == name)
      return true;
  return false;
}

constexpr call_class classify(op_id o) {
  const op_flags f = flags_of(o);
  if (f.higher_order)
    return call_class::higher_order;
  if (!f.known_schema)
    return call_class::unknown;
  if (f.mutates)
    return call_class::mutating;
  if (f.effects)
    return call_class::effect;
  const std::string_view name = name_of(o);
  if (one_of(name, {"aten::batch_norm", "aten::instance_norm", "aten::native_batch_norm",
                    "aten::cudnn_batch_norm", "aten::miopen_batch_norm", "aten::_batch_norm_impl_index"}))
    return call_class::norm;
  if (f.random)
    return call_class::random;
  if (f.view)
    return call_class::view;
  // composites whose schemas do not say that they may give back an argument
  if (one_of(name, {"aten::type_as", "aten::sum_to_size", "aten::broadcast_tensors", "aten::meshgrid",
                    "aten::meshgrid.indexing", "aten::atleast_1d", "aten::atleast_2d", "aten::atleast_3d",
                    "aten::atleast_1d.Sequence", "aten::atleast_2d.Sequence", "aten::atleast_3d.Sequence",
                    "aten::pad", "aten::to_dense", "aten::_unsafe_view", "aten::_reshape_alias",
                    "aten::_convert_indices_from_csr_to_coo"}))
    return call_class::view;
  return call_class::plain;
}

/// `classify`, remembered by operator.
class call_classes {
public:
  template <class = when_used>
  constexpr call_class operator()(op_id o) {
    if (std::is_constant_evaluated())
      return classify(o); // a table by operator is longer than a graph of a compiler's
    if (o.index >= of_.size())
      of_.resize(o.index + 1, call_class::unasked);
    auto& c = of_[o.index];
    if (c == call_class::unasked)
      c = classify(o);
    return c;
  }

private:
  vector<call_class> of_;
};

/// Whether a normalisation call updates its running statistics: it trains, or may train, and has some.
constexpr bool updates_statistics(const graph_storage& g, node_id n, norm_arguments at = {}) {
  if (g.num_args(n) > at.training) {
    const auto& t = g.slot(g.arg_slot(n, at.training));
    if (t.form() == arg_form::boolean && !t.bits())
      return false;
  }
  return g.num_args(n) > at.statistics && g.slot(g.arg_slot(n, at.statistics)).form() == arg_form::value;
}

/// Higher-order operators that do nothing themselves: a call of one is as pure as the graphs it is given.
constexpr bool runs_graphs_only(op_id o) {
  auto name = name_of(o);
  constexpr std::string_view ns = "higher_order::";
  if (!name.starts_with(ns))
    return false;
  name.remove_prefix(ns.size());
  return one_of(name,
                {"cond", "while_loop", "map_impl", "scan", "associative_scan", "wrap", "invoke_subgraph",
                 "wrap_with_set_grad_enabled", "wrap_with_autocast", "flex_attention"});
}

constexpr bool is_pure(const graph_storage& g, node_id n, call_classes& classes);

/// Whether every call of a graph is pure (and none draws random numbers).
constexpr bool all_pure(const graph_storage& g, call_classes& classes) {
  for (node_id n = g.first(); n.valid(); n = g.next(n)) {
    const auto k = g.kind(n);
    if ((k == node_kind::call_function || k == node_kind::call_higher_order) && !is_pure(g, n, classes))
      return false;
  }
  return true;
}
/// Whether an unused call may go: it writes nothing, draws no random numbers, asserts nothing, and the same
/// holds for the graphs it runs.
constexpr bool is_pure(const graph_storage& g, node_id n, call_classes& classes) {
  switch (classes(g.op(n))) {
  case call_class::plain:
  case call_class::view:
    return true;
  case call_class::norm:
    return !updates_statistics(g, n);
  case call_class::higher_order:
    if (!runs_graphs_only(g.op(n)))
      return false;
    for (auto& x : g.slots(n))
      if (x.form() == arg_form::subgraph &&
          !(x.w2 < g.num_subgraphs() && all_pure(g.subgraph(x.w2), classes)))
        return false;
    return true;
  default:
    return false;
  }
}

/// Whether some result of a node is used.
constexpr bool has_used_result(const graph_storage& g, node_id n) noexcept {
  for (std::size_t i = 0; i != g.num_results(n); ++i)
    if (g.has_uses(g.result(n, i)))
      return true;
  return false;
}
/// Whether a node may go: nobody uses it, and it does nothing else.
constexpr bool is_dead(const graph_storage& g, node_id n, call_classes& classes) {
  const node_kind k = g.kind(n);
  if (k == node_kind::placeholder || k == node_kind::output || has_used_result(g, n))
    return false;
  return k == node_kind::get_attr || is_pure(g, n, classes);
}

} // namespace espalier::detail
