// expect: espalier: editing a pipeline requires a stage of it \(edited_stage<STAGE, STAGES\.\.\.> names them\); write the type of one of its stages
// SPDX-License-Identifier: BSL-1.0
#include <espalier/passes/cse.hpp>
#include <espalier/passes/dce.hpp>
#include <espalier/passes/sort.hpp>
#include <espalier/pipeline/edit.hpp>

namespace es = espalier;

constexpr auto tidy = es::cse{} | es::dce{};
#ifdef ESPALIER_CURE
using edited = decltype(es::drop_stage<es::dce>(tidy));
#else
using edited = decltype(es::drop_stage<es::sort>(tidy));
#endif
