// SPDX-License-Identifier: BSL-1.0
// Normalisations, losses, dropout, attention and recurrent networks against LibTorch's kernels.
#include "kernel_check.hpp"

namespace {
using namespace kernel_check;

std::int64_t size() { return draw::integer(1, 4); }

// ---- normalisations

/// A batch with channels, and what normalises it; f32 parameters go with half floats too.
struct normalised {
  at::Tensor x;
  at::ScalarType parameter_type;
  std::int64_t channels;
  c10::IValue weight, bias, mean, var;

  explicit normalised(bool running = false) {
    const auto t = draw::one_of(draw::floats);
    auto s = draw::shape(2, 5, false);
    if (draw::once_in(20))
      s[0] = 0;
    channels = s[1];
    x = draw::tensor(s, t);
    parameter_type = t != at::kDouble && draw::once_in(3) ? at::kFloat : t;
    if (draw::boolean()) {
      weight = parameter();
      bias = parameter();
    }
    if (running || draw::boolean()) {
      mean = parameter();
      var = parameter();
    }
  }
  at::Tensor parameter() const { return at::ones({channels}, at::dtype(parameter_type)); }
};
const checks batch_norm({"aten::batch_norm"}, [] {
  const normalised n(true);
  return call(n.x, n.weight, n.bias, n.mean, n.var, draw::boolean(), 0.1, 1e-5, false);
});
const checks native_batch_norm({"aten::native_batch_norm"}, [] {
  const normalised n;
  return call(n.x, n.weight, n.bias, n.mean, n.var, n.mean.isNone() || draw::boolean(), 0.1, 1e-5);
});
const checks batch_norm_legit({"aten::_native_batch_norm_legit", "aten::_native_batch_norm_legit_functional"},
                              [] {
                                const normalised n(true);
                                return call(n.x, n.weight, n.bias, n.mean, n.var, draw::boolean(), 0.1, 1e-5);
                              });
const checks batch_norm_no_stats({"aten::_native_batch_norm_legit.no_stats"}, [] {
  const normalised n;
  return call(n.x, n.weight, n.bias, true, 0.1, 1e-5);
});
const checks batch_norm_inference({"aten::_native_batch_norm_legit_no_training"}, [] {
  const normalised n(true);
  return call(n.x, n.weight, n.bias, n.mean, n.var, 0.1, 1e-5);
});
const checks instance_norm({"aten::instance_norm"}, [] {
  const normalised n(true);
  return call(n.x, n.weight, n.bias, n.mean, n.var, draw::boolean(), 0.1, 1e-5, false);
});
std::int64_t groups_of(std::int64_t channels) {
  const auto g = draw::integer(1, channels);
  return channels % g ? 1 : g;
}
const checks group_norm({"aten::group_norm"}, [] {
  const normalised n;
  return call(n.x, groups_of(n.channels), n.weight, n.bias, 1e-5, false);
});
const checks native_group_norm({"aten::native_group_norm"}, [] {
  const normalised n;
  std::int64_t area = 1;
  for (std::int64_t i = 2; i < n.x.dim(); ++i)
    area *= n.x.size(i);
  return call(n.x, n.weight, n.bias, n.x.size(0), n.channels, area, groups_of(n.channels), 1e-5);
});
/// An input, its last sizes, and a weight (or none) of these.
call over_last_sizes(bool with_bias) {
  const normalised n;
  const auto k = draw::integer(1, n.x.dim());
  const ints last = n.x.sizes().slice(static_cast<std::size_t>(n.x.dim() - k)).vec();
  const auto parameter = [&] { return c10::IValue(draw::tensor(last, n.parameter_type)); };
  call c(n.x, last, n.weight.isNone() ? c10::IValue() : parameter());
  if (with_bias)
    c.add(n.weight.isNone() ? c10::IValue() : parameter());
  return c;
}
const checks layer_norm({"aten::layer_norm"}, [] { return over_last_sizes(true).add(1e-5).add(false); });
const checks native_layer_norm({"aten::native_layer_norm"}, [] { return over_last_sizes(true).add(1e-5); });
const checks rms_norm({"aten::rms_norm", "aten::_fused_rms_norm"},
                      [] { return over_last_sizes(false).add(std::nullopt); });

// ---- losses

/// An input and a target that broadcast, and a reduction.
call compared() {
  const auto t = draw::one_of(draw::floats);
  const auto s = draw::shape();
  return call(draw::tensor(draw::broadcastable(s), t), draw::tensor(draw::broadcastable(s), t),
              draw::integer(0, 2));
}
const checks pointwise_losses({"aten::mse_loss", "aten::l1_loss", "aten::smooth_l1_loss", "aten::huber_loss",
                               "aten::soft_margin_loss"},
                              compared);
const checks kl_div({"aten::kl_div"}, [] { return compared().with("log_target", draw::boolean()); });
c10::IValue maybe_weight(const ints& s, at::ScalarType t) {
  return draw::boolean() ? c10::IValue(draw::tensor(s, t)) : c10::IValue();
}
const checks binary({"aten::binary_cross_entropy"}, [] {
  const auto t = draw::one_of(draw::plain);
  const auto s = draw::shape();
  return call(draw::tensor(s, t, 2), draw::tensor(s, t, 2), maybe_weight(s, t), draw::integer(0, 2));
});
const checks binary_with_logits({"aten::binary_cross_entropy_with_logits"}, [] {
  const auto t = draw::one_of(draw::floats);
  const auto s = draw::shape();
  return call(draw::tensor(draw::broadcastable(s), t), draw::tensor(s, t), maybe_weight(s, t),
              maybe_weight(s, t), draw::integer(0, 2));
});
/// Scores of classes over `spatial` dimensions, and the class of each element.
call classified(std::int64_t spatial, bool unbatched, bool probabilities = false) {
  const auto t = draw::one_of(draw::plain);
  const auto classes = size();
  ints target(static_cast<std::size_t>(spatial));
  for (auto& x : target)
    x = size();
  ints input = target;
  input.insert(input.begin(), classes);
  if (spatial || !unbatched) {
    const auto n = draw::once_in(20) ? 0 : size();
    input.insert(input.begin(), n);
    target.insert(target.begin(), n);
  }
  return call(draw::tensor(input, t), probabilities ? draw::tensor(input, t) : draw::indices(target, classes),
              maybe_weight({classes}, t), draw::integer(0, 2));
}
const checks nll({"aten::nll_loss"}, [] { return classified(0, draw::boolean()); });
const checks nll_nd({"aten::nll_loss_nd"}, [] { return classified(draw::integer(0, 3), draw::once_in(5)); });
const checks nll_forward({"aten::nll_loss_forward"}, [] { return classified(0, draw::boolean()).add(-100); });
const checks nll2d_forward({"aten::nll_loss2d_forward"}, [] { return classified(2, false).add(-100); });
const checks cross_entropy({"aten::cross_entropy_loss"}, [] {
  return classified(draw::integer(0, 3), draw::once_in(5), draw::boolean())
      .add(-100)
      .add(draw::boolean() ? 0.1 : 0.0);
});

// ---- layers

call dropped(std::int64_t least_dims) {
  return call(draw::tensor(draw::floats, least_dims), draw::one_of({0.0, 0.5, 1.0}), draw::boolean());
}
const checks dropout({"aten::dropout", "aten::alpha_dropout", "aten::native_dropout"},
                     [] { return dropped(0); });
const checks feature_dropout({"aten::feature_dropout", "aten::feature_alpha_dropout"},
                             [] { return dropped(2); });
const checks log_sigmoid_forward({"aten::log_sigmoid_forward"},
                                 [] { return call(draw::tensor(draw::floats)); });
const checks glu({"aten::glu"}, [] {
  auto s = draw::shape(1);
  const auto d = draw::dim(static_cast<std::int64_t>(s.size()));
  s[static_cast<std::size_t>(d < 0 ? d + static_cast<std::int64_t>(s.size()) : d)] = 2 * size();
  return call(draw::tensor(s, draw::floats), d);
});
call shuffled(bool into_space) {
  auto s = draw::shape(3, 5);
  const auto f = draw::integer(1, 2);
  const auto n = s.size();
  if (into_space) {
    s[n - 3] = size() * f * f;
  } else {
    s[n - 2] = size() * f;
    s[n - 1] = size() * f;
  }
  return call(draw::tensor(s, draw::floats), f);
}
const checks pixel_shuffle({"aten::pixel_shuffle"}, [] { return shuffled(true); });
const checks pixel_unshuffle({"aten::pixel_unshuffle"}, [] { return shuffled(false); });

// ---- attention

/// Query, key, value; batches of the key and the value may be 1 or left out.
call asked(bool regular) {
  const auto t = draw::one_of(draw::floats);
  const auto time = size(), seen = size(), features = size();
  ints lead = regular || draw::boolean() ? ints{size(), size()} : draw::shape(0, 3);
  const auto of = [&](std::int64_t length, std::int64_t width, bool whole) {
    ints s = whole ? lead : draw::broadcastable(lead);
    s.insert(s.end(), {length, width});
    return draw::tensor(s, t);
  };
  const bool whole = regular || !draw::once_in(5);
  call c(of(time, features, true), of(seen, features, whole),
         of(seen, regular || !draw::once_in(4) ? features : size(), whole));
  if (!regular)
    c.add(draw::once_in(3) ? c10::IValue(draw::tensor({time, seen}, t)) : c10::IValue())
        .add(draw::once_in(3) ? 0.5 : 0.0)
        .add(!regular && c.args[3]->isNone() && draw::boolean());
  return c;
}
const check_options many{.draws = 200};
const checks attention(
    {"aten::scaled_dot_product_attention"},
    [] {
      if (!draw::once_in(4))
        return asked(false);
      const auto t = draw::one_of(draw::floats);
      const auto n = size(), heads = size(), time = size(), features = size();
      return call(draw::tensor({n, heads * 2, time, features}, t),
                  draw::tensor({n, heads, time, features}, t), draw::tensor({n, heads, time, features}, t))
          .with("enable_gqa", true);
    },
    many);
const checks fused(
    {"aten::_scaled_dot_product_flash_attention_for_cpu"}, [] { return asked(true); }, many);

// ---- recurrent networks

/// The weights of a network of `gates` gates; `projection` (0 for none) is an LSTM's.
struct network {
  std::int64_t gates, inputs = size(), hidden = draw::integer(2, 4), layers = draw::integer(1, 2), projection;
  bool bias = draw::boolean(), both_ways = draw::boolean(), batch_first = draw::boolean();
  at::ScalarType type = draw::one_of(draw::plain);
  std::int64_t batch = size(), time = size();

