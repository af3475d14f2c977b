// SPDX-License-Identifier: BSL-1.0
// Indexing, joining, padding, sorting and resizing against LibTorch's kernels.
#include "kernel_check.hpp"

namespace {
using namespace kernel_check;

at::Tensor any_tensor(std::int64_t lo = 0, bool empty = true) {
  return draw::tensor(draw::any, lo, 5, empty);
}
std::int64_t size_at(const at::Tensor& x, std::int64_t d) { return x.dim() ? x.size(d) : 1; }
std::size_t wrapped(std::int64_t d, std::int64_t n) { return static_cast<std::size_t>(d < 0 ? d + n : d); }

/// A list of indices for `x`, with gaps; their shapes mostly broadcast.
std::vector<std::optional<at::Tensor>> indices_of(const at::Tensor& x) {
  const auto common = draw::shape(0, 3, false);
  std::vector<std::optional<at::Tensor>> out;
  for (std::int64_t d = 0; d != x.dim(); ++d)
    out.push_back(draw::boolean() ? std::nullopt
                                  : std::optional(draw::indices(draw::broadcastable(common), x.size(d),
                                                                draw::once_in(5) ? at::kInt : at::kLong)));
  while (!out.empty() && !out.back() && draw::boolean())
    out.pop_back();
  return out;
}
const checks indexed({"aten::index.Tensor"}, [] {
  auto x = any_tensor(1, draw::once_in(8));
  return call(x, indices_of(x));
});
const checks put({"aten::index_put", "aten::_unsafe_index_put"}, [] {
  auto x = any_tensor(1, false);
  return call(x, indices_of(x), at::ones({}, x.options()));
});
const checks chosen({"aten::index_select"}, [] {
  auto x = any_tensor();
  auto d = draw::dim(x.dim());
  return call(x, d, draw::indices(draw::shape(0, 1), size_at(x, d), draw::once_in(4) ? at::kInt : at::kLong));
});
/// `self`, `dim` and an index no larger than `self`.
call gathering(const draw::dtypes& t) {
  auto x = draw::tensor(t);
  auto d = draw::dim(x.dim());
  auto s = x.sizes().vec();
  for (auto& n : s)
    n = draw::integer(n ? 1 : 0, n);
  return call(x, d, draw::indices(s, size_at(x, d)));
}
const checks gathered({"aten::gather"}, [] { return gathering(draw::any); });
const checks taken({"aten::take"}, [] {
  auto x = any_tensor(0, false);
  return call(x, draw::indices(draw::shape(), x.numel()));
});
const checks scattered({"aten::scatter.src", "aten::scatter_add"}, [] {
  auto c = gathering(draw::any);
  return c.add(draw::tensor(c.args[2]->toTensor().sizes().vec(), c.args[0]->toTensor().scalar_type()));
});
const checks scattered_combining({"aten::scatter.reduce"}, [] {
  auto c = gathering(draw::real);
  c.add(draw::tensor(c.args[2]->toTensor().sizes().vec(), c.args[0]->toTensor().scalar_type()));
  return c.with("reduce", "add");
});
const checks scattered_number_combining({"aten::scatter.value_reduce"}, [] {
  return gathering(draw::real).add(1).with("reduce", "multiply");
});
const checks scattered_number({"aten::scatter.value"}, [] { return gathering(draw::any).add(1); });
const checks scattered_reducing({"aten::scatter_reduce.two"}, [] {
  auto c = gathering(draw::real);
  c.add(draw::tensor(c.args[2]->toTensor().sizes().vec(), c.args[0]->toTensor().scalar_type()));
  return c.add(draw::one_of<const char*>({"sum", "amax", "mean"}));
});
const checks along_index({"aten::index_copy", "aten::index_add"}, [] {
  auto s = draw::shape(1);
  auto x = draw::tensor(s, draw::any);
  auto d = draw::dim(x.dim());
  auto& n = s[wrapped(d, x.dim())];
  const auto bound = n;
  n = draw::integer(0, n);
  auto index = draw::indices({n}, bound);
  return call(x, d, index, draw::tensor(s, x.scalar_type()));
});
const checks filled({"aten::index_fill.int_Scalar"}, [] {
  auto x = any_tensor();
  auto d = draw::dim(x.dim());
  return call(x, d, draw::indices({draw::integer(0, 2)}, size_at(x, d)), 1);
});
call masking() {
  const auto s = draw::shape();
  auto x = draw::tensor(draw::broadcastable(s), draw::any);
  return call(x, draw::tensor(draw::broadcastable(s), at::kBool));
}
const checks filled_from({"aten::index_fill.int_Tensor"}, [] {
  auto x = any_tensor();
  auto d = draw::dim(x.dim());
  return call(x, d, draw::indices({draw::integer(0, 2)}, size_at(x, d)), at::ones({}));
});
const checks masked({"aten::masked_fill.Scalar"}, [] { return masking().add(1); });
const checks masked_by_tensor({"aten::masked_fill.Tensor"}, [] { return masking().add(at::ones({})); });
const checks masked_source({"aten::masked_scatter"}, [] {
  auto c = masking();
  return c.add(at::ones({5, 5, 5, 5}, c.args[0]->toTensor().options()));
});
const checks into_selection({"aten::select_scatter"}, [] {
  auto s = draw::shape(1, 5, false);
  auto x = draw::tensor(s, draw::any);
  auto d = draw::dim(x.dim());
  auto i = draw::integer(0, x.size(d) - 1);
  s.erase(s.begin() + static_cast<std::ptrdiff_t>(wrapped(d, x.dim())));
  return call(x, draw::tensor(s, x.scalar_type()), d, i);
});
const checks into_slice({"aten::slice_scatter"}, [] {
  auto s = draw::shape(1);
  auto x = draw::tensor(s, draw::any);
  auto d = draw::dim(x.dim());
  auto& n = s[wrapped(d, x.dim())];
  n = draw::integer(0, n);
  auto end = n;
  return call(x, draw::tensor(s, x.scalar_type()), d, 0, end);
});
const checks copied({"aten::copy"}, [] {
  const auto s = draw::shape();
  auto x = draw::tensor(s, draw::any);
  return call(x, draw::tensor(draw::broadcastable(s), draw::any));
});
const checks triangles({"aten::tril", "aten::triu"}, [] {
  auto x = any_tensor(2);
  return call(x, draw::integer(-2, 2));
});
const checks flipped({"aten::flip"}, [] {
  auto x = any_tensor();
  return call(x, draw::dims(x.dim()));
});
const checks mirrored({"aten::fliplr", "aten::flipud"}, [] { return call(any_tensor(1)); });
const checks rolled({"aten::roll"}, [] {
  auto x = any_tensor();
  if (draw::once_in(4))
    return call(x, ints{draw::integer(-2, 5)});
  auto d = draw::dims(x.dim());
  ints shifts;
  for (std::size_t i = 0; i != d.size(); ++i)
    shifts.push_back(draw::integer(-2, 5));
  return call(x, shifts, d);
});
const checks embedded({"aten::embedding"}, [] {
  auto w = draw::tensor(draw::shape(2, 2, false), draw::floats);
  return call(w, draw::indices(draw::shape(), w.size(0), draw::once_in(4) ? at::kInt : at::kLong));
});
const checks one_hots({"aten::one_hot"},
                      [] { return call(draw::indices(draw::shape(), 3), draw::integer(3, 5)); });

/// Tensors of one shape, apart from dimension `d`.
std::vector<at::Tensor> several(ints s, std::optional<std::size_t> d, std::int64_t lo) {
  const auto n = draw::integer(1, 3);
  const auto one = draw::boolean();
  const auto t = draw::one_of(draw::any);
  std::vector<at::Tensor> out;
  for (std::int64_t i = 0; i != n; ++i) {
    if (d)
      s[*d] = draw::integer(lo, 3);
    out.push_back(draw::tensor(s, one ? t : draw::one_of(draw::any)));
  }
  return out;
}
const checks joined({"aten::cat", "aten::concat", "aten::concatenate"}, [] {
  const auto s = draw::shape(1);
  const auto n = static_cast<std::int64_t>(s.size());
  auto d = draw::dim(n);
  auto all = several(s, wrapped(d, n), 0);
  if (draw::once_in(5))
    all.insert(all.begin(), at::empty({0}));
  return call(all, d);
});
const checks joined_formats({"aten::cat"}, [] {
  auto all = several(draw::shape(4, 5, false), std::nullopt, 1);
  const auto f = all[0].dim() == 4 ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::ChannelsLast3d;
  for (auto& x : all)
    if (!draw::once_in(6))
      x = x.contiguous(f);
  return call(all, draw::dim(all[0].dim()));
});
const checks stacked({"aten::stack"}, [] {
  auto all = several(draw::shape(), std::nullopt, 1);
  if (all[0].dim() == 4 && draw::boolean())
    for (auto& x : all)
      x = x.contiguous(at::MemoryFormat::ChannelsLast);
  return call(all, draw::integer(-all[0].dim() - 1, all[0].dim()));
});
const checks repeated({"aten::repeat", "aten::tile"}, [] {
  auto x = any_tensor();
  ints r(static_cast<std::size_t>(x.dim() + draw::integer(0, 2)));
  for (auto& n : r)
    n = draw::integer(draw::once_in(6) ? 0 : 1, 3);
  return call(x, r);
});
const checks interleaved({"aten::repeat_interleave.self_int"}, [] {
  auto x = any_tensor();
  auto n = draw::integer(0, 3);
  return draw::boolean() ? call(x, n) : call(x, n, draw::dim(x.dim()));
});

ints padding(std::int64_t dims, std::int64_t lo, std::int64_t hi) {
  ints p(static_cast<std::size_t>(2 * dims));
  if (!draw::once_in(5))
    for (auto& n : p)
      n = draw::integer(lo, hi);
  return p;
}
at::Tensor image(std::int64_t lo, std::int64_t hi) {
  auto s = draw::shape(lo, hi, false);
  for (auto& n : s)
    n += 1;
  auto x = draw::tensor(s, draw::floats);
  if (x.dim() == 4 && draw::boolean())
    x = x.contiguous(at::MemoryFormat::ChannelsLast);
  if (x.dim() == 5 && draw::boolean())
    x = x.contiguous(at::MemoryFormat::ChannelsLast3d);
  return x;
}
const checks padded({"aten::constant_pad_nd", "aten::pad"}, [] {
  auto x = draw::boolean() ? image(1, 5) : any_tensor();
  return call(x, padding(draw::integer(0, x.dim()), -1, 2));
});
const checks padded_otherwise({"aten::pad"}, [] {
  auto x = image(2, 5);
  const auto n = draw::integer(1, std::min<std::int64_t>(3, x.dim() - 1));
  return call(x, padding(n, 0, 1), draw::one_of<const char*>({"reflect", "replicate", "circular"}));
});
const checks padded1({"aten::reflection_pad1d", "aten::replication_pad1d"}, [] {
  auto x = image(2, 3);
  return call(x, padding(1, 0, 1));
});
const checks padded2({"aten::reflection_pad2d", "aten::replication_pad2d"}, [] {
  auto x = image(3, 4);
  return call(x, padding(2, 0, 1));
});
const checks padded3({"aten::reflection_pad3d", "aten::replication_pad3d"}, [] {
  auto x = image(4, 5);
  return call(x, padding(3, 0, 1));
});

const checks top({"aten::topk"}, [] {
  auto x = draw::tensor(draw::real);
  auto d = draw::dim(x.dim());
  return call(x, draw::integer(0, size_at(x, d)), d);
});
const checks sorted({"aten::sort", "aten::argsort"}, [] {
  auto x = draw::tensor(draw::real_or_bool);
  return call(x, draw::dim(x.dim()));
});
const checks sorted_stably({"aten::sort.stable", "aten::argsort.stable"}, [] {
  auto x = draw::tensor(draw::real_or_bool);
  return call(x).with("stable", true).with("dim", draw::dim(x.dim()));
});

ints resized(std::int64_t n) {
  ints out;
  for (std::int64_t i = 0; i != n; ++i)
    out.push_back(draw::integer(1, 6));
  return out;
}
const checks nearest1({"aten::upsample_nearest1d"}, [] {
  auto x = image(3, 3);
  return call(x, resized(1));
});
const checks nearest2({"aten::upsample_nearest2d"}, [] {
  auto x = image(4, 4);
  return call(x, resized(2));
});
const checks nearest3({"aten::upsample_nearest3d"}, [] {
  auto x = image(5, 5);
  return call(x, resized(3));
});
const checks linear1({"aten::upsample_linear1d"}, [] {
  auto x = image(3, 3);
  return call(x, resized(1), draw::boolean());
});
const checks linear2({"aten::upsample_bilinear2d", "aten::upsample_bicubic2d"}, [] {
  auto x = image(4, 4);
  return call(x, resized(2), draw::boolean());
});
const checks linear3({"aten::upsample_trilinear3d"}, [] {
  auto x = image(5, 5);
  return call(x, resized(3), draw::boolean());
});
/// Sizes or factors.
call by_size_or_factor(std::int64_t n, bool corners) {
  auto x = image(n + 2, n + 2);
  call c(x);
  const bool by_size = draw::boolean();
  c.add(by_size ? c10::IValue(resized(n)) : c10::IValue());
  if (corners)
    c.add(draw::boolean());
  std::vector<double> f;
  for (std::int64_t i = 0; i != n; ++i)
    f.push_back(draw::one_of({0.5, 1.3, 2.0, 2.6}));
  return c.add(by_size ? c10::IValue() : c10::IValue(f));
}
const checks nearest1_vec({"aten::upsample_nearest1d.vec"}, [] { return by_size_or_factor(1, false); });
const checks nearest2_vec({"aten::upsample_nearest2d.vec"}, [] { return by_size_or_factor(2, false); });
const checks nearest3_vec({"aten::upsample_nearest3d.vec"}, [] { return by_size_or_factor(3, false); });
const checks linear2_vec({"aten::upsample_bilinear2d.vec", "aten::upsample_bicubic2d.vec"},
                         [] { return by_size_or_factor(2, true); });

} // namespace

TEST_CASE("indexing and joining rules agree with LibTorch's kernels") {
  kernel_check::run_this_file(strides_of_one::compared);
}
