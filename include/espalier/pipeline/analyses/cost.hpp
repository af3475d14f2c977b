// SPDX-License-Identifier: BSL-1.0
// What each call costs, from the sizes of its operands and results: operations, and bytes moved. The numbers
// are a model, not a measurement: good for finding what matters, for splitting work, and for roofline
// estimates.
//
// Floating-point operations of products are counted as torch/utils/flop_counter.py counts them (a
// multiplication and an addition are two, bias additions are none), so that sums agree with Python's. What
// that file leaves out (pointwise operators, reductions) is counted apart, an operation an element.
#pragma once

#include <espalier/ir/storage.hpp>
#include <espalier/pipeline/analyses/effects.hpp>
#include <espalier/pipeline/analyses/sizes.hpp>
#include <espalier/schema/op_id.hpp>
#include <espalier/support/vector.hpp>

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <string_view>

namespace espalier {

/// How a node's cost is computed.
enum class cost_model : std::uint8_t {
  free,         ///< placeholders, attributes, outputs, views, symbolic numbers: nothing is computed or moved
  pointwise,    ///< an operation for each element of the result
  reduction,    ///< an operation for each element of the largest operand: sums, norms, softmax
  product,      ///< matrix products: 2 m n k
  convolution,  ///< 2 x results x inputs to each
  attention,    ///< scaled dot products: the two matrix products
  movement,     ///< copies: bytes, no operations
  subgraphs,    ///< what its graphs cost: the dearest branch of a `cond`, one round of a loop
  not_modelled, ///< bytes as they are, operations as though pointwise
};

/// The cost of a node, or a sum of costs. Amounts stop at the largest 64-bit number.
struct node_cost {
  std::uint64_t flops = 0;         ///< of products, convolutions and attention
  std::uint64_t element_ops = 0;   ///< of everything else
  std::uint64_t bytes_read = 0;    ///< operands, each once
  std::uint64_t bytes_written = 0; ///< results
  cost_model model = cost_model::free;
  bool known = true; ///< false: a size or meta is missing, and amounts that need it are left out

