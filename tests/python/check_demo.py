#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Loads each program that the demo saved with torch.export, runs it on the saved inputs, whole, decomposed and unflattened into
modules, and compares with eager's outputs; what Python's exporter verifies of names, module stacks and stack traces holds.

usage: check_demo.py FOLDER   (NAME.pt2, NAME.inputs.pt, NAME.outputs.pt; exits 1 on the first kind of disagreement)
"""

import argparse
import pathlib
import sys

import torch
from torch._export.verifier import SpecViolationError
from torch.export._trace import _verify_nn_module_stack, _verify_placeholder_names, _verify_stack_trace


def check(path):
    problems = []
    inputs = torch.load(path.with_suffix(".inputs.pt"))
    expected = torch.load(path.with_suffix(".outputs.pt"))
    program = torch.export.load(path)
    program.graph.lint()
    program.validate()

    def same(what, function):
        leaves = torch.utils._pytree.tree_leaves(function(*inputs))
        if len(leaves) != len(expected):
            problems.append(f"{what}: {len(leaves)} outputs, {len(expected)} expected")
            return
        for i, (a, b) in enumerate(zip(leaves, expected)):
            gap = (a - b).abs().max().item() if a.shape == b.shape else float("inf")
            if not gap < 1e-5:
                problems.append(f"{what}: output {i} differs by {gap}")

    same("loaded", program.module())
    args, kwargs = program.example_inputs
    if kwargs or len(args) != len(inputs) or not all(torch.equal(a, b) for a, b in zip(args, inputs)):
        problems.append("the archive's sample inputs are not the inputs")
    same("decomposed", program.run_decompositions().module())

    try:  # what Python asks of its own exports
        _verify_nn_module_stack(program.graph_module)
        _verify_stack_trace(program.graph_module)
        _verify_placeholder_names(program.graph_module, program.graph_signature)
    except SpecViolationError as error:
        problems.append(str(error))
    modules = torch.export.unflatten(program)
    same("unflattened", modules)
    names = {e.fqn for e in program.module_call_graph}
    if missing := names - {name for name, _ in modules.named_modules(remove_duplicate=False)}:
        problems.append(f"unflatten leaves out the modules {sorted(missing)}")
    return program, problems


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    folder = parser.parse_args().folder
    paths = sorted(folder.glob("*.pt2"))
    failed = not paths
    for path in paths:
        program, problems = check(path)
        print(f"{'FAIL' if problems else 'ok  '} {path.stem}: {len(program.graph.nodes)} nodes in Python" + "".join(f"\n     {p}" for p in problems))
        failed = failed or bool(problems)
    if not paths:
        print(f"FAIL no .pt2 under {folder}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
