// SPDX-License-Identifier: BSL-1.0
// The pieces of `torch::nn::MultiheadAttention` that are torch.nn's with other views around the same
// products: the packed projection and its heads, a dropout that does nothing, the projection of the result,
// the average over heads. The rest differs by more than spelling: where torch.nn calls
// `scaled_dot_product_attention`, C++ multiplies and divides on its own, and rounds otherwise.
#pragma once

#include <espalier/ir/graph.hpp>
#include <espalier/ir/infer.hpp>
#include <espalier/schema/aten.hpp>
#include <espalier/support/span.hpp>
#include <espalier/support/vector.hpp>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>

namespace espalier::detail {

/// Raises the pieces that end at one node. `Memory` tells whether a value may change between a node and the
/// one where the walk over the graph stands.
template <class Memory>
class raise_attention {
public:
  raise_attention(graph_storage& g, Memory& memory) : g_(g), memory_(memory) {}

  /// Whether something was raised; the node may be erased then.
  bool operator()(node n) {
    if (n.is_call(id_of<aten::bmm>()))
      return heads(n) || no_dropout(n);
    if (n.is_call(id_of<aten::linear>()))
      return projection(n);
    if (n.is_call(id_of<aten::div_Tensor>()))
      return average(n);
    return false;
  }

private:
  using sizes = std::initializer_list<std::int64_t>;

  /// The call of `op` that makes `v`, whose only use is the one that is followed; or none.
  template <class Op>
  static node call_of(value v) {
    return v && v.def().is_call(id_of<Op>()) && v.has_one_use() ? v.def() : node();
  }
  static value operand(node n, std::size_t i = 0) {
    return n && n.arg(i).is_value() ? n.arg(i).as_value() : value();
  }
  static bool is_int(arg_view a, std::int64_t i) { return a.form() == arg_form::integer && a.as_int() == i; }
  /// `transpose(x, 0, 1)` of a value used once.
  static node first_two_swapped(value v) {
    const node t = call_of<aten::transpose_int>(v);
    return t && is_int(t.arg(1), 0) && is_int(t.arg(2), 1) ? t : node();
  }

  // ---- building, or nothing
  value make(op_id op, std::initializer_list<argument> args, node like) {
    if (failed_)
      return {};
    const node_id n = g_.call(op, span(args.begin(), args.size()), 1);
    made_.push_back(n);
    g_.set_origin(n, g_.origin_of(like.id()));
    try {
      failed_ = infer_metas(g_, n) != inferred::done;
    } catch (const error&) { // a condition on symbols that nobody decides here
      failed_ = true;
    }
    if (!failed_) {
      value_meta m = g_.meta(g_.result(n));
      m.tensor.requires_grad = like.result().tensor().requires_grad;
      g_.set_meta(g_.result(n), m);
    }
    return {g_, g_.result(n)};
  }
  void begin(node before) {
    made_.clear();
    failed_ = false;
    g_.set_insertion_point({before.id()});
  }
  /// Whether all was built; what was built is taken back when not.
  bool end() {
    g_.set_insertion_point({});
    if (failed_)
      for (std::size_t i = made_.size(); i-- != 0;)
        g_.erase(made_[i]);
    return !failed_;
  }
  void replace(value old, value fresh) {
    g_.replace_all_uses(old.id(), fresh.id());
    memory_.replace(old.id(), fresh.id());
  }
  void erase_unused(std::initializer_list<node> users_first) {
    for (node n : users_first) {
      if (!g_.alive(n.id()))
        continue;
      bool used = false;
      for (std::size_t i = 0; i != n.num_results(); ++i)
        used = used || g_.has_uses(n.result(i).id());
      if (!used)
        g_.erase(n);
    }
  }

