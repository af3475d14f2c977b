// expect: espalier: editing a pipeline requires a stage that it has once \(edited_stage<STAGE, STAGES\.\.\.> names them\); compose the pipeline anew with .\|. instead
// SPDX-License-Identifier: BSL-1.0
#include <espalier/passes/cse.hpp>
#include <espalier/passes/dce.hpp>
#include <espalier/pipeline/edit.hpp>

namespace es = espalier;

constexpr auto tidy = es::dce{} | es::cse{} | es::dce{};
#ifdef ESPALIER_CURE
using edited = decltype(es::drop_stage<es::cse>(tidy));
#else
using edited = decltype(es::drop_stage<es::dce>(tidy));
#endif