  std::uint64_t operations() const noexcept { return detail::saturating_add(flops, element_ops); }
  std::uint64_t bytes() const noexcept { return detail::saturating_add(bytes_read, bytes_written); }
  /// Adds amounts; `known` only if both are.
  node_cost& operator+=(const node_cost& o) noexcept {
    flops = detail::saturating_add(flops, o.flops);
    element_ops = detail::saturating_add(element_ops, o.element_ops);
    bytes_read = detail::saturating_add(bytes_read, o.bytes_read);
    bytes_written = detail::saturating_add(bytes_written, o.bytes_written);
    known = known && o.known;
    return *this;
  }
  friend bool operator==(const node_cost&, const node_cost&) noexcept = default;
};

namespace detail {

/// An operator's name without namespace, overload, and the underscore of a mutating spelling; empty for other
/// namespaces than ATen's.
template <class = when_used>
std::string_view aten_base_name(op_id o) {
  std::string_view n = name_of(o);
  if (!n.starts_with("aten::"))
    return {};
  n.remove_prefix(6);
  n = n.substr(0, n.find('.'));
  if (n.ends_with('_') && !n.ends_with("__"))
    n.remove_suffix(1);
  return n;
}

template <class = when_used>
cost_model cost_model_of(op_id o, call_class c) {
  const op_flags f = flags_of(o);
  if (f.higher_order)
    return cost_model::subgraphs;
  const std::string_view n = aten_base_name(o);
  if (c == call_class::effect || name_of(o).starts_with("_operator::") || n.starts_with("sym_"))
    return cost_model::free;
  if (one_of(n, {"mm", "bmm", "matmul", "linear", "mv", "dot", "vdot", "inner", "addmm", "baddbmm", "addmv",
                 "addbmm", "_scaled_mm", "_int_mm"}))
    return cost_model::product;
  if (one_of(n, {"convolution", "_convolution", "convolution_overrideable", "conv1d", "conv2d", "conv3d",
                 "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "cudnn_convolution"}))
    return cost_model::convolution;
  if (one_of(n, {"scaled_dot_product_attention", "_scaled_dot_product_flash_attention",
                 "_scaled_dot_product_flash_attention_for_cpu", "_scaled_dot_product_efficient_attention",
                 "_scaled_dot_product_cudnn_attention", "_scaled_dot_product_attention_math",
                 "_scaled_dot_product_fused_attention_overrideable"}))
    return cost_model::attention;
  if (one_of(n, {"sum",
                 "mean",
                 "prod",
                 "amax",
                 "amin",
                 "aminmax",
                 "max",
                 "min",
                 "argmax",
                 "argmin",
                 "any",
                 "all",
                 "var",
                 "var_mean",
                 "std",
                 "std_mean",
                 "norm",
                 "linalg_vector_norm",
                 "logsumexp",
                 "softmax",
                 "_softmax",
                 "_safe_softmax",
                 "log_softmax",
                 "_log_softmax",
                 "cumsum",
                 "cumprod",
                 "logcumsumexp",
                 "nansum",
                 "median",
                 "count_nonzero",
                 "layer_norm",
                 "native_layer_norm",
                 "rms_norm",
                 "_fused_rms_norm",
                 "group_norm",
                 "native_group_norm",
                 "batch_norm",
                 "native_batch_norm",
                 "_native_batch_norm_legit",
                 "_native_batch_norm_legit_no_training",
                 "_batch_norm_impl_index",
                 "instance_norm"}))
    return cost_model::reduction;
  if (one_of(n, {"clone",           "copy",          "_to_copy",  "cat",       "concat",    "stack",
                 "index_select",    "index",         "index_put", "gather",    "embedding", "repeat",
                 "constant_pad_nd", "flip",          "roll",      "fill",      "full",      "full_like",
                 "zeros",           "zeros_like",    "ones",      "ones_like", "new_full",  "new_zeros",
                 "new_ones",        "scalar_tensor", "arange"}) ||
      n.ends_with("_copy"))
    return cost_model::movement;
  if (f.pointwise || n == "hardswish")
    return cost_model::pointwise;
  if (c == call_class::view)
    return cost_model::free;
  return cost_model::not_modelled;
}

/// Costs of the nodes of one graph; subgraphs share the sizes and what is known of operators.
template <class = when_used>
class cost_counter {
public:
  cost_counter(size_values& sizes, call_classes& classes) : sizes_(sizes), classes_(classes) {}

  /// The sum; `each`, where given, gets every node's own.
  node_cost graph(const graph_storage& g, vector<node_cost>* each) {
    sizes_.learn(g);
    vector<node_cost> graphs;
    for (std::size_t i = 0; i != g.num_subgraphs(); ++i)
      graphs.push_back(graph(g.subgraph(i), nullptr));
    node_cost total;
    reader_of_.assign(g.value_capacity(), node_id{});
    for (node_id n = g.first(); n.valid(); n = g.next(n)) {
      if (g.kind(n) != node_kind::call_function && g.kind(n) != node_kind::call_higher_order)
        continue;
      const node_cost c = call(g, n, graphs);
      total += c;
      if (each)
        (*each)[n.index] = c;
    }
    return total;
  }

private:
  using amount = size_values::amount;

  cost_model model(op_id o) {
    if (o.index >= models_.size())
      models_.resize(o.index + 1, unasked);
    auto& m = models_[o.index];
    if (m == unasked)
      m = static_cast<std::uint8_t>(cost_model_of(o, classes_(o)));
    return static_cast<cost_model>(m);
  }

  node_cost call(const graph_storage& g, node_id n, const vector<node_cost>& graphs) {
    node_cost c;
    c.model = model(g.op(n));
    switch (c.model) {
    case cost_model::subgraphs:
      return calls_graphs(g, n, graphs);
    case cost_model::free:
      if (!converts(g, n))
        return c;
      c.model = cost_model::movement;
      break;
    default:
      break;
    }
    move_bytes(g, n, c);
    switch (c.model) {
    case cost_model::product:
    case cost_model::convolution:
    case cost_model::attention: {
      const amount flops = c.model == cost_model::product       ? product(g, n)
                           : c.model == cost_model::convolution ? convolution(g, n)
                                                                : attention(g, n);
      c.known = c.known && flops;
      c.flops = flops.value_or(0);
      return c;
    }
    case cost_model::reduction:
      c.element_ops = largest_operand_;
      return c;
    case cost_model::movement:
      return c;
    default:
      c.element_ops = result_elements_;
      return c;
    }
  }

  /// A composite that may return its argument (`to`) has computed something where the types differ.
  bool converts(const graph_storage& g, node_id n) const {
    if (g.num_results(n) != 1 || aten_base_name(g.op(n)) != "to" || !tensor_arg(g, n, 0))
      return false;
    const value_meta& r = g.meta(g.result(n));
    return r.kind == value_kind::tensor &&
           (r.tensor.dtype != tensor_arg(g, n, 0)->dtype || r.tensor.dev != tensor_arg(g, n, 0)->dev);
  }

  /// Bytes and elements of operands and results; tells `c` where something is missing.
  void move_bytes(const graph_storage& g, node_id n, node_cost& c) {
    largest_operand_ = result_elements_ = 0;
    for (auto& x : g.slots(n)) {
      if (!x.is_use() || reader_of_[x.w0] == n)
        continue;
      reader_of_[x.w0] = n;
      count(g.meta(value_id{x.w0}), c, c.bytes_read, largest_operand_);
    }
    for (std::size_t i = 0; i != g.num_results(n); ++i)
      count(g.meta(g.result(n, i)), c, c.bytes_written, result_elements_);
  }
  void count(const value_meta& m, node_cost& c, std::uint64_t& bytes, std::uint64_t& largest) {
    if (m.kind == value_kind::unknown)
      c.known = false;
    if (m.kind != value_kind::tensor)
      return;
    const amount elements = sizes_.numel(m.tensor);
    if (!elements) {
      c.known = false;
      return;
    }
    bytes = saturating_add(bytes, saturating_mul(*elements, element_size(m.tensor.dtype)));
    largest = std::max(largest, *elements);
  }

  static const tensor_meta* tensor_arg(const graph_storage& g, node_id n, std::size_t i) {
    if (i >= g.num_args(n))
      return nullptr;
    const auto& x = g.slot(g.arg_slot(n, i));
    if (!x.is_use())
      return nullptr;
    const value_meta& m = g.meta(value_id{x.w0});
    return m.kind == value_kind::tensor ? &m.tensor : nullptr;
  }
  static const tensor_meta* tensor_result(const graph_storage& g, node_id n) {
    const value_meta* m = g.num_results(n) ? &g.meta(g.result(n)) : nullptr;
    return m && m->kind == value_kind::tensor ? &m->tensor : nullptr;
  }
  /// The size of a dimension, counted from the end; of a scalar, 1.
  amount size_from_end(const tensor_meta& t, std::size_t i) {
    return t.dim() <= i ? amount(1) : sizes_.value(t.sizes[t.dim() - 1 - i]);
  }
  static amount times(amount a, amount b) { return a && b ? amount(saturating_mul(*a, *b)) : amount{}; }

  /// 2 x (elements of the result) x (length of the sums).
  amount product(const graph_storage& g, node_id n) {
    const std::string_view name = aten_base_name(g.op(n));
    const bool adds = name.starts_with("add") || name == "baddbmm";
    const tensor_meta *a = tensor_arg(g, n, adds), *r = tensor_result(g, n);
    if (!a || !r)
      return {};
    amount flops = times(times(2, sizes_.numel(*r)), size_from_end(*a, 0));
    if (name == "addbmm") // sums over the batch, too
      flops = times(flops, size_from_end(*a, 2));
    return flops;
  }
  /// Each weight meets each position of the result (of the input, when transposed), in every image. The
  /// filters' first dimension is spread over the channels of that same side.
  amount convolution(const graph_storage& g, node_id n) {
    const tensor_meta *input = tensor_arg(g, n, 0), *weight = tensor_arg(g, n, 1), *r = tensor_result(g, n);
    if (!input || !weight || !r || weight->dim() == 0)
      return {};
    const tensor_meta& side = is_transposed(g, n) ? *input : *r;
    const amount all = times(times(2, sizes_.numel(side)), sizes_.numel(*weight));
    const amount channels = sizes_.value(weight->sizes[0]);
    return all && channels && *channels ? amount(*all / *channels) : amount{};
  }
  static bool is_transposed(const graph_storage& g, node_id n) {
    if (aten_base_name(g.op(n)).starts_with("conv_transpose"))
      return true;
    const op_schema* s = schema_of(g.op(n));
    for (std::size_t i = 0; s && i != s->args.size() && i < g.num_args(n); ++i)
      if (s->args[i].name == "transposed") {
        const auto& x = g.slot(g.arg_slot(n, i));
        return x.form() == arg_form::boolean && x.bits();
      }
    return false;
  }
  /// Queries x keys, then weights x values.
  amount attention(const graph_storage& g, node_id n) {
    const tensor_meta *q = tensor_arg(g, n, 0), *k = tensor_arg(g, n, 1), *v = tensor_arg(g, n, 2);
    if (!q || !k || !v)
      return {};
    const amount all = sizes_.numel(*q), d = size_from_end(*q, 0), dv = size_from_end(*v, 0);
    if (!all || !d || !dv || !*d)
      return {};
    return times(times(amount(*all / *d), size_from_end(*k, 1)), 2 * (*d + *dv));
  }

  node_cost calls_graphs(const graph_storage& g, node_id n, const vector<node_cost>& graphs) {
    const bool one_of_them = name_of(g.op(n)) == "higher_order::cond";
    node_cost c;
    for (auto& x : g.slots(n)) {
      if (x.form() != arg_form::subgraph)
        continue;
      if (x.w2 >= graphs.size()) {
        c.known = false;
        continue;
      }
      const node_cost& part = graphs[x.w2];
      if (!one_of_them) {
        c += part;
        continue;
      }
      const bool known = c.known && part.known;
      if (part.operations() > c.operations() ||
          (part.operations() == c.operations() && part.bytes() > c.bytes()))
        c = part;
      c.known = known;
    }
    c.known = c.known && runs_graphs_only(g.op(n));
    c.model = cost_model::subgraphs;
    return c;
  }

  static constexpr std::uint8_t unasked = 0xff;
  size_values& sizes_;
  call_classes& classes_;
  vector<std::uint8_t> models_; // by operator
  vector<node_id> reader_of_;   // by value: the last node that counted it
  std::uint64_t largest_operand_ = 0, result_elements_ = 0;
};

} // namespace detail

/// The cost of every node. Linear in the nodes and arguments, subgraphs included.
struct cost {
  static constexpr std::string_view name = "cost";

  class result {
  public:
    const node_cost& operator[](node_id n) const noexcept { return of_[n.index]; }
    /// The sum over the graph.
    const node_cost& total() const noexcept { return total_; }

  private:
    friend cost;
    vector<node_cost> of_; // by node
    node_cost total_;
  };

  /// `sizes` gives the values of symbols; the graph's hints stand in for those it does not know.
  template <class = when_used>
  static result compute(const graph_storage& g, const symbol_lookup& sizes = {}) {
    detail::size_values values(sizes);
    detail::call_classes classes;
    result r;
    r.of_.resize(g.node_capacity());
    r.total_ = detail::cost_counter(values, classes).graph(g, &r.of_);
    return r;
  }
};

} // namespace espalier
