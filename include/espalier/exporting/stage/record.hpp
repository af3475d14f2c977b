// SPDX-License-Identifier: BSL-1.0
// Stage: run the model under the tracer. The example tensors and the state go in, stand-ins reach the model,
// the graph comes out. `_export_to_aten_ir_make_fx` and `_make_fx_helper` of `torch/export/_trace.py`.
#pragma once

#include <espalier/exporting/job.hpp>
#include <espalier/ir/naming.hpp>
#include <espalier/support/vector.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace espalier {
namespace detail {

/// Calls a module's `forward`, or the callable itself.
template <class Model, class... A>
decltype(auto) call_model(Model& m, A&&... a) {
  if constexpr (requires { m.forward(static_cast<A&&>(a)...); })
    return m.forward(static_cast<A&&>(a)...);
  else if constexpr (requires { m->forward(static_cast<A&&>(a)...); })
    return m->forward(static_cast<A&&>(a)...);
  else {
    static_assert(std::invocable<Model&, A...>, "espalier: export_program(model, inputs(...)): the model can "
                                                "be called neither as model.forward(inputs...) nor as "
                                                "model(inputs...) with the types of the example inputs; pass "
                                                "one example input for each parameter, of its type");
    return m(static_cast<A&&>(a)...);
  }
}
template <class Model, class Inputs>
struct model_result;
template <class Model, class... Ts>
struct model_result<Model, example_args<Ts...>> {
  using type = std::remove_cvref_t<decltype(call_model(std::declval<Model&>(), std::declval<Ts&>()...))>;
  using signature = type(Ts...);
};

/// A name that no placeholder has yet: itself, or with a suffix above those that its base has by now.
/// `_rename_without_collisions` of `torch/_export/utils.py`: the base of a wished name is the whole name,
/// that of a given one ends before its last `_DIGITS`, wherever they stand (`x` in `x_0_mask`).
class placeholder_namer {
public:
  std::string operator()(const std::string& wished) {
    std::string name = wished;
    while (std::exchange(entry_of(name).used, true))
      name = wished + "_" + std::to_string(++entry_of(wished).last);
    see_suffix(name);
    return name;
  }

private:
  template <class = when_used>
  void see_suffix(std::string_view name) {
    for (std::size_t at = name.rfind('_'); at != name.npos; at = at ? name.rfind('_', at - 1) : name.npos) {
      std::size_t end = at + 1;
      std::int64_t number = 0;
      for (; end != name.size() && is_digit(name[end]) && end - at <= 18; ++end)
        number = number * 10 + (name[end] - '0');
      if (end == at + 1)
        continue;
      auto& last = entry_of(name.substr(0, at)).last;
      last = std::max(last, number);
      return;
    }
  }
  struct entry {
    bool used = false;
    std::int64_t last = 0; // the largest suffix of this base
  };
  template <class = when_used>
  entry& entry_of(std::string_view name) {
    const str_id i = names_.intern(name);
    if (i.index >= entries_.size())
      entries_.resize(std::size_t{i.index} + 1);
    return entries_[i.index];
  }
  string_pool names_;     // taken names, and bases
  vector<entry> entries_; // by id of the name
};

/// The placeholders-to-be, in Python's order: parameters, buffers, user inputs. User inputs choose their
/// names first. The tensors of the state go with them, and must be given back.
template <class = when_used>
vector<traced_input> placeholders_of(export_job_data& job) {
  placeholder_namer fresh;
  vector<std::string> user_names;
  for (auto& leaf : job.leaves)
    user_names.push_back(fresh(leaf.path));
  vector<traced_input> all;
  all.reserve(job.state.size() + job.leaves.size());
  for (auto& s : job.state) {
    auto& t = all.emplace_back();
    t.real = std::move(s.tensor);
    t.kind = s.is_parameter ? input_kind::parameter : input_kind::buffer;
    t.target = s.fqn;
    t.name = fresh((s.is_parameter ? "p_" : "b_") + path_atom(s.fqn));
  }
  for (std::size_t i = 0; i != job.leaves.size(); ++i) {
    auto& t = all.emplace_back();
    if (job.leaves[i].value.isTensor())
      t.real = job.leaves[i].value.toTensor(); // a literal has no tensor: a placeholder without uses
    t.kind = input_kind::user_input;
    t.name = user_names[i];
  }
  return all;
}

/// What a trace takes of a job: state and modules, which are many, are not copied, and are given back
/// whatever happens.
class lent_to_trace {
public:
  template <class = when_used>
  explicit lent_to_trace(export_job_data& job) : inputs(placeholders_of(job)), job_(job) {
    options.stack_traces = job.options.stack_traces;
    options.strict = job.options.strict;
    options.modules.swap(job.modules);
  }
  lent_to_trace(const lent_to_trace&) = delete;
  lent_to_trace& operator=(const lent_to_trace&) = delete;
  ~lent_to_trace() {
    for (std::size_t i = 0; i != job_.state.size(); ++i)
      job_.state[i].tensor = std::move(inputs[i].real);
    options.modules.swap(job_.modules);
  }

  vector<traced_input> inputs;
  trace_options options;

private:
  export_job_data& job_;
};

} // namespace detail

namespace stage {

/// Needs bound inputs and state; makes the graph, in the training dialect, the lifted constants, the flat
/// outputs and their spec.
struct record : pass {
  static constexpr std::string_view name = "record";
  using takes = no_graph;
  using gives = training_ir;
  using needs = properties<property::inputs_bound, property::state_bound>;

  template <class Model, class Inputs>
  pass_result run(export_job<Model, Inputs>& job) const {
    using result = typename detail::model_result<Model, Inputs>::type;
    static_assert(pytree_type<result>, "espalier: export_program: the result type of forward cannot be "
                                       "flattened into tensors and numbers; return tensors, numbers, "
                                       "optionals, tuples, vectors, maps with string keys, or a struct "
                                       "adapted with BOOST_HANA_ADAPT_STRUCT");
    const std::size_t num_state = job.state.size();
    const auto body = [&](const std::vector<at::Tensor>& fakes) {
      std::vector<c10::IValue> leaves;
      for (std::size_t i = 0; i != job.leaves.size(); ++i)
        leaves.push_back(job.leaves[i].value.isTensor() ? c10::IValue(fakes[num_state + i])
                                                        : job.leaves[i].value);
      auto standins = job.inputs.all;
      leaf_reader in(leaves);
      std::apply([&](auto&... x) { (replace_leaves(x.value, in), ...); }, standins);
      const result out = std::apply(
          [&](auto&... x) -> result { return detail::call_model(job.model, x.value...); }, standins);
      vector<tree_leaf> flat;
      pytree<result>::flatten(out, std::string{}, flat);
      job.out_spec = pytree<result>::spec(out);
      std::vector<c10::IValue> values;
      for (auto& leaf : flat)
        values.push_back(std::move(leaf.value));
      return values;
    };
    const detail::lent_to_trace lent(job);
    job.traced = trace(lent.inputs, body, lent.options);
    return {.rewritten = job.traced.graph.num_nodes()};
  }
};

} // namespace stage
} // namespace espalier
