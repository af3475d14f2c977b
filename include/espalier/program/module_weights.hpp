// SPDX-License-Identifier: BSL-1.0
// Weights alone, between a `torch::nn::Module` and a .pt2 file, with a report of the names that do not meet:
// C++ and Python models of one architecture often differ in a prefix or a container's name.
#pragma once

#include <espalier/program/save_load.hpp>
#include <espalier/support/vector.hpp>

#include <torch/nn/module.h>
#include <torch/version.h>

#include <algorithm>
#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>

namespace espalier {

/// How the names of a file and of a module met.
struct name_report {
  struct mismatch {
    std::string name;
    std::string wanted, found; ///< sizes and types, as text
  };
  vector<std::string> loaded;                          ///< by the module's names
  vector<std::string> missing;                         ///< in the module, not in the file
  vector<std::string> unexpected;                      ///< in the file, not in the module
  vector<mismatch> mismatched;                         ///< in both, but of other sizes
  vector<std::pair<std::string, std::string>> renames; ///< likely ones: the file's name, the module's

  bool complete() const noexcept { return missing.empty() && unexpected.empty() && mismatched.empty(); }
};

/// A report as lines of text.
template <class = when_used>
std::string to_string(const name_report& r) {
  std::string s = std::to_string(r.loaded.size()) + " loaded, " + std::to_string(r.missing.size()) +
                  " missing, " + std::to_string(r.unexpected.size()) + " unexpected, " +
                  std::to_string(r.mismatched.size()) + " of other sizes";
  for (const auto& n : r.missing)
    s += "\n  missing in the file: " + n;
  for (const auto& n : r.unexpected)
    s += "\n  unknown to the module: " + n;
  for (const auto& m : r.mismatched)
    s += "\n  other sizes: " + m.name + " is " + m.wanted + ", in the file " + m.found;
  for (const auto& [from, to] : r.renames)
    s += "\n  likely renamed: " + from + " -> " + to;
  return s;
}

/// How weights are loaded.
struct state_options {
  bool strict = true; ///< throw, and change nothing, unless the names and sizes all meet
  std::map<std::string, std::string> rename{}; ///< the file's names to the module's
  bool apply_likely_renames = false;           ///< load the `renames` of the report too
  std::string model{};                         ///< of an archive of several
};

namespace detail {

template <class = when_used>
std::string describe(const at::Tensor& t) {
  std::string s = std::string(c10::toString(t.scalar_type())) + "[";
  for (std::int64_t d = 0; d != t.dim(); ++d)
    s += (d ? ", " : "") + std::to_string(t.size(d));
  return s + "]";
}
/// Trailing parts (between dots) that two names share.
template <class = when_used>
std::size_t common_suffix(std::string_view a, std::string_view b) {
  std::size_t n = 0;
  while (!a.empty() && !b.empty()) {
    const auto i = a.rfind('.'), j = b.rfind('.');
    if (a.substr(i + 1) != b.substr(j + 1))
      return n;
    ++n;
    if (i == a.npos || j == b.npos)
      return n;
    a = a.substr(0, i);
    b = b.substr(0, j);
  }
  return n;
}

/// The tensors of a module by name, parameters first, in order. Tied ones come under every name.
template <class = when_used>
vector<state_entry> state_of(const torch::nn::Module& m) {
  vector<state_entry> out;
  for (const auto& p : m.named_parameters())
    if (p.value().defined())
      out.push_back({p.key(), p.value(), true});
  for (const auto& b : m.named_buffers())
    if (b.value().defined())
      out.push_back({b.key(), b.value(), false});
  return out;
}

/// Pairs what is missing with what is unexpected: equal sizes and types, and the longest common end of the
/// names, when no other pair is as good.
template <class = when_used>
void guess_renames(name_report& r, const vector<std::pair<std::string, at::Tensor>>& unexpected,
                   const std::map<std::string, at::Tensor>& missing) {
  std::set<std::string> taken;
  for (const auto& [from, t] : unexpected) {
    std::size_t best = 0;
    std::string to;
    bool tie = false;
    for (const auto& [name, want] : missing) {
      if (taken.contains(name) || want.sizes() != t.sizes() || want.scalar_type() != t.scalar_type())
        continue;
      const auto score = common_suffix(from, name);
      if (score > best)
        best = score, to = name, tie = false;
      else if (score == best && score != 0)
        tie = true;
    }
    if (best == 0 || tie)
      continue;
    taken.insert(to);
    r.renames.emplace_back(from, to);
  }
}

} // namespace detail

/// Copies tensors into a module's parameters and buffers of the same names. Throws `error` (usage) with the
/// report when `strict` and something does not meet; the module is then unchanged.
template <class = when_used>
name_report load_state_dict(torch::nn::Module& module, const state_dict& from,
                            const state_options& options = {}) {
  name_report r;
  std::map<std::string, at::Tensor> wanted;
  for (auto& e : detail::state_of(module))
    wanted.emplace(e.name, e.tensor);
  std::map<std::string, at::Tensor> missing = wanted;
  vector<std::pair<std::string, at::Tensor>> unexpected;
  vector<std::pair<at::Tensor, at::Tensor>> copies;
  for (const auto& e : from) {
    const auto renamed = options.rename.find(e.name);
    const std::string& name = renamed == options.rename.end() ? e.name : renamed->second;
    const auto it = wanted.find(name);
    if (it == wanted.end()) {
      unexpected.emplace_back(e.name, e.tensor);
      continue;
    }
    missing.erase(name);
    if (it->second.sizes() != e.tensor.sizes()) {
      r.mismatched.push_back({name, detail::describe(it->second), detail::describe(e.tensor)});
      continue;
    }
    copies.emplace_back(it->second, e.tensor);
    r.loaded.push_back(name);
  }
  detail::guess_renames(r, unexpected, missing);
  if (options.apply_likely_renames) {
    for (const auto& [file, to] : r.renames) {
      for (const auto& u : unexpected)
        if (u.first == file)
          copies.emplace_back(wanted.at(to), u.second);
      espalier::erase_if(unexpected, [&from_file = file](const auto& u) { return u.first == from_file; });
      missing.erase(to);
      r.loaded.push_back(to);
    }
  }
  for (const auto& [name, t] : missing)
    r.missing.push_back(name);
  for (const auto& [name, t] : unexpected)
    r.unexpected.push_back(name);
  if (options.strict && !r.complete())
    fail(error_kind::usage, "the weights do not fit the module: " + to_string(r), "load_state_dict",
         "map names with state_options{.rename = ...}, or pass {.strict = false} and look at the report");
  const at::NoGradGuard no_grad;
  for (auto& [to, t] : copies)
    to.copy_(t);
  return r;
}
/// The same from a .pt2 file: its parameters and buffers, the ones that are not persistent too when the
/// module has them.
template <class = when_used>
name_report load_state_dict(torch::nn::Module& module, const std::string& path,
                            const state_options& options = {}) {
  pt2::archive a = pt2::read_archive(map_file_private(path), path); // all of it is read
  pt2::model& m = *detail::pick_program(a.models, options.model, path);
  weight_reader read(payload_memory::private_);
  state_dict all;
  detail::read_payloads(m.weights, read, all, nullptr);
  std::set<std::string> known;
  for (auto& e : detail::state_of(module))
    known.insert(e.name);
  for (const auto& s : m.program.graph_module.signature.input_specs) {
    if (!s.is_buffer() || s.buffer().persistent)
      continue;
    const auto* p = m.constants.find(s.buffer().buffer_name);
    if (p && known.contains(s.buffer().buffer_name))
      all.set(s.buffer().buffer_name, read.tensor(*p, s.buffer().buffer_name), false);
  }
  return load_state_dict(module, all, options);
}

/// A program that computes nothing and holds a state: how weights alone travel in a .pt2 file.
template <class = when_used>
exported_program<training_ir> state_program(const vector<state_entry>& state) {
  graph<training_ir> g;
  program_info info;
  info.verifier = training_ir::verifier;
  info.torch_version = TORCH_VERSION;
  info.opset_version["aten"] = 10;
  name_space names;
  for (const auto& e : state) {
    const std::string name(names.create((e.is_parameter ? "p_" : "b_") + detail::path_atom(e.name)));
    g.graph_storage::placeholder(e.is_parameter ? input_kind::parameter : input_kind::buffer, name,
                                 g.intern_meta(value_meta(meta_of(e.tensor))));
    input_spec s;
    s.kind = e.is_parameter ? input_kind::parameter : input_kind::buffer;
    s.arg.name = name;
    s.target = e.name;
    info.signature.inputs.push_back(std::move(s));
  }
  g.graph_storage::output({});
  module_call_entry root;
  root.signature.emplace();
  root.signature->in_spec = tree_spec::tuple({tree_spec::tuple({}), tree_spec::dict({}, {})});
  root.signature->out_spec = tree_spec::tuple({});
  root.signature->forward_arg_names.emplace();
  info.module_calls.push_back(std::move(root));
  exported_program<training_ir> p(std::move(g), std::move(info));
  for (const auto& e : state)
    p.state_dict().set(e.name, e.tensor, e.is_parameter);
  return p;
}
/// Saves the parameters and buffers of a module. Python reads them with `torch.export.load(path).state_dict`.
template <class = when_used>
void save_state_dict(const torch::nn::Module& module, const std::string& path) {
  save(state_program(detail::state_of(module)), path);
}

} // namespace espalier
