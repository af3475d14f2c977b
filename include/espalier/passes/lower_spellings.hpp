// SPDX-License-Identifier: BSL-1.0
// The way back from `raise`: Python's spellings become the operators that LibTorch's C++ layers call, for
// kernels and tools that know those. docs/spellings.md has the table. Everything stays functional: where C++
// writes to a product of its own (`add_`), a sum stands here.
#pragma once

#include <espalier/passes/canonical/support.hpp>
#include <espalier/rewrite/driver.hpp>

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

namespace espalier {

namespace detail::canonical {

inline constexpr auto weight = capture<"weight">;
inline constexpr auto bias = capture<"bias">;

/// `linear(x, w, b)` is `addmm(b, x, t(w))` for matrices, else `add(matmul(x, t(w)), b)`.
inline constexpr auto linear_with_bias = rewrite<"linear">(
    pattern<aten::linear>(x, weight, bias), [](auto& r, const auto& m) -> std::optional<value> {
      if (!is_tensor(m[x]) || !is_tensor(m[weight]) || m[weight].tensor().dim() != 2)
        return std::nullopt;
      const value t = r.template call<aten::t>(m[weight]);
      if (m[x].tensor().dim() == 2)
        return if_same(r.template call<aten::addmm>(m[bias], m[x], t), m.root());
      return if_same(r.template call<aten::add_Tensor>(r.template call<aten::matmul>(m[x], t), m[bias]),
                     m.root());
    });
inline constexpr auto linear_without_bias =
    rewrite<"linear">(pattern<aten::linear>(x, weight), [](auto& r, const auto& m) -> std::optional<value> {
      if (!is_tensor(m[weight]) || m[weight].tensor().dim() != 2)
        return std::nullopt;
      return if_same(r.template call<aten::matmul>(m[x], r.template call<aten::t>(m[weight])), m.root());
    });

} // namespace detail::canonical

/// Rewrites `linear` into `t` and a product, and arithmetic with a number into its `Scalar` overload,
/// subgraphs included. A `linear` of more than two dimensions with a bias may round otherwise than the fused
/// kernel does. Linear.
struct lower_spellings : pass {
  static constexpr std::string_view name = "lower_spellings";
  static constexpr std::string_view description = "the reverse of raise";
  // `t(w)` comes once a product
  using destroys = properties<property::no_duplicates, property::canonical, property::named>;

  template <class = when_used>
  static pass_result run(graph_storage& g, pass_context& c) {
    pass_result done = scalars(g);
    done += rewrite_once(
        g, c, rule_set(detail::canonical::linear_with_bias, detail::canonical::linear_without_bias));
    return done;
  }

private:
  template <class = when_used>
  static pass_result scalars(graph_storage& g) {
    static constexpr std::pair<std::uint32_t, std::uint32_t> rows[] = {
        {aten::add_Tensor::index, aten::add_Scalar::index},
        {aten::sub_Tensor::index, aten::sub_Scalar::index},
        {aten::mul_Tensor::index, aten::mul_Scalar::index},
        {aten::div_Tensor::index, aten::div_Scalar::index},
        {aten::add__Tensor::index, aten::add__Scalar::index},
        {aten::sub__Tensor::index, aten::sub__Scalar::index},
        {aten::mul__Tensor::index, aten::mul__Scalar::index},
        {aten::div__Tensor::index, aten::div__Scalar::index},
        {aten::div_Tensor_mode::index, aten::div_Scalar_mode::index},
    };
    pass_result done;
    for (std::size_t i = 0; i != g.num_subgraphs(); ++i)
      done += scalars(g.subgraph(i));
    for (node_id n = g.first(); n.valid(); n = g.next(n)) {
      if (g.kind(n) != node_kind::call_function || g.num_args(n) < 2)
        continue;
      for (const auto& [from, to] : rows)
        if (g.op(n).index == from && is_number(g.slot(g.arg_slot(n, 1)).form())) {
          g.set_op(n, op_id{to}); // `alpha` and the rounding mode stand at the same position
          ++done.rewritten;
          break;
        }
    }
    return done;
  }
  static bool is_number(arg_form f) noexcept {
    return f == arg_form::integer || f == arg_form::floating || f == arg_form::boolean ||
           f == arg_form::symbolic;
  }
};

} // namespace espalier
