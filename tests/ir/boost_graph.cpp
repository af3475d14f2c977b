// SPDX-License-Identifier: BSL-1.0
// Boost.Graph's concepts and algorithms on our graphs, with and without tombstones.
#include <espalier/ir/boost_graph.hpp>
#include <espalier/ir/graph.hpp>
#include <espalier/schema/aten.hpp>

#include <boost/graph/adjacency_list.hpp>
#include <boost/graph/breadth_first_search.hpp>
#include <boost/graph/copy.hpp>
#include <boost/graph/dag_shortest_paths.hpp>
#include <boost/graph/depth_first_search.hpp>
#include <boost/graph/dominator_tree.hpp>
#include <boost/graph/filtered_graph.hpp>
#include <boost/graph/graph_concepts.hpp>
#include <boost/graph/graphviz.hpp>
#include <boost/graph/reverse_graph.hpp>
#include <boost/graph/strong_components.hpp>
#include <boost/graph/topological_sort.hpp>
#include <boost/graph/transitive_closure.hpp>
#include <boost/graph/transitive_reduction.hpp>
#include <boost/property_map/function_property_map.hpp>
#include <doctest/doctest.h>

#include <functional>
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
  es::vector<es::node_id> dead;
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
    es::vector<es::node_id> reversed;
    boost::topological_sort(g, std::back_inserter(reversed));
    es::vector<es::node_id> order(vertices(g).first, vertices(g).second);
    CHECK(es::vector<es::node_id>(reversed.rbegin(), reversed.rend()) == order); // a chain has one order

    const auto index = get(boost::vertex_index, g);
    es::vector<es::node_id> dominators(num_vertices(g),
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

namespace {
using list = boost::adjacency_list<boost::vecS, boost::vecS, boost::directedS>;
template <class Graph>
std::size_t length(const Graph& g) {
  return static_cast<std::size_t>(std::distance(vertices(g).first, vertices(g).second));
}
} // namespace

TEST_CASE_TEMPLATE("algorithms of Boost.Graph run on typed and on untyped graphs", G,
                   es::graph<es::core_aten>, es::graph_storage) {
  es::graph<es::core_aten> typed; // x -> a -> b -> c -> output, and x -> c
  const auto x = typed.placeholder("x");
  const auto a = typed.call<es::aten::relu>(x);
  const auto dead = typed.call<es::aten::relu>(x);
  const auto b = typed.call<es::aten::add_Tensor>(a, a);
  typed.output(typed.call<es::aten::add_Tensor>(b, x));
  typed.erase(dead.def().id());
  const G& g = typed;
  const auto index = get(boost::vertex_index, g);
  const es::vector<es::node_id> order(vertices(g).first, vertices(g).second);
  REQUIRE(order.size() == 5);

  SUBCASE("transitive closure and reduction") {
    list closure, reduction;
    boost::transitive_closure(g, closure);
    CHECK(num_edges(closure) == 10); // a chain of five
    std::vector<std::size_t> to(num_vertices(g));
    boost::transitive_reduction(g, reduction, boost::make_iterator_property_map(to.begin(), index), index);
    CHECK(num_edges(reduction) == 4); // neither x -> c nor the second a -> b
  }
  SUBCASE("copies into Boost's own graphs") {
    list copy;
    boost::copy_graph(g, copy);
    CHECK(num_vertices(copy) == num_vertices(g));
    CHECK(num_edges(copy) == num_edges(g));
  }
  SUBCASE("adaptors: reversed, filtered") {
    es::vector<es::node_id> sorted;
    const auto reversed = boost::make_reverse_graph(g);
    boost::topological_sort(reversed, std::back_inserter(sorted));
    CHECK(sorted == order);
    const std::function<bool(es::node_id)> calls = [&](es::node_id n) {
      return g.kind(n) == es::node_kind::call_function;
    };
    const boost::filtered_graph<G, boost::keep_all, std::function<bool(es::node_id)>> some(g, {}, calls);
    CHECK(length(some) == 3);
    CHECK(out_degree(order[1], some) == 2);
    CHECK(out_degree(order[0], some) == 2); // from x, which was left out, to what was not
  }
  SUBCASE("searches, components, paths") {
    es::vector<es::node_id> found;
    struct recorder : boost::default_bfs_visitor {
      es::vector<es::node_id>* to;
      void discover_vertex(es::node_id n, const G&) const { to->push_back(n); }
    } visitor;
    visitor.to = &found;
    boost::breadth_first_search(g, order[1], boost::visitor(visitor));
    CHECK(found == es::vector<es::node_id>(order.begin() + 1, order.end()));
    boost::depth_first_search(g, boost::visitor(boost::default_dfs_visitor()));
    std::vector<int> component(num_vertices(g)), distance(num_vertices(g));
    CHECK(boost::strong_components(g, boost::make_iterator_property_map(component.begin(), index)) == 5);
    const auto one = boost::make_function_property_map<es::slot_id>([](es::slot_id) { return 1; });
    boost::dag_shortest_paths(
        g, order[0],
        boost::weight_map(one).distance_map(boost::make_iterator_property_map(distance.begin(), index)));
    CHECK(distance[index[order[4]]] == 2); // x -> c -> output
  }
}
