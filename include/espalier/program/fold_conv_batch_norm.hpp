// SPDX-License-Identifier: BSL-1.0
// A convolution followed by a batch norm that does not train is one convolution with other weights. The
// arithmetic is that of `torch/nn/utils/fusion.py`, done in double precision.
#pragma once

#include <espalier/ir/storage.hpp>
#include <espalier/ir/view.hpp>
#include <espalier/pipeline/analyses/aliases.hpp>
#include <espalier/pipeline/analyses/effects.hpp>
#include <espalier/pipeline/pass.hpp>
#include <espalier/pipeline/pass_context.hpp>
#include <espalier/pipeline/pass_result.hpp>
#include <espalier/pipeline/properties.hpp>
#include <espalier/program/detail/state_inputs.hpp>
#include <espalier/program/program_base.hpp>
#include <espalier/support/vector.hpp>

#include <ATen/ATen.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

namespace espalier {

/// Folds `conv1d`, `conv2d`, `conv3d`, their transposed forms and `convolution`, with or without bias, and
/// the batch norm (not training) that is the only use of the result, into one convolution. By running the
/// pass the user says that the parameters of these layers are frozen.
///
/// - New weights are new state beside the old, `PREFIX.folded_weight` and `PREFIX.folded_bias` after the
///   convolution's weight, of the same kind, and require a gradient if that did. The old state is removed
///   where nothing else reads it; shared weights stay for their other users.
/// - Left alone: weights or statistics that the graph computes, that a run writes to, or whose gradient an
///   output is; a convolution and a norm of different element types (autocast); inputs without a batch.
///
/// Results change by rounding only. Counts the `folded` pairs and the `removed` inputs. Linear in the graph,
/// apart from a walk over inputs, and for each input removed over the graph, for each that is added or
/// removed.
struct fold_conv_batch_norm : pass {
  static constexpr std::string_view name = "fold_conv_batch_norm";
  static constexpr std::string_view statistics[] = {"folded", "removed"};
  static constexpr std::string_view description = "makes a convolution and its batch norm one convolution";
  using destroys = properties<property::canonical, property::no_duplicates>;

  template <class = when_used>
  static pass_result run(program_base& p, pass_context& c) {
    const auto pairs = find(std::as_const(p), c);
    if (pairs.empty())
      return {};
    vector<std::pair<at::Tensor, at::Tensor>> tensors;
    for (const auto& x : pairs)
      tensors.push_back(x.same_as ? tensors[*x.same_as] : folded(x));
    return replace(p, pairs, tensors, c);
  }

private:
  struct pair {
    node_id conv, norm;
    detail::held_tensor weight, bias, scale, shift, mean, variance; ///< bias, scale and shift may be none
    double epsilon = 0;
    bool transposed = false;
    std::int64_t groups = 1;
    std::optional<std::size_t> same_as; ///< an earlier pair that gives the same tensors
  };
  /// Where a convolution's schema has `groups` (weight and bias are always second and third).
  struct conv_form {
    bool is_conv = false, transposed = false;
    std::size_t groups = 6;
    std::optional<std::size_t> transposed_at{};
  };

  template <class = when_used>
  static conv_form form_of(op_id o) {
    const std::string_view n = name_of(o), base = n.substr(0, n.find('.'));
    if (detail::one_of(base, {"aten::conv1d", "aten::conv2d", "aten::conv3d"}))
      return {true, false, 6, {}};
    if (detail::one_of(base, {"aten::conv_transpose1d", "aten::conv_transpose2d", "aten::conv_transpose3d"}))
      return {true, true, 6, {}};
    if (n == "aten::convolution")
      return {true, false, 8, 6};
    return {};
  }
  /// Where a batch norm's schema has `training`, if it does, and `eps`; the rest is in the same places.
  template <class = when_used>
  static std::optional<std::pair<std::size_t, std::size_t>> norm_form(op_id o) {
    const std::string_view n = name_of(o);
    if (n == "aten::batch_norm" || n == "aten::native_batch_norm")
      return {{5, 7}};
    if (n == "aten::_native_batch_norm_legit_no_training")
      return {{0, 6}};
    return {};
  }

  template <class = when_used>
  static vector<pair> find(const program_base& p, pass_context& c) {
    const graph_storage& g = p.storage();
    detail::call_classes classes;
    detail::alias_classes memory(g, classes);
    const detail::fixed_state fixed(p, memory);
    vector<pair> out;
    std::map<vector<std::uint64_t>, std::size_t> seen;
    for (node n : nodes(g)) {
      if (n.kind() != node_kind::call_function)
        continue;
      const auto norm = norm_form(n.op());
      if (!norm || !n.arg(0).is_value() || !n.arg(0).as_value().has_one_use())
        continue;
      if (norm->first && (n.arg(norm->first).form() != arg_form::boolean || n.arg(norm->first).as_bool()))
        continue;
      pair x;
      const node conv = n.arg(0).as_value().def();
      if (conv.kind() != node_kind::call_function)
        continue;
      const conv_form form = form_of(conv.op());
      if (!form.is_conv)
        continue;
      x.conv = conv.id();
      x.norm = n.id();
      bool known = true;
      const auto take = [&](arg_view a, bool may_lack) {
        const auto h = a.is_value() ? fixed(a.as_value().def()) : detail::held_tensor{};
        known = known && (h ? h.tensor.is_floating_point() : may_lack && !a.has_value());
        return h;
      };
      x.weight = take(conv.arg(1), false);
      x.bias = take(conv.arg(2), true);
      x.scale = take(n.arg(1), true);
      x.shift = take(n.arg(2), true);
      x.mean = take(n.arg(3), false);
      x.variance = take(n.arg(4), false);
      const arg_form eps = n.arg(norm->second).form();
      if (!known || (eps != arg_form::floating && eps != arg_form::integer))
        continue;
      x.epsilon = n.arg(norm->second).as_double();
      x.transposed = form.transposed;
      if (form.transposed_at) {
        if (conv.arg(*form.transposed_at).form() != arg_form::boolean)
          continue;
        x.transposed = conv.arg(*form.transposed_at).as_bool();
      }
      if (conv.arg(form.groups).has_value()) {
        if (conv.arg(form.groups).form() != arg_form::integer)
          continue;
        x.groups = conv.arg(form.groups).as_int();
      }
      if (!same_layout(conv, n, x) || !c.may_edit(name))
        continue;
      const auto id = [&](arg_view a) { return a.is_value() ? a.as_value().id().index : ~0ull; };
      const auto [at, fresh] =
          seen.try_emplace({id(conv.arg(1)), id(conv.arg(2)), id(n.arg(1)), id(n.arg(2)), id(n.arg(3)),
                            id(n.arg(4)), std::bit_cast<std::uint64_t>(x.epsilon),
                            std::uint64_t{x.transposed}, static_cast<std::uint64_t>(x.groups)},
                           out.size());
      if (!fresh)
        x.same_as = at->second;
      out.push_back(std::move(x));
    }
    return out;
  }

