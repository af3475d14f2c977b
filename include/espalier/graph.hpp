// SPDX-License-Identifier: BSL-1.0
// The ground floor: everything that needs no LibTorch and nothing to link.
// Written by tools/umbrella.py from the layer folders. Do not edit.
#pragma once

#include <espalier/support/config.hpp>
#include <espalier/support/error.hpp>
#include <espalier/support/fixed_string.hpp>
#include <espalier/support/id.hpp>
#include <espalier/support/inline_vector.hpp>
#include <espalier/support/side_table.hpp>

#include <espalier/schema/aten.hpp>
#include <espalier/schema/aten_table.hpp>
#include <espalier/schema/builtin.hpp>
#include <espalier/schema/default_value.hpp>
#include <espalier/schema/op_id.hpp>
#include <espalier/schema/op_traits.hpp>
#include <espalier/schema/parse.hpp>
#include <espalier/schema/registry.hpp>
#include <espalier/schema/schema.hpp>

#include <espalier/symbolic/expr.hpp>
#include <espalier/symbolic/expr_text.hpp>
#include <espalier/symbolic/sym_int.hpp>

#include <espalier/meta/promotion.hpp>
#include <espalier/meta/rule_args.hpp>
#include <espalier/meta/rules/convolution.hpp>
#include <espalier/meta/rules/factories.hpp>
#include <espalier/meta/rules/indexing.hpp>
#include <espalier/meta/rules/layers.hpp>
#include <espalier/meta/rules/matmul.hpp>
#include <espalier/meta/rules/pointwise.hpp>
#include <espalier/meta/rules/reduction.hpp>
#include <espalier/meta/rules/views.hpp>
#include <espalier/meta/rules.hpp>
#include <espalier/meta/strides.hpp>
#include <espalier/meta/tensor_meta.hpp>
#include <espalier/meta/types.hpp>

#include <espalier/ir/argument.hpp>
#include <espalier/ir/build_check.hpp>
#include <espalier/ir/clone.hpp>
#include <espalier/ir/diagnostic.hpp>
#include <espalier/ir/dialect.hpp>
#include <espalier/ir/dot.hpp>
#include <espalier/ir/format.hpp>
#include <espalier/ir/graph.hpp>
#include <espalier/ir/hash.hpp>
#include <espalier/ir/metadata.hpp>
#include <espalier/ir/naming.hpp>
#include <espalier/ir/print.hpp>
#include <espalier/ir/storage.hpp>
#include <espalier/ir/strings.hpp>
#include <espalier/ir/text.hpp>
#include <espalier/ir/text_parser.hpp>
#include <espalier/ir/text_reader.hpp>
#include <espalier/ir/verify.hpp>
#include <espalier/ir/verify_arguments.hpp>
#include <espalier/ir/view.hpp>

#include <espalier/signature/refresh.hpp>
#include <espalier/signature/signature.hpp>
#include <espalier/signature/tree_spec.hpp>
#include <espalier/signature/verify.hpp>

#include <espalier/passes/aliases.hpp>
#include <espalier/passes/cse.hpp>
#include <espalier/passes/dce.hpp>
#include <espalier/passes/effects.hpp>
#include <espalier/pipeline/pass_result.hpp>
#include <espalier/passes/raise.hpp>

#include <espalier/archive/crc32.hpp>
#include <espalier/archive/file.hpp>
#include <espalier/archive/from_archive.hpp>
#include <espalier/archive/inspect.hpp>
#include <espalier/archive/json.hpp>
#include <espalier/archive/json_reader.hpp>
#include <espalier/archive/json_writer.hpp>
#include <espalier/archive/loaded_program.hpp>
#include <espalier/archive/payload.hpp>
#include <espalier/archive/pt2_archive.hpp>
#include <espalier/archive/reflect.hpp>
#include <espalier/archive/schema.hpp>
#include <espalier/archive/schema_json.hpp>
#include <espalier/archive/to_archive.hpp>
#include <espalier/archive/tree_spec_json.hpp>
#include <espalier/archive/zip.hpp>
