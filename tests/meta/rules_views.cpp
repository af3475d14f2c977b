// SPDX-License-Identifier: BSL-1.0
// Views against LibTorch's kernels: sizes, strides and offset are ATen's.
#include "kernel_check.hpp"

namespace {
using namespace kernel_check;

std::size_t wrapped(std::int64_t d, std::int64_t n) {
  return static_cast<std::size_t>(d < 0 ? d + std::max<std::int64_t>(n, 1) : d);
}
/// Sizes with as many elements as `s`: neighbours joined, 4 split, ones put in and taken out, one size
/// perhaps left open.
ints regrouped(const ints& s) {
  ints out;
  for (auto n : s) {
    if (!out.empty() && draw::once_in(3))
      out.back() *= n;
    else if (n == 4 && draw::boolean())
      out.insert(out.end(), {2, 2});
    else if (n != 1 || draw::boolean())
      out.push_back(n);
    if (draw::once_in(6))
      out.push_back(1);
  }
  if (!out.empty() && draw::once_in(4))
    out[wrapped(draw::integer(0, static_cast<std::int64_t>(out.size()) - 1), 0)] = -1;
  return out;
}
at::Tensor any_tensor() { return draw::tensor(draw::any); }

const checks themselves({"aten::ravel", "aten::alias", "aten::lift_fresh", "aten::lift", "aten::detach",
                         "aten::resolve_conj", "aten::resolve_neg", "aten::conj", "aten::positive",
                         "aten::real", "aten::squeeze", "aten::numpy_T", "aten::t", "aten::mT",
                         "aten::adjoint"},
                        [] { return call(any_tensor()); });
const checks imaginary_parts({"aten::imag", "aten::real", "aten::view_as_real"}, [] {
  return call(draw::tensor({at::kComplexFloat, at::kComplexDouble}));
});
const checks complex_numbers({"aten::view_as_complex"}, [] {
  auto s = draw::shape(0, 4);
  if (draw::boolean()) {
    auto x = draw::tensor(s, draw::one_of(draw::dtypes{at::kComplexFloat, at::kComplexDouble}));
    return call(at::view_as_real(x));
  }
  s.push_back(2);
  return call(draw::tensor(s, draw::plain));
});
const checks views({"aten::view", "aten::reshape", "aten::_unsafe_view", "aten::view_copy"}, [] {
  auto s = draw::shape();
  auto x = draw::tensor(s, draw::any);
  return call(x, regrouped(s));
});
const checks views_of_rows({"aten::view", "aten::_unsafe_view"}, [] {
  auto s = draw::shape();
  return call(at::zeros(s), regrouped(s));
});
const checks views_like({"aten::view_as", "aten::reshape_as"}, [] {
  auto s = draw::shape();
  auto x = draw::tensor(s, draw::any);
  auto to = regrouped(s);
  std::int64_t n = 1, rest = 1;
  for (auto k : s)
    n *= k;
  for (auto k : to)
    rest *= k == -1 ? 1 : k;
  for (auto& k : to)
    if (k == -1)
      k = rest ? n / rest : 0;
  return call(x, draw::tensor(to, draw::any));
});
const checks flattened({"aten::flatten.using_ints"}, [] {
  auto x = any_tensor();
  auto first = draw::dim(x.dim());
  return call(x, first, draw::dim(x.dim()));
});
const checks unflattened({"aten::unflatten.int"}, [] {
  auto x = draw::tensor(draw::any, 1);
  auto d = draw::dim(x.dim());
  auto n = x.size(d);
  return call(x, d, regrouped({n}));
});
const checks permuted({"aten::permute"}, [] {
  auto x = any_tensor();
  ints d(static_cast<std::size_t>(x.dim()));
  for (std::size_t i = 0; i != d.size(); ++i)
    d[i] = static_cast<std::int64_t>(i);
  for (std::size_t i = 0; i + 1 < d.size(); ++i)
    std::swap(d[i], d[wrapped(draw::integer(static_cast<std::int64_t>(i), x.dim() - 1), 0)]);
  for (auto& k : d)
    if (draw::once_in(4))
      k -= x.dim();
  return call(x, d);
});
const checks transposed({"aten::transpose.int", "aten::swapaxes", "aten::swapdims", "aten::transpose_",
                         "aten::swapaxes_", "aten::swapdims_"},
                        [] {
                          auto x = any_tensor();
                          auto d = draw::dim(x.dim());
                          return call(x, d, draw::dim(x.dim()));
                        });
const checks moved({"aten::movedim.intlist", "aten::moveaxis.intlist"}, [] {
  auto x = any_tensor();
  auto from = draw::dims(x.dim());
  ints to(from);
  for (std::size_t i = 0; i + 1 < to.size(); ++i)
    std::swap(to[i],
              to[wrapped(
                  draw::integer(static_cast<std::int64_t>(i), static_cast<std::int64_t>(to.size()) - 1), 0)]);
  for (auto& d : to)
    if (draw::boolean())
      d = draw::dim(x.dim());
  return call(x, from, to);
});
const checks moved_one({"aten::movedim.int", "aten::moveaxis.int"}, [] {
  auto x = any_tensor();
  auto d = draw::dim(x.dim());
  return call(x, d, draw::dim(x.dim()));
});
const checks aliased({"aten::_reshape_alias"}, [] {
  auto x = any_tensor();
  return call(x, x.sizes().vec(), x.strides().vec());
});
const checks unsqueezed({"aten::unsqueeze", "aten::unsqueeze_"}, [] {
  auto x = any_tensor();
  return call(x, draw::integer(-x.dim() - 1, x.dim()));
});
const checks turned_in_place({"aten::t_", "aten::squeeze_"}, [] { return call(any_tensor()); });
const checks squeezed_dim({"aten::squeeze.dim", "aten::squeeze_.dim"}, [] {
  auto x = any_tensor();
  return call(x, draw::dim(x.dim()));
});
const checks squeezed_dims({"aten::squeeze.dims", "aten::squeeze_.dims"}, [] {
  auto x = any_tensor();
  return call(x, draw::dims(x.dim()));
});
const checks expanded({"aten::expand", "aten::broadcast_to"}, [] {
  auto s = draw::shape();
  auto x = draw::tensor(draw::broadcastable(s), draw::any);
  for (std::size_t i = 0; i != s.size(); ++i)
    if (s.size() - i <= static_cast<std::size_t>(x.dim()) && draw::once_in(4))
      s[i] = -1;
  return call(x, s);
});
const checks expanded_as({"aten::expand_as"}, [] {
  const auto s = draw::shape();
  auto x = draw::tensor(draw::broadcastable(s), draw::any);
  return call(x, draw::tensor(s, draw::any));
});
const checks selected({"aten::select.int"}, [] {
  auto x = draw::tensor(draw::any, 1);
  auto d = draw::dim(x.dim());
  return call(x, d, draw::integer(-x.size(d), x.size(d) - (x.size(d) != 0)));
});
const checks sliced({"aten::slice.Tensor"}, [] {
  auto x = draw::tensor(draw::any, 1);
  const auto end = [] {
    return draw::once_in(4)   ? c10::IValue()
           : draw::once_in(4) ? c10::IValue(std::int64_t{9223372036854775807})
                              : c10::IValue(draw::integer(-6, 6));
  };
  auto d = draw::dim(x.dim());
  auto from = end(), to = end();
  return call(x, d, from, to, draw::integer(1, 3));
});
const checks narrowed({"aten::narrow"}, [] {
  auto x = draw::tensor(draw::any, 1);
  auto d = draw::dim(x.dim());
  auto start = draw::integer(-x.size(d), x.size(d));
  return call(x, d, start, draw::integer(0, x.size(d) - (start < 0 ? start + x.size(d) : start)));
});
const checks strided({"aten::as_strided", "aten::as_strided_"}, [] {
  auto x = draw::tensor(draw::any, 1, 5, false);
  auto c = call(x, ints{draw::integer(0, 2), 1}, ints{draw::integer(0, 1), 1});
  return draw::boolean() ? c.with("storage_offset", draw::integer(0, 1)) : c;
});
const checks unfolded({"aten::unfold"}, [] {
  auto x = any_tensor();
  auto d = draw::dim(x.dim());
  auto size = draw::integer(0, x.dim() ? x.size(d) : 1);
  return call(x, d, size, draw::integer(1, 3));
});
const checks diagonals({"aten::diagonal"}, [] {
  auto x = draw::tensor(draw::any, 2);
  auto offset = draw::integer(-5, 5);
  auto d = draw::dim(x.dim());
  return call(x, offset, d, draw::dim(x.dim()));
});
const checks split({"aten::split.Tensor", "aten::unsafe_split.Tensor"}, [] {
  auto x = draw::tensor(draw::any, 1);
  auto d = draw::dim(x.dim());
  return call(x, draw::integer(x.size(d) ? 1 : 0, 5), d);
});
const checks split_by_sizes({"aten::split_with_sizes", "aten::split.sizes", "aten::unsafe_split_with_sizes"},
                            [] {
                              auto x = draw::tensor(draw::any, 1);
                              auto d = draw::dim(x.dim());
                              ints sizes;
                              for (auto left = x.size(d); left > 0; left -= sizes.back())
                                sizes.push_back(draw::integer(0, left));
                              return call(x, sizes, d);
                            });
const checks chunks({"aten::chunk", "aten::unsafe_chunk"}, [] {
  auto x = draw::tensor(draw::any, 1);
  auto n = draw::integer(1, 6);
  return call(x, n, draw::dim(x.dim()));
});
const checks unbound({"aten::unbind.int"}, [] {
  auto x = draw::tensor(draw::any, 1);
  return call(x, draw::dim(x.dim()));
});

} // namespace

TEST_CASE("rules of views agree with LibTorch's kernels") {
  kernel_check::run_this_file(strides_of_one::compared);
}
