#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""List the C++ sources of a folder for meson, one `FLOOR NAME PATH` a line.

    list_sources.py --tests tests     every tests/NAME/*.cpp: those of one floor make the test executable NAME
    list_sources.py --programs bench  one executable each: NAME.cpp, or NAME/*.cpp where there is a NAME/main.cpp

FLOOR is `torch` for a file named torch_*, or that includes LibTorch or one of our layers above it, else `ground`.
Files come and go without anybody editing a meson file; ./dev reconfigures when this list changes.
"""
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UPPER = re.compile(
    r'^\s*#\s*include\s*["<](torch/|ATen/|c10/|caffe2/|espalier/espalier\.hpp|espalier/(bridge|trace|exporting|program|opt)/)',
    re.M)
LOCAL = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.M)


def needs_torch(file, seen=None):
    seen = set() if seen is None else seen
    if file in seen or not file.is_file():
        return False
    seen.add(file)
    text = file.read_text(errors="replace")
    if UPPER.search(text):
        return True
    return any(needs_torch((base / name).resolve(), seen)
               for name in LOCAL.findall(text) for base in (file.parent, ROOT / "examples", ROOT / "tests"))


def floor_of(file):
    return "torch" if file.name.startswith("torch_") or needs_torch(file.resolve()) else "ground"


NOT_UNIT_TESTS = {"compile_fail", "consumers", "shared_library", "headers", "machine_code", "places", "scaling",
                  "scripts"}


def tests(folder):
    return [(floor_of(f), f.parent.name, [f]) for f in sorted(folder.glob("*/*.cpp"))
            if f.parent.name not in NOT_UNIT_TESTS]


def programs(folder):
    found = [(floor_of(f), f.stem, [f]) for f in sorted(folder.glob("*.cpp"))]
    for main in sorted(folder.glob("*/main.cpp")):
        parts = sorted(main.parent.glob("*.cpp"))
        floor = "torch" if any(floor_of(p) == "torch" for p in parts) else "ground"
        found.append((floor, main.parent.name, parts))
    return found


if __name__ == "__main__":
    kind, folder = sys.argv[1:]
    for floor, name, files in {"--tests": tests, "--programs": programs}[kind](ROOT / folder):
        print(floor, name, "|".join(str(f.relative_to(ROOT / folder)) for f in files))
