// SPDX-License-Identifier: BSL-1.0
// The main function of a benchmark program, and the allocator's settings: memory that was freed stays with
// the process, so that what is measured is the work and not the first touch of fresh pages.
#pragma once

#include <benchmark/benchmark.h>

#include <malloc.h>

namespace bench {

inline int run(int argc, char** argv) {
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, -1);
  mallopt(M_TOP_PAD, 256 << 20);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv))
    return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}

} // namespace bench
