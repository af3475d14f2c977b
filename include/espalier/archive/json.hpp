// SPDX-License-Identifier: BSL-1.0
// JSON as the .pt2 format uses it. Boost.JSON would serve, but it costs a second to include and 2.4 s with
// its sources in the header (nothing may be linked), where these two cost 0.1 s; and its document tree would
// stand between the text and the schema's structs, which are read straight from it.
#pragma once

#include <espalier/archive/json_reader.hpp>
#include <espalier/archive/json_writer.hpp>
