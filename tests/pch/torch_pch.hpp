// SPDX-License-Identifier: BSL-1.0
// Precompiled once for all test sources of the upper floor. Nothing of ours is in it, so that a change to a
// header of ours doesn't rebuild it; `./dev lint` compiles our headers without it.
// An include guard: g++ warns of #pragma once in a header that it compiles by itself.
#ifndef ESPALIER_TESTS_TORCH_PCH
#define ESPALIER_TESTS_TORCH_PCH

#include <torch/torch.h>

#include <boost/hana.hpp>
#include <doctest/doctest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#endif
