// SPDX-License-Identifier: BSL-1.0
// The command line of es-opt as a value: what is read, and what is refused before a file is opened.
#include <espalier/opt/command_line.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <initializer_list>
#include <string>
#include <vector>

namespace es = espalier;
using es::detail::command_line;

namespace {

command_line parsed(std::initializer_list<const char*> arguments) {
  std::vector<const char*> all{"es-opt"};
  all.insert(all.end(), arguments);
  return command_line::parse(static_cast<int>(all.size()), all.data(), "my-opt");
}
std::string refused(std::initializer_list<const char*> arguments) {
  try {
    parsed(arguments);
  } catch (const es::error& e) {
    CHECK(e.kind() == es::error_kind::usage);
    return e.what();
  }
  return "accepted";
}

} // namespace

TEST_CASE("options are read in any order") {
  const auto o = parsed({"--text", "in.pt2", "--passes", "cse | dce", "--validate", "--tolerance", "1e-3",
                         "-o", "out.pt2", "--run", "x.pt", "--validate-nodes", "all"});
  CHECK(o.in == "in.pt2");
  CHECK(o.out == "out.pt2");
  CHECK(o.passes == "cse | dce");
  CHECK(o.has_passes);
  CHECK(o.text);
  CHECK_FALSE(o.print);
  CHECK(o.run);
  CHECK(o.inputs == "x.pt");
  CHECK(o.allowed.relative == 1e-3);
  CHECK(o.allowed.absolute == 1e-4);
  CHECK(o.nodes == ~std::size_t{});
  CHECK(parsed({"--run", "in.pt2"}).inputs.empty());
  CHECK(parsed({"in.pt2", "--inspect"}).only_inspects());
  CHECK_FALSE(parsed({"in.pt2", "--inspect", "--verify"}).only_inspects());
  CHECK(parsed({"in.pt2"}).allowed.relative == es::tolerance().relative);
}

TEST_CASE("what does not go together is refused, by the name that the tool has") {
  CHECK(refused({"in.pt2", "--nonsense"}) ==
        "unknown option --nonsense (at command line); my-opt --help lists the options");
  CHECK(refused({}).starts_with("no input file (at command line); write my-opt IN.pt2"));
  CHECK(refused({"in.pt2", "--save-outputs", "x.pt"}).starts_with("--save-outputs without --run"));
  CHECK(
      refused({"in.pt2", "--cpp", "a", "--html", "./a"}).starts_with("--html and --cpp write the same file"));
  CHECK(refused({"in.pt2", "--html", "in.pt2"}).starts_with("--html writes over a file that is read"));
  CHECK(refused({"in.pt2", "-o", "in.pt2"}) == "accepted");
  CHECK(refused({"in.pt2", "--cpp", "/dev/null", "--html", "/dev/null"}) == "accepted");
}

TEST_CASE("help tells of every combinator of a pipeline's text") {
  for (const char* word :
       {"fix(...)", "renamed<NAME>(...)", "on_subgraphs(...)", "on_regions<OPERATOR, ...>"})
    CHECK(std::string(command_line::help).find(word) != std::string::npos);
}
