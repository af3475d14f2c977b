// SPDX-License-Identifier: BSL-1.0
#include <espalier/archive/json.hpp>
#include <espalier/archive/schema.hpp>
#include <espalier/archive/schema_json.hpp>

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <bit>
#include <cmath>
#include <limits>
#include <string>

namespace json = espalier::json;
namespace pt2 = espalier::pt2;

namespace {
template <class F>
std::string what(F f) {
  try {
    f();
  } catch (const espalier::error& e) {
    CHECK(e.kind() == espalier::error_kind::archive);
    return e.what();
  }
  return "no error";
}
bool has(const std::string& s, std::string_view part) { return s.find(part) != s.npos; }
std::string repr(double x) {
  std::string s;
  json::writer::append_repr(s, x);
  return s;
}
std::string decoded(std::string_view text) {
  json::reader r(text);
  std::string s;
  r.string(s);
  r.finish();
  return s;
}
std::string encoded(std::string_view s) {
  json::writer w;
  w.string(s);
  return w.text();
}
} // namespace

TEST_CASE("doubles are printed as Python's repr prints them") {
  CHECK(repr(0.1) == "0.1");
  CHECK(repr(1.0) == "1.0");
  CHECK(repr(-0.0) == "-0.0");
  CHECK(repr(1e-5) == "1e-05");
  CHECK(repr(0.0001) == "0.0001");
  CHECK(repr(1e15) == "1000000000000000.0");
  CHECK(repr(1e16) == "1e+16");
  CHECK(repr(123456789.125) == "123456789.125");
  CHECK(repr(1.7976931348623157e308) == "1.7976931348623157e+308");
  CHECK(repr(5e-324) == "5e-324");
}

TEST_CASE("every finite double survives being written and read") {
  CHECK(rc::check("bits in, bits out", [](std::uint64_t bits) {
    auto x = std::bit_cast<double>(bits);
    RC_PRE(std::isfinite(x));
    json::writer w;
    w.number(x);
    json::reader r(w.text());
    RC_ASSERT(std::bit_cast<std::uint64_t>(r.number()) == bits);
  }));
}

TEST_CASE("what is not finite is a word") {
  auto read = [](std::string_view s) {
    json::reader r(s);
    return r.number();
  };
  CHECK(std::isinf(read("\"Infinity\"")));
  CHECK(read("-Infinity") < 0);
  CHECK(std::isnan(read("NaN")));
  CHECK(read("1e999") == std::numeric_limits<double>::infinity());
  CHECK(read("7") == 7.0);
  json::writer w;
  w.number(-std::numeric_limits<double>::infinity());
  CHECK(w.text() == "\"-Infinity\"");
}

TEST_CASE("strings are escaped to ASCII and back") {
  CHECK(encoded("a\"\\\n\t\x01") == R"("a\"\\\n\t\u0001")");
  CHECK(encoded("\xe2\x82\xac") == R"("\u20ac")");
  CHECK(encoded("\xf0\x9f\x8c\xb3") == R"("\ud83c\udf33")");
  CHECK(encoded("\xff") == R"("\udcff")");
  CHECK(decoded(R"("\ud83c\udf33 \u20ac \/")") == "\xf0\x9f\x8c\xb3 \xe2\x82\xac /");
  CHECK(encoded(decoded(R"("\ud800")")) == R"("\ud800")");
  CHECK(decoded("\"\xe2\x82\xac\"") == "\xe2\x82\xac");
  CHECK(rc::check("ASCII strings survive", [](const std::string& s) {
    std::string ascii;
    for (char c : s)
      ascii.push_back(char(c & 0x7f));
    RC_ASSERT(decoded(encoded(ascii)) == ascii);
  }));
}

TEST_CASE("malformed JSON is refused") {
  auto bad = [](std::string_view text) {
    return what([&] {
      json::reader r(text, "here");
      r.raw();
      r.finish();
    });
  };
  for (auto text : {"",
                    "{",
                    "[1,",
                    "[1 2]",
                    "{\"a\" 1}",
                    "{\"a\":1,}",
                    "{a:1}",
                    "tru",
                    "01",
                    "1.",
                    "-",
                    "1e",
                    "\"",
                    "\"\\x\"",
                    "\"\\u12g4\"",
                    "\"\n\"",
                    "\"\xff\"",
                    "\"\xc0\x80\"",
                    "\"\xed\xa0\x80\"",
                    "1 2",
                    "nul"})
    CHECK_MESSAGE(has(bad(text), "here"), text);
  CHECK(bad("[1, {\"a\": [true, null, \"x\", -1.5e3]}]") == "no error");
}

