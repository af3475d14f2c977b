// SPDX-License-Identifier: BSL-1.0
// Regions: the connected parts of a graph whose calls a predicate takes, such that each can become one call.
// What a backend gets delegated, what a fused kernel covers, what a pass is confined to.
//
// A call that does more than compute its results is in none: it writes, draws random numbers, asserts, or
// uses memory that is written to. And a way must not lead out of a region and back in. Partitioners of FX's
// kind (`torch/fx/passes/infra/partitioner.py`) ask that of all ways out of every two partitions, which takes
// the square of the graph. Here nodes stand in stages: whatever is outside stands a stage after the regions
// that it uses, all else no earlier than what it uses. Calls of one stage that feed each other can be
// gathered without a cycle, all at once; that is nearly all of the work. Regions that still feed each other
// are tried pair by pair, between their stages only.
#pragma once

#include <espalier/ir/storage.hpp>
#include <espalier/ir/view.hpp>
#include <espalier/pipeline/analyses/aliases.hpp>
#include <espalier/pipeline/analyses/effects.hpp>
#include <espalier/pipeline/order.hpp>
#include <espalier/schema/builtin.hpp>
#include <espalier/schema/op_traits.hpp>
#include <espalier/support/span.hpp>
#include <espalier/support/vector.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace espalier {

/// What chooses calls: asked of each `call_function` node, it says whether the node may be in a region. It
/// must answer the same when asked again.
template <class P>
concept node_predicate = std::predicate<const P&, node>;

/// The predicate of calls to some operators: `calls_to<aten::relu, aten::add_Tensor>{}`.
template <op_type... Ops>
struct calls_to {
  constexpr bool operator()(node n) const noexcept { return ((n.op() == id_of<Ops>()) || ...); }
  /// `aten.relu.default, aten.add.Tensor`: what `calls_named` reads.
  template <class = when_used>
  static std::string text() {
    std::string out;
    ((out += (out.empty() ? "" : ", ") + target_of(id_of<Ops>())), ...);
    return out;
  }
};

/// Why a call is in no region.
enum class left_out : std::uint8_t {
  no,            ///< it is in one
  unsupported,   ///< the predicate says no, or it is a higher-order call
  writes,        ///< it writes to memory that it did not allocate
  random,        ///< it draws random numbers, whose order is part of the program
  effects,       ///< it asserts, prints, or does what nobody knows
  shares_memory, ///< it uses or gives memory that some call writes to
  numbers,       ///< it uses or gives a float or bool that is no tensor, which Python's calls do not pass
  too_small,     ///< its region would have fewer calls than the least
  unused,        ///< nothing that its region computes is used outside
};

/// A sentence about the reason.
constexpr std::string_view to_string(left_out r) noexcept {
  constexpr std::string_view names[] = {"in a region",
                                        "not supported",
                                        "writes to memory",
                                        "draws random numbers",
                                        "has effects",
                                        "uses memory that is written to",
                                        "uses or gives a float or bool that is no tensor",
                                        "region too small",
                                        "gives nothing that is used"};
  return names[static_cast<int>(r)];
}

/// How regions are formed.
struct region_options {
  std::size_t min_nodes = 1; ///< regions of fewer calls are given up
  bool only_used = false;    ///< regions that give nothing that is used are given up
};

/// Two regions that stay apart although one uses the other's values: as one, they would depend on themselves.
struct region_gap {
  std::size_t from = 0, to = 0; ///< positions among the regions
  node_id between{}; ///< on another way from the first to the second; invalid if the two were not tried
};

/// The regions of a graph, and why other calls are in none. Holds ids: valid until the graph is edited.
struct region_plan {
  vector<vector<node_id>> regions; ///< by their first calls; calls in program order
  struct left_call {
    node_id call;
    left_out why;
  };
  vector<left_call> outside; ///< calls in no region, in program order
  vector<region_gap> gaps;   ///< each pair of regions once
  std::size_t steps = 0;     ///< nodes and arguments looked at

