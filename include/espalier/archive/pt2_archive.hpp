// SPDX-License-Identifier: BSL-1.0
// A .pt2 archive as a whole: which record holds what (torch/csrc/export/pt2_archive_constants.h,
// torch/export/pt2_archive/_package.py), one or several models, their weights mapped rather than copied, and
// every record that we do not know kept byte for byte. Graphs stay in the schema's terms here.
#pragma once

#include <espalier/archive/file.hpp>
#include <espalier/archive/inspect.hpp>
#include <espalier/archive/payload.hpp>
#include <espalier/archive/schema.hpp>
#include <espalier/archive/schema_json.hpp>
#include <espalier/archive/zip.hpp>
#include <espalier/support/hash_map.hpp>
#include <espalier/support/span.hpp>
#include <espalier/support/vector.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <istream>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>

namespace espalier::pt2 {

/// One exported program of an archive.
struct model {
  std::string name = "model";
  exported_program program;
  /// Parameters and persistent buffers.
  payload_table weights;
  /// Lifted tensor constants, buffers that are not persistent, custom objects.
  payload_table constants;
  /// What `torch.save` wrote of `(args, kwargs)`; empty when the program was saved without.
  shared_bytes sample_inputs;
};

/// A whole archive.
struct archive {
  /// The folder that all records lie in. Readers accept any.
  std::string root = "archive";
  vector<model> models;
  vector<loose_record> others;
  /// The archive's `.data/serialization_id`, and what it was computed for: written back only while the other
  /// records are still the same, computed anew otherwise.
  std::string serialization_id;
  std::uint64_t identified_contents = 0;

  /// The model of that name, or null.
  const model* find(std::string_view name) const noexcept {
    for (auto& m : models)
      if (m.name == name)
        return &m;
    return nullptr;
  }
  model* find(std::string_view name) noexcept { return const_cast<model*>(std::as_const(*this).find(name)); }
  /// A user's file (`extra/NAME`; torch.export.save's `extra_files`), or null.
  const shared_bytes* extra_file(std::string_view name) const noexcept {
    for (auto& r : others)
      if (r.name.size() == 6 + name.size() && r.name.starts_with("extra/") && r.name.ends_with(name))
        return &r.bytes;
    return nullptr;
  }
};

/// How carefully an archive is read.
enum class verify {
  everything, ///< the checksums of all records
  structure,  ///< all but the bytes of weights and constants: these are not touched until they are used, and
              ///< compared by `verify_payloads`, `verify_bytes` or when they are written
};

// These are templates only so that a program which includes this header and reads or writes nothing does not
// compile the code for all of the schema. Nobody names the parameter.

/// Reads an archive of exported programs from a file, which is mapped and stays so while any weight is in
/// use.
template <class Archive = archive>
Archive read_archive(const std::string& path, verify how = verify::everything);
/// Reads one from memory. `place` names it in errors. The result keeps the bytes alive if they are owned.
template <class Archive = archive>
Archive read_archive(shared_bytes file, std::string place, verify how = verify::everything);
/// Reads one from a stream, to its end.
template <class Archive = archive>
Archive read_archive(std::istream& in, verify how = verify::everything);

/// Compares the weights and constants with their checksums, for an archive that was read with
/// `verify::structure`: throws `error` (archive) that names the first damaged record. Touches every byte.
template <class = when_used>
void verify_payloads(const archive& a) {
  hash_set<const std::byte*> done; // tied weights are one record
  for (auto& m : a.models)
    for (auto* table : {&m.weights, &m.constants})
      for (auto& [fqn, p] : *table)
        if (done.insert(p.bytes.data()).second)
          verify_bytes(p, fqn);
}

/// Writes an archive. The bytes are the same from run to run.
template <class Archive>
void write_archive(const Archive& a, output& to);
/// Writes a file: complete, or not at all.
template <class Archive>
void write_archive(const Archive& a, const std::string& path);
/// Writes into a stream.
template <class Archive>
void write_archive(const Archive& a, std::ostream& to);

namespace detail {

inline constexpr std::string_view format_record = "archive_format", version_record = "archive_version",
                                  byteorder_record = "byteorder", container_record = ".data/version",
                                  id_record = ".data/serialization_id";
inline constexpr std::string_view models_folder = "models/", weights_folder = "data/weights/",
                                  constants_folder = "data/constants/",
                                  samples_folder = "data/sample_inputs/";

/// A number for the names and contents of records, in any order.
inline std::uint64_t mix(std::uint64_t sum, std::string_view name, std::uint32_t crc) noexcept {
  std::uint64_t h = 0xcbf2'9ce4'8422'2325u; // FNV-1a
  for (char c : name)
    h = (h ^ static_cast<unsigned char>(c)) * 0x100'0000'01b3u;
  h = (h ^ crc) * 0x9e37'79b9'7f4a'7c15u;
  return sum + (h ^ (h >> 29));
}

/// Reads one archive; knows which records are accounted for.
template <class Archive>
class archive_reader {
public:
  archive_reader(const shared_bytes& file, const std::string& place, verify how)
      : zip_(open_exported(file, place)), how_(how) {}

