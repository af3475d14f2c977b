// SPDX-License-Identifier: BSL-1.0
// The schema grammar, in constant evaluation and at run time, over every schema of the generated table.
#include <espalier/schema/aten_table.hpp>
#include <espalier/schema/default_value.hpp>
#include <espalier/schema/parse.hpp>
#include <espalier/schema/registry.hpp>

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <cstdlib>
#include <set>
#include <string>

namespace es = espalier;
using es::arg_kind;
using es::default_kind;
using es::schema_fault;
using namespace std::string_view_literals;

namespace {

/// A schema of at most eight arguments, parsed in constant evaluation.
struct small_schema {
  es::schema_arg args[8];
  es::schema_return returns[8];
  es::detail::schema_counts counts;
};
consteval small_schema small(std::string_view text) {
  small_schema s{};
  s.counts = es::detail::schema_parser(text, s.args, s.returns).parse();
  return s;
}
constexpr es::detail::schema_counts parse(std::string_view text) {
  return es::detail::schema_parser(text, nullptr, nullptr).parse();
}

// names
static_assert(small("add.Tensor(Tensor self) -> Tensor").counts.name == "add");
static_assert(small("add.Tensor(Tensor self) -> Tensor").counts.overload == "Tensor");
static_assert(small("aten::relu(Tensor self) -> Tensor").counts.name == "aten::relu");
static_assert(small("aten::relu(Tensor self) -> Tensor").counts.overload.empty());
static_assert(small("a.b::f.out(Tensor self) -> Tensor").counts.name ==
              "a.b::f"); // a dot before `::` is the namespace's
static_assert(small("a.b::f.out(Tensor self) -> Tensor").counts.overload == "out");

// types
constexpr small_schema types =
    small("f(Tensor(a!)? a, Tensor?[] b, SymInt[2]? c, Scalar[] d, t[] e, __torch__.torch.classes.x.Y f, "
          "Dict(str, int)(b!) g, int[][] h) -> ()");
static_assert(types.counts.args == 8 && types.counts.returns == 0 &&
              types.counts.fault == schema_fault::none);
static_assert(types.args[0].type == es::arg_type{arg_kind::tensor, true, 0, false, -1});
static_assert(types.args[0].alias == 'a' && types.args[0].is_write);
static_assert(types.args[1].type == es::arg_type{arg_kind::tensor, false, 1, true, -1});
static_assert(types.args[2].type == es::arg_type{arg_kind::sym_integer, true, 1, false, 2});
static_assert(types.args[3].type == es::arg_type{arg_kind::scalar, false, 1, false, -1});
static_assert(types.args[4].type == es::arg_type{arg_kind::other, false, 1, false, -1});
static_assert(types.args[5].type.kind == arg_kind::other && types.args[5].name == "f");
static_assert(types.args[6].alias == 'b' && types.args[6].is_write && types.args[6].name == "g");
static_assert(types.args[7].type.list_depth == 2);

constexpr small_schema views = small("f(Tensor(a -> *) a, Tensor(b)[] b, Tensor(c! -> d|e) c, (Tensor, int) "
                                     "d) -> (Tensor(a) x, Tensor(b)[], ...)");
static_assert(views.counts.fault == schema_fault::none && views.counts.args == 4 &&
              views.counts.returns == 2);
static_assert(views.args[0].alias == 'a' && !views.args[0].is_write);
static_assert(views.args[1].alias == 'b' && views.args[1].type.list_depth == 1);
static_assert(views.args[2].alias == 'c' && views.args[2].is_write);
static_assert(views.args[3].type.kind == arg_kind::other);
static_assert(views.returns[0].name == "x" && views.returns[0].alias == 'a');
static_assert(views.returns[1].name.empty() && views.returns[1].type.list_depth == 1);

arg_kind kind_of(std::string_view type) {
  es::schema_arg a[1];
  const std::string text = "f(" + std::string(type) + " x) -> ()";
  return es::detail::schema_parser(text, a, nullptr).parse().fault == schema_fault::none ? a[0].type.kind
                                                                                         : arg_kind::other;
}

// keyword-only arguments and defaults as written
constexpr small_schema keywords =
    small("f(int a, *, float b=1e-05, str c=\"a, (b\", int[2] d=[0, 1], bool e = True) -> Tensor");
static_assert(keywords.counts.args == 5 && !keywords.args[0].kwarg_only && keywords.args[1].kwarg_only);
static_assert(!keywords.args[0].has_default && keywords.args[1].default_text == "1e-05");
static_assert(keywords.args[2].default_text == "\"a, (b\"" && keywords.args[3].default_text == "[0, 1]");
static_assert(keywords.args[4].default_text == "True");

// faults and where they are
constexpr bool fault(std::string_view text, schema_fault f, std::size_t at) {
  const auto c = parse(text);
  return c.fault == f && c.at == at;
}
static_assert(fault("", schema_fault::no_arguments, 0));
static_assert(fault("add", schema_fault::no_arguments, 3));
static_assert(fault("(Tensor a) -> Tensor", schema_fault::no_name, 0));
static_assert(fault("aten::(Tensor a) -> Tensor", schema_fault::no_name, 0));
static_assert(fault("f.(Tensor a) -> Tensor", schema_fault::no_name, 2));
static_assert(fault("f g(Tensor a) -> Tensor", schema_fault::no_name, 0));
static_assert(fault("f(, Tensor a) -> Tensor", schema_fault::bad_type, 2));
static_assert(fault("f(2 a) -> Tensor", schema_fault::bad_type, 3));
static_assert(fault("f((Tensor a -> Tensor", schema_fault::bad_type, 2));
static_assert(fault("f(Tensor(!) a) -> Tensor", schema_fault::bad_alias, 8));
static_assert(fault("f(Tensor(a", schema_fault::bad_alias, 8));
static_assert(fault("f(int[2 a) -> Tensor", schema_fault::bad_list, 5));
static_assert(fault("f(int[99999] a) -> Tensor", schema_fault::bad_list, 5));
static_assert(fault("f(Tensor) -> Tensor", schema_fault::no_arg_name, 8));
static_assert(fault("f(int a=) -> Tensor", schema_fault::bad_default, 8));
static_assert(fault("f(str a=\"x) -> Tensor", schema_fault::bad_default, 8));
static_assert(fault("f(int a int b) -> Tensor", schema_fault::bad_separator, 8));
static_assert(fault("f(int a", schema_fault::bad_separator, 7));
static_assert(fault("f(int a)", schema_fault::no_arrow, 8));
static_assert(fault("f(int a) ->", schema_fault::bad_type, 11));
static_assert(fault("f(int a) -> Tensor, Tensor", schema_fault::trailing_text, 18));
static_assert(small("f(int a, int a) -> Tensor").counts.fault == schema_fault::same_name);
static_assert(small("f(int a, int a) -> Tensor").counts.at == 13);

// defaults as values
constexpr es::default_value value(std::string_view text) {
  es::schema_arg a;
  a.has_default = true;
  a.default_text = text;
  return es::parse_default(a);
}
static_assert(value("None").kind == default_kind::none);
static_assert(value("True").kind == default_kind::boolean && value("True").boolean &&
              !value("False").boolean);
static_assert(value("-100").integer == -100 && value("9223372036854775807").integer == 9223372036854775807);
static_assert(value("1e-05").floating == 1e-05 && value("0.5").floating == 0.5 &&
              value("1.").floating == 1.0);
static_assert(value("1.0000000000000001e-05").kind == default_kind::floating);
static_assert(value("inf").floating == __builtin_inf() && value("-inf").floating == -__builtin_inf());
static_assert(value("\"mean\"").kind == default_kind::string && value("\"mean\"").text == "mean");
static_assert(value("contiguous_format").kind == default_kind::word);
static_assert(value("Mean").integer == 1 && value("Sum").integer == 2);
static_assert(value("[]").kind == default_kind::list && value("[]").items.empty());
static_assert(value("[0, -1]").items.size() == 2 && value("[0,-1]").items[1].integer == -1);
static_assert(value("[True, False]").items[0].boolean && value("[1.5]").items[0].floating == 1.5);
static_assert(value("9223372036854775808").kind == default_kind::unreadable);
static_assert(value("1e999").kind == default_kind::unreadable &&
              value("1e").kind == default_kind::unreadable);
static_assert(value("[1, ?]").kind == default_kind::unreadable);
static_assert(es::parse_default(es::schema_arg{}).kind == default_kind::none);

} // namespace

