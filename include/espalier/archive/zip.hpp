// SPDX-License-Identifier: BSL-1.0
// The zip container, as far as .pt2 files use it: records stored without compression and aligned, so that
// weights can be used where they lie in a mapped file. The reader trusts nothing: it checks the whole
// directory before it hands out anything. The writer's bytes depend on nothing but the records.
#pragma once

#include <espalier/archive/crc32.hpp>
#include <espalier/archive/file.hpp>
#include <espalier/support/error.hpp>
#include <espalier/support/hash_map.hpp>
#include <espalier/support/span.hpp>
#include <espalier/support/vector.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

/// Reading and writing zip files of stored records.
namespace espalier::zip {

namespace detail {
// Little-endian fields, wherever they lie.
template <class = when_used>
std::uint32_t get16(const std::byte* p) noexcept {
  return std::uint32_t(p[0]) | std::uint32_t(p[1]) << 8;
}
template <class = when_used>
std::uint32_t get32(const std::byte* p) noexcept {
  return get16(p) | get16(p + 2) << 16;
}
template <class = when_used>
std::uint64_t get64(const std::byte* p) noexcept {
  return get32(p) | std::uint64_t(get32(p + 4)) << 32;
}
template <class = when_used>
void put(std::string& s, std::uint64_t x, int bytes) {
  for (int i = 0; i != bytes; ++i)
    s.push_back(char(x >> 8 * i & 0xff));
}

inline constexpr std::uint32_t local_signature = 0x0403'4b50, central_signature = 0x0201'4b50,
                               end_signature = 0x0605'4b50, end64_signature = 0x0606'4b50,
                               locator64_signature = 0x0706'4b50;
inline constexpr std::size_t local_size = 30, central_size = 46, end_size = 22, end64_size = 56,
                             locator64_size = 20;
inline constexpr std::uint32_t none16 = 0xffff, none32 = 0xffff'ffff;
} // namespace detail

/// One record of an open archive.
struct entry {
  std::string_view name;    ///< as in the file: with the archive's root folder
  std::uint64_t offset = 0; ///< of its data
  std::uint64_t size = 0;   ///< of its data
  std::uint32_t crc = 0;
  std::uint32_t method = 0; ///< how it is compressed; only stored records (0) can be used
  std::uint64_t packed = 0; ///< bytes that its data takes in the file
};

/// An open archive: its directory, checked, over bytes that it keeps alive.
class reader {
public:
  /// `place` names the archive in errors: its path. Throws `error` on anything but a sound archive of stored
  /// records.
  template <class = when_used>
  reader(shared_bytes file, std::string place) : file_(std::move(file)), place_(std::move(place)) {
    auto [offset, count, limit] = find_directory();
    read_directory(offset, count, limit);
    check_overlaps();
  }

  /// In the order of the directory, which is the order of writing.
  span<const entry> entries() const noexcept { return entries_; }
  const entry* find(std::string_view name) const noexcept {
    auto it = index_.find(name);
    return it == index_.end() ? nullptr : &entries_[it->second];
  }
  /// The data of a record, not copied and not checked against its checksum. A compressed record is refused
  /// before anything is unpacked: what is small in the file may be huge in memory.
  shared_bytes data(const entry& e) const {
    if (e.method != 0)
      refuse(e.name,
             "it is compressed (method " + std::to_string(e.method) + ", " + std::to_string(e.packed) +
                 " bytes for " + std::to_string(e.size) + ")",
             "records must be stored: unpack the archive and pack it again with `zip -0 -r`");
    return file_.part(e.offset, e.size);
  }
  /// Throws if the record's bytes do not have the checksum that the directory gives.
  void verify(const entry& e) const {
    if (espalier::detail::crc32(data(e).span()) != e.crc)
      refuse(e.name,
             "its bytes do not have the checksum that the archive gives for them: the file is corrupt");
  }
  const std::string& place() const noexcept { return place_; }

private:
  struct directory {
    std::uint64_t offset, count, limit;
  };

  const std::byte* at(std::uint64_t offset) const noexcept { return file_.data() + offset; }
  std::uint64_t size() const noexcept { return file_.size(); }
  bool holds(std::uint64_t offset, std::uint64_t length) const noexcept {
    return offset <= size() && length <= size() - offset;
  }

