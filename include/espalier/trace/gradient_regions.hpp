// SPDX-License-Identifier: BSL-1.0
// Switches of the gradient mode inside a traced call. `torch::NoGradGuard` calls no operator, so each call is
// recorded with the mode it ran in; here the runs of another mode than the whole call's become calls of
// `wrap_with_set_grad_enabled`, with the run as their subgraph, as Python's exporter makes them
// (`torch/_export/passes/replace_set_grad_with_hop_pass.py`).
#pragma once

#include <espalier/ir/clone.hpp>
#include <espalier/ir/metadata.hpp>
#include <espalier/ir/naming.hpp>
#include <espalier/ir/storage.hpp>
#include <espalier/schema/builtin.hpp>
#include <espalier/support/hash_map.hpp>
#include <espalier/support/vector.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

namespace espalier::detail {

class gradient_regions {
public:
  /// `enabled`: the mode of each call, by node index; `ambient`: that of the graph as a whole.
  gradient_regions(graph_storage& g, const vector<bool>& enabled, bool ambient)
      : g_(g), enabled_(enabled), ambient_(ambient) {}

  /// Wraps every region; gives their number. Nodes are named before, so that they are called as they would be
  /// without regions.
  template <class = when_used>
  std::size_t wrap() {
    std::size_t regions = 0, part = 0;
    bool in_region = false, any_part = false;
    for (node_id n = g_.first(); n.valid();) {
      if (g_.kind(n) != node_kind::call_function) {
        n = g_.next(n);
        continue;
      }
      const bool inside = mode_of(n) != ambient_;
      if (any_part && inside != in_region)
        ++part;
      any_part = true;
      in_region = inside;
      if (!inside) {
        n = g_.next(n);
        continue;
      }
      if (!regions++)
        name_all();
      n = wrap_from(n, part ? part : 1);
    }
    return regions;
  }

private:
  template <class = when_used>
  void name_all() {
    assign_names(g_);
    for (node_id n = g_.first(); n.valid(); n = g_.next(n)) {
      names_.reserve(g_.text(g_.node_name(n)));
      for (std::size_t r = 0; r != g_.num_results(n); ++r)
        names_.reserve(g_.text(g_.value_name(g_.result(n, r))));
    }
  }
  bool mode_of(node_id n) const { return n.index < enabled_.size() ? enabled_[n.index] : ambient_; }

  /// Wraps the region that starts at `first`; gives the node after it.
  template <class = when_used>
  node_id wrap_from(node_id first, std::size_t part) {
    vector<node_id> body;
    node_id after = first;
    for (; after.valid() && g_.kind(after) == node_kind::call_function && mode_of(after) != ambient_;
         after = g_.next(after))
      body.push_back(after);
    hash_map<std::uint32_t, std::size_t> inside; // nodes of the body
    for (std::size_t i = 0; i != body.size(); ++i)
      inside.emplace(body[i].index, i);

    graph_storage sub;
    node_copier copier(g_, sub);
    vector<argument> operands;
    for (node_id n : body)
      for (const auto& s : g_.slots(n))
        if (s.is_use() && !copier[value_id{s.w0}].valid() && !inside.contains(g_.def(value_id{s.w0}).index)) {
          const value_id outer{s.w0};
          const node_id p = sub.placeholder(input_kind::user_input, g_.text(g_.value_name(outer)));
          sub.set_meta(sub.result(p), g_.meta(outer));
          copier.map(outer, sub.result(p));
          operands.emplace_back(outer);
        }
    for (node_id n : body)
      copier.copy(n);

    vector<value_id> escaping;
    for (node_id n : body)
      for (std::size_t r = 0; r != g_.num_results(n); ++r)
        for (slot_id u = g_.first_use(g_.result(n, r)); u.valid(); u = g_.next_use(u))
          if (!inside.contains(g_.user(u).index)) {
            escaping.push_back(g_.result(n, r));
            break;
          }
    vector<argument> outputs;
    for (const value_id v : escaping)
      outputs.emplace_back(copier[v]);
    sub.output(outputs);
    assign_names(sub);

    const auto index = g_.add_subgraph("submod_" + std::to_string(part), std::move(sub));
    vector<argument> args{argument(!ambient_), argument::of_subgraph(index)};
    args.insert(args.end(), operands.begin(), operands.end());
    const auto before = g_.current_insertion_point();
    g_.set_insertion_point({first});
    const node_id call = g_.call(higher_order_op("wrap_with_set_grad_enabled"), args, escaping.size(), false,
                                 node_kind::call_higher_order);
    g_.set_insertion_point(before);
    g_.set_origin(call, g_.origin_of(first));
    g_.set_name(call, std::string(names_.create("wrap_with_set_grad_enabled")));
    for (std::size_t i = 0; i != escaping.size(); ++i) {
      const value_id v = escaping[i], w = g_.result(call, i);
      g_.set_meta(w, g_.meta_of(v));
      g_.set_value_name(w, std::string(g_.text(g_.value_name(v))));
      g_.replace_all_uses(v, w); // the body's own uses too, but the body goes
    }
    for (auto n = body.rbegin(); n != body.rend(); ++n)
      g_.erase(*n);
    return after;
  }

  graph_storage& g_;
  const vector<bool>& enabled_;
  bool ambient_;
  name_space names_;
};

} // namespace espalier::detail
