// SPDX-License-Identifier: BSL-1.0
// Views and copies: for a runtime that knows no views, every view becomes the operator that copies
// (`view_copy`, `slice_copy`), and back, where nobody can tell.
#pragma once

#include <espalier/ir/infer.hpp>
#include <espalier/ir/storage.hpp>
#include <espalier/passes/canonical/support.hpp>
#include <espalier/pipeline/analyses/aliases.hpp>
#include <espalier/pipeline/analyses/effects.hpp>
#include <espalier/pipeline/order.hpp>
#include <espalier/pipeline/pass.hpp>
#include <espalier/pipeline/pass_context.hpp>
#include <espalier/pipeline/pass_result.hpp>
#include <espalier/pipeline/properties.hpp>
#include <espalier/support/hash_map.hpp>
#include <espalier/support/optional.hpp>
#include <espalier/support/vector.hpp>

#include <cstddef>
#include <string>
#include <string_view>

namespace espalier {

namespace detail {

/// The operator with another base name and the same overload and arguments; none when ATen has no such.
inline optional<op_id> sibling(op_id o, std::string_view base) {
  const std::string_view given = name_of(o);
  const auto dot = given.find('.');
  std::string wanted(base);
  if (dot != given.npos)
    wanted += given.substr(dot);
  const auto found = find_op(wanted);
  if (!found || !schema_of(*found) || schema_of(*found)->args.size() != schema_of(o)->args.size())
    return std::nullopt;
  for (std::size_t i = 0; i != schema_of(o)->args.size(); ++i)
    if (schema_of(*found)->args[i].name != schema_of(o)->args[i].name)
      return std::nullopt;
  return found;
}
/// `slice.Tensor` to `slice_copy.Tensor`.
inline optional<op_id> copy_of_view(op_id o) {
  const op_flags f = flags_of(o);
  const std::string_view given = name_of(o);
  if (!f.known_schema || !f.view || f.mutates || !given.starts_with("aten::"))
    return std::nullopt;
  return sibling(o, std::string(given.substr(0, given.find('.'))) + "_copy");
}
/// `slice_copy.Tensor` to `slice.Tensor`.
inline optional<op_id> view_of_copy(op_id o) {
  const std::string_view given = name_of(o), base = given.substr(0, given.find('.'));
  if (!flags_of(o).known_schema || flags_of(o).mutates || !base.starts_with("aten::") ||
      !base.ends_with("_copy"))
    return std::nullopt;
  const auto found = sibling(o, base.substr(0, base.size() - 5));
  return found && flags_of(*found).view ? found : std::nullopt;
}

/// An answer about operators, remembered.
template <auto Ask>
class operator_table {
public:
  optional<op_id> operator()(op_id o) {
    const auto [at, fresh] = known_.try_emplace(o.index);
    if (fresh)
      at->second = Ask(o);
    return at->second;
  }

private:
  hash_map<std::uint32_t, optional<op_id>> known_;
};

} // namespace detail

/// Replaces views by the operators that copy, subgraphs included. A copy is dense: strides that follow from a
/// view's are worked out anew. Results of the program that were views of inputs are no longer. Counts the
/// views that ATen has no copying operator for (`left`), such as `reshape`, which copies if it must. What the
/// graphs of higher-order calls are told of their inputs' strides stays as it was. A program that calls
/// `as_strided`, which counts in its input's memory, or an operator without a schema, which may write there,
/// is left alone and counted (`as_strided`, `no schema`). Linear.
struct views_to_copies : pass {
  static constexpr std::string_view name = "views_to_copies";
  static constexpr std::string_view description = "views become copies";
  static constexpr std::string_view statistics[] = {"as_strided", "left"};
  using needs = properties<property::functional>;
  using destroys = properties<property::canonical>;

