// SPDX-License-Identifier: BSL-1.0
// Passes change no value: random programs are run through LibTorch before and after, on NaN, infinities,
// signed zeros and the ends of integer types, and compared bit for bit; so are what they write into their
// inputs, and which of inputs and outputs share memory.
#include "../passes/random_programs.hpp"
#include "../passes/regions.hpp"
#include "program/random_inputs.hpp"
#include "program/same_bits.hpp"

#include <espalier/ir/text_parser.hpp>
#include <espalier/passes/canonicalize.hpp>
#include <espalier/passes/convert_dtype.hpp>
#include <espalier/passes/cse.hpp>
#include <espalier/passes/dce.hpp>
#include <espalier/passes/device_move.hpp>
#include <espalier/passes/hoist.hpp>
#include <espalier/passes/infer_shapes.hpp>
#include <espalier/passes/inline.hpp>
#include <espalier/passes/lower_spellings.hpp>
#include <espalier/passes/raise.hpp>
#include <espalier/passes/remove_assertions.hpp>
#include <espalier/passes/sink.hpp>
#include <espalier/passes/sort.hpp>
#include <espalier/passes/split.hpp>
#include <espalier/passes/view_copy.hpp>
#include <espalier/pipeline/any_pass.hpp>
#include <espalier/pipeline/on_regions.hpp>
#include <espalier/program/interpreter.hpp>
#include <espalier/program/validate.hpp>

#include <ATen/core/grad_mode.h>

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace es = espalier;

namespace {

struct run_result {
  std::vector<at::Tensor> inputs, outputs;
  std::vector<bool> shared; ///< of each pair, whether they share memory
};
/// Runs a graph from the same random numbers.
run_result run(const es::graph_storage& g, std::uint64_t seed, std::vector<at::Tensor> inputs) {
  run_result r;
  std::vector<c10::IValue> in;
  r.inputs = std::move(inputs);
  for (auto& t : r.inputs)
    in.emplace_back(t);
  at::manual_seed(seed);
  for (auto& v : es::interpreter(g).run(in))
    r.outputs.push_back(v.toTensor());
  std::vector<at::Tensor> all = r.inputs;
  all.insert(all.end(), r.outputs.begin(), r.outputs.end());
  for (std::size_t i = 0; i != all.size(); ++i)
    for (std::size_t j = 0; j != i; ++j)
      r.shared.push_back(all[i].is_alias_of(all[j]));
  return r;
}
run_result run(const es::graph_storage& g, std::uint64_t seed) {
  return run(g, seed, laws::hard_inputs(seed));
}
/// What differs; empty when nothing does. `memory`: where elements lie, and which tensors share memory, too.
std::string difference(const run_result& a, const run_result& b, bool memory) {
  for (std::size_t i = 0; i != a.outputs.size(); ++i)
    if (!corpus::same_bits(a.outputs[i], b.outputs[i]) ||
        (memory && a.outputs[i].strides() != b.outputs[i].strides()))
      return "output " + std::to_string(i);
  for (std::size_t i = 0; i != a.inputs.size(); ++i)
    if (!corpus::same_bits(a.inputs[i], b.inputs[i]))
      return "input " + std::to_string(i) + " after the run";
  return !memory || a.shared == b.shared ? "" : "which tensors share memory";
}

const es::vector<es::any_pass<>>& passes() {
  static const es::device elsewhere{1, 0};
  static const es::vector<es::any_pass<>> all{es::dce{},
                                              es::cse{},
                                              es::canonicalize{},
                                              es::raise{},
                                              es::lower_spellings{},
                                              es::lower_spellings{} | es::raise{},
                                              es::sort{},
                                              es::infer_shapes{},
                                              es::remove_assertions{},
                                              es::sink{},
                                              es::hoist{},
                                              es::copies_to_views{},
                                              es::device_move(elsewhere) |
                                                  es::device_move(es::cpu_device), // factories are told where
                                              es::split(laws::some_operators{3}),
                                              es::split(laws::some_operators{7}) | es::inline_subgraphs{},
                                              es::on_regions(laws::some_operators{5}, es::canonicalize{})};
  return all;
}

} // namespace

