// SPDX-License-Identifier: BSL-1.0
// The shared library: built with hidden visibility, so that only what the headers mark as one object a
// process is shared.
#include "plugin.hpp"

namespace es = espalier;

namespace plugin {

es::graph<es::training_ir> build() {
  es::graph<es::training_ir> g;
  const auto x = g.placeholder("x", es::make_meta(es::scalar_type::f32, {2, 3}));
  const auto meta = g.meta_of(x.id());
  const auto y = g.call<es::aten::relu>(x);
  const auto z = g.call<es::aten::add_Tensor>(y, x);
  const auto s = g.call<scale_by>(z, 0.5);
  for (const auto v : {y, z, s})
    g.set_meta(v.id(), meta);
  g.output(s);
  return g;
}

std::size_t remove_dead_calls(es::graph_storage& g) {
  std::size_t removed = 0;
  for (es::node_id n = g.last(); n;) {
    const es::node_id before = g.prev(n);
    if (g.kind(n) == es::node_kind::call_function && g.num_results(n) == 1 && !g.has_uses(g.result(n)) &&
        es::flags_of(g.op(n)).pure()) {
      g.erase(n);
      ++removed;
    }
    n = before;
  }
  return removed;
}

es::op_id id_of_scale_by() { return es::id_of<scale_by>(); }
es::op_id intern(std::string_view qualified, std::string_view schema) {
  return es::intern_op(qualified, schema);
}
std::string text_of(const es::graph<es::training_ir>& g) { return es::to_text(g, es::training_ir::name); }
void refuse() {
  es::fail(es::error_kind::usage, "the plugin refuses", "plugin.cpp", "catch this in the host");
}

} // namespace plugin
