// SPDX-License-Identifier: BSL-1.0
// Runs a graph through LibTorch: each call is a boxed call of the dispatcher, so autograd, autocast, other
// backends and a user's own operators work as in eager mode. Prepared once (program/detail/plan.hpp), run
// many times, from several threads if the operators allow it.
#pragma once

#include <espalier/program/higher_order.hpp>
#include <espalier/program/higher_order_call.hpp>

#include <ATen/core/ivalue.h>
#include <ATen/core/stack.h>
#include <c10/util/Exception.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace espalier {

/// The interpreter of one graph, which must neither move nor change while it lives.
class interpreter {
public:
  /// Prepares the graph. Throws `error` (unsupported) naming every operator that LibTorch does not know.
  template <class = when_used>
  explicit interpreter(const graph_storage& g) : plan_(g) {}

  /// Runs the graph: one value a placeholder in, one value an output out. Values are released after their
  /// last use. Throws `error`: the cause LibTorch gave, the node, the operator and the line of the user's
  /// program.
  template <class = when_used>
  std::vector<c10::IValue> run(std::vector<c10::IValue> inputs, const run_options& options = {}) const {
    return detail::run_plan(plan_, std::move(inputs), options);
  }

  const graph_storage& graph() const noexcept { return *plan_.graph; }

private:
  detail::plan plan_;
};

namespace detail {
template <class = when_used>
error_kind kind_of_failure(std::string_view op) noexcept {
  return op.find("_assert") != op.npos || op.find("sym_constrain_range") != op.npos ? error_kind::constraint
                                                                                    : error_kind::unsupported;
}
/// An exception of an operator as one of ours, with the node that failed.
template <class = when_used>
[[noreturn]] ESPALIER_COLD void rethrow(node n) {
  const std::string place = describe(n);
  const auto kind = kind_of_failure(name_of(n.op()));
  const std::string cure =
      kind == error_kind::constraint
          ? "pass inputs that meet the program's assertions, or export it with others in mind"
          : "check the inputs against the program's signature (sizes, element types, devices)";
  try {
    throw;
  } catch (const error& e) {
    throw e.within(place);
  } catch (const c10::Error& e) {
    std::string what = e.what_without_backtrace();
    fail(kind, what.substr(0, what.find("\nException raised from")), place, cure);
  } catch (const std::exception& e) {
    fail(kind, e.what(), place, cure);
  }
}

/// The values of one run.
class run_state {
public:
  template <class = when_used>
  run_state(const plan& p, std::vector<c10::IValue> inputs, const run_options& o)
      : plan_(p), values_(p.graph->value_capacity()) {
    if (inputs.size() != p.inputs.size())
      fail(error_kind::usage,
           std::to_string(inputs.size()) + " values were passed, but the graph has " +
               std::to_string(p.inputs.size()) + " placeholders",
           "interpreter", "pass one value a placeholder");
    for (std::size_t i = 0; i != inputs.size(); ++i)
      if (p.used(p.inputs[i]))
        values_[p.inputs[i]] = std::move(inputs[i]);
    for (const auto& a : p.attributes) {
      if (!o.attribute)
        fail(error_kind::usage, "the graph reads the attribute '" + a.name + "', and nothing gives it",
             "interpreter", "pass run_options::attribute, or run the graph as a program with its state");
      if (p.used(a.value))
        values_[a.value] = o.attribute(a.name);
    }
    if (p.symbols.size()) {
      bound_.resize(p.symbols.size());
      for (const auto& [name, v] : o.symbols)
        if (const auto s = p.symbols.find(name))
          bound_[*s] = v;
      for (const auto& site : p.binding_sites)
        if (p.graph->kind(p.graph->def(value_id{site.value})) == node_kind::placeholder)
          bind(site);
    }
  }

  c10::IValue& value(std::uint32_t v) noexcept { return values_[v]; }

