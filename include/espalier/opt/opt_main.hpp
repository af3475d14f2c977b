// SPDX-License-Identifier: BSL-1.0
// umbrella: apart, it is a program: a main includes it by name
// es-opt as a function: read a .pt2, run passes over it, look at it, run it, write it back, in the manner of
// mlir-opt. A main of three lines makes a tool that knows the passes of the library and your own.
#pragma once

#include <espalier/archive/inspect.hpp>
#include <espalier/archive/payload.hpp>
#include <espalier/archive/pt2_archive.hpp>
#include <espalier/bridge/types.hpp>
#include <espalier/ir/cpp.hpp>
#include <espalier/ir/diff.hpp>
#include <espalier/ir/dot.hpp>
#include <espalier/ir/html.hpp>
#include <espalier/ir/model_explorer.hpp>
#include <espalier/ir/print.hpp>
#include <espalier/ir/text.hpp>
#include <espalier/opt/standard_passes.hpp>
#include <espalier/pipeline/any_pass.hpp>
#include <espalier/pipeline/bisect.hpp>
#include <espalier/pipeline/instruments/printing.hpp>
#include <espalier/pipeline/instruments/reproducer.hpp>
#include <espalier/pipeline/instruments/statistics.hpp>
#include <espalier/pipeline/instruments/timing.hpp>
#include <espalier/pipeline/instruments/verifying.hpp>
#include <espalier/pipeline/registry.hpp>
#include <espalier/program/exported_program.hpp>
#include <espalier/program/pickle.hpp>
#include <espalier/program/pipeline_unit.hpp>
#include <espalier/program/reproducer_file.hpp>
#include <espalier/program/save_load.hpp>
#include <espalier/program/validate.hpp>
#include <espalier/signature/refresh.hpp>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <iterator>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace espalier {

/// What the passes of a tool run on: a program whose types nobody knows.
using opt_program = exported_program<torch_ir, dynamic>;

namespace detail {

class opt_tool {
public:
  explicit opt_tool(pass_registry<opt_program> passes) : passes_(std::move(passes)) {}

  int main(int argc, char** argv) try {
    if (argc > 0)
      name_tool(argv[0]);
    if (!tells_of_itself(argc, argv))
      run(parse(argc, argv));
    if (!std::cout.flush())
      fail(error_kind::io, "cannot write to standard output", {},
           "look at where it goes: a full disk or a closed pipe takes nothing");
    return 0;
  } catch (const error& e) {
    std::cerr << tool_ << ": " << one_line(e.what()) << '\n';
    return 1;
  } catch (const std::exception& e) {
    std::cerr << tool_ << ": " << one_line(e.what()) << "; run " << tool_
              << " --verify on the file to see whether it is sound\n";
    return 1;
  }

private:
  /// Usage and errors speak of the program by the name that it was called by.
  void name_tool(std::string_view path) {
    path = path.substr(path.rfind('/') + 1);
    if (!path.empty())
      tool_ = path;
  }

  /// `--help` and `--list`: whether one of them was asked for, and answered.
  bool tells_of_itself(int argc, char** argv) const {
    for (int i = 1; i < argc; ++i) {
      if (std::string_view(argv[i]) == "--help" || std::string_view(argv[i]) == "-h") {
        std::cout << "usage: " << tool_ << " IN.pt2 [options]\n\n"
                  << options_text << passes_lines()
                  << "\nThe exit status is 0 only when all that was asked for was done.\n";
        return true;
      }
      if (std::string_view(argv[i]) == "--list") {
        const bool table = i + 1 < argc && std::string_view(argv[i + 1]) == "--markdown";
        std::cout << (table ? pass_table(passes_.facts()) : passes_.list());
        return true;
      }
    }
    return false;
  }