  template <class = when_used>
  static pass_result run(graph_storage& g, pass_context& c) {
    if (sees_memory(g, c))
      return {};
    detail::operator_table<&detail::copy_of_view> copies;
    return run(g, c, copies);
  }

private:
  /// Whether a call, in subgraphs too, may tell a view from a copy of it.
  template <class = when_used>
  static bool sees_memory(const graph_storage& g, pass_context& c) {
    for (node_id n = g.first(); n.valid(); n = g.next(n)) {
      if (g.kind(n) != node_kind::call_function)
        continue;
      const bool strided = g.op(n) == id_of<aten::as_strided>();
      if (strided || !flags_of(g.op(n)).known_schema) {
        c.count(strided ? "as_strided" : "no schema");
        return true;
      }
    }
    for (std::size_t i = 0; i != g.num_subgraphs(); ++i)
      if (sees_memory(g.subgraph(i), c))
        return true;
    return false;
  }
  template <class = when_used>
  static pass_result run(graph_storage& g, pass_context& c,
                         detail::operator_table<&detail::copy_of_view>& copies) {
    pass_result done;
    for (std::size_t i = 0; i != g.num_subgraphs(); ++i)
      done += run(g.subgraph(i), c, copies);
    std::size_t here = 0;
    for (node_id n = g.first(); n.valid(); n = g.next(n)) {
      if (g.kind(n) != node_kind::call_function)
        continue;
      if (const auto copy = copies(g.op(n)); copy && c.may_edit(name)) {
        to_copy(g, n, *copy);
        ++here;
        continue;
      }
      if (flags_of(g.op(n)).view)
        c.count("left");
      if (here) // in program order: the strides of what it uses are up to date
        reinfer(g, n);
    }
    done.rewritten += here;
    return done;
  }
  /// The copy has the sizes of the view that it copies, and is dense.
  template <class = when_used>
  static void to_copy(graph_storage& g, node_id n, op_id copy) {
    reinfer(g, n);
    g.set_op(n, copy);
    for (std::size_t i = 0; i != g.num_results(n); ++i) {
      value_meta m = g.meta(g.result(n, i));
      if (m.kind != value_kind::tensor)
        continue;
      m.tensor.strides = contiguous_strides(m.tensor.sizes);
      m.tensor.storage_offset = 0;
      g.set_meta(g.result(n, i), m);
    }
  }
  /// Other strides, as far as a rule tells them.
  template <class = when_used>
  static void reinfer(graph_storage& g, node_id n) {
    vector<meta_id> before;
    for (std::size_t i = 0; i != g.num_results(n); ++i)
      before.push_back(g.meta_of(g.result(n, i)));
    try {
      if (infer_metas(g, n) != inferred::done)
        return;
    } catch (const error& e) {
      if (e.kind() != error_kind::unsupported) // a condition on symbols that nobody decides here
        throw e.within("node '" + std::string(g.text(g.node_name(n))) + "'");
    }
    for (std::size_t i = 0; i != before.size(); ++i) {
      if (!before[i].valid())
        continue;
      const value_id v = g.result(n, i);
      const value_meta old = g.get_meta(before[i]);
      value_meta now = g.meta(v);
      if (old.kind != value_kind::tensor || now.kind != value_kind::tensor ||
          old.tensor.sizes != now.tensor.sizes) { // only where elements lie has changed
        g.set_meta(v, before[i]);
        continue;
      }
      now.tensor.requires_grad = old.tensor.requires_grad;
      g.set_meta(v, now);
    }
  }
};

/// Replaces copying operators by views where the view has the very sizes and strides of the copy, no memory
/// involved is written to, and the result stays inside the graph: then nobody can tell. Subgraphs included.
/// Linear.
struct copies_to_views : pass {
  static constexpr std::string_view name = "copies_to_views";
  static constexpr std::string_view description = "copies of views become views";
  using destroys = properties<property::canonical>;

  template <class = when_used>
  static pass_result run(graph_storage& g) {
    pass_context c;
    return run(g, c);
  }
  template <class = when_used>
  static pass_result run(graph_storage& g, pass_context& c) {
    detail::call_classes classes;
    detail::operator_table<&detail::view_of_copy> views;
    return run(g, c, classes, views);
  }

private:
  template <class = when_used>
  static pass_result run(graph_storage& g, pass_context& c, detail::call_classes& classes,
                         detail::operator_table<&detail::view_of_copy>& views) {
    pass_result done;
    for (std::size_t i = 0; i != g.num_subgraphs(); ++i)
      done += run(g.subgraph(i), c, classes, views);
    detail::alias_classes memory(g, classes);
    for (node_id n = g.last(); n.valid(); n = g.prev(n)) { // users first: what escapes through them is known
      if (g.kind(n) != node_kind::call_function || g.num_results(n) != 1 || g.returns_list(n) ||
          !g.has_uses(g.result(n)) || g.meta(g.result(n)).kind != value_kind::tensor)
        continue;
      const auto view = views(g.op(n));
      if (!view || memory.touches_written(g, n) || detail::may_escape(value(g, g.result(n))))
        continue;
      const op_id copy = g.op(n);
      const meta_id before = g.meta_of(g.result(n));
      const tensor_meta wanted = g.get_meta(before).tensor;
      g.set_op(n, *view);
      if (becomes(g, n, wanted) && c.may_edit(name))
        ++done.rewritten;
      else
        g.set_op(n, copy);
      g.set_meta(g.result(n), before);
    }
    return done;
  }
  /// Whether the view's meta is the copy's, where in memory it begins included.
  template <class = when_used>
  static bool becomes(graph_storage& g, node_id n, const tensor_meta& wanted) {
    try {
      if (infer_metas(g, n) != inferred::done)
        return false;
    } catch (const error&) { // such a view does not exist
      return false;
    }
    const value_meta& now = g.meta(g.result(n));
    return now.kind == value_kind::tensor && now.tensor.dtype == wanted.dtype &&
           now.tensor.sizes == wanted.sizes && now.tensor.strides == wanted.strides &&
           now.tensor.storage_offset == wanted.storage_offset;
  }
};

} // namespace espalier
