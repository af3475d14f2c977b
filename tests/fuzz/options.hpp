// SPDX-License-Identifier: BSL-1.0
// How the fuzzers of this folder run: ESPALIER_FUZZ_SECONDS each (2 when unset), from the seed
// ESPALIER_FUZZ_SEED (1).
#pragma once

#include <cstdint>
#include <cstdlib>

namespace fuzz_options {

inline double seconds() {
  const char* s = std::getenv("ESPALIER_FUZZ_SECONDS");
  return s ? std::strtod(s, nullptr) : 2;
}
inline std::uint64_t seed() {
  const char* s = std::getenv("ESPALIER_FUZZ_SEED");
  return s ? std::strtoull(s, nullptr, 10) : 1;
}

} // namespace fuzz_options
