// SPDX-License-Identifier: BSL-1.0
// Random programs from a seed: elementwise operators, views, casts, copies, several results, writes to
// memory, subgraphs, dead code and duplicates, with the metas that the shape rules give. What a rule refuses
// is not built, so that every program runs.
#pragma once

#include <espalier/ir/infer.hpp>
#include <espalier/ir/storage.hpp>
#include <espalier/ir/view.hpp>
#include <espalier/passes/view_copy.hpp>
#include <espalier/schema/aten.hpp>
#include <espalier/schema/op_traits.hpp>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace laws {

namespace es = espalier;
namespace aten = es::aten;

struct program_options {
  std::size_t calls = 20;
  bool writes = true;         ///< operators that write to their arguments
  bool subgraphs = true;      ///< `cond`
  bool random = false;        ///< dropout that trains
  bool effects = true;        ///< assertions
  bool transcendental = true; ///< operators whose last bit depends on how a kernel walks
  bool copies = false;        ///< copying operators (`view_copy`) among the views
  bool cpp = false;           ///< what C++ spells in its own way (`add.Scalar`, `_pad_enum`, `s - x`)
};

/// The inputs of every program: dtype and sizes.
struct program_input {
  es::scalar_type dtype;
  std::vector<std::int64_t> sizes;
};
inline const std::vector<program_input>& program_inputs() {
  using t = es::scalar_type;
  static const std::vector<program_input> all{
      {t::f32, {2, 3}}, {t::f32, {2, 3}}, {t::i64, {2, 3}},    {t::f16, {2, 3}}, {t::f32, {1, 3}},
      {t::f32, {4, 4}}, {t::b8, {2, 3}},  {t::f64, {2, 3, 4}}, {t::i32, {6}},    {t::f32, {4, 6}}};
  return all;
}

class program_maker {
public:
  program_maker(std::uint64_t seed, program_options o) : random_(seed), o_(o) {}

  es::graph_storage make() {
    for (std::size_t i = 0; i != program_inputs().size(); ++i) {
      const auto& in = program_inputs()[i];
      es::sym_ints sizes;
      for (auto s : in.sizes)
        sizes.push_back(s);
      const auto m = g_.intern_meta(es::make_meta(in.dtype, sizes));
      values_.push_back(g_.result(g_.placeholder(es::input_kind::user_input, "x" + std::to_string(i), m)));
    }
    for (std::size_t i = 0; i != o_.calls; ++i)
      for (int attempt = 0; attempt != 40 && !step(); ++attempt) {
      }
    es::vector<es::argument> out;
    for (std::uint32_t i = 0, n = 1 + below(4); i != n; ++i)
      out.push_back(recent());
    g_.output(out);
    return std::move(g_);
  }

private:
  using args = es::vector<es::argument>;
  std::uint32_t below(std::size_t n) { return static_cast<std::uint32_t>(random_() % n); }
  template <class V>
  const auto& one_of(const V& v) {
    return v[below(v.size())];
  }
  es::value_id any() { return one_of(values_); }
  /// Late values more often, so that chains grow.
  es::value_id recent() {
    const std::size_t n = values_.size(), window = n < 6 ? n : 6;
    return below(3) ? values_[n - 1 - below(window)] : any();
  }
  const es::tensor_meta& meta(es::value_id v) const { return g_.meta(v).tensor; }

