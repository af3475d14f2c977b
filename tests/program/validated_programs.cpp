// SPDX-License-Identifier: BSL-1.0
// Numeric validation of programs through passes that change what their graphs take and give: element types,
// state that is written in place, parts of a graph.
#include <espalier/passes/convert_dtype.hpp>
#include <espalier/passes/device_move.hpp>
#include <espalier/passes/unlift.hpp>
#include <espalier/pipeline/combinators.hpp>
#include <espalier/program/pipeline_unit.hpp>
#include <espalier/program/validate.hpp>
#include <espalier/schema/aten.hpp>

#include <ATen/ATen.h>

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace es = espalier;
namespace aten = es::aten;

namespace {

using program_type = es::exported_program<es::training_ir>;

constexpr es::assume<es::property::functional> functional;

/// Counts its calls in a buffer, and gives `relu(x @ w) + count`.
program_type counting() {
  const es::value_meta square(es::make_meta(es::scalar_type::f32, {4, 4}));
  es::graph<es::training_ir> g;
  const auto w = g.placeholder<es::input_kind::parameter>("p_w", square);
  const auto count = g.placeholder<es::input_kind::buffer>("b_count", square);
  const auto x = g.placeholder("x", square);
  const auto more = g.call<aten::add_Scalar>(count, 1), y = g.call<aten::relu>(g.call<aten::mm>(x, w));
  const auto sum = g.call<aten::add_Tensor>(y, more);
  g.output(more, sum);
  es::assign_names(g);
  es::program_info info;
  info.verifier = "TRAINING";
  const auto input = [&](es::input_kind kind, std::string target, std::string name) {
    auto& s = info.signature.inputs.emplace_back();
    s.kind = kind;
    s.target = std::move(target);
    s.arg.name = std::move(name);
  };
  input(es::input_kind::parameter, "w", "p_w");
  input(es::input_kind::buffer, "count", "b_count");
  info.signature.inputs.back().persistent = true;
  input(es::input_kind::user_input, "", "x");
  info.signature.outputs.resize(2);
  info.signature.outputs[0].kind = es::output_kind::buffer_mutation;
  info.signature.outputs[0].target = "count";
  info.signature.outputs[0].arg.name = more.name();
  info.signature.outputs[1].arg.name = sum.name();
  program_type p(std::move(g), std::move(info));
  at::manual_seed(3);
  p.state_dict().set("w", at::randn({4, 4}), true);
  p.state_dict().set("count", at::ones({4, 4}), false);
  return p;
}
std::vector<c10::IValue> inputs() {
  at::manual_seed(5);
  return {at::randn({4, 4})};
}

/// Puts another number where a pass finds `from`.
template <int From, int To>
struct put : es::pass {
  static constexpr std::string_view name = "put";
  es::pass_result run(es::graph_storage& g) const {
    es::pass_result done;
    for (es::node n : es::nodes(g))
      if (n.is_call(es::id_of<aten::add_Scalar>()) && n.arg(1).as_int() == From) {
        g.set_arg(n.id(), 1, To);
        ++done.rewritten;
      }
    return done;
  }
};
/// Adds a little to what goes into `relu`: less than a small type can tell.
struct nudge : es::pass {
  static constexpr std::string_view name = "nudge";
  es::pass_result run(es::graph_storage& g) const {
    for (es::node n : es::nodes(g))
      if (n.is_call(es::id_of<aten::relu>())) {
        const es::argument a[] = {n.arg(0).as_value().id(), 0.01};
        g.set_insertion_point({n.id()});
        const es::node_id more = g.call(es::id_of<aten::add_Scalar>(), a, 1);
        g.set_meta(g.result(more), g.meta(n.arg(0).as_value().id()));
        g.set_arg(n.id(), 0, g.result(more));
        return {.rewritten = 1};
      }
    return {};
  }
};
struct drop_writes : es::pass {
  static constexpr std::string_view name = "drop_writes";
  es::pass_result run(es::graph_storage& g) const {
    es::pass_result done;
    for (es::node n : es::nodes(g))
      if (n.is_call(es::id_of<aten::copy_>())) {
        g.replace_all_uses(n.result().id(), n.arg(0).as_value().id());
        g.erase(n);
        ++done.erased;
      }
    return done;
  }
};

/// The rows of a run that must go well.
template <class P>
es::vector<es::numeric_validation::row> rows_of(const P& pipeline, program_type p = counting()) {
  es::numeric_validation check(p, inputs());
  const at::Tensor before = p.state_dict().find("count")->clone();
  pipeline.run(p, check);
  CHECK(at::equal(p.state_dict().find("count")->to(before.scalar_type()), before)); // runs worked on copies
  return check.rows();
}
template <class P>
std::string refused(const P& pipeline) {
  auto p = counting();
  es::numeric_validation check(p, inputs());
  try {
    pipeline.run(p, check);
  } catch (const es::error& e) {
    CHECK(!e.cure().empty());
    return e.cause();
  }
  return "accepted";
}

} // namespace

TEST_CASE("a change of the element type is judged by the coarser type") {
  const auto half = rows_of(functional | es::convert_dtype(es::scalar_type::f32, es::scalar_type::f16));
  REQUIRE(half.size() == 1);
  CHECK(half[0].gap > 0);
  CHECK(half[0].gap <= 1);
  const auto wide = rows_of(functional | es::convert_dtype(es::scalar_type::f32, es::scalar_type::f64) |
                            functional | es::convert_dtype(es::scalar_type::f64, es::scalar_type::bf16));
  REQUIRE(wide.size() == 2);
  CHECK(wide[1].gap <= 1);
}

TEST_CASE("what a later pass does is judged by the types that it got") {
  const auto wide = functional | es::convert_dtype(es::scalar_type::f32, es::scalar_type::f64);
  CHECK(refused(wide | nudge{}).starts_with("the pass changes the results: output 0 is "));
  CHECK(refused(es::pipeline{nudge{}}).starts_with("the pass changes the results: output 0 is "));
  // a number that is wrong shows beside what the small type rounds
  const auto half = functional | es::convert_dtype(es::scalar_type::f32, es::scalar_type::f16);
  CHECK(refused(half | put<1, 2>{}).starts_with("the pass changes the results: "));
}

TEST_CASE("unlifting: state is compared where it is written") {
  const auto rows = rows_of(es::pipeline{es::unlift{}});
  REQUIRE(rows.size() == 1);
  CHECK(rows[0].gap == 0);
  const auto more =
      rows_of(es::unlift{} | functional | es::convert_dtype(es::scalar_type::f32, es::scalar_type::f16));
  CHECK(more.back().gap <= 1);
  CHECK(refused(es::unlift{} | put<1, 3>{}).find("the pass changes the results: ") == 0);
  CHECK(refused(es::unlift{} | drop_writes{}).starts_with("the pass changes the results: state 'count' is "));
}

TEST_CASE("a device without numbers is refused") {
  CHECK(refused(es::pipeline{es::device_move(*es::parse_device("meta"))})
            .find(" is on the device meta, which holds no numbers") != std::string::npos);
}
