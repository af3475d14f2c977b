// SPDX-License-Identifier: BSL-1.0
// JSON as the .pt2 format uses it. Boost.JSON would serve, but without a library to link its sources come
// with the header, into every translation unit; and its document tree would be built only to be read once,
// where the structs of the schema are read straight from the text.
#pragma once

#include <espalier/archive/json_reader.hpp>
#include <espalier/archive/json_writer.hpp>
