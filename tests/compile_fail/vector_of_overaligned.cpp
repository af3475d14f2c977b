// expect: espalier::vector<T> requires an alignment of T that operator new gives; hold such a T in a std::vector
// SPDX-License-Identifier: BSL-1.0
#include <espalier/support/vector.hpp>

#include <vector>

struct alignas(64) line {
  int x[16];
};

#ifdef ESPALIER_CURE
using lines = std::vector<line>;
#else
using lines = espalier::vector<line>;
#endif

void add(lines& v) { v.push_back(line{}); }
