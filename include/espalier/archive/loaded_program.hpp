// SPDX-License-Identifier: BSL-1.0
// Programs for those who do without LibTorch: read one, rewrite its graph, write it. Weights stay bytes in
// the mapped file; what we do not understand (pickled inputs, records of others) passes through.
#pragma once

#include <espalier/archive/detail/loadable.hpp>
#include <espalier/archive/from_archive.hpp>
#include <espalier/archive/pt2_archive.hpp>
#include <espalier/archive/to_archive.hpp>
#include <espalier/ir/storage.hpp>
#include <espalier/signature/signature.hpp>
#include <espalier/support/vector.hpp>

#include <istream>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>

namespace espalier {

/// A program with its weights as bytes.
struct loaded_program {
  std::string name = "model"; ///< its name in the archive
  graph_storage graph;
  program_info info;
  pt2::payload_table weights;   ///< parameters and persistent buffers
  pt2::payload_table constants; ///< lifted tensors, other buffers, objects
  shared_bytes sample_inputs;   ///< what `torch.save` wrote of (args, kwargs)
  /// Records of the archive that belong to no program, such as Python's `extra_files` (`extra/NAME`): those
  /// that `load_program` found, and `save_program` writes.
  vector<pt2::loose_record> others{};
};

/// An archive of programs, and the records that belong to none.
struct loaded_archive {
  vector<loaded_program> programs;
  pt2::archive rest; ///< without its models
};

/// The programs of an archive that has been read.
template <class = when_used>
loaded_archive open_programs(pt2::archive a, const std::string& place) {
  loaded_archive out;
  for (auto& m : a.models) {
    loaded_program p;
    auto g = from_archive(m.program, place + ": models/" + m.name + ".json");
    p.name = std::move(m.name);
    p.graph = std::move(g.graph);
    p.info = std::move(g.info);
    p.weights = std::move(m.weights);
    p.constants = std::move(m.constants);
    p.sample_inputs = std::move(m.sample_inputs);
    out.programs.push_back(std::move(p));
  }
  a.models.clear();
  out.rest = std::move(a);
  return out;
}
/// All programs of a file, which stays mapped while any weight is in use. With `verify::structure` no weight
/// is touched before it is used or written.
template <class = when_used>
loaded_archive load_programs(const std::string& path, pt2::verify how = pt2::verify::everything) {
  return open_programs(pt2::read_archive(path, how), path);
}

namespace detail {
/// The program of that name, or the only one when no name is given.
template <class Programs>
auto pick_program(Programs& programs, std::string_view name, const std::string& place)
    -> decltype(&programs.front()) {
  std::string names;
  for (auto& p : programs) {
    if (p.name == name || (name.empty() && programs.size() == 1))
      return &p;
    names += (names.empty() ? "" : ", ") + p.name;
  }
  fail(error_kind::usage,
       name.empty() ? "the archive holds several programs: " + names
                    : "the archive holds no program '" + std::string(name) + "', but: " + names,
       place, "name one of them");
}
} // namespace detail

/// One program of a file; `name` may be left out when there is only one.
template <class = when_used>
loaded_program load_program(const std::string& path, std::string_view name = {},
                            pt2::verify how = pt2::verify::everything) {
  auto all = load_programs(path, how);
  loaded_program p = std::move(*detail::pick_program(all.programs, name, path));
  p.others = std::move(all.rest.others);
  return p;
}

/// A program as a model of an archive. Values without a name are given one first.
template <class = when_used>
pt2::model to_model(loaded_program& p) {
  pt2::model m;
  m.name = p.name;
  m.program = to_archive(p.graph, p.info);
  m.weights.entries.entries.reserve(p.weights.size());
  const auto copy = [](const pt2::payload_table& from, pt2::payload_table& to) {
    for (const auto& [fqn, x] : from) {
      pt2::payload y;
      y.bytes = x.bytes;
      y.pending = x.pending;
      y.meta = pt2::from_json<pt2::payload_meta>(pt2::to_json(x.meta), fqn); // the structs only move
      to.add(fqn, std::move(y));
    }
    for (const auto& e : from.extra)
      to.extra.add(e.name, e.json);
  };
  copy(p.weights, m.weights);
  copy(p.constants, m.constants);
  m.sample_inputs = p.sample_inputs;
  return m;
}

/// Writes a program; the file is replaced whole or not at all. Throws `error` (unsupported) for what Python
/// would refuse to load or to train; `to_model` and `pt2::write_archive` write it all the same.
template <class = when_used>
void save_program(loaded_program& p, const std::string& path) {
  detail::require_loadable_calls(p.graph);
  pt2::archive a;
  a.models.push_back(to_model(p));
  a.others = p.others;
  pt2::write_archive(a, path);
}
template <class = when_used>
void save_program(loaded_program& p, std::ostream& to) {
  detail::require_loadable_calls(p.graph);
  pt2::archive a;
  a.models.push_back(to_model(p));
  a.others = p.others;
  pt2::write_archive(a, to);
}

} // namespace espalier
