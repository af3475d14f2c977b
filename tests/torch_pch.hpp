// SPDX-License-Identifier: BSL-1.0
// What every test of the upper floor includes, compiled once.
#pragma once
#include <doctest/doctest.h>
#include <torch/torch.h>
