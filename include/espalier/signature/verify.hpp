// SPDX-License-Identifier: BSL-1.0
// A graph against its signature (`torch/_export/verifier.py`: _verify_exported_program_signature, and
// `_verify_placeholder_names` of export): as much as can be told without weights. Linear.
#pragma once

#include <espalier/ir/diagnostic.hpp>
#include <espalier/ir/view.hpp>
#include <espalier/signature/signature.hpp>
#include <espalier/support/hash_map.hpp>
#include <espalier/support/vector.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace espalier {

/// The prefix that Python gives the placeholders of a kind; empty for user inputs.
constexpr std::string_view name_prefix(input_kind k) noexcept {
  constexpr std::string_view prefixes[] = {"", "p_", "b_", "c_", "obj_", "token"};
  return prefixes[static_cast<int>(k)];
}

namespace detail {

constexpr bool is_mutation(output_kind k) noexcept {
  return k == output_kind::buffer_mutation || k == output_kind::parameter_mutation ||
         k == output_kind::user_input_mutation;
}

template <class = when_used>
class signature_verifier {
public:
  signature_verifier(const graph_storage& g, const program_info& info) : g_(g), info_(info) {}
  vector<diagnostic> run(bool prefixes) {
    inputs(prefixes);
    outputs();
    module_calls();
    return std::move(out_);
  }

private:
  void report(std::string place, std::string what, std::string cure, node_id n = {}) {
    out_.push_back({"signature, " + std::move(place), std::move(what), std::move(cure), n});
  }
  void counts(std::string_view what, std::size_t in_graph, std::size_t in_signature, node_id n = {}) {
    if (in_graph != in_signature)
      report(std::string(what),
             "the graph has " + std::to_string(in_graph) + ", the signature " + std::to_string(in_signature),
             "add or remove both together", n);
  }
  static bool named(const io_argument& a) {
    return a.form != io_form::constant && a.form != io_form::custom_object;
  }

  void inputs(bool prefixes) {
    const auto ph = placeholders(g_);
    const auto& specs = info_.signature.inputs;
    counts("inputs", ph.size(), specs.size());
    for (std::size_t i = 0; i != specs.size(); ++i) {
      const input_spec& s = specs[i];
      const std::string place = "input " + std::to_string(i) + " '" + s.arg.name + "'";
      targets_[static_cast<int>(s.kind)].insert(
          s.kind == input_kind::user_input ? std::string_view(s.arg.name) : std::string_view(s.target));
      const bool tensor = s.kind == input_kind::parameter || s.kind == input_kind::buffer ||
                          s.kind == input_kind::constant_tensor;
      if (tensor && s.arg.form != io_form::tensor)
        report(place, "a " + std::string(to_string(s.kind)) + " must be a tensor",
               "correct the spec's argument");
      if (s.kind == input_kind::token && s.arg.form != io_form::token)
        report(place, "a token input must be a token", "correct the spec's argument");
      if ((tensor || s.kind == input_kind::custom_obj) && s.target.empty())
        report(place, "it names no state", "set its target to the name in the state dict");
      if (i >= ph.size())
        continue;
      if (ph[i].input() != s.kind)
        report(place,
               "the placeholder is a " + std::string(to_string(ph[i].input())) + ", the spec a " +
                   std::string(to_string(s.kind)),
               "make them agree", ph[i].id());
      if (named(s.arg) && ph[i].name() != s.arg.name)
        report(place, "the placeholder is named '" + std::string(ph[i].name()) + "'",
               "rename one of them (refresh_signature)", ph[i].id());
      if (prefixes && !ph[i].name().starts_with(name_prefix(s.kind)))
        report(place,
               "the name of a " + std::string(to_string(s.kind)) + " begins with '" +
                   std::string(name_prefix(s.kind)) + "'",
               "rename the placeholder", ph[i].id());
    }
  }

  void outputs() {
    const auto& specs = info_.signature.outputs;
    if (!g_.output_node().valid())
      return report("outputs", "the graph has no output node", "end it with output(...)");
    const node o(g_, g_.output_node());
    counts("outputs", o.num_args(), specs.size(), o.id());
    bool past_mutations = false, past_tokens = false;
    for (std::size_t i = 0; i != specs.size(); ++i) {
      const output_spec& s = specs[i];
      const std::string place = "output " + std::to_string(i) + " '" + s.arg.name + "'";
      if (s.kind == output_kind::token ? past_tokens : is_mutation(s.kind) && past_mutations)
        report(place, "it stands too late: outputs are tokens, then mutations, then the rest",
               "move it forward");
      past_tokens = past_tokens || s.kind != output_kind::token;
      past_mutations = past_mutations || (s.kind != output_kind::token && !is_mutation(s.kind));
      const auto known = [&](input_kind k) { return targets_[static_cast<int>(k)].contains(s.target); };
      if ((s.kind == output_kind::buffer_mutation && !known(input_kind::buffer)) ||
          (s.kind == output_kind::parameter_mutation && !known(input_kind::parameter)) ||
          (s.kind == output_kind::user_input_mutation && !known(input_kind::user_input)))
        report(place, "it is written to '" + s.target + "', which is no input of that kind",
               "correct the target");
      if (i >= o.num_args() || !named(s.arg))
        continue;
      if (!o.arg(i).is_value())
        report(place, "the graph gives a constant", "make the spec's argument a constant", o.id());
      else if (const auto name = o.arg(i).as_value().name(); name != s.arg.name)
        report(place, "the graph gives '" + std::string(name) + "'",
               "make the names agree (refresh_signature)", o.id());
    }
  }

  /// Each named input and output of a preserved call is a value of the graph.
  void module_calls() {
    hash_set<std::string_view> values;
    for (auto& e : info_.module_calls) {
      if (!e.signature)
        continue;
      for (auto* list : {&e.signature->inputs, &e.signature->outputs})
        for (auto& a : *list) {
          if (a.name.empty())
            continue;
          if (values.empty())
            for (node n : nodes(g_))
              for (std::size_t i = 0; i != n.num_results(); ++i)
                values.insert(n.result(i).name());
          if (!values.contains(a.name))
            report("module call '" + e.fqn + "'", "'" + a.name + "' is no value of the graph",
                   "remove the entry's signature, or correct the name");
        }
    }
  }

  const graph_storage& g_;
  const program_info& info_;
  hash_set<std::string_view> targets_[6];
  vector<diagnostic> out_;
};

} // namespace detail

/// All that disagrees between a graph and its signature. With `prefixes`, placeholders must be named as
/// Python names them at export (`p_`, `b_`, `c_`, `obj_`, `token`). Whether the state exists is the program's
/// to check.
template <class = when_used>
vector<diagnostic> verify_signature(const graph_storage& g, const program_info& info, bool prefixes = false) {
  return detail::signature_verifier(g, info).run(prefixes);
}

} // namespace espalier
