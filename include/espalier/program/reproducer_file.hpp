// SPDX-License-Identifier: BSL-1.0
// Reproducers in files: the program that a failing stage was given, as an archive that Python loads as well,
// with the rest of the pipeline in the record `extra/espalier_reproducer.json`.
#pragma once

#include <espalier/archive/pt2_archive.hpp>
#include <espalier/archive/schema_json.hpp>
#include <espalier/pipeline/instruments/reproducer.hpp>
#include <espalier/program/exported_program.hpp>
#include <espalier/program/save_load.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace espalier {

/// What a file says of a failed run.
struct reproducer_record {
  std::string pipeline;      ///< from the failing stage on, for `pass_registry::parse`
  std::string pass;          ///< what failed
  std::string message;       ///< how
  std::string dialect;       ///< the name of the dialect that the program is in
  std::int64_t position = 0; ///< of the stage in the pipeline that failed
  bool verify_each = false;  ///< the run verified after each pass
  bool validate = false;     ///< the run compared numbers after each pass
  ESPALIER_PT2_STRUCT(reproducer_record, 1, pipeline, pass, message, dialect, position, verify_each,
                      validate);

  reproducer_record() = default;
  template <class = when_used>
  reproducer_record(const reproduction& how, bool verifies = false, bool validates = false)
      : pipeline(how.pipeline), pass(how.pass), message(how.message), dialect(how.dialect.name),
        position(static_cast<std::int64_t>(how.position)), verify_each(verifies), validate(validates) {}
};

namespace detail {
inline constexpr std::string_view reproducer_name = "espalier_reproducer.json";
} // namespace detail

/// Writes a program with a record of the failed run, whole or not at all. Throws `error` as `save` does.
template <dialect D, class S>
void save_reproducer(const exported_program<D, S>& before, const reproducer_record& how,
                     const std::string& path) {
  pt2::archive a;
  a.models.push_back(detail::to_model(before, {.verify = false}));
  detail::add_records(a, before.rest());
  const std::string name = "extra/" + std::string(detail::reproducer_name);
  espalier::erase_if(a.others,
                     [&](const pt2::loose_record& r) { return r.name == name; }); // of an earlier run
  a.others.push_back({name, shared_bytes::own(pt2::to_json(how))});
  pt2::write_archive(a, path);
}

/// The record of a file that `save_reproducer` wrote; `load` gives its program. Throws `error` (usage) when
/// the file has none.
template <class = when_used>
reproducer_record read_reproducer(const std::string& path) {
  const auto a = pt2::read_archive(path, pt2::verify::structure);
  const auto* record = a.extra_file(detail::reproducer_name);
  if (!record)
    fail(error_kind::usage, "the archive holds no pipeline to run", path,
         "give a file that --reproducer or save_reproducer wrote");
  return pt2::from_json<reproducer_record>(record->text(),
                                           path + ": extra/" + std::string(detail::reproducer_name));
}

/// The writer of a `reproducer` that keeps programs in a file:
///
///     es::reproducer keep(program, pipeline, es::reproducer_file{"broken.pt2"});
///     pipeline.run(program, keep, verify);
struct reproducer_file {
  std::string path;
  template <dialect D, class S>
  void operator()(const reproduction& how, const exported_program<D, S>& before) const {
    save_reproducer(before, how, path);
  }
};

} // namespace espalier
