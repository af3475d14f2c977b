// expect: an operator requires a well-formed schema_str
// SPDX-License-Identifier: BSL-1.0
#include <espalier/schema/op_traits.hpp>

namespace es = espalier;

struct twice {
  static constexpr const char* name = "my::twice";
  static constexpr const char* overload_name = "";
#ifdef ESPALIER_CURE
  static constexpr const char* schema_str = "my::twice(Tensor self) -> Tensor";
#else
  static constexpr const char* schema_str = "my::twice(Tensor self -> Tensor";
#endif
};

static_assert(es::op_traits<twice>::arity == 1);
