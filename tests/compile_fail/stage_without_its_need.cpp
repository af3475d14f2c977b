// expect: exporter<Stages\.\.\.>: a stage needs a fact that no earlier stage gives
// SPDX-License-Identifier: BSL-1.0
// floor: torch
#include <espalier/exporting/exporter.hpp>

namespace es = espalier;

struct measured;

struct measure {
  static constexpr const char* name = "measure";
  using needs = es::facts<>;
  using gives = es::facts<measured>;
};
struct judge {
  static constexpr const char* name = "judge";
  using needs = es::facts<measured>;
  using gives = es::facts<>;
};

#ifdef ESPALIER_CURE
static_assert(es::exporter<measure, judge>::num_stages == 2);
#else
static_assert(es::exporter<judge, measure>::num_stages == 2);
#endif
