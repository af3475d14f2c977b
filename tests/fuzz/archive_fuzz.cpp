// SPDX-License-Identifier: BSL-1.0
// A mutation fuzzer of the archive reader. Small archives are made in the process and damaged: bytes,
// numbers, pieces moved and doubled, JSON text changed under a right checksum. Whatever comes, the reader
// gives an archive or an espalier::error; anything else (another exception, a sanitizer's report, a hang) is
// a finding. An archive that was read must also be written and read again; a program that becomes a graph
// must come back from it, and the graph be printed and verified.
#include "../archive/small_archive.hpp"
#include "options.hpp"

#include <espalier/archive/from_archive.hpp>
#include <espalier/archive/inspect.hpp>
#include <espalier/archive/to_archive.hpp>
#include <espalier/ir/dialect.hpp>
#include <espalier/ir/print.hpp>
#include <espalier/ir/text_parser.hpp>
#include <espalier/ir/verify.hpp>
#include <espalier/signature/verify.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace es = espalier;
namespace pt2 = espalier::pt2;

namespace {
using engine = std::mt19937_64;

std::size_t converted = 0; // programs that became graphs

std::size_t below(engine& e, std::size_t n) { return n ? std::size_t(e() % n) : 0; }

// Numbers at which readers break.
std::uint64_t nasty(engine& e) {
  static constexpr std::uint64_t values[] = {0,
                                             1,
                                             7,
                                             8,
                                             0x7f,
                                             0x80,
                                             0xff,
                                             0xffff,
                                             0x7fffffff,
                                             0x80000000,
                                             0xfffffffe,
                                             0xffffffff,
                                             0x7fffffffffffffff,
                                             0x8000000000000000,
                                             ~std::uint64_t(0)};
  return e() & 1 ? values[below(e, std::size(values))] : e() >> below(e, 64);
}

void mutate(engine& e, std::string& s) {
  if (s.empty())
    return s.assign("x"), void();
  auto at = below(e, s.size());
  auto length = std::min(s.size() - at, below(e, 1 + below(e, 64)));
  switch (e() % 7) {
  case 0:
    s[at] = char(e());
    break;
  case 1:
    s[at] = char(s[at] ^ (1 << e() % 8));
    break;
  case 2: {
    auto x = nasty(e);
    for (std::size_t i = 0, n = std::size_t(1) << e() % 4; i != n && at + i < s.size(); ++i)
      s[at + i] = char(x >> 8 * i);
    break;
  }
  case 3:
    s.erase(at, length);
    break;
  case 4:
    s.insert(below(e, s.size()), s.substr(at, length));
    break;
  case 5:
    s.resize(at);
    break;
  default: {
    auto to = below(e, s.size() - length + 1);
    auto piece = s.substr(at, length);
    s.replace(to, length, piece);
  }
  }
}

// Damages JSON by its tokens, so that the damage passes the parser and reaches the checks behind it.
void mutate_json(engine& e, std::string& s) {
  static constexpr const char* values[] = {"null",
                                           "true",
                                           "-1",
                                           "0",
                                           "9223372036854775807",
                                           "99999999999999999999",
                                           "1.5",
                                           "1e400",
                                           "NaN",
                                           "\"\"",
                                           "\"../../x\"",
                                           "\"\\ud800\"",
                                           "[]",
                                           "{}",
                                           "{\"as_int\": 3}",
                                           "{\"as_none\": true}",
                                           "[[[[[[[[[[]]]]]]]]]]"};
  if (e() % 3 == 0)
    return mutate(e, s);
  auto from = s.find(": ", below(e, s.size()));
  if (from == s.npos)
    return mutate(e, s);
  from += 2;
  try {
    es::json::reader r(std::string_view(s).substr(from));
    auto old = r.raw();
    s.replace(from, old.size(), values[below(e, std::size(values))]);
  } catch (const es::error&) {
    mutate(e, s);
  }
}

std::string pack(const std::vector<std::pair<std::string, std::string>>& records) {
  es::vector<std::byte> v;
  es::memory_output out(v);
  es::zip::writer z(out);
  for (auto& [name, data] : records)
    z.add(name, data);
  z.finish();
  return {reinterpret_cast<const char*>(v.data()), v.size()};
}

// Damages the contents of an archive whose container is sound.
std::string damaged_records(engine& e, const std::string& file) {
  es::zip::reader z(es::shared_bytes::borrow(file), "seed");
  std::vector<std::pair<std::string, std::string>> records;
  for (auto& r : z.entries())
    records.push_back({std::string(r.name), std::string(z.data(r).text())});
  for (auto n = 1 + below(e, 3); n-- != 0;) {
    auto& [name, data] = records[below(e, records.size())];
    if (name.ends_with(".json"))
      mutate_json(e, data);
    else
      mutate(e, data);
  }
  if (e() % 8 == 0)
    records.erase(records.begin() + std::ptrdiff_t(below(e, records.size())));
  return pack(records);
}

// A program that becomes a graph comes back as one that stays as it is, and nothing that looks at the graph
// breaks. What its tables say of values is there on the first way too.
void convert(const pt2::exported_program& p) {
  es::graph_and_info g;
  try {
    g = es::from_archive(p);
  } catch (const es::error&) {
    return;
  }
  ++converted;
  (void)es::print_readable(g.graph);
  (void)es::verify<es::training_ir>(g.graph);
  (void)es::verify_signature(g.graph, g.info);
  const auto once = es::to_archive(g.graph, g.info);
  const auto& table = p.graph_module.graph.tensor_values;
  for (const auto& e : table)
    if (const auto* now = once.graph_module.graph.tensor_values.find(e.key);
        !now || pt2::to_json(*now) != pt2::to_json(e.value))
      throw std::runtime_error("what the file says of '" + e.key + "' is lost: " + pt2::to_json(e.value));
  auto h = es::from_archive(once);
  const std::string first = pt2::to_json(once), second = pt2::to_json(es::to_archive(h.graph, h.info));
  if (first != second) {
    const auto at =
        std::mismatch(first.begin(), first.end(), second.begin(), second.end()).first - first.begin();
    const std::size_t from = at < 60 ? 0 : std::size_t(at) - 60;
    throw std::runtime_error("a program changes on its second way through a graph: " +
                             first.substr(from, 160) + "\nbecomes " + second.substr(from, 160));
  }
}

// True if the bytes were read as an archive.
bool attempt(const std::string& file) {
  try {
    pt2::inspect(es::shared_bytes::borrow(file), "fuzz");
  } catch (const es::error&) {
  }
  pt2::archive a;
  try {
    a = pt2::read_archive(es::shared_bytes::borrow(file), "fuzz",
                          file.size() % 2 ? pt2::verify::everything : pt2::verify::structure);
  } catch (const es::error&) {
    return false;
  }
  for (auto& m : a.models)
    convert(m.program);
  std::string copy;
  try {
    copy = small::bytes(a);
  } catch (const es::error&) {
    return true; // read, though it cannot be written: two payloads may contradict each other
  }
  if (small::bytes(small::read(copy)) != copy)
    throw std::runtime_error("the copy of the copy differs");
  return true;
}

/// A program with what programs have: symbolic sizes, several results, lists, a subgraph, tree specs, ranges.
pt2::exported_program program() {
  auto p = es::parse_text(R"(graph {
  graph @body {
    %a = placeholder : f32[s0, 4]
    %n = aten.neg.default(%a) : f32[s0, 4]
    return %n
  }
  %p_w = placeholder parameter : f32[4, 4]{requires_grad}
  %b_m = placeholder buffer : i64[]
  %c_t = placeholder constant_tensor : f32[4]
  %x = placeholder : f32[s0, 4]
  %k = placeholder : SymInt(3)
  %sym_size_int = aten.sym_size.int(%x, 0) : SymInt(s0)
  %linear = aten.linear.default(%x, %p_w, %c_t) : f32[s0, 4] #0
  %split: [%u, %v] = aten.split.Tensor(%linear, 2, 1) : f32[s0, 2]{strides=[4, 1]}, f32[s0, 2]{strides=[4, 1], offset=2}
  %max_1: %getitem, %getitem_1 = aten.max.dim(%u, 1, True) : f32[s0, 1], i64[s0, 1]
  %cat = aten.cat.default([%u, %v], 1) : f32[s0, 4]
  %view = aten.view.default(%cat, [%sym_size_int, 2, 2]) : f32[s0, 2, 2]
  %to = aten.to.dtype(%view, f64) : f64[s0, 2, 2]
  %zeros = aten.zeros.default([2], dtype=f32, device=device("cpu"), pin_memory=False) : f32[2]
  %index = aten.index.Tensor(%cat, [None, %getitem_1]) : f32[s0, 4]
  %sub: [%r] = higher_order.invoke_subgraph(@body, "body", %index) : f32[s0, 4]
  %add = aten.add.Tensor(%r, 0.5, alpha=2) : f32[s0, 4]
  return %add, %getitem
  #0 = {"nn_module_stack": "fc,fc,Linear", "stack_trace": "line 1"}
})");
  es::program_info info;
  const auto input = [&](es::input_kind kind, const char* name, const char* target) {
    es::input_spec s;
    s.kind = kind;
    s.arg.name = name;
    s.target = target;
    if (name[0] == 'k') {
      s.arg.form = es::io_form::constant;
      s.arg.value = std::int64_t{3};
    }
    info.signature.inputs.push_back(s);
  };
  input(es::input_kind::parameter, "p_w", "w");
  input(es::input_kind::buffer, "b_m", "m");
  input(es::input_kind::constant_tensor, "c_t", "t");
  input(es::input_kind::user_input, "x", "");
  input(es::input_kind::user_input, "k", "");
  for (const char* name : {"add", "getitem"}) {
    es::output_spec s;
    s.arg.name = name;
    info.signature.outputs.push_back(s);
  }
  info.ranges.push_back({"s0", 2, 64});
  es::module_call_signature call;
  call.in_spec = es::parse_tree_spec(
      R"([1, {"type": "builtins.tuple", "context": "null", "children_spec": [{"type": null, "context": null, "children_spec": []}]}])");
  call.out_spec = call.in_spec;
  call.inputs.push_back(info.signature.inputs[3].arg);
  call.outputs.push_back(info.signature.outputs[0].arg);
  info.module_calls.push_back({"", call});
  info.module_calls.push_back({"fc", std::nullopt});
  info.guards_code = {"L['x'].size()[0] >= 2"};
  info.opset_version["aten"] = 10;
  info.torch_version = "2.15.0";
  info.verifier = "TRAINING";
  return es::to_archive(p.graph, info);
}

