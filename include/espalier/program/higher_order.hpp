// SPDX-License-Identifier: BSL-1.0
// What the interpreter does for higher-order operators (`torch/_higher_order_ops`): control flow, and regions
// that run under a mode.
#pragma once

#include <espalier/program/functionalized.hpp>
#include <espalier/program/higher_order_call.hpp>

#include <ATen/Functions.h>
#include <ATen/autocast_mode.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace espalier::detail {

template <class = when_used>
bool truth_of(const c10::IValue& v) {
  return v.isTensor() ? v.toTensor().item<bool>() : py_number(v).truth();
}
/// The arguments from the `first` on: operands given one by one.
template <class = when_used>
std::vector<c10::IValue> rest(const higher_order_call& c, std::size_t first) {
  return std::vector<c10::IValue>(
      c.args.begin() + static_cast<std::ptrdiff_t>(std::min(first, c.args.size())), c.args.end());
}
template <class = when_used>
void append(std::vector<c10::IValue>& to, const std::vector<c10::IValue>& more) {
  to.insert(to.end(), more.begin(), more.end());
}

/// cond(predicate, true graph, false graph, operands)
template <class = when_used>
std::vector<c10::IValue> run_cond(higher_order_call& c) {
  return c.run_graph(truth_of(c.args[0]) ? 1 : 2, c.list(3));
}

/// while_loop(condition graph, body graph, carried, additional)
template <class = when_used>
std::vector<c10::IValue> run_while_loop(higher_order_call& c) {
  auto carried = c.list(2);
  const auto additional = c.args.size() > 3 ? c.list(3) : std::vector<c10::IValue>{};
  const auto with_additional = [&] {
    auto in = carried;
    append(in, additional);
    return in;
  };
  while (truth_of(c.run_graph(0, with_additional()).at(0)))
    carried = c.run_graph(1, with_additional());
  return carried;
}

/// map_impl(graph, mapped, shared): the graph on each slice of the mapped tensors, results stacked.
template <class = when_used>
std::vector<c10::IValue> run_map(higher_order_call& c) {
  const auto mapped = c.list(1);
  const auto shared = c.list(2);
  if (mapped.empty())
    fail(error_kind::verification, "map has nothing to map over", "", "run verify on the program");
  const auto n = mapped[0].toTensor().size(0);
  std::vector<std::vector<at::Tensor>> rows;
  for (std::int64_t i = 0; i != n; ++i) {
    std::vector<c10::IValue> in;
    for (const auto& m : mapped)
      in.emplace_back(m.toTensor().select(0, i));
    append(in, shared);
    const auto out = c.run_graph(0, std::move(in));
    rows.resize(out.size());
    for (std::size_t k = 0; k != out.size(); ++k)
      rows[k].push_back(out[k].toTensor());
  }
  std::vector<c10::IValue> stacked;
  for (const auto& r : rows)
    stacked.emplace_back(at::stack(r));
  return stacked;
}

/// scan(graph, init, xs, additional): carries the first results on, stacks the others.
template <class = when_used>
std::vector<c10::IValue> run_scan(higher_order_call& c) {
  auto carried = c.list(1);
  const auto xs = c.list(2);
  const auto additional = c.args.size() > 3 ? c.list(3) : std::vector<c10::IValue>{};
  if (xs.empty())
    fail(error_kind::verification, "scan has nothing to scan", "", "run verify on the program");
  const auto n = xs[0].toTensor().size(0);
  std::vector<std::vector<at::Tensor>> rows;
  for (std::int64_t i = 0; i != n; ++i) {
    auto in = carried;
    for (const auto& x : xs)
      in.emplace_back(x.toTensor().select(0, i));
    append(in, additional);
    auto out = c.run_graph(0, std::move(in));
    const std::size_t k = carried.size();
    rows.resize(out.size() - k);
    for (std::size_t j = 0; j != k; ++j)
      carried[j] = out[j];
    for (std::size_t j = k; j != out.size(); ++j)
      rows[j - k].push_back(out[j].toTensor());
  }
  for (const auto& r : rows)
    carried.emplace_back(at::stack(r));
  return carried;
}

