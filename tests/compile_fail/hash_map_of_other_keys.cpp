// expect: espalier::hash_map and hash_set require keys that are text, a number, a pointer or an id; use a std::map for keys of another kind
// SPDX-License-Identifier: BSL-1.0
#include <espalier/support/hash_map.hpp>

#include <compare>
#include <map>

struct point {
  int x, y;
  friend auto operator<=>(const point&, const point&) = default;
};

#ifdef ESPALIER_CURE
using heights = std::map<point, int>;
#else
using heights = espalier::hash_map<point, int>;
#endif

int height(const heights& h, point p) { return h.at(p); }
