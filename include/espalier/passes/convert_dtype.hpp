// SPDX-License-Identifier: BSL-1.0
// Another floating-point type for a whole graph, with guard rails: operators that lose too much in few bits
// keep the old type between casts, what widens on purpose stays wide, and what cannot be converted faithfully
// is refused before anything is changed. On a whole program, its tensors are converted too
// (program/convert_tensors.hpp).
#pragma once

#include <espalier/ir/infer.hpp>
#include <espalier/ir/storage.hpp>
#include <espalier/ir/view.hpp>
#include <espalier/pipeline/analyses/effects.hpp>
#include <espalier/pipeline/pass.hpp>
#include <espalier/pipeline/pass_context.hpp>
#include <espalier/pipeline/pass_result.hpp>
#include <espalier/pipeline/properties.hpp>
#include <espalier/schema/aten.hpp>
#include <espalier/schema/op_traits.hpp>
#include <espalier/support/floats.hpp>
#include <espalier/support/vector.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

namespace espalier {

/// Converts a functional graph's values of dtype `from` to `to`: inputs, dtype arguments, factories, metas.
///
/// - Operators that need the range or the bits (`keeps`: exponentials and logarithms, powers, normalisations,
///   softmax, losses, long sums) compute in `from`: casts stand around them, and are counted (`kept`).
/// - A cast from `to` up to `from` in the graph is meant: what is computed of it stays in `from`.
/// - Refused with an `error` (unsupported) that names the node: operators without a schema on such values,
///   operators that look at bits (`view.dtype`, complex views), and numbers that `to` has no finite value
///   for.
///
/// Subgraphs included. Where the budget of edits is spent, calls compute in `from` as well, so that `bisect`
/// finds the call that loses too much. Linear.
struct convert_dtype : pass {
  static constexpr std::string_view name = "convert_dtype";
  static constexpr std::string_view statistics[] = {"kept"};
  static constexpr std::string_view description =
      "converts floating-point values, but for operators that need the range";
  static constexpr std::string_view options = "FROM, TO";
  using needs = properties<property::functional>;
  using destroys = properties<property::canonical, property::no_duplicates, property::named>;

  scalar_type from, to;
  constexpr convert_dtype(scalar_type old_type, scalar_type new_type) : from(old_type), to(new_type) {
    if (!is_floating(old_type) || !is_floating(new_type))
      fail(error_kind::usage, "convert_dtype takes floating-point types only", "convert_dtype",
           "cast integers where their range is known, by a pass of your own");
  }

  template <class = when_used>
  pass_result run(graph_storage& g, pass_context& c) const {
    if (from == to)
      return {};
    check(g);
    return convert(g, c, true);
  }
  /// On a program, its state, constants and example inputs are converted with the graph, or nothing is
  /// (program/convert_tensors.hpp).
  template <class Program>
  requires requires(Program& p, const convert_dtype& m, pass_context& c) { run_on_program(p, m, c); }
  pass_result run(Program& p, pass_context& c) const { return run_on_program(p, *this, c); }
  /// `convert_dtype<f32, f16>`.
  template <class = when_used>
  std::string text() const {
    return std::string(name) + "<" + std::string(to_string(from)) + ", " + std::string(to_string(to)) + ">";
  }

