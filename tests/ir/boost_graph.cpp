// SPDX-License-Identifier: BSL-1.0
// Boost.Graph's concepts and algorithms on our graphs, with and without tombstones.
#include <espalier/ir/boost_graph.hpp>
#include <espalier/ir/graph.hpp>
#include <espalier/schema/aten.hpp>

#include <boost/graph/dominator_tree.hpp>
#include <boost/graph/graph_concepts.hpp>
#include <boost/graph/graphviz.hpp>
#include <boost/graph/topological_sort.hpp>
#include <doctest/doctest.h>

#include <iterator>
#include <sstream>
#include <vector>

namespace es = espalier;

namespace {

template <class G>
struct concepts {
  BOOST_CONCEPT_ASSERT((boost::VertexListGraphConcept<G>));
  BOOST_CONCEPT_ASSERT((boost::BidirectionalGraphConcept<G>));
  BOOST_CONCEPT_ASSERT((boost::AdjacencyGraphConcept<G>));
  BOOST_CONCEPT_ASSERT((boost::EdgeListGraphConcept<G>));
};
template struct concepts<es::graph_storage>;
template struct concepts<es::graph<es::core_aten>>;

/// x -> a = relu(x) -> b = add(a, a) -> output, with nodes erased in between when asked.
es::graph<es::core_aten> make(bool tombstones) {
  es::graph<es::core_aten> g;
  const auto x = g.placeholder("x");
  std::vector<es::node_id> dead;
  const auto junk = [&] {
    if (tombstones)
      dead.push_back(g.call<es::aten::relu>(x).def().id());
  };
  junk();
  const auto a = g.call<es::aten::relu>(x);
  junk();
  const auto b = g.call<es::aten::add_Tensor>(a, a);
  junk();
  g.output(b);
  for (auto n : dead)
    g.erase(n);
  return g;
}

} // namespace

TEST_CASE("counts, degrees and neighbours") {
  for (bool tombstones : {false, true}) {
    const auto g = make(tombstones);
    CHECK(num_vertices(g) == 4);
    CHECK(num_edges(g) == 4);
    const auto [v, v_end] = vertices(g);
    CHECK(std::distance(v, v_end) == 4);
    const auto [e, e_end] = edges(g);
    CHECK(std::distance(e, e_end) == 4);
    const es::node_id x = *v, a = *std::next(v), b = *std::next(v, 2), out = *std::next(v, 3);
    CHECK(out_degree(x, g) == 1);
    CHECK(out_degree(a, g) == 2); // add(a, a): parallel edges
    CHECK(in_degree(b, g) == 2);
    CHECK(degree(b, g) == 3);
    CHECK(out_degree(out, g) == 0);
    for (auto [i, end] = in_edges(b, g); i != end; ++i) {
      CHECK(source(*i, g) == a);
      CHECK(target(*i, g) == b);
    }
    for (auto [i, end] = adjacent_vertices(a, g); i != end; ++i)
      CHECK(*i == b);
    const auto index = get(boost::vertex_index, g);
    std::vector<int> seen(num_vertices(g));
    for (auto [i, end] = vertices(g); i != end; ++i)
      ++seen.at(index[*i]);
    CHECK(seen == std::vector<int>{1, 1, 1, 1});
  }
}

TEST_CASE("topological_sort, dominators and write_graphviz") {
  for (bool tombstones : {false, true}) {
    const auto g = make(tombstones);
    std::vector<es::node_id> reversed;
    boost::topological_sort(g, std::back_inserter(reversed));
    std::vector<es::node_id> order(vertices(g).first, vertices(g).second);
    CHECK(std::vector<es::node_id>(reversed.rbegin(), reversed.rend()) == order); // a chain has one order

    const auto index = get(boost::vertex_index, g);
    std::vector<es::node_id> dominators(num_vertices(g),
                                        boost::graph_traits<es::graph_storage>::null_vertex());
    boost::lengauer_tarjan_dominator_tree(g, order[0],
                                          boost::make_iterator_property_map(dominators.begin(), index));
    CHECK(dominators[index[order[2]]] == order[1]);
    CHECK(dominators[index[order[3]]] == order[2]);

    std::ostringstream os;
    boost::write_graphviz(os, g);
    CHECK(os.str().find("0->1") != std::string::npos);
    CHECK(os.str().find("digraph") == 0);
  }
}
