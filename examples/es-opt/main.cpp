// SPDX-License-Identifier: BSL-1.0
// es-opt: read a .pt2, run passes over it, look at it, run it, write it back. In the manner of mlir-opt.
#include <espalier/espalier.hpp>

#include <chrono>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace es = espalier;

namespace {

constexpr const char* usage_text =
    "usage: es-opt IN.pt2 [options]\n"
    "\n"
    "  --passes A,B,C       run passes in this order: dce, cse, raise\n"
    "  --print              print the graph as Python would (print_readable)\n"
    "  --text               print the textual form, which can be parsed again\n"
    "  --dot                print a Graphviz graph\n"
    "  --inspect            tell kind, producer, schema version, models and sizes without loading\n"
    "  --verify             verify after loading and after the passes\n"
    "  --run [INPUTS.pt]    run the program on a list of tensors and numbers that torch.save wrote\n"
    "                       (any file not named *.pt2); without it, on the archive's sample inputs\n"
    "  --save-outputs F.pt  write the list of outputs of --run as torch.save would, without constants\n"
    "  --timing             tell how long each step took (stderr)\n"
    "  -o OUT.pt2           save the program\n"
    "  --help               this text\n"
    "\n"
    "The exit status is 0 only when all that was asked for was done.\n";

struct options {
  std::string in, out, inputs, outputs;
  std::vector<std::string> passes;
  bool print = false, text = false, dot = false, inspect = false, verify = false, run = false, timing = false;
};

[[noreturn]] void refuse(std::string cause, std::string cure = "es-opt --help lists the options") {
  es::fail(es::error_kind::usage, std::move(cause), "command line", std::move(cure));
}

options parse(int argc, char** argv) {
  options o;
  const auto value = [&](int& i, std::string_view flag) -> std::string {
    if (i + 1 >= argc)
      refuse("option " + std::string(flag) + " needs a value");
    return argv[++i];
  };
  for (int i = 1; i < argc; ++i) {
    const std::string_view a = argv[i];
    if (a == "--passes") {
      std::stringstream list(value(i, a));
      for (std::string name; std::getline(list, name, ',');)
        if (!name.empty())
          o.passes.push_back(name);
    } else if (a == "--print")
      o.print = true;
    else if (a == "--text")
      o.text = true;
    else if (a == "--dot")
      o.dot = true;
    else if (a == "--inspect")
      o.inspect = true;
    else if (a == "--verify")
      o.verify = true;
    else if (a == "--timing")
      o.timing = true;
    else if (a == "--run") {
      o.run = true;
      if (i + 1 < argc && argv[i + 1][0] != '-' && !std::string_view(argv[i + 1]).ends_with(".pt2"))
        o.inputs = argv[++i];
    } else if (a == "--save-outputs")
      o.outputs = value(i, a);
    else if (a == "-o")
      o.out = value(i, a);
    else if (a.starts_with("-"))
      refuse("unknown option " + std::string(a));
    else if (o.in.empty())
      o.in = a;
    else
      refuse("a second input file: " + std::string(a), "give one file; its name comes first");
  }
  if (o.in.empty())
    refuse("no input file", "write es-opt IN.pt2; es-opt --help lists the options");
  if (!o.outputs.empty() && !o.run)
    refuse("--save-outputs without --run", "add --run");
  return o;
}

/// A message of several lines as one: what it says stays, the cure at its end too.
std::string one_line(std::string_view text) {
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

void run_pass(es::exported_program<es::torch_ir>& p, const std::string& name) {
  if (name == es::dce::name)
    es::apply<es::dce>(p);
  else if (name == es::cse::name)
    es::apply<es::cse>(p);
  else if (name == es::raise::name)
    es::apply<es::raise>(p);
  else
    refuse("no pass is called '" + name + "'", "the passes are dce, cse and raise");
}

std::vector<c10::IValue> read_inputs(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in)
    es::fail(es::error_kind::io, "cannot open the inputs", path, "check the path");
  const std::vector<char> bytes((std::istreambuf_iterator<char>(in)), {});
  const c10::IValue list = [&] {
    try {
      return es::torch_load(std::as_bytes(std::span(bytes)));
    } catch (const es::error& e) {
      throw e.within(path);
    }
  }();
  if (!list.isList() && !list.isTuple())
    refuse(path + " holds a " + list.tagKind() + ", not a list", "write torch.save([tensor, ...], path)");
  if (list.isTuple())
    return list.toTupleRef().elements().vec();
  return list.toList().vec();
}

/// What was computed, as a list; like inputs, outputs that the signature records as constants are not in it.
void write_outputs(const std::string& path, const es::graph_signature& signature,
                   const std::vector<c10::IValue>& outputs) {
  c10::impl::GenericList list(c10::AnyType::get());
  std::size_t i = 0;
  for (auto& spec : signature.outputs) {
    if (spec.kind != es::output_kind::user_output && spec.kind != es::output_kind::loss_output)
      continue;
    const auto& v = outputs.at(i++);
    if (spec.arg.form != es::io_form::constant)
      list.push_back(v.isTensor() && v.toTensor().defined() ? c10::IValue(v.toTensor().detach()) : v);
  }
  const auto bytes = es::torch_save(list);
  std::ofstream out(path, std::ios::binary);
  out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  if (!out.flush())
    es::fail(es::error_kind::io, "cannot write the outputs", path, "check the path and the free space");
}

void describe(const c10::IValue& v) {
  if (v.isTensor() && v.toTensor().defined()) {
    const auto& t = v.toTensor();
    std::cout << "  " << es::to_string(es::from_c10(t.scalar_type())) << t.sizes() << '\n';
  } else {
    std::cout << "  " << v << '\n';
  }
}

int main_with(const options& o) {
  if (o.inspect) {
    std::cout << es::pt2::to_string(es::pt2::inspect(o.in));
    if (o.passes.empty() && !o.print && !o.text && !o.dot && !o.verify && !o.run && o.out.empty())
      return 0;
  }
  stopwatch watch(o.timing);
  auto program = es::load<es::torch_ir>(o.in);
  watch.lap("load");
  const auto verify = [&] {
    if (!o.verify)
      return;
    program.verify();
    watch.lap("verify");
  };
  verify();
  for (auto& name : o.passes) {
    run_pass(program, name);
    watch.lap("pass " + name);
  }
  if (!o.passes.empty())
    verify();
  if (o.print)
    std::cout << es::print_readable(program.graph());
  if (o.text)
    std::cout << es::to_text(program.graph());
  if (o.dot)
    std::cout << es::to_dot(program.graph());
  if (o.run) {
    std::vector<c10::IValue> inputs;
    if (!o.inputs.empty())
      inputs = read_inputs(o.inputs);
    else if (!program.example_inputs().leaves.empty())
      inputs = program.example_inputs().leaves;
    else
      refuse("the archive holds no sample inputs that can be read" +
                 (program.example_inputs().unread.empty() ? "" : ": " + program.example_inputs().unread),
             "give a file: --run INPUTS.pt");
    watch.lap("read inputs");
    const auto outputs = program(std::move(inputs));
    watch.lap("run");
    for (auto& v : outputs)
      describe(v);
    if (!o.outputs.empty())
      write_outputs(o.outputs, std::as_const(program).signature(), outputs);
  }
  if (!o.out.empty()) {
    es::save(program, o.out);
    watch.lap("save");
  }
  std::cout.flush();
  return std::cout ? 0 : 1;
}

} // namespace

int main(int argc, char** argv) try {
  for (int i = 1; i < argc; ++i)
    if (std::string_view(argv[i]) == "--help" || std::string_view(argv[i]) == "-h") {
      std::cout << usage_text;
      return 0;
    }
  return main_with(parse(argc, argv));
} catch (const es::error& e) {
  std::cerr << "es-opt: " << one_line(e.what()) << '\n';
  return 1;
} catch (const std::exception& e) {
  std::cerr << "es-opt: " << one_line(e.what())
            << "; run es-opt --verify on the file to see whether it is sound\n";
  return 1;
}
