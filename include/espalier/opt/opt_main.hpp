// SPDX-License-Identifier: BSL-1.0
// umbrella: apart, it is a program: a main includes it by name
// es-opt as a function: read a .pt2, run passes over it, look at it, run it, write it back, in the manner of
// mlir-opt. A main of three lines makes a tool that knows the passes of the library and your own.
#pragma once

#include <espalier/archive/inspect.hpp>
#include <espalier/archive/pt2_archive.hpp>
#include <espalier/bridge/types.hpp>
#include <espalier/ir/cpp.hpp>
#include <espalier/ir/diff.hpp>
#include <espalier/ir/dot.hpp>
#include <espalier/ir/html.hpp>
#include <espalier/ir/model_explorer.hpp>
#include <espalier/ir/print.hpp>
#include <espalier/ir/text.hpp>
#include <espalier/opt/command_line.hpp>
#include <espalier/opt/files.hpp>
#include <espalier/opt/pass_run.hpp>
#include <espalier/opt/standard_passes.hpp>
#include <espalier/pipeline/any_pass.hpp>
#include <espalier/pipeline/pass_table.hpp>
#include <espalier/pipeline/registry.hpp>
#include <espalier/program/reproducer_file.hpp>

#include <chrono>
#include <concepts>
#include <cstdio>
#include <exception>
#include <iostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace espalier {

namespace detail {

class opt_tool {
public:
  explicit opt_tool(pass_registry<opt_program> passes) : passes_(std::move(passes)) {}

  int main(int argc, char** argv) try {
    if (argc > 0)
      name_tool(argv[0]);
    passes_.listed_by(tool_ + " --list");
    if (!tells_of_itself(argc, argv))
      run(command_line::parse(argc, argv, tool_));
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
                  << command_line::help << passes_lines()
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

  void run(command_line o) {
    if (o.inspect) {
      std::cout << pt2::to_string(pt2::inspect(o.in));
      if (o.only_inspects())
        return;
    }
    stopwatch watch(o.timing);
    opened_model file = open_model(o.in, o.model);
    opt_program& program = file.program;
    if (o.run_reproducer) {
      const auto how = read_reproducer(o.in);
      o.passes = how.pipeline;
      o.dialect = how.dialect;
      o.has_passes = true;
      o.verify_each = o.verify_each || how.verify_each;
      o.validate = o.validate || how.validate;
      espalier::erase_if(file.archive.others, [](auto& r) { return r.name.ends_with(reproducer_name); });
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
      pass_run(passes_, tool_).run(o, program);
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