  [[noreturn]] ESPALIER_COLD void refuse(std::string cause) const {
    fail(error_kind::archive, std::move(cause), place_, "get a fresh copy of the file, or export it again");
  }
  [[noreturn]] ESPALIER_COLD void
  refuse(std::string_view record, std::string cause,
         std::string cure = "get a fresh copy of the file, or export it again") const {
    fail(error_kind::archive, std::move(cause), place_ + ": record '" + printable(record) + "'",
         std::move(cure));
  }
  static std::string printable(std::string_view s) {
    std::string out;
    for (char c : s.substr(0, 200))
      out.push_back(c >= 32 && c < 127 ? c : '?');
    return out;
  }

  template <class = when_used>
  directory find_directory() const {
    using namespace detail;
    if (size() < end_size)
      refuse("the file is too short for an archive: " + std::to_string(size()) + " bytes");
    // the end record is the last thing in the file but for a comment of at most 65,535 bytes
    std::uint64_t end = size() - end_size;
    std::uint64_t first = end > none16 ? end - none16 : 0;
    while (get32(at(end)) != end_signature || get16(at(end + 20)) != size() - end_size - end) {
      if (end == first)
        refuse(get32(at(0)) == local_signature
                   ? "the archive is truncated: its directory, which stands at the end, is missing"
                   : "the file is no zip archive");
      --end;
    }
    std::uint64_t disks = get16(at(end + 4)) | get16(at(end + 6));
    std::uint64_t count = get16(at(end + 10)), length = get32(at(end + 12)), offset = get32(at(end + 16));
    std::uint64_t limit = end;
    if (end >= locator64_size && get32(at(end - locator64_size)) == locator64_signature) {
      std::uint64_t end64 = get64(at(end - locator64_size + 8));
      if (!holds(end64, end64_size) || end64 + end64_size > end - locator64_size ||
          get32(at(end64)) != end64_signature)
        refuse("the archive's ZIP64 end record is not where its locator says");
      disks = get32(at(end64 + 16)) | get32(at(end64 + 20));
      count = get64(at(end64 + 32));
      length = get64(at(end64 + 40));
      offset = get64(at(end64 + 48));
      limit = end64;
    }
    if (disks != 0)
      refuse("the archive is one of several volumes");
    if (offset > limit || length > limit - offset)
      refuse("the archive's directory is said to lie outside the file: " + std::to_string(length) +
             " bytes at " + std::to_string(offset));
    if (count > length / central_size)
      refuse("the archive's directory is said to hold " + std::to_string(count) +
             " records, which do not fit its " + std::to_string(length) + " bytes");
    return {offset, count, offset + length};
  }

  template <class = when_used>
  void read_directory(std::uint64_t p, std::uint64_t count, std::uint64_t limit) {
    using namespace detail;
    std::uint64_t data_limit = p;
    entries_.reserve(count);
    index_.reserve(count);
    for (std::uint64_t i = 0; i != count; ++i) {
      if (limit - p < central_size || get32(at(p)) != central_signature)
        refuse("the archive's directory is damaged at record " + std::to_string(i) + " of " +
               std::to_string(count));
      std::uint64_t name_size = get16(at(p + 28)), extra_size = get16(at(p + 30)),
                    comment_size = get16(at(p + 32));
      if (limit - p - central_size < name_size + extra_size + comment_size)
        refuse("the archive's directory is damaged at record " + std::to_string(i) + " of " +
               std::to_string(count));
      entry e;
      e.name = {reinterpret_cast<const char*>(at(p + central_size)), name_size};
      e.crc = get32(at(p + 16));
      std::uint64_t packed = get32(at(p + 20)), header = get32(at(p + 42));
      e.size = get32(at(p + 24));
      read_zip64(e, at(p + central_size + name_size), extra_size, packed, header);
      check_name(e.name);
      std::uint32_t flags = get16(at(p + 8)), method = get16(at(p + 10));
      if (flags & 1)
        refuse(e.name, "it is encrypted", "unpack the archive and pack it again without a password");
      e.method = method;
      e.packed = packed;
      if (method == 0 && packed != e.size)
        refuse(e.name, "its two sizes differ, though it is stored: " + std::to_string(packed) + " and " +
                           std::to_string(e.size));
      read_local(e, header, flags, data_limit);
      p += central_size + name_size + extra_size + comment_size;
      if (!e.name.empty() && e.name.back() == '/' && e.size == 0)
        continue; // a folder: general zip tools write them
      if (!index_.emplace(e.name, entries_.size()).second)
        refuse(e.name, "two records have this name");
      headers_.push_back({header, e.offset + e.packed});
      entries_.push_back(e);
    }
    if (p != limit)
      refuse("the archive's directory holds more than its records");
  }

