// SPDX-License-Identifier: BSL-1.0
// A compiler of one's own: it reads an exported program, simplifies it, fuses what works element by element,
// writes C++ for that, compiles and loads it, and runs both programs against each other.
// docs/mini_compiler.md walks through.
#include "pipeline.hpp"

#include "models/gated_mlp.hpp"

#include <espalier/exporting/export_program.hpp>
#include <espalier/program/pipeline_unit.hpp>
#include <espalier/program/save_load.hpp>

#include <ATen/Parallel.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

namespace es = espalier;
using program = es::exported_program<es::training_ir>;

constexpr const char* usage =
    "usage: mini_compiler IN.pt2 [options]\n"
    "       mini_compiler --demo [options]\n"
    "\n"
    "  --demo        export a gated feed-forward block and compile that\n"
    "  -o OUT.pt2    save the program as it is before its regions are compiled; Python runs it too\n"
    "  --emit DIR    keep what is emitted: DIR/kernels.cpp, kernels.so, kernels.log\n"
    "  --no-fuse     stop after the simplifications\n"
    "  --repeat N    time N runs of each program and tell the medians (default 21; 0: no timing)\n"
    "  --help        this text\n"
    "\n"
    "The program runs on the sample inputs of its archive. The exit status is 0 only if both programs "
    "agree.\n";

struct options {
  std::string in, out, emit;
  bool demo = false, fuse = true, help = false;
  int repeat = 21;
};

options parse(int argc, char** argv) {
  options o;
  const auto refuse = [](std::string why) {
    es::fail(es::error_kind::usage, std::move(why), "command line", "mini_compiler --help tells the options");
  };
  for (int i = 1; i < argc; ++i) {
    const std::string_view a = argv[i];
    const auto value = [&]() -> std::string {
      if (i + 1 == argc)
        refuse("option " + std::string(a) + " needs a value");
      return argv[++i];
    };
    if (a == "--help" || a == "-h")
      o.help = true;
    else if (a == "--demo")
      o.demo = true;
    else if (a == "--no-fuse")
      o.fuse = false;
    else if (a == "-o")
      o.out = value();
    else if (a == "--emit")
      o.emit = value();
    else if (a == "--repeat") {
      const std::string number = value();
      char* end = nullptr;
      const long n = std::strtol(number.c_str(), &end, 10);
      if (number.empty() || *end || n < 0 || n > 1'000'000)
        refuse("--repeat takes a number from 0 to 1000000, not '" + number + "'");
      o.repeat = static_cast<int>(n);
    } else if (a.starts_with("-"))
      refuse("unknown option " + std::string(a));
    else if (o.in.empty())
      o.in = a;
    else
      refuse("a second input file: " + std::string(a));
  }
  if (!o.help && o.in.empty() != o.demo)
    refuse(o.demo ? "--demo and a file" : "no input file");
  return o;
}

program demo() {
  torch::manual_seed(0);
  const models::gated_mlp_options shape;
  models::GatedMLP net(shape);
  const auto [x] = models::example_inputs(shape);
  return es::export_program(net, es::inputs(es::named("x", x))).with_signature<es::dynamic>();
}

/// A copy that may be run and compared: what a program writes to is its own.
program copy_of(const program& p) {
  program copy(p);
  for (es::state_dict* tensors : {&copy.state_dict(), &copy.constants()})
    for (const auto& e : es::state_dict(*tensors))
      if (!e.is_parameter)
        tensors->set(e.name, e.tensor.clone(), false);
  return copy;
}
std::vector<c10::IValue> copy_of(const std::vector<c10::IValue>& values) {
  std::vector<c10::IValue> copies;
  for (const c10::IValue& v : values)
    copies.push_back(v.isTensor() ? c10::IValue(v.toTensor().detach().clone()) : v);
  return copies;
}

/// The largest difference of two results, relative to the larger of 1 and the largest element; infinite when
/// they are not even alike.
double gap(const std::vector<c10::IValue>& a, const std::vector<c10::IValue>& b) {
  constexpr double infinite = std::numeric_limits<double>::infinity();
  double worst = a.size() == b.size() ? 0 : infinite;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    if (a[i].isTensor() != b[i].isTensor())
      return infinite;
    if (!a[i].isTensor())
      continue;
    const at::Tensor &x = a[i].toTensor(), &y = b[i].toTensor();
    if (x.sizes() != y.sizes() || x.dtype() != y.dtype() || x.strides() != y.strides())
      return infinite;
    if (!x.is_floating_point()) {
      worst = x.equal(y) ? worst : infinite;
      continue;
    }
    // where both are infinite or NaN alike there is no difference
    const at::Tensor p = x.to(at::kDouble), q = y.to(at::kDouble);
    const at::Tensor same = (p == q).logical_or(p.isnan().logical_and(q.isnan()));
    const at::Tensor apart = (p - q).abs().masked_fill(same, 0);
    if (apart.numel() == 0)
      continue;
    if (!apart.isfinite().all().item<bool>())
      return infinite;
    const at::Tensor size = p.masked_fill(p.isfinite().logical_not(), 0).abs();
    worst = std::max(worst, apart.max().item<double>() / std::max(1.0, size.max().item<double>()));
  }
  return worst;
}

