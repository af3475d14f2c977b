// expect: espalier: on_regions\(predicate, pass\) requires a predicate that is asked of a node and gives bool
// SPDX-License-Identifier: BSL-1.0
#include <espalier/pipeline/on_regions.hpp>
#include <espalier/pipeline/properties.hpp>
#include <espalier/schema/aten.hpp>

namespace es = espalier;

#ifdef ESPALIER_CURE
constexpr auto p = es::on_regions<es::calls_to<es::aten::relu>>(es::assume<es::property::no_duplicates>{});
#else
constexpr auto p = es::on_regions<es::aten::relu>(es::assume<es::property::no_duplicates>{});
#endif