  /// A call, if its shape rule takes it: else nothing is left of it.
  bool call(es::op_id op, const args& a, std::size_t results = 1, bool list = false) {
    if (o_.copies && below(2))
      if (const auto copy = es::detail::copy_of_view(op))
        op = *copy;
    const auto n = g_.call(op, a, results, list);
    try {
      if (es::infer_metas(g_, n) == es::inferred::done) {
        for (std::size_t i = 0; i != results; ++i)
          if (g_.meta(g_.result(n, i)).kind == es::value_kind::tensor)
            values_.push_back(g_.result(n, i));
        g_.set_origin(n, "stack_trace", "call " + std::to_string(n.index));
        return true;
      }
    } catch (const es::error&) {
    }
    g_.erase(n);
    return false;
  }
  template <class Op>
  bool call(const args& a, std::size_t results = 1, bool list = false) {
    return call(es::id_of<Op>(), a, results, list);
  }
  /// A write to `x`: the result is `x`.
  bool write(es::op_id op, const args& a) {
    const auto n = g_.call(op, a, 1);
    g_.set_meta(g_.result(n), g_.meta_of(a[0].val));
    if (below(2))
      values_.push_back(g_.result(n));
    return true;
  }
  es::vector<es::argument> list_of(const std::vector<std::int64_t>& v) {
    es::vector<es::argument> out;
    for (auto i : v)
      out.push_back(i);
    return out;
  }
  template <class Op>
  bool call_with_list(es::value_id x, const std::vector<std::int64_t>& v) {
    const auto items = list_of(v);
    return call<Op>({x, es::argument(es::span<const es::argument>(items))});
  }
  std::vector<std::int64_t> other_sizes(std::int64_t numel) {
    std::vector<std::int64_t> out;
    while (out.size() < 3 && numel > 1) {
      std::vector<std::int64_t> divisors;
      for (std::int64_t d = 1; d <= numel; ++d)
        if (numel % d == 0)
          divisors.push_back(d);
      out.push_back(one_of(divisors));
      numel /= out.back();
    }
    out.push_back(numel);
    return out;
  }
  es::argument number() {
    switch (below(8)) {
    case 0:
      return 0;
    case 1:
      return 1;
    case 2:
      return 0.0;
    case 3:
      return -0.0;
    case 4:
      return 1.0;
    case 5:
      return 2;
    case 6:
      return -1;
    default:
      return 0.5;
    }
  }
  bool is_float(es::value_id v) const { return es::is_floating(meta(v).dtype); }

