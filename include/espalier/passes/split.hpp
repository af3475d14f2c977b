// SPDX-License-Identifier: BSL-1.0
// Splitting by predicate: what a backend takes becomes subgraphs, called by `invoke_subgraph`; what it does
// not take stays. A report tells what went where, and why the rest did not.
#pragma once

#include <espalier/ir/storage.hpp>
#include <espalier/pipeline/calls_named.hpp>
#include <espalier/pipeline/outline.hpp>
#include <espalier/pipeline/pass.hpp>
#include <espalier/pipeline/pass_context.hpp>
#include <espalier/pipeline/pass_options.hpp>
#include <espalier/pipeline/pass_result.hpp>
#include <espalier/pipeline/properties.hpp>
#include <espalier/pipeline/regions.hpp>
#include <espalier/schema/builtin.hpp>
#include <espalier/support/vector.hpp>

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>

namespace espalier {

/// Where the calls of a graph, or of several, went, and why: a value, which outlives the graphs. In the
/// manner of ExecuTorch's `get_delegation_info` (`exir/backend/utils.py`), and with the reasons.
struct delegation_report {
  struct region {
    std::string name; ///< of the subgraph that it became
    std::size_t nodes = 0, inputs = 0, outputs = 0;
    std::string graph =
        {}; ///< the one that it was cut from, by `pass_context::place_text`; empty: the top graph
  };
  /// How many calls of an operator are in regions, and how many are not.
  struct op_row {
    std::string op; ///< as printers write it: `aten.add.Tensor`
    std::size_t delegated = 0, left = 0;
  };
  /// How many calls of an operator were left out for one reason.
  struct omission {
    left_out why = left_out::no;
    std::string op;
    std::size_t count = 0;
  };
  /// Two regions that feed each other by way of a call that is in neither.
  struct gap {
    std::string from, to, between;
    std::string graph = {}; ///< as of a region
  };

  vector<region> regions;     ///< graph by graph, in program order
  vector<op_row> operators;   ///< by name
  vector<omission> omissions; ///< by reason, then by name
  vector<gap> gaps;
  std::size_t delegated = 0, left = 0; ///< calls
  std::size_t min_nodes = 1;           ///< the least that a region needed, in the last run

  /// Adds what another report tells: numbers are summed, regions and gaps come behind those that are here.
  template <class = when_used>
  void add(delegation_report o) {
    regions.insert(regions.end(), std::move_iterator(o.regions.begin()), std::move_iterator(o.regions.end()));
    gaps.insert(gaps.end(), std::move_iterator(o.gaps.begin()), std::move_iterator(o.gaps.end()));
    const auto merge = [](auto& rows, auto& more, auto key, auto sum) {
      for (auto& row : more) {
        const auto at = std::lower_bound(rows.begin(), rows.end(), row,
                                         [&](const auto& a, const auto& b) { return key(a) < key(b); });
        if (at != rows.end() && key(*at) == key(row))
          sum(*at, row);
        else
          rows.insert(at, std::move(row));
      }
    };
    merge(
        operators, o.operators, [](const op_row& r) -> std::string_view { return r.op; },
        [](op_row& to, const op_row& r) {
          to.delegated += r.delegated;
          to.left += r.left;
        });
    merge(
        omissions, o.omissions, [](const omission& r) { return std::pair(r.why, std::string_view(r.op)); },
        [](omission& to, const omission& r) { to.count += r.count; });
    delegated += o.delegated;
    left += o.left;
    min_nodes = o.min_nodes;
  }

