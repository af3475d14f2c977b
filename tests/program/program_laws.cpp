// SPDX-License-Identifier: BSL-1.0
// The laws, the contracts and the values of the passes that need more than a graph, on random programs: with
// state that is read and written, unlifted, with convolutions and norms.
#include "passes/contracts.hpp"
#include "passes/laws.hpp"
#include "passes/random_programs.hpp"
#include "program/effects_of_run.hpp"
#include "program/random_inputs.hpp"

#include <espalier/exporting/export_program.hpp>
#include <espalier/passes/rename_placeholders.hpp>
#include <espalier/passes/unlift.hpp>
#include <espalier/pipeline/any_pass.hpp>
#include <espalier/program/constant_fold.hpp>
#include <espalier/program/exported_program.hpp>
#include <espalier/program/fold_conv_batch_norm.hpp>
#include <espalier/program/lift_attributes.hpp>
#include <espalier/program/pipeline_unit.hpp>
#include <espalier/program/save_load.hpp>
#include <espalier/program/validate.hpp>

#include <torch/torch.h>

#include <doctest/doctest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace es = espalier;

namespace {

using program = es::exported_program<es::torch_ir>;

/// A program with its names and what its signature says of them.
struct of_programs {
  static std::string print(const program& p) {
    std::string out = laws::printed(p.storage());
    for (const auto& in : p.signature().inputs)
      out += std::string(es::to_string(in.kind)) + " '" + in.target + "' " + in.arg.name + "\n";
    for (const auto& o : p.signature().outputs)
      out += std::string(es::to_string(o.kind)) + " '" + o.target + "' " + o.arg.name + "\n";
    return out;
  }
  static std::size_t fingerprint(const program& p) { return std::hash<std::string>()(print(p)); }
  static std::string fault(const program& p, const laws::options&) {
    const auto found = p.diagnose();
    return found.empty() ? std::string() : es::to_string(found.front()) + "\n" + print(p);
  }
};

struct specimen {
  program of;
  std::vector<c10::IValue> inputs;
};

/// A random program whose first inputs are state, some of which it gives back as written.
specimen random_specimen(std::uint64_t seed, laws::program_options o) {
  auto g = laws::random_program(seed, o);
  es::assign_names(g);
  es::program_info info;
  info.verifier = "TRAINING";
  const auto tensors = laws::hard_inputs(seed);
  std::mt19937_64 random(seed);
  using ik = es::input_kind;
  using ok = es::output_kind;
  const std::array kinds{ik::parameter, ik::buffer, ik::buffer, ik::constant_tensor};
  const auto inputs = es::placeholders(g);
  std::vector<c10::IValue> given;
  for (std::size_t i = 0; i != inputs.size(); ++i) {
    auto& s = info.signature.inputs.emplace_back();
    s.kind = i < kinds.size() ? kinds[i] : ik::user_input;
    s.arg.name = inputs[i].name();
    if (i < kinds.size()) {
      s.target = "layer." + std::to_string(i);
      s.persistent = s.kind == ik::buffer;
      g.set_input_kind(inputs[i].id(), s.kind);
    } else {
      given.emplace_back(tensors[i]);
    }
  }
  // what is written: values of the written input's type
  es::vector<es::argument> outputs;
  for (const std::size_t i : {std::size_t{1}, std::size_t{2}, std::size_t{8}}) {
    es::vector<es::value_id> fit;
    for (es::node n : es::nodes(g))
      for (std::size_t r = 0; r != n.num_results(); ++r)
        if (const auto& m = g.meta(n.result(r).id()); m.kind == es::value_kind::tensor &&
                                                      m.tensor.dtype == inputs[i].result().tensor().dtype &&
                                                      m.tensor.sizes == inputs[i].result().tensor().sizes)
          fit.push_back(n.result(r).id());
    if (random() % 3 == 0)
      continue;
    outputs.push_back(fit[random() % fit.size()]);
    auto& s = info.signature.outputs.emplace_back();
    s.kind = i == 8 ? ok::user_input_mutation : ok::buffer_mutation;
    s.target = i == 8 ? info.signature.inputs[i].arg.name : info.signature.inputs[i].target;
  }
  es::graph_storage::copied_args own;
  g.copy_args(g.output_node(), own);
  for (const auto& a : own.top) {
    outputs.push_back(a);
    info.signature.outputs.emplace_back();
  }
  g.set_args(g.output_node(), outputs);
  es::refresh_signature(g, info);
  specimen s{program(es::graph<es::torch_ir>(std::move(g)), std::move(info)), std::move(given)};
  for (std::size_t i = 0; i != kinds.size(); ++i)
    if (kinds[i] == ik::constant_tensor)
      s.of.constants().set("layer." + std::to_string(i), tensors[i], false);
    else
      s.of.state_dict().set("layer." + std::to_string(i), tensors[i], kinds[i] == ik::parameter);
  return s;
}

/// The same, its state read by name: some of it twice.
specimen unlifted_specimen(std::uint64_t seed, laws::program_options o) {
  specimen s = random_specimen(seed, o);
  es::unlift::run(s.of);
  auto& g = s.of.storage();
  std::mt19937_64 random(seed);
  es::vector<es::node_id> reads;
  for (es::node n : es::nodes(g))
    if (n.kind() == es::node_kind::get_attr)
      reads.push_back(n.id());
  for (const es::node_id n : reads) {
    es::vector<es::slot_id> uses;
    for (auto u = g.first_use(g.result(n)); u.valid(); u = g.next_use(u))
      uses.push_back(u);
    if (uses.size() < 2 || random() % 2)
      continue;
    g.set_insertion_point({g.next(n)});
    const auto again = g.get_attr(std::string(es::node(g, n).arg(0).as_string()), {});
    g.set_meta(g.result(again), g.meta_of(g.result(n)));
    for (std::size_t i = 0; i < uses.size(); i += 2)
      g.set_operand(uses[i], g.result(again));
  }
  g.set_insertion_point({});
  es::refresh_signature(g, s.of.info());
  return s;
}

/// Convolutions and norms in a row: with a bias or none, training or not, shared, or with something between.
specimen layers(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  torch::manual_seed(seed);
  torch::nn::Sequential net;
  std::optional<torch::nn::Conv2d> conv;
  std::optional<torch::nn::BatchNorm2d> norm;
  for (std::size_t i = 0, n = 1 + random() % 4; i != n; ++i) {
    if (!conv || random() % 3)
      conv = torch::nn::Conv2d(torch::nn::Conv2dOptions(2, 2, 3).padding(1).bias(random() % 2));
    net->push_back(*conv);
    if (random() % 4 == 0)
      net->push_back(torch::nn::ReLU());
    if (!norm || random() % 3) {
      norm = torch::nn::BatchNorm2d(
          torch::nn::BatchNorm2dOptions(2).affine(random() % 3).track_running_stats(random() % 4));
      (*norm)->train(random() % 4 == 0);
    }
    net->push_back(*norm);
  }
  const auto x = torch::randn({2, 2, 5, 4});
  std::stringstream file;
  es::save(es::export_program(net, es::inputs(es::named("x", x))), file);
  return {es::load<es::torch_ir>(file), {x}};
}

struct count {
  std::size_t ran = 0, changed = 0;
};
/// Laws, contract and values of one pass on one program. `exact`: to the last bit.
template <class P>
void look(const P& pass, const specimen& s, bool exact, count& n) {
  const std::string name(P::name);
  CAPTURE(name);
  const auto run = [&](program& p) {
    es::pass_context c;
    const auto done = es::detail::call_pass(pass, p, c);
    es::refresh_signature(p.storage(), p.info());
    return done;
  };
  if (const auto broken = laws::broken_law_of<of_programs>(name, s.of, run); !broken.empty())
    FAIL_CHECK(broken);
  if (const auto broken = laws::broken_contract<of_programs>(es::any_pass<program>(pass), s.of);
      !broken.empty())
    FAIL_CHECK(broken);
  corpus::effects_of_run before;
  try {
    before = corpus::run_and_restore(s.of, s.inputs);
  } catch (const es::error&) {
    return; // a kernel asks more than the shape rule
  }
  program p = s.of;
  n.changed += run(p).changed();
  ++n.ran;
  const auto same = [&](const at::Tensor& a, const at::Tensor& b) {
    return corpus::same_bits(a, b) || (!exact && es::gap_between(a, b) <= 1);
  };
  if (const auto what = corpus::difference(corpus::run_and_restore(p, s.inputs), before, same); !what.empty())
    FAIL_CHECK(name << " changes: " << what << "\n"
                    << of_programs::print(s.of) << "\n"
                    << of_programs::print(p));
}

} // namespace

TEST_CASE("passes on programs obey the laws, keep their word, and change no bit of any result") {
  const at::NoGradGuard no_grad;
  std::map<std::string_view, count> counts;
  const auto each = [&](const auto& pass, const specimen& s, bool exact = true) {
    look(pass, s, exact, counts[pass.name]);
  };
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    CAPTURE(seed);
    laws::program_options o;
    o.calls = 5 + seed % 50;
    o.writes = seed % 2;
    o.random = seed % 3 == 0;
    const specimen s = random_specimen(seed * 7919, o), t = unlifted_specimen(seed * 7919, o);
    each(es::unlift{}, s);
    each(es::lift{}, t);
    each(es::rename_placeholders{}, s);
    each(es::constant_fold({.parameters = seed % 4 != 0, .constructors = seed % 8 == 0}), s);
    each(es::constant_fold(), t);
  }
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    CAPTURE(seed);
    each(es::fold_conv_batch_norm{}, layers(seed), false);
  }
  for (const auto& [name, n] : counts) {
    CAPTURE(name);
    CHECK(n.ran >= (name == "fold_conv_batch_norm" ? 100 : 280));
    CHECK(n.changed >= (name == "lift" || name == "unlift" || name == "rename_placeholders" ? 280 : 40));
  }
}
