// SPDX-License-Identifier: BSL-1.0
// The same for the upper floor.
#include <espalier/espalier.hpp>
