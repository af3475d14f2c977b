// SPDX-License-Identifier: BSL-1.0
// Reproducers of programs: a file that holds the program before the failing stage and the rest of the
// pipeline.
#include <espalier/ir/text.hpp>
#include <espalier/passes/cse.hpp>
#include <espalier/passes/dce.hpp>
#include <espalier/pipeline/instruments/verifying.hpp>
#include <espalier/pipeline/registry.hpp>
#include <espalier/program/pipeline_unit.hpp>
#include <espalier/program/reproducer_file.hpp>
#include <espalier/schema/aten.hpp>

#include <doctest/doctest.h>

#include <filesystem>
#include <string>

#include <unistd.h>

namespace es = espalier;

namespace {

using program_type = es::exported_program<es::training_ir>;

/// Leaves a call of `relu` without its argument.
struct forgets : es::pass {
  static constexpr std::string_view name = "forgets";
  using needs = es::properties<es::property::no_dead_code>;
  es::pass_result run(es::graph_storage& g) const {
    es::pass_result done;
    for (es::node n : es::nodes(g))
      if (n.is_call(es::id_of<es::aten::relu>())) {
        g.set_args(n, {});
        ++done.rewritten;
      }
    return done;
  }
};

program_type small() {
  const es::value_meta meta(es::make_meta(es::scalar_type::f32, {2, 3}));
  es::graph<es::training_ir> g;
  const auto w = g.placeholder<es::input_kind::parameter>("p_w", meta);
  const auto x = g.placeholder("x", meta);
  for (int i = 0; i != 2; ++i)
    g.set_meta(g.call<es::aten::add_Tensor>(x, w).id(), meta);
  const auto y = g.call<es::aten::relu>(es::value(g, g.result(g.last())));
  g.set_meta(y.id(), meta);
  g.output(y);
  es::assign_names(g);
  es::program_info info;
  info.verifier = "TRAINING";
  info.signature.inputs.resize(2);
  info.signature.inputs[0].kind = es::input_kind::parameter;
  info.signature.inputs[0].target = "w";
  info.signature.inputs[0].arg.name = "p_w";
  info.signature.inputs[1].arg.name = "x";
  info.signature.outputs.resize(1);
  info.signature.outputs[0].arg.name = y.name();
  program_type p(std::move(g), std::move(info));
  p.state_dict().set("w", at::ones({2, 3}), true);
  return p;
}

/// A path in a folder of its own, which goes with it.
struct scratch {
  std::filesystem::path folder;
  scratch() {
    std::string name = (std::filesystem::temp_directory_path() / "espalier-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()));
    folder = name;
  }
  ~scratch() { std::filesystem::remove_all(folder); }
};

} // namespace

TEST_CASE("a program is kept as it was before the stage, with its state, and fails again") {
  const scratch here;
  const std::string path = here.folder / "broken.pt2";
  auto program = small();
  const auto pipeline = es::cse{} | es::dce{} | forgets{} | es::cse{};
  std::string first;

  es::reproducer keep(program, pipeline, es::reproducer_file{path});
  try {
    pipeline.run(program, keep, es::verify_each());
  } catch (const es::error& e) {
    first = e.cause();
  }
  REQUIRE(first == "the required argument 'self' is missing");
  REQUIRE_MESSAGE(keep.written(), keep.problem());

  const es::reproducer_record how = es::read_reproducer(path);
  CHECK(how.pipeline == "assume<no_dead_code> | forgets | cse");
  CHECK(how.message.starts_with(first));
  CHECK(how.dialect == "training_ir");
  auto again = es::load(path);
  CHECK(again.storage().num_nodes() == 5); // the second addition is gone
  CHECK(at::equal(*again.state_dict().find("w"), at::ones({2, 3})));

  es::pass_registry<program_type> known;
  known.add(es::cse{});
  known.add(es::dce{});
  known.add(forgets{});
  es::pass_context context;
  es::vector<es::any_instrument> watch;
  watch.push_back(es::any_instrument(es::verify_each()));
  try {
    known.parse(how.pipeline).run(again, es::info_of_dialect<es::training_ir>, context, watch);
    FAIL("nothing failed");
  } catch (const es::error& e) {
    CHECK(e.cause() == first);
  }
}

TEST_CASE("success leaves no file, and a file without a record is refused") {
  const scratch here;
  const std::string path = here.folder / "none.pt2";
  auto program = small();
  constexpr auto pipeline = es::cse{} | es::dce{};
  es::reproducer keep(program, pipeline, es::reproducer_file{path});
  pipeline.run(program, keep);
  CHECK(std::filesystem::is_empty(here.folder));
  es::save(program, path);
  CHECK_THROWS_AS(es::read_reproducer(path), es::error);
}
