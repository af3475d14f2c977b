// SPDX-License-Identifier: BSL-1.0
// Indexing, gathering, joining, padding, sorting.
#pragma once

#include <espalier/meta/promotion.hpp>
#include <espalier/meta/strides.hpp>

namespace espalier::shape_rules {

/// `index.Tensor(self, indices)`: indexed dimensions are replaced by the indices' common shape, in place when
/// they are neighbours, else in front. A boolean mask makes the shape depend on data and is refused.
constexpr rule_result index(const rule_args& a) {
  const auto& m = a.tensor(0);
  const auto indices = a.tensors(1);
  if (indices.size() > m.dim())
    a.refuse("more indices than dimensions");
  sym_ints common;
  std::vector<std::size_t> at;
  for (std::size_t i = 0; i != indices.size(); ++i) {
    if (!indices[i])
      continue;
    if (indices[i]->dtype == scalar_type::b8 || indices[i]->dtype == scalar_type::u8)
      fail(error_kind::unsupported, "indexing by a mask gives a shape that depends on data",
           "operator " + std::string(name_of(a.op())), "use where or masked_fill, which keep the shape");
    common = at.empty() ? indices[i]->sizes : broadcast(common, indices[i]->sizes, a);
    at.push_back(i);
  }
  if (at.empty())
    return m;
  const bool neighbours = at.back() - at.front() + 1 == at.size();
  sym_ints sizes;
  const auto put_common = [&] {
    for (auto& s : common)
      sizes.push_back(s);
  };
  if (!neighbours)
    put_common();
  for (std::size_t i = 0, k = 0; i != m.dim(); ++i) {
    if (k < at.size() && at[k] == i) {
      if (neighbours && k == 0)
        put_common();
      ++k;
    } else {
      sizes.push_back(m.sizes[i]);
    }
  }
  return make_meta(m.dtype, std::move(sizes), m.dev);
}
/// `index_select(self, dim, index)`.
constexpr rule_result index_select(const rule_args& a) {
  auto sizes = a.tensor(0).sizes;
  const auto d = wrap_dim(a.integer(1), sizes.size(), a);
  if (!sizes.empty())
    sizes[d] = a.tensor(2).numel();
  return make_meta(a.tensor(0).dtype, std::move(sizes), a.tensor(0).dev);
}
/// `gather(self, dim, index)`.
constexpr rule_result gather(const rule_args& a) {
  return make_meta(a.tensor(0).dtype, a.tensor(2).sizes, a.tensor(0).dev);
}
/// `take(self, index)`.
constexpr rule_result take(const rule_args& a) {
  return make_meta(a.tensor(0).dtype, a.tensor(1).sizes, a.tensor(0).dev);
}
/// A changed copy of `self`: `scatter`, `index_put`, `index_copy`, `index_add`, `masked_fill`, `tril`,
/// `triu`, `flip`, `roll`.
constexpr rule_result changed_copy(const rule_args& a) { return like(a.tensor(0), a.tensor(0).dtype); }
constexpr rule_result contiguous_copy(const rule_args& a) {
  return make_meta(a.tensor(0).dtype, a.tensor(0).sizes, a.tensor(0).dev);
}
/// `masked_fill(self, mask, value)`.
constexpr rule_result masked_fill(const rule_args& a) {
  const auto &m = a.tensor(0), &mask = a.tensor(1);
  const tensor_meta* operands[] = {&m, &mask};
  return iterator_output(m.dtype, broadcast(m.sizes, mask.sizes, a), m.dev, operands);
}
/// `embedding(weight, indices)`.
constexpr rule_result embedding(const rule_args& a) {
  auto sizes = a.tensor(1).sizes;
  sizes.push_back(a.tensor(0).sizes[1]);
  return make_meta(a.tensor(0).dtype, std::move(sizes), a.tensor(0).dev);
}
/// `one_hot(self, num_classes)`.
constexpr rule_result one_hot(const rule_args& a) {
  auto sizes = a.tensor(0).sizes;
  if (a.integer(1).is_int() && a.integer(1).as_int() < 0)
    fail(error_kind::unsupported, "one_hot without num_classes gives a shape that depends on data",
         "operator aten::one_hot", "pass num_classes");
  sizes.push_back(a.integer(1));
  return make_meta(scalar_type::i64, std::move(sizes), a.tensor(0).dev);
}

namespace detail {
constexpr rule_result joined(const rule_args& a, std::size_t first_dim_arg, bool stack) {
  const auto all = a.tensors(0);
  if (all.empty())
    a.refuse("there is nothing to join", "pass at least one tensor");
  result_type t;
  const tensor_meta* model = nullptr;
  for (auto* m : all) {
    if (!m)
      a.refuse("an element of the list is None");
    t.add(*m);
    if (!model && (stack || !(m->dim() == 1 && m->sizes[0].int_or(1) == 0)))
      model = m; // empty 1-D tensors are skipped by cat
  }
  if (!model)
    model = all[0];
  auto sizes = model->sizes;
  const auto d = wrap_dim(a.integer(first_dim_arg), sizes.size() + (stack ? 1 : 0), a);
  if (stack) {
    for (auto* m : all)
      for (std::size_t i = 0; i != sizes.size(); ++i)
        if (m->dim() != sizes.size() || !same_size(m->sizes[i], sizes[i]))
          a.refuse("stack needs tensors of equal shape");
    sizes.insert(d, static_cast<std::int64_t>(all.size()));
    return make_meta(t.get(), std::move(sizes), model->dev);
  }
  sym_int sum = 0;
  bool channels_last = true, any = false;
  for (auto* m : all) {
    if (m->dim() == 1 && m->sizes[0].int_or(1) == 0 && sizes.size() != 1)
      continue;
    if (m->dim() != sizes.size())
      a.refuse("cat needs tensors with equal numbers of dimensions");
    for (std::size_t i = 0; i != sizes.size(); ++i)
      if (i != d && !same_size(m->sizes[i], sizes[i]))
        a.refuse("the sizes of dimension " + std::to_string(i) + " differ");
    sum = sum + m->sizes[d];
    channels_last = channels_last && suggests_channels_last(*m);
    any = true;
  }
  sizes[d] = sum;
  auto out = make_meta(t.get(), std::move(sizes), model->dev);
  if (any && channels_last && out.dim() >= 4)
    out.strides = channels_last_strides(out.sizes);
  return out;
}
} // namespace detail
/// `cat(tensors, dim)`, `concat`.
constexpr rule_result cat(const rule_args& a) { return detail::joined(a, 1, false); }
/// `stack(tensors, dim)`.
constexpr rule_result stack(const rule_args& a) { return detail::joined(a, 1, true); }
/// `repeat(self, repeats)`.
constexpr rule_result repeat(const rule_args& a) {
  const auto& m = a.tensor(0);
  auto r = a.ints(1);
  if (r.size() < m.dim())
    a.refuse("repeat needs a count for each dimension");
  for (std::size_t i = 0; i != m.dim(); ++i)
    r[r.size() - m.dim() + i] = r[r.size() - m.dim() + i] * m.sizes[i];
  return make_meta(m.dtype, std::move(r), m.dev);
}
/// `repeat_interleave.self_int(self, repeats, dim)`.
constexpr rule_result repeat_interleave(const rule_args& a) {
  const auto& m = a.tensor(0);
  if (!a.present(2))
    return make_meta(m.dtype, {m.numel() * a.integer(1)}, m.dev);
  auto sizes = m.sizes;
  const auto d = wrap_dim(a.integer(2), m.dim(), a);
  sizes[d] = sizes[d] * a.integer(1);
  return make_meta(m.dtype, std::move(sizes), m.dev);
}
namespace detail {
constexpr tensor_meta padded(const rule_args& a, const sym_ints& pad) {
  const auto& m = a.tensor(0);
  if (pad.size() % 2 || pad.size() / 2 > m.dim())
    a.refuse("padding takes two numbers for each of the last dimensions");
  auto sizes = m.sizes;
  for (std::size_t i = 0; i != pad.size() / 2; ++i) {
    auto& s = sizes[m.dim() - 1 - i];
    s = s + pad[2 * i] + pad[2 * i + 1];
    if (s.is_int() && s.as_int() < 0)
      a.refuse("negative padding removes more than there is");
  }
  auto out = make_meta(m.dtype, std::move(sizes), m.dev);
  if (suggests_channels_last(m))
    out.strides = channels_last_strides(out.sizes);
  return out;
}
} // namespace detail
/// `constant_pad_nd(self, pad, value)`, `pad(self, pad, mode, value)`, `reflection_pad*`, `replication_pad*`.
constexpr rule_result pad(const rule_args& a) { return detail::padded(a, a.ints(1)); }
/// `topk(self, k, dim)`.
constexpr rule_result topk(const rule_args& a) {
  const auto& m = a.tensor(0);
  auto sizes = m.sizes;
  const auto d = wrap_dim(a.integer(2), m.dim(), a);
  if (!sizes.empty())
    sizes[d] = a.integer(1);
  rule_result r(make_meta(m.dtype, sizes, m.dev));
  r.push(make_meta(scalar_type::i64, sizes, m.dev));
  return r;
}
/// `sort(self, dim, descending)`.
constexpr rule_result sort(const rule_args& a) {
  rule_result r(like(a.tensor(0), a.tensor(0).dtype));
  r.push(like(a.tensor(0), scalar_type::i64));
  return r;
}
/// `argsort(self, ...)`.
constexpr rule_result argsort(const rule_args& a) { return like(a.tensor(0), scalar_type::i64); }
/// `upsample_*(input, output_size, ..., scale_factors)` in the `.vec` overloads: sizes or factors.
template <std::size_t Rank, std::size_t Factors>
constexpr rule_result upsample_vec(const rule_args& a) {
  const auto& m = a.tensor(0);
  auto sizes = m.sizes;
  if (a.present(1)) {
    const auto out = a.ints(1);
    for (std::size_t i = 0; i != Rank; ++i)
      sizes[m.dim() - Rank + i] = out[i];
  } else {
    for (std::size_t i = 0; i != Rank; ++i) {
      const auto& f = a.raw(Factors).items[i];
      sizes[m.dim() - Rank + i] = static_cast<std::int64_t>(
          static_cast<double>(sizes[m.dim() - Rank + i].as_int()) *
          (f.form == meta_form::floating ? f.d : static_cast<double>(f.i.as_int())));
    }
  }
  auto out = make_meta(m.dtype, std::move(sizes), m.dev);
  if (suggests_channels_last(m))
    out.strides = channels_last_strides(out.sizes);
  return out;
}
template <std::size_t Rank>
constexpr rule_result upsample(const rule_args& a) {
  const auto& m = a.tensor(0);
  auto sizes = m.sizes;
  const auto out_sizes = a.ints(1);
  for (std::size_t i = 0; i != Rank; ++i)
    sizes[m.dim() - Rank + i] = out_sizes[i];
  auto out = make_meta(m.dtype, std::move(sizes), m.dev);
  if (suggests_channels_last(m))
    out.strides = channels_last_strides(out.sizes);
  return out;
}

} // namespace espalier::shape_rules
