// SPDX-License-Identifier: BSL-1.0
// Unlifting, as a function and as a pass: the graph of a program reads its state by name and writes to it in
// place, as a module does. What a backend wants that owns the weights, and what other passes of FX expect.
#pragma once

#include <espalier/ir/dialect.hpp>
#include <espalier/ir/infer.hpp>
#include <espalier/ir/storage.hpp>
#include <espalier/ir/view.hpp>
#include <espalier/pipeline/analyses/aliases.hpp>
#include <espalier/pipeline/analyses/effects.hpp>
#include <espalier/pipeline/pass.hpp>
#include <espalier/pipeline/pass_result.hpp>
#include <espalier/pipeline/properties.hpp>
#include <espalier/schema/aten.hpp>
#include <espalier/schema/op_traits.hpp>
#include <espalier/signature/lift.hpp>
#include <espalier/signature/refresh.hpp>
#include <espalier/signature/signature.hpp>
#include <espalier/signature/verify.hpp>
#include <espalier/support/hash_map.hpp>
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

namespace detail {

/// Whether a value is this very input: itself, or the result of a call that wrote to it in place.
inline bool is_input_itself(const graph_storage& g, value_id v, value_id input) {
  while (v != input) {
    const node_id n = g.def(v);
    if (g.kind(n) != node_kind::call_function || !flags_of(g.op(n)).mutates || g.num_args(n) == 0 ||
        !g.slot(g.arg_slot(n, 0)).is_use() || g.num_results(n) != 1)
      return false;
    v = value_id{g.slot(g.arg_slot(n, 0)).w0};
  }
  return true;
}

/// By output: whether what it puts out may be overwritten before it is written to its own target, when the
/// writes come one after the other. `written` tells the target's position among the inputs. Inputs of one
/// kind may be the same tensor. Nearly linear.
inline vector<bool> overwritten_sources(const graph_storage& g, const program_info& info,
                                        span<const node> inputs, span<const std::size_t> written) {
  const auto& outputs = info.signature.outputs;
  vector<bool> found(outputs.size());
  if (!g.output_node().valid() ||
      std::none_of(outputs.begin(), outputs.end(), [](const output_spec& o) { return is_mutation(o.kind); }))
    return found;
  call_classes calls;
  alias_classes memory(g, calls);
  vector<std::uint8_t> kinds(g.value_capacity()); // by memory: bits of the kinds of inputs in it
  const auto kind_of = [&](std::size_t i) {
    return static_cast<std::uint8_t>(1u << static_cast<unsigned>(info.signature.inputs[i].kind));
  };
  for (std::size_t i = 0; i != inputs.size(); ++i)
    kinds[memory.class_of(inputs[i].result().id())] |= kind_of(i);
  std::uint8_t overwritten = 0;
  for (std::size_t i = 0; i != outputs.size(); ++i) {
    if (!is_mutation(outputs[i].kind))
      continue;
    const auto& x = g.slot(g.arg_slot(g.output_node(), i));
    const value_id to = inputs[written[i]].result().id();
    if (x.is_use() && !is_input_itself(g, value_id{x.w0}, to)) {
      const auto from = memory.class_of(value_id{x.w0});
      found[i] = (kinds[from] & overwritten) != 0 || from == memory.class_of(to);
    }
    overwritten |= kind_of(written[i]);
  }
  return found;
}

} // namespace detail