  /// How many calls are in regions.
  std::size_t num_inside() const noexcept {
    std::size_t n = 0;
    for (const auto& r : regions)
      n += r.size();
    return n;
  }
};

namespace detail {

/// Nodes by group, each group in program order, in one array.
class node_groups {
public:
  static constexpr std::uint32_t none = 0xffff'ffffu;
  /// `group_of(node)` is below `groups`, or `none`.
  template <class F>
  node_groups(const graph_storage& g, std::size_t groups, F&& group_of) : first_(groups + 1) {
    for (node_id n = g.first(); n.valid(); n = g.next(n))
      if (const std::uint32_t k = group_of(n); k != none)
        ++first_[k + 1];
    for (std::size_t k = 0; k != groups; ++k)
      first_[k + 1] += first_[k];
    nodes_.resize(first_.back());
    auto at = first_;
    for (node_id n = g.first(); n.valid(); n = g.next(n))
      if (const std::uint32_t k = group_of(n); k != none)
        nodes_[at[k]++] = n;
  }
  span<const node_id> operator[](std::size_t k) const noexcept {
    return {nodes_.data() + first_[k], first_[k + 1] - first_[k]};
  }

private:
  vector<std::uint32_t> first_;
  vector<node_id> nodes_;
};

/// Forms regions; holds what that takes.
template <class = when_used>
class region_finder {
public:
  explicit region_finder(const graph_storage& g)
      : g_(g), role_(g.node_capacity(), outside), stage_(g.node_capacity()), parent_(g.node_capacity()),
        ordered_before_(g.node_capacity()), ordered_after_(g.node_capacity()) {}

  template <class Predicate>
  region_plan run(const Predicate& predicate, const region_options& o) {
    call_classes classes;
    alias_classes memory(g_, classes);
    for (node_id n = g_.first(); n.valid(); n = g_.next(n)) {
      const node_kind k = g_.kind(n);
      if (k == node_kind::output)
        continue; // after everything
      if (k == node_kind::call_function || k == node_kind::call_higher_order) {
        const left_out why = k == node_kind::call_function && predicate(node(g_, n))
                                 ? why_not(n, classes, memory)
                                 : left_out::unsupported;
        if (why == left_out::no)
          role_[n.index] = inside;
        else
          plan_.outside.emplace_back(n, why);
      }
      if (role_[n.index] != inside && k != node_kind::placeholder && !may_move(g_, n, classes, memory))
        role_[n.index] = ordered;
      set_stage(n);
    }
    join_late();
    join_tried();
    collect(o);
    find_gaps();
    return std::move(plan_);
  }

private:
  enum role : std::uint8_t {
    outside,
    ordered, ///< outside, and does more than compute: these keep their order
    inside
  };

  left_out why_not(node_id n, call_classes& classes, alias_classes& memory) const {
    switch (classes(g_.op(n))) {
    case call_class::plain:
    case call_class::view:
      break;
    case call_class::norm:
      if (updates_statistics(g_, n))
        return left_out::writes;
      break;
    case call_class::mutating:
      return left_out::writes;
    case call_class::random:
      return left_out::random;
    default:
      return left_out::effects;
    }
    if (memory.touches_written(g_, n))
      return left_out::shares_memory;
    const auto is_number = [&](value_id v) {
      const value_kind k = g_.meta(v).kind;
      return k == value_kind::sym_float || k == value_kind::sym_bool;
    };
    for (const auto& x : g_.slots(n))
      if (x.is_use() && is_number(value_id{x.w0}))
        return left_out::numbers;
    for (std::size_t i = 0; i != g_.num_results(n); ++i)
      if (is_number(g_.result(n, i)))
        return left_out::numbers;
    return left_out::no;
  }
  std::uint32_t root(std::uint32_t i) noexcept {
    while (parent_[i] != i)
      i = parent_[i] = parent_[parent_[i]];
    return i;
  }
  /// The earlier node leads.
  void unite(std::uint32_t a, std::uint32_t b) noexcept {
    a = root(a);
    b = root(b);
    if (a == b)
      return;
    if (g_.is_before(node_id{b}, node_id{a}))
      std::swap(a, b);
    parent_[b] = a;
  }