TEST_CASE("every kind of argument has its word") {
  CHECK(kind_of("Tensor") == arg_kind::tensor);
  CHECK(kind_of("Scalar") == arg_kind::scalar);
  CHECK(kind_of("number") == arg_kind::scalar);
  CHECK(kind_of("int") == arg_kind::integer);
  CHECK(kind_of("SymInt") == arg_kind::sym_integer);
  CHECK(kind_of("float") == arg_kind::floating);
  CHECK(kind_of("bool") == arg_kind::boolean);
  CHECK(kind_of("complex") == arg_kind::complex);
  CHECK(kind_of("str") == arg_kind::string);
  CHECK(kind_of("ScalarType") == arg_kind::scalar_type);
  CHECK(kind_of("Layout") == arg_kind::layout);
  CHECK(kind_of("Device") == arg_kind::device);
  CHECK(kind_of("MemoryFormat") == arg_kind::memory_format);
  CHECK(kind_of("Generator") == arg_kind::generator);
  CHECK(kind_of("Dimname") == arg_kind::dimname);
  CHECK(kind_of("Storage") == arg_kind::storage);
  CHECK(kind_of("Stream") == arg_kind::stream);
  CHECK(kind_of("QScheme") == arg_kind::qscheme);
  CHECK(kind_of("SymBool") == arg_kind::sym_bool);
  CHECK(kind_of("SymFloat") == arg_kind::sym_float);
  CHECK(kind_of("Any") == arg_kind::other);
}

