// SPDX-License-Identifier: BSL-1.0
// Numeric validation: a pipeline's graph is run before the first pass and after every one that changed it, on
// the same inputs and the same random numbers, and the first pass whose graph gives other numbers is named.
// Nodes that both graphs have by name are compared as well, so that the place is known too.
#pragma once

#include <espalier/ir/naming.hpp>
#include <espalier/ir/view.hpp>
#include <espalier/pipeline/instrument.hpp>
#include <espalier/program/interpreter.hpp>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/allclose.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace espalier {

/// How far two results may differ: `|a - b| <= absolute + relative * |b|`, and both NaN counts as equal.
struct tolerance {
  double relative = 1e-4, absolute = 1e-5;
};

/// How far two tensors are apart, as a multiple of what a tolerance allows: up to 1 is fine; infinity when
/// shapes or element types differ.
inline double gap_between(const at::Tensor& a, const at::Tensor& b, const tolerance& t = {}) {
  constexpr double far = std::numeric_limits<double>::infinity();
  if (a.defined() != b.defined())
    return far;
  if (!a.defined())
    return 0;
  if (a.sizes() != b.sizes() || a.scalar_type() != b.scalar_type())
    return far;
  if (a.numel() == 0)
    return 0;
  const auto wide = at::isComplexType(a.scalar_type()) ? at::kComplexDouble : at::kDouble;
  const at::Tensor x = a.detach().to(at::kCPU, wide), y = b.detach().to(at::kCPU, wide);
  const at::Tensor same = (x == y) | (x.isnan() & y.isnan());
  const at::Tensor relative = (x - y).abs() / (t.absolute + t.relative * y.abs());
  const double worst = at::where(same, at::zeros({}, relative.options()), relative).max().item<double>();
  return worst == worst ? worst : far; // NaN against a number
}

/// Compares a pipeline's results before and after each of its passes.
class numeric_validation : public instrument {
public:
  /// What one pass did to the results: multiples of the tolerance, 0 for bit-equal results.
  struct row {
    std::string pass;
    double gap = 0;         ///< the worst output
    std::size_t output = 0; ///< which output that is
    std::string first_node; ///< the first node beyond the tolerance that both graphs have; empty: none
    double first_node_gap = 0;
  };

  /// `placeholders` are one value a placeholder: `program.placeholder_values(inputs)`. They are copied for
  /// every run, so that graphs that write to them do no harm.
  explicit numeric_validation(std::vector<c10::IValue> placeholders, tolerance t = {}, std::uint64_t seed = 0)
      : numeric_validation([v = std::move(placeholders)] { return v; }, t, seed) {}
  /// For passes that change what the inputs of a graph are, such as constant folding: asks for the values
  /// anew before each run.
  explicit numeric_validation(std::function<std::vector<c10::IValue>()> placeholders, tolerance t = {},
                              std::uint64_t seed = 0)
      : inputs_(std::move(placeholders)), tolerance_(t), seed_(seed) {}

  void before(const stage_info&, const graph_storage& g) {
    if (!started_)
      set_reference(g);
  }
  /// Throws `error` (verification) when the results are beyond the tolerance.
  void after(const stage_info& s, const graph_storage& g, const pass_result& r) {
    if (s.composite || !r.changed())
      return;
    auto now = run(g);
    row out{std::string(s.name), 0, 0, {}, 0};
    if (now.outputs.size() != reference_.outputs.size())
      out.gap = std::numeric_limits<double>::infinity();
    for (std::size_t i = 0; i != std::min(now.outputs.size(), reference_.outputs.size()); ++i)
      if (const double gap = gap_of(now.outputs[i], reference_.outputs[i]); gap > out.gap) {
        out.gap = gap;
        out.output = i;
      }
    for (const auto& [name, value] : now.nodes)
      if (const auto was = last_.by_name.find(name); was != last_.by_name.end())
        if (const double gap = gap_of(value, last_.nodes[was->second].second); gap > 1) {
          out.first_node = name;
          out.first_node_gap = gap;
          break;
        }
    rows_.push_back(out);
    last_ = std::move(now);
    if (out.gap > 1)
      fail(error_kind::verification,
           "the pass changes the results: output " + std::to_string(out.output) + " is " +
               std::to_string(out.gap) + " times beyond the tolerance",
           out.first_node.empty() ? std::string()
                                  : "first at node '" + out.first_node + "', " +
                                        std::to_string(out.first_node_gap) + " times the tolerance",
           "bisect the pipeline to find the rewrite");
  }

  const std::vector<row>& rows() const noexcept { return rows_; }

  /// Takes a graph's results as those that others are compared with; `before` does it by itself.
  void set_reference(const graph_storage& g) {
    started_ = true;
    reference_ = run(g);
    last_ = reference_;
  }
  /// How far a graph's outputs are from the reference, as a multiple of the tolerance.
  double gap(const graph_storage& g) const {
    const auto now = run(g);
    if (now.outputs.size() != reference_.outputs.size())
      return std::numeric_limits<double>::infinity();
    double worst = 0;
    for (std::size_t i = 0; i != now.outputs.size(); ++i)
      worst = std::max(worst, gap_of(now.outputs[i], reference_.outputs[i]));
    return worst;
  }

private:
  struct results {
    std::vector<c10::IValue> outputs;
    std::vector<std::pair<std::string, c10::IValue>> nodes; // in program order
    std::unordered_map<std::string, std::size_t> by_name;
  };

  double gap_of(const c10::IValue& a, const c10::IValue& b) const {
    if (a.isTensor() && b.isTensor())
      return gap_between(a.toTensor(), b.toTensor(), tolerance_);
    if (a.isScalar() && b.isScalar())
      return gap_between(at::scalar_tensor(a.toScalar(), at::kDouble),
                         at::scalar_tensor(b.toScalar(), at::kDouble), tolerance_);
    return a.isNone() && b.isNone() ? 0 : std::numeric_limits<double>::infinity();
  }

  results run(const graph_storage& g) const {
    const at::NoGradGuard no_grad;
    auto generator = at::detail::getDefaultCPUGenerator();
    const at::Tensor state = generator.get_state();
    {
      const std::lock_guard lock(generator.mutex());
      generator.set_current_seed(seed_);
    }
    std::vector<c10::IValue> inputs;
    for (const auto& v : inputs_())
      inputs.push_back(v.isTensor() && v.toTensor().defined() ? c10::IValue(v.toTensor().detach().clone())
                                                              : v);
    results out;
    run_options o;
    o.on_node = [&](node n, std::span<const c10::IValue> values) {
      if (values.size() != 1 || n.name().empty())
        return;
      const auto& v = values[0];
      if (out.by_name.emplace(n.name(), out.nodes.size()).second)
        out.nodes.emplace_back(
            n.name(), v.isTensor() && v.toTensor().defined() ? c10::IValue(v.toTensor().clone()) : v);
    };
    try {
      out.outputs = interpreter(g).run(std::move(inputs), o);
    } catch (...) {
      generator.set_state(state);
      throw;
    }
    generator.set_state(state);
    return out;
  }

  std::function<std::vector<c10::IValue>()> inputs_;
  tolerance tolerance_;
  std::uint64_t seed_;
  bool started_ = false;
  results reference_, last_;
  std::vector<row> rows_;
};

} // namespace espalier