  bool step() {
    const auto x = recent();
    const auto& m = meta(x);
    const auto dims = static_cast<std::int64_t>(m.dim());
    if (o_.cpp && below(4) == 0)
      return cpp_spelling(x);
    switch (below(o_.writes ? 15 : 13)) {
    case 0:
    case 1: { // one operand
      static const es::vector<es::op_id> any_type{
          es::id_of<aten::neg>(),        es::id_of<aten::abs>(),       es::id_of<aten::clone>(),
          es::id_of<aten::alias>(),      es::id_of<aten::sign>(),      es::id_of<aten::relu>(),
          es::id_of<aten::contiguous>(), es::id_of<aten::detach>(),    es::id_of<aten::neg>(),
          es::id_of<aten::clone>(),      es::id_of<aten::ones_like>(), es::id_of<aten::zeros_like>()};
      static const es::vector<es::op_id> floating{es::id_of<aten::floor>(),       es::id_of<aten::ceil>(),
                                                  es::id_of<aten::round>(),       es::id_of<aten::trunc>(),
                                                  es::id_of<aten::relu6>(),       es::id_of<aten::cos>(),
                                                  es::id_of<aten::exp>(),         es::id_of<aten::sigmoid>(),
                                                  es::id_of<aten::logical_not>(), es::id_of<aten::sqrt>()};
      if (m.dtype == es::scalar_type::b8)
        return call<aten::logical_not>({x});
      const auto op = is_float(x) && below(2) ? one_of(floating) : one_of(any_type);
      if (!o_.transcendental &&
          (op == es::id_of<aten::cos>() || op == es::id_of<aten::exp>() || op == es::id_of<aten::sigmoid>()))
        return false;
      return call(op, {x});
    }
    case 2:
    case 3: { // two operands
      if (m.dtype == es::scalar_type::b8)
        return call<aten::logical_and>({x, below(2) ? x : any()});
      static const es::vector<es::op_id> ops{es::id_of<aten::add_Tensor>(), es::id_of<aten::sub_Tensor>(),
                                             es::id_of<aten::mul_Tensor>(), es::id_of<aten::maximum>(),
                                             es::id_of<aten::minimum>(),    es::id_of<aten::mul_Tensor>()};
      const auto y = below(4) ? recent() : x;
      if (meta(y).dtype == es::scalar_type::b8)
        return false;
      const auto op = one_of(ops);
      if ((op == ops[0] || op == ops[1]) && below(3) == 0)
        return call(op, {x, y, below(2) ? -1 : 2});
      return call(op, {x, y});
    }
    case 4: { // a number
      static const es::vector<es::op_id> ops{es::id_of<aten::add_Tensor>(), es::id_of<aten::sub_Tensor>(),
                                             es::id_of<aten::mul_Tensor>(), es::id_of<aten::div_Tensor>(),
                                             es::id_of<aten::pow_Tensor_Scalar>()};
      if (m.dtype == es::scalar_type::b8)
        return false;
      const auto op = one_of(ops);
      if (op == ops[4])
        return call(op, {x, below(2) ? 1 : 2});
      return call(op, {x, number()});
    }
    case 5: { // casts
      static const es::vector<es::scalar_type> types{es::scalar_type::f32, es::scalar_type::f64,
                                                     es::scalar_type::f16, es::scalar_type::i64,
                                                     es::scalar_type::i32};
      const auto t = one_of(types);
      if (is_float(x) && !es::is_floating(t)) // what is out of range is anybody's guess
        return false;
      if (below(2))
        return call<aten::_to_copy>({x, t});
      return call<aten::to_dtype>({x, t});
    }
    case 6:
      switch (below(3)) {
      case 0:
        return call_with_list<aten::view>(x, other_sizes(m.numel().as_int()));
      case 1:
        return call_with_list<aten::reshape>(x, other_sizes(m.numel().as_int()));
      default:
        return call<aten::flatten_using_ints>({x, 0, -1});
      }
    case 7: { // permutations
      if (dims == 0)
        return false;
      if (below(2))
        return call<aten::transpose_int>({x, static_cast<std::int64_t>(below(m.dim())), -1});
      if (dims <= 2 && below(2))
        return call<aten::t>({x});
      std::vector<std::int64_t> p;
      for (std::int64_t i = 0; i != dims; ++i)
        p.insert(p.begin() + below(p.size() + 1), i);
      return call_with_list<aten::permute>(x, p);
    }
    case 8:
      switch (below(4)) {
      case 0:
        return call<aten::unsqueeze>({x, static_cast<std::int64_t>(below(m.dim() + 1))});
      case 1:
        return dims != 0 && call<aten::squeeze_dim>({x, static_cast<std::int64_t>(below(m.dim()))});
      case 2: {
        std::vector<std::int64_t> sizes;
        for (auto& s : m.sizes)
          sizes.push_back(s.as_int() == 1 ? 1 + below(3) : below(2) ? -1 : s.as_int());
        return call_with_list<aten::expand>(x, sizes);
      }
      default:
        return dims != 0 && call<aten::slice_Tensor>({x, static_cast<std::int64_t>(below(m.dim())), below(2),
                                                      below(2) ? INT64_MAX : std::int64_t{3}});
      }
    case 9: { // lists
      if (dims == 0)
        return false;
      const args items = below(2) ? args{x} : args{x, x};
      if (below(2))
        return call<aten::cat>({es::argument(es::span<const es::argument>(items)), 0});
      const auto n = m.sizes[0].as_int();
      if (n == 0)
        return false;
      const auto size = 1 + static_cast<std::int64_t>(below(static_cast<std::size_t>(n)));
      return call<aten::split_Tensor>({x, size}, static_cast<std::size_t>((n + size - 1) / size), true);
    }
    case 10:
      if (dims == 0 || m.numel().as_int() == 0 || m.dtype == es::scalar_type::b8)
        return false;
      return call<aten::max_dim>({x, -1}, 2);
    case 11: {
      if (dims == 0)
        return false;
      const auto pads = list_of({0, below(4) == 0 ? 1 : 0});
      if (below(2))
        return call<aten::constant_pad_nd>({x, es::argument(es::span<const es::argument>(pads)), 0});
      if (!is_float(x))
        return false;
      if (o_.random && below(2))
        return call<aten::dropout>({x, 0.5, true});
      return call<aten::dropout>({x, below(2) ? 0.0 : 0.5, false});
    }
    case 12:
      if (o_.subgraphs && below(3) == 0)
        return cond();
      if (o_.effects && m.dtype == es::scalar_type::f64) {
        const args out{x, es::argument(std::nullopt), es::argument(std::nullopt), es::scalar_type::f64};
        g_.call(es::id_of<aten::_assert_tensor_metadata>(), out, 0);
        return true;
      }
      return is_float(x) && call<aten::clamp>({x, -1, below(2) ? 1 : 2});
    default:
      break;
    }
    // writes: not through a tensor whose elements overlap
    for (std::size_t i = 0; i != m.dim(); ++i)
      if (m.strides[i] == es::sym_int(0) && !(m.sizes[i] == es::sym_int(1)))
        return false;
    if (m.dtype == es::scalar_type::b8)
      return false;
    switch (below(3)) {
    case 0:
      return write(es::id_of<aten::add__Tensor>(), {x, below(2) ? 1 : 2});
    case 1:
      return write(es::id_of<aten::neg_>(), {x});
    default:
      return write(es::id_of<aten::relu_>(), {x});
    }
  }

