// SPDX-License-Identifier: BSL-1.0
// From C++ text to functions in this process: write, compile, load.
//
// The idea: the system's compiler is a program with arguments, no shell line. It is started with an argument
// vector, so that no path needs quoting, and what it says goes into the error.
#pragma once

#include <espalier/support/error.hpp>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <dlfcn.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace mini {

namespace es = espalier;
namespace fs = std::filesystem;

/// A folder that goes away again, unless it was given by name.
class work_folder {
public:
  explicit work_folder(fs::path given = {}) : path_(std::move(given)), keeps_(!path_.empty()) {
    if (keeps_) {
      std::error_code failed;
      fs::create_directories(path_, failed);
      if (failed)
        es::fail(es::error_kind::io, "cannot make the folder: " + failed.message(), path_.string(),
                 "name a folder that can be written to");
      return;
    }
    std::string pattern = (fs::temp_directory_path() / "mini_compiler-XXXXXX").string();
    if (!::mkdtemp(pattern.data()))
      es::fail(es::error_kind::io, std::string("cannot make a temporary folder: ") + std::strerror(errno),
               pattern, "set TMPDIR to a folder that can be written to, or use --emit DIR");
    path_ = pattern;
  }
  work_folder(const work_folder&) = delete;
  ~work_folder() {
    std::error_code ignored;
    if (!keeps_)
      fs::remove_all(path_, ignored);
  }
  const fs::path& path() const { return path_; }

private:
  fs::path path_;
  bool keeps_;
};

/// Runs a program, found on PATH, and waits; its output goes to a file. Gives its exit status.
inline int run_program(const std::vector<std::string>& command, const fs::path& output) {
  std::vector<char*> argv;
  for (const std::string& a : command)
    argv.push_back(const_cast<char*>(a.c_str())); // posix_spawn does not write to them
  argv.push_back(nullptr);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, output.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  posix_spawn_file_actions_adddup2(&files, STDOUT_FILENO, STDERR_FILENO);
  pid_t child = 0;
  const int failed = ::posix_spawnp(&child, argv[0], &files, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&files);
  if (failed)
    es::fail(es::error_kind::unsupported,
             "cannot start the C++ compiler: " + std::string(std::strerror(failed)), "'" + command[0] + "'",
             "install g++, or set CXX to a C++20 compiler on your PATH");
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR)
    ;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

/// `$CXX`, which may name a launcher before the compiler (`ccache g++`), or g++.
inline std::vector<std::string> compiler_command() {
  const char* given = std::getenv("CXX");
  std::vector<std::string> words(1);
  for (const char c : std::string_view(given ? given : ""))
    if (c != ' ')
      words.back() += c;
    else if (!words.back().empty())
      words.emplace_back();
  if (words.back().empty())
    words.pop_back();
  return words.empty() ? std::vector<std::string>{"g++"} : words;
}

/// A loaded shared library. It stays loaded as long as the process: its functions are in use.
class loaded_library {
public:
  explicit loaded_library(const fs::path& file) : handle_(::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL)) {
    if (!handle_)
      es::fail(es::error_kind::io, std::string("cannot load the kernels: ") + ::dlerror(), file.string(),
               "use --emit DIR, and look at what was compiled");
  }
  template <class Function>
  Function* function(const std::string& name) const {
    void* found = ::dlsym(handle_, name.c_str());
    if (!found)
      es::fail(es::error_kind::verification, "the kernels lack a function", "'" + name + "'",
               "use --emit DIR, and look at what was compiled");
    return reinterpret_cast<Function*>(found);
  }

private:
  void* handle_;
};

/// Compiles a C++ file for this machine. Floating-point arithmetic stays IEEE: only errno and traps are given
/// up.
inline loaded_library compile(const std::string& source, const fs::path& folder) {
  const fs::path file = fs::absolute(folder / "kernels.cpp"), library = fs::absolute(folder / "kernels.so"),
                 log = fs::absolute(folder / "kernels.log");
  std::ofstream out(file);
  out << source;
  out.close();
  if (!out)
    es::fail(es::error_kind::io, "cannot write the kernels", file.string(),
             "check permissions and free space");
  std::vector<std::string> command = compiler_command();
  for (const char* option : {"-std=c++20", "-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math",
                             "-fPIC", "-shared", "-o"})
    command.emplace_back(option);
  command.push_back(library.string());
  command.push_back(file.string());
  if (const int status = run_program(command, log); status != 0) {
    std::ifstream in(log);
    std::string said((std::istreambuf_iterator<char>(in)), {});
    es::fail(es::error_kind::unsupported,
             "the C++ compiler '" + command[0] + "' gave status " + std::to_string(status) + ": " +
                 said.substr(0, 400),
             file.string(), "set CXX to a C++20 compiler, such as g++ 12 or clang++ 16");
  }
  return loaded_library(library);
}

} // namespace mini
