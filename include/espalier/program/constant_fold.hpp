// SPDX-License-Identifier: BSL-1.0
// Constant folding: what a graph computes of constants alone is computed now, and becomes a constant of the
// program. Follows the idea of `torch/_inductor/constant_folding.py`, with rules that Python leaves to its
// callers: memory that somebody writes to, results that are returned, and growth.
#pragma once

#include <espalier/ir/clone.hpp>
#include <espalier/ir/storage.hpp>
#include <espalier/pipeline/analyses/aliases.hpp>
#include <espalier/pipeline/analyses/effects.hpp>
#include <espalier/pipeline/pass.hpp>
#include <espalier/pipeline/pass_context.hpp>
#include <espalier/pipeline/pass_options.hpp>
#include <espalier/pipeline/pass_result.hpp>
#include <espalier/pipeline/properties.hpp>
#include <espalier/program/detail/state_inputs.hpp>
#include <espalier/program/interpreter.hpp>
#include <espalier/program/program_base.hpp>
#include <espalier/support/hash_map.hpp>
#include <espalier/support/vector.hpp>

#include <ATen/core/grad_mode.h>
#include <c10/core/impl/LocalDispatchKeySet.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace espalier {

/// What `constant_fold` takes for constant, and how much it may store.
struct fold_options {
  bool parameters = false;             ///< parameters are frozen: nobody trains or reloads them any more
  bool buffers = true;                 ///< buffers that no run changes count as constant
  bool constructors = false;           ///< fold calls without tensor operands too (`full`, `arange`)
  std::size_t max_bytes = 64ull << 20; ///< of one result
  double max_growth = 2;       ///< a result takes at most this many times the bytes that its call reads ...
  std::size_t small = 1 << 16; ///< ... or at most this many bytes
};

/// Replaces calls whose operands are all constant by lifted constants of the program (`folded_NAME` after
/// the node), computed by the same kernels, so that results stay equal bit by bit. State that nothing reads
/// afterwards is removed from graph, signature and state dict.
///
/// - Constant are lifted constants, buffers that no run writes to and, when they are said to be frozen,
///   parameters whose gradient no output is; a program should not be trained through what was folded, nor
///   be loaded with other state afterwards.
/// - Left alone: calls that draw random numbers, write, assert, make uninitialised memory or have no schema;
///   what shares memory with a value that is written to; what an output returns, which would be the same
///   tensor in every call; higher-order calls; results of sizes that are not known.
/// - A call whose result passes `max_bytes`, or grows beyond `max_growth`, stays, and what depends on it.
/// - Constructors stay as in Python (`skip_constructors`), since making a tensor costs no more than reading
///   one.
///
/// Where something folds, calls of constants that nobody needs go too.
///
/// All or nothing: throws `error` when an operator fails, and leaves the program as it was. Counts the
/// `folded` calls and the `removed` inputs. Linear in the graph, apart from the calls themselves.
struct constant_fold : pass {
  static constexpr std::string_view name = "constant_fold";
  static constexpr std::string_view statistics[] = {"folded", "removed"};
  static constexpr std::string_view description =
      "computes what depends on constants alone, or on frozen parameters too";
  static constexpr std::string_view options =
      "parameters, no_buffers, constructors, max_bytes=N, max_growth=X, small=N";
  using destroys = properties<property::canonical, property::no_duplicates>;

  fold_options rules{};
  constexpr constant_fold() = default;
  constexpr explicit constant_fold(const fold_options& o) : rules(o) {}

  template <class = when_used>
  pass_result run(program_base& p, pass_context& c) const {
    const plan found = find(std::as_const(p), c);
    if (found.results.empty())
      return {};
    const std::vector<at::Tensor> tensors = compute(std::as_const(p).storage(), found);
    return replace(p, found, tensors, c);
  }