  // ---- the packed projection and its heads
  /// `chunk(linear(...), 3, -1)`, its parts copied, viewed as heads and transposed, the first times a number.
  struct head {
    node swapped, viewed, copied;
    explicit operator bool() const { return static_cast<bool>(copied); }
  };
  template <class Copy>
  static head head_of(value v) {
    const node t = first_two_swapped(v), w = call_of<aten::view>(operand(t)), c = call_of<Copy>(operand(w));
    return w && w.arg(1).form() == arg_form::list && w.arg(1).size() == 3 ? head{t, w, c} : head{};
  }
  value seen_as_heads(value part, const head& h, node like) {
    vector<argument> shape;
    for (std::size_t i = 0; i != 3; ++i) {
      const arg_view a = h.viewed.arg(1)[i];
      const sym_int& known = h.viewed.result().tensor().sizes[i];
      shape.push_back(is_int(a, -1) && known.is_int() ? argument(known)
                                                      : g_.copy_arg(h.viewed.id(), a.slot(), own_));
    }
    const value v = make(id_of<aten::view>(), {part, span<const argument>(shape)}, like);
    return make(id_of<aten::transpose_int>(), {v, 0, 1}, like);
  }

  bool heads(node n) {
    const node turned = call_of<aten::transpose_int>(operand(n, 1));
    if (!turned || !is_int(turned.arg(1), 1) || !is_int(turned.arg(2), 2))
      return false;
    const head q = head_of<aten::mul_Tensor>(operand(n, 0)), k = head_of<aten::contiguous>(operand(turned));
    const node parts = k ? operand(k.copied).def() : node();
    if (!q || !parts || !parts.is_call(id_of<aten::chunk>()) || parts.num_results() != 3 ||
        !is_int(parts.arg(1), 3) || !is_int(parts.arg(2), -1) || !(operand(k.copied) == parts.result(1)) ||
        !(operand(q.copied) == parts.result(0)))
      return false;
    for (std::size_t i = 0; i != 3; ++i)
      if (!parts.result(i).has_one_use())
        return false;
    const node copied = *parts.result(2).users().begin();
    const auto only_user = [](node x) {
      return x.result().has_one_use() ? *x.result().users().begin() : node();
    };
    const node viewed = only_user(copied), swapped = viewed ? only_user(viewed) : node();
    const head v =
        swapped && swapped.result().has_one_use() ? head_of<aten::contiguous>(swapped.result()) : head{};
    const value packed = operand(parts);
    const auto scale = q.copied.arg(1).form();
    if (!v || !(v.copied == copied) || !packed.def().is_call(id_of<aten::linear>()) ||
        (scale != arg_form::floating && scale != arg_form::integer) ||
        parts.result(0).meta().kind != value_kind::tensor || parts.result(0).tensor().dim() != 3 ||
        !parts.result(0).tensor().sizes[2].is_int() || !g_.is_before(v.swapped.id(), turned.id()) ||
        memory_.may_change(packed.id(), parts.id()))
      return false;
    for (const head& h : {q, k, v})
      if (h.viewed.result().meta().kind != value_kind::tensor)
        return false;

    const argument parts_of[] = {3, parts.result(0).tensor().sizes[2].as_int()};
    begin(turned);
    value all = make(id_of<aten::unflatten_int>(), {packed, -1, span<const argument>(parts_of)}, parts);
    all = make(id_of<aten::unsqueeze>(), {all, 0}, parts);
    all = make(id_of<aten::transpose_int>(), {all, 0, -2}, parts);
    all = make(id_of<aten::squeeze_dim>(), {all, -2}, parts);
    all = make(id_of<aten::contiguous>(), {all}, parts);
    value part[3];
    for (int i = 0; i != 3; ++i)
      part[i] = make(id_of<aten::select_int>(), {all, 0, i}, parts);
    const value query = seen_as_heads(part[0], q, q.viewed), key = seen_as_heads(part[1], k, k.viewed),
                value_ = seen_as_heads(part[2], v, v.viewed);
    const value scaled = make(id_of<aten::mul_Tensor>(),
                              {query, g_.copy_arg(q.copied.id(), q.copied.arg(1).slot(), own_)}, q.copied);
    const value last_two = make(id_of<aten::transpose_int>(), {key, -2, -1}, turned);
    own_ = {};
    if (!end())
      return false;
    replace(q.swapped.result(), scaled);
    replace(turned.result(), last_two);
    replace(v.swapped.result(), value_);
    erase_unused({turned, k.swapped, k.viewed, k.copied, q.swapped, q.viewed, q.copied, v.swapped, v.viewed,
                  v.copied, parts});
    return true;
  }