  static constexpr const char* options_text =
      "  --model NAME         the model to work on, where the file holds several; --diff takes that of "
      "OTHER,\n"
      "                       unless it holds one alone, and -o leaves the others as they are\n"
      "  --passes PIPELINE    run passes: names separated by ',' or '|', arguments as NAME<A, B>, fix(...)\n"
      "                       around what is to be repeated\n"
      "  --list [--markdown]  list the passes with their contracts\n"
      "  --print              print the graph as Python would (print_readable)\n"
      "  --text               print the textual form, which can be parsed again\n"
      "  --dot                print a Graphviz graph\n"
      "  --diff OTHER.pt2     print what the graph of OTHER has and this one has not, and the reverse\n"
      "  --html F.html        write the graph as one page; with --diff, both side by side\n"
      "  --model-explorer F   write the graph as Model Explorer's JSON\n"
      "  --cpp F.cpp          write the graph as C++ that compiles against LibTorch\n"
      "  --inspect            tell kind, producer, schema version, models and sizes without loading\n"
      "  --verify             verify after loading and after the passes, the weights' checksums too\n"
      "  --verify-each        verify after every pass that changed something\n"
      "  --validate           run the graph before and after every pass that changed it, and compare the "
      "numbers:\n"
      "                       on INPUTS.pt of --run, or the archive's sample inputs\n"
      "  --validate-nodes N   tell the gap of the N worst nodes a pass (5 without it), or of all: all\n"
      "  --bisect             find the pass, and the rewrite, that changes the numbers; inputs as for "
      "--validate\n"
      "  --tolerance R[,A]    --validate and --bisect let numbers differ by A + R * |number| (1e-4,1e-5; A "
      "alone\n"
      "                       missing is R / 10)\n"
      "  --reproducer F.pt2   when a pass fails, write what it was given and the passes from it on\n"
      "  --run-reproducer     run what --reproducer wrote: IN.pt2 holds the passes\n"
      "  --print-after NAME   print the graph after that pass, which the pipeline must have\n"
      "  --print-after-all    print the graph after every pass\n"
      "  --print-after-change print the graph after every pass that changed it\n"
      "  --print-after-failure\n"
      "                       print the graph as a failing pass leaves it\n"
      "  --run [INPUTS.pt]    run the program on a list of tensors and numbers that torch.save wrote\n"
      "                       (any file not named *.pt2); without it, on the archive's sample inputs\n"
      "  --save-outputs F.pt  write the list of outputs of --run as torch.save would, without constants\n"
      "  --stats              tell how many nodes there are, before the passes and after, and what the "
      "passes "
      "counted\n"
      "  --remarks            print what passes tell of their work: split, which calls went where and why\n"
      "  --timing             tell how long each step took, passes as a tree (stderr)\n"
      "  -o OUT.pt2           save the program, under its name and with all else that IN.pt2 holds\n"
      "  --help               this text\n"
      "\n"
      "A value is never empty and never begins with '-': write ./-NAME for such a file. A '-' alone stands\n"
      "for nothing: name a file. An option with a value is given once, and no two write the same file.\n"
      "\n"
      "Passes:\n";

  struct options {
    std::string in, out, model, inputs, outputs, passes, print_after, diff, html, model_explorer, cpp,
        reproducer, dialect, tolerance, validate_nodes;
    bool has_passes = false, print = false, text = false, dot = false, inspect = false, verify = false,
         verify_each = false, validate = false, bisect = false, print_all = false, print_change = false,
         print_failure = false, run = false, timing = false, stats = false, remarks = false,
         run_reproducer = false;
    espalier::tolerance allowed;
    std::size_t nodes = 5;
    bool only_inspects() const {
      return inspect && !has_passes && !run_reproducer && !stats && !print && !text && !dot && !verify &&
             !run && model.empty() && out.empty() && diff.empty() && html.empty() && model_explorer.empty() &&
             cpp.empty();
    }
  };

  [[noreturn]] static void refuse(std::string cause, std::string cure) {
    fail(error_kind::usage, std::move(cause), "command line", std::move(cure));
  }

