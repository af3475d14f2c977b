// SPDX-License-Identifier: BSL-1.0
// Flat lists of tensors and numbers as Python's torch.save wrote them, and their comparison.
#pragma once

#include "archive/corpus.hpp"

#include <espalier/program/pickle.hpp>

#include <ATen/ATen.h>

#include <limits>
#include <span>
#include <string>
#include <vector>

namespace corpus {

inline c10::IValue load_value(const fs::path& p) {
  const std::string s = read(p);
  return espalier::torch_load({reinterpret_cast<const std::byte*>(s.data()), s.size()});
}
inline std::vector<c10::IValue> load_list(const fs::path& p) {
  const auto v = load_value(p);
  std::vector<c10::IValue> out;
  if (v.isTuple())
    for (const auto& e : v.toTupleRef().elements())
      out.push_back(e);
  else
    for (const c10::IValue& e : v.toListRef())
      out.push_back(e);
  return out;
}
inline std::vector<at::Tensor> tensors(const std::vector<c10::IValue>& v) {
  std::vector<at::Tensor> out;
  for (const auto& x : v)
    if (x.isTensor())
      out.push_back(x.toTensor());
  return out;
}
/// The largest difference of two lists of tensors; infinite when their number, sizes or types differ.
inline double difference(const std::vector<at::Tensor>& a, const std::vector<at::Tensor>& b) {
  double most = a.size() == b.size() ? 0 : std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i != a.size() && i < b.size(); ++i) {
    if (a[i].sizes() != b[i].sizes() || a[i].scalar_type() != b[i].scalar_type())
      return std::numeric_limits<double>::infinity();
    if (a[i].numel() && !at::equal(a[i].isnan(), b[i].isnan()))
      return std::numeric_limits<double>::infinity();
    if (a[i].numel())
      most = std::max(most,
                      (a[i].to(at::kDouble) - b[i].to(at::kDouble)).nan_to_num().abs().max().item<double>());
  }
  return most;
}
inline double difference(const std::vector<c10::IValue>& a, const std::vector<c10::IValue>& b) {
  return difference(tensors(a), tensors(b));
}

} // namespace corpus
