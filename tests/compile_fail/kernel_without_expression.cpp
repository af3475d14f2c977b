// expect: mini_compiler: compute<OP>\(...\) requires an operator that kernels have an expression for
// SPDX-License-Identifier: BSL-1.0
#include "mini_compiler/simplify.hpp"

// A pointwise operator that no kernel computes.
#ifdef ESPALIER_CURE
using activation = mini::aten::tanh;
#else
using activation = mini::aten::sinh;
#endif
constexpr auto rule = mini::es::rewrite<"soft-sign">(
    mini::es::pattern<mini::aten::silu>(mini::real_x),
    [](auto& r, const auto& m) { return mini::compute<activation>(r, m[mini::x]); });
constexpr auto pass = mini::es::rewrites<"mine">(rule);

auto run(mini::es::graph_storage& g, mini::es::pass_context& c) { return pass.run(g, c); }
