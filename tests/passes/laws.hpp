// SPDX-License-Identifier: BSL-1.0
// The laws of passes, as one function: `obeys_the_laws(pass, graph)` says which one is broken.
#pragma once

#include <espalier/ir/hash.hpp>
#include <espalier/ir/infer.hpp>
#include <espalier/ir/text_parser.hpp>
#include <espalier/ir/verify.hpp>
#include <espalier/pipeline/pipeline.hpp>

#include <string>
#include <string_view>

namespace laws {

namespace es = espalier;

struct options {
  bool idempotent = true;
  bool undoes = false;       ///< several passes: a later one may take back what an earlier one changed
  bool require_meta = false; ///< of the verifier: the graphs say what their values are
};

/// Metas of all calls that have a shape rule, subgraphs included.
inline void infer_all(es::graph_storage& g) {
  for (std::size_t i = 0; i != g.num_subgraphs(); ++i)
    infer_all(g.subgraph(i));
  for (es::node n : es::nodes(g))
    if (n.kind() == es::node_kind::call_function)
      es::infer_metas(g, n.id());
}
/// A graph from its text, its calls' metas inferred.
inline es::graph_storage typed(std::string_view text) {
  auto p = es::parse_text(text);
  infer_all(p.graph);
  return std::move(p.graph);
}
inline std::string printed(const es::graph_storage& g) { return es::to_text(g, "training_ir"); }

inline std::string sound(const es::graph_storage& g, const options& o) {
  es::verify_options v;
  v.require_meta = o.require_meta;
  const auto found = es::verify<es::training_ir>(g, v);
  return found.empty() ? std::string() : es::to_string(found.front()) + "\n" + printed(g);
}

/// How the laws look at what passes run on.
struct of_graphs {
  static auto fingerprint(const es::graph_storage& g) { return es::structural_hash(g); }
  static std::string fault(const es::graph_storage& g, const options& o) { return sound(g, o); }
  static std::string print(const es::graph_storage& g) { return printed(g); }
};

/// Runs something over copies of a graph, or of what `Look` looks at, and gives the law that it broke, as a
/// sentence; nothing when it broke none. `run` takes such a thing and gives a `pass_result`.
template <class Look = of_graphs, class U, class F>
std::string broken_law_of(const std::string& name, const U& given, const F& run, const options& o = {}) {
  if (const auto why = Look::fault(given, o); !why.empty())
    return "the test's own graph is not sound: " + why;
  U once = given, again = given;
  const auto before = Look::fingerprint(given);
  const es::pass_result done = run(once);
  const auto after = Look::fingerprint(once);
  if (done.changed() != (before != after) && !(o.undoes && done.changed()))
    return name +
           (done.changed() ? " says that it changed the graph, and did not"
                           : " says that it changed nothing, and did") +
           "\n" + Look::print(given) + "\n" + Look::print(once);
  if (const auto why = Look::fault(once, o); !why.empty())
    return name + " broke the graph: " + why + "\nof\n" + Look::print(given);
  if (run(again) != done || Look::fingerprint(again) != after)
    return name + " gave two results for one graph\n" + Look::print(once) + "\n" + Look::print(again);
  if (o.idempotent && run(again).changed())
    return name + " changed its own result\n" + Look::print(once) + "\n" + Look::print(again);
  return {};
}
/// The same for a pass.
template <es::pass_type P>
std::string broken_law(const P& pass, const es::graph_storage& given, const options& o = {}) {
  return broken_law_of(
      std::string(P::name), given,
      [&](es::graph_storage& g) {
        es::pass_context c;
        return es::detail::call_pass(pass, g, c);
      },
      o);
}

} // namespace laws