  /// A page of text.
  template <class = when_used>
  std::string text() const {
    std::string out = "Regions: " + std::to_string(regions.size()) +
                      "\nCalls in regions: " + std::to_string(delegated) +
                      "\nCalls left out: " + std::to_string(left) + "\n";
    table t{"region", "calls", "inputs", "outputs"};
    for (const auto& r : regions)
      t.row(full_name(r.graph, r.name), r.nodes, r.inputs, r.outputs);
    out += t.text();
    table ops{"operator", "in regions", "left out"};
    for (const auto& o : operators)
      ops.row(o.op, o.delegated, o.left);
    out += ops.text();
    for (std::size_t i = 0; i != omissions.size();) {
      const left_out why = omissions[i].why;
      std::size_t count = 0;
      std::string names;
      for (; i != omissions.size() && omissions[i].why == why; ++i) {
        count += omissions[i].count;
        names += (names.empty() ? "" : ", ") + omissions[i].op +
                 (omissions[i].count == 1 ? "" : " (" + std::to_string(omissions[i].count) + ")");
      }
      out += "\nLeft out, " + std::string(to_string(why)) +
             (why == left_out::too_small ? " (fewer than " + std::to_string(min_nodes) + " calls)" : "") +
             ": " + std::to_string(count) + "\n  " + names + "\n";
    }
    if (!gaps.empty())
      out += "\nRegions that would be a cycle as one:\n";
    for (const auto& g : gaps)
      out += "  " + full_name(g.graph, g.from) + " and " + full_name(g.graph, g.to) + ": '" + g.between +
             "' stands between\n";
    return out;
  }

private:
  static std::string full_name(const std::string& graph, const std::string& name) {
    return graph.empty() ? name : graph + "/" + name;
  }
  /// Columns as wide as what they hold; the first to the left, numbers to the right.
  class table {
  public:
    template <class... T>
    table(const T&... heads) : rows_{{std::string(heads)...}} {}
    template <class... N>
    void row(const std::string& name, N... n) {
      rows_.push_back({name, std::to_string(n)...});
    }
    std::string text() const {
      std::string out;
      if (rows_.size() == 1)
        return out;
      vector<std::size_t> width(rows_[0].size());
      for (const auto& r : rows_)
        for (std::size_t i = 0; i != r.size(); ++i)
          width[i] = std::max(width[i], r[i].size());
      out += '\n';
      for (const auto& r : rows_) {
        out += r[0] + std::string(width[0] - r[0].size(), ' ');
        for (std::size_t i = 1; i != r.size(); ++i)
          out += std::string(width[i] - r[i].size() + 2, ' ') + r[i];
        out += '\n';
      }
      return out;
    }

  private:
    vector<vector<std::string>> rows_;
  };
};

/// How `split` cuts.
struct split_options {
  std::size_t min_nodes = 1; ///< regions of fewer calls stay as they are
  std::string_view prefix =
      "subgraph"; ///< of the subgraphs' names: `prefix_0`, ..., which get a number if taken
  delegation_report* report = nullptr; ///< what each run adds its report to, if anything
};

namespace detail {
template <class = when_used>
std::string split_text(std::string_view operators, std::size_t min_nodes, std::string_view prefix) {
  option_printer out;
  out.word(operators);
  if (min_nodes != split_options{}.min_nodes)
    out.value("min_nodes", min_nodes);
  if (prefix != split_options{}.prefix)
    out.value("prefix", prefix);
  return out.after("split");
}
} // namespace detail

/// The report of a plan for a graph that has not been cut yet: regions have the names that `split` wishes
/// for. Linear, but for sorting operators by name.
template <class = when_used>
delegation_report report_of(const graph_storage& g, const region_plan& plan, const split_options& o = {}) {
  delegation_report r;
  r.min_nodes = o.min_nodes;
  struct count {
    std::size_t inside = 0, outside = 0;
  };
  hash_map<std::uint32_t, count> ops;
  hash_map<std::uint64_t, std::size_t> omissions; // by reason and operator
  detail::border_reader border_of_region(g);
  const auto name = [&](std::size_t i) { return std::string(o.prefix) + "_" + std::to_string(i); };
  for (const auto& nodes : plan.regions) {
    const auto border = border_of_region(nodes);
    r.regions.push_back({name(r.regions.size()), nodes.size(), border.inputs.size(), border.outputs.size()});
    r.delegated += nodes.size();
    for (const node_id n : nodes)
      ++ops[g.op(n).index].inside;
  }
  for (const auto& [n, why] : plan.outside) {
    ++r.left;
    ++ops[g.op(n).index].outside;
    ++omissions[std::uint64_t{static_cast<std::uint8_t>(why)} << 32 | g.op(n).index];
  }
  for (const auto& [op, n] : ops)
    r.operators.push_back({target_of(op_id{op}), n.inside, n.outside});
  for (const auto& [key, n] : omissions)
    r.omissions.push_back(
        {static_cast<left_out>(key >> 32), target_of(op_id{static_cast<std::uint32_t>(key)}), n});
  std::sort(r.operators.begin(), r.operators.end(), [](auto& a, auto& b) { return a.op.compare(b.op) < 0; });
  std::sort(r.omissions.begin(), r.omissions.end(),
            [](auto& a, auto& b) { return a.why != b.why ? a.why < b.why : a.op.compare(b.op) < 0; });
  for (const auto& gap : plan.gaps) {
    std::string between = "a way that was not looked for";
    if (gap.between.valid())
      between = g.text(g.node_name(gap.between));
    r.gaps.push_back(
        {name(gap.from), name(gap.to), between.empty() ? target_of(g.op(gap.between)) : std::move(between)});
  }
  return r;
}

/// Makes each region of calls that the predicate takes a subgraph and one call of `invoke_subgraph`
/// (`find_regions` says what a region is). Calls that write, draw random numbers or have effects, and those
/// that use memory which is written to, stay outside: Python refuses a subgraph that writes, and nothing may
/// be seen to change places; so do those that give nothing that is used, since Python takes no call without a
/// result. Subgraphs are not looked into: `on_subgraphs(split(...))` does that, and its report is of all of
/// them. Counts the calls that moved into subgraphs. Linear.
template <class Predicate>
struct split : pass {
  static_assert(
      node_predicate<Predicate>,
      "espalier: split(predicate) requires a predicate that is asked of a node and gives bool; write "
      "split([](es::node n) { return ...; }), or split(es::calls_to<es::aten::relu>{})");
  static constexpr std::string_view name = "split";
  static constexpr std::string_view statistics[] = {"regions"};
  using destroys = properties<property::canonical>;

