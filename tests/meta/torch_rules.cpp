// SPDX-License-Identifier: BSL-1.0
// Every family of shape rules against the CPU kernels: arguments are drawn, the kernel is called through the
// dispatcher, and its result's sizes, dtype, strides and offset are compared with the rule's. Strides are
// compared where they mean something: not of dimensions of size 1, and not of tensors without elements.
#include "rule_call.hpp"

#include <doctest/doctest.h>
#include <rapidcheck.h>

using namespace rule_test;

namespace {

/// From `low` to `high`, both of them, whatever the size of the case.
int pick(int low, int high) { return *rc::gen::resize(rc::kNominalSize, rc::gen::inRange(low, high + 1)); }
bool coin() { return pick(0, 1) == 1; }
template <class T>
T one_of(std::initializer_list<T> xs) {
  return *rc::gen::elementOf(std::vector<T>(xs));
}

using sizes = std::vector<std::int64_t>;

/// Sizes of `rank` dimensions from 1 to 4, now and then 0.
sizes draw_sizes(int rank, bool with_zero = true) {
  sizes s;
  for (int i = 0; i != rank; ++i)
    s.push_back(with_zero && pick(0, 12) == 0 ? 0 : pick(1, 4));
  return s;
}

constexpr auto floats = {at::kFloat, at::kDouble, at::kHalf, at::kBFloat16};
constexpr auto real_floats = {at::kFloat, at::kDouble};
constexpr auto reals = {at::kFloat, at::kDouble, at::kHalf, at::kBFloat16, at::kLong,
                        at::kInt,   at::kShort,  at::kByte, at::kChar,     at::kBool};
constexpr auto integers = {at::kLong, at::kInt, at::kShort, at::kByte, at::kChar};

/// Ones of the given sizes, laid out in memory in one of several ways.
at::Tensor lay_out(const sizes& s, at::ScalarType t) {
  const auto options = at::TensorOptions().dtype(t);
  const int n = static_cast<int>(s.size());
  switch (pick(0, 5)) {
  case 1: // permuted
    if (n > 1) {
      const auto order = *rc::gen::exec([n] {
        std::vector<std::int64_t> p(static_cast<std::size_t>(n));
        for (int i = 0; i != n; ++i)
          p[static_cast<std::size_t>(i)] = i;
        for (int i = n; i-- > 1;)
          std::swap(p[static_cast<std::size_t>(i)], p[static_cast<std::size_t>(pick(0, i))]);
        return p;
      });
      sizes stored(s.size());
      for (std::size_t i = 0; i != order.size(); ++i)
        stored[static_cast<std::size_t>(order[i])] = s[i];
      return at::ones(stored, options).permute(order);
    }
    break;
  case 2: // channels last
    if (n == 4)
      return at::ones(s, options).contiguous(at::MemoryFormat::ChannelsLast);
    if (n == 5)
      return at::ones(s, options).contiguous(at::MemoryFormat::ChannelsLast3d);
    break;
  case 3: // every second element, from an offset
    if (n > 0) {
      auto big = s;
      const int d = pick(0, n - 1);
      big[static_cast<std::size_t>(d)] = 2 * s[static_cast<std::size_t>(d)] + 1;
      return at::ones(big, options).slice(d, 1, 2 * s[static_cast<std::size_t>(d)] + 1, 2);
    }
    break;
  case 4: // expanded
    if (n > 0) {
      auto small = s;
      small[static_cast<std::size_t>(pick(0, n - 1))] = 1;
      return at::ones(small, options).expand(s);
    }
    break;
  default:
    break;
  }
  return at::ones(s, options);
}
at::Tensor draw(at::ScalarType t, int low = 0, int high = 5) {
  return lay_out(draw_sizes(pick(low, high)), t);
}
at::Tensor dense(const sizes& s, at::ScalarType t = at::kFloat) {
  return at::ones(s, at::TensorOptions().dtype(t));
}
/// A tensor that broadcasts with `s`.
at::Tensor draw_broadcasting(const sizes& s, at::ScalarType t) {
  sizes o(s.begin() + pick(0, static_cast<int>(s.size())), s.end());
  for (auto& x : o)
    if (pick(0, 2) == 0)
      x = 1;
  return lay_out(o, t);
}
int draw_dim(const at::Tensor& t) {
  const int n = t.dim() ? static_cast<int>(t.dim()) : 1;
  return pick(-n, n - 1);
}
c10::IValue ints(std::initializer_list<std::int64_t> xs) { return c10::IValue(c10::List<std::int64_t>(xs)); }
c10::IValue ints(const sizes& xs) {
  c10::List<std::int64_t> l;
  for (auto x : xs)
    l.push_back(x);
  return l;
}
c10::IValue tensors(const std::vector<at::Tensor>& ts) {
  c10::List<at::Tensor> l;
  for (auto& t : ts)
    l.push_back(t);
  return l;
}
const c10::IValue none{};

/// Compares one call; a difference fails the property with both sides in its message.
void compare(std::string_view op, std::vector<c10::IValue> args) {
  const std::string difference = compare_call(op, std::move(args));
  if (!difference.empty())
    RC_FAIL(difference);
}
template <class Body>
void property(const char* name, Body body) {
  CHECK(rc::check(name, body));
}

} // namespace

