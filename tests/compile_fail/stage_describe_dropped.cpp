// expect: espalier: export_by\(stages, model, inputs\) requires stages that make a signature; put es::stage::describe behind
// SPDX-License-Identifier: BSL-1.0
// floor: torch
#include <espalier/exporting/export_program.hpp>
#include <espalier/pipeline/edit.hpp>

namespace es = espalier;

void exported(at::Tensor (&model)(at::Tensor), const at::Tensor& x) {
#ifdef ESPALIER_CURE
  es::export_by(es::drop_stage<es::stage::verify>(es::training_exporter), model, es::inputs(x));
#else
  es::export_by(es::drop_stage<es::stage::describe>(es::training_exporter), model, es::inputs(x));
#endif
}
