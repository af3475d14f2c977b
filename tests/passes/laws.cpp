// SPDX-License-Identifier: BSL-1.0
// The laws of passes on random programs: a pass changes nothing the second time, keeps the verifier content,
// gives the same for the same, and says "changed" exactly when something changed; so do three in a row. That
// passes keep what they say that they keep is tested in contracts.cpp.
#include "laws.hpp"
#include "random_programs.hpp"

#include <espalier/passes/canonicalize.hpp>
#include <espalier/passes/convert_dtype.hpp>
#include <espalier/passes/cse.hpp>
#include <espalier/passes/dce.hpp>
#include <espalier/passes/device_move.hpp>
#include <espalier/passes/hoist.hpp>
#include <espalier/passes/infer_shapes.hpp>
#include <espalier/passes/lower_spellings.hpp>
#include <espalier/passes/raise.hpp>
#include <espalier/passes/remove_assertions.hpp>
#include <espalier/passes/sink.hpp>
#include <espalier/passes/sort.hpp>
#include <espalier/passes/view_copy.hpp>
#include <espalier/pipeline/any_pass.hpp>

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <string>
#include <vector>

namespace es = espalier;

namespace {

const es::vector<es::any_pass<>>& passes() {
  static const es::vector<es::any_pass<>> all{es::dce{},
                                              es::cse{},
                                              es::canonicalize{},
                                              es::raise{},
                                              es::lower_spellings{},
                                              es::sort{},
                                              es::infer_shapes{},
                                              es::remove_assertions{},
                                              es::sink{},
                                              es::hoist{},
                                              es::copies_to_views{},
                                              es::device_move(es::device{1, 0})};
  return all;
}
laws::program_options some(std::size_t size) {
  laws::program_options o;
  o.calls = 1 + size % 60;
  o.random = true;
  o.copies = size % 3 == 0;
  o.cpp = size % 4 == 0;
  return o;
}
void require_lawful(const std::string& broken) {
  if (!broken.empty())
    RC_FAIL(broken);
}

} // namespace

TEST_CASE("every pass obeys the laws on random programs") {
  const auto law = [](std::uint64_t seed, std::size_t size, bool writes) {
    auto o = some(size);
    o.writes = writes;
    const auto g = laws::random_program(seed, o);
    require_lawful(laws::broken_law(es::dce{}, g));
    require_lawful(laws::broken_law(es::cse{}, g));
    require_lawful(laws::broken_law(es::canonicalize{}, g));
    require_lawful(laws::broken_law(es::raise{}, g));
    require_lawful(laws::broken_law(es::sort{}, g));
    require_lawful(laws::broken_law(es::infer_shapes{}, g));
    require_lawful(laws::broken_law(es::remove_assertions{}, g));
    require_lawful(laws::broken_law(es::sink{}, g));
    require_lawful(laws::broken_law(es::hoist{}, g));
    require_lawful(laws::broken_law(es::copies_to_views{}, g));
    require_lawful(laws::broken_law(es::device_move(es::device{1, 0}), g));
    require_lawful(laws::broken_law(es::lower_spellings{}, g));
    if (!writes) {
      require_lawful(laws::broken_law(es::views_to_copies{}, g));
      require_lawful(laws::broken_law(es::convert_dtype(es::scalar_type::f32, es::scalar_type::bf16), g));
      require_lawful(laws::broken_law(es::convert_dtype(es::scalar_type::f64, es::scalar_type::f32), g));
    }
  };
  CHECK(rc::check("laws", law));
}
TEST_CASE("three passes in a row keep the verifier content and are deterministic") {
  const auto law = [](std::uint64_t seed, std::size_t size, std::uint8_t a, std::uint8_t b, std::uint8_t c) {
    es::any_pipeline<> three;
    for (auto i : {a, b, c})
      three.push(passes()[i % passes().size()]);
    laws::options o;
    o.idempotent = false;
    o.undoes = true;
    require_lawful(laws::broken_law_of(
        three.text(), laws::random_program(seed, some(size)),
        [&](es::graph_storage& g) {
          es::pass_context context;
          return three.run(g, es::info_of_dialect<es::training_ir>, context);
        },
        o));
  };
  CHECK(rc::check("laws", law));
}
TEST_CASE("a budget of edits stops a pass anywhere, and the graph is sound there") {
  std::size_t stopped = 0;
  const auto law = [&](std::uint64_t seed, std::size_t size) {
    const auto g = laws::random_program(seed, some(size));
    const bool functional = es::property::functional::holds(g);
    const auto budgets = [&](const auto& pass) {
      auto whole = g;
      es::pass_context c;
      const bool changed = pass.run(whole, c).changed();
      RC_ASSERT(changed || c.edits() == 0);
      for (std::size_t budget = 0; budget <= std::min<std::size_t>(c.edits(), 8); ++budget) {
        auto part = g;
        es::pass_context limited;
        limited.set_edit_budget(budget);
        pass.run(part, limited);
        RC_ASSERT(limited.edits() == budget);
        RC_ASSERT(laws::sound(part, {}) == "");
        if (budget == c.edits())
          RC_ASSERT(laws::printed(part) == laws::printed(whole));
        stopped += budget != c.edits();
      }
    };
    budgets(es::canonicalize{});
    budgets(es::cse{});
    budgets(es::dce{});
    budgets(es::copies_to_views{});
    if (functional) {
      budgets(es::views_to_copies{});
      budgets(es::convert_dtype(es::scalar_type::f32, es::scalar_type::bf16));
    }
  };
  CHECK(rc::check("budgets", law));
  CHECK(stopped > 500);
}
