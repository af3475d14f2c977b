// SPDX-License-Identifier: BSL-1.0
// The graphs that passes are measured on, as plain numbers: the same in every run, and the same for every
// peer. bench_passes builds ours of them and writes them to files, which the Python peers read
// (bench/peers/dag.py); bench_jit builds LibTorch's. Every value is a float tensor of sizes [2, 3], and every
// node says that it comes from one of a thousand lines of a source file, whoever holds the graph.
#pragma once

#include <cstdint>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace bench {

/// The operators, and how many operands each has. `one` is a constant tensor of ones.
enum class dag_op : std::uint8_t {
  one,
  add,
  sub,
  mul,
  maximum,
  minimum,
  neg,
  abs,
  exp,
  tanh,
  sin,
  cos,
  sqrt,
  erf,
  relu,
  floor,
  ceil,
  round,
  sign,
  trunc,
  sigmoid,
  log
};
inline constexpr std::string_view dag_names[] = {
    "one", "add",  "sub", "mul",  "maximum", "minimum", "neg",   "abs",  "exp",   "tanh",    "sin",
    "cos", "sqrt", "erf", "relu", "floor",   "ceil",    "round", "sign", "trunc", "sigmoid", "log"};
constexpr int arity(dag_op o) noexcept { return o == dag_op::one ? 0 : o <= dag_op::minimum ? 2 : 1; }
inline constexpr std::uint32_t dag_lines = 1'000;

/// Values are numbered: the inputs first, then one for each node.
struct dag {
  struct node {
    dag_op op;
    std::uint32_t a = 0, b = 0;
  };
  std::uint32_t inputs = 1;
  std::vector<node> nodes;
  std::vector<std::uint32_t> outputs;

  std::uint32_t call(dag_op op, std::uint32_t a = 0, std::uint32_t b = 0) {
    nodes.push_back({op, a, b});
    return inputs + static_cast<std::uint32_t>(nodes.size()) - 1;
  }
};

/// splitmix64 (Steele, Lea, Flood, 2014), seeded by what it is used for.
class dag_random {
public:
  explicit dag_random(std::uint64_t seed) : state_(seed) {}
  std::uint32_t below(std::uint32_t n) {
    std::uint64_t z = state_ += 0x9e37'79b9'7f4a'7c15u;
    z = (z ^ z >> 30) * 0xbf58'476d'1ce4'e5b9u;
    z = (z ^ z >> 27) * 0x94d0'49bb'1331'11ebu;
    return static_cast<std::uint32_t>((z ^ z >> 31) % n);
  }

private:
  std::uint64_t state_;
};

