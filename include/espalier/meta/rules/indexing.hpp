// SPDX-License-Identifier: BSL-1.0
// Indexing, gathering, joining, padding, sorting.
#pragma once

#include <espalier/meta/promotion.hpp>
#include <espalier/meta/rules/views.hpp>
#include <espalier/meta/strides.hpp>
#include <espalier/support/vector.hpp>

namespace espalier::shape_rules {

/// `index.Tensor(self, indices)`: indexed dimensions are replaced by the indices' common shape, in place when
/// they are neighbours, else in front. A boolean mask makes the shape depend on data and is refused. The
/// memory order is TensorIterator's, which walks the source and the indices together (ATen/native/
/// TensorAdvancedIndexing.cpp: AdvancedIndex).
constexpr rule_result index(const rule_args& a) {
  const auto& m = a.tensor(0);
  const auto indices = a.tensors(1);
  if (indices.size() > m.dim())
    a.refuse("more indices than dimensions");
  sym_ints common;
  vector<std::size_t> at;
  for (std::size_t i = 0; i != indices.size(); ++i) {
    if (!indices[i])
      continue;
    if (indices[i]->dtype == scalar_type::b8 || indices[i]->dtype == scalar_type::u8)
      fail(error_kind::unsupported, "indexing by a mask gives a shape that depends on data",
           "operator " + std::string(name_of(a.op())), "use where or masked_fill, which keep the shape");
    common = at.empty() ? indices[i]->sizes : broadcast(common, indices[i]->sizes, a);
    at.push_back(i);
  }
  const bool neighbours = at.empty() || at.back() - at.front() + 1 == at.size();
  // the source with its indexed dimensions replaced by `common`, along which it doesn't move
  tensor_meta source;
  source.dtype = m.dtype;
  source.dev = m.dev;
  const std::size_t before = neighbours && !at.empty() ? at.front() : 0;
  const auto put_common = [&] {
    for (auto& s : common) {
      source.sizes.push_back(s);
      source.strides.push_back(0);
    }
  };
  if (!neighbours)
    put_common();
  for (std::size_t i = 0, k = 0; i != m.dim(); ++i) {
    if (k < at.size() && at[k] == i) {
      if (neighbours && k == 0)
        put_common();
      ++k;
    } else {
      source.sizes.push_back(m.sizes[i]);
      source.strides.push_back(m.strides[i]);
    }
  }
  vector<tensor_meta> walked; // the indices, expanded to `common`, with a 1 for each other dimension
  walked.reserve(at.size());
  sym_ints shape(before, 1);
  for (auto& s : common)
    shape.push_back(s);
  shape.resize(source.dim(), 1);
  for (auto i : at) {
    auto x = detail::expanded(*indices[i], common);
    if (x.dtype == scalar_type::i32)
      x = like(x, scalar_type::i64);
    bool concrete = true;
    for (auto& s : common)
      concrete = concrete && s.is_int();
    if (concrete) {
      walked.push_back(detail::reshaped(x, shape));
      continue;
    }
    tensor_meta w = x; // as above, without a question to the symbols
    for (std::size_t k = 0; k != before; ++k) {
      w.sizes.insert(0, 1);
      w.strides.insert(0, 0);
    }
    w.sizes.resize(shape.size(), 1);
    w.strides.resize(shape.size(), 0);
    walked.push_back(std::move(w));
  }
  vector<const tensor_meta*> operands{&source};
  for (auto& w : walked)
    operands.push_back(&w);
  return iterator_output(m.dtype, source.sizes, m.dev, operands);
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
/// A changed copy of `self`, in its memory order: `index_put`, `index_fill`, `flip`.
constexpr rule_result changed_copy(const rule_args& a) { return like(a.tensor(0), a.tensor(0).dtype); }
/// A changed dense copy of `self`: `scatter`, `index_copy`, `index_add`, `tril`, `triu`.
constexpr rule_result dense_copy(const rule_args& a) {
  return make_meta(a.tensor(0).dtype, a.tensor(0).sizes, a.tensor(0).dev);
}
/// `masked_fill(self, mask, value)`, `masked_scatter`: dense.
constexpr rule_result masked(const rule_args& a) {
  const auto &m = a.tensor(0), &mask = a.tensor(1);
  return make_meta(m.dtype, broadcast(m.sizes, mask.sizes, a), m.dev);
}
/// `select_scatter`, `slice_scatter`, `copy`: a copy of all of `self`'s memory, seen as `self` sees its own.
constexpr rule_result copy_in_place_of(const rule_args& a) {
  const auto& m = a.tensor(0);
  for (std::size_t i = 0; i != m.dim(); ++i)
    if (!is_one(m.sizes[i]) && m.strides[i].is_int() && m.strides[i].as_int() == 0)
      return like(m, m.dtype); // elements share places
  auto out = m;
  out.requires_grad = false;
  return out;
}
/// `embedding(weight, indices)`.
constexpr rule_result embedding(const rule_args& a) {
  if (a.tensor(0).dim() != 2)
    a.refuse("the weight of an embedding has two dimensions, not " + std::to_string(a.tensor(0).dim()));
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

/// `repeat(self, repeats)`.
constexpr rule_result repeat(const rule_args& a) {
  const auto& m = a.tensor(0);
  auto r = a.ints(1);
  if (r.size() < m.dim())
    a.refuse("repeat needs a count for each dimension");
  for (std::size_t i = 0; i != m.dim(); ++i)
    r[r.size() - m.dim() + i] = r[r.size() - m.dim() + i] * m.sizes[i];
  return make_meta(m.dtype, checked_sizes(std::move(r), a), m.dev);
}
/// `repeat_interleave.self_int(self, repeats, dim)`.
constexpr rule_result repeat_interleave(const rule_args& a) {
  const auto& m = a.tensor(0);
  if (!a.present(2))
    return make_meta(m.dtype, {m.numel() * a.integer(1)}, m.dev);
  auto sizes = m.sizes;
  const auto d = wrap_own_dim(a.integer(2), m.dim(), a);
  sizes[d] = sizes[d] * a.integer(1);
  return make_meta(m.dtype, std::move(sizes), m.dev);
}
namespace detail {
/// `constant` padding that only removes is a copy; `keeps_format` of a channels-last input.
constexpr tensor_meta padded(const rule_args& a, const sym_ints& pad, bool constant, bool keeps_format) {
  const auto& m = a.tensor(0);
  if (pad.size() % 2 || pad.size() / 2 > m.dim())
    a.refuse("padding takes two numbers for each of the last dimensions");
  tensor_meta out = m;
  bool grows = false;
  for (std::size_t i = 0; i != pad.size() / 2; ++i) {
    auto& s = out.sizes[m.dim() - 1 - i];
    s = s + pad[2 * i] + pad[2 * i + 1];
    if (s.is_int() && s.as_int() < 0)
      a.refuse("negative padding removes more than there is");
    for (auto& p : {pad[2 * i], pad[2 * i + 1]})
      grows = grows || !p.is_int() || p.as_int() > 0;
  }
  if (!grows && constant)
    return like(out, m.dtype); // a clone of what is left
  out = make_meta(m.dtype, out.sizes, m.dev);
  if (keeps_format)
    out.strides = strides_for(out.sizes, suggested_format(m));
  return out;
}
} // namespace detail
/// `constant_pad_nd(self, pad, value)`.
constexpr rule_result constant_pad(const rule_args& a) { return detail::padded(a, a.ints(1), true, true); }
/// `reflection_pad*(self, padding)`, `replication_pad*`.
constexpr rule_result edge_pad(const rule_args& a) { return detail::padded(a, a.ints(1), false, true); }
/// `pad(self, pad, mode, value)`.
constexpr rule_result pad(const rule_args& a) {
  const auto mode = a.string(2);
  return detail::padded(a, a.ints(1), mode == "constant", mode != "circular");
}
/// `topk(self, k, dim)`.
constexpr rule_result topk(const rule_args& a) {
  const auto& m = a.tensor(0);
  auto sizes = m.sizes;
  const auto d = wrap_dim(a.integer(2), m.dim(), a);
  if (!sizes.empty() && statically_known(sym_gt(a.integer(1), sizes[d])))
    a.refuse("topk asks for more elements than the dimension has");
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

} // namespace espalier::shape_rules
