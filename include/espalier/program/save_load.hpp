// SPDX-License-Identifier: BSL-1.0
// Programs in files: `save`, `load`. Weights are mapped, not copied, and may be written to (the mapping is
// private); a save replaces the file whole or not at all.
#pragma once

#include <espalier/archive/detail/loadable.hpp>
#include <espalier/archive/from_archive.hpp>
#include <espalier/archive/loaded_program.hpp>
#include <espalier/archive/pt2_archive.hpp>
#include <espalier/archive/to_archive.hpp>
#include <espalier/bridge/weights.hpp>
#include <espalier/ir/naming.hpp>
#include <espalier/program/exported_program.hpp>
#include <espalier/program/lift_attributes.hpp>
#include <espalier/program/pickle.hpp>
#include <espalier/support/hash_map.hpp>
#include <espalier/support/span.hpp>
#include <espalier/support/vector.hpp>

#include <algorithm>
#include <cstddef>
#include <istream>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>

namespace espalier {

namespace detail {

/// Reads the payloads of a table into a state dict; those that are no plain tensors stay closed in `objects`.
template <class = when_used>
void read_payloads(pt2::payload_table& from, weight_reader& read, state_dict& to, pt2::payload_table* objects,
                   archive_rest* rest = nullptr) {
  for (auto& e : from.entries) {
    if (rest && !e.value.meta.extra.empty())
      rest->entries[e.key].assign(e.value.meta.extra.begin(), e.value.meta.extra.end());
    if (e.value.meta.use_pickle && objects) {
      objects->add(e.key, std::move(e.value));
      continue;
    }
    at::Tensor t = read.tensor(e.value, e.key);
    if (e.value.meta.is_param && e.value.meta.tensor_meta->requires_grad)
      t.set_requires_grad(true);
    to.set(e.key, std::move(t), e.value.meta.is_param);
  }
}

template <class = when_used>
void read_examples(const shared_bytes& pickle, const program_info& info, example_inputs& to) {
  to.pickle = pickle;
  if (pickle.empty())
    return;
  const auto* root = info.root();
  if (!root) {
    to.unread = "the program does not say how its inputs nest";
    return;
  }
  try {
    flatten_like(torch_load(pickle.span()), root->in_spec, to.leaves);
  } catch (const error& e) {
    to.leaves.clear();
    to.unread = e.what();
  }
}

/// Throws unless a file's program can be one of dialect `D`.
template <dialect D>
void check_dialect(const graph_storage& g, const program_info& info, const std::string& place) {
  constexpr std::string_view wanted = D::verifier;
  const auto refuse = [&](std::string why, std::string cure) {
    fail(error_kind::verification, std::move(why), place, std::move(cure));
  };
  // training IR takes whatever is functional as well
  const bool fits = wanted.empty() || wanted == info.verifier || info.verifier.empty() ||
                    (wanted == training_ir::verifier && info.verifier == aten_ir::verifier);
  if (!fits) {
    const std::string found = info.verifier == training_ir::verifier ? std::string(training_ir::name)
                              : info.verifier == aten_ir::verifier   ? std::string(aten_ir::name)
                                                                     : "unknown here";
    refuse("the program is in dialect " + found + " ('" + info.verifier + "' in the file), but " +
               std::string(D::name) + " ('" + std::string(wanted) + "') was asked for",
           "load it as espalier::" + (found == "unknown here" ? std::string(torch_ir::name) : found) +
               " and lower it, or run_decompositions() in Python before saving");
  }
  for (node n : nodes(g)) {
    if (!n.is_call())
      continue;
    if (const auto why = D::rule_list::refuses(flags_of(n.op())); !why.empty())
      refuse("the program is not in dialect " + std::string(D::name) + ": " + std::string(why) + ", but " +
                 describe(n) + " breaks that",
             "load it as " +
                 std::string(info.verifier == aten_ir::verifier ? aten_ir::name : training_ir::name) +
                 " and lower it");
  }
}

/// Throws `error` (verification) for a program that breaks a rule: the file's name in its place, and in its
/// cure how to go on without asking.
template <dialect D, class Signature>
void verify_at(const exported_program<D, Signature>& p, const std::string& place, const char* otherwise) {
  try {
    if (all_named(p.storage())) {
      p.verify();
    } else { // nodes get their names as they are written
      exported_program<D, Signature> named = p;
      assign_names(named.storage());
      std::as_const(named).verify();
    }
  } catch (const error& e) {
    throw error(e.kind(), e.cause(), place.empty() ? e.place() : place + ": " + e.place(),
                (e.cure().empty() ? "" : e.cure() + "; ") + std::string(otherwise));
  }
}

template <dialect D, class Signature>
exported_program<D, Signature> make_program(pt2::model m, payload_memory memory, const std::string& place,
                                            bool verify) {
  auto g = from_archive(m.program, place + ": models/" + m.name + ".json");
  check_dialect<D>(g.graph, g.info, place);
  exported_program<D, Signature> p(graph<D>(std::move(g.graph)), std::move(g.info));
  weight_reader read(memory);
  read_payloads(m.weights, read, p.state_dict(), nullptr, &p.rest());
  read_payloads(m.constants, read, p.constants(), &p.objects(), &p.rest());
  p.rest().weights.assign(m.weights.extra.begin(), m.weights.extra.end());
  p.rest().constants.assign(m.constants.extra.begin(), m.constants.extra.end());
  read_examples(m.sample_inputs, std::as_const(p).info(), p.example_inputs());
  if (verify)
    verify_at(p, place, "load it with {.verify = false} to look at it as it is");
  return p;
}
} // namespace detail

/// How a file becomes a program.
struct load_options {
  std::string model{}; ///< which one, when the archive holds several
  /// Refuse a program that breaks a rule of its dialect, of its operators' schemas or of its signature. It
  /// costs little beside the reading; without it, a broken program can be looked at.
  bool verify = true;
  /// Compare the bytes of weights and constants with the checksums of the file, which reads them all. Without
  /// it a file is mapped and its weights are read as they are used, which pays where there are many: damage
  /// then shows when a weight that was not changed is saved again. Streams and memory are read whole anyway.
  bool checksums = true;
};

namespace detail {
template <dialect D, class Signature>
exported_program<D, Signature> make_program(pt2::archive a, payload_memory memory, const load_options& o,
                                            const std::string& place) {
  auto p =
      make_program<D, Signature>(std::move(*pick_program(a.models, o.model, place)), memory, place, o.verify);
  p.rest().records = std::move(a.others);
  return p;
}
} // namespace detail

/// Loads a program. Its weights are the file's bytes, mapped: they are not copied, and what is written to
/// them stays in this process. Throws `error`: io, archive (a damaged, foreign or too new file), verification
/// (another dialect than asked, where `torch_ir` takes all; a program that is not sound).
template <dialect D = training_ir, class Signature = dynamic>
exported_program<D, Signature> load(const std::string& path, const load_options& options = {}) {
  const auto how = options.checksums ? pt2::verify::everything : pt2::verify::structure;
  return detail::make_program<D, Signature>(pt2::read_archive(map_file_private(path), path, how),
                                            payload_memory::private_, options, path);
}
template <dialect D = training_ir, class Signature = dynamic>
exported_program<D, Signature> load(std::istream& in, const load_options& options = {}) {
  return detail::make_program<D, Signature>(pt2::read_archive(in), payload_memory::read_only, options,
                                            "stream");
}
/// From memory, which is not needed afterwards.
template <dialect D = training_ir, class Signature = dynamic>
exported_program<D, Signature> load(span<const std::byte> bytes, const load_options& options = {}) {
  return detail::make_program<D, Signature>(
      pt2::read_archive(shared_bytes::borrow(bytes.data(), bytes.size()), "memory"),
      payload_memory::read_only, options, "memory");
}
/// One of several programs of an archive, by name: `es::load(path, "encoder")`.
template <dialect D = training_ir, class Signature = dynamic, class From>
exported_program<D, Signature> load(From&& from, std::string_view model) {
  return load<D, Signature>(static_cast<From&&>(from), load_options{.model = std::string(model)});
}

/// What a save leaves out or adds.
struct save_options {
  bool example_inputs = true; ///< the program's example inputs, when it has any
  std::string name = "model"; ///< the program's name in the archive; Python expects "model"
  /// Refuse a program that breaks a rule of its dialect, of its operators' schemas or of its signature, or
  /// that Python would refuse to load or to train, before any file is touched. It costs little beside the
  /// writing.
  bool verify = true;
};

namespace detail {

template <class = when_used>
shared_bytes pickle_examples(const example_inputs& x, const program_info& info) {
  if (!x.pickle.empty() || x.leaves.empty())
    return x.pickle;
  const auto* root = info.root();
  if (!root)
    return {};
  std::size_t at = 0;
  return shared_bytes::own(torch_save(nest(root->in_spec, x.leaves, at)));
}

/// A tensor that was changed in place changed the bytes of all that share its storage: no checksum speaks of
/// them any more.
template <class = when_used>
void forget_checksums_of_changed(pt2::model& m) {
  hash_set<const std::byte*> changed;
  const auto each = [&](auto&& f) {
    for (auto* table : {&m.weights, &m.constants})
      for (auto& e : table->entries)
        f(e.value);
  };
  each([&](pt2::payload& p) {
    if (!p.pending.of)
      changed.insert(p.bytes.data());
  });
  each([&](pt2::payload& p) {
    if (changed.contains(p.bytes.data()))
      p.pending = {};
  });
}

/// Puts back what a file had in its tables beside what is known here.
template <class = when_used>
void add_rest(pt2::model& m, const archive_rest& rest) {
  const auto put = [&](pt2::payload_table& t, const vector<pt2::raw_member>& table) {
    for (const auto& x : table)
      t.extra.add(x.name, x.json);
    for (auto& e : t.entries)
      if (const auto known = rest.entries.find(e.key);
          known != rest.entries.end() && e.value.meta.extra.empty())
        for (const auto& x : known->second)
          e.value.meta.extra.add(x.name, x.json);
  };
  put(m.weights, rest.weights);
  put(m.constants, rest.constants);
}
/// Adds records of others to an archive: one of a name, whoever brings it.
template <class = when_used>
void add_records(pt2::archive& a, const archive_rest& rest) {
  for (const auto& r : rest.records) {
    const auto known =
        std::find_if(a.others.begin(), a.others.end(), [&](const auto& o) { return o.name == r.name; });
    if (known == a.others.end())
      a.others.push_back(r);
    else if (known->bytes.text() != r.bytes.text())
      fail(error_kind::usage, "two programs bring other bytes for the record '" + r.name + "'", "archive_of",
           "rename it in rest().records of one of them, or erase it");
  }
}

template <class = when_used>
pt2::model to_model(const program_base& p, std::string_view verifier, const save_options& o) {
  pt2::model m;
  m.name = o.name;
  m.program = to_archive(p.storage(), p.info());
  if (!verifier.empty()) {
    if (m.program.verifiers.empty())
      m.program.verifiers.emplace_back();
    m.program.verifiers.front() = verifier;
  }
  for (const auto& e : p.state_dict())
    m.weights.add(e.name, to_payload(e.tensor, e.is_parameter, e.name));
  for (const auto& e : p.constants())
    m.constants.add(e.name, to_payload(e.tensor, e.is_parameter, e.name));
  for (const auto& [name, x] : p.objects()) {
    pt2::payload copy;
    copy.bytes = x.bytes;
    copy.meta = pt2::from_json<pt2::payload_meta>(pt2::to_json(x.meta), name); // the structs only move
    m.constants.add(name, std::move(copy));
  }
  if (o.example_inputs)
    m.sample_inputs = pickle_examples(p.example_inputs(), p.info());
  forget_checksums_of_changed(m);
  add_rest(m, p.rest());
  return m;
}

/// What a file holds of a program; attributes are inputs there.
template <dialect D, class S>
pt2::model to_model(const exported_program<D, S>& p, const save_options& o) {
  if (reads_attributes(p.storage())) {
    exported_program<D, S> lifted = p;
    lift_attributes(lifted.storage(), lifted.info(), p.state_dict(), p.constants());
    return to_model(std::as_const(lifted), o);
  }
  if (o.verify) {
    verify_at(p, {}, "save it with {.verify = false} to keep it as it is");
    require_loadable_calls(p.storage());
  }
  return to_model(p, D::verifier, o);
}

} // namespace detail

/// Saves a program; Python's `torch.export.load` takes the file. Tensors that the graph reads by name become
/// inputs in the file (`lift_attributes`). What the file that it came from held beside it is written too
/// (`rest()`). Throws `error`: verification (a program that is not sound),
/// unsupported (what a file cannot say, or Python would refuse), io; the file that was there is left as it
/// was.
template <dialect D, class S>
void save(const exported_program<D, S>& p, const std::string& path, const save_options& options = {}) {
  pt2::archive a;
  a.models.push_back(detail::to_model(p, options));
  detail::add_records(a, p.rest());
  pt2::write_archive(a, path);
}
template <dialect D, class S>
void save(const exported_program<D, S>& p, std::ostream& to, const save_options& options = {}) {
  pt2::archive a;
  a.models.push_back(detail::to_model(p, options));
  detail::add_records(a, p.rest());
  pt2::write_archive(a, to);
}

/// Several programs for one archive: `es::archive_of().add("encoder", e).add("decoder", d).save("both.pt2")`.
class archive_of {
public:
  template <dialect D, class S>
  archive_of& add(std::string name, const exported_program<D, S>& p, save_options options = {}) {
    options.name = std::move(name);
    a_.models.push_back(detail::to_model(p, options));
    detail::add_records(a_, p.rest());
    return *this;
  }
  template <class = when_used>
  void save(const std::string& path) const {
    pt2::write_archive(a_, path);
  }
  template <class = when_used>
  void save(std::ostream& to) const {
    pt2::write_archive(a_, to);
  }

private:
  pt2::archive a_;
};

} // namespace espalier
