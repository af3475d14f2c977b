// SPDX-License-Identifier: BSL-1.0
// What a program writes to its state and its inputs it writes all at once: swaps and cycles, views of what is
// written, by a call of the program, unlifted, and lifted again.
#include <espalier/ir/infer.hpp>
#include <espalier/passes/unlift.hpp>
#include <espalier/program/exported_program.hpp>
#include <espalier/program/lift_attributes.hpp>
#include <espalier/schema/aten.hpp>

#include <ATen/ATen.h>

#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

namespace es = espalier;

namespace {

using program = es::exported_program<es::training_ir>;

/// A program over the buffers a, b and c and the inputs x and y, all of [2, 2]. `writes` gets the five values
/// in that order and tells what is written, and to which of the five.
template <class F>
program make(F&& writes) {
  constexpr const char* names[] = {"b_a", "b_b", "b_c", "x", "y"};
  constexpr const char* targets[] = {"a", "b", "c", "", ""};
  es::graph<es::training_ir> g;
  es::program_info info;
  info.verifier = es::training_ir::verifier;
  es::vector<es::value> values;
  const es::value_meta meta(es::make_meta(es::scalar_type::f32, {2, 2}));
  for (std::size_t i = 0; i != 5; ++i) {
    const bool user = i > 2;
    values.push_back(user ? g.placeholder<es::input_kind::user_input>(names[i], meta)
                          : g.placeholder<es::input_kind::buffer>(names[i], meta));
    es::input_spec s;
    s.kind = user ? es::input_kind::user_input : es::input_kind::buffer;
    s.arg.name = names[i];
    s.target = targets[i];
    info.signature.inputs.push_back(s);
  }
  es::vector<es::argument> out;
  for (const auto& [to, from] : std::vector<std::pair<std::size_t, es::value>>(writes(g, values))) {
    es::output_spec s;
    s.kind = to > 2 ? es::output_kind::user_input_mutation : es::output_kind::buffer_mutation;
    s.target = to > 2 ? names[to] : targets[to];
    info.signature.outputs.push_back(s);
    out.push_back(from);
  }
  g.storage().output(out);
  for (es::node n : es::nodes(g))
    if (n.is_call())
      es::infer_metas(g, n.id());
  es::refresh_signature(g.storage(), info);
  es::module_call_entry root;
  root.signature.emplace();
  root.signature->in_spec =
      es::tree_spec::tuple({es::tree_spec::tuple(es::vector<es::tree_spec>(2)), es::tree_spec::dict({}, {})});
  root.signature->out_spec = es::tree_spec::tuple({});
  info.module_calls.push_back(root);
  program p(std::move(g), std::move(info));
  for (int i = 0; i != 3; ++i)
    p.state_dict().set(targets[i], at::arange(4 * i, 4 * i + 4, at::kFloat).view({2, 2}), false);
  return p;
}
at::Tensor number(int i) { return at::arange(4 * i, 4 * i + 4, at::kFloat).view({2, 2}); }

/// Runs it as it is, unlifted, and lifted again: what a, b, c, x and y are afterwards, each time.
template <class F>
void check(F&& writes, const std::vector<at::Tensor>& want) {
  for (const std::string way : {"as it is", "unlifted", "lifted again"}) {
    CAPTURE(way);
    program p = make(writes);
    if (way != "as it is")
      es::unlift::run(p);
    if (way == "lifted again")
      es::lift::run(p);
    p.verify();
    const auto x = number(3), y = number(4);
    CHECK(p({x, y}).empty());
    const auto state = [&](const char* name) {
      return p.state_dict().contains(name) ? p.state_dict().at(name) : p.constants().at(name);
    };
    CHECK(at::equal(state("a"), want[0]));
    CHECK(at::equal(state("b"), want[1]));
    CHECK(at::equal(state("c"), want[2]));
    CHECK(at::equal(x, want[3]));
    CHECK(at::equal(y, want[4]));
  }
}
using writes = std::vector<std::pair<std::size_t, es::value>>;
using values = es::vector<es::value>;

} // namespace

TEST_CASE("two buffers are swapped") {
  check(
      [](auto&, const values& v) {
        return writes{{0, v[1]}, {1, v[0]}};
      },
      {number(1), number(0), number(2), number(3), number(4)});
}
TEST_CASE("three buffers change places, and so do two inputs") {
  check(
      [](auto&, const values& v) {
        return writes{{0, v[1]}, {1, v[2]}, {2, v[0]}, {3, v[4]}, {4, v[3]}};
      },
      {number(1), number(2), number(0), number(4), number(3)});
}
TEST_CASE("between state and inputs, and what is written in no danger") {
  check(
      [](auto& g, const values& v) {
        return writes{{0, v[3]}, {1, g.template call<es::aten::neg>(v[0])}, {3, v[0]}, {4, v[2]}};
      },
      {number(3), -number(0), number(2), number(0), number(2)});
}
TEST_CASE("views of what is written, of the target itself too") {
  check(
      [](auto& g, const values& v) {
        return writes{{0, g.template call<es::aten::t>(v[1])},
                      {1, g.template call<es::aten::t>(v[0])},
                      {2, g.template call<es::aten::t>(v[2])}};
      },
      {number(1).t(), number(0).t(), number(2).t(), number(3), number(4)});
}
