// SPDX-License-Identifier: BSL-1.0
// What changed between two graphs: nodes added, removed, and modified in their place. Few changes give few
// entries however deep the graph is, and however its nodes are named or numbered.
//
// What is reported is exact, but for 64-bit fingerprints that collide: two nodes count as equal only when
// operator, constants and operands are. How well nodes are paired (ir/graph_matching.hpp) decides how short
// the report is.
#pragma once

#include <espalier/ir/format.hpp>
#include <espalier/ir/graph_matching.hpp>
#include <espalier/ir/naming.hpp>
#include <espalier/ir/print.hpp>
#include <espalier/ir/storage.hpp>
#include <espalier/schema/builtin.hpp>
#include <espalier/support/span.hpp>
#include <espalier/support/vector.hpp>

#include <cstdint>
#include <iosfwd>
#include <string>
#include <string_view>
#include <utility>

namespace espalier {

/// What happened to a node.
enum class edit_kind : std::uint8_t { added, removed, modified };

constexpr std::string_view to_string(edit_kind k) noexcept {
  constexpr std::string_view names[] = {"added", "removed", "modified"};
  return names[static_cast<int>(k)];
}

/// One entry of a diff.
struct node_edit {
  edit_kind kind = edit_kind::modified;
  std::string graph; ///< where: empty for the top graph, else names of subgraphs (`true_graph_0.body`)
  node_id before{};  ///< in that graph before; invalid for an added node
  node_id after{};   ///< in that graph after; invalid for a removed node
  std::string text_before, text_after; ///< the node as a line of the program; empty where there is none
};

/// The differences between two graphs. Owns what it holds: the graphs may change or go.
class graph_diff {
public:
  graph_diff(vector<node_edit> edits, std::size_t steps) : edits_(std::move(edits)), steps_(steps) {
    for (const auto& e : edits_)
      ++counts_[static_cast<int>(e.kind)];
  }

  /// In program order, removed nodes where they stood; subgraphs follow the graph that holds them.
  span<const node_edit> edits() const noexcept { return edits_; }
  bool empty() const noexcept { return edits_.empty(); }
  std::size_t count(edit_kind k) const noexcept { return counts_[static_cast<int>(k)]; }
  /// Nodes and arguments looked at: what the diff cost, on any machine.
  std::size_t steps() const noexcept { return steps_; }

  /// A line that counts, then a line an entry: `+` added, `-` removed, and for modified nodes `<` before and
  /// `>` after. "no difference" when there is none.
  template <class = when_used>
  std::string text() const {
    if (empty())
      return "no difference\n";
    std::string out;
    for (const auto k : {edit_kind::added, edit_kind::removed, edit_kind::modified}) {
      out += out.empty() ? "" : ", ";
      detail::append_int(out, count(k));
      out += ' ';
      out += to_string(k);
    }
    out += '\n';
    const std::string* graph = nullptr;
    for (const auto& e : edits_) {
      if (!e.graph.empty() && (!graph || *graph != e.graph))
        out += "in " + e.graph + ":\n";
      graph = &e.graph;
      if (e.before.valid())
        out += (e.kind == edit_kind::removed ? "  - " : "  < ") + e.text_before + "\n";
      if (e.after.valid())
        out += (e.kind == edit_kind::added ? "  + " : "  > ") + e.text_after + "\n";
    }
    return out;
  }

private:
  vector<node_edit> edits_;
  std::size_t counts_[3] = {};
  std::size_t steps_ = 0;
};

template <class Traits>
std::basic_ostream<char, Traits>& operator<<(std::basic_ostream<char, Traits>& os, const graph_diff& d) {
  return os << d.text();
}

namespace detail {

/// Compares two graphs and their subgraphs, and writes the report.
template <class = when_used>
class graph_differ {
public:
  graph_differ(vector<node_edit>& edits, std::size_t& steps) : edits_(edits), steps_(steps) {}

  void run(const graph_storage& before, const graph_print& print_before, const graph_storage& after,
           const graph_print& print_after, const std::string& path) {
    diff_side a(before, print_before.subgraphs, steps_), b(after, print_after.subgraphs, steps_);
    node_matcher(a, b, steps_).run();

    const std::size_t first = edits_.size();
    hash_set<std::uint64_t> inner; // pairs of subgraphs to compare
    auto gone = a.order.begin();
    const auto flush_until = [&](node_id stop) {
      for (; gone != a.order.end() && *gone != stop; ++gone)
        if (a.unmatched(*gone))
          edits_.push_back({edit_kind::removed, path, *gone, {}, {}, {}});
    };
    for (const node_id m : b.order) {
      const node_id n = b.match[m.index];
      if (!n.valid()) {
        edits_.push_back({edit_kind::added, path, {}, m, {}, {}});
        continue;
      }
      if (gone != a.order.end() && !a.g.is_before(n, *gone))
        flush_until(n);
      if (!same(a, n, b, m))
        edits_.push_back({edit_kind::modified, path, n, m, {}, {}});
      const auto x = a.g.slots(n), y = b.g.slots(m);
      for (std::size_t i = 0; i != x.size() && i != y.size(); ++i)
        if (differ(a, x[i], b, y[i]))
          inner.insert(std::uint64_t{x[i].w2} << 32 | y[i].w2);
    }
    flush_until({});
    if (edits_.size() != first)
      write_texts(before, after, first);
    for (const std::uint64_t pair : inner) {
      const auto i = static_cast<std::uint32_t>(pair >> 32), j = static_cast<std::uint32_t>(pair);
      const std::string name(after.text(after.subgraph_name(j)));
      run(before.subgraph(i), print_before.subgraphs[i], after.subgraph(j), print_after.subgraphs[j],
          path.empty() ? name : path + "." + name);
    }
  }

private:
  /// Two subgraphs that exist and are not the same.
  static bool differ(const diff_side<>& a, const slot& x, const diff_side<>& b, const slot& y) {
    return x.form() == arg_form::subgraph && y.form() == arg_form::subgraph && x.w2 < a.graphs.size() &&
           y.w2 < b.graphs.size() && a.graphs[x.w2].of_graph != b.graphs[y.w2].of_graph;
  }

