// SPDX-License-Identifier: BSL-1.0
// Operators as types, in constant evaluation: ATen's, a user's struct, a user's one line.
#include <espalier/schema/aten.hpp>
#include <espalier/schema/op_traits.hpp>

#include <doctest/doctest.h>

#include <string>

namespace es = espalier;
namespace aten = espalier::aten;
using es::arg_kind;
using es::default_kind;
using es::op_traits;

namespace {

using add = op_traits<aten::add_Tensor>;
static_assert(es::op_type<aten::add_Tensor>);
static_assert(!es::op_type<int>);
static_assert(add::schema.name == "aten::add" && add::schema.overload == "Tensor");
static_assert(add::arity == 3 && add::num_required == 2 && add::num_positional == 2 && add::num_returns == 1);
static_assert(add::schema.args.size() == 3 && add::schema.args[2].name == "alpha");
static_assert(add::index_of<"self"> == 0 && add::index_of<"other"> == 1 && add::index_of<"alpha"> == 2);
static_assert(add::has_arg<"alpha"> && !add::has_arg<"beta">);
static_assert(add::arg<"alpha">.kwarg_only && add::arg<"alpha">.type.kind == arg_kind::scalar);
static_assert(add::arg_t<"other">::value == arg_kind::tensor);
static_assert(add::default_of<"alpha">().integer == 1);
static_assert(!add::is_mutable && !add::is_view && add::flags.pointwise && add::flags.core &&
              add::flags.pure());

static_assert(op_traits<aten::add__Tensor>::is_mutable && !op_traits<aten::add__Tensor>::flags.pure());
static_assert(op_traits<aten::add__Tensor>::arg<"self">.is_write);
static_assert(op_traits<aten::transpose_int>::is_view && !op_traits<aten::transpose_int>::is_mutable);
static_assert(op_traits<aten::split_Tensor>::is_view);
static_assert(op_traits<aten::dropout>::flags.random && op_traits<aten::bernoulli>::flags.random);
static_assert(op_traits<aten::nonzero>::flags.data_dependent && op_traits<aten::item>::flags.data_dependent);
static_assert(op_traits<aten::_assert_scalar>::flags.effects &&
              op_traits<aten::_assert_scalar>::num_returns == 0);
static_assert(op_traits<aten::__and___Tensor>::arity == 2);
static_assert(op_traits<aten::native_layer_norm>::num_returns == 3);
static_assert(op_traits<aten::index_Tensor>::arg<"indices">.type ==
              es::arg_type{arg_kind::tensor, false, 1, true, -1});
static_assert(op_traits<aten::conv2d>::arg<"stride">.type ==
              es::arg_type{arg_kind::sym_integer, false, 1, false, 2});
static_assert(op_traits<aten::layer_norm>::default_of<"weight">().kind == default_kind::none);
static_assert(op_traits<aten::layer_norm>::default_of<"eps">().floating == 1e-05);
static_assert(op_traits<aten::gelu>::default_of<"approximate">().text == "none");
static_assert(op_traits<aten::max_pool2d>::default_of<"stride">().kind == default_kind::list);
static_assert(op_traits<aten::mse_loss>::default_of<"reduction">().integer == 1);

// A user's operator in one line.
using fused = es::op<"my::fused.out(Tensor a, float b=1.0, *, Tensor(a!) out) -> Tensor(a!)">;
static_assert(es::op_type<fused>);
static_assert(op_traits<fused>::schema.name == "my::fused" && op_traits<fused>::schema.overload == "out");
static_assert(op_traits<fused>::is_mutable && op_traits<fused>::arity == 3 &&
              op_traits<fused>::num_required == 2);
static_assert(op_traits<fused>::default_of<"b">().floating == 1.0);
using plain = es::op<"my::plain(Tensor a) -> Tensor">;
static_assert(std::string_view(plain::overload_name).empty() && op_traits<plain>::flags.pure());
using sink = es::op<"my::sink(Tensor a) -> ()">;
static_assert(op_traits<sink>::flags.effects && !op_traits<sink>::flags.pure());
using nothing = es::op<"my::nothing() -> Tensor">;
static_assert(op_traits<nothing>::arity == 0 && op_traits<nothing>::schema.args.empty());
// The same operator as one of the table: its index is found by a search in constant evaluation.
using relu = es::op<"aten::relu(Tensor self) -> Tensor">;
static_assert(es::id_of<relu>() == es::id_of<aten::relu>());

// A user's struct, as LibTorch writes them.
struct scaled {
  static constexpr const char* name = "my::scaled";
  static constexpr const char* overload_name = "Scalar";
  static constexpr const char* schema_str = "scaled.Scalar(Tensor x, Scalar by=2) -> (Tensor y, Tensor z)";
};
static_assert(op_traits<scaled>::num_returns == 2 && op_traits<scaled>::schema.returns[1].name == "z");

} // namespace

TEST_CASE("an operator's target is printed from its schema") {
  CHECK(es::target_of(add::schema) == "aten.add.Tensor");
  CHECK(es::target_of(op_traits<aten::relu>::schema) == "aten.relu.default");
  CHECK(es::target_of(op_traits<fused>::schema) == "my.fused.out");
}

TEST_CASE("a user's operators get ids, names, schemas and flags like ATen's") {
  const es::op_id a = es::id_of<fused>(), b = es::id_of<scaled>();
  CHECK(a != b);
  CHECK(a == es::id_of<fused>());
  CHECK(es::name_of(a) == "my::fused.out");
  CHECK(es::name_of(b) == "my::scaled.Scalar");
  REQUIRE(es::schema_of(b) != nullptr);
  CHECK(es::schema_of(b)->args[1].default_text == "2");
  CHECK(es::flags_of(a) == op_traits<fused>::flags);
  CHECK(es::flags_of(b) == op_traits<scaled>::flags);
  CHECK(es::find_op("my::fused.out") == a);
}

TEST_CASE("a name that is known with another schema is refused when its type is first used") {
  es::intern_op("my::clash", "clash(Tensor a) -> Tensor");
  using clash = es::op<"my::clash(Tensor a, Tensor b) -> Tensor">;
  CHECK_THROWS_AS(es::id_of<clash>(), es::error);
}
