// SPDX-License-Identifier: BSL-1.0
// A second translation unit that includes the whole ground floor, linked into every test executable: whatever is not
// inline in a header is a duplicate symbol here.
#include <espalier/graph.hpp>
