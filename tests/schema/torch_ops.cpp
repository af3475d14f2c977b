// SPDX-License-Identifier: BSL-1.0
// The generated table against LibTorch itself: every operator that this process registers, argument by
// argument, and LibTorch's own structs as operators.
#include <espalier/schema/aten.hpp>
#include <espalier/schema/default_value.hpp>
#include <espalier/schema/op_id.hpp>
#include <espalier/schema/op_traits.hpp>

#include <ATen/core/function_schema.h>
#include <ATen/ops/add_ops.h>
#include <ATen/ops/bernoulli_ops.h>
#include <ATen/ops/convolution_ops.h>
#include <ATen/ops/relu_ops.h>
#include <ATen/ops/split_ops.h>
#include <torch/csrc/jit/runtime/operator.h>

#include <doctest/doctest.h>

#include <set>
#include <string>

namespace es = espalier;
using es::arg_kind;
using es::default_kind;

namespace {

// LibTorch's structs are operators as they are, and the same ones as ours.
static_assert(es::op_type<at::_ops::add_Tensor>);
static_assert(es::id_of<at::_ops::add_Tensor>() == es::id_of<es::aten::add_Tensor>());
static_assert(es::id_of<at::_ops::add__Tensor>() == es::id_of<es::aten::add__Tensor>());
static_assert(es::id_of<at::_ops::relu>() == es::id_of<es::aten::relu>());
static_assert(es::id_of<at::_ops::bernoulli_p>() == es::id_of<es::aten::bernoulli_p>());
static_assert(es::id_of<at::_ops::convolution>() == es::id_of<es::aten::convolution>());
static_assert(es::id_of<at::_ops::split_Tensor>() == es::id_of<es::aten::split_Tensor>());
using add = es::op_traits<at::_ops::add_Tensor>;
static_assert(add::arity == 3 && add::index_of<"alpha"> == 2 && add::default_of<"alpha">().integer == 1);
static_assert(add::flags == es::op_traits<es::aten::add_Tensor>::flags);
static_assert(es::op_traits<at::_ops::add_out>::is_mutable && es::op_traits<at::_ops::split_Tensor>::is_view);

arg_kind kind_of(const c10::TypePtr& t) {
  switch (t->kind()) {
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
  case c10::TypeKind::BoolType:
    return arg_kind::boolean;
  case c10::TypeKind::ComplexType:
    return arg_kind::complex;
  case c10::TypeKind::StringType:
    return arg_kind::string;
  case c10::TypeKind::ScalarTypeType:
    return arg_kind::scalar_type;
  case c10::TypeKind::LayoutType:
    return arg_kind::layout;
  case c10::TypeKind::DeviceObjType:
    return arg_kind::device;
  case c10::TypeKind::MemoryFormatType:
    return arg_kind::memory_format;
  case c10::TypeKind::GeneratorType:
    return arg_kind::generator;
  case c10::TypeKind::StorageType:
    return arg_kind::storage;
  case c10::TypeKind::StreamObjType:
    return arg_kind::stream;
  case c10::TypeKind::QSchemeType:
    return arg_kind::qscheme;
  case c10::TypeKind::SymBoolType:
    return arg_kind::sym_bool;
  case c10::TypeKind::SymFloatType:
    return arg_kind::sym_float;
  default:
    return arg_kind::other;
  }
}

/// LibTorch's type as ours, but for the fixed size, which its argument holds.
es::arg_type type_of(c10::TypePtr t) {
  es::arg_type out;
  const auto strip_optional = [&t] {
    auto o = t->cast<c10::OptionalType>();
    if (o)
      t = o->getElementType();
    return static_cast<bool>(o);
  };
  out.optional = strip_optional();
  while (auto l = t->cast<c10::ListType>()) {
    ++out.list_depth;
    t = l->getElementType();
    out.element_optional = strip_optional();
  }
  out.kind = kind_of(t);
  return out;
}

bool equal_item(const es::default_item& d, const c10::IValue& v) {
  switch (d.kind) {
  case default_kind::none:
    return v.isNone();
  case default_kind::boolean:
    return v.isBool() && v.toBool() == d.boolean;
  case default_kind::integer: // an integer may stand for a floating or boolean default
    return v.isDouble() ? v.toDouble() == static_cast<double>(d.integer)
                        : (v.isInt() || v.isSymInt()) && v.toInt() == d.integer;
  case default_kind::floating:
    return v.isDouble() && v.toDouble() == d.floating;
  case default_kind::string:
    return v.isString() &&
           (d.text.find('\\') != d.text.npos || v.toStringRef() == d.text); // escapes stay as written
  case default_kind::word:
    return v.isInt() || v.isDevice(); // an enumerator's value
  default:
    return false;
  }
}
bool equal_default(const es::default_value& d, const c10::IValue& v) {
  if (!v.isList())
    return d.kind != default_kind::list && equal_item(d, v);
  const auto list = v.toListRef();
  if (d.kind != default_kind::list) { // one value stands for each element
    for (const c10::IValue& x : list)
      if (!equal_item(d, x))
        return false;
    return true;
  }
  if (list.size() != d.items.size())
    return false;
  for (std::size_t i = 0; i != list.size(); ++i)
    if (!equal_item(d.items[i], list[i]))
      return false;
  return true;
}

void compare_argument(const es::schema_arg& ours, const c10::Argument& theirs) {
  INFO(theirs.name());
  CHECK(ours.name == theirs.name());
  CHECK(ours.kwarg_only == theirs.kwarg_only());
  const auto* alias = theirs.alias_info();
  CHECK((ours.alias != 0) == (alias != nullptr));
  CHECK(ours.is_write == (alias != nullptr && alias->isWrite()));
  auto expected = type_of(theirs.real_type());
  if (theirs.N())
    expected.fixed_size = static_cast<std::int16_t>(*theirs.N());
  auto found = ours.type;
  if (found.kind == arg_kind::dimname)
    found.kind = arg_kind::string; // LibTorch drops the difference
  CHECK(found.kind == expected.kind);
  CHECK(found.optional == expected.optional);
  CHECK(found.list_depth == expected.list_depth);
  CHECK(found.element_optional == expected.element_optional);
  CHECK(found.fixed_size == expected.fixed_size);
  CHECK(ours.has_default == theirs.default_value().has_value());
  if (ours.has_default && theirs.default_value()) {
    INFO(ours.default_text);
    CHECK(equal_default(es::parse_default(ours), *theirs.default_value()));
  }
}

} // namespace

