// SPDX-License-Identifier: BSL-1.0
// Operators that C++ and Python spell each in their own way, one for one: the same kernel called with the
// same numbers, so that values stay equal bit by bit. `raise` goes one way, `lower_spellings` the other.
// docs/spellings.md has the table.
#pragma once

#include <espalier/ir/storage.hpp>
#include <espalier/ir/view.hpp>
#include <espalier/schema/aten.hpp>
#include <espalier/schema/op_traits.hpp>
#include <espalier/support/optional.hpp>
#include <espalier/support/span.hpp>
#include <espalier/support/vector.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

namespace espalier::detail {

/// A call with another operator and other arguments, in its place: what is known of its results holds on.
template <class = when_used>
class respelling {
public:
  explicit respelling(graph_storage& g) : g_(g) {}

  /// C++'s spelling to Python's. Whether it was one.
  bool raise(node_id n) {
    if (const auto to = pair(n, &scalar_pair::cpp, &scalar_pair::python))
      return same_arguments(n, *to);
    const std::uint32_t op = g_.op(n).index;
    switch (op) {
    case aten::_pad_enum::index:
      return pad_of_mode(n);
    case aten::var_correction::index:
      return over_dims(n, id_of<aten::var_dim>());
    case aten::std_correction::index:
      return over_dims(n, id_of<aten::std_dim>());
    case aten::norm_Scalar::index:
    case aten::norm_ScalarOpt_dim::index:
    case aten::norm_ScalarOpt_dim_dtype::index:
      return vector_norm(n);
    case aten::to_dtype_layout::index:
      return cast(n);
    case aten::to_other::index:
      return cast_like(n);
    default:
      break;
    }
    for (const auto& r : resamplers)
      if (op == r.cpp)
        return resample(n, r);
    return false;
  }
  /// Python's spelling to C++'s. Whether it was one.
  bool lower(node_id n) {
    if (const auto to = pair(n, &scalar_pair::python, &scalar_pair::cpp); to && is_number(arg(n, 1)))
      return same_arguments(n, *to);
    const std::uint32_t op = g_.op(n).index;
    switch (op) {
    case aten::pad::index:
      return mode_of_pad(n);
    case aten::var_dim::index:
      return with_correction(n, id_of<aten::var_correction>());
    case aten::std_dim::index:
      return with_correction(n, id_of<aten::std_correction>());
    case aten::linalg_vector_norm::index:
      return norm(n);
    default:
      break;
    }
    for (const auto& r : resamplers)
      if (op == r.python)
        return to_size(n, r);
    return false;
  }

private:
  using args = vector<argument>;

