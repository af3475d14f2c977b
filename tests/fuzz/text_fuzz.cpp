// SPDX-License-Identifier: BSL-1.0
// A mutation fuzzer of the textual form. Whatever a text holds, reading it ends in a graph
// that prints, hashes, draws, is verified and reads back as the same text, or in one `espalier::error`.
#include "options.hpp"

#include <espalier/ir/clone.hpp>
#include <espalier/ir/dialect.hpp>
#include <espalier/ir/dot.hpp>
#include <espalier/ir/hash.hpp>
#include <espalier/ir/text_parser.hpp>
#include <espalier/ir/verify.hpp>
#include <espalier/passes/cse.hpp>
#include <espalier/passes/dce.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace {

const std::string_view corpus[] = {
    "graph training_ir {\n  %x = placeholder : f32[2, 3]\n  %w = placeholder parameter : f32[4, "
    "3]{requires_grad}\n"
    "  %y = aten.linear.default(%x, %w, None) : f32[2, 4] #0\n"
    "  %s: [%a, %b] = aten.split.Tensor(%y, 2, 1) : f32[2, 2]{strides=[4, 1]}, f32[2, 2]{strides=[4, 1], "
    "offset=2}\n"
    "  %m, %i = aten.max.dim(%a, dim=1) : f32[2], ?\n  return %a, %m, 3, None\n  #0 = {\"nn_module_stack\": "
    "\"fc,fc,Linear\"}\n}\n",
    "graph {\n  graph @f {\n    %a = placeholder : f32[s0, 2*s0 + 1]\n    return %a\n  }\n  %x = placeholder "
    "buffer : i64[s0]{device=\"cuda:0\", layout=sparse_coo}\n"
    "  %r = higher_order.cond(%x, @f, graph(0), [%x]) : SymInt(s0 + 1, hint=4)\n  return %r\n}\n",
    "graph aten_ir {\n  %u = my.op({\"a\": 1, \"b\": [None, 1.0, -inf, nan, nan(0x7ff8000000000001)]}, "
    "complex(1.0, -2), opaque(\"x\\n\\x01\"), "
    "layout.strided, memory_format.preserve_format, op(aten.relu), _, True, dtype(77), device(99), \"s\", "
    "i64, sym(Max(1, s0))) : object(\"c\")\n"
    "  %z = aten.zeros([2, sym(s77//2)], dtype=f64, device=device(\"cpu\"))\n  %\"odd name\" = "
    "\"a.b::c.d\"() : token\n"
    "  %g = get_attr \"a.b\"\n  aten._assert_async(%z)\n  return\n}\n",
};
const std::string_view pieces[] = {"%x",
                                   "%a",
                                   "[",
                                   "]",
                                   "{",
                                   "}",
                                   "(",
                                   ")",
                                   ",",
                                   ":",
                                   "=",
                                   "#0",
                                   "#1 = {}",
                                   "@f",
                                   "None",
                                   "_",
                                   "1e400",
                                   "-9223372036854775808",
                                   "9223372036854775807",
                                   "99999999999999999999",
                                   "nan(0x7ff0000000000000)",
                                   "\"",
                                   "\\x",
                                   "f32[",
                                   "SymInt(",
                                   "SymFloat(1, hint=1.0)",
                                   "s0*s0",
                                   "s0**s0",
                                   "[[[[[[[[",
                                   "((((((((",
                                   "graph @f {",
                                   "placeholder",
                                   "return",
                                   "strides=[1]",
                                   "offset=",
                                   "// c\n",
                                   "\n",
                                   "dtype(",
                                   "device(\"cuda:127\")",
                                   "hop ",
                                   "call ",
                                   "9223372036854775807, 9223372036854775807"};

std::string mutate(std::string s, std::mt19937_64& random) {
  const auto below = [&](std::size_t n) { return n ? static_cast<std::size_t>(random() % n) : 0; };
  for (std::size_t k = 1 + below(6); k-- > 0;) {
    const std::size_t at = below(s.size() + 1), len = std::min(below(24), s.size() - at);
    switch (below(6)) {
    case 0:
      s.erase(at, len);
      break;
    case 1:
      s.insert(at, pieces[below(std::size(pieces))]);
      break;
    case 2:
      if (at < s.size())
        s[at] = static_cast<char>(random());
      break;
    case 3:
      s.insert(below(s.size() + 1), s.substr(at, len));
      break;
    case 4:
      s.replace(at, len, pieces[below(std::size(pieces))]);
      break;
    case 5: {
      const std::string_view other = corpus[below(std::size(corpus))];
      const std::size_t from = below(other.size());
      s.insert(at, other.substr(from, below(80)));
    }
    }
  }
  if (s.size() > 4096)
    s.resize(4096);
  return s;
}

bool check(const std::string& text) {
  espalier::parsed_text first;
  try {
    first = espalier::parse_text(text);
  } catch (const espalier::error& e) {
    return !e.cause().empty();
  }
  const std::string once = espalier::to_text(first.graph, first.dialect);
  try {
    const auto second = espalier::parse_text(once);
    const std::string twice = espalier::to_text(second.graph, second.dialect);
    if (once != twice) {
      std::fprintf(stderr, "a text does not survive a round trip:\n%s\nbecomes\n%s\n", once.c_str(),
                   twice.c_str());
      return false;
    }
    if (espalier::structural_hash(first.graph) != espalier::structural_hash(second.graph)) {
      std::fprintf(stderr, "the hash changes in a round trip:\n%s\n", once.c_str());
      return false;
    }
  } catch (const espalier::error& e) {
    std::fprintf(stderr, "a printed text is not readable: %s\n%s\nfrom\n%s\n", e.what(), once.c_str(),
                 text.c_str());
    return false;
  }
  (void)espalier::print_readable(first.graph);
  (void)espalier::print_short(first.graph);
  (void)espalier::to_dot(first.graph);
  (void)espalier::verify<espalier::aten_ir>(first.graph);
  espalier::cse::run(first.graph);
  espalier::dce::run(first.graph);
  const auto compact = espalier::compacted(first.graph);
  return espalier::structural_hash(compact) == espalier::structural_hash(first.graph);
}

} // namespace

namespace {

/// Runs for that long; 0 when nothing was found.
int fuzz(unsigned long long seed, double seconds) {
  std::mt19937_64 random(seed);
  std::vector<std::string> pool(std::begin(corpus), std::end(corpus));
  for (auto& s : pool)
    if (!check(s))
      return 1;
  const auto start = std::chrono::steady_clock::now();
  std::size_t runs = 0, accepted = 0;
  while (std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() < seconds) {
    std::string s = mutate(pool[random() % pool.size()], random);
    if (!check(s)) {
      std::fprintf(stderr, "seed %llu, run %zu:\n%s\n", seed, runs, s.c_str());
      return 1;
    }
    ++runs;
    try {
      espalier::parse_text(s);
      ++accepted;
      if (pool.size() < 512)
        pool.push_back(std::move(s));
      else
        pool[std::size(corpus) + random() % (pool.size() - std::size(corpus))] = std::move(s);
    } catch (const espalier::error&) {
    }
  }
  std::printf("text_fuzz: %zu texts, %zu of them accepted, nothing found (seed %llu)\n", runs, accepted,
              seed);
  return 0;
}

} // namespace

TEST_CASE("the textual parser survives mutated texts") {
  CHECK(fuzz(fuzz_options::seed(), fuzz_options::seconds()) == 0);
}