  Archive read() {
    Archive a;
    a.root = std::string(root_folder(zip_));
    prefix_ = a.root + '/';
    check_versions();
    for (auto& e : zip_.entries())
      if (auto name = local(e.name); name.starts_with(models_folder) && name.ends_with(".json"))
        a.models.push_back(
            read_model(e, name.substr(models_folder.size(), name.size() - models_folder.size() - 5)));
    if (a.models.empty())
      refuse("the archive holds no exported program", "export one into it");
    if (auto e = zip_.find(prefix_ + std::string(id_record)))
      a.serialization_id = std::string(take(*e).text());
    std::uint64_t contents = 0;
    for (auto& e : zip_.entries()) {
      if (!used_.contains(e.name))
        a.others.push_back({std::string(local(e.name)), take(e)});
      if (local(e.name) != id_record)
        contents = mix(contents, local(e.name), e.crc);
    }
    a.identified_contents = contents;
    return a;
  }

private:
  std::string_view local(std::string_view name) const noexcept {
    return name.starts_with(prefix_) ? name.substr(prefix_.size()) : name;
  }
  [[noreturn]] void refuse(std::string cause, std::string cure) const {
    fail(error_kind::archive, std::move(cause), zip_.place(), std::move(cure));
  }
  // The bytes of a record, which count as accounted for.
  shared_bytes take(const zip::entry& e, bool check = true) {
    used_.insert(e.name);
    if (check)
      zip_.verify(e);
    return zip_.data(e);
  }
  const zip::entry* find(std::string_view folder, std::string_view name, std::string_view suffix = {}) const {
    return zip_.find(prefix_ + std::string(folder) + std::string(name) + std::string(suffix));
  }
  const zip::entry& need(std::string_view folder, std::string_view name, std::string_view suffix) const {
    auto* e = find(folder, name, suffix);
    if (!e)
      refuse("the record '" + std::string(folder) + std::string(name) + std::string(suffix) + "' is missing",
             "the archive is incomplete; get a fresh copy, or export it again");
    return *e;
  }

  void check_versions() {
    take(need({}, format_record, {})); // its value was checked: it makes the file a .pt2
    std::string_view version = "0";
    if (auto* e = find({}, version_record))
      version = take(*e).text();
    if (version != "0")
      refuse("the archive has the layout version '" + std::string(version.substr(0, 20)) +
                 "', and only 0 is known",
             "read it with a newer espalier, or export it with PyTorch 2.15 or older");
    if (auto* e = find({}, byteorder_record)) {
      auto order = take(*e).text();
      if (order != "little")
        refuse("the archive's weights are in '" + std::string(order.substr(0, 20)) + "' byte order",
               "load and save it again on a little-endian machine");
    }
    if (auto* e = find({}, container_record))
      take(*e);
  }

  model read_model(const zip::entry& e, std::string_view name) {
    model m;
    m.name = std::string(name);
    auto where = zip_.place() + ": " + std::string(local(e.name));
    auto text = take(e);
    m.program = read_program(text.text(), where);
    m.weights = read_payloads(weights_folder, name, "_weights_config.json");
    m.constants = read_payloads(constants_folder, name, "_constants_config.json");
    if (auto* samples = find(samples_folder, name, ".pt"))
      m.sample_inputs = take(*samples);
    return m;
  }