  /// `constant_fold`, or `constant_fold<parameters, max_bytes=4096>`.
  template <class = when_used>
  std::string text() const {
    constexpr fold_options usual;
    option_printer out;
    if (rules.parameters)
      out.word("parameters");
    if (!rules.buffers)
      out.word("no_buffers");
    if (rules.constructors)
      out.word("constructors");
    if (rules.max_bytes != usual.max_bytes)
      out.value("max_bytes", rules.max_bytes);
    if (rules.max_growth != usual.max_growth)
      out.value("max_growth", rules.max_growth);
    if (rules.small != usual.small)
      out.value("small", rules.small);
    return out.after(name);
  }

private:
  struct source {
    value_id value;
    at::Tensor tensor;
  };
  struct plan {
    vector<source> sources;   ///< that the calls read
    vector<node_id> calls;    ///< in program order
    vector<value_id> results; ///< of the calls, used by others
    vector<node_id> gone;     ///< the calls, and those of constants that nobody needs; in program order
    vector<node_id> read;     ///< the inputs that these read
  };

  /// Sources and calls, by walking forward; then, backward, those that a result needs.
  template <class = when_used>
  plan find(const program_base& p, pass_context& c) const {
    const graph_storage& g = p.storage();
    detail::call_classes classes;
    detail::alias_classes memory(g, classes);
    const detail::fixed_state fixed(p, memory);
    enum class is : std::uint8_t { unknown, source, computed };
    vector<is> value(g.value_capacity(), is::unknown);
    hash_map<std::uint32_t, at::Tensor> tensor_of; // by value
    vector<node_id> computed;
    for (node_id n = g.first(); n.valid(); n = g.next(n)) {
      if (const auto h = fixed(n)) {
        if (h.kind == input_kind::parameter ? !rules.parameters
                                            : h.kind == input_kind::buffer && !rules.buffers)
          continue;
        value[g.result(n).index] = is::source;
        tensor_of.emplace(g.result(n).index, h.tensor.detach());
        continue;
      }
      if (g.kind(n) != node_kind::call_function || !computable(g, n, classes, memory))
        continue;
      bool constant = true;
      std::size_t operands = 0;
      double read = 0;
      for (const auto& x : g.slots(n))
        if (x.is_use()) {
          ++operands;
          constant = constant && value[x.w0] != is::unknown;
          read += constant ? bytes_of(g.meta(value_id{x.w0})) : 0;
        }
      if (!constant || (operands == 0 && !rules.constructors) || !fits(g, n, read) || !c.may_edit(name))
        continue;
      computed.push_back(n);
      for (std::size_t i = 0; i != g.num_results(n); ++i)
        value[g.result(n, i).index] = is::computed;
    }

    vector<bool> needed(g.node_capacity()), inside(g.node_capacity()), read(g.value_capacity());
    for (const node_id n : computed)
      inside[n.index] = true;
    plan out;
    for (std::size_t k = computed.size(); k-- != 0;) {
      const node_id n = computed[k];
      for (std::size_t i = g.num_results(n); i-- != 0;)
        for (slot_id u = g.first_use(g.result(n, i)); u.valid(); u = g.next_use(u))
          if (!inside[g.user(u).index]) {
            out.results.push_back(g.result(n, i));
            needed[n.index] = true;
            break;
          }
      if (needed[n.index])
        out.calls.push_back(n);
      for (const auto& x : g.slots(n)) {
        if (!x.is_use())
          continue;
        const node_id def = g.def(value_id{x.w0});
        if (value[x.w0] == is::source && !read[x.w0]) {
          read[x.w0] = true;
          out.read.push_back(def);
        }
        if (!needed[n.index])
          continue;
        needed[def.index] = true;
        if (const auto t = tensor_of.find(x.w0); t != tensor_of.end()) {
          out.sources.push_back({value_id{x.w0}, t->second});
          tensor_of.erase(x.w0);
        }
      }
    }
    std::reverse(out.calls.begin(), out.calls.end());
    std::reverse(out.results.begin(), out.results.end());
    out.gone = std::move(computed);
    return out;
  }

