// SPDX-License-Identifier: BSL-1.0
// Which rule an operator has. ATen's are a constant table by operator id, built from operator types, so that
// a rule for an operator that does not exist does not compile and a look-up is one load. Operators that write
// to an argument and return it need none: the result is that argument. Users register rules for their own
// operators.
#pragma once

#include <espalier/meta/rule_args.hpp>
#include <espalier/meta/rules/attention.hpp>
#include <espalier/meta/rules/convolution.hpp>
#include <espalier/meta/rules/factories.hpp>
#include <espalier/meta/rules/indexing.hpp>
#include <espalier/meta/rules/joining.hpp>
#include <espalier/meta/rules/layers.hpp>
#include <espalier/meta/rules/loss.hpp>
#include <espalier/meta/rules/matmul.hpp>
#include <espalier/meta/rules/normalization.hpp>
#include <espalier/meta/rules/pointwise.hpp>
#include <espalier/meta/rules/pooling.hpp>
#include <espalier/meta/rules/recurrent.hpp>
#include <espalier/meta/rules/reduction.hpp>
#include <espalier/meta/rules/resize.hpp>
#include <espalier/meta/rules/search.hpp>
#include <espalier/meta/rules/statistics.hpp>
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
  t.put<add_Tensor, sub_Tensor, mul_Tensor, add_Scalar, sub_Scalar, mul_Scalar, rsub_Scalar, maximum, minimum,
        fmax, fmin, remainder_Tensor, remainder_Scalar, fmod_Tensor, fmod_Scalar, pow_Tensor_Tensor,
        bitwise_and_Tensor, bitwise_or_Tensor, bitwise_xor_Tensor, bitwise_and_Scalar, bitwise_or_Scalar,
        bitwise_xor_Scalar, __and___Tensor, __or___Tensor, __xor___Tensor, __xor___Scalar, __and___Scalar,
        __or___Scalar, floor_divide, floor_divide_Scalar, clamp_min_Tensor, clamp_max_Tensor,
        bitwise_left_shift_Tensor, bitwise_right_shift_Tensor, hypot, nextafter, heaviside>(r::binary);
  t.put<max_other, min_other, multiply_Tensor, multiply_Scalar, subtract_Tensor, subtract_Scalar, logaddexp,
        logaddexp2, gcd, lcm>(r::binary);
  t.put<divide_Tensor, divide_Scalar, true_divide_Scalar>(r::binary_float);
  t.put<divide_Tensor_mode, divide_Scalar_mode>(r::divide_mode);
  t.put<greater_Tensor, greater_Scalar, greater_equal_Tensor, greater_equal_Scalar, less_Tensor, less_Scalar,
        less_equal_Tensor, less_equal_Scalar, not_equal_Tensor, not_equal_Scalar>(r::binary_bool);
  t.put<negative, fix>(r::activation);
  t.put<absolute>(r::absolute);
  t.put<deg2rad, rad2deg>(r::worked_floating_copy);
  t.put<sinc, i0, arccos, arcsin, arctan, arccosh, arcsinh, arctanh, special_expit, special_erf>(
      r::unary_float);
  t.put<isneginf, isposinf>(r::unary_bool);
  t.put<pow_Scalar>(r::power_of_number);
  t.put<rsub_Tensor>(r::reversed_binary);
  t.put<square>(r::square);
  t.put<div_Tensor, div_Scalar, true_divide_Tensor, atan2, arctan2, copysign_Tensor, copysign_Scalar,
        xlogy_Tensor, xlogy_Scalar_Self, xlogy_Scalar_Other>(r::binary_float);
  t.put<div_Tensor_mode, div_Scalar_mode>(r::divide_mode);
  t.put<eq_Tensor, ne_Tensor, lt_Tensor, le_Tensor, gt_Tensor, ge_Tensor, eq_Scalar, ne_Scalar, lt_Scalar,
        le_Scalar, gt_Scalar, ge_Scalar, logical_and, logical_or, logical_xor, isclose>(r::binary_bool);
  t.put<logical_not, isnan, signbit>(r::unary_bool);
  t.put<neg, relu, sign, sgn, floor, ceil, round, trunc, frac, bitwise_not, hardswish, hardsigmoid, gelu,
        silu, mish, elu, selu, celu, leaky_relu, softplus, threshold, softshrink, hardshrink>(r::activation);
  t.put<abs>(r::absolute);
  t.put<exp, exp2, expm1, log, log2, log10, log1p, sqrt, rsqrt, sin, cos, tan, asin, acos, atan, sinh, cosh,
        tanh, asinh, acosh, atanh, sigmoid, erf, erfc, erfinv, reciprocal, lgamma, digamma, logit>(
      r::unary_float);
  t.put<where_self, where_ScalarOther, where_ScalarSelf, where_Scalar>(r::where);
  t.put<pow_Tensor_Scalar, clamp_min, clamp_max>(r::with_parameters<2>);
  t.put<clamp, clip, lerp_Scalar>(r::with_parameters<3>);
  t.put<aten::isinf>(r::isinf);
  t.put<aten::isfinite>(r::isfinite);
  t.put<hardtanh, relu6, nan_to_num, fill_Scalar, fill_Tensor>(r::worked_copy);
  t.put<log_sigmoid>(r::log_sigmoid);
  t.put<addcmul, addcdiv, lerp_Tensor, clamp_Tensor>(r::ternary);
  t.put<prelu>(r::prelu);
  t.put<_prelu_kernel>(r::prelu_kernel);
  t.put<glu>(r::gated_halves);
  // reductions and scans
  t.put<aten::sum, prod>(r::sum_all);
  t.put<sum_dim_IntList, prod_dim_int, nansum>(r::sum_dim);
  t.put<mean>(r::mean_all);
  t.put<mean_dim>(r::mean_dim);
  t.put<max, min, median, nanmedian>(r::reduce_all);
  t.put<amax, amin>(r::reduce_dims);
  t.put<any, all>(r::bool_all);
  t.put<any_dim, all_dim>(r::bool_dim);
  t.put<any_dims, all_dims>(r::bool_dims);
  t.put<logsumexp, special_logsumexp>(r::logsumexp);
  t.put<max_dim, min_dim, median_dim, nanmedian_dim, mode>(r::with_indices<1>);
  t.put<kthvalue>(r::with_indices<2>);
  t.put<argmax, argmin>(r::arg_reduce);
  t.put<var, std>(r::var_all);
  t.put<var_dim, std_dim, var_correction, std_correction>(r::var_dim);
  t.put<norm_ScalarOpt_dim>(r::norm_dim);
  t.put<norm_Scalar>(r::norm_all);
  t.put<cumsum, cumprod, logcumsumexp>(r::scan);
  t.put<cummax, cummin>(r::scan_with_indices);
  t.put<softmax_int, log_softmax_int, _safe_softmax>(r::softmax);
  t.put<_softmax, _log_softmax>(r::softmax_kernel);
  t.put<aten::diff>(r::diff);
  t.put<std_mean, var_mean>(r::var_mean_all);
  t.put<std_mean_dim, std_mean_correction, aten::var_mean_dim, var_mean_correction>(r::var_mean_dim);
  t.put<aten::aminmax>(r::aminmax);
  t.put<linalg_vector_norm>(r::vector_norm);
  t.put<aten::count_nonzero, count_nonzero_dim_IntList>(r::count_nonzero);
  // matrix products
  t.put<mm>(r::mm<0>);
  t.put<addmm>(r::mm<1>);
  t.put<bmm>(r::bmm<0>);
  t.put<baddbmm>(r::bmm<1>);
  t.put<aten::addbmm>(r::addbmm);
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
  t.put<convolution, _convolution>(r::convolution);
  t.put<max_pool1d>(r::max_pool<1>);
  t.put<max_pool2d>(r::max_pool<2>);
  t.put<max_pool3d>(r::max_pool<3>);
  t.put<max_pool1d_with_indices>(r::max_pool_with_indices<1>);
  t.put<max_pool2d_with_indices>(r::max_pool_with_indices<2>);
  t.put<max_pool3d_with_indices>(r::max_pool_with_indices<3>);
  t.put<avg_pool1d>(r::avg_pool<1>);
  t.put<avg_pool2d>(r::avg_pool<2>);
  t.put<avg_pool3d>(r::avg_pool<3>);
  t.put<adaptive_avg_pool1d>(r::adaptive_avg_pool<1>);
  t.put<adaptive_avg_pool2d>(r::adaptive_avg_pool<2>);
  t.put<adaptive_avg_pool3d>(r::adaptive_avg_pool<3>);
  t.put<_adaptive_avg_pool2d>(r::adaptive_avg_pool_kernel<2>);
  t.put<_adaptive_avg_pool3d>(r::adaptive_avg_pool_kernel<3>);
  t.put<adaptive_max_pool1d>(r::adaptive_max_pool<1>);
  t.put<adaptive_max_pool2d>(r::adaptive_max_pool<2>);
  t.put<adaptive_max_pool3d>(r::adaptive_max_pool<3>);
  // images of another size
  t.put<upsample_nearest1d, _upsample_nearest_exact1d, upsample_linear1d>(r::upsample<1>);
  t.put<upsample_nearest2d, _upsample_nearest_exact2d, upsample_bilinear2d, upsample_bicubic2d,
        _upsample_bilinear2d_aa, _upsample_bicubic2d_aa>(r::upsample<2>);
  t.put<upsample_nearest3d, _upsample_nearest_exact3d, upsample_trilinear3d>(r::upsample<3>);
  t.put<upsample_nearest1d_vec, _upsample_nearest_exact1d_vec>(r::upsample_vec<1, 2>);
  t.put<upsample_nearest2d_vec, _upsample_nearest_exact2d_vec>(r::upsample_vec<2, 2>);
  t.put<upsample_nearest3d_vec, _upsample_nearest_exact3d_vec>(r::upsample_vec<3, 2>);
  t.put<upsample_linear1d_vec>(r::upsample_vec<1, 3>);
  t.put<upsample_bilinear2d_vec, upsample_bicubic2d_vec, _upsample_bilinear2d_aa_vec,
        _upsample_bicubic2d_aa_vec>(r::upsample_vec<2, 3>);
  t.put<upsample_trilinear3d_vec>(r::upsample_vec<3, 3>);
  t.put<aten::grid_sampler, grid_sampler_2d, grid_sampler_3d>(r::grid_sampler);
  t.put<aten::im2col>(r::im2col);
  t.put<aten::col2im>(r::col2im);
  // distances, places
  t.put<_cdist_forward, aten::cdist>(r::cdist);
  t.put<_pdist_forward, aten::pdist>(r::pdist);
  t.put<searchsorted_Tensor>(r::searchsorted);
  t.put<searchsorted_Scalar>(r::searchsorted_number);
  t.put<bucketize_Tensor>(r::bucketize);
  t.put<bucketize_Scalar>(r::bucketize_number);
  // normalisations
  t.put<batch_norm>(r::batch_norm);
  t.put<native_batch_norm, _native_batch_norm_legit>(r::native_batch_norm<5>);
  t.put<_native_batch_norm_legit_no_stats>(r::native_batch_norm<3>);
  t.put<_native_batch_norm_legit_no_training>(r::native_batch_norm_no_training);
  t.put<_native_batch_norm_legit_functional>(r::native_batch_norm_functional);
  t.put<instance_norm>(r::instance_norm);
  t.put<group_norm>(r::group_norm);
  t.put<native_group_norm>(r::native_group_norm);
  t.put<layer_norm>(r::layer_norm);
  t.put<native_layer_norm>(r::native_layer_norm);
  t.put<rms_norm>(r::rms_norm);
  t.put<_fused_rms_norm>(r::fused_rms_norm);
  t.put<_weight_norm_interface>(r::weight_norm);
  // losses
  t.put<mse_loss, l1_loss, smooth_l1_loss>(r::pointwise_loss);
  t.put<aten::huber_loss>(r::huber_loss);
  t.put<soft_margin_loss>(r::soft_margin_loss);
  t.put<kl_div>(r::kl_div);
  t.put<aten::binary_cross_entropy>(r::binary_cross_entropy);
  t.put<aten::binary_cross_entropy_with_logits>(r::binary_cross_entropy_with_logits);
  t.put<nll_loss, nll_loss_nd>(r::nll_loss);
  t.put<nll_loss_forward, nll_loss2d_forward>(r::nll_loss_forward);
  t.put<cross_entropy_loss>(r::cross_entropy_loss);
  // layers
  t.put<dropout, alpha_dropout>(r::dropout);
  t.put<feature_dropout, feature_alpha_dropout>(r::feature_dropout);
  t.put<native_dropout>(r::native_dropout);
  t.put<log_sigmoid_forward>(r::log_sigmoid_forward);
  t.put<pixel_shuffle>(r::pixel_shuffle);
  t.put<pixel_unshuffle>(r::pixel_unshuffle);
  t.put<scaled_dot_product_attention>(r::attention);
  t.put<_scaled_dot_product_flash_attention_for_cpu>(r::flash_attention_cpu);
  t.put<lstm_input>(r::lstm);
  t.put<lstm_data>(r::lstm_packed);
  t.put<gru_input, rnn_tanh_input, rnn_relu_input>(r::gru);
  t.put<gru_data, rnn_tanh_data, rnn_relu_data>(r::gru_packed);
  t.put<lstm_cell>(r::lstm_cell);
  t.put<aten::gru_cell>(r::gru_cell);
  t.put<rnn_tanh_cell, rnn_relu_cell>(r::rnn_cell);
  // views
  t.put<alias, lift_fresh, lift, positive, conj, resolve_conj, resolve_neg>(r::identity);
  t.put<real>(r::real);
  t.put<imag>(r::imag);
  t.put<detach>(r::detach);
  t.put<view, _unsafe_view>(r::view);
  t.put<view_copy>(r::view_copy);
  t.put<reshape>(r::reshape);
  t.put<view_as, reshape_as>(r::reshape_as);
  t.put<flatten_using_ints>(r::flatten);
  t.put<unflatten_int>(r::unflatten);
  t.put<permute>(r::permute);
  t.put<transpose_int, swapaxes, swapdims, transpose_, swapaxes_, swapdims_>(r::transpose);
  t.put<aten::t, t_>(r::t);
  t.put<numpy_T>(r::reversed);
  t.put<mT, adjoint>(r::transpose_last);
  t.put<movedim_intlist, moveaxis_intlist, movedim_int, moveaxis_int>(r::movedim);
  t.put<unsqueeze, unsqueeze_>(r::unsqueeze);
  t.put<squeeze, squeeze_>(r::squeeze);
  t.put<squeeze_dim, squeeze_dims, squeeze__dim, squeeze__dims>(r::squeeze_dims);
  t.put<expand, broadcast_to>(r::expand);
  t.put<ravel>(r::ravel);
  t.put<_reshape_alias>(r::as_strided);
  t.put<expand_as>(r::expand_as);
  t.put<select_int>(r::select);
  t.put<slice_Tensor>(r::slice);
  t.put<narrow>(r::narrow);
  t.put<as_strided, as_strided_>(r::as_strided);
  t.put<unfold>(r::unfold);
  t.put<diagonal>(r::diagonal);
  t.put<split_Tensor>(r::split);
  t.put<split_with_sizes, split_sizes>(r::split_with_sizes);
  t.put<chunk, unsafe_chunk>(r::chunk);
  t.put<unsafe_split_Tensor>(r::split);
  t.put<unsafe_split_with_sizes>(r::split_with_sizes);
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
  t.put<sym_storage_offset>(r::sym_storage_offset);
  t.put<new_empty_strided>(r::new_empty_strided);
  t.put<logspace>(r::logspace);
  t.put<_assert_scalar, _assert_tensor_metadata, _assert_async, _assert_async_msg, sym_constrain_range,
        sym_constrain_range_for_size>(r::nothing);
  // indexing, joining, padding, sorting
  t.put<index_Tensor>(r::index);
  t.put<index_select>(r::index_select);
  t.put<gather>(r::gather);
  t.put<take>(r::take);
  t.put<index_put, _unsafe_index_put, index_fill_int_Scalar, index_fill_int_Tensor, flip, fliplr, flipud>(
      r::changed_copy);
  t.put<scatter_src, scatter_reduce, scatter_value_reduce, scatter_value, scatter_add, scatter_reduce_two,
        index_copy, index_add, tril, triu>(r::dense_copy);
  t.put<select_scatter, slice_scatter, copy>(r::copy_in_place_of);
  t.put<roll>(r::roll);
  t.put<masked_fill_Scalar, masked_fill_Tensor, masked_scatter>(r::masked);
  t.put<embedding>(r::embedding);
  t.put<one_hot>(r::one_hot);
  t.put<cat, concat, concatenate>(r::cat);
  t.put<stack>(r::stack);
  t.put<repeat, tile>(r::repeat);
  t.put<repeat_interleave_self_int>(r::repeat_interleave);
  t.put<constant_pad_nd>(r::constant_pad);
  t.put<aten::pad>(r::pad);
  t.put<reflection_pad1d, reflection_pad2d, reflection_pad3d, replication_pad1d, replication_pad2d,
        replication_pad3d>(r::edge_pad);
  t.put<topk>(r::topk);
  t.put<sort, sort_stable>(r::sort);
  t.put<argsort, argsort_stable>(r::argsort);
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
/// Whether an operator's results are arguments that it writes to and whose shape it leaves alone. An `out=`
/// argument, and what is resized or set, may take another shape.
inline bool returns_written_arguments(op_id o) {
  const op_schema* s = schema_of(o);
  if (!s || s->returns.empty())
    return false;
  for (auto& out : s->returns)
    if (!out.is_write || out.type.list_depth)
      return false;
  for (auto& a : s->args)
    if (a.is_write && a.kwarg_only)
      return false;
  for (std::string_view reshapes :
       {"aten::resize_", "aten::resize_as_", "aten::_resize_output_", "aten::resize_as_sparse_", "aten::set_",
        "aten::sparse_resize_", "aten::sparse_resize_and_clear_", "aten::squeeze_"})
    if (s->name == reshapes)
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