TEST_CASE("pointwise operators of one tensor") {
  property("floating inputs", [] {
    const auto x = draw(one_of(floats));
    for (auto op :
         {"neg",         "relu",     "relu6",      "square",     "sign",        "sgn",        "floor",
          "ceil",        "round",    "trunc",      "frac",       "positive",    "hardtanh",   "hardswish",
          "hardsigmoid", "gelu",     "silu",       "mish",       "elu",         "selu",       "celu",
          "leaky_relu",  "softplus", "softshrink", "hardshrink", "nan_to_num",  "logit",      "abs",
          "exp",         "exp2",     "expm1",      "log",        "log2",        "log10",      "log1p",
          "sqrt",        "rsqrt",    "sin",        "cos",        "tan",         "asin",       "acos",
          "atan",        "sinh",     "cosh",       "tanh",       "asinh",       "acosh",      "atanh",
          "sigmoid",     "erf",      "erfc",       "erfinv",     "reciprocal",  "lgamma",     "digamma",
          "isnan",       "isinf",    "isfinite",   "signbit",    "logical_not", "log_sigmoid"})
      compare(op, {x});
  });
  property("any input", [] {
    const auto x = draw(one_of(reals));
    for (auto op : {"neg",      "square",      "sign",  "sgn",   "floor",       "ceil",  "trunc",
                    "positive", "abs",         "exp",   "sqrt",  "sin",         "tanh",  "sigmoid",
                    "erf",      "reciprocal",  "rsqrt", "log1p", "isnan",       "isinf", "isfinite",
                    "signbit",  "logical_not", "conj",  "real",  "bitwise_not", "relu",  "hardtanh"})
      compare(op, {x});
  });
  property("complex input", [] {
    const auto x = draw(one_of({at::kComplexFloat, at::kComplexDouble}));
    for (auto op :
         {"neg", "abs", "exp", "sqrt", "sin", "tanh", "reciprocal", "square", "isnan", "logical_not"})
      compare(op, {x});
  });
}