  /// Whether an operator keeps the old type.
  static bool keeps(op_id o) {
    const std::string_view n = name_of(o), base = n.substr(0, n.find('.'));
    return detail::one_of(base, {"aten::exp",
                                 "aten::expm1",
                                 "aten::exp2",
                                 "aten::log",
                                 "aten::log2",
                                 "aten::log10",
                                 "aten::log1p",
                                 "aten::pow",
                                 "aten::rsqrt",
                                 "aten::reciprocal",
                                 "aten::softplus",
                                 "aten::cosh",
                                 "aten::sinh",
                                 "aten::tan",
                                 "aten::acos",
                                 "aten::asin",
                                 "aten::erfinv",
                                 "aten::softmax",
                                 "aten::log_softmax",
                                 "aten::_softmax",
                                 "aten::_log_softmax",
                                 "aten::logsumexp",
                                 "aten::cumsum",
                                 "aten::cumprod",
                                 "aten::prod",
                                 "aten::sum",
                                 "aten::mean",
                                 "aten::var",
                                 "aten::std",
                                 "aten::var_mean",
                                 "aten::norm",
                                 "aten::linalg_vector_norm",
                                 "aten::layer_norm",
                                 "aten::group_norm",
                                 "aten::native_layer_norm",
                                 "aten::native_group_norm",
                                 "aten::batch_norm",
                                 "aten::_native_batch_norm_legit_no_training",
                                 "aten::nll_loss",
                                 "aten::mse_loss",
                                 "aten::l1_loss",
                                 "aten::smooth_l1_loss",
                                 "aten::kl_div",
                                 "aten::cross_entropy_loss",
                                 "aten::binary_cross_entropy",
                                 "aten::cosine_similarity",
                                 "aten::cdist",
                                 "aten::renorm"});
  }

private:
  template <class = when_used>
  bool is_from(const graph_storage& g, value_id v) const {
    const value_meta& m = g.meta(v);
    return m.kind == value_kind::tensor && m.tensor.dtype == from;
  }
  template <class = when_used>
  bool touches(const graph_storage& g, node_id n) const {
    for (auto& x : g.slots(n))
      if (x.is_use() && is_from(g, value_id{x.w0}))
        return true;
    for (std::size_t i = 0; i != g.num_results(n); ++i)
      if (is_from(g, g.result(n, i)))
        return true;
    return false;
  }

  // ---- what is refused
  template <class = when_used>
  void check(const graph_storage& g) const {
    for (std::size_t i = 0; i != g.num_subgraphs(); ++i)
      check(g.subgraph(i));
    for (node_id n = g.first(); n.valid(); n = g.next(n)) {
      if (g.kind(n) != node_kind::call_function || !touches(g, n))
        continue;
      const auto refuse = [&](std::string what, std::string cure) {
        fail(error_kind::unsupported, std::move(what),
             "node '" + std::string(g.text(g.node_name(n))) + "' (" + std::string(name_of(g.op(n))) + "), " +
                 text(),
             std::move(cure));
      };
      if (!flags_of(g.op(n)).known_schema)
        refuse("the operator has no schema: nobody knows which types it takes",
               "register its schema, or cast around it");
      if (detail::one_of(name_of(g.op(n)), {"aten::view.dtype", "aten::view_copy.dtype",
                                            "aten::view_as_complex", "aten::view_as_real"}))
        refuse("the operator looks at bits, which another type has not", "decompose it, or cast around it");
      if (keeps(g.op(n)))
        continue;
      for (auto& x : g.slots(n)) // whole numbers are sizes and dimensions more often than operands
        if (x.form() == arg_form::floating)
          if (const auto d = std::bit_cast<double>(x.bits());
              !detail::is_infinite(d) && (d < 0 ? -d : d) > largest(to))
            refuse("the number " + std::to_string(d) + " has no finite value in " +
                       std::string(to_string(to)),
                   "clamp it to the range of the new type first");
    }
  }
  static double largest(scalar_type t) {
    switch (t) {
    case scalar_type::f16:
      return 65504;
    case scalar_type::bf16:
      return 3.3895313892515355e38;
    case scalar_type::f32:
      return 3.4028234663852886e38;
    case scalar_type::f64:
      return std::numeric_limits<double>::infinity();
    case scalar_type::f8e5m2:
    case scalar_type::f8e5m2fnuz:
      return 57344;
    default:
      return 240; // of the 8-bit types that are left
    }
  }

  // ---- the conversion
  enum state : std::uint8_t { other, converted, wide }; // of a value that was of type `from`