  /// What a node is part of: its region, by that region's first call, or itself.
  std::uint32_t cluster(node_id n) noexcept { return role_[n.index] == inside ? root(n.index) : n.index; }
  std::uint32_t stage(node_id n) noexcept { return stage_[cluster(n)]; }
  node_groups regions() {
    return {g_, g_.node_capacity(),
            [&](node_id n) { return role_[n.index] == inside ? root(n.index) : none; }};
  }
  template <class F>
  void each_user(node_id n, F&& f) {
    for (std::size_t i = 0; i != g_.num_results(n); ++i)
      for (slot_id u = g_.first_use(g_.result(n, i)); u.valid(); u = g_.next_use(u)) {
        ++plan_.steps;
        if (g_.kind(g_.user(u)) != node_kind::output)
          f(g_.user(u));
      }
  }
  template <class F>
  void each_operand(node_id n, F&& f) {
    for (const auto& x : g_.slots(n)) {
      ++plan_.steps;
      if (x.is_use())
        f(g_.def(value_id{x.w0}));
    }
  }

  /// The earliest stage that a node can have; a call inside is of one region with those that it uses of that
  /// stage.
  void set_stage(node_id n) {
    parent_[n.index] = n.index;
    ++plan_.steps;
    auto& s = stage_[n.index];
    const bool is_inside = role_[n.index] == inside;
    each_operand(
        n, [&](node_id d) { s = std::max(s, stage_[d.index] + (role_[d.index] == inside && !is_inside)); });
    if (role_[n.index] == ordered) { // these keep their order
      if (last_ordered_.valid()) {
        s = std::max(s, stage_[last_ordered_.index]);
        ordered_before_[n.index] = last_ordered_;
        ordered_after_[last_ordered_.index] = n;
      }
      last_ordered_ = n;
    }
    last_stage_ = std::max(last_stage_, s);
    if (is_inside)
      each_operand(n, [&](node_id d) {
        if (role_[d.index] == inside && stage_[d.index] == s)
          unite(d.index, n.index);
      });
  }

  /// From the last stage to the first, moves whole regions to the stage of one that uses them, where all
  /// their users allow it, and joins the two; moves what is outside as far as its users allow. Stages stay as
  /// they must be at every step.
  void join_late() {
    const node_groups parts = regions();
    const node_groups leads(g_, last_stage_ + 1, [&](node_id n) {
      return role_[n.index] == inside && root(n.index) == n.index ? stage_[n.index] : none;
    });
    const node_groups others(g_, last_stage_ + 1, [&](node_id n) {
      return role_[n.index] == inside || n == g_.output_node() ? none : stage_[n.index];
    });
    for (std::size_t s = last_stage_ + 1; s-- > 0;) {
      for (const node_id lead : leads[s])
        join(parts[lead.index]);
      const auto here = others[s];
      for (std::size_t i = here.size(); i-- > 0;) {
        const node_id n = here[i];
        std::uint32_t limit = last_stage_;
        if (const node_id after = ordered_after_[n.index]; after.valid())
          limit = stage_[after.index];
        each_user(n, [&](node_id u) { limit = std::min(limit, stage(u)); });
        stage_[n.index] = limit;
      }
    }
  }
  void join(span<const node_id> part) {
    const std::uint32_t me = root(part.front().index);
    std::uint32_t limit = last_stage_;
    bool is_used = false;
    for (const node_id n : part)
      each_user(n, [&](node_id u) {
        const bool region = role_[u.index] == inside;
        if (cluster(u) == me)
          return;
        limit = std::min(limit, stage(u) - !region);
        is_used = is_used || region;
      });
    bool joined = false;
    if (is_used)
      for (const node_id n : part)
        each_user(n, [&](node_id u) {
          if (role_[u.index] != inside || root(u.index) == root(me) || stage(u) != limit)
            return;
          unite(me, u.index);
          stage_[root(me)] = limit;
          joined = true;
        });
    if (joined)
      return;
    // Nobody to join. What is fed by no region may go late, which leaves the more room to regions before it;
    // what is fed by one stays where that can join it.
    bool is_fed = false;
    for (const node_id n : part)
      each_operand(n, [&](node_id d) { is_fed = is_fed || (role_[d.index] == inside && cluster(d) != me); });
    if (!is_fed)
      stage_[me] = limit;
  }