namespace dags {

/// What an exporter might give: operands from among the last 32 values; one node in eight repeats one of
/// those, one in eight multiplies by one, one in sixteen negates twice; what nobody uses in the end is dead.
inline dag random(std::uint32_t n, std::uint64_t seed) {
  dag d;
  d.inputs = 4;
  dag_random r(seed);
  d.nodes.reserve(n);
  const auto one = d.call(dag_op::one);
  const auto value = [&] {
    const std::uint32_t all = d.inputs + static_cast<std::uint32_t>(d.nodes.size());
    const std::uint32_t v = all - 1 - r.below(all < 32 ? all : 32);
    return v == one ? 0 : v;
  };
  while (d.nodes.size() < n)
    switch (r.below(16)) {
    case 0:
    case 1:
      d.nodes.push_back(d.nodes[d.nodes.size() - 1 - r.below(d.nodes.size() < 32 ? d.nodes.size() : 32)]);
      break;
    case 2:
    case 3:
      d.call(dag_op::mul, value(), one);
      break;
    case 4:
      d.call(dag_op::neg, d.call(dag_op::neg, value()));
      break;
    default: {
      const auto op = static_cast<dag_op>(1 + r.below(9)); // add ... tanh
      const auto a = value();
      d.call(op, a, arity(op) == 2 ? value() : 0);
    }
    }
  const auto last = d.inputs + static_cast<std::uint32_t>(d.nodes.size()) - 1;
  d.outputs = {last - 3, last - 2, last - 1, last};
  return d;
}
inline dag random(std::uint32_t n) { return random(n, 1); }
/// B1: every node adds to the one before it another one some way back.
inline dag chain(std::uint32_t n) {
  dag d;
  std::uint32_t v = 0, back = 0;
  for (std::uint32_t i = 0; i != n; ++i) {
    const auto y = d.call(dag_op::add, v, back);
    if (i % 7 == 0)
      back = v;
    v = y;
  }
  d.outputs = {v};
  return d;
}
/// B2: two chains of the same calls.
inline dag duplicates(std::uint32_t n) {
  dag d;
  std::uint32_t a = 0, b = 0;
  for (std::uint32_t i = 0; i != n / 2; ++i) {
    a = d.call(dag_op::add, a, 0);
    b = d.call(dag_op::add, b, 0);
  }
  d.outputs = {d.call(dag_op::mul, a, b)};
  return d;
}
/// One call N times, summed up.
inline dag identical(std::uint32_t n) {
  dag d;
  std::uint32_t sum = 0;
  for (std::uint32_t i = 0; i != n / 2; ++i)
    sum = d.call(dag_op::add, sum, d.call(dag_op::exp, 0));
  d.outputs = {sum};
  return d;
}
/// B3: one value that every node uses.
inline dag users(std::uint32_t n) {
  dag d;
  std::uint32_t v = 0;
  for (std::uint32_t i = 0; i != n; ++i)
    v = d.call(dag_op::sub, 0, v);
  d.outputs = {v};
  return d;
}
/// B4: nothing of a chain is used.
inline dag dead(std::uint32_t n) {
  dag d = chain(n);
  d.outputs = {0};
  return d;
}
/// A chain N deep, which canonicalisation takes away.
inline dag deep(std::uint32_t n) {
  dag d;
  std::uint32_t v = 0;
  for (std::uint32_t i = 0; i != n; ++i)
    v = d.call(dag_op::neg, v);
  d.outputs = {v};
  return d;
}
/// N edits that all give one value one more user.
inline dag edits(std::uint32_t n) {
  dag d;
  const auto one = d.call(dag_op::one);
  std::uint32_t v = 0;
  for (std::uint32_t i = 0; i != n / 2; ++i)
    v = d.call(dag_op::sub, d.call(dag_op::mul, 0, one), v);
  d.outputs = {v};
  return d;
}
/// As many inputs as nodes.
inline dag inputs(std::uint32_t n) {
  dag d;
  d.inputs = n;
  std::uint32_t v = 0;
  for (std::uint32_t i = 0; i != n; ++i)
    v = d.call(dag_op::add, i, v);
  d.outputs = {v};
  return d;
}
/// B5: transformer blocks, each of eight weights and forty-two calls, in which products stand for matrix
/// products. As exporters write them: every block computes the mask anew, scales by one, and makes attention
/// weights that nobody reads.
inline dag transformer(std::uint32_t n) {
  constexpr std::uint32_t weights = 8, calls = 42;
  const std::uint32_t blocks = n < weights + calls ? 1 : n / (weights + calls);
  dag d;
  d.inputs = 1 + blocks * weights;
  const auto one = d.call(dag_op::one);
  std::uint32_t x = 0;
  const auto norm = [&](std::uint32_t v, std::uint32_t w) {
    const auto centred = d.call(dag_op::sub, v, d.call(dag_op::tanh, v));
    const auto square = d.call(dag_op::mul, centred, centred);
    const auto scale = d.call(dag_op::exp, d.call(dag_op::neg, square));
    return d.call(dag_op::mul, d.call(dag_op::mul, centred, scale), w);
  };
  for (std::uint32_t b = 0; b != blocks; ++b) {
    const std::uint32_t w = 1 + b * weights;
    const auto mask = d.call(dag_op::exp, d.call(dag_op::neg, 0));
    const auto y = norm(x, w);
    const auto q = d.call(dag_op::mul, y, w + 1), k = d.call(dag_op::mul, y, w + 2);
    const auto v = d.call(dag_op::mul, y, w + 3);
    const auto scores = d.call(dag_op::add, d.call(dag_op::mul, d.call(dag_op::mul, q, k), one), mask);
    const auto top = d.call(dag_op::maximum, scores, d.call(dag_op::neg, scores));
    const auto e = d.call(dag_op::exp, d.call(dag_op::sub, scores, top));
    const auto sum = d.call(dag_op::add, e, d.call(dag_op::tanh, e));
    const auto p = d.call(dag_op::mul, e, d.call(dag_op::exp, d.call(dag_op::neg, sum)));
    d.call(dag_op::abs, d.call(dag_op::mul, p, one));
    const auto o = d.call(dag_op::mul, d.call(dag_op::mul, p, v), w + 4);
    const auto r = d.call(dag_op::add, x, o);
    const auto up = d.call(dag_op::mul, norm(r, w + 5), w + 6);
    const auto gelu = d.call(dag_op::mul, up, d.call(dag_op::tanh, d.call(dag_op::mul, up, up)));
    x = d.call(dag_op::add, r, d.call(dag_op::mul, gelu, w + 7));
  }
  d.outputs = {x};
  return d;
}
/// B7: a chain of adds in which each tenth call is another one, for a partitioner that takes adds.
inline dag partition(std::uint32_t n) {
  dag d = chain(n);
  for (std::uint32_t i = 9; i < n; i += 10)
    d.nodes[i].op = dag_op::maximum;
  return d;
}
/// For the fifty rules of bench/fifty_rules.hpp: a chain of unary calls, of which every third
/// is the root of a match.
inline dag pairs(std::uint32_t n) {
  constexpr dag_op outer[] = {dag_op::sin, dag_op::cos, dag_op::exp, dag_op::sqrt, dag_op::erf};
  dag d;
  dag_random r(2);
  std::uint32_t v = 0;
  for (std::uint32_t i = 0; i < n; i += 3) {
    const auto inner = r.below(10);
    v = d.call(inner < 2 ? static_cast<dag_op>(static_cast<int>(dag_op::neg) + static_cast<int>(inner))
                         : static_cast<dag_op>(static_cast<int>(dag_op::relu) + static_cast<int>(inner) - 2),
               v);
    v = d.call(outer[r.below(5)], v);
    v = d.call(dag_op::tanh, v);
  }
  d.outputs = {v};
  return d;
}

struct named {
  std::string_view name;
  dag (*make)(std::uint32_t);
};
inline constexpr named all[] = {{"random", random},
                                {"chain", chain},
                                {"duplicates", duplicates},
                                {"identical", identical},
                                {"users", users},
                                {"dead", dead},
                                {"deep", deep},
                                {"edits", edits},
                                {"inputs", inputs},
                                {"transformer", transformer},
                                {"partition", partition},
                                {"pairs", pairs}};

inline dag make(std::string_view name, std::int64_t n) {
  for (const auto& d : all)
    if (d.name == name)
      return d.make(static_cast<std::uint32_t>(n));
  throw std::invalid_argument("no graph is called " + std::string(name));
}

} // namespace dags

/// A file of lines: the number of inputs, the outputs, then an operator and its operands for each node.
inline void write(const dag& d, const std::string& path) {
  std::ofstream to(path);
  to << d.inputs << '\n';
  for (auto v : d.outputs)
    to << v << ' ';
  to << '\n';
  for (const auto& n : d.nodes) {
    to << dag_names[static_cast<int>(n.op)];
    if (arity(n.op) > 0)
      to << ' ' << n.a;
    if (arity(n.op) > 1)
      to << ' ' << n.b;
    to << '\n';
  }
}

} // namespace bench