  // A newer schema must be named as such, whatever else of it is not understood.
  static exported_program read_program(std::string_view text, const std::string& where) {
    exported_program p;
    try {
      p = from_json<exported_program>(text, where);
    } catch (const error&) {
      check_schema_version(find_schema_version(text, where), where);
      throw;
    }
    check_schema_version(p.schema_version, where);
    return p;
  }
  static schema_version find_schema_version(std::string_view text, const std::string& where) {
    schema_version v;
    json::reader r(text, where);
    for (json::object o(r); o.next();)
      if (o.key() == "schema_version")
        read_json(r, v);
      else
        r.raw();
    return v;
  }
  static void check_schema_version(const schema_version& v, const std::string& where) {
    if (v.major != schema_major)
      fail(error_kind::archive,
           "the program follows version " + std::to_string(v.major) + "." + std::to_string(v.minor) +
               " of the schema, and version " + std::to_string(schema_major) + " is known",
           where,
           v.major > schema_major ? "read it with a newer espalier, or export it with PyTorch 2.15"
                                  : "export it again with PyTorch 2.15");
  }

  payload_table read_payloads(std::string_view folder, std::string_view name, std::string_view suffix) {
    if (find(folder, name, ".pt"))
      refuse("the payloads of model '" + std::string(name) + "' are in the old layout: one pickle, '" +
                 std::string(folder) + std::string(name) + ".pt'",
             "load the file with Python's torch.export.load and save it again");
    auto& e = need(folder, name, suffix);
    auto config = from_json<payload_config>(take(e).text(), zip_.place() + ": " + std::string(local(e.name)));
    payload_table t;
    t.extra = std::move(config.extra);
    t.entries.entries.reserve(config.config.size());
    for (auto& [fqn, meta] : config.config) {
      auto& record = need(folder, meta.path_name, {});
      bool check = how_ == verify::everything && !used_.contains(record.name);
      auto& p = t.add(std::move(fqn), {});
      p.bytes = take(record, check);
      if (how_ == verify::structure)
        p.pending = {p.bytes.data(), record.crc};
      p.meta = std::move(meta);
      check_extent(p, t.entries.entries.back().key, zip_.place() + ": " + std::string(local(record.name)));
    }
    return t;
  }

  zip::reader zip_;
  verify how_;
  std::string prefix_;
  hash_set<std::string_view> used_;
};

/// Lists the records of an archive in Python's order, then writes them.
template <class Archive>
class archive_writer {
public:
  explicit archive_writer(const Archive& a) : a_(a) {
    if (a.root.empty() || a.root.find('/') != a.root.npos)
      fail(error_kind::usage, "the root folder of an archive cannot be '" + a.root + "'", {},
           "give it a plain name");
    for (auto& m : a.models)
      reserve_names(m);
    for (auto& m : a.models)
      add_model(m);
    for (auto& r : a.others)
      add(r.name, r.bytes);
    add(format_record, shared_bytes::borrow("pt2"));
    add(version_record, shared_bytes::borrow("0"));
    add(container_record, shared_bytes::borrow("6\n"));
    add(byteorder_record, shared_bytes::borrow("little"));
  }

  void write(output& to) const {
    zip::writer z(to);
    std::uint64_t contents = 0;
    for (auto& [name, bytes, pending] : records_) {
      std::uint32_t crc = z.add(a_.root + '/' + name, bytes.span());
      if (pending.speaks_of(bytes) && pending.crc != crc)
        refuse_checksum("record '" + name + "', which is about to be written");
      contents = mix(contents, name, crc);
    }
    z.add(a_.root + '/' + std::string(id_record), identify(contents));
    z.finish();
  }

private:
  struct record {
    std::string name;
    shared_bytes bytes;
    pending_checksum pending; // damage must not be given a right checksum
  };

  void add(std::string_view name, shared_bytes bytes, pending_checksum pending = {}) {
    records_.push_back({std::string(name), std::move(bytes), pending});
  }