  bool is_used_outside(node_id n) {
    for (std::size_t r = 0; r != g_.num_results(n); ++r)
      for (slot_id u = g_.first_use(g_.result(n, r)); u.valid(); u = g_.next_use(u)) {
        const node_id user = g_.user(u);
        if (role_[user.index] != inside || root(user.index) != root(n.index))
          return true;
      }
    return false;
  }
  void collect(const region_options& o) {
    vector<std::uint32_t> size(g_.node_capacity());
    for (node_id n = g_.first(); n.valid(); n = g_.next(n))
      if (role_[n.index] == inside)
        ++size[root(n.index)];
    vector<bool> used(o.only_used ? g_.node_capacity() : 0);
    if (o.only_used)
      for (node_id n = g_.first(); n.valid(); n = g_.next(n))
        if (role_[n.index] == inside && !used[root(n.index)])
          used[root(n.index)] = is_used_outside(n);
    region_.assign(g_.node_capacity(), none);
    bool given_up = false;
    for (node_id n = g_.first(); n.valid(); n = g_.next(n)) {
      if (role_[n.index] != inside)
        continue;
      const std::uint32_t lead = root(n.index);
      if (size[lead] < o.min_nodes || (o.only_used && !used[lead])) {
        plan_.outside.emplace_back(n, size[lead] < o.min_nodes ? left_out::too_small : left_out::unused);
        given_up = true;
        continue;
      }
      if (region_[lead] == none) {
        region_[lead] = static_cast<std::uint32_t>(plan_.regions.size());
        plan_.regions.emplace_back().reserve(size[lead]);
      }
      region_[n.index] = region_[lead];
      plan_.regions[region_[n.index]].push_back(n);
    }
    if (given_up)
      std::sort(plan_.outside.begin(), plan_.outside.end(),
                [&](const auto& a, const auto& b) { return g_.is_before(a.call, b.call); });
  }

