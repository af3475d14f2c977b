// SPDX-License-Identifier: BSL-1.0
// What passes say they preserve is what a new computation gives.
#include "laws.hpp"
#include "random_programs.hpp"

#include <espalier/passes/hoist.hpp>
#include <espalier/passes/sink.hpp>
#include <espalier/passes/sort.hpp>
#include <espalier/pipeline/analyses/purity.hpp>
#include <espalier/pipeline/analyses/use_counts.hpp>
#include <espalier/pipeline/any_pass.hpp>

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <cstddef>
#include <cstdint>

namespace es = espalier;

TEST_CASE("analyses that reordering preserves are those of the new order too") {
  const auto law = [](std::uint64_t seed, std::size_t size) {
    laws::program_options o;
    o.calls = 1 + size % 60;
    o.writes = o.random = seed % 2;
    const auto before = laws::random_program(seed, o);
    const auto uses = es::use_counts::compute(before);
    const auto effects = es::purity::compute(before);
    for (const auto& pass :
         {es::any_pass<>(es::sort{}), es::any_pass<>(es::sink{}), es::any_pass<>(es::hoist{})}) {
      CHECK(pass.facts().preserves.size() == 2);
      auto g = before;
      es::pass_context c;
      pass.run(g, c);
      const auto uses_now = es::use_counts::compute(g);
      const auto effects_now = es::purity::compute(g);
      RC_ASSERT(effects_now.graph() == effects.graph());
      for (es::node n : es::nodes(g)) {
        RC_ASSERT(effects_now[n.id()] == effects[n.id()]);
        for (std::size_t i = 0; i != n.num_results(); ++i) {
          const auto v = g.result(n.id(), i);
          RC_ASSERT(uses_now.uses(v) == uses.uses(v));
          RC_ASSERT(uses_now.users(v) == uses.users(v));
        }
      }
    }
  };
  CHECK(rc::check("reordering", law));
}
