// SPDX-License-Identifier: BSL-1.0
// Names of placeholders that say what they stand for, as Python's export gives them: `p_` and the parameter's
// path, `b_`, `c_`, `obj_` likewise, `token`; user inputs keep the names of the program's arguments. After
// passes that lift state, or for a graph built by hand.
#pragma once

#include <espalier/ir/naming.hpp>
#include <espalier/ir/view.hpp>
#include <espalier/pipeline/pass.hpp>
#include <espalier/pipeline/pass_result.hpp>
#include <espalier/pipeline/properties.hpp>
#include <espalier/signature/lift.hpp>
#include <espalier/signature/refresh.hpp>
#include <espalier/signature/signature.hpp>
#include <espalier/support/hash_map.hpp>
#include <espalier/support/vector.hpp>

#include <cstddef>
#include <string>
#include <string_view>

namespace espalier {

/// Renames the placeholders of a program after its signature (`torch/_export/utils.py`:
/// placeholder_naming_pass), and what names them elsewhere. Calls that had a name which a placeholder now
/// takes get a new one. Counts the placeholders that have another name. Linear. Throws `error` (verification)
/// when the graph and the signature disagree about the number of inputs.
struct rename_placeholders : pass {
  static constexpr std::string_view name = "rename_placeholders";
  static constexpr std::string_view description = "names inputs as export does";
  using destroys = properties<>;
  using preserves = all_analyses;

  template <class U>
  requires requires(U& u) {
    { u.storage() } -> std::convertible_to<graph_storage&>;
    { u.info() } -> std::convertible_to<program_info&>;
  }
  static pass_result run(U& program) { return run(program.storage(), program.info()); }

private:
  template <class = when_used>
  static pass_result run(graph_storage& g, program_info& info) {
    refresh_signature(g, info); // names everything, and checks the numbers
    const auto inputs = placeholders(g);
    name_space names;
    for (std::size_t i = 0; i != inputs.size(); ++i)
      if (info.signature.inputs[i].kind == input_kind::user_input)
        names.reserve(inputs[i].name());
    pass_result done;
    vector<std::string> wanted;
    hash_map<std::string, std::string> renamed;
    for (std::size_t i = 0; i != inputs.size(); ++i) {
      const input_spec& spec = info.signature.inputs[i];
      const std::string before(inputs[i].name());
      wanted.push_back(spec.kind == input_kind::user_input ? before : std::string(names.create(wish(spec))));
      if (wanted.back() == before)
        continue;
      renamed[before] = wanted.back();
      ++done.rewritten;
    }
    if (!done.changed())
      return done;
    const node_id last = inputs.empty() ? node_id{} : inputs.back().id();
    for (std::size_t i = 0; i != inputs.size(); ++i)
      g.set_name(inputs[i].id(), wanted[i]);
    struct lost_name {
      value_id of;
      std::string name;
    };
    vector<lost_name> lost; // to placeholders
    for (node_id n = g.next(last); n.valid(); n = g.next(n)) {
      bool taken = names.contains(g.text(g.node_name(n)));
      for (std::size_t i = 0; i != g.num_results(n); ++i)
        taken = taken || names.contains(g.text(g.value_name(g.result(n, i))));
      if (!taken)
        continue;
      for (std::size_t i = 0; i != g.num_results(n); ++i)
        lost.push_back({g.result(n, i), std::string(g.text(g.value_name(g.result(n, i))))});
      g.clear_name(n);
    }
    refresh_signature(g, info);
    for (auto& [v, before] : lost)
      renamed[before] = g.text(g.value_name(v));
    detail::rename_in_module_calls(info, renamed);
    return done;
  }

  template <class = when_used>
  static std::string wish(const input_spec& s) {
    if (s.kind == input_kind::token)
      return "token";
    std::string out = s.kind == input_kind::parameter         ? "p_"
                      : s.kind == input_kind::buffer          ? "b_"
                      : s.kind == input_kind::constant_tensor ? "c_"
                                                              : "obj_";
    for (char ch : s.target)
      out += detail::is_ident_char(ch) ? ch : '_';
    return out;
  }
};

} // namespace espalier
