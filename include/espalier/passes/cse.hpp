// SPDX-License-Identifier: BSL-1.0
// Common subexpression elimination by hash-consing: one walk, one open-addressed table of node ids, in which
// calls of neighbouring operands are neighbours, so that large graphs go through the caches in order. A call
// is merged with an earlier equal one when it is pure and nothing it reads or makes shares memory with a
// value that the graph writes to. Outputs keep their nodes, hence their names, and two outputs never become
// one tensor.
#pragma once

#include <espalier/ir/storage.hpp>
#include <espalier/pipeline/analyses/aliases.hpp>
#include <espalier/pipeline/analyses/effects.hpp>
#include <espalier/pipeline/pass.hpp>
#include <espalier/pipeline/pass_context.hpp>
#include <espalier/pipeline/pass_result.hpp>
#include <espalier/pipeline/properties.hpp>
#include <espalier/support/vector.hpp>

#include <algorithm>
#include <cstdint>
#include <string_view>

namespace espalier {

/// Merges equal pure calls and equal `get_attr` nodes; subgraphs each by themselves. Linear.
struct cse : pass {
  static constexpr std::string_view name = "cse";
  static constexpr std::string_view description = "merges equal calls";
  using establishes = properties<property::no_duplicates>;
  using destroys = properties<property::canonical>; // a value with fewer users may match a pattern

  template <class = when_used>
  static constexpr pass_result run(graph_storage& g) {
    pass_context c;
    return run(g, c);
  }
  template <class = when_used>
  static constexpr pass_result run(graph_storage& g, pass_context& c) {
    detail::call_classes classes;
    return merge(g, classes, c);
  }

private:
  struct entry {
    std::uint32_t hash = 0;
    node_id node{};
  };

  /// Nodes by what they compute. A node is looked for in the eight entries that belong to its newest operand,
  /// which its neighbours in the program have just brought into the cache; where those are taken (one operand
  /// of many calls), anywhere from where its hash says. Entries stay, so that both find what was put there.
  template <class = when_used>
  class node_table {
  public:
    constexpr explicit node_table(const graph_storage& g) {
      std::size_t size = 16;
      while (size < g.num_nodes() * 2)
        size *= 2;
      entries_.resize(size);
      scale_ = (std::uint64_t{size / bucket} << 32) / (g.value_capacity() + 1);
    }
    /// The entry of an equal node, or the free one where `n` belongs, its hash written down.
    constexpr entry& find(const graph_storage& g, node_id n) {
      const auto [h, newest] = hash(g, n);
      const auto short_hash = static_cast<std::uint32_t>(h >> 32);
      const auto here = [&](entry& e) {
        if (!e.node.valid()) {
          e.hash = short_hash;
          return true;
        }
        return e.hash == short_hash && equal(g, e.node, n);
      };
      entry* const near = &entries_[(newest * scale_ >> 32) * bucket];
      for (std::size_t i = 0; i != bucket; ++i)
        if (entry& e = near[(h + i) % bucket]; here(e))
          return e;
      std::size_t at = h & (entries_.size() - 1);
      const std::size_t step =
          (h >> 40) | 1; // neighbours fill together: a walk in steps of one would meet all
      while (!here(entries_[at]))
        at = (at + step) & (entries_.size() - 1);
      return entries_[at];
    }

  private:
    static constexpr std::size_t bucket = 8; // entries of a cache line

    struct hashed {
      std::uint64_t hash, newest;
    };
    static constexpr hashed hash(const graph_storage& g, node_id n) noexcept {
      constexpr std::uint64_t k = 0x9e37'79b9'7f4a'7c15ull;
      std::uint64_t h = (g.op(n).index + g.num_args(n) * 0x1'0000'0001ull) * k;
      std::uint32_t newest = 0;
      for (auto& x : g.slots(n)) {
        h ^= x.w0;
        if (x.is_use())
          newest = std::max(newest, x.w0);
        else if (x.form() == arg_form::symbolic)
          h ^= std::hash<const void*>{}(
              g.symbol(x.w2)); // expressions are interned; where the table puts a call decides nothing
        else
          h ^= (std::uint64_t{x.w2} << 32 | x.w3) + x.w1 * 0x517c'c1b7ull;
        h = (h ^ (h >> 29)) * k;
      }
      return {h ^ (h >> 32), newest};
    }

