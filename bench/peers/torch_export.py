# SPDX-License-Identifier: BSL-1.0
"""torch.export.export on the twins of the models that bench/tracing.cpp traces: nanoseconds a model. bench/run.py
divides them by the operators of our graph, so that both are measured against the same work: Python counts a linear
layer as one operator, C++ calls two."""
import sys
from pathlib import Path

import torch

import measure
import transformer
from mlp import Mlp, example_inputs

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "python"))
from models import resnet18  # noqa: E402


def export(size, net, inputs, repetitions):
    net.eval()
    torch.export.export(net, inputs)  # once before: imports and caches
    ns = measure.median_ns(lambda: torch.export.export(net, inputs), repetitions=repetitions)
    measure.report(size[0], size[1], ns)


if __name__ == "__main__":
    args = measure.options(__doc__)
    torch.set_num_threads(1)
    export(("export_program_resnet18", ""), resnet18.make(), resnet18.example_inputs(), 5)
    for n in (64, 256) if args.quick else (64, 256, 1024):
        export(("export_program_mlp", n), Mlp(n), example_inputs(), 3 if n < 1024 else 1)
    for n in (1, 8) if args.quick else (1, 8, 64):
        export(("export_program_transformer", n), transformer.make(n), transformer.example_inputs(), 3 if n < 64 else 1)
