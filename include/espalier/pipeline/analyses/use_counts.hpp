// SPDX-License-Identifier: BSL-1.0
// How often each value is used. The graph keeps use lists, which tell "none" and "one" at once but count in
// the length of the list: a pass that asks for the number of many values asks here.
#pragma once

#include <espalier/ir/storage.hpp>
#include <espalier/support/vector.hpp>

#include <cstdint>
#include <string_view>

namespace espalier {

/// Uses and users of every value. O(nodes + arguments).
struct use_counts {
  static constexpr std::string_view name = "use-counts";

  class result {
  public:
    /// Argument slots that hold the value: `add(x, x)` uses `x` twice.
    std::size_t uses(value_id v) const noexcept { return of_[v.index].uses; }
    /// Nodes that use the value, the output included: `add(x, x)` is one.
    std::size_t users(value_id v) const noexcept { return of_[v.index].users; }

  private:
    friend use_counts;
    struct count {
      std::uint32_t uses = 0, users = 0;
    };
    vector<count> of_; // by value
  };

  template <class = when_used>
  static result compute(const graph_storage& g) {
    result r;
    r.of_.resize(g.value_capacity());
    vector<node_id> last_user(g.value_capacity());
    for (node_id n = g.first(); n.valid(); n = g.next(n))
      for (auto& x : g.slots(n))
        if (x.is_use()) {
          auto& c = r.of_[x.w0];
          ++c.uses;
          c.users += last_user[x.w0] != n;
          last_user[x.w0] = n;
        }
    return r;
  }
};

} // namespace espalier