    vector<entry> entries_;
    std::uint64_t scale_ = 0; // from the number of a value to that of its bucket, times 2^32
  };

  template <class = when_used>
  static constexpr pass_result merge(graph_storage& g, detail::call_classes& classes, pass_context& c) {
    pass_result done;
    for (std::size_t i = 0; i != g.num_subgraphs(); ++i)
      done += merge(g.subgraph(i), classes, c);
    detail::alias_classes memory(g, classes);
    node_table table(g);
    node_id following{};
    for (node_id n = g.first(); n.valid(); n = following) {
      following = g.next(n);
      if (!mergeable(g, n, classes, memory))
        continue;
      entry& found = table.find(g, n);
      if (!found.node.valid()) {
        found.node = n;
      } else if (replaceable(g, found.node, n, memory) && c.may_edit(name)) {
        const node_id leader = found.node;
        for (std::size_t i = 0; i != g.num_results(n); ++i) {
          memory.join(g.result(leader, i), g.result(n, i));
          g.replace_all_uses(g.result(n, i), g.result(leader, i));
        }
        g.erase(n);
        ++done.erased;
      }
    }
    return done;
  }

  template <class = when_used>
  static constexpr bool mergeable(const graph_storage& g, node_id n, detail::call_classes& classes,
                                  detail::alias_classes& memory) {
    if (g.kind(n) == node_kind::get_attr)
      return true; // the same attribute is the same tensor, whoever writes to it
    if (g.kind(n) != node_kind::call_function)
      return false;
    if (const auto c = classes(g.op(n)); c != detail::call_class::plain && c != detail::call_class::view) {
      if (c != detail::call_class::norm || detail::updates_statistics(g, n))
        return false;
    }
    return !memory.touches_written(g, n);
  }

  static constexpr bool equal(const graph_storage& g, node_id a, node_id b) noexcept {
    const auto x = g.slots(a), y = g.slots(b);
    if (g.op(a) != g.op(b) || g.kind(a) != g.kind(b) || g.num_args(a) != g.num_args(b) ||
        x.size() != y.size() || g.num_results(a) != g.num_results(b) ||
        g.returns_list(a) != g.returns_list(b))
      return false;
    for (std::size_t i = 0; i != x.size(); ++i) {
      if (x[i].w0 != y[i].w0)
        return false;
      if (x[i].is_use())
        continue;
      if (x[i].form() == arg_form::symbolic ? g.symbol(x[i].w2) != g.symbol(y[i].w2)
                                            : x[i].w1 != y[i].w1 || x[i].w2 != y[i].w2 || x[i].w3 != y[i].w3)
        return false;
    }
    return true;
  }
  /// Nothing known of the results differs (two `item()` calls have symbols of their own), and no output is
  /// lost. Core views alias their input either way, so that merging two adds no alias.
  static constexpr bool replaceable(const graph_storage& g, node_id leader, node_id n,
                                    detail::alias_classes& memory) {
    const op_flags f = g.kind(n) == node_kind::get_attr ? op_flags{} : flags_of(g.op(n));
    const bool aliased_anyway = g.kind(n) == node_kind::get_attr || (f.view && f.core);
    for (std::size_t i = 0; i != g.num_results(n); ++i) {
      const value_id a = g.result(leader, i), b = g.result(n, i);
      if (g.meta_of(a) != g.meta_of(b) && g.meta_of(b).valid())
        return false;
      if (!memory.escapes(b))
        continue;
      if (memory.escapes(a) && !aliased_anyway)
        return false;
      for (slot_id u = g.first_use(b); u.valid(); u = g.next_use(u))
        if (g.kind(g.user(u)) == node_kind::output)
          return false;
    }
    return true;
  }
};

} // namespace espalier
