// SPDX-License-Identifier: BSL-1.0
// What a pass prints of itself is what text makes it of: for every pass of the registry, with every option.
#include <espalier/opt/standard_passes.hpp>
#include <espalier/program/exported_program.hpp>
#include <espalier/program/pipeline_unit.hpp>

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace es = espalier;

namespace {

using program = es::exported_program<es::torch_ir>; // what es-opt runs passes on

/// By pass, options in the form in which they are printed.
const std::map<std::string_view, std::vector<std::string>> options_of{
    {"inline", {"", "grad_mode=disabled", "grad_mode=enabled", "grad_mode=irrelevant"}},
    {"split",
     {"aten.relu.default", "aten.*, *.mm, not:aten.add", "not:prims.*", "aten.mm, min_nodes=3",
      "aten.mm, prefix=npu", "aten.mm, not:aten.add, min_nodes=3, prefix=npu_2"}},
    {"verified", {"torch_ir", "training_ir", "aten_ir", "core_aten"}},
    {"device_move", {"cpu", "cuda:1", "meta, cpu"}},
    {"convert_dtype", {"f32, f16", "bf16, f64"}},
    {"constant_fold",
     {"", "parameters", "no_buffers", "constructors", "max_bytes=1048576", "max_growth=1.5", "max_growth=inf",
      "small=0", "parameters, max_bytes=1048576",
      "parameters, no_buffers, constructors, max_bytes=1, max_growth=0.1, small=18446744073709551615"}},
};

std::string with(std::string_view name, std::string_view options) {
  return std::string(name) + (options.empty() ? "" : "<" + std::string(options) + ">");
}

const es::pass_registry<program>& registry() {
  static const auto r = es::standard_passes<program>();
  return r;
}

/// The cause and the place of a refusal, which must have a cure.
std::string refused(std::string_view text) {
  try {
    registry().parse(text);
  } catch (const es::error& e) {
    CHECK(e.kind() == es::error_kind::usage);
    CHECK(!e.cure().empty());
    return e.cause() + " (" + e.place() + ")";
  }
  return "accepted";
}

} // namespace

TEST_CASE("print, parse, print is the identity, for every pass with every option") {
  for (const auto& e : registry().entries()) {
    const std::string_view name = e.pass.name(), takes = e.pass.facts().options;
    CAPTURE(name);
    const auto known = options_of.find(name);
    REQUIRE((known != options_of.end()) == !takes.empty()); // a new pass with options gets its samples here
    if (takes.empty()) {
      CHECK(registry().parse(e.pass.text()).text() == name);
      continue;
    }
    for (const auto& options : known->second) {
      const std::string text = with(name, options);
      CHECK(registry().parse(text).text() == text);
      CHECK(registry().parse("fix(" + text + " | dce)").text() == "fix<25>(" + text + " | dce)");
    }
    // each word that the list of options shows has a sample
    for (const auto& i : es::option_reader(name, takes, "")) {
      const std::string_view word = i.key.empty() ? i.text : i.key;
      if (word.find_first_not_of("abcdefghijklmnopqrstuvwxyz_") != word.npos)
        continue; // it stands for something: DEVICE
      bool shown = false;
      for (const auto& options : known->second)
        shown = shown || options.find(word) != options.npos;
      CHECK_MESSAGE(shown, word);
    }
  }
}

TEST_CASE("all that constant folding can be told comes back from its text") {
  CHECK(rc::check([] {
    es::fold_options o;
    o.parameters = *rc::gen::arbitrary<bool>();
    o.buffers = *rc::gen::arbitrary<bool>();
    o.constructors = *rc::gen::arbitrary<bool>();
    o.max_bytes = *rc::gen::arbitrary<std::size_t>();
    o.max_growth = *rc::gen::arbitrary<double>();
    o.small = *rc::gen::arbitrary<std::size_t>();
    const std::string text = es::constant_fold(o).text();
    const auto open = text.find('<');
    const auto again =
        es::detail::constant_fold_of(
            open == text.npos ? "" : std::string_view(text).substr(open + 1, text.size() - open - 2))
            .rules;
    RC_ASSERT(again.parameters == o.parameters);
    RC_ASSERT(again.buffers == o.buffers);
    RC_ASSERT(again.constructors == o.constructors);
    RC_ASSERT(again.max_bytes == o.max_bytes);
    RC_ASSERT(again.max_growth == o.max_growth);
    RC_ASSERT(again.small == o.small);
    RC_ASSERT(registry().parse(text).text() == text);
  }));
}

TEST_CASE("options that are malformed are refused with their place") {
  const std::string fold = " (column 1 of pipeline 'constant_fold";
  const auto says = [&](std::string_view options) {
    return refused("constant_fold<" + std::string(options) + ">");
  };
  CHECK(says("max_bytes=many") ==
        "'max_bytes=many' needs a whole number" + fold + "<max_bytes=many>': pass 'constant_fold')");
  CHECK(says("max_bytes=").starts_with("'max_bytes=' needs a whole number" + fold));
  CHECK(says("max_bytes=-1").starts_with("'max_bytes=-1' needs a whole number" + fold));
  CHECK(says("max_bytes=1.5").starts_with("'max_bytes=1.5' needs a whole number" + fold));
  CHECK(says("small=18446744073709551616").starts_with("'small=18446744073709551616' is too large" + fold));
  CHECK(says("max_growth=nan").starts_with("'max_growth=nan' needs a number" + fold));
  CHECK(says("max_growth=2x").starts_with("'max_growth=2x' needs a number" + fold));
  CHECK(says("parameters, parameters").starts_with("'parameters' is given twice" + fold));
  CHECK(says("small=1, small=2").starts_with("'small=2' is given twice" + fold));
  CHECK(says("parameters,").starts_with("an option is missing beside a comma" + fold));
  CHECK(says("bytes=1").starts_with("'bytes=1' is no option of it" + fold));
  CHECK(says("parameters=1").starts_with("'parameters=1' is no option of it" + fold));
  CHECK(refused("dce | inline<grad_mode=off>") ==
        "'grad_mode=off' names no mode (column 7 of pipeline 'dce | inline<grad_mode=off>': pass 'inline')");
  CHECK(refused("inline<irrelevant>").starts_with("'irrelevant' is no option of it"));
  CHECK(refused("device_move<disk>").starts_with("'disk' is no device"));
  CHECK(refused("verified<fx>").starts_with("'fx' is none of torch_ir, training_ir, aten_ir, core_aten"));
  CHECK(refused("device_move<>").starts_with("it takes one device, or two"));
  CHECK(refused("convert_dtype<f32>").starts_with("it takes two types"));
  CHECK(refused("convert_dtype<f32, f99>").starts_with("'f99' is no type"));
  CHECK(refused("split").starts_with("no operator is named (column 1 of pipeline 'split': pass 'split')"));
}
