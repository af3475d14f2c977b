// SPDX-License-Identifier: BSL-1.0
// Joining tensors: `cat`, `stack`, and what is made of them.
#pragma once

#include <espalier/meta/promotion.hpp>
#include <espalier/meta/rules/views.hpp>
#include <espalier/meta/strides.hpp>
#include <espalier/support/span.hpp>
#include <espalier/support/vector.hpp>

namespace espalier::shape_rules {
namespace detail {

/// Whether `cat` passes over a tensor: one without elements and with one dimension joins with anything.
constexpr bool skipped_by_cat(const tensor_meta& m) { return m.dim() == 1 && m.sizes[0].int_or(1) == 0; }

/// `cat`: channels-last when all tensors are, else dense.
constexpr tensor_meta joined(const rule_args& a, span<const tensor_meta* const> all, const sym_int& dim) {
  if (all.empty())
    a.refuse("there is nothing to join", "pass at least one tensor");
  result_type t;
  const tensor_meta* model = nullptr;
  bool channels_last = true;
  for (auto* m : all) {
    if (!m)
      a.refuse("an element of the list is None", "pass tensors");
    t.add(*m);
    channels_last = channels_last && suggests_channels_last(*m);
    if (!model && !skipped_by_cat(*m))
      model = m;
  }
  if (!model)
    return make_meta(t.get(), {0}, all[0]->dev);
  auto sizes = model->sizes;
  if (sizes.empty())
    a.refuse("tensors without dimensions cannot be joined", "use stack");
  const auto d = wrap_dim(dim, sizes.size(), a);
  sym_int sum = 0;
  for (auto* m : all) {
    if (skipped_by_cat(*m))
      continue;
    if (m->dim() != sizes.size())
      a.refuse("cat needs tensors with equal numbers of dimensions");
    for (std::size_t i = 0; i != sizes.size(); ++i)
      if (i != d && !same_size(m->sizes[i], sizes[i]))
        a.refuse("the sizes of dimension " + std::to_string(i) + " differ");
    sum = sum + m->sizes[d];
  }
  sizes[d] = sum;
  auto out = make_meta(t.get(), std::move(sizes), model->dev);
  if (channels_last)
    out.strides = channels_last_strides(out.sizes);
  return out;
}

} // namespace detail

/// `cat(tensors, dim)`, `concat`.
constexpr rule_result cat(const rule_args& a) { return detail::joined(a, a.tensors(0), a.integer(1)); }
/// `stack(tensors, dim)`: joined along a dimension they have, which is then split; or along a new last one.
constexpr rule_result stack(const rule_args& a) {
  auto all = a.tensors(0);
  if (all.empty() || !all[0])
    a.refuse("there is nothing to join", "pass at least one tensor");
  const auto& first = *all[0];
  const auto d = wrap_dim(a.integer(1), first.dim() + 1, a);
  for (auto* m : all) {
    bool equal = m && m->dim() == first.dim();
    for (std::size_t i = 0; equal && i != first.dim(); ++i)
      equal = same_size(m->sizes[i], first.sizes[i]);
    if (!equal)
      a.refuse("stack needs tensors of equal shape");
  }
  if (d < first.dim()) {
    const auto out = detail::joined(a, all, d);
    auto sizes = first.sizes;
    sizes.insert(d, static_cast<std::int64_t>(all.size()));
    return detail::reshaped(out, std::move(sizes));
  }
  vector<tensor_meta> longer;
  longer.reserve(all.size());
  for (auto*& m : all) {
    longer.push_back(*m);
    longer.back().sizes.push_back(1);
    longer.back().strides.push_back(1);
    m = &longer.back();
  }
  return detail::joined(a, all, d);
}

namespace detail {
/// A dimension rolled: its two parts joined in the other order.
constexpr tensor_meta rolled(const rule_args& a, const tensor_meta& m, const sym_int& shift,
                             const sym_int& dim) {
  if (m.dim() == 0)
    a.refuse("roll needs a dimension", "pass a tensor with dimensions");
  const auto d = wrap_dim(dim, m.dim(), a);
  tensor_meta tail = m, head = m;
  head.sizes[d] = mod(m.sizes[d] - shift, m.sizes[d]);
  tail.sizes[d] = m.sizes[d] - head.sizes[d];
  const tensor_meta* parts[] = {&tail, &head};
  return joined(a, parts, d);
}
} // namespace detail
/// `roll(self, shifts, dims)`: all elements as one row when no dimension is named.
constexpr rule_result roll(const rule_args& a) {
  auto m = a.tensor(0);
  const auto shifts = a.ints(1), dims = a.ints(2);
  if (dims.empty() && shifts.size() == 1 && has_no_elements(m.sizes)) {
    auto row = like(detail::reshaped(m, {0}), m.dtype);
    return detail::reshaped(row, m.sizes);
  }
  if (has_no_elements(m.sizes))
    return like(m, m.dtype);
  if (dims.empty() && shifts.size() == 1)
    return make_meta(m.dtype, m.sizes, m.dev);
  if (shifts.empty() || shifts.size() != dims.size())
    a.refuse("roll needs a shift for each dimension");
  for (std::size_t i = 0; i != dims.size(); ++i)
    m = detail::rolled(a, m, shifts[i], dims[i]);
  return m;
}

/// `diff(self, n, dim, prepend, append)`: neighbours subtracted `n` times, after joining what goes before and
/// behind.
constexpr rule_result diff(const rule_args& a) {
  auto m = a.tensor(0);
  if (m.dim() == 0)
    a.refuse("diff needs a dimension", "pass a tensor with dimensions");
  const auto d = wrap_dim(a.integer(2), m.dim(), a);
  std::int64_t n = a.integer(1).as_int();
  if (n == 0)
    return like(m, m.dtype);
  if (a.is_tensor(3) || a.is_tensor(4)) {
    inline_vector<const tensor_meta*, 4> parts;
    if (const auto* p = a.optional_tensor(3))
      parts.push_back(p);
    parts.push_back(&a.tensor(0));
    if (const auto* p = a.optional_tensor(4))
      parts.push_back(p);
    m = detail::joined(a, parts, d);
  }
  if (m.sizes[d].is_int() && n > m.sizes[d].as_int())
    n = m.sizes[d].as_int();
  for (; n > 0; --n) {
    m.sizes[d] = m.sizes[d] - 1;
    const tensor_meta* two[] = {&m, &m};
    m = iterator_output(m.dtype, m.sizes, m.dev, two);
  }
  return m;
}

} // namespace espalier::shape_rules
