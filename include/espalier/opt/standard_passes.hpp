// SPDX-License-Identifier: BSL-1.0
// umbrella: apart, it instantiates every pass
// The passes of the library by name: what es-opt starts with.
#pragma once

#include <espalier/passes/canonicalize.hpp>
#include <espalier/passes/convert_dtype.hpp>
#include <espalier/passes/cse.hpp>
#include <espalier/passes/dce.hpp>
#include <espalier/passes/device_move.hpp>
#include <espalier/passes/hoist.hpp>
#include <espalier/passes/infer_shapes.hpp>
#include <espalier/passes/inline.hpp>
#include <espalier/passes/lower_spellings.hpp>
#include <espalier/passes/raise.hpp>
#include <espalier/passes/remove_assertions.hpp>
#include <espalier/passes/rename_placeholders.hpp>
#include <espalier/passes/sink.hpp>
#include <espalier/passes/sort.hpp>
#include <espalier/passes/unlift.hpp>
#include <espalier/passes/view_copy.hpp>
#include <espalier/pipeline/registry.hpp>
#include <espalier/program/constant_fold.hpp>
#include <espalier/program/fold_conv_batch_norm.hpp>
#include <espalier/program/lift_attributes.hpp>

#include <concepts>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace espalier {

namespace detail {

/// `a, b` as its parts; none of an empty text.
inline std::vector<std::string_view> pass_arguments(std::string_view text) {
  std::vector<std::string_view> out;
  while (!text.empty()) {
    const auto comma = text.find(',');
    std::string_view one = text.substr(0, comma);
    text = comma == text.npos ? std::string_view() : text.substr(comma + 1);
    while (one.starts_with(' '))
      one.remove_prefix(1);
    while (one.ends_with(' '))
      one.remove_suffix(1);
    out.push_back(one);
  }
  return out;
}
[[noreturn]] inline void refuse_arguments(std::string_view pass, std::string_view text, std::string cure) {
  fail(error_kind::usage, "'" + std::string(text) + "' is no argument list for it",
       "pass '" + std::string(pass) + "'", std::move(cure));
}

inline device_move device_move_of(std::string_view text) {
  const auto a = pass_arguments(text);
  const auto to = a.empty() ? std::nullopt : parse_device(a[0]);
  const auto from = a.size() == 2 ? parse_device(a[1]) : std::nullopt;
  if (!to || a.size() > 2 || (a.size() == 2 && !from))
    refuse_arguments(device_move::name, text, "write device_move<cuda:0>, or device_move<cuda:0, cpu>");
  return device_move(*to, from);
}
inline convert_dtype convert_dtype_of(std::string_view text) {
  const auto a = pass_arguments(text);
  const auto from = a.size() == 2 ? parse_scalar_type(a[0]) : std::nullopt;
  const auto to = a.size() == 2 ? parse_scalar_type(a[1]) : std::nullopt;
  if (!from || !to)
    refuse_arguments(convert_dtype::name, text,
                     "write convert_dtype<f32, f16>: the old type and the new one");
  return convert_dtype(*from, *to);
}
inline constant_fold constant_fold_of(std::string_view text) {
  fold_options o;
  for (const auto a : pass_arguments(text))
    if (a == "parameters")
      o.parameters = true;
    else if (a == "no_buffers")
      o.buffers = false;
    else if (a == "constructors")
      o.constructors = true;
    else
      refuse_arguments(constant_fold::name, text, "choose among parameters, no_buffers, constructors");
  return constant_fold(o);
}

} // namespace detail

/// A registry of the library's passes for units of type `U`, such as an exported program. Those that need
/// tensors are there when `U` is one.
template <class U>
pass_registry<U> standard_passes() {
  pass_registry<U> r;
  r.add(dce{});
  r.add(cse{});
  r.add(canonicalize{});
  r.add(raise{});
  r.add(lower_spellings{});
  r.add(views_to_copies{});
  r.add(copies_to_views{});
  r.add(sink{});
  r.add(hoist{});
  r.add(sort{});
  r.add(infer_shapes{});
  r.add(remove_assertions{});
  r.add(rename_placeholders{});
  r.add(inline_subgraphs{});
  r.add(lift{});
  r.add(unlift{});
  r.add(device_move(cpu_device), [](std::string_view a) { return any_pass<U>(detail::device_move_of(a)); });
  r.add(convert_dtype(scalar_type::f32, scalar_type::f64),
        [](std::string_view a) { return any_pass<U>(detail::convert_dtype_of(a)); });
  if constexpr (std::derived_from<U, program_base>) {
    r.add(constant_fold(), [](std::string_view a) { return any_pass<U>(detail::constant_fold_of(a)); });
    r.add(fold_conv_batch_norm{});
  }
  return r;
}

} // namespace espalier