  // Forty digits that depend on the contents alone.
  std::string identify(std::uint64_t contents) const {
    if (!a_.serialization_id.empty() && contents == a_.identified_contents)
      return a_.serialization_id;
    std::string digits = std::to_string(contents), more = std::to_string(contents * 0x9e37'79b9'7f4a'7c15u);
    return std::string(20 - digits.size(), '0') + digits + std::string(20 - more.size(), '0') + more;
  }

  // Names that payloads have already must not be given to others: models share the folders.
  void reserve_names(const model& m) {
    for (auto& [fqn, p] : m.weights)
      if (!p.meta.path_name.empty())
        claim(weights_folder, p, p.meta.path_name, fqn);
    for (auto& [fqn, p] : m.constants)
      if (!p.meta.path_name.empty())
        claim(constants_folder, p, p.meta.path_name, fqn);
  }
  // Says whether the record is new.
  bool claim(std::string_view folder, const payload& p, const std::string& name, std::string_view fqn) {
    auto [it, fresh] = claimed_.emplace(std::string(folder) + name, p.bytes.span());
    if (!fresh && (it->second.data() != p.bytes.data() || it->second.size() != p.bytes.size()) &&
        !(it->second.size() == p.bytes.size() && it->second.size() != 0 &&
          std::memcmp(it->second.data(), p.bytes.data(), p.bytes.size()) == 0))
      fail(error_kind::usage,
           "the payload '" + std::string(fqn) + "' names the record '" + it->first +
               "', which has other bytes",
           {}, "leave meta.path_name empty to have a record named for it");
    return fresh;
  }

  void add_model(const model& m) {
    if (m.name.empty())
      fail(error_kind::usage, "a model has no name", {}, "name it; \"model\" is what Python uses");
    add_payloads(m.weights, weights_folder, "weight_", m.name + "_weights_config.json");
    add_payloads(m.constants, constants_folder, "tensor_", m.name + "_constants_config.json");
    add(std::string(models_folder) + m.name + ".json",
        shared_bytes::own(to_json(m.program, 1024 * m.program.graph_module.graph.nodes.size())));
    add(std::string(samples_folder) + m.name + ".pt", m.sample_inputs);
  }

  void add_payloads(const payload_table& t, std::string_view folder, std::string_view stem,
                    const std::string& config) {
    json::writer w;
    w.begin_object();
    w.key("config");
    w.begin_object();
    for (auto& [fqn, p] : t) {
      std::string name = p.meta.path_name.empty() ? name_for(folder, stem, p, fqn) : p.meta.path_name;
      std::string full = std::string(folder) + name;
      check_extent(p, fqn, full);
      if (added_.insert(full).second)
        add(full, p.bytes, p.pending);
      w.key(fqn);
      w.begin_object();
      payload_meta::for_each_field(p.meta, [&](std::string_view field, auto& value) {
        w.key(field);
        if (field == "path_name")
          w.string(name);
        else
          write_json(w, value);
      });
      write_extra(w, p.meta.extra);
      w.end_object();
    }
    w.end_object();
    write_extra(w, t.extra);
    w.end_object();
    add(std::string(folder) + config, shared_bytes::own(std::move(w).text()));
  }
  static void write_extra(json::writer& w, const extra_fields& extra) {
    for (auto& m : extra) {
      w.key(m.name);
      w.raw(m.json);
    }
  }

  // One record for each distinct run of bytes, so that what shared storage in memory shares it in the file.
  std::string name_for(std::string_view folder, std::string_view stem, const payload& p,
                       std::string_view fqn) {
    auto key = std::string(folder) + std::to_string(reinterpret_cast<std::uintptr_t>(p.bytes.data())) + ' ' +
               std::to_string(p.bytes.size());
    if (!p.bytes.empty())
      if (auto it = named_.find(key); it != named_.end())
        return it->second;
    auto& next = next_[std::string(folder)];
    std::string name;
    do
      name = std::string(stem) + std::to_string(next++);
    while (claimed_.contains(std::string(folder) + name));
    claim(folder, p, name, fqn);
    named_.emplace(std::move(key), name);
    return name;
  }

  const Archive& a_;
  vector<record> records_;
  hash_map<std::string, span<const std::byte>> claimed_;
  hash_map<std::string, std::string> named_;
  hash_map<std::string, std::size_t> next_;
  hash_set<std::string> added_;
};

} // namespace detail

template <class Archive>
Archive read_archive(shared_bytes file, std::string place, verify how) {
  return detail::archive_reader<Archive>(file, place, how).read();
}
template <class Archive>
Archive read_archive(const std::string& path, verify how) {
  return read_archive<Archive>(map_file(path), path, how);
}
template <class Archive>
Archive read_archive(std::istream& in, verify how) {
  return read_archive<Archive>(read_stream(in), "stream", how);
}

template <class Archive>
void write_archive(const Archive& a, output& to) {
  detail::archive_writer<Archive>(a).write(to);
}
template <class Archive>
void write_archive(const Archive& a, const std::string& path) {
  detail::archive_writer<Archive> w(a); // what is wrong with the archive shows before any file is touched
  atomic_file file(path);
  w.write(file);
  file.commit();
}
template <class Archive>
void write_archive(const Archive& a, std::ostream& to) {
  stream_output out(to);
  write_archive(a, out);
  to.flush();
}

} // namespace espalier::pt2
