// SPDX-License-Identifier: BSL-1.0
// Whether a pass keeps its word on a graph: what it says that it establishes holds afterwards, and so does
// every property that it does not say it destroys, where it held before.
#pragma once

#include "laws.hpp"

#include <espalier/ir/naming.hpp>
#include <espalier/passes/canonicalize.hpp>
#include <espalier/passes/cse.hpp>
#include <espalier/passes/dce.hpp>
#include <espalier/passes/infer_shapes.hpp>
#include <espalier/pipeline/any_pass.hpp>
#include <espalier/pipeline/properties.hpp>

#include <string>
#include <vector>

namespace laws {

namespace es = espalier;

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
inline void name_all(es::graph_storage& g) { es::assign_names(g); }
inline void as_built(es::graph_storage&) {}
/// What a graph has that nothing more can be done about.
inline void tidy(es::graph_storage& g) {
  while (!leaves<es::canonicalize>(g) || !leaves<es::dce>(g)) {
    bring_by<es::canonicalize>(g);
    bring_by<es::dce>(g);
  }
}

/// `canonicalize` erases what is dead, which is another promise.
inline bool canonical(const es::graph_storage& g) {
  es::graph_storage copy = g;
  bring_by<es::dce>(copy);
  return leaves<es::canonicalize>(copy);
}

inline const std::vector<promise>& promises() {
  static const std::vector<promise> all{
      {es::info_of_property<es::property::functional>, as_built, es::property::functional::holds},
      {es::info_of_property<es::property::shapes_known>, bring_by<es::infer_shapes>,
       es::property::shapes_known::holds},
      {es::info_of_property<es::property::topologically_sorted>, as_built,
       es::property::topologically_sorted::holds},
      {es::info_of_property<es::property::no_dead_code>, bring_by<es::dce>,
       es::property::no_dead_code::holds},
      {es::info_of_property<es::property::named>, name_all, es::property::named::holds},
      {es::info_of_property<es::property::no_duplicates>, bring_by<es::cse>, leaves<es::cse>},
      {es::info_of_property<es::property::canonical>, tidy, canonical}};
  return all;
}

/// Whether the pass lets a property be, by the same proof as a pipeline's.
inline bool promised(const es::pass_facts& f, const promise& p, bool before) {
  es::pipeline_prover prover(es::info_of_dialect<es::training_ir>);
  es::pass_facts needs_nothing = f;
  needs_nothing.needs = {};
  if (before) {
    const es::property_info has[] = {p.what};
    prover = es::pipeline_prover(es::info_of_dialect<es::training_ir>, has);
  }
  return prover.step(needs_nothing, 0) && prover.holds(p.what);
}

/// The first promise that a pass breaks on a copy of a graph, or of a program; empty when it breaks none.
template <class Look = of_graphs, class U>
std::string broken_contract(const es::any_pass<U>& pass, const U& given) {
  const auto& facts = pass.facts();
  const auto run = [&](U& u) {
    es::pass_context c;
    pass.run(u, c);
  };
  for (const promise& p : promises()) {
    U u = given;
    es::graph_storage& g = es::detail::storage_of(u);
    if (promised(facts, p, false)) {
      run(u);
      if (!p.holds(g))
        return std::string(facts.name) + " does not establish " + std::string(p.what.name) + "\n" +
               Look::print(given) + Look::print(u);
      u = given;
    }
    p.bring(g);
    if (!p.holds(g) || !promised(facts, p, true))
      continue; // a program that writes is not functional
    const std::string before = Look::print(u);
    run(u);
    if (!p.holds(g))
      return std::string(facts.name) + " destroys " + std::string(p.what.name) + " and does not say so\n" +
             before + Look::print(u);
  }
  return {};
}

} // namespace laws
