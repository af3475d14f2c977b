// SPDX-License-Identifier: BSL-1.0
// `device_move` and `convert_dtype` on whole programs: the state dict, the constants and the example inputs
// go with the graph. What shared memory before shares memory afterwards, so tied weights stay tied.
#pragma once

#include <espalier/bridge/types.hpp>
#include <espalier/pipeline/pass_context.hpp>
#include <espalier/pipeline/pass_result.hpp>
#include <espalier/program/program_base.hpp>
#include <espalier/signature/refresh.hpp>
#include <espalier/support/hash_map.hpp>

#include <ATen/ATen.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace espalier {

struct device_move;   // passes/device_move.hpp
struct convert_dtype; // passes/convert_dtype.hpp

namespace detail {

/// Converts tensors, each a leaf again with its sizes, strides and gradient. Those that share memory are
/// converted as one.
class joint_conversion {
public:
  /// A tensor that will be converted, or only may share memory with one. Called for all before the first
  /// conversion.
  template <class = when_used>
  void announce(const at::Tensor& t, bool converted) {
    if (!t.defined() || t.layout() != c10::kStrided || !t.has_storage())
      return;
    auto& m = memory_[t.storage().unsafeGetStorageImpl()];
    const auto [low, high] = extent(t);
    m.low = m.tensors == 0 ? low : std::min(m.low, low);
    m.high = std::max(m.high, high);
    m.mixed = m.mixed || (m.tensors != 0 && (m.type != t.scalar_type() || m.converted != converted));
    m.type = t.scalar_type();
    m.converted = converted;
    ++m.tensors;
  }

  /// `f` converts a tensor without gradient. `name` is for the error: unsupported, when tensors of several
  /// types share memory.
  template <class F>
  at::Tensor operator()(const at::Tensor& t, const std::string& name, F&& f) {
    auto& done = done_[t.unsafeGetTensorImpl()];
    if (done.defined())
      return done;
    const at::NoGradGuard no_grad;
    auto* m = t.layout() == c10::kStrided && t.has_storage() ? &memory_.at(t.storage().unsafeGetStorageImpl())
                                                             : nullptr;
    at::Tensor r;
    if (!m || (m->tensors == 1 && t.is_non_overlapping_and_dense())) {
      r = f(t.detach());
    } else {
      if (m->mixed)
        fail(error_kind::unsupported,
             "a tensor shares memory with one of another element type, or with one that stays as it is",
             "tensor '" + name + "'", "give the program a copy of one of them first");
      if (!m->flat.defined())
        m->flat = f(t.detach().as_strided({m->high - m->low}, {1}, m->low));
      r = m->flat.as_strided(t.sizes(), t.strides(), t.storage_offset() - m->low);
    }
    r = r.detach();
    r.set_requires_grad(t.requires_grad());
    if (t.is_leaf() && t.grad().defined())
      r.mutable_grad() = f(t.grad().detach());
    return done = r;
  }

private:
  struct memory {
    std::int64_t low = 0, high = 0; // elements that some tensor reaches
    std::size_t tensors = 0;
    bool mixed = false, converted = false;
    at::ScalarType type = at::ScalarType::Undefined;
    at::Tensor flat; // those elements, converted
  };
  template <class = when_used>
  static std::pair<std::int64_t, std::int64_t> extent(const at::Tensor& t) {
    std::int64_t high = t.storage_offset() + (t.numel() != 0);
    for (std::int64_t d = 0; d != t.dim() && t.numel() != 0; ++d)
      high += (t.size(d) - 1) * t.stride(d);
    return {t.storage_offset(), high};
  }
  hash_map<const c10::StorageImpl*, memory> memory_;
  hash_map<const c10::TensorImpl*, at::Tensor> done_;
};

/// Converts the tensors of a program that `wanted` picks, by `f(tensor, name)`, and then its graph, by
/// `edit(graph)`, which gives what it did. All or nothing.
template <class Wanted, class F, class Edit>
pass_result convert_program(program_base& p, Wanted&& wanted, F&& f, Edit&& edit) {
  joint_conversion convert;
  const auto picked = [&](const at::Tensor& t) { return t.defined() && wanted(t); };
  for (const auto* dict : {&p.state_dict(), &p.constants()})
    for (const auto& e : *dict)
      convert.announce(e.tensor, picked(e.tensor));
  for (const auto& v : p.example_inputs().leaves)
    if (v.isTensor())
      convert.announce(v.toTensor(), picked(v.toTensor()));

  const bool closed = p.example_inputs().leaves.empty() && !p.example_inputs().unread.empty();
  std::size_t changed = 0;
  const auto converted = [&](const at::Tensor& t, const std::string& name) {
    ++changed;
    return convert(t, name, [&](const at::Tensor& x) { return f(x, name); });
  };
  state_dict state = p.state_dict(), constants = p.constants();
  for (auto* dict : {&state, &constants})
    for (std::size_t i = 0; i != dict->size(); ++i) {
      const state_entry e = (*dict)[i];
      if (picked(e.tensor))
        dict->set(e.name, converted(e.tensor, e.name), e.is_parameter);
    }
  example_inputs examples = p.example_inputs();
  for (std::size_t i = 0; i != examples.leaves.size(); ++i)
    if (auto& v = examples.leaves[i]; v.isTensor() && picked(v.toTensor())) {
      v = converted(v.toTensor(), "example input " + std::to_string(i));
      examples.pickle = {}; // made anew from the leaves when the program is saved
    }

  graph_storage& g = p.storage();
  const graph_storage before = g;
  pass_result done;
  try {
    done = edit(g);
    if (closed && (changed != 0 || done.changed()))
      fail(error_kind::unsupported,
           "the example inputs cannot be converted with the program: " + examples.unread, "example inputs",
           "drop them first: program.example_inputs() = {}");
    refresh_signature(g, p.info()); // outputs may be casts now
  } catch (...) {
    g = before;
    throw;
  }
  p.state_dict() = std::move(state);
  p.constants() = std::move(constants);
  p.example_inputs() = std::move(examples);
  done.rewritten += changed;
  return done;
}

} // namespace detail