  struct scalar_pair {
    std::uint32_t cpp, python;
  };
  /// A number as the second operand: an overload of its own, or a number where a tensor is asked for.
  static constexpr scalar_pair scalar_pairs[] = {
      {aten::add_Scalar::index, aten::add_Tensor::index},
      {aten::sub_Scalar::index, aten::sub_Tensor::index},
      {aten::mul_Scalar::index, aten::mul_Tensor::index},
      {aten::div_Scalar::index, aten::div_Tensor::index},
      {aten::add__Scalar::index, aten::add__Tensor::index},
      {aten::sub__Scalar::index, aten::sub__Tensor::index},
      {aten::mul__Scalar::index, aten::mul__Tensor::index},
      {aten::div__Scalar::index, aten::div__Tensor::index},
      {aten::div_Scalar_mode::index, aten::div_Tensor_mode::index},
      {aten::floor_divide_Scalar::index, aten::floor_divide::index},
      {aten::floor_divide__Scalar::index, aten::floor_divide__Tensor::index},
  };
  /// An operator that resamples, by sizes that are told, or by sizes or scales.
  struct resampler {
    std::uint32_t cpp, python;
    std::size_t dims;
    bool aligns; ///< takes `align_corners`
  };
  static constexpr resampler resamplers[] = {
      {aten::upsample_nearest1d::index, aten::upsample_nearest1d_vec::index, 1, false},
      {aten::upsample_nearest2d::index, aten::upsample_nearest2d_vec::index, 2, false},
      {aten::upsample_nearest3d::index, aten::upsample_nearest3d_vec::index, 3, false},
      {aten::_upsample_nearest_exact1d::index, aten::_upsample_nearest_exact1d_vec::index, 1, false},
      {aten::_upsample_nearest_exact2d::index, aten::_upsample_nearest_exact2d_vec::index, 2, false},
      {aten::_upsample_nearest_exact3d::index, aten::_upsample_nearest_exact3d_vec::index, 3, false},
      {aten::upsample_linear1d::index, aten::upsample_linear1d_vec::index, 1, true},
      {aten::upsample_bilinear2d::index, aten::upsample_bilinear2d_vec::index, 2, true},
      {aten::upsample_bicubic2d::index, aten::upsample_bicubic2d_vec::index, 2, true},
      {aten::upsample_trilinear3d::index, aten::upsample_trilinear3d_vec::index, 3, true},
      {aten::_upsample_bilinear2d_aa::index, aten::_upsample_bilinear2d_aa_vec::index, 2, true},
      {aten::_upsample_bicubic2d_aa::index, aten::_upsample_bicubic2d_aa_vec::index, 2, true},
  };
  static constexpr std::string_view pad_modes[] = {"reflect", "replicate", "circular", "constant"};

  // ---- arguments
  arg_view arg(node_id n, std::size_t i) const { return node(g_, n).arg(i); }
  argument copied(node_id n, std::size_t i) {
    return i < g_.num_args(n) ? g_.copy_arg(n, g_.arg_slot(n, i), own_) : argument();
  }
  static bool is_number(arg_view a) {
    const arg_form f = a.form();
    return f == arg_form::integer || f == arg_form::floating || f == arg_form::boolean ||
           f == arg_form::symbolic;
  }
  /// What is known of a tensor; null when it is none, or not strided.
  const tensor_meta* strided(arg_view a) const {
    if (!a.is_value() || a.as_value().meta().kind != value_kind::tensor ||
        a.as_value().tensor().lay != layout::strided)
      return nullptr;
    return &a.as_value().tensor();
  }
  optional<op_id> pair(node_id n, std::uint32_t scalar_pair::*from, std::uint32_t scalar_pair::*to) const {
    for (const auto& p : scalar_pairs)
      if (g_.op(n).index == p.*from)
        return op_id{p.*to};
    return std::nullopt;
  }
  bool same_arguments(node_id n, op_id op) {
    g_.set_op(n, op); // `alpha` and the rounding mode stand at the same position
    return true;
  }
  /// Always true.
  bool put(node_id n, op_id op, args all) {
    while (!all.empty() && all.back().form == arg_form::absent)
      all.pop_back();
    const std::string_view before = name_of(g_.op(n)), now = name_of(op);
    if (before.substr(0, before.find('.')) != now.substr(0, now.find('.')))
      g_.clear_name(n);
    g_.set_op(n, op);
    g_.set_args(n, all);
    own_ = {};
    return true;
  }

  // ---- padding
  bool pad_of_mode(node_id n) {
    const arg_view mode = arg(n, 2);
    if (mode.form() != arg_form::integer || mode.as_int() < 0 || mode.as_int() > 3)
      return false;
    const bool usual = mode.as_int() == 3 && !arg(n, 3).has_value();
    return put(n, id_of<aten::pad>(),
               {copied(n, 0), copied(n, 1), usual ? argument() : argument(pad_modes[mode.as_int()]),
                arg(n, 3).has_value() ? copied(n, 3) : argument()});
  }
  bool mode_of_pad(node_id n) {
    const arg_view mode = arg(n, 2);
    for (std::int64_t i = 0; i != 4; ++i)
      if (mode.form() == arg_form::absent
              ? i == 3
              : mode.form() == arg_form::string && mode.as_string() == pad_modes[i])
        return put(n, id_of<aten::_pad_enum>(),
                   {copied(n, 0), copied(n, 1), i, arg(n, 3).has_value() ? copied(n, 3) : argument()});
    return false;
  }