TEST_CASE("pointwise operators of two") {
  const auto ops = {"add.Tensor",
                    "sub.Tensor",
                    "mul.Tensor",
                    "rsub.Tensor",
                    "maximum",
                    "minimum",
                    "fmax",
                    "fmin",
                    "remainder.Tensor",
                    "fmod.Tensor",
                    "pow.Tensor_Tensor",
                    "floor_divide",
                    "clamp_min.Tensor",
                    "clamp_max.Tensor",
                    "bitwise_and.Tensor",
                    "bitwise_or.Tensor",
                    "bitwise_xor.Tensor",
                    "copysign.Tensor",
                    "hypot",
                    "nextafter",
                    "heaviside",
                    "xlogy.Tensor",
                    "div.Tensor",
                    "true_divide.Tensor",
                    "atan2",
                    "eq.Tensor",
                    "ne.Tensor",
                    "lt.Tensor",
                    "le.Tensor",
                    "gt.Tensor",
                    "ge.Tensor",
                    "logical_and",
                    "logical_or",
                    "logical_xor",
                    "isclose"};
  property("tensors of the same dtype", [&] {
    const auto t = one_of(reals);
    const auto x = draw(t);
    const auto y = draw_broadcasting(x.sizes().vec(), t);
    for (auto op : ops)
      compare(op, {x, y});
    for (auto op : ops)
      compare(op, {y, x});
  });
  property("tensors of two dtypes, with and without dimensions", [&] {
    const auto x = draw(one_of(reals), 0, 3);
    const auto y = coin() ? draw_broadcasting(x.sizes().vec(), one_of(reals))
                          : at::ones({}, at::TensorOptions().dtype(one_of(reals)));
    for (auto op : ops)
      compare(op, {x, y});
    for (auto op : ops)
      compare(op, {y, x});
    compare("div.Tensor_mode", {x, y, none, c10::IValue("floor")});
    compare("div.Tensor_mode", {x, y, none, c10::IValue("trunc")});
    compare("div.Tensor_mode", {x, y, none, none});
  });
  property("a tensor and a number", [&] {
    const auto x = draw(one_of(reals), 0, 4);
    const c10::IValue n = coin() ? c10::IValue(2) : coin() ? c10::IValue(1.5) : c10::IValue(true);
    for (auto op : {"add.Scalar", "sub.Scalar", "mul.Scalar", "rsub.Scalar", "remainder.Scalar",
                    "fmod.Scalar", "pow.Tensor_Scalar", "floor_divide.Scalar", "div.Scalar", "eq.Scalar",
                    "lt.Scalar", "bitwise_and.Scalar", "bitwise_or.Scalar", "clamp_min", "clamp_max"})
      compare(op, {x, n});
    compare("pow.Scalar", {n, x});
    compare("clamp", {x, n, none});
  });
  property("three operands", [] {
    const auto t = one_of(real_floats);
    const auto x = draw(t);
    const auto y = draw_broadcasting(x.sizes().vec(), t), z = draw_broadcasting(x.sizes().vec(), t);
    for (auto op : {"addcmul", "addcdiv", "lerp.Tensor"})
      compare(op, {x, y, z});
    compare("lerp.Scalar", {x, y, 0.5});
    compare("where.self", {draw_broadcasting(x.sizes().vec(), at::kBool), y,
                           draw_broadcasting(x.sizes().vec(), one_of(reals))});
    compare("where.ScalarOther", {draw_broadcasting(x.sizes().vec(), at::kBool), x, 2.0});
    compare("masked_fill.Scalar", {x, draw_broadcasting(x.sizes().vec(), at::kBool), 1.0});
  });
}

TEST_CASE("reductions and scans") {
  property("over one, some or all dimensions", [] {
    const auto x = draw(one_of(reals));
    const bool keep = coin();
    const int d = draw_dim(x);
    sizes dims;
    for (int i = 0; i < x.dim(); ++i)
      if (coin())
        dims.push_back(i);
    for (auto op : {"sum", "prod", "mean", "max", "min", "median", "any", "all", "argmax", "std", "var"})
      compare(op, {x});
    for (auto op :
         {"sum.dim_IntList", "mean.dim", "nansum", "amax", "amin", "logsumexp", "any.dims", "all.dims"})
      compare(op, {x, ints(dims), keep});
    for (auto op : {"prod.dim_int", "max.dim", "min.dim", "median.dim", "mode", "argmax", "argmin", "any.dim",
                    "all.dim"})
      compare(op, {x, d, keep});
    for (auto op : {"var.correction", "std.correction"})
      compare(op, {x, ints(dims), 1, keep});
    for (auto op : {"var.dim", "std.dim"})
      compare(op, {x, ints(dims), true, keep});
    compare("kthvalue", {x, 1, d, keep});
    compare("norm.ScalarOpt_dim", {x, 2.0, ints(dims), keep});
    for (auto op : {"cumsum", "cumprod", "cummax", "cummin"})
      compare(op, {x, d});
    compare("sum.dim_IntList", {x, ints(dims), keep, static_cast<int>(at::kDouble)});
    compare("diff", {x, 1, d});
  });
  property("softmax", [] {
    const auto x = draw(one_of(floats));
    const int d = draw_dim(x);
    for (auto op : {"softmax.int", "log_softmax.int"}) {
      compare(op, {x, d});
      compare(op, {x, d, static_cast<int>(at::kDouble)});
    }
    for (auto op : {"_softmax", "_log_softmax"})
      compare(op, {x, d, false});
  });
}

