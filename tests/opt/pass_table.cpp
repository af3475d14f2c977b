// SPDX-License-Identifier: BSL-1.0
// docs/passes.md holds the contracts of the library's passes, written from their types. When passes change,
// ESPALIER_UPDATE_DOCS=1 makes this test write the page anew instead of comparing it.
#include <espalier/opt/standard_passes.hpp>
#include <espalier/passes/convert_dtype.hpp>
#include <espalier/passes/device_move.hpp>
#include <espalier/pipeline/pass_table.hpp>

#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

namespace es = espalier;

namespace {

/// Something that every pass runs on, those for whole programs too.
struct program {
  es::graph_storage graph;
  es::program_info about;
  es::graph_storage& storage() { return graph; }
  es::program_info& info() { return about; }
};

} // namespace

template <>
struct espalier::pipeline_unit<program> {
  using dialect_type = es::torch_ir;
  static es::graph_storage& storage(program& p) noexcept { return p.graph; }
  static void finish(program&) noexcept {}
};

namespace {

std::string page() {
  const auto by_name = es::standard_passes<program>();
  const es::pass_facts with_options[] = {es::facts_of<es::convert_dtype>, es::facts_of<es::device_move>};
  return "# The passes\n"
         "\n"
         "<!-- Written by tests/opt/pass_table.cpp: ESPALIER_UPDATE_DOCS=1 ESPALIER_SOURCE_ROOT=$PWD "
         "build/tests/test_opt -->\n"
         "\n"
         "What each pass of the library promises, read from its type: the same facts that the compiler "
         "proves "
         "pipelines with.\n"
         "[Passes and pipelines](pipelines.md) tells what the columns mean and how to write one of your own; "
         "the "
         "headers under\n"
         "`include/espalier/passes` tell what each does in full.\n"
         "\n"
         "## By name\n"
         "\n"
         "`es-opt --passes` and every `pass_registry` that starts from `standard_passes` know these.\n"
         "\n" +
         es::pass_table(by_name.facts()) +
         "\n"
         "## With arguments\n"
         "\n"
         "These are constructed in C++: `es::convert_dtype(es::scalar_type::f32, es::scalar_type::f16)`.\n"
         "\n" +
         es::pass_table(with_options);
}

} // namespace

TEST_CASE("docs/passes.md is what the passes say of themselves") {
  const char* root = std::getenv("ESPALIER_SOURCE_ROOT");
  REQUIRE(root);
  const std::string path = std::string(root) + "/docs/passes.md";
  if (std::getenv("ESPALIER_UPDATE_DOCS"))
    std::ofstream(path) << page();
  std::ifstream in(path);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  CHECK(text == page());
}

TEST_CASE("every pass describes itself") {
  const auto all = es::standard_passes<program>();
  for (const auto& f : all.facts())
    CHECK_MESSAGE(!f.description.empty(), f.name);
}