  // ---- variance
  bool over_dims(node_id n, op_id op) {
    if (arg(n, 1).form() != arg_form::list || arg(n, 2).has_value())
      return false;
    const argument keeps = copied(n, 3);
    return put(
        n, op,
        {copied(n, 0), copied(n, 1), keeps.form == arg_form::absent ? argument() : argument(true), keeps});
  }
  bool with_correction(node_id n, op_id op) {
    const arg_view unbiased = arg(n, 2);
    if (arg(n, 1).form() != arg_form::list || (unbiased.form() != arg_form::absent &&
                                               !(unbiased.form() == arg_form::boolean && unbiased.as_bool())))
      return false;
    return put(n, op, {copied(n, 0), copied(n, 1), argument(), copied(n, 3)});
  }

  // ---- norms
  bool vector_norm(node_id n) {
    const tensor_meta* x = strided(arg(n, 0));
    if (!x || (!is_floating(x->dtype) && !is_complex(x->dtype)))
      return false;
    const argument order = arg(n, 1).form() == arg_form::none ? argument(2) : copied(n, 1);
    return put(n, id_of<aten::linalg_vector_norm>(),
               {copied(n, 0), order, copied(n, 2), copied(n, 3), copied(n, 4)});
  }
  bool norm(node_id n) {
    const tensor_meta* x = strided(arg(n, 0));
    const arg_view dims = arg(n, 2), keeps = arg(n, 3), dtype = arg(n, 4);
    if (!x || (!is_floating(x->dtype) && !is_complex(x->dtype)))
      return false;
    if (!dims.has_value())
      return !dtype.has_value() && !keeps.has_value() &&
             put(n, id_of<aten::norm_Scalar>(), {copied(n, 0), copied(n, 1)});
    if (dims.form() != arg_form::list || !arg(n, 1).has_value())
      return false;
    args all{copied(n, 0), copied(n, 1), copied(n, 2), copied(n, 3)};
    if (!dtype.has_value())
      return put(n, id_of<aten::norm_ScalarOpt_dim>(), std::move(all));
    if (!keeps.has_value())
      return false; // the overload asks for it, and what was left out would not come back
    all.push_back(copied(n, 4));
    return put(n, id_of<aten::norm_ScalarOpt_dim_dtype>(), std::move(all));
  }