  bool cpp_spelling(es::value_id x) {
    const auto& m = meta(x);
    if (m.dtype == es::scalar_type::b8 || m.dim() == 0)
      return false;
    const auto dim = list_of({static_cast<std::int64_t>(below(m.dim()))});
    const es::argument over{es::span<const es::argument>(dim)};
    switch (below(8)) {
    case 0: {
      static const es::vector<es::op_id> ops{es::id_of<aten::add_Scalar>(), es::id_of<aten::sub_Scalar>(),
                                             es::id_of<aten::mul_Scalar>(), es::id_of<aten::div_Scalar>()};
      return call(one_of(ops), {x, number()});
    }
    case 1:
      return call<aten::floor_divide_Scalar>({x, 2});
    case 2:
      return is_float(x) && !(m.sizes[static_cast<std::size_t>(dim[0].bits)] == es::sym_int(1)) &&
             (below(2) ? call<aten::var_correction>({x, over, {}, true})
                       : call<aten::std_correction>({x, over}));
    case 3:
      return is_float(x) &&
             (below(2) ? call<aten::norm_Scalar>({x}) : call<aten::norm_ScalarOpt_dim>({x, 1, over, true}));
    case 4: {
      const auto pads = list_of({1, 0});
      return call<aten::_pad_enum>({x, es::argument(es::span<const es::argument>(pads)), 3});
    }
    case 5:
      return call<aten::to_dtype_layout>({x, is_float(x) ? es::scalar_type::f64 : es::scalar_type::f32});
    case 6: {
      const auto y = any();
      return is_float(y) && call<aten::to_other>({x, y});
    }
    default: { // s - x
      if (!o_.writes || !call<aten::empty_like>({x}))
        return false;
      const es::value_id fresh = values_.back();
      values_.pop_back();
      const auto fill = g_.call(es::id_of<aten::fill__Scalar>(), args{fresh, 2}, 1);
      g_.set_meta(g_.result(fill), g_.meta_of(fresh));
      return write(es::id_of<aten::sub__Tensor>(), {g_.result(fill), x});
    }
    }
  }

  /// `cond` on the bool input, whose branches take one value to one of its own type.
  bool cond() {
    const auto x = recent();
    if (!is_float(x))
      return false;
    std::uint32_t branches[2];
    for (auto& b : branches) {
      es::graph_storage s;
      const auto in = s.result(s.placeholder(es::input_kind::user_input, "a", s.intern_meta(g_.meta(x))));
      es::value_id v = in;
      static const es::vector<es::op_id> ops{es::id_of<aten::neg>(), es::id_of<aten::relu>(),
                                             es::id_of<aten::clone>(), es::id_of<aten::cos>()};
      for (std::uint32_t i = 0, n = 1 + below(4); i != n; ++i) {
        const es::argument a[] = {v};
        const auto call = s.call(one_of(ops), a, 1);
        es::infer_metas(s, call);
        v = s.result(call);
      }
      const es::argument out[] = {v};
      s.output(out);
      b = g_.add_subgraph("branch_" + std::to_string(g_.num_subgraphs()), std::move(s));
    }
    const auto flat = list_of({-1});
    const es::argument bools[] = {values_[6]};
    const auto any_of = g_.call(es::id_of<aten::any>(), bools, 1);
    es::infer_metas(g_, any_of);
    const es::argument operands[] = {x};
    const es::argument a[] = {g_.result(any_of), es::argument::of_subgraph(branches[0]),
                              es::argument::of_subgraph(branches[1]),
                              es::argument(es::span<const es::argument>(operands))};
    static const es::op_id op = es::intern_op("higher_order::cond", {}, es::op_flags{.higher_order = true});
    const auto n = g_.call(op, a, 1, true, es::node_kind::call_higher_order);
    g_.set_meta(g_.result(n), g_.subgraph(branches[0]).meta(value_of_output(g_.subgraph(branches[0]))));
    values_.push_back(g_.result(n));
    return true;
  }
  static es::value_id value_of_output(const es::graph_storage& s) {
    return es::value_id{s.slot(s.arg_slot(s.output_node(), 0)).w0};
  }

  std::mt19937_64 random_;
  program_options o_;
  es::graph_storage g_;
  es::vector<es::value_id> values_;
};

inline es::graph_storage random_program(std::uint64_t seed, program_options o = {}) {
  return program_maker(seed, o).make();
}

} // namespace laws
