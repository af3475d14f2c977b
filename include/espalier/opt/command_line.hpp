// SPDX-License-Identifier: BSL-1.0
// umbrella: apart, it is a part of a program
// The command line of es-opt: what there is to be said, and what of it goes together. It opens no file.
#pragma once

#include <espalier/program/tolerance.hpp>
#include <espalier/support/error.hpp>

#include <charconv>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace espalier::detail {

/// What a user asks of es-opt.
struct command_line {
  std::string in, out, model, inputs, outputs, passes, print_after, diff, html, model_explorer, cpp,
      reproducer, dialect, tolerance, validate_nodes;
  bool has_passes = false, print = false, text = false, dot = false, inspect = false, verify = false,
       verify_each = false, validate = false, bisect = false, print_all = false, print_change = false,
       print_failure = false, run = false, timing = false, stats = false, remarks = false,
       run_reproducer = false;
  espalier::tolerance allowed;
  std::size_t nodes = 5;

  /// Whether the file need not be loaded.
  bool only_inspects() const {
    return inspect && !has_passes && !run_reproducer && !stats && !print && !text && !dot && !verify &&
           !run && model.empty() && out.empty() && diff.empty() && html.empty() && model_explorer.empty() &&
           cpp.empty();
  }

  /// The options, for `--help`; the passes follow.
  static constexpr const char* help =
      "  --model NAME         the model to work on, where the file holds several; --diff takes that of "
      "OTHER,\n"
      "                       unless it holds one alone, and -o leaves the others as they are\n"
      "  --passes PIPELINE    run passes: names separated by ',' or '|', arguments as NAME<A, B>, fix(...)\n"
      "                       around what is to be repeated, on_subgraphs(...) around what is for "
      "subgraphs,\n"
      "                       on_regions<OPERATOR, ...>(...) around what is for the regions of such calls,\n"
      "                       renamed<NAME>(...) around what gets a name\n"
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

  /// Reads the arguments. Throws `error` (usage) for what is unknown, is missing, or does not go together.
  /// `tool` is what the program was called by.
  static command_line parse(int argc, const char* const* argv, const std::string& tool) {
    command_line o;
    const std::string see_help = tool + " --help lists the options";
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
    const std::pair<std::string_view, bool command_line::*> switches[] = {
        {"--print", &command_line::print},
        {"--text", &command_line::text},
        {"--dot", &command_line::dot},
        {"--inspect", &command_line::inspect},
        {"--verify", &command_line::verify},
        {"--verify-each", &command_line::verify_each},
        {"--validate", &command_line::validate},
        {"--bisect", &command_line::bisect},
        {"--timing", &command_line::timing},
        {"--run-reproducer", &command_line::run_reproducer},
        {"--stats", &command_line::stats},
        {"--remarks", &command_line::remarks},
        {"--print-after-all", &command_line::print_all},
        {"--print-after-change", &command_line::print_change},
        {"--print-after-failure", &command_line::print_failure}};
    const std::pair<std::string_view, std::string command_line::*> values[] = {
        {"--model", &command_line::model},
        {"--passes", &command_line::passes},
        {"--tolerance", &command_line::tolerance},
        {"--validate-nodes", &command_line::validate_nodes},
        {"--save-outputs", &command_line::outputs},
        {"-o", &command_line::out},
        {"--reproducer", &command_line::reproducer},
        {"--print-after", &command_line::print_after},
        {"--diff", &command_line::diff},
        {"--html", &command_line::html},
        {"--model-explorer", &command_line::model_explorer},
        {"--cpp", &command_line::cpp}};
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
      refuse("no input file", "write " + tool + " IN.pt2; " + see_help);
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

  [[noreturn]] static void refuse(std::string cause, std::string cure) {
    fail(error_kind::usage, std::move(cause), "command line", std::move(cure));
  }

private:
  static void read_tolerance(command_line& o) {
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
  static void refuse_shared_files(const command_line& o) {
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
};

} // namespace espalier::detail
