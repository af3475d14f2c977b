#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Counts the instructions of stages.cpp, compiled with optimisation by every compiler that is there: a pipeline without
instruments is no longer than the same stages written by hand over the same context, and what a stage adds to the bare call of
its pass (a name for errors, a look at what is switched off and at analyses) stays within a bound.

A function counts with those that it calls in the same file, other than the cold ones that both share."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
STAGES = 3
# A call that one compiler inlines and the other does not costs its prologue and epilogue.
CALL = 16
# Instructions that a stage may add to its pass: six words that name it, two looks, and the sum.
PER_STAGE = 40
SHARED = re.compile(r"is_disabled|drop_all_but")


def functions(compiler, folder):
    """Each function of the compiled file: how many instructions it has, and what it calls."""
    out = pathlib.Path(folder) / "stages.o"
    built = subprocess.run([compiler, "-std=c++20", "-O2", "-fno-asynchronous-unwind-tables", f"-I{ROOT / 'include'}", "-c", HERE / "stages.cpp",
                            "-o", out], capture_output=True, text=True, env=dict(os.environ, LC_ALL="C"))
    if built.returncode:
        sys.exit(f"machine_code: {compiler} does not compile stages.cpp:\n{built.stderr[:2000]}")
    listing = subprocess.run(["objdump", "-dr", "--no-show-raw-insn", out], capture_output=True, text=True, check=True).stdout
    found, name = {}, None
    for line in listing.splitlines():
        if head := re.match(r"[0-9a-f]+ <(.+)>:$", line):
            name = head[1]
            found[name] = [0, set()]
        elif name and re.match(r"\s+[0-9a-f]+:\t\S", line):
            if not re.search(r"\t(nop|data16|xchg +%ax,%ax|cs nop)", line):  # padding
                found[name][0] += 1
        elif name and (call := re.search(r"R_\S*(?:PLT|PC|CALL)\S*\s+([\w.]+)", line)):
            found[name][1].add(call[1])
        if name and (call := re.search(r"\b(?:call|bl)\s+[0-9a-f]+ <([^+>]+)>", line)):
            found[name][1].add(call[1])
    return found


def size(found, name):
    """Instructions of a function and of those it calls."""
    seen, todo, total = set(), [name], 0
    while todo:
        f = todo.pop()
        if f in seen or f not in found or SHARED.search(f):
            continue
        seen.add(f)
        total += found[f][0]
        todo += found[f][1]
    return total, len(seen)


def main():
    compilers = [c for c in ("g++", "clang++-19") if shutil.which(c)]
    if not compilers:
        sys.exit("machine_code: no compiler found; install g++ or clang-19")
    if not shutil.which("objdump"):
        sys.exit("machine_code: objdump not found; install binutils")
    failed = 0
    for compiler in compilers:
        with tempfile.TemporaryDirectory() as folder:
            found = functions(compiler, folder)
        names = {word: next((n for n in found if re.match(rf"_Z\d+{word}R", n)), None) for word in ("composed", "by_hand", "bare")}
        if None in names.values():
            sys.exit(f"machine_code: functions not found in what {compiler} made: {names}")
        (composed, calls), (by_hand, hand_calls), (bare, _) = (size(found, names[w]) for w in names)
        watching = [n for n in found if "instrument" in n]
        checks = [
            ("no function of instruments is there", not watching),
            ("the pipeline is no longer than what is written by hand", composed <= by_hand + CALL * max(0, calls - hand_calls)),
            (f"a stage adds at most {PER_STAGE} instructions to its pass", composed - bare <= PER_STAGE * STAGES + CALL * (calls - 1)),
        ]
        for what, holds in checks:
            failed += not holds
            print(f"{'ok  ' if holds else 'FAIL'} {compiler}: {what}")
        print(f"     {compiler}: {composed} instructions as a pipeline ({calls} functions), {by_hand} by hand ({hand_calls}), "
              f"{bare} as bare calls")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
