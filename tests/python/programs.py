# SPDX-License-Identifier: BSL-1.0
"""What the checks share: load exported programs, also those whose containers are of types nobody registered here; call them
on flat lists of values, as inputs.pt and outputs.pt hold them; compare values."""

import json
import logging
import pathlib
import sys
import types
import warnings
import zipfile

import torch
from torch.utils import _pytree as pytree

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "corpus"))
import operators  # noqa: E402, F401: registers the operators of the project's own corpus

warnings.filterwarnings("ignore")
logging.getLogger("torch._export.serde.serialize").setLevel(logging.ERROR)

TOLERANCE = 1e-5


class StandIn:
    """An object of a container type that this process does not know: its children, and the context that its file states."""

    def __init__(self, children, context):
        self.children, self.context = children, context


def _flatten(thing):
    if "children" in vars(thing):
        return thing.children, thing.context
    fields = vars(thing)  # unpickled: a dataclass, whose fields that are None are no children
    present = [name for name, value in fields.items() if value is not None]
    absent = [name for name, value in fields.items() if value is None]
    return [fields[name] for name in present], [present, absent]


def _stand_in(name):
    """Registers a type for the serialized type name `name`, importable under that name as far as it has a module."""
    path, _, short = name.rpartition(".")
    made = type(short, (StandIn,), {"__module__": path})
    pytree.register_pytree_node(
        made,
        _flatten,
        lambda children, context: made(list(children), context),
        serialized_type_name=name,
        flatten_with_keys_fn=lambda thing: (
            [(pytree.SequenceKey(i), child) for i, child in enumerate(_flatten(thing)[0])],
            _flatten(thing)[1],
        ),
        to_dumpable_context=lambda context: context,
        from_dumpable_context=lambda context: context,
    )
    return made


_stand_ins = {}  # by serialized type name


def _spec_types(spec, found):
    if isinstance(spec, dict):
        if spec.get("type"):
            found.add(spec["type"])
        for child in spec.get("children_spec", []):
            _spec_types(child, found)


def register_stand_ins(path):
    """Makes a stand-in for each container type that the archive's tree specs name and pytree does not know."""
    found = set()
    with zipfile.ZipFile(path) as archive:
        for record in archive.namelist():
            if "/models/" not in record or not record.endswith(".json"):
                continue
            for entry in json.loads(archive.read(record))["graph_module"]["module_call_graph"]:
                signature = entry["signature"] or {}
                for key in ("in_spec", "out_spec"):
                    if signature.get(key):
                        _spec_types(json.loads(signature[key])[1], found)
    known = set(pytree.SERIALIZED_TYPE_TO_PYTHON_TYPE)
    for name in sorted(found - known):
        _stand_ins[name] = _stand_in(name)


class _Missing(types.ModuleType):
    """Stands for a module that a pickle names and nobody has: its attributes are the stand-ins of those names."""

    def __getattr__(self, name):
        for full, made in _stand_ins.items():
            if full.rpartition(".")[2] == name:
                return made
        raise AttributeError(name)


def load(path):
    """torch.export.load, with stand-ins for what is unknown here."""
    register_stand_ins(path)
    for _ in range(8):
        try:
            return torch.export.load(str(path))
        except ModuleNotFoundError as error:
            if error.name in sys.modules:
                raise
            sys.modules[error.name] = _Missing(error.name)
    raise RuntimeError(f"{path}: needs too many unknown modules")


def load_values(path):
    return list(torch.load(path, weights_only=False))


def _is_constant(spec):
    return type(spec.arg).__name__ == "ConstantArgument"


def call(program, values):
    """Calls the program on the flat list `values` of its user inputs that are not constants; returns such a list."""
    rest = iter(values)
    leaves = []
    for spec in program.graph_signature.input_specs:
        if spec.kind.name == "USER_INPUT":
            leaves.append(spec.arg.value if _is_constant(spec) else next(rest))
    if (extra := len(list(rest))) != 0:
        raise RuntimeError(f"{extra} input values too many")
    args, kwargs = pytree.tree_unflatten(leaves, program.call_spec.in_spec)
    results = pytree.tree_leaves(program.module()(*args, **kwargs), is_leaf=lambda x: x is None)
    specs = [s for s in program.graph_signature.output_specs if s.kind.name == "USER_OUTPUT"]
    if len(results) != len(specs):
        raise RuntimeError(f"{len(results)} results, {len(specs)} user outputs in the signature")
    return [result for result, spec in zip(results, specs) if not _is_constant(spec)]


def difference(ours, theirs, tolerance=TOLERANCE):
    """The first difference of two (nested) values as a sentence, or None."""
    if isinstance(ours, torch.Tensor) and isinstance(theirs, torch.Tensor):
        if (ours.dtype, ours.shape) != (theirs.dtype, theirs.shape):
            return f"{ours.dtype}{list(ours.shape)} against {theirs.dtype}{list(theirs.shape)}"
        ours, theirs = ours.detach(), theirs.detach()
        if torch.allclose(ours, theirs, rtol=tolerance, atol=tolerance, equal_nan=True):
            return None
        gap = (ours.to(torch.complex128) - theirs.to(torch.complex128)).abs().max().item()
        return f"values differ by up to {gap:.3g}"
    if isinstance(ours, (list, tuple)) and isinstance(theirs, (list, tuple)):
        if len(ours) != len(theirs):
            return f"{len(ours)} values against {len(theirs)}"
        for i, (a, b) in enumerate(zip(ours, theirs)):
            if found := difference(a, b, tolerance):
                return f"[{i}]: {found}"
        return None
    if isinstance(ours, float) and isinstance(theirs, float):
        return None if abs(ours - theirs) <= tolerance * max(1.0, abs(theirs)) else f"{ours} against {theirs}"
    return None if type(ours) is type(theirs) and ours == theirs else f"{ours!r} against {theirs!r}"
