// SPDX-License-Identifier: BSL-1.0
// `on_regions(predicate, pass)`: a pass confined to the regions of calls that a predicate takes. What is
// outside of them is left alone, and what crosses their borders stays what it is.
#pragma once

#include <espalier/ir/subgraph.hpp>
#include <espalier/pipeline/outline.hpp>
#include <espalier/pipeline/pipeline.hpp>
#include <espalier/pipeline/regions.hpp>

#include <concepts>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace espalier {

/// Runs a pass on each region (`find_regions`) as a graph of its own, whose placeholders are the values that
/// come from outside and whose outputs are those used there. A region that the pass changed takes the place
/// of the old one; the others are not touched. An output that the pass made a constant is that constant
/// outside too. Throws `error` (usage), before the graph has changed, when the pass leaves other numbers of
/// inputs or outputs, or an output that is a list. Linear beside what the pass does.
template <class Predicate, pass_type P>
struct region_pass : pass {
  static_assert(
      node_predicate<Predicate>,
      "espalier: on_regions(predicate, pass) requires a predicate that is asked of a node and gives "
      "bool; write on_regions([](es::node n) { return ...; }, pass), or give it es::calls_to<...>{}");
  static_assert(std::same_as<typename P::gives, same_dialect>,
                "espalier: on_regions(predicate, pass) requires a pass that gives back the dialect it takes, "
                "because the graph around keeps its own");
  using composite_tag = void;
  static constexpr std::string_view name = "on_regions";
  [[no_unique_address]] Predicate predicate;
  [[no_unique_address]] P body;
  region_options options;
  constexpr region_pass(Predicate q, P p, region_options o = {})
      : predicate(static_cast<Predicate&&>(q)), body(static_cast<P&&>(p)), options(o) {}
  /// What holds of the regions alone establishes nothing of the whole, and need not hold of the whole any
  /// more; what is destroyed in one is destroyed.
  static constexpr pass_facts computed_facts() { return facts_around(facts_of<P>, lost); }
  template <class = when_used>
  void add_live(detail::live_facts& out) const {
    const pass_facts f = out.sum(name, body);
    out.push(facts_around(f, out.keep(lost_by(f))));
  }

  template <class U, class... Is>
  pass_result run_parts(U& unit, pass_context& c, std::size_t depth, Is&... is) const {
    graph_storage& g = detail::storage_of(unit);
    const region_plan plan = find_regions(g, predicate, options);
    pass_result sum;
    std::vector<std::vector<node_id>> changed;
    std::vector<graph_storage> bodies;
    detail::border_reader border_of_region(g);
    detail::copy_tables tables;
    for (std::size_t i = 0; i != plan.regions.size(); ++i) {
      const subgraph_border border = border_of_region(plan.regions[i]);
      graph_storage part = detail::copy_subgraph(g, border, tables);
      const pass_result r = detail::run_stage(body, part, c, i, depth, is...);
      c.analyses().forget(part); // the next region's graph may stand at this address
      sum += r;
      if (!r.changed())
        continue;
      check_interface(part, border);
      changed.push_back(plan.regions[i]);
      bodies.push_back(std::move(part));
    }
    if (!changed.empty()) {
      replace(g, changed, bodies);
      c.analyses().forget(g); // what the pass preserves, it preserved in the regions
    }
    return sum;
  }
  std::string text() const { return text_without({}); }
  std::string text_without(detail::stage_names off) const { return detail::text_around(name, body, off); }

private:
  static constexpr pass_facts facts_around(pass_facts f, const pipeline_prover::summary& lost) {
    f.name = name;
    f.establishes = {};
    f.destroys = {lost.destroys.data(), lost.num_destroys};
    return f;
  }
  static constexpr pipeline_prover::summary lost_by(const pass_facts& f) {
    pipeline_prover::summary s;
    for (const auto list : {f.destroys, f.establishes})
      for (const auto& p : list)
        s.destroys[s.num_destroys++] = p;
    return s;
  }
  static constexpr pipeline_prover::summary lost = lost_by(facts_of<P>);

  static void check_interface(const graph_storage& part, const subgraph_border& border) {
    const node_id out = part.output_node();
    if (placeholders(part).size() != border.inputs.size() || !out.valid() ||
        part.num_args(out) != border.outputs.size())
      fail(error_kind::usage,
           "pass '" + std::string(std::string_view(P::name)) +
               "' added or removed inputs or outputs of a region",
           "on_regions", "run it on the whole graph, or keep the region's placeholders and outputs");
    for (std::size_t i = 0; i != border.outputs.size(); ++i)
      if (!detail::is_value_or_constant(arg_view(part, out, part.arg_slot(out, i))))
        fail(error_kind::usage,
             "pass '" + std::string(std::string_view(P::name)) + "' made output " + std::to_string(i) +
                 " of a region a list",
             "on_regions", "run it on the whole graph, or put out the list's elements");
  }
  static void replace(graph_storage& g, std::span<const std::vector<node_id>> regions,
                      std::span<const graph_storage> bodies) {
    const auto calls = outline_regions(g, regions);
    detail::inliner into(g);
    graph_storage::copied_args args;
    for (std::size_t i = 0; i != calls.size(); ++i) {
      g.copy_args(calls[i], args);
      into.run(calls[i], bodies[i], std::span<const argument>(args.top).subspan(2));
    }
    g.drop_unused_subgraphs();
  }
};

/// `on_regions(predicate, pass)`, `on_regions(predicate, pass, {.min_nodes = 2})`.
template <class Predicate, pass_type P>
constexpr region_pass<Predicate, P> on_regions(Predicate q, P p, region_options o = {}) {
  return {static_cast<Predicate&&>(q), static_cast<P&&>(p), o};
}
/// `on_regions<calls_to<aten::relu>>(pass)`.
template <class Predicate, pass_type P>
constexpr region_pass<Predicate, P> on_regions(P p, region_options o = {}) {
  return {Predicate{}, static_cast<P&&>(p), o};
}

} // namespace espalier
