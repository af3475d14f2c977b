// expect: espalier: side_table<Id, T> requires a T that a vector holds as such, and std::vector<bool> packs bits; write side_table<Id, unsigned char> instead
// SPDX-License-Identifier: BSL-1.0
#include <espalier/ir/storage.hpp>
#include <espalier/support/side_table.hpp>

namespace es = espalier;

#ifdef ESPALIER_CURE
using flag = unsigned char;
#else
using flag = bool;
#endif
es::side_table<es::node_id, flag> seen;