TEST_CASE("matrix products") {
  property("of matching shapes", [] {
    const auto t = one_of(real_floats);
    const auto n = pick(1, 4), k = pick(1, 4), m = pick(1, 4), b = pick(1, 3);
    const auto x = lay_out({n, k}, t), y = lay_out({k, m}, t);
    compare("mm", {x, y});
    compare("addmm", {lay_out(coin() ? sizes{m} : sizes{n, m}, t), x, y});
    compare("mv", {x, lay_out({k}, t)});
    compare("addmv", {lay_out({n}, t), x, lay_out({k}, t)});
    compare("dot", {lay_out({k}, t), lay_out({k}, t)});
    compare("outer", {lay_out({k}, t), lay_out({m}, t)});
    const auto bx = lay_out({b, n, k}, t), by = lay_out({b, k, m}, t);
    compare("bmm", {bx, by});
    compare("baddbmm", {lay_out({b, n, m}, t), bx, by});
    auto lead = draw_sizes(pick(0, 3), false);
    lead.push_back(k);
    compare("linear", {lay_out(lead, t), lay_out({m, k}, t)});
    compare("linear", {lay_out(lead, t), lay_out({m, k}, t), lay_out({m}, t)});
  });
  property("matmul's cases", [] {
    const auto t = one_of(real_floats);
    const auto n = pick(1, 4), k = pick(1, 4), m = pick(1, 4);
    const auto batch = draw_sizes(pick(0, 2), false);
    auto xs = batch, ys = sizes(batch.begin() + pick(0, static_cast<int>(batch.size())), batch.end());
    for (auto& s : ys)
      if (coin())
        s = 1;
    if (coin())
      std::swap(xs, ys);
    xs.insert(xs.end(), {n, k});
    ys.insert(ys.end(), {k, m});
    if (coin())
      xs = {k};
    if (coin())
      ys = {k};
    compare("matmul", {lay_out(xs, t), lay_out(ys, t)});
  });
}

TEST_CASE("convolutions") {
  property("of all ranks", [] {
    const int rank = pick(1, 3);
    const auto groups = pick(1, 2), in = groups * pick(1, 3), out = groups * pick(1, 3);
    sizes x{pick(1, 2), in}, w{out, in / groups}, wt{in, out / groups}, stride, padding, dilation,
        output_padding;
    for (int i = 0; i != rank; ++i) {
      x.push_back(pick(4, 7));
      w.push_back(pick(1, 3));
      wt.push_back(w.back());
      stride.push_back(pick(1, 3));
      padding.push_back(pick(0, 2));
      dilation.push_back(pick(1, 2));
      output_padding.push_back(0);
    }
    if (pick(0, 3) == 0)
      x.erase(x.begin());
    const auto input = lay_out(x, at::kFloat), weight = lay_out(w, at::kFloat),
               weight_t = lay_out(wt, at::kFloat);
    const c10::IValue bias = coin() ? c10::IValue(dense({out})) : none;
    const std::string r = std::to_string(rank);
    compare("conv" + r + "d", {input, weight, bias, ints(stride), ints(padding), ints(dilation), groups});
    compare("conv" + r + "d.padding", {input, weight, bias, ints(sizes(stride.size(), 1)),
                                       c10::IValue("same"), ints(dilation), groups});
    compare("conv" + r + "d.padding",
            {input, weight, bias, ints(stride), c10::IValue("valid"), ints(dilation), groups});
    compare(
        "conv_transpose" + r + (rank == 1 ? "d" : "d.input"),
        {input, weight_t, bias, ints(stride), ints(padding), ints(output_padding), groups, ints(dilation)});
    if (x.size() == w.size())
      compare("convolution", {input, weight, bias, ints(stride), ints(padding), ints(dilation), false,
                              ints(output_padding), groups});
  });
}

