// SPDX-License-Identifier: BSL-1.0
// Which values may share memory. The answer is coarse and on the safe side: values in different sets never
// share memory, values in one set may. Followed are the alias sets of the operators' schemas; what has no
// schema may give back any of its arguments.
#pragma once

#include <espalier/ir/storage.hpp>
#include <espalier/pipeline/analyses/aliases.hpp>
#include <espalier/support/span.hpp>
#include <espalier/support/vector.hpp>

#include <cstdint>
#include <string_view>

namespace espalier {

/// The values of a graph, divided into sets that may share memory. Nearly linear: union-find over one walk.
struct alias_sets {
  static constexpr std::string_view name = "alias-sets";

  class result {
  public:
    /// Two values may share memory.
    bool may_alias(value_id a, value_id b) const noexcept { return set_of(a) == set_of(b); }
    /// A value that shares memory with this one may be written to after it is made.
    bool written(value_id v) const noexcept { return marks_[v.index] & written_bit; }
    /// The value may share memory with an output of the graph.
    bool escapes(value_id v) const noexcept { return marks_[v.index] & escape_bit; }
    /// Something in the graph writes to memory that it did not just allocate.
    bool any_written() const noexcept { return any_written_; }

    /// The set of a value: sets are numbered from 0 in the program order of their first members.
    std::size_t set_of(value_id v) const noexcept { return set_[v.index]; }
    std::size_t num_sets() const noexcept { return first_.size() - 1; }
    /// The members of a set, in program order.
    span<const value_id> members(std::size_t set) const noexcept {
      return {members_.data() + first_[set], first_[set + 1] - first_[set]};
    }

  private:
    friend alias_sets;
    static constexpr std::uint8_t written_bit = 1, escape_bit = 2;
    vector<std::uint32_t> set_;  // by value
    vector<std::uint8_t> marks_; // by value
    vector<std::uint32_t> first_;
    vector<value_id> members_;
    bool any_written_ = false;
  };

  template <class = when_used>
  static result compute(const graph_storage& g) {
    detail::call_classes calls;
    detail::alias_classes classes(g, calls);
    result r;
    constexpr std::uint32_t none = 0xffff'ffffu;
    r.set_.assign(g.value_capacity(), none);
    r.marks_.resize(g.value_capacity());
    r.any_written_ = classes.any_written();
    vector<std::uint32_t> number(g.value_capacity(), none), count;
    const auto each = [&](auto&& f) {
      for (node_id n = g.first(); n.valid(); n = g.next(n))
        for (std::size_t i = 0; i != g.num_results(n); ++i)
          f(g.result(n, i));
    };
    each([&](value_id v) {
      auto& set = number[classes.class_of(v)];
      if (set == none) {
        set = static_cast<std::uint32_t>(count.size());
        count.push_back(0);
      }
      ++count[set];
      r.set_[v.index] = set;
      r.marks_[v.index] = static_cast<std::uint8_t>((classes.written(v) ? result::written_bit : 0) |
                                                    (classes.escapes(v) ? result::escape_bit : 0));
    });
    r.first_.assign(count.size() + 1, 0);
    for (std::size_t i = 0; i != count.size(); ++i)
      r.first_[i + 1] = r.first_[i] + count[i];
    r.members_.resize(r.first_.back());
    auto next = r.first_;
    each([&](value_id v) { r.members_[next[r.set_[v.index]]++] = v; });
    return r;
  }
};

} // namespace espalier
