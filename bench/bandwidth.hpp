// SPDX-License-Identifier: BSL-1.0
// The machine's limit: what copying memory costs, measured in the same run, and how a benchmark says what its
// work must read and write at least. bench/run.py shows the one divided by the other beside the row.
#pragma once

#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace bench {

/// Bytes that one item of a benchmark reads and writes, caches or not.
inline void touches(benchmark::State& state, double bytes_an_item) {
  state.counters["touched_bytes"] = bytes_an_item;
}

/// An item is a byte that is read and written.
inline void copy_bandwidth(benchmark::State& state) {
  const std::size_t size = std::size_t{256} << 20;
  std::vector<char> from(size, 1), to(size);
  for (auto _ : state) {
    std::memcpy(to.data(), from.data(), size);
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(size));
}

} // namespace bench
