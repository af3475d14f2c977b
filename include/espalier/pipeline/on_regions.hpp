// SPDX-License-Identifier: BSL-1.0
// `on_regions(predicate, pass)`: a pass confined to the regions of calls that a predicate takes. What is
// outside of them is left alone, and what crosses their borders stays what it is.
#pragma once

#include <espalier/ir/subgraph.hpp>
#include <espalier/pipeline/outline.hpp>
#include <espalier/pipeline/pass_options.hpp>
#include <espalier/pipeline/pipeline.hpp>
#include <espalier/pipeline/regions.hpp>
#include <espalier/support/span.hpp>
#include <espalier/support/vector.hpp>

#include <concepts>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace espalier {

namespace detail {

/// The properties that a pass on regions destroys, as the list of a summary: what holds of the regions alone
/// need not hold of the whole any more, and what is destroyed in one is destroyed.
constexpr pipeline_prover::summary lost_in_regions(const pass_facts& f) {
  pipeline_prover::summary s;
  for (const auto list : {f.destroys, f.establishes})
    for (const auto& p : list)
      s.destroys[s.num_destroys++] = p;
  return s;
}
/// The contract of a pass on regions, which establishes nothing of the whole; it points into `lost`.
constexpr pass_facts facts_on_regions(std::string_view name, pass_facts f,
                                      const pipeline_prover::summary& lost) {
  f.name = name;
  f.establishes = {};
  f.destroys = {lost.destroys.data(), lost.num_destroys};
  return f;
}

/// Refuses what a pass left of a region where it does not fit in the region's place.
template <class Name>
void check_interface(const graph_storage& part, const subgraph_border& border, const Name& pass) {
  const node_id out = part.output_node();
  if (placeholders(part).size() != border.inputs.size() || !out.valid() ||
      part.num_args(out) != border.outputs.size())
    fail(error_kind::usage,
         "pass '" + std::string(pass()) + "' added or removed inputs or outputs of a region", "on_regions",
         "run it on the whole graph, or keep the region's placeholders and outputs");
  for (std::size_t i = 0; i != border.outputs.size(); ++i)
    if (!is_value_or_constant(arg_view(part, out, part.arg_slot(out, i))))
      fail(error_kind::usage,
           "pass '" + std::string(pass()) + "' made output " + std::to_string(i) + " of a region a list",
           "on_regions", "run it on the whole graph, or put out the list's elements");
}

/// Puts a graph in the place of each region.
template <class = when_used>
void replace_regions(graph_storage& g, span<const vector<node_id>> regions,
                     span<const graph_storage> bodies) {
  const auto calls = outline_regions(g, regions);
  inliner into(g);
  graph_storage::copied_args args;
  for (std::size_t i = 0; i != calls.size(); ++i) {
    g.copy_args(calls[i], args);
    into.run(calls[i], bodies[i], span<const argument>(args.top).subspan(2));
  }
  g.drop_unused_subgraphs();
}

/// Calls `run(part, position)` for each region, as a graph of its own, and puts those that it changed in
/// their places. `pass()` is what errors call it.
template <class Predicate, class Run, class Name>
pass_result on_each_region(graph_storage& g, const Predicate& predicate, const region_options& options,
                           pass_context& c, Run&& run, Name&& pass) {
  const region_plan plan = find_regions(g, predicate, options);
  pass_result sum;
  vector<vector<node_id>> changed;
  vector<graph_storage> bodies;
  border_reader border_of_region(g);
  copy_tables tables;
  for (std::size_t i = 0; i != plan.regions.size(); ++i) {
    const subgraph_border border = border_of_region(plan.regions[i]);
    graph_storage part = copy_subgraph(g, border, tables);
    const pass_result r = run(part, i);
    c.analyses().forget(part); // the next region's graph may stand at this address
    sum += r;
    if (!r.changed())
      continue;
    check_interface(part, border, pass);
    changed.push_back(plan.regions[i]);
    bodies.push_back(std::move(part));
  }
  if (!changed.empty()) {
    replace_regions(g, changed, bodies);
    c.analyses().forget(g); // what the pass preserves, it preserved in the regions
  }
  return sum;
}

/// `on_regions<aten.relu.default, min_nodes=2>`, where the predicate can say which operators it takes; the
/// bare name for others, which text cannot give.
template <class Predicate>
std::string on_regions_head(const Predicate& predicate, const region_options& options) {
  option_printer out;
  if constexpr (requires { predicate.text(); })
    if (!options.only_used) {
      out.word(predicate.text());
      if (options.min_nodes != region_options{}.min_nodes)
        out.value("min_nodes", options.min_nodes);
    }
  return out.after("on_regions");
}

} // namespace detail

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
  static constexpr pass_facts computed_facts() { return detail::facts_on_regions(name, facts_of<P>, lost); }
  template <class = when_used>
  void add_live(detail::live_facts& out) const {
    const pass_facts f = out.sum(name, body);
    out.push(detail::facts_on_regions(name, f, out.keep(detail::lost_in_regions(f))));
  }

  template <class U, class... Is>
  pass_result run_parts(U& unit, pass_context& c, std::size_t depth, Is&... is) const {
    return detail::on_each_region(
        detail::storage_of(unit), predicate, options, c,
        [&](graph_storage& part, std::size_t position) {
          return detail::run_stage(body, part, c, position, depth, is...);
        },
        [] { return std::string_view(P::name); });
  }
  std::string text() const { return text_without({}); }
  std::string text_without(detail::stage_names off) const {
    return detail::text_around(detail::on_regions_head(predicate, options), body, off);
  }

private:
  static constexpr pipeline_prover::summary lost = detail::lost_in_regions(facts_of<P>);
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
