// expect: an operator requires a well-formed schema_str, but .* the results are missing; write
// SPDX-License-Identifier: BSL-1.0
#include <espalier/schema/op_traits.hpp>

// A struct of the user's own, as LibTorch writes them.
struct sink {
  static constexpr const char* name = "my::sink";
  static constexpr const char* overload_name = "";
#ifdef ESPALIER_CURE
  static constexpr const char* schema_str = "sink(Tensor x) -> ()";
#else
  static constexpr const char* schema_str = "sink(Tensor x)";
#endif
};
constexpr bool effects = espalier::op_traits<sink>::flags.effects;