/// 0 when nothing was found. A failing archive is left as archive_fuzz.found.
int fuzz(std::uint64_t seed, double seconds) {
  auto two = small::archive();
  two.models.push_back(small::model("second"));
  pt2::archive graph;
  graph.models.push_back(small::model("model"));
  graph.models[0].program = program();
  const std::string seeds[] = {small::bytes(small::archive()), small::bytes(two), small::bytes(graph),
                               small::bytes(graph), small::bytes(graph)};
  std::size_t tries = 0, accepted = 0;
  auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  std::string file;
  try {
    do {
      engine e(seed * 1'000'003 + tries);
      file = seeds[below(e, std::size(seeds))];
      if (e() % 2)
        file = damaged_records(e, file);
      else
        for (auto n = 1 + below(e, 4); n-- != 0;)
          mutate(e, file);
      accepted += attempt(file);
      ++tries;
    } while (std::chrono::steady_clock::now() < end);
  } catch (const std::exception& x) {
    std::printf("FOUND at seed %llu, try %zu: %s\n", static_cast<unsigned long long>(seed), tries, x.what());
    if (auto* f = std::fopen("archive_fuzz.found", "wb")) {
      std::fwrite(file.data(), 1, file.size(), f);
      std::fclose(f);
    }
    return 1;
  }
  std::printf(
      "archive_fuzz: seed %llu, %zu damaged archives, %zu still readable, %zu programs, nothing found\n",
      static_cast<unsigned long long>(seed), tries, accepted, converted);
  // a fuzzer whose inputs all fail, or all pass, tests nothing
  return accepted == 0 || accepted == tries || converted == 0;
}

} // namespace

TEST_CASE("damaged archives are read or refused, and nothing else happens") {
  CHECK(fuzz(fuzz_options::seed(), fuzz_options::seconds()) == 0);
}
