// SPDX-License-Identifier: BSL-1.0
// Between c10::IValue, what LibTorch's boxed calls carry, and the graph's arguments. An IValue does not say
// whether an integer is a dtype, a layout or a number: the operator's schema does, so its argument kinds are
// read once and handed in.
#pragma once

#include <espalier/bridge/types.hpp>
#include <espalier/ir/argument.hpp>
#include <espalier/schema/schema.hpp>
#include <espalier/support/error.hpp>
#include <espalier/support/span.hpp>
#include <espalier/support/vector.hpp>

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>
#include <ATen/core/jit_type.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace espalier {

/// The kind of a schema argument's type, lists and optionals looked through.
template <class = when_used>
arg_kind kind_of(const c10::Type& type) {
  switch (type.kind()) {
  case c10::TypeKind::OptionalType:
    return kind_of(*type.castRaw<c10::OptionalType>()->getElementType());
  case c10::TypeKind::ListType:
    return kind_of(*type.castRaw<c10::ListType>()->getElementType());
  case c10::TypeKind::TensorType:
    return arg_kind::tensor;
  case c10::TypeKind::NumberType:
    return arg_kind::scalar;
  case c10::TypeKind::IntType:
    return arg_kind::integer;
  case c10::TypeKind::SymIntType:
    return arg_kind::sym_integer;
  case c10::TypeKind::FloatType:
    return arg_kind::floating;
  case c10::TypeKind::SymFloatType:
    return arg_kind::sym_float;
  case c10::TypeKind::BoolType:
    return arg_kind::boolean;
  case c10::TypeKind::SymBoolType:
    return arg_kind::sym_bool;
  case c10::TypeKind::ComplexType:
    return arg_kind::complex;
  case c10::TypeKind::StringType:
    return arg_kind::string;
  case c10::TypeKind::ScalarTypeType:
    return arg_kind::scalar_type;
  case c10::TypeKind::LayoutType:
    return arg_kind::layout;
  case c10::TypeKind::MemoryFormatType:
    return arg_kind::memory_format;
  case c10::TypeKind::DeviceObjType:
    return arg_kind::device;
  case c10::TypeKind::GeneratorType:
    return arg_kind::generator;
  case c10::TypeKind::StorageType:
    return arg_kind::storage;
  case c10::TypeKind::StreamObjType:
    return arg_kind::stream;
  case c10::TypeKind::QSchemeType:
    return arg_kind::qscheme;
  default:
    return arg_kind::other;
  }
}

/// Memory for the elements of list arguments while a call is being put into a graph. Reused from call to
/// call.
class argument_pool {
public:
  /// Room for `n` arguments, all absent; stays where it is until `clear`.
  template <class = when_used>
  argument* take(std::size_t n) {
    if (n > chunk_size) {
      big_.push_back(std::make_unique<argument[]>(n));
      return big_.back().get();
    }
    if (chunks_.empty() || used_ + n > chunk_size) {
      if (!chunks_.empty())
        ++current_;
      if (current_ == chunks_.size())
        chunks_.push_back(std::make_unique<argument[]>(chunk_size));
      used_ = 0;
    }
    argument* p = chunks_[current_].get() + used_;
    used_ += n;
    return p;
  }
  template <class = when_used>
  void clear() noexcept {
    current_ = used_ = 0;
    big_.clear();
  }

private:
  static constexpr std::size_t chunk_size = 256;
  vector<std::unique_ptr<argument[]>> chunks_, big_;
  std::size_t current_ = 0, used_ = 0;
};

