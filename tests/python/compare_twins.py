#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Exports the Python twins of the example models and compares with them what C++ exported and raised: placeholders (names,
kinds, targets), signature, the operators in order, and the modules that each of them ran in. With C++'s weights the twin's eager outputs and gradients are
those of the loaded program.

Left out on both sides: `getitem`, for a C++ list is no operator, and `_assert_tensor_metadata`, by which Python states what
it believed of the argument of each cast.

`torch::nn` has no hooks, so C++ infers modules from the state that operators read. An operator that reads none and stands
before the first of its module that does cannot be told from the last ones of the module before, and is placed there; such
operators are counted in the output. All other paths must agree."""

import argparse
import importlib
import inspect
import itertools
import pathlib
import sys

import torch
from torch.utils import _pytree as pytree

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


def modules(program):
    """(operator, [(key, path)...], [(of the library?, class name)...]) of each operator: its `nn_module_stack`."""
    found = []
    for node in program.graph.nodes:
        if node.op == "call_function" and str(node.target) not in IGNORED:
            stack = node.meta["nn_module_stack"]
            paths = [(key, entry[0]) for key, entry in stack.items()]
            found.append((str(node.target), paths, [class_name(entry[1]) for entry in stack.values()]))
    return found


def class_name(kind):
    """Whether it is torch.nn's, and `Linear`: of the class itself, of its name in Python, and of `torch::nn::LinearImpl`."""
    name = kind if isinstance(kind, str) else f"{kind.__module__}.{kind.__qualname__}"
    library = name.startswith(("torch.nn.", "torch::nn::"))
    return library, name.replace("::", ".").split(".")[-1].removesuffix("Impl")


def module_difference(ours, theirs):
    """What differs, or nothing; and how many operators C++ placed in the module before their own."""
    before = 0
    for i, ((operator, ours_in, ours_types), (_, theirs_in, theirs_types)) in enumerate(zip(ours, theirs, strict=True)):
        if ours_in != theirs_in:
            enters = i > 0 and theirs_in[-1] not in theirs[i - 1][1]
            if enters and ours_in == ours[i - 1][1][: len(ours_in)]:
                before += 1
                continue
            found = f"modules of operator {i} ({operator}) differ:\n       C++    {ours_in}\n       Python {theirs_in}"
            return found, before
        for (_, path), (ours_library, a), (theirs_library, b) in zip(ours_in, ours_types, theirs_types, strict=True):
            # the twins' own classes drop the family's name: `BertAttention` is `bert.Attention`
            if ours_library != theirs_library or not (a == b or not ours_library and a.endswith(b)):
                return f"the module '{path}' of operator {i} ({operator}) is a {a} in C++ and a {b} in Python", before
    return None, before


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
    found, before = module_difference(modules(ours), modules(theirs))
    if found:
        raise AssertionError(found)
    # The same weights and inputs give the same values in both.
    twin = importlib.import_module(f"models.{name}").make(**options).eval()
    twin.load_state_dict(ours.state_dict)
    values = programs.load_values(f"{path.with_suffix('')}.inputs.pt")
    results = twin(*values)
    results = list(results) if isinstance(results, tuple) else [results]
    module = ours.module()
    if gap := programs.difference(pytree.tree_leaves(module(*values)), results):
        raise AssertionError(f"the twin with these weights: {gap}")
    theirs_by_name = dict(twin.named_parameters())
    ours_by_name = {name: p for name, p in module.named_parameters() if p.requires_grad}
    if set(ours_by_name) != set(theirs_by_name):
        raise AssertionError(f"parameters to train: {sorted(ours_by_name)} in C++, {sorted(theirs_by_name)} in Python")
    loss_of(module, values).backward()
    loss_of(twin, values).backward()
    for name, theirs_p in theirs_by_name.items():
        scale = theirs_p.grad.abs().max()  # of a gradient of its own size
        if not scale > 0 or not torch.allclose(ours_by_name[name].grad / scale, theirs_p.grad / scale, rtol=0, atol=programs.TOLERANCE):
            raise AssertionError(f"the gradient of {name} is not eager's")
    placed = f" ({before} placed in the module before)" if before else ""
    return (
        f"{len(inputs(ours))} inputs, {len(operators(ours))} operators in their modules{placed}, "
        f"{len(outputs(ours))} outputs, values, {len(ours_by_name)} gradients"
    )


def loss_of(net, values):
    return sum(o.square().mean() for o in pytree.tree_leaves(net(*values)))


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
