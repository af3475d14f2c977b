// SPDX-License-Identifier: BSL-1.0
// Which rule an operator has. ATen's are a constant table by operator id, built from operator types, so that
// a rule for an operator that does not exist does not compile and a look-up is one load. Operators that write
// to an argument and return it need none: the result is that argument. Users register rules for their own
// operators.
#pragma once

#include <espalier/meta/rule_args.hpp>
#include <espalier/meta/rules/convolution.hpp>
#include <espalier/meta/rules/factories.hpp>
#include <espalier/meta/rules/indexing.hpp>
#include <espalier/meta/rules/layers.hpp>
#include <espalier/meta/rules/matmul.hpp>
#include <espalier/meta/rules/pointwise.hpp>
#include <espalier/meta/rules/reduction.hpp>
#include <espalier/meta/rules/views.hpp>
#include <espalier/schema/aten.hpp>
#include <espalier/schema/op_traits.hpp>

#include <array>
#include <mutex>
#include <unordered_map>

namespace espalier {

/// Specialise it for an operator of your own, with `static rule_result infer(const rule_args&)`, and call
/// `register_rule<Op>()` once.
template <class Op>
struct shape_rule;

namespace detail {

struct rule_table {
  std::array<rule_fn, num_aten_ops> at{};
  template <class... Ops>
  constexpr void put(rule_fn f) {
    ((at[Ops::index] = f), ...);
  }
};

inline constexpr rule_table aten_rules = [] {
  rule_table t;
  namespace r = shape_rules;
  using namespace aten;
  // pointwise
  t.put<add_Tensor, sub_Tensor, mul_Tensor, add_Scalar, sub_Scalar, mul_Scalar, rsub_Scalar, rsub_Tensor,
        maximum, minimum, fmax, fmin, remainder_Tensor, remainder_Scalar, fmod_Tensor, fmod_Scalar,
        pow_Tensor_Tensor, pow_Tensor_Scalar, bitwise_and_Tensor, bitwise_or_Tensor, bitwise_xor_Tensor,
        bitwise_and_Scalar, bitwise_or_Scalar, bitwise_xor_Scalar, __and___Tensor, __or___Tensor,
        __xor___Tensor, __and___Scalar, __or___Scalar, floor_divide, floor_divide_Scalar, clamp_min,
        clamp_max, clamp_min_Tensor, clamp_max_Tensor, bitwise_left_shift_Tensor, bitwise_right_shift_Tensor,
        hypot, nextafter, heaviside>(r::binary);
  t.put<pow_Scalar>(r::binary);
  t.put<div_Tensor, div_Scalar, true_divide_Tensor, atan2, arctan2>(r::binary_float);
  t.put<div_Tensor_mode, div_Scalar_mode>(r::divide_mode);
  t.put<eq_Tensor, ne_Tensor, lt_Tensor, le_Tensor, gt_Tensor, ge_Tensor, eq_Scalar, ne_Scalar, lt_Scalar,
        le_Scalar, gt_Scalar, ge_Scalar, logical_and, logical_or, logical_xor, isclose>(r::binary_bool);
  t.put<logical_not, isnan, isinf, isfinite, signbit>(r::unary_bool);
  t.put<neg, relu, relu6, sign, sgn, floor, ceil, round, trunc, frac, bitwise_not, hardtanh, hardswish,
        hardsigmoid, gelu, silu, mish, elu, selu, celu, leaky_relu, softplus, threshold, softshrink,
        hardshrink, log_sigmoid, nan_to_num, logit, clip, fill_Scalar, fill_Tensor>(r::activation);
  t.put<abs>(r::absolute);
  t.put<exp, exp2, expm1, log, log2, log10, log1p, sqrt, rsqrt, sin, cos, tan, asin, acos, atan, sinh, cosh,
        tanh, asinh, acosh, atanh, sigmoid, erf, erfc, erfinv, reciprocal, lgamma, digamma>(r::unary_float);
  t.put<where_self, where_ScalarOther, where_ScalarSelf, where_Scalar>(r::where);
  t.put<clamp, clamp_Tensor>(r::clamp);
  t.put<addcmul, addcdiv, lerp_Scalar, lerp_Tensor>(r::ternary);
  t.put<_prelu_kernel, prelu>(r::prelu);
  t.put<glu>(r::glu);
  // reductions and scans
  t.put<aten::sum, prod>(r::sum_all);
  t.put<sum_dim_IntList, prod_dim_int, nansum>(r::sum_dim);
  t.put<mean>(r::mean_all);
  t.put<mean_dim>(r::mean_dim);
  t.put<max, min, median>(r::reduce_all);
  t.put<amax, amin>(r::reduce_dims);
  t.put<any, all>(r::bool_all);
  t.put<any_dim, all_dim, any_dims, all_dims>(r::bool_dim);
  t.put<max_dim, min_dim, median_dim, mode>(r::with_indices<1>);
  t.put<kthvalue>(r::with_indices<2>);
  t.put<argmax, argmin>(r::arg_reduce);
  t.put<var, std>(r::var_all);
  t.put<var_dim, std_dim>(r::var_dim);
  t.put<var_correction, std_correction>(r::var_correction);
  t.put<norm_ScalarOpt_dim>(r::norm_dim);
  t.put<cumsum, cumprod>(r::scan);
  t.put<cummax, cummin>(r::scan_with_indices);
  t.put<softmax_int, log_softmax_int>(r::softmax);
  t.put<_softmax, _log_softmax>(r::softmax_kernel);
  t.put<diff>(r::diff);
  // matrix products
  t.put<mm>(r::mm<0>);
  t.put<addmm>(r::mm<1>);
  t.put<bmm>(r::bmm<0>);
  t.put<baddbmm>(r::bmm<1>);
  t.put<mv>(r::mv<0>);
  t.put<addmv>(r::mv<1>);
  t.put<dot, vdot>(r::dot);
  t.put<outer, ger>(r::outer);
  t.put<linear>(r::linear);
  t.put<matmul>(r::matmul);
  // convolution and pooling
  t.put<conv1d, conv2d, conv3d>(r::conv);
  t.put<conv1d_padding, conv2d_padding, conv3d_padding>(r::conv_padding);
  t.put<conv_transpose1d, conv_transpose2d_input, conv_transpose3d_input>(r::conv_transpose);
  t.put<convolution>(r::convolution);
  t.put<max_pool1d>(r::max_pool<1>);
  t.put<max_pool2d>(r::max_pool<2>);
  t.put<max_pool3d>(r::max_pool<3>);
  t.put<max_pool1d_with_indices>(r::max_pool_with_indices<1>);
  t.put<max_pool2d_with_indices>(r::max_pool_with_indices<2>);
  t.put<max_pool3d_with_indices>(r::max_pool_with_indices<3>);
  t.put<avg_pool1d>(r::avg_pool<1>);
  t.put<avg_pool2d>(r::avg_pool<2>);
  t.put<avg_pool3d>(r::avg_pool<3>);
  t.put<adaptive_avg_pool1d>(r::adaptive_pool<1>);
  t.put<adaptive_avg_pool2d, _adaptive_avg_pool2d>(r::adaptive_pool<2>);
  t.put<adaptive_avg_pool3d, _adaptive_avg_pool3d>(r::adaptive_pool<3>);
  t.put<adaptive_max_pool1d>(r::adaptive_max_pool<1>);
  t.put<adaptive_max_pool2d>(r::adaptive_max_pool<2>);
  t.put<adaptive_max_pool3d>(r::adaptive_max_pool<3>);
  // layers
  t.put<batch_norm, instance_norm>(r::batch_norm);
  t.put<native_batch_norm, _native_batch_norm_legit>(r::native_batch_norm<5>);
  t.put<_native_batch_norm_legit_no_stats>(r::native_batch_norm<3>);
  t.put<_native_batch_norm_legit_no_training>(r::native_batch_norm_no_training);
  t.put<_native_batch_norm_legit_functional>(r::native_batch_norm_functional);
  t.put<layer_norm, group_norm>(r::dense_like);
  t.put<rms_norm>(r::rms_norm);
  t.put<native_layer_norm>(r::native_layer_norm);
  t.put<native_group_norm>(r::native_group_norm);
  t.put<dropout, feature_dropout, alpha_dropout, feature_alpha_dropout>(r::dropout);
  t.put<native_dropout>(r::native_dropout);
  t.put<scaled_dot_product_attention>(r::attention);
  t.put<mse_loss, l1_loss, soft_margin_loss>(r::pointwise_loss<2>);
  t.put<smooth_l1_loss, huber_loss, kl_div>(r::pointwise_loss<2>);
  t.put<binary_cross_entropy>(r::pointwise_loss<3>);
  t.put<binary_cross_entropy_with_logits>(r::pointwise_loss<4>);
  t.put<nll_loss, nll_loss_nd, cross_entropy_loss>(r::nll_loss);
  t.put<lstm_input>(r::lstm);
  t.put<gru_input, rnn_tanh_input, rnn_relu_input>(r::gru);
  t.put<lstm_cell>(r::lstm_cell);
  t.put<gru_cell, rnn_tanh_cell, rnn_relu_cell>(r::rnn_cell);
  t.put<pixel_shuffle>(r::pixel_shuffle);
  // views
  t.put<alias, lift_fresh, lift>(r::identity);
  t.put<detach>(r::detach);
  t.put<view, view_copy>(r::view);
  t.put<_unsafe_view>(r::unsafe_view);
  t.put<reshape>(r::reshape);
  t.put<view_as, reshape_as>(r::reshape_as);
  t.put<flatten_using_ints>(r::flatten);
  t.put<unflatten_int>(r::unflatten);
  t.put<permute>(r::permute);
  t.put<transpose_int, swapaxes, swapdims, transpose_>(r::transpose);
  t.put<aten::t, numpy_T, t_>(r::t);
  t.put<mT, adjoint>(r::transpose_last);
  t.put<movedim_intlist, moveaxis_intlist>(r::movedim);
  t.put<unsqueeze, unsqueeze_>(r::unsqueeze);
  t.put<squeeze, squeeze_>(r::squeeze);
  t.put<squeeze_dim, squeeze_dims, squeeze__dim, squeeze__dims>(r::squeeze_dims);
  t.put<expand>(r::expand);
  t.put<expand_as>(r::expand_as);
  t.put<select_int>(r::select);
  t.put<slice_Tensor>(r::slice);
  t.put<narrow>(r::narrow);
  t.put<as_strided>(r::as_strided);
  t.put<unfold>(r::unfold);
  t.put<diagonal>(r::diagonal);
  t.put<split_Tensor>(r::split);
  t.put<split_with_sizes, split_sizes>(r::split_with_sizes);
  t.put<chunk>(r::chunk);
  t.put<unbind_int>(r::unbind);
  t.put<view_as_real>(r::view_as_real);
  t.put<view_as_complex>(r::view_as_complex);
  // factories, copies, casts
  t.put<empty_memory_format>(r::empty);
  t.put<zeros, ones, rand, randn>(r::filled);
  t.put<full>(r::full);
  t.put<scalar_tensor>(r::scalar_tensor);
  t.put<arange>(r::arange_end);
  t.put<arange_start>(r::arange_start);
  t.put<arange_start_step>(r::arange_step);
  t.put<linspace>(r::linspace);
  t.put<eye>(r::eye);
  t.put<eye_m>(r::eye_m);
  t.put<randint>(r::randint);
  t.put<randint_low>(r::randint_low);
  t.put<randperm>(r::randperm);
  t.put<empty_like, zeros_like, ones_like, rand_like, randn_like>(r::like_self<1>);
  t.put<full_like, randint_like>(r::like_self<2>);
  t.put<randint_like_low_dtype>(r::like_self<3>);
  t.put<new_empty, new_zeros, new_ones>(r::new_like_self<2>);
  t.put<new_full>(r::new_like_self<3>);
  t.put<empty_strided>(r::empty_strided);
  t.put<to_dtype>(r::to_dtype);
  t.put<to_dtype_layout>(r::to_dtype_layout);
  t.put<to_device>(r::to_device);
  t.put<to_other>(r::to_other);
  t.put<type_as>(r::type_as);
  t.put<_to_copy>(r::to_copy);
  t.put<clone>(r::clone);
  t.put<contiguous>(r::contiguous);
  t.put<lift_fresh_copy, bernoulli, bernoulli_p>(r::fresh_copy);
  t.put<sym_size_int>(r::sym_size);
  t.put<sym_stride_int>(r::sym_stride);
  t.put<sym_numel>(r::sym_numel);
  t.put<_assert_scalar, _assert_tensor_metadata, _assert_async, _assert_async_msg, sym_constrain_range,
        sym_constrain_range_for_size>(r::nothing);
  // indexing, joining, padding, sorting
  t.put<index_Tensor>(r::index);
  t.put<index_select>(r::index_select);
  t.put<gather>(r::gather);
  t.put<take>(r::take);
  t.put<scatter_src, scatter_value, scatter_add, scatter_reduce_two, index_put, _unsafe_index_put, index_copy,
        index_add, index_fill_int_Scalar, masked_scatter, select_scatter, slice_scatter, tril, triu, flip,
        roll>(r::changed_copy);
  t.put<copy>(r::changed_copy);
  t.put<masked_fill_Scalar, masked_fill_Tensor>(r::masked_fill);
  t.put<embedding>(r::embedding);
  t.put<one_hot>(r::one_hot);
  t.put<cat, concat, concatenate>(r::cat);
  t.put<stack>(r::stack);
  t.put<repeat>(r::repeat);
  t.put<repeat_interleave_self_int>(r::repeat_interleave);
  t.put<constant_pad_nd, pad, reflection_pad1d, reflection_pad2d, reflection_pad3d, replication_pad1d,
        replication_pad2d, replication_pad3d>(r::pad);
  t.put<topk>(r::topk);
  t.put<sort, sort_stable>(r::sort);
  t.put<argsort>(r::argsort);
  t.put<upsample_nearest1d, upsample_linear1d>(r::upsample<1>);
  t.put<upsample_nearest2d, upsample_bilinear2d, upsample_bicubic2d>(r::upsample<2>);
  t.put<upsample_nearest3d, upsample_trilinear3d>(r::upsample<3>);
  t.put<upsample_nearest1d_vec>(r::upsample_vec<1, 2>);
  t.put<upsample_nearest2d_vec>(r::upsample_vec<2, 2>);
  t.put<upsample_nearest3d_vec>(r::upsample_vec<3, 2>);
  t.put<upsample_bilinear2d_vec, upsample_bicubic2d_vec>(r::upsample_vec<2, 3>);
  return t;
}();

/// Rules of operators outside the table. One object for the process.
class ESPALIER_SHARED user_rules {
public:
  static user_rules& instance() {
    static user_rules u;
    return u;
  }
  void set(op_id o, rule_fn f) {
    std::lock_guard lock(mutex_);
    rules_[o.index] = f;
  }
  rule_fn get(op_id o) const {
    std::lock_guard lock(mutex_);
    const auto at = rules_.find(o.index);
    return at == rules_.end() ? nullptr : at->second;
  }

private:
  mutable std::mutex mutex_;
  std::unordered_map<std::uint32_t, rule_fn> rules_;
};

/// The result of an operator that returns the arguments it writes to: their metas.
inline rule_result written_arguments(const rule_args& a) {
  rule_result r;
  const op_schema* s = schema_of(a.op());
  for (auto& out : s->returns)
    for (std::size_t i = 0; i != s->args.size(); ++i)
      if (s->args[i].is_write && s->args[i].alias == out.alias) {
        r.push(a.tensor(i));
        break;
      }
  return r;
}
inline bool returns_written_arguments(op_id o) {
  const op_schema* s = schema_of(o);
  if (!s || s->returns.empty())
    return false;
  for (auto& out : s->returns)
    if (!out.is_write || out.type.list_depth)
      return false;
  return true;
}

} // namespace detail

/// The shape rule of an operator, or null when it has none.
inline rule_fn rule_for(op_id o) {
  if (!o.valid())
    return nullptr;
  if (o.index < detail::num_aten_ops) {
    if (const rule_fn f = detail::aten_rules.at[o.index])
      return f;
  } else if (const rule_fn f = detail::user_rules::instance().get(o)) {
    return f;
  }
  return flags_of(o).mutates && detail::returns_written_arguments(o) ? &detail::written_arguments : nullptr;
}

/// Makes a rule known for a user's operator: `shape_rule<Op>::infer`, or a function.
template <op_type Op>
void register_rule(rule_fn f = nullptr) {
  if constexpr (requires { &shape_rule<Op>::infer; }) {
    detail::user_rules::instance().set(id_of<Op>(), f ? f : &shape_rule<Op>::infer);
  } else {
    if (!f)
      fail(error_kind::usage, "no rule was given", "register_rule",
           "pass a function, or specialise espalier::shape_rule for the operator");
    detail::user_rules::instance().set(id_of<Op>(), f);
  }
}

/// How many ATen operators have a rule of their own (operators that return what they write to not counted).
constexpr std::size_t num_aten_rules() {
  std::size_t n = 0;
  for (auto f : detail::aten_rules.at)
    n += f != nullptr;
  return n;
}

} // namespace espalier
