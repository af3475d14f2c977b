// SPDX-License-Identifier: BSL-1.0
// A second translation unit that includes every header of the ground floor, private ones too. It is linked
// into every test executable: a function that is neither inline nor a template then fails to link, in every
// one of them.
#include "all_ground_headers.hpp"

namespace espalier_tests {
int second_translation_unit_ground() { return ESPALIER_VERSION; }
} // namespace espalier_tests
