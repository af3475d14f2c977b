// SPDX-License-Identifier: BSL-1.0
// The compiler's second pass: calls that work element by element are gathered into regions, and each region
// becomes a graph of its own behind one call.
//
// The idea: a region grows along the data flow. Two regions join when they compute in the same type over the
// same sizes, and when the union can become one node: `can_extract` says so, and it knows that a value must
// not leave the region and come back, and that nothing may change places with a call that writes to memory.
// What comes out is still a program: it runs, it is printed and saved, before there is any kernel.
#pragma once

#include "operators.hpp"

#include <espalier/ir/subgraph.hpp>
#include <espalier/pipeline/pass.hpp>
#include <espalier/pipeline/pass_context.hpp>
#include <espalier/pipeline/properties.hpp>
#include <espalier/support/side_table.hpp>

#include <string>
#include <vector>

namespace mini {

/// Holds when every region is behind one call. Nobody can see it from a graph, so there is no `holds`.
struct regions_outlined {
  static constexpr std::string_view name = "regions-outlined";
};

/// What the names of the regions' graphs begin with.
inline constexpr std::string_view region_prefix = "pointwise_";

struct fuse_pointwise : es::pass {
  static constexpr std::string_view name = "fuse-pointwise";
  using needs = es::properties<es::property::no_dead_code>; // or a kernel would compute what nobody uses
  using establishes = es::properties<regions_outlined>;
  using destroys = es::properties<es::property::canonical>;

  std::size_t least = 2; ///< calls that make a region; a kernel of one gains nothing

  es::pass_result run(es::graph_storage& g, es::pass_context& c) const {
    es::pass_result done;
    for (es::node n : es::nodes(g))
      if (const fit f = fit_of(n); !f && f.refused_for != "no expression")
        c.count(f.refused_for); // told as a note: why a pointwise call was left alone
    // Two regions may each be convex, and yet need each other's results: the first one wins, and what is left
    // of the second is looked at again.
    std::size_t regions = g.num_subgraphs();
    for (bool again = true; again;) {
      again = false;
      for (const region& r : grow(g))
        if (r.nodes.size() >= least && es::can_extract(g, r.nodes)) {
          es::extract_subgraph(g, r.nodes, {.name = std::string(region_prefix) + std::to_string(regions++)});
          c.count("regions");
          c.count("calls fused", r.nodes.size());
          done.rewritten += r.nodes.size();
          again = true;
        }
    }
    return done;
  }

private:
  struct region {
    es::scalar_type element;
    es::sym_ints sizes; ///< the loop that computes it
    espalier::vector<es::node_id> nodes;
  };
  static constexpr std::size_t most = 64; ///< calls of a region: beyond that, registers run out

  /// One region a call to begin with, joined along operands.
  static std::vector<region> grow(const es::graph_storage& g) {
    constexpr std::size_t none = ~std::size_t{};
    std::vector<region> regions;
    es::side_table<es::node_id, std::size_t> region_of(none);
    for (es::node n : es::nodes(g)) {
      const fit f = fit_of(n);
      if (!f)
        continue;
      region mine{f.element, n.result().tensor().sizes, {n.id()}};
      for (bool again = true; again;) { // what one operand brings along may let another one in
        again = false;
        for (es::value v : n.operands()) {
          const std::size_t other = region_of[v.def().id()];
          if (other == none || regions[other].nodes.empty() || !join(g, mine, regions[other]))
            continue;
          again = true;
        }
      }
      for (const es::node_id member : mine.nodes)
        region_of[member] = regions.size();
      regions.push_back(std::move(mine));
    }
    return regions;
  }

  /// Moves the calls of `from` into `to` if the two can be one kernel.
  static bool join(const es::graph_storage& g, region& to, region& from) {
    if (to.element != from.element || to.sizes != from.sizes || to.nodes.size() + from.nodes.size() > most)
      return false;
    const std::size_t before = to.nodes.size();
    to.nodes.insert(to.nodes.end(), from.nodes.begin(), from.nodes.end());
    if (!es::can_extract(g, to.nodes)) {
      to.nodes.resize(before);
      return false;
    }
    from.nodes.clear();
    return true;
  }
};

} // namespace mini
