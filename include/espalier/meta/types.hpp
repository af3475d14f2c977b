// SPDX-License-Identifier: BSL-1.0
// Element types, layouts, memory formats and devices, with c10's numbers (the bridge asserts that they
// agree), so that crossing into LibTorch is a cast.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <espalier/support/optional.hpp>

namespace espalier {

/// Element type of a tensor; values are c10::ScalarType's.
enum class scalar_type : std::int8_t {
  u8 = 0,
  i8 = 1,
  i16 = 2,
  i32 = 3,
  i64 = 4,
  f16 = 5,
  f32 = 6,
  f64 = 7,
  c32 = 8,
  c64 = 9,
  c128 = 10,
  b8 = 11,
  qi8 = 12,
  qu8 = 13,
  qi32 = 14,
  bf16 = 15,
  f8e5m2 = 23,
  f8e4m3fn = 24,
  f8e5m2fnuz = 25,
  f8e4m3fnuz = 26,
  u16 = 27,
  u32 = 28,
  u64 = 29,
  f8e8m0fnu = 44,
  bc32 = 46, ///< complex, of two bfloat16
  undefined = -1,
};

namespace detail {
struct scalar_type_row {
  scalar_type type;
  std::string_view short_name; // print_readable's
  std::string_view torch_name; // Python's `torch.NAME`
  std::uint8_t bytes;
};
inline constexpr scalar_type_row scalar_type_rows[] = {
    {scalar_type::u8, "u8", "uint8", 1},
    {scalar_type::i8, "i8", "int8", 1},
    {scalar_type::i16, "i16", "int16", 2},
    {scalar_type::i32, "i32", "int32", 4},
    {scalar_type::i64, "i64", "int64", 8},
    {scalar_type::f16, "f16", "float16", 2},
    {scalar_type::f32, "f32", "float32", 4},
    {scalar_type::f64, "f64", "float64", 8},
    {scalar_type::c32, "c32", "complex32", 4},
    {scalar_type::c64, "c64", "complex64", 8},
    {scalar_type::c128, "c128", "complex128", 16},
    {scalar_type::b8, "b8", "bool", 1},
    {scalar_type::qi8, "qi8", "qint8", 1},
    {scalar_type::qu8, "qu8", "quint8", 1},
    {scalar_type::qi32, "qi32", "qint32", 4},
    {scalar_type::bf16, "bf16", "bfloat16", 2},
    {scalar_type::f8e5m2, "f8e5m2", "float8_e5m2", 1},
    {scalar_type::f8e4m3fn, "f8e4m3fn", "float8_e4m3fn", 1},
    {scalar_type::f8e5m2fnuz, "f8e5m2fnuz", "float8_e5m2fnuz", 1},
    {scalar_type::f8e4m3fnuz, "f8e4m3fnuz", "float8_e4m3fnuz", 1},
    {scalar_type::u16, "u16", "uint16", 2},
    {scalar_type::u32, "u32", "uint32", 4},
    {scalar_type::u64, "u64", "uint64", 8},
    {scalar_type::f8e8m0fnu, "f8e8m0fnu", "float8_e8m0fnu", 1},
    {scalar_type::bc32, "bc32", "bcomplex32", 4},
};
} // namespace detail

/// `f32`, `i64`, ...: the names print_readable uses.
constexpr std::string_view to_string(scalar_type t) noexcept {
  for (auto& r : detail::scalar_type_rows)
    if (r.type == t)
      return r.short_name;
  return "undefined";
}
/// `float32`, `int64`, ...: Python's names.
constexpr std::string_view torch_name(scalar_type t) noexcept {
  for (auto& r : detail::scalar_type_rows)
    if (r.type == t)
      return r.torch_name;
  return "undefined";
}
/// The type of a short or Python name, or nothing.
constexpr optional<scalar_type> parse_scalar_type(std::string_view s) noexcept {
  for (auto& r : detail::scalar_type_rows)
    if (r.short_name == s || r.torch_name == s)
      return r.type;
  return std::nullopt;
}
/// Bytes of one element; 0 for an undefined type.
constexpr std::size_t element_size(scalar_type t) noexcept {
  for (auto& r : detail::scalar_type_rows)
    if (r.type == t)
      return r.bytes;
  return 0;
}
constexpr bool is_complex(scalar_type t) noexcept {
  return t == scalar_type::c32 || t == scalar_type::c64 || t == scalar_type::c128 || t == scalar_type::bc32;
}
constexpr bool is_floating(scalar_type t) noexcept {
  switch (t) {
  case scalar_type::f16:
  case scalar_type::f32:
  case scalar_type::f64:
  case scalar_type::bf16:
  case scalar_type::f8e5m2:
  case scalar_type::f8e4m3fn:
  case scalar_type::f8e5m2fnuz:
  case scalar_type::f8e4m3fnuz:
  case scalar_type::f8e8m0fnu:
    return true;
  default:
    return false;
  }
}
/// Integers, with or without sign; `b8` counts only when `bool_too`.
constexpr bool is_integral(scalar_type t, bool bool_too) noexcept {
  switch (t) {
  case scalar_type::u8:
  case scalar_type::i8:
  case scalar_type::i16:
  case scalar_type::i32:
  case scalar_type::i64:
  case scalar_type::u16:
  case scalar_type::u32:
  case scalar_type::u64:
    return true;
  case scalar_type::b8:
    return bool_too;
  default:
    return false;
  }
}

/// Layout of a tensor; values are c10::Layout's.
enum class layout : std::int8_t {
  strided = 0,
  sparse = 1,
  sparse_csr = 2,
  mkldnn = 3,
  sparse_csc = 4,
  sparse_bsr = 5,
  sparse_bsc = 6,
  jagged = 7
};

/// Memory format; values are c10::MemoryFormat's.
enum class memory_format : std::int8_t {
  contiguous = 0,
  preserve = 1,
  channels_last = 2,
  channels_last_3d = 3
};

namespace detail {
inline constexpr std::string_view layout_names[] = {"strided",    "sparse_coo", "sparse_csr", "mkldnn",
                                                    "sparse_csc", "sparse_bsr", "sparse_bsc", "jagged"};
inline constexpr std::string_view memory_format_names[] = {"contiguous_format", "preserve_format",
                                                           "channels_last", "channels_last_3d"};
// by c10::DeviceType
inline constexpr std::string_view device_names[] = {
    "cpu",   "cuda", "mkldnn", "opengl", "opencl", "ideep", "hip",  "fpga", "maia", "xla",          "vulkan",
    "metal", "xpu",  "mps",    "meta",   "hpu",    "ve",    "lazy", "ipu",  "mtia", "privateuseone"};
} // namespace detail

namespace detail {
/// The name at a number that may come from a file, or `unknown`.
template <std::size_t N>
constexpr std::string_view name_at(const std::string_view (&names)[N], int i) noexcept {
  return i >= 0 && static_cast<std::size_t>(i) < N ? names[i] : std::string_view("unknown");
}
} // namespace detail

/// Python's names, without `torch.`; `unknown` for a number that is no layout.
constexpr std::string_view to_string(layout l) noexcept {
  return detail::name_at(detail::layout_names, static_cast<int>(l));
}
/// Python's names, without `torch.`; `unknown` for a number that is no memory format.
constexpr std::string_view to_string(memory_format f) noexcept {
  return detail::name_at(detail::memory_format_names, static_cast<int>(f));
}
constexpr optional<layout> parse_layout(std::string_view s) noexcept {
  for (std::size_t i = 0; i != std::size(detail::layout_names); ++i)
    if (detail::layout_names[i] == s)
      return static_cast<layout>(i);
  return std::nullopt;
}
constexpr optional<memory_format> parse_memory_format(std::string_view s) noexcept {
  for (std::size_t i = 0; i != std::size(detail::memory_format_names); ++i)
    if (detail::memory_format_names[i] == s)
      return static_cast<memory_format>(i);
  return std::nullopt;
}

/// A device: c10's device type and an index, -1 when none was named.
struct device {
  std::int8_t type = 0;
  std::int8_t index = -1;
  friend constexpr bool operator==(device, device) noexcept = default;
};
inline constexpr device cpu_device{0, -1};

/// `cpu`, `cuda:0`; `unknown` for a number that is no device type.
inline std::string to_string(device d) {
  std::string s(detail::name_at(detail::device_names, d.type));
  if (d.index >= 0)
    s += ':' + std::to_string(int(d.index));
  return s;
}
/// The device of a text such as `cpu` or `cuda:1`, or nothing.
constexpr optional<device> parse_device(std::string_view s) noexcept {
  device d;
  const auto colon = s.find(':');
  const auto head = s.substr(0, colon);
  bool known = false;
  for (std::size_t i = 0; i != std::size(detail::device_names); ++i)
    if (detail::device_names[i] == head)
      d.type = static_cast<std::int8_t>(i), known = true;
  if (!known)
    return std::nullopt;
  if (colon != s.npos) {
    int n = 0;
    if (colon + 1 == s.size())
      return std::nullopt;
    for (char c : s.substr(colon + 1)) {
      if (c < '0' || c > '9' || n > 12)
        return std::nullopt;
      n = n * 10 + (c - '0');
    }
    if (n > 127)
      return std::nullopt;
    d.index = static_cast<std::int8_t>(n);
  }
  return d;
}

} // namespace espalier