  options parse(int argc, char** argv) {
    options o;
    const std::string see_help = tool_ + " --help lists the options";
    const auto value = [&](int& i, std::string_view flag) -> std::string {
      const std::string cause = "option " + std::string(flag) + " needs a value";
      if (i + 1 >= argc)
        refuse(cause, see_help);
      const std::string_view given = argv[++i];
      if (given.empty())
        refuse(cause + ", and the one given is empty",
               "look at the variable or the quotes that it comes from");
      if (given.starts_with('-'))
        refuse(cause + ", and '" + std::string(given) + "' is none",
               "give the value, or write ./" + std::string(given) + " for a file of that name");
      return std::string(given);
    };
    const std::pair<std::string_view, bool options::*> switches[] = {
        {"--print", &options::print},
        {"--text", &options::text},
        {"--dot", &options::dot},
        {"--inspect", &options::inspect},
        {"--verify", &options::verify},
        {"--verify-each", &options::verify_each},
        {"--validate", &options::validate},
        {"--bisect", &options::bisect},
        {"--timing", &options::timing},
        {"--run-reproducer", &options::run_reproducer},
        {"--stats", &options::stats},
        {"--remarks", &options::remarks},
        {"--print-after-all", &options::print_all},
        {"--print-after-change", &options::print_change},
        {"--print-after-failure", &options::print_failure}};
    const std::pair<std::string_view, std::string options::*> values[] = {
        {"--model", &options::model},
        {"--passes", &options::passes},
        {"--tolerance", &options::tolerance},
        {"--validate-nodes", &options::validate_nodes},
        {"--save-outputs", &options::outputs},
        {"-o", &options::out},
        {"--reproducer", &options::reproducer},
        {"--print-after", &options::print_after},
        {"--diff", &options::diff},
        {"--html", &options::html},
        {"--model-explorer", &options::model_explorer},
        {"--cpp", &options::cpp}};
    for (int i = 1; i < argc; ++i) {
      const std::string_view a = argv[i];
      bool known = false;
      for (const auto& [flag, member] : switches)
        if (a == flag)
          o.*member = known = true;
      for (const auto& [flag, member] : values)
        if (a == flag) {
          const std::string given = value(i, a);
          if (!(o.*member).empty())
            refuse("option " + std::string(a) + " is given twice",
                   a == "--passes" ? "write one pipeline, with '|' between its passes" : "give it once");
          o.*member = given;
          known = true;
        }
      if (known)
        continue;
      if (a == "--run") {
        if (std::exchange(o.run, true))
          refuse("option --run is given twice", "give it once, with the inputs behind it");
        if (i + 1 < argc && !std::string_view(argv[i + 1]).starts_with('-') &&
            !std::string_view(argv[i + 1]).ends_with(".pt2"))
          o.inputs = value(i, a);
      } else if (a.empty())
        refuse("an argument is empty", "look at the variable or the quotes that it comes from");
      else if (a.starts_with("-"))
        refuse("unknown option " + std::string(a), see_help);
      else if (o.in.empty())
        o.in = a;
      else
        refuse("a second input file: " + std::string(a), "give one file; its name comes first");
    }
    if (o.in.empty())
      refuse("no input file", "write " + tool_ + " IN.pt2; " + see_help);
    if (!o.outputs.empty() && !o.run)
      refuse("--save-outputs without --run", "add --run");
    o.has_passes = !o.passes.empty();
    if (o.has_passes && o.run_reproducer)
      refuse("--passes and --run-reproducer, which reads the passes from the file", "give one of them");
    if ((o.validate || o.bisect || o.verify_each || o.print_all || o.print_change || o.print_failure ||
         o.remarks || !o.print_after.empty() || !o.reproducer.empty()) &&
        !o.has_passes && !o.run_reproducer)
      refuse("an option about passes without --passes", "add --passes");
    read_tolerance(o);
    if (!o.validate_nodes.empty()) {
      if (!o.validate && !o.run_reproducer)
        refuse("--validate-nodes without --validate", "add --validate");
      const char* end = o.validate_nodes.data() + o.validate_nodes.size();
      if (o.validate_nodes == "all")
        o.nodes = ~std::size_t{};
      else if (const auto read = std::from_chars(o.validate_nodes.data(), end, o.nodes);
               read.ec != std::errc() || read.ptr != end)
        refuse("'" + o.validate_nodes + "' is no number of nodes", "write --validate-nodes 20, or all");
    }
    refuse_shared_files(o);
    return o;
  }

  static void read_tolerance(options& o) {
    if (o.tolerance.empty())
      return;
    if (!o.validate && !o.bisect && !o.run_reproducer)
      refuse("--tolerance without --validate or --bisect", "add one of them");
    const auto number = [&](std::string_view text) {
      double out = -1;
      const auto read = std::from_chars(text.data(), text.data() + text.size(), out);
      if (read.ec != std::errc() || read.ptr != text.data() + text.size() || !(out >= 0))
        refuse("'" + o.tolerance + "' is no tolerance", "write --tolerance 1e-3, or --tolerance 1e-3,1e-4");
      return out;
    };
    const std::string_view all = o.tolerance;
    const auto comma = all.find(',');
    o.allowed.relative = number(all.substr(0, comma));
    o.allowed.absolute = comma == all.npos ? o.allowed.relative / 10 : number(all.substr(comma + 1));
  }