  template <class = when_used>
  static bool computable(const graph_storage& g, node_id n, detail::call_classes& classes,
                         detail::alias_classes& memory) {
    switch (classes(g.op(n))) {
    case detail::call_class::plain:
    case detail::call_class::view:
      break;
    case detail::call_class::norm:
      if (!detail::updates_statistics(g, n))
        break;
      return false;
    default:
      return false;
    }
    if (g.num_results(n) == 0 || memory.touches_written(g, n) || makes_garbage(name_of(g.op(n))))
      return false;
    for (const auto& x : g.slots(n))
      if (const auto f = x.form();
          f == arg_form::symbolic || f == arg_form::subgraph || f == arg_form::op || f == arg_form::opaque)
        return false;
    for (std::size_t i = 0; i != g.num_results(n); ++i)
      if (memory.escapes(g.result(n, i)))
        return false;
    return true;
  }
  /// Operators whose results have no definite values.
  template <class = when_used>
  static bool makes_garbage(std::string_view op) {
    op = op.substr(0, op.find('.'));
    return detail::one_of(op, {"aten::empty", "aten::empty_like", "aten::empty_strided", "aten::new_empty",
                               "aten::new_empty_strided", "aten::empty_permuted", "aten::resize",
                               "aten::_efficientzerotensor"});
  }
  /// Infinite when it is not known, or no strided tensor with data.
  template <class = when_used>
  static double bytes_of(const value_meta& m) {
    double n = std::numeric_limits<double>::infinity();
    if (m.kind != value_kind::tensor || m.tensor.lay != layout::strided ||
        to_c10(m.tensor.dev).type() == c10::DeviceType::Meta)
      return n;
    n = static_cast<double>(element_size(m.tensor.dtype));
    for (const auto& s : m.tensor.sizes)
      n = s.is_int() ? n * static_cast<double>(s.as_int()) : std::numeric_limits<double>::infinity();
    return n;
  }
  template <class = when_used>
  bool fits(const graph_storage& g, node_id n, double read) const {
    double made = 0;
    for (std::size_t i = 0; i != g.num_results(n); ++i)
      made += bytes_of(g.meta(g.result(n, i)));
    return made <= static_cast<double>(rules.max_bytes) &&
           (made <= static_cast<double>(rules.small) || made <= rules.max_growth * read);
  }

  /// Runs the calls as a graph of their own, as eager mode would.
  template <class = when_used>
  static std::vector<at::Tensor> compute(const graph_storage& g, const plan& what) {
    graph_storage alone;
    detail::node_copier copy(g, alone);
    std::vector<c10::IValue> inputs;
    for (const auto& s : what.sources) {
      copy.stand_in(s.value);
      inputs.emplace_back(s.tensor);
    }
    for (const node_id n : what.calls)
      copy.copy(n);
    vector<argument> outputs;
    for (const value_id v : what.results)
      outputs.emplace_back(copy[v]);
    alone.output(outputs);
    const at::NoGradGuard no_grad;
    const c10::impl::ExcludeDispatchKeyGuard no_autocast(c10::autocast_dispatch_keyset);
    std::vector<at::Tensor> out;
    for (const auto& v : interpreter(alone).run(std::move(inputs))) {
      const at::Tensor& t = v.toTensor();
      const bool given = std::any_of(what.sources.begin(), what.sources.end(),
                                     [&](const source& s) { return s.tensor.is_same(t); });
      // a part of a larger tensor would keep, and save, all of it
      const bool part = !given && t.storage().nbytes() > t.nbytes() && t.is_non_overlapping_and_dense();
      out.push_back(part ? t.clone(at::MemoryFormat::Preserve) : t);
    }
    return out;
  }

  template <class = when_used>
  static pass_result replace(program_base& p, const plan& what, const std::vector<at::Tensor>& tensors,
                             pass_context& c) {
    graph_storage& g = p.storage();
    detail::state_edit state(p);
    hash_map<const c10::TensorImpl*, value_id> known;
    for (const auto& s : what.sources) // a call may give back what it was given
      known.emplace(s.tensor.unsafeGetTensorImpl(), s.value);
    pass_result done;
    for (std::size_t i = 0; i != tensors.size(); ++i) {
      const value_id v = what.results[i];
      const auto [at, fresh] = known.try_emplace(tensors[i].unsafeGetTensorImpl());
      if (fresh)
        at->second = state.add(input_kind::constant_tensor, "folded_" + std::string(g.text(g.value_name(v))),
                               tensors[i]);
      g.replace_all_uses(v, at->second);
      ++done.rewritten;
    }
    for (std::size_t k = what.gone.size(); k-- != 0;)
      g.erase(what.gone[k]);
    const std::size_t removed = state.finish(what.read);
    done.erased = what.gone.size() + removed;
    c.count("folded", what.calls.size());
    c.count("removed", removed);
    return done;
  }
};

} // namespace espalier
