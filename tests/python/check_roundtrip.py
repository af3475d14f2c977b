#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Compares .pt2 files with copies that es-opt read and wrote: what torch.export.load makes of both must be the same.

usage: check_roundtrip.py ORIGINALS COPIES   (both hold NAME/model*.pt2)
Types that only the exporting process knew are stood in for by name, so that Python can load the originals at all.
"""

import argparse
import collections
import dataclasses
import json
import pathlib
import sys
import types
import zipfile

import torch
from torch.utils import _pytree as pytree

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "corpus"))
import operators  # noqa: E402, F401: registers the operators of the project's own corpus


def _made_up_class(name):
    if name.startswith("__"):  # inspect looks for __file__ and the like in every module
        raise AttributeError(name)
    return dataclasses.make_dataclass(name, [])


def stand_in_for_unknown_types(path):
    """Registers a stand-in for every serialised pytree type in the archive that this process does not know."""
    with zipfile.ZipFile(path) as z:
        name = next(n for n in z.namelist() if "/models/" in n and n.endswith(".json"))
        text = z.read(name).decode()
    found = set()

    def walk(spec):
        if isinstance(spec, dict):
            if spec.get("type"):
                found.add(spec["type"])
            for c in spec.get("children_spec", []):
                walk(c)

    def visit(o):
        if isinstance(o, dict):
            for k, v in o.items():
                if k in ("in_spec", "out_spec") and isinstance(v, str) and v:
                    walk(json.loads(v)[1])
                else:
                    visit(v)
        elif isinstance(o, list):
            for v in o:
                visit(v)

    visit(json.loads(text))
    for serialized in sorted(found):
        if serialized in pytree.SERIALIZED_TYPE_TO_PYTHON_TYPE:
            continue
        cls = type(serialized.rsplit(".", 1)[-1], (list,), {})
        pytree._private_register_pytree_node(
            cls, lambda x: (list(x), None), lambda values, context, c=cls: c(values), serialized_type_name=serialized,
            to_dumpable_context=lambda context: context, from_dumpable_context=lambda context: context)
    for module, name in (("hand", None),):  # classes that pickles of sample inputs name
        if module not in sys.modules:
            fake = types.ModuleType(module)
            fake.__getattr__ = _made_up_class
            sys.modules[module] = fake


def tensors_equal(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and a.stride() == b.stride() and torch.equal(torch.nan_to_num(a), torch.nan_to_num(b))


def val(node):
    v = node.meta.get("val")
    one = lambda x: (x.dtype, tuple(str(s) for s in x.shape), tuple(str(s) for s in x.stride()), x.requires_grad) if isinstance(x, torch.Tensor) else str(x)
    return tuple(one(x) for x in v) if isinstance(v, (list, tuple)) else one(v)


def graphs(module):
    yield module.graph
    for child in module.children():
        if isinstance(child, torch.fx.GraphModule):
            yield from graphs(child)


def loose_records(path):
    """The records that belong to no model: the user's extra files, and what nobody knows."""
    known = ("models/", "data/weights/", "data/constants/", "data/sample_inputs/", ".data/", "archive_", "byteorder")
    with zipfile.ZipFile(path) as z:
        return {name.partition("/")[2]: z.read(name) for name in z.namelist() if not name.partition("/")[2].startswith(known)}


def compare(original, copy):
    a, b = torch.export.load(original), torch.export.load(copy)
    problems = []

    def same(what, x, y):
        if x != y:
            problems.append(f"{what} differ:\n       {str(x)[:300]}\n       {str(y)[:300]}")

    for i, (g, h) in enumerate(zip(graphs(a.graph_module), graphs(b.graph_module), strict=True)):
        same(f"graph {i}", str(g), str(h))
        same(f"names of graph {i}", [n.name for n in g.nodes], [n.name for n in h.nodes])
        same(f"values of graph {i}", [val(n) for n in g.nodes], [val(n) for n in h.nodes])
        keys = ("stack_trace", "nn_module_stack", "torch_fn")
        same(f"metadata of graph {i}", [[str(n.meta.get(k)) for k in keys] for n in g.nodes], [[str(n.meta.get(k)) for k in keys] for n in h.nodes])
    same("records of others", loose_records(original), loose_records(copy))
    same("signatures", str(a.graph_signature), str(b.graph_signature))
    same("range constraints", str(a.range_constraints), str(b.range_constraints))
    same("module call graphs", str(a.module_call_graph), str(b.module_call_graph))
    same("verifiers", a.verifiers, b.verifiers)
    for what, x, y in (("state", a.state_dict, b.state_dict), ("constants", a.constants, b.constants)):
        same(f"names of the {what}", list(x), list(y))
        for name in x:
            if isinstance(x[name], torch.Tensor) and not tensors_equal(x[name], y[name]):
                problems.append(f"{what} '{name}' differ")
            if type(x[name]) is not type(y[name]):
                problems.append(f"{what} '{name}' have different types")
    ties = lambda s: sorted(tuple(sorted(v)) for v in _groups(s).values())
    same("ties", ties(a.state_dict), ties(b.state_dict))
    return problems


def _groups(state):
    groups = collections.defaultdict(list)
    for name, t in state.items():
        groups[t.untyped_storage().data_ptr() if t.numel() else name].append(name)
    return groups


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("originals", type=pathlib.Path)
    parser.add_argument("copies", type=pathlib.Path)
    args = parser.parse_args()
    failed = checked = 0
    for original in sorted(args.originals.glob("*/model*.pt2")):
        copy = args.copies / original.parent.name / original.name
        stand_in_for_unknown_types(original)
        try:
            problems = compare(original, copy) if copy.exists() else ["there is no copy"]
        except Exception as e:  # whatever Python's loader says of the copy is a finding
            problems = [f"{type(e).__name__}: {str(e)[:500]}"]
        checked += 1
        failed += bool(problems)
        print(f"{'FAIL' if problems else 'ok  '} {original.parent.name}/{original.name}" + "".join(f"\n     {p}" for p in problems), flush=True)
    if not checked:
        print(f"FAIL no model*.pt2 under {args.originals}")
    return 1 if failed or not checked else 0


if __name__ == "__main__":
    sys.exit(main())
