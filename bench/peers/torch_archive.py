# SPDX-License-Identifier: BSL-1.0
"""torch.export.save and load of the files that bench_archive wrote: from memory to memory, nanoseconds a node, and, of
one large weight, to and from a file, nanoseconds a program."""
import io
from pathlib import Path

import torch

import measure

if __name__ == "__main__":
    args = measure.options(__doc__)
    torch.set_num_threads(1)
    files = sorted(Path(args.folder).glob("mlp_*.pt2"), key=lambda f: f.stat().st_size)
    for file in files[:-1] if args.quick else files:
        size, data = file.stem.split("_")[1], file.read_bytes()
        program = torch.export.load(io.BytesIO(data))
        nodes = len(program.graph.nodes)
        ns = measure.median_ns(lambda: torch.export.load(io.BytesIO(data)), repetitions=3)
        measure.report("load_mlp", size, ns / nodes)
        ns = measure.median_ns(lambda: torch.export.save(program, io.BytesIO()), repetitions=3)
        measure.report("save_mlp", size, ns / nodes)
    for file in Path(args.folder).glob("weight_*.pt2"):
        size, copy = file.stem.split("_")[1], file.with_name("copy.pt2")
        program = torch.export.load(file)
        measure.report("load_weight", size, measure.median_ns(lambda: torch.export.load(file), repetitions=3))
        measure.report("save_weight", size, measure.median_ns(lambda: torch.export.save(program, copy), repetitions=3))
