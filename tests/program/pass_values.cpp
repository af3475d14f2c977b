// SPDX-License-Identifier: BSL-1.0
// Passes change no value: random programs are run through LibTorch before and after, on NaN, infinities,
// signed zeros and the ends of integer types, and compared bit for bit; so are what they write into their
// inputs, and which of inputs and outputs share memory.
#include "../passes/random_programs.hpp"
#include "../passes/regions.hpp"
#include "program/same_bits.hpp"

#include <espalier/ir/text_parser.hpp>
#include <espalier/passes/canonicalize.hpp>
#include <espalier/passes/convert_dtype.hpp>
#include <espalier/passes/cse.hpp>
#include <espalier/passes/dce.hpp>
#include <espalier/passes/hoist.hpp>
#include <espalier/passes/inline.hpp>
#include <espalier/passes/raise.hpp>
#include <espalier/passes/remove_assertions.hpp>
#include <espalier/passes/sink.hpp>
#include <espalier/passes/sort.hpp>
#include <espalier/passes/split.hpp>
#include <espalier/passes/view_copy.hpp>
#include <espalier/pipeline/any_pass.hpp>
#include <espalier/pipeline/on_regions.hpp>
#include <espalier/program/interpreter.hpp>

#include <doctest/doctest.h>
#include <torch/types.h>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace es = espalier;

namespace {

/// One tensor an input, of values that break what does not hold for all of them.
std::vector<at::Tensor> hard_inputs(std::uint64_t seed) {
  constexpr double inf = std::numeric_limits<double>::infinity();
  const std::vector<double> hard{0.0, -0.0, 1.0,  -1.0,   inf, -inf, std::numeric_limits<double>::quiet_NaN(),
                                 0.5, -2.5, 1e30, -1e-30, 3.0};
  std::vector<at::Tensor> out;
  std::uint64_t state = seed;
  const auto next = [&] {
    return state = state * 6364136223846793005ull + 1442695040888963407ull, state >> 33;
  };
  for (const auto& in : laws::program_inputs()) {
    std::int64_t n = 1;
    for (auto s : in.sizes)
      n *= s;
    const auto type = static_cast<at::ScalarType>(in.dtype);
    at::Tensor t;
    if (es::is_floating(in.dtype)) {
      std::vector<double> v;
      for (std::int64_t i = 0; i != n; ++i)
        v.push_back(hard[next() % hard.size()]);
      t = at::tensor(v, at::kDouble).to(type);
    } else if (in.dtype == es::scalar_type::b8) {
      t = at::empty({n}, type);
      for (std::int64_t i = 0; i != n; ++i)
        t[i] = next() % 2 == 0;
    } else {
      std::vector<std::int64_t> v;
      const std::int64_t low = in.dtype == es::scalar_type::i64 ? INT64_MIN : INT32_MIN;
      for (std::int64_t i = 0; i != n; ++i)
        v.push_back(next() % 5 == 0 ? low : static_cast<std::int64_t>(next() % 7) - 3);
      t = at::tensor(v, at::kLong).to(type);
    }
    out.push_back(t.view(in.sizes));
  }
  return out;
}

struct run_result {
  std::vector<at::Tensor> inputs, outputs;
  std::vector<bool> shared; ///< of each pair, whether they share memory
};
/// `converted` f32 inputs are f64.
run_result run(const es::graph_storage& g, std::uint64_t seed, bool converted = false) {
  run_result r;
  std::vector<c10::IValue> in;
  for (auto& t : hard_inputs(seed)) {
    r.inputs.push_back(converted && t.scalar_type() == at::kFloat ? t.to(at::kDouble) : t.clone());
    in.emplace_back(r.inputs.back());
  }
  for (auto& v : es::interpreter(g).run(in))
    r.outputs.push_back(v.toTensor());
  std::vector<at::Tensor> all = r.inputs;
  all.insert(all.end(), r.outputs.begin(), r.outputs.end());
  for (std::size_t i = 0; i != all.size(); ++i)
    for (std::size_t j = 0; j != i; ++j)
      r.shared.push_back(all[i].is_alias_of(all[j]));
  return r;
}
/// What differs; empty when nothing does.
std::string difference(const run_result& a, const run_result& b) {
  for (std::size_t i = 0; i != a.outputs.size(); ++i)
    if (!corpus::same_bits(a.outputs[i], b.outputs[i]) || a.outputs[i].strides() != b.outputs[i].strides())
      return "output " + std::to_string(i);
  for (std::size_t i = 0; i != a.inputs.size(); ++i)
    if (!corpus::same_bits(a.inputs[i], b.inputs[i]))
      return "input " + std::to_string(i) + " after the run";
  return a.shared == b.shared ? "" : "which tensors share memory";
}

const std::vector<es::any_pass<>>& passes() {
  static const std::vector<es::any_pass<>> all{es::dce{},
                                               es::cse{},
                                               es::canonicalize{},
                                               es::raise{},
                                               es::sort{},
                                               es::remove_assertions{},
                                               es::sink{},
                                               es::hoist{},
                                               es::copies_to_views{},
                                               es::split(laws::some_operators{3}),
                                               es::inline_subgraphs{},
                                               es::on_regions(laws::some_operators{5}, es::canonicalize{})};
  return all;
}

} // namespace

