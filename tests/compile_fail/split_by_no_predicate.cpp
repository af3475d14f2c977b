// expect: espalier: split\(predicate\) requires a predicate that is asked of a node and gives bool
// SPDX-License-Identifier: BSL-1.0
#include <espalier/passes/split.hpp>

namespace es = espalier;

#ifdef ESPALIER_CURE
constexpr auto cut = es::split([](es::node n) { return n.num_results() == 1; });
#else
constexpr auto cut = es::split([](const es::graph_storage& g) { return g.num_nodes() == 1; });
#endif
