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
#include <espalier/passes/split.hpp>
#include <espalier/passes/unlift.hpp>
#include <espalier/passes/view_copy.hpp>
#include <espalier/pipeline/instruments/verifying.hpp>
#include <espalier/pipeline/pass_options.hpp>
#include <espalier/pipeline/registry.hpp>
#include <espalier/program/constant_fold.hpp>
#include <espalier/program/fold_conv_batch_norm.hpp>
#include <espalier/program/lift_attributes.hpp>

#include <concepts>
#include <cstddef>
#include <optional>
#include <string_view>

namespace espalier {

namespace detail {

inline device_move device_move_of(std::string_view text) {
  const option_reader given(device_move::name, text,
                            "write device_move<cuda:0>, or device_move<cuda:0, cpu>");
  const auto& all = given.items();
  if (all.empty() || all.size() > 2)
    given.refuse("it takes one device, or two");
  std::optional<device> of[2];
  for (std::size_t i = 0; i != all.size(); ++i)
    if (of[i] = parse_device(all[i].text); !of[i])
      given.refuse(all[i], "is no device");
  return device_move(*of[0], of[1]);
}
inline convert_dtype convert_dtype_of(std::string_view text) {
  const option_reader given(convert_dtype::name, text,
                            "write convert_dtype<f32, f16>: the old type and the new one");
  const auto& all = given.items();
  if (all.size() != 2)
    given.refuse("it takes two types");
  std::optional<scalar_type> of[2];
  for (std::size_t i = 0; i != 2; ++i)
    if (of[i] = parse_scalar_type(all[i].text); !of[i])
      given.refuse(all[i], "is no type");
  return convert_dtype(*of[0], *of[1]);
}
inline inline_subgraphs inline_of(std::string_view text) {
  const option_reader given(
      inline_subgraphs::name, text,
      "write inline, or inline<grad_mode=MODE> with one of unknown, disabled, enabled, irrelevant");
  grad_mode mode = grad_mode::unknown;
  for (const auto& i : given) {
    if (i.key != "grad_mode")
      given.refuse(i);
    bool known = false;
    for (const auto m : {grad_mode::unknown, grad_mode::disabled, grad_mode::enabled, grad_mode::irrelevant})
      if (i.value == to_string(m)) {
        mode = m;
        known = true;
      }
    if (!known)
      given.refuse(i, "names no mode");
  }
  return inline_subgraphs(mode);
}
inline constant_fold constant_fold_of(std::string_view text) {
  const option_reader given(
      constant_fold::name, text,
      "choose among parameters, no_buffers, constructors, max_bytes=N, max_growth=X, small=N");
  fold_options o;
  for (const auto& i : given)
    if (i.text == "parameters")
      o.parameters = true;
    else if (i.text == "no_buffers")
      o.buffers = false;
    else if (i.text == "constructors")
      o.constructors = true;
    else if (i.key == "max_bytes")
      o.max_bytes = given.number<std::size_t>(i);
    else if (i.key == "max_growth")
      o.max_growth = given.number<double>(i);
    else if (i.key == "small")
      o.small = given.number<std::size_t>(i);
    else
      given.refuse(i);
  return constant_fold(o);
}

template <class U>
any_pass<U> verified_of(std::string_view text) {
  const option_reader given("verified", text, "write verified<aten_ir>, or another dialect of the library");
  const auto& all = given.items();
  if (all.size() != 1)
    given.refuse("it takes one dialect");
  const auto is = [&]<dialect D>(const verified<D>&) { return all[0].text == D::name; };
  if (is(verified<torch_ir>{}))
    return verified<torch_ir>{};
  if (is(verified<training_ir>{}))
    return verified<training_ir>{};
  if (is(verified<aten_ir>{}))
    return verified<aten_ir>{};
  if (is(verified<core_aten>{}))
    return verified<core_aten>{};
  given.refuse(all[0], "is none of torch_ir, training_ir, aten_ir, core_aten");
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
  r.add(inline_subgraphs{}, [](std::string_view a) { return any_pass<U>(detail::inline_of(a)); });
  r.add(split_named{}, [](std::string_view a) { return any_pass<U>(split_named::parse(a)); });
  r.add(verified<torch_ir>{}, &detail::verified_of<U>);
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
