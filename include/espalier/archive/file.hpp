// SPDX-License-Identifier: BSL-1.0
// Bytes in and bytes out. Files are mapped, so that gigabytes of weights cost address space until they are
// touched; whatever was cut out of a mapping keeps it alive. A file is replaced in one step: a full disk, an
// exception or a kill leaves the old file whole.
#pragma once

#include <espalier/support/error.hpp>
#include <espalier/support/span.hpp>
#include <espalier/support/vector.hpp>

#include <boost/interprocess/file_mapping.hpp>
#include <boost/interprocess/mapped_region.hpp>

#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <istream>
#include <memory>
#include <ostream>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace espalier {

/// A read-only run of bytes and what keeps it alive: a mapped file, a buffer, or nothing when the caller
/// vouches for it. Copies share.
class shared_bytes {
public:
  shared_bytes() noexcept = default;
  shared_bytes(espalier::span<const std::byte> bytes, std::shared_ptr<const void> owner) noexcept
      : bytes_(bytes), owner_(std::move(owner)) {}

  /// Bytes that outlive every user of the result.
  static shared_bytes borrow(const void* data, std::size_t size) noexcept {
    return {{static_cast<const std::byte*>(data), size}, nullptr};
  }
  static shared_bytes borrow(std::string_view text) noexcept { return borrow(text.data(), text.size()); }
  /// Bytes that the result owns.
  static shared_bytes own(std::string text) {
    auto p = std::make_shared<const std::string>(std::move(text));
    return {{reinterpret_cast<const std::byte*>(p->data()), p->size()}, p};
  }
  static shared_bytes own(vector<std::byte> bytes) {
    auto p = std::make_shared<const vector<std::byte>>(std::move(bytes));
    return {*p, p};
  }

  espalier::span<const std::byte> span() const noexcept { return bytes_; }
  std::string_view text() const noexcept {
    return {reinterpret_cast<const char*>(bytes_.data()), bytes_.size()};
  }
  const std::byte* data() const noexcept { return bytes_.data(); }
  std::size_t size() const noexcept { return bytes_.size(); }
  bool empty() const noexcept { return bytes_.empty(); }
  /// Part of these bytes, alive as long as they are.
  shared_bytes part(std::size_t offset, std::size_t size) const {
    return {bytes_.subspan(offset, size), owner_};
  }
  /// Whether something keeps the bytes alive: false for borrowed ones.
  bool owned() const noexcept { return owner_ != nullptr; }
  const std::shared_ptr<const void>& owner() const noexcept { return owner_; }

private:
  espalier::span<const std::byte> bytes_;
  std::shared_ptr<const void> owner_;
};

/// Maps a file for reading. Another process that shortens the file in place while it is mapped breaks any
/// reader (the system sends SIGBUS); programs that replace files, as `atomic_file` does, are safe.
template <class = when_used>
shared_bytes map_file(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0)
    fail(error_kind::io, "the file cannot be opened: " + std::string(std::strerror(errno)), path,
         "check the path and its permissions");
  if (!S_ISREG(info.st_mode))
    fail(error_kind::io, "it is not a regular file", path, "give the path of a file, or read from a stream");
  if (info.st_size == 0)
    return {};
  try {
    boost::interprocess::file_mapping file(path.c_str(), boost::interprocess::read_only);
    auto region = std::make_shared<boost::interprocess::mapped_region>(file, boost::interprocess::read_only);
    return {{static_cast<const std::byte*>(region->get_address()), region->get_size()}, region};
  } catch (const boost::interprocess::interprocess_exception& e) {
    fail(error_kind::io, "the file cannot be mapped: " + std::string(e.what()), path,
         "check the path and its permissions");
  }
}

/// Reads a stream to its end. A stream cannot be mapped: its bytes are copied.
template <class = when_used>
shared_bytes read_stream(std::istream& in) {
  std::string all;
  char chunk[1 << 16];
  do {
    in.read(chunk, sizeof chunk);
    all.append(chunk, std::size_t(in.gcount()));
  } while (in);
  if (in.bad())
    fail(error_kind::io, "reading the stream failed after " + std::to_string(all.size()) + " bytes", {},
         "check the device or the connection that it reads from");
  return shared_bytes::own(std::move(all));
}

/// Where bytes are written to. `write` either takes all of them or throws.
class output {
public:
  virtual ~output() = default;
  virtual void write(const void* data, std::size_t size) = 0;
  void write(std::string_view s) { write(s.data(), s.size()); }
};

/// An output that appends to a vector.
class memory_output final : public output {
public:
  using output::write;
  explicit memory_output(vector<std::byte>& to) noexcept : to_(to) {}
  void write(const void* data, std::size_t size) override {
    auto p = static_cast<const std::byte*>(data);
    to_.insert(to_.end(), p, p + size);
  }

private:
  vector<std::byte>& to_;
};

