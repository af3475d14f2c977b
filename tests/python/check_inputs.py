#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Loads what tests/exporting/inputs.cpp exported, and calls it as Python calls its own programs: by keyword, with containers
and literals."""

import pathlib
import sys

import torch
from torch.export.graph_signature import InputKind, OutputKind

import programs


def random():
    return torch.rand(2, 3)


def mixed(x, sides, items, pair, *, w, bias, scale, negate, mode):
    y = x * sides["left"] - sides["Right side"]
    y = (y + items[0] + items[1]) * pair[0] + pair[1]
    y = y * w["mask"] * w["scale"] + w["extra"][0]
    y = (y if bias is None else y + bias) * scale
    return -y if negate else y


def check_mixed(program, with_bias):
    sides = {"Right side": random(), "left": random()}
    args = (random(), sides, [random(), random()], (random(), 3))
    kwargs = dict(w={"mask": random(), "scale": 0.5, "extra": [random()]}, bias=random() if with_bias else None,
                  scale=2.0, negate=True, mode="sum")
    wanted = mixed(*args, **kwargs)
    torch.testing.assert_close(program.module()(*args, **kwargs), wanted)
    shuffled = dict(reversed(list(kwargs.items())))
    torch.testing.assert_close(program.module()(*args, **shuffled), wanted)
    torch.testing.assert_close(program.run_decompositions().module()(*args, **kwargs), wanted)
    try:
        program.module()(*args, **{**kwargs, "mode": "mean"})
    except Exception as error:
        assert "mode" in str(error), error
    else:
        raise AssertionError("another literal than the exported one was accepted")


def check_changed_input(program):
    x, state = random(), [torch.ones(2, 3), torch.ones(2, 3)]
    out = program.module()(x, state)
    torch.testing.assert_close(state[0], 1 + x)
    torch.testing.assert_close(out, 2 * state[0])
    assert state[1].sum() == 3
    decomposed = program.run_decompositions().graph_signature.output_specs
    changed = [s.target for s in decomposed if s.kind == OutputKind.USER_INPUT_MUTATION]
    assert changed == ["state_0", "state_1"], changed


def check_non_persistent(program):
    kept = {s.target: s.persistent for s in program.graph_signature.input_specs if s.kind == InputKind.BUFFER}
    assert kept == {"kept": True, "steps": False}, kept
    assert list(program.state_dict) == ["kept"] and list(program.constants) == ["steps"]
    module = program.module()
    assert "steps" not in module.state_dict()
    x = torch.ones(2)
    first = module(x)
    torch.testing.assert_close(module(x), first + 1)


def main():
    folder = pathlib.Path(sys.argv[1])
    load = lambda name: programs.load(folder / f"{name}.pt2")  # noqa: E731
    check_mixed(load("mixed"), True)
    check_mixed(load("mixed_without_bias"), False)
    check_changed_input(load("changed_input"))
    check_non_persistent(load("non_persistent"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