  // Fields too large for the directory's 32 bits stand, in this order, in the extra field with the id 1.
  template <class = when_used>
  void read_zip64(entry& e, const std::byte* extra, std::uint64_t left, std::uint64_t& packed,
                  std::uint64_t& header) const {
    using namespace detail;
    if (e.size != none32 && packed != none32 && header != none32)
      return;
    while (left >= 4) {
      std::uint64_t length = get16(extra + 2);
      if (length > left - 4)
        break;
      if (get16(extra) == 1) {
        const std::byte* q = extra + 4;
        for (std::uint64_t* field : {&e.size, &packed, &header}) {
          if (*field != none32)
            continue;
          if (length < 8)
            refuse(e.name, "its ZIP64 field is too short");
          *field = get64(q);
          q += 8;
          length -= 8;
        }
        return;
      }
      extra += 4 + length;
      left -= 4 + length;
    }
    // without the field, the numbers mean themselves: nothing but the check of the sizes can be wrong
  }

  template <class = when_used>
  void read_local(entry& e, std::uint64_t header, std::uint32_t flags, std::uint64_t data_limit) const {
    using namespace detail;
    if (header > data_limit || data_limit - header < local_size || get32(at(header)) != local_signature)
      refuse(e.name, "its header is not where the directory says: at " + std::to_string(header));
    std::uint64_t name_size = get16(at(header + 26)), extra_size = get16(at(header + 28));
    if (data_limit - header - local_size < name_size + extra_size)
      refuse(e.name, "its header does not fit the file");
    std::string_view name(reinterpret_cast<const char*>(at(header + local_size)), name_size);
    if (name != e.name)
      refuse(e.name, "its header gives it another name: '" + printable(name) + "'");
    if (get16(at(header + 8)) != e.method)
      refuse(e.name, "its header and the directory disagree on how it is compressed");
    e.offset = header + local_size + name_size + extra_size;
    if (data_limit - e.offset < e.packed)
      refuse(e.name, "its data is said to be " + std::to_string(e.packed) + " bytes, but " +
                         std::to_string(data_limit - e.offset) + " are there");
    // with bit 3 set the sizes stand behind the data (PyTorch's writer does so), and the directory repeats
    // them
    std::uint32_t local = get32(at(header + 22)); // of the data unpacked
    if (!(flags & 8) && local != none32 && local != e.size)
      refuse(e.name, "its header gives it " + std::to_string(local) + " bytes, the directory " +
                         std::to_string(e.size));
  }

  // A name is a relative path that stays inside the folder it is unpacked into.
  template <class = when_used>
  void check_name(std::string_view name) const {
    auto bad = [&](std::string cause) {
      refuse(name, std::move(cause),
             "do not trust this file: it may be made to overwrite others when unpacked");
    };
    if (name.empty())
      bad("its name is empty");
    if (name.front() == '/' || (name.size() > 1 && name[1] == ':'))
      bad("its name is an absolute path");
    for (char c : name) {
      if (c == '\\')
        bad("its name holds a backslash");
      if (static_cast<unsigned char>(c) < 32)
        bad("its name holds a control character");
    }
    for (std::size_t from = 0; from <= name.size();) {
      std::size_t to = std::min(name.find('/', from), name.size());
      if (name.substr(from, to - from) == "..")
        bad("its name climbs out of the archive");
      from = to + 1;
    }
  }

  // Each byte of the file belongs to one record: otherwise a small file unfolds to a large one.
  template <class = when_used>
  void check_overlaps() {
    vector<std::size_t> order(headers_.size());
    for (std::size_t i = 0; i != order.size(); ++i)
      order[i] = i;
    std::sort(order.begin(), order.end(),
              [&](auto a, auto b) { return headers_[a].begin < headers_[b].begin; });
    for (std::size_t i = 1; i < order.size(); ++i)
      if (headers_[order[i]].begin < headers_[order[i - 1]].end)
        refuse(entries_[order[i]].name,
               "it overlaps the record '" + printable(entries_[order[i - 1]].name) + "'");
    headers_.clear();
    headers_.shrink_to_fit();
  }

  shared_bytes file_;
  std::string place_;
  vector<entry> entries_;
  struct extent {
    std::uint64_t begin, end;
  };
  vector<extent> headers_; // of each entry with its header; while opening
  hash_map<std::string_view, std::size_t> index_;
};

/// Writes an archive record by record.
class writer {
public:
  /// Data begins at multiples of this, as PyTorch's reader likes it for mapping.
  static constexpr std::uint64_t alignment = 64;

