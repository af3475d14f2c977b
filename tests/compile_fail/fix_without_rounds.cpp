// expect: espalier: fix<LIMIT> requires at least one round; write fix<25>\(pass\) instead
// SPDX-License-Identifier: BSL-1.0
#include <espalier/passes/cse.hpp>
#include <espalier/passes/dce.hpp>
#include <espalier/pipeline/combinators.hpp>

namespace es = espalier;

#ifdef ESPALIER_CURE
constexpr auto tidy = es::fix<25>(es::dce{});
#else
constexpr auto tidy = es::fix<0>(es::dce{});
#endif