TEST_CASE("pooling") {
  property("max, average and adaptive", [] {
    const int rank = pick(1, 3);
    sizes x{pick(1, 3), pick(1, 3)}, kernel, stride, padding, ones, out;
    for (int i = 0; i != rank; ++i) {
      x.push_back(pick(4, 8));
      kernel.push_back(pick(1, 3));
      stride.push_back(pick(1, 3));
      padding.push_back(pick(0, static_cast<int>(kernel.back() / 2)));
      ones.push_back(1);
      out.push_back(pick(1, 4));
    }
    if (pick(0, 3) == 0)
      x.erase(x.begin());
    const auto input = lay_out(x, at::kFloat);
    const bool ceil = coin();
    const std::string r = std::to_string(rank) + "d";
    const c10::IValue step = coin() ? ints(stride) : ints(sizes{});
    compare("max_pool" + r, {input, ints(kernel), step, ints(padding), ints(ones), ceil});
    compare("max_pool" + r + "_with_indices", {input, ints(kernel), step, ints(padding), ints(ones), ceil});
    compare("avg_pool" + r, {input, ints(kernel), step, ints(padding), ceil});
    compare("adaptive_avg_pool" + r, {input, ints(out)});
    compare("adaptive_max_pool" + r, {input, ints(out)});
  });
}

