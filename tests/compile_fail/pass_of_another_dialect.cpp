// expect: es::apply<Passes\.\.\.>\(program\) requires passes that take the program's dialect .*; lower the program to that dialect first
// SPDX-License-Identifier: BSL-1.0
// floor: torch
#include <espalier/program/apply.hpp>

namespace es = espalier;

struct fuse_core_operators : es::pass {
  static constexpr std::string_view name = "fuse-core-operators";
#ifdef ESPALIER_CURE
  using takes = es::any_dialect;
#else
  using takes = es::core_aten;
#endif
  es::pass_result run(es::graph_storage&) const { return {}; }
};

es::pass_result fuse(es::exported_program<es::training_ir>& program) {
  return es::apply<fuse_core_operators>(program);
}
