// expect: espalier: this pipeline is illegal
// SPDX-License-Identifier: BSL-1.0
// floor: torch
// says: pass 'dce' at position 3 takes a graph, but there is none yet \(no_graph\); put the pass that makes the graph before it
#include <espalier/exporting/export_program.hpp>
#include <espalier/passes/dce.hpp>
#include <espalier/pipeline/edit.hpp>

namespace es = espalier;

#ifdef ESPALIER_CURE
constexpr auto stages = es::insert_after<es::stage::record>(es::training_exporter, es::dce{});
#else
constexpr auto stages = es::insert_before<es::stage::record>(es::training_exporter, es::dce{});
#endif
