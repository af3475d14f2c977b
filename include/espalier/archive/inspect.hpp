// SPDX-License-Identifier: BSL-1.0
// What a file is, without loading it: the directory of the archive and a skim of each program's text, never
// the weights. The same judgement makes the reader refuse a foreign file by name, and say what would load it.
#pragma once

#include <espalier/archive/file.hpp>
#include <espalier/archive/json_reader.hpp>
#include <espalier/archive/zip.hpp>
#include <espalier/support/vector.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace espalier::pt2 {

/// What a file can turn out to be.
enum class archive_kind : unsigned char {
  exported_program,    ///< a .pt2 with one or several exported programs; what espalier loads
  aotinductor_package, ///< a .pt2 with compiled models only
  legacy_export,       ///< what torch.export.save wrote before PyTorch 2.8
  torchscript,         ///< what torch.jit.save writes
  torch_save,          ///< what torch.save writes: a pickle of tensors, by itself or in an archive
  executorch,          ///< a program for ExecuTorch
  unknown,
};

/// A kind in words, with its article: "an AOTInductor package".
constexpr std::string_view describe(archive_kind k) noexcept {
  switch (k) {
  case archive_kind::exported_program:
    return "an archive of exported programs";
  case archive_kind::aotinductor_package:
    return "an AOTInductor package";
  case archive_kind::legacy_export:
    return "an exported program in the layout from before PyTorch 2.8";
  case archive_kind::torchscript:
    return "a TorchScript file";
  case archive_kind::torch_save:
    return "a file of torch.save";
  case archive_kind::executorch:
    return "an ExecuTorch program";
  case archive_kind::unknown:
    break;
  }
  return "a file of an unknown kind";
}

/// What loads a file of that kind: the cure in the reader's error.
constexpr std::string_view loader_of(archive_kind k) noexcept {
  switch (k) {
  case archive_kind::exported_program:
    return "load it with espalier";
  case archive_kind::aotinductor_package:
    return "run it with torch::inductor::AOTIModelPackageLoader";
  case archive_kind::legacy_export:
    return "load it with torch.export.load of a PyTorch that still reads it, and save it again";
  case archive_kind::torchscript:
    return "load it with torch::jit::load, or export the model with torch.export.export and "
           "torch.export.save";
  case archive_kind::torch_save:
    return "read its tensors with torch::pickle_load, or export the model with torch.export.export";
  case archive_kind::executorch:
    return "run it with ExecuTorch; espalier needs what torch.export.save wrote before";
  case archive_kind::unknown:
    break;
  }
  return "give a .pt2 file as torch.export.save or espalier writes it";
}

/// One exported program of a file.
struct model_info {
  std::string name;
  std::string torch_version; ///< of the producer; empty if the program does not say
  std::int64_t schema_major = 0, schema_minor = 0;
  vector<std::string> verifiers; ///< the dialects it claims: "TRAINING", "ATEN", ...
  std::size_t nodes = 0;         ///< calls in the outermost graph
  std::uint64_t text_bytes = 0;  ///< of its JSON
};

/// What `inspect` finds.
struct archive_info {
  archive_kind kind = archive_kind::unknown;
  std::uint64_t file_bytes = 0;
  std::string root;           ///< the folder that holds all records; empty if the file is no zip archive
  std::string layout_version; ///< of a .pt2: its record `archive_version`
  std::size_t records = 0;    ///< of the archive
  vector<model_info> models;
  vector<std::string> compiled_models; ///< AOTInductor's, by name
  vector<std::string> extra_files;     ///< the user's, by name
  std::uint64_t weight_bytes = 0, constant_bytes = 0;
};