  explicit writer(output& to) noexcept : to_(to) {}

  /// Appends a record, and gives its checksum. Throws if the name was used before.
  std::uint32_t add(std::string_view name, span<const std::byte> data) {
    using namespace detail;
    if (name.empty() || name.size() >= none16)
      fail(error_kind::usage, "a record's name has " + std::to_string(name.size()) + " bytes",
           std::string(name.substr(0, 80)), "give it a name of 1 to 65,534 bytes");
    if (!names_.insert(name).second)
      fail(error_kind::usage, "two records have the same name", std::string(name), "give each its own");
    std::uint32_t crc = espalier::detail::crc32(data);
    bool large = data.size() >= none32;
    std::string h;
    put(h, local_signature, 4);
    put_common(h, large, crc, data.size());
    put(h, name.size(), 2);
    // the rest of the header is the name, ZIP64's sizes if needed, and padding in a field of PyTorch's id
    std::uint64_t before = offset_ + h.size() + 2 + name.size() + (large ? 20 : 0) + 4;
    std::uint64_t padding = (alignment - before % alignment) % alignment;
    put(h, (large ? 20 : 0) + 4 + padding, 2);
    h += name;
    if (large) {
      put(h, 1, 2);
      put(h, 16, 2);
      put(h, data.size(), 8);
      put(h, data.size(), 8);
    }
    h += "FB";
    put(h, padding, 2);
    h.append(padding, 'Z');

    bool far = offset_ >= none32;
    put(directory_, central_signature, 4);
    put(directory_, 45, 2);
    put_common(directory_, large, crc, data.size());
    put(directory_, name.size(), 2);
    std::uint64_t zip64 = (large ? 16u : 0u) + (far ? 8u : 0u);
    put(directory_, zip64 ? zip64 + 4 : 0, 2);
    put(directory_, 0, 2); // comment
    put(directory_, 0, 2); // volume
    put(directory_, 0, 2); // attributes
    put(directory_, 0, 4);
    put(directory_, far ? none32 : offset_, 4);
    directory_ += name;
    if (zip64) {
      put(directory_, 1, 2);
      put(directory_, zip64, 2);
      if (large) {
        put(directory_, data.size(), 8);
        put(directory_, data.size(), 8);
      }
      if (far)
        put(directory_, offset_, 8);
    }
    ++count_;

    to_.write(h);
    to_.write(data.data(), data.size());
    offset_ += h.size() + data.size();
    return crc;
  }
  std::uint32_t add(std::string_view name, std::string_view text) { return add(name, as_bytes(span(text))); }

  /// Writes the directory. Nothing may be added after.
  void finish() {
    using namespace detail;
    std::string tail;
    bool large = count_ >= none16 || offset_ >= none32 || directory_.size() >= none32;
    if (large) {
      put(tail, end64_signature, 4);
      put(tail, end64_size - 12, 8);
      put(tail, 45, 2);
      put(tail, 45, 2);
      put(tail, 0, 4);
      put(tail, 0, 4);
      put(tail, count_, 8);
      put(tail, count_, 8);
      put(tail, directory_.size(), 8);
      put(tail, offset_, 8);
      put(tail, locator64_signature, 4);
      put(tail, 0, 4);
      put(tail, offset_ + directory_.size(), 8);
      put(tail, 1, 4);
    }
    put(tail, end_signature, 4);
    put(tail, 0, 4);
    put(tail, large ? none16 : count_, 2);
    put(tail, large ? none16 : count_, 2);
    put(tail, large ? none32 : directory_.size(), 4);
    put(tail, large ? none32 : offset_, 4);
    put(tail, 0, 2);
    to_.write(directory_);
    to_.write(tail);
  }

private:
  // The fields that a record's header and its line in the directory share.
  static void put_common(std::string& s, bool large, std::uint32_t crc, std::uint64_t size) {
    using namespace detail;
    put(s, large ? 45 : 20, 2); // version needed to extract
    put(s, 0x0800, 2);          // names are UTF-8
    put(s, 0, 2);               // stored
    put(s, 0, 2);               // 00:00:00 on
    put(s, 1 << 5 | 1, 2);      // 1 January 1980, always: the same records give the same bytes
    put(s, crc, 4);
    put(s, large ? none32 : size, 4);
    put(s, large ? none32 : size, 4);
  }

  output& to_;
  std::uint64_t offset_ = 0, count_ = 0;
  std::string directory_;
  hash_set<std::string> names_;
};

} // namespace espalier::zip