/// What `device_move::run` does on a program.
template <std::same_as<device_move> Pass>
pass_result run_on_program(program_base& p, const Pass& pass) {
  return detail::convert_program(
      p, [&](const at::Tensor& t) { return pass.moves(from_c10(t.device())); },
      [&](const at::Tensor& t, const std::string& name) {
        try {
          return t.to(to_c10(pass.to));
        } catch (const c10::Error& e) {
          // behind the first sentence, LibTorch may list all that it knows of every device
          const std::string_view what = e.what_without_backtrace();
          fail(error_kind::unsupported, std::string(what.substr(0, what.find(". "))), "tensor '" + name + "'",
               "name a device that this process has");
        }
      },
      [&](graph_storage& g) { return pass.run(g); });
}

/// What `convert_dtype::run` does on a program. A finite number of the state that the new type has no finite
/// value for is an `error` (unsupported).
template <std::same_as<convert_dtype> Pass>
pass_result run_on_program(program_base& p, const Pass& pass, pass_context& c) {
  return detail::convert_program(
      p, [&](const at::Tensor& t) { return from_c10(t.scalar_type()) == pass.from && pass.from != pass.to; },
      [&](const at::Tensor& t, const std::string& name) {
        const at::Tensor r = t.to(to_c10(pass.to));
        // by way of double: not every small type has kernels of its own
        const auto finite = [](const at::Tensor& x) { return x.to(at::kDouble).isfinite(); };
        if (!finite(r).logical_or(finite(t).logical_not()).all().template item<bool>())
          fail(error_kind::unsupported, "a number has no finite value in " + std::string(to_string(pass.to)),
               "tensor '" + name + "'", "clamp it to the range of the new type first");
        return r;
      },
      [&](graph_storage& g) { return pass.run(g, c); });
}

} // namespace espalier