/// associative_scan(graph, xs, additional): the running combination of the slices, first with second and so
/// on.
template <class = when_used>
std::vector<c10::IValue> run_associative_scan(higher_order_call& c) {
  const auto xs = c.list(1);
  const auto additional = c.args.size() > 2 ? c.list(2) : std::vector<c10::IValue>{};
  if (xs.empty())
    fail(error_kind::verification, "associative_scan has nothing to scan", "", "run verify on the program");
  const auto slices = [&](std::int64_t i) {
    std::vector<c10::IValue> out;
    for (const auto& x : xs)
      out.emplace_back(x.toTensor().select(0, i));
    return out;
  };
  const auto n = xs[0].toTensor().size(0);
  if (n == 0)
    return xs;
  auto running = slices(0);
  std::vector<std::vector<at::Tensor>> rows(xs.size());
  for (std::int64_t i = 0; i != n; ++i) {
    if (i != 0) {
      append(running, slices(i));
      append(running, additional);
      running = c.run_graph(0, std::move(running));
    }
    for (std::size_t k = 0; k != rows.size(); ++k)
      rows[k].push_back(running.at(k).toTensor());
  }
  std::vector<c10::IValue> out;
  for (const auto& r : rows)
    out.emplace_back(at::stack(r));
  return out;
}

/// wrap_with_set_grad_enabled(enabled, graph, operands...)
template <class = when_used>
std::vector<c10::IValue> run_with_grad_mode(higher_order_call& c) {
  const c10::AutoGradMode guard(truth_of(c.args[0]));
  return c.run_graph(1, rest(c, 2));
}

/// Autocast as a region; restored whatever happens inside.
class autocast_region {
public:
  template <class = when_used>
  autocast_region(c10::DeviceType d, const c10::IValue& dtype, bool enabled, const c10::IValue& cache)
      : device_(d), was_enabled_(at::autocast::is_autocast_enabled(d)),
        was_type_(at::autocast::get_autocast_dtype(d)),
        was_cached_(at::autocast::is_autocast_cache_enabled()) {
    at::autocast::set_autocast_enabled(d, enabled);
    if (dtype.isInt())
      at::autocast::set_autocast_dtype(d, static_cast<c10::ScalarType>(dtype.toInt()));
    if (cache.isBool())
      at::autocast::set_autocast_cache_enabled(cache.toBool());
    at::autocast::increment_nesting();
  }
  autocast_region(const autocast_region&) = delete;
  autocast_region& operator=(const autocast_region&) = delete;
  ~autocast_region() {
    if (at::autocast::decrement_nesting() == 0)
      at::autocast::clear_cache();
    at::autocast::set_autocast_enabled(device_, was_enabled_);
    at::autocast::set_autocast_dtype(device_, was_type_);
    at::autocast::set_autocast_cache_enabled(was_cached_);
  }

private:
  c10::DeviceType device_;
  bool was_enabled_;
  c10::ScalarType was_type_;
  bool was_cached_;
};

/// wrap_with_autocast(device type, dtype, enabled, cache enabled, graph, operands...)
template <class = when_used>
std::vector<c10::IValue> run_with_autocast(higher_order_call& c) {
  const autocast_region region(c10::Device(c.args[0].toStringRef()).type(), c.args[1], truth_of(c.args[2]),
                               c.args[3]);
  return c.run_graph(4, rest(c, 5));
}

/// An operator that runs its graph as it is: graph, then operands. `skip` arguments stand between them.
template <std::size_t Skip>
std::vector<c10::IValue> run_plain(higher_order_call& c) {
  return c.run_graph(0, rest(c, 1 + Skip));
}

/// What to do about a higher-order operator that LibTorch alone cannot run.
inline std::string higher_order_cure(std::string_view name) {
  if (name.starts_with("triton_kernel"))
    return "a Triton kernel is Python code compiled at run time: give the model an operator that C++ "
           "registers, "
           "or run the program in Python";
  if (name.starts_with("flex_attention"))
    return "call scaled_dot_product_attention in the model instead, or run the program in Python";
  return "call run_decompositions() in Python before saving, which lowers some, or run the program in Python";
}

inline higher_order_run find_higher_order(std::string_view name) {
  struct row {
    std::string_view name;
    higher_order_run run;
  };
  static constexpr row table[] = {
      {"cond", run_cond},
      {"while_loop", run_while_loop},
      {"map_impl", run_map},
      {"map", run_map},
      {"scan", run_scan},
      {"associative_scan", run_associative_scan},
      {"wrap_with_set_grad_enabled", run_with_grad_mode},
      {"wrap_with_autocast", run_with_autocast},
      {"wrap", run_plain<0>},
      {"strict_mode", [](higher_order_call& c) { return c.run_graph(0, c.list(1)); }},
      {"tag_activation_checkpoint", run_plain<0>},
      {"wrap_activation_checkpoint", run_plain<0>},
      {"invoke_subgraph", run_plain<1>},
      {"auto_functionalized", run_auto_functionalized},
      {"auto_functionalized_v2", run_auto_functionalized_v2},
      {"with_effects", run_with_effects},
      {"call_torchbind", run_call_torchbind},
      {"print", [](higher_order_call& c) { return run_print(arguments_of(c, 0)); }},
  };
  for (const auto& r : table)
    if (r.name == name)
      return r.run;
  return nullptr;
}

} // namespace espalier::detail
