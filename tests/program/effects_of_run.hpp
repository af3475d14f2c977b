// SPDX-License-Identifier: BSL-1.0
// What a run of a program does: what it gives, and what it writes into its inputs and its state.
#pragma once

#include "program/same_bits.hpp"

#include <espalier/program/program_base.hpp>

#include <ATen/ATen.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace corpus {

struct effects_of_run {
  std::vector<at::Tensor> given, inputs; ///< what it gives, and its inputs afterwards
  std::map<std::string, at::Tensor> written;
};

/// Runs a program, whose state is left as it was, from the same random numbers.
inline effects_of_run run_and_restore(const espalier::program_base& p, std::vector<c10::IValue> inputs) {
  effects_of_run r;
  std::map<std::string, at::Tensor> was;
  const auto each = [&](auto&& f) {
    for (const auto* dict : {&p.state_dict(), &p.constants()})
      for (const auto& e : *dict)
        f(e.name, e.tensor);
  };
  each([&](const std::string& name, const at::Tensor& t) { was[name] = t.clone(); });
  for (auto& v : inputs)
    if (v.isTensor())
      v = v.toTensor().clone();
  at::manual_seed(7);
  for (const c10::IValue& v : p(inputs))
    if (v.isTensor())
      r.given.push_back(v.toTensor().clone());
    else if (v.isScalar())
      r.given.push_back(at::scalar_tensor(v.toScalar(), v.isDouble() ? at::kDouble : at::kLong));
  for (const c10::IValue& v : inputs)
    if (v.isTensor())
      r.inputs.push_back(v.toTensor());
  each([&](const std::string& name, const at::Tensor& t) {
    if (!same_bits(t, was[name]))
      r.written[name] = t.clone();
  });
  each([&](const std::string& name, const at::Tensor& t) {
    if (r.written.count(name))
      t.copy_(was[name]);
  });
  return r;
}
/// What differs, as a sentence; empty when nothing does.
template <class Same>
std::string difference(const effects_of_run& now, const effects_of_run& before, Same&& same) {
  if (!std::equal(now.given.begin(), now.given.end(), before.given.begin(), before.given.end(), same))
    return "what it gives";
  if (!std::equal(now.inputs.begin(), now.inputs.end(), before.inputs.begin(), before.inputs.end(), same))
    return "what it writes into its inputs";
  for (const auto& [name, t] : before.written)
    if (const auto at = now.written.find(name); at == now.written.end() || !same(at->second, t))
      return "what it writes into '" + name + "'";
  for (const auto& [name, t] : now.written)
    if (!before.written.count(name))
      return "it writes into '" + name + "'";
  return {};
}

} // namespace corpus
