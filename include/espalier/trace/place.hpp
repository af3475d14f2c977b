// SPDX-License-Identifier: BSL-1.0
// Where in the user's program something happened. Capturing a C++ stack is a walk over frames (about 1 us);
// names cost far more, so addresses are kept and made readable only when somebody reads them: on an error, in
// a report, or once per distinct place at the end of a trace with `stack_traces`.
//
// Names need symbols: link with `-rdynamic` for function names; with `addr2line` in the PATH and debug
// information
// (`-g1` is enough) file and line are found too. Without either the place is `program+0x1234`, for `addr2line
// -e`.
#pragma once

#include <boost/core/demangle.hpp>
#include <boost/stacktrace/frame.hpp>
#include <boost/stacktrace/stacktrace.hpp>

#include <dlfcn.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace espalier {

/// Return addresses of a stack, innermost first.
using stack_addresses = std::vector<const void*>;

/// One frame, made readable.
struct stack_frame {
  std::string module;   ///< file name of the executable or shared object
  std::string function; ///< demangled; empty without symbols
  std::string file;     ///< source file; empty when unknown
  unsigned line = 0;
  std::uintptr_t offset = 0; ///< in the module, as addr2line takes it
};

namespace detail {

inline bool starts_with_any(std::string_view s, std::initializer_list<std::string_view> heads) noexcept {
  for (auto h : heads)
    if (s.starts_with(h))
      return true;
  return false;
}

/// The function's qualified name without its return type: `at::Tensor foo::bar<int>(int)` ->
/// `foo::bar<int>(int)`.
inline std::string_view without_return_type(std::string_view f) noexcept {
  int depth = 0;
  std::size_t from = 0;
  for (std::size_t i = 0; i != f.size(); ++i) {
    const char c = f[i];
    if (c == '<')
      ++depth;
    else if (c == '>')
      --depth;
    else if (c == '(' && depth == 0)
      break;
    else if (c == ' ' && depth == 0)
      from = i + 1;
  }
  return f.substr(from);
}

/// Frames of LibTorch, of this library and of the C++ runtime: not the user's place.
inline bool is_machinery(const stack_frame& f) noexcept {
  if (starts_with_any(f.module, {"libtorch", "libc10", "libc.so", "libstdc++", "libgcc", "libpthread",
                                 "ld-linux", "libcaffe2"}))
    return true;
  if (f.function.empty())
    return false;
  const auto name = without_return_type(f.function);
  return starts_with_any(name, {"at::", "c10::", "torch::", "espalier::", "std::", "boost::", "caffe2::",
                                "__gnu_cxx::", "_start", "__libc_start"});
}

/// Runs `addr2line` for one address: "file:line", or empty. Only for messages: it starts a process.
inline std::pair<std::string, unsigned> source_line(const std::string& path, std::uintptr_t offset) {
  for (const char c : path)
    if (c == '\'' || c == '\\' || static_cast<unsigned char>(c) < 0x20)
      return {};
  char at[32];
  std::snprintf(at, sizeof at, "0x%llx", static_cast<unsigned long long>(offset));
  const std::string command = "addr2line -e '" + path + "' " + at + " 2>/dev/null";
  std::FILE* p = ::popen(command.c_str(), "r");
  if (!p)
    return {};
  std::string out;
  char buffer[512];
  while (std::fgets(buffer, sizeof buffer, p))
    out += buffer;
  ::pclose(p);
  while (!out.empty() && (out.back() == '\n' || out.back() == ' '))
    out.pop_back();
  if (const auto d = out.find(" (discriminator"); d != out.npos)
    out.resize(d);
  const auto colon = out.rfind(':');
  if (colon == out.npos || out.starts_with("??"))
    return {};
  unsigned line = 0;
  for (const char c : std::string_view(out).substr(colon + 1))
    if (c >= '0' && c <= '9')
      line = line * 10 + static_cast<unsigned>(c - '0');
  return line ? std::pair{out.substr(0, colon), line} : std::pair<std::string, unsigned>{};
}

/// Readable frames by address, found once for a process.
class frame_cache {
public:
  static frame_cache& instance() {
    static frame_cache c;
    return c;
  }
  stack_frame find(const void* address, bool with_lines) {
    std::lock_guard lock(mutex_);
    const auto key = std::pair(address, with_lines);
    if (const auto it = known_.find(key); it != known_.end())
      return it->second;
    return known_.emplace(key, resolve(address, with_lines)).first->second;
  }

private:
  static stack_frame resolve(const void* address, bool with_lines) {
    stack_frame f;
    Dl_info info{};
    // the return address may be the first byte of the next line: look one byte before
    const auto* at = static_cast<const char*>(address) - 1;
    if (!::dladdr(at, &info) || !info.dli_fname)
      return f;
    const std::string path = info.dli_fname;
    f.module = path.substr(path.rfind('/') + 1);
    f.offset = static_cast<std::uintptr_t>(at - static_cast<const char*>(info.dli_fbase));
    if (info.dli_sname)
      f.function = boost::core::demangle(info.dli_sname);
    if (with_lines && !is_machinery(f)) {
      const bool relocated = *static_cast<const unsigned char*>(info.dli_fbase) == 0x7f &&
                             is_position_independent(info.dli_fbase);
      std::tie(f.file, f.line) =
          source_line(executable_path(path), relocated ? f.offset : reinterpret_cast<std::uintptr_t>(at));
    }
    return f;
  }
  /// ELF's e_type (ET_DYN is 3) tells whether addresses in the file count from the load address.
  static bool is_position_independent(const void* elf_header) {
    return static_cast<const unsigned char*>(elf_header)[16] == 3;
  }
  /// The main program's dli_fname is what it was started as, which may be no path.
  static std::string executable_path(const std::string& name) {
    return name.find('/') == name.npos ? "/proc/self/exe" : name;
  }

  std::mutex mutex_;
  std::map<std::pair<const void*, bool>, stack_frame> known_;
};

} // namespace detail

/// The stack of the caller.
inline stack_addresses capture_stack() {
  const boost::stacktrace::stacktrace trace(1, 64);
  stack_addresses out;
  out.reserve(trace.size());
  for (const auto& f : trace)
    out.push_back(reinterpret_cast<const void*>(f.address()));
  return out;
}

/// The user's frames of a stack, innermost first. With `lines`, source lines are looked for (slow, once per
/// address).
inline std::vector<stack_frame> user_frames(const stack_addresses& stack, bool lines) {
  std::vector<stack_frame> out;
  for (const void* a : stack) {
    auto f = detail::frame_cache::instance().find(a, lines);
    if (f.module.empty() || detail::is_machinery(f))
      continue;
    const bool is_main = f.function == "main";
    out.push_back(std::move(f));
    if (is_main)
      break;
  }
  return out;
}

/// `Net::forward(at::Tensor) (net.cpp:12)`, or as much of it as is known.
inline std::string to_string(const stack_frame& f) {
  std::string s;
  if (!f.file.empty())
    s = f.file.substr(f.file.rfind('/') + 1) + ':' + std::to_string(f.line);
  else {
    char at[32];
    std::snprintf(at, sizeof at, "+0x%llx", static_cast<unsigned long long>(f.offset));
    s = f.module + at;
  }
  return f.function.empty() ? s : f.function + " (" + s + ")";
}

/// The user's place on a stack: its innermost frame that is neither LibTorch's nor ours. Empty when there is
/// none.
inline std::string user_place(const stack_addresses& stack) {
  const auto frames = user_frames(stack, true);
  return frames.empty() ? std::string() : to_string(frames.front());
}

} // namespace espalier