TEST_CASE("normalisations, dropout, attention, losses") {
  property("normalisations", [] {
    const auto c = 2 * pick(1, 3);
    auto s = draw_sizes(pick(2, 5), false);
    s[1] = c;
    const auto x = lay_out(s, at::kFloat), w = dense({c});
    const bool training = coin() && x.numel() > c; // one value a channel has no variance
    compare("batch_norm", {x, w, w, w, w, training, 0.1, 1e-5, false});
    compare("native_batch_norm", {x, w, w, w.clone(), w.clone(), training, 0.1, 1e-5});
    compare("_native_batch_norm_legit", {x, w, w, w.clone(), w.clone(), training, 0.1, 1e-5});
    compare("_native_batch_norm_legit_no_training", {x, w, w, w, w, 0.1, 1e-5});
    if (s.size() > 2)
      compare("instance_norm", {x, w, w, none, none, true, 0.1, 1e-5, false});
    compare("group_norm", {x, 2, w, w});
    const sizes tail(s.begin() + pick(1, static_cast<int>(s.size()) - 1), s.end());
    compare("layer_norm", {x, ints(tail), dense(tail), dense(tail)});
    compare("native_layer_norm", {x, ints(tail), dense(tail), dense(tail), 1e-5});
    compare("rms_norm", {x, ints(tail), dense(tail)});
    compare("rms_norm", {x, ints(tail)});
  });
  property("dropout", [] {
    const auto x = draw(at::kFloat);
    const bool train = coin();
    compare("dropout", {x, 0.5, train});
    compare("native_dropout", {x, 0.5, train});
    if (x.dim() > 1)
      compare("feature_dropout", {x, 0.5, train});
    compare("alpha_dropout", {x, 0.5, train});
    compare("bernoulli", {x});
    compare("prelu", {lay_out({2, 3, 2}, at::kFloat), dense({coin() ? 3 : 1})});
  });
  property("attention", [] {
    const auto b = pick(1, 2), h = pick(1, 3), l = pick(1, 4), s = pick(1, 4), e = 8 * pick(1, 2);
    const auto at_rank = [&](std::int64_t rows) {
      switch (pick(0, 2)) {
      case 0:
        return dense({b, h, rows, e});
      default:
        return dense({b, rows, h, e}).transpose(1, 2);
      }
    };
    const c10::IValue mask = coin() ? c10::IValue(dense({l, s})) : none;
    compare("scaled_dot_product_attention", {at_rank(l), at_rank(s), at_rank(s), mask});
    compare("scaled_dot_product_attention", {dense({b, l, e}), dense({b, s, e}), dense({b, s, e})});
  });
  property("losses", [] {
    const auto x = draw(at::kFloat);
    const int how = pick(0, 2);
    const auto y = lay_out(x.sizes().vec(), at::kFloat);
    for (auto op : {"mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "kl_div", "soft_margin_loss"})
      compare(op, {x, y, how});
    compare("binary_cross_entropy", {x, y, none, how});
    compare("binary_cross_entropy_with_logits", {x, y, none, none, how});
    const auto n = pick(1, 3), c = pick(2, 4);
    auto logits = sizes{n, c};
    auto labels = sizes{n};
    if (coin())
      logits.push_back(3), labels.push_back(3);
    const auto target = at::ones(labels, at::kLong);
    compare("nll_loss_nd", {lay_out(logits, at::kFloat), target, none, how});
    compare("cross_entropy_loss", {lay_out(logits, at::kFloat), target, none, how});
    compare("cross_entropy_loss", {lay_out(logits, at::kFloat), lay_out(logits, at::kFloat), none, how});
  });
  property("embedding and its like", [] {
    compare("embedding", {lay_out({5, pick(1, 4)}, at::kFloat), draw(one_of({at::kLong, at::kInt}), 0, 3)});
    compare("one_hot", {draw(at::kLong, 0, 3), 4});
    const auto x = lay_out({2, 4, 2 * pick(1, 3), 4}, at::kFloat);
    compare("glu", {x, pick(-3, 3) | 1});
    compare("pixel_shuffle", {x, 2});
  });
}

TEST_CASE("recurrent networks") {
  property("sequences and cells", [] {
    const auto in = pick(1, 3), hidden = pick(1, 3), layers = pick(1, 2), steps = pick(1, 3),
               batch = pick(1, 3);
    const bool both = coin(), batch_first = coin(), biases = coin();
    const int d = both ? 2 : 1;
    const auto params = [&](std::int64_t gates) {
      std::vector<at::Tensor> p;
      for (int l = 0; l != layers; ++l)
        for (int k = 0; k != d; ++k) {
          p.push_back(dense({gates * hidden, l ? hidden * d : in}));
          p.push_back(dense({gates * hidden, hidden}));
          if (biases)
            p.insert(p.end(), {dense({gates * hidden}), dense({gates * hidden})});
        }
      return tensors(p);
    };
    const auto x = lay_out(batch_first ? sizes{batch, steps, in} : sizes{steps, batch, in}, at::kFloat);
    const auto h = dense({layers * d, batch, hidden});
    compare("lstm.input", {x, tensors({h, h}), params(4), biases, layers, 0.0, false, both, batch_first});
    compare("gru.input", {x, h, params(3), biases, layers, 0.0, false, both, batch_first});
    compare("rnn_tanh.input", {x, h, params(1), biases, layers, 0.0, false, both, batch_first});
    const auto row = dense({batch, in}), state = dense({batch, hidden});
    compare("lstm_cell",
            {row, tensors({state, state}), dense({4 * hidden, in}), dense({4 * hidden, hidden})});
    compare("gru_cell", {row, state, dense({3 * hidden, in}), dense({3 * hidden, hidden})});
    compare("rnn_tanh_cell", {row, state, dense({hidden, in}), dense({hidden, hidden})});
  });
}

TEST_CASE("views") {
  property("of any layout", [] {
    const auto x = draw(at::kFloat);
    const int d = draw_dim(x), e = draw_dim(x);
    for (auto op : {"alias", "detach", "squeeze"})
      compare(op, {x});
    compare("transpose.int", {x, d, e});
    compare("unsqueeze", {x, pick(-static_cast<int>(x.dim()) - 1, static_cast<int>(x.dim()))});
    compare("squeeze.dim", {x, d});
    compare("squeeze.dims", {x, ints({d})});
    compare("flatten.using_ints", {x, 0, -1});
    if (x.dim() > 1)
      compare("flatten.using_ints", {x, pick(0, 1), pick(1, static_cast<int>(x.dim()) - 1)});
    if (x.dim() <= 2)
      compare("t", {x});
    if (x.dim() >= 2)
      compare("mT", {x});
    if (x.dim() >= 1) {
      compare("movedim.intlist", {x, ints({d}), ints({e})});
      compare("select.int", {x, d, pick(-1, 0)});
      compare("slice.Tensor", {x, d, pick(-5, 5), pick(-5, 5), pick(1, 3)});
      compare("slice.Tensor", {x, d, none, none, pick(1, 3)});
      compare("narrow", {x, d, 0, pick(0, static_cast<int>(x.size(d)))});
      compare("split.Tensor", {x, pick(1, 3), d});
      compare("chunk", {x, pick(1, 4), d});
      compare("unbind.int", {x, d});
      compare("unfold", {x, d, pick(0, static_cast<int>(x.size(d))), pick(1, 2)});
      compare("unflatten.int", {x, d, ints({1, -1})});
      compare("split_with_sizes", {x, ints({1, x.size(d) - 1}), d});
    }
    if (x.dim() >= 2)
      compare("diagonal", {x, pick(-2, 2), 0, pick(1, static_cast<int>(x.dim()) - 1)});
    auto wide = draw_sizes(pick(0, 2), false);
    for (auto s : x.sizes())
      wide.push_back(s == 1 ? pick(1, 3) : coin() ? s : -1);
    compare("expand", {x, ints(wide)});
    compare("reshape", {x, ints({-1})});
    compare("view", {x, ints({x.numel()})});
    compare("view", {x, ints(x.sizes().vec())});
  });
  property("reshape to other factors", [] {
    const auto x = lay_out({pick(1, 3) * 2, pick(1, 3), 4}, at::kFloat);
    for (const auto& to :
         {sizes{2, -1, 4}, sizes{-1, 2, 2}, sizes{-1, 4}, sizes{2, -1}, sizes{1, -1, 1, 2}}) {
      compare("reshape", {x, ints(to)});
      compare("view", {x, ints(to)});
    }
  });
  property("permute", [] {
    const auto x = lay_out(draw_sizes(3), at::kFloat);
    for (const auto& p : {sizes{0, 1, 2}, sizes{2, 0, 1}, sizes{-1, 1, 0}, sizes{1, 0, 2}})
      compare("permute", {x, ints(p)});
  });
  property("complex and real", [] {
    compare("view_as_real", {draw(at::kComplexFloat)});
    auto s = draw_sizes(pick(0, 3));
    s.push_back(2);
    compare("view_as_complex", {dense(s)});
  });
}

TEST_CASE("factories, copies and casts") {
  property("like a tensor", [] {
    const auto x = draw(one_of(reals));
    for (auto op : {"empty_like", "zeros_like", "ones_like"}) {
      compare(op, {x});
      compare(op, {x, static_cast<int>(at::kDouble)});
      compare(op, {x, none, none, none, none, static_cast<int>(at::MemoryFormat::Contiguous)});
    }
    compare("full_like", {x, 2});
    for (auto op : {"new_empty", "new_zeros", "new_ones"})
      compare(op, {x, ints({2, 3})});
    compare("new_full", {x, ints({2, 3}), 1.5});
    compare("clone", {x});
    compare("contiguous", {x});
    compare("type_as", {x, draw(one_of(reals))});
    compare("to.dtype", {x, static_cast<int>(one_of(reals))});
    compare("to.dtype", {x, static_cast<int>(one_of(reals)), false, true});
    compare("_to_copy", {x, static_cast<int>(one_of(reals))});
    compare("to.other", {x, draw(one_of(reals))});
    compare("lift_fresh_copy", {x});
    compare("sym_numel", {x});
    if (x.dim())
      compare("sym_size.int", {x, draw_dim(x)});
    if (x.dim() == 4)
      compare("contiguous", {x, static_cast<int>(at::MemoryFormat::ChannelsLast)});
    if (x.dim() == 4)
      compare("clone", {x, static_cast<int>(at::MemoryFormat::ChannelsLast)});
  });
  property("from nothing", [] {
    const auto s = draw_sizes(pick(0, 4));
    for (auto op : {"zeros", "ones", "rand", "randn", "empty.memory_format"})
      compare(op, {ints(s)});
    const c10::IValue n = coin() ? c10::IValue(2) : coin() ? c10::IValue(1.5) : c10::IValue(true);
    compare("full", {ints(s), n});
    compare("scalar_tensor", {n});
    const double step = pick(1, 9) * 0.25;
    compare("arange", {coin() ? c10::IValue(pick(0, 9)) : c10::IValue(pick(0, 9) * 0.5)});
    compare("arange.start", {pick(-3, 0), pick(0, 5)});
    compare("arange.start_step", {pick(-3, 0), pick(0, 5), pick(1, 3)});
    compare("arange.start_step", {pick(-3, 0), pick(0, 5) * 0.5, step});
    compare("linspace", {0, 1, pick(0, 5)});
    compare("eye", {pick(0, 4)});
    compare("eye.m", {pick(0, 4), pick(0, 4)});
    compare("randint", {5, ints(s)});
    compare("randint.low", {1, 5, ints(s)});
    compare("randperm", {pick(0, 5)});
  });
}

TEST_CASE("indexing, joining, padding and sorting") {
  property("indexing", [] {
    const auto x = lay_out(draw_sizes(pick(1, 4), false), at::kFloat);
    const int d = draw_dim(x);
    const auto zeros = [](const sizes& s) { return at::zeros(s, at::kLong); };
    compare("index_select", {x, d, zeros({pick(0, 3)})});
    compare("gather", {x, d, zeros(x.sizes().vec())});
    compare("take", {x, zeros(draw_sizes(2, false))});
    compare("scatter.value", {x, d, zeros(x.sizes().vec()), 1.0});
    compare("scatter.src", {x, d, zeros(x.sizes().vec()), x});
    compare("scatter_add", {x, d, zeros(x.sizes().vec()), x});
    compare("index_add", {x, d, zeros({1}), x.narrow(d, 0, 1)});
    compare("index_fill.int_Scalar", {x, d, zeros({1}), 1.0});
    compare("select_scatter", {x, x.select(d, 0), d, 0});
    compare("slice_scatter", {x, x, d});
    for (auto op : {"tril", "triu"})
      if (x.dim() > 1)
        compare(op, {x});
    compare("flip", {x, ints({d})});
    compare("roll", {x, ints({1}), ints({d})});
    c10::List<std::optional<at::Tensor>> indices;
    bool any = false;
    const auto common = draw_sizes(pick(0, 2), false);
    for (int i = 0; i != x.dim(); ++i) {
      if (coin())
        indices.push_back(std::nullopt);
      else
        indices.push_back(zeros(common)), any = true;
    }
    if (any) {
      compare("index.Tensor", {x, indices});
      compare("index_put", {x, indices, dense({})});
    }
  });
  property("joining", [] {
    auto s = draw_sizes(pick(1, 5), false);
    const int n = static_cast<int>(s.size()), d = pick(-n, n - 1);
    const auto x = lay_out(s, one_of(reals));
    const auto y = lay_out(s, one_of(reals));
    compare("stack", {tensors({x, y}), pick(-n - 1, n)});
    auto longer = s;
    longer[static_cast<std::size_t>(d < 0 ? d + n : d)] = pick(1, 4);
    const auto z = lay_out(longer, one_of(reals));
    compare("cat", {tensors({x, z, y}), d});
    compare("cat", {tensors({x}), d});
    compare("repeat", {x, ints(sizes(s.size() + 1, 2))});
    compare("repeat_interleave.self_int", {x, 2, d});
    compare("repeat_interleave.self_int", {x, 2});
  });
  property("padding and upsampling", [] {
    const int rank = pick(1, 3);
    sizes s{pick(1, 2), pick(1, 3)}, by, out;
    for (int i = 0; i != rank; ++i) {
      s.push_back(pick(3, 5));
      out.push_back(pick(1, 6));
      by.insert(by.end(), {pick(0, 2), pick(0, 2)});
    }
    const auto x = lay_out(s, at::kFloat);
    const std::string r = std::to_string(rank) + "d";
    for (auto mode : {"constant", "reflect", "replicate"})
      compare("pad", {x, ints(by), c10::IValue(mode)});
    compare("constant_pad_nd", {x, ints(by)});
    compare("reflection_pad" + r, {x, ints(by)});
    compare("replication_pad" + r, {x, ints(by)});
    compare("upsample_nearest" + r, {x, ints(out)});
    compare("upsample_nearest" + r + ".vec", {x, ints(out), none});
    c10::List<double> factors;
    for (int i = 0; i != rank; ++i)
      factors.push_back(pick(1, 5) * 0.5);
    compare("upsample_nearest" + r + ".vec", {x, none, factors});
    if (rank == 1)
      compare("upsample_linear1d", {x, ints(out), false});
    if (rank == 2) {
      compare("upsample_bilinear2d", {x, ints(out), false});
      compare("upsample_bicubic2d", {x, ints(out), false});
      compare("upsample_bilinear2d.vec", {x, none, false, factors});
    }
    if (rank == 3)
      compare("upsample_trilinear3d", {x, ints(out), false});
  });
  property("sorting", [] {
    const auto x = draw(one_of({at::kFloat, at::kLong}));
    const int d = draw_dim(x);
    compare("sort", {x, d});
    compare("argsort", {x, d});
    compare("topk", {x, x.dim() ? pick(0, static_cast<int>(x.size(d))) : 1, d});
  });
}
