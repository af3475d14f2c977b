// SPDX-License-Identifier: BSL-1.0
// The whole library: the ground floor, and what runs on LibTorch.
// Written by tools/umbrella.py from the layer folders. Do not edit.
#pragma once

#include <espalier/graph.hpp>

#include <espalier/bridge/pytree.hpp>
#include <espalier/bridge/types.hpp>

#include <espalier/exporting/exporter.hpp>
#include <espalier/exporting/inputs.hpp>
#include <espalier/exporting/job.hpp>
#include <espalier/exporting/stage/assign_names.hpp>
#include <espalier/exporting/stage/bind_inputs.hpp>
#include <espalier/exporting/stage/bind_state.hpp>
#include <espalier/exporting/stage/describe.hpp>
#include <espalier/exporting/stage/record.hpp>
#include <espalier/exporting/stage/verify.hpp>
