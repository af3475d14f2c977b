// SPDX-License-Identifier: BSL-1.0
// docs/passes.md holds the contracts of the library's passes, written from their types. When passes change,
// ESPALIER_UPDATE_DOCS=1 makes this test write the page anew instead of comparing it.
#include <espalier/opt/standard_passes.hpp>
#include <espalier/pipeline/pass_table.hpp>
#include <espalier/program/exported_program.hpp>
#include <espalier/program/pipeline_unit.hpp>

#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

namespace es = espalier;

namespace {

using program = es::exported_program<es::torch_ir>; // what es-opt runs passes on

constexpr const char* introduction = R"(# The passes

<!-- Written by tests/opt/pass_table.cpp: ESPALIER_UPDATE_DOCS=1 ESPALIER_SOURCE_ROOT=$PWD build/tests/test_opt -->

What each pass of the library promises, read from its type: the same facts that the compiler proves pipelines with.
[Passes and pipelines](pipelines.md) tells what the columns mean and how to write one of your own; the headers of the passes
tell what each does in full. `es-opt --passes` and every `pass_registry` that starts from `standard_passes` know these by name;
what stands between `<` and `>` are arguments.

)";

std::string page() {
  const auto all = es::standard_passes<program>();
  return introduction + es::pass_table(all.facts());
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
