// SPDX-License-Identifier: BSL-1.0
// Where in the user's program something happened. Capturing a C++ stack is a walk over frames (about 1 us);
// names cost far more, so addresses are kept and made readable only when somebody reads them: on an error, in
// a note, or at the end of a trace with `stack_traces`.
//
// File and line need debug information (`-g1` is enough) and `addr2line` in the PATH. Function names need
// either that or symbols (`-rdynamic`). Without both a place is `program+0x1234`, for `addr2line -e program`.
#pragma once

#include <espalier/support/config.hpp>
#include <espalier/support/span.hpp>
#include <espalier/support/vector.hpp>

#include <boost/core/demangle.hpp>
#include <boost/stacktrace/frame.hpp>
#include <boost/stacktrace/stacktrace.hpp>

#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

namespace espalier {

/// Return addresses of a stack, innermost first.
using stack_addresses = vector<const void*>;

/// One frame, made readable.
struct stack_frame {
  std::string module;   ///< file name of the executable or shared object
  std::string function; ///< demangled; empty without symbols
  std::string file;     ///< source file; empty when unknown
  unsigned line = 0;
  std::string code;          ///< that line, without indentation; empty when the file cannot be read
  std::uintptr_t offset = 0; ///< in the module, as addr2line takes it
};

namespace detail {

template <class = when_used>
bool starts_with_any(std::string_view s, std::initializer_list<std::string_view> heads) noexcept {
  for (auto h : heads)
    if (s.starts_with(h))
      return true;
  return false;
}

/// The function's qualified name without its return type: `at::Tensor foo::bar<int>(int)` ->
/// `foo::bar<int>(int)`.
template <class = when_used>
std::string_view without_return_type(std::string_view f) noexcept {
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

/// Headers of LibTorch, of this library and of the system, whose functions are compiled into the user's
/// program.
template <class = when_used>
bool is_machinery_file(std::string_view file) noexcept {
  for (const std::string_view part : {"/include/ATen/", "/include/c10/", "/include/torch/",
                                      "include/espalier/", "/include/boost/", "/include/c++/"})
    if (file.find(part) != file.npos)
      return true;
  return false;
}

template <class = when_used>
bool is_machinery_module(std::string_view name) noexcept {
  return starts_with_any(
      name, {"libtorch", "libc10", "libc.so", "libstdc++", "libgcc", "libpthread", "ld-linux", "libcaffe2"});
}

/// Frames of LibTorch, of this library and of the C++ runtime: not the user's place. The file tells, where it
/// is known: a function of ours may have the user's inlined, and the user may extend our namespaces.
template <class = when_used>
bool is_machinery(const stack_frame& f) noexcept {
  if (is_machinery_module(f.module))
    return true;
  if (!f.file.empty())
    return is_machinery_file(f.file);
  if (f.function.empty())
    return false;
  const auto name = without_return_type(f.function);
  return starts_with_any(name, {"at::", "c10::", "torch::", "espalier::", "std::", "boost::", "caffe2::",
                                "__gnu_cxx::", "_start", "__libc_start"});
}

/// One line of a source file, without indentation; empty when it cannot be read.
template <class = when_used>
std::string source_text(const std::string& file, unsigned line) {
  std::ifstream in(file);
  std::string text;
  while (line && std::getline(in, text))
    --line;
  return line ? std::string() : text.substr(std::min(text.find_first_not_of(" \t"), text.size()));
}

/// Readable frames by address, found once for a process.
class frame_cache {
public:
  template <class = when_used>
  static frame_cache& instance() {
    static frame_cache c;
    return c;
  }
  /// One frame for each address. With `lines`, source lines are looked for: a process for each executable or
  /// shared object that has addresses not looked for before.
  template <class = when_used>
  vector<stack_frame> find(const stack_addresses& stack, bool lines) {
    std::lock_guard lock(mutex_);
    std::map<std::string, vector<entry*>> wanted; // by file
    for (const void* a : stack) {
      auto [at, is_new] = known_.try_emplace(a);
      if (is_new)
        at->second = symbol_of(a);
      if (lines && !std::exchange(at->second.lines_read, true) &&
          !is_machinery_module(at->second.frame.module))
        wanted[at->second.path].push_back(&at->second);
    }
    for (const auto& [path, entries] : wanted)
      if (!path.empty())
        read_lines(path, entries);
    vector<stack_frame> out;
    out.reserve(stack.size());
    for (const void* a : stack)
      out.push_back(known_[a].frame);
    return out;
  }

private:
  struct entry {
    stack_frame frame;
    std::string path;           // what addr2line reads
    std::uintptr_t address = 0; // as it is counted there
    bool lines_read = false;
  };
  template <class = when_used>
  static entry symbol_of(const void* address) {
    entry e;
    Dl_info info{};
    // the return address may be the first byte of the next line: look one byte before
    const auto* at = static_cast<const char*>(address) - 1;
    if (!::dladdr(at, &info) || !info.dli_fname)
      return e;
    const std::string path = info.dli_fname;
    e.frame.module = path.substr(path.rfind('/') + 1);
    e.frame.offset = static_cast<std::uintptr_t>(at - static_cast<const char*>(info.dli_fbase));
    if (info.dli_sname)
      e.frame.function = boost::core::demangle(info.dli_sname);
    const bool relocated =
        *static_cast<const unsigned char*>(info.dli_fbase) == 0x7f && is_position_independent(info.dli_fbase);
    e.path = executable_path(path);
    e.address = relocated ? e.frame.offset : reinterpret_cast<std::uintptr_t>(at);
    return e;
  }
  /// ELF's e_type (ET_DYN is 3) tells whether addresses in the file count from the load address.
  template <class = when_used>
  static bool is_position_independent(const void* elf_header) {
    return static_cast<const unsigned char*>(elf_header)[16] == 3;
  }
  /// The main program's dli_fname is what it was started as, which may be no path.
  template <class = when_used>
  static std::string executable_path(const std::string& name) {
    return name.find('/') == name.npos ? "/proc/" + std::to_string(::getpid()) + "/exe" : name;
  }

  /// Runs `addr2line`: for each address a line with it, then the function and `FILE:LINE` of what was inlined
  /// there, innermost first, and of the function itself.
  template <class = when_used>
  static void read_lines(const std::string& path, const vector<entry*>& entries) {
    for (const char c : path)
      if (c == '\'' || c == '\\' || static_cast<unsigned char>(c) < 0x20)
        return;
    constexpr std::size_t at_once = 1000; // of a command line
    for (std::size_t from = 0; from < entries.size(); from += at_once) {
      const std::size_t to = std::min(entries.size(), from + at_once);
      std::string command = "addr2line -afiC -e '" + path + "'";
      for (std::size_t i = from; i != to; ++i) {
        char at[32];
        std::snprintf(at, sizeof at, " 0x%llx", static_cast<unsigned long long>(entries[i]->address));
        command += at;
      }
      const auto lines = output_of(command + " 2>/dev/null");
      std::size_t next = from;
      for (std::size_t i = 0; i < lines.size() && next != to;) {
        ++i; // the address
        std::size_t end = i;
        while (end < lines.size() && !lines[end].starts_with("0x"))
          end += 2;
        take_lines(entries[next++]->frame, span(lines).subspan(i, std::min(end, lines.size()) - i));
        i = end;
      }
    }
  }
  template <class = when_used>
  static vector<std::string> output_of(const std::string& command) {
    vector<std::string> lines;
    std::FILE* p = ::popen(command.c_str(), "r");
    if (!p)
      return lines;
    std::string all;
    char buffer[4096];
    while (const std::size_t n = std::fread(buffer, 1, sizeof buffer, p))
      all.append(buffer, n);
    ::pclose(p);
    for (std::size_t at = 0; at < all.size();) {
      const std::size_t end = std::min(all.find('\n', at), all.size());
      lines.push_back(all.substr(at, end - at));
      at = end + 1;
    }
    return lines;
  }
  /// The innermost function that is the user's; the outermost when none is.
  template <class = when_used>
  static void take_lines(stack_frame& f, span<const std::string> lines) {
    for (std::size_t i = 0; i + 1 < lines.size(); i += 2) {
      std::string_view where = lines[i + 1];
      where = where.substr(0, where.find(" (discriminator"));
      const auto colon = where.rfind(':');
      if (colon == where.npos || where.starts_with("??"))
        continue;
      unsigned line = 0;
      std::from_chars(where.data() + colon + 1, where.data() + where.size(), line);
      if (!line)
        continue;
      const bool outermost = i + 3 >= lines.size();
      const std::string file(where.substr(0, colon));
      if (is_machinery_file(file) && !outermost)
        continue;
      f.file = file;
      f.line = line;
      f.code = is_machinery_file(file) ? std::string() : source_text(file, line);
      if ((f.function.empty() || !outermost) && lines[i] != "??")
        f.function = lines[i];
      return;
    }
  }

  std::mutex mutex_;
  std::map<const void*, entry> known_;
};

} // namespace detail

/// The stack of the caller.
template <class = when_used>
stack_addresses capture_stack() {
  const boost::stacktrace::stacktrace trace(1, 64);
  stack_addresses out;
  out.reserve(trace.size());
  for (const auto& f : trace)
    out.push_back(reinterpret_cast<const void*>(f.address()));
  return out;
}

/// The addresses in the text of a stack as c10::Error carries it: `frame #3: f(int) + 0x45 (0x7f05 in PATH)`.
template <class = when_used>
stack_addresses addresses_in(std::string_view backtrace) {
  stack_addresses out;
  constexpr std::string_view head = " (0x", tail = " in ";
  for (auto at = backtrace.find(head); at != backtrace.npos; at = backtrace.find(head, at + 1)) {
    std::uintptr_t address = 0;
    const char* const end = backtrace.data() + backtrace.size();
    const auto r = std::from_chars(backtrace.data() + at + head.size(), end, address, 16);
    if (std::string_view(r.ptr, static_cast<std::size_t>(end - r.ptr)).starts_with(tail))
      out.push_back(reinterpret_cast<const void*>(address));
  }
  return out;
}

/// The user's frames of a stack, innermost first. With `lines`, source lines are looked for (slow, once per
/// address).
template <class = when_used>
vector<stack_frame> user_frames(const stack_addresses& stack, bool lines) {
  vector<stack_frame> out;
  for (auto& f : detail::frame_cache::instance().find(stack, lines)) {
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
template <class = when_used>
std::string to_string(const stack_frame& f) {
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
template <class = when_used>
std::string user_place(const stack_addresses& stack) {
  const auto frames = user_frames(stack, true);
  return frames.empty() ? std::string() : to_string(frames.front());
}

/// A stack as Python's traceback module writes one, outermost frame first, which is what the `stack_trace` of
/// a node is: printers and errors here and in Python read the last `File "net.cpp", line 12, in Net::forward`
/// and the line of code below it.
template <class = when_used>
std::string stack_trace_text(const stack_addresses& stack) {
  std::string text;
  for (const auto& f : user_frames(stack, true)) {
    char at[32];
    std::snprintf(at, sizeof at, "+0x%llx", static_cast<unsigned long long>(f.offset));
    text = "  File \"" + (f.file.empty() ? f.module + at : f.file) + "\", line " + std::to_string(f.line) +
           ", in " + (f.function.empty() ? "?" : f.function) + "\n    " + (f.code.empty() ? "?" : f.code) +
           "\n" + text;
  }
  return text;
}

} // namespace espalier