/// The medians of `n` runs of each, in turns, so that neither has the warmer machine.
std::pair<double, double> medians(const program& a, const program& b, const std::vector<c10::IValue>& inputs,
                                  int n) {
  const auto time = [&](const program& p) {
    const auto start = std::chrono::steady_clock::now();
    p(inputs, {.check_inputs = false});
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  };
  std::vector<double> of_a, of_b;
  time(a), time(b); // caches, and the threads' start
  for (int i = 0; i != n; ++i) {
    of_a.push_back(time(a));
    of_b.push_back(time(b));
  }
  const auto middle = [](std::vector<double>& v) {
    std::nth_element(v.begin(), v.begin() + static_cast<std::ptrdiff_t>(v.size() / 2), v.end());
    return v[v.size() / 2];
  };
  return {middle(of_a), middle(of_b)};
}

std::size_t calls_of(const program& p) {
  std::size_t n = 0;
  for (es::node call : es::nodes(p.graph()))
    n += call.is_call();
  return n;
}

int run(const options& o) {
  const at::NoGradGuard inference;
  const program original = o.demo ? demo() : es::load<es::training_ir>(o.in);
  const auto& inputs = original.example_inputs().leaves;
  if (inputs.empty() && !original.input_names().empty())
    es::fail(es::error_kind::usage,
             "the archive holds no sample inputs that can be read" +
                 (original.example_inputs().unread.empty() ? "" : ": " + original.example_inputs().unread),
             o.in, "save the program with its example inputs, as torch.export.save does");

  if (!o.out.empty()) { // a program still: regions are graphs of their own
    program saved(original);
    o.fuse ? mini::outline.run(saved) : mini::tidy.run(saved);
    es::save(saved, o.out);
  }
  const mini::work_folder folder(o.emit);
  program compiled = copy_of(original);
  es::pass_context context;
  if (o.fuse)
    mini::compiler(folder.path()).run(compiled, context);
  else
    mini::tidy.run(compiled, context);

  std::printf("%-12s %zu calls -> %zu calls\n", "program", calls_of(original), calls_of(compiled));
  for (const es::pass_statistic& s : context.statistics())
    if (s.pass == mini::fuse_pointwise::name || s.pass == mini::call_kernels::name)
      std::printf("%-12s %5zu %.*s%s\n", "", s.value, static_cast<int>(s.name.size()), s.name.data(),
                  s.pass == mini::fuse_pointwise::name && s.name != "regions" && s.name != "calls fused"
                      ? " (pointwise calls left alone)"
                      : "");

  const auto run_once = [&](const program& p) {
    torch::manual_seed(0);
    return p(copy_of(inputs));
  };
  const auto expected = run_once(copy_of(original)), found = run_once(compiled);
  const double apart = gap(expected, found);
  bool wide = true; // doubles only
  for (const c10::IValue& v : expected)
    wide = wide && v.isTensor() &&
           (v.toTensor().scalar_type() == at::kDouble || !v.toTensor().is_floating_point());
  const bool agree = apart <= (wide ? 1e-9 : 1e-4);
  std::printf("%-12s %s, largest relative gap %.1e\n", "results", agree ? "agree" : "DIFFER", apart);

  if (o.repeat > 0 && agree) {
    const auto own = copy_of(inputs);
    const program before = copy_of(original);
    const int threads = at::get_num_threads();
    for (const int n : {1, threads}) {
      at::set_num_threads(n);
      const auto [unfused, fused] = medians(before, compiled, own, o.repeat);
      std::printf("%-12s unfused %9.3f ms   fused %9.3f ms   %.2fx\n",
                  (std::to_string(n) + (n == 1 ? " thread" : " threads")).c_str(), unfused, fused,
                  unfused / fused);
      if (threads == 1)
        break;
    }
  }
  return agree ? 0 : 1;
}

} // namespace

int main(int argc, char** argv) try {
  const options o = parse(argc, argv);
  if (o.help) {
    std::fputs(usage, stdout);
    return 0;
  }
  return run(o);
} catch (const std::exception& e) {
  std::fprintf(stderr, "mini_compiler: %s\n", e.what());
  return 1;
}