  /// Two paths of one file, which may not be there yet. A device or a pipe takes what several write.
  static bool same_file(const std::string& a, const std::string& b) {
    std::error_code none;
    if (std::filesystem::is_other(a, none))
      return false;
    const auto whole = [&](const std::string& path) {
      return std::filesystem::weakly_canonical(std::filesystem::absolute(path, none), none);
    };
    return std::filesystem::equivalent(a, b, none) || whole(a) == whole(b);
  }
  /// What is asked for is there in the end: nothing is written over it, nor over what is read.
  static void refuse_shared_files(const options& o) {
    const std::pair<std::string_view, const std::string&> written[] = {{"--html", o.html},
                                                                       {"--model-explorer", o.model_explorer},
                                                                       {"--cpp", o.cpp},
                                                                       {"--save-outputs", o.outputs},
                                                                       {"--reproducer", o.reproducer},
                                                                       {"-o", o.out}};
    for (const auto& [flag, path] : written) {
      if (path.empty())
        continue;
      for (const auto& [other, its] : written) {
        if (other == flag)
          break;
        if (!its.empty() && same_file(path, its))
          refuse(std::string(other) + " and " + std::string(flag) + " write the same file: " + path,
                 "give each a file of its own");
      }
      if (flag != "-o") // a program may be written over the one that it was
        for (const std::string& read : {std::cref(o.in), std::cref(o.diff), std::cref(o.inputs)})
          if (!read.empty() && same_file(path, read))
            refuse(std::string(flag) + " writes over a file that is read: " + path,
                   "give it a file of its own");
    }
  }

  /// The nearest of some names to a word: letters' case does not count, and a third of the letters may be
  /// others. Empty when none is near.
  static std::string nearest(std::string_view word, const std::vector<std::string_view>& names) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
    std::string_view best;
    std::size_t least = std::max<std::size_t>(1, word.size() / 3) + 1;
    for (const std::string_view name : names) {
      std::vector<std::size_t> row(name.size() + 1); // Levenshtein's distance, a row at a time
      for (std::size_t j = 0; j <= name.size(); ++j)
        row[j] = j;
      for (std::size_t i = 1; i <= word.size(); ++i) {
        std::size_t corner = std::exchange(row[0], i);
        for (std::size_t j = 1; j <= name.size(); ++j) {
          const std::size_t changed = corner + (lower(word[i - 1]) != lower(name[j - 1]));
          corner = row[j];
          row[j] = std::min({changed, row[j] + 1, row[j - 1] + 1});
        }
      }
      if (row.back() < least) {
        least = row.back();
        best = name;
      }
    }
    return std::string(best);
  }
  std::string cure_for_name(std::string_view word, const std::vector<std::string_view>& names,
                            std::string_view lists) const {
    const std::string near = nearest(word, names);
    return (near.empty() ? "" : "did you mean '" + near + "'? ") + tool_ + " --list lists " +
           std::string(lists);
  }
  std::string cure_for_pass(std::string_view word) const {
    std::vector<std::string_view> names{"fix", "check", "assume"};
    for (const auto& e : passes_.entries())
      names.push_back(e.pass.name());
    return cure_for_name(word.substr(0, word.find('<')), names, "the passes");
  }
  std::string cure_for_property(std::string_view word) const {
    std::vector<std::string_view> names;
    for (const auto& e : passes_.entries())
      for (const auto list : {e.pass.facts().needs, e.pass.facts().establishes, e.pass.facts().destroys})
        for (const property_info& p : list)
          names.push_back(p.name);
    return cure_for_name(word, names, "the properties of each pass");
  }

  /// A pipeline of the command line. A name that nothing has is told the nearest one.
  any_pipeline<opt_program> parse_passes(const std::string& text) const {
    try {
      return passes_.parse(text);
    } catch (const error& e) {
      const std::string_view cause = e.cause();
      const auto open = cause.find('\''), close = cause.rfind('\'');
      if (open == cause.npos || close == open)
        throw;
      const std::string_view word = cause.substr(open + 1, close - open - 1);
      if (cause.starts_with("no pass is called '"))
        throw error(e.kind(), e.cause(), e.place(), cure_for_pass(word));
      if (cause.starts_with("no pass speaks of a property '"))
        throw error(e.kind(), e.cause(), e.place(), cure_for_property(word));
      throw;
    }
  }

  /// A message of several lines as one: what it says stays, the cure at its end too.
  static std::string one_line(std::string_view text) {
    std::string out;
    for (char c : text)
      if (c != '\n' && c != '\r')
        out += c;
      else if (!out.empty() && out.back() != ' ')
        out += ' ';
    return out;
  }