  /// The operand's value, moved out when nobody else needs it.
  template <class = when_used>
  c10::IValue get(const operand& o) {
    switch (o.from) {
    case operand::source::constant:
      return plan_.constants[o.index];
    case operand::source::value:
      if (o.as == fit::none)
        return o.last_use ? std::move(values_[o.index]) : values_[o.index];
      return fitted(o.last_use ? std::move(values_[o.index]) : values_[o.index], o.as, o.count);
    case operand::source::symbolic: {
      const auto v = plan_.expressions[o.index].evaluate(bound_);
      if (!v)
        fail(error_kind::usage,
             "the size '" + plan_.expressions[o.index].text() + "' is not known at this point", "interpreter",
             "pass the values of its symbols (run_options::symbols), or run the program through "
             "exported_program, which binds them");
      return fitted(c10::IValue(*v), o.as, o.count);
    }
    case operand::source::list: {
      std::vector<c10::IValue> items;
      items.reserve(o.count);
      for (std::uint32_t i = 0; i != o.count; ++i)
        items.push_back(get(plan_.operands[o.index + i]));
      return make_list(o.elements, std::move(items));
    }
    }
    return {};
  }

  template <class = when_used>
  void bind_results(const step& s) {
    if (bound_.empty())
      return;
    for (const auto& site : plan_.binding_sites)
      if (site.value >= s.first_result && site.value < s.first_result + s.num_results)
        bind(site);
  }
  /// Symbols known so far, for a subgraph.
  template <class = when_used>
  void export_symbols(run_options& o) const {
    for (std::uint32_t i = 0; i != bound_.size(); ++i)
      if (bound_[i])
        o.symbols.emplace_back(plan_.symbols.name(i), *bound_[i]);
  }

private:
  template <class = when_used>
  void bind(const plan::binding_site& site) {
    const auto& v = values_[site.value];
    if (bound_[site.slot])
      return;
    if (site.dim < 0 && v.isInt())
      bound_[site.slot] = v.toInt();
    if (site.dim >= 0 && v.isTensor() && v.toTensor().defined() && site.dim < v.toTensor().dim())
      bound_[site.slot] = v.toTensor().size(site.dim);
  }
  const plan& plan_;
  std::vector<c10::IValue> values_;
  bindings bound_;
};

template <class>
std::vector<c10::IValue> run_plan(const plan& p, std::vector<c10::IValue> inputs,
                                  const run_options& options) {
  run_state state(p, std::move(inputs), options);
  torch::jit::Stack stack;
  for (const step& s : p.steps) {
    const node n(*p.graph, s.at);
    stack.clear();
    try {
      for (std::uint32_t i = 0; i != s.num_operands; ++i)
        stack.push_back(state.get(p.operands[s.first_operand + i]));
      switch (s.how) {
      case step::call::dispatch:
        p.handles[s.target].callBoxed(stack);
        break;
      case step::call::builtin: {
        auto r = p.builtins[s.target](stack);
        stack.clear();
        stack.push_back(std::move(r));
        break;
      }
      case step::call::higher_order: {
        run_options inner = options;
        state.export_symbols(inner);
        higher_order_call c{n, std::move(stack), p, inner};
        stack = p.higher_order[s.target](c);
        break;
      }
      }
      if (s.expand_lists) { // a list result stands for its elements
        torch::jit::Stack flat;
        for (auto& v : stack) {
          if (v.isList())
            for (const c10::IValue& e : v.toListRef())
              flat.push_back(e);
          else
            flat.push_back(std::move(v));
        }
        stack = std::move(flat);
      }
      if (stack.size() != s.num_results)
        fail(error_kind::verification,
             "the operator gave " + std::to_string(stack.size()) + " results, but the node has " +
                 std::to_string(s.num_results),
             "",
             "the graph was made for another version of the operator, or for other sizes; export the program "
             "again");
    } catch (...) {
      rethrow(n);
    }
    if (options.on_node)
      options.on_node(n, stack);
    for (std::uint32_t i = 0; i != s.num_results; ++i)
      state.value(s.first_result + i) = std::move(stack[i]);
    state.bind_results(s);
    for (std::uint32_t i = 0; i != s.num_results; ++i)
      if (!p.used(s.first_result + i))
        state.value(s.first_result + i) = c10::IValue();
  }
  std::vector<c10::IValue> out;
  out.reserve(p.num_outputs);
  for (std::uint32_t i = 0; i != p.num_outputs; ++i)
    out.push_back(state.get(p.operands[p.first_output + i]));
  return out;
}

} // namespace detail
} // namespace espalier
