// SPDX-License-Identifier: BSL-1.0
// The whole library: the ground floor, and what runs on LibTorch.
// Written by tools/umbrella.py from the layer folders. Do not edit.
#pragma once

#include <espalier/graph.hpp>

#include <espalier/bridge/ivalue.hpp>
#include <espalier/bridge/pytree.hpp>
#include <espalier/bridge/types.hpp>
#include <espalier/bridge/weights.hpp>

#include <espalier/trace/constants.hpp>
#include <espalier/trace/fake_construction.hpp>
#include <espalier/trace/fake_engine.hpp>
#include <espalier/trace/fake_factory.hpp>
#include <espalier/trace/fake_tensor.hpp>
#include <espalier/trace/gradient_edge.hpp>
#include <espalier/trace/gradient_regions.hpp>
#include <espalier/trace/gradient_rules.hpp>
#include <espalier/trace/interceptor.hpp>
#include <espalier/trace/known_tensors.hpp>
#include <espalier/trace/memory_witness.hpp>
#include <espalier/trace/module_tree.hpp>
#include <espalier/trace/op_info.hpp>
#include <espalier/trace/place.hpp>
#include <espalier/trace/recorder.hpp>
#include <espalier/trace/report.hpp>
#include <espalier/trace/scope.hpp>
#include <espalier/trace/scope_inference.hpp>
#include <espalier/trace/substitution.hpp>
#include <espalier/trace/tensor_literal.hpp>
#include <espalier/trace/trace_result.hpp>
#include <espalier/trace/tracer.hpp>

#include <espalier/program/constant_fold.hpp>
#include <espalier/program/convert_tensors.hpp>
#include <espalier/program/exported_program.hpp>
#include <espalier/program/fold_conv_batch_norm.hpp>
#include <espalier/program/functionalized.hpp>
#include <espalier/program/higher_order.hpp>
#include <espalier/program/higher_order_call.hpp>
#include <espalier/program/input_check.hpp>
#include <espalier/program/interpreter.hpp>
#include <espalier/program/lift_attributes.hpp>
#include <espalier/program/module_weights.hpp>
#include <espalier/program/pickle.hpp>
#include <espalier/program/pipeline_unit.hpp>
#include <espalier/program/program_base.hpp>
#include <espalier/program/program_verify.hpp>
#include <espalier/program/reproducer_file.hpp>
#include <espalier/program/save_load.hpp>
#include <espalier/program/state_dict.hpp>
#include <espalier/program/tolerance.hpp>
#include <espalier/program/validate.hpp>

#include <espalier/exporting/export_program.hpp>
#include <espalier/exporting/inputs.hpp>
#include <espalier/exporting/job.hpp>
#include <espalier/exporting/stage/assign_names.hpp>
#include <espalier/exporting/stage/bind_inputs.hpp>
#include <espalier/exporting/stage/bind_state.hpp>
#include <espalier/exporting/stage/describe.hpp>
#include <espalier/exporting/stage/record.hpp>
#include <espalier/exporting/stage/verify.hpp>
