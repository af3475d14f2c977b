// SPDX-License-Identifier: BSL-1.0
// Integer expressions of ranges and guards, and the messages of the input check.
#include <espalier/program/input_check.hpp>

#include <ATen/ATen.h>

#include <doctest/doctest.h>

#include <cstdint>
#include <limits>
#include <optional>
#include <string>

namespace es = espalier;
using es::detail::bindings;
using es::detail::int_expr;
using es::detail::variable_table;

namespace {
std::optional<std::int64_t> evaluate(std::string_view text, std::int64_t a = 0, std::int64_t b = 0) {
  variable_table v;
  v.slot("a");
  v.slot("b");
  const auto e = int_expr::compile(text, v);
  if (!e)
    return std::nullopt;
  bindings x(v.size());
  x[0] = a;
  x[1] = b;
  return e->evaluate(x);
}
es::value_meta tensor(std::vector<const char*> sizes) {
  es::sym_ints s;
  for (const char* x : sizes)
    s.push_back(x[0] >= '0' && x[0] <= '9' && std::string(x).find('*') == std::string::npos
                    ? es::sym_int(std::atoi(x))
                    : es::sym_int(es::parse_expr(x)));
  return es::value_meta(es::make_meta(es::scalar_type::f32, s));
}
} // namespace

TEST_CASE("expressions") {
  CHECK(evaluate("1 + 2*3") == 7);
  CHECK(evaluate("(1 + 2)*3 - -a", 4) == 13);
  CHECK(evaluate("2**3**2") == 512);
  CHECK(evaluate("-2**2") == -4);
  CHECK(evaluate("a//b", -7, 2) == -4);
  CHECK(evaluate("Mod(a, b) == 1 and not a < b", 7, 2) == 1);
  CHECK(evaluate("Max(a, b, 5) + Min(3, 4)", 1, 2) == 8);
  CHECK(evaluate("FloorDiv(a, 2)", 9) == 4);
  CHECK(evaluate("a / b", 9, 2) == std::nullopt);
  CHECK(evaluate("a // b", 9, 0) == std::nullopt);
  CHECK(evaluate("a*a*a*a", 1ll << 40) == std::nullopt);
  CHECK(evaluate("a + ") == std::nullopt);
  CHECK(evaluate("sin(a)") == std::nullopt);
  CHECK(evaluate("1.5*a") == std::nullopt);
  CHECK(evaluate("unbound + 1") == std::nullopt);
  CHECK(evaluate(std::string(10000, '(') + "1" + std::string(10000, ')')) == std::nullopt);
  CHECK(evaluate(std::string(10000, '-') + "1") == std::nullopt);
  variable_table v;
  CHECK(int_expr::compile("L['x'].size()[0] % 2 == 0 or L['d']['k or'][1].stride()[1] != 3", v));
  REQUIRE(v.size() == 2);
  CHECK(v.name(1) == "L['d']['k or'][1].stride()[1]");
}

TEST_CASE("arithmetic at the limits is exact, or gives nothing") {
  constexpr std::int64_t least = std::numeric_limits<std::int64_t>::min(),
                         most = std::numeric_limits<std::int64_t>::max();
  for (const char* text : {"-a", "abs(a)", "a // b", "a - 1", "a * b"}) {
    CAPTURE(text);
    CHECK(!evaluate(text, least, -1));
  }
  CHECK(evaluate("a % b", least, -1) == 0);
  CHECK(evaluate("a % b", least, 3) == 1);
  CHECK(evaluate("a // b", least, 3) == least / 3 - 1);
  CHECK(evaluate("a ** b", -1, most) == -1);
  CHECK(evaluate("a ** b", 1, most) == 1);
  CHECK(!evaluate("a ** b", 2, most));
}

TEST_CASE("one unknown in a linear expression is solved") {
  variable_table v;
  const auto e = int_expr::compile("2*a + 1", v);
  bindings x(1);
  CHECK(e->solve(x, 9));
  CHECK(x[0] == 4);
  x[0].reset();
  CHECK(!e->solve(x, 8));
  CHECK(!x[0]);
  CHECK(!int_expr::compile("-3*a", v)->solve(x, std::numeric_limits<std::int64_t>::max() - 1));
  CHECK(!x[0]);
}

TEST_CASE("messages name the input, the dimension, what was expected and what was found") {
  es::graph_storage g;
  es::program_info info;
  const auto add = [&](const char* name, es::value_meta m) {
    g.placeholder(es::input_kind::user_input, name, g.intern_meta(m));
    es::input_spec s;
    s.arg.name = name;
    info.signature.inputs.push_back(s);
  };
  add("x", tensor({"s0", "3"}));
  add("y", tensor({"s0", "2*s0"}));
  add("z", tensor({"s0 + 1"}));
  add("w", tensor({"2*s9"}));
  info.ranges.push_back({"s0", 2, 8});
  es::module_call_entry root;
  root.signature.emplace();
  root.signature->in_spec =
      es::tree_spec::tuple({es::tree_spec::tuple(es::vector<es::tree_spec>(4)), es::tree_spec::dict({}, {})});
  root.signature->forward_arg_names = std::vector<std::string>{"x", "y", "z", "w"};
  info.module_calls.push_back(root);
  info.guards_code = {"L['x'].size()[0] % 2 == 0", "hasattr(L['x'], 'q')"};
  const es::input_check check(g, info);
  CHECK(check.unchecked_guards().size() == 1);
  const auto what = [&](at::IntArrayRef x, at::IntArrayRef y, at::IntArrayRef z,
                        at::IntArrayRef w) -> std::string {
    const std::vector<c10::IValue> in{at::zeros(x), at::zeros(y), at::zeros(z), at::zeros(w)};
    try {
      check.check(in);
    } catch (const es::error& e) {
      CHECK(e.kind() == es::error_kind::constraint);
      return e.what();
    }
    return "";
  };
  const auto has = [](const std::string& s, std::string_view part) {
    CAPTURE(s);
    CHECK(s.find(part) != s.npos);
  };
  CHECK(what({4, 3}, {4, 8}, {5}, {6}).empty());
  has(what({4, 2}, {4, 8}, {5}, {6}), "dimension 1 of 'x' is 2, but the program was exported for 3");
  has(what({4, 3}, {6, 8}, {5}, {6}),
      "dimension 0 of 'y' is 6, but must equal dimension 0 of 'x', which is 4");
  has(what({4, 3}, {4, 9}, {5}, {6}), "dimension 1 of 'y' is 9, but must be 2*s0, which is 8 for s0 = 4");
  has(what({4, 3}, {4, 8}, {4}, {6}), "dimension 0 of 'z' is 4");
  has(what({4, 3}, {4, 8}, {5}, {7}), "dimension 0 of 'w' is 7, but must be of the form 2*s9");
  has(what({10, 3}, {10, 20}, {11}, {6}), "dimension 0 of 'x' is 10, but must be between 2 and 8");
  has(what({3, 3}, {3, 6}, {4}, {6}), "guard failed: L['x'].size()[0] % 2 == 0 (L['x'].size()[0] = 3)");
  const auto symbols = check.symbols(
      std::vector<c10::IValue>{at::zeros({4, 3}), at::zeros({4, 8}), at::zeros({5}), at::zeros({6})});
  CHECK(symbols.size() == 2);
}