  /// Regions that feed each other are tried one by one: a walk from the first and one back from the second
  /// take turns, along ways outside of both, no further than the stages between the two. Where they do not
  /// meet, the two become one. In one round only pairs whose stages do not overlap, since two such pairs
  /// cannot be a cycle together; then stages are told anew. Stops at a number of steps that is linear in the
  /// graph.
  void join_tried() {
    for (bool again = find_candidates(); again && plan_.steps < most_steps_;) {
      tell_stages();
      const node_groups parts = regions();
      std::sort(candidates_.begin(), candidates_.end(), [&](const candidate& x, const candidate& y) {
        const std::uint32_t a[] = {stage(x.to), stage(x.from), x.to.index, x.from.index},
                            b[] = {stage(y.to), stage(y.from), y.to.index, y.from.index};
        return std::lexicographical_compare(a, a + 4, b, b + 4);
      });
      again = false;
      std::uint32_t free_from = 0; // pairs before that stage have been joined in this round
      struct join {
        node_id from, to;
      };
      vector<join> joined;
      for (candidate& x : candidates_) {
        if (x.between.valid())
          continue;
        if (stage(x.from) < free_from) {
          again = true;
          continue;
        }
        if (plan_.steps >= most_steps_)
          break;
        x.between = way_between(cluster(x.from), cluster(x.to), parts);
        if (x.between.valid() || plan_.steps >= most_steps_)
          continue;
        free_from = stage(x.to);
        joined.emplace_back(x.from, x.to);
      }
      for (const auto& [from, to] : joined)
        unite(from.index, to.index);
      espalier::erase_if(candidates_, [&](const candidate& x) { return cluster(x.from) == cluster(x.to); });
    }
  }
  /// A use of one region's value in another region.
  struct candidate {
    node_id from, to;
    node_id between{}; ///< known to be on another way from one to the other
  };
  bool find_candidates() {
    const node_groups parts = regions();
    vector<std::uint32_t> seen(g_.node_capacity(), none); // by region: the last that was found to use it
    for (node_id lead = g_.first(); lead.valid(); lead = g_.next(lead))
      for (const node_id n : parts[lead.index])
        for (const auto& x : g_.slots(n)) {
          ++plan_.steps;
          if (!x.is_use())
            continue;
          const node_id d = g_.def(value_id{x.w0});
          if (role_[d.index] != inside || root(d.index) == lead.index || seen[root(d.index)] == lead.index)
            continue;
          seen[root(d.index)] = lead.index;
          candidates_.push_back({d, n});
        }
    most_steps_ = plan_.steps * most_work;
    return !candidates_.empty();
  }
  /// The earliest stages, regions as they are: each stands before all that uses it, all else no later.
  void tell_stages() {
    vector<std::uint32_t> waits_for(g_.node_capacity());
    for (node_id n = g_.first(); n.valid() && n != g_.output_node(); n = g_.next(n)) {
      stage_[n.index] = 0;
      for (const auto& x : g_.slots(n))
        waits_for[cluster(n)] += x.is_use() && cluster(g_.def(value_id{x.w0})) != cluster(n);
      waits_for[n.index] += ordered_before_[n.index].valid();
    }
    vector<node_id> ready; // members of what stands
    const node_groups members(g_, g_.node_capacity(), [&](node_id n) { return cluster(n); });
    const auto place = [&](std::uint32_t c) {
      for (const node_id n : members[c])
        ready.push_back(n);
    };
    const auto reach = [&](node_id u, std::uint32_t s) {
      const std::uint32_t c = cluster(u);
      stage_[c] = std::max(stage_[c], s);
      if (--waits_for[c] == 0)
        place(c);
    };
    for (node_id n = g_.first(); n.valid() && n != g_.output_node(); n = g_.next(n))
      if (cluster(n) == n.index && waits_for[n.index] == 0)
        place(n.index);
    for (std::size_t i = 0; i != ready.size(); ++i) {
      const node_id n = ready[i];
      each_user(n, [&](node_id u) {
        if (cluster(u) != cluster(n))
          reach(u, stage(n) + (role_[n.index] == inside));
      });
      if (ordered_after_[n.index].valid())
        reach(ordered_after_[n.index], stage(n));
    }
  }

  /// Visits what is reached from a cluster, one look at a time.
  class walk {
  public:
    walk(region_finder& f, const node_groups& parts, bool forward, std::uint32_t from)
        : f_(f), parts_(parts), forward_(forward), queue_{from} {}
    bool done() const noexcept { return at_ == queue_.size(); }
    std::uint32_t current() const noexcept { return queue_[at_]; }
    void add(std::uint32_t cluster) { queue_.push_back(cluster); }
    /// A neighbour of what was reached, or nothing yet. There is one look or none left.
    node_id look() {
      const graph_storage& g = f_.g_;
      ++f_.plan_.steps;
      const node_id lead{queue_[at_]};
      const auto members = f_.role_[lead.index] == inside ? parts_[lead.index] : span(&lead, 1);
      const node_id n = members[member_];
      if (use_.valid()) {
        const node_id u = g.user(use_);
        use_ = g.next_use(use_);
        return g.kind(u) == node_kind::output ? node_id{} : u;
      }
      const std::size_t last = forward_ ? g.num_results(n) : g.slots(n).size();
      if (i_ != last) {
        const std::size_t i = i_++;
        if (forward_)
          use_ = g.first_use(g.result(n, i));
        else if (const auto& x = g.slots(n)[i]; x.is_use())
          return g.def(value_id{x.w0});
        return {};
      }
      i_ = 0;
      if (++member_ == members.size()) {
        member_ = 0;
        ++at_;
      }
      return (forward_ ? f_.ordered_after_ : f_.ordered_before_)[n.index];
    }

