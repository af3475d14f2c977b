#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Exports the Python twins of the example models and compares with them what C++ exported and raised: placeholders (names,
kinds, targets), signature, and the operators in order.

Left out on both sides: `getitem`, for a C++ list is no operator, and `_assert_tensor_metadata`, by which Python states what
it believed of the argument of each cast."""

import argparse
import importlib
import inspect
import itertools
import pathlib
import sys

import torch

import models
import programs

IGNORED = {"<built-in function getitem>", "aten._assert_tensor_metadata.default"}


def export_twin(name, options):
    twin = importlib.import_module(f"models.{name}")
    net = twin.make(**options).eval()
    return torch.export.export(net, twin.example_inputs(**options)), list(inspect.signature(net.forward).parameters)


def operators(program):
    return [
        (str(node.target), node.format_node())
        for node in program.graph.nodes
        if node.op == "call_function" and str(node.target) not in IGNORED
    ]


def inputs(program):
    """(name, kind, target, persistent, shape) of each placeholder."""
    values = {node.name: node.meta["val"] for node in program.graph.nodes if node.op == "placeholder"}
    return [
        (
            spec.arg.name,
            spec.kind.name,
            spec.target,
            spec.persistent,
            f"{values[spec.arg.name].dtype}{list(values[spec.arg.name].shape)}",
        )
        for spec in program.graph_signature.input_specs
    ]


def outputs(program):
    """(kind, target, the operator that made it) of each output: names of nodes may differ, what they stand for may not."""
    nodes = {node.name: node for node in program.graph.nodes}
    return [
        (spec.kind.name, spec.target, type(spec.arg).__name__, str(nodes[spec.arg.name].target))
        for spec in program.graph_signature.output_specs
    ]


def first_difference(what, ours, theirs, show=str):
    for i, (a, b) in enumerate(itertools.zip_longest(ours, theirs)):
        if (a[0] if what == "operator" and a else a) != (b[0] if what == "operator" and b else b):
            lines = [f"{what} {i} of {len(ours)} (C++) and {len(theirs)} (Python) differs:"]
            for j in range(max(0, i - 2), i):
                lines.append(f"       both   {show(ours[j])}")
            lines += [f"       C++    {show(a) if a else '(none)'}", f"       Python {show(b) if b else '(none)'}"]
            return "\n".join(lines)
    return None


def compare(name, path, options):
    ours = programs.load(path)
    theirs, arguments = export_twin(name, options)
    show_operator = lambda operator: operator[1].replace("[num_users=", "[users ")  # noqa: E731
    found = (
        first_difference("input", inputs(ours), inputs(theirs))
        or first_difference("operator", operators(ours), operators(theirs), show_operator)
        or first_difference("output", outputs(ours), outputs(theirs))
        or first_difference("argument", user_names(ours), arguments)
        or first_difference("tree spec", [str(ours.call_spec.in_spec)], [str(theirs.call_spec.in_spec)])
        or first_difference("tree spec", [str(ours.call_spec.out_spec)], [str(theirs.call_spec.out_spec)])
        or first_difference("parameter", list(ours.state_dict), list(theirs.state_dict))
    )
    if found:
        raise AssertionError(found)
    # The same weights and inputs give the same values in both.
    twin = importlib.import_module(f"models.{name}").make(**options).eval()
    twin.load_state_dict(ours.state_dict)
    values = programs.load_values(f"{path.with_suffix('')}.inputs.pt")
    results = twin(*values)
    results = list(results) if isinstance(results, tuple) else [results]
    if gap := programs.difference(programs.call(ours, values), results):
        raise AssertionError(f"the twin with these weights: {gap}")
    return f"{len(inputs(ours))} inputs, {len(operators(ours))} operators, {len(outputs(ours))} outputs, values"


def user_names(program):
    return [spec.arg.name for spec in program.graph_signature.input_specs if spec.kind.name == "USER_INPUT"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path, help="where the demo left NAME.pt2 and NAME.inputs.pt")
    parser.add_argument("names", nargs="*", help="only these models (default: all of them)")
    parser.add_argument("--full", action="store_true", help="the demo ran with the full-size options")
    options = parser.parse_args()
    failed = 0
    for name in options.names or models.NAMES:
        size = importlib.import_module(f"models.{name}").FULL if options.full else {}
        try:
            print(f"ok   {name}: {compare(name, options.folder / f'{name}.pt2', size)}", flush=True)
        except Exception as error:
            failed += 1
            print(f"FAIL {name}: {type(error).__name__}: {error}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