TEST_CASE("nesting has a limit") {
  auto nested = [](int n) { return std::string(std::size_t(n), '[') + std::string(std::size_t(n), ']'); };
  auto read = [&](int n) {
    auto text = nested(n);
    return what([&] {
      json::reader r(text);
      r.raw();
    });
  };
  CHECK(read(json::max_depth) == "no error");
  CHECK(has(read(json::max_depth + 1), "levels deep"));
  CHECK(has(read(1000000), "levels deep"));
}

TEST_CASE("errors name the path") {
  auto e = what([] {
    pt2::from_json<pt2::graph>(R"({"inputs": [], "outputs": [], "nodes": [{"target": "t", "inputs": [
      {"name": "x", "arg": {"as_int": 1.5}}], "outputs": [], "metadata": {}}]})",
                               "m.json");
  });
  CHECK(has(e, "expected an integer, found 1.5"));
  CHECK(has(e, "m.json: nodes[0].inputs[0].arg.as_int"));
}

TEST_CASE("missing, repeated and surplus members") {
  CHECK(has(what([] { pt2::from_json<pt2::complex_value>(R"({"real": 1.0})"); }), "lacks its member 'imag'"));
  CHECK(has(what([] { pt2::from_json<pt2::complex_value>(R"({"real": 1.0, "real": 2.0, "imag": 0.0})"); }),
            "'real' appears twice"));
  CHECK(
      has(what([] { pt2::from_json<pt2::dict<std::int64_t>>(R"({"a": 1, "a": 2})"); }), "'a' appears twice"));
  CHECK(has(what([] { pt2::from_json<pt2::sym_int>("{}"); }), "must have one member"));
  CHECK(has(what([] { pt2::from_json<pt2::sym_int>(R"({"as_int": 1, "as_expr": {"expr_str": "s0"}})"); }),
            "several members"));
  CHECK(has(what([] { pt2::from_json<pt2::sym_int>(R"({"as_int": 99999999999999999999})"); }), "64 bits"));
}

TEST_CASE("unknown members, tags and enumerators survive") {
  std::string text = R"({"name": "x", "future": [1, {"a": null}], "more": "y"})";
  auto t = pt2::from_json<pt2::tensor_argument>(text);
  CHECK(t.extra.size() == 2);
  CHECK(pt2::to_json(t) == text);
  text = R"({"as_quaternion": [1, 2, 3, 4]})";
  auto a = pt2::from_json<pt2::argument>(text);
  CHECK(a.which() == pt2::argument::tag::unknown);
  CHECK(a.tag_name() == "as_quaternion");
  CHECK(pt2::to_json(a) == text);
  text = R"({"as_scalar_type": 99})";
  CHECK(pt2::to_json(pt2::from_json<pt2::argument>(text)) == text);
}

TEST_CASE("each kind of argument survives") {
  for (
      std::string text :
      {R"({"as_none": true})", R"({"as_tensors": [{"name": "a"}, {"name": "b"}]})", R"({"as_ints": [1, -2]})",
       R"({"as_floats": [0.5, "Infinity"]})", R"({"as_strings": ["a", ""]})",
       R"({"as_sym_int": {"as_name": "s"}})", R"({"as_sym_ints": [{"as_name": "s"}, {"as_int": 2}]})",
       R"({"as_device": {"type": "cuda", "index": 1}})", R"({"as_bools": [true, false]})",
       R"({"as_optional_tensors": [{"as_tensor": {"name": "a"}}, {"as_none": true}]})",
       R"({"as_custom_obj": {"name": "o", "class_fqn": "c"}})",
       R"({"as_complex": {"real": 1.0, "imag": -1.0}})", R"({"as_nested_tensors": [[{"name": "a"}], []]})",
       R"({"as_int_lists": [[1], []]})",
       R"({"as_string_to_argument": {"k": {"as_int": 1}, "l": {"as_string_to_argument": {}}}})",
       R"({"as_float_lists": [[1.0]]})",
       R"({"as_graph": {"name": "g", "graph": {"inputs": [], "outputs": [], "nodes": [], "tensor_values": {}, "sym_int_values": {}, "sym_bool_values": {}, "is_single_tensor_return": true, "custom_obj_values": {}, "sym_float_values": {}}}})"})
    CHECK(pt2::to_json(pt2::from_json<pt2::argument>(text)) == text);
}

TEST_CASE("a union says what it holds") {
  auto a = pt2::argument::make<pt2::argument::tag::as_int>(3);
  CHECK(a.is_as_int());
  CHECK(a.as_int() == 3);
  CHECK_THROWS_WITH(a.as_tensor(), doctest::Contains("holds 'as_int', but 'as_tensor' was asked for"));
  CHECK_THROWS_WITH(pt2::to_json(pt2::argument()), doctest::Contains("no alternative"));
}
