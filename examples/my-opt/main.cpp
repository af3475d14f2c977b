// SPDX-License-Identifier: BSL-1.0
// An es-opt that knows a pass more: `my-opt IN.pt2 --passes "gelu-tanh | dce" -o OUT.pt2`.
#include <espalier/opt/opt_main.hpp>

namespace es = espalier;

namespace {

/// Takes the approximation of GELU by tanh wherever a model takes the exact one: faster, and near enough.
struct gelu_tanh : es::pass {
  static constexpr std::string_view name = "gelu-tanh";
  using destroys = es::properties<es::property::no_duplicates>;
  static constexpr auto x = es::capture<"x">;
  static constexpr auto rule =
      es::rewrite<"gelu-tanh">(es::pattern<es::aten::gelu>(x), [](auto& r, const auto& m) {
        return r.template call<es::aten::gelu>(m[x], es::kw<"approximate">("tanh"));
      });
  es::pass_result run(es::graph_storage& g, es::pass_context& c) const {
    return es::rewrite_once(g, c, es::rule_set(rule));
  }
};

} // namespace

int main(int argc, char** argv) { return es::opt_main(argc, argv, gelu_tanh{}); }