TEST_CASE("passes, and three of them in a row, change no bit of any result") {
  at::NoGradGuard no_grad;
  std::size_t ran = 0, edits = 0;
  for (std::uint64_t seed = 1; seed <= 2000; ++seed) {
    laws::program_options o;
    o.calls = 5 + seed % 50;
    o.writes = seed % 2;
    const auto g = laws::random_program(seed * 7919, o);
    run_result before;
    try {
      before = run(g, seed);
    } catch (const es::error&) {
      continue; // a kernel asks more than the shape rule
    }
    ++ran;
    const auto look = [&](const es::any_pipeline<>& p) {
      auto after = g;
      es::pass_context c;
      const auto done = p.run(after, es::info_of_dialect<es::training_ir>, c);
      edits += done.erased + done.rewritten;
      std::string differs;
      try {
        differs = difference(before, run(after, seed));
      } catch (const es::error& e) {
        differs = e.what();
      }
      if (!differs.empty()) {
        const auto given = es::to_text(g, "training_ir"), made = es::to_text(after, "training_ir");
        FAIL_CHECK("seed " << seed << ": " << p.text() << " changes " << differs << "\n"
                           << given << "\n"
                           << made);
      }
    };
    for (const auto& p : passes())
      look(es::any_pipeline<>({p}));
    es::any_pipeline<> three;
    for (std::uint64_t i = 0, k = seed * 2654435761u; i != 3; ++i, k /= passes().size())
      three.push(passes()[k % passes().size()]);
    look(three);
  }
  CHECK(ran > 1800);
  CHECK(edits > 20000);
}

TEST_CASE(
    "views may copy: the same values and the strides that the metas tell, and back to the same values") {
  at::NoGradGuard no_grad;
  std::size_t ran = 0, copied = 0, back = 0;
  for (std::uint64_t seed = 1; seed <= 500; ++seed) {
    laws::program_options o;
    o.calls = 5 + seed % 50;
    o.writes = false;
    o.subgraphs = false;      // what a branch is told of its input's strides stays
    o.transcendental = false; // other strides, other kernels, another last bit
    auto g = laws::random_program(seed * 104729, o);
    run_result before;
    try {
      before = run(g, seed);
    } catch (const es::error&) {
      continue;
    }
    ++ran;
    const auto look = [&] {
      INFO(es::to_text(g, "training_ir"));
      const auto after = run(g, seed);
      const es::node out(g, g.output_node());
      for (std::size_t i = 0; i != after.outputs.size(); ++i) {
        const auto& m = out.arg(i).as_value().tensor();
        CHECK(corpus::same_bits(after.outputs[i], before.outputs[i]));
        for (std::size_t d = 0; d != m.dim(); ++d)
          if (after.outputs[i].numel() != 0 && m.sizes[d].as_int() != 1)
            CHECK(m.strides[d].as_int() == after.outputs[i].stride(static_cast<std::int64_t>(d)));
      }
    };
    es::pass_context c;
    copied += es::views_to_copies::run(g, c).rewritten;
    look();
    back += es::copies_to_views::run(g).rewritten;
    look();
  }
  CHECK(ran > 450);
  CHECK(copied > 1000);
  CHECK(back > 100);
}

TEST_CASE("a program of another dtype runs, and gives the types that its metas tell") {
  at::NoGradGuard no_grad;
  std::size_t ran = 0;
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    laws::program_options o;
    o.calls = 5 + seed % 50;
    o.writes = false;
    auto g = laws::random_program(seed * 15485863, o);
    try {
      run(g, seed);
    } catch (const es::error&) {
      continue;
    }
    ++ran;
    es::pass_context c;
    es::convert_dtype(es::scalar_type::f32, es::scalar_type::f64).run(g, c);
    const auto after = run(g, seed, true);
    const es::node out(g, g.output_node());
    for (std::size_t i = 0; i != after.outputs.size(); ++i)
      CHECK(static_cast<int>(after.outputs[i].scalar_type()) ==
            static_cast<int>(out.arg(i).as_value().tensor().dtype));
  }
  CHECK(ran > 250);
}
