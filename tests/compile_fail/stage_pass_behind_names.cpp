// expect: espalier: this pipeline is illegal
// SPDX-License-Identifier: BSL-1.0
// floor: torch
// says: pass 'describe' at position 6 needs property 'named', which pass 'raise' at position 5 destroyed
#include <espalier/exporting/export_program.hpp>
#include <espalier/passes/raise.hpp>
#include <espalier/pipeline/edit.hpp>

namespace es = espalier;

#ifdef ESPALIER_CURE
constexpr auto stages = es::insert_before<es::stage::assign_names>(es::training_exporter, es::raise{});
#else
constexpr auto stages = es::insert_before<es::stage::describe>(es::training_exporter, es::raise{});
#endif
