// SPDX-License-Identifier: BSL-1.0
// The counter. The other sources of this test are compiled with -fsanitize-coverage=trace-pc, which calls
// this function at every edge between basic blocks; this one is not, or it would count itself. Words that are
// allocated count too: copying them happens in the C library, where no edge is seen.
#include "operations.hpp"

#include <cstdlib>
#include <new>

namespace {
std::uint64_t edges = 0, bytes = 0;

void* counted(std::size_t n) {
  bytes += n;
  if (void* p = std::malloc(n ? n : 1))
    return p;
  throw std::bad_alloc();
}
} // namespace

extern "C" void __sanitizer_cov_trace_pc() { ++edges; }

void* operator new(std::size_t n) { return counted(n); }
void* operator new[](std::size_t n) { return counted(n); }
void operator delete(void* p) noexcept { std::free(p); }
void operator delete[](void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }
void operator delete[](void* p, std::size_t) noexcept { std::free(p); }

std::uint64_t scaling::operations() noexcept { return edges + bytes / 8; }