  private:
    region_finder& f_;
    const node_groups& parts_;
    bool forward_;
    vector<std::uint32_t> queue_;
    std::size_t at_ = 0, member_ = 0, i_ = 0;
    slot_id use_{};
  };

  /// A node on a way from one region to another that is in neither; invalid when there is none.
  node_id way_between(std::uint32_t from, std::uint32_t to, const node_groups& parts) {
    reached_.resize(g_.node_capacity());
    const std::uint32_t forward_mark = ++stamp_, backward_mark = ++stamp_;
    walk forward(*this, parts, true, from), backward(*this, parts, false, to);
    const auto look = [&](walk& w, std::uint32_t mine, std::uint32_t other, std::uint32_t begin,
                          std::uint32_t end) -> node_id {
      const std::uint32_t before = w.current();
      const node_id n = w.look();
      if (!n.valid())
        return {};
      const std::uint32_t c = cluster(n);
      if (c == begin || reached_[c] == mine)
        return {};
      if (c == end) // a way, unless it is the very use that is asked about
        return before == begin ? node_id{} : node_id{before};
      if (reached_[c] == other)
        return n;
      if (stage_[c] > stage_[to] || stage_[c] <= stage_[from])
        return {};
      reached_[c] = mine;
      w.add(c);
      return {};
    };
    while (!forward.done() && !backward.done() && plan_.steps < most_steps_) {
      if (const node_id n = look(forward, forward_mark, backward_mark, from, to); n.valid())
        return n;
      if (const node_id n = look(backward, backward_mark, forward_mark, to, from); n.valid())
        return n;
    }
    return {};
  }

  void find_gaps() {
    struct way {
      std::uint64_t pair;
      node_id between;
    };
    vector<way> all;
    for (const candidate& x : candidates_)
      if (const auto from = region_[x.from.index], to = region_[x.to.index]; from != none && to != none)
        all.emplace_back(std::uint64_t{from} << 32 | to, x.between);
    std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
      return a.pair != b.pair ? a.pair < b.pair : a.between.index < b.between.index;
    });
    for (const auto& [pair, between] : all)
      if (const std::size_t from = pair >> 32, to = pair & none;
          plan_.gaps.empty() || plan_.gaps.back().from != from || plan_.gaps.back().to != to)
        plan_.gaps.push_back({from, to, between});
  }

  static constexpr std::uint32_t none = node_groups::none;
  static constexpr std::size_t most_work = 16; // steps in all, by those of the linear part
  const graph_storage& g_;
  vector<role> role_;
  vector<std::uint32_t> stage_;                    // by cluster
  vector<std::uint32_t> parent_;                   // union-find of nodes inside
  vector<node_id> ordered_before_, ordered_after_; // by node outside: its neighbour among `ordered`
  vector<std::uint32_t> region_;                   // by node
  vector<candidate> candidates_;
  vector<std::uint32_t> reached_; // by cluster: the last walk that came there
  std::uint32_t stamp_ = 0;
  std::size_t most_steps_ = 0;
  node_id last_ordered_{};       // while stages are first told
  std::uint32_t last_stage_ = 0; // before regions are tried
  region_plan plan_;
};

} // namespace detail

/// The regions of a graph: connected sets of calls that the predicate takes and that do nothing but compute
/// their results, such that each can become one call without a cycle. No two that feed each other could be
/// one: `gaps` names what is between them. (On a graph so tangled that trying all pairs would take more than
/// a fixed number of steps a node and argument, the rest is left apart, and their gaps name nothing.)
/// Subgraphs are not looked into, and higher-order calls are in no region. Linear, but for sorting the gaps.
template <node_predicate Predicate>
region_plan find_regions(const graph_storage& g, const Predicate& predicate, const region_options& o = {}) {
  return detail::region_finder(g).run(predicate, o);
}

} // namespace espalier