/// An IValue as an argument of a graph. `value_of(const at::Tensor&) -> argument` says what a defined tensor
/// is; list elements live in `pool`, strings in the IValue. Storages, streams, objects and the like throw
/// `error` (unsupported).
template <class ValueOf>
argument to_argument(const c10::IValue& v, arg_kind kind, argument_pool& pool, ValueOf&& value_of) {
  if (v.isTensor())
    return v.toTensor().defined() ? argument(value_of(v.toTensor())) : argument(std::nullopt);
  if (v.isNone())
    return argument(std::nullopt);
  if (v.isInt()) {
    const std::int64_t i = v.toInt();
    switch (kind) {
    case arg_kind::scalar_type:
      return argument(static_cast<scalar_type>(i));
    case arg_kind::layout:
      return argument(static_cast<layout>(i));
    case arg_kind::memory_format:
      return argument(static_cast<memory_format>(i));
    default:
      return argument(i);
    }
  }
  if (v.isBool())
    return argument(v.toBool());
  if (v.isDouble())
    return argument(v.toDouble());
  if (v.isList()) {
    const auto items = v.toListRef();
    argument* out = pool.take(items.size());
    for (std::size_t i = 0; i != items.size(); ++i)
      out[i] = to_argument(items[i], kind, pool, value_of);
    return argument(span<const argument>(out, items.size()));
  }
  if (v.isDevice())
    return argument(from_c10(v.toDevice()));
  if (v.isString())
    return argument(std::string_view(v.toStringRef()));
  if (v.isComplexDouble()) {
    const auto c = v.toComplexDouble();
    argument* out = pool.take(2);
    out[0] = argument(c.real());
    out[1] = argument(c.imag());
    return argument::of_complex(span<const argument>(out, 2));
  }
  if (v.isSymInt())
    return argument(from_c10(v.toSymInt()));
  if (v.isGenerator())
    return argument(std::nullopt); // the caller tells the user; a program carries no generator
  fail(error_kind::unsupported, "an argument of kind '" + v.tagKind() + "' has no form in a graph",
       "bridge: c10::IValue", "pass tensors, numbers, strings, dtypes, layouts, devices and lists of these");
}

/// A constant argument as an IValue; what a value, a subgraph or an operator stands for the caller must know,
/// and gets an `error` (usage) here. Lists become generic lists unless all elements agree on int, float or
/// bool.
template <class = when_used>
c10::IValue to_ivalue(const argument& a) {
  switch (a.form) {
  case arg_form::absent:
  case arg_form::none:
    return {};
  case arg_form::integer:
    return a.bits;
  case arg_form::floating:
    return std::bit_cast<double>(a.bits);
  case arg_form::boolean:
    return a.bits != 0;
  case arg_form::scalar_type:
  case arg_form::layout:
  case arg_form::memory_format:
    return a.bits; // c10 carries these as integers
  case arg_form::device:
    return to_c10(device{static_cast<std::int8_t>(a.bits & 0xff), static_cast<std::int8_t>(a.bits >> 8)});
  case arg_form::string:
    return std::string(a.text);
  case arg_form::complex:
    return c10::complex<double>(std::bit_cast<double>(a.items[0].bits),
                                std::bit_cast<double>(a.items[1].bits));
  case arg_form::list: {
    const auto all = [&](arg_form f) {
      for (std::size_t i = 0; i != a.count; ++i)
        if (a.items[i].form != f)
          return false;
      return true;
    };
    if (all(arg_form::integer)) {
      c10::List<std::int64_t> l;
      for (std::size_t i = 0; i != a.count; ++i)
        l.push_back(a.items[i].bits);
      return l;
    }
    if (all(arg_form::floating)) {
      c10::List<double> l;
      for (std::size_t i = 0; i != a.count; ++i)
        l.push_back(std::bit_cast<double>(a.items[i].bits));
      return l;
    }
    if (all(arg_form::boolean)) {
      c10::List<bool> l;
      for (std::size_t i = 0; i != a.count; ++i)
        l.push_back(a.items[i].bits != 0);
      return l;
    }
    c10::impl::GenericList l(c10::AnyType::get());
    for (std::size_t i = 0; i != a.count; ++i)
      l.push_back(to_ivalue(a.items[i]));
    return l;
  }
  default:
    break;
  }
  fail(error_kind::usage, "an argument of form '" + std::string(to_string(a.form)) + "' is no constant",
       "bridge: to_ivalue", "look up what it stands for first");
}

/// Whether an IValue is the constant an argument says: used to tell defaults, which a graph leaves out.
template <class = when_used>
bool same_constant(const c10::IValue& a, const c10::IValue& b) {
  if (a.isNone() || b.isNone())
    return a.isNone() && b.isNone();
  if (a.isInt() && b.isInt())
    return a.toInt() == b.toInt();
  if (a.isBool() && b.isBool())
    return a.toBool() == b.toBool();
  if (a.isDouble() && b.isDouble())
    return a.toDouble() == b.toDouble();
  if (a.isList() && b.isList()) {
    const auto x = a.toListRef(), y = b.toListRef();
    if (x.size() != y.size())
      return false;
    for (std::size_t i = 0; i != x.size(); ++i)
      if (!same_constant(x[i], y[i]))
        return false;
    return true;
  }
  if (a.isString() && b.isString())
    return a.toStringRef() == b.toStringRef();
  if (a.isDevice() && b.isDevice())
    return a.toDevice() == b.toDevice();
  if (a.isTensor())
    return !a.toTensor().defined() && b.isTensor() && !b.toTensor().defined();
  return false;
}

} // namespace espalier
