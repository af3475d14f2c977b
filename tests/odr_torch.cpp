// SPDX-License-Identifier: BSL-1.0
// What odr.cpp is for the ground floor, for the whole library: every header in one more translation unit,
// linked into every test executable of the upper floor. A registration that happened once a translation unit
// would show here.
#include "all_headers.hpp"

namespace espalier_tests {
int second_translation_unit_torch() { return ESPALIER_VERSION; }
} // namespace espalier_tests