  /// Whether two nodes that were paired are equal. What their subgraphs hold is reported there.
  bool same(const diff_side<>& a, node_id n, const diff_side<>& b, node_id m) {
    ++steps_;
    if (a.g.kind(n) != b.g.kind(m) || a.g.op(n) != b.g.op(m) || a.g.num_results(n) != b.g.num_results(m) ||
        a.g.returns_list(n) != b.g.returns_list(m) || a.g.input(n) != b.g.input(m))
      return false;
    const auto x = a.g.slots(n), y = b.g.slots(m);
    if (x.size() != y.size() || a.g.num_args(n) != b.g.num_args(m))
      return false;
    for (std::size_t i = 0; i != x.size(); ++i) {
      ++steps_;
      if (x[i].form() != y[i].form())
        return false;
      switch (x[i].form()) {
      case arg_form::value:
        if (!same_value(a, value_id{x[i].w0}, b, value_id{y[i].w0}))
          return false;
        break;
      case arg_form::string:
      case arg_form::opaque:
        if (a.g.text(str_id{x[i].w2}) != b.g.text(str_id{y[i].w2}))
          return false;
        break;
      case arg_form::symbolic:
        if (a.g.symbol(x[i].w2) != b.g.symbol(y[i].w2))
          return false;
        break;
      case arg_form::subgraph:
        if ((x[i].w2 < a.graphs.size()) != (y[i].w2 < b.graphs.size()))
          return false;
        break;
      default:
        if (x[i].w1 != y[i].w1 || x[i].bits() != y[i].bits())
          return false;
      }
    }
    return true;
  }
  /// The same value: of paired nodes, or of others that compute the same (one of two equal calls is as good
  /// as the other).
  static bool same_value(const diff_side<>& a, value_id v, const diff_side<>& b, value_id w) {
    const node_id n = a.g.def(v), m = b.g.def(w);
    return a.g.result_index(v) == b.g.result_index(w) &&
           (a.match[n.index] == m ||
            (a.below[n.index] == b.below[m.index] && a.functional() && b.functional()));
  }

  void write_texts(const graph_storage& before, const graph_storage& after, std::size_t first) {
    with_names(before, [&](const graph_storage& g) {
      for (std::size_t i = first; i != edits_.size(); ++i)
        if (edits_[i].before.valid())
          edits_[i].text_before = line(g, edits_[i].before);
    });
    with_names(after, [&](const graph_storage& g) {
      for (std::size_t i = first; i != edits_.size(); ++i)
        if (edits_[i].after.valid())
          edits_[i].text_after = line(g, edits_[i].after);
    });
  }
  static std::string line(const graph_storage& g, node_id n) {
    std::string out;
    python_arguments args{g, out, ""};
    const node_kind k = g.kind(n);
    if (k != node_kind::output) {
      out += g.text(g.node_name(n));
      out += k == node_kind::placeholder ? ": " : " = ";
    }
    if (k == node_kind::placeholder)
      out += to_string(g.input(n));
    else
      out += k == node_kind::output     ? "return "
             : k == node_kind::get_attr ? "get_attr"
                                        : serialized_target(g.op(n));
    if (k != node_kind::placeholder) {
      out += '(';
      args.arguments(n, "=");
      out += ')';
    }
    return out;
  }

  vector<node_edit>& edits_;
  std::size_t& steps_;
};

} // namespace detail

/// What changed from `before` to `after`, subgraphs included: operators, arguments, and which nodes there
/// are. Names, metas, origins, and the order of nodes do not count. Deterministic; linear in the size of both
/// graphs, but for sorting the users of a value whose users changed.
template <class = when_used>
graph_diff diff(const graph_storage& before, const graph_storage& after) {
  vector<node_edit> edits;
  std::size_t steps = 0;
  const auto a = detail::print_graph(before, steps), b = detail::print_graph(after, steps);
  detail::graph_differ(edits, steps).run(before, a, after, b, {});
  return graph_diff(std::move(edits), steps);
}

} // namespace espalier
