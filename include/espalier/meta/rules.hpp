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
#include <espalier/support/hash_map.hpp>
#include <espalier/support/mutex.hpp>

#include <array>

namespace espalier {

/// Specialise it for an operator of your own, with `static rule_result infer(const rule_args&)`, and call
/// `register_rule<Op>()` once.
template <class Op>
struct shape_rule;

namespace detail {

struct rule_table {
  std::array<rule_fn, num_aten_ops> at{};
  std::array<bool, num_aten_ops> has{}; // for constant evaluation: g++ 12 compares no function with null
                                        // there under -fsanitize=undefined
  template <class... Ops>
  constexpr void put(rule_fn f) {
    ((at[Ops::index] = f, has[Ops::index] = true), ...);
  }
};

template <class = when_used>
inline constexpr rule_table aten_rules = [] {
  rule_table t;
  namespace r = shape_rules;
  // pointwise
  t.put<aten::add_Tensor, aten::sub_Tensor, aten::mul_Tensor, aten::add_Scalar, aten::sub_Scalar,
        aten::mul_Scalar, aten::rsub_Scalar, aten::maximum, aten::minimum, aten::fmax, aten::fmin,
        aten::remainder_Tensor, aten::remainder_Scalar, aten::fmod_Tensor, aten::fmod_Scalar,
        aten::pow_Tensor_Tensor, aten::bitwise_and_Tensor, aten::bitwise_or_Tensor, aten::bitwise_xor_Tensor,
        aten::bitwise_and_Scalar, aten::bitwise_or_Scalar, aten::bitwise_xor_Scalar, aten::__and___Tensor,
        aten::__or___Tensor, aten::__xor___Tensor, aten::__xor___Scalar, aten::__and___Scalar,
        aten::__or___Scalar, aten::floor_divide, aten::floor_divide_Scalar, aten::clamp_min_Tensor,
        aten::clamp_max_Tensor, aten::bitwise_left_shift_Tensor, aten::bitwise_right_shift_Tensor,
        aten::hypot, aten::nextafter, aten::heaviside>(r::binary);
  t.put<aten::max_other, aten::min_other, aten::multiply_Tensor, aten::multiply_Scalar, aten::subtract_Tensor,
        aten::subtract_Scalar, aten::logaddexp, aten::logaddexp2, aten::gcd, aten::lcm>(r::binary);
  t.put<aten::divide_Tensor, aten::divide_Scalar, aten::true_divide_Scalar>(r::binary_float);
  t.put<aten::divide_Tensor_mode, aten::divide_Scalar_mode>(r::divide_mode);
  t.put<aten::greater_Tensor, aten::greater_Scalar, aten::greater_equal_Tensor, aten::greater_equal_Scalar,
        aten::less_Tensor, aten::less_Scalar, aten::less_equal_Tensor, aten::less_equal_Scalar,
        aten::not_equal_Tensor, aten::not_equal_Scalar>(r::binary_bool);
  t.put<aten::negative, aten::fix>(r::activation);
  t.put<aten::absolute>(r::absolute);
  t.put<aten::deg2rad, aten::rad2deg>(r::worked_floating_copy);
  t.put<aten::sinc, aten::i0, aten::arccos, aten::arcsin, aten::arctan, aten::arccosh, aten::arcsinh,
        aten::arctanh, aten::special_expit, aten::special_erf>(r::unary_float);
  t.put<aten::isneginf, aten::isposinf>(r::unary_bool);
  t.put<aten::pow_Scalar>(r::power_of_number);
  t.put<aten::rsub_Tensor>(r::reversed_binary);
  t.put<aten::square>(r::square);
  t.put<aten::div_Tensor, aten::div_Scalar, aten::true_divide_Tensor, aten::atan2, aten::arctan2,
        aten::copysign_Tensor, aten::copysign_Scalar, aten::xlogy_Tensor, aten::xlogy_Scalar_Self,
        aten::xlogy_Scalar_Other>(r::binary_float);
  t.put<aten::div_Tensor_mode, aten::div_Scalar_mode>(r::divide_mode);
  t.put<aten::eq_Tensor, aten::ne_Tensor, aten::lt_Tensor, aten::le_Tensor, aten::gt_Tensor, aten::ge_Tensor,
        aten::eq_Scalar, aten::ne_Scalar, aten::lt_Scalar, aten::le_Scalar, aten::gt_Scalar, aten::ge_Scalar,
        aten::logical_and, aten::logical_or, aten::logical_xor, aten::isclose>(r::binary_bool);
  t.put<aten::logical_not, aten::isnan, aten::signbit>(r::unary_bool);
  t.put<aten::neg, aten::relu, aten::sign, aten::sgn, aten::floor, aten::ceil, aten::round, aten::trunc,
        aten::frac, aten::bitwise_not, aten::hardswish, aten::hardsigmoid, aten::gelu, aten::silu, aten::mish,
        aten::elu, aten::selu, aten::celu, aten::leaky_relu, aten::softplus, aten::threshold,
        aten::softshrink, aten::hardshrink>(r::activation);
  t.put<aten::abs>(r::absolute);
  t.put<aten::exp, aten::exp2, aten::expm1, aten::log, aten::log2, aten::log10, aten::log1p, aten::sqrt,
        aten::rsqrt, aten::sin, aten::cos, aten::tan, aten::asin, aten::acos, aten::atan, aten::sinh,
        aten::cosh, aten::tanh, aten::asinh, aten::acosh, aten::atanh, aten::sigmoid, aten::erf, aten::erfc,
        aten::erfinv, aten::reciprocal, aten::lgamma, aten::digamma, aten::logit>(r::unary_float);
  t.put<aten::where_self, aten::where_ScalarOther, aten::where_ScalarSelf, aten::where_Scalar>(r::where);
  t.put<aten::pow_Tensor_Scalar, aten::clamp_min, aten::clamp_max>(r::with_parameters<2>);
  t.put<aten::clamp, aten::clip, aten::lerp_Scalar>(r::with_parameters<3>);
  t.put<aten::isinf>(r::isinf);
  t.put<aten::isfinite>(r::isfinite);
  t.put<aten::hardtanh, aten::relu6, aten::nan_to_num, aten::fill_Scalar, aten::fill_Tensor>(r::worked_copy);
  t.put<aten::log_sigmoid>(r::log_sigmoid);
  t.put<aten::addcmul, aten::addcdiv, aten::lerp_Tensor, aten::clamp_Tensor>(r::ternary);
  t.put<aten::prelu>(r::prelu);
  t.put<aten::_prelu_kernel>(r::prelu_kernel);
  t.put<aten::glu>(r::gated_halves);
  // reductions and scans
  t.put<aten::sum, aten::prod>(r::sum_all);
  t.put<aten::sum_dim_IntList, aten::prod_dim_int, aten::nansum>(r::sum_dim);
  t.put<aten::mean>(r::mean_all);
  t.put<aten::mean_dim>(r::mean_dim);
  t.put<aten::max, aten::min, aten::median, aten::nanmedian>(r::reduce_all);
  t.put<aten::amax, aten::amin>(r::reduce_dims);
  t.put<aten::any, aten::all>(r::bool_all);
  t.put<aten::any_dim, aten::all_dim>(r::bool_dim);
  t.put<aten::any_dims, aten::all_dims>(r::bool_dims);
  t.put<aten::logsumexp, aten::special_logsumexp>(r::logsumexp);
  t.put<aten::max_dim, aten::min_dim, aten::median_dim, aten::nanmedian_dim, aten::mode>(r::with_indices<1>);
  t.put<aten::kthvalue>(r::with_indices<2>);
  t.put<aten::argmax, aten::argmin>(r::arg_reduce);
  t.put<aten::var, aten::std>(r::var_all);
  t.put<aten::var_dim, aten::std_dim, aten::var_correction, aten::std_correction>(r::var_dim);
  t.put<aten::norm_ScalarOpt_dim>(r::norm_dim);
  t.put<aten::norm_Scalar>(r::norm_all);
  t.put<aten::cumsum, aten::cumprod, aten::logcumsumexp>(r::scan);
  t.put<aten::cummax, aten::cummin>(r::scan_with_indices);
  t.put<aten::softmax_int, aten::log_softmax_int, aten::_safe_softmax>(r::softmax);
  t.put<aten::_softmax, aten::_log_softmax>(r::softmax_kernel);
  t.put<aten::diff>(r::diff);
  t.put<aten::std_mean, aten::var_mean>(r::var_mean_all);
  t.put<aten::std_mean_dim, aten::std_mean_correction, aten::var_mean_dim, aten::var_mean_correction>(
      r::var_mean_dim);
  t.put<aten::aminmax>(r::aminmax);
  t.put<aten::linalg_vector_norm>(r::vector_norm);
  t.put<aten::count_nonzero, aten::count_nonzero_dim_IntList>(r::count_nonzero);
  // matrix products
  t.put<aten::mm>(r::mm<0>);
  t.put<aten::addmm>(r::mm<1>);
  t.put<aten::bmm>(r::bmm<0>);
  t.put<aten::baddbmm>(r::bmm<1>);
  t.put<aten::addbmm>(r::addbmm);
  t.put<aten::mv>(r::mv<0>);
  t.put<aten::addmv>(r::mv<1>);
  t.put<aten::dot, aten::vdot>(r::dot);
  t.put<aten::outer, aten::ger>(r::outer);
  t.put<aten::linear>(r::linear);
  t.put<aten::matmul>(r::matmul);
  // convolution and pooling
  t.put<aten::conv1d, aten::conv2d, aten::conv3d>(r::conv);
  t.put<aten::conv1d_padding, aten::conv2d_padding, aten::conv3d_padding>(r::conv_padding);
  t.put<aten::conv_transpose1d, aten::conv_transpose2d_input, aten::conv_transpose3d_input>(
      r::conv_transpose);
  t.put<aten::convolution, aten::_convolution>(r::convolution);
  t.put<aten::max_pool1d>(r::max_pool<1>);
  t.put<aten::max_pool2d>(r::max_pool<2>);
  t.put<aten::max_pool3d>(r::max_pool<3>);
  t.put<aten::max_pool1d_with_indices>(r::max_pool_with_indices<1>);
  t.put<aten::max_pool2d_with_indices>(r::max_pool_with_indices<2>);
  t.put<aten::max_pool3d_with_indices>(r::max_pool_with_indices<3>);
  t.put<aten::avg_pool1d>(r::avg_pool<1>);
  t.put<aten::avg_pool2d>(r::avg_pool<2>);
  t.put<aten::avg_pool3d>(r::avg_pool<3>);
  t.put<aten::adaptive_avg_pool1d>(r::adaptive_avg_pool<1>);
  t.put<aten::adaptive_avg_pool2d>(r::adaptive_avg_pool<2>);
  t.put<aten::adaptive_avg_pool3d>(r::adaptive_avg_pool<3>);
  t.put<aten::_adaptive_avg_pool2d>(r::adaptive_avg_pool_kernel<2>);
  t.put<aten::_adaptive_avg_pool3d>(r::adaptive_avg_pool_kernel<3>);
  t.put<aten::adaptive_max_pool1d>(r::adaptive_max_pool<1>);
  t.put<aten::adaptive_max_pool2d>(r::adaptive_max_pool<2>);
  t.put<aten::adaptive_max_pool3d>(r::adaptive_max_pool<3>);
  // images of another size
  t.put<aten::upsample_nearest1d, aten::_upsample_nearest_exact1d, aten::upsample_linear1d>(r::upsample<1>);
  t.put<aten::upsample_nearest2d, aten::_upsample_nearest_exact2d, aten::upsample_bilinear2d,
        aten::upsample_bicubic2d, aten::_upsample_bilinear2d_aa, aten::_upsample_bicubic2d_aa>(
      r::upsample<2>);
  t.put<aten::upsample_nearest3d, aten::_upsample_nearest_exact3d, aten::upsample_trilinear3d>(
      r::upsample<3>);
  t.put<aten::upsample_nearest1d_vec, aten::_upsample_nearest_exact1d_vec>(r::upsample_vec<1, 2>);
  t.put<aten::upsample_nearest2d_vec, aten::_upsample_nearest_exact2d_vec>(r::upsample_vec<2, 2>);
  t.put<aten::upsample_nearest3d_vec, aten::_upsample_nearest_exact3d_vec>(r::upsample_vec<3, 2>);
  t.put<aten::upsample_linear1d_vec>(r::upsample_vec<1, 3>);
  t.put<aten::upsample_bilinear2d_vec, aten::upsample_bicubic2d_vec, aten::_upsample_bilinear2d_aa_vec,
        aten::_upsample_bicubic2d_aa_vec>(r::upsample_vec<2, 3>);
  t.put<aten::upsample_trilinear3d_vec>(r::upsample_vec<3, 3>);
  t.put<aten::grid_sampler, aten::grid_sampler_2d, aten::grid_sampler_3d>(r::grid_sampler);
  t.put<aten::im2col>(r::im2col);
  t.put<aten::col2im>(r::col2im);
  // distances, places
  t.put<aten::_cdist_forward, aten::cdist>(r::cdist);
  t.put<aten::_pdist_forward, aten::pdist>(r::pdist);
  t.put<aten::searchsorted_Tensor>(r::searchsorted);
  t.put<aten::searchsorted_Scalar>(r::searchsorted_number);
  t.put<aten::bucketize_Tensor>(r::bucketize);
  t.put<aten::bucketize_Scalar>(r::bucketize_number);
  // normalisations
  t.put<aten::batch_norm>(r::batch_norm);
  t.put<aten::native_batch_norm, aten::_native_batch_norm_legit>(r::native_batch_norm<5>);
  t.put<aten::_native_batch_norm_legit_no_stats>(r::native_batch_norm<3>);
  t.put<aten::_native_batch_norm_legit_no_training>(r::native_batch_norm_no_training);
  t.put<aten::_native_batch_norm_legit_functional>(r::native_batch_norm_functional);
  t.put<aten::instance_norm>(r::instance_norm);
  t.put<aten::group_norm>(r::group_norm);
  t.put<aten::native_group_norm>(r::native_group_norm);
  t.put<aten::layer_norm>(r::layer_norm);
  t.put<aten::native_layer_norm>(r::native_layer_norm);
  t.put<aten::rms_norm>(r::rms_norm);
  t.put<aten::_fused_rms_norm>(r::fused_rms_norm);
  t.put<aten::_weight_norm_interface>(r::weight_norm);
  // losses
  t.put<aten::mse_loss, aten::l1_loss, aten::smooth_l1_loss>(r::pointwise_loss);
  t.put<aten::huber_loss>(r::huber_loss);
  t.put<aten::soft_margin_loss>(r::soft_margin_loss);
  t.put<aten::kl_div>(r::kl_div);
  t.put<aten::binary_cross_entropy>(r::binary_cross_entropy);
  t.put<aten::binary_cross_entropy_with_logits>(r::binary_cross_entropy_with_logits);
  t.put<aten::nll_loss, aten::nll_loss_nd>(r::nll_loss);
  t.put<aten::nll_loss_forward, aten::nll_loss2d_forward>(r::nll_loss_forward);
  t.put<aten::cross_entropy_loss>(r::cross_entropy_loss);
  // layers
  t.put<aten::dropout, aten::alpha_dropout>(r::dropout);
  t.put<aten::feature_dropout, aten::feature_alpha_dropout>(r::feature_dropout);
  t.put<aten::native_dropout>(r::native_dropout);
  t.put<aten::log_sigmoid_forward>(r::log_sigmoid_forward);
  t.put<aten::pixel_shuffle>(r::pixel_shuffle);
  t.put<aten::pixel_unshuffle>(r::pixel_unshuffle);
  t.put<aten::scaled_dot_product_attention>(r::attention);
  t.put<aten::_scaled_dot_product_flash_attention_for_cpu>(r::flash_attention_cpu);
  t.put<aten::lstm_input>(r::lstm);
  t.put<aten::lstm_data>(r::lstm_packed);
  t.put<aten::gru_input, aten::rnn_tanh_input, aten::rnn_relu_input>(r::gru);
  t.put<aten::gru_data, aten::rnn_tanh_data, aten::rnn_relu_data>(r::gru_packed);
  t.put<aten::lstm_cell>(r::lstm_cell);
  t.put<aten::gru_cell>(r::gru_cell);
  t.put<aten::rnn_tanh_cell, aten::rnn_relu_cell>(r::rnn_cell);
  // views
  t.put<aten::alias, aten::lift_fresh, aten::lift, aten::positive, aten::conj, aten::resolve_conj,
        aten::resolve_neg>(r::identity);
  t.put<aten::real>(r::real);
  t.put<aten::imag>(r::imag);
  t.put<aten::detach>(r::detach);
  t.put<aten::view, aten::_unsafe_view>(r::view);
  t.put<aten::view_copy>(r::view_copy);
  t.put<aten::reshape>(r::reshape);
  t.put<aten::view_as, aten::reshape_as>(r::reshape_as);
  t.put<aten::flatten_using_ints>(r::flatten);
  t.put<aten::unflatten_int>(r::unflatten);
  t.put<aten::permute>(r::permute);
  t.put<aten::transpose_int, aten::swapaxes, aten::swapdims, aten::transpose_, aten::swapaxes_,
        aten::swapdims_>(r::transpose);
  t.put<aten::t, aten::t_>(r::t);
  t.put<aten::numpy_T>(r::reversed);
  t.put<aten::mT, aten::adjoint>(r::transpose_last);
  t.put<aten::movedim_intlist, aten::moveaxis_intlist, aten::movedim_int, aten::moveaxis_int>(r::movedim);
  t.put<aten::unsqueeze, aten::unsqueeze_>(r::unsqueeze);
  t.put<aten::squeeze, aten::squeeze_>(r::squeeze);
  t.put<aten::squeeze_dim, aten::squeeze_dims, aten::squeeze__dim, aten::squeeze__dims>(r::squeeze_dims);
  t.put<aten::expand, aten::broadcast_to>(r::expand);
  t.put<aten::ravel>(r::ravel);
  t.put<aten::_reshape_alias>(r::as_strided);
  t.put<aten::expand_as>(r::expand_as);
  t.put<aten::select_int>(r::select);
  t.put<aten::slice_Tensor>(r::slice);
  t.put<aten::narrow>(r::narrow);
  t.put<aten::as_strided, aten::as_strided_>(r::as_strided);
  t.put<aten::unfold>(r::unfold);
  t.put<aten::diagonal>(r::diagonal);
  t.put<aten::split_Tensor>(r::split);
  t.put<aten::split_with_sizes, aten::split_sizes>(r::split_with_sizes);
  t.put<aten::chunk, aten::unsafe_chunk>(r::chunk);
  t.put<aten::unsafe_split_Tensor>(r::split);
  t.put<aten::unsafe_split_with_sizes>(r::split_with_sizes);
  t.put<aten::unbind_int>(r::unbind);
  t.put<aten::view_as_real>(r::view_as_real);
  t.put<aten::view_as_complex>(r::view_as_complex);
  // factories, copies, casts
  t.put<aten::empty_memory_format>(r::empty);
  t.put<aten::zeros, aten::ones, aten::rand, aten::randn>(r::filled);
  t.put<aten::full>(r::full);
  t.put<aten::scalar_tensor>(r::scalar_tensor);
  t.put<aten::arange>(r::arange_end);
  t.put<aten::arange_start>(r::arange_start);
  t.put<aten::arange_start_step>(r::arange_step);
  t.put<aten::linspace>(r::linspace);
  t.put<aten::eye>(r::eye);
  t.put<aten::eye_m>(r::eye_m);
  t.put<aten::randint>(r::randint);
  t.put<aten::randint_low>(r::randint_low);
  t.put<aten::randperm>(r::randperm);
  t.put<aten::empty_like, aten::zeros_like, aten::ones_like, aten::rand_like, aten::randn_like>(
      r::like_self<1>);
  t.put<aten::full_like, aten::randint_like>(r::like_self<2>);
  t.put<aten::randint_like_low_dtype>(r::like_self<3>);
  t.put<aten::new_empty, aten::new_zeros, aten::new_ones>(r::new_like_self<2>);
  t.put<aten::new_full>(r::new_like_self<3>);
  t.put<aten::empty_strided>(r::empty_strided);
  t.put<aten::to_dtype>(r::to_dtype);
  t.put<aten::to_dtype_layout>(r::to_dtype_layout);
  t.put<aten::to_device>(r::to_device);
  t.put<aten::to_other>(r::to_other);
  t.put<aten::type_as>(r::type_as);
  t.put<aten::_to_copy>(r::to_copy);
  t.put<aten::clone>(r::clone);
  t.put<aten::contiguous>(r::contiguous);
  t.put<aten::lift_fresh_copy, aten::bernoulli, aten::bernoulli_p>(r::fresh_copy);
  t.put<aten::sym_size_int>(r::sym_size);
  t.put<aten::sym_stride_int>(r::sym_stride);
  t.put<aten::sym_numel>(r::sym_numel);
  t.put<aten::sym_storage_offset>(r::sym_storage_offset);
  t.put<aten::new_empty_strided>(r::new_empty_strided);
  t.put<aten::logspace>(r::logspace);
  t.put<aten::_assert_scalar, aten::_assert_tensor_metadata, aten::_assert_async, aten::_assert_async_msg,
        aten::sym_constrain_range, aten::sym_constrain_range_for_size>(r::nothing);
  // indexing, joining, padding, sorting
  t.put<aten::index_Tensor>(r::index);
  t.put<aten::index_select>(r::index_select);
  t.put<aten::gather>(r::gather);
  t.put<aten::take>(r::take);
  t.put<aten::index_put, aten::_unsafe_index_put, aten::index_fill_int_Scalar, aten::index_fill_int_Tensor,
        aten::flip, aten::fliplr, aten::flipud>(r::changed_copy);
  t.put<aten::scatter_src, aten::scatter_reduce, aten::scatter_value_reduce, aten::scatter_value,
        aten::scatter_add, aten::scatter_reduce_two, aten::index_copy, aten::index_add, aten::tril,
        aten::triu>(r::dense_copy);
  t.put<aten::select_scatter, aten::slice_scatter, aten::copy>(r::copy_in_place_of);
  t.put<aten::roll>(r::roll);
  t.put<aten::masked_fill_Scalar, aten::masked_fill_Tensor, aten::masked_scatter>(r::masked);
  t.put<aten::embedding>(r::embedding);
  t.put<aten::one_hot>(r::one_hot);
  t.put<aten::cat, aten::concat, aten::concatenate>(r::cat);
  t.put<aten::stack>(r::stack);
  t.put<aten::repeat, aten::tile>(r::repeat);
  t.put<aten::repeat_interleave_self_int>(r::repeat_interleave);
  t.put<aten::constant_pad_nd>(r::constant_pad);
  t.put<aten::pad>(r::pad);
  t.put<aten::reflection_pad1d, aten::reflection_pad2d, aten::reflection_pad3d, aten::replication_pad1d,
        aten::replication_pad2d, aten::replication_pad3d>(r::edge_pad);
  t.put<aten::topk>(r::topk);
  t.put<aten::sort, aten::sort_stable>(r::sort);
  t.put<aten::argsort, aten::argsort_stable>(r::argsort);
  return t;
}();

/// Rules of operators outside the table. One object for the process.
template <class = when_used>
class ESPALIER_SHARED user_rules {
public:
  static user_rules& instance() {
    static user_rules u;
    return u;
  }
  void set(op_id o, rule_fn f) {
    const lock_guard lock(mutex_);
    rules_[o.index] = f;
  }
  rule_fn get(op_id o) const {
    const lock_guard lock(mutex_);
    const auto at = rules_.find(o.index);
    return at == rules_.end() ? nullptr : at->second;
  }

private:
  mutable mutex mutex_;
  hash_map<std::uint32_t, rule_fn> rules_;
};

/// The result of an operator that returns the arguments it writes to: their metas.
template <class = when_used>
rule_result written_arguments(const rule_args& a) {
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
template <class = when_used>
bool returns_written_arguments(op_id o) {
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
template <class = when_used>
rule_fn rule_for(op_id o) {
  if (!o.valid())
    return nullptr;
  if (o.index < detail::num_aten_ops) {
    if (const rule_fn f = detail::aten_rules<>.at[o.index])
      return f;
  } else if (const rule_fn f = detail::user_rules<>::instance().get(o)) {
    return f;
  }
  return flags_of(o).mutates && detail::returns_written_arguments(o) ? &detail::written_arguments<> : nullptr;
}

/// Makes a rule known for a user's operator: `shape_rule<Op>::infer`, or a function.
template <op_type Op>
void register_rule(rule_fn f = nullptr) {
  if constexpr (requires { &shape_rule<Op>::infer; }) {
    detail::user_rules<>::instance().set(id_of<Op>(), f ? f : &shape_rule<Op>::infer);
  } else {
    if (!f)
      fail(error_kind::usage, "no rule was given", "register_rule",
           "pass a function, or specialise espalier::shape_rule for the operator");
    detail::user_rules<>::instance().set(id_of<Op>(), f);
  }
}

/// How many ATen operators have a rule of their own (operators that return what they write to not counted).
template <class = when_used>
constexpr std::size_t num_aten_rules() {
  std::size_t n = 0;
  for (auto f : detail::aten_rules<>.at)
    n += f != nullptr;
  return n;
}

} // namespace espalier
