// SPDX-License-Identifier: BSL-1.0
// Views: the same elements under other sizes and strides, exactly those that ATen gives.
#pragma once

#include <espalier/meta/promotion.hpp>
#include <espalier/meta/strides.hpp>
#include <espalier/support/optional.hpp>
#include <espalier/support/vector.hpp>

namespace espalier::shape_rules {
namespace detail {

/// A view of `m`: dtype, device and offset stay.
constexpr tensor_meta view_of(const tensor_meta& m, sym_ints sizes, sym_ints strides) {
  tensor_meta out = m;
  out.sizes = std::move(sizes);
  out.strides = std::move(strides);
  return out;
}
/// The sizes that a `view` or `reshape` asks for, its one -1 worked out.
constexpr sym_ints infer_sizes(const rule_args& a, const sym_int& numel, sym_ints sizes) {
  sym_int rest = 1;
  optional<std::size_t> hole;
  for (std::size_t i = 0; i != sizes.size(); ++i) {
    if (sizes[i].is_int() && sizes[i].as_int() == -1) {
      if (hole)
        a.refuse("only one size may be -1");
      hole = i;
    } else {
      if (sizes[i].is_int() && sizes[i].as_int() < 0)
        a.refuse("a size is negative: " + std::to_string(sizes[i].as_int()), "-1 alone stands for a size");
      rest = rest * sizes[i];
    }
  }
  if (hole) {
    if (rest.is_int() && rest.as_int() == 0)
      a.refuse("a size of -1 cannot be worked out beside a size of 0", "write the size");
    if (!same_size(mod(numel, rest), 0))
      a.refuse("the tensor's " + std::to_string(numel.int_or(-1)) +
               " elements do not divide into the sizes given");
    sizes[*hole] = floordiv(numel, rest);
  } else if (!same_size(numel, rest)) {
    a.refuse("the sizes given hold " + std::to_string(rest.int_or(-1)) + " elements, the tensor has " +
             std::to_string(numel.int_or(-1)));
  }
  return sizes;
}
/// The strides of a view under new sizes, or nothing when only a copy can have them (ATen/TensorUtils.cpp:
/// computeStride).
constexpr optional<sym_ints> view_strides(const tensor_meta& m, const sym_ints& sizes) {
  if (has_no_elements(m.sizes))
    return m.sizes == sizes ? m.strides : contiguous_strides(sizes);
  if (m.dim() == 0)
    return sym_ints(sizes.size(), 1);
  bool symbolic = false;
  for (auto& s : m.sizes)
    symbolic = symbolic || s.is_symbolic();
  for (auto& s : sizes)
    symbolic = symbolic || s.is_symbolic();
  if (symbolic && is_contiguous(m))
    return contiguous_strides(sizes); // without a question to the symbols
  sym_ints out(sizes.size());
  std::ptrdiff_t v = static_cast<std::ptrdiff_t>(sizes.size()) - 1;
  sym_int base = m.strides.back(), tensor_numel = 1, view_numel = 1;
  for (std::size_t d = m.dim(); d-- > 0;) {
    tensor_numel = tensor_numel * m.sizes[d];
    if (d == 0 ||
        (!is_one(m.sizes[d - 1]) && !statically_known(sym_eq(m.strides[d - 1], tensor_numel * base)))) {
      // sizes whose product is, as an expression, what must be covered: without a question to the symbols
      std::ptrdiff_t last = v + 1;
      for (sym_int run = 1; symbolic && last > 0 && run != tensor_numel;)
        if ((run = run * sizes[--last]) == tensor_numel)
          for (; v >= last; --v) {
            out[v] = view_numel * base;
            view_numel = view_numel * sizes[v];
          }
      while (v >= 0 && (is_one(sizes[v]) || guard(sym_lt(view_numel, tensor_numel)))) {
        out[v] = view_numel * base;
        view_numel = view_numel * sizes[v];
        --v;
      }
      if (!same_size(view_numel, tensor_numel))
        return std::nullopt;
      if (d > 0) {
        base = m.strides[d - 1];
        tensor_numel = 1;
        view_numel = 1;
      }
    }
  }
  if (v != -1)
    return std::nullopt;
  return out;
}
constexpr tensor_meta reshaped(const tensor_meta& m, sym_ints sizes) {
  if (auto strides = view_strides(m, sizes))
    return view_of(m, std::move(sizes), std::move(*strides));
  return make_meta(m.dtype, std::move(sizes), m.dev);
}
/// A slice's bound counted from the front and clamped to [0, size].
constexpr sym_int clamp_index(sym_int i, const sym_int& size) {
  if (i.is_int() && i.as_int() >= 0 && size.is_symbolic())
    return i.as_int() >= (std::int64_t{1} << 62) ? size : guard(sym_le(i, size)) ? i : size;
  if (guard(sym_lt(i, 0)))
    i = i + size;
  if (guard(sym_lt(i, 0)))
    return 0;
  return guard(sym_gt(i, size)) ? size : i;
}

} // namespace detail

/// The very same view: `alias`, `detach`, `lift_fresh`, and `contiguous`/`to` where nothing changes.
constexpr rule_result identity(const rule_args& a) { return a.tensor(0); }
/// `detach`: no gradient.
constexpr rule_result detach(const rule_args& a) {
  auto m = a.tensor(0);
  m.requires_grad = false;
  return m;
}
/// `view(self, size)`, `_unsafe_view`.
constexpr rule_result view(const rule_args& a) {
  const auto& m = a.tensor(0);
  auto sizes = detail::infer_sizes(a, m.numel(), a.ints(1));
  auto strides = detail::view_strides(m, sizes);
  if (!strides)
    a.refuse("the tensor's strides allow no view of that shape", "call reshape, or contiguous first");
  return detail::view_of(m, std::move(sizes), std::move(*strides));
}
/// `view_copy(self, size)`: dense.
constexpr rule_result view_copy(const rule_args& a) {
  const auto& m = a.tensor(0);
  return make_meta(m.dtype, detail::infer_sizes(a, m.numel(), a.ints(1)), m.dev);
}
/// `reshape(self, shape)`: a view where possible.
constexpr rule_result reshape(const rule_args& a) {
  return detail::reshaped(a.tensor(0), detail::infer_sizes(a, a.tensor(0).numel(), a.ints(1)));
}
/// `view_as(self, other)`, `reshape_as`.
constexpr rule_result reshape_as(const rule_args& a) {
  return detail::reshaped(a.tensor(0), a.tensor(1).sizes);
}
/// `flatten.using_ints(self, start_dim, end_dim)`.
constexpr rule_result flatten(const rule_args& a) {
  const auto& m = a.tensor(0);
  if (m.dim() == 0)
    return detail::reshaped(m, {1});
  const auto first = wrap_dim(a.integer(1), m.dim(), a), last = wrap_dim(a.integer(2), m.dim(), a);
  if (first > last)
    a.refuse("flatten's start_dim comes after its end_dim");
  if (first == last)
    return m;
  sym_ints sizes;
  sym_int run = 1;
  for (std::size_t i = 0; i != m.dim(); ++i) {
    if (i < first || i > last)
      sizes.push_back(m.sizes[i]);
    else {
      run = run * m.sizes[i];
      if (i == last)
        sizes.push_back(run);
    }
  }
  return detail::reshaped(m, std::move(sizes));
}
/// `ravel(self)`: a dense row, of the tensor's own memory if that is row-major.
constexpr rule_result ravel(const rule_args& a) {
  const auto& m = a.tensor(0);
  return detail::reshaped(is_contiguous(m) ? m : make_meta(m.dtype, m.sizes, m.dev), {m.numel()});
}
/// `unflatten.int(self, dim, sizes)`.
constexpr rule_result unflatten(const rule_args& a) {
  const auto& m = a.tensor(0);
  const auto d = wrap_own_dim(a.integer(1), m.dim(), a);
  const auto inner = detail::infer_sizes(a, m.sizes[d], a.ints(2));
  sym_ints sizes;
  for (std::size_t i = 0; i != m.dim(); ++i) {
    if (i != d)
      sizes.push_back(m.sizes[i]);
    else
      for (auto& s : inner)
        sizes.push_back(s);
  }
  return detail::reshaped(m, std::move(sizes));
}
/// `permute(self, dims)`.
constexpr rule_result permute(const rule_args& a) {
  const auto& m = a.tensor(0);
  const auto dims = a.ints(1);
  if (dims.size() != m.dim())
    a.refuse("permute needs " + std::to_string(m.dim()) + " dimensions, not " + std::to_string(dims.size()));
  sym_ints sizes, strides;
  detail::dim_set seen(m.dim());
  for (auto& x : dims) {
    const auto d = wrap_dim(x, m.dim(), a);
    if (seen[d])
      a.refuse("permute names dimension " + std::to_string(d) + " twice");
    seen[d] = true;
    sizes.push_back(m.sizes[d]);
    strides.push_back(m.strides[d]);
  }
  return detail::view_of(m, std::move(sizes), std::move(strides));
}
/// `transpose.int(self, dim0, dim1)`.
constexpr rule_result transpose(const rule_args& a) {
  auto m = a.tensor(0);
  const auto x = wrap_dim(a.integer(1), m.dim(), a), y = wrap_dim(a.integer(2), m.dim(), a);
  if (m.dim() == 0)
    return m;
  std::swap(m.sizes[x], m.sizes[y]);
  std::swap(m.strides[x], m.strides[y]);
  return m;
}
/// `t(self)`.
constexpr rule_result t(const rule_args& a) {
  auto m = a.tensor(0);
  if (m.dim() > 2)
    a.refuse("t() takes at most two dimensions, not " + std::to_string(m.dim()), "use transpose or permute");
  if (m.dim() == 2) {
    std::swap(m.sizes[0], m.sizes[1]);
    std::swap(m.strides[0], m.strides[1]);
  }
  return m;
}
/// `numpy_T(self)`: all dimensions in reverse.
constexpr rule_result reversed(const rule_args& a) {
  auto m = a.tensor(0);
  for (std::size_t i = 0; i < m.dim() / 2; ++i) {
    std::swap(m.sizes[i], m.sizes[m.dim() - 1 - i]);
    std::swap(m.strides[i], m.strides[m.dim() - 1 - i]);
  }
  return m;
}
/// `mT`, `adjoint`; a tensor without dimensions is its own.
constexpr rule_result transpose_last(const rule_args& a) {
  auto m = a.tensor(0);
  if (m.dim() == 0)
    return m;
  if (m.dim() < 2)
    a.refuse("at least two dimensions are needed", "unsqueeze the tensor first");
  std::swap(m.sizes[m.dim() - 1], m.sizes[m.dim() - 2]);
  std::swap(m.strides[m.dim() - 1], m.strides[m.dim() - 2]);
  return m;
}
/// `movedim.intlist(self, source, destination)`, `moveaxis`.
constexpr rule_result movedim(const rule_args& a) {
  const auto& m = a.tensor(0);
  const auto from = a.ints(1), to = a.ints(2);
  const std::size_t n = m.dim();
  vector<std::ptrdiff_t> source_at(n, -1);
  detail::dim_set moved(n);
  if (from.size() != to.size())
    a.refuse("as many destinations are needed as sources");
  for (std::size_t i = 0; i != from.size() && n != 0; ++i) {
    const auto s = wrap_dim(from[i], n, a), d = wrap_dim(to[i], n, a);
    if (moved[s] || source_at[d] >= 0)
      a.refuse("a dimension is moved twice");
    source_at[d] = static_cast<std::ptrdiff_t>(s);
    moved[s] = true;
  }
  sym_ints sizes, strides;
  std::size_t next = 0;
  for (std::size_t i = 0; i != n; ++i) {
    std::size_t s = 0;
    if (source_at[i] >= 0) {
      s = static_cast<std::size_t>(source_at[i]);
    } else {
      while (moved[next])
        ++next;
      s = next++;
    }
    sizes.push_back(m.sizes[s]);
    strides.push_back(m.strides[s]);
  }
  return detail::view_of(m, std::move(sizes), std::move(strides));
}
/// `unsqueeze(self, dim)`.
constexpr rule_result unsqueeze(const rule_args& a) {
  auto m = a.tensor(0);
  const auto d = wrap_dim(a.integer(1), m.dim() + 1, a);
  const sym_int stride = d < m.dim() ? m.sizes[d] * m.strides[d] : sym_int(1);
  m.sizes.insert(d, 1);
  m.strides.insert(d, stride);
  return m;
}
namespace detail {
constexpr tensor_meta squeezed(const tensor_meta& m, const dim_set& candidates) {
  sym_ints sizes, strides;
  for (std::size_t i = 0; i != m.dim(); ++i)
    if (!candidates[i] || !guard(sym_eq(m.sizes[i], 1))) {
      sizes.push_back(m.sizes[i]);
      strides.push_back(m.strides[i]);
    }
  return view_of(m, std::move(sizes), std::move(strides));
}
} // namespace detail
constexpr rule_result squeeze(const rule_args& a) {
  return detail::squeezed(a.tensor(0), detail::dim_set(a.tensor(0).dim(), true));
}
/// `squeeze.dim(self, dim)`, `squeeze.dims(self, dims)`.
constexpr rule_result squeeze_dims(const rule_args& a) {
  const auto& m = a.tensor(0);
  detail::dim_set c(m.dim());
  for (auto& x : a.ints(1))
    if (const auto d = wrap_dim(x, m.dim(), a); d < m.dim())
      c[d] = true;
  return detail::squeezed(m, c);
}
namespace detail {
/// The strides that ATen gives to `m` expanded to `sizes`, which it broadcasts to: 0 for a dimension that
/// repeats; a new dimension of size 1 gets the stride that it would have.
constexpr tensor_meta expanded(const tensor_meta& m, const sym_ints& sizes) {
  sym_ints strides(sizes.size()); // all 0 for a tensor without dimensions
  const std::size_t lead = sizes.size() - m.dim();
  for (std::size_t i = m.dim() ? sizes.size() : 0; i-- > 0;)
    if (i >= lead)
      strides[i] = is_one(m.sizes[i - lead]) && !is_one(sizes[i]) ? sym_int(0) : m.strides[i - lead];
    else if (is_one(sizes[i]))
      strides[i] = i + 1 < sizes.size() ? sizes[i + 1] * strides[i + 1] : sym_int(1);
  return view_of(m, sizes, std::move(strides));
}
constexpr tensor_meta expanded(const rule_args& a, const tensor_meta& m, sym_ints sizes) {
  if (sizes.size() < m.dim())
    a.refuse("expand gives fewer sizes (" + std::to_string(sizes.size()) +
             ") than the tensor has dimensions (" + std::to_string(m.dim()) + ")");
  const std::size_t lead = sizes.size() - m.dim();
  for (std::size_t i = lead; i != sizes.size(); ++i) {
    const sym_int own = m.sizes[i - lead];
    if (sizes[i].is_int() && sizes[i].as_int() == -1)
      sizes[i] = own;
    else if (!is_one(own) && !same_size(own, sizes[i]))
      a.refuse("a dimension of size " + std::to_string(own.int_or(-1)) + " does not expand to " +
                   std::to_string(sizes[i].int_or(-1)),
               "only dimensions of size 1 expand");
  }
  sizes = checked_sizes(std::move(sizes), a);
  return expanded(m, sizes);
}
} // namespace detail
/// `expand(self, size)`.
constexpr rule_result expand(const rule_args& a) { return detail::expanded(a, a.tensor(0), a.ints(1)); }
/// `expand_as(self, other)`.
constexpr rule_result expand_as(const rule_args& a) {
  return detail::expanded(a, a.tensor(0), a.tensor(1).sizes);
}
/// `select.int(self, dim, index)`.
constexpr rule_result select(const rule_args& a) {
  auto m = a.tensor(0);
  const auto d = wrap_own_dim(a.integer(1), m.dim(), a);
  sym_int i = a.integer(2);
  if (statically_known(sym_ge(i, m.sizes[d])) || statically_known(sym_lt(i, -m.sizes[d])))
    a.refuse("index " + std::to_string(i.int_or(-1)) + " is out of range for a dimension of size " +
             std::to_string(m.sizes[d].int_or(-1)));
  if (i.is_int() && i.as_int() < 0)
    i = i + m.sizes[d];
  m.storage_offset = m.storage_offset + i * m.strides[d];
  m.sizes.erase(d);
  m.strides.erase(d);
  return m;
}
/// `slice.Tensor(self, dim, start, end, step)`.
constexpr rule_result slice(const rule_args& a) {
  auto m = a.tensor(0);
  const auto d = wrap_own_dim(a.integer(1), m.dim(), a);
  const sym_int step = a.integer(4), size = m.sizes[d];
  if (step.is_int() && step.as_int() <= 0)
    a.refuse("a slice's step must be positive");
  const sym_int start = detail::clamp_index(a.optional_integer(2).value_or(0), size);
  sym_int end = a.present(3) ? detail::clamp_index(a.integer(3), size) : size;
  if (guard(sym_lt(end, start)))
    end = start;
  m.storage_offset = m.storage_offset + start * m.strides[d];
  m.sizes[d] = ceildiv(end - start, step);
  m.strides[d] = m.strides[d] * step;
  return m;
}
/// `narrow(self, dim, start, length)`.
constexpr rule_result narrow(const rule_args& a) {
  auto m = a.tensor(0);
  const auto d = wrap_own_dim(a.integer(1), m.dim(), a);
  sym_int start = a.integer(2);
  if (start.is_int() && start.as_int() < 0)
    start = start + m.sizes[d];
  if (statically_known(sym_lt(start, 0)) || statically_known(sym_lt(a.integer(3), 0)) ||
      statically_known(sym_gt(start + a.integer(3), m.sizes[d])))
    a.refuse("narrow reaches past the end of the dimension");
  m.storage_offset = m.storage_offset + start * m.strides[d];
  m.sizes[d] = a.integer(3);
  return m;
}
/// `as_strided(self, size, stride, storage_offset)`.
constexpr rule_result as_strided(const rule_args& a) {
  auto m = a.tensor(0);
  m.sizes = checked_sizes(a.ints(1), a);
  m.strides = a.ints(2);
  if (m.sizes.size() != m.strides.size())
    a.refuse("as many strides are needed as sizes");
  if (auto o = a.optional_integer(3))
    m.storage_offset = *o;
  return m;
}
/// `unfold(self, dimension, size, step)`: a tensor without dimensions is a row of one element.
constexpr rule_result unfold(const rule_args& a) {
  auto m = a.tensor(0);
  const auto d = wrap_dim(a.integer(1), m.dim(), a);
  const auto size = a.integer(2), step = a.integer(3);
  const bool scalar = m.dim() == 0;
  const sym_int old = scalar ? sym_int(1) : m.sizes[d], stride = scalar ? sym_int(1) : m.strides[d];
  if (statically_known(sym_gt(size, old)) || statically_known(sym_lt(size, 0)) ||
      statically_known(sym_le(step, 0)))
    a.refuse("windows of " + std::to_string(size.int_or(-1)) + " at a step of " +
                 std::to_string(step.int_or(-1)) + " do not fit a dimension of " +
                 std::to_string(old.int_or(-1)),
             "make the window no larger than the dimension, and the step positive");
  if (!scalar) {
    m.sizes[d] = floordiv(old - size, step) + 1;
    m.strides[d] = stride * step;
  }
  m.sizes.push_back(size);
  m.strides.push_back(stride);
  return m;
}
/// `diagonal(self, offset, dim1, dim2)`.
constexpr rule_result diagonal(const rule_args& a) {
  auto m = a.tensor(0);
  const auto d1 = wrap_dim(a.integer(2), m.dim(), a), d2 = wrap_dim(a.integer(3), m.dim(), a);
  if (d1 == d2 || m.dim() < 2)
    a.refuse("a diagonal needs two different dimensions");
  const auto offset = a.integer(1).as_int();
  sym_int size =
      offset >= 0 ? sym_min(m.sizes[d1], m.sizes[d2] - offset) : sym_min(m.sizes[d1] + offset, m.sizes[d2]);
  size = sym_max(size, 0);
  if (!(size.is_int() && size.as_int() == 0))
    m.storage_offset = m.storage_offset + (offset >= 0 ? m.strides[d2] * offset : m.strides[d1] * -offset);
  const sym_int stride = m.strides[d1] + m.strides[d2];
  const auto hi = d1 > d2 ? d1 : d2, lo = d1 > d2 ? d2 : d1;
  for (auto d : {hi, lo}) {
    m.sizes.erase(d);
    m.strides.erase(d);
  }
  m.sizes.push_back(size);
  m.strides.push_back(stride);
  return m;
}

namespace detail {
constexpr rule_result pieces(const rule_args& a, std::size_t d, const sym_ints& lengths) {
  const auto& m = a.tensor(0);
  rule_result r;
  r.list = true;
  sym_int at = 0;
  for (auto& n : lengths) {
    auto p = m;
    p.storage_offset = m.storage_offset + at * m.strides[d];
    p.sizes[d] = n;
    at = at + n;
    r.push(std::move(p));
  }
  return r;
}
constexpr sym_ints equal_pieces(const sym_int& size, const sym_int& piece) {
  sym_ints lengths;
  const auto n = size.as_int(), k = piece.as_int();
  if (k <= 0) {
    lengths.push_back(size);
    return lengths;
  }
  for (std::int64_t at = 0; at < n; at += k)
    lengths.push_back(n - at < k ? n - at : k);
  if (n == 0)
    lengths.push_back(0);
  return lengths;
}
} // namespace detail
/// `split.Tensor(self, split_size, dim)`.
constexpr rule_result split(const rule_args& a) {
  const auto& m = a.tensor(0);
  const auto d = wrap_own_dim(a.integer(2), m.dim(), a);
  return detail::pieces(a, d, detail::equal_pieces(m.sizes[d], a.integer(1)));
}
/// `split_with_sizes(self, split_sizes, dim)`, `split.sizes`.
constexpr rule_result split_with_sizes(const rule_args& a) {
  const auto& m = a.tensor(0);
  const auto d = wrap_own_dim(a.integer(2), m.dim(), a);
  const auto lengths = checked_sizes(a.ints(1), a);
  sym_int sum = 0;
  for (auto& n : lengths)
    sum = sum + n;
  if (!same_size(sum, m.sizes[d]))
    a.refuse("the split sizes add up to " + std::to_string(sum.int_or(-1)) + ", the dimension has " +
             std::to_string(m.sizes[d].int_or(-1)));
  return detail::pieces(a, d, lengths);
}
/// `chunk(self, chunks, dim)`: at most that many pieces; exactly that many of a dimension without elements.
constexpr rule_result chunk(const rule_args& a) {
  const auto& m = a.tensor(0);
  const auto d = wrap_own_dim(a.integer(2), m.dim(), a);
  const auto chunks = a.integer(1);
  if (chunks.is_int() && chunks.as_int() <= 0)
    a.refuse("chunk needs at least one chunk, not " + std::to_string(chunks.as_int()));
  if (m.sizes[d].is_int() && m.sizes[d].as_int() == 0)
    return detail::pieces(a, d, sym_ints(static_cast<std::size_t>(chunks.as_int()), 0));
  return detail::pieces(a, d, detail::equal_pieces(m.sizes[d], ceildiv(m.sizes[d], chunks)));
}
/// `unbind.int(self, dim)`.
constexpr rule_result unbind(const rule_args& a) {
  const auto& m = a.tensor(0);
  const auto d = wrap_own_dim(a.integer(1), m.dim(), a);
  rule_result r;
  r.list = true;
  for (std::int64_t i = 0; i != m.sizes[d].as_int(); ++i) {
    auto p = m;
    p.storage_offset = m.storage_offset + m.strides[d] * i;
    p.sizes.erase(d);
    p.strides.erase(d);
    r.push(std::move(p));
  }
  return r;
}
/// `view_as_real`, `view_as_complex`.
constexpr rule_result view_as_real(const rule_args& a) {
  auto m = a.tensor(0);
  if (!is_complex(m.dtype))
    a.refuse("the tensor is not complex", "pass a complex tensor");
  m.dtype = to_real(m.dtype);
  for (auto& s : m.strides)
    s = s * 2;
  m.storage_offset = m.storage_offset * 2;
  m.sizes.push_back(2);
  m.strides.push_back(1);
  return m;
}
constexpr rule_result view_as_complex(const rule_args& a) {
  auto m = a.tensor(0);
  if (m.dim() == 0 || !same_size(m.sizes.back(), 2))
    a.refuse("the last dimension does not hold the two parts of complex numbers", "make its size 2");
  m.dtype = to_complex(m.dtype);
  m.sizes.pop_back();
  m.strides.pop_back();
  for (auto& s : m.strides)
    s = floordiv(s, 2);
  m.storage_offset = floordiv(m.storage_offset, 2);
  return m;
}

namespace detail {
/// One of the two parts of a complex tensor; a real tensor is its own real part.
constexpr tensor_meta part(const rule_args& a, bool imaginary) {
  auto m = a.tensor(0);
  if (!is_complex(m.dtype)) {
    if (imaginary)
      a.refuse("a real tensor has no imaginary part", "pass a complex tensor");
    return m;
  }
  m.dtype = to_real(m.dtype);
  for (auto& s : m.strides)
    s = s * 2;
  m.storage_offset = m.storage_offset * 2 + (imaginary ? 1 : 0);
  return m;
}
} // namespace detail
/// `real(self)`, `imag(self)`: views of a complex tensor's parts.
constexpr rule_result real(const rule_args& a) { return detail::part(a, false); }
constexpr rule_result imag(const rule_args& a) { return detail::part(a, true); }

} // namespace espalier::shape_rules
