#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Loads each program that the demo saved with torch.export, runs it on the saved inputs and compares with eager's outputs.

usage: check_demo.py FOLDER   (NAME.pt2, NAME.inputs.pt, NAME.outputs.pt; exits 1 on the first kind of disagreement)
"""

import argparse
import pathlib
import sys

import torch


def check(path):
    problems = []
    inputs = torch.load(path.with_suffix(".inputs.pt"))
    expected = torch.load(path.with_suffix(".outputs.pt"))
    program = torch.export.load(path)
    program.graph.lint()
    program.validate()

    def same(what, p):
        leaves = torch.utils._pytree.tree_leaves(p.module()(*inputs))
        if len(leaves) != len(expected):
            problems.append(f"{what}: {len(leaves)} outputs, {len(expected)} expected")
            return
        for i, (a, b) in enumerate(zip(leaves, expected)):
            gap = (a - b).abs().max().item() if a.shape == b.shape else float("inf")
            if not gap < 1e-5:
                problems.append(f"{what}: output {i} differs by {gap}")

    same("loaded", program)
    args, kwargs = program.example_inputs
    if kwargs or len(args) != len(inputs) or not all(torch.equal(a, b) for a, b in zip(args, inputs)):
        problems.append("the archive's sample inputs are not the inputs")
    same("decomposed", program.run_decompositions())

    module = program.module()
    parameters = [p for p in module.parameters() if p.requires_grad]
    loss = sum(o.float().square().sum() for o in torch.utils._pytree.tree_leaves(module(*inputs)))
    grads = torch.autograd.grad(loss, parameters, allow_unused=True)
    if not any(g is not None and g.abs().sum() > 0 for g in grads):
        problems.append("no gradient reaches any parameter")
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