TEST_CASE("every operator that LibTorch registers is in the table, argument by argument") {
  std::set<std::string> seen;
  for (const auto& op : torch::jit::getAllOperators()) {
    const c10::FunctionSchema& theirs = op->schema();
    if (!theirs.name().starts_with("aten::") && !theirs.name().starts_with("quantized::"))
      continue;
    const std::string qualified =
        theirs.name() + (theirs.overload_name().empty() ? "" : "." + theirs.overload_name());
    INFO(qualified);
    const auto id = es::find_op(qualified);
    REQUIRE(id.has_value());
    seen.insert(qualified);
    const es::op_schema* ours = es::schema_of(*id);
    REQUIRE(ours != nullptr);
    CHECK(ours->name == theirs.name());
    CHECK(ours->overload == theirs.overload_name());
    CHECK(es::flags_of(*id).mutates == theirs.is_mutable());
    REQUIRE(ours->args.size() == theirs.arguments().size());
    for (std::size_t i = 0; i != ours->args.size(); ++i)
      compare_argument(ours->args[i], theirs.arguments()[i]);
    REQUIRE(ours->returns.size() == theirs.returns().size());
    for (std::size_t i = 0; i != ours->returns.size(); ++i) {
      const es::schema_return& mine = ours->returns[i];
      const c10::Argument& other = theirs.returns()[i];
      const auto* alias = other.alias_info();
      CHECK(mine.name == other.name());
      CHECK((mine.alias != 0) == (alias != nullptr));
      CHECK(mine.is_write == (alias != nullptr && alias->isWrite()));
      const auto expected = type_of(other.real_type());
      CHECK(mine.type.kind == expected.kind);
      CHECK(mine.type.list_depth == expected.list_depth);
      CHECK(mine.type.optional == expected.optional);
    }
  }
  std::size_t listed = 0;
  for (std::uint32_t i = 0; i != es::detail::num_aten_ops; ++i) {
    const std::string name(es::detail::aten_row_name(i));
    if (!name.starts_with("aten::"))
      continue;
    ++listed;
    INFO(name);
    CHECK(seen.contains(name));
  }
  CHECK(listed > 3000);
}
