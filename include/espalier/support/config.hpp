// SPDX-License-Identifier: BSL-1.0
// Version and build switches. Everything else in the library includes this first.
#pragma once

/// The version of the headers: major * 10000 + minor * 100 + patch.
#define ESPALIER_VERSION 100
/// The same, as a string literal. It is what archives name as their producer.
#define ESPALIER_VERSION_STRING "0.1.0"

/// Symbols that must be one object in the process even when several shared libraries include the headers
/// with hidden visibility (the registry of run-time operators, the table of interned expressions).
#if defined(__GNUC__)
#define ESPALIER_SHARED __attribute__((visibility("default")))
#define ESPALIER_COLD __attribute__((cold, noinline))
#else
#define ESPALIER_SHARED
#define ESPALIER_COLD
#endif

namespace espalier {

/// The argument of a template that is one only so that a program which includes its header and does not call
/// it does not compile it: `template <class = when_used> graph_and_info from_archive(...)`. The bodies of
/// plain inline functions are compiled, with all that they instantiate, wherever the header is included. One
/// plain function that calls it undoes that. Of a class `template <class = when_used>` each member is
/// compiled where it is called.
struct ESPALIER_SHARED when_used;

} // namespace espalier