  // ---- the weights
  /// A dropout that does not train gives its argument itself; torch.nn's layer does not call it.
  bool no_dropout(node n) {
    const node drop = operand(n) ? operand(n).def() : node();
    if (!drop || !drop.is_call(id_of<aten::dropout>()) || drop.arg(2).form() != arg_form::boolean ||
        drop.arg(2).as_bool() || !operand(drop).def().is_call(id_of<aten::softmax_int>()))
      return false;
    replace(drop.result(), operand(drop));
    g_.erase(drop);
    return true;
  }

  // ---- the projection of the result
  /// A layer on `view(contiguous(transpose(x, 0, 1)))` is one on its rows: `view(linear(reshape(...)))`.
  bool projection(node n) {
    const node viewed = call_of<aten::view>(operand(n)), copied = call_of<aten::contiguous>(operand(viewed)),
               swapped = first_two_swapped(operand(copied));
    if (!swapped || !operand(swapped) || !operand(swapped).def().is_call(id_of<aten::bmm>()) ||
        n.result().meta().kind != value_kind::tensor ||
        memory_.may_change(swapped.result().id(), copied.id()))
      return false;
    const sym_ints& in = viewed.result().tensor().sizes;
    const sym_ints& out = n.result().tensor().sizes;
    for (const sym_ints* s : {&in, &out})
      if (s->size() != 3 || !(*s)[0].is_int() || !(*s)[1].is_int() || !(*s)[2].is_int())
        return false;
    const argument rows[] = {in[0].as_int() * in[1].as_int(), in[2].as_int()},
                   shape[] = {out[0].as_int(), out[1].as_int(), out[2].as_int()};
    begin(n);
    const value flat = make(id_of<aten::reshape>(), {swapped.result(), span<const argument>(rows)}, copied);
    const argument bias =
        n.num_args() > 2 ? g_.copy_arg(n.id(), n.arg(2).slot(), own_) : argument(std::nullopt);
    const value product = n.num_args() > 2 ? make(id_of<aten::linear>(), {flat, operand(n, 1), bias}, n)
                                           : make(id_of<aten::linear>(), {flat, operand(n, 1)}, n);
    const value whole = make(id_of<aten::view>(), {product, span<const argument>(shape)}, n);
    if (!end())
      return false;
    replace(n.result(), whole);
    erase_unused({n, viewed, copied});
    return true;
  }

  // ---- the average over heads
  /// `div(sum(view(weights, 4 sizes), [1]), heads)` is `mean`, which on the CPU sums and divides likewise;
  /// for small types it does so in a wider one.
  bool average(node n) {
    const node sum = call_of<aten::sum_dim_IntList>(operand(n)), weights = sum ? operand(sum).def() : node();
    if (!sum || sum.num_args() != 2 || sum.arg(1).form() != arg_form::list || sum.arg(1).size() != 1 ||
        !is_int(sum.arg(1)[0], 1) || !weights.is_call(id_of<aten::view>()))
      return false;
    const value source = operand(weights);
    node made = source.def();
    if (made.is_call(id_of<aten::dropout>()))
      made = operand(made).def();
    const tensor_meta& m = weights.result().tensor();
    if (!made.is_call(id_of<aten::softmax_int>()) || weights.result().meta().kind != value_kind::tensor ||
        m.dim() != 4 || (m.dtype != scalar_type::f32 && m.dtype != scalar_type::f64) ||
        !m.sizes[1].is_int() || !is_int(n.arg(1), m.sizes[1].as_int()) ||
        memory_.may_change(weights.result().id(), sum.id()))
      return false;
    const argument over[] = {1};
    begin(n);
    const value mean = make(id_of<aten::mean_dim>(), {weights.result(), span<const argument>(over)}, n);
    if (!end())
      return false;
    replace(n.result(), mean);
    erase_unused({n, sum});
    return true;
  }

  graph_storage& g_;
  Memory& memory_;
  vector<node_id> made_;
  graph_storage::copied_args own_;
  bool failed_ = false;
};

} // namespace espalier::detail
