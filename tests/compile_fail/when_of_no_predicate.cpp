// expect: espalier: when\(predicate, \.\.\.\) requires a predicate on const graph_storage&
// SPDX-License-Identifier: BSL-1.0
#include <espalier/passes/cse.hpp>
#include <espalier/passes/dce.hpp>
#include <espalier/pipeline/combinators.hpp>

namespace es = espalier;

#ifdef ESPALIER_CURE
constexpr auto tidy = es::when([](const es::graph_storage&) { return true; }, es::dce{});
#else
constexpr auto tidy = es::when([](es::node) { return true; }, es::dce{});
#endif
