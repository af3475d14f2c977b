// SPDX-License-Identifier: BSL-1.0
// Analyses are types: computed when first asked for, kept for the graph they were computed on, and dropped by
// the pipeline after every pass that changed something and does not say that it preserves them. Which are
// dropped where is known at compile time; only whether a pass changed anything is not.
#pragma once

#include <espalier/ir/storage.hpp>
#include <espalier/support/span.hpp>
#include <espalier/support/vector.hpp>

#include <algorithm>
#include <array>
#include <concepts>
#include <memory>
#include <string_view>

namespace espalier {

/// An analysis: a name, and `compute`, which gives what is known of one graph (not of its subgraphs).
template <class A>
concept analysis = requires(const graph_storage& g) {
  { A::name } -> std::convertible_to<std::string_view>;
  A::compute(g);
};

/// What an analysis gives.
template <analysis A>
using analysis_result = decltype(A::compute(std::declval<const graph_storage&>()));

/// A list of analyses: what a pass preserves although it changes the graph.
template <class... As>
struct analyses {};
/// Of a pass that keeps every analysis true: it changes nothing that an analysis may look at.
struct all_analyses {};

/// The results of analyses, by graph. Not copied with anything; a graph that moves or dies must be forgotten.
class analysis_cache {
  using key = const void*;
  template <class A>
  static constexpr char key_of{}; // its address tells analyses apart

public:
  /// What `A` knows of `g`, computed if it is not known yet. Valid until the next pass that does not preserve
  /// it, or until `forget`.
  template <analysis A>
  const analysis_result<A>& get(const graph_storage& g) {
    for (const auto& e : entries_)
      if (e.of == &key_of<A> && e.graph == &g)
        return *static_cast<const analysis_result<A>*>(e.result.get());
    auto made = std::make_shared<analysis_result<A>>(A::compute(g));
    const auto& result = *made;
    entries_.push_back({&key_of<A>, &g, std::move(made)});
    return result;
  }
  /// The same, if it is known already; null otherwise.
  template <analysis A>
  const analysis_result<A>* cached(const graph_storage& g) const noexcept {
    for (const auto& e : entries_)
      if (e.of == &key_of<A> && e.graph == &g)
        return static_cast<const analysis_result<A>*>(e.result.get());
    return nullptr;
  }
  /// Drops all analyses but those listed.
  template <class... As>
  constexpr void keep_only(analyses<As...>) {
    if (entries_.empty())
      return;
    const std::array<key, sizeof...(As)> kept{&key_of<As>...};
    drop_all_but(kept);
  }
  constexpr void keep_only(all_analyses) const noexcept {}
  /// Drops what is known of one graph.
  template <class = when_used>
  void forget(const graph_storage& g) {
    espalier::erase_if(entries_, [&](const entry& e) { return e.graph == &g; });
  }
  constexpr bool empty() const noexcept { return entries_.empty(); }

private:
  // out of line: most pipelines ask for no analysis
  template <class = when_used>
  [[gnu::noinline]] constexpr void drop_all_but(span<const key> kept) {
    espalier::erase_if(
        entries_, [&](const entry& e) { return std::find(kept.begin(), kept.end(), e.of) == kept.end(); });
  }
  struct entry {
    key of;
    const graph_storage* graph;
    std::shared_ptr<const void> result; // keeps its address while the list grows
  };
  vector<entry> entries_; // a handful: a scan beats a table
};

} // namespace espalier
