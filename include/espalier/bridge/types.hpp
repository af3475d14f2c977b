// SPDX-License-Identifier: BSL-1.0
// Between our ground-floor types and c10's. The enumerations have c10's numbers, which the assertions below
// prove, so a conversion is a cast; what does not fit (a sparse tensor, a symbolic size where an integer is
// needed) is refused.
#pragma once

#include <espalier/meta/tensor_meta.hpp>
#include <espalier/meta/types.hpp>
#include <espalier/support/error.hpp>
#include <espalier/support/vector.hpp>

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>
#include <c10/core/Layout.h>
#include <c10/core/MemoryFormat.h>
#include <c10/core/ScalarType.h>
#include <c10/core/SymInt.h>

#include <cstdint>
#include <string>

namespace espalier {

static_assert(static_cast<int>(scalar_type::u8) == static_cast<int>(c10::ScalarType::Byte));
static_assert(static_cast<int>(scalar_type::i8) == static_cast<int>(c10::ScalarType::Char));
static_assert(static_cast<int>(scalar_type::i16) == static_cast<int>(c10::ScalarType::Short));
static_assert(static_cast<int>(scalar_type::i32) == static_cast<int>(c10::ScalarType::Int));
static_assert(static_cast<int>(scalar_type::i64) == static_cast<int>(c10::ScalarType::Long));
static_assert(static_cast<int>(scalar_type::f16) == static_cast<int>(c10::ScalarType::Half));
static_assert(static_cast<int>(scalar_type::f32) == static_cast<int>(c10::ScalarType::Float));
static_assert(static_cast<int>(scalar_type::f64) == static_cast<int>(c10::ScalarType::Double));
static_assert(static_cast<int>(scalar_type::c32) == static_cast<int>(c10::ScalarType::ComplexHalf));
static_assert(static_cast<int>(scalar_type::c64) == static_cast<int>(c10::ScalarType::ComplexFloat));
static_assert(static_cast<int>(scalar_type::c128) == static_cast<int>(c10::ScalarType::ComplexDouble));
static_assert(static_cast<int>(scalar_type::b8) == static_cast<int>(c10::ScalarType::Bool));
static_assert(static_cast<int>(scalar_type::qi8) == static_cast<int>(c10::ScalarType::QInt8));
static_assert(static_cast<int>(scalar_type::qu8) == static_cast<int>(c10::ScalarType::QUInt8));
static_assert(static_cast<int>(scalar_type::qi32) == static_cast<int>(c10::ScalarType::QInt32));
static_assert(static_cast<int>(scalar_type::bf16) == static_cast<int>(c10::ScalarType::BFloat16));
static_assert(static_cast<int>(scalar_type::f8e5m2) == static_cast<int>(c10::ScalarType::Float8_e5m2));
static_assert(static_cast<int>(scalar_type::f8e4m3fn) == static_cast<int>(c10::ScalarType::Float8_e4m3fn));
static_assert(static_cast<int>(scalar_type::f8e5m2fnuz) ==
              static_cast<int>(c10::ScalarType::Float8_e5m2fnuz));
static_assert(static_cast<int>(scalar_type::f8e4m3fnuz) ==
              static_cast<int>(c10::ScalarType::Float8_e4m3fnuz));
static_assert(static_cast<int>(scalar_type::u16) == static_cast<int>(c10::ScalarType::UInt16));
static_assert(static_cast<int>(scalar_type::u32) == static_cast<int>(c10::ScalarType::UInt32));
static_assert(static_cast<int>(scalar_type::u64) == static_cast<int>(c10::ScalarType::UInt64));
static_assert(static_cast<int>(scalar_type::f8e8m0fnu) == static_cast<int>(c10::ScalarType::Float8_e8m0fnu));
static_assert(static_cast<int>(scalar_type::bc32) == static_cast<int>(c10::ScalarType::BComplex32));

static_assert(static_cast<int>(layout::strided) == static_cast<int>(c10::Layout::Strided));
static_assert(static_cast<int>(layout::sparse) == static_cast<int>(c10::Layout::Sparse));
static_assert(static_cast<int>(layout::sparse_csr) == static_cast<int>(c10::Layout::SparseCsr));
static_assert(static_cast<int>(layout::mkldnn) == static_cast<int>(c10::Layout::Mkldnn));
static_assert(static_cast<int>(layout::sparse_csc) == static_cast<int>(c10::Layout::SparseCsc));
static_assert(static_cast<int>(layout::sparse_bsr) == static_cast<int>(c10::Layout::SparseBsr));
static_assert(static_cast<int>(layout::sparse_bsc) == static_cast<int>(c10::Layout::SparseBsc));
static_assert(static_cast<int>(layout::jagged) == static_cast<int>(c10::Layout::Jagged));

static_assert(static_cast<int>(memory_format::contiguous) == static_cast<int>(c10::MemoryFormat::Contiguous));
static_assert(static_cast<int>(memory_format::preserve) == static_cast<int>(c10::MemoryFormat::Preserve));
static_assert(static_cast<int>(memory_format::channels_last) ==
              static_cast<int>(c10::MemoryFormat::ChannelsLast));
static_assert(static_cast<int>(memory_format::channels_last_3d) ==
              static_cast<int>(c10::MemoryFormat::ChannelsLast3d));

/// To c10 and back. Casts: the numbers agree, but for `undefined`.
template <class = when_used>
constexpr c10::ScalarType to_c10(scalar_type t) noexcept {
  return t == scalar_type::undefined ? c10::ScalarType::Undefined : static_cast<c10::ScalarType>(t);
}
template <class = when_used>
constexpr scalar_type from_c10(c10::ScalarType t) noexcept {
  return t == c10::ScalarType::Undefined ? scalar_type::undefined : static_cast<scalar_type>(t);
}
constexpr c10::Layout to_c10(layout l) noexcept { return static_cast<c10::Layout>(l); }
constexpr layout from_c10(c10::Layout l) noexcept { return static_cast<layout>(l); }
constexpr c10::MemoryFormat to_c10(memory_format f) noexcept { return static_cast<c10::MemoryFormat>(f); }
constexpr memory_format from_c10(c10::MemoryFormat f) noexcept { return static_cast<memory_format>(f); }
inline c10::Device to_c10(device d) { return c10::Device(static_cast<c10::DeviceType>(d.type), d.index); }
inline device from_c10(c10::Device d) noexcept { return {static_cast<std::int8_t>(d.type()), d.index()}; }

/// A size of ours as c10's. Symbolic sizes have no form there yet and are refused.
inline c10::SymInt to_c10(const sym_int& s) { return c10::SymInt(s.as_int()); }
/// A size of c10's as ours. A symbolic one is refused: it belongs to another tracer's environment.
template <class = when_used>
sym_int from_c10(const c10::SymInt& s) {
  if (auto i = s.maybe_as_int())
    return sym_int(*i);
  fail(error_kind::unsupported, "a size made symbolic by another tracer cannot enter an espalier graph",
       "bridge: c10::SymInt", "pass tensors with concrete sizes");
}

/// Sizes or strides as integers; a symbolic one throws `error` (unsupported).
template <class = when_used>
vector<std::int64_t> to_int_vector(const sym_ints& s) {
  vector<std::int64_t> out;
  out.reserve(s.size());
  for (const auto& x : s)
    out.push_back(x.as_int());
  return out;
}
inline sym_ints from_int_array(c10::IntArrayRef s) { return sym_ints(s.begin(), s.end()); }

/// What is known of a tensor without its data. Only strided tensors with concrete sizes have such a
/// description; others throw `error` (unsupported).
template <class = when_used>
tensor_meta meta_of(const at::Tensor& t) {
  if (t.layout() != c10::Layout::Strided)
    fail(error_kind::unsupported,
         "a tensor of layout '" + std::string(to_string(from_c10(t.layout()))) + "' cannot enter a graph",
         "bridge: at::Tensor", "convert it with to_dense() before export");
  tensor_meta m;
  m.dtype = from_c10(t.scalar_type());
  m.dev = from_c10(t.device());
  m.requires_grad = t.requires_grad();
  m.sizes = from_int_array(t.sizes());
  m.strides = from_int_array(t.strides());
  m.storage_offset = t.storage_offset();
  return m;
}

} // namespace espalier