  [[no_unique_address]] Predicate predicate;
  split_options options;
  constexpr explicit split(Predicate p = {}, split_options o = {})
      : predicate(static_cast<Predicate&&>(p)), options(o) {}

  template <class = when_used>
  pass_result run(graph_storage& g, pass_context& c) const {
    const region_plan plan = find_regions(g, predicate, {options.min_nodes, true});
    delegation_report report;
    if (options.report || c.wants_remarks())
      report = report_of(g, plan, options);
    const auto calls = outline_regions(g, plan.regions, options.prefix);
    if (options.report || c.wants_remarks())
      settle(report, g, plan, calls, c.place_text());
    if (c.wants_remarks())
      c.remark(report.text());
    if (options.report)
      options.report->add(std::move(report));
    c.count("regions", plan.regions.size());
    return {0, plan.num_inside()};
  }
  /// As text gives it, `split<aten.relu.default, min_nodes=2>`, where the predicate can say which operators
  /// it takes; the bare name for others, which text cannot give.
  template <class = when_used>
  std::string text() const {
    if constexpr (requires { predicate.text(); })
      return detail::split_text(predicate.text(), options.min_nodes, options.prefix);
    else
      return std::string(name);
  }

private:
  /// Writes the names that the subgraphs got, and where they lie.
  static void settle(delegation_report& r, const graph_storage& g, const region_plan& plan,
                     const vector<node_id>& calls, const std::string& place) {
    for (std::size_t i = 0; i != calls.size(); ++i) {
      r.regions[i].name = g.text(g.subgraph_name(g.slot(g.arg_slot(calls[i], 0)).w2));
      r.regions[i].graph = place;
    }
    for (std::size_t i = 0; i != plan.gaps.size(); ++i) {
      r.gaps[i].from = r.regions[plan.gaps[i].from].name;
      r.gaps[i].to = r.regions[plan.gaps[i].to].name;
      r.gaps[i].graph = place;
    }
  }
};

/// `split` as a pipeline's text gives it: operators by name (`calls_named`), and the options.
struct split_named : pass {
  static constexpr std::string_view name = "split";
  static constexpr std::string_view statistics[] = {"regions"};
  static constexpr std::string_view description = "makes regions of the named operators' calls subgraphs";
  static constexpr std::string_view options = "OPERATOR, not:OPERATOR, ..., min_nodes=N, prefix=NAME";
  using destroys = split<calls_named>::destroys;

  calls_named operators;
  std::size_t min_nodes = split_options{}.min_nodes;
  std::string prefix{split_options{}.prefix};

  /// Reads the options: `aten.mm, aten.add.*, not:aten.add.Scalar, min_nodes=2, prefix=npu`. Throws `error`
  /// (usage).
  template <class = when_used>
  static split_named parse(std::string_view text) {
    const option_reader given(
        name, text, "write split<aten.mm, aten.add.Tensor, not:aten.add.Scalar, min_nodes=2, prefix=NAME>");
    split_named out;
    for (const auto& i : given)
      if (i.key.empty())
        out.operators.add(i.text);
      else if (i.key == "min_nodes")
        out.min_nodes = given.number<std::size_t>(i);
      else if (i.key == "prefix")
        out.prefix = i.value;
      else
        given.refuse(i);
    if (out.operators.empty())
      given.refuse("no operator is named");
    constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";
    if (out.prefix.empty() || out.prefix.find_first_not_of(letters) != out.prefix.npos)
      given.refuse("a prefix is letters, digits and '_', not '" + out.prefix + "'");
    return out;
  }
  template <class = when_used>
  pass_result run(graph_storage& g, pass_context& c) const {
    return split([this](node n) { return operators(n); }, {min_nodes, prefix}).run(g, c);
  }
  template <class = when_used>
  std::string text() const {
    return detail::split_text(operators.text(), min_nodes, prefix);
  }
};

} // namespace espalier
