// SPDX-License-Identifier: BSL-1.0
// Builtins on sizes, higher-order operators, and the targets by which archives name operators.
#include <espalier/schema/aten.hpp>
#include <espalier/schema/builtin.hpp>

#include <doctest/doctest.h>

#include <string>

namespace es = espalier;

namespace {

/// The type of a builtin and the row of the generated table say the same.
template <class... Ops>
void same_as_table() {
  (
      [] {
        const auto id = es::id_of<Ops>();
        INFO(es::name_of(id));
        CHECK(id.index < es::detail::num_aten_ops);
        CHECK(std::string_view(Ops::schema_str) == es::detail::aten_rows[id.index].schema);
        CHECK(es::flags_of(id).core);
        CHECK(es::flags_of(id).pure());
        const auto target = es::serialized_target(id);
        CHECK(target == es::target_of(id));
        CHECK(es::op_of_target(target) == id);
      }(),
      ...);
}

static_assert(es::id_of<es::builtin::add>().valid());
static_assert(es::op_traits<es::builtin::sym_ite>::arity == 3);

} // namespace

TEST_CASE("every builtin is listed with the schema of its type") {
  using namespace es::builtin;
  same_as_table<add, sub, mul, truediv, floordiv, mod, es::builtin::pow, neg, pos, es::builtin::abs, lshift,
                rshift>();
  same_as_table<eq, ne, lt, le, gt, ge, and_, or_, not_, getitem>();
  same_as_table<es::builtin::ceil, es::builtin::floor, es::builtin::trunc, es::builtin::round>();
  same_as_table<sym_int, sym_float, sym_ite, sym_max, sym_min, sym_not, sym_sqrt, sym_sum>();
}

TEST_CASE("targets of the dispatcher's operators go both ways") {
  const auto add = es::op_of_target("torch.ops.aten.add.Tensor");
  CHECK(add == es::id_of<es::aten::add_Tensor>());
  CHECK(es::serialized_target(add) == "torch.ops.aten.add.Tensor");
  CHECK(es::target_of(add) == "aten.add.Tensor");
  const auto relu = es::op_of_target("torch.ops.aten.relu.default");
  CHECK(relu == es::id_of<es::aten::relu>());
  CHECK(es::serialized_target(relu) == "torch.ops.aten.relu.default");
  const auto mine = es::op_of_target("torch.ops.my_ns.my_op.default");
  CHECK(es::name_of(mine) == "my_ns::my_op");
  CHECK(es::schema_of(mine) == nullptr);
  CHECK(es::serialized_target(mine) == "torch.ops.my_ns.my_op.default");
  CHECK(es::flags_of(es::op_of_target("torch.ops.prims.convert_element_type.default")).known_schema);
}

TEST_CASE("the table's operators keep their identity through both forms of target") {
  for (std::uint32_t i = 0; i != es::detail::num_aten_ops; ++i) {
    const es::op_id id{i};
    const auto target = es::serialized_target(id);
    INFO(target);
    CHECK(es::op_of_target(target) == id);
  }
}

TEST_CASE("higher-order operators have no schema and no overload") {
  for (const char* name :
       {"cond", "while_loop", "wrap_with_set_grad_enabled", "wrap_with_autocast", "map_impl", "scan",
        "auto_functionalized", "auto_functionalized_v2", "with_effects", "invoke_subgraph"}) {
    const auto id = es::op_of_target("torch.ops.higher_order." + std::string(name));
    CHECK(id == es::higher_order_op(name));
    CHECK(id.index < es::detail::num_aten_ops);
    CHECK(es::flags_of(id).higher_order);
    CHECK_FALSE(es::flags_of(id).pure());
    CHECK(es::schema_of(id) == nullptr);
    CHECK(es::serialized_target(id) == "torch.ops.higher_order." + std::string(name));
    CHECK(es::target_of(id) == "higher_order." + std::string(name));
  }
  CHECK(es::flags_of(es::op_of_target("torch.ops.higher_order.of_tomorrow")).higher_order);
}

TEST_CASE("Python functions that are not listed are made known, without a schema") {
  const auto id = es::op_of_target("torch._C._set_grad_enabled");
  CHECK(es::serialized_target(id) == "torch._C._set_grad_enabled");
  CHECK(es::op_of_target("torch._C._set_grad_enabled") == id);
  CHECK_FALSE(es::flags_of(id).known_schema);
}

TEST_CASE("what cannot be a target is refused") {
  for (const char* bad : {"", "add", ".add", "math.", "torch.ops.", "torch.ops.aten", "torch.ops.aten.",
                          "torch.ops..add", "torch.ops.higher_order."}) {
    INFO(bad);
    CHECK_THROWS_AS(es::op_of_target(bad), es::error);
  }
}