/// An output into a standard stream.
class stream_output final : public output {
public:
  using output::write;
  explicit stream_output(std::ostream& to) noexcept : to_(to) {}
  void write(const void* data, std::size_t size) override {
    if (!to_.write(static_cast<const char*>(data), std::streamsize(size)))
      fail(error_kind::io, "writing to the stream failed after " + std::to_string(written_) + " bytes", {},
           "check that the stream is open and that there is space");
    written_ += size;
  }

private:
  std::ostream& to_;
  std::size_t written_ = 0;
};

/// A file that appears under its name complete or not at all. Bytes go to a hidden file beside it, `commit`
/// moves that into place, and a destructor that runs before removes it. What is no regular file (a device, a
/// pipe) is written to directly, as is `/dev/stdout` and other names of open files: what others wrote there
/// stays. A kill can leave the hidden file behind, never a broken one under the name.
class atomic_file final : public output {
public:
  using output::write;
  explicit atomic_file(const std::string& path) : path_(path) {
    if (const int open = open_file(path); open >= 0) {
      file_ = ::fcntl(open, F_DUPFD_CLOEXEC, 0);
      if (file_ < 0)
        refuse("the file cannot be opened for writing");
      return;
    }
    path_ = resolve(path);
    struct stat old {};
    bool exists = ::stat(path_.c_str(), &old) == 0;
    if (exists && !S_ISREG(old.st_mode)) {
      file_ = ::open(path_.c_str(), O_WRONLY | O_CLOEXEC);
      if (file_ < 0)
        refuse("the file cannot be opened for writing");
      return;
    }
    auto slash = path_.rfind('/');
    folder_ = slash == path_.npos ? "." : path_.substr(0, slash + 1);
    temporary_ = (slash == path_.npos ? "" : folder_) + "." +
                 path_.substr(slash == path_.npos ? 0 : slash + 1) + ".XXXXXX";
    file_ = ::mkstemp(temporary_.data());
    if (file_ < 0) {
      temporary_.clear();
      refuse("no file can be made in its folder");
    }
    // mkstemp's file is private to the user; give it what the old one had, or what a new one would have
    mode_t mask = ::umask(0);
    ::umask(mask);
    if (::fchmod(file_, exists ? old.st_mode & 07777 : 0666 & ~mask) != 0) {
      // a file system without permissions: nothing to keep
    }
  }
  atomic_file(const atomic_file&) = delete;
  atomic_file& operator=(const atomic_file&) = delete;
  ~atomic_file() override {
    if (file_ >= 0)
      ::close(file_);
    if (!temporary_.empty())
      ::unlink(temporary_.c_str());
  }

  void write(const void* data, std::size_t size) override {
    auto p = static_cast<const char*>(data);
    while (size != 0) {
      // Linux writes at most 2 GiB at a time
      auto n = ::write(file_, p, size < (std::size_t(1) << 30) ? size : std::size_t(1) << 30);
      if (n < 0 && errno == EINTR)
        continue;
      if (n < 0)
        refuse("writing failed after " + std::to_string(written_) + " bytes");
      p += n;
      size -= std::size_t(n);
      written_ += std::size_t(n);
    }
  }

  /// Puts the file in place. Without it, nothing has happened.
  void commit() {
    if (temporary_.empty())
      return;
    if (::fsync(file_) != 0)
      refuse("writing to the disk failed");
    int file = std::exchange(file_, -1);
    if (::close(file) != 0)
      refuse("closing the file failed");
    if (::rename(temporary_.c_str(), path_.c_str()) != 0)
      refuse("the new file cannot be moved into place");
    temporary_.clear();
    // the name is on the disk only when the folder is
    int folder = ::open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder >= 0) {
      ::fsync(folder);
      ::close(folder);
    }
  }

private:
  // The number in the name of a file that this process has open; -1 for other names.
  static int open_file(std::string_view path) noexcept {
    if (path == "/dev/stdout")
      return STDOUT_FILENO;
    if (path == "/dev/stderr")
      return STDERR_FILENO;
    int number = -1;
    for (const std::string_view folder : {"/dev/fd/", "/proc/self/fd/"})
      if (path.starts_with(folder)) {
        path.remove_prefix(folder.size());
        const auto read = std::from_chars(path.data(), path.data() + path.size(), number);
        return read.ec == std::errc() && read.ptr == path.data() + path.size() ? number : -1;
      }
    return number;
  }
  // A symbolic link stays one: the file that it names is replaced.
  static std::string resolve(const std::string& path) {
    if (char* real = ::realpath(path.c_str(), nullptr)) {
      std::string r(real);
      std::free(real);
      return r;
    }
    return path;
  }
  [[noreturn]] void refuse(std::string cause) const {
    fail(error_kind::io, std::move(cause) + ": " + std::strerror(errno), path_,
         "check the space and permissions there; a file that was there before is unchanged");
  }

  std::string path_, folder_, temporary_;
  int file_ = -1;
  std::size_t written_ = 0;
};

} // namespace espalier
