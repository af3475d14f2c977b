// SPDX-License-Identifier: BSL-1.0
// Walks over the tensors of a boxed argument: alone, in a list, in a list with holes. Every mode must replace
// tensors by its own ones and look for tensors with some property; how an IValue holds them is written once.
#pragma once

#include <ATen/core/List.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>

#include <optional>
#include <utility>

namespace espalier::detail {

/// Replaces each defined tensor of `v` by `f(tensor)`. Lists without tensors stay as they are.
template <class F>
void substitute_tensors(c10::IValue& v, F&& f) {
  if (v.isTensor()) {
    if (v.toTensor().defined())
      v = f(v.toTensor());
  } else if (v.isTensorList()) {
    c10::List<at::Tensor> items;
    for (const at::Tensor& t : v.toTensorList().vec())
      items.push_back(t.defined() ? f(t) : t);
    v = std::move(items);
  } else if (v.isList()) {
    bool any = false;
    for (const c10::IValue& e : v.toListRef())
      any = any || e.isTensor();
    if (!any)
      return;
    c10::List<std::optional<at::Tensor>> items;
    for (const c10::IValue& e : v.toListRef())
      if (e.isTensor() && e.toTensor().defined())
        items.push_back(f(e.toTensor()));
      else
        items.push_back(std::nullopt);
    v = std::move(items);
  }
}

/// Whether a defined tensor of `v` has the property `f`.
template <class F>
bool any_tensor(const c10::IValue& v, F&& f) {
  if (v.isTensor())
    return v.toTensor().defined() && f(v.toTensor());
  if (v.isList())
    for (const c10::IValue& e : v.toListRef())
      if (e.isTensor() && e.toTensor().defined() && f(e.toTensor()))
        return true;
  return false;
}

} // namespace espalier::detail