/// The inverse (`torch/export/_unlift.py`): parameters, buffers and constants are read by name, by one
/// `get_attr` each after the user inputs, and outputs that stand for a write become `aten.copy_` calls into
/// what they are written to, before the output node. A value that is also a user output is put out as the
/// result of its `copy_`. All outputs are values of before the writes, so what may share memory with the
/// target of an earlier write (two buffers that are swapped), or lies otherwise in that of its own, is cloned
/// before the first of them; Python loses such swaps. Custom objects and tokens stay inputs: no graph of ours
/// reads them by name. Gives the number of inputs that went. Throws `error` (verification), before anything
/// has changed, when graph and signature disagree, or an output is written to what is no input. Linear.
template <class = when_used>
std::size_t unlift_attributes(graph_storage& g, program_info& info) {
  refresh_signature(g, info); // names everything, and checks the numbers
  auto& sig = info.signature;
  const auto inputs = placeholders(g);
  hash_map<std::string_view, std::size_t> state, users; // positions: by target, by name
  for (std::size_t i = 0; i != inputs.size(); ++i)
    if (sig.inputs[i].kind == input_kind::user_input)
      users.emplace(sig.inputs[i].arg.name, i);
    else
      state.emplace(sig.inputs[i].target, i);
  vector<std::size_t> written; // by output: the input
  for (const output_spec& o : sig.outputs) {
    const auto& among = o.kind == output_kind::user_input_mutation ? users : state;
    const auto at = among.find(o.target);
    if (detail::is_mutation(o.kind) && at == among.end())
      fail(error_kind::verification, "an output is written to '" + o.target + "', which is no input",
           "signature, output '" + o.arg.name + "'", "correct the target");
    written.push_back(at == among.end() ? inputs.size() : at->second);
  }

  const vector<bool> cloned = detail::overwritten_sources(g, info, inputs, written); // by output
  vector<value_id> now;                                                              // by input
  vector<node_id> gone;
  struct state_read {
    std::string placeholder;
    node_id read;
  };
  vector<state_read> reads;
  const insertion_point before = g.current_insertion_point();
  const node_id behind = inputs.empty() ? node_id{} : g.next(inputs.back().id());
  for (std::size_t i = 0; i != inputs.size(); ++i) {
    const value_id v = inputs[i].result().id();
    now.push_back(v);
    if (!detail::is_state(sig.inputs[i].kind))
      continue;
    g.set_insertion_point({behind});
    const node_id read = g.get_attr(sig.inputs[i].target, {});
    now.back() = g.result(read);
    g.set_meta(now.back(), g.meta_of(v));
    g.set_origin(read, g.origin_of(inputs[i].id()));
    g.replace_all_uses(v, now.back());
    gone.push_back(inputs[i].id());
    reads.push_back({std::string(inputs[i].name()), read});
  }

  hash_map<value_id, value_id> copied;
  const node_id out = g.output_node();
  graph_storage::copied_args given;
  if (out.valid())
    g.copy_args(out, given);
  vector<argument> left;
  vector<output_spec> left_specs;
  g.set_insertion_point({out});
  auto sources = given.top;
  for (std::size_t i = 0; i != sources.size(); ++i)
    if (cloned[i]) {
      const value_id from = sources[i].val;
      const node_id clone = g.call(id_of<aten::clone>(), span(&sources[i], 1), 1);
      if (infer_metas(g, clone) != inferred::done)
        g.set_meta(g.result(clone), g.meta_of(from));
      g.set_origin(clone, g.origin_of(g.def(from)));
      sources[i].val = g.result(clone);
    }
  for (std::size_t i = 0; i != given.top.size(); ++i) {
    if (!detail::is_mutation(sig.outputs[i].kind)) {
      left.push_back(given.top[i]);
      left_specs.push_back(std::move(sig.outputs[i]));
      continue;
    }
    const value_id to = now[written[i]];
    const argument args[] = {to, sources[i]};
    const node_id copy = g.call(id_of<aten::copy_>(), args, 1);
    g.set_meta(g.result(copy), g.meta_of(to));
    if (given.top[i].form == arg_form::value) {
      g.set_origin(copy, g.origin_of(g.def(given.top[i].val)));
      copied[given.top[i].val] = g.result(copy);
    }
  }
  for (argument& a : left)
    if (a.form == arg_form::value)
      if (const auto c = copied.find(a.val); c != copied.end())
        a.val = c->second;
  if (left.size() != given.top.size())
    g.set_args(out, left);
  sig.outputs = std::move(left_specs);
  g.set_insertion_point(before);
  for (const node_id n : gone)
    g.erase(n);
  espalier::erase_if(sig.inputs, [](const input_spec& s) { return detail::is_state(s.kind); });
  refresh_signature(g, info);
  hash_map<std::string, std::string> renamed;
  for (const auto& [name, read] : reads)
    renamed.emplace(name, g.text(g.node_name(read)));
  detail::rename_in_module_calls(info, renamed);
  return gone.size();
}

/// Makes parameters, buffers and constants `get_attr` nodes, and outputs that are written to state or inputs
/// calls of `copy_` (`unlift_attributes`; Python: `ExportedProgram.module()`). Since these write, a
/// functional program is one of `training_ir` afterwards. Counts the inputs that went and the outputs that
/// became writes.
struct unlift : pass {
  static constexpr std::string_view name = "unlift";
  static constexpr std::string_view description =
      "state is read by name and written in place, as a module does";
  using takes = training_ir;
  using gives = training_ir;
  // unused state is dead, and what is written no longer leaves the graph: more may be shared
  using destroys =
      properties<property::functional, property::no_dead_code, property::canonical, property::no_duplicates>;

  template <class U>
  requires requires(U& u) {
    { u.storage() } -> std::convertible_to<graph_storage&>;
    { u.info() } -> std::convertible_to<program_info&>;
  }
  static pass_result run(U& program) {
    program_info& info = program.info();
    const std::size_t outputs = info.signature.outputs.size();
    const std::size_t inputs = unlift_attributes(program.storage(), info);
    return {0, inputs + outputs - info.signature.outputs.size()};
  }
};

} // namespace espalier