namespace detail {

template <class = when_used>
std::string_view format_text(const zip::reader& z, std::string_view root) {
  auto* e = z.find(std::string(root) + "/archive_format");
  return e ? z.data(*e).text() : std::string_view();
}

/// The folder that the first record lies in; PyTorch's readers go by it too.
template <class = when_used>
std::string_view root_folder(const zip::reader& z) noexcept {
  if (z.entries().empty())
    return {};
  auto name = z.entries().front().name;
  auto slash = name.find('/');
  return slash == name.npos ? std::string_view() : name.substr(0, slash);
}

template <class = when_used>
bool is_zip(const shared_bytes& file) noexcept {
  return file.text().starts_with("PK\3\4") || file.text().starts_with("PK\5\6");
}

/// The kind of a file that is no zip archive.
template <class = when_used>
archive_kind kind_of_raw(const shared_bytes& file) noexcept {
  auto t = file.text();
  if (t.size() >= 2 && t[0] == '\x80' && t[1] >= 2 && t[1] <= 5)
    return archive_kind::torch_save; // a bare pickle
  if (t.size() >= 8 && t.substr(4, 2) == "ET")
    return archive_kind::executorch;
  return archive_kind::unknown;
}

/// The kind of a zip archive, by the names of its records.
template <class = when_used>
archive_kind kind_of(const zip::reader& z) {
  auto root = root_folder(z);
  bool pt2 = format_text(z, root) == "pt2";
  bool program = false, compiled = false, code = false, pickle = false, legacy = false, executorch = false;
  for (auto& e : z.entries()) {
    if (e.name == "serialized_exported_program.json")
      legacy = true;
    auto name = e.name.starts_with(root) && !root.empty() ? e.name.substr(root.size() + 1) : e.name;
    if (name.starts_with("models/") && name.ends_with(".json"))
      program = true;
    if (name.starts_with("data/aotinductor/"))
      compiled = true;
    if (name.starts_with("data/executorch/"))
      executorch = true;
    if (name.starts_with("code/"))
      code = true;
    if (name == "data.pkl" || name == "constants.pkl")
      pickle = true;
    if (name == "serialized_exported_program.json")
      legacy = true;
  }
  if (pt2 && program)
    return archive_kind::exported_program;
  if (pt2 && compiled)
    return archive_kind::aotinductor_package;
  if (pt2 && executorch)
    return archive_kind::executorch;
  if (legacy)
    return archive_kind::legacy_export;
  if (code)
    return archive_kind::torchscript;
  if (pickle)
    return archive_kind::torch_save;
  return archive_kind::unknown;
}

/// Opens an archive of exported programs; anything else is refused under its name.
template <class = when_used>
zip::reader open_exported(const shared_bytes& file, const std::string& place) {
  auto refuse = [&](archive_kind k, const std::string& more = {}) {
    fail(error_kind::archive, "this is " + std::string(describe(k)) + more, place, std::string(loader_of(k)));
  };
  if (file.empty())
    fail(error_kind::archive, "the file is empty", place, "get a fresh copy, or export it again");
  if (!is_zip(file)) {
    static constexpr char hex[] = "0123456789abcdef";
    std::string bytes;
    for (char c : file.text().substr(0, 4))
      (bytes += ' ') += {hex[c >> 4 & 15], hex[c & 15]};
    refuse(kind_of_raw(file), ": it begins with the bytes" + bytes);
  }
  zip::reader z(file, place);
  if (auto k = kind_of(z); k != archive_kind::exported_program) {
    auto format = format_text(z, root_folder(z));
    refuse(k, k != archive_kind::unknown ? ""
              : z.entries().empty()      ? ": a zip archive without records"
              : format == "pt2"          ? ": a .pt2 archive without models"
                                         : ": a zip archive whose first record is '" +
                                      std::string(z.entries().front().name.substr(0, 80)) + "'");
  }
  return z;
}

// Reads what is worth knowing of a program's text and skips the rest.
template <class = when_used>
void skim(model_info& m, std::string_view text, std::string_view where) {
  m.text_bytes = text.size();
  json::reader r(text, where);
  for (json::object program(r); program.next();) {
    if (program.key() == "graph_module") {
      for (json::object module(r); module.next();) {
        if (module.key() != "graph") {
          r.raw();
          continue;
        }
        for (json::object graph(r); graph.next();) {
          if (graph.key() != "nodes") {
            r.raw();
            continue;
          }
          for (json::array nodes(r); nodes.next(); ++m.nodes)
            r.raw();
        }
      }
    } else if (program.key() == "schema_version") {
      for (json::object version(r); version.next();) {
        if (version.key() == "major")
          m.schema_major = r.integer();
        else if (version.key() == "minor")
          m.schema_minor = r.integer();
        else
          r.raw();
      }
    } else if (program.key() == "verifiers") {
      for (json::array a(r); a.next();)
        r.string(m.verifiers.emplace_back());
    } else if (program.key() == "torch_version") {
      r.string(m.torch_version);
    } else {
      r.raw();
    }
  }
  r.finish();
}

} // namespace detail

