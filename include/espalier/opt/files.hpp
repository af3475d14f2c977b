// SPDX-License-Identifier: BSL-1.0
// umbrella: apart, it is a part of a program
// The files of es-opt: archives with the model that is worked on, inputs and outputs as torch.save writes
// them, and what is written for people and other tools. All that is written is whole, or the old file stays.
#pragma once

#include <espalier/archive/file.hpp>
#include <espalier/archive/inspect.hpp>
#include <espalier/archive/payload.hpp>
#include <espalier/archive/pt2_archive.hpp>
#include <espalier/opt/command_line.hpp>
#include <espalier/program/exported_program.hpp>
#include <espalier/program/pickle.hpp>
#include <espalier/program/save_load.hpp>
#include <espalier/support/vector.hpp>

#include <cstddef>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace espalier {

/// What the passes of a tool run on: a program whose types nobody knows.
using opt_program = exported_program<torch_ir, dynamic>;

namespace detail {

/// Writes a file in one step. What is no file (`/dev/stdout`, a pipe) gets the bytes behind what was printed.
inline void write_file(const std::string& path, const void* data, std::size_t size) {
  std::cout.flush();
  atomic_file out(path);
  out.write(data, size);
  out.commit();
}
inline void write_file(const std::string& path, std::string_view text) {
  write_file(path, text.data(), text.size());
}

/// A list that torch.save wrote.
inline std::vector<c10::IValue> read_inputs(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in)
    fail(error_kind::io, "cannot open the inputs", path, "check the path");
  const vector<char> bytes((std::istreambuf_iterator<char>(in)), {});
  const c10::IValue list = [&] {
    try {
      return torch_load(as_bytes(span(bytes)));
    } catch (const error& e) {
      throw e.within(path);
    }
  }();
  if (!list.isList() && !list.isTuple())
    command_line::refuse(path + " holds a " + list.tagKind() + ", not a list",
                         "write torch.save([tensor, ...], path)");
  if (list.isTuple())
    return list.toTupleRef().elements().vec();
  return list.toList().vec();
}

/// What the program is run on: the file that the user names, or what the archive holds.
inline std::vector<c10::IValue> inputs_of(const command_line& o, const opt_program& program) {
  if (!o.inputs.empty())
    return read_inputs(o.inputs);
  if (!program.example_inputs().leaves.empty())
    return program.example_inputs().leaves;
  command_line::refuse(
      "the archive holds no sample inputs that can be read" +
          (program.example_inputs().unread.empty() ? "" : ": " + program.example_inputs().unread),
      "give a file: --run INPUTS.pt");
}

/// What was computed, as a list; like inputs, outputs that the signature records as constants are not in it.
inline void write_outputs(const std::string& path, const graph_signature& signature,
                          const std::vector<c10::IValue>& outputs) {
  c10::impl::GenericList list(c10::AnyType::get());
  std::size_t i = 0;
  for (auto& spec : signature.outputs) {
    if (spec.kind != output_kind::user_output && spec.kind != output_kind::loss_output)
      continue;
    const auto& v = outputs.at(i++);
    if (spec.arg.form != io_form::constant)
      list.push_back(v.isTensor() && v.toTensor().defined() ? c10::IValue(v.toTensor().detach()) : v);
  }
  const auto bytes = torch_save(list);
  write_file(path, bytes.data(), bytes.size());
}

/// A file, and the program that one of its models has become; the model's place is kept for what is saved.
struct opened_model {
  pt2::archive archive;
  std::size_t at;
  std::string name;
  opt_program program;

  /// Under its name, and with all else that the file holds.
  void save(const std::string& path) {
    archive.models[at] = to_model(std::as_const(program), save_options{.name = name});
    std::cout.flush();
    pt2::write_archive(archive, path);
  }
};

/// The model of that name, or the only one. Nothing is verified: what is broken is looked at here.
inline opened_model open_model(const std::string& path, std::string_view name) {
  auto a = pt2::read_archive(map_file_private(path), path, pt2::verify::structure);
  pt2::model* m = nullptr;
  try {
    m = pick_program(a.models, name, path);
  } catch (const error& e) {
    throw error(e.kind(), e.cause(), e.place(), "name one of them: --model NAME");
  }
  const auto at = static_cast<std::size_t>(m - a.models.data());
  std::string own = m->name;
  auto program = make_program<torch_ir, dynamic>(std::move(*m), payload_memory::private_, path, false);
  return {std::move(a), at, std::move(own), std::move(program)};
}
/// What `--diff` compares with: the model of that name, or the only one.
inline opt_program open_other(const std::string& path, std::string_view name) {
  return open_model(path, pt2::inspect(path).models.size() == 1 ? std::string_view() : name).program;
}

} // namespace detail

} // namespace espalier