  // ---- casts
  /// And `non_blocking`, `copy`, `memory_format`, which stand at `first` before: by position now, so that
  /// none is left out before one that is given.
  args with_flags(node_id n, args all, std::size_t first) {
    const argument blocking = copied(n, first), copy = copied(n, first + 1), format = copied(n, first + 2);
    const auto given = [](const argument& a) { return a.form != arg_form::absent; };
    all.push_back(given(blocking) || (!given(copy) && !given(format)) ? blocking : argument(false));
    all.push_back(given(copy) || !given(format) ? copy : argument(false));
    all.push_back(format);
    return all;
  }
  /// `x.to(options)`. Python says dtype and layout where only the device changes, and no more than the dtype
  /// where the device stays.
  bool cast(node_id n) {
    const tensor_meta* x = strided(arg(n, 0));
    const arg_view dtype = arg(n, 1), lay = arg(n, 2), dev = arg(n, 3), pin = arg(n, 4);
    const auto is = [](arg_view a, arg_form f) { return !a.has_value() || a.form() == f; };
    if (!x || pin.has_value() || !is(dtype, arg_form::scalar_type) || !is(lay, arg_form::layout) ||
        !is(dev, arg_form::device) || (lay.has_value() && lay.as_layout() != layout::strided))
      return false;
    if (!dev.has_value())
      return dtype.has_value() &&
             put(n, id_of<aten::to_dtype>(), with_flags(n, {copied(n, 0), copied(n, 1)}, 5));
    if (!dtype.has_value() || dtype.as_dtype() == x->dtype) {
      if (dtype.has_value() && lay.has_value())
        return false;
      args all{copied(n, 0), x->dtype, layout::strided};
      for (std::size_t i = 3; i != 8; ++i)
        all.push_back(copied(n, i));
      return put(n, id_of<aten::to_dtype_layout>(), std::move(all));
    }
    if (dev.as_device() == x->dev)
      return put(n, id_of<aten::to_dtype>(), with_flags(n, {copied(n, 0), copied(n, 1)}, 5));
    return put(n, id_of<aten::to_device>(), with_flags(n, {copied(n, 0), copied(n, 3), copied(n, 1)}, 5));
  }
  bool cast_like(node_id n) {
    const tensor_meta *x = strided(arg(n, 0)), *y = strided(arg(n, 1));
    return x && y && put(n, id_of<aten::to_device>(), with_flags(n, {copied(n, 0), y->dev, y->dtype}, 2));
  }

  // ---- resampling
  bool resample(node_id n, const resampler& r) {
    const std::size_t first = r.aligns ? 3 : 2;
    std::size_t scales = 0;
    for (std::size_t i = 0; i != r.dims; ++i)
      scales += arg(n, first + i).has_value();
    args out{copied(n, 0), copied(n, 1)};
    if (r.aligns)
      out.push_back(copied(n, 2));
    if (scales == 0) {
      out.push_back(std::nullopt);
      return put(n, op_id{r.python}, std::move(out));
    }
    const tensor_meta* x = strided(arg(n, 0));
    const arg_view sizes = arg(n, 1);
    if (!x || x->dim() != r.dims + 2 || scales != r.dims || sizes.form() != arg_form::list ||
        sizes.size() != r.dims)
      return false;
    args factors;
    for (std::size_t i = 0; i != r.dims; ++i) { // the sizes are to be those that Python's operator works out
      const arg_view s = arg(n, first + i);
      if (s.form() != arg_form::floating || !x->sizes[i + 2].is_int() ||
          sizes[i].form() != arg_form::integer ||
          static_cast<std::int64_t>(static_cast<double>(x->sizes[i + 2].as_int()) * s.as_double()) !=
              sizes[i].as_int())
        return false;
      factors.push_back(copied(n, first + i));
    }
    out[1] = std::nullopt;
    out.push_back(span<const argument>(factors));
    return put(n, op_id{r.python}, std::move(out));
  }
  bool to_size(node_id n, const resampler& r) {
    const arg_view sizes = arg(n, 1), factors = arg(n, r.aligns ? 3 : 2);
    args out{copied(n, 0), copied(n, 1)}, known;
    if (r.aligns)
      out.push_back(copied(n, 2));
    if (factors.has_value()) {
      const value result(g_, g_.result(n));
      if (sizes.has_value() || factors.form() != arg_form::list || factors.size() != r.dims ||
          result.meta().kind != value_kind::tensor || result.tensor().dim() != r.dims + 2)
        return false;
      for (std::size_t i = 0; i != r.dims; ++i) {
        if (!result.tensor().sizes[i + 2].is_int() || factors[i].form() != arg_form::floating)
          return false;
        known.push_back(result.tensor().sizes[i + 2].as_int());
        out.push_back(factors[i].as_double());
      }
      out[1] = span<const argument>(known);
    } else if (!sizes.has_value()) {
      return false;
    }
    return put(n, op_id{r.cpp}, std::move(out));
  }

  graph_storage& g_;
  graph_storage::copied_args own_; ///< lists that are on their way
};

} // namespace espalier::detail
