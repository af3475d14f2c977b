// SPDX-License-Identifier: BSL-1.0
// What the tracing plugin, which the host opens at run time, offers: C functions, for the host finds them by
// name.
#pragma once

#include <espalier/program/exported_program.hpp>

#include <ATen/core/Tensor.h>

#include <optional>
#include <string>
#include <vector>

using plugin_program = espalier::exported_program<espalier::training_ir, at::Tensor(at::Tensor)>;
using tensor_function = at::Tensor (*)(const at::Tensor&);

extern "C" {
/// Two operators, of the plugin's code, in a scope that the plugin names.
void plugin_compute(const at::Tensor& x, at::Tensor& out);
/// Traces `f` with the plugin's copy of the tracer; gives the operators' names.
void plugin_trace(tensor_function f, const at::Tensor& example, std::vector<std::string>& ops);
/// A module of the plugin's, exported there, and what it gives in eager mode.
void plugin_export(const at::Tensor& example, std::optional<plugin_program>& program, at::Tensor& eager);
/// The address of this thread's mode, as the plugin's copy of the headers finds it.
void* plugin_mode_slot();
}
