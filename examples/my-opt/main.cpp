// SPDX-License-Identifier: BSL-1.0
// An es-opt that knows two passes more: `my-opt IN.pt2 --passes "gelu-tanh | cap-relu<max=6> | dce" -o
// OUT.pt2`.
#include <espalier/opt/opt_main.hpp>

namespace es = espalier;

namespace {

/// Takes the approximation of GELU by tanh wherever a model takes the exact one: faster, and near enough.
struct gelu_tanh : es::pass {
  static constexpr std::string_view name = "gelu-tanh";
  static constexpr std::string_view description = "takes GELU's approximation by tanh for the exact one";
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

/// Caps what a ReLU lets through, as models for small number types want it. Text makes one by `parse`.
struct cap_relu : es::pass {
  static constexpr std::string_view name = "cap-relu";
  static constexpr std::string_view description = "caps what a ReLU lets through";
  static constexpr std::string_view options = "[max=CAP]";
  using destroys = es::properties<es::property::no_duplicates>;
  static constexpr auto x = es::capture<"x">;
  double max = 6;

  static cap_relu parse(std::string_view text) {
    const es::option_reader given(name, text, "write cap-relu, or cap-relu<max=6>");
    cap_relu out;
    for (const auto& option : given)
      option.key == "max" ? void(out.max = given.number<double>(option)) : given.refuse(option);
    return out;
  }
  std::string text() const {
    es::option_printer options;
    options.value("max", max);
    return options.after(name);
  }
  es::pass_result run(es::graph_storage& g, es::pass_context& c) const {
    return es::rewrite_once(
        g, c,
        es::rule_set(es::rewrite<"cap-relu">(es::pattern<es::aten::relu>(x), [this](auto& r, const auto& m) {
          return r.template call<es::aten::clamp>(m[x], 0, max);
        })));
  }
};

} // namespace

int main(int argc, char** argv) { return es::opt_main(argc, argv, gelu_tanh{}, cap_relu{}); }
