// SPDX-License-Identifier: BSL-1.0
// Recurrent networks: whole sequences, padded or packed, and single cells (ATen/native/RNN.cpp).
#pragma once

#include <espalier/meta/strides.hpp>
#include <espalier/support/vector.hpp>

namespace espalier::shape_rules {
namespace detail {

/// The outputs of a whole sequence: computed time first, so that with the batch first they are a transpose.
constexpr tensor_meta sequence_output(const tensor_meta& x, const tensor_meta& h, bool bidirectional,
                                      bool batch_first) {
  sym_ints sizes = x.sizes;
  sizes.back() = h.sizes.back() * sym_int(bidirectional ? 2 : 1);
  tensor_meta m = make_meta(x.dtype, std::move(sizes), x.dev);
  if (x.dim() == 3 && batch_first)
    m.strides = {m.sizes[2], m.sizes[0] * m.sizes[2], 1};
  return m;
}
constexpr vector<const tensor_meta*> lstm_state(const rule_args& a, std::size_t at) {
  auto hx = a.tensors(at);
  if (hx.size() != 2 || !hx[0] || !hx[1])
    a.refuse("an LSTM takes two hidden states", "pass (h, c)");
  return hx;
}
constexpr tensor_meta state_like(const rule_args& a, const tensor_meta& h) {
  return make_meta(a.tensor(0).dtype, h.sizes, a.tensor(0).dev);
}

} // namespace detail

/// `lstm.input(input, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first)`.
constexpr rule_result lstm(const rule_args& a) {
  const auto hx = detail::lstm_state(a, 1);
  rule_result r(detail::sequence_output(a.tensor(0), *hx[0], a.boolean(7), a.boolean(8)));
  r.push(detail::state_like(a, *hx[0]));
  r.push(detail::state_like(a, *hx[1]));
  return r;
}
/// `lstm.data(data, batch_sizes, hx, params, has_biases, num_layers, dropout, train, bidirectional)`: packed.
constexpr rule_result lstm_packed(const rule_args& a) {
  const auto hx = detail::lstm_state(a, 2);
  rule_result r(detail::sequence_output(a.tensor(0), *hx[0], a.boolean(8), false));
  r.push(detail::state_like(a, *hx[0]));
  r.push(detail::state_like(a, *hx[1]));
  return r;
}
/// `gru.input(input, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first)`,
/// `rnn_tanh.input`, `rnn_relu.input`.
constexpr rule_result gru(const rule_args& a) {
  rule_result r(detail::sequence_output(a.tensor(0), a.tensor(1), a.boolean(7), a.boolean(8)));
  r.push(detail::state_like(a, a.tensor(1)));
  return r;
}
/// `gru.data(data, batch_sizes, hx, params, has_biases, num_layers, dropout, train, bidirectional)`, ...
constexpr rule_result gru_packed(const rule_args& a) {
  rule_result r(detail::sequence_output(a.tensor(0), a.tensor(2), a.boolean(8), false));
  r.push(detail::state_like(a, a.tensor(2)));
  return r;
}
/// `lstm_cell(input, hx, ...)`.
constexpr rule_result lstm_cell(const rule_args& a) {
  const auto hx = detail::lstm_state(a, 1);
  rule_result r(detail::state_like(a, *hx[0]));
  r.push(detail::state_like(a, *hx[1]));
  return r;
}
/// `gru_cell(input, hx, ...)`: a difference of the state and a row-major gate.
constexpr rule_result gru_cell(const rule_args& a) {
  const auto& h = a.tensor(1);
  const tensor_meta gate = detail::state_like(a, h);
  const tensor_meta* operands[] = {&h, &gate};
  return iterator_output(gate.dtype, h.sizes, gate.dev, operands);
}
/// `rnn_tanh_cell(input, hx, ...)`, `rnn_relu_cell`.
constexpr rule_result rnn_cell(const rule_args& a) { return detail::state_like(a, a.tensor(1)); }

} // namespace espalier::shape_rules
