#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Compiles every case beside this file and demands that it fails with our sentence as its first error.

A case starts with `// expect: REGEX`, which the first error must match; `// floor: torch` in one of the next lines
says that it needs LibTorch, and `// says: REGEX` what must be told anywhere in the output: by a computed sentence,
whose lines are put together again first. With -DESPALIER_CURE the same file must compile: what fails is the one thing
that the case is about. What the cases include is compiled ahead, once for a compiler and a floor.
"""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]


def torch_flags():
    out = subprocess.run([sys.executable, ROOT / "tools" / "find_torch.py"], capture_output=True, text=True).stdout.strip()
    return [f"-isystem{out}/include", f"-isystem{out}/include/torch/csrc/api/include"] if out else None


COMPILERS = ("g++", "clang++-19")


def compilers(wanted):
    found = [c for c in wanted if shutil.which(c)]
    if not found:
        sys.exit(f"compile_fail: no compiler found of {', '.join(wanted)}; install g++ and clang-19")
    return found


INCLUDED = {"ground": "#include <espalier/graph.hpp>\n",
            "torch": "#include <espalier/espalier.hpp>\n"}


def call(compiler, flags, *more):
    command = [compiler, "-std=c++20", f"-I{ROOT / 'include'}", f"-I{ROOT / 'examples'}", *flags, *map(str, more)]
    return subprocess.run(command, capture_output=True, text=True, env=dict(os.environ, LC_ALL="C"))


class Headers:
    """Precompiled headers in a folder, made when a case first needs one."""

    def __init__(self, folder):
        self.folder, self.flags = pathlib.Path(folder), {}

    def flags_for(self, compiler, floor, flags):
        if (compiler, floor) not in self.flags:
            clang = compiler.startswith("clang")
            header = self.folder / f"{floor}_{'clang' if clang else 'gcc'}.hpp"
            header.write_text(INCLUDED[floor])
            made = header.with_suffix(".pch" if clang else ".hpp.gch")
            done = call(compiler, flags, "-x", "c++-header", header, "-o", made)
            if done.returncode != 0:
                sys.exit(f"compile_fail: {compiler} cannot precompile the headers:\n{done.stderr[:2000]}")
            self.flags[compiler, floor] = ["-include-pch", str(made)] if clang else ["-include", str(header)]
        return self.flags[compiler, floor]


def run(compiler, path, flags, cure):
    return call(compiler, flags, "-fsyntax-only", *(["-DESPALIER_CURE"] if cure else []), path)


def told(output):
    """The output with the strings of neighbouring template arguments joined."""
    joined = re.sub(r'"\}, (?:espalier::)?fixed_string<\d+>\{"', "", output)
    return joined.replace("\\'", "'")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", help="names of cases (default: all)")
    parser.add_argument("--compiler", choices=COMPILERS, help="this one alone (default: both, where they are)")
    args = parser.parse_args()
    found = compilers([args.compiler] if args.compiler else COMPILERS)
    with tempfile.TemporaryDirectory() as folder:
        return check(args.cases, found, torch_flags(), Headers(folder))


def check(cases, found, torch, headers):
    failed = passed = 0
    for path in sorted(HERE.glob("*.cpp")):
        if cases and path.stem not in cases:
            continue
        lines = path.read_text().splitlines()
        expected = re.match(r"// expect: (.+)", lines[0])
        if not expected:
            sys.exit(f"{path.name}: the first line must be `// expect: REGEX`")
        says = next((m[1] for m in (re.match(r"// says: (.+)", line) for line in lines[:4]) if m), "")
        needs_torch = any(line.startswith("// floor: torch") for line in lines[:3])
        if needs_torch and torch is None:
            print(f"{path.stem}: not run, LibTorch is not there")
            continue
        floor, floor_flags = ("torch", torch) if needs_torch else ("ground", [])
        if "ESPALIER_CURE" not in path.read_text():
            print(f"FAIL {path.stem}: has no ESPALIER_CURE branch")
            failed += 1
            continue
        for compiler in found:
            flags = floor_flags + headers.flags_for(compiler, floor, floor_flags)
            bad = run(compiler, path, flags, cure=False)
            errors = [line for line in bad.stderr.splitlines() if re.search(r"\berror: ", line)]
            good = run(compiler, path, flags, cure=True)
            if bad.returncode == 0:
                problem = "compiles, but must not"
            elif not errors or not re.search(expected[1], errors[0]):
                problem = f"the first error is not the expected sentence:\n  {errors[0] if errors else bad.stderr[:500]}"
            elif not re.search(says, told(bad.stderr)):
                problem = f"the sentence is not told:\n{told(bad.stderr)[:2000]}"
            elif good.returncode != 0:
                problem = f"does not compile with -DESPALIER_CURE:\n{good.stderr[:2000]}"
            else:
                passed += 1
                print(f"ok   {path.stem} ({compiler})")
                continue
            failed += 1
            print(f"FAIL {path.stem} ({compiler}): {problem}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
