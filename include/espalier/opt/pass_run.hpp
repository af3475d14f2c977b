// SPDX-License-Identifier: BSL-1.0
// umbrella: apart, it is a part of a program
// The passes of es-opt: a pipeline from text runs on a program, watched by what the command line asks for.
#pragma once

#include <espalier/opt/command_line.hpp>
#include <espalier/opt/files.hpp>
#include <espalier/pipeline/any_pass.hpp>
#include <espalier/pipeline/bisect.hpp>
#include <espalier/pipeline/instruments/printing.hpp>
#include <espalier/pipeline/instruments/reproducer.hpp>
#include <espalier/pipeline/instruments/statistics.hpp>
#include <espalier/pipeline/instruments/timing.hpp>
#include <espalier/pipeline/instruments/verifying.hpp>
#include <espalier/pipeline/registry.hpp>
#include <espalier/program/pipeline_unit.hpp>
#include <espalier/program/reproducer_file.hpp>
#include <espalier/program/validate.hpp>
#include <espalier/signature/refresh.hpp>
#include <espalier/support/vector.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>

namespace espalier::detail {

/// Runs pipelines of known passes. `tool` is what the program was called by.
class pass_run {
public:
  pass_run(const pass_registry<opt_program>& passes, const std::string& tool)
      : passes_(passes), tool_(tool) {}

  /// Runs `o.passes`, and prints what was asked for. Throws `error` when the pipeline is wrong, or fails.
  void run(const command_line& o, opt_program& program) const {
    const auto pipeline = passes_.parse(o.passes);
    const dialect_info& dialect = dialect_of(program.info(), o.dialect);
    const dialect_info after = pipeline.prove(dialect);
    timing_tree times;
    vector<any_instrument> watch;
    watch.push_back(any_instrument::refer(times));
    if (o.verify_each)
      watch.push_back(any_instrument(verify_each()));
    if (o.print_all || o.print_change)
      watch.push_back(
          any_instrument(print_after(std::cout, o.print_all ? print_when::all : print_when::changed)));
    if (!o.print_after.empty()) {
      const std::string_view off[] = {o.print_after};
      if (pipeline.text_without(off) == pipeline.text()) { // also where it stands in a part
        if (!passes_.find(o.print_after) && !passes_.is_keyword(o.print_after))
          command_line::refuse("no pass is called '" + o.print_after + "'", passes_.cure_for(o.print_after));
        command_line::refuse("--print-after " + o.print_after + ", which '" + pipeline.text() +
                                 "' does not have",
                             "name a pass of the pipeline");
      }
      watch.push_back(any_instrument(print_after(std::cout, print_when::selected, o.print_after)));
    }
    if (o.print_failure)
      watch.push_back(any_instrument(print_after(std::cout, print_when::failure)));
    std::unique_ptr<numeric_validation> numbers;
    if (o.validate || o.bisect)
      numbers = std::make_unique<numeric_validation>(program, inputs_of(o, program), o.allowed);
    if (o.bisect) {
      numbers->set_reference(program.storage());
      const auto found = bisect([&] { return opt_program(program); },
                                [&](opt_program& p, pass_context& c, auto&... is) {
                                  vector<any_instrument> inner;
                                  (inner.push_back(any_instrument::refer(is)), ...);
                                  numbers->watch(p);
                                  pipeline.run(p, dialect, c, inner);
                                  numbers->watch(program);
                                },
                                [&](const graph_storage& g) { return numbers->gap(g) <= 1; });
      std::cout << found.text() << '\n';
    }
    if (o.validate)
      watch.push_back(any_instrument::refer(*numbers));
    reproducer keep(program, pipeline, [&](const reproduction& how, opt_program& before) {
      if (o.validate && !o.inputs.empty())
        before.example_inputs() = {{}, read_inputs(o.inputs), {}}; // what --validate compares on
      save_reproducer(before, {how, o.verify_each, o.validate}, o.reproducer);
    });
    if (!o.reproducer.empty())
      watch.push_back(any_instrument::refer(keep));
    pass_context context;
    vector<pass_remark> remarks;
    if (o.remarks)
      context.collect_remarks(&remarks);
    try {
      pipeline.run(program, dialect, context, watch);
    } catch (const error& e) {
      if (o.validate)
        tell_gaps(*numbers, o.nodes);
      if (o.reproducer.empty())
        throw;
      const std::string cure = e.cure().empty() ? "" : e.cure() + "; ";
      throw error(e.kind(), e.cause(), e.place(),
                  cure + (keep.written()
                              ? "to have it again: " + tool_ + " " + o.reproducer + " --run-reproducer" +
                                    (o.validate && !o.tolerance.empty() ? " --tolerance " + o.tolerance : "")
                              : "no reproducer could be written: " + keep.problem()));
    }
    if (o.stats)
      std::cout << statistics_table(context);
    for (const auto& r : remarks)
      std::cout << "Remark of pass " << r.pass << ":\n" << r.text << '\n';
    refresh_signature(program.storage(), program.info());
    if (after.type != dialect.type && !after.verifier.empty())
      program.info().verifier = after.verifier;
    if (o.timing)
      for (const auto& r : times.rows())
        std::fprintf(stderr, "%10.3f ms  %spass %s%s\n", static_cast<double>(r.nanoseconds) * 1e-6,
                     std::string(2 * r.depth, ' ').c_str(), r.name.c_str(),
                     r.runs == 1 ? "" : (" (" + std::to_string(r.runs) + " runs)").c_str());
    if (o.validate)
      tell_gaps(*numbers, o.nodes);
  }

private:
  /// The dialect that a reproducer names, where some pass speaks of it, or else that the file names.
  const dialect_info& dialect_of(const program_info& info, std::string_view name) const {
    if (!name.empty()) {
      for (auto* d : {&info_of_dialect<torch_ir>, &info_of_dialect<training_ir>, &info_of_dialect<aten_ir>,
                      &info_of_dialect<core_aten>})
        if (d->name == name)
          return *d;
      for (const auto& e : passes_.entries())
        for (auto* d : {&e.pass.facts().takes, &e.pass.facts().gives})
          if (d->name == name)
            return *d;
    }
    return info.verifier == aten_ir::verifier ? info_of_dialect<aten_ir> : info_of_dialect<training_ir>;
  }

  static void tell_gaps(const numeric_validation& numbers, std::size_t limit) {
    for (const auto& r : numbers.rows()) {
      std::cout << "pass " << r.pass << ": the outputs are " << r.gap << " times the tolerance apart\n"
                << "  " << r.nodes.size() << " nodes compared by name, " << r.uncompared << " not";
      const auto apart = r.worst(~std::size_t{});
      std::cout << (apart.empty() ? ", none differs\n" : ", " + std::to_string(apart.size()) + " differ:\n");
      for (std::size_t i = 0; i != std::min(limit, apart.size()); ++i)
        std::cout << "  " << apart[i].name << ": " << apart[i].gap << '\n';
      if (apart.size() > limit)
        std::cout << "  and " << apart.size() - limit << " nearer ones (--validate-nodes all)\n";
    }
  }

  const pass_registry<opt_program>& passes_;
  const std::string& tool_;
};

} // namespace espalier::detail