  explicit network(std::int64_t num_gates, bool project = false) : gates(num_gates), projection(project) {}
  std::int64_t state_size() const { return projection ? projection : hidden; }
  std::int64_t directions() const { return both_ways ? 2 : 1; }
  std::vector<at::Tensor> weights() const {
    std::vector<at::Tensor> out;
    const auto ones = [&](const ints& s) { out.push_back(at::ones(s, at::dtype(type))); };
    for (std::int64_t l = 0; l != layers; ++l)
      for (std::int64_t d = 0; d != directions(); ++d) {
        ones({gates * hidden, l ? state_size() * directions() : inputs});
        ones({gates * hidden, state_size()});
        if (bias) {
          ones({gates * hidden});
          ones({gates * hidden});
        }
        if (projection)
          ones({projection, hidden});
      }
    return out;
  }
  at::Tensor state(std::int64_t width) const {
    return at::zeros({layers * directions(), batch, width}, at::dtype(type));
  }
  c10::IValue states() const {
    return gates == 4 ? call::value(std::vector<at::Tensor>{state(state_size()), state(hidden)})
                      : c10::IValue(state(hidden));
  }
  call padded() const {
    return call(draw::tensor(batch_first ? ints{batch, time, inputs} : ints{time, batch, inputs}, type),
                states(), weights(), bias, layers, 0.0, draw::boolean(), both_ways, batch_first);
  }
  call packed() const {
    auto lengths = at::full({time}, batch, at::kLong);
    for (std::int64_t i = 1; i < time; ++i)
      lengths[i] = std::max<std::int64_t>(1, lengths[i - 1].item<std::int64_t>() - draw::integer(0, 1));
    return call(draw::tensor({lengths.sum().item<std::int64_t>(), inputs}, type), lengths, states(),
                weights(), bias, layers, 0.0, draw::boolean(), both_ways);
  }
  call cell() const {
    call c(draw::tensor({batch, inputs}, type));
    const auto h = [&] { return draw::tensor({batch, hidden}, type); };
    gates == 4 ? c.add(std::vector<at::Tensor>{h(), h()}) : c.add(h());
    return c.add(at::ones({gates * hidden, inputs}, at::dtype(type)))
        .add(at::ones({gates * hidden, hidden}, at::dtype(type)));
  }
};
const checks lstm({"aten::lstm.input"}, [] { return network(4, draw::once_in(4)).padded(); }),
    gru({"aten::gru.input"}, [] { return network(3).padded(); }),
    rnn({"aten::rnn_tanh.input", "aten::rnn_relu.input"}, [] { return network(1).padded(); }),
    packed_lstm({"aten::lstm.data"}, [] { return network(4, draw::once_in(4)).packed(); }),
    packed_gru({"aten::gru.data"}, [] { return network(3).packed(); }),
    packed_rnn({"aten::rnn_tanh.data", "aten::rnn_relu.data"}, [] { return network(1).packed(); }),
    lstm_cell({"aten::lstm_cell"}, [] { return network(4).cell(); }),
    gru_cell({"aten::gru_cell"}, [] { return network(3).cell(); }),
    rnn_cell({"aten::rnn_tanh_cell", "aten::rnn_relu_cell"}, [] { return network(1).cell(); });
} // namespace

TEST_CASE("rules of layers agree with LibTorch's kernels") { kernel_check::run_this_file(); }
