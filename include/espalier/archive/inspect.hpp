// SPDX-License-Identifier: BSL-1.0
// What a file is, before anybody loads it: exported program, AOTInductor package, TorchScript, weights; who wrote it, in
// which schema version, which models it holds and how large they are. Weights are not read.
#pragma once

#include <espalier/archive/file.hpp>
#include <espalier/archive/schema.hpp>
#include <espalier/archive/schema_json.hpp>
#include <espalier/archive/zip.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace espalier::pt2 {

/// Kinds of file that people take for an exported program.
enum class archive_kind : std::uint8_t { exported_program, aotinductor_package, torchscript, legacy_export, torch_save, other_zip, not_a_zip };

constexpr std::string_view to_string(archive_kind k) noexcept {
  constexpr std::string_view names[] = {"exported program", "AOTInductor package", "TorchScript file", "exported program of an older layout",
                                        "torch.save file",  "zip archive of another kind", "no zip archive"};
  return names[static_cast<int>(k)];
}

/// One exported program of an archive, in short.
struct model_info {
  std::string name, torch_version, dialect;
  std::int64_t schema_major = 0, schema_minor = 0;
  std::size_t nodes = 0, inputs = 0, outputs = 0;
};

/// An archive in short.
struct archive_info {
  archive_kind kind = archive_kind::not_a_zip;
  std::vector<model_info> models;
  std::size_t records = 0;
  std::uint64_t file_bytes = 0, weight_bytes = 0, constant_bytes = 0;
};

namespace detail {

/// The folder that all records lie in.
inline std::string_view root_folder(const zip::reader& z) noexcept {
  for (auto& e : z.entries())
    if (e.name.ends_with("/archive_format")) return e.name.substr(0, e.name.size() - 15);
  if (z.entries().empty()) return {};
  const auto name = z.entries().front().name;
  return name.substr(0, name.find('/'));
}
inline bool is_model_record(std::string_view name) noexcept { return name.find("/models/") != name.npos && name.ends_with(".json"); }

inline archive_kind kind_of(const zip::reader& z) noexcept {
  bool code = false, pickle = false, aot = false, legacy = false;
  for (auto& e : z.entries()) {
    if (is_model_record(e.name)) return archive_kind::exported_program;
    code = code || e.name.find("/code/") != e.name.npos;
    pickle = pickle || e.name.ends_with("/data.pkl") || e.name == "data.pkl";
    aot = aot || e.name.find("data/aotinductor/") != e.name.npos;
    legacy = legacy || e.name.ends_with("serialized_exported_program.json");
  }
  if (aot) return archive_kind::aotinductor_package;
  if (legacy) return archive_kind::legacy_export;
  if (code) return archive_kind::torchscript;
  return pickle ? archive_kind::torch_save : archive_kind::other_zip;
}
inline std::string_view cure_for(archive_kind k) noexcept {
  switch (k) {
  case archive_kind::aotinductor_package: return "load it with torch::inductor::AOTIModelPackageLoader, or export the model with torch.export.save";
  case archive_kind::torchscript: return "load it with torch::jit::load, or export the model anew";
  case archive_kind::legacy_export: return "load it with a torch of its time and save it again with torch 2.9 or later";
  case archive_kind::torch_save: return "load it with torch::pickle_load; an exported program is written by es::save or torch.export.save";
  default: return "give the path of a .pt2 file that es::save or torch.export.save wrote";
  }
}
/// Names a file that holds no exported program before anything else is wrong with it.
inline void refuse_foreign(const shared_bytes& file, const std::string& place) {
  if (!file.text().starts_with("PK"))
    fail(error_kind::archive, file.empty() ? "the file is empty" : "the file is no zip archive, so no exported program", place, std::string(cure_for(archive_kind::not_a_zip)));
  const zip::reader z(file, place);
  if (const auto k = kind_of(z); k != archive_kind::exported_program)
    fail(error_kind::archive, "the file is a " + std::string(to_string(k)) + ": it has no record models/*.json", place, std::string(cure_for(k)));
}

} // namespace detail

/// What the bytes of a file are. Throws `error` (archive) when they begin like an archive and are damaged.
inline archive_info inspect(const shared_bytes& file, const std::string& place) {
  archive_info info;
  info.file_bytes = file.size();
  if (!file.text().starts_with("PK")) return info;
  const zip::reader z(file, place);
  info.kind = detail::kind_of(z);
  info.records = z.entries().size();
  for (auto& e : z.entries()) {
    if (e.name.find("/data/weights/") != e.name.npos) info.weight_bytes += e.size;
    if (e.name.find("/data/constants/") != e.name.npos) info.constant_bytes += e.size;
    if (!detail::is_model_record(e.name)) continue;
    const auto p = from_json<exported_program>(z.data(e).text(), place + ": " + std::string(e.name));
    model_info m;
    m.name = e.name.substr(e.name.rfind('/') + 1);
    m.name.resize(m.name.size() - 5);
    m.torch_version = p.torch_version;
    m.dialect = p.verifiers.empty() ? std::string() : p.verifiers.front();
    m.schema_major = p.schema_version.major;
    m.schema_minor = p.schema_version.minor;
    m.nodes = p.graph_module.graph.nodes.size();
    m.inputs = p.graph_module.graph.inputs.size();
    m.outputs = p.graph_module.graph.outputs.size();
    info.models.push_back(std::move(m));
  }
  return info;
}
/// The same of a file.
inline archive_info inspect(const std::string& path) { return inspect(map_file(path), path); }

/// A few lines for people.
inline std::string to_string(const archive_info& i) {
  std::string s = std::string(to_string(i.kind)) + ", " + std::to_string(i.file_bytes) + " bytes, " + std::to_string(i.records) + " records (weights " +
                  std::to_string(i.weight_bytes) + " bytes, constants " + std::to_string(i.constant_bytes) + " bytes)\n";
  for (auto& m : i.models)
    s += "  " + m.name + ": " + std::to_string(m.nodes) + " nodes, " + std::to_string(m.inputs) + " inputs, " + std::to_string(m.outputs) + " outputs, dialect " +
         (m.dialect.empty() ? "?" : m.dialect) + ", schema " + std::to_string(m.schema_major) + "." + std::to_string(m.schema_minor) + ", torch " + m.torch_version + "\n";
  return s;
}

} // namespace espalier::pt2
