// SPDX-License-Identifier: BSL-1.0
// Passes keep their word, on random programs: what they say that they establish holds afterwards, and so does
// every property that they do not say they destroy, where it held before.
#include "contracts.hpp"
#include "laws.hpp"
#include "random_programs.hpp"
#include "regions.hpp"

#include <espalier/ir/naming.hpp>
#include <espalier/passes/canonicalize.hpp>
#include <espalier/passes/convert_dtype.hpp>
#include <espalier/passes/cse.hpp>
#include <espalier/passes/dce.hpp>
#include <espalier/passes/device_move.hpp>
#include <espalier/passes/hoist.hpp>
#include <espalier/passes/infer_shapes.hpp>
#include <espalier/passes/inline.hpp>
#include <espalier/passes/lower_spellings.hpp>
#include <espalier/passes/raise.hpp>
#include <espalier/passes/remove_assertions.hpp>
#include <espalier/passes/sink.hpp>
#include <espalier/passes/sort.hpp>
#include <espalier/passes/split.hpp>
#include <espalier/passes/view_copy.hpp>
#include <espalier/pipeline/any_pass.hpp>
#include <espalier/pipeline/on_regions.hpp>

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <string>
#include <type_traits>
#include <vector>

namespace es = espalier;
namespace property = es::property;

namespace {

es::vector<es::any_pass<>> passes(std::uint64_t seed) {
  const laws::some_operators takes{seed};
  return {es::dce{},
          es::cse{},
          es::canonicalize{},
          es::raise{},
          es::lower_spellings{},
          es::sort{},
          es::sink{},
          es::hoist{},
          es::infer_shapes{},
          es::remove_assertions{},
          es::copies_to_views{},
          es::views_to_copies{},
          es::device_move(es::device{1, 0}),
          es::convert_dtype(es::scalar_type::f32, es::scalar_type::bf16),
          es::split(takes),
          es::inline_subgraphs{},
          es::on_regions(takes, es::cse{})};
}

} // namespace

TEST_CASE("what passes establish holds, and what they do not destroy is kept") {
  const auto law = [](std::uint64_t seed, std::size_t size, bool writes, bool cut) {
    laws::program_options o;
    o.calls = 1 + size % 60;
    o.random = true;
    o.copies = size % 3 == 0;
    o.cpp = size % 4 == 0;
    for (const auto& pass : passes(seed)) {
      const auto facts = pass.facts();
      o.writes = writes;
      for (const auto& p : facts.needs) // the only need that random programs meet by their making
        o.writes = o.writes && p.type != es::info_of_property<property::functional>.type;
      auto g = laws::random_program(seed, o);
      if (cut) {
        es::pass_context c;
        es::split(laws::some_operators{seed / 3}).run(g, c);
      }
      if (const auto broken = laws::broken_contract(pass, g); !broken.empty())
        RC_FAIL(broken);
    }
  };
  CHECK(rc::check("contracts", law));
}

TEST_CASE("a pass that spells a layer in other operators says that they have no names") {
  const auto check = [](const auto& pass, const char* text) {
    auto g = laws::typed(text);
    es::assign_names(g);
    es::pass_context c;
    CHECK(es::detail::call_pass(pass, g, c).changed());
    CHECK_FALSE(property::named::holds(g));
    constexpr auto all = es::assume<property::named>{} | std::remove_cvref_t<decltype(pass)>{};
    static_assert(!decltype(all)::template establishes_property<property::named>);
  };
  check(es::lower_spellings{},
        "graph { %x = placeholder : f32[5, 3] %w = placeholder parameter : f32[4, 3] %y = "
        "aten.linear(%x, %w) : f32[5, 4] return %y }");
  check(es::raise{},
        "graph { %x = placeholder : f32[5, 3] %w = placeholder parameter : f32[4, 3] %t = aten.t(%w) : "
        "f32[3, 4] %y = aten.matmul(%x, %t) : f32[5, 4] return %y }");
}