  /// One element type, one channel a statistic, a batch dimension, and no other result of the norm in use.
  template <class = when_used>
  static bool same_layout(node conv, node norm, const pair& x) {
    const value_meta &a = conv.result().meta(), &b = norm.result().meta();
    if (a.kind != value_kind::tensor || b.kind != value_kind::tensor || a.tensor.dtype != b.tensor.dtype ||
        from_c10(x.weight.tensor.scalar_type()) != a.tensor.dtype)
      return false;
    const at::Tensor& w = x.weight.tensor;
    if (w.dim() < 3 || a.tensor.dim() != static_cast<std::size_t>(w.dim()))
      return false;
    const std::int64_t channels = x.transposed ? w.size(1) * x.groups : w.size(0);
    for (const auto* h : {&x.bias, &x.scale, &x.shift, &x.mean, &x.variance})
      if (*h && (h->tensor.dim() != 1 || h->tensor.size(0) != channels || h->tensor.device() != w.device()))
        return false;
    for (std::size_t i = 1; i < norm.num_results(); ++i)
      if (norm.result(i).has_uses())
        return false;
    return true;
  }

  template <class = when_used>
  static std::pair<at::Tensor, at::Tensor> folded(const pair& x) {
    const at::NoGradGuard no_grad;
    const at::Tensor& w = x.weight.tensor;
    const auto wide = [](const detail::held_tensor& h) { return h.tensor.detach().to(at::kDouble); };
    at::Tensor factor = (wide(x.variance) + x.epsilon).rsqrt();
    if (x.scale)
      factor = factor * wide(x.scale);
    at::Tensor bias = x.bias ? wide(x.bias) - wide(x.mean) : -wide(x.mean);
    bias = bias * factor;
    if (x.shift)
      bias = bias + wide(x.shift);
    // output channels stand first; transposed, second within each group of input channels
    vector<std::int64_t> split = w.sizes().vec(), channel(split.size(), 1);
    channel[0] = -1;
    if (x.transposed) {
      split[0] /= x.groups;
      split.insert(split.begin(), x.groups);
      channel = vector<std::int64_t>(split.size(), 1);
      channel[0] = x.groups;
      channel[2] = -1;
    }
    const at::Tensor weight = (wide(x.weight).reshape(split) * factor.reshape(channel)).reshape(w.sizes());
    at::Tensor out = at::empty_like(w.detach());
    out.copy_(weight);
    const bool grad = w.requires_grad();
    return {out.set_requires_grad(grad), bias.to(w.scalar_type()).set_requires_grad(grad)};
  }

  template <class = when_used>
  static pass_result replace(program_base& p, const vector<pair>& pairs,
                             const vector<std::pair<at::Tensor, at::Tensor>>& tensors, pass_context& c) {
    graph_storage& g = p.storage();
    detail::state_edit state(p);
    vector<std::pair<value_id, value_id>> made;
    vector<node_id> read;
    for (std::size_t i = 0; i != pairs.size(); ++i) {
      const pair& x = pairs[i];
      if (x.same_as) {
        made.push_back(made[*x.same_as]);
      } else {
        const std::string& of = x.weight.target;
        const auto dot = of.rfind('.');
        const std::string module = dot == of.npos ? std::string() : of.substr(0, dot + 1);
        const value_id weight = state.add(x.weight.kind, module + "folded_weight", tensors[i].first);
        made.emplace_back(weight, state.add(x.weight.kind, module + "folded_bias", tensors[i].second));
      }
      for (const auto& [n, first, last] :
           {std::tuple{node(g, x.conv), 1, 3}, std::tuple{node(g, x.norm), 1, 5}})
        for (int k = first; k != last; ++k)
          if (const auto a = n.arg(static_cast<std::size_t>(k)); a.is_value())
            read.push_back(a.as_value().def().id());
      g.set_arg(x.conv, 1, made[i].first);
      g.set_arg(x.conv, 2, made[i].second);
      g.replace_all_uses(g.result(x.norm), g.result(x.conv)); // but for its own use of it, below
      g.erase(x.norm);
    }
    const std::size_t removed = state.finish(read);
    c.count("folded", pairs.size());
    c.count("removed", removed);
    return {.erased = pairs.size() + removed, .rewritten = pairs.size()};
  }
};

} // namespace espalier
