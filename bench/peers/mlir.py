# SPDX-License-Identifier: BSL-1.0
"""mlir-opt of MLIR 19 on the graphs of bench_passes: nanoseconds a node, by its own -mlir-timing, one thread, verifier
off. That is a clock on the wall: it is multiplied by the share of time that the process had a processor. Small graphs
stand several times in one module, a function each, because that clock shows tenths of milliseconds. Nothing is reported
where the tool is not installed."""
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

import dag
import measure

TOOL = shutil.which("mlir-opt-19") or shutil.which("mlir-opt")
TYPE = "tensor<2x3xf32>"
OPS = {"add": "arith.addf", "sub": "arith.subf", "mul": "arith.mulf", "maximum": "arith.maximumf",
       "minimum": "arith.minimumf", "neg": "arith.negf", "abs": "math.absf", "exp": "math.exp", "tanh": "math.tanh"}


def function(d, name):
    def value(v):
        return f"%x{v}" if v < d.inputs else f"%{v}"

    yield f"func.func @{name}(" + ", ".join(f"%x{i}: {TYPE}" for i in range(d.inputs)) + ") -> (" + \
        ", ".join(TYPE for _ in d.outputs) + ") {"
    for i, (op, operands) in enumerate(d.nodes):
        call = f"arith.constant dense<1.0> : {TYPE}" if op == "one" else \
            f"{OPS[op]} " + ", ".join(map(value, operands)) + f" : {TYPE}"
        yield f'  %{d.inputs + i} = {call} loc("model.py":{i % dag.LINES + 1}:0)'
    yield "  return " + ", ".join(map(value, d.outputs)) + " : " + ", ".join(TYPE for _ in d.outputs)
    yield "}"


def seconds(file, flag, name):
    before, began = os.times(), time.monotonic()
    done = subprocess.run([TOOL, str(file), flag, "-mlir-timing", "-mlir-timing-display=list", "-mlir-disable-threading",
                           "-verify-each=false", "-o", "/dev/null"], capture_output=True, text=True, check=True)
    wall, after = time.monotonic() - began, os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return float(re.search(rf"^\s*([\d.]+) +\( *[\d.]+%\)  {name}$", done.stderr, re.M)[1]) * min(1.0, cpu / wall)


def calls_left(file, flag):
    text = subprocess.run([TOOL, str(file), flag], capture_output=True, text=True, check=True).stdout
    return len(re.findall(r"^ +%\S+ = (?!arith\.constant)", text, re.M))


if __name__ == "__main__":
    args = measure.options(__doc__)
    if not TOOL:
        print("mlir-opt-19 is not installed (Debian: mlir-19-tools)", file=sys.stderr)
        sys.exit(0)
    sizes = (1_000, 10_000) if args.quick else (1_000, 10_000, 100_000)
    rows = {"random": ("cse", "canonicalize"), "chain": ("cse", "canonicalize"), "users": ("cse", "canonicalize"),
            "inputs": ("cse", "canonicalize"), "duplicates": ("cse",), "identical": ("cse",), "deep": ("canonicalize",),
            "edits": ("canonicalize",), "transformer": ("cse", "canonicalize")}
    for graph, passes in rows.items():
        for n in sizes:
            d = dag.read(args.folder, graph, n)
            times = max(1, 100_000 // n)
            file = Path(args.folder) / "module.mlir"
            file.write_text("\n".join(line for i in range(times) for line in function(d, f"f{i}")))
            for name in passes:
                flag = f"-pass-pipeline=builtin.module(func.func({name}))"
                spent = [seconds(file, flag, {"cse": "CSE", "canonicalize": "Canonicalizer"}[name])
                         for _ in range(1 if args.quick else 3)]
                ns, left = statistics.median(spent) * 1e9 / (d.size * times), calls_left(file, flag) // times
                measure.report(f"{name}_{graph}", n, ns, calls_left=left)
                if name == "cse":  # it erases dead operations as well
                    measure.report(f"cse_dce_{graph}", n, ns, calls_left=left)