/// Says what a file in memory is. Throws only if it is an archive that is damaged.
template <class = when_used>
archive_info inspect(const shared_bytes& file, const std::string& place) {
  archive_info info;
  info.file_bytes = file.size();
  if (!detail::is_zip(file)) {
    info.kind = detail::kind_of_raw(file);
    return info;
  }
  zip::reader z(file, place);
  info.kind = detail::kind_of(z);
  info.root = std::string(detail::root_folder(z));
  info.records = z.entries().size();
  std::string prefix = info.root.empty() ? "" : info.root + '/';
  if (auto* e = z.find(prefix + "archive_version"))
    info.layout_version = std::string(z.data(*e).text().substr(0, 20));
  if (detail::format_text(z, info.root) != "pt2")
    return info;
  for (auto& e : z.entries()) {
    if (!e.name.starts_with(prefix))
      continue;
    auto name = e.name.substr(prefix.size());
    if (name.starts_with("models/") && name.ends_with(".json")) {
      auto& m = info.models.emplace_back();
      m.name = std::string(name.substr(7, name.size() - 12));
      z.verify(e);
      detail::skim(m, z.data(e).text(), place + ": " + std::string(name));
    } else if (name.starts_with("data/weights/") && !name.ends_with(".json")) {
      info.weight_bytes += e.size;
    } else if (name.starts_with("data/constants/") && !name.ends_with(".json")) {
      info.constant_bytes += e.size;
    } else if (name.starts_with("data/aotinductor/")) {
      auto compiled = name.substr(17, name.find('/', 17) - 17);
      if (info.compiled_models.empty() || info.compiled_models.back() != compiled)
        info.compiled_models.emplace_back(compiled);
    } else if (name.starts_with("extra/")) {
      info.extra_files.emplace_back(name.substr(6));
    }
  }
  return info;
}

/// Compares every record of a file with its checksum: throws `error` (archive) that names the first damaged
/// one. Gives the number of bytes compared. Needs no program in the file, only sound, stored records.
template <class = when_used>
std::uint64_t verify_records(const shared_bytes& file, const std::string& place) {
  zip::reader z(file, place);
  std::uint64_t bytes = 0;
  for (auto& e : z.entries()) {
    z.verify(e);
    bytes += e.size;
  }
  return bytes;
}
template <class = when_used>
std::uint64_t verify_records(const std::string& path) {
  return verify_records(map_file(path), path);
}

/// The findings as lines of text, for people.
template <class = when_used>
std::string to_string(const archive_info& info) {
  std::string s =
      "kind: " + std::string(describe(info.kind)) + "\nfile: " + std::to_string(info.file_bytes) + " bytes";
  if (info.records)
    s += ", " + std::to_string(info.records) + " records under '" + info.root + "/'";
  s += '\n';
  if (!info.layout_version.empty())
    s += "layout: version " + info.layout_version + '\n';
  for (auto& m : info.models) {
    s += "model '" + m.name + "': " + std::to_string(m.nodes) + " nodes, schema " +
         std::to_string(m.schema_major) + '.' + std::to_string(m.schema_minor) + ", by PyTorch " +
         (m.torch_version.empty() ? "(unknown)" : m.torch_version);
    for (auto& v : m.verifiers)
      s += (&v == &m.verifiers.front() ? ", dialect " : " ") + v;
    s += ", " + std::to_string(m.text_bytes) + " bytes of JSON\n";
  }
  for (auto& c : info.compiled_models)
    s += "compiled model '" + c + "'\n";
  for (auto& f : info.extra_files)
    s += "extra file '" + f + "'\n";
  if (!info.models.empty())
    s += "weights: " + std::to_string(info.weight_bytes) +
         " bytes\nconstants: " + std::to_string(info.constant_bytes) + " bytes\n";
  if (info.kind != archive_kind::exported_program)
    s += "to use it: " + std::string(loader_of(info.kind)) + '\n';
  return s;
}

/// Says what a file is: kind, producer, schema, models, sizes. The file is mapped; weights are not touched.
template <class = when_used>
archive_info inspect(const std::string& path) {
  return inspect(map_file(path), path);
}

} // namespace espalier::pt2