TEST_CASE("passes, and three of them in a row, change no bit of any result") {
  at::NoGradGuard no_grad;
  std::size_t ran = 0, random = 0;
  std::map<std::string, std::size_t> edits;
  for (std::uint64_t seed = 1; seed <= 2000; ++seed) {
    laws::program_options o;
    o.calls = 5 + seed % 50;
    o.writes = seed % 2;
    o.random = seed % 3 == 0;
    o.copies = seed % 5 == 0;
    o.cpp = seed % 7 == 0;
    const auto g = laws::random_program(seed * 7919, o);
    run_result before;
    try {
      before = run(g, seed);
    } catch (const es::error&) {
      continue; // a kernel asks more than the shape rule
    }
    ++ran;
    random += o.random;
    const auto look = [&](const es::any_pipeline<>& p) {
      auto after = g;
      es::pass_context c;
      const auto done = p.run(after, es::info_of_dialect<es::training_ir>, c);
      edits[p.stages().size() == 1 ? p.text() : "three"] += done.erased + done.rewritten;
      std::string differs;
      try {
        differs = difference(before, run(after, seed), true);
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
  CHECK(random > 550);
  CHECK(edits.size() == passes().size() + 1);
  for (const auto& [pass, n] : edits) {
    CAPTURE(pass);
    CHECK((n > 40 || pass == "sort" || pass == "infer_shapes")); // these programs are sorted and typed
  }
}

TEST_CASE(
    "views may copy: the same values and the strides that the metas tell, and back to the same values") {
  at::NoGradGuard no_grad;
  std::size_t ran = 0, copied = 0, back = 0;
  for (std::uint64_t seed = 1; seed <= 700; ++seed) {
    laws::program_options o;
    o.calls = 5 + seed % 50;
    o.writes = false;         // the pass needs functional graphs
    o.subgraphs = seed % 2;   // what a branch is told of its input's strides stays
    o.transcendental = false; // other strides, other kernels, another last bit
    o.copies = seed % 3 == 0;
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
      const std::string differs = difference(before, after, false);
      CHECK(differs == "");
      const es::node out(g, g.output_node());
      for (std::size_t i = 0; i != after.outputs.size() && g.num_subgraphs() == 0; ++i) {
        const auto& m = out.arg(i).as_value().tensor();
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
  CHECK(ran > 600);
  CHECK(copied > 1500);
  CHECK(back > 150);
}

TEST_CASE("a program of another dtype gives the same numbers, in the types that its metas tell") {
  at::NoGradGuard no_grad;
  std::size_t ran = 0, converted = 0;
  for (std::uint64_t seed = 1; seed <= 600; ++seed) {
    laws::program_options o;
    o.calls = 5 + seed % 50;
    o.writes = false; // the pass needs functional graphs
    o.random = seed % 3 == 0;
    const auto from = seed % 2 ? es::scalar_type::f32 : es::scalar_type::f64,
               to = seed % 2 ? es::scalar_type::f64 : es::scalar_type::f32;
    auto g = laws::random_program(seed * 15485863, o);
    run_result before;
    try {
      before = run(g, seed, laws::tame_inputs(seed));
    } catch (const es::error&) {
      continue;
    }
    ++ran;
    const auto text = es::to_text(g, "training_ir");
    es::pass_context c;
    es::convert_dtype(from, to).run(g, c);
    auto inputs = laws::tame_inputs(seed);
    for (auto& t : inputs)
      if (t.scalar_type() == static_cast<at::ScalarType>(from))
        t = t.to(static_cast<at::ScalarType>(to));
    const auto after = run(g, seed, inputs);
    const es::node out(g, g.output_node());
    for (std::size_t i = 0; i != after.outputs.size(); ++i) {
      const auto &now = after.outputs[i], &was = before.outputs[i];
      CHECK(static_cast<int>(now.scalar_type()) == static_cast<int>(out.arg(i).as_value().tensor().dtype));
      converted += now.scalar_type() != was.scalar_type();
      if (now.scalar_type() != was.scalar_type())
        CHECK(static_cast<int>(was.scalar_type()) == static_cast<int>(from));
      const double gap = es::gap_between(now.to(was.scalar_type()), was);
      if (gap > 1)
        FAIL_CHECK("seed " << seed << ": output " << i << " is " << gap << " times the tolerance off\n"
                           << text << "\n"
                           << es::to_text(g, "training_ir") << was << now);
    }
  }
  CHECK(ran > 500);
  CHECK(converted > 300);
}
