// SPDX-License-Identifier: BSL-1.0
// Passes keep their word, on random programs: what they say that they establish holds afterwards, and so does
// every property that they do not say they destroy, where it held before.
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

/// A property, how a graph gets it, and whether it has it; a property that no look tells holds where the pass
/// that establishes it finds nothing to do.
struct promise {
  es::property_info what;
  void (*bring)(es::graph_storage&);
  bool (*holds)(const es::graph_storage&);
};
template <class P>
void bring_by(es::graph_storage& g) {
  es::pass_context c;
  es::detail::call_pass(P{}, g, c);
}
template <class P>
bool leaves(const es::graph_storage& g) {
  es::graph_storage copy = g;
  es::pass_context c;
  return !es::detail::call_pass(P{}, copy, c).changed();
}
void name_all(es::graph_storage& g) { es::assign_names(g); }
void as_built(es::graph_storage&) {}
/// What a graph has that nothing more can be done about.
void tidy(es::graph_storage& g) {
  while (!leaves<es::canonicalize>(g) || !leaves<es::dce>(g)) {
    bring_by<es::canonicalize>(g);
    bring_by<es::dce>(g);
  }
}

const std::vector<promise>& promises() {
  static const std::vector<promise> all{
      {es::info_of_property<property::functional>, as_built, property::functional::holds},
      {es::info_of_property<property::shapes_known>, bring_by<es::infer_shapes>,
       property::shapes_known::holds},
      {es::info_of_property<property::topologically_sorted>, as_built, property::topologically_sorted::holds},
      {es::info_of_property<property::no_dead_code>, bring_by<es::dce>, property::no_dead_code::holds},
      {es::info_of_property<property::named>, name_all, property::named::holds},
      {es::info_of_property<property::no_duplicates>, bring_by<es::cse>, leaves<es::cse>},
      {es::info_of_property<property::canonical>, tidy, leaves<es::canonicalize>}};
  return all;
}

std::vector<es::any_pass<>> passes(std::uint64_t seed) {
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

/// Whether the pass lets a property be, by the same proof as a pipeline's.
bool promised(const es::pass_facts& f, const promise& p, bool before) {
  es::pipeline_prover prover(es::info_of_dialect<es::training_ir>);
  es::pass_facts needs_nothing = f;
  needs_nothing.needs = {};
  if (before) {
    const es::property_info has[] = {p.what};
    prover = es::pipeline_prover(es::info_of_dialect<es::training_ir>, has);
  }
  return prover.step(needs_nothing, 0) && prover.holds(p.what);
}

} // namespace

TEST_CASE("what passes establish holds, and what they do not destroy is kept") {
  const auto law = [](std::uint64_t seed, std::size_t size, bool writes, bool cut) {
    laws::program_options o;
    o.calls = 1 + size % 60;
    o.random = true;
    const auto run = [](const es::any_pass<>& pass, es::graph_storage& g) {
      es::pass_context c;
      pass.run(g, c);
    };
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
      for (const promise& p : promises()) {
        auto h = g;
        if (promised(facts, p, false)) {
          run(pass, h);
          if (!p.holds(h))
            RC_FAIL(std::string(facts.name) + " does not establish " + std::string(p.what.name) + "\n" +
                    laws::printed(g) + laws::printed(h));
        }
        h = g;
        p.bring(h);
        if (!p.holds(h) || !promised(facts, p, true))
          continue; // a program that writes is not functional
        const auto before = laws::printed(h);
        run(pass, h);
        if (!p.holds(h))
          RC_FAIL(std::string(facts.name) + " destroys " + std::string(p.what.name) +
                  " and does not say so\n" + before + laws::printed(h));
      }
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
