#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Runs, in Python, copies of exported programs that C++ read and wrote: on every recorded input set they give the recorded
outputs and leave the recorded state behind; tree specs, guards and example inputs are those of the original.
(check_roundtrip.py compares what the programs are; this compares what they do.)"""

import argparse
import pathlib
import sys

import torch
from torch.utils import _pytree as pytree

import programs


def input_sets(folder, model):
    """(inputs, outputs) recorded for this file: the base sizes, and for model_dyn.pt2 the further ones too."""
    if (folder / "inputs.pt").exists() and (folder / "outputs.pt").exists():
        yield folder / "inputs.pt", folder / "outputs.pt"
    if model.stem == "model_dyn":
        for inputs in sorted(folder.glob("inputs_dyn*.pt")):
            yield inputs, folder / inputs.name.replace("inputs", "outputs")


def require_same(what, ours, theirs, tolerance=0.0):
    if found := programs.difference(ours, theirs, tolerance):
        raise AssertionError(f"{what}: {found}")


def fails_alike(original, inputs, error):
    try:
        programs.call(programs.load(original), programs.load_values(inputs))
    except type(error) as same:
        return str(same) == str(error)
    return False


def check(original, copy):
    ours, theirs = programs.load(copy), programs.load(original)
    ours.graph.lint()
    ours.validate()
    require_same("in_spec", str(ours.call_spec.in_spec), str(theirs.call_spec.in_spec))
    require_same("out_spec", str(ours.call_spec.out_spec), str(theirs.call_spec.out_spec))
    require_same("guards", getattr(ours, "_guards_code", None), getattr(theirs, "_guards_code", None))
    require_same("verifiers", str(ours.verifiers), str(theirs.verifiers))
    require_same("example inputs", *(pytree.tree_leaves(p.example_inputs) for p in (ours, theirs)))

    runs = 0
    for inputs, outputs in input_sets(original.parent, original):
        fresh = programs.load(copy)  # a run may change buffers
        values = programs.load_values(inputs)
        try:
            results = programs.call(fresh, values)
        except NameError as error:  # Python 2.15's module() fails so on dynamic shapes of keyword inputs
            if "model_dyn" in original.stem and fails_alike(original, inputs, error):
                return f"equal, but Python cannot run the original either ({error})"
            raise
        require_same(inputs.name, results, programs.load_values(outputs), programs.TOLERANCE)
        if inputs.name == "inputs.pt":
            if (after := original.parent / "state_after.pt").exists():
                kept = {**fresh.constants, **fresh.state_dict}
                for name, tensor in torch.load(after).items():
                    require_same(f"{name} after a run", kept[name], tensor, programs.TOLERANCE)
            if (after := original.parent / "inputs_after.pt").exists():
                require_same("inputs after a run", values, programs.load_values(after), programs.TOLERANCE)
        runs += 1
    if runs == 0:
        raise AssertionError("no inputs.pt and outputs.pt beside the original")
    return f"{runs} input sets"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("originals", type=pathlib.Path, help="corpus folder with NAME/model*.pt2, NAME/inputs.pt, ...")
    parser.add_argument("copies", type=pathlib.Path, help="folder with the copies, NAME/model*.pt2")
    parser.add_argument("names", nargs="*", help="only these models")
    options = parser.parse_args()
    files = sorted(options.originals.glob("*/model*.pt2"))
    files = [f for f in files if not options.names or f.parent.name in options.names]
    failed = 0
    for original in files:
        name = f"{original.parent.name}/{original.name}"
        try:
            print(f"ok   {name}: {check(original, options.copies / name)}", flush=True)
        except Exception as error:  # whatever Python says of the copy is a finding
            failed += 1
            print(f"FAIL {name}: {type(error).__name__}: {error}", flush=True)
    if not files:
        print(f"FAIL no model*.pt2 under {options.originals}")
    return 1 if failed or not files else 0


if __name__ == "__main__":
    sys.exit(main())
