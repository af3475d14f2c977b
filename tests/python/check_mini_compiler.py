#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Drives examples/mini_compiler: on its own model, on programs that Python exports here (each says how many regions are to be
fused), on a corpus, and with what it has to refuse. It compares both programs itself and says so by its status; here
Python also runs what it saved. Nothing is timed.

usage: check_mini_compiler.py MINI_COMPILER [CORPUS]...   (CORPUS: folders as tests/corpus/make_corpus.py fills them)"""

import argparse
import math
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import torch
import torch.nn.functional as F
from torch.export import Dim

import programs  # noqa: F401: quietens the exporter, registers the operators of the corpus

SPECIAL = torch.tensor([0.0, -0.0, 1e-30, -1e-30, 0.3, -0.3, 1.0, -1.0, 3.0, -3.0, 9.5, -9.5, 88.0, -88.0, 100.0, -100.0,
                        math.inf, -math.inf, math.nan])
r = torch.randn


def chain(x, y):
    return torch.relu(x * 2 + y) / (y * y + 1)


def broadcast(x, row, column, number):
    return torch.tanh(x * row + column) * number - row


def activations(x):
    return F.silu(x), torch.sigmoid(x) * 2, torch.tanh(x) * 2, torch.erf(x) * 2


def gelus(x):
    return F.gelu(x), F.gelu(x, approximate="tanh")


def powers(x):
    return x**2 + x**3 + 1, (x.abs() ** 0.5).reciprocal(), torch.exp(x) * 0.5, torch.expm1(x) * 0.5, torch.rsqrt(x) + 1


def bounds(x):
    y = x.clamp(-1, 2) + x.clamp(min=0.5) + x.clamp(max=0.25)
    return torch.maximum(y, x), torch.minimum(x, y), torch.floor(x) + torch.ceil(x), (1 - x) * 2


def masks(x, y, hole):
    positive = (x > 0) & hole
    mixed = torch.where(torch.logical_and(x > y, torch.logical_not(hole)), x, -y)
    return mixed.masked_fill(hole, -math.inf), torch.where(positive, 1.5 * mixed, y), (x * y) <= mixed


def mutation(x, y):
    a = -(x * 2)
    x.add_(1)
    b = (a + x) * y
    y.view(-1)[0] = 7.0
    return a, (b - y) * 2


def viewed(x):
    y = x * 2 + 1
    z = y.view(-1)
    return z * 3 - 1, y


def through_matmul(x, w):
    y = torch.relu(x) * 2
    return torch.sigmoid(x @ w) * y + x


def random(x):
    y = -(x * 2)
    z = F.dropout(y, 0.5, True)
    return (y + z) * F.dropout(x, 0.5, True)


def integers(i):
    return (i * 2 + 1) * i


def half(x):
    return torch.relu(x * 2 + 1)


def branches(x, y):
    def yes(a, b):
        return torch.cond(b.mean() > a.mean(), lambda c: torch.relu(c * 2) + 1, lambda c: c.softmax(0) * 0.5, (a - b,))

    def no(a, b):
        return torch.tanh(a * b) @ b.t() @ torch.sigmoid(a + b)

    return torch.cond(x.sum() > 0, yes, no, (x * 2 - y, y)) * 3 - 1


def without_gradient(x, y):
    with torch.no_grad():
        z = x * 2 + y
    return torch.relu(z) - y


# name: (function, inputs, regions fused, dynamic shapes)
CASES = {
    "chain": (chain, (r(3, 5), r(3, 5)), 1, None),
    "long rows": (chain, (r(7, 40001), r(7, 40001)), 1, None),
    "doubles": (chain, (r(3, 5).double(), r(3, 5).double()), 1, None),
    "dynamic": (chain, (r(3, 5), r(3, 5)), 1, ({0: Dim("batch")}, {0: Dim("batch")})),
    "empty": (chain, (r(0, 5), r(0, 5)), 1, None),
    "numbers": (chain, (r(()), r(())), 1, None),
    "broadcast": (broadcast, (r(4, 3, 5), r(5), r(3, 1), r(())), 1, None),
    "one column": (broadcast, (r(4, 3, 1), r(1), r(3, 1), r(1)), 1, None),
    "strided": (chain, (r(6, 10)[:, ::2], r(6, 1).expand(6, 5)), 1, None),
    "reversed strides": (broadcast, (r(3, 4, 5), r(5, 4).t(), r(3, 1, 1), r(5)), 1, None),
    "activations": (activations, (r(64),), 3, None),
    "activations of special values": (activations, (SPECIAL,), 3, None),
    "activations of doubles": (activations, (SPECIAL.double(),), 3, None),
    "gelus": (gelus, (r(64),), 1, None),
    "gelus of special values": (gelus, (SPECIAL[SPECIAL != math.inf],), 1, None),  # LibTorch's own gives NaN for infinity
    "powers": (powers, (r(64).abs() + 0.1,), 5, None),
    "powers of special values": (powers, (SPECIAL,), 5, None),
    "bounds": (bounds, (SPECIAL,), 3, None),
    "masks": (masks, (r(9, 3), r(9, 3), r(9, 3) > 0), 1, None),
    "mutation": (mutation, (r(2, 3), r(2, 3)), 3, None),
    "viewed": (viewed, (r(4, 4),), 2, None),
    "through a product": (through_matmul, (r(4, 4), r(4, 4)), 1, None),
    "random": (random, (r(8, 8),), 2, None),
    "branches": (branches, (r(4, 4).abs(), r(4, 4)), 5, None),
    "other branches": (branches, (-r(4, 4).abs() - 9, -r(4, 4).abs()), 5, None),
    "without gradient": (without_gradient, (r(3, 5), r(3, 5)), 1, None),
    "integers": (integers, (torch.arange(6),), 0, None),
    "bfloat16": (half, (r(4).bfloat16(),), 0, None),
}


class Function(torch.nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *args):
        return self.function(*args)


class Checks:
    def __init__(self, program, folder):
        self.program, self.folder = program, folder
        self.passed = self.failed = 0

    def run(self, *arguments, **environment):
        return subprocess.run([str(self.program), *map(str, arguments)], capture_output=True, text=True, cwd=self.folder,
                              env={**os.environ, **environment})

    def expect(self, what, condition, detail=""):
        self.passed += bool(condition)
        self.failed += not condition
        if not condition:
            print(f"FAIL {what}" + (f"\n     {detail}" if detail else ""), flush=True)

    def agrees(self, what, *arguments):
        """Runs without timing; gives the number of regions."""
        done = self.run(*arguments, "--repeat", 0)
        self.expect(f"{what}: status 0, and the results agree", done.returncode == 0 and "results      agree" in done.stdout,
                    done.stdout + done.stderr)
        found = re.search(r"(\d+) regions$", done.stdout, re.M)
        return int(found[1]) if found else 0

    def refused(self, what, *arguments, says, **environment):
        done = self.run(*arguments, **environment)
        line = done.stderr
        self.expect(f"{what}: a status that is not 0, and one message with a cure",
                    done.returncode == 1 and line.startswith("mini_compiler: ") and says in line and ";" in line,
                    f"status {done.returncode}: {line!r}")


def check_demo(c):
    regions = c.agrees("the demo", "--demo", "--emit", "kernels", "-o", "outlined.pt2")
    c.expect("the demo has regions", regions >= 3, str(regions))
    c.expect("--emit keeps the source", "extern \"C\" void kernel_0" in (c.folder / "kernels/kernels.cpp").read_text())
    c.expect("--no-fuse fuses nothing", c.agrees("without fusion", "--demo", "--no-fuse", "-o", "plain.pt2") == 0)
    outlined, plain = (torch.export.load(c.folder / f) for f in ("outlined.pt2", "plain.pt2"))
    calls = [str(n.target) for n in outlined.graph.nodes]
    c.expect("the saved program has its regions", calls.count("invoke_subgraph") == regions, str(calls))
    x = torch.randn(1024, 64)
    c.expect("Python runs it", torch.allclose(outlined.module()(x), plain.module()(x), atol=1e-5))
    timed = c.run("--demo", "--repeat", 1)
    c.expect("times are told", re.search(r"^1 thread +unfused +[\d.]+ ms +fused +[\d.]+ ms +[\d.]+x$", timed.stdout, re.M),
             timed.stdout)


def check_cases(c):
    for name, (function, inputs, regions, dynamic) in CASES.items():
        torch.manual_seed(0)
        program = torch.export.export(Function(function), inputs, strict=False,
                                      dynamic_shapes=None if dynamic is None else (dynamic,))
        file = c.folder / (name.replace(" ", "_") + ".pt2")
        torch.export.save(program, file)
        found = c.agrees(name, file)
        c.expect(f"{name}: {regions} regions", found == regions, f"found {found}")
    found = c.agrees("branches, saved with their regions", c.folder / "branches.pt2", "-o", "branches_outlined.pt2")
    program = torch.export.load(c.folder / "branches_outlined.pt2")
    inputs = CASES["branches"][1]
    c.expect("Python runs regions in branches", torch.allclose(program.module()(*inputs), branches(*inputs), atol=1e-5))
    c.expect("regions that a file has are made anew", c.agrees("branches, again", c.folder / "branches_outlined.pt2") == found)
    done = c.run(c.folder / "bfloat16.pt2", "--repeat", 0)
    c.expect("what is left alone is told", "3 element type (pointwise calls left alone)" in done.stdout, done.stdout)


def check_corpora(c, corpora):
    """Whatever a corpus holds compiles, and agrees, if it can be run here at all."""
    cannot = ("no sample inputs that can be read", "these operators cannot be run here")
    ran = fused = 0
    for model in sorted(m for corpus in corpora for m in corpus.glob("*/model.pt2")):
        done = c.run(model, "--repeat", 0)
        if done.returncode and any(why in done.stderr for why in cannot):
            continue
        ran += 1
        fused += " regions\n" in done.stdout
        c.expect(f"{model}: status 0, and the results agree", done.returncode == 0, done.stdout + done.stderr)
    c.expect("the corpora were run, and something in them was fused", not corpora or ran > 10 and fused > 2, f"{ran}, {fused}")


def check_refusals(c):
    chain = c.folder / "chain.pt2"
    c.refused("no compiler", chain, says="cannot start the C++ compiler", CXX="/nowhere/c++")
    c.refused("a compiler that fails", chain, says="gave status 1", CXX="false")
    c.refused("no file", says="no input file")
    c.refused("a file that is not there", "nowhere.pt2", says="nowhere.pt2")
    c.refused("two files", chain, chain, says="second input file")
    c.refused("an unknown option", chain, "--fast", says="--fast")
    c.refused("a value that is missing", chain, "--emit", says="--emit needs a value")
    c.refused("a number that is none", chain, "--repeat", "some", says="'some'")
    c.refused("a folder that cannot be", chain, "--emit", chain / "below", says="cannot make the folder")
    launched = c.run(chain, "--repeat", 0, CXX="env  " + os.environ.get("CXX", "g++"))
    c.expect("CXX may hold a launcher", launched.returncode == 0, launched.stderr)
    usage = c.run("--help")
    c.expect("--help tells the options", usage.returncode == 0 and "--emit DIR" in usage.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("corpora", type=pathlib.Path, nargs="*")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        c = Checks(args.program.resolve(), pathlib.Path(folder))
        check_demo(c)
        check_cases(c)
        check_refusals(c)
        check_corpora(c, [p.resolve() for p in args.corpora])
    print(f"{'FAIL' if c.failed else 'ok  '} mini_compiler: {c.passed} passed, {c.failed} failed")
    return 1 if c.failed else 0


if __name__ == "__main__":
    sys.exit(main())