  template <class = when_used>
  pass_result convert(graph_storage& g, pass_context& c, bool top) const {
    pass_result done;
    for (std::size_t i = 0; i != g.num_subgraphs(); ++i)
      done += convert(g.subgraph(i), c, false);
    vector<state> is(g.value_capacity(), other);
    node_id following{};
    for (node_id n = g.first(); n.valid(); n = following) {
      following = g.next(n);
      switch (g.kind(n)) {
      case node_kind::placeholder:
      case node_kind::get_attr:
        done.rewritten += retag(g, n, is);
        break;
      case node_kind::call_higher_order: // its graphs take and give the new type
        done.rewritten += cast_operands(g, n, is, wide, to) + retag(g, n, is);
        break;
      case node_kind::output:
        if (!top)
          done.rewritten += cast_operands(g, n, is, wide, to);
        break;
      case node_kind::call_function:
        done.rewritten += convert_call(g, n, following, is, c);
        break;
      case node_kind::erased:
        break;
      }
    }
    return done;
  }

  template <class = when_used>
  std::size_t convert_call(graph_storage& g, node_id n, node_id following, vector<state>& is,
                           pass_context& c) const {
    bool some_wide = false, some_converted = false;
    for (auto& x : g.slots(n)) {
      some_wide = some_wide || (x.is_use() && is[x.w0] == wide);
      some_converted = some_converted || (x.is_use() && is[x.w0] == converted);
    }
    if (some_wide || widens(g, n, is)) {
      const std::size_t edits = some_wide ? cast_operands(g, n, is, converted, from) : 0;
      for (std::size_t i = 0; i != g.num_results(n); ++i)
        if (is_from(g, g.result(n, i)))
          is[g.result(n, i).index] = wide;
      return edits;
    }
    if (touches(g, n) && (keeps(g.op(n)) || !c.may_edit(name))) {
      const std::size_t edits =
          cast_operands(g, n, is, converted, from) + narrow_results(g, n, following, is);
      if (edits)
        c.count("kept");
      return edits;
    }
    const bool changed = change_arguments(g, n), retagged = follow(g, n, is, some_converted);
    return (changed || retagged) + narrow_results(g, n, following, is);
  }

  /// A cast of something that was of the new type before: up to the old one, on purpose.
  template <class = when_used>
  bool widens(const graph_storage& g, node_id n, const vector<state>& is) const {
    if (!is_cast(g, n, from) || !g.slot(g.arg_slot(n, 0)).is_use())
      return false;
    const value_id v{g.slot(g.arg_slot(n, 0)).w0};
    const value_meta& m = g.meta(v);
    return m.kind == value_kind::tensor && m.tensor.dtype == to && is[v.index] == other;
  }
  template <class = when_used>
  static bool is_cast(const graph_storage& g, node_id n, scalar_type t) {
    if (g.kind(n) != node_kind::call_function ||
        (g.op(n) != id_of<aten::_to_copy>() && g.op(n) != id_of<aten::to_dtype>()) || g.num_args(n) < 2)
      return false;
    const auto& x = g.slot(g.arg_slot(n, 1));
    return x.form() == arg_form::scalar_type && static_cast<scalar_type>(x.bits()) == t;
  }

  /// A cast of `v`, before a node, with the origin of `like`.
  template <class = when_used>
  static value_id cast(graph_storage& g, value_id v, scalar_type t, node_id before, node_id like) {
    const auto at = g.current_insertion_point();
    g.set_insertion_point({before});
    const argument a[] = {v, t};
    const node_id n = g.call(id_of<aten::_to_copy>(), a, 1);
    g.set_insertion_point(at);
    g.set_origin(n, g.origin_of(like));
    value_meta m = g.meta(v);
    m.tensor.dtype = t;
    g.set_meta(g.result(n), m);
    return g.result(n);
  }
  /// Casts the operands that are in a state. One cast a value.
  template <class = when_used>
  static std::size_t cast_operands(graph_storage& g, node_id n, const vector<state>& is, state which,
                                   scalar_type t) {
    struct converted {
      value_id from, to;
    };
    vector<converted> made;
    const std::size_t slots = g.slots(n).size();
    for (std::size_t i = 0; i != slots; ++i) {
      const auto x = g.slots(n)[i];
      if (!x.is_use() || x.w0 >= is.size() || is[x.w0] != which)
        continue;
      value_id by{};
      for (auto& [v, w] : made)
        if (v.index == x.w0)
          by = w;
      if (!by.valid()) {
        by = cast(g, value_id{x.w0}, t, n, n);
        made.emplace_back(value_id{x.w0}, by);
      }
      g.set_operand(slot_id{g.arg_slot(n, 0).index + static_cast<std::uint32_t>(i)}, by);
    }
    return made.size();
  }
  /// Casts results of the old type down, unless that is all that is done with them.
  template <class = when_used>
  std::size_t narrow_results(graph_storage& g, node_id n, node_id following, vector<state>& is) const {
    std::size_t edits = 0;
    for (std::size_t i = 0; i != g.num_results(n); ++i) {
      const value_id v = g.result(n, i);
      if (!is_from(g, v))
        continue;
      bool narrowed = true;
      for (slot_id u = g.first_use(v); u.valid(); u = g.next_use(u))
        narrowed = narrowed && is_cast(g, g.user(u), to);
      is[v.index] = wide;
      if (narrowed)
        continue;
      const value_id small = cast(g, v, to, following, n);
      is.resize(g.value_capacity(), other);
      is[small.index] = converted;
      slot_id next{};
      for (slot_id u = g.first_use(v); u.valid(); u = next) {
        next = g.next_use(u);
        if (g.user(u) != g.def(small))
          g.set_operand(u, small);
      }
      ++edits;
    }
    return edits;
  }