TEST_CASE("every schema of the table parses, with readable defaults and distinct argument names") {
  std::size_t parsed = 0, floats = 0;
  for (auto& row : es::detail::aten_rows) {
    if (!(row.flags & es::detail::flag_bits::known_schema))
      continue;
    INFO(row.schema);
    const es::owned_schema s{std::string(row.schema)};
    ++parsed;
    std::string name(s.schema().name);
    if (!s.schema().overload.empty())
      name += "." + std::string(s.schema().overload);
    CHECK(name == std::string_view(row.schema, row.name_size));
    for (auto& a : s.schema().args) {
      const auto v = es::parse_default(a);
      CHECK(v.kind != default_kind::unreadable);
      if (v.kind == default_kind::floating) {
        ++floats;
        CHECK(v.floating == std::strtod(std::string(a.default_text).c_str(), nullptr));
      }
    }
    // what the generator read from the dispatcher agrees with what the string says
    const auto flags = es::detail::unpack_flags(row.flags);
    const auto ours = es::detail::flags_of_schema(s.schema().args, s.schema().returns);
    CHECK(flags.mutates == ours.mutates);
    CHECK(flags.view == ours.view);
  }
  CHECK(parsed > 4000);
  CHECK(floats > 50);
}

TEST_CASE("a malformed schema is refused with its place and a cure") {
  try {
    es::owned_schema s(std::string("f(Tensor a, int[2 b) -> Tensor"));
    FAIL("parsed");
  } catch (const es::error& e) {
    CHECK(e.kind() == es::error_kind::usage);
    CHECK(e.cause().find("int[2 b") != std::string::npos);
    CHECK(e.cause().find("[2]") != std::string::npos);
    CHECK(e.place() == "offset 15");
    CHECK(e.cure().find("native_functions.yaml") != std::string::npos);
  }
}

TEST_CASE(
    "no damaged schema makes the parser read outside its text, and counts agree between its two passes") {
  rc::check([] {
    const auto n = sizeof(es::detail::aten_rows) / sizeof(es::detail::aten_rows[0]);
    std::string text = es::detail::aten_rows[*rc::gen::inRange<std::size_t>(0, n)].schema;
    const auto edits = *rc::gen::inRange(0, 4);
    for (int i = 0; i != edits && !text.empty(); ++i) {
      const auto at = *rc::gen::inRange<std::size_t>(0, text.size());
      switch (*rc::gen::inRange(0, 3)) {
      case 0:
        text.erase(at, 1);
        break;
      case 1:
        text.insert(at, 1, *rc::gen::elementOf("()[]*!,.=\"?->a1 "sv));
        break;
      default:
        text.resize(at);
      }
    }
    const auto first = parse(text);
    RC_ASSERT(first.at <= text.size());
    es::vector<es::schema_arg> args(first.args + 1);
    es::vector<es::schema_return> returns(first.returns + 1);
    const auto second = es::detail::schema_parser(text, args.data(), returns.data()).parse();
    if (first.fault == schema_fault::none && second.fault == schema_fault::none) {
      RC_ASSERT(first.args == second.args);
      RC_ASSERT(first.returns == second.returns);
    } else {
      RC_ASSERT(second.fault == first.fault || second.fault == schema_fault::same_name);
    }
  });
}

TEST_CASE("numbers read in constant evaluation are those of strtod") {
  rc::check([](std::int32_t mantissa) {
    const int exponent = *rc::gen::inRange(-20, 20);
    const std::string text = std::to_string(mantissa) + "e" + std::to_string(exponent);
    RC_ASSERT(value(text).floating == std::strtod(text.c_str(), nullptr));
  });
}
