// SPDX-License-Identifier: BSL-1.0
// The weights and constants of an archive: a name, what the file says of it, and the bytes of its storage,
// which lie in the mapped file. Tensors that share a storage (tied weights, views of one buffer) name the
// same record.
#pragma once

#include <espalier/archive/crc32.hpp>
#include <espalier/archive/file.hpp>
#include <espalier/archive/schema.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace espalier::pt2 {

/// A checksum that a file gives for bytes which nobody has compared with it yet. It speaks of those bytes
/// alone: of others that a payload is given later it says nothing.
struct pending_checksum {
  const std::byte* of = nullptr;
  std::uint32_t crc = 0;

  bool speaks_of(const shared_bytes& bytes) const noexcept { return of != nullptr && of == bytes.data(); }
};

/// One weight or constant. `meta.path_name` names the record in the archive: payloads of one name share one
/// storage, and must have the same bytes. Left empty, the writer names it, one record for each distinct run
/// of bytes. `bytes` is the whole storage; the tensor is what `meta.tensor_meta`'s sizes, strides and offset
/// cut out of it. No bytes for a tensor that has elements mean that it was saved without data (a fake
/// tensor). With `meta.use_pickle` the bytes are a pickle (a tensor subclass, a custom object), which stays
/// closed.
struct payload {
  payload_meta meta;
  shared_bytes bytes{};
  /// Set when the file was read with `verify::structure`: `verify_bytes` and writing compare.
  pending_checksum pending{};
};

/// All weights, or all constants, of one model, by fully qualified name.
struct payload_table {
  dict<payload> entries;
  /// Members that the file's config has beside the payloads.
  extra_fields extra{};

  auto begin() const noexcept { return entries.begin(); }
  auto end() const noexcept { return entries.end(); }
  std::size_t size() const noexcept { return entries.size(); }
  bool empty() const noexcept { return entries.empty(); }
  const payload* find(std::string_view fqn) const noexcept { return entries.find(fqn); }
  template <class = when_used>
  payload& add(std::string fqn, payload p) {
    return entries.add(std::move(fqn), std::move(p));
  }
};

/// A record that belongs to no model: under `extra/` (files that the user added), `data/aotinductor/`
/// (compiled models), or unknown.
struct loose_record {
  std::string name; ///< without the archive's root folder
  shared_bytes bytes;
};

/// Bytes of one element; 0 for a type that has no name here.
constexpr std::size_t element_size(scalar_type t) noexcept {
  switch (t) {
  case scalar_type::byte:
  case scalar_type::char_:
  case scalar_type::bool_:
  case scalar_type::float8_e4m3fn:
  case scalar_type::float8_e5m2:
  case scalar_type::float8_e4m3fnuz:
  case scalar_type::float8_e5m2fnuz:
  case scalar_type::float8_e8m0fnu:
    return 1;
  case scalar_type::short_:
  case scalar_type::half:
  case scalar_type::bfloat16:
  case scalar_type::uint16:
    return 2;
  case scalar_type::int_:
  case scalar_type::float_:
  case scalar_type::complex_half:
  case scalar_type::uint32:
    return 4;
  case scalar_type::long_:
  case scalar_type::double_:
  case scalar_type::complex_float:
  case scalar_type::uint64:
    return 8;
  case scalar_type::complex_double:
    return 16;
  case scalar_type::unknown:
    break;
  }
  return 0;
}

namespace detail {
[[noreturn]] ESPALIER_COLD inline void refuse_checksum(std::string place) {
  fail(
      error_kind::archive,
      "the bytes do not have the checksum that the archive gives for them: the file is corrupt, or they were "
      "changed in place",
      std::move(place),
      "get a fresh copy of the file, or export it again; after a change in place, reset payload::pending, or "
      "tell the tensor by unsafeGetTensorImpl()->bump_version()");
}
} // namespace detail

/// Throws `error` (archive) if the payload's bytes are not those that its file was written with. Touches
/// every byte; nothing to do when they were compared while reading.
inline void verify_bytes(const payload& p, std::string_view fqn) {
  if (p.pending.speaks_of(p.bytes) && espalier::detail::crc32(p.bytes.span()) != p.pending.crc)
    detail::refuse_checksum("record '" + p.meta.path_name + "', tensor '" + std::string(fqn) + "'");
}

/// Throws unless the tensor that `p.meta` describes lies within `p.bytes`. `record` names its record in
/// errors.
template <class = when_used>
void check_extent(const payload& p, std::string_view fqn, std::string_view record) {
  auto refuse = [&](const std::string& cause) {
    fail(error_kind::archive, "the tensor '" + std::string(fqn) + "' " + cause, std::string(record),
         "the file is damaged or was altered; get a fresh copy, or export it again");
  };
  if (p.meta.use_pickle)
    return;
  if (!p.meta.tensor_meta)
    return refuse("is said to be stored raw, but nothing says its type and sizes");
  auto& m = *p.meta.tensor_meta;
  std::uint64_t element = element_size(m.dtype);
  if (element == 0)
    return refuse("has the element type number " + std::to_string(std::int64_t(m.dtype)) +
                  ", which is unknown here");
  if (m.sizes.size() != m.strides.size())
    return refuse("has " + std::to_string(m.sizes.size()) + " sizes, but " +
                  std::to_string(m.strides.size()) + " strides");
  auto number = [&](const sym_int& s) {
    if (!s.is_as_int())
      refuse("has a size, stride or offset that is no number");
    if (s.as_int() < 0)
      refuse("has the size, stride or offset " + std::to_string(s.as_int()));
    return std::uint64_t(s.as_int());
  };
  // the index of the last element that is reached, in elements; each step checks for overflow
  constexpr std::uint64_t too_far = std::uint64_t(1) << 60;
  std::uint64_t last = number(m.storage_offset);
  bool none = false;
  for (std::size_t i = 0; i != m.sizes.size(); ++i) {
    std::uint64_t size = number(m.sizes[i]), stride = number(m.strides[i]);
    if (size == 0)
      none = true;
    if (size < 2 || stride == 0)
      continue;
    if (stride > too_far / (size - 1) || last > too_far - stride * (size - 1))
      return refuse("reaches beyond any storage");
    last += stride * (size - 1);
  }
  if (none || p.bytes.empty())
    return;
  if (p.bytes.size() % element != 0)
    return refuse("has elements of " + std::to_string(element) +
                  " bytes, which do not divide its storage of " + std::to_string(p.bytes.size()));
  if (last >= p.bytes.size() / element)
    return refuse("needs " + std::to_string((last + 1) * element) + " bytes, but its storage has " +
                  std::to_string(p.bytes.size()));
}

} // namespace espalier::pt2
