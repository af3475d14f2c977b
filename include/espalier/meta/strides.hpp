// SPDX-License-Identifier: BSL-1.0
// Broadcasting, and the strides of what a pointwise operator makes: ATen's TensorIterator keeps its inputs'
// memory order, so that a channels-last or transposed input gives such an output.
#pragma once

#include <espalier/meta/rule_args.hpp>
#include <espalier/meta/tensor_meta.hpp>
#include <espalier/support/span.hpp>
#include <espalier/support/vector.hpp>

namespace espalier {

namespace shape_rules::detail {
/// A flag for each dimension.
using dim_set = inline_vector<bool, 8>;
} // namespace shape_rules::detail

/// Whether two sizes are the same; a symbolic question is guarded.
constexpr bool same_size(const sym_int& a, const sym_int& b) { return a == b || guard(sym_eq(a, b)); }
constexpr bool is_one(const sym_int& a) { return a.is_int() && a.as_int() == 1; }

/// The sizes that two shapes broadcast to.
constexpr sym_ints broadcast(const sym_ints& a, const sym_ints& b, const rule_args& args) {
  const std::size_t n = a.size() > b.size() ? a.size() : b.size();
  sym_ints out(n);
  for (std::size_t i = 0; i != n; ++i) {
    const sym_int x = i + a.size() >= n ? a[i + a.size() - n] : sym_int(1);
    const sym_int y = i + b.size() >= n ? b[i + b.size() - n] : sym_int(1);
    if (is_one(x))
      out[i] = y;
    else if (is_one(y) || same_size(x, y))
      out[i] = x;
    else
      args.refuse("the size " + std::to_string(x.int_or(-1)) + " does not broadcast with " +
                      std::to_string(y.int_or(-1)) + " at dimension " + std::to_string(i),
                  "make the sizes equal, or one of them 1");
  }
  return out;
}

/// Whether a size is the constant 0: the tensor has no elements.
constexpr bool has_no_elements(const sym_ints& sizes) {
  for (auto& s : sizes)
    if (s.is_int() && s.as_int() == 0)
      return true;
  return false;
}

/// Dense in row-major order (`is_contiguous()`), dimensions of size 1 not counting.
constexpr bool is_contiguous(const tensor_meta& m) {
  if (has_no_elements(m.sizes))
    return true;
  sym_int run = 1;
  for (std::size_t i = m.dim(); i-- > 0;) {
    if (is_one(m.sizes[i]))
      continue;
    if (!(m.strides[i] == run))
      return false;
    run = run * m.sizes[i];
  }
  return true;
}
/// Strides of a dense tensor whose dimensions lie in `order`, innermost first. A dimension of size 0 makes
/// those outside of it 0, as in ATen's channels-last tensors and TensorIterator.
constexpr sym_ints strides_in_order(const sym_ints& sizes, const inline_vector<std::size_t, 5>& order) {
  sym_ints s(sizes.size());
  sym_int run = 1;
  for (std::size_t d : order) {
    s[d] = run;
    run = detail::size_product(run, sizes[d]);
  }
  return s;
}
/// Strides of a channels-last tensor of four or five dimensions.
constexpr sym_ints channels_last_strides(const sym_ints& sizes) {
  inline_vector<std::size_t, 5> order;
  order.push_back(1);
  for (std::size_t i = sizes.size(); i-- > 2;)
    order.push_back(i);
  order.push_back(0);
  return strides_in_order(sizes, order);
}
/// `is_contiguous(memory_format=channels_last)`.
constexpr bool is_channels_last(const tensor_meta& m) {
  if (m.dim() != 4 && m.dim() != 5)
    return false;
  sym_int run = 1;
  const auto check = [&](std::size_t d) {
    if (is_one(m.sizes[d]))
      return true;
    if (!(m.strides[d] == run))
      return false;
    run = run * m.sizes[d];
    return true;
  };
  if (!check(1))
    return false;
  for (std::size_t i = m.dim(); i-- > 2;)
    if (!check(i))
      return false;
  return check(0);
}
/// Whether ATen would call the strides channels-last by look (`suggest_memory_format`): the channel stride is
/// the smallest and the others grow from the innermost dimension out.
constexpr bool suggests_channels_last(const tensor_meta& m) {
  if (m.dim() != 4 && m.dim() != 5)
    return false;
  for (auto& s : m.strides)
    if (!s.is_int())
      return is_channels_last(m) && !is_contiguous(m);
  if (m.strides[1].as_int() == 0)
    return false;
  sym_int smallest = 0;
  inline_vector<std::size_t, 5> order;
  order.push_back(1);
  for (std::size_t i = m.dim(); i-- > 2;)
    order.push_back(i);
  order.push_back(0);
  for (std::size_t d : order) {
    if (m.sizes[d].int_or(2) == 0)
      return false;
    if (m.strides[d].as_int() < smallest.as_int())
      return false;
    if (d == 0 && smallest == m.strides[1])
      return false; // N11 with NCHW strides is ambiguous: contiguous
    smallest = m.strides[d];
    if (m.sizes[d].int_or(2) > 1)
      smallest = smallest * m.sizes[d];
  }
  return true;
}
/// The memory format that the strides look like (`suggest_memory_format`).
constexpr memory_format suggested_format(const tensor_meta& m) {
  return !suggests_channels_last(m) ? memory_format::contiguous
         : m.dim() == 5             ? memory_format::channels_last_3d
                                    : memory_format::channels_last;
}
/// Every element has its own place and no place is unused.
constexpr bool is_dense(const tensor_meta& m) {
  if (is_contiguous(m))
    return true;
  inline_vector<std::size_t, 5> order;
  for (std::size_t i = 0; i != m.dim(); ++i)
    if (!is_one(m.sizes[i])) {
      if (!m.sizes[i].is_int() || !m.strides[i].is_int())
        return is_channels_last(m);
      order.push_back(i);
    }
  for (std::size_t i = 1; i < order.size(); ++i)
    for (std::size_t k = i; k > 0 && m.strides[order[k]].as_int() < m.strides[order[k - 1]].as_int(); --k)
      std::swap(order[k], order[k - 1]);
  std::int64_t run = 1;
  for (std::size_t d : order) {
    if (m.strides[d].as_int() != run)
      return false;
    run *= m.sizes[d].as_int();
  }
  return true;
}

/// A memory format applied to sizes; `preserve` keeps a dense source's order (`empty_like`, `clone`, `to`).
constexpr sym_ints strides_for(const sym_ints& sizes, memory_format f) {
  return (f == memory_format::channels_last || f == memory_format::channels_last_3d) && sizes.size() >= 4
             ? channels_last_strides(sizes)
             : contiguous_strides(sizes);
}

namespace detail {
/// The order of dimensions, innermost first, that TensorIterator goes through operands with these strides in
/// (broadcast dimensions have stride 0 and don't count).
constexpr inline_vector<std::size_t, 5> iteration_order(const sym_ints& sizes, span<const sym_ints> strides) {
  const std::size_t n = sizes.size();
  inline_vector<std::size_t, 5> perm;
  for (std::size_t i = n; i-- > 0;)
    perm.push_back(i);
  const auto should_swap = [&](std::size_t d0, std::size_t d1) {
    for (auto& s : strides) {
      const auto &a = s[d0], &b = s[d1];
      if ((a.is_int() && a.as_int() == 0) || (b.is_int() && b.as_int() == 0))
        continue;
      if (a == b) {
        if (statically_known(sym_gt(sizes[d0], sizes[d1])))
          return 1;
        continue;
      }
      if (statically_known(sym_lt(a, b)))
        return -1;
      if (statically_known(sym_lt(b, a)))
        return 1;
      return -1; // undecided symbols: keep the order
    }
    return 0;
  };
  for (std::size_t i = 1; i < n; ++i) {
    std::size_t d1 = i;
    for (std::size_t d0 = i; d0-- > 0;) {
      const int c = should_swap(perm[d0], perm[d1]);
      if (c > 0) {
        std::swap(perm[d0], perm[d1]);
        d1 = d0;
      } else if (c < 0) {
        break;
      }
    }
  }
  return perm;
}
} // namespace detail

/// Dense strides that lie in the order of others (`infer_dense_strides`).
constexpr sym_ints dense_strides_like(const sym_ints& sizes, const sym_ints& strides) {
  sym_ints s(sizes.size());
  sym_int run = 1;
  for (std::size_t d : detail::iteration_order(sizes, {&strides, 1})) {
    s[d] = run;
    if (!(sizes[d].is_int() && sizes[d].as_int() == 0))
      run = detail::size_product(run, sizes[d]);
  }
  return s;
}

/// The strides TensorIterator gives to a new output of `sizes`, from its tensor operands
/// (ATen/TensorIterator.cpp: fast_set_up, reorder_dimensions). Operands that the iterator casts first must
/// come cast: a cast changes the strides of a tensor that isn't dense.
constexpr sym_ints iterator_strides(const sym_ints& sizes, span<const tensor_meta* const> operands) {
  bool same_shape = true, contiguous = true, channels_last = true, same_strides = true;
  for (auto* m : operands) {
    same_shape = same_shape && m->sizes == sizes;
    contiguous = contiguous && is_contiguous(*m);
    channels_last = channels_last && m->dim() == 4 && is_channels_last(*m);
    same_strides = same_strides && m->strides == operands.front()->strides;
  }
  if (operands.empty() || (same_shape && contiguous))
    return contiguous_strides(sizes);
  if (same_shape && channels_last)
    return channels_last_strides(sizes);
  if (same_shape && same_strides && is_dense(*operands.front()))
    return operands.front()->strides;

  const std::size_t n = sizes.size();
  vector<sym_ints> strides;
  for (auto* m : operands) {
    sym_ints s(n);
    const std::size_t lead = n - m->dim();
    for (std::size_t i = 0; i != m->dim(); ++i)
      s[lead + i] = is_one(m->sizes[i]) && !is_one(sizes[lead + i]) ? sym_int(0) : m->strides[i];
    strides.push_back(std::move(s));
  }
  const auto order = detail::iteration_order(sizes, strides);
  bool row_major = true;
  for (std::size_t i = 0; i != n; ++i)
    row_major = row_major && order[i] == n - 1 - i;
  return row_major ? contiguous_strides(sizes) : strides_in_order(sizes, order);
}

/// A new tensor of `sizes` and `dtype` in the memory order of its operands.
constexpr tensor_meta iterator_output(scalar_type t, sym_ints sizes, device d,
                                      span<const tensor_meta* const> operands) {
  tensor_meta m;
  m.dtype = t;
  m.dev = d;
  m.strides = iterator_strides(sizes, operands);
  m.sizes = std::move(sizes);
  return m;
}

/// A new tensor like `m` with another dtype: `empty_like` with `preserve_format`.
constexpr tensor_meta like(const tensor_meta& m, scalar_type t, memory_format f = memory_format::preserve) {
  tensor_meta out;
  out.dtype = t;
  out.dev = m.dev;
  out.lay = m.lay;
  out.sizes = m.sizes;
  if (f == memory_format::preserve) {
    out.strides = is_dense(m) ? m.strides
                              : strides_in_order(m.sizes, detail::iteration_order(m.sizes, {&m.strides, 1}));
  } else {
    out.strides = strides_for(m.sizes, f);
  }
  return out;
}

} // namespace espalier