  class stopwatch {
  public:
    explicit stopwatch(bool on) : on_(on) {}
    void lap(std::string_view what) {
      const auto now = std::chrono::steady_clock::now();
      if (on_)
        std::fprintf(stderr, "%10.3f ms  %.*s\n",
                     std::chrono::duration<double, std::milli>(now - last_).count(),
                     static_cast<int>(what.size()), what.data());
      last_ = std::chrono::steady_clock::now();
    }

  private:
    bool on_;
    std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
  };

  static std::vector<c10::IValue> read_inputs(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    if (!in)
      fail(error_kind::io, "cannot open the inputs", path, "check the path");
    const std::vector<char> bytes((std::istreambuf_iterator<char>(in)), {});
    const c10::IValue list = [&] {
      try {
        return torch_load(std::as_bytes(std::span(bytes)));
      } catch (const error& e) {
        throw e.within(path);
      }
    }();
    if (!list.isList() && !list.isTuple())
      refuse(path + " holds a " + list.tagKind() + ", not a list", "write torch.save([tensor, ...], path)");
    if (list.isTuple())
      return list.toTupleRef().elements().vec();
    return list.toList().vec();
  }

  /// What was computed, as a list; like inputs, outputs that the signature records as constants are not in
  /// it.
  static void write_outputs(const std::string& path, const graph_signature& signature,
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
    std::ofstream out(path, std::ios::binary);
    out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    if (!out.flush())
      fail(error_kind::io, "cannot write the outputs", path, "check the path and the free space");
  }

  static void describe(const c10::IValue& v) {
    if (v.isTensor() && v.toTensor().defined()) {
      const auto& t = v.toTensor();
      std::cout << "  " << to_string(from_c10(t.scalar_type())) << t.sizes() << '\n';
    } else {
      std::cout << "  " << v << '\n';
    }
  }

  std::string passes_lines() const {
    std::string out;
    for (const auto& e : passes_.entries()) {
      const std::string name(e.pass.name());
      out += "  " + name + std::string(name.size() < 20 ? 20 - name.size() : 0, ' ') + " " + e.summary + "\n";
    }
    return out;
  }

  static std::vector<c10::IValue> inputs_of(const options& o, const opt_program& program) {
    if (!o.inputs.empty())
      return read_inputs(o.inputs);
    if (!program.example_inputs().leaves.empty())
      return program.example_inputs().leaves;
    refuse("the archive holds no sample inputs that can be read" +
               (program.example_inputs().unread.empty() ? "" : ": " + program.example_inputs().unread),
           "give a file: --run INPUTS.pt");
  }

  static void write_file(const std::string& path, const std::string& text) {
    std::ofstream out(path, std::ios::binary);
    out << text;
    if (!out.flush())
      fail(error_kind::io, "cannot write the file", path, "check the path and the free space");
  }

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