  template <class = when_used>
  bool retag(graph_storage& g, node_id n, vector<state>& is) const {
    bool any = false;
    for (std::size_t i = 0; i != g.num_results(n); ++i)
      if (is_from(g, g.result(n, i))) {
        value_meta m = g.meta(g.result(n, i));
        m.tensor.dtype = to;
        g.set_meta(g.result(n, i), m);
        is[g.result(n, i).index] = converted;
        any = true;
      }
    return any;
  }
  /// Dtype arguments; a factory that is told no dtype makes the default one.
  template <class = when_used>
  bool change_arguments(graph_storage& g, node_id n) const {
    const op_schema* s = schema_of(g.op(n));
    if (!s)
      return false;
    bool takes_tensors = false, changed = false;
    for (auto& a : s->args)
      takes_tensors = takes_tensors || a.type.kind == arg_kind::tensor;
    for (std::size_t i = 0; i != s->args.size(); ++i) {
      if (s->args[i].type.kind != arg_kind::scalar_type || s->args[i].type.list_depth != 0)
        continue;
      const bool given = i < g.num_args(n) && g.slot(g.arg_slot(n, i)).form() == arg_form::scalar_type;
      if (given ? static_cast<scalar_type>(g.slot(g.arg_slot(n, i)).bits()) != from
                : takes_tensors || g.num_results(n) != 1 || !is_from(g, g.result(n)))
        continue;
      g.set_arg(n, i, to);
      changed = true;
    }
    return changed;
  }
  /// Works out anew what the results are; without a rule, they follow the operands. Whether any changed type.
  template <class = when_used>
  bool follow(graph_storage& g, node_id n, vector<state>& is, bool some_converted) const {
    vector<meta_id> before;
    bool touched = some_converted;
    for (std::size_t i = 0; i != g.num_results(n); ++i) {
      before.push_back(g.meta_of(g.result(n, i)));
      touched = touched || is_from(g, g.result(n, i));
    }
    if (!touched)
      return false;
    bool known = false;
    try {
      known = infer_metas(g, n) == inferred::done;
    } catch (const error&) { // the operator was recorded; its results follow
    }
    if (!known)
      return some_converted && retag(g, n, is);
    bool changed = false;
    for (std::size_t i = 0; i != before.size(); ++i) {
      const value_id v = g.result(n, i);
      if (!before[i].valid())
        continue;
      value_meta m = g.get_meta(before[i]);
      const value_meta& now = g.meta(v);
      const bool converts = m.kind == value_kind::tensor && m.tensor.dtype == from &&
                            now.kind == value_kind::tensor && now.tensor.dtype == to;
      if (converts) {
        m.tensor.dtype = to;
        is[v.index] = converted;
        changed = true;
      }
      g.set_meta(v, m); // all else stays as it was known
    }
    return changed;
  }
};

} // namespace espalier