  void run_passes(const options& o, opt_program& program) {
    const auto pipeline = parse_passes(o.passes);
    const dialect_info& dialect = dialect_of(program.info(), o.dialect);
    const dialect_info after = pipeline.prove(dialect);
    timing_tree times;
    std::vector<any_instrument> watch;
    watch.push_back(any_instrument::refer(times));
    if (o.verify_each)
      watch.push_back(any_instrument(verify_each()));
    if (o.print_all || o.print_change)
      watch.push_back(
          any_instrument(print_after(std::cout, o.print_all ? print_when::all : print_when::changed)));
    if (!o.print_after.empty()) {
      const std::string_view off[] = {o.print_after};
      if (pipeline.text_without(off) == pipeline.text()) { // also where it stands in a part
        if (!passes_.find(o.print_after))
          refuse("no pass is called '" + o.print_after + "'", cure_for_pass(o.print_after));
        refuse("--print-after " + o.print_after + ", which '" + pipeline.text() + "' does not have",
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
                                  std::vector<any_instrument> inner;
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
    std::vector<pass_remark> remarks;
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
        std::fprintf(stderr, "%10.3f ms  %spass %s%s\n", static_cast<double>(r.time.count()) * 1e-6,
                     std::string(2 * r.depth, ' ').c_str(), r.name.c_str(),
                     r.runs == 1 ? "" : (" (" + std::to_string(r.runs) + " runs)").c_str());
    if (o.validate)
      tell_gaps(*numbers, o.nodes);
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

  /// A file, and the program that one of its models has become; the model's place is kept for what is saved.
  struct opened {
    pt2::archive archive;
    std::size_t at;
    std::string name;
    opt_program program;

    void save(const std::string& path) {
      archive.models[at] = to_model(std::as_const(program), save_options{.name = name});
      pt2::write_archive(archive, path);
    }
  };

  /// Nothing is verified: what is broken is looked at here.
  static opened open(const std::string& path, std::string_view name) {
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
  static opt_program open_other(const std::string& path, std::string_view name) {
    return open(path, pt2::inspect(path).models.size() == 1 ? std::string_view() : name).program;
  }

  void run(options o) {
    if (o.inspect) {
      std::cout << pt2::to_string(pt2::inspect(o.in));
      if (o.only_inspects())
        return;
    }
    stopwatch watch(o.timing);
    opened file = open(o.in, o.model);
    opt_program& program = file.program;
    if (o.run_reproducer) {
      const auto how = read_reproducer(o.in);
      o.passes = how.pipeline;
      o.dialect = how.dialect;
      o.has_passes = true;
      o.verify_each = o.verify_each || how.verify_each;
      o.validate = o.validate || how.validate;
      std::erase_if(file.archive.others, [](auto& r) { return r.name.ends_with(reproducer_name); });
    }
    watch.lap("load");
    const auto verify = [&] {
      if (!o.verify)
        return;
      program.verify();
      watch.lap("verify");
    };
    if (o.verify)
      pt2::verify_records(o.in);
    verify();
    const auto count_nodes = [&](std::string_view when) {
      if (o.stats)
        std::cout << std::as_const(program).storage().num_nodes() << " nodes" << when << '\n';
    };
    count_nodes("");
    if (o.has_passes) {
      run_passes(o, program);
      count_nodes(" after the passes");
      watch.lap("passes");
      verify();
    }
    if (o.print)
      std::cout << print_readable(program.graph());
    if (o.text)
      std::cout << to_text(program.graph());
    if (o.dot)
      std::cout << to_dot(program.graph());
    if (!o.diff.empty()) {
      const auto other = open_other(o.diff, file.name);
      std::cout << diff(program.storage(), other.storage()).text();
      if (!o.html.empty())
        write_file(o.html, to_html(program.storage(), other.storage(), {.title = o.in + " and " + o.diff}));
    } else if (!o.html.empty()) {
      write_file(o.html, to_html(program.storage(), {.title = o.in}));
    }
    if (!o.model_explorer.empty())
      write_file(o.model_explorer, to_model_explorer(program.storage(), o.in));
    if (!o.cpp.empty())
      write_file(o.cpp, print_cpp(program.storage()));
    if (o.run) {
      auto inputs = inputs_of(o, program);
      watch.lap("read inputs");
      const auto outputs = program(std::move(inputs));
      watch.lap("run");
      for (auto& v : outputs)
        describe(v);
      if (!o.outputs.empty())
        write_outputs(o.outputs, std::as_const(program).signature(), outputs);
    }
    if (!o.out.empty()) {
      file.save(o.out);
      watch.lap("save");
    }
  }

  pass_registry<opt_program> passes_;
  std::string tool_ = "es-opt";
};

} // namespace detail

/// A pass that text can make: `parse` reads what stands between `<` and `>`, and throws `error` (usage) for
/// what it does not understand (`option_reader` does).
template <class P>
concept pass_with_options = pass_type<P> && requires(std::string_view options) {
  { P::parse(options) } -> std::same_as<P>;
};

namespace detail {

template <pass_type P>
void add_own(pass_registry<opt_program>& passes, P p) {
  if constexpr (pass_with_options<P>)
    passes.add(any_pass<opt_program>(static_cast<P&&>(p)),
               [](std::string_view options) { return any_pass<opt_program>(P::parse(options)); });
  else
    passes.add(any_pass<opt_program>(static_cast<P&&>(p)));
}

} // namespace detail

/// The main function of an es-opt that knows the library's passes and those given, which take options where
/// they are `pass_with_options`:
///
///     int main(int argc, char** argv) { return es::opt_main(argc, argv, my_pass{}); }
template <pass_type... Ps>
int opt_main(int argc, char** argv, Ps... own) {
  auto passes = standard_passes<opt_program>();
  (detail::add_own(passes, static_cast<Ps&&>(own)), ...);
  return detail::opt_tool(std::move(passes)).main(argc, argv);
}

} // namespace espalier
